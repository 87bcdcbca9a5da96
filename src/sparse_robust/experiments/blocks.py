"""What blocks of test images say: peaks chosen on one half of them, intervals over images and seeds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

DRAWS = 2000
"""Bootstrap samples behind an interval."""


def of_metric(table: pd.DataFrame, metric: str, attack: str) -> pd.DataFrame | None:
    """Block means of one number: rounds and seeds down (two levels), blocks across; None if any is missing.

    Args:
        table: of rows, whose column ``blocks``, if there is one, holds a tuple of block means or None.
        metric: the number's.
        attack: the number's, "" without one.
    """
    chosen = table[(table.metric == metric) & (table.attack == attack)]
    if "blocks" not in chosen or chosen.empty or chosen.blocks.isna().any():
        return None
    index = pd.MultiIndex.from_frame(chosen[["round", "seed"]])
    return pd.DataFrame(chosen.blocks.tolist(), index=index).sort_index()


def halves(values: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The even and the odd blocks: as block b holds the images b, b + B, ..., both are a sample of all."""
    return values.iloc[:, ::2], values.iloc[:, 1::2]


def split_rise(values: pd.DataFrame, rounds: Sequence[int]) -> pd.DataFrame:
    """By seed (down) and block (across), the rise over round 0 at a peak that the other half has chosen.

    The peak is the round with the largest mean over seeds and the blocks of a half; the rise is that of the
    other half in this round. Noise of the images that chose it is therefore no part of it.

    Args:
        values: as :func:`of_metric` yields them.
        rounds: among which the peak is sought.
    """
    parts = []
    for chosen_on, measured_on in (halves(values), halves(values)[::-1]):
        means = chosen_on.mean(axis=1).groupby(level="round").mean().loc[list(rounds)]
        peak = means.index[int(means.argmax())]
        parts.append(measured_on.loc[peak] - measured_on.loc[0])
    return pd.concat(parts, axis=1).sort_index(axis=1)


def two_way_variance(values: pd.DataFrame) -> float:
    """The variance of the grand mean when rows and columns are both drawn again, with replacement.

    With p and q the weights of S rows and B columns, each with the covariance (I - 11'/S)/S^2 of a
    multinomial draw, the mean is p'Xq, and its variance a sum over rows, columns and what is left.
    """
    x = values.to_numpy(dtype=float)
    mean, rows, columns = x.mean(), x.mean(1, keepdims=True), x.mean(0, keepdims=True)
    rest = x - rows - columns + mean
    s, b = x.shape
    return float(
        ((rows - mean) ** 2).sum() / s**2
        + ((columns - mean) ** 2).sum() / b**2
        + (rest**2).sum() / (s * b) ** 2
    )


def two_way_means(values: pd.DataFrame, draws: int = DRAWS) -> np.ndarray:
    """Grand means of ``values`` with seeds (down) and blocks (across) drawn again, both at once: [draws]."""
    x = values.to_numpy(dtype=float)
    s, b = x.shape
    generator = np.random.default_rng(0)
    p = generator.multinomial(s, np.full(s, 1 / s), size=draws) / s
    q = generator.multinomial(b, np.full(b, 1 / b), size=draws) / b
    means: np.ndarray = np.einsum("ds,sb,db->d", p, x, q)
    return means


def two_way_interval(values: pd.DataFrame, draws: int = DRAWS) -> tuple[float, float]:
    """The 95 % percentile interval of the grand mean over seeds (down) and blocks of images (across)."""
    low, high = np.quantile(two_way_means(values, draws), [0.025, 0.975])
    return float(low), float(high)
