"""The runner: whole smoke profiles, and resumption after every kind of interruption."""

import math
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load, save_file

from published_models import fabricate
from sparse_robust.data import Dataset, embedded_digits, fingerprint, made_images, pixels
from sparse_robust.experiments import (
    Attack,
    Experiment,
    Operations,
    Row,
    Spec,
    Store,
    StoreError,
    machine,
    provenance,
    run,
    runner,
    stages,
)
from sparse_robust.experiments.checkpoints import Replica
from sparse_robust.experiments.machine import Program
from sparse_robust.experiments.runner import Run
from sparse_robust.experiments.statistics import frame
from sparse_robust.measurements import CLEAN
from sparse_robust.models import LeNet5
from sparse_robust.pruning import Surgery, dense_masks, kept_after
from sparse_robust.studies.catalogue import CATALOGUE
from sparse_robust.training import Training, train


def numbers(rows: Iterable[Row]) -> dict[Any, Any]:
    """What was measured, without where and when."""
    return {row.identity: (row.value, row.n, row.stderr, row.sparsity) for row in rows}


def assert_close(found: Iterable[Row], expected: Iterable[Row]) -> None:
    """The same measurements, to floating-point tolerance (an example or so may sit on a boundary)."""
    one, other = numbers(found), numbers(expected)
    assert one.keys() == other.keys()
    for identity, (value, n, stderr, sparsity) in one.items():
        assert (n, sparsity) == (other[identity][1], other[identity][3])
        assert value == pytest.approx(other[identity][0], rel=1e-3), identity
        assert (stderr is None) == (other[identity][2] is None)


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("something stored was computed again")


# --- whole smoke profiles, on one thread, once -----------------------------------------------------


SMOKE_STEPS = 1000
"""What a smoke run may cost, in training steps of one LeNet-5: some twenty seconds of an ordinary core."""


@dataclass(frozen=True)
class Smoke:
    store: Store
    rows: dict[str, list[Row]]
    steps: dict[str, float]


def seconds_of_a_step() -> float:
    """CPU seconds of a training step of one LeNet-5: a unit that a slow or busy machine stretches, too."""
    digits = embedded_digits().train
    model, steps = LeNet5((0,)), 4
    start = time.process_time()
    x, options = pixels(digits).flatten(1), Training(steps=steps)
    train(model, dense_masks(model), x, digits.labels, options, seeds=(0,), stage="unit")
    return (time.process_time() - start) / steps


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Smoke]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("smoke")
    done = Smoke(Store(folder / "not" / "there", folder / "nor" / "this"), {}, {})
    with pytest.MonkeyPatch.context() as patch:
        fabricate(folder, patch)
        for name in CATALOGUE:
            unit, start = seconds_of_a_step(), time.process_time()
            done.rows[name] = run(
                CATALOGUE[name], "smoke", device="cpu", root=folder, store=done.store, quiet=True
            )
            done.steps[name] = (time.process_time() - start) / max(unit, seconds_of_a_step())
    yield done
    torch.set_num_threads(threads)


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_smoke_is_complete_and_takes_seconds(smoke: Smoke, name: str) -> None:
    experiment = CATALOGUE[name]
    (data,) = {stages.load(spec, None).fingerprint for spec in experiment.specs["smoke"]}
    assert {row.identity for row in smoke.rows[name]} == {
        (spec.key, data, seed, round_, *number)
        for spec in experiment.specs["smoke"]
        for seed in experiment.seeds["smoke"]
        for round_ in spec.measured
        for number in spec.names
    }
    failed = {(r.seed, r.round, r.attack) for r in smoke.rows[name] if r.metric == "failures" and r.value}
    assert not failed or experiment.specs["smoke"][0].one_by_one, "so short an attack may fail on large nets"
    for row in smoke.rows[name]:
        infinite = row.metric in ("r_2", "r_2_squared") and (row.seed, row.round, row.attack) in failed
        assert math.isinf(row.value) if infinite else math.isfinite(row.value), row
    assert smoke.steps[name] < SMOKE_STEPS


@pytest.mark.parametrize("name", ["linear-binary", "linear-multiclass"])
def test_smoke_agrees_with_closed_forms(smoke: Smoke, name: str) -> None:
    """On linear models DeepFool is exact, sparsity is counted, and a box can only help the defender."""
    (spec,) = CATALOGUE[name].specs["smoke"]
    weights = 784 * (1 if len(spec.classes) == 2 else len(spec.classes))
    found = {(row.seed, row.round, row.metric, row.attack): row for row in smoke.rows[name]}
    for (seed, round_, metric, attack), row in found.items():
        assert row.sparsity == (weights - kept_after(weights, spec.rho, round_)) / weights
        if metric == "sparsity":
            assert (row.value, row.n) == (row.sparsity, weights)
        if metric == "failures":
            assert row.value == 0
        if attack in (None, "exact") or metric == "failures":
            continue
        exact = found[seed, round_, metric, "exact"].value
        if attack == "DeepFool":
            factor = 1.02 if metric == "r_2" else 1.02**2
            assert row.value == pytest.approx(factor * exact, rel=1e-4)
        elif attack == "C&W":
            assert exact < row.value < 2.5 * exact
        else:
            assert row.value >= exact


def test_rows_say_where_they_come_from(smoke: Smoke) -> None:
    known = {(d.fingerprint, d.description) for d in (embedded_digits(), made_images())}
    told = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    commit = told.stdout.strip() if told.returncode == 0 else "unknown"
    for row in (row for rows in smoke.rows.values() for row in rows):
        assert (row.data, row.data_description) in known
        assert (row.torch, row.device) == (torch.__version__, f"cpu {platform.machine()}")
        assert row.seconds >= 0
        assert row.commit == machine.code_version()[0]
    assert len(commit) in (len("unknown"), 12)
    assert machine.code_version()[0] == commit or told.returncode == 0  # a commit may be made meanwhile


def test_outside_git_the_code_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_git(*_: Any, **__: Any) -> Any:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert machine.code_version.__wrapped__() == ("unknown", True)


def test_second_run_computes_nothing(smoke: Smoke, monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in ("advance", "build"):
        monkeypatch.setattr(runner, stage, refuse)
    monkeypatch.setattr(Run, "measure", refuse)
    for name, rows in smoke.rows.items():
        before = smoke.store.rows_path(name, "smoke").read_bytes()
        assert run(CATALOGUE[name], "smoke", device="cpu", store=smoke.store, quiet=True) == rows
        assert smoke.store.rows_path(name, "smoke").read_bytes() == before


KILLS = 6

KILLED = """
import os, random, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from safetensors.torch import load_file
from sparse_robust.experiments import Store, run
from sparse_robust.studies.catalogue import find

home, kills = Path(sys.argv[1]), int(sys.argv[2])
store = Store(home / "results", home / "cache")
choose = random.Random(0)
fsync = os.fsync

def die_at(write, torn):
    written = 0
    def dying(handle):
        nonlocal written
        written += 1
        if written == write:
            if torn:  # half of the draft had reached the disk
                os.ftruncate(handle, os.fstat(handle).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(handle)
    os.fsync = dying

for attempt in range(kills + 1):
    write, torn = choose.randint(1, 4), choose.random() < 0.5
    child = os.fork()
    if child == 0:
        if attempt < kills:
            die_at(write, torn)
        run(find("linear-binary"), "smoke", device="cpu", store=store, quiet=True)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    rows = store.rows("linear-binary", "smoke")  # checked as they are read
    checkpoints = [load_file(path) for path in home.rglob("*.safetensors")]
    print(code, len(rows), len(checkpoints), flush=True)
"""


def test_a_killed_run_leaves_valid_files_and_resumes(smoke: Smoke, tmp_path: Path) -> None:
    """Real processes, ended by the kernel in the middle of their n-th write, without a chance to clean up."""
    driver = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(KILLS)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert driver.returncode == 0, driver.stdout + driver.stderr
    attempts = [tuple(map(int, line.split())) for line in driver.stdout.splitlines()]
    assert [code for code, _, _ in attempts] == [-signal.SIGKILL] * KILLS + [0]
    assert [rows for _, rows, _ in attempts] == sorted(rows for _, rows, _ in attempts)
    assert [kept for _, _, kept in attempts] == sorted(kept for _, _, kept in attempts)
    assert len({attempt[1:] for attempt in attempts}) > 2, "the kills struck at one place"
    resumed = Store(tmp_path / "results", tmp_path / "cache").rows("linear-binary", "smoke")
    assert numbers(resumed) == numbers(smoke.rows["linear-binary"])


# --- a tiny experiment, for everything that needs many runs -----------------------------------------

TINY = Spec(
    model="linear",
    data="mnist-sample",
    classes=(1, 7),
    dense=Training(6, batch_size=16, lr=0.1),
    retrain=Training(3, batch_size=16, lr=0.1),
    rounds=2,
    fraction="1/3",
    # so short a C&W fails, which rows must be able to say
    attacks=(
        Attack("FGS"),
        Attack("rFGS"),
        Attack("DeepFool"),
        Attack("C&W", (("searches", 1), ("steps", 2))),
    ),
    test_examples=12,
)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return embedded_digits()


TINY_EXPERIMENT = Experiment("tiny", "for tests", {"smoke": (TINY,)}, {"smoke": (0, 1)})


@pytest.fixture
def tiny(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """The data of every run, digits that are read once."""
    monkeypatch.setattr(runner, "load", lambda spec, root: digits)
    return digits


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results", tmp_path / "cache")


def go(store: Store, *seeds: int) -> list[Row]:
    return run(TINY_EXPERIMENT, "smoke", device="cpu", seeds=seeds or None, store=store, quiet=True)


def checkpoint(store: Store, digits: Dataset, seed: int, round_: int) -> Path:
    return store.checkpoint_path(Replica(TINY.training_key, digits.fingerprint, seed, round_))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[int, ...]]]:
    """Every (round, seeds) that is trained, as it happens."""
    calls: list[tuple[int, tuple[int, ...]]] = []
    advance = runner.advance

    def watched(spec: Spec, population: Any, data: Any, seeds: Any, round_: int, *others: Any) -> Any:
        calls.append((round_, tuple(seeds)))
        return advance(spec, population, data, seeds, round_, *others)

    monkeypatch.setattr(runner, "advance", watched)
    return calls


def test_interrupted_after_every_single_write(
    tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt completes one write and dies in the next: the result is that of one peaceful run."""
    fsync, writes = os.fsync, 0

    def counting(handle: int) -> None:
        nonlocal writes
        writes += 1
        fsync(handle)

    def dying(handle: int) -> None:
        counting(handle)
        if writes == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", counting)
        peaceful, all_writes = numbers(go(Store(tmp_path / "a", tmp_path / "b"), 0)), writes
        store = Store(tmp_path / "results", tmp_path / "cache")
        patch.setattr(os, "fsync", dying)
        for _ in range(all_writes - 1):
            writes = 0
            with pytest.raises(KeyboardInterrupt):
                go(store, 0)
            assert numbers(store.rows("tiny", "smoke")).items() <= peaceful.items()
            assert not list(tmp_path.rglob("*.draft"))
        writes = 0
        assert numbers(go(store, 0)) == peaceful, "the last write is the one that was left"
    assert all_writes > (1 + 1 + len(TINY.attacks)) * (TINY.rounds + 1), "checkpoint, clean metrics, attacks"
    assert numbers(go(store, 0)) == peaceful


OPERATED = replace(
    TINY,
    rounds=3,
    surgery=Operations(
        Training(8, batch_size=16, lr=0.1), tuple(Surgery((c,), stop=4) for c in (0.5, 1.0, 0.5))
    ),
)


OPERATED_EXPERIMENT = Experiment("operated", "for tests", {"smoke": (OPERATED,)}, {"smoke": (0, 1)})
"""The same dense references, operated on; the third operation repeats the first."""


def test_every_operation_starts_from_the_dense_references(
    tiny: Dataset, store: Store, trained: list[tuple[int, tuple[int, ...]]]
) -> None:
    go(store)
    del trained[:]
    rows = run(OPERATED_EXPERIMENT, "smoke", device="cpu", store=store, quiet=True)
    assert trained == [(r, (s,)) for s in (0, 1) for r in (1, 2, 3)], (
        "the dense references are shared, not trained again"
    )
    found = {(row.round, row.seed, row.metric, row.attack): row.value for row in rows}
    for (round_, *what), value in found.items():
        if round_ == 1:
            assert value == found[3, *what], "an operation does not depend on those before it"
    depths = [{found[r, seed, "sparsity", None] for seed in (0, 1)} for r in range(4)]
    assert depths[0] == {0}
    assert 0 < min(depths[1]) <= max(depths[1]) < min(depths[2]) < 1
    for (round_, seed, metric, _), value in found.items():
        if metric == "sparsity_1":
            assert value == found[round_, seed, "sparsity", None], "there is one layer"
    # lost after the fact: trained again from the dense references, not from the operation before
    store.rows_path("operated", "smoke").unlink()
    for seed in (0, 1):
        replica = Replica(OPERATED.checkpoint_key(2), tiny.fingerprint, seed, 2)
        store.checkpoint_path(replica).unlink()
    again = run(OPERATED_EXPERIMENT, "smoke", device="cpu", store=store, quiet=True)
    assert numbers(again) == numbers(rows)


@pytest.mark.parametrize("selection", ["none", "random"])
def test_controls_share_dense_references_data_and_counts(
    tiny: Dataset, store: Store, trained: Any, selection: Any
) -> None:
    """The same batches and schedule, but no weight is lost, or others are."""
    path = numbers(go(store))
    control = replace(TINY, selection=selection)
    experiment = Experiment("control", "for tests", {"smoke": (control,)}, {"smoke": (0, 1)})
    del trained[:]
    rows = numbers(run(experiment, "smoke", device="cpu", store=store, quiet=True))
    assert trained == [(r, (s,)) for s in (0, 1) for r in (1, 2)]
    assert {identity[1:] for identity in rows} == {identity[1:] for identity in path}
    for (spec, *of), (value, n, _, sparsity) in rows.items():
        assert spec == control.key
        _, _, round_, _, _ = of
        _, n_pruned, _, sparsity_pruned = path[(TINY.key, *of)]
        assert n == n_pruned
        assert sparsity == (0 if selection == "none" else sparsity_pruned)
        assert round_ > 0 or value == path[(TINY.key, *of)][0]
    later = {of: value for of, value in rows.items() if of[3:] == (2, "r_2", "DeepFool")}
    assert all(value != path[(TINY.key, *of[1:])] for of, value in later.items())


def test_one_seed_and_then_two_equals_two_at_once(
    tiny: Dataset, tmp_path: Path, trained: list[tuple[int, tuple[int, ...]]]
) -> None:
    together = go(Store(tmp_path / "a", tmp_path / "b"), 0, 1)
    store = Store(tmp_path / "c", tmp_path / "d")
    assert {row.seed for row in go(store, 0)} == {0}
    del trained[:]
    assert numbers(go(store, 0, 1)) == numbers(together)
    assert trained == [(0, (1,)), (1, (1,)), (2, (1,))]
    values = numbers(together)
    assert any(v != values[(*i[:2], 1, *i[3:])] for i, v in values.items() if i[2] == 0 and i[4] == "r_2")


def test_in_one_program_seeds_agree_with_lone_ones(
    tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: Any
) -> None:
    """As on a GPU: not bit by bit, as sums over a batch are taken in another order."""
    alone = go(Store(tmp_path / "a", tmp_path / "b"))
    assert {row.replicas for row in alone} == {row.training_replicas for row in alone} == {1}
    del trained[:]
    monkeypatch.setattr(runner, "chains", lambda experiment, profile, seeds, device: (tuple(seeds),))
    together = go(Store(tmp_path / "c", tmp_path / "d"))
    assert trained == [(r, (0, 1)) for r in (0, 1, 2)]
    assert {row.replicas for row in together} == {row.training_replicas for row in together} == {2}
    assert_close(together, alone)


def test_threads_that_the_machine_offers_change_nothing(tiny: Dataset, tmp_path: Path) -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(go(Store(tmp_path / f"{threads}", tmp_path / f"cache-{threads}"), 0))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert numbers(found[0]) == numbers(found[1])
    assert {row.threads for rows in found for row in rows} == {1}


@pytest.mark.parametrize(
    ("name", "device", "expected"),
    [
        ("lenet-5", "cpu", ((2,), (0,), (1,))),
        ("lenet-5", "cuda", ((2, 0, 1),)),
        ("vgg", "cuda", ((2,), (0,), (1,))),
    ],
)
def test_chains(name: str, device: str, expected: Any) -> None:
    assert runner.chains(CATALOGUE[name], "paper", (2, 0, 2, 1), torch.device(device)) == expected


def test_checkpoints_of_one_set_of_seeds_serve_another(
    tiny: Dataset, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = go(store, 0, 1, 2)
    store.rows_path("tiny", "smoke").unlink()
    monkeypatch.setattr(runner, "advance", refuse)
    again = go(store, 2, 0)
    assert [row.seed for row in again if row.round == 0 and row.metric == "accuracy"] == [0, 2]
    assert numbers(again) == numbers(row for row in rows if row.seed != 1)


def test_missing_numbers_are_measured_without_training(
    tiny: Dataset, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = go(store)
    path = store.rows_path("tiny", "smoke")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"attack":"DeepFool"' not in line))
    assert len(store.rows("tiny", "smoke")) < len(rows)
    monkeypatch.setattr(runner, "advance", refuse)
    measure, measured = Run.measure, []

    def watched(self: Run, round_: int, *arguments: Any) -> None:
        measured.append(arguments[-1])
        measure(self, round_, *arguments)

    monkeypatch.setattr(Run, "measure", watched)
    assert numbers(go(store)) == numbers(rows)
    assert measured == [TINY.attacks[2]] * 2 * (TINY.rounds + 1)


def test_a_lost_checkpoint_is_trained_again_from_the_round_before(
    tiny: Dataset, store: Store, trained: list[tuple[int, tuple[int, ...]]]
) -> None:
    rows = go(store)
    assert trained == [(r, (s,)) for s in (0, 1) for r in (0, 1, 2)]
    del trained[:]
    store.rows_path("tiny", "smoke").unlink()
    checkpoint(store, tiny, 0, 1).unlink()
    assert numbers(go(store)) == numbers(rows)
    assert trained == [(1, (0,))]
    assert checkpoint(store, tiny, 0, 1).exists()


def test_a_lost_cache_is_no_loss(tiny: Dataset, store: Store) -> None:
    rows = go(store, 0)
    shutil.rmtree(store.cache)
    assert numbers(go(store, 0, 1)) == numbers([*rows, *go(store, 1)])


def damage(path: Path, other: Path, way: str) -> None:
    """Spoil a checkpoint in place."""
    tensors = load(path.read_bytes())
    match way:
        case "a flipped bit":
            whole = bytearray(path.read_bytes())
            whole[-1000] ^= 1
            path.write_bytes(whole)
        case "another seed's":
            shutil.copy(other, path)
        case "a revived weight":
            (name,) = (name.removeprefix("mask/") for name in tensors if name.startswith("mask/"))
            save_file(tensors | {name: torch.ones_like(tensors[name])}, path)


@pytest.mark.parametrize("way", ["a flipped bit", "another seed's", "a revived weight"])
def test_a_useless_checkpoint_is_said_and_trained_again(
    tiny: Dataset, store: Store, trained: Any, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    rows = go(store, 1)
    store.rows_path("tiny", "smoke").unlink()
    path = checkpoint(store, tiny, 1, 1)
    go(store, 0)
    before = load(path.read_bytes())
    damage(path, checkpoint(store, tiny, 0, 1), way)
    del trained[:]
    assert numbers(go(store, 1)) == numbers(rows)
    assert trained == [(1, (1,))]
    (message,) = caplog.messages
    assert str(path) in message
    after = load(path.read_bytes())
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_rows_name_what_trained_and_what_measured(
    tiny: Dataset, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained and measured at one commit; then measured anew at another; then from files of old."""
    monkeypatch.setattr(machine, "code_version", lambda: ("first", True))
    path, fields = store.rows_path("tiny", "smoke"), list(Program.__dataclass_fields__)
    here = (torch.__version__, f"cpu {platform.machine()}", 1, 1)
    by = {(row.commit, row.dirty, row.torch, row.device, row.threads, row.replicas) for row in go(store, 0)}
    assert by == {("first", True, *here)}
    assert "first with uncommitted changes, torch" in provenance(line(store))
    path.unlink()
    monkeypatch.setattr(machine, "code_version", lambda: ("second", False))

    def trained_by() -> set[Any]:
        """What the rows say, measured as far as they are missing."""
        rows = frame(go(store, 0)).astype(object)
        rows = rows.where(rows.notna(), None)[["commit", *(f"training_{name}" for name in fields)]]
        return set(rows.itertuples(index=False, name=None))

    assert trained_by() == {("second", "first", True, *here)}
    assert "commit second (trained: first with uncommitted changes), torch" in provenance(line(store))
    path.unlink()
    for file in store.cache.rglob("*.safetensors"):
        save_file(load(file.read_bytes()), file)
    assert trained_by() == {("second", *(None,) * 6)}
    assert "commit second, torch" in provenance(line(store))


def line(store: Store) -> pd.DataFrame:
    """The rows of the tiny experiment, as :func:`provenance` reads them."""
    return frame(store.rows("tiny", "smoke")).assign(scale="smoke")


def test_other_data_do_not_mix(tiny: Dataset, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = go(store, 0)
    train = replace(tiny.train, images=255 - tiny.train.images)
    inverted = Dataset(train, tiny.test, "inverted", fingerprint(train, tiny.test), "a test")
    monkeypatch.setattr(runner, "load", lambda spec, root: inverted)
    others = go(store, 0)
    assert {(row.data, row.data_description) for row in others} == {(inverted.fingerprint, "inverted")}
    assert len(others) == len(rows)
    assert [row.value for row in others] != [row.value for row in rows]
    assert {row.identity for row in store.rows("tiny", "smoke")} == {r.identity for r in [*rows, *others]}
    monkeypatch.setattr(runner, "load", lambda spec, root: tiny)
    assert go(store, 0) == rows


def test_a_seed_named_twice_is_run_once(
    tiny: Dataset, store: Store, trained: list[tuple[int, tuple[int, ...]]]
) -> None:
    go(store, 1, 0, 1)
    assert trained[:4] == [(0, (1,)), (1, (1,)), (2, (1,)), (0, (0,))]


def test_a_failed_attack_is_stored_as_such(tiny: Dataset, store: Store) -> None:
    rows = {(row.metric, row.seed): row for row in go(store) if row.attack == "C&W" and row.round == 0}
    assert rows["failures", 0].value > 0
    assert rows["r_2", 0].value == math.inf
    assert rows["r_2", 0].stderr is None
    assert '"metric":"r_2","attack":"C&W","value":null' in store.rows_path("tiny", "smoke").read_text()


def test_a_number_that_somebody_else_has_overwritten_is_missed(
    tiny: Dataset, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that puts back the file as it was, without asking for the lock."""
    add, before = Store.add_rows, b""

    def overwritten(self: Store, name: str, profile: str, rows: Iterable[Row]) -> None:
        nonlocal before
        path = self.rows_path(name, profile)
        add(self, name, profile, rows)
        if not before:
            before = path.read_bytes()
        elif len(self.rows(name, profile)) > 60:
            path.write_bytes(before)

    monkeypatch.setattr(Store, "add_rows", overwritten)
    with pytest.raises(StoreError, match=r"tiny\.smoke\.jsonl: \d+ numbers that were computed are not there"):
        go(store)
    monkeypatch.setattr(Store, "add_rows", add)
    go(store)  # the remedy that the message gives


def test_nothing_is_computed_that_cannot_be_stored(
    tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(runner, "advance", refuse)
    with pytest.raises(StoreError, match="SPARSE_ROBUST_RESULTS"):
        go(Store(tmp_path / "file" / "results", tmp_path / "cache"))


def test_an_unknown_profile_lists_the_known(store: Store) -> None:
    with pytest.raises(KeyError, match="tiny: no profile 'huge'; known: smoke"):
        run(TINY_EXPERIMENT, "huge", device="cpu", store=store)  # type: ignore[arg-type]


def test_a_measurement_that_breaks_its_promise_is_named(
    tiny: Dataset, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the numbers that it does not yield would be missing for ever."""
    clean = replace(CLEAN, measure=lambda *arguments: {("accuracy", None): []})
    monkeypatch.setattr(runner, "CLEAN", clean)
    with pytest.raises(RuntimeError, match=r"measured .*accuracy.*, promised .*norm_ratio"):
        go(store)


@pytest.mark.parametrize("gpus", [0, 2])
def test_devices(monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert machine.choose_device("cpu") == torch.device("cpu")
    assert machine.choose_device("auto") == torch.device("cuda" if gpus else "cpu")
    known = "auto, cpu, cuda, cuda:0, cuda:1" if gpus else "auto, cpu"
    for name in ("tpu", "cuda:2", "cpu:0", *(() if gpus else ("cuda", "cuda:0"))):
        with pytest.raises(ValueError, match=f"no device '{name}' on this machine.*; known: {known}$"):
            machine.choose_device(name)
    if gpus:
        assert machine.choose_device("cuda:1") == torch.device("cuda", 1)
