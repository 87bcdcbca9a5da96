"""What an experiment's training does without its pruning: the rows of controls, their curves and gains."""

from collections.abc import Mapping, Sequence

import pandas as pd

from sparse_robust.experiments import Experiment, Store
from sparse_robust.experiments.load import finished, scale_of, stored
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
    scale = scale_of(experiment, profile, store)
    return finished(stored(controls, profile, store, scale=scale), controls, scale)


def curves_beside(rows: pd.DataFrame, controls: pd.DataFrame, shown: Panels) -> pd.DataFrame:
    """Curves of the pruned networks and, of the same seeds, of both controls: one panel for each metric.

    Args:
        rows: of the pruned networks.
        controls: of :func:`controls_of`; empty if they have not been run.
        shown: what to draw; every label becomes a panel.

    Returns:
        as :func:`~.tables.curves`, the way of pruning as the label. Controls are drawn at the sparsity of the
        pruned networks of their round.
    """
    ways = {"magnitude pruning": rows[rows.seed.isin(controls.seed)] if len(controls) else rows}
    pruned = rows.groupby("round").sparsity.mean()
    for way, label in WAYS.items():
        if len(controls):
            ways[label] = controls[controls.selection == way].assign(
                sparsity=lambda own: own["round"].map(pruned)
            )
    keys = {label: key for panel in shown.values() for label, key in panel.items()}
    return pd.concat(
        curves(some, {metric: {way: key}}) for metric, key in keys.items() for way, some in ways.items()
    )


def gains(
    rows: pd.DataFrame,
    controls: pd.DataFrame,
    metrics: Sequence[str] = tuple(METRICS),
    after: int | None = None,
) -> pd.DataFrame:
    """What pruned networks gain over dense, beside what controls gain by the same round.

    Means over the seeds that all have. A control of which an attack fails on an image is missing.

    Args:
        rows: of the pruned networks.
        controls: of :func:`controls_of`.
        metrics: labels of :data:`~.tables.METRICS`.
        after: the round that is compared; None for that of each metric's peak on all seeds.

    Returns:
        columns metric, round, pruned, and for each control its gain, the round of its own peak and the gain
        there, relative to dense; for the one that is trained on, its share of the pruned networks' gain, too.
    """
    seeds = sorted(set(rows.seed) & set(controls.seed))
    held, lines = held_rounds(rows), []
    for label in metrics:
        if METRICS[label] not in set(zip(controls.metric, controls.attack, strict=True)):
            continue
        c = course(per_seed(rows, *METRICS[label]), held)
        if c is None:
            continue
        round_ = c.peak if after is None else after
        ours = gain(per_seed(rows, *METRICS[label])[seeds], round_).mean() / c.dense
        line: dict[str, object] = {"metric": label, "round": round_, "pruned": ours}
        for way, name in WAYS.items():
            values = comparable(per_seed(controls[controls.selection == way], *METRICS[label])[seeds])
            means = values.mean(axis=1) / values.loc[0].mean() - 1
            line[name] = means.get(round_)
            if way == "none":
                line[f"{name}: share"] = means.get(round_, float("nan")) / ours
            line |= {
                f"{name}: own peak": int(means.index[int(means.argmax())]),
                f"{name}: gain there": means.max(),
            }
        lines.append(line)
    return pd.DataFrame(lines)


SPOKEN = (r"$r_\infty$, FGS", "$r_2$, DeepFool")
"""What :func:`in_words` speaks of."""

NOT_RUN = "The controls have not been run yet."


def in_words(rows: pd.DataFrame, controls: pd.DataFrame) -> str:
    """The first result of a chapter with a pruning path: what of its rise is owed to training alone.

    Of one metric for each norm; :func:`gains` has all of them.

    Args:
        rows: of the pruned networks.
        controls: of :func:`controls_of`.
    """
    table = pd.DataFrame() if controls.empty else gains(rows, controls, SPOKEN)
    if table.empty:
        return NOT_RUN
    trained, random = WAYS["none"], WAYS["random"]
    parts = [
        f"{line['metric']}: pruned {line['pruned']:+.1%} after round {line['round']}, dense and trained on "
        f"{line[trained]:+.1%}, which is {line[f'{trained}: share']:.0%} of it; pruned at random at best "
        f"{line[f'{random}: gain there']:+.1%}, after round {line[f'{random}: own peak']}"
        for _, line in table.iterrows()
    ]
    both = f"{len(set(rows.seed) & set(controls.seed))} of {rows.seed.nunique()} seeds"
    scale = "the paper's protocol" if controls.scale.iloc[0] == "paper" else f"{controls.scale.iloc[0]} scale"
    return f"Gains over the dense references, {scale}, {both}. {'. '.join(parts)}."
