"""Three inequalities about expectations over masks, that is, over finitely many independent bits."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import sympy as sp

from sparse_robust.proofs.statement import statement

ODDS = sp.Symbol("k", positive=True)
"""alpha = k / (1 + k) runs through (0, 1) as k runs through the positive numbers."""


@statement(
    "lem-harris",
    kind="lemma",
    title="Harris' inequality",
    source="Harris 1960; the discrete form of Chebyshev's association inequality",
    status="kernel proved, glue argued",
    uses=("lem-expectation",),
)
def harris() -> None:
    r"""Let $f$ and $g$ be functions of finitely many independent bits, both nondecreasing in every bit, or
    both nonincreasing. Then $\mathbb{E}(fg) \ge \mathbb{E}f\;\mathbb{E}g$. In particular events that
    masking can only bring about satisfy $\Pr(A_1 \cap \dots \cap A_m) \ge \Pr(A_1) \cdots \Pr(A_m)$.
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
    rng = random.Random(72)
    for _ in range(20):  # nondecreasing functions of three bits, as sums of indicators of up-sets
        f, g = (random_increasing(rng, 3) for _ in range(2))
        alphas = [Fraction(rng.randint(1, 9), 10) for _ in range(3)]
        mean = {
            name: sum(value(bits) * weight_of(bits, alphas) for bits in product((0, 1), repeat=3))
            for name, value in (("f", f), ("g", g), ("fg", lambda b, f=f, g=g: f(b) * g(b)))
        }
        assert mean["fg"] >= mean["f"] * mean["g"]


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


@statement(
    "lem-jensen-power",
    kind="lemma",
    title="Jensen's inequality for powers",
    source="folklore",
    status="kernel proved, glue argued",
    uses=("lem-expectation",),
)
def jensen_power() -> None:
    r"""For a variable $X \ge 0$ with finitely many values and every integer $n \ge 1$,
    $\mathbb{E}(X^n) \ge (\mathbb{E}X)^n$.
    """
    t, m = sp.symbols("t m", positive=True)
    n = 1 + sp.Symbol("n", nonnegative=True)
    gap = t**n - tangent(t, m, n)  # above its tangent at the mean m:
    assert sp.simplify(sp.diff(gap, t, 2)).is_nonnegative  # convex in t, so that
    assert sp.simplify(sp.diff(gap, t).subs(t, m)) == 0  # its stationary point t = m is a minimum,
    assert sp.simplify(gap.subs(t, m)) == 0  # which is 0; at t = 0 by continuity
    # and the tangent, averaged, is m^n because E(X - m) = 0


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
)
def second_moment() -> None:
    r"""For variables with finitely many values, $(\mathbb{E} XY)^2 \le \mathbb{E} X^2\; \mathbb{E} Y^2$. In
    particular $(\mathbb{E} X)^2 \le \mathbb{E} X^2$, and $(\mathbb{E} X)^2 \le \mathbb{E} X^2 \Pr(X \ne 0)$.
    """
    p, x, y = sp.Symbol("p", positive=True), sp.Symbol("x", real=True), sp.Symbol("y", real=True)
    # Cauchy and Schwarz for the vectors with entries sqrt(p) x and sqrt(p) y
    assert weighted(p, x) * weighted(p, y) - p * x * y == 0
    assert weighted(p, x) ** 2 - p * x**2 == 0
    for alive in (0, 1):  # X = X 1[X != 0], and the square of an indicator is itself
        assert alive**2 == alive
    rng = random.Random(74)
    for _ in range(20):
        masses = [Fraction(rng.randint(1, 9)) for _ in range(5)]
        values = [Fraction(rng.randint(-6, 6)) for _ in masses]
        mean, square, nonzero = (
            sum(m * f(v) for m, v in zip(masses, values, strict=True)) / sum(masses)
            for f in (Fraction, lambda v: v**2, lambda v: Fraction(v != 0))
        )
        assert mean**2 <= square * nonzero
