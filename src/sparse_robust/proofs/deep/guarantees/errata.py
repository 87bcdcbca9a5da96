"""Where Proposition 3.1 as printed, and what the paper says about it, fails; and what a certificate loses."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.deep.written import NET, POINT, SIGMA, at_points, row
from sparse_robust.proofs.formulas import Case, chain
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.certificates import best_certificate, certificate
from sparse_robust.theory.distance import distance
from sparse_robust.theory.laws import dot, l1, vector
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.networks import ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball

from .paper import EIGHT, GAMMA, R, linf, local_gamma

MARGIN, L, DISTANCE, X = sp.symbols("m L d x", real=True)
TIED, BEYOND = sp.Symbol("h(x + 1)", real=True), sp.Symbol("h(x + 1 + t)", real=True)
W, DELTA, P, Q = sp.symbols(r"w \Delta p q")
LEFT = sp.Symbol(r"h(x + \Delta)", real=True)
X_1, X_2 = sp.symbols("x_1 x_2")


def no_fixed_point() -> ReluNet:
    """h(x) = 4 - s(x) - 9 s(x - 1): gentle near 0, steep beyond 1."""
    return exact_net([[[1, 1]]], [-1, -9], [[0, -1]], 4)


def tie_cases() -> list[Case]:
    """The lead of class 1 at distance 1 and beyond, for balls of several sizes."""
    lead = exact_net([[[1, -1]]], [-1, 1])  # g_1 - g_2 = -x = -s(x) + s(-x)
    x = fractions([-1])
    facts: list[Case] = [
        {
            X: x[0],
            R: radius,
            MARGIN: lead(x),
            L: lipschitz_power(lead, Ball(x, radius), q=1),
            GAMMA: local_gamma(lead, x, radius),
            TIED: lead(x + 1),
            BEYOND: lead(x + 1 + beyond),
        }
        for radius in (Fraction(1), Fraction(3, 2), EIGHT)
        for beyond in (Fraction(1, 10**6), Fraction(1, 2))
    ]
    return facts


@statement(
    "err-prop-3-1-ties",
    kind="erratum",
    title="At distance $\\gamma$ there may be a tie",
    source="paper, Proposition 3.1",
    status="checked exactly on an example",
    uses=("def-gamma", "lem-regions"),
    hypotheses={"radius": sp.Ge(R, 1)},
    without={"radius": lambda: {**tie_cases()[0], R: Fraction(9, 10), GAMMA: Fraction(9, 10)}},
    claims={
        "x": sp.Eq(X, -1),
        "margin": sp.Eq(MARGIN, 1),
        "constant": sp.Eq(L, 1),
        "gamma": sp.Eq(GAMMA, 1),
        "tie": sp.Eq(TIED, 0),
        "beyond": sp.Lt(BEYOND, 0),
    },
    loose={"beyond": "a counterexample"},
    cases=tie_cases,
)
def ties(**_: sp.Basic) -> None:
    r"""As printed, the decision does not change on the *closed* ball: $\lVert \Delta_x \rVert_p \le \gamma$
    implies $\hat y = \arg\max_k g_k(x + \Delta_x)$. Let $n = 1$, $g_1 = 0$, $g_2(x) = x$, and
    $h = g_1 - g_2$, at $<<x>>$ with $<<radius>>$. Class 1 leads by $<<margin>>$, and $<<constant>>$, so that
    $<<gamma>>$. At that distance both scores are equal, $<<tie>>$: a tie, and class 2 leads at every point
    beyond, $<<beyond>>$ for $t > 0$.
    """


GRADIENT_NORM = sp.Symbol(r"\lVert w \rVert_q", real=True)
STEP_LENGTH = sp.Symbol(r"\lVert \Delta \rVert_p", real=True)


def exponent_case() -> Case:
    """h(x) = w . x at x, and a step Delta, measured with the exponents -1 and 1/2."""
    w, x, delta = vector((1, 1)), vector((1, 0)), vector(("-3/2", 0))
    dual = 1 / sum(1 / abs(v) for v in w)
    return {
        P: Fraction(1, 2),
        Q: Fraction(-1),
        W: fractions(w),
        X: fractions(x),
        DELTA: fractions(delta),
        MARGIN: dot(w, x),
        GRADIENT_NORM: dual,
        R: Fraction(2),
        GAMMA: certificate([dot(w, x)], [dual], Fraction(2)),
        STEP_LENGTH: sum(sp.sqrt(sp.Rational(abs(d))) for d in delta) ** 2,
        LEFT: dot(w, x) + dot(w, delta),
    }


@statement(
    "err-prop-3-1-exponents",
    kind="erratum",
    title="$p \\in \\mathbb{R}^+$ is not the range of $p$",
    source="paper, Proposition 3.1",
    status="checked exactly on an example",
    uses=("def-gamma",),
    claims={
        "p": sp.Eq(P, sp.Rational(1, 2)),
        "dual": sp.Eq(1 / P + 1 / Q, 1),
        "q": sp.Eq(Q, -1),
        "w": sp.Eq(W, row((1, 1))),
        "x": sp.Eq(X, row((1, 0))),
        "margin": sp.Eq(MARGIN, 1),
        "gradient": sp.Eq(GRADIENT_NORM, sp.Rational(1, 2)),
        "radius": sp.Eq(R, 2),
        "gamma": sp.Eq(GAMMA, 2),
        "delta": sp.Eq(DELTA, row(("-3/2", 0))),
        "length": sp.Eq(STEP_LENGTH, sp.Rational(3, 2)),
        "shorter": sp.Lt(STEP_LENGTH, GAMMA),
        "left": sp.Eq(LEFT, sp.Rational(-1, 2)),
    },
    loose={"shorter": "a counterexample"},
    cases=lambda: [exponent_case()],
)
def exponents(q: sp.Eq, p: sp.Eq, **_: sp.Basic) -> None:
    r"""$<<dual>>$ with $<<p>>$ gives $<<q>>$ and
    $\lVert w \rVert_q = (\sum_i \lvert w_i \rvert^{-1})^{-1}$. Let $h(x) = w^T x$, $<<w>>$, at $<<x>>$: the
    margin is $<<margin>>$, the gradient has $<<gradient>>$, and (7) gives $<<gamma>>$ for $<<radius>>$. But
    for $<<delta>>$, $<<length>>$, so that $<<shorter>>$, and $<<left>>$. The range that the proposition needs
    is $p \in [1, \infty]$; it must contain $\infty$, for which the paper uses it, and which is not in
    $\mathbb{R}^+$.
    """
    assert sp.solve(1 / p.rhs + 1 / Q - 1, Q) == [q.rhs]


WRONG_L, WRONG_GAMMA, SIZE = sp.symbols(r"L' \gamma' \lVert\Delta\rVert_\infty", real=True)


def wrong_norm_cases() -> list[Case]:
    """Constants with respect to both norms, and what they certify; the formula for h at points."""
    w, x, delta = vector((1, 1)), vector((1, 1)), vector(("-3/2", "-3/2"))
    net = exact_net([[[1, -1], [1, -1]]], [1, -1])  # h = s(x_1 + x_2) - s(-x_1 - x_2)
    centre, radius = fractions(x), Fraction(2)
    facts = {
        POINT: centre,
        R: radius,
        WRONG_L: linf(w),
        WRONG_GAMMA: certificate([net(centre)], [linf(w)], radius),
        DELTA: fractions(delta),
        SIZE: linf(delta),
        LEFT: net(centre + fractions(delta)),
        L: lipschitz_power(net, Ball(centre, radius), q=1),
        GAMMA: local_gamma(net, centre, radius),
        DISTANCE: distance(net, centre),
    }
    assert facts[L] == l1(w)
    return [{**place, **facts} for place in at_points(net, [(1, 1), (2, -3), (0, -1)])]


@statement(
    "cex-lipschitz-norm",
    kind="counterexample",
    title="Lipschitz with respect to $\\lVert \\cdot \\rVert_q$ is not enough",
    source="paper, the notation before Proposition 3.1, read literally",
    status="checked exactly on an example",
    uses=("def-gamma", "lem-cover", "lem-regions"),
    claims={
        "h": sp.Eq(NET, X_1 + X_2),
        "x": sp.Eq(POINT, row((1, 1))),
        "wrong": sp.Eq(WRONG_L, 1),
        "too_long": sp.Eq(WRONG_GAMMA, 2),
        "radius": sp.Eq(R, 2),
        "delta": sp.Eq(DELTA, row(("-3/2", "-3/2"))),
        "shorter": chain(SIZE, sp.Lt, WRONG_GAMMA),
        "left": sp.Eq(LEFT, -1),
        "right": sp.Eq(L, 2),
        "gamma": chain(GAMMA, sp.Eq, DISTANCE, sp.Eq, 1),
    },
    loose={"shorter": "a counterexample"},
    cases=wrong_norm_cases,
)
def lipschitz_norm(**_: sp.Basic) -> None:
    r"""The paper does not say which norm its Lipschitz constant $L_q$ refers to. It must be
    $\lVert \cdot \rVert_p$, the norm of the perturbation. Let $p = \infty$, $q = 1$, $<<h>>$ at $<<x>>$. With
    respect to $\lVert \cdot \rVert_1$ the best constant is $<<wrong>>$, and (7) would give $<<too_long>>$ for
    $<<radius>>$. But for $<<delta>>$, $<<shorter>>$ and $<<left>>$. With respect to
    $\lVert \cdot \rVert_\infty$ the best constant is $<<right>>$, and $\gamma$ is the distance $d$,
    $<<gamma>>$.
    """


STEEP, BEST = sp.Symbol("K", integer=True), sp.Symbol(r"\gamma^*", real=True)


def loose_cases() -> list[Case]:
    """Certificates on balls of several radii, and the best one by bisection; the formula for h at points."""
    steep = 1000
    net, x = exact_net([[[1, -1]]], [-1, steep], offset=1), fractions([0])

    def constants(radius: Fraction) -> list[Fraction]:
        return [lipschitz_power(net, Ball(x, radius), q=1)]

    facts = {
        STEEP: steep,
        DISTANCE: distance(net, x),
        BEST: best_certificate([net(x)], constants, EIGHT, tolerance=Fraction(1, 10**6)),
    }
    places = at_points(net, [-2, Fraction(1, 2), 3, 0])
    radii = (Fraction(1, 10**6), Fraction(1, steep), Fraction(1), EIGHT)
    return [
        {**place, **facts, L: constants(radius)[0], GAMMA: local_gamma(net, x, radius)}
        for place, radius in zip(places, radii, strict=True)
    ]


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
        "prop-bisection",
    ),
    claims={
        "h": sp.Eq(NET, 1 - SIGMA(POINT) + STEEP * SIGMA(-POINT)),
        "K": sp.Eq(STEEP, 1000),
        "distance": sp.Eq(DISTANCE, 1),
        "constant": sp.Eq(L, STEEP),
        "gamma": sp.Le(GAMMA, 1 / STEEP),
        "best": sp.Eq(BEST, 1 / STEEP),
    },
    cases=loose_cases,
)
def gamma_loose(**_: sp.Basic) -> None:
    r"""A Lipschitz constant does not know in which direction a function is steep. Let $n = 1$ and $<<h>>$
    at $x = 0$, with $<<K>>$. Class $\hat y$ loses its lead at the distance $<<distance>>$ on the right, and
    never on the left. But $<<constant>>$ on every ball, so that $<<gamma>>$ for every radius, and the best
    certificate is $<<best>>$.
    """


LANDED, LENGTH, THERE = (
    sp.Symbol(r"\tilde x", real=True),
    sp.Symbol(r"\tilde x - x", real=True),
    sp.Symbol(r"h(\tilde x)", real=True),
)
BENT = 4 - SIGMA(POINT) - 9 * SIGMA(POINT - 1)
"""The network of :func:`no_fixed_point`."""


def deepfool_cases() -> list[Case]:
    """DeepFool's first step from 1/2, and the distance; the formula for h at points."""
    net, x = no_fixed_point(), fractions(["1/2"])
    gradient = net.gradient(net.pattern(x))
    landed = x - net(x) * gradient / (gradient @ gradient)
    facts = {
        LANDED: landed[0],
        THERE: net(landed),
        LENGTH: landed[0] - x[0],
        DISTANCE: distance(net, x),
    }
    return [{**facts, **place} for place in at_points(net, [-1, Fraction(1, 2), 3])]


@statement(
    "cex-deepfool-upper",
    kind="counterexample",
    title="On a network DeepFool bounds the distance from above, not from below",
    source='paper, section 3.2, last paragraph ("helps us measure a lower bound")',
    status="checked exactly on an example",
    uses=("lem-cover", "prop-gamma-affine", "prop-gamma-distance"),
    claims={
        "h": sp.Eq(NET, BENT),
        "landed": sp.Eq(LANDED, 4),
        "lost": sp.Lt(THERE, 0),
        "length": sp.Eq(LENGTH, sp.Rational(7, 2)),
        "distance": sp.Eq(DISTANCE, sp.Rational(4, 5)),
    },
    loose={"lost": "a counterexample"},
    cases=deepfool_cases,
)
def deepfool_upper(**_: sp.Basic) -> None:
    r"""On a linear classifier DeepFool's distance is a certificate, by {prf:ref}`prop-gamma-affine`. On a
    network it is an upper bound of the distance, and may be far from it. Let $<<h>>$, and start at
    $x = \frac12$. DeepFool's first step reaches $<<landed>>$, where the lead is lost, $<<lost>>$, and stops:
    it reports $<<length>>$. The distance is $<<distance>>$.
    """
