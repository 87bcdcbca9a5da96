"""Proposition 3.1: what a Lipschitz constant certifies, repaired and proved."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise, product
from math import inf

import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.certificates import certificate, network_certificate
from sparse_robust.theory.distance import distance
from sparse_robust.theory.laws import Vector, dot, l1, random_vector
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.networks import Array, ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball

EIGHT = Fraction(8)


def random_nets(seed: int, count: int) -> Iterator[tuple[ReluNet, Array]]:
    """Random (h, x) with h(x) > 0, two inputs, one or two hidden layers, biases, in exact rationals."""
    rng = random.Random(seed)

    def draw(*shape: int) -> Array:
        size = 1
        for n in shape:
            size *= n
        return fractions([rng.randint(-3, 3) for _ in range(size)]).reshape(shape)

    while count:
        widths = (2, 3, 2)[: rng.randint(2, 3)]
        weights = tuple(draw(a, b) for a, b in pairwise(widths))
        net = ReluNet(weights, draw(widths[-1]), tuple(draw(n) for n in widths[1:]), draw(1)[0])
        x = draw(2) / 2
        if net(x) > 0:
            count -= 1
            yield net, x


def local_gamma(net: ReluNet, x: Array, radius: Fraction) -> Fraction:
    """gamma_inf with the best Lipschitz constant on the ball of this radius."""
    return Fraction(certificate([net(x)], [lipschitz_power(net, Ball(x, radius), q=1)], radius))


def linf(v: Vector) -> Fraction:
    """The largest absolute value."""
    return max(map(abs, v))


def remaining(margin: sp.Expr, constant: sp.Expr, length: sp.Expr) -> sp.Expr:
    """What the Lipschitz inequality leaves of a margin after a perturbation of this length."""
    return margin - constant * length


@statement(
    "def-gamma",
    kind="definition",
    title="The certified radius",
    source="paper, equation (7)",
    status="checked exactly on an example",
)
def gamma() -> None:
    r"""Let class $\hat y$ lead at $x$, with margins $m_k = g_{\hat y}(x) - g_k(x) > 0$ over its rivals
    $k \ne \hat y$. Let $h_k = g_{\hat y} - g_k$ and let $L_k \ge 0$ be such that
    $\lvert h_k(u) - h_k(v) \rvert \le L_k \lVert u - v \rVert_p$ for all $u, v \in B_p(x, R)$: a *local
    Lipschitz constant with respect to* $\lVert \cdot \rVert_p$. The *certified radius* is

    $$\gamma = \min\Bigl\{ \min_{k \ne \hat y} \frac{m_k}{L_k},\; R \Bigr\},
      \qquad \frac m0 := \infty \text{ for } m > 0,$$

    and $\gamma = 0$ where no class leads. The smallest such $L_k$ is the paper's $L_{q,x}^k$. Its
    index $q$, $\frac1p + \frac1q = 1$, is that of the norm which measures gradients.
    """
    net = exact_net([[[1, -1]]], [3, 1])  # h(x) = 3 s(x) + s(-x)
    cases = ((2, 1, 3, 1), (2, 8, 3, 2), (-2, 1, 1, 1), (-2, 3, 3, "2/3"))  # x, R, L, gamma
    for place, radius, constant, expected in cases:
        x, size = fractions([place]), Fraction(radius)
        assert lipschitz_power(net, Ball(x, size), q=1) == constant
        assert local_gamma(net, x, size) == Fraction(expected)
    assert certificate([1, 2], [0, 0], EIGHT) == EIGHT
    assert certificate([1, 0], [0, 0], EIGHT) == 0


@statement(
    "prop-3-1",
    kind="proposition",
    title="The paper's Proposition 3.1, repaired",
    source="paper, Proposition 3.1; Weng et al. 2018, Hein and Andriushchenko 2017",
    status="proved",
    uses=("def-gamma",),
)
def proposition_3_1() -> None:
    r"""Let $1 \le p \le \infty$, $R > 0$, and let $\gamma$ be the certified radius ({prf:ref}`def-gamma`). If
    $\lVert \Delta \rVert_p < \gamma$, then $g_{\hat y}(x + \Delta) > g_k(x + \Delta)$ for every
    $k \ne \hat y$: the decision does not change. If $\lVert \Delta \rVert_p = \gamma$, then
    $g_{\hat y}(x + \Delta) \ge g_k(x + \Delta)$.

    Of $L_k$ it only uses $h_k(x) - h_k(x + \Delta) \le L_k \lVert \Delta \rVert_p$ for
    $\lVert \Delta \rVert_p \le R$. Nothing is asked of the functions outside of the ball.
    """
    margin, constant, short = sp.symbols("m L t", positive=True)
    gamma, spare = sp.symbols("gamma s", nonnegative=True)
    # L > 0: gamma <= m / L, that is m = L gamma + s
    assert remaining(constant * gamma + spare, constant, gamma - short).expand().is_positive
    assert remaining(constant * gamma + spare, constant, gamma).expand().is_nonnegative
    assert remaining(margin, sp.Integer(0), gamma).is_positive  # L = 0, where m / 0 = infinity
    for net, x in random_nets(seed=310, count=25):
        for radius in (Fraction(1, 2), Fraction(3)):
            assert local_gamma(net, x, radius) <= distance(net, x, within=radius + 1)


@statement(
    "prop-small-p",
    kind="proposition",
    title="Below $p = 1$ the index of the gradient stays $\\infty$",
    source="this book",
    status="proved",
    uses=("prop-3-1",),
)
def small_p() -> None:
    r"""For $0 < p \le 1$ and $\lVert \Delta \rVert_p = (\sum_i \lvert \Delta_i \rvert^p)^{1/p}$, which is no
    norm for $p < 1$,

    $$\lvert w^T \Delta \rvert \le \lVert w \rVert_\infty \lVert \Delta \rVert_1
      \le \lVert w \rVert_\infty \lVert \Delta \rVert_p,$$

    with equality for a multiple of one coordinate vector. So a constant with respect to
    $\lVert \cdot \rVert_1$, gradients measured by $q = \infty$, certifies every $p \le 1$, and no smaller one
    does for a linear $h$.
    """
    s, u = sp.symbols("s u", nonnegative=True)
    t = sp.exp(-s)  # |Delta_i| <= 1 once ||Delta||_p is scaled to 1; p = 1 - u
    assert sp.expand(sp.expand_log(sp.log(t ** (1 - u) / t), force=True)).is_nonnegative  # t <= t^p
    w, length = sp.symbols("w_max d", positive=True)  # the largest entry of w, and Delta on it alone
    p = sp.Symbol("p", positive=True)
    assert sp.simplify(w * length - w * (length**p) ** (1 / p)) == 0
    rng = random.Random(311)
    for _ in range(30):
        roots, v = random_vector(rng, 3), random_vector(rng, 3)  # p = 1/2, Delta_i = roots_i^2
        assert abs(dot(v, tuple(r * abs(r) for r in roots))) <= linf(v) * l1(roots) ** 2


@statement(
    "prop-gamma-distance",
    kind="proposition",
    title="Certificate, distance, attack",
    source="this book",
    status="proved",
    uses=("prop-3-1",),
)
def gamma_distance() -> None:
    r"""Let $d_p(x)$ be the distance from $x$ to the nearest point at which $\hat y$ does not lead. For every
    certified radius $\gamma$ and every $\Delta$ such that $\hat y$ does not lead at $x + \Delta$,

    $$\gamma \le d_p(x) \le \lVert \Delta \rVert_p .$$
    """
    gamma, excess = sp.symbols("gamma e", nonnegative=True)
    # whoever took the lead at length l did not have l < gamma, so that l = gamma + e; then take the infimum
    assert sp.expand(gamma + excess - gamma).is_nonnegative
    attacked = 0
    for net, x in random_nets(seed=312, count=12):
        nearest = distance(net, x)
        assert network_certificate([net], x, p=inf, upper=EIGHT, tolerance=Fraction(1, 64)) <= nearest
        for step in product(range(-3, 4), repeat=2):
            if net(x + fractions(step)) <= 0:
                attacked += 1
                assert nearest <= max(map(abs, step))
    assert attacked > 20  # attacks do succeed


@statement(
    "prop-gamma-affine",
    kind="proposition",
    title="Where the classifier is affine the certificate is the distance",
    source="this book; paper, section 3.2, last paragraph",
    status="proved",
    uses=("prop-distance", "prop-dual-norm", "prop-gamma-distance"),
)
def gamma_affine() -> None:
    r"""Let $1 < p \le \infty$, let every $h_k$ be affine on $B_p(x, R)$ with gradient $v_k$, and
    $R \ge \min_k m_k / \lVert v_k \rVert_q$. With the best constants, $L_k = \lVert v_k \rVert_q$,

    $$\gamma = d_p(x) = \min_{k \ne \hat y} \frac{m_k}{\lVert v_k \rVert_q} .$$

    For linear classifiers this holds with $R = \infty$: there $r_2 = \mathbb{E}(1_{y = \hat y} \gamma_2)$
    with DeepFool's one step, and $r_\infty = \Pr(y = \hat y, \gamma_\infty > \epsilon)$ under the best
    attack.
    """
    margin, slope, excess = sp.symbols("m v e", positive=True)
    nearest = margin / slope  # prop-distance; its point lies in the ball, where h_k is affine
    assert sp.Min(nearest, nearest + excess) == nearest  # R = nearest + excess: gamma is not cut off by R
    same = 0
    for net, x in random_nets(seed=313, count=60):
        gradient = net.gradient(net.pattern(x))
        if any(gradient) and _affine(net, x, net(x) / abs(gradient).sum()):
            same += 1
            reach = net(x) / abs(gradient).sum()
            assert local_gamma(net, x, reach) == reach == distance(net, x)
    assert same > 5


def _affine(net: ReluNet, x: Array, radius: Fraction) -> bool:
    """Whether no unit changes its state in the open ball, so that the network is affine there."""
    *layers, _ = net.affine(net.pattern(x))
    return not any((abs(x @ slope + shift) < radius * abs(slope).sum(0)).any() for slope, shift in layers)


__all__ = ["EIGHT", "linf", "local_gamma", "random_nets", "remaining"]
