"""Proposition 3.1: what a Lipschitz constant certifies, repaired and proved."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise, product
from math import inf

import sympy as sp

from sparse_robust.proofs.formulas import Case, Every, Least, chain, holds, operator
from sparse_robust.proofs.foundations.notation import INNER, LINF, NORM, P, W, array
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.certificates import certificate
from sparse_robust.theory.distance import distance
from sparse_robust.theory.laws import Vector
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


DELTA = sp.Symbol("Delta", real=True)
SMALL = operator("Small", r"0 < {0} \le 1", lambda p: 0 < p <= 1)(P)
K = sp.Symbol("k", integer=True)
MARGIN, CONSTANT = sp.IndexedBase("m", real=True), sp.IndexedBase("L", nonnegative=True)
GAMMA, R = sp.Symbol("gamma", nonnegative=True), sp.Symbol("R", positive=True)
LENGTH, DISTANCE = (
    sp.Symbol(r"\lVert \Delta \rVert_p", nonnegative=True),
    sp.Symbol(r"d_{p}(x)", nonnegative=True),
)
MOVED, LEADS = sp.Symbol(r"x + \Delta"), sp.Symbol("h")
RIVAL = operator("Rival", r"{0} \ne \hat y", lambda k: True)
_RATIO = operator("Ratio", r"\frac{{{0}}}{{{1}}}", lambda m, c: m / c if c else inf, real=True)
_LEFT = operator("Left", r"h_{1}({0})", lambda moved, k: moved[int(k)], real=True)
_SLOPE = operator(
    "Slope", r"\lVert v_{1} \rVert_q", lambda leads, k: leads.slopes[int(k)], real=True, nonnegative=True
)
_AFFINE = operator("Affine", r"{0}_k \text{{ is affine on }} B_p(x, R)", lambda leads: leads.affine)


@dataclass(frozen=True, eq=False)
class Leads:
    """What a case knows of the functions h_k: the dual norms of their gradients at x, and their form."""

    slopes: tuple[Fraction, ...]
    affine: bool


SMALLEST_RATIO = Least(_RATIO(MARGIN[K], CONSTANT[K]), K, RIVAL(K))
NEAREST_PLANE = Least(_RATIO(MARGIN[K], _SLOPE(LEADS, K)), K, RIVAL(K))
AFTER = _LEFT(MOVED, K)
"""h_k(x + Delta), the lead over rival k after the perturbation."""
SHRINKS = Every(sp.Le(MARGIN[K] - AFTER, CONSTANT[K] * LENGTH), K, RIVAL(K))
"""All that the proposition uses of a Lipschitz constant."""


def standing_case(nets: Sequence[ReluNet], x: Array, radius: Fraction) -> Case:
    """Margins, exact constants and the certificate at x, in l_inf."""
    margins = [Fraction(net(x)) for net in nets]
    constants = [Fraction(lipschitz_power(net, Ball(x, radius), q=1)) for net in nets]
    slopes = tuple(Fraction(abs(net.gradient(net.pattern(x))).sum()) for net in nets)
    return {
        K: range(len(nets)),
        MARGIN: dict(enumerate(margins)),
        CONSTANT: dict(enumerate(constants)),
        R: radius,
        GAMMA: certificate(margins, constants, radius),
        LEADS: Leads(slopes, all(_affine(net, x, radius) for net in nets)),
    }


def moved_case(standing: Case, nets: Sequence[ReluNet], x: Array, step: Array) -> Case:
    """The same, and what a perturbation leaves of the leads."""
    left = [Fraction(net(x + step)) for net in nets]
    return {**standing, LENGTH: Fraction(max(map(abs, step))), MOVED: left}


def certified_case(nets: Sequence[ReluNet], x: Array, radius: Fraction, step: Array) -> Case:
    """Everything at once, with the exact distance."""
    nearest = min(distance(net, x) for net in nets)
    return {**moved_case(standing_case(nets, x, radius), nets, x, step), DISTANCE: nearest}


LINE = exact_net([[[1, -1]]], [-1, 1])
"""h(x) = -x, as a network."""


def at_the_tie() -> Case:
    """A perturbation of length gamma after which the lead is 0."""
    return certified_case([LINE], fractions([-1]), Fraction(2), fractions([1]))


def certified_cases() -> list[Case]:
    """Random networks with perturbations of many lengths; one that ends in a tie; a distant rival."""
    rng = random.Random(310)
    flat, level = (exact_net([[[1]]], [0], offset=offset) for offset in (1, 0))
    x, step = fractions([-1]), fractions(["1/2"])
    cases = [at_the_tie(), certified_case([LINE, flat], x, Fraction(3), step)]
    cases.append(moved_case(standing_case([level], x, Fraction(1)), [level], x, step))  # no class leads
    for net, x in random_nets(seed=310, count=10):
        standing = standing_case([net], x, rng.choice((Fraction(1, 2), Fraction(3))))
        for share in (Fraction(1, 3), Fraction(99, 100), Fraction(1), Fraction(4)):
            direction = fractions([rng.choice((-1, 1)), Fraction(rng.randint(-4, 4), 4)])
            cases.append(moved_case(standing, [net], x, standing[GAMMA] * share * direction))
    return cases


def constant_too_small() -> Case:
    """The lead shrinks faster than the "constant" 1/2 says."""
    honest = certified_case([LINE], fractions([-1]), Fraction(2), fractions(["3/2"]))
    return {**honest, CONSTANT: {0: Fraction(1, 2)}, GAMMA: Fraction(2)}


def beyond_gamma() -> Case:
    """A perturbation of length 9/8 where only 1 is certified."""
    return certified_case([LINE], fractions([-1]), Fraction(2), fractions(["9/8"]))


def one_rival_leads() -> Case:
    """Margins 1 and -1: nothing is certified."""
    return certified_case(
        [LINE, exact_net([[[1]]], [0], offset=-1)], fractions([-1]), Fraction(2), fractions([0])
    )


@statement(
    "def-gamma",
    kind="definition",
    title="The certified radius",
    source="paper, equation (7)",
    status="checked exactly on an example",
    uses=("lem-regions",),
    hypotheses={"leads": Every(sp.Gt(MARGIN[K], 0), K, RIVAL(K))},
    without={"leads": one_rival_leads},
    claims={"gamma": sp.Eq(GAMMA, sp.Min(SMALLEST_RATIO, R))},
    cases=certified_cases,
)
def definition(gamma: sp.Eq) -> None:
    r"""Let $m_k = g_{\hat y}(x) - g_k(x)$ be the margins of class $\hat y$ over its rivals at $x$, and
    $<<leads>>$. Let $h_k = g_{\hat y} - g_k$ and let $L_k \ge 0$ be such that
    $\lvert h_k(u) - h_k(v) \rvert \le L_k \lVert u - v \rVert_p$ for all $u, v \in B_p(x, R)$: a *local
    Lipschitz constant with respect to* $\lVert \cdot \rVert_p$. The *certified radius* is

    $$<<gamma>>, \qquad \frac m0 := \infty ,$$

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


def assert_lead_lasts(claim: sp.Basic) -> None:
    """The claim about the lead over any one rival, after any step that the hypotheses allow."""
    margin, constant, short = sp.symbols("m L t", positive=True)
    gamma, spare, slack = sp.symbols("gamma s r", nonnegative=True)
    length = gamma - (short if claim.body.func is sp.Gt else 0)
    # L > 0: gamma <= m / L, so that m = L gamma + s; L = 0, where m / 0 is infinity: m is any positive number
    for lead, steep in ((constant * gamma + spare, constant), (margin, sp.Integer(0))):
        left = sp.expand(remaining(lead, steep, length) + slack)
        one = {K: (0,), MARGIN: {0: lead}, CONSTANT: {0: steep}, LENGTH: length, MOVED: [left]}
        assert holds(SHRINKS, one)
        assert holds(claim, one)


@statement(
    "prop-3-1",
    kind="proposition",
    title="GZZC Proposition 3.1, repaired",
    source="paper, Proposition 3.1; Weng et al. 2018, Hein and Andriushchenko 2017",
    status="proved",
    uses=("def-gamma", "lem-regions"),
    hypotheses={"shrinks": SHRINKS, "short": sp.Lt(LENGTH, GAMMA)},
    without={"shrinks": constant_too_small, "short": at_the_tie},
    claims={"kept": Every(sp.Gt(AFTER, 0), K, RIVAL(K))},
    cases=certified_cases,
)
def proposition_3_1(kept: sp.Basic) -> None:
    r"""Let $1 \le p \le \infty$, $R > 0$, and let $\gamma$ be the certified radius ({prf:ref}`def-gamma`). If
    $<<short>>$, then $<<kept>>$: the decision does not change.

    Of $L_k$ it only uses that $<<shrinks>>$, as long as $\lVert \Delta \rVert_p \le R$. Nothing is asked of
    the functions outside of the ball.
    """
    assert_lead_lasts(kept)


@statement(
    "cor-3-1-closed",
    kind="corollary",
    title="On the closed ball there may be ties",
    source="this book",
    status="proved",
    uses=("def-gamma", "lem-regions"),
    hypotheses={"shrinks": SHRINKS, "within": sp.Le(LENGTH, GAMMA)},
    without={"shrinks": constant_too_small, "within": beyond_gamma},
    claims={"level": Every(sp.Ge(AFTER, 0), K, RIVAL(K))},
    cases=certified_cases,
)
def closed_ball(level: sp.Basic) -> None:
    r"""If $<<shrinks>>$, as Lipschitz constants have it, and $<<within>>$, then $<<level>>$."""
    assert_lead_lasts(level)


def small_p_case(w: tuple[int, ...], roots: tuple[int, ...], inverse: int) -> Case:
    """p = 1 / inverse, and a step whose entries are powers of integers, so that its length is one."""
    step = [r**inverse for r in roots]
    return {P: sp.Rational(1, inverse), W: array(map(sp.Integer, w)), DELTA: array(map(sp.Integer, step))}


def small_p_cases() -> list[Case]:
    """Steps along one coordinate, which attain both bounds, and others."""
    steps = ((0, -2, 0), (3, 1, -2), (1, 1, 1))
    return [small_p_case(w, s, i) for w in ((2, -5, 1), (3, 3, 3)) for s in steps for i in (1, 2, 3)]


def euclidean_step() -> Case:
    """p = 2: the diagonal step is shorter than the sum of its entries."""
    return {**small_p_case((3, 3, 3), (1, 1, 1), 1), P: sp.Integer(2)}


@statement(
    "prop-small-p",
    kind="proposition",
    title="Below $p = 1$ the index of the gradient stays $\\infty$",
    source="this book",
    status="kernel proved, glue argued",
    uses=("prop-3-1", "lem-hoelder"),
    hypotheses={"small": SMALL},
    without={"small": euclidean_step},
    claims={
        "bound": chain(
            sp.Abs(INNER(W, DELTA)), sp.Le, LINF(W) * NORM(DELTA, 1), sp.Le, LINF(W) * NORM(DELTA, P)
        )
    },
    cases=small_p_cases,
)
def small_p(bound: tuple[sp.Le, ...]) -> None:
    r"""For $<<small>>$ and $\lVert \Delta \rVert_p = (\sum_i \lvert \Delta_i \rvert^p)^{1/p}$, which is no
    norm for $p < 1$,

    $$<<bound>>,$$

    with equality for a multiple of one coordinate vector. So a constant with respect to
    $\lVert \cdot \rVert_1$, gradients measured by $q = \infty$, certifies every $p \le 1$, and no smaller one
    does for a linear $h$.
    """
    s, u = sp.symbols("s u", nonnegative=True)
    t = sp.exp(-s)  # |Delta_i| <= 1 once ||Delta||_p is scaled to 1; p = 1 - u
    assert sp.expand(sp.expand_log(sp.log(t ** (1 - u) / t), force=True)).is_nonnegative  # t <= t^p
    # so the sum of |Delta_i| is at most that of |Delta_i|^p, which is 1: both norms share a factor ||w||
    ratio = bound[1].rhs / bound[1].lhs
    assert ratio == NORM(DELTA, P) / NORM(DELTA, 1)
    w, length = sp.symbols("w_max d", positive=True)  # the largest entry of w, and Delta on it alone
    p = sp.Symbol("p", positive=True)
    assert sp.simplify(w * length - w * (length**p) ** (1 / p)) == 0


@cache
def attacked_cases() -> list[Case]:
    """Perturbations that do and do not cost the lead; an affine classifier, where all three agree."""
    steps = [fractions(step) for step in product(range(-3, 4, 2), repeat=2)]
    cases = [at_the_tie()]
    for net, x in random_nets(seed=312, count=5):
        standing = {**standing_case([net], x, Fraction(2)), DISTANCE: distance(net, x)}
        cases += [moved_case(standing, [net], x, step) for step in steps]
    return cases


def no_attack() -> Case:
    """The perturbation 0, which costs no lead."""
    return certified_case([LINE], fractions([-1]), Fraction(2), fractions([0]))


@statement(
    "prop-gamma-distance",
    kind="proposition",
    title="Certificate, distance, attack",
    source="this book",
    status="kernel proved, glue argued",
    uses=("def-gamma", "lem-cover", "lem-regions"),
    hypotheses={"lost": sp.Le(Least(AFTER, K, RIVAL(K)), 0)},
    without={"lost": no_attack},
    claims={"between": chain(GAMMA, sp.Le, DISTANCE, sp.Le, LENGTH)},
    cases=attacked_cases,
)
def gamma_distance(between: tuple[sp.Le, ...]) -> None:
    r"""Let $d_p(x)$ be the distance from $x$ to the nearest point at which $\hat y$ does not lead. For every
    certified radius $\gamma$ and every $\Delta$ such that $\hat y$ does not lead at $x + \Delta$, that is
    $<<lost>>$,

    $$<<between>> .$$
    """
    constant = sp.Symbol("L", positive=True)
    lost, length = sp.symbols("r l", nonnegative=True)
    # outside of the ball the length exceeds R; within it 0 >= h_k(x + Delta) >= m - L l, so m = L l - r:
    margin = constant * length - lost
    assert sp.simplify(length - margin / constant).is_nonnegative  # L = 0 would make m = -r, and m > 0
    # the minimum of both, gamma, is at most every such length, hence at most their infimum d_p(x) <= l
    attacked = sum(bool(case[MOVED][0] <= 0) for case in attacked_cases())
    assert attacked > 3  # attacks do succeed


@cache
def affine_cases() -> list[Case]:
    """Points around which no unit changes its state up to the boundary."""
    cases = [at_the_tie()]
    for net, x in random_nets(seed=313, count=40):
        gradient = net.gradient(net.pattern(x))
        if any(gradient) and _affine(net, x, reach := Fraction(net(x)) / abs(gradient).sum()):
            cases.append(certified_case([net], x, reach, 0 * x))
    return cases


def bent() -> Case:
    """h(x) = 4 - s(x) - 9 s(x - 1) at 0, with R = 4, as if it were affine."""
    bent_net = exact_net([[[1, 1]]], [-1, -9], [[0, -1]], 4)
    return certified_case([bent_net], fractions(["1/2"]), Fraction(4), fractions([0]))


def ball_too_small() -> Case:
    """h(x) = -x at -1 with R = 9/10: the certificate is cut off by the radius of the ball."""
    return certified_case([LINE], fractions([-1]), Fraction(9, 10), fractions([0]))


@statement(
    "prop-gamma-affine",
    kind="proposition",
    title="Where the classifier is affine the certificate is the distance",
    source="this book; paper, section 3.2, last paragraph",
    status="kernel proved, glue argued",
    uses=(
        "def-metrics",
        "lem-cover",
        "lem-regions",
        "prop-distance",
        "prop-dual-norm",
        "prop-gamma-distance",
        "lem-expectation",
    ),
    hypotheses={"affine": _AFFINE(LEADS), "reach": sp.Ge(R, NEAREST_PLANE)},
    without={"affine": bent, "reach": ball_too_small},
    claims={"exact": chain(GAMMA, sp.Eq, DISTANCE, sp.Eq, NEAREST_PLANE)},
    cases=affine_cases,
)
def gamma_affine(exact: tuple[sp.Eq, ...]) -> None:
    r"""Let $1 < p \le \infty$, suppose that every $<<affine>>$, with gradient $v_k$, and $<<reach>>$. With
    the best constants, $L_k = \lVert v_k \rVert_q$,

    $$<<exact>> .$$

    For linear classifiers this holds with $R = \infty$: there $r_2 = \mathbb{E}(1_{y = \hat y} \gamma_2)$
    with DeepFool's one step, and $r_\infty = \Pr(y = \hat y, \gamma_\infty > \epsilon)$ under the best
    attack.
    """
    margin, slope, excess, slack = sp.symbols("m v e s", positive=True)
    nearest = margin / slope  # prop-distance; its point lies in the ball, where h_k is affine
    assert sp.Min(nearest, nearest + excess) == nearest  # R = nearest + excess: gamma is not cut off by R
    # prop-dual-norm: L = v, attained; so the step of length m / v brings the lead to 0, and no shorter one
    # does
    assert sp.expand(remaining(margin, slope, nearest)) == 0
    assert sp.expand(remaining(margin, slope, nearest - slack)).is_positive
    assert len(affine_cases()) > 3


def _affine(net: ReluNet, x: Array, radius: Fraction) -> bool:
    """Whether no unit changes its state in the open ball, so that the network is affine there."""
    *layers, _ = net.affine(net.pattern(x))
    return not any((abs(x @ slope + shift) < radius * abs(slope).sum(0)).any() for slope, shift in layers)
