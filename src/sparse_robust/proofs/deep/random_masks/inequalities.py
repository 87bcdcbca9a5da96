"""Three inequalities about expectations over masks, that is, over finitely many independent bits."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import sympy as sp
from sympy.logic.inference import satisfiable

from sparse_robust.proofs.formulas import OUTCOMES, Case, Mean, Pr
from sparse_robust.proofs.statement import statement

F, G, X, Y = sp.symbols("f g X Y", real=True)
N, EVENT, COUNT = sp.symbols("n i m", integer=True, positive=True)
ALIKE = sp.Symbol(r"f, g \text{ are alike}")
JOINT, SINGLE = sp.Symbol(r"\Pr(A_1 \cap \dots \cap A_m)", real=True), sp.IndexedBase(r"\Pr A", real=True)
ODDS = sp.Symbol("k", positive=True)
"""alpha = k / (1 + k) runs through (0, 1) as k runs through the positive numbers."""


Bits = tuple[int, ...]


def harris_case(f: Callable[[Bits], int], g: Callable[[Bits], int], alphas: list[Fraction]) -> Case:
    """Two functions of three bits, and the events that they do not exceed their values at some corner."""
    corners = list(product((0, 1), repeat=3))
    events = [[value(bits) <= value((0, 1, 0)) for bits in corners] for value in (f, g, f)]
    masses = [weight_of(bits, alphas) for bits in corners]
    ups = [{_direction(value, b, i) for b in corners for i in range(3)} - {0} for value in (f, g)]
    return {
        OUTCOMES: [(m, {F: f(b), G: g(b)}) for m, b in zip(masses, corners, strict=True)],
        ALIKE: any(all(up <= {sign} for up in ups) for sign in (1, -1)),
        COUNT: len(events),
        SINGLE: {i: _mass(masses, event) for i, event in enumerate(events, 1)},
        JOINT: _mass(masses, [all(each) for each in zip(*events, strict=True)]),
    }


def _mass(masses: list[Fraction], event: list[bool]) -> Fraction:
    return sum((m for m, happens in zip(masses, event, strict=True) if happens), Fraction(0))


def _direction(value: Callable[[Bits], int], bits: Bits, i: int) -> int:
    """The sign of what bit i adds, at the other bits."""
    low, high = ((*bits[:i], bit, *bits[i + 1 :]) for bit in (0, 1))
    return (value(high) > value(low)) - (value(high) < value(low))


def harris_cases() -> list[Case]:
    """Random pairs of nondecreasing functions, a constant one, and the same with the bits turned round."""
    rng, cases = random.Random(72), []
    for _ in range(8):
        f, g = (random_increasing(rng, 3) for _ in range(2))
        alphas = [Fraction(rng.randint(1, 9), 10) for _ in range(3)]
        cases.append(harris_case(f, g, alphas))
        cases.append(harris_case(lambda b, f=f: -f(b), lambda b, g=g: -g(b), alphas))  # type: ignore[misc]
    return [*cases, harris_case(lambda _: 1, sum, [Fraction(1, 2)] * 3)]


def opposed() -> Case:
    """A function that grows with its bit and one that falls."""
    return harris_case(lambda b: b[1], lambda b: 1 - b[1], [Fraction(1, 2)] * 3)


@statement(
    "lem-harris",
    kind="lemma",
    title="Harris' inequality",
    source="Harris 1960; the discrete form of Chebyshev's association inequality",
    status="kernel proved, glue argued",
    uses=("lem-expectation",),
    hypotheses={"alike": ALIKE},
    without={"alike": opposed},
    claims={
        "means": sp.Ge(Mean(F * G), Mean(F) * Mean(G)),
        "events": sp.Ge(JOINT, sp.Product(SINGLE[EVENT], (EVENT, 1, COUNT))),
    },
    cases=harris_cases,
)
def harris(means: sp.Ge, events: sp.Ge) -> None:
    r"""Let $f$ and $g$ be functions of finitely many independent bits. If both are nondecreasing in every
    bit, or both nonincreasing, $<<alike>>$, then $<<means>>$. In particular events that masking can only
    bring about satisfy $<<events>>$.
    """
    # One more bit, 1 with probability p: F_i, G_i are the means given that it is i, and F, G monotone; and
    # by induction E(fg | i) = F_i G_i + s_i with s_i >= 0. Without bits f and g are numbers and s = 0.
    p = ODDS / (1 + ODDS)
    low_f, low_g = sp.symbols("F0 G0", real=True)
    s0, s1, df, dg = sp.symbols("s0 s1 df dg", nonnegative=True)
    for sign in (1, -1):  # both nondecreasing, both nonincreasing
        high_f, high_g = low_f + sign * df, low_g + sign * dg
        gap = covariance(p, (low_f, high_f), (low_g, high_g), (s0, s1))
        assert sp.simplify(gap * (1 + ODDS) ** 2).expand().is_nonnegative
    # events are indicators; two events that masking brings about happen together as one more such event
    one, two, more_one, more_two = sp.symbols("A B A' B'")
    grow = sp.Implies(one, more_one) & sp.Implies(two, more_two)
    assert not satisfiable(grow & one & two & ~(more_one & more_two))
    assert means.rhs == Mean(F) * Mean(G)
    assert events.rhs.function == SINGLE[EVENT]


def covariance(
    p: sp.Expr, f: tuple[sp.Expr, sp.Expr], g: tuple[sp.Expr, sp.Expr], slack: tuple[sp.Expr, sp.Expr]
) -> sp.Expr:
    """E(fg) - E f E g from the conditional means given one bit, with E(fg | i) = f_i g_i + slack_i."""
    joint = p * (f[1] * g[1] + slack[1]) + (1 - p) * (f[0] * g[0] + slack[0])
    return sp.expand(joint - (p * f[1] + (1 - p) * f[0]) * (p * g[1] + (1 - p) * g[0]))


def random_increasing(rng: random.Random, bits: int) -> Callable[[tuple[int, ...]], int]:
    """A random nondecreasing function of bits: it counts, with weights, the corners that lie below."""
    corners = [(rng.randint(1, 5), tuple(rng.randint(0, 1) for _ in range(bits))) for _ in range(3)]
    return lambda b: sum(v for v, c in corners if all(x >= y for x, y in zip(b, c, strict=True)))


def weight_of(bits: tuple[int, ...], alphas: list[Fraction]) -> Fraction:
    """The probability of these bits, bit i being 0 with probability alpha_i."""
    weight = Fraction(1)
    for bit, alpha in zip(bits, alphas, strict=True):
        weight *= 1 - alpha if bit else alpha
    return weight


def tangent(t: sp.Expr, at: sp.Expr, n: sp.Expr) -> sp.Expr:
    """The tangent of t^n at a point."""
    return at**n + n * at ** (n - 1) * (t - at)


def on_values(masses: list[Fraction], rows: list[tuple[int, int]], n: int = 2) -> Case:
    """Two variables with finitely many values."""
    whole = sum(masses)
    outcomes = [(m / whole, {X: Fraction(x), Y: Fraction(y)}) for m, (x, y) in zip(masses, rows, strict=True)]
    return {OUTCOMES: outcomes, N: n}


def value_cases() -> list[Case]:
    """Random variables, and constant ones, for which the inequalities are equalities."""
    rng = random.Random(74)
    cases = [on_values([Fraction(1)], [(3, 3)], n) for n in (1, 3)]
    for n in range(1, 6):
        masses = [Fraction(rng.randint(1, 9)) for _ in range(4)]
        rows = [(rng.randint(0, 6), rng.randint(-6, 6)) for _ in masses]
        cases += [on_values(masses, rows, n), on_values(masses, [(y, x) for x, y in rows], n)]
    return [*cases, on_values([Fraction(1), Fraction(2)], [(4, 1), (0, 0)])]


def negative_value() -> Case:
    """A variable with the values -2 and 1, and its third power."""
    return on_values([Fraction(1)] * 2, [(-2, 0), (1, 0)], 3)


@statement(
    "lem-jensen-power",
    kind="lemma",
    title="Jensen's inequality for powers",
    source="folklore",
    status="kernel proved, glue argued",
    uses=("lem-expectation",),
    hypotheses={"nonnegative": sp.Eq(Pr(sp.Ge(X, 0)), 1)},
    without={"nonnegative": negative_value},
    claims={"jensen": sp.Ge(Mean(X**N), Mean(X) ** N)},
    cases=value_cases,
)
def jensen_power(jensen: sp.Ge) -> None:
    r"""For a variable $X$ with finitely many values and $<<nonnegative>>$, and every integer $n \ge 1$,
    $<<jensen>>$.
    """
    t, m = sp.symbols("t m", positive=True)
    n = 1 + sp.Symbol("n", nonnegative=True)
    gap = t**n - tangent(t, m, n)  # above its tangent at the mean m:
    assert sp.simplify(sp.diff(gap, t, 2)).is_nonnegative  # convex in t, so that
    assert sp.simplify(sp.diff(gap, t).subs(t, m)) == 0  # its stationary point t = m is a minimum,
    assert sp.simplify(gap.subs(t, m)) == 0  # which is 0; at t = 0 by continuity
    # and the tangent, averaged, is m^n because E(X - m) = 0
    assert jensen.rhs == Mean(X) ** N
    assert sp.expand(tangent(t, m, n) - m**n - n * m ** (n - 1) * (t - m)) == 0


def weighted(p: sp.Expr, value: sp.Expr) -> sp.Expr:
    """The entry of the vector that stands for a variable: its value, times the root of its probability."""
    return sp.sqrt(p) * value


@statement(
    "lem-second-moment",
    kind="lemma",
    title="Means below root mean squares",
    source="folklore",
    status="proved",
    uses=(
        "lem-cauchy-schwarz",
        "lem-expectation",
    ),
    claims={
        "product": sp.Le(Mean(X * Y) ** 2, Mean(X**2) * Mean(Y**2)),
        "square": sp.Le(Mean(X) ** 2, Mean(X**2)),
        "nonzero": sp.Le(Mean(X) ** 2, Mean(X**2) * Pr(sp.Ne(X, 0))),
    },
    cases=value_cases,
)
def second_moment(product: sp.Le, square: sp.Le, nonzero: sp.Le) -> None:
    r"""For variables with finitely many values, $<<product>>$. In particular $<<square>>$, and
    $<<nonzero>>$.
    """
    p, x, y = sp.Symbol("p", positive=True), sp.Symbol("x", real=True), sp.Symbol("y", real=True)
    # Cauchy and Schwarz for the vectors with entries sqrt(p) x and sqrt(p) y
    assert weighted(p, x) * weighted(p, y) - p * x * y == 0
    assert weighted(p, x) ** 2 - p * x**2 == 0
    # Y = 1, of mean 1; and Y = 1[X != 0], for which X Y = X, and Y^2 = Y has the mean Pr(X != 0)
    assert product.rhs.subs(Y, 1).subs(Mean(1), 1) == square.rhs
    assert product.lhs.subs(Y, 1) == square.lhs == nonzero.lhs
    for alive in (0, 1):
        assert alive**2 == alive
    assert nonzero.rhs == product.rhs.subs(Mean(Y**2), Pr(sp.Ne(X, 0)))
