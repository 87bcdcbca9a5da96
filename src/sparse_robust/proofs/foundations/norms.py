"""Norms, dual norms and the distance to a linear boundary: the mathematics behind every linear attack.

Statements about sums over n coordinates are proved coordinate by coordinate, for every n at once: a sum
of nonnegative terms is nonnegative, and zero only if every term is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Every, Iff, Largest, chain
from sparse_robust.proofs.statement import statement

from .notation import (
    DUAL,
    ENTRY,
    EPS,
    FINITE_DUAL,
    INDEX,
    INNER,
    NORM,
    STEP,
    P,
    Q,
    U,
    V,
    array,
    corners,
    fractions,
    p_norm,
)

Step = Callable[[sp.Expr, sp.Expr], sp.Expr]

POSITIVE, NEGATIVE = sp.Symbol("w", positive=True), sp.Symbol("w", negative=True)
SIGN_BRANCHES: tuple[sp.Expr, ...] = (POSITIVE, sp.Integer(0), NEGATIVE)
"""Every real number, as three symbols whose sign sympy knows."""


def young_gap(a: sp.Expr, b: sp.Expr, p: sp.Expr) -> sp.Expr:
    """a^p / p + b^q / q - a b with 1/p + 1/q = 1."""
    q = p / (p - 1)
    return a**p / p + b**q / q - a * b


def steepest(u: sp.Expr, q: sp.Expr) -> sp.Expr:
    """Coordinate of the steepest direction, sgn(u) |u|^(q-1), not yet scaled to the length wanted."""
    return sp.sign(u) * sp.Abs(u) ** (q - 1)


def assert_steepest(step: Step) -> None:
    """``step`` has the length asked for and gains eps ||u||_q, whatever 1 < p < infinity."""
    p = 1 + sp.Symbol("s", positive=True)
    q = p / (p - 1)
    eps, total = sp.symbols("epsilon S", positive=True)  # total = sum_i |u_i|^q
    for u in (sp.Symbol("u", positive=True), sp.Symbol("u", negative=True)):
        scaled = eps * step(u, q) / total ** ((q - 1) / q)
        # the term of ||v||_p^p is the term of total times a common factor, so that the sum is eps^p
        term = sp.Abs(scaled) ** p / (eps**p * sp.Abs(u) ** q / total)
        assert sp.simplify(sp.expand_log(sp.log(term), force=True)) == 0
        # so is the term of u.v, with factor eps total^(1/q) / total
        gain = u * scaled / (sp.Abs(u) ** q * eps * total ** (1 / q) / total)
        assert sp.simplify(gain) == 1


SIDE_A, SIDE_B = sp.symbols("a b", real=True)


def young_case(a: int, b: int, p: int, q: sp.Rational) -> Case:
    """Two numbers and two exponents."""
    return {SIDE_A: sp.Integer(a), SIDE_B: sp.Integer(b), P: sp.Integer(p), Q: q}


def young_cases() -> Iterator[Case]:
    """Numbers with a^p = b^q and others, for dual exponents."""
    for p in (2, 3, 4):
        for a, b in ((1, 1), (2, 2 ** (p - 1)), (3, 1), (1, 5)):
            yield young_case(a, b, p, sp.Rational(p, p - 1))


@statement(
    "lem-young",
    kind="lemma",
    title="Young's inequality",
    source="folklore",
    status="proved",
    hypotheses={
        "positive": sp.And(SIDE_A > 0, SIDE_B > 0),
        "above": sp.And(P > 0, Q > 0),
        "dual": DUAL,
    },
    claims={"young": SIDE_A * SIDE_B <= SIDE_A**P / P + SIDE_B**Q / Q},
    cases=young_cases,
    without={
        "positive": lambda: young_case(-3, 1, 3, sp.Rational(3, 2)),
        "above": lambda: young_case(2, 2, -1, sp.Rational(1, 2)),
        "dual": lambda: young_case(1, 1, 2, sp.Integer(3)),
    },
)
def young(young: sp.Le) -> None:
    r"""If $<<positive>>$, $<<above>>$ and $<<dual>>$, then $<<young>>$, with equality only where
    $a^p = b^q$.
    """
    a, b, s = sp.symbols("a b s", positive=True)  # p = 1 + s is every p above 1
    gap = young_gap(a, b, 1 + s)
    named = {SIDE_A: a, SIDE_B: b, P: 1 + s, Q: (1 + s) / s}
    assert sp.simplify((young.rhs - young.lhs).subs(named) - gap) == 0
    assert isinstance(young, sp.Le)
    lowest = b ** (1 / s)
    assert sp.simplify(sp.diff(gap, a, 2)).is_positive  # strictly convex in a, so that
    assert sp.simplify(sp.diff(gap, a).subs(a, lowest)) == 0  # its one stationary point is the minimum,
    assert sp.simplify(gap.subs(a, lowest)) == 0  # which is zero
    p = 1 + s
    assert sp.simplify(lowest**p - b ** (p / (p - 1))) == 0  # and lies where a^p = b^q


ACTIVE = sp.Ne(ENTRY(U, INDEX), 0)
STEEPEST = sp.sign(ENTRY(U, INDEX)) * sp.Abs(ENTRY(U, INDEX)) ** (Q - 1)
"""Coordinate i of the steepest direction against u."""


def dual_exponent(p: sp.Expr) -> sp.Expr:
    """1 for p = infinity, else p / (p - 1)."""
    return sp.Integer(1) if p == sp.oo else p / (p - 1)


def hoelder_case(p: sp.Expr, u: np.ndarray, v: np.ndarray, q: sp.Expr | None = None) -> Case:
    """Two vectors and dual exponents."""
    return {P: p, Q: q or dual_exponent(p), U: u, V: v, INDEX: range(len(u))}


def hoelder_cases() -> Iterator[Case]:
    """Equality, in both signs and with entries of zero, and strict inequality, for three exponents."""
    equal = {
        sp.oo: ((2, -3, 0), (5, -5, 4)),
        sp.Integer(2): ((2, -3, 0), (4, -6, 0)),
        sp.Integer(3): ((4, -9, 0), (2, -3, 0)),
    }
    for p, pair in equal.items():
        u, v = (fractions(*entries) for entries in pair)
        yield from (hoelder_case(p, u, w) for w in (v, -v, 0 * v, fractions(1, 0, 0), fractions(0, 0, 1)))
        yield hoelder_case(p, 0 * u, v)


@statement(
    "lem-hoelder",
    kind="lemma",
    title="Hölder's inequality and its equality cases",
    source="folklore",
    status="proved",
    uses=("lem-young",),
    hypotheses={"finite": FINITE_DUAL, "dual": DUAL},
    claims={
        "hoelder": sp.Abs(INNER(U, V)) <= NORM(U, Q) * NORM(V, P),
        "equality": Iff(
            sp.Eq(INNER(U, V), NORM(U, Q) * NORM(V, P)),
            Every(sp.Eq(NORM(U, Q) ** (Q - 1) * ENTRY(V, INDEX), NORM(V, P) * STEEPEST), INDEX, ACTIVE),
        ),
    },
    cases=hoelder_cases,
    without={
        "finite": lambda: hoelder_case(sp.Rational(1, 2), fractions(1, 4), fractions(1, 1)),
        "dual": lambda: hoelder_case(sp.Integer(2), fractions(1, 1), fractions(1, 1), q=sp.Integer(3)),
    },
)
def hoelder(hoelder: sp.Le, equality: Iff) -> None:
    r"""For every $n$, $u, v \in \mathbb{R}^n$ and dual exponents, $<<dual>>$ with $<<finite>>$ (and for
    $p = 1$, if $u$ and $v$ change places),

    $$<<hoelder>> .$$

    Moreover $$<<equality>> .$$ For $p = \infty$ the right side says that
    $v_i = \lVert v \rVert_\infty\, \mathrm{sgn}(u_i)$ wherever $u_i \ne 0$.
    """
    assert isinstance(hoelder, sp.Le)
    assert (equality.args[0].lhs, hoelder.lhs.args[0]) == (INNER(U, V),) * 2
    assert equality.args[0].rhs == hoelder.rhs
    # p = infinity (and p = 1, with u and v exchanged): with |v_i| <= M, the terms of M ||u||_1 - u.v
    M, s = sp.symbols("M s", nonnegative=True)
    for u in SIGN_BRANCHES:
        nearest = M - s if u is POSITIVE else -M + s  # v_i, by its distance s from M sgn(u_i)
        excess = sp.expand(M * sp.Abs(u) - u * nearest)
        assert excess.is_nonnegative
        assert excess == sp.expand(sp.Abs(u) * s)  # zero only if u_i = 0 or s = 0
    # 1 < p < infinity: Young's gaps for a = |v_i| / V and b = |u_i| / U, V = ||v||_p and U = ||u||_q, at
    # least 0 each (and for a = 0 or b = 0 too), add up to 1 - sum_i |u_i v_i| / (U V), for every n
    p = 1 + sp.Symbol("s", positive=True)
    q = p / (p - 1)
    a, b, size_u, size_v = sp.symbols("a b U V", positive=True)
    sums = {a**p: size_v**p, b**q: size_u**q, a * b: sp.Symbol("S", nonnegative=True)}  # over all coordinates
    added = sp.Integer(0)
    for term in map(sp.expand_power_base, sp.Add.make_args(young_gap(a / size_v, b / size_u, p))):
        (power,) = (power for power in sums if not sp.simplify(term / power).has(a, b))
        added += sp.simplify(term / power) * sums[power]
    assert sp.simplify(added - (1 - sums[a * b] / (size_u * size_v))) == 0
    assert young_gap(sp.Integer(0), b, p) == b**q / q
    assert young_gap(a, sp.Integer(0), p) == a**p / p
    assert sp.simplify(young_gap(b ** (q - 1), b, p)) == 0  # a = b^(q-1) is the equality case


def steepest_case(p: sp.Expr, u: np.ndarray, at: int = 0, eps: object = 2) -> Case:
    """The steepest step against u among other vectors, some of which are too long."""
    q, radius = dual_exponent(p), sp.sympify(eps)
    size = p_norm(u, q) ** (q - 1) if any(u) else sp.Integer(1)
    step = array(radius * steepest(sp.sympify(x), q) / size for x in u)
    others = [-step, 2 * step, step / 2, 0 * step, *(c for c in corners(len(u), radius) if p == sp.oo)]
    ends = [radius * array(int(i == j) for j in range(len(u))) for i in range(len(u))]
    candidates = (step, *others, *ends)
    return {P: p, Q: q, U: u, EPS: radius, STEP: step, V: candidates, INDEX: at}


def steepest_cases() -> Iterator[Case]:
    """Three exponents, every coordinate, and the radius 0."""
    for p, u in ((sp.oo, (2, -3, 0)), (sp.Integer(2), (3, -4, 0)), (sp.Integer(3), (4, -9, 0))):
        yield from (steepest_case(p, fractions(*u), at) for at in range(len(u)))
    yield steepest_case(sp.oo, fractions(2, -3), eps=0)


@statement(
    "prop-dual-norm",
    kind="proposition",
    title="The steepest step, and the dual norm",
    source="folklore",
    status="proved",
    uses=("lem-hoelder",),
    hypotheses={"nonzero": sp.Ne(U, 0), "finite": FINITE_DUAL, "dual": DUAL},
    claims={
        "maximum": chain(
            Largest(INNER(U, V), V, NORM(V, P) <= EPS), sp.Eq, EPS * NORM(U, Q), sp.Eq, INNER(U, STEP)
        ),
        "coordinate": sp.Eq(ENTRY(STEP, INDEX), EPS * STEEPEST / NORM(U, Q) ** (Q - 1)),
        "length": sp.Eq(NORM(STEP, P), EPS),
    },
    cases=steepest_cases,
    without={
        "nonzero": lambda: steepest_case(sp.Integer(2), fractions(0, 0), at=0),
        "finite": lambda: {
            **steepest_case(sp.Integer(2), fractions(1, 4), at=0),
            P: sp.Rational(1, 2),
            Q: -1,
        },
        "dual": lambda: {**steepest_case(sp.Integer(2), fractions(3, 4), at=0), Q: sp.Integer(3)},
    },
)
def dual_norm(maximum: tuple[sp.Eq, ...], coordinate: sp.Eq, length: sp.Eq) -> None:
    r"""Let $\epsilon \ge 0$, $<<nonzero>>$ and $<<dual>>$ with $<<finite>>$. Then

    $$<<maximum>>, \qquad\text{where}\qquad <<coordinate>>$$

    has the length $<<length>>$: $\delta^* = \epsilon\,\mathrm{sgn}(u)$ for $p = \infty$ and
    $\delta^* = \epsilon u / \lVert u \rVert_2$ for $p = 2$.
    """
    one = sp.Symbol("u", real=True, nonzero=True)
    named = {ENTRY(U, INDEX): one, NORM(U, Q): sp.Symbol("N", positive=True)}
    direction = (coordinate.rhs * NORM(U, Q) ** (Q - 1) / EPS).subs(named)
    assert sp.simplify(direction - steepest(one, Q)) == 0
    assert (length.rhs, maximum[1].rhs) == (EPS, INNER(U, STEP))
    assert_steepest(steepest)
    eps = sp.Symbol("epsilon", positive=True)
    for u in SIGN_BRANCHES:
        assert sp.expand(u * eps * sp.sign(u) - eps * sp.Abs(u)) == 0  # p = infinity, q = 1
    u = sp.Symbol("u", real=True, nonzero=True)
    assert sp.simplify(steepest(u, sp.Integer(1)) - sp.sign(u)) == 0
    assert sp.simplify(steepest(u, sp.Integer(2)) - u) == 0
