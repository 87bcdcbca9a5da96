"""How long experiments took, from the rows that they left.

A row's ``seconds`` are the wall time of the measurement that it comes from, divided by the replicas that
shared it; all rows of one measurement carry the same. So a measurement counts once for each seed, and the
sum over seeds is wall time again. The training of earlier experiments was not timed: their rows say how
long measuring took. Rows of the networks for CIFAR-10 have the training too, as ``training_seconds``.
"""

from collections.abc import Sequence

import pandas as pd

from .catalogue import CATALOGUE, PROFILES, Profile
from .rows import Row
from .statistics import frame
from .store import Store

TRAINING = "training_seconds"


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


def run_times(profiles: Sequence[Profile] = PROFILES, store: Store | None = None) -> pd.DataFrame:
    """Every stored run of these profiles: experiment, profile, device, seeds, models, what, seconds."""
    store = store or Store.default()
    parts = []
    for name, experiment in CATALOGUE.items():
        for profile in profiles:
            keys = {spec.key for spec in experiment.specs.get(profile, ())}
            rows = [row for row in store.rows(name, profile) if row.spec in keys]
            if rows:
                seeds = len({row.seed for row in rows})
                models = len({(row.spec, row.data, row.seed, row.round) for row in rows})
                parts.append(
                    measured(rows).assign(experiment=name, profile=profile, seeds=seeds, models=models)
                )
    columns = ["experiment", "profile", "device", "seeds", "models", "what", "seconds"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def not_run(profiles: Sequence[Profile] = PROFILES, store: Store | None = None) -> list[tuple[str, str]]:
    """Experiment and profile of everything in the catalogue that has no rows of these profiles."""
    store = store or Store.default()
    return [
        (name, profile)
        for name, experiment in CATALOGUE.items()
        for profile in profiles
        if profile in experiment.specs
        and not {row.spec for row in store.rows(name, profile)} & {s.key for s in experiment.specs[profile]}
    ]


__all__ = ["TRAINING", "measured", "not_run", "run_times"]
