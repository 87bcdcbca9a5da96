"""Seeds in processes of their own give the rows of one process."""

import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures._base import DoneAndNotDoneFutures
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from threading import RLock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from tqdm import tqdm

from sparse_robust.experiments import Store, run, run_side_by_side, side_by_side
from sparse_robust.experiments.checkpoints import STEPS
from sparse_robust.experiments.side_by_side import WorkerError, finished, places, pool, usual_processes
from sparse_robust.studies.catalogue import find

BINARY = find("linear-binary")


def test_processes_store_what_one_process_stores(tmp_path: Path) -> None:
    alone, shared = (Store(tmp_path / name, tmp_path / name) for name in ("alone", "shared"))
    expected = [
        row
        for seed in (0, 2)
        for row in run(BINARY, "smoke", device="cpu", seeds=[seed], store=alone, quiet=True)
    ]
    found = run_side_by_side(BINARY, "smoke", 2, device="cpu", seeds=[2, 0], store=shared)
    assert {row.seed for row in found} == {0, 2}
    values = {row.identity: row.value for row in found}
    assert values == {row.identity: row.value for row in expected}, "bit by bit"
    assert shared.rows("linear-binary", "smoke") == found, (
        "every process wrote into one file, and lost nothing"
    )


def test_a_failure_in_a_process_is_that_of_the_run(tmp_path: Path) -> None:
    store = Store(tmp_path / "results", tmp_path / "cache")
    with pytest.raises(ValueError, match="no device 'cuda:99'"):
        run_side_by_side(BINARY, "smoke", 2, device="cuda:99", seeds=[0, 1], store=store)
    assert not store.results.exists()


def test_an_interrupt_of_the_parent_alone_stops_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = set(active_children())  # the last of an earlier run may still be ending

    def interrupted(*_: object, **__: object) -> None:
        assert set(active_children()) - others
        raise KeyboardInterrupt

    monkeypatch.setattr(side_by_side, "wait", interrupted)
    store = Store(tmp_path / "results", tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        run_side_by_side(BINARY, "smoke", 2, device="cpu", seeds=[0, 1], store=store)
    assert set(active_children()) <= others
    assert not store.results.exists()


def kind_of_lock() -> type:
    with tqdm(disable=True):
        return type(tqdm.get_lock())


def test_a_process_that_is_stopped_at_once_leaks_no_lock() -> None:
    """A lock that processes share outlives them, and Python warns of it whenever a run is interrupted."""
    with pool(1) as workers:
        assert workers.submit(kind_of_lock).result() is type(RLock())


def test_without_processes_nothing_runs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="processes must be at least 1, got 0"):
        run_side_by_side(BINARY, "smoke", 0, store=Store(tmp_path, tmp_path))


def test_an_unknown_profile_is_as_clear_as_in_one_process(tmp_path: Path) -> None:
    vgg = find("vgg")
    brief = replace(vgg, specs={"smoke": vgg.specs["smoke"]}, seeds={"smoke": (0, 1)})
    with pytest.raises(KeyError, match="vgg: no profile 'laptop'"):
        run_side_by_side(brief, "laptop", 2, seeds=[0, 1], store=Store(tmp_path, tmp_path))


def test_usually_every_core_has_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert [usual_processes(profile, "cpu") for profile in ("smoke", "laptop", "paper")] == [1, 6, 6]
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert usual_processes("paper", "cuda") == usual_processes("paper", "auto") == 1
    with pytest.raises(ValueError, match="no device 'tpu'"):
        usual_processes("paper", "tpu")


def test_processes_take_the_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    for device in ("cuda", "auto"):
        assert places(device, 5) == ["cuda:0", "cuda:1", "cuda:2", "cuda:0", "cuda:1"]
    assert places("cuda:1", 2) == ["cuda:1", "cuda:1"]
    assert places("cpu", 2) == ["cpu", "cpu"]


@given(st.data(), st.integers(1, 12), st.integers(1, 8), st.integers(1, 8))
def test_no_gpu_is_idle_while_another_has_two_seeds(
    data: st.DataObject, seeds: int, processes: int, gpus: int
) -> None:
    """In whatever order jobs end: eight processes on eight GPUs use all of them to the last."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: True)
        patch.setattr("torch.cuda.device_count", lambda: gpus)
        devices = places("cuda", processes)
    running: dict[Future[int], str] = {}
    started: list[int] = []

    def submit(seed: int, device: str) -> Future[int]:
        running[job := Future()] = device
        started.append(seed)
        return job

    def wait(jobs: Iterable[Future[int]], return_when: str) -> DoneAndNotDoneFutures[int]:
        assert set(jobs) == set(running)
        left = seeds - len(started)
        assert len(running) == processes or not left, "a process waits for nothing"
        use = Counter(running.values())
        assert max(use.values()) <= math.ceil(processes / gpus)
        if left:
            assert len(use) == min(gpus, processes), "a GPU is idle"
        ended = data.draw(st.lists(st.sampled_from(list(running)), min_size=1, unique=True))
        for job in ended:
            del running[job]
        return DoneAndNotDoneFutures(set(ended), set(jobs) - set(ended))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(side_by_side, "wait", wait)
        assert len(list(finished(submit, range(seeds), devices))) == seeds
    assert started == list(range(seeds))


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit = ProcessPoolExecutor.submit
    monkeypatch.setattr(ProcessPoolExecutor, "submit", lambda self, *_, **__: submit(self, killed))
    with pytest.raises(WorkerError, match="linear-binary: one of 2 processes was killed"):
        run_side_by_side(BINARY, "smoke", 2, device="cpu", seeds=[0, 1], store=Store(tmp_path, tmp_path))


DRIVER = """
import functools, sys
from dataclasses import replace
from sparse_robust import __main__ as command

experiment = command.find("linear-binary")
(spec,) = experiment.specs["smoke"]
endless = replace(spec, dense=replace(spec.dense, steps=10**9))
command.find = lambda name: replace(experiment, specs={"smoke": (endless,)})
command.run_side_by_side = functools.partial(command.run_side_by_side, keep_every=0.0)
sys.exit(command.main("run linear-binary --profile smoke --seeds 0,1 --processes 2 --device cpu".split()))
"""
"""Two processes that train for ever, and store after each step how far they are."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_parent_leaves_no_orphan(tmp_path: Path, number: signal.Signals) -> None:
    folders = {"SPARSE_ROBUST_RESULTS": str(tmp_path / "r"), "SPARSE_ROBUST_CACHE": str(tmp_path / "c")}
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER], stderr=subprocess.PIPE, text=True, env=os.environ | folders
    ) as parent:
        while len(states := list(tmp_path.rglob("seed-[01]/round-0.partial.safetensors"))) < 2:
            assert parent.poll() is None
            time.sleep(0.05)
        children = Path("/proc", str(parent.pid), "task", str(parent.pid), "children").read_text().split()
        assert len(children) >= 2
        parent.send_signal(number)
        _, errors = parent.communicate()  # which ends when the children have closed its pipe, too
    if number == signal.SIGTERM:
        assert parent.returncode == 128 + number
        assert "Traceback" not in errors
        assert errors.count("Interrupted. What was finished is stored") == 1
    for state in states:
        with safe_open(state, framework="pt") as file:
            assert int(file.metadata()[STEPS]) >= 1
    assert not list(tmp_path.rglob(".*.draft")), "a process ended in the middle of a write"
    for child in children:
        while Path("/proc", child).exists():  # that of a zombie remains until its new parent has seen it
            if Path("/proc", child, "stat").read_text().split()[2] == "Z":
                break
