"""How long experiments took, from the rows that they left.

A row's ``seconds`` are the wall time of the measurement that it comes from, divided by the replicas that
shared it; all rows of one measurement carry the same. So a measurement counts once for each seed, and the
sum over seeds is wall time again. The training of earlier experiments was not timed: their rows say how
long measuring took. Rows of the networks for CIFAR-10 have the training too, as ``training_seconds``.
"""

from collections.abc import Mapping

import pandas as pd

from sparse_robust.experiments import PROFILES, Profile
from sparse_robust.experiments.rows import Row
from sparse_robust.experiments.statistics import frame
from sparse_robust.experiments.store import Store
from sparse_robust.studies.catalogue import CATALOGUE

TRAINING = "training_seconds"

OWN: Mapping[Profile, str] = {profile: profile for profile in PROFILES}
"""The user's own files of rows, by the scale of their specs; the published ones are
:data:`~.load.PUBLISHED_FILES`."""


def measured(rows: list[Row]) -> pd.DataFrame:
    """Seconds by what was done and where: columns device, what (an attack, no attack, training), seconds.

    A measurement is a seed of a spec after a round under an attack; numbers without one belong together.
    """
    table = frame(rows)
    trained = table[table.metric == TRAINING].assign(seconds=lambda t: t.value, what="training")
    rest = table[table.metric != TRAINING].assign(
        what=lambda t: t.attack.where(~t.attack.isin(["", "exact"]), "no attack")
    )
    once = rest.groupby(["spec", "data", "seed", "round", "device", "what"], as_index=False).seconds.max()
    parts = pd.concat([trained, once]).groupby(["device", "what"], sort=False)[["seconds"]]
    return parts.sum().reset_index()


def current(name: str, scale: Profile, file: str, store: Store) -> list[Row]:
    """The rows of an experiment in one file under its present specs of that scale."""
    keys = {spec.key for spec in CATALOGUE[name].specs.get(scale, ())}
    return [row for row in store.rows(name, file) if row.spec in keys]


def run_times(files: Mapping[Profile, str] = OWN, store: Store | None = None) -> pd.DataFrame:
    """Every stored run in these files: experiment, scale, device, seeds, models, what, seconds."""
    store = store or Store.default()
    parts = []
    for name in CATALOGUE:
        for scale, file in files.items():
            if rows := current(name, scale, file, store):
                seeds = len({row.seed for row in rows})
                models = len({(row.spec, row.data, row.seed, row.round) for row in rows})
                parts.append(measured(rows).assign(experiment=name, scale=scale, seeds=seeds, models=models))
    columns = ["experiment", "scale", "device", "seeds", "models", "what", "seconds"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def by_run(times: pd.DataFrame) -> pd.DataFrame:
    """:func:`run_times` with a line for each run.

    Returns:
        columns experiment, scale, device, seeds, models; minutes by what was done, as text; total minutes.
    """
    run = ["experiment", "scale", "device", "seeds", "models"]
    lines = []
    for key, part in times.groupby(run, sort=False):
        minutes = ", ".join(f"{what} {s / 60:.1f}" for what, s in zip(part.what, part.seconds, strict=True))
        lines.append((*key, minutes, part.seconds.sum() / 60))
    return pd.DataFrame(lines, columns=[*run, "minutes", "total"])


def not_run(files: Mapping[Profile, str] = OWN, store: Store | None = None) -> pd.DataFrame:
    """Everything in the catalogue of which these files have no rows: columns experiment, scale."""
    store = store or Store.default()
    lines = [
        (name, scale)
        for name, experiment in CATALOGUE.items()
        for scale, file in files.items()
        if scale in experiment.specs and not current(name, scale, file, store)
    ]
    return pd.DataFrame(lines, columns=["experiment", "scale"])
