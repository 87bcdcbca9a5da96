"""The best Lipschitz constant is the largest gradient: the steepest step in l_1, then region by region."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from math import inf

import numpy as np
import sympy as sp
from sympy.logic.inference import entails

from sparse_robust.proofs.formulas import Case, Largest, operator
from sparse_robust.proofs.foundations.norms import SIGN_BRANCHES
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.kinks import affine_radius, off_kinks
from sparse_robust.theory.networks import fractions
from sparse_robust.theory.regions import Ball, regions

from .cases import (
    KINK,
    L_Q,
    LipschitzSetting,
    Place,
    _gradient_norm,
    breakpoints,
    random_cases,
    random_point,
    steepest_slope,
)

REGION = sp.Symbol("D")
REGION_GRADIENT = operator(
    "RegionGradient", r"\lVert \nabla h_{0} \rVert_q", _gradient_norm, real=True, nonnegative=True
)


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
