"""What an experiment's training does without its pruning: the rows of controls, their curves and gains."""

from collections.abc import Mapping, Sequence

import pandas as pd

from sparse_robust.experiments import Experiment, Store
from sparse_robust.experiments.load import finished, has_profile, scale_of, stored
from sparse_robust.experiments.statistics import per_seed

from .catalogue import find
from .courses import course, gain
from .rules import comparable, held_rounds
from .tables import METRICS, Panels, curves

WAYS: Mapping[str, str] = {"none": "dense, trained on", "random": "random pruning"}
"""Controls by the selection of their specs, as figures and tables call them."""


def controls_of(experiment: Experiment, profile: str, store: Store | None = None) -> pd.DataFrame:
    """The rows of an experiment's controls, of the scale of its own rows and of finished seeds alone."""
    controls = find(f"{experiment.name}-controls")
    if not has_profile(controls, profile):
        return pd.DataFrame()
    scale = scale_of(experiment, profile, store)
    return finished(stored(controls, profile, store, scale=scale), controls, scale)


def curves_beside(rows: pd.DataFrame, controls: pd.DataFrame, shown: Panels) -> pd.DataFrame:
    """Curves of the pruned networks and, of the same seeds, of both controls: one panel for each metric.

    Args:
        rows: of the pruned networks.
        controls: of :func:`controls_of`; empty if they have not been run.
        shown: what to draw; every label becomes a panel.

    Returns:
        as :func:`~.tables.curves`, the way of pruning as the label.
    """
    ways = {"magnitude pruning": rows}
    for way, label in WAYS.items():
        if len(controls):
            ways[label] = controls[controls.selection == way]
    keys = {label: key for panel in shown.values() for label, key in panel.items()}
    return pd.concat(
        curves(some, {metric: {way: key}}) for metric, key in keys.items() for way, some in ways.items()
    )


def gains(
    rows: pd.DataFrame, controls: pd.DataFrame, metrics: Sequence[str] = tuple(METRICS)
) -> pd.DataFrame:
    """What pruned networks gain at their peaks over dense, beside what controls gain by the same round.

    Means over the seeds that all have. A control of which an attack fails on an image is missing.

    Returns:
        columns metric, round (of the peak on all seeds), pruned, and for each control its gain, its share of
        the pruned networks', and the round of its own peak and the gain there; relative to dense.
    """
    seeds = sorted(set(rows.seed) & set(controls.seed))
    held, lines = held_rounds(rows), []
    for label in metrics:
        if METRICS[label] not in set(zip(controls.metric, controls.attack, strict=True)):
            continue
        c = course(per_seed(rows, *METRICS[label]), held)
        if c is None:
            continue
        ours = gain(per_seed(rows, *METRICS[label])[seeds], c.peak).mean() / c.dense
        line: dict[str, object] = {"metric": label, "round": c.peak, "pruned": ours}
        for way, name in WAYS.items():
            values = comparable(per_seed(controls[controls.selection == way], *METRICS[label])[seeds])
            means = values.mean(axis=1) / values.loc[0].mean() - 1
            line |= {
                name: means.get(c.peak),
                f"{name}: share": means.get(c.peak, float("nan")) / ours,
                f"{name}: own peak": int(means.index[int(means.argmax())]),
                f"{name}: gain there": means.max(),
            }
        lines.append(line)
    return pd.DataFrame(lines)


NOT_RUN = "The controls have not been run yet."


def in_words(table: pd.DataFrame, controls: pd.DataFrame) -> str:
    """The first result of a chapter with a pruning path: what of its rise is owed to training alone.

    Args:
        table: of :func:`gains`.
        controls: the rows of the controls.
    """
    if controls.empty or table.empty:
        return NOT_RUN
    trained, random = WAYS["none"], WAYS["random"]
    parts = [
        f"{line['metric']}: pruned {line['pruned']:+.1%} after round {line['round']}, dense and trained on "
        f"{line[trained]:+.1%}, which is {line[f'{trained}: share']:.0%} of it; pruned at random at best "
        f"{line[f'{random}: gain there']:+.1%}, after round {line[f'{random}: own peak']}"
        for _, line in table.iterrows()
    ]
    return (
        f"Gains over the dense references, on the {controls.seed.nunique()} seeds that all have. "
        f"{'. '.join(parts)}."
    )
