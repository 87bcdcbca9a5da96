"""The best radius of Proposition 3.1, how bisection finds it, and the metrics as functionals of gamma."""

from __future__ import annotations

import random
from fractions import Fraction
from math import inf

import numpy as np
import sympy as sp

from sparse_robust.proofs.deep.written import NET, at_points
from sparse_robust.proofs.formulas import Case, chain
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.certificates import best_certificate, certificate, network_certificate
from sparse_robust.theory.distance import distance, lost
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.networks import Array, ReluNet, fractions
from sparse_robust.theory.regions import Ball, fourier_motzkin, regions

from .errata import BENT, DISTANCE, MARGIN, no_fixed_point
from .paper import EIGHT, LINE, R, local_gamma, random_nets

SMALLER = sp.Symbol("r", positive=True)
AT_R, AT_SMALLER, BELOW_R = (sp.Symbol(name, real=True) for name in ("L(R)", "L(r)", r"\sup_{r < R} L(r)"))
STAR, HIGHEST = sp.Symbol(r"\gamma^*", real=True), sp.Symbol(r"\sup_{R > 0} \min\{m / L(R), R\}", real=True)

FINE = Fraction(1, 256)


def worst(net: ReluNet, x: Array, radius: Fraction) -> Fraction:
    """R L_1(R), by how much the margin may shrink on the ball; nondecreasing in R."""
    return radius * Fraction(lipschitz_power(net, Ball(x, radius), q=1))


def fallback(margin: sp.Expr, constant: sp.Expr) -> sp.Expr:
    """The radius that is certified where R itself is not: m / L(R)."""
    return margin / constant


def best_attack(net: ReluNet, x: Array, size: Fraction) -> Array | None:
    """A point of the open l_inf ball at which the lead is lost, or None if there is none: decided exactly."""
    ball = Ball(x, size)
    facets, levels = ball.facets()
    for region in regions(net, ball):
        normals, offsets = lost(net, region.pattern)
        cuts = np.array([*(any(row) for row in normals[:-1]), True])  # constant units cut nothing
        rows = np.concatenate([normals[cuts], facets])
        point = fourier_motzkin(rows, np.concatenate([offsets[cuts], levels]))
        if point is not None:
            assert net(point) < 0
            assert max(abs(point - x)) < size
            return point
    return None


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
    """r = 2 beyond R = 1, where the constant has jumped."""
    return radius_case(no_fixed_point(), fractions([0]), Fraction(1), Fraction(2))


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


def steps_case(margin: Fraction, steps: list[tuple[Fraction, Fraction]], radius: Fraction) -> Case:
    """A step function L, as (up to which radius, its value) by increasing radii, and what follows from it.

    min(m / L, R) grows with R on each step, so that the supremum is the largest value at the right ends.
    """

    def at(r: Fraction) -> Fraction:
        return next(value for end, value in steps if r <= end)

    starts = [Fraction(0), *(end for end, _ in steps[:-1])]
    ends = zip(starts, steps, strict=True)
    good = [min(end, margin / value) for start, (end, value) in ends if margin / value > start]
    return {
        MARGIN: margin,
        R: radius,
        SMALLER: radius / 2,
        AT_R: at(radius),
        AT_SMALLER: at(radius / 2),
        HIGHEST: max(min(margin / value, end) for end, value in steps),
        STAR: max(good),
    }


def best_cases() -> list[Case]:
    """h(x) = -x at -1, with L = 1; the network without a fixed point; another that is steep far away."""
    line = [(EIGHT, Fraction(1))]
    jump = [(Fraction(1), Fraction(1)), (EIGHT, Fraction(10))]
    late = [(Fraction(1), Fraction(1)), (EIGHT, Fraction(2))]
    net = no_fixed_point()
    for r in (Fraction(1), EIGHT):  # these are the constants of the networks
        assert lipschitz_power(LINE, Ball(fractions([-1]), r), q=1) == 1
        assert lipschitz_power(net, Ball(fractions([0]), r), q=1) == next(v for end, v in jump if r <= end)
    radii = (Fraction(1, 3), Fraction(1), Fraction(2), EIGHT)
    gentle = [(EIGHT, Fraction(1, 2))]
    laws = [(Fraction(1), line), (Fraction(4), jump), (Fraction(5), late), (Fraction(1), gentle)]
    return [steps_case(margin, steps, r) for margin, steps in laws for r in radii]


def steep_only_near() -> Case:
    """L = 100 up to 1 and 10 beyond: a larger ball with a smaller constant certifies more than gamma*."""
    return steps_case(Fraction(4), [(Fraction(1), Fraction(100)), (EIGHT, Fraction(10))], Fraction(3, 2))


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


@statement(
    "cor-best-radius",
    kind="corollary",
    title="The best radius is attained",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-lipschitz-radius", "lem-regions", "prop-best-radius"),
)
def best_radius_attained() -> None:
    r"""Let $L(R)$ be the best constants of a continuous $h$, and $0 < \gamma^* < \infty$. The ball of radius
    $R = \gamma^*$ certifies $\gamma^*$. Where $L$ is continuous at $\gamma^*$, moreover
    $\gamma^* = m / L(\gamma^*)$.
    """
    # for r = gamma - d with L(r) >= L(gamma) - e, r L(r) <= m; d and e go to 0, and inequalities stay
    star, constant, less = sp.symbols("gamma L d", positive=True)
    assert sp.limit((star - less) * (constant - less), less, 0) == star * constant
    # for r = gamma + d, r L(r) > m; where L is continuous, L(r) goes to L(gamma), and gamma L(gamma) >= m
    assert sp.limit((star + less) * (constant + less), less, 0) == star * constant
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


@statement(
    "prop-bisection",
    kind="proposition",
    title="Bisection, from below",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-regions", "prop-3-1", "prop-best-radius"),
)
def bisection() -> None:
    r"""Let $\hat L(R) \ge L(R)$ be any upper bounds. Keep $\ell$, the largest of the values
    $\min\{m / \hat L(R), R\}$ at the radii tried so far, and $u$, at first the largest radius of interest.
    Try $R = (\ell + u)/2$; if $m / \hat L(R) < R$, set $u = R$. At every moment $\ell$ is a certified radius,
    whatever $\hat L$ does elsewhere. If $\hat L$ is nondecreasing, no radius up to the first $u$ has a
    certificate above the present $u$, and $u - \ell$ at least halves with each trial.
    """
    low, gap = sp.symbols("l g", positive=True)
    middle = low + gap / 2  # u = l + g
    assert sp.expand((low + gap) - middle - gap / 2) == 0  # a certified middle becomes l
    assert sp.expand(middle - low - gap / 2) == 0  # another becomes u, and l may grow besides
    margin, constant, more = sp.symbols("m L d", positive=True)
    # a larger R than one that does not certify itself certifies no more
    assert sp.simplify(fallback(margin, constant) - fallback(margin, constant + more)).is_positive
    rng = random.Random(322)
    for net, x in random_nets(seed=322, count=4):
        tried: list[Fraction] = []

        def steps(radius: Fraction, net: ReluNet = net, x: Array = x) -> list[Fraction]:
            tried.append(radius)  # noqa: B023 (used at once)
            return [lipschitz_power(net, Ball(x, radius), q=1)]

        def wild(radius: Fraction, net: ReluNet = net, x: Array = x) -> list[Fraction]:
            return [lipschitz_power(net, Ball(x, radius), q=1) * (1 + Fraction(rng.randint(0, 9), 3))]

        best = best_certificate([net(x)], steps, EIGHT, tolerance=FINE)
        assert worst(net, x, best) <= net(x)
        assert all(local_gamma(net, x, r) <= best for r in tried)
        assert len(tried) <= 13  # EIGHT / FINE = 2^11
        assert worst(net, x, best_certificate([net(x)], wild, EIGHT, tolerance=FINE)) <= net(x)


@statement(
    "prop-gamma-rivals",
    kind="proposition",
    title="Each rival may have a radius of its own",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-regions", "prop-best-radius"),
)
def gamma_rivals() -> None:
    r"""Let $\gamma_k^*$ be the best radius against rival $k$ alone. Then

    $$\sup_{R > 0} \min\Bigl\{\min_{k \ne \hat y} \frac{m_k}{L_k(R)}, R\Bigr\}
      = \min_{k \ne \hat y} \gamma_k^*,$$

    so that the rivals can be treated one after the other, each with its own $R$.
    """
    # at each R the certificate is the smaller of those against one rival alone
    one_ratio, other_ratio, radius = sp.symbols("a b R", positive=True)
    alone_each = sp.Min(sp.Min(one_ratio, radius), sp.Min(other_ratio, radius))
    assert alone_each == sp.Min(one_ratio, other_ratio, radius)
    # against rival k it is at most gamma_k*, and R itself for R < gamma_k* (prop-best-radius): so at most the
    # smallest gamma_k* for all R, and R against all of them below that
    s_1, s_2 = sp.symbols("s_1 s_2", nonnegative=True)
    assert sp.Min(sp.Min(radius + s_1, radius), sp.Min(radius + s_2, radius)) == radius
    cases = list(random_nets(seed=323, count=16))
    for (one, x), (other, _) in zip(cases[::2], cases[1::2], strict=True):
        if not (other(x) > 0 and other.widths[0] == one.widths[0]):
            continue
        nets = (one, other)

        def constants(radius: Fraction, nets: tuple[ReluNet, ...] = nets, x: Array = x) -> list[Fraction]:
            return [lipschitz_power(net, Ball(x, radius), q=1) for net in nets]

        joint = best_certificate([net(x) for net in nets], constants, EIGHT, tolerance=FINE)
        alone = [network_certificate([net], x, p=inf, upper=EIGHT, tolerance=FINE) for net in nets]
        assert abs(joint - min(alone)) <= FINE


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
)
def gamma_metrics() -> None:
    r"""For every classifier, every distribution of $(x, y)$, every $l_2$ attack, every $l_\infty$ attack of
    radius $\epsilon$ and measurable certified radii $\gamma_p(x)$,

    $$\mathbb{E}\bigl(1_{y = \hat y}\, \gamma_2\bigr) \le r_2, \qquad
      \Pr\bigl(y = \hat y,\ \gamma_\infty > \epsilon\bigr) \le r_\infty(\epsilon), \qquad
      \int_0^\infty \Pr\bigl(y = \hat y,\ \gamma_\infty > \epsilon\bigr)\,\mathrm{d}\epsilon
      = \mathbb{E}\bigl(1_{y = \hat y}\, \gamma_\infty\bigr) .$$

    With the distances $d_p$ for $\gamma_p$ the best attacks give equality in the first two. The strict $>$
    cannot be relaxed: at $\gamma_\infty = \epsilon$ there may be a tie.
    """
    eps, radius = sp.symbols("epsilon gamma", nonnegative=True)
    indicator = sp.Piecewise((1, eps < radius), (0, True))
    assert (
        sp.simplify(sp.integrate(indicator, (eps, 0, sp.oo)) - radius) == 0
    )  # one point of the distribution
    rng = random.Random(324)
    points = []
    for net, x in random_nets(seed=324, count=8):
        star = network_certificate([net], x, p=inf, upper=EIGHT, tolerance=FINE)
        points.append((net, x, star, min(distance(net, x), EIGHT), rng.random() < 0.8))
    for size in (
        Fraction(10, 41),
        Fraction(40, 41),
        Fraction(80, 41),
    ):  # equal to no distance
        certified = sum(right and g > size for *_, g, _, right in points)
        exact = sum(right and d > size for *_, d, right in points)
        attacked = sum(right and _survives(net, x, size) for net, x, *_, right in points)
        best = sum(right and best_attack(net, x, size) is None for net, x, *_, right in points)
        assert certified <= exact <= attacked
        assert exact == best
    radii = sorted(g for *_, g, _, right in points if right)
    levels = zip([Fraction(0), *radii], radii, strict=False)
    area = sum((b - a) * (len(radii) - i) for i, (a, b) in enumerate(levels))
    assert area == sum(radii)
    assert certificate([1], [1], EIGHT) == 1  # err-prop-3-1-ties: gamma = eps = 1, and the attack ties


def _survives(net: ReluNet, x: Array, size: Fraction) -> bool:
    """Whether the lead outlasts the corners and the sign of the gradient: some attacks of this radius."""
    corners = [fractions([a, b]) for a in (-1, 0, 1) for b in (-1, 0, 1)]
    return all(net(x + size * c) > 0 for c in corners)
