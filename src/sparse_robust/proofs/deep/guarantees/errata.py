"""Where Proposition 3.1 as printed, and what the paper says about it, fails; and what a certificate loses."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.certificates import best_certificate, certificate
from sparse_robust.theory.distance import distance
from sparse_robust.theory.laws import dot, l1, vector
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.networks import ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball

from .paper import EIGHT, linf, local_gamma


def no_fixed_point() -> ReluNet:
    """h(x) = 4 - s(x) - 9 s(x - 1): gentle near 0, steep beyond 1."""
    return exact_net([[[1, 1]]], [-1, -9], [[0, -1]], 4)


@statement(
    "err-prop-3-1-ties",
    kind="erratum",
    title="At distance $\\gamma$ there may be a tie",
    source="paper, Proposition 3.1",
    status="checked exactly on an example",
    uses=("def-gamma", "lem-regions"),
)
def ties() -> None:
    r"""As printed, the decision does not change on the *closed* ball: $\lVert \Delta_x \rVert_p \le \gamma$
    implies $\hat y = \arg\max_k g_k(x + \Delta_x)$. Let $n = 1$, $g_1 = 0$, $g_2(x) = x$, at $x = -1$, with
    $R \ge 1$. Class 1 leads by $m = 1$, $L = 1$, so that $\gamma = 1$. At $\Delta = 1$ both scores
    are 0: a tie, and class 2 leads at every point beyond.
    """
    lead = exact_net([[[1, -1]]], [-1, 1])  # g_1 - g_2 = -x = -s(x) + s(-x)
    x = fractions([-1])
    for radius in (Fraction(1), Fraction(3, 2), EIGHT):
        assert lipschitz_power(lead, Ball(x, radius), q=1) == 1
        assert local_gamma(lead, x, radius) == 1
    assert lead(x + 1) == 0  # at distance gamma: no class leads
    for beyond in (Fraction(1, 10**6), Fraction(1, 2)):
        assert lead(x + 1 + beyond) < 0


@statement(
    "err-prop-3-1-exponents",
    kind="erratum",
    title="$p \\in \\mathbb{R}^+$ is not the range of $p$",
    source="paper, Proposition 3.1",
    status="checked exactly on an example",
    uses=("def-gamma",),
)
def exponents() -> None:
    r"""$\frac1p + \frac1q = 1$ with $p = \frac12$ gives $q = -1$ and
    $\lVert w \rVert_q = (\sum_i \lvert w_i \rvert^{-1})^{-1}$. Let $h(x) = x_1 + x_2$ at $x = (1, 0)$: the
    margin is 1, the gradient has $\lVert (1, 1) \rVert_{-1} = \frac12$, and (7) gives $\gamma = 2$ for
    $R = 2$. But $\Delta = (-\frac32, 0)$ has $\lVert \Delta \rVert_{1/2} = \frac32 < 2$ and
    $h(x + \Delta) = -\frac12$. The range that the proposition needs is $p \in [1, \infty]$; it must
    contain $\infty$, for which the paper uses it, and which is not in $\mathbb{R}^+$.
    """
    p = sp.Rational(1, 2)
    assert sp.solve(1 / p + 1 / sp.Symbol("q") - 1) == [-1]
    w, x, delta = vector((1, 1)), vector((1, 0)), vector(("-3/2", 0))
    harmonic = 1 / sum(1 / abs(v) for v in w)
    assert harmonic == Fraction(1, 2)
    radius = certificate([dot(w, x)], [harmonic], Fraction(2))
    assert radius == 2
    length = sum(sp.sqrt(sp.Rational(abs(d))) for d in delta) ** 2
    assert length == sp.Rational(3, 2) < radius
    assert dot(w, x) + dot(w, delta) == Fraction(-1, 2)


@statement(
    "cex-lipschitz-norm",
    kind="counterexample",
    title="Lipschitz with respect to $\\lVert \\cdot \\rVert_q$ is not enough",
    source="paper, the notation before Proposition 3.1, read literally",
    status="checked exactly on an example",
    uses=("def-gamma", "lem-cover", "lem-regions"),
)
def lipschitz_norm() -> None:
    r"""The paper does not say which norm its Lipschitz constant $L_q$ refers to. It must be
    $\lVert \cdot \rVert_p$, the norm of the perturbation. Let $p = \infty$, $q = 1$, $h(x) = x_1 + x_2$ at
    $x = (1, 1)$. With respect to $\lVert \cdot \rVert_1$ the best constant is 1, and (7)
    would give $\gamma = 2$ for $R = 2$. But $\Delta = (-\frac32, -\frac32)$ has
    $\lVert \Delta \rVert_\infty < 2$ and $h(x + \Delta) = -1$. With respect to
    $\lVert \cdot \rVert_\infty$ the best constant is 2, and $\gamma = 1$ is the distance.
    """
    w, x, delta = vector((1, 1)), vector((1, 1)), vector(("-3/2", "-3/2"))
    net = exact_net([[[1, -1], [1, -1]]], [1, -1])  # h = s(x_1 + x_2) - s(-x_1 - x_2)
    assert certificate([dot(w, x)], [linf(w)], Fraction(2)) == 2
    assert linf(delta) < 2
    assert net(fractions(x) + fractions(delta)) == -1
    assert local_gamma(net, fractions(x), Fraction(2)) == 1 == dot(w, x) / l1(w)
    assert distance(net, fractions(x)) == 1


@statement(
    "cex-gamma-loose",
    kind="counterexample",
    title="A certificate may be arbitrarily far below the distance",
    source="this book",
    status="checked exactly on an example",
    uses=(
        "lem-cover",
        "lem-regions",
        "prop-gamma-distance",
        "prop-best-radius",
    ),
)
def gamma_loose() -> None:
    r"""A Lipschitz constant does not know in which direction a function is steep. Let $n = 1$ and
    $h(x) = 1 - \sigma(x) + K \sigma(-x)$ at $x = 0$, with $K = 1000$. Class $\hat y$ loses its lead at
    distance 1 on the right, and never on the left. But $L(R) = K$ for every $R > 0$, so that no
    radius gives a certificate above $1/K$.
    """
    steep = 1000
    net, x = exact_net([[[1, -1]]], [-1, steep], offset=1), fractions([0])
    assert distance(net, x) == 1
    for radius in (Fraction(1, 10**6), Fraction(1, steep), Fraction(1), EIGHT):
        assert lipschitz_power(net, Ball(x, radius), q=1) == steep
        assert local_gamma(net, x, radius) <= Fraction(1, steep)

    def constants(radius: Fraction) -> list[Fraction]:
        return [lipschitz_power(net, Ball(x, radius), q=1)]

    assert best_certificate([net(x)], constants, EIGHT, tolerance=Fraction(1, 10**6)) == Fraction(1, steep)


@statement(
    "cex-deepfool-upper",
    kind="counterexample",
    title="On a network DeepFool bounds the distance from above, not from below",
    source='paper, section 3.2, last paragraph ("helps us measure a lower bound")',
    status="checked exactly on an example",
    uses=("lem-cover", "prop-gamma-affine", "prop-gamma-distance"),
)
def deepfool_upper() -> None:
    r"""On a linear classifier DeepFool's distance is a certificate, by {prf:ref}`prop-gamma-affine`. On a
    network it is an upper bound of the distance, and may be far from it. Let
    $h(x) = 4 - \sigma(x) - 9 \sigma(x - 1)$ at $x = \frac12$. DeepFool's first step reaches $x = 4$,
    where the lead is lost, and stops: it reports $\frac72$. The distance is $\frac45$.
    """
    net, x = no_fixed_point(), fractions(["1/2"])
    gradient = net.gradient(net.pattern(x))
    landed = x - net(x) * gradient / (gradient @ gradient)
    assert landed[0] == 4
    assert net(landed) < 0
    assert landed[0] - x[0] == Fraction(7, 2)
    assert distance(net, x) == Fraction(4, 5)
