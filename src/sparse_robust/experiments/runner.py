"""Run an experiment: resume, train, prune round by round, measure, store."""

import functools
import platform
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from sparse_robust.data import Dataset
from sparse_robust.metrics import total_sparsity
from sparse_robust.models import prunable

from .catalogue import Experiment, Profile, find
from .measure import Measurement, MetricName, attack_metrics, clean_metrics, measure_attack, measure_clean
from .rows import Row
from .spec import Spec
from .stages import Arrays, Population, advance, arrays, build, join, load, published
from .store import Store


@functools.cache
def code_version() -> tuple[str, bool]:
    """The commit of the package, and whether its source differs from it; ("unknown", True) outside git."""
    folder = Path(__file__).resolve().parents[1]

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD"), bool(git("status", "--porcelain", "--", "."))
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True


def device_name(device: torch.device) -> str:
    """What computes, in words that mean something on another machine."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu {platform.machine()}"


def choose_device(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is the GPU where there is one.

    Raises:
        ValueError: if there is no such device here; the message lists those that there are.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    known = ["auto", "cpu", *(["cuda"] if gpus else []), *(f"cuda:{i}" for i in range(gpus))]
    if name not in known:
        why = " (PyTorch finds no GPU)" if not gpus else ""
        raise ValueError(f"no device {name!r} on this machine{why}; known: {', '.join(known)}")
    return torch.device(name)


def expected(spec: Spec) -> list[MetricName]:
    """Every (metric, attack) of one replica after one round."""
    return clean_metrics(spec) + [name for attack in spec.attacks for name in attack_metrics(spec, attack)]


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
    ) -> None:
        """See what is missing."""
        self.experiment, self.profile, self.spec, self.store = experiment, profile, spec, store
        self.device, self.root, self.dataset, self.quiet = device, root, dataset, quiet
        self.have = {row.identity for row in store.rows(experiment.name, profile)}
        self.seeds = [seed for seed in seeds if any(self.missing([seed], r) for r in spec.measured)]

    def missing(self, seeds: Sequence[int], round_: int) -> set[MetricName]:
        """The numbers after ``round_`` that at least one of the seeds lacks."""
        key, data = self.spec.key, self.dataset.fingerprint
        return {
            name
            for name in expected(self.spec)
            for s in seeds
            if (key, data, s, round_, *name) not in self.have
        }

    def __call__(self) -> None:
        """Compute and store what is missing, one round at a time."""
        if not self.seeds:
            return
        self.store.prepare()
        data = arrays(self.spec, self.dataset, self.device)
        population = build(self.spec, self.seeds, self.device)
        for round_ in range(self.spec.rounds + 1):
            population = self.reach(round_, population, data)
            missing = self.missing(self.seeds, round_) if round_ in self.spec.measured else set()
            if missing & set(clean_metrics(self.spec)):
                self.keep(round_, population, measure_clean(self.spec, population, data))
            for attack in self.spec.attacks:
                if missing & set(attack_metrics(self.spec, attack)):
                    with self.bar(
                        len(data.y_test[: attack.examples]), f"round {round_}, {attack.name}"
                    ) as bar:
                        measured = measure_attack(self.spec, attack, population, data, self.seeds, bar.update)
                        self.keep(round_, population, measured)

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
        key = self.spec.checkpoint_key(round_)
        paths = [
            self.store.checkpoint_path(key, self.dataset.fingerprint, seed, round_) for seed in self.seeds
        ]
        if all(path.exists() for path in paths):
            like = population.split()[0]
            states = [self.store.load_checkpoint(path, like) for path in paths]
            return join(self.spec, self.seeds, states, self.device)
        if round_ > 0 and self.spec.surgery is not None:
            population = self.reach(0, build(self.spec, self.seeds, self.device), data)
        with self.bar(self.spec.training(round_).steps, f"round {round_}, training") as bar:
            population = advance(self.spec, population, data, self.seeds, round_, bar.update)
        for path, state in zip(paths, population.split(), strict=True):
            if not path.exists():
                self.store.save_checkpoint(path, state)
        return population

    def keep(self, round_: int, population: Population, measured: Iterable[Measurement]) -> None:
        """Turn measurements into rows with their provenance, and store them."""
        commit, dirty = code_version()
        sparsity = total_sparsity(prunable(population.model))
        rows = [
            Row(
                experiment=self.experiment.name,
                spec=self.spec.key,
                seed=seed,
                round=round_,
                sparsity=sparsity[r],
                metric=m.metric,
                attack=m.attack,
                value=m.values[r].value,
                n=m.values[r].n,
                stderr=m.values[r].stderr,
                commit=commit,
                dirty=dirty,
                torch=torch.__version__,
                device=device_name(self.device),
                data=self.dataset.fingerprint,
                data_description=self.dataset.description,
                seconds=round(m.seconds / len(self.seeds), 3),
            )
            for m in measured
            for r, seed in enumerate(self.seeds)
        ]
        self.store.add_rows(self.experiment.name, self.profile, rows)
        self.have |= {row.identity for row in rows}


def run(
    name: str,
    profile: Profile,
    *,
    device: str = "auto",
    seeds: Sequence[int] | None = None,
    root: Path | str | None = None,
    store: Store | None = None,
    quiet: bool = False,
) -> list[Row]:
    """Run an experiment of the catalogue as far as it is not stored, and return its rows.

    Args:
        name: as in the catalogue.
        profile: ``smoke``, ``laptop`` or ``paper``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        seeds: None for the profile's own.
        root: the data root; None for the default.
        store: where rows and checkpoints live; None for the default.
        quiet: no progress bars.

    Raises:
        KeyError: if there is no such experiment or profile; the message lists the known ones.
        ValueError: if the device is not there.
        DataError: if the data is damaged.
        MissingModelError: if it needs a published model that cannot be had.
        MissingDataError: if it needs data that cannot be had.
        RowError, CheckpointError: if what is stored is damaged.
        StoreError: if nothing can be stored.
    """
    experiment, place, store = find(name), choose_device(device), store or Store.default()
    if profile not in experiment.specs:
        raise KeyError(f"{name} has no profile {profile!r}; known: {', '.join(experiment.specs)}")
    wanted = tuple(dict.fromkeys(experiment.seeds[profile] if seeds is None else seeds))
    keys = set()
    for spec in experiment.specs[profile]:
        dataset = load(spec, root)
        for group in [(seed,) for seed in wanted] if spec.one_by_one else [wanted]:
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
            )
            job()
        keys.add((spec.key, dataset.fingerprint))
    return [row for row in store.rows(name, profile) if (row.spec, row.data) in keys and row.seed in wanted]
