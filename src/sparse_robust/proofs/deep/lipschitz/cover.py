"""Off the kinks: points there are near every point, the states around them are constant, regions cover all.

Both distances are written down (`lem-off-kinks`, `lem-states`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import inf
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Every, Largest, Least, Total, indicator, operator
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.kinks import affine_radius, along_the_curve, clearance, kink_functions, off_kinks
from sparse_robust.theory.networks import Array, Pattern, ReluNet, closed_region, fractions
from sparse_robust.theory.regions import Ball, regions

from .cases import KINK, ONE, SUM, UNIT, random_cases, random_point

ORDER = sp.Symbol("k", integer=True)
COEFFICIENT = sp.IndexedBase("A", real=True)
TAU, FIRST, LARGEST_SIZE = sp.symbols(r"\tau a M", real=True)
ALONG = sp.Symbol(r"f(x_\tau)", real=True)


def curve_case(function: tuple[Array, Any], x: Array, share: Fraction) -> Case:
    """An affine function at a point of the curve, ``share`` of the way that is free of zeros."""
    coefficients = [function[0] @ x + function[1], *function[0]]
    sizes = [abs(c) for c in coefficients]
    first, largest = next(size for size in sizes if size), max(sizes)
    tau = share * first / (first + largest)
    return {
        ORDER: range(len(coefficients)),
        COEFFICIENT: dict(enumerate(coefficients)),
        FIRST: first,
        LARGEST_SIZE: largest,
        TAU: tau,
        ALONG: function[0] @ (x + fractions([tau**k for k in range(1, len(x) + 1)])) + function[1],
    }


def curve_cases() -> list[Case]:
    """Preactivations of random networks, from points on and off their kinks."""
    rng, cases = random.Random(40), []
    for net, ball in [*random_cases(seed=40, count=9), (KINK, UNIT)]:
        for x in (random_point(rng, ball), fractions([0] * net.widths[0])):
            for share in (Fraction(1), Fraction(1, 3)):
                cases += [curve_case(f, x, share) for f in kink_functions(net)]
    return cases


def at_the_start() -> Case:
    """tau = 0 at a kink: no step has been made."""
    return curve_case((fractions([1, -2]), Fraction(0)), fractions([0, 0]), Fraction(0))


def just_beyond() -> Case:
    """A zero at 51/100, where the lemma frees everything up to 1/2."""
    zero = Fraction(51, 100)
    last = (1 - sum(zero**k for k in range(1, 5))) / zero**5
    return curve_case((fractions([-1, -1, -1, -1, -last]), Fraction(1)), fractions([0] * 5), 2 * zero)


@statement(
    "lem-off-kinks",
    kind="lemma",
    title="Near every point there are points off all kinks",
    source="this book",
    status="kernel proved, glue argued",
    hypotheses={"positive": sp.Gt(TAU, 0), "short": sp.Le(TAU, FIRST / (FIRST + LARGEST_SIZE))},
    without={"positive": at_the_start, "short": just_beyond},
    claims={
        "along": sp.Eq(ALONG, Total(COEFFICIENT[ORDER] * TAU**ORDER, ORDER)),
        "largest": sp.Eq(LARGEST_SIZE, Largest(sp.Abs(COEFFICIENT[ORDER]), ORDER)),
        "free": sp.Ne(ALONG, 0),
    },
    cases=curve_cases,
)
def off_all_kinks(**_: sp.Basic) -> None:
    r"""Let $f(x) = A^T x + \beta$ with $A \ne 0$, and $x_\tau = x + (\tau, \tau^2, \dots, \tau^n)$. Then

    $$<<along>>, \qquad A_0 = f(x),$$

    is a polynomial in $\tau$. Let $a$ be the size of the first coefficient that is not 0, and $<<largest>>$.
    If $<<positive>>$ and

    $$<<short>>, \qquad\text{then}\qquad <<free>> .$$

    So for finitely many such functions all $\tau > 0$ up to the smallest of these numbers lead to points at
    which none of them vanishes.
    """
    tau, ratio = sp.Symbol("tau", positive=True), sp.Symbol("k", positive=True)
    m = sp.Symbol("m", integer=True, positive=True)
    # |f(x_tau)| / tau^k >= a - M (tau + ... + tau^m), and the sum is less than tau / (1 - tau)
    geometric = tau * (1 - tau**m) / (1 - tau)
    step = sp.simplify(geometric.subs(m, m + 1) - geometric - tau ** (m + 1))
    assert step == 0  # the sum by induction over its length m; for m = 1 it is tau
    assert sp.simplify(geometric.subs(m, 1) - tau) == 0
    assert sp.simplify(tau / (1 - tau) - geometric - tau ** (m + 1) / (1 - tau)) == 0  # positive, as
    assert sp.simplify((1 - tau).subs(tau, ratio / (1 + ratio))).is_positive  # tau is in (0, 1)
    first, largest = sp.symbols("a M", positive=True)
    margin = sp.Symbol("r", nonnegative=True)
    inside = first / (first + largest + margin)  # every tau up to a / (a + M)
    gap = sp.simplify((first - largest * tau / (1 - tau)).subs(tau, inside))
    assert gap.is_nonnegative
    assert sp.simplify(gap - first * margin / (largest + margin)) == 0
    rng = random.Random(40)
    for net, ball in [*random_cases(seed=40, count=9), (KINK, UNIT)]:
        for x in (random_point(rng, ball), fractions([0] * net.widths[0])):
            y = off_kinks(net, x, Fraction(1, 1000))
            assert 0 < max(abs(y - x)) <= Fraction(1, 1000)
            for f in kink_functions(net):
                assert f[0] @ y + f[1] != 0
                coefficients = along_the_curve(f, x)
                near = clearance(coefficients)
                assert near > 0
                assert sum(c * near**k for k, c in enumerate(coefficients)) != 0


UNIT_INDEX = sp.Symbol("u", integer=True)
HERE, THERE = sp.Symbol("z"), sp.Symbol("x")
DISTANCE = sp.Symbol(r"\lVert x - z \rVert_p", nonnegative=True)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """A point, with the affine functions (A_u, f_u(z)) that its states make of the preactivations."""

    states: Array
    slopes: tuple[Array, ...]
    values: tuple[Fraction, ...]
    q: float


def surroundings(net: ReluNet, z: Array, q: float) -> Surroundings:
    """What is around a point."""
    *layers, _ = net.affine(net.pattern(z))
    functions = [(a, b) for slope, shift in layers for a, b in zip(slope.T, shift, strict=True)]
    states = np.concatenate(net.pattern(z)).astype(int).astype(object)
    slopes, values = (a for a, _ in functions), (a @ z + b for a, b in functions)
    return Surroundings(states, tuple(slopes), tuple(values), q)


STATES_AT = operator("StatesAt", "D({0})", lambda place: place.states)
VALUE_AT = operator("ValueAt", "f_{0}({1})", lambda u, place: place.values[int(u)], real=True)
SLOPE_NORM = operator(
    "SlopeNorm",
    r"\lVert A_{0} \rVert_q",
    lambda u, place: norm_power(place.slopes[int(u)], place.q),
    nonnegative=True,
)
MOVES = operator("Moves", r"A_{0} \ne 0", lambda u, place: any(place.slopes[int(u)]))
MOVING = (UNIT_INDEX, MOVES(UNIT_INDEX, HERE))
"""The units whose preactivation is not constant."""
REACH = Least(sp.Abs(VALUE_AT(UNIT_INDEX, HERE)) / SLOPE_NORM(UNIT_INDEX, HERE), *MOVING)


def states_case(net: ReluNet, z: Array, step: Array, q: float) -> Case:
    """Two points, in the l_p norm that is dual to q."""
    here = surroundings(net, z, q)
    return {
        UNIT_INDEX: range(len(here.values)),
        HERE: here,
        THERE: surroundings(net, z + step, q),
        DISTANCE: Fraction(norm_power(step, inf if q == 1 else 1)),
    }


def states_cases() -> list[Case]:
    """Steps to the corners of balls just inside of the radius, for l_inf and l_1."""
    rng, cases = random.Random(39), []
    for net, ball in [(ONE, Ball(fractions([1]), Fraction(1))), *random_cases(seed=39, count=12)]:
        z = off_kinks(net, random_point(rng, ball), Fraction(1, 10))
        for q, corners in ((1, (-1, 1)), (inf, (0,))):
            reach = affine_radius(net, z, q=q) * Fraction(999, 1000)
            for i in range(len(z)):
                step = fractions([rng.choice(corners) for _ in z])
                step[i] = Fraction(rng.choice((-1, 1)))
                cases.append(states_case(net, z, reach * step, q))
    return cases


def onto_the_kink() -> Case:
    """h = s(s(x)) at 1, moved to 0: the radius is attained."""
    return states_case(ONE, fractions([1]), fractions([-1]), 1)


@statement(
    "lem-states",
    kind="lemma",
    title="How far the states are constant",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-hoelder",),
    hypotheses={
        "off": Every(sp.Ne(VALUE_AT(UNIT_INDEX, HERE), 0), *MOVING),
        "near": sp.Lt(DISTANCE, REACH),
    },
    without={"off": "otherwise the radius is 0, and nothing is nearer", "near": onto_the_kink},
    claims={"kept": sp.Eq(STATES_AT(THERE), STATES_AT(HERE))},
    cases=states_cases,
)
def constant_states(**_: sp.Basic) -> None:
    r"""With the states $D(z)$ at $z$ put in, the preactivation of unit $u$ is $f_u(x) = A_u^T x + \beta_u$.
    If $<<off>>$ and

    $$<<near>>, \qquad\text{then}\qquad <<kept>> :$$

    no unit changes its state. So $z$ lies inside a full-dimensional activation region.
    """
    size, distance, margin = sp.symbols("A rho t", positive=True)
    slack = sp.Symbol("s", nonnegative=True)
    for sign in (1, -1):  # |f_u(z)| = (rho + t) ||A||; f_u changes by at most ||A|| rho, by Hoelder
        here = sign * (distance + margin) * size
        there = here - sign * (size * distance - slack)
        assert sp.expand(sign * there).is_positive
    # Induction over layers: while the layers before keep their states, the preactivations are these f_u
    assert len(states_cases()) > 24


REGION, POINT = sp.Symbol("D"), sp.Symbol("x")
VALUE = sp.Symbol("h(x)", real=True)
IN_CLOSURE = operator("InClosure", r"{0} \in \overline{{{1}}}", lambda x, piece: piece.contains(x))
AFFINE_PIECE = operator("AffinePiece", "h_{0}({1})", lambda piece, x: piece(x), real=True)


@dataclass(frozen=True, eq=False)
class Piece:
    """A network on one activation region."""

    net: ReluNet
    pattern: Pattern

    def contains(self, x: Array) -> bool:
        """Whether the point lies in the closure of the region."""
        normals, offsets = closed_region(self.net, self.pattern)
        return bool((normals @ x + offsets >= 0).all())

    def __call__(self, x: Array) -> Any:
        """The affine function of the region at any point."""
        *_, (slope, shift) = self.net.affine(self.pattern)
        return (x @ slope + shift)[0]


def cover_cases() -> list[Case]:
    """Points on kinks and off them, with the regions that are near."""
    nets: Sequence[tuple[ReluNet, Ball]] = [
        (SUM, UNIT),
        *random_cases(seed=38, count=9),
        (KINK, Ball(fractions([0, 1]), Fraction(1, 2))),
    ]
    cases: list[Case] = []
    for net, ball in nets:
        for x in (ball.centre, fractions([0] * net.widths[0])):
            near = regions(net, Ball(x, Fraction(1, 10**6)))
            cases.append({POINT: x, VALUE: net(x), REGION: [Piece(net, region.pattern) for region in near]})
    return cases


@statement(
    "lem-cover",
    kind="lemma",
    title="The full-dimensional regions are everywhere",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-off-kinks", "lem-states", "lem-segment"),
    claims={
        "covered": sp.Eq(Largest(indicator(IN_CLOSURE(POINT, REGION)), REGION), 1),
        "affine": Every(sp.Eq(VALUE, AFFINE_PIECE(REGION, POINT)), REGION, IN_CLOSURE(POINT, REGION)),
    },
    cases=cover_cases,
)
def cover(**_: sp.Basic) -> None:
    r"""Let $D$ run over the full-dimensional activation regions, with closures $\overline{D}$, and let $h_D$
    be the affine function that $h$ is on $D$. Every point $x$ lies in some closure, $<<covered>>$, and
    there $h$ is the function of that region: $<<affine>>$. So whatever is to be found on all of
    $\mathbb{R}^n$, the nearest point with $h \le 0$ for instance, can be looked for on finitely many closed
    polyhedra.
    """
    # x_tau of lem-off-kinks tends to x, |tau^k| <= tau, and is in a region of lem-states; there are finitely
    # many regions, so that one of them has such points as near to x as one likes. h is continuous.
    k, rate = sp.Symbol("k", integer=True, positive=True), sp.Symbol("s", positive=True)
    tau = sp.exp(-rate)  # every tau in (0, 1)
    assert sp.expand_log(sp.log(tau**k / tau), force=True).subs(k, k + 1).expand().is_nonpositive
    assert any(len(case[REGION]) > 1 for case in cover_cases())  # kinks are among the points
