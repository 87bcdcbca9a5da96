"""What the chapters on CIFAR-10 share: rows or the reason why there are none, and tables made from specs."""

import pandas as pd

from sparse_robust.data import MissingDataError
from sparse_robust.experiments import Spec, find, find_profile
from sparse_robust.experiments.budget import NETS, layers
from sparse_robust.experiments.ledger.cifar import with_first_steps
from sparse_robust.experiments.statistics import (
    complete_size,
    has_profile,
    per_seed,
    plus_minus,
    scale_of,
    stored,
    summary,
)
from sparse_robust.notebook import load_rows
from sparse_robust.pruning import kept_after
from sparse_robust.training import Training

PANELS = (r"accuracy and $r_\infty$", r"$r_2$")


def spec_of(name: str, profile: str) -> Spec:
    """The spec that a chapter is about: that of the profile, or of ``paper`` where it has none."""
    chosen = find_profile(profile) if profile != "published" and has_profile(name, profile) else "paper"
    (spec,) = find(name).specs[chosen]
    return spec


def rows_of(name: str, profile: str, device: str = "cpu") -> tuple[pd.DataFrame, str]:
    """The rows of an experiment and where they are from, or no rows and why there are none.

    A profile that the experiment does not have shows what is published.
    """
    if profile == "published" or not has_profile(name, profile):
        table = stored(name, "published")
        told = f"not run: no rows of {name!r} are published"
        if len(table):
            scale = scale_of(name, "published")
            told = f"published: {len(table)} of {complete_size(table, name, scale)} rows"
    else:
        try:
            table, told = load_rows(name, profile, device), f"rows of profile {profile!r}"
        except MissingDataError as missing:
            table, told = pd.DataFrame(), f"not run: {missing}"
    return table, told


def descent(training: Training) -> str:
    """A training policy in two lines."""
    half = "bfloat16" if training.bfloat16 else "float32"
    return (
        f"{training.steps} steps of {training.batch_size} images, {half},"
        f" shifts up to {training.augment} pixels, mirror images\n"
        f"             rate up to {training.lr:g} over {training.warmup} steps, then down to 0,\n"
        f"             Nesterov momentum {training.momentum:g}, weight decay {training.weight_decay:g}"
    )


def protocol(spec: Spec, seeds: int) -> str:
    """The protocol that a spec describes."""
    lines = [
        f"spec {spec.key}: {spec.model} on {spec.data}, {seeds} seeds",
        f"  dense      {descent(spec.dense)}",
        f"  retrain    {descent(spec.retrain)}",
        f"  prune      {spec.fraction} of what is left of each layer but the first and the last,"
        f" {spec.rounds} times",
    ]
    for attack in spec.attacks:
        images = "all test images" if attack.examples is None else f"the first {attack.examples} test images"
        reach = {"eps": spec.eps} if attack.name in ("FGS", "rFGS") else {}
        lines.append(f"  {attack.name:11}{images}, {reach | dict(attack.options)}")
    return "\n".join(lines)


def architecture(spec: Spec) -> pd.DataFrame:
    """Layer by layer: shape of the output, weights, weights left after the last round, multiplications."""
    costs = layers(NETS[spec.model]([0], spec.narrow, len(spec.classes)))
    ends = (costs[0].name, costs[-1].name)
    return pd.DataFrame(
        {
            "layer": [layer.name for layer in costs],
            "output": [" x ".join(map(str, layer.output)) for layer in costs],
            "weights": [layer.weights for layer in costs],
            "left": [
                layer.weights
                if spec.dense_ends and layer.name in ends
                else kept_after(layer.weights, spec.rho, spec.rounds)
                for layer in costs
            ],
            "multiplications": [layer.macs for layer in costs],
        }
    )


def sparsity_path(spec: Spec) -> list[float]:
    """The sparsity of the whole network after each round, counted."""
    sizes = architecture(spec).weights.tolist()
    kept = [
        sum(
            size if spec.dense_ends and i in (0, len(sizes) - 1) else kept_after(size, spec.rho, r)
            for i, size in enumerate(sizes)
        )
        for r in range(spec.rounds + 1)
    ]
    return [1 - k / kept[0] for k in kept]


def curves(rows: pd.DataFrame, linf: str, l2: str) -> pd.DataFrame:
    """What :func:`~.plots.sparsity_curves` draws: accuracy and r_inf in one panel, r_2 in the other.

    Failures of DeepFool count as the paper counts them, by their first iteration
    (:func:`~.experiments.ledger.cifar.with_first_steps`).
    """
    table = with_first_steps(rows)
    shown = [
        (PANELS[0], linf, "r_inf", linf),
        (PANELS[0], "accuracy", "accuracy", ""),
        (PANELS[1], l2, "r_2", l2),
        (PANELS[1], f"{l2}, squared", "r_2_squared", l2),
    ]
    return pd.concat(
        [
            summary(table, metric, attack)
            .replace(float("inf"), float("nan"))
            .assign(panel=panel, label=label)
            for panel, label, metric, attack in shown
        ]
    )


def numbers(rows: pd.DataFrame, linf: str, l2: str) -> str:
    """The numbers behind :func:`curves`, a line for each round."""
    table = curves(rows, linf, l2)
    shown = {
        label: [plus_minus(m, s) for m, s in zip(part["mean"], part.spread, strict=True)]
        for label, part in table.groupby("label", sort=False)
    }
    first = table[table.label == "accuracy"]
    sparsity = [f"{100 * s:.2f}" for s in first.sparsity]
    return pd.DataFrame({"sparsity, %": sparsity} | shown, index=first.index).to_string(index_names=False)


def failures(rows: pd.DataFrame) -> str:
    """Where DeepFool fails: on how many images, for how many seeds, of which classes; r_2 both ways."""
    failed = per_seed(rows, "failures", "DeepFool")
    kinds = sorted(m for m in set(rows.metric) if m.startswith("failures_class_"))
    n = rows[(rows.metric == "failures") & (rows.attack == "DeepFool")].n.max()
    lines = [f"DeepFool on {n} images for each of {failed.shape[1]} seeds"]
    some = failed[(failed > 0).any(axis=1)]
    for round_ in some.index.astype(int).tolist():
        counts = some.loc[round_]
        of = {
            k.removeprefix("failures_class_"): per_seed(rows, k, "DeepFool").loc[round_].sum() for k in kinds
        }
        by_class = ", ".join(f"{k}: {v:.0f}" for k, v in of.items() if v)
        both = [per_seed(rows, m, "DeepFool").loc[round_].mean() for m in ("r_2", "r_2_first_step")]
        lines.append(
            f"  round {round_}: {counts.sum():.0f} failures, {(counts > 0).sum()} seeds; classes {by_class};"
            f" r_2 {both[0]:.4f}, with first iterations {both[1]:.4f}"
        )
    return "\n".join(lines if len(lines) > 1 else [*lines, "  it never fails"])


__all__ = [
    "architecture",
    "curves",
    "descent",
    "failures",
    "numbers",
    "protocol",
    "rows_of",
    "sparsity_path",
    "spec_of",
]
