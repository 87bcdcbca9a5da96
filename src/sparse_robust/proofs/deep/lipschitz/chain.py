"""From samples to products of norms: the chain of bounds, and what samples can know."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import inf

import numpy as np
import sympy as sp

from sparse_robust.proofs.deep.written import NET, SIGMA, at_points, row, written
from sparse_robust.proofs.formulas import Case, Every, chain
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.distance import distance
from sparse_robust.theory.intervals import (
    backward_bounds,
    largest,
    norm_power,
    product_interval,
    switched,
    unit_states,
)
from sparse_robust.theory.lipschitz import chain_powers, layer_product, lipschitz_power
from sparse_robust.theory.mask_bounds import all_paths
from sparse_robust.theory.networks import ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball, regions

from .cases import L_Q, ONE, SUM, UNIT, random_cases

TURNED = exact_net([[[1, 1], [1, -1]]], [1, 1])
"""h = s(x_1 + x_2) + s(x_1 - x_2)."""


def strip(steepness: int, *, weight: int = 1) -> ReluNet:
    """h = s(x_1) + weight s(s(x_1) - K |x_2|): steep on a strip around the x_1 axis only."""
    return exact_net([[[1, 0, 0], [0, 1, -1]], [[1, 1], [0, -steepness], [0, -steepness]]], [1, weight])


NEAR_STRIP = Ball(fractions([1, "1/2"]), Fraction(1, 2))
"""The unit square [1/2, 3/2] x [0, 1]."""
OVER_STRIP = Ball(fractions([1, "1/2"]), Fraction(1))
"""The square [0, 2] x [-1/2, 3/2]."""


STATE_KINDS = {"always": (True, True), "nowhere": (False, False), "either": (True, False)}
"""(live, always) of a unit as interval arithmetic sorts it."""


def through_unit(low: sp.Expr, high: sp.Expr, kind: str) -> tuple[sp.Expr, sp.Expr]:
    """The interval of D v for v in [low, high]: what ``switched`` computes, for symbols."""
    if kind == "either":
        return sp.Min(low, 0), sp.Max(high, 0)
    return (low, high) if kind == "always" else (sp.Integer(0), sp.Integer(0))


def assert_the_code_switches() -> None:
    """``switched`` does what :func:`through_unit` says, on intervals left of 0, around it, right of it."""
    for kind, flags in STATE_KINDS.items():
        live, always = (np.array([flag]) for flag in flags)
        for low, high in ((-2, -1), (-1, 0), (-1, 2), (0, 1), (1, 2)):
            computed = switched((np.array([low]), np.array([high])), live, always)
            assert (computed[0][0], computed[1][0]) == through_unit(sp.Integer(low), sp.Integer(high), kind)


COORDINATE = sp.Symbol("i", integer=True)
GRADIENT_OF, ENVELOPE = sp.IndexedBase(r"\nabla h", real=True), sp.IndexedBase("u", nonnegative=True)
INTERVAL = sp.Symbol(r"\lVert u \rVert_q", nonnegative=True)


def gradient_cases() -> list[Case]:
    """Every region of random networks, and of one on which no unit changes its state."""
    cases: list[Case] = []
    for net, ball in [(SUM, UNIT), *random_cases(seed=49, count=18)]:
        upper = largest(backward_bounds(net, unit_states(net, ball))[0])
        for region, q in product(regions(net, ball), (1, inf)):
            cases.append(
                {
                    COORDINATE: range(len(upper)),
                    GRADIENT_OF: dict(enumerate(region.gradient)),
                    ENVELOPE: dict(enumerate(upper)),
                    L_Q: Fraction(lipschitz_power(net, ball, q=q)),
                    INTERVAL: norm_power(upper, q),
                }
            )
    return cases


@statement(
    "prop-interval-gradient",
    kind="proposition",
    title="Interval arithmetic for the gradient",
    source="this book; Weng et al. 2018, Towards fast computation of certified robustness",
    status="kernel proved, glue argued",
    uses=("lem-interval", "lem-regions"),
    claims={
        "each": Every(sp.Le(sp.Abs(GRADIENT_OF[COORDINATE]), ENVELOPE[COORDINATE]), COORDINATE),
        "norm": sp.Le(L_Q, INTERVAL),
    },
    cases=gradient_cases,
)
def interval_gradient(**_: sp.Basic) -> None:
    r"""Sort the units by interval arithmetic on the ball into those that are active everywhere, nowhere, and
    neither. Propagate $c$ backwards through $W_{d-1} D_{d-1}, \dots, W_1 D_1$ by {prf:ref}`lem-interval`,
    with $D = 1$, $0$, and either. The result $u$ bounds every coordinate of the gradient on every region that
    meets the ball: $<<each>>$, so that $<<norm>>$.
    """
    assert_the_code_switches()
    # One layer, backwards: v in [l, r] goes to W D v. The states first, with the states each kind allows,
    below, above = sp.symbols("s t", nonnegative=True)
    for value in (sp.Symbol("v", positive=True), sp.Integer(0), sp.Symbol("v", negative=True)):
        for kind, allowed in (("always", (1,)), ("nowhere", (0,)), ("either", (0, 1))):
            low, high = through_unit(value - below, value + above, kind)
            for state in allowed:
                assert sp.Min(low, state * value) == low or sp.simplify(state * value - low).is_nonnegative
                assert sp.Max(high, state * value) == high or sp.simplify(high - state * value).is_nonnegative
    # then the weights, term by term
    v = sp.Symbol("v", real=True)
    for w in (sp.Symbol("w", positive=True), sp.Integer(0), sp.Symbol("w", negative=True)):
        ends = product_interval((np.array([v - below]), np.array([v + above])), np.array([[w]]))
        assert sp.expand(w * v - ends[0][0]).is_nonnegative
        assert sp.expand(ends[1][0] - w * v).is_nonnegative
    # |g_i| <= u_i in every coordinate, g_i = u_i - s_i or less: for q = 1, 2 and infinity
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    size, slack = sp.IndexedBase("g", nonnegative=True), sp.IndexedBase("s", nonnegative=True)
    for power in (1, 2):
        excess = sp.Sum(((size[i] + slack[i]) ** power - size[i] ** power).expand(), (i, 1, n))
        assert excess.is_nonnegative
    for net, ball in random_cases(seed=49, count=18):
        states = unit_states(net, ball)
        for region in regions(net, ball):
            for pattern, live, always in zip(region.pattern, states.live, states.always, strict=True):
                assert (pattern <= live).all()
                assert (always <= pattern).all()


SAMPLED = sp.Symbol(r"\max_i \lVert \nabla h(x_i) \rVert_q")
LIVE_PATHS, PATHS = sp.Symbol(r"\lVert \bar v \rVert_q"), sp.Symbol(r"\lVert v \rVert_q")
C_Q = sp.Symbol("c_q")


def chain_cases() -> list[Case]:
    """The six numbers of random networks and of tight ones, for q = 1 and q = 2."""
    near = Ball(fractions([1]), Fraction(1, 2))
    nets = [(SUM, UNIT), (ONE, near), *random_cases(seed=50, count=15)]
    names = (SAMPLED, L_Q, INTERVAL, LIVE_PATHS, PATHS, C_Q)
    cases: list[Case] = []
    for index, (net, ball) in enumerate(nets):
        for q in (1, 2):
            powers = chain_powers(net, ball, q=q, points=20, seed=index).values()
            roots = [sp.Rational(v) ** sp.Rational(1, q) for v in powers]
            cases.append(dict(zip(names, roots, strict=True)))
    return cases


@statement(
    "prop-chain",
    kind="proposition",
    title="The chain of bounds",
    source="this book",
    status="kernel proved, glue argued",
    uses=("prop-interval-gradient", "prop-live-units", "lem-all-paths", "lem-regions", "lem-states"),
    claims={
        "chain": chain(SAMPLED, sp.Le, L_Q, sp.Le, INTERVAL, sp.Le, LIVE_PATHS, sp.Le, PATHS, sp.Le, C_Q)
    },
    cases=chain_cases,
)
def chain_of_bounds(chain: tuple[sp.Le, ...]) -> None:
    r"""On a ball, for $q = 1$ and $q = 2$, with samples $x_i$ off the kinks, as almost every point is,

    $$<<chain>>,$$

    $$\bar v = |W_1| \bar D_1 \cdots |W_{d-1}| \bar D_{d-1} |c|, \qquad v = |W_1| \cdots |W_{d-1}|\, |c|,$$

    with $u$ from {prf:ref}`prop-interval-gradient`, $\bar D_j$ from {prf:ref}`prop-live-units`, and $c_q$ the
    product of $\lVert c \rVert_q$ with the largest column sums ($q = 1$) or Frobenius norms ($q = 2$). For
    $q = 1$, $\lVert v \rVert_1$ is the path norm.
    """
    # The third step, by induction from the output down: both ends of an interval are at most v in size. Then
    # so are those of D [l, r], 0 for a unit that is dead; and those of W D [l, r] are at most |W| D v.
    low, high = sp.symbols("l r", real=True)
    p, q = sp.symbols("p q", nonnegative=True)
    reach, end = (p + q) / 2, (p - q) / 2  # every number of size at most v, by its distances from -v and v
    for kind in STATE_KINDS:
        for side, own in zip(through_unit(low, high, kind), (low, high), strict=True):
            assert set(side.args or (side,)) <= {own, sp.Integer(0)}  # a minimum is one of its arguments
    assert through_unit(low, high, "nowhere") == (0, 0)
    for w in (sp.Symbol("w", positive=True), sp.Integer(0), sp.Symbol("w", negative=True)):
        below, above = product_interval((np.array([low]), np.array([high])), np.array([[w]]))
        for side in (below[0], above[0]):
            assert side in (w * low, w * high)
            for sign in (1, -1):
                assert sp.expand(sp.Abs(w) * reach + sign * side.subs({low: end, high: end})).is_nonnegative
    strict = [0] * 5
    for case in chain_cases():
        numbers = list(case.values())
        strict = [s + bool(a < b) for s, a, b in zip(strict, numbers, numbers[1:], strict=False)]
    assert all(strict[1:])  # none of the bounds is idle


PATH_VECTOR, X_1, X_2 = sp.symbols("v x_1 x_2")
PATH_LENGTH, SPECTRAL, L_TWO, IDLE_LENGTH, IDLE_SPECTRAL = (
    sp.Symbol(name, real=True)
    for name in (
        r"\lVert v \rVert_2", r"\lVert c \rVert_2 \lVert W_1 \rVert_2", "L_2",
        r"\lVert v' \rVert_2", r"\lVert c \rVert_2 \lVert W'_1 \rVert_2",
    )
)  # fmt: skip


def spectral_cases() -> list[Case]:
    """Both numbers for the network, whose W_1^T W_1 is twice the identity, and for one with an idle unit."""
    w = TURNED.weights[0]
    twice = (w.T @ w)[0, 0]
    assert (w.T @ w == twice * fractions([[1, 0], [0, 1]])).all()  # the spectral norm is its root
    idle = exact_net([[[1, 0], [0, 3]]], [1, 0])
    facts = {
        PATH_VECTOR: all_paths(TURNED),
        PATH_LENGTH: sp.sqrt(sp.Rational(norm_power(all_paths(TURNED), 2))),
        SPECTRAL: sp.sqrt(sp.Rational(norm_power(TURNED.readout, 2) * twice)),
        L_TWO: sp.sqrt(sp.Rational(lipschitz_power(TURNED, q=2))),
        IDLE_LENGTH: sp.sqrt(sp.Rational(norm_power(all_paths(idle), 2))),
        IDLE_SPECTRAL: Fraction(round(layer_product(idle, q=2))),
    }
    assert abs(layer_product(idle, q=2) - float(facts[IDLE_SPECTRAL])) < 1e-12
    return [{**facts, **place} for place in at_points(TURNED, [(1, 1), (1, -3), (-2, 1)])]


@statement(
    "cex-path-spectral",
    kind="counterexample",
    title="The path vector may exceed the product of spectral norms",
    source="this book",
    status="checked exactly on an example",
    uses=("prop-chain", "lem-all-paths", "lem-induced-norms", "lem-regions"),
    claims={
        "h": sp.Eq(NET, SIGMA(X_1 + X_2) + SIGMA(X_1 - X_2)),
        "v": sp.Eq(PATH_VECTOR, row((2, 2))),
        "length": sp.Eq(PATH_LENGTH, 2 * sp.sqrt(2)),
        "spectral": chain(SPECTRAL, sp.Eq, L_TWO, sp.Eq, 2),
        "idle_paths": sp.Eq(IDLE_LENGTH, 1),
        "idle_spectral": sp.Eq(IDLE_SPECTRAL, 3),
    },
    cases=spectral_cases,
)
def path_against_spectral(**_: sp.Basic) -> None:
    r"""The last step of {prf:ref}`prop-chain` needs Frobenius norms for $q = 2$: absolute values forget
    signs, and spectral norms do not. Let $<<h>>$. The path vector is $<<v>>$, with $<<length>>$. But
    $<<spectral>>$. Neither bound is always the better one: for $h = \sigma(x_1)$ with a second unit of
    weight $3$ that $c$ does not read, $<<idle_paths>>$ and $<<idle_spectral>>$.
    """


def miss(share: Fraction, samples: int) -> Fraction:
    """The probability that no one of so many independent points falls into a set with this share."""
    return (1 - share) ** samples


STEEP, SAMPLES = sp.Symbol("K", real=True), sp.Symbol("N", integer=True)
STRIP_L, STRIP_AREA, EXAMPLE_L = (
    sp.Symbol(name, real=True) for name in ("L_1", r"\mathrm{area}", r"L_1|_{K = 1000}")
)
ALL_MISS = sp.Symbol(r"\Pr(\text{all samples miss})", real=True)
EXAMPLE_MISS = sp.Symbol(r"\Pr|_{K = 1000,\, N = 1024}", real=True)


def strip_case(steepness: int, samples: int) -> Case:
    """The network that is steep on a strip: its constant, the area of the strip, the chance to miss it."""
    x, height = sp.symbols("x y", positive=True)
    half, end = sp.Rational(1, 2), sp.Rational(3, 2)
    area = sp.integrate(sp.integrate(1, (height, 0, sp.Min(x / steepness, 1))), (x, half, end))
    return {
        STEEP: Fraction(steepness),
        SAMPLES: samples,
        STRIP_L: lipschitz_power(strip(steepness), NEAR_STRIP, q=1),
        STRIP_AREA: Fraction(area.p, area.q),
        ALL_MISS: miss(Fraction(1, steepness), samples),
        EXAMPLE_L: lipschitz_power(strip(1000), NEAR_STRIP, q=1),
        EXAMPLE_MISS: Fraction(round(100 * miss(Fraction(1, 1000), 1024)), 100),
    }


def strip_cases() -> list[Case]:
    """Several strips and numbers of samples; for one sample the bound is attained."""
    return [strip_case(k, n) for k, n in ((3, 1), (3, 7), (10, 5), (1000, 40))]


def strip_too_wide() -> Case:
    """K = 1: half of the strip lies outside of the square."""
    return strip_case(1, 2)


@statement(
    "prop-sampling-blind",
    kind="proposition",
    title="Sampling is not certification",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-regions",),
    hypotheses={"steep": sp.Ge(STEEP, 3)},
    without={"steep": strip_too_wide},
    claims={
        "constant": sp.Eq(STRIP_L, STEEP + 2),
        "area": sp.Eq(STRIP_AREA, 1 / STEEP),
        "miss": chain(ALL_MISS, sp.Eq, (1 - 1 / STEEP) ** SAMPLES, sp.Ge, 1 - SAMPLES / STEEP),
        "example": sp.Eq(EXAMPLE_L, 1002),
        "chance": sp.Eq(EXAMPLE_MISS, written("0.36", Fraction(36, 100))),
    },
    cases=strip_cases,
)
def sampling_is_blind(constant: sp.Eq, area: sp.Eq, miss: tuple[sp.Basic, ...], **_: sp.Basic) -> None:
    r"""For $<<steep>>$ let

    $$h(x) = \sigma(x_1) + \sigma\bigl(\sigma(x_1) - K \sigma(x_2) - K \sigma(-x_2)\bigr),$$

    a 2-3-2 network, on the square $[\frac12, \frac32] \times [0, 1]$. The gradient is $(1, 0)$ except on
    a set with $<<area>>$, where it is $(2, -K)$, so that $<<constant>>$. With the probability

    $$<<miss>>$$

    all of $N$ independent uniform samples miss that set and agree that $L_1$ is 1. So no number of samples,
    and nothing computed from gradients at the samples, bounds $L_q$ with any confidence for all networks of
    even this size. For example $<<example>>$, and, rounded, $<<chance>>$.
    """
    x, height, k = sp.symbols("x y K", positive=True)
    whole = sp.integrate(sp.integrate(1, (height, 0, x / k)), (x, sp.Rational(1, 2), sp.Rational(3, 2)))
    assert sp.simplify(whole - area.rhs.subs(STEEP, k)) == 0  # the strip y < x / K; x / K <= 1 as K >= 3
    slope = constant.rhs.subs(STEEP, k)  # ||(2, -K)||_1, and more than ||(1, 0)||_1
    assert sp.Abs(2) + sp.Abs(-k) == slope
    assert (slope.subs(k, 3 + sp.Symbol("r", nonnegative=True)) - 1).is_positive
    size, share, rest = sp.Symbol("N", integer=True, positive=True), 1 / k, sp.Symbol("r", nonnegative=True)
    # Bernoulli by induction: (1 - s)^(N + 1) = (1 - N s + r)(1 - s) with r >= 0
    bernoulli = miss[1].rhs.subs({SAMPLES: size, STEEP: k})
    step = sp.expand((bernoulli + rest) * (1 - share) - bernoulli.subs(size, size + 1))
    assert sp.simplify(step - (size * share**2 + rest * (1 - share))) == 0
    for steepness in (3, 10):
        gradients = {tuple(r.gradient) for r in regions(strip(steepness), NEAR_STRIP)}
        assert gradients == {(1, 0), (2, -steepness)}


AT_X, SHARE, SEEN, CERTIFIED, DISTANCE = (
    sp.Symbol(name, real=True) for name in ("h(x)", "s", r"\lVert (1, 0) \rVert_1", r"\gamma", "d")
)
STEEPNESS = sp.Symbol("K", real=True)
LOCAL_L = sp.Symbol("L_1", real=True)


def sampling_cases() -> list[Case]:
    """The exact numbers of the example; the formula for h at points."""
    net, x, steepness = strip(1000, weight=-2), OVER_STRIP.centre, Fraction(1000)
    gradients = {tuple(r.gradient) for r in regions(net, OVER_STRIP)}
    assert gradients == {(1, 0), (-1, 2000), (-1, -2000)}
    u = sp.Symbol("u", positive=True)
    share = sp.integrate(2 * u / 1000, (u, 0, 2)) / 4  # |x_2| < x_1 / K in a square of area 4
    seen = norm_power(fractions([1, 0]), 1)
    facts = {
        STEEPNESS: steepness,
        AT_X: net(x),
        SHARE: Fraction(share.p, share.q),
        SEEN: seen,
        CERTIFIED: min(net(x) / seen, OVER_STRIP.radius),
        LOCAL_L: lipschitz_power(net, OVER_STRIP, q=1),
        DISTANCE: distance(net, x, within=Fraction(1)),
    }
    places = [(1, Fraction(1, 2)), (1, Fraction(1, 5000)), (1, 0), (-1, 1)]
    return [{**facts, **place} for place in at_points(net, places)]


@statement(
    "cex-sampling-certificate",
    kind="counterexample",
    title="A sampled certificate that is false",
    source="this book",
    status="checked exactly on an example",
    uses=("prop-sampling-blind", "def-gamma", "lem-cover", "lem-regions"),
    claims={
        "K": sp.Eq(STEEPNESS, 1000),
        "h": sp.Eq(NET, SIGMA(X_1) - 2 * SIGMA(SIGMA(X_1) - STEEPNESS * sp.Abs(X_2))),
        "x": sp.Eq(AT_X, 1),
        "share": sp.Eq(SHARE, 1 / STEEPNESS),
        "seen": sp.Eq(SEEN, 1),
        "certified": sp.Eq(CERTIFIED, 1),
        "constant": sp.Eq(LOCAL_L, 2001),
        "distance": sp.Eq(DISTANCE, sp.Rational(999, 2001)),
        "less": sp.Lt(DISTANCE, CERTIFIED / 2),
    },
    loose={"less": "a counterexample"},
    cases=sampling_cases,
)
def sampled_certificate(**_: sp.Basic) -> None:
    r"""Let $<<K>>$ and

    $$<<h>>,$$

    where $|x_2|$ stands for $\sigma(x_2) + \sigma(-x_2)$, at $x = (1, \frac12)$, where $<<x>>$. On the
    $l_\infty$ ball of radius 1 the gradient is $(1, 0)$ except on a share $<<share>>$ of it. As long as all
    samples miss that, they give $<<seen>>$ for $L_1$ and a "certified" radius $<<certified>>$. But
    $<<constant>>$, and the distance to the nearest point with $h \le 0$ is $<<distance>>$: $<<less>>$, less
    than half of what was "certified".
    """
