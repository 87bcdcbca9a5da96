"""The sparse limit: when hardly a weight is kept, what counts is which paths are alive alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from typing import Any

import sympy as sp

from sparse_robust.proofs.deep.written import ALPHA
from sparse_robust.proofs.formulas import Case, Total, chain, operator
from sparse_robust.proofs.statement import statement
from sparse_robust.theory import sparse_limit as limit
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.mask_bounds import path_norm
from sparse_robust.theory.networks import ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball

from .cases import EXAMPLE, EXAMPLE_BALL, AllMasks, polynomial, random_cases, tight_cases
from .gaps import DIFFERENCE
from .notation import DEPTH, MEAN_L, PATH_NORM, J, Q, by_layer

KEEP, SIZE = sp.IndexedBase("k", real=True), sp.IndexedBase("N", real=True)
PATH, QUIET = sp.Symbol("P"), sp.Symbol(r"\theta", real=True)
OPEN = sp.Symbol("k", real=True)
"""The probability that a given path is open."""


@dataclass(frozen=True, eq=False)
class LonePath:
    """A path of a network, and where the Lipschitz constant of what it is alone is taken."""

    net: ReluNet
    path: limit.Path
    ball: Ball | None


@cache
def _lone_constant(place: LonePath, q: int) -> Any:
    power = lipschitz_power(place.net.masked(limit.alone(place.net, place.path)), place.ball, q=q)
    return power if q == 1 else sp.sqrt(sp.Rational(power))


LONE = operator("Lone", "L_{1}({0})", _lone_constant, real=True, nonnegative=True)
ALIVE = operator(
    "Alive", r"1_{{{0} \text{{ alive}}}}", lambda p: int(limit.alive_alone(p.net, p.path, p.ball)), real=True
)
WEIGHT_OF = operator("PathWeight", "w_{0}", lambda p: limit.path_weight(p.net, p.path), real=True)

LONE_SUM = Total(LONE(PATH, Q), PATH)
EXCESS = Total((SIZE[J] - 1) * KEEP[J], J)


def limit_case(case: AllMasks, alphas: list[Fraction], q: int) -> Case:
    """What the sparse limit speaks of; all from enumeration, but for the probability theta."""
    net, mean, depth = case.net, case.mean(alphas), len(case.net.widths)
    keeps = [1 - a for a in alphas]
    return {
        J: range(1, depth),
        Q: q,
        DEPTH: depth,
        KEEP: by_layer(depth, keeps),
        OPEN: math.prod(keeps),
        SIZE: by_layer(depth, [w.size for w in net.weights]),
        QUIET: limit.nothing_else(net, keeps),
        PATH: [LonePath(net, path, case.ball) for path in limit.paths(net.widths)],
        PATH_NORM: path_norm(net),
        MEAN_L: {1: mean.l_1, 2: mean.l_2},
    }


@cache
def limit_cases() -> list[Case]:
    """Random networks and tight ones; each bound is attained, as two equal units of opposite signs show."""
    opposite = (AllMasks(DIFFERENCE), [[Fraction(1, 2)], [Fraction(9, 10)]])
    examples = [*tight_cases(), opposite, *((case, grid[:3]) for case, grid in random_cases())]
    return [limit_case(case, alphas, q) for case, grid in examples for alphas in grid for q in (1, 2)]


def path_cases() -> list[Case]:
    """Every path of the random networks, with biases and balls among them, and of units asleep and awake."""
    shifted = exact_net([[[1]], [[-2]]], [3], [[-1], [1]])  # alive for 1 < x < 3/2 only
    places = [(shifted, None), (shifted, Ball(fractions([5]), Fraction(1)))]
    places += [(case.net, case.ball) for case, _ in random_cases()]
    every = [LonePath(net, path, ball) for net, ball in places for path in limit.paths(net.widths)]
    return [{PATH: place, Q: q} for place in every for q in (1, 2)]


@statement(
    "prop-path-alone",
    kind="proposition",
    title="A path alone",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-regions",),
    claims={"alone": sp.Eq(LONE(PATH, Q), ALIVE(PATH) * sp.Abs(WEIGHT_OF(PATH)))},
    cases=path_cases,
)
def path_alone(alone: sp.Eq) -> None:
    r"""For a path $P$ from an input to the last hidden layer let $w_P$ be the product of the weights along it
    and of its entry of $c$, and $L_q(P)$ the Lipschitz constant of the network that keeps the weights of $P$
    and no others. Call $P$ alive if all its units are active at once somewhere inside the ball. Then, for
    every $q$,

    $$<<alone>> .$$
    """
    # the gradient has one entry, +-w_P where all units of the path are active, and 0 elsewhere; the norm of a
    # vector with one entry is its absolute value, whatever q is
    w, zero = sp.Symbol("w", real=True), sp.Integer(0)
    for active in (0, 1):
        entry = w * active
        assert sp.Abs(entry) + zero == sp.sqrt(entry**2 + zero) == active * sp.Abs(w)
    assert alone.rhs == ALIVE(PATH) * sp.Abs(WEIGHT_OF(PATH))


def union_step(missed: sp.Expr, more: sp.Expr) -> sp.Expr:
    """Pr(at least one of some weights or of one more is kept), from both probabilities."""
    return 1 - (1 - missed) * (1 - more)


@statement(
    "thm-sparse-limit",
    kind="theorem",
    title="The sparse limit",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-regions", "lem-all-paths", "prop-path-alone"),
    claims={
        "open": sp.Eq(OPEN, sp.Product(KEEP[J], (J, 1, DEPTH - 1))),
        "quiet": sp.Eq(QUIET, sp.Product((1 - KEEP[J]) ** (SIZE[J] - 1), (J, 1, DEPTH - 1))),
        "enclosure": chain(
            OPEN * QUIET * LONE_SUM, sp.Le, MEAN_L[Q],
            sp.Le, OPEN * (QUIET * LONE_SUM + (1 - QUIET) * PATH_NORM),
        ),
        "limit": sp.Le(sp.Abs(MEAN_L[Q] - OPEN * LONE_SUM), OPEN * PATH_NORM * EXCESS),
    },
    cases=limit_cases,
)  # fmt: skip
def sparse_limit(open: sp.Eq, quiet: sp.Eq, enclosure: tuple[sp.Le, ...], limit: sp.Le) -> None:
    r"""Let each of the $N_j$ weights of layer $j$ be kept with probability $k_j = 1 - \alpha_j$,
    independently. For every ReLU network, with or without biases, on every ball and on $\mathbb{R}^n$, and
    $q \in \{1, 2\}$, let

    $$<<open>>, \qquad <<quiet>> .$$

    Then, with sums over all paths $P$ from an input to the last hidden layer,

    $$<<enclosure>>,$$

    $$<<limit>> .$$
    """
    # One path, alive or not: L(P) = live, |w_P| = live + rest. With probability k theta nothing but the path
    # is kept: then L = live. With probability k (1 - theta) it is kept with more: there L is at least 0, and,
    # as L is at most the sum of |w_P| over the open paths, at most |w_P| of it are put down to this one.
    live, rest, k = sp.symbols("live rest k", nonnegative=True)
    theta = 1 / (1 + sp.Symbol("t", nonnegative=True))
    part = sp.Symbol("part", nonnegative=True)  # what more than the path adds, between 0 and |w_P|
    mean = k * theta * live + k * (1 - theta) * part
    one = {OPEN: k, QUIET: theta, LONE_SUM: live, PATH_NORM: live + rest}
    low, high = enclosure[0].lhs.subs(one), enclosure[1].rhs.subs(one)
    assert sp.simplify(mean - low - k * (1 - theta) * part) == 0
    assert sp.simplify(high - mean - k * (1 - theta) * (live + rest - part)) == 0
    # the limit: both ends are within k (1 - theta) PN of k live
    assert sp.simplify(k * live - low).is_nonnegative
    assert sp.simplify(high - k * live).is_nonnegative
    for end in (low, high):
        for sign in (1, -1):
            assert sp.simplify(k * (1 - theta) * (live + rest) - sign * (end - k * live)).is_nonnegative
    # and 1 - theta = Pr(any of the other sum_j (N_j - 1) weights is kept) is at most the sum of their k_j
    missed, more = sp.symbols("missed more", nonnegative=True)
    assert sp.expand(missed + more - union_step(missed, more)) == missed * more
    size, keep = sp.Symbol("N", integer=True, positive=True), sp.Symbol("k_j", nonnegative=True)
    assert limit.rhs == OPEN * PATH_NORM * EXCESS
    assert EXCESS.body.subs({SIZE[J]: size, KEEP[J]: keep}) == (size - 1) * keep


SPARSE_COEFFICIENT = {
    name: sp.Symbol(rf"\lim_{{\alpha \to 1}} \mathbb{{E}} L_1^{{{name}}} / (1 - \alpha)^2", real=True)
    for name in (r"\mathbb{R}^2", "B")
}


def sparse_example_case() -> Case:
    """The lowest coefficients of both means in k = 1 - alpha, which is what the limits are."""
    case: dict[sp.Symbol, Any] = {PATH_NORM: path_norm(EXAMPLE)}
    for symbol, ball in zip(SPARSE_COEFFICIENT.values(), (None, EXAMPLE_BALL), strict=True):
        mean = polynomial(EXAMPLE, partial(lipschitz_power, ball=ball, q=1))
        by_order = sp.Poly(mean.subs(ALPHA, 1 - OPEN), OPEN).all_coeffs()[::-1]
        assert by_order[:2] == [0, 0]
        assert limit.lone_path_sum(EXAMPLE, ball) == by_order[2]
        case[symbol] = Fraction(int(by_order[2]))
    return case


@statement(
    "prop-sparse-example",
    kind="proposition",
    title="The sparse limit of the 2-2-2 network",
    source="this book",
    status="checked exactly on an example",
    uses=("prop-all-masks-example", "thm-sparse-limit"),
    claims={
        "plane": sp.Eq(SPARSE_COEFFICIENT[r"\mathbb{R}^2"], 26),
        "ball": sp.Eq(SPARSE_COEFFICIENT["B"], 14),
        "path_norm": sp.Eq(PATH_NORM, 37),
    },
    cases=lambda: [sparse_example_case()],
)
def sparse_example(**_: sp.Basic) -> None:
    r"""For the network of {prf:ref}`prop-all-masks-example`, on $\mathbb{R}^2$ and on the ball $B$,

    $$<<plane>>, \qquad <<ball>> .$$

    Theorem B has $<<path_norm>>$ in place of both.
    """
