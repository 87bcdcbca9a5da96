"""Tables of the chapter on network surgery: surgery beside progressive pruning."""

from dataclasses import dataclass

import pandas as pd

from sparse_robust.experiments import Profile, Spec, load_rows
from sparse_robust.experiments.load import complete_size, scale_of, stored
from sparse_robust.experiments.statistics import at_sparsity, paired, per_seed, plus_minus, summary
from sparse_robust.studies.catalogue import find
from sparse_robust.studies.rules import HELD
from sparse_robust.studies.tables import METRICS, Key, curves

from .claims import CLOSE, deepest

PANELS: dict[str, Key] = {
    "accuracy": ("accuracy", ""),
    r"$r_\infty$, FGS": ("r_inf", "FGS"),
    r"$r_2$, DeepFool": ("r_2", "DeepFool"),
}
"""What the figures show, by title."""


@dataclass(frozen=True)
class Comparison:
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


def compare(name: str, pruned: str, target: float, profile: str, device: str = "cpu") -> Comparison:
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
        return Comparison(name, scale, spec, ours, theirs, target)
    operated = stored(surgery, profile)
    if len(operated) < complete_size(operated, surgery, scale):
        operated = operated.iloc[:0]
    other = stored(progressive, "published", scale=scale) if len(operated) else stored(progressive, profile)
    return Comparison(name, scale, spec, operated, other, target)


def beside(study: Comparison) -> pd.DataFrame:
    """Surgery and progressive pruning over sparsity, as :func:`~.book.figures.sparsity_curves` reads them.

    Progressive pruning is followed as far as surgery goes, or to its end if there are no rows of surgery.
    """
    operated, pruned = study.operated, study.pruned
    tables = {"progressive": pruned}
    if study.is_run:
        reach = pruned.groupby("round").sparsity.mean() < operated.sparsity.max()
        tables = {"surgery": operated, "progressive": pruned[pruned["round"] <= reach.sum()]}
    return pd.concat(
        curves(table, {panel: {label: key}})
        for panel, key in PANELS.items()
        for label, table in tables.items()
    )


def at_equal_sparsity(study: Comparison, key: Key, round_: int) -> pd.DataFrame:
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


def at_equal_sparsities(study: Comparison) -> pd.DataFrame:
    """Every metric after every operation, beside progressive pruning at equal sparsity, paired by seed.

    Returns:
        columns metric, sparsity, surgery, progressive (mean ± spread), difference (paired, 95 % interval);
        the last three say why not where an operation goes beyond the last round of progressive pruning, or an
        attack fails.
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


def reach(study: Comparison) -> pd.DataFrame:
    """How sparse surgery makes networks before their mean accuracy leaves the dense references'.

    Returns:
        columns within (of dense accuracy), round, sparsity, accuracy, change, reached (the target sparsity).
    """
    accuracy = summary(study.operated, "accuracy")
    dense = accuracy["mean"].loc[0]
    lines = []
    for tolerance in (CLOSE, HELD):
        round_ = deepest(study.operated, tolerance)
        sparsity, mean = map(float, accuracy.loc[round_, ["sparsity", "mean"]])
        lines.append((tolerance, round_, sparsity, mean, mean - dense, sparsity >= study.target))
    return pd.DataFrame(lines, columns=["within", "round", "sparsity", "accuracy", "change", "reached"])
