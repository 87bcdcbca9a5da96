"""What the chapter on network surgery prints: the protocol, and surgery beside progressive pruning."""

from dataclasses import asdict, dataclass

import pandas as pd

from sparse_robust.experiments import Profile, Spec, find
from sparse_robust.experiments.ledger.claim import HELD
from sparse_robust.experiments.ledger.surgery import CLOSE, deepest
from sparse_robust.experiments.statistics import (
    at_sparsity,
    complete_size,
    paired,
    per_seed,
    plus_minus,
    scale_of,
    stored,
    summary,
)
from sparse_robust.notebook import load_rows, provenance
from sparse_robust.pruned import METRICS, Key

PANELS: dict[str, Key] = {
    "accuracy": ("accuracy", ""),
    r"$r_\infty$, FGS": ("r_inf", "FGS"),
    r"$r_2$, DeepFool": ("r_2", "DeepFool"),
}
"""What the figures show, by title."""


@dataclass(frozen=True)
class Study:
    """Surgery on one network.

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


def study(name: str, pruned: str, target: float, profile: str, device: str = "cpu") -> Study:
    """The rows of surgery and of progressive pruning: read when published, computed otherwise.

    Args:
        name: the experiment with surgery.
        pruned: the experiment that prunes the same references progressively.
        target: the share of zeros asked for.
        profile: as for :func:`.notebook.load_rows`.
        device: where to compute.
    """
    scale = scale_of(name, profile)
    (spec,) = find(name).specs[scale]
    if profile != "published":
        ours, theirs = (load_rows(n, profile, device) for n in (name, pruned))
        return Study(name, scale, spec, ours, theirs, target)
    operated = stored(name, profile)
    if len(operated) < complete_size(operated, name, scale):
        operated = operated.iloc[:0]
    other = stored(pruned, "published", scale=scale) if len(operated) else stored(pruned, profile)
    return Study(name, scale, spec, operated, other, target)


def print_operations(study: Study) -> None:
    """What is trained, operated on and attacked, as the spec says.

    Raises:
        ValueError: if the spec has no surgery.
    """
    spec = study.spec
    if spec.surgery is None:
        raise ValueError(f"{study.name} has no surgery: its networks are pruned progressively")
    print(f"{study.name}, {study.scale} scale, spec {spec.key}")
    for what, training in (("dense", spec.dense), ("surgery", spec.surgery.training)):
        options = {k: v for k, v in asdict(training).items() if v}
        told = (f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in options.items())
        print(f"  {what:9}{', '.join(told)}")
    first = spec.surgery.surgeries[0]
    print(
        f"  calendar {first.stop} steps, (1 + {first.gamma:g} step)^-{first.power:g}, margin {first.margin:g}"
    )
    for round_, surgery in enumerate(spec.surgery.surgeries, start=1):
        print(f"  round {round_}  c = {', '.join(f'{c:g}' for c in surgery.strengths)}")
    for attack in spec.attacks:
        images = attack.examples or spec.test_examples or "all"
        print(f"  {attack.name:9}{dict(attack.options)}, {images} images")


def beside(study: Study) -> pd.DataFrame:
    """Surgery and progressive pruning over sparsity, as :func:`.plots.sparsity_curves` reads them.

    Progressive pruning is followed as far as surgery goes, or to its end if there are no rows of surgery.
    """
    operated, pruned = study.operated, study.pruned
    tables = {"progressive": pruned}
    if study.is_run:
        reach = pruned.groupby("round").sparsity.mean() < operated.sparsity.max()
        tables = {"surgery": operated, "progressive": pruned[pruned["round"] <= reach.sum()]}
    return pd.concat(
        summary(table, *key).replace(float("inf"), float("nan")).assign(panel=panel, label=label)
        for panel, key in PANELS.items()
        for label, table in tables.items()
    )


def at_equal_sparsity(study: Study, key: Key, round_: int) -> pd.DataFrame:
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


def print_beside(study: Study) -> None:
    """Every metric after every operation, beside progressive pruning at equal sparsity, paired by seed."""
    if not study.is_run:
        print(f"{study.name}: not run, no complete rows are stored")
        print(provenance(study.pruned))
        return
    sparsity = study.operated.groupby("round").sparsity.mean()
    last = study.pruned.groupby("round").sparsity.mean().max()
    for label, key in {"accuracy": ("accuracy", ""), **METRICS}.items():
        print(f"{label:23}surgery          progressive      difference, paired, 95 % interval")
        for round_ in sorted(study.operated["round"].unique()):
            share = sparsity.loc[round_]
            if share > last:
                print(f"  {100 * share:8.2f} %           beyond the last round of progressive pruning")
                continue
            both = at_equal_sparsity(study, key, round_)
            if both.shape[1] < 2:
                print(f"  {100 * share:8.2f} %           not comparable: the attack fails on an image")
                continue
            told = [plus_minus(row.mean(), row.std()) for _, row in both.iterrows()]
            print(f"  {100 * share:8.2f} %           {told[1]}  {told[0]}  {paired(both, 0, 1)}")
    print(provenance(study.operated))
    print(provenance(study.pruned))


def print_reach(study: Study) -> None:
    """How sparse surgery makes networks before their mean accuracy leaves the dense references'."""
    target = study.target
    if not study.is_run:
        print(f"{study.name}: {100 * target:g} % zeros are asked for; not run")
        return
    print(f"{study.name}, {study.scale} scale: {100 * target:g} % zeros are asked for")
    accuracy = summary(study.operated, "accuracy")
    dense = accuracy["mean"].loc[0]
    for room in (CLOSE, HELD):
        round_ = deepest(study.operated, room)
        sparsity, mean = map(float, accuracy.loc[round_, ["sparsity", "mean"]])
        met = "reached" if sparsity >= target else "not reached"
        print(
            f"  within {100 * room:g} points: to round {round_}, {100 * sparsity:.2f} % zeros, accuracy"
            f" {100 * mean:.2f} % ({100 * (mean - dense):+.2f} points); {100 * target:g} % {met}"
        )


__all__ = [
    "PANELS",
    "Study",
    "at_equal_sparsity",
    "beside",
    "print_beside",
    "print_operations",
    "print_reach",
    "study",
]
