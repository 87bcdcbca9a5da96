"""The two metrics as functionals of the certified radius."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache
from itertools import pairwise
from math import inf

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import OUTCOMES, Case, Mean, Pr, chain, indicator
from sparse_robust.proofs.foundations.notation import EPS, R_2, R_INF, Y_HAT, Y
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.certificates import certificate, network_certificate
from sparse_robust.theory.distance import distance, lost
from sparse_robust.theory.networks import Array, ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball, fourier_motzkin, regions

from .paper import EIGHT, LINE, random_nets
from .radius import FINE

GAMMA_2, GAMMA_INF = sp.symbols(r"\gamma_2 \gamma_\infty", nonnegative=True)
D_2, D_INF = sp.symbols("d_2 d_\\infty", nonnegative=True)
RIGHT = sp.Eq(Y, Y_HAT)
AREA = sp.Symbol(
    r"\int_0^\infty \Pr\bigl(y = \hat y,\ \gamma_\infty > s\bigr)\,\mathrm{d}s", nonnegative=True
)


def best_attack(net: ReluNet, x: Array, size: Fraction) -> Array | None:
    """A point of the open l_inf ball at which the lead is lost, or None if there is none: decided exactly."""
    ball = Ball(x, size)
    facets, levels = ball.facets()
    for region in regions(net, ball):
        normals, offsets = lost(net, region.pattern)
        cuts = np.array([any(row) for row in normals])  # constant units cut nothing,
        cuts[-1] |= offsets[-1] < 0  # and neither does h where it is 0 on the whole region
        rows = np.concatenate([normals[cuts], facets])
        point = fourier_motzkin(rows, np.concatenate([offsets[cuts], levels]))
        if point is not None:
            assert net(point) <= 0
            assert max(abs(point - x)) < size
            return point
    return None


Point = tuple[ReluNet, Array, Fraction, Fraction, bool]
"""A network, an input, its certified radius, its distance, and whether it is classified correctly."""


@cache
def points() -> tuple[Point, ...]:
    """Networks with one input, for which l_2 is l_inf: h(x) = -x at -1, and random ones."""
    rng, nets = random.Random(324), [(LINE, fractions([-1]))]
    while len(nets) < 7:
        entries = [rng.randint(-3, 3) for _ in range(10)]
        net = exact_net([[entries[:3]]], entries[3:6], [entries[6:9]], entries[9])
        x = fractions([Fraction(rng.randint(-4, 4), 2)])
        if net(x) > 0 and distance(net, x) < EIGHT:
            nets.append((net, x))
    return tuple(
        (net, x, network_certificate([net], x, p=inf, upper=EIGHT, tolerance=FINE), distance(net, x), i != 3)
        for i, (net, x) in enumerate(nets)
    )


def area_under(radii: list[Fraction]) -> Fraction:
    """The integral over s of how many of these numbers exceed s."""
    levels = sorted([Fraction(0), *radii])
    return sum(((b - a) * sum(r > a for r in radii) for a, b in pairwise(levels)), Fraction(0))


def metrics_case(
    stretch: Fraction, eps: Fraction, factor_2: Fraction, factor_inf: Fraction, first: int = 7
) -> Case:
    """Attacks that go ``stretch`` times as far as they have to, radii that are multiples of certified ones.

    The distribution is uniform on so many of the points.
    """
    used = points()[:first]
    share, outcomes = Fraction(1, len(used)), []
    for _, _, radius, far, right in used:
        radii = {GAMMA_2: factor_2 * radius, GAMMA_INF: factor_inf * radius, D_2: far, D_INF: far}
        outcomes.append((share, {Y: 0, Y_HAT: int(not right), **radii}))
    correct = [(factor_inf * radius, far) for _, _, radius, far, right in used if right]
    return {
        OUTCOMES: outcomes,
        EPS: eps,
        R_2: share * sum(stretch * far for _, far in correct),
        R_INF: share * sum(stretch * far > eps for _, far in correct),
        AREA: share * area_under([radius for radius, _ in correct]),
    }


def metrics_cases() -> list[Case]:
    """Best attacks and weaker ones at several radii, one of them a distance; h(x) = -x alone."""
    one, half = Fraction(1), Fraction(1, 2)
    sizes = (Fraction(10, 41), one, Fraction(80, 41))
    several = [metrics_case(s, eps, g, g) for s in (one, 2 * one) for eps in sizes for g in (one, half)]
    return [*several, *(metrics_case(one, eps, one, one, first=1) for eps in sizes)]  # gamma = d = 1


@statement(
    "prop-gamma-metrics",
    kind="proposition",
    title="The two metrics as functionals of the certified radius",
    source="this book; announced after Proposition 3.1 in the paper",
    status="kernel proved, glue argued",
    uses=(
        "def-metrics",
        "err-prop-3-1-ties",
        "lem-cover",
        "lem-expectation",
        "lem-regions",
        "prop-gamma-distance",
        "prop-bisection",
    ),
    hypotheses={
        "two": sp.Eq(Pr(sp.Le(GAMMA_2, D_2)), 1),
        "inf": sp.Eq(Pr(sp.Le(GAMMA_INF, D_INF)), 1),
    },
    without={
        "two": lambda: metrics_case(Fraction(1), Fraction(1), EIGHT, Fraction(1)),
        "inf": lambda: metrics_case(Fraction(1), Fraction(1), Fraction(1), EIGHT),
    },
    claims={
        "r_2": chain(Mean(indicator(RIGHT) * GAMMA_2), sp.Le, Mean(indicator(RIGHT) * D_2), sp.Le, R_2),
        "r_inf": chain(
            Pr(sp.And(RIGHT, GAMMA_INF > EPS)), sp.Le, Pr(sp.And(RIGHT, D_INF > EPS)), sp.Le, R_INF
        ),
        "area": sp.Eq(AREA, Mean(indicator(RIGHT) * GAMMA_INF)),
    },
    cases=metrics_cases,
)
def gamma_metrics(**_: sp.Basic) -> None:
    r"""For every classifier, every distribution of $(x, y)$, every $l_2$ attack, every $l_\infty$ attack of
    radius $\epsilon$ and measurable certified radii, so that $<<two>>$ and $<<inf>>$ with the distances $d_p$
    to the nearest point at which $\hat y$ does not lead ({prf:ref}`prop-gamma-distance`),

    $$<<r_2>>, \qquad <<r_inf>>,$$

    $$<<area>> .$$

    The best attacks attain the second and the last inequality, affine classifiers the others. The strict $>$
    cannot be relaxed: at $\gamma_\infty = \epsilon$ there may be a tie.
    """
    eps, radius = sp.symbols("epsilon gamma", nonnegative=True)
    indicator_of = sp.Piecewise((1, eps < radius), (0, True))
    whole = sp.integrate(indicator_of, (eps, 0, sp.oo))
    assert sp.simplify(whole - radius) == 0  # one point of the distribution
    above, spare = sp.symbols("t s", nonnegative=True)  # pointwise: if gamma = eps + t and d = gamma + s
    assert ((eps + above + spare) - eps).is_nonnegative  # then d exceeds eps with gamma
    for net, x in random_nets(seed=324, count=8):
        star = network_certificate([net], x, p=inf, upper=EIGHT, tolerance=FINE)
        exact = min(distance(net, x), EIGHT)
        assert star <= exact
        for size in (Fraction(10, 41), Fraction(40, 41), Fraction(80, 41)):  # equal to no distance
            assert (exact > size) == (best_attack(net, x, size) is None)
            assert exact <= size or survives(net, x, size)
    assert certificate([1], [1], EIGHT) == 1  # err-prop-3-1-ties: gamma = eps = 1, and the attack ties


def survives(net: ReluNet, x: Array, size: Fraction) -> bool:
    """Whether the lead outlasts the corners of the ball and the middles of its sides: some attacks."""
    corners = [fractions([a, b]) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    return all(net(x + size * c) > 0 for c in corners)
