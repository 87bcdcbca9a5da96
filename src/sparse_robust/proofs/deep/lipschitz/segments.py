"""From gradients to Lipschitz constants, every step derived: along a segment, off the kinks, region by
region.

No theorem of analysis is cited. A segment meets finitely many kinks (`lem-segment`); near every point there
are points off all of them, at a distance that is written down (`lem-off-kinks`); around such a point the
states are constant within a radius that is written down (`lem-states`).
"""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from math import inf

import numpy as np
import sympy as sp
from sympy.logic.inference import entails

from sparse_robust.proofs.formulas import Case, Largest, Total, operator
from sparse_robust.proofs.foundations.norms import SIGN_BRANCHES
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.kinks import affine_radius, along_the_curve, clearance, kink_functions, off_kinks
from sparse_robust.theory.networks import Array, ReluNet, closed_region, exact_net, fractions
from sparse_robust.theory.regions import Ball, regions

from .cases import (
    KINK,
    L_Q,
    SUM,
    UNIT,
    LipschitzSetting,
    Place,
    _gradient_norm,
    breakpoints,
    crossing,
    random_cases,
    random_point,
    steepest_slope,
)

REGION = sp.Symbol("D")
REGION_GRADIENT = operator(
    "RegionGradient", r"\lVert \nabla h_{0} \rVert_q", _gradient_norm, real=True, nonnegative=True
)


def backward(w: sp.MatrixExpr, active: sp.MatrixExpr, v: sp.MatrixExpr) -> sp.MatrixExpr:
    """One layer of the gradient, from the activations behind it to those before it."""
    return w * active * v


@statement(
    "lem-gradient",
    kind="lemma",
    title="The gradient inside a region",
    source="paper, section 3.2, behind equation (9)",
    status="proved",
)
def gradient_formula() -> None:
    r"""Where no unit changes its state, $h$ is affine, and for any widths and depth its gradient is

    $$\nabla h = W_1 D_1 W_2 D_2 \cdots W_{d-1} D_{d-1}\, c , \qquad c = w_a - w_k .$$

    Biases do not enter.
    """
    rows, columns = sp.symbols("n_0 n_1", integer=True, positive=True)
    w, active = sp.MatrixSymbol("W", rows, columns), sp.MatrixSymbol("D", columns, columns)
    shift, v = sp.MatrixSymbol("b", columns, 1), sp.MatrixSymbol("v", columns, 1)
    before = sp.MatrixSymbol("a", rows, 1)
    # Induction from the output down: if dh/da_j = v, the activations of layer j are D (W^T a + b), so that
    h = v.T * active * (w.T * before + shift)
    below = h.diff(before).doit()
    assert below == backward(w, active.T, v)
    diagonal = sp.DiagMatrix(sp.MatrixSymbol("s", columns, 1))
    assert diagonal.T.doit() == diagonal
    step, rng, same = Fraction(1, 10**6), random.Random(41), 0
    for net, ball in random_cases(seed=41, count=12):  # exact difference quotients
        x = random_point(rng, ball)
        for i in range(len(x)):
            moved = x.copy()
            moved[i] += step
            if all(map(np.array_equal, net.pattern(moved), net.pattern(x))):
                same += 1
                assert (net(moved) - net(x)) / step == net.gradient(net.pattern(x))[i]
    assert same > 12


PIECE, LAYER, DEPTH, PIECES = sp.symbols("i j d m", integer=True)
TIME, WIDTH = sp.IndexedBase("t", real=True), sp.IndexedBase("n", real=True)
SLOPES = sp.IndexedBase(r"\delta", real=True)
START, END = sp.Symbol("h(x)", real=True), sp.Symbol("h(y)", real=True)
STEEPEST = sp.Symbol(r"\max_i \lVert g_i \rVert_q", real=True)
LENGTH = sp.Symbol(r"\lVert y - x \rVert_p", real=True)


def segment_case(net: ReluNet, x: Array, y: Array, q: float, p: float) -> Case:
    """The pieces of a segment, the slopes of h on them, and both of its ends."""
    cuts = breakpoints(net, x, y)
    middles = [x + (s + e) / 2 * (y - x) for s, e in pairwise(cuts)]
    gradients = [net.gradient(net.pattern(z)) for z in middles]
    return {
        PIECE: range(len(gradients)),
        PIECES: len(gradients),
        LAYER: 0,
        DEPTH: len(net.widths),
        WIDTH: dict(enumerate(net.widths)),
        TIME: dict(enumerate(cuts)),
        SLOPES: {i: g @ (y - x) for i, g in enumerate(gradients)},
        START: net(x),
        END: net(y),
        STEEPEST: max(norm_power(g, q) for g in gradients),
        LENGTH: norm_power(y - x, p),
    }


def segment_cases() -> list[Case]:
    """Random segments, segments through and along kinks, and one without a kink."""
    rng = random.Random(42)
    unit = exact_net([[[1]]], [1])
    ends = [
        (KINK, fractions([0, -1]), fractions([0, 2])),
        (SUM, fractions([1, -1]), fractions([-2, 2])),
        (unit, fractions([-1]), fractions([1])),
        (unit, fractions([1]), fractions([2])),
    ]
    for net, ball in random_cases(seed=42, count=12):
        ends.append((net, random_point(rng, ball), random_point(rng, ball)))
    return [segment_case(net, x, y, q, p) for net, x, y in ends for q, p in ((1, inf), (inf, 1))]


@statement(
    "lem-segment",
    kind="lemma",
    title="Along a segment",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-gradient", "lem-hoelder"),
    claims={
        "pieces": sp.Le(PIECES, sp.Product(WIDTH[LAYER] + 1, (LAYER, 1, DEPTH - 1))),
        "increment": sp.Eq(END - START, Total((TIME[PIECE + 1] - TIME[PIECE]) * SLOPES[PIECE], PIECE)),
        "bound": sp.Le(sp.Abs(END - START), STEEPEST * LENGTH),
    },
    cases=segment_cases,
)
def segment(increment: sp.Eq, **_: sp.Basic) -> None:
    r"""Every segment $x + t (y - x)$, $0 \le t \le 1$, has breakpoints $0 = t_0 < \dots < t_m = 1$,
    $<<pieces>>$, between which every preactivation is affine and either has no zero or is zero throughout.
    With $g_i = W_1 D_1 \cdots W_{d-1} D_{d-1} c$ formed with the states between $t_i$ and $t_{i+1}$, and
    $\delta_i = g_i^T (y - x)$,

    $$<<increment>> .$$

    So $<<bound>>$, for biases of any size, and $h$ is Lipschitz, hence continuous.
    """
    # Induction over layers. Between two cuts the activations before a layer are affine in t: alpha + t beta
    t = sp.Symbol("t", real=True)
    rows, columns = sp.symbols("n_0 n_1", integer=True, positive=True)
    w, active = sp.MatrixSymbol("W", rows, columns), sp.MatrixSymbol("D", columns, columns)
    alpha, beta = sp.MatrixSymbol("alpha", rows, 1), sp.MatrixSymbol("beta", rows, 1)
    shift, v = sp.MatrixSymbol("b", columns, 1), sp.MatrixSymbol("v", columns, 1)
    before = w.T * (alpha + t * beta) + shift
    assert before.diff(t).doit() == w.T * beta
    # so each preactivation is an affine function of t with, unless it is constant, exactly one zero
    start, end, a, b = sp.symbols("s e a b", real=True)
    affine = a + (b - a) * (t - start) / (end - start)
    assert [sp.simplify(root - crossing(start, end, a, b)) for root in sp.solve(affine, t)] == [0]
    p, q, length = sp.symbols("p q l", positive=True)
    for low, high in ((-p, q), (p, -q)):  # opposite signs at the ends: the zero is between them
        where = crossing(start, start + length, low, high) - start
        assert sp.simplify(where / length).is_positive
        assert sp.simplify(1 - where / length).is_positive
    # Cut there. Where an affine function has no zero inside, its values are mixtures of ends of one sign
    lam, mu = sp.symbols("lambda mu", nonnegative=True)
    first, last = sp.symbols("a_0 a_1", nonnegative=True)
    mixture = lam * first + mu * last
    assert sp.Max(mixture, 0) == mixture  # sigma leaves it as it is,
    assert sp.Max(-mixture, 0) == 0  # or makes it 0: the activations are affine again, with slope D W^T beta
    forward = (active * w.T * beta).T * v
    assert forward.doit() == (beta.T * backward(w, active.T, v)).doit()  # c^T (slopes) = g_i^T (y - x)
    # h is continuous: the increments add up, and a weighted mean is at most its largest term
    m, i = sp.Symbol("m", integer=True, positive=True), sp.Symbol("i", integer=True)
    h = sp.Function("h")
    assert sp.simplify(sp.Sum(h(i + 1) - h(i), (i, 0, m - 1)).doit() - (h(m) - h(0))) == 0
    share, slack = sp.IndexedBase("tau", nonnegative=True), sp.IndexedBase("s", nonnegative=True)
    most = sp.Symbol("M", nonnegative=True)  # every term is M - s_i, by Hoelder
    mean = sp.Sum(share[i] * (most - slack[i]), (i, 0, m - 1)).expand()
    shortfall = most * sp.Sum(share[i], (i, 0, m - 1)) - mean
    assert sp.simplify(shortfall - sp.Sum(share[i] * slack[i], (i, 0, m - 1))) == 0
    for net, ball in random_cases(seed=42, count=6):  # the states are the same all over a piece
        x, y = ball.centre, ball.centre + ball.radius
        for s, e in pairwise(breakpoints(net, x, y)):
            third, middle = (
                net.pattern(x + (s + (e - s) * f) * (y - x)) for f in (Fraction(1, 3), Fraction(1, 2))
            )
            assert all(map(np.array_equal, third, middle))
    assert increment.rhs.body == (TIME[PIECE + 1] - TIME[PIECE]) * SLOPES[PIECE]


@statement(
    "lem-off-kinks",
    kind="lemma",
    title="Near every point there are points off all kinks",
    source="this book",
    status="kernel proved, glue argued",
)
def off_all_kinks() -> None:
    r"""Let $f(x) = A^T x + \beta$ with $A \ne 0$, and $x_\tau = x + (\tau, \tau^2, \dots, \tau^n)$. Then
    $f(x_\tau)$ is a polynomial in $\tau$ with coefficients $f(x), A_1, \dots, A_n$. If $p$ is the size of the
    first of them that is not 0, and $M$ the largest of their sizes, it has no zero for

    $$0 < \tau < \frac{p}{p + M} .$$

    So for finitely many such functions all $\tau > 0$ below the smallest of these numbers lead to points at
    which none of them vanishes.
    """
    tau, ratio = sp.Symbol("tau", positive=True), sp.Symbol("k", positive=True)
    m = sp.Symbol("m", integer=True, positive=True)
    # |f(x_tau)| / tau^k >= p - M (tau + ... + tau^m), and the sum is less than tau / (1 - tau)
    geometric = tau * (1 - tau**m) / (1 - tau)
    step = sp.simplify(geometric.subs(m, m + 1) - geometric - tau ** (m + 1))
    assert step == 0  # the sum by induction over its length m; for m = 1 it is tau
    assert sp.simplify(geometric.subs(m, 1) - tau) == 0
    assert sp.simplify(tau / (1 - tau) - geometric - tau ** (m + 1) / (1 - tau)) == 0  # positive, as
    assert sp.simplify((1 - tau).subs(tau, ratio / (1 + ratio))).is_positive  # tau is in (0, 1)
    p, largest, margin = sp.symbols("p M r", positive=True)
    inside = p / (p + largest + margin)  # every tau below p / (p + M)
    gap = sp.simplify((p - largest * tau / (1 - tau)).subs(tau, inside))
    assert gap.is_positive
    assert sp.simplify(gap - p * margin / (largest + margin)) == 0
    assert sp.limit(gap, margin, 0) == 0
    rng = random.Random(40)
    for net, ball in [*random_cases(seed=40, count=9), (KINK, UNIT)]:
        for x in (random_point(rng, ball), fractions([0] * net.widths[0])):
            y = off_kinks(net, x, Fraction(1, 1000))
            assert 0 < max(abs(y - x)) <= Fraction(1, 1000)
            for f in kink_functions(net):
                assert f[0] @ y + f[1] != 0
                coefficients = along_the_curve(f, x)
                near = clearance(coefficients) * Fraction(99, 100)
                assert sum(c * near**k for k, c in enumerate(coefficients)) != 0


@statement(
    "lem-states",
    kind="lemma",
    title="How far the states are constant",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-hoelder",),
)
def constant_states() -> None:
    r"""With the states at $z$ put in, the preactivation of unit $u$ is $f_u(x) = A_u^T x + \beta_u$. Suppose
    that $f_u(z) \ne 0$ for all units with $A_u \ne 0$. Then no unit changes its state at any $x$ with

    $$\lVert x - z \rVert_p < \min_{u:\, A_u \ne 0} \frac{|f_u(z)|}{\lVert A_u \rVert_q} .$$

    So $z$ lies inside a full-dimensional activation region.
    """
    size, distance, margin = sp.symbols("A rho t", positive=True)
    slack = sp.Symbol("s", nonnegative=True)
    for sign in (1, -1):  # |f_u(z)| = (rho + t) ||A||; f_u changes by at most ||A|| rho, by Hoelder
        here = sign * (distance + margin) * size
        there = here - sign * (size * distance - slack)
        assert sp.expand(sign * there).is_positive
    # Induction over layers: while the layers before keep their states, the preactivations are these f_u
    rng = random.Random(39)
    for net, ball in random_cases(seed=39, count=12):
        z = off_kinks(net, random_point(rng, ball), Fraction(1, 10))
        for q, corners in ((1, (-1, 1)), (inf, (0,))):
            reach = affine_radius(net, z, q=q) * Fraction(999, 1000)
            assert reach > 0
            for sign in (-1, 1):
                for i in range(len(z)):
                    step = fractions([rng.choice(corners) for _ in z])
                    step[i] = Fraction(sign)
                    assert all(map(np.array_equal, net.pattern(z + reach * step), net.pattern(z)))


@statement(
    "lem-cover",
    kind="lemma",
    title="The full-dimensional regions are everywhere",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-off-kinks", "lem-states", "lem-segment"),
)
def cover() -> None:
    r"""Every point lies in the closure of a full-dimensional activation region, and there $h$ is the affine
    function of that region. So whatever is to be found on all of $\mathbb{R}^n$, the nearest point with
    $h \le 0$ for instance, can be looked for on finitely many closed polyhedra.
    """
    # x_tau of lem-off-kinks tends to x, |tau^k| <= tau, and is in a region of lem-states; there are finitely
    # many regions, so that one of them has such points as near to x as one likes. h is continuous.
    k, rate = sp.Symbol("k", integer=True, positive=True), sp.Symbol("s", positive=True)
    tau = sp.exp(-rate)  # every tau in (0, 1)
    assert sp.expand_log(sp.log(tau**k / tau), force=True).subs(k, k + 1).expand().is_nonpositive
    for net, ball in [*random_cases(seed=38, count=9), (KINK, Ball(fractions([0, 1]), Fraction(1, 2)))]:
        for x in (ball.centre, fractions([0] * net.widths[0])):
            near = regions(net, Ball(x, Fraction(1, 10**6)))
            closures = [closed_region(net, region.pattern) for region in near]
            assert any((normals @ x + offsets >= 0).all() for normals, offsets in closures)


def coordinate_gain(u: sp.Expr, eps: sp.Expr) -> sp.Expr:
    """u.v for v = eps sgn(u_k) e_k, with u for u_k."""
    return u * eps * sp.sign(u)


MOST_GAIN = sp.Symbol(r"\max_{\lVert v \rVert_1 \le \epsilon} u^T v", real=True)
LARGEST_ENTRY, EPS = sp.Symbol(r"\lVert u \rVert_\infty", real=True), sp.Symbol("epsilon", positive=True)


def steepest_cases() -> list[Case]:
    """A linear function on the l_1 ball is largest at a corner: all of them are tried."""
    cases: list[Case] = []
    for u in ((2, -5, 1), (0, -1), (3, 3), (-4,)):
        for eps in (Fraction(1, 3), Fraction(2)):
            gains = [sign * eps * entry for entry in u for sign in (1, -1)]
            cases.append({EPS: eps, MOST_GAIN: max(gains), LARGEST_ENTRY: max(map(abs, u))})
    return cases


@statement(
    "lem-steepest",
    kind="lemma",
    title="The steepest step in $l_1$",
    source="folklore",
    status="proved",
    uses=("lem-hoelder",),
    claims={"most": sp.Eq(MOST_GAIN, EPS * LARGEST_ENTRY)},
    cases=steepest_cases,
)
def steepest_in_l1(most: sp.Eq) -> None:
    r"""For $u \ne 0$,

    $$<<most>>,$$

    attained at $v = \epsilon\,\mathrm{sgn}(u_k)\, e_k$ for a largest $|u_k|$: the case $p = 1$ that
    {prf:ref}`prop-dual-norm` leaves out.
    """
    eps = sp.Symbol("epsilon", positive=True)
    for u in SIGN_BRANCHES:
        printed = most.rhs.subs({EPS: eps, LARGEST_ENTRY: sp.Abs(u)})
        assert sp.expand(coordinate_gain(u, eps) - printed) == 0  # that no v gives more is Hoelder


PREMISES = {
    "lem-segment": "the preactivation is zero in the middle of a piece of the segment, so it is on the piece",
    "two zeros": "an affine function of t with two zeros is zero, so it vanishes where the segment starts",
    "lem-off-kinks": "the segment starts off the kinks, so a function that vanishes there is constant",
    "lem-states": "what does not vanish, or is constant, keeps its state: the region is full-dimensional",
}
"""The lemmas that the upper bound of `lem-regions` is put together from, in words."""


def premises() -> dict[str, sp.logic.boolalg.Boolean]:
    """The same as logic, about one unit in the middle of one piece."""
    in_middle, on_piece, at_start, constant, full = sp.symbols("middle piece start constant full")
    steps = (
        sp.Implies(in_middle, on_piece),
        sp.Implies(on_piece, at_start),
        sp.Implies(at_start, constant),
        sp.Implies(~in_middle | constant, full),
    )
    return dict(zip(PREMISES, steps, strict=True))


def one_input() -> list[Case]:
    """Networks with one input, where the best constant is the steepest slope of a broken line."""
    cases: list[Case] = []
    nets = [(net, ball) for net, ball in random_cases(seed=43, count=30) if net.widths[0] == 1]
    for net, ball in nets:
        pieces = [Place(LipschitzSetting(net, 1), region.pattern) for region in regions(net, ball)]
        cases.append({L_Q: steepest_slope(net, ball), REGION: pieces})
    return cases


@statement(
    "lem-regions",
    kind="lemma",
    title="The Lipschitz constant is the largest gradient",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-segment", "lem-off-kinks", "lem-states", "lem-hoelder", "prop-dual-norm", "lem-steepest"),
    claims={"constant": sp.Eq(L_Q, Largest(REGION_GRADIENT(REGION), REGION))},
    cases=one_input,
)
def lipschitz_of_regions(constant: sp.Eq) -> None:
    r"""Let $B$ be a closed ball of positive radius, or all of $\mathbb{R}^n$, and $\frac1p + \frac1q = 1$,
    $1 \le q \le \infty$. The best Lipschitz constant of a ReLU network $h$ on $B$ with respect to
    $\lVert \cdot \rVert_p$ is

    $$<<constant>>,$$

    over the activation regions $D$ that are full-dimensional and meet the interior of $B$. There are finitely
    many, so that it is a maximum.
    """
    # At most, off the kinks: every piece of a segment that starts off them lies in a full-dimensional region
    full = sp.Symbol("full")
    steps = premises()
    assert entails(full, steps.values())
    for name in steps:  # and no lemma is idle
        assert not entails(full, [step for other, step in steps.items() if other != name])
    t, a, b = sp.symbols("t a b", real=True)
    s, gap = sp.Symbol("s", real=True), sp.Symbol("l", positive=True)
    zeros = sp.solve([(a + b * t).subs(t, s), (a + b * t).subs(t, s + gap)], [a, b], dict=True)
    assert zeros == [{a: 0, b: 0}]
    # then everywhere: move both ends by at most delta, off the kinks and into the ball; h is K-Lipschitz
    most, coarse, length, delta = sp.symbols("G K D delta", positive=True)
    moved = most * (length + 2 * delta) + 2 * coarse * delta
    assert sp.limit(moved, delta, 0) == most * length
    inner, outer, mix = sp.symbols(
        "r q mu", positive=True
    )  # |x' - c| = R - r, |y' - c| = R - q: the segment is inside
    radius, other = sp.Symbol("R", positive=True), 1 / (1 + mix)
    between = other * (radius - inner) + mix * other * (radius - outer)
    assert sp.simplify(radius - between).is_positive
    rng = random.Random(43)
    for net, ball in [*random_cases(seed=43, count=12), (KINK, Ball(fractions([0, 1]), Fraction(1, 2)))]:
        pieces = list(regions(net, ball))
        for q, p in ((1, inf), (inf, 1)):
            largest = max(norm_power(r.gradient, q) for r in pieces)
            for r in pieces:  # at least: attained around a point of each region
                k = int(np.argmax(abs(r.gradient)))
                signs = fractions([sp.sign(g) for g in r.gradient])
                v = signs if q == 1 else fractions([int(i == k) for i in range(len(signs))]) * signs[k]
                step = min(affine_radius(net, r.point, q=q), 1) / 2 * v
                rise = net(r.point + step) - net(r.point)
                assert rise == norm_power(r.gradient, q) * norm_power(step, p)
            inside = [random_point(rng, ball) for _ in range(4)] + [ball.centre]
            for x, y in pairwise(inside):
                assert abs(net(x) - net(y)) <= largest * norm_power(x - y, p)
        patterns = {tuple(map(bytes, r.pattern)) for r in pieces}
        x = off_kinks(net, ball.centre, ball.radius / 2)  # the construction of the proof, also along kinks
        for y in (
            random_point(rng, ball),
            ball.centre + ball.radius * fractions([0] * (len(x) - 1) + [1]) / 2,
        ):
            for s_, e_ in pairwise(breakpoints(net, x, y)):
                middle = x + (s_ + e_) / 2 * (y - x)
                assert tuple(map(bytes, net.pattern(middle))) in patterns
