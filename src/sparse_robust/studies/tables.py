"""What the tables and figures of several studies share: metrics by label, curves, protocols, rows or none."""

from collections.abc import Mapping, Sequence

import pandas as pd

from sparse_robust.data import MissingDataError, MissingModelError
from sparse_robust.experiments import Experiment, Spec, load_rows
from sparse_robust.experiments.load import complete_size, scale_of, stored
from sparse_robust.experiments.statistics import plus_minus, summary
from sparse_robust.training import Training

from .paper import PaperNumber

Key = tuple[str, str]
"""A metric and the attack that it rests on."""

DISTANCES: Mapping[str, Key] = {
    f"{attack}{', squared' * squared}": ("r_2_squared" if squared else "r_2", attack)
    for attack in ("DeepFool", "C&W")
    for squared in (False, True)
}
"""Both definitions of r_2 under both l_2 attacks, by label."""

METRICS: Mapping[str, Key] = {
    **{rf"$r_\infty$, {attack}": ("r_inf", attack) for attack in ("FGS", "rFGS")},
    **{f"$r_2$, {label}": key for label, key in DISTANCES.items()},
}
"""Every robustness metric of a pruned network, by label."""

Panels = Mapping[str, Mapping[str, Key]]
"""Curves by the title of their panel and their label."""


def panels(linf: str, l2: str, *, squared: bool = True) -> Panels:
    """Accuracy and r_inf under one attack in one panel, r_2 under another in the other."""
    distances = {label: key for label, key in DISTANCES.items() if key[1] == l2}
    return {
        r"accuracy and $r_\infty$": {linf: ("r_inf", linf), "accuracy": ("accuracy", "")},
        r"$r_2$": distances if squared else {l2: ("r_2", l2)},
    }


def curves(rows: pd.DataFrame, shown: Panels) -> pd.DataFrame:
    """Means and spreads over seeds along the pruning path, as :func:`~.book.figures.sparsity_curves` draws.

    Returns:
        columns sparsity, mean, spread, seeds, panel, label, attack; by round. Where an attack failed, the
        mean is not a number.
    """
    return pd.concat(
        summary(rows, *key)
        .replace(float("inf"), float("nan"))
        .assign(panel=panel, label=label, attack=key[1])
        for panel, keys in shown.items()
        for label, key in keys.items()
    )


def printed(shown: Panels, points: Sequence[tuple[Key, float, PaperNumber]]) -> pd.DataFrame:
    """What the paper prints, to be drawn as points beside :func:`curves`.

    Args:
        shown: the panels; a number belongs into the one that shows its metric and attack.
        points: metric and attack, sparsity, the number.

    Returns:
        columns panel, label ("paper"), attack, sparsity, mean, spread.
    """
    places = {key: panel for panel, keys in shown.items() for key in keys.values()}
    lines = [(places[key], "paper", key[1], at, n.value, n.spread or 0.0) for key, at, n in points]
    return pd.DataFrame(lines, columns=["panel", "label", "attack", "sparsity", "mean", "spread"])


def numbers(rows: pd.DataFrame, shown: Panels) -> pd.DataFrame:
    """The numbers of :func:`curves`: a line for each round, sparsity in percent, mean ± spread as text."""
    keys = {label: key for panel in shown.values() for label, key in panel.items()}
    summaries = {label: summary(rows, *key) for label, key in keys.items()}
    text = {
        label: [plus_minus(m, s) for m, s in zip(part["mean"], part.spread, strict=True)]
        for label, part in summaries.items()
    }
    sparsity = 100 * next(iter(summaries.values())).sparsity
    return pd.DataFrame({"sparsity, %": sparsity.round(2)} | text).rename_axis("round").reset_index()


def with_total(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with a last line, called "all" in its first column: the sums of its columns of numbers."""
    sums = {name: frame[name].sum() for name in frame.select_dtypes("number")}
    total = pd.DataFrame([{frame.columns[0]: "all", **sums}])
    return pd.concat([frame, total], ignore_index=True)


def protocol(spec: Spec, rows: pd.DataFrame | None = None) -> pd.DataFrame:
    """What a spec trains, prunes and attacks: columns stage and how.

    Args:
        spec: the protocol.
        rows: measured by it, which then say on how many images.
    """
    lines = [("dense", descent(spec.dense))]
    if spec.surgery is not None:
        first = spec.surgery.surgeries[0]
        lines.append(("surgery", descent(spec.surgery.training)))
        plan = f"(1 + {first.gamma:g} step)^-{first.power:g}, margin {first.margin:g}"
        lines.append(("masks", f"change for {first.stop} steps with probability {plan}"))
        lines += [
            (f"round {k}", f"c = {', '.join(f'{c:g}' for c in surgery.strengths)}")
            for k, surgery in enumerate(spec.surgery.surgeries, 1)
        ]
    elif spec.rounds:
        layer = "each layer but the first and the last" if spec.dense_ends else "each layer"
        lines.append(("prune", f"{spec.fraction} of what is left of {layer}, {spec.rounds} times"))
        lines.append(("retrain", descent(spec.retrain)))
    for attack in spec.attacks:
        count = attack.examples or spec.test_examples
        n = "all" if count is None else f"the first {count}"
        if rows is not None and len(rows):
            n = str(rows[rows.attack == attack.name].n.max())
        reach = {"eps": spec.eps} if attack.name in ("FGS", "rFGS") else {}
        options = ", ".join(f"{name} {value:g}" for name, value in (reach | dict(attack.options)).items())
        lines.append((attack.name, f"{n} test images" + (f"; {options}" if options else "")))
    return pd.DataFrame(lines, columns=["stage", "how"])


def descent(training: Training) -> str:
    """A training policy in a line."""
    if not training.steps:
        return "nothing is trained"
    policy = f" (gamma {training.gamma:g}, power {training.power:g})" if training.schedule == "inv" else ""
    parts = [
        f"{training.steps} steps of {training.batch_size} images",
        f"{training.schedule} rate {training.lr:g} to {training.rate(training.steps - 1):.4g}{policy}",
        f"{'Nesterov ' if training.nesterov else ''}momentum {training.momentum:g}",
        f"weight decay {training.weight_decay:g}",
    ]
    if training.warmup:
        parts.insert(2, f"rising for {training.warmup} steps")
    if training.l1:
        parts.append(f"l_1 {training.l1:g}")
    if training.augment:
        parts.append(f"shifts up to {training.augment} pixels, mirror images")
    if training.bfloat16:
        parts.append("bfloat16")
    return ", ".join(parts)


def rows_of(experiment: Experiment, profile: str, device: str = "cpu") -> tuple[pd.DataFrame, str]:
    """The rows of an experiment and where they are from, or no rows and why there are none."""
    name = experiment.name
    if profile != "published":
        try:
            return load_rows(experiment, profile, device), f"rows of profile {profile!r}"
        except (MissingDataError, MissingModelError) as missing:
            return pd.DataFrame(), f"not run: {missing}"
    table = stored(experiment, "published")
    if table.empty:
        return table, f"not run: no rows of {name!r} are published"
    scale = scale_of(experiment, "published")
    return table, f"published: {len(table)} of {complete_size(table, experiment, scale)} rows"


def spec_of(experiment: Experiment, profile: str) -> Spec:
    """The spec that a chapter is about: that of the rows shown, or of ``paper`` where there are none."""
    (spec,) = experiment.variants(scale_of(experiment, profile))
    return spec
