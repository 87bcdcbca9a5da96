"""What a Monte Carlo estimate over masks may claim."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from math import comb
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import OUTCOMES, Case, Mean, Pr, chain, evaluate, root
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.mask_bounds import path_norm, path_norm_bound, path_norm_variance
from sparse_robust.theory.mask_derivatives import probability
from sparse_robust.theory.mask_enumeration import Masks, all_masks, expectation, kept_sums, mask_shapes
from sparse_robust.theory.mask_sampling import bernstein_half_width, draw_masks, mean_over_masks
from sparse_robust.theory.networks import ReluNet, float_net

from .cases import EXAMPLE, random_cases

PROBABILITY = 1 / 20
"""Of the coin in the coverage check: rare and large values are what defeats intervals."""


def beyond_level(variance: sp.Expr, gap: sp.Expr) -> sp.Expr:
    """The bound for E max(X - T, 0), T = E X + gap."""
    return variance / (4 * gap)


X, NORM = sp.Symbol("X", real=True), sp.Symbol(r"\mathrm{PN}", real=True)
LEVEL, MU, VAR = sp.symbols(r"T \mu \mathrm{Var}X", real=True)
B, TAU = sp.symbols(r"b \tau", real=True)


def level_case(outcomes: list[tuple[Fraction, Fraction]], step: Fraction) -> Case:
    """A variable with finitely many values, and a level that lies so far above its mean."""
    mean = sum(p * x for p, x in outcomes)
    return {
        OUTCOMES: [(p, {X: x}) for p, x in outcomes],
        MU: mean,
        LEVEL: mean + step,
        VAR: sum(p * (x - mean) ** 2 for p, x in outcomes),
    }


def level_cases() -> list[Case]:
    """Masked path norms, and a rare large value, for which the bound is attained in the limit."""
    rare = Fraction(1, 200)
    at_two_steps = [(rare, Fraction(2)), (1 - rare, -2 * rare / (1 - rare))]
    cases = [level_case(at_two_steps, step) for step in (Fraction(1), Fraction(0), Fraction(3))]
    for case, grid in random_cases()[::3]:
        every = [(m, path_norm(case.net.masked(m))) for m in all_masks(case.shapes)]
        outcomes = [(probability(m, grid[0]), Fraction(norm)) for m, norm in every]
        cases += [level_case(outcomes, step) for step in (Fraction(1, 2), Fraction(3))]
    return cases


def below_the_mean() -> Case:
    """A level below the mean of a fair coin."""
    return level_case([(Fraction(1, 2), Fraction(0)), (Fraction(1, 2), Fraction(1))], Fraction(-1, 20))


@statement(
    "lem-mean-beyond",
    kind="lemma",
    title="How much of a mean lies beyond a level",
    source="this book; Scarf 1958 has the sharp form",
    status="proved",
    uses=(
        "lem-expectation",
        "thm-b-path-norm",
        "thm-c-second-moment",
    ),
    hypotheses={"above": sp.Gt(LEVEL, MU)},
    without={"above": below_the_mean},
    claims={"beyond": sp.Le(Mean(sp.Max(X - LEVEL, 0)), VAR / (4 * (LEVEL - MU)))},
    cases=level_cases,
)
def mean_beyond(beyond: sp.Le) -> None:
    r"""For $X$ with mean $\mu$ and finite variance, and $<<above>>$,

    $$<<beyond>> .$$

    For the masked path norm, mean and variance are known exactly ({prf:ref}`thm-b-path-norm`,
    {prf:ref}`thm-c-second-moment`).
    """
    y, gap = sp.Symbol("y", real=True), sp.Symbol("g", positive=True)  # y = X - mu
    below = beyond_level(y**2, gap)  # at least 0, and at least y - g:
    assert sp.factor(below - (y - gap)) == (y - 2 * gap) ** 2 / (4 * gap)
    assert below.is_nonnegative
    assert sp.simplify(beyond.rhs - beyond_level(VAR, LEVEL - MU)) == 0


COUNT, DELTA, RANGE = sp.symbols(r"n \delta s", real=True)
SAMPLE_MEAN, SAMPLE_VARIANCE = sp.Symbol(r"\bar X", real=True), sp.Symbol("V", real=True)
EXPECTED = sp.Symbol(r"\mathbb{E} X", real=True)
HALF_WIDTH = root(2 * SAMPLE_VARIANCE * sp.log(4 / DELTA) / COUNT) + 7 * RANGE * sp.log(4 / DELTA) / (
    3 * (COUNT - 1)
)


def coin_case(n: int, share: float, delta: float, size: float = 1.0) -> Case:
    """All samples of n coins that show ``size`` or 0, by how many show ``size``."""
    outcomes = []
    for k in range(n + 1):
        mean, variance = size * k / n, size**2 * k * (n - k) / (n * (n - 1))
        mass = comb(n, k) * Fraction(share) ** k * (1 - Fraction(share)) ** (n - k)
        outcomes.append((mass, {SAMPLE_MEAN: mean, SAMPLE_VARIANCE: variance}))
    return {OUTCOMES: outcomes, COUNT: n, DELTA: delta, RANGE: size, EXPECTED: size * share}


def coin_cases() -> list[Case]:
    """A coin that is constant, one that shows rarely what it can, many small ones; a high confidence."""
    return [
        coin_case(2, 0.0, 0.5, size=0.0),
        coin_case(10, 0.2, 0.05),
        coin_case(10, 0.5, 0.005),
        coin_case(400, 0.5, 0.5, size=0.01),
    ]


@statement(
    "lem-empirical-bernstein",
    kind="lemma",
    title="The empirical Bernstein interval",
    source="Maurer and Pontil 2009, theorem 4",
    status="cited",
    claims={"coverage": sp.Ge(Pr(sp.Abs(EXPECTED - SAMPLE_MEAN) <= HALF_WIDTH), 1 - DELTA)},
    cases=coin_cases,
)
def empirical_bernstein(coverage: sp.Ge) -> None:
    r"""Let $X_1, \dots, X_n$, $n \ge 2$, be independent copies of a variable with values in an interval of
    length $s$, with sample mean $\bar X$ and sample variance $V$. For $0 < \delta < 1$

    $$<<coverage>> .$$

    Nothing else is assumed about $X$.
    """
    half_width = coverage.lhs.args[0].rhs
    generator = np.random.Generator(np.random.PCG64(79))
    for n in (10, 100):
        coins = (generator.random((2000, n)) < PROBABILITY).astype(float)
        widths = np.array([bernstein_half_width(row, spread=1.0, confidence=0.95) for row in coins])
        missed = np.abs(coins.mean(1) - PROBABILITY) > widths
        assert missed.mean() <= 0.05
        sample = {SAMPLE_VARIANCE: float(coins[0].var(ddof=1)), COUNT: n, RANGE: 1.0, DELTA: 0.05}
        assert abs(float(evaluate(half_width, sample)) - widths[0]) < 1e-12  # what the code computes


LOW_MEAN = Mean(sp.Min(X, LEVEL) - B * sp.Min(NORM, LEVEL)) + B * MU
"""E Z."""


def interval_cases() -> list[Case]:
    """|h(1, 1)| of the masked 2-2-2 network, with its path norm; and the path norm itself for X."""
    shapes, half = mask_shapes(EXAMPLE), [Fraction(1, 2)] * 2
    every = [(probability(m, half), EXAMPLE.masked(m), m) for m in all_masks(shapes)]
    mean, variance = path_norm_bound(EXAMPLE, half), path_norm_variance(EXAMPLE, half)
    cases: list[Case] = []
    for b, step in ((Fraction(0), 300), (Fraction(1), 1), (Fraction(1, 2), 10)):
        for value in (lambda _, masks: response(EXAMPLE, masks), lambda net, _: path_norm(net)):
            cases.append(
                {
                    OUTCOMES: [(p, {X: value(net, m), NORM: path_norm(net)}) for p, net, m in every],
                    MU: mean,
                    LEVEL: mean + step,
                    B: b,
                    TAU: beyond_level(variance, Fraction(step)),
                    VAR: variance,
                }
            )
    return cases


def larger_than_the_norm() -> Case:
    """X is ten times the path norm."""
    case = interval_cases()[1]
    outcomes = [(p, {**each, X: 10 * each[NORM]}) for p, each in case[OUTCOMES]]
    return {**case, OUTCOMES: outcomes, LEVEL: case[MU] + 1, TAU: beyond_level(case[VAR], Fraction(1))}


def level_too_low() -> Case:
    """A level below the mean of the path norm."""
    case = interval_cases()[1]
    return {**case, LEVEL: case[MU] - 1, TAU: beyond_level(case[VAR], Fraction(-1))}


@statement(
    "prop-honest-interval",
    kind="proposition",
    title="An interval for any mean over masks",
    source="this book",
    status="argued",
    uses=(
        "lem-expectation",
        "lem-empirical-bernstein",
        "lem-mean-beyond",
        "lem-all-paths",
        "thm-b-path-norm",
        "thm-c-second-moment",
    ),
    hypotheses={
        "below": sp.Eq(Pr(sp.Le(X, NORM)), 1),
        "above": sp.Gt(LEVEL, MU),
        "tau": sp.Eq(TAU, VAR / (4 * (LEVEL - MU))),
    },
    without={
        "below": larger_than_the_norm,
        "above": level_too_low,
        "tau": "it is a definition",
    },
    claims={"between": chain(LOW_MEAN - B * TAU, sp.Le, Mean(X), sp.Le, LOW_MEAN + TAU)},
    cases=interval_cases,
)
def honest_interval(between: tuple[sp.Le, ...], **_: sp.Basic) -> None:
    r"""Let $X \ge 0$ be a function of the masks with $<<below>>$, let $\mu$ and $\mathrm{Var} X$ be here the
    mean and variance of $\mathrm{PN}$, $<<above>>$, $<<tau>>$ and $b \in [0, 1]$ fixed before the draws. Then
    $Z = \min(X, T) - b \min(\mathrm{PN}, T) + b \mu$ has a range of length $T$, and

    $$<<between>> :$$

    an interval for $\mathbb{E} Z$ from {prf:ref}`lem-empirical-bernstein`, widened by that, covers
    $\mathbb{E} X$.
    """
    x, y, T, b, low_x, low_y = sp.symbols("x y T b mx my", nonnegative=True)
    # means of X = min(X, T) + x and PN = min(PN, T) + y, where 0 <= x <= y and E y <= tau
    mean_z = low_x - b * low_y + b * (low_y + y)
    assert sp.expand((low_x + x) - mean_z - (x - b * y)) == 0
    assert between[0].lhs == LOW_MEAN - B * TAU
    # the range: Z - b mu lies between -b T (X = 0, PN >= T) and (1 - b) T (X = PN = T)
    assert sp.expand((1 - b) * T - (-b * T)) == T
    shapes, half = mask_shapes(EXAMPLE), [Fraction(1, 2)] * 2
    truth = float(expectation(shapes, kept_sums(shapes, partial(response, EXAMPLE)), half))
    rounded = float_net(EXAMPLE.weights, EXAMPLE.readout)
    for seed in range(6):
        draws = [draw_masks(shapes, [0.5, 0.5], seed=seed, draw=i) for i in range(500)]
        values = [response(rounded, masks) for masks in draws]
        norms = [path_norm(rounded.masked(masks)) for masks in draws]
        estimate = mean_over_masks(rounded, [0.5, 0.5], values, norms)
        assert estimate.low <= truth <= estimate.high
        assert 0 < estimate.low < estimate.high < path_norm_bound(rounded, [0.5, 0.5])  # and says something


def response(net: ReluNet, masks: Masks) -> Any:
    """|h(1, 1)| of the masked network: at most its path norm, as h(0) = 0."""
    return abs(net.masked(masks)(np.ones(net.widths[0], dtype=int)))
