"""The best radius of Proposition 3.1: where it lies, that it is attained, and that no equation gives it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import inf

import sympy as sp

from sparse_robust.proofs.deep.written import NET, at_points
from sparse_robust.proofs.formulas import Case, chain
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.certificates import network_certificate
from sparse_robust.theory.distance import distance
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.networks import Array, ReluNet, fractions
from sparse_robust.theory.regions import Ball

from .errata import BENT, DISTANCE, MARGIN, no_fixed_point
from .paper import EIGHT, LINE, R, local_gamma, random_nets

SMALLER = sp.Symbol("r", positive=True)
AT_R, AT_SMALLER, BELOW_R = (sp.Symbol(name, real=True) for name in ("L(R)", "L(r)", r"\sup_{r < R} L(r)"))
STAR = sp.Symbol(r"\gamma^*", extended_real=True)
HIGHEST = sp.Symbol(r"\sup_{R > 0} \min\{m / L(R), R\}", real=True)
AT_STAR, BELOW_STAR, BEYOND_STAR = (
    sp.Symbol(name, real=True)
    for name in (r"L(\gamma^*)", r"\sup_{R < \gamma^*} L(R)", r"\inf_{R > \gamma^*} L(R)")
)

FINE = Fraction(1, 256)


def worst(net: ReluNet, x: Array, radius: Fraction) -> Fraction:
    """R L_1(R), by how much the margin may shrink on the ball; nondecreasing in R."""
    return radius * Fraction(lipschitz_power(net, Ball(x, radius), q=1))


def fallback(margin: sp.Expr, constant: sp.Expr) -> sp.Expr:
    """The radius that is certified where R itself is not: m / L(R)."""
    return margin / constant


def radius_case(net: ReluNet, x: Array, radius: Fraction, smaller: Fraction) -> Case:
    """Constants on two balls, and just inside the first: these networks have few kinks, next to R is near."""
    inside = radius * (1 - FINE**3)
    constants = (lipschitz_power(net, Ball(x, r), q=1) for r in (radius, smaller, inside))
    return {R: radius, SMALLER: smaller, **dict(zip((AT_R, AT_SMALLER, BELOW_R), constants, strict=True))}


def radius_cases() -> list[Case]:
    """Random networks; and one whose constant jumps to the right of R = 1."""
    cases = [radius_case(no_fixed_point(), fractions([0]), Fraction(1), r) for r in (Fraction(1), FINE)]
    for net, x in random_nets(seed=320, count=4):
        cases += [radius_case(net, x, Fraction(k, 2), Fraction(k, 3)) for k in (1, 2, 4)]
    return cases


def beyond_the_jump() -> Case:
    """r = 9/8 beyond R = 1, where the constant has jumped."""
    return radius_case(no_fixed_point(), fractions([0]), Fraction(1), Fraction(9, 8))


@statement(
    "lem-lipschitz-radius",
    kind="lemma",
    title="How a local Lipschitz constant depends on the radius",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-regions", "lem-segment"),
    hypotheses={"shorter": sp.Le(SMALLER, R)},
    without={"shorter": beyond_the_jump},
    claims={"grows": sp.Le(AT_SMALLER, AT_R), "left": sp.Eq(AT_R, BELOW_R)},
    cases=radius_cases,
)
def lipschitz_radius(**_: sp.Basic) -> None:
    r"""Let $h$ be Lipschitz, as every ReLU network is ({prf:ref}`lem-segment`). Its best Lipschitz constant
    $L(R)$ on $B_p(x, R)$, in any norm, is nondecreasing in $R$ and continuous from the left: $<<left>>$, and
    $<<grows>>$ for $<<shorter>>$.
    """
    n = sp.Symbol("n", integer=True, positive=True)
    u, v, x = (sp.MatrixSymbol(name, n, 1) for name in "uvx")
    theta = sp.Symbol("theta", positive=True)
    # u and v move towards x by theta: their difference is multiplied by theta, and they move by 1 - theta
    moved = (x + theta * (u - x)) - (x + theta * (v - x))
    assert (moved - theta * (u - v)).expand().doit() == sp.ZeroMatrix(n, 1)
    assert ((u - (x + theta * (u - x))) - (1 - theta) * (u - x)).expand().doit() == sp.ZeroMatrix(n, 1)
    # so |h(u) - h(v)| <= S theta ||u - v|| + 2 K (1 - theta) R, S the supremum; then theta goes to 1
    below, length, coarse, radius = sp.symbols("S l K R", nonnegative=True)
    assert sp.limit(below * theta * length + 2 * coarse * (1 - theta) * radius, theta, 1) == below * length


@dataclass(frozen=True)
class Steps:
    """A step function L of the radius: its (right end, value) by increasing radii; the last value goes on."""

    pieces: tuple[tuple[Fraction, Fraction], ...]

    def __call__(self, radius: Fraction) -> Fraction:
        """L(R)."""
        return next((value for end, value in self.pieces if radius <= end), self.pieces[-1][1])

    def beyond(self, radius: Fraction) -> Fraction:
        """The limit of L(r) for r > R that tend to R."""
        return next((value for end, value in self.pieces if radius < end), self.pieces[-1][1])

    @property
    def grows(self) -> bool:
        """Whether no step leads down."""
        return all(a <= b for (_, a), (_, b) in pairwise(self.pieces))

    def highest(self, margin: Fraction, upper: Fraction = EIGHT) -> Fraction:
        """sup min(m / L(R), R) over R up to ``upper``: on a step it grows with R."""
        ends = {upper, *(end for end, _ in self.pieces if end <= upper)}
        return max(min(margin / self(end), end) for end in ends)

    def best(self, margin: Fraction) -> Fraction:
        """sup {R : R L(R) <= m}, up to the last right end."""
        starts = [Fraction(0), *(end for end, _ in self.pieces)]
        limits = zip(starts, self.pieces, strict=False)
        return max(min(end, margin / value) for start, (end, value) in limits if margin / value > start)


LINE_STEPS = Steps(((EIGHT, Fraction(1)),))
JUMP = Steps(((Fraction(1), Fraction(1)), (EIGHT, Fraction(10))))
"""The best constants of h(x) = -x at -1, and those of :func:`no_fixed_point` at 0."""
LATE = Steps(((Fraction(1), Fraction(1)), (EIGHT, Fraction(2))))
SMALL_JUMP = Steps(((Fraction(1), Fraction(1)), (EIGHT, Fraction(5, 4))))
GENTLE = Steps(((EIGHT, Fraction(1, 2)),))
SINKING = Steps(((Fraction(1), Fraction(11)), (EIGHT, Fraction(10))))
EXAMPLES = tuple(
    zip(
        (Fraction(1), Fraction(4), Fraction(5), Fraction(11, 10), Fraction(1)),
        (LINE_STEPS, JUMP, LATE, SMALL_JUMP, GENTLE),
        strict=True,
    )
)
"""Margins and constants."""


def steps_case(margin: Fraction, steps: Steps, radius: Fraction) -> Case:
    """What follows from a step function, at one radius and half of it, and at the best radius."""
    star = steps.best(margin)
    return {
        MARGIN: margin,
        R: radius,
        SMALLER: radius / 2,
        AT_R: steps(radius),
        AT_SMALLER: steps(radius / 2),
        HIGHEST: steps.highest(margin),
        STAR: star,
        AT_STAR: steps(star),
        BELOW_STAR: steps(star * (1 - FINE**3)),
        BEYOND_STAR: steps.beyond(star),
    }


def best_cases() -> list[Case]:
    """h(x) = -x at -1, with L = 1; the network without a fixed point; others that are steep far away."""
    net = no_fixed_point()
    for r in (Fraction(1), EIGHT):  # these are the constants of the networks
        assert lipschitz_power(LINE, Ball(fractions([-1]), r), q=1) == LINE_STEPS(r)
        assert lipschitz_power(net, Ball(fractions([0]), r), q=1) == JUMP(r)
    radii = (Fraction(1, 3), Fraction(1), Fraction(2), EIGHT)
    return [steps_case(margin, steps, r) for margin, steps in EXAMPLES for r in radii]


def steep_only_near() -> Case:
    """L = 11 up to 1 and 10 beyond: a larger ball with a smaller constant certifies more than gamma*."""
    return steps_case(Fraction(99, 10), SINKING, Fraction(3, 2))


@statement(
    "prop-best-radius",
    kind="proposition",
    title="The best radius",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-regions", "lem-lipschitz-radius", "prop-3-1"),
    hypotheses={"positive": sp.Gt(MARGIN, 0), "grows": sp.Le(AT_SMALLER, AT_R), "shorter": sp.Le(SMALLER, R)},
    without={
        "positive": "without a lead there is nothing to certify",
        "grows": steep_only_near,
        "shorter": "it says of which two radii the other one speaks",
    },
    claims={
        "sup": sp.Eq(HIGHEST, STAR),
        "each": sp.Le(sp.Min(MARGIN / AT_R, R), STAR),
    },
    cases=best_cases,
)
def best_radius(**_: sp.Basic) -> None:
    r"""Let $<<positive>>$, let $L$ be nondecreasing, $<<grows>>$ for $<<shorter>>$, and
    $\gamma^* = \sup\{R > 0 : R\, L(R) \le m\}$. Then

    $$<<sup>> :$$

    $<<each>>$ for every $R$. Every $R$ with $R\, L(R) \le m$ is itself a certified radius, and so is every
    $R < \gamma^*$.
    """
    constant, radius = sp.symbols("L R", positive=True)
    spare, drop = sp.symbols("s e", nonnegative=True)
    # R L <= m: m = R L + s, and the minimum is R
    assert sp.simplify(fallback(radius * constant + spare, constant) - radius).is_nonnegative
    # R L > m: the minimum is r = m / L(R) < R, and r is of the first kind, as L(r) = l <= L(R) = l + e
    margin, less = sp.symbols("m l", positive=True)
    assert sp.simplify(margin - fallback(margin, less + drop) * less).is_nonnegative
    # a smaller radius R - t than one of the first kind is of the first kind, too
    shorter = sp.Symbol("t", nonnegative=True)
    assert sp.expand((radius * constant + spare) - (radius - shorter) * constant).is_nonnegative
    for net, x in random_nets(seed=321, count=5):
        star = network_certificate([net], x, p=inf, upper=EIGHT, tolerance=FINE)
        assert worst(net, x, star) <= net(x)
        assert star + FINE > EIGHT or worst(net, x, star + FINE) > net(x)
        for r in (Fraction(1, 3), Fraction(1), Fraction(5, 2), EIGHT):
            assert local_gamma(net, x, r) <= star + FINE


def constant_lead() -> Case:
    """L = 0: every radius is certified, and m / L is not defined."""
    case = steps_case(Fraction(1), LINE_STEPS, Fraction(1))
    return {**case, STAR: sp.oo, AT_STAR: Fraction(0), BELOW_STAR: Fraction(0), BEYOND_STAR: Fraction(0)}


def jumps_at_the_radius() -> Case:
    """L = 1 below 1 and 10 from 1 on, which no best constant does: the ball of radius 1 certifies 2/5."""
    case = steps_case(Fraction(4), JUMP, Fraction(1))
    return {**case, AT_STAR: case[BEYOND_STAR]}


@statement(
    "cor-best-radius",
    kind="corollary",
    title="The best radius is attained",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-lipschitz-radius", "lem-regions", "prop-best-radius"),
    hypotheses={"finite": sp.Lt(STAR, sp.oo), "left": sp.Eq(AT_STAR, BELOW_STAR)},
    without={"finite": constant_lead, "left": jumps_at_the_radius},
    claims={
        "attained": sp.Eq(sp.Min(MARGIN / AT_STAR, STAR), STAR),
        "solved": sp.Implies(sp.Ge(AT_STAR, BEYOND_STAR), sp.Eq(STAR, MARGIN / AT_STAR)),
    },
    cases=best_cases,
)
def best_radius_attained(solved: sp.Implies, **_: sp.Basic) -> None:
    r"""Let $L$ be as in {prf:ref}`prop-best-radius`, $<<finite>>$, and $<<left>>$, as of the best constants
    of a continuous $h$ ({prf:ref}`lem-lipschitz-radius`). The ball of radius $\gamma^*$ certifies
    $\gamma^*$: $<<attained>>$. If $L$ does not jump there,

    $$<<solved>> .$$
    """
    # for r = gamma - d with L(r) >= L(gamma) - e, r L(r) <= m; d and e go to 0, and inequalities stay
    star, constant, less = sp.symbols("gamma L d", positive=True)
    assert sp.limit((star - less) * (constant - less), less, 0) == star * constant
    # so gamma L <= m, and m / L = gamma + s is no smaller than gamma
    spare = sp.Symbol("s", nonnegative=True)
    assert sp.simplify(fallback(star * constant + spare, constant) - star).is_nonnegative
    # for r = gamma + d, r L(r) > m; where L does not jump, L(r) goes to L(gamma), and gamma L(gamma) >= m
    assert sp.limit((star + less) * (constant + less), less, 0) == star * constant
    assert solved.args[1] == sp.Eq(STAR, fallback(MARGIN, AT_STAR))
    net, x = no_fixed_point(), fractions([0])
    assert local_gamma(net, x, Fraction(1)) == 1  # L jumps at 1, to the right of it
    continuous = 0
    for net, x in random_nets(seed=325, count=12):
        best = network_certificate([net], x, p=inf, upper=EIGHT, tolerance=FINE**2)
        low, high = (lipschitz_power(net, Ball(x, best + side), q=1) for side in (0, FINE))
        if best < EIGHT and low == high:  # constant around the best radius, up to the tolerance
            continuous += 1
            assert 0 <= net(x) / low - best <= FINE**2
    assert continuous > 2


AT_ONE, BEYOND_ONE = sp.Symbol(r"L(R)|_{R \le 1}", real=True), sp.Symbol(r"L(R)|_{R > 1}", real=True)
RATIO_ONE, RATIO_BEYOND = (
    sp.Symbol(r"\tfrac m{L(R)}|_{R \le 1}", real=True),
    sp.Symbol(r"\tfrac m{L(R)}|_{R > 1}", real=True),
)
NEAR, FAR = sp.Symbol("R", positive=True), sp.Symbol("R'", positive=True)


def no_fixed_point_cases() -> list[Case]:
    """L at radii up to 1 and beyond, the best certificate to a millionth, the distance."""
    net, x, tiny = no_fixed_point(), fractions([0]), Fraction(1, 10**6)
    cases: list[Case] = []
    radii = zip((Fraction(1, 1000), Fraction(1, 2), Fraction(1)), (1 + tiny, Fraction(2), EIGHT), strict=True)
    for place, (near, far) in zip(at_points(net, [-1, Fraction(1, 2), 3]), radii, strict=True):
        low, high = (lipschitz_power(net, Ball(x, r), q=1) for r in (near, far))
        assert (local_gamma(net, x, near), local_gamma(net, x, far)) == (near, net(x) / high)
        cases.append(
            {
                **place,
                MARGIN: net(x),
                NEAR: near,
                FAR: far,
                AT_ONE: low,
                BEYOND_ONE: high,
                RATIO_ONE: net(x) / low,
                RATIO_BEYOND: net(x) / high,
                DISTANCE: distance(net, x),
            }
        )
    return cases


@statement(
    "cex-no-fixed-point",
    kind="counterexample",
    title="$R = m / L(R)$ may have no solution",
    source="this book",
    status="checked exactly on an example",
    uses=("lem-cover", "lem-regions", "prop-best-radius", "prop-bisection"),
    claims={
        "h": sp.Eq(NET, BENT),
        "margin": sp.Eq(MARGIN, 4),
        "gentle": sp.Eq(AT_ONE, 1),
        "above": chain(RATIO_ONE, sp.Gt, NEAR),
        "four": sp.Eq(RATIO_ONE, 4),
        "steep": sp.Eq(BEYOND_ONE, 10),
        "below": chain(RATIO_BEYOND, sp.Lt, FAR),
        "two_fifths": sp.Eq(RATIO_BEYOND, sp.Rational(2, 5)),
        "distance": sp.Eq(DISTANCE, sp.Rational(13, 10)),
    },
    loose={"above": "a counterexample", "below": "a counterexample"},
    cases=no_fixed_point_cases,
)
def fixed_point(gentle: sp.Eq, margin: sp.Eq, **_: sp.Basic) -> None:
    r"""On a ReLU network $L(R)$ is a step function, and may jump over $m / R$. Let $<<h>>$ at $x = 0$, so
    that $<<margin>>$. For radii $R \le 1$, $<<gentle>>$ and $<<four>>$: $<<above>>$. For radii $R' > 1$,
    $<<steep>>$ and $<<two_fifths>>$: $<<below>>$. No radius solves the equation. The best certificate is
    $\gamma^* = 1$, where $L$ jumps; the distance is $<<distance>>$.
    """
    net, x, tiny = no_fixed_point(), fractions([0]), Fraction(1, 10**6)
    star = network_certificate([net], x, p=inf, upper=EIGHT, tolerance=tiny)
    assert 1 - tiny <= star <= 1
    assert gentle.rhs * 1 <= margin.rhs < 10
