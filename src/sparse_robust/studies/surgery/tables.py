"""Tables of the chapter on network surgery: surgery beside progressive pruning."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from sparse_robust.experiments import Profile, Spec, load_rows, provenance
from sparse_robust.experiments.load import complete_size, scale_of, stored
from sparse_robust.experiments.statistics import at_sparsity, paired, per_seed, plus_minus, summary
from sparse_robust.studies.catalogue import find
from sparse_robust.studies.rules import HELD
from sparse_robust.studies.tables import METRICS, Key, curves

from .claims import deepest

POINT = 0.01
"""Within one point, the wider of two tolerances that the table of depths shows."""

PANELS: Mapping[str, Key] = {
    "accuracy": ("accuracy", ""),
    **{label: key for label, key in METRICS.items() if key in (("r_inf", "FGS"), ("r_2", "DeepFool"))},
}
"""What the figures show, by title."""


@dataclass(frozen=True)
class DepthComparison:
    """Surgery on one network, beside progressive pruning.

    Attributes:
        name: of the experiment.
        scale: of its rows; that of the paper if there are none.
        spec: what is operated on, and how.
        operated: its rows, empty if it has not been run to the end.
        pruned: the rows of progressive pruning of the same dense references, at the same scale if
            ``operated`` is not empty.
        target: the share of zeros asked for.
    """

    name: str
    scale: Profile
    spec: Spec
    operated: pd.DataFrame
    pruned: pd.DataFrame
    target: float

    @property
    def is_run(self) -> bool:
        """Whether there are rows of surgery."""
        return len(self.operated) > 0

    def __str__(self) -> str:
        """Where its numbers come from, or that there are none."""
        if not self.is_run:
            return f"{self.name}: not run"
        return f"{provenance(self.operated)}; {provenance(self.pruned)}"


def compare(name: str, pruned: str, target: float, profile: str, device: str = "cpu") -> DepthComparison:
    """The rows of surgery and of progressive pruning: read when published, computed otherwise.

    Args:
        name: the experiment with surgery.
        pruned: the experiment that prunes the same references progressively.
        target: the share of zeros asked for.
        profile: as for :func:`~sparse_robust.experiments.load_rows`.
        device: where to compute.
    """
    surgery, progressive = find(name), find(pruned)
    scale = scale_of(surgery, profile)
    (spec,) = surgery.variants(scale)
    if profile != "published":
        ours, theirs = (load_rows(experiment, profile, device) for experiment in (surgery, progressive))
        return DepthComparison(name, scale, spec, ours, theirs, target)
    operated = stored(surgery, profile)
    if len(operated) < complete_size(operated, surgery, scale):
        operated = operated.iloc[:0]
    other = stored(progressive, "published", scale=scale) if len(operated) else stored(progressive, profile)
    return DepthComparison(name, scale, spec, operated, other, target)


def beside(study: DepthComparison) -> pd.DataFrame:
    """Surgery and progressive pruning over sparsity, as :func:`~.book.figures.sparsity_curves` reads them.

    Progressive pruning is followed as far as surgery goes, or to its end if there are no rows of surgery.
    """
    pruned = study.pruned
    tables = {"progressive": pruned}
    if study.is_run:
        reach = pruned.groupby("round").sparsity.mean() < study.operated.sparsity.max()
        tables = {"surgery": study.operated, "progressive": pruned[pruned["round"] <= reach.sum()]}
    return pd.concat(
        curves(table, {panel: {label: key}})
        for panel, key in PANELS.items()
        for label, table in tables.items()
    )


def at_equal_sparsity(study: DepthComparison, key: Key, round_: int) -> pd.DataFrame:
    """One number by seed, after progressive pruning (row 0) and after an operation as sparse (row 1).

    Only seeds that both have, and none in which an attack failed.

    Raises:
        ValueError: if the operation goes beyond the last round of progressive pruning.
    """
    sparsity = study.operated[study.operated["round"] == round_].sparsity.mean()
    ours = per_seed(study.operated, *key).loc[round_]
    theirs = at_sparsity(study.pruned, *key, sparsity)
    both = pd.DataFrame([theirs, ours], index=[0, 1]).replace(float("inf"), float("nan"))
    return both.dropna(axis="columns")


def at_equal_sparsities(study: DepthComparison) -> pd.DataFrame:
    """Every metric after every operation, beside progressive pruning at equal sparsity, paired by seed.

    Returns:
        columns metric, sparsity, surgery, progressive (mean ± spread), difference (paired, 95 % interval);
        where an operation goes beyond the last round of progressive pruning, or an attack fails, two are
        empty and the last says so. No line if there are no rows of surgery.
    """
    sparsity = study.operated.groupby("round").sparsity.mean()
    last = study.pruned.groupby("round").sparsity.mean().max()
    lines: list[tuple[str, float, str, str, str]] = []
    for label, key in {"accuracy": ("accuracy", ""), **METRICS}.items():
        for round_, share in sparsity.items():
            if share > last:
                lines.append((label, share, "", "", "beyond the last round of progressive pruning"))
                continue
            both = at_equal_sparsity(study, key, int(round_))  # type: ignore[call-overload]
            if both.shape[1] < 2:
                lines.append((label, share, "", "", "not comparable: the attack fails on an image"))
                continue
            theirs, ours = (plus_minus(row.mean(), row.std()) for _, row in both.iterrows())
            lines.append((label, share, ours, theirs, str(paired(both, 0, 1))))
    return pd.DataFrame(lines, columns=["metric", "sparsity", "surgery", "progressive", "difference"])


def reach(study: DepthComparison) -> pd.DataFrame:
    """How sparse surgery makes networks before their mean accuracy leaves the dense references'.

    Returns:
        columns within (of dense accuracy), round, sparsity, accuracy, change, target, reached (whether the
        sparsity is the target's); no line if there are no rows of surgery.
    """
    columns = ["within", "round", "sparsity", "accuracy", "change", "target", "reached"]
    if not study.is_run:
        return pd.DataFrame(columns=columns)
    accuracy = summary(study.operated, "accuracy")
    dense = accuracy["mean"].loc[0]
    lines = []
    for tolerance in (HELD, POINT):
        round_ = deepest(study.operated, tolerance)
        sparsity, mean = map(float, accuracy.loc[round_, ["sparsity", "mean"]])
        change, reached = mean - dense, sparsity >= study.target
        lines.append((tolerance, round_, sparsity, mean, change, study.target, reached))
    return pd.DataFrame(lines, columns=columns)


def strengths(study: DepthComparison) -> pd.DataFrame:
    """The strength c of every operation in each layer, and the share of its weights that ends as zero.

    Returns:
        columns round, c for each layer, and zeros for each layer if there are rows of surgery.
    """
    assert study.spec.surgery is not None
    plan = pd.DataFrame([surgery.strengths for surgery in study.spec.surgery.surgeries])
    table = pd.DataFrame({"round": range(1, len(plan) + 1)})
    for k, c in enumerate(plan, 1):
        table[f"c, layer {k}"] = plan[c]
        if study.is_run:
            table[f"zeros, layer {k}"] = summary(study.operated, f"sparsity_{k}")["mean"].loc[1:].to_numpy()
    return table
