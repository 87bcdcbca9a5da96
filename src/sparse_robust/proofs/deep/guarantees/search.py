"""How the best radius is searched for: by bisection, from below, and for each rival by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import inf

import sympy as sp

from sparse_robust.proofs.formulas import Case, Every, Least, operator
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.certificates import best_certificate, certificate, network_certificate
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.networks import Array, ReluNet
from sparse_robust.theory.regions import Ball

from .errata import MARGIN
from .paper import EIGHT, RIVAL, K, R, local_gamma, random_nets
from .radius import EXAMPLES, FINE, JUMP, LATE, SINKING, SMALL_JUMP, STAR, Steps, fallback, worst

UPPER_L, EXACT_L, RADIUS = sp.Symbol(r"\hat L"), sp.Symbol("L"), sp.Symbol("r", positive=True)
LOW, HIGH, NEXT_LOW, NEXT_HIGH = sp.symbols(r"\ell u \ell' u'", real=True)
HIGHEST = sp.Symbol(r"\sup_{r \le u_0} \min\{m / \hat L(r), r\}", real=True)
AT = operator("At", "{0}({1})", lambda steps, r: steps(r), real=True)
GROWS = operator(
    "Grows",
    r"{0} \text{{ is nondecreasing}}",
    lambda steps: steps.grows,
    base=sp.logic.boolalg.BooleanFunction,
)
RATIO = MARGIN / AT(UPPER_L, R)


def trials(margin: Fraction, upper: Steps, exact: Steps, end: Fraction) -> Iterator[Case]:
    """Every trial that the code makes: the radii come from it, and what is known after each from its rule."""
    tried: list[Fraction] = []

    def bound(radius: Fraction) -> list[Fraction]:
        tried.append(radius)
        return [upper(radius)]

    best_certificate([margin], bound, end, tolerance=FINE)
    certified = [certificate([margin], [upper(r)], r) for r in tried]
    highs = [
        min([end, *(r for r, c in zip(tried[:i], certified, strict=False) if c < r)])
        for i in range(len(tried) + 1)
    ]
    for i in range(1, len(tried)):
        yield {
            MARGIN: margin,
            UPPER_L: upper,
            EXACT_L: exact,
            RADIUS: [Fraction(k, 2) for k in range(1, 2 * int(EIGHT) + 1)],
            R: tried[i],
            LOW: max(certified[:i]),
            NEXT_LOW: max(certified[: i + 1]),
            HIGH: highs[i],
            NEXT_HIGH: highs[i + 1],
            STAR: exact.best(margin),
            HIGHEST: upper.highest(margin, end),
        }


def trial_cases() -> list[Case]:
    """Exact constants, upper bounds, bounds with a dip; one trial that ends at its own certificate."""
    level = Steps(((Fraction(1), Fraction(1)), (EIGHT, Fraction(4))))
    stairs = Steps(tuple((Fraction(2**k), Fraction(2**k)) for k in range(4)))
    cases = [*trials(Fraction(1), level, level, Fraction(7, 4)), *trials(Fraction(4), stairs, stairs, EIGHT)]
    for margin, steps in EXAMPLES:
        cases += trials(margin, steps, steps, EIGHT)
    cases += trials(Fraction(4), LATE, SMALL_JUMP, EIGHT)
    steep, gentle = Fraction(100), Fraction(2, 5)
    dip = Steps(((Fraction(5), steep), (Fraction(7), gentle), (EIGHT, steep)))
    return [*cases, *trials(Fraction(4), dip, Steps(((EIGHT, gentle),)), EIGHT)]


def too_small() -> Case:
    """A "bound" of 1 where the constant is 10."""
    *_, last = trials(Fraction(4), LATE, JUMP, EIGHT)
    return last


@statement(
    "prop-bisection",
    kind="proposition",
    title="Bisection, from below",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-regions", "prop-3-1", "prop-best-radius"),
    hypotheses={"upper": Every(sp.Ge(AT(UPPER_L, RADIUS), AT(EXACT_L, RADIUS)), RADIUS)},
    without={"upper": too_small},
    claims={
        "middle": sp.Eq(R, (LOW + HIGH) / 2),
        "low": sp.Eq(NEXT_LOW, sp.Max(LOW, sp.Min(RATIO, R))),
        "cut": sp.Implies(sp.Lt(RATIO, R), sp.Eq(NEXT_HIGH, R)),
        "keep": sp.Implies(sp.Ge(RATIO, R), sp.Eq(NEXT_HIGH, HIGH)),
        "certified": sp.Le(NEXT_LOW, STAR),
        "above": sp.Implies(GROWS(UPPER_L), sp.Le(HIGHEST, NEXT_HIGH)),
        "halves": sp.Le(NEXT_HIGH - NEXT_LOW, (HIGH - LOW) / 2),
    },
    cases=trial_cases,
)
def bisection(middle: sp.Eq, halves: sp.Le, **_: sp.Basic) -> None:
    r"""Let $\hat L$ be any upper bounds, $<<upper>>$. Keep $\ell$, the largest of the values
    $\min\{m / \hat L(r), r\}$ at the radii $r$ tried so far, and $u$, at first $u_0$, the largest radius of
    interest, which is tried first. Try $<<middle>>$, and go on with

    $$<<low>>, \qquad <<cut>>, \qquad <<keep>> .$$

    At every moment $\ell$ is a certified radius, $<<certified>>$, whatever $\hat L$ does elsewhere. No radius
    up to $u_0$ has a certificate above the present $u$ if $\hat L$ grows: $<<above>>$. Each trial at least
    halves the gap: $<<halves>>$.
    """
    low, gap, raised = sp.symbols("l g e", nonnegative=True)
    radius = middle.rhs.subs({LOW: low, HIGH: low + gap})
    for after_low, after_high in ((radius, low + gap), (low + raised, radius)):  # certified, or u = R
        sides = {LOW: low, HIGH: low + gap, NEXT_LOW: after_low, NEXT_HIGH: after_high}
        assert sp.expand((halves.rhs - halves.lhs).subs(sides)).is_nonnegative
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


L_OF, STAR_OF = sp.IndexedBase("L"), sp.IndexedBase(r"\gamma^*", real=True)
JOINT = sp.Symbol(r"\sup_{R > 0} \min\Bigl\{\min_{k \ne \hat y} \frac{m_k}{L_k(R)}, R\Bigr\}", real=True)


def rivals_case(*rivals: tuple[Fraction, Steps]) -> Case:
    """The best radius against all rivals, piece by piece of their common steps, and against each alone."""
    ends = sorted({end for _, steps in rivals for end, _ in steps.pieces})
    return {
        K: range(len(rivals)),
        L_OF: dict(enumerate(steps for _, steps in rivals)),
        STAR_OF: dict(enumerate(steps.best(margin) for margin, steps in rivals)),
        JOINT: max(min(end, *(margin / steps(end) for margin, steps in rivals)) for end in ends),
    }


def rivals_cases() -> list[Case]:
    """Pairs of the examples, and all of them at once."""
    return [*(rivals_case(*pair) for pair in pairwise(EXAMPLES)), rivals_case(*EXAMPLES)]


def sinking_rival() -> Case:
    """A constant that is smaller on larger balls certifies more there than gamma*."""
    return rivals_case((Fraction(99, 10), SINKING), EXAMPLES[0])


@statement(
    "prop-gamma-rivals",
    kind="proposition",
    title="Each rival may have a radius of its own",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-regions", "prop-best-radius"),
    hypotheses={"grow": Every(GROWS(L_OF[K]), K, RIVAL(K))},
    without={"grow": sinking_rival},
    claims={"each": sp.Eq(JOINT, Least(STAR_OF[K], K, RIVAL(K)))},
    cases=rivals_cases,
)
def gamma_rivals(each: sp.Eq) -> None:
    r"""Let $<<grow>>$, and let $\gamma_k^*$ be the best radius against rival $k$ alone
    ({prf:ref}`prop-best-radius`). Then

    $$<<each>>,$$

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
    assert each.rhs.written_out((0, 1)) == sp.Min(STAR_OF[0], STAR_OF[1])
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
