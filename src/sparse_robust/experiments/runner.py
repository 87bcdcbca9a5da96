"""Run an experiment: resume, train, prune round by round, measure, store."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm import tqdm

from sparse_robust.data import Dataset
from sparse_robust.measurements import CLEAN, MEASUREMENTS, Measurement, MetricName, Subject
from sparse_robust.measurements.contract import Progress
from sparse_robust.metrics import total_sparsity
from sparse_robust.models import prunable

from .checkpoints import Replica, TrainingStage, digest
from .experiment import Experiment, Profile
from .files import StoreError
from .machine import choose_device, running
from .rows import BlockRow, Row
from .signals import deferred
from .spec import Attack, Spec
from .stages import Arrays, Population, advance, arrays, build, join, load, published
from .store import Store
from .unfinished import KEEP_EVERY, Keeper


class Run:
    """One spec with some seeds; what is stored is not computed again."""

    def __init__(
        self,
        experiment: Experiment,
        profile: Profile,
        spec: Spec,
        seeds: Sequence[int],
        *,
        device: torch.device,
        root: Path | str | None,
        dataset: Dataset,
        store: Store,
        quiet: bool,
        keep_every: float = KEEP_EVERY,
    ) -> None:
        """See what is missing."""
        self.experiment, self.profile, self.spec, self.store = experiment, profile, spec, store
        self.device, self.root, self.dataset, self.quiet = device, root, dataset, quiet
        self.keep_every = keep_every
        self.have = {row.identity for row in store.rows(experiment.name, profile)}
        self.seeds = [seed for seed in seeds if any(self.missing([seed], r) for r in spec.measured)]

    def missing(self, seeds: Sequence[int], round_: int) -> set[MetricName]:
        """The numbers after ``round_`` that at least one of the seeds lacks."""
        key, data = self.spec.key, self.dataset.fingerprint
        return {
            name for name in self.spec.names for s in seeds if (key, data, s, round_, *name) not in self.have
        }

    def __call__(self) -> None:
        """Compute and store what is missing, one round at a time.

        Raises:
            StoreError: if a number that was computed is not there in the end.
        """
        if not self.seeds:
            return
        self.store.prepare()
        data = arrays(self.spec, self.dataset, self.device)
        population = build(self.spec, self.seeds, self.device)
        for round_ in range(self.spec.rounds + 1):
            population = self.reach(round_, population, data)
            missing = self.missing(self.seeds, round_) if round_ in self.spec.measured else set()
            if missing & set(CLEAN.names(self.spec.setting)):
                self.measure(round_, population, data, CLEAN, lambda examples: None)
            for attack in self.spec.attacks:
                if missing & set(attack.names(self.spec.setting)):
                    with self.bar(
                        len(data.y_test[: attack.examples]), f"round {round_}, {attack.name}"
                    ) as bar:
                        self.measure(round_, population, data, MEASUREMENTS[attack.name], bar.update, attack)

        self.have = {row.identity for row in self.store.rows(self.experiment.name, self.profile)}
        if lost := sum(len(self.missing([s], r)) for s in self.seeds for r in self.spec.measured):
            path = self.store.rows_path(self.experiment.name, self.profile)
            raise StoreError(
                f"{path}: {lost} numbers that were computed are not there: another program writes this file"
                " without asking for its lock. Stop it, and run this again"
            )

    def bar(self, total: int, what: str) -> tqdm:
        """A progress bar that says which experiment, round and stage is running."""
        name = f"{self.experiment.name} ({self.profile}, {len(self.seeds)} seeds) {what}"
        return tqdm(total=total, desc=name, leave=False, disable=self.quiet or None, delay=1)

    def reach(self, round_: int, population: Population, data: Arrays) -> Population:
        """The replicas after ``round_``: published, from checkpoints, or from those of the round before.

        Surgery always starts from those of round 0.
        """
        if round_ == 0 and self.spec.weights is not None:
            return published(self.spec, self.seeds, self.device, self.root)
        key, data_ = self.spec.checkpoint_key(round_), self.dataset.fingerprint
        replicas = [Replica(key, data_, seed, round_) for seed in self.seeds]
        like = population.split()[0].tensors
        found = [self.store.find_checkpoint(replica, like) for replica in replicas]
        sound = [checkpoint for checkpoint in found if checkpoint is not None]
        if len(sound) == len(replicas):
            self.store.drop_unfinished(replicas[0])  # a kill may have come before it was
            return join(self.spec, self.seeds, sound, self.device)
        if round_ > 0 and self.spec.surgery is not None:
            population = self.reach(0, build(self.spec, self.seeds, self.device), data)
        stage = TrainingStage(key, data_, tuple(self.seeds), round_, digest(population.state(), {}))
        program = running(self.device, len(self.seeds))
        with deferred() as signals:
            keeper = Keeper(self.store, stage, program, self.keep_every, signals)
            with self.bar(self.spec.training(round_).steps, f"round {round_}, training") as bar:
                population = advance(self.spec, population, data, self.seeds, round_, bar.update, keeper)
            for replica, old, new in zip(replicas, found, population.split(), strict=True):
                if old is None:
                    self.store.save_checkpoint(replica, new)
            self.store.drop_unfinished(stage.first)
        return population

    def measure(
        self,
        round_: int,
        population: Population,
        data: Arrays,
        measurement: Measurement,
        progress: Progress,
        attack: Attack | None = None,
    ) -> None:
        """Measure, turn the numbers into rows with their provenance, and store them.

        Raises:
            RuntimeError: if the measurement does not yield the numbers that it names.
        """
        start = time.perf_counter()
        shown = slice(attack.examples if attack else None)
        subject = Subject(
            population.model,
            data.x_test[shown],
            data.y_test[shown],
            self.seeds,
            len(data.y_train),
            population.seconds,
        )
        options = dict(attack.options) if attack else {}
        values = measurement.measure(self.spec.setting, subject, options, progress)
        names = measurement.names(self.spec.setting)
        if set(values) != set(names):
            raise RuntimeError(f"measured {sorted(map(str, values))}, promised {sorted(map(str, names))}")
        seconds = round((time.perf_counter() - start) / len(self.seeds), 3)
        program = vars(running(self.device, len(self.seeds)))
        trained = [vars(by) if by else {} for by in population.programs]
        sparsity = total_sparsity(prunable(population.model))
        rows = [
            Row(
                experiment=self.experiment.name,
                spec=self.spec.key,
                seed=seed,
                round=round_,
                sparsity=sparsity[r],
                metric=metric,
                attack=under,
                value=values[metric, under][r].value,
                n=values[metric, under][r].n,
                stderr=values[metric, under][r].stderr,
                data=self.dataset.fingerprint,
                data_description=self.dataset.description,
                seconds=seconds,
                **program,
                **{f"training_{name}": value for name, value in trained[r].items()},
            )
            for metric, under in names
            for r, seed in enumerate(self.seeds)
        ]
        # first the blocks: a row that is stored is not measured again
        blocks = [
            BlockRow(*row.identity, blocks=values[row.metric, row.attack][self.seeds.index(row.seed)].blocks)
            for row in rows
        ]
        name, profile = self.experiment.name, self.profile
        self.store.add_blocks(name, profile, [block for block in blocks if block.blocks])
        self.store.add_rows(name, profile, rows)
        self.have |= {row.identity for row in rows}


def chains(
    experiment: Experiment, profile: Profile, seeds: Sequence[int], device: torch.device
) -> tuple[tuple[int, ...], ...]:
    """Which seeds are computed together, in one batched program, and which apart; each once, in order.

    On a GPU, networks of which one does not fill it are computed together. On a CPU every seed is computed
    alone, so that its numbers depend neither on the other seeds nor on how many run side by side.
    """
    once = tuple(dict.fromkeys(seeds))
    alone = device.type == "cpu" or any(spec.one_by_one for spec in experiment.variants(profile))
    return tuple((seed,) for seed in once) if alone else (once,)


@contextmanager
def fixed_threads(device: torch.device) -> Iterator[None]:
    """Compute in one thread on a CPU, whatever it offers: sums depend on how many threads share them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if device.type == "cpu" else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def run(
    experiment: Experiment,
    profile: Profile,
    *,
    device: str = "auto",
    seeds: Sequence[int] | None = None,
    root: Path | str | None = None,
    store: Store | None = None,
    quiet: bool = False,
    keep_every: float = KEEP_EVERY,
) -> list[Row]:
    """Run an experiment as far as it is not stored, and return its rows.

    Args:
        experiment: what to run.
        profile: ``smoke``, ``laptop`` or ``paper``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        seeds: None for the profile's own.
        root: the data root; None for the default.
        store: where rows and checkpoints live; None for the default.
        quiet: no progress bars.
        keep_every: seconds of training between two stored states to go on from.

    Raises:
        KeyError: if the experiment has no such profile; the message lists those that it has.
        ValueError: if the device is not there.
        DataError: if the data is damaged.
        MissingModelError: if it needs a published model that cannot be had.
        MissingDataError: if it needs data that cannot be had.
        RowError: if a stored row is damaged.
        StoreError: if nothing can be stored.
    """
    variants, place, store = experiment.variants(profile), choose_device(device), store or Store.default()
    groups = chains(experiment, profile, experiment.seeds[profile] if seeds is None else seeds, place)
    keys = set()
    with fixed_threads(place):
        for spec in variants:
            dataset = load(spec, root)
            keys.add((spec.key, dataset.fingerprint))
            for group in groups:
                job = Run(
                    experiment,
                    profile,
                    spec,
                    group,
                    device=place,
                    root=root,
                    dataset=dataset,
                    store=store,
                    quiet=quiet,
                    keep_every=keep_every,
                )
                job()
    rows, wanted = store.rows(experiment.name, profile), {seed for group in groups for seed in group}
    return [row for row in rows if (row.spec, row.data) in keys and row.seed in wanted]
