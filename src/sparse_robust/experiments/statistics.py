"""From rows to what a figure or a verdict needs: frames, summaries over seeds, paired tests."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import special

from .rows import Row


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One line per row; ``attack`` is an empty string where no attack is involved."""
    table = pd.DataFrame([asdict(row) for row in rows], columns=list(Row.__dataclass_fields__))
    return table.assign(attack=table.attack.fillna(""))


def per_seed(table: pd.DataFrame, metric: str, attack: str = "") -> pd.DataFrame:
    """One number of every model: rounds down, seeds across.

    Raises:
        KeyError: if the table has no such number.
    """
    chosen = table[(table.metric == metric) & (table.attack == attack)]
    if chosen.empty:
        raise KeyError(f"no rows of {metric!r} under attack {attack!r}")
    return chosen.pivot(index="round", columns="seed", values="value")


def summary(table: pd.DataFrame, metric: str, attack: str = "") -> pd.DataFrame:
    """Mean and standard deviation over seeds after each round: columns sparsity, mean, spread, seeds.

    Where a seed's value is infinite, because an attack failed, so is the mean, and the spread is not a
    number.
    """
    values = per_seed(table, metric, attack)
    finite = values.replace(np.inf, np.nan)
    sparsity = table.groupby("round").sparsity.mean()
    return pd.DataFrame(
        {
            "sparsity": sparsity.reindex(values.index),
            "mean": values.mean(axis=1),
            "spread": finite.std(axis=1, skipna=False) if values.shape[1] > 1 else 0.0,
            "seeds": values.shape[1],
        }
    )


def at_sparsity(table: pd.DataFrame, metric: str, attack: str, sparsity: float) -> pd.Series:
    """One number of every seed at a sparsity between those of two rounds.

    Interpolated linearly in log(1 - sparsity), in which rounds of progressive pruning are equally far apart.
    Not a number where an attack failed in one of the two rounds.

    Raises:
        ValueError: if the sparsity is beyond that of the last round.
    """
    values = per_seed(table, metric, attack).replace(np.inf, np.nan)
    where = -np.log1p(-table.groupby("round").sparsity.mean().loc[values.index].to_numpy())
    if not 0 <= -np.log1p(-sparsity) <= where[-1]:
        raise ValueError(
            f"sparsity {sparsity} is not between 0 and {-np.expm1(-where[-1])} of the last round"
        )
    after = max(int(np.searchsorted(where, -np.log1p(-sparsity))), 1)
    share = (-np.log1p(-sparsity) - where[after - 1]) / (where[after] - where[after - 1])
    low, high = values.iloc[after - 1], values.iloc[after]
    return low if share == 0 else high if share == 1 else (1 - share) * low + share * high


def plus_minus(mean: float, spread: float) -> str:
    """A mean and its spread over seeds to four digits; "inf" if an attack failed, as then there is none."""
    return f"{mean:.4f} ± {spread:.4f}" if math.isfinite(mean) else "inf"


@dataclass(frozen=True)
class Paired:
    """A difference over the same seeds.

    Attributes:
        mean: mean of after - before.
        low, high: its 95 % confidence interval, Student's t.
        p: two-sided p-value of no difference.
        effect: mean / standard deviation of the differences (Cohen's d_z).
        seeds: how many pairs.
    """

    mean: float
    low: float
    high: float
    p: float
    effect: float
    seeds: int

    def within(self, level: float) -> tuple[float, float]:
        """The confidence interval of the mean at a level of ``1 - level``, Student's t."""
        quantile = special.stdtrit(self.seeds - 1, 1 - level / 2) / special.stdtrit(self.seeds - 1, 0.975)
        half = float(quantile) * (self.high - self.low) / 2
        return self.mean - half, self.mean + half

    def __str__(self) -> str:
        """The difference, its interval and p-value."""
        p = "p < 0.0001" if self.p < 1e-4 else f"p = {self.p:.4f}"
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}], {p}, {self.seeds} seeds"


def paired(values: pd.DataFrame, before: int, after: int) -> Paired:
    """Student's paired t-test between two rounds of :func:`per_seed`.

    Raises:
        ValueError: if there are fewer than two seeds.
    """
    difference = (values.loc[after] - values.loc[before]).to_numpy(dtype=float)
    seeds = len(difference)
    if seeds < 2:
        raise ValueError(f"a paired test needs two seeds or more, got {seeds}: run with more --seeds")
    mean, deviation = float(difference.mean()), float(difference.std(ddof=1))
    if deviation == 0:  # every seed agrees exactly: the interval is a point
        return Paired(
            mean, mean, mean, float(mean == 0), float(np.sign(mean)) * np.inf if mean else 0.0, seeds
        )
    error = deviation / math.sqrt(seeds)
    half = float(special.stdtrit(seeds - 1, 0.975)) * error
    p = 2 * float(special.stdtr(seeds - 1, -abs(mean) / error))
    return Paired(mean, mean - half, mean + half, p, mean / deviation, seeds)
