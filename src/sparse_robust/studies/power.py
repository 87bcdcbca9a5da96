"""What rules can tell: power at the paper's effect, and how often noise alone passes for the effect.

Rows are drawn again with the noise of the rows that are judged: the deviations of seeds from their mean are
combined with Gaussian weights, the same for all rounds and metrics, so that draws have their covariance. Only
the means are set: all rounds as dense, or the paper's effect. Accuracy keeps its means, and rounds in which
an attack failed stay infinite.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sparse_robust.experiments import Store
from sparse_robust.experiments.load import stored

from .catalogue import find
from .controls import controls_of
from .courses import (
    Kind,
    better_under_all,
    falls_most,
    rises,
    rises_beyond_training,
    sharp_fall_comes_first,
)
from .linear.claims import FIRST_FALL, falls_earlier, l2_not_better, one_round, sparse_more_robust
from .paper import PAPER, TABLE_2
from .rules import HELD, L2, LINF, SLIGHT, Judge, by_selection, held_rounds
from .surgery.claims import at_the_deepest

DRAWS = 40
"""Draws behind a share."""

Shape = Callable[[pd.Series, str], pd.Series]
"""The means of one metric by round, and its name -> the means of the draws."""


def flat(means: pd.Series, metric: str) -> pd.Series:
    """No effect: every round as the dense networks."""
    return pd.Series(means.loc[0], index=means.index)


def bump(rows: pd.DataFrame) -> Shape:
    """Up by SLIGHT in the middle of the rounds with accuracy held."""
    held = held_rounds(by_selection(rows)["magnitude"])
    places = [held[0], held[len(held) // 2], held[-1]]

    def shape(means: pd.Series, metric: str) -> pd.Series:
        return means.loc[0] * (
            pd.Series(1 + np.interp(means.index, places, [0, SLIGHT, 0]), index=means.index)
        )

    return shape


def drop(change: Callable[[float], float], start: int = 1) -> Shape:
    """From round ``start`` on r_2 is changed, by what ``change`` makes of its dense value."""

    def shape(means: pd.Series, metric: str) -> pd.Series:
        moved = change(means.loc[0]) if metric.startswith("r_2") else means.loc[0]
        return pd.Series(np.where(means.index >= start, moved, means.loc[0]), index=means.index)

    return shape


def falls_at_once(rows: pd.DataFrame) -> Shape:
    """r_2 as in the rows, but lower than dense by the paper's first fall in every round."""

    def shape(means: pd.Series, metric: str) -> pd.Series:
        lower = means.clip(upper=(1 - FIRST_FALL) * means.loc[0])
        return lower.where(lower.index > 0, means)

    return shape


def sharp(rows: pd.DataFrame) -> Shape:
    """r_2 falls by twice SLIGHT in the last round in which accuracy has lost no more than a third of HELD."""
    mean = rows[rows.metric == "accuracy"].groupby("round").value.mean()
    return drop(lambda dense: (1 - 2 * SLIGHT) * dense, int(mean.index[mean > mean.loc[0] - HELD / 3].max()))


@dataclass(frozen=True)
class Rule:
    """A rule of the ledger with the effect that it is meant to find.

    Attributes:
        name: in words.
        kinds: the numbers that it reads besides accuracy.
        judge: it.
        effect: the paper's, from the rows that are judged.
        experiments: on whose noise it is tried; "-controls" stands for a path beside its controls.
        null: what it must not take for the effect.
    """

    name: str
    kinds: tuple[Kind, ...]
    judge: Judge
    effect: Callable[[pd.DataFrame], Shape]
    experiments: tuple[str, ...]
    null: Callable[[pd.DataFrame], Shape] = lambda rows: flat


_NETS = ("lenet-300-100", "lenet-5")
_LINEAR = ("linear-binary", "linear-multiclass")
_BESIDE = tuple(f"{net}-controls" for net in _NETS)
_LINF: tuple[Kind, ...] = tuple(("r_inf", attack) for attack in LINF)
_L2: tuple[Kind, ...] = tuple(("r_2", attack) for attack in L2)
_FELL = PAPER["binary-r2-deepfool-dense"].value - PAPER["binary-r2-deepfool-round-1"].value
_SPARSE = TABLE_2["caffe_lenet300100_sparse"].r_2 / TABLE_2["caffe_lenet300100_original"].r_2

RULES: Sequence[Rule] = (
    Rule(
        "falls after one round",
        (("r_2", "DeepFool"),),
        one_round("DeepFool", _FELL),
        lambda rows: drop(lambda dense: dense - _FELL),
        ("linear-binary",),
    ),
    Rule("sparse is more robust in r_inf", _LINF, sparse_more_robust(LINF), bump, _LINEAR),
    Rule("r_2 is not better", _L2, l2_not_better(L2), lambda rows: flat, _LINEAR, null=bump),
    Rule(
        "r_2 falls much earlier",
        _L2,
        falls_earlier(L2),
        falls_at_once,
        _LINEAR,
    ),
    Rule("r_inf rises beyond training", _LINF, rises_beyond_training(_LINF), bump, _BESIDE),
    Rule("r_2 rises beyond training", _L2, rises_beyond_training(_L2), bump, _BESIDE),
    Rule("r_inf rises", _LINF, rises(_LINF), bump, _NETS),
    Rule("r_2 rises", _L2, rises(_L2), bump, _NETS),
    Rule("rises under all four attacks", _LINF + _L2, better_under_all(_LINF + _L2), bump, _NETS),
    Rule("r_2 falls sharply first", _L2, sharp_fall_comes_first(L2), sharp, _NETS),
    Rule(
        "r_2 falls most",
        (("r_2", "DeepFool"), ("r_inf", "FGS")),
        falls_most((("DeepFool", "FGS"),)),
        lambda rows: drop(lambda dense: (1 - SLIGHT) * dense, held_rounds(rows)[-1]),
        _NETS,
    ),
    Rule(
        "r_2 is lower after surgery",
        (("r_2", "DeepFool"),),
        at_the_deepest((("r_2", "DeepFool"),), _SPARSE),
        lambda rows: drop(lambda dense: _SPARSE**0.5 * dense),
        ("surgery",),
    ),
)
"""Each rule that tests a change over seeds, with the paper's effect or, where it prints none, SLIGHT."""


def redrawn(
    table: pd.DataFrame, kinds: Sequence[Kind], shape: Shape, draws: int = DRAWS
) -> list[pd.DataFrame]:
    """Rows with the noise of ``table`` and other means.

    Args:
        table: rows of one pruning path, two seeds or more; its controls', of the same seeds, too, if its
            column ``selection`` tells them apart. Controls are drawn without an effect.
        kinds: what is drawn, besides accuracy.
        shape: the means.
        draws: how many tables.
    """
    generator, seeds = np.random.default_rng(0), table.seed.nunique()
    ways = by_selection(table)
    numbers = [(way, *kind) for way in ways for kind in (("accuracy", ""), *kinds)]
    parts, means, noise = [], [], []
    for way, metric, attack in numbers:
        rows = ways[way]
        rows = rows[(rows.metric == metric) & (rows.attack == attack)].sort_values(["round", "seed"])
        values = rows.pivot(index="round", columns="seed", values="value")
        measured = values.to_numpy(float, copy=True)
        whole = np.isfinite(measured).all(axis=1)
        measured[~whole] = 0
        mean = pd.Series(measured.mean(axis=1), index=values.index)
        moved = mean if metric == "accuracy" else (shape if way == "magnitude" else flat)(mean, metric)
        parts.append(rows)
        means.append(np.where(whole, moved, np.inf))
        noise.append((measured - mean.to_numpy()[:, None]) / (seeds - 1) ** 0.5)
    drawn = pd.concat(parts, ignore_index=True)
    mean_of, noise_of = np.concatenate(means), np.concatenate(noise)
    weights = generator.standard_normal((draws, seeds, seeds))
    return [drawn.assign(value=(mean_of[:, None] + noise_of @ w).ravel()) for w in weights]


def power(rule: Rule, rows: pd.DataFrame, draws: int = DRAWS) -> dict[str, float]:
    """What a rule makes of rows drawn again: shares of the draws.

    Returns:
        power, the share "reproduced" at the paper's effect; undecided, that at this effect; and false
        positives, the share "reproduced" where there is no effect, and that of "partly" there.
    """

    def shares(shape: Shape) -> Counter[str]:
        return Counter(rule.judge(some).verdict for some in redrawn(rows, rule.kinds, shape, draws))

    there, none = shares(rule.effect(rows)), shares(rule.null(rows))
    return {
        "power": there["reproduced"] / draws,
        "undecided": there["undecided"] / draws,
        "false positives": none["reproduced"] / draws,
        "partly under the null": none["partly"] / draws,
    }


def noise(profile: str, store: Store | None = None) -> dict[str, pd.DataFrame]:
    """The rows whose noise is drawn again, by experiment; beside their controls, on the seeds of both.

    Experiments of which no rows of ``profile`` are stored are left out.
    """
    names = {name for rule in RULES for name in rule.experiments}
    tables = {}
    for name in sorted(names):
        own = find(name.removesuffix("-controls"))
        rows = stored(own, profile, store)
        if name != own.name and len(rows):
            controls = controls_of(own, profile, store)
            both = set(rows.seed) & set(controls.seed) if len(controls) else set()
            rows = pd.concat([rows, controls], ignore_index=True)
            rows = rows[rows.seed.isin(both)]
        tables[name] = rows
    return {name: rows for name, rows in tables.items() if len(rows)}


def of_rules(tables: Mapping[str, pd.DataFrame], draws: int = DRAWS) -> pd.DataFrame:
    """:func:`power` of every rule on the noise of every experiment that it is tried on.

    Args:
        tables: rows by experiment; rules of experiments without rows, or with one seed, are left out.
        draws: behind each share.

    Returns:
        columns rule, experiment, seeds, and those of :func:`power`.
    """
    return pd.DataFrame(
        {"rule": rule.name, "experiment": name, "seeds": rows.seed.nunique(), **power(rule, rows, draws)}
        for rule in RULES
        for name in rule.experiments
        if (rows := tables.get(name)) is not None and len(rows) and rows.seed.nunique() > 1
    )
