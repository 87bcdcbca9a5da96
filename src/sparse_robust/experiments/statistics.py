"""From rows to what a figure or a verdict needs: frames, summaries over seeds, paired tests."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import stats

from .catalogue import Profile, find, find_profile
from .rows import Row
from .runner import expected
from .store import Store


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One line per row; ``attack`` is an empty string where no attack is involved."""
    table = pd.DataFrame([asdict(row) for row in rows], columns=list(Row.__dataclass_fields__))
    return table.assign(attack=table.attack.fillna(""))


def with_training(table: pd.DataFrame, name: str, profile: Profile) -> pd.DataFrame:
    """Add how the dense references were trained: columns steps, schedule, weight_decay, variant."""
    specs = {spec.key: (number, spec.dense) for number, spec in enumerate(find(name).specs[profile])}
    return table.assign(
        variant=[specs[key][0] for key in table.spec],
        steps=[specs[key][1].steps for key in table.spec],
        schedule=[specs[key][1].schedule for key in table.spec],
        weight_decay=[specs[key][1].weight_decay for key in table.spec],
    )


def _scale(profile: str) -> Profile:
    return find_profile("paper" if profile == "published" else profile)


def has_profile(name: str, profile: str) -> bool:
    """Whether the experiment can be run, or published, at this scale."""
    return _scale(profile) in find(name).specs


def stored(name: str, profile: str, store: Store | None = None) -> pd.DataFrame:
    """What is stored of an experiment under its present specs; empty if nothing is.

    ``published`` reads the committed rows of the paper profile. Where rows of several data sets are
    stored (the sample that the package carries, and later the whole of MNIST), those with the most test
    examples count.
    """
    scale = _scale(profile)
    keys = {spec.key for spec in find(name).specs[scale]}
    rows = [row for row in (store or Store.default()).rows(name, scale) if row.spec in keys]
    table = frame(rows)
    if table.empty:
        return table
    largest = table[table.metric == "accuracy"].groupby("data").n.max().idxmax()
    return with_training(table[table.data == largest].reset_index(drop=True), name, scale)


def complete_size(table: pd.DataFrame, name: str, profile: str) -> int:
    """How many rows the experiment has when each of the table's seeds is finished."""
    specs = find(name).specs[_scale(profile)]
    return table.seed.nunique() * sum(len(spec.measured) * len(expected(spec)) for spec in specs)


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
    test = stats.ttest_1samp(difference, 0.0)
    interval = test.confidence_interval(0.95)
    return Paired(
        mean, float(interval.low), float(interval.high), float(test.pvalue), mean / deviation, seeds
    )


__all__ = [
    "Paired",
    "complete_size",
    "frame",
    "has_profile",
    "paired",
    "per_seed",
    "stored",
    "summary",
    "with_training",
]
