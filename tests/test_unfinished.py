"""Stages of training that are cut short go on where they were, and end with the same bits."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from sparse_robust.experiments import Experiment, Operations, Spec, Store, run, runner, stages
from sparse_robust.experiments.checkpoints import SECONDS
from sparse_robust.experiments.machine import running
from sparse_robust.experiments.signals import deferred
from sparse_robust.measurements.clean import TRAINING_SECONDS
from sparse_robust.pruning import Surgery
from sparse_robust.training import Training
from sparse_robust.training.descent import Descent

BRIEF = Training(4, batch_size=400, lr=0.1, momentum=0.9)
LINEAR = Spec(
    model="linear",
    data="mnist-sample",
    classes=(1, 7),
    dense=BRIEF,
    retrain=replace(BRIEF, steps=3),
    rounds=1,
    fraction="1/3",
    attacks=(),
    test_examples=4,
)
SPECS = {
    "linear": LINEAR,
    "surgery": replace(
        LINEAR, surgery=Operations(replace(BRIEF, steps=5), (Surgery((0.5,), stop=4, gamma=0.5),))
    ),
    "by hand": replace(
        LINEAR, model="lenet-300-100", classes=tuple(range(10)), dense=replace(BRIEF, l1=1e-4), rounds=0
    ),
    "images in colour": replace(
        LINEAR,
        model="vgg",
        data="made-images",
        classes=tuple(range(10)),
        dense=replace(BRIEF, batch_size=16, augment=4),
        retrain=replace(BRIEF, batch_size=16, augment=4, steps=2),
        narrow=16,
    ),
}
CASES = [*((name, False) for name in SPECS), ("linear", True)]


def go(spec: Spec, store: Store, seeds: tuple[int, ...] = (1,), keep_every: float = 0) -> None:
    """Run one spec; the state is stored after each step unless something else is asked for."""
    experiment = Experiment("cut", "for tests", {"smoke": (spec,)}, {"smoke": seeds})
    run(experiment, "smoke", device="cpu", store=store, quiet=True, keep_every=keep_every)


def models(store: Store) -> dict[str, dict[str, Tensor]]:
    """The checkpoints, by where they are."""
    paths = sorted(store.cache.rglob("*.safetensors"))
    return {str(path.relative_to(store.cache)): load_file(path) for path in paths}


def assert_same(store: Store, expected: Store) -> None:
    """All checkpoints and no state of a stage, bit by bit, and the numbers."""
    found, wanted = models(store), models(expected)
    assert found.keys() == wanted.keys()
    for name, tensors in found.items():
        assert all(torch.equal(tensor, wanted[name][key]) for key, tensor in tensors.items()), name
    assert numbers(store) == numbers(expected)


def numbers(store: Store) -> dict[Any, float]:
    return {row.identity: row.value for row in store.rows("cut", "smoke") if row.metric != TRAINING_SECONDS}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps came before each that is done."""
    step, done = Descent.step, []

    def watched(self: Descent, gradients: Any, before: int) -> None:
        done.append(before)
        step(self, gradients, before)

    monkeypatch.setattr(Descent, "step", watched)
    return done


@pytest.fixture(autouse=True)
def _data_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}

    def load(spec: Spec, root: object) -> Any:
        if spec.data not in kept:
            kept[spec.data] = stages.load(spec, None)
        return kept[spec.data]

    monkeypatch.setattr(runner, "load", load)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results", tmp_path / "cache")


@pytest.fixture
def peaceful(tmp_path: Path) -> Store:
    """Of runs that nothing interrupts."""
    return Store(tmp_path / "peaceful", tmp_path / "peaceful")


def unfinished(spec: Spec, store: Store) -> Path:
    """The file of the dense training of seed 1."""
    (file,) = store.cache.rglob("round-0.partial.safetensors")
    assert file.parent.name == "seed-1"
    assert file.parents[1].name.startswith(f"{spec.checkpoint_key(0)}-")
    return file


@pytest.mark.parametrize(("name", "together"), CASES)
def test_killed_in_every_write_a_run_ends_with_the_same_bits(
    name: str,
    together: bool,
    store: Store,
    peaceful: Store,
    steps: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each attempt completes one write and dies in the next, so no attempt does more than two steps."""
    seeds = (1, 2) if together else (1,)
    if together:  # as on a GPU
        monkeypatch.setattr(runner, "chains", lambda experiment, profile, seeds, device: (tuple(seeds),))
    go(SPECS[name], peaceful, seeds, keep_every=3600)
    straight, fsync, writes = len(steps), os.fsync, 0

    def dying(handle: int) -> None:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise KeyboardInterrupt
        fsync(handle)

    monkeypatch.setattr(os, "fsync", dying)
    for _ in range(100):
        writes = 0
        del steps[:]
        try:
            go(SPECS[name], store, seeds)
            break
        except KeyboardInterrupt:
            assert len(steps) <= 2 < straight
    assert_same(store, peaceful)


def raise_at(step: int, number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of the step that follows so many."""
    original = Descent.step

    def struck(self: Descent, gradients: Any, before: int) -> None:
        if before == step:
            signal.raise_signal(number)
        original(self, gradients, before)

    monkeypatch.setattr(Descent, "step", struck)


class EndedError(Exception):
    """What the handler of a signal raises."""


@pytest.fixture
def handled() -> Iterator[Callable[..., None]]:
    """A handler of both signals."""

    def handler(number: int, frame: object) -> None:
        raise EndedError(number)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield handler
    for number, old in before.items():
        signal.signal(number, old)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_at_the_next_step_with_the_state_stored(
    store: Store,
    peaceful: Store,
    steps: list[int],
    handled: Any,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    go(LINEAR, peaceful)
    del steps[:]
    with monkeypatch.context() as patch:
        raise_at(1, number, patch)
        with pytest.raises(EndedError):
            go(LINEAR, store, keep_every=3600)
    assert steps == [0, 1]
    assert signal.getsignal(signal.SIGINT) is signal.getsignal(signal.SIGTERM) is handled
    assert unfinished(LINEAR, store).exists()
    go(LINEAR, store)
    assert steps == [0, 1, 2, 3, 0, 1, 2]
    assert_same(store, peaceful)


def test_a_signal_in_the_last_step_waits_for_the_checkpoint(
    store: Store, handled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    raise_at(3, signal.SIGTERM, monkeypatch)
    with pytest.raises(EndedError):
        go(LINEAR, store)
    assert [Path(name).name for name in models(store)] == ["round-0.safetensors"]


def test_who_asks_twice_does_not_wait(handled: Any) -> None:
    with deferred() as waiting:
        signal.raise_signal(signal.SIGINT)
        assert waiting.number == signal.SIGINT
        with pytest.raises(EndedError):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is handled


def test_what_is_ignored_stays_ignored(handled: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferred() as waiting:
        signal.raise_signal(signal.SIGINT)
    assert waiting.number is None
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.fixture
def cut(store: Store, monkeypatch: pytest.MonkeyPatch, handled: Any) -> Path:
    """The state of a dense training after two steps."""
    with monkeypatch.context() as patch:
        raise_at(1, signal.SIGINT, patch)
        with pytest.raises(EndedError):
            go(LINEAR, store)
    return unfinished(LINEAR, store)


def flip(path: Path) -> str:
    whole = bytearray(path.read_bytes())
    whole[-100] ^= 1
    path.write_bytes(whole)
    return "damaged"


def truncate(path: Path) -> str:
    path.write_bytes(path.read_bytes()[:-1])
    return "damaged"


@pytest.mark.parametrize("damage", [flip, truncate])
def test_a_damaged_state_is_said_and_trained_again(
    cut: Path,
    store: Store,
    peaceful: Store,
    steps: list[int],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], str],
) -> None:
    said = damage(cut)
    with caplog.at_level(logging.WARNING):
        go(LINEAR, store)
    (message,) = caplog.messages
    assert message.startswith(f"{cut}: {said}")
    assert message.endswith("; it is trained again")
    assert steps[:4] == [0, 1, 2, 3]
    go(LINEAR, peaceful)
    assert_same(store, peaceful)


def test_a_state_of_other_seeds_or_another_start_or_program_is_not_taken(
    cut: Path,
    store: Store,
    steps: list[int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, messages = cut.read_bytes(), []

    def refused(*seeds: int) -> None:
        caplog.clear()
        cut.parent.mkdir(parents=True, exist_ok=True)
        cut.write_bytes(whole)
        go(LINEAR, store, seeds)
        messages.extend(caplog.messages)
        for file in [*store.cache.rglob("*.safetensors"), store.rows_path("cut", "smoke")]:
            file.unlink()

    with monkeypatch.context() as patch:
        patch.setattr(runner, "chains", lambda experiment, profile, seeds, device: (tuple(seeds),))
        refused(1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(runner, "running", lambda *of: replace(running(*of), torch="0.1"))
        refused(1)
    with monkeypatch.context() as patch:
        patch.setattr(runner, "digest", lambda *of: "another")
        refused(1)
    assert len(messages) == 3
    assert "expected" in messages[0], "the states of two replicas have another shape"
    assert f"it was made with torch {torch.__version__}, not 0.1" in messages[1]
    assert "it is of start " in messages[2]
    assert "not another" in messages[2]


def test_what_a_kill_leaves_beside_a_checkpoint_is_deleted(cut: Path, store: Store) -> None:
    whole = cut.read_bytes()
    go(LINEAR, store)
    store.rows_path("cut", "smoke").unlink()
    cut.write_bytes(whole)
    go(LINEAR, store)
    assert not cut.exists()
    assert cut.with_name("round-0.safetensors").exists()


def test_the_time_of_all_attempts_counts(cut: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    find = Store.find_unfinished

    def longer(self: Store, *of: Any) -> Any:
        state = find(self, *of)
        return state and replace(state, seconds=1000.0)

    monkeypatch.setattr(Store, "find_unfinished", longer)
    go(LINEAR, store)
    (first,) = store.cache.rglob("round-0.safetensors")
    with safe_open(first, framework="pt") as file:
        assert 1000 < float(file.metadata()[SECONDS]) < 2000
