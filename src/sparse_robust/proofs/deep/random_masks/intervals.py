"""What a Monte Carlo estimate over masks may claim."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.mask_bounds import path_norm, path_norm_bound, path_norm_variance
from sparse_robust.theory.mask_enumeration import Masks, expectation, kept_sums, mask_shapes
from sparse_robust.theory.mask_sampling import bernstein_half_width, draw_masks, mean_over_masks
from sparse_robust.theory.networks import ReluNet, float_net

from .cases import EXAMPLE, random_cases

PROBABILITY = 1 / 20
"""Of the coin in the coverage check: rare and large values are what defeats intervals."""


def beyond(variance: sp.Expr, gap: sp.Expr) -> sp.Expr:
    """The bound for E max(X - T, 0), T = E X + gap."""
    return variance / (4 * gap)


def excess(net: ReluNet, level: Fraction, masks: Masks) -> Fraction:
    """max(PN - T, 0) of the masked network."""
    return max(Fraction(path_norm(net.masked(masks))) - level, Fraction(0))


@statement(
    "lem-mean-beyond",
    kind="lemma",
    title="How much of a mean lies beyond a level",
    source="this book; Scarf 1958 has the sharp form",
    status="proved",
    uses=(
        "thm-b-path-norm",
        "thm-c-second-moment",
    ),
)
def mean_beyond() -> None:
    r"""For $X$ with mean $\mu$ and finite variance, and $T > \mu$,
    $\mathbb{E} \max(X - T, 0) \le \dfrac{\mathrm{Var} X}{4 (T - \mu)}$. For the masked path norm, mean and
    variance are known exactly ({prf:ref}`thm-b-path-norm`, {prf:ref}`thm-c-second-moment`).
    """
    y, gap = sp.Symbol("y", real=True), sp.Symbol("g", positive=True)  # y = X - mu
    below = beyond(y**2, gap)  # at least 0, and at least y - g:
    assert sp.factor(below - (y - gap)) == (y - 2 * gap) ** 2 / (4 * gap)
    assert below.is_nonnegative
    for case, grid in random_cases()[::2]:
        for alphas in grid[:3]:
            mean, variance = path_norm_bound(case.net, alphas), path_norm_variance(case.net, alphas)
            for step in (Fraction(1, 2), Fraction(3)):
                sums = kept_sums(case.shapes, partial(excess, case.net, mean + step))
                assert expectation(case.shapes, sums, alphas) <= beyond(variance, step)


@statement(
    "lem-empirical-bernstein",
    kind="lemma",
    title="The empirical Bernstein interval",
    source="Maurer and Pontil 2009, theorem 4",
    status="cited",
)
def empirical_bernstein() -> None:
    r"""Let $X_1, \dots, X_n$, $n \ge 2$, be independent copies of a variable with values in an interval of
    length $s$, with sample mean $\bar X$ and sample variance $V$. With probability at least $1 - \delta$,

    $$\bigl|\mathbb{E} X - \bar X\bigr| \le \sqrt{\frac{2 V \log(4/\delta)}{n}}
      + \frac{7 s \log(4/\delta)}{3 (n - 1)} .$$

    Nothing else is assumed about $X$.
    """
    generator = np.random.Generator(np.random.PCG64(79))
    for n in (10, 100):
        coins = (generator.random((2000, n)) < PROBABILITY).astype(float)
        widths = np.array([bernstein_half_width(row, spread=1.0, confidence=0.95) for row in coins])
        missed = np.abs(coins.mean(1) - PROBABILITY) > widths
        assert missed.mean() <= 0.05


@statement(
    "prop-honest-interval",
    kind="proposition",
    title="An interval for any mean over masks",
    source="this book",
    status="argued",
    uses=("lem-empirical-bernstein", "lem-mean-beyond", "thm-b-path-norm", "thm-c-second-moment"),
)
def honest_interval() -> None:
    r"""Let $0 \le X \le \mathrm{PN}$ be a function of the masks, $\mu$ and $\sigma^2$ the mean and variance
    of $\mathrm{PN}$, $T > \mu$, $\tau = \sigma^2 / (4 (T - \mu))$ and $b \in [0, 1]$ fixed before the draws.
    Then $Z = \min(X, T) - b \min(\mathrm{PN}, T) + b \mu$ has a range of length $T$, and
    $\mathbb{E} Z - b \tau \le \mathbb{E} X \le \mathbb{E} Z + \tau$: an interval for $\mathbb{E} Z$ from
    {prf:ref}`lem-empirical-bernstein`, widened by that, covers $\mathbb{E} X$.
    """
    x, y, T, b, low_x, low_y = sp.symbols("x y T b mx my", nonnegative=True)
    # means of X = min(X, T) + x and PN = min(PN, T) + y, where 0 <= x <= y and E y <= tau
    mean_z = low_x - b * low_y + b * (low_y + y)
    assert sp.expand((low_x + x) - mean_z - (x - b * y)) == 0
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
