"""From rows to what a figure or a verdict needs: frames, summaries over seeds, paired tests."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from .catalogue import Profile, find, find_profile
from .rows import Row, read
from .runner import expected
from .store import Store

PUBLISHED: Mapping[Profile, str] = {"paper": "paper", "laptop": "published-laptop"}
"""Which stored rows are published, by the scale of their specs.

What nobody has run at the paper's scale yet may be published at laptop scale, in a file of its own: a copy of
the rows of a finished ``laptop`` run, which itself stays the user's own and is no part of the repository.
"""


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One line per row; ``attack`` is an empty string where no attack is involved."""
    table = pd.DataFrame([asdict(row) for row in rows], columns=list(Row.__dataclass_fields__))
    return table.assign(attack=table.attack.fillna(""))


def with_training(table: pd.DataFrame, name: str, profile: Profile) -> pd.DataFrame:
    """Add the scale, and how the dense references were trained.

    Columns scale (the profile of the specs), variant, steps, schedule, weight_decay, l1.
    """
    specs = {spec.key: (number, spec.dense) for number, spec in enumerate(find(name).specs[profile])}
    return table.assign(
        scale=profile,
        variant=[specs[key][0] for key in table.spec],
        steps=[specs[key][1].steps for key in table.spec],
        schedule=[specs[key][1].schedule for key in table.spec],
        weight_decay=[specs[key][1].weight_decay for key in table.spec],
        l1=[specs[key][1].l1 for key in table.spec],
    )


def scale_of(name: str, profile: str, store: Store | None = None) -> Profile:
    """The scale of the rows that ``profile`` stands for.

    That of ``published`` is the paper's, but for an experiment of which rows of laptop scale are published
    and no complete rows of the paper's scale.

    Raises:
        ValueError: if the profile is unknown.
    """
    if profile != "published":
        return find_profile(profile)
    store = store or Store.default()
    if not store.published_path(name, PUBLISHED["laptop"]).exists():
        return "paper"
    table = _read(name, "paper", store.published_path(name, PUBLISHED["paper"]))
    finished = not table.empty and len(table) >= complete_size(table, name, "paper")
    return "paper" if finished else "laptop"


def has_profile(name: str, profile: str) -> bool:
    """Whether the experiment can be run, or published, at this scale."""
    return ("paper" if profile == "published" else find_profile(profile)) in find(name).specs


def stored(
    name: str, profile: str, store: Store | None = None, *, scale: Profile | None = None
) -> pd.DataFrame:
    """What is stored of an experiment under its present specs; empty if nothing is.

    ``published`` reads the committed rows, of the scale that :func:`scale_of` tells, or of ``scale``: what is
    put beside rows of laptop scale must be of that scale, too, though larger ones may have been published
    since. Where rows of several data sets are stored (the sample that the package carries, and later the
    whole of MNIST), those with the most test examples count.
    """
    store = store or Store.default()
    scale = scale or scale_of(name, profile, store)
    if profile == "published":
        return _read(name, scale, store.published_path(name, PUBLISHED[scale]))
    return _read(name, scale, store.rows_path(name, scale))


def _read(name: str, scale: Profile, path: Path) -> pd.DataFrame:
    keys = {spec.key for spec in find(name).specs[scale]}
    rows = [row for row in read(path) if row.spec in keys]
    table = frame(rows)
    if table.empty:
        return table
    largest = table[table.metric == "accuracy"].groupby("data").n.max().idxmax()
    return with_training(table[table.data == largest].reset_index(drop=True), name, scale)


def complete_size(table: pd.DataFrame, name: str, scale: Profile) -> int:
    """How many rows the experiment has when each of the table's seeds is finished."""
    specs = find(name).specs[scale]
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
    "PUBLISHED",
    "Paired",
    "at_sparsity",
    "complete_size",
    "frame",
    "has_profile",
    "paired",
    "per_seed",
    "plus_minus",
    "scale_of",
    "stored",
    "summary",
    "with_training",
]
