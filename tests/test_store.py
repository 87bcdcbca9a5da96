"""Storage: whole files or none, whatever interrupts a write and whoever else is writing."""

import logging
import multiprocessing
import os
import platform
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import torch

from sparse_robust.data import data_root
from sparse_robust.experiments import PROFILES, Row, Store, StoreError, files
from sparse_robust.experiments import store as module
from sparse_robust.experiments.checkpoints import Checkpoint, Replica
from sparse_robust.experiments.files import write_atomically
from sparse_robust.experiments.load import PUBLISHED_FILES
from sparse_robust.experiments.store import cache_folder, results_folder

ROW = Row(
    experiment="e",
    spec="0",
    seed=0,
    round=0,
    sparsity=0.0,
    metric="accuracy",
    attack=None,
    value=0.5,
    n=2,
    stderr=None,
    commit="c",
    dirty=False,
    torch="t",
    device="d",
    data="f",
    data_description="made",
    seconds=0.0,
)
REPLICA = Replica("k", "f", 0, 1)


class Crash(BaseException):
    """As sudden as a KeyboardInterrupt: no ``except Exception`` stops it."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "book" / "results", tmp_path / "cache")


def crash(*_: Any, **__: Any) -> None:
    raise Crash


@pytest.mark.parametrize("where", [(os, "fsync"), (Path, "replace"), (Path, "chmod")], ids=lambda w: w[1])
@pytest.mark.parametrize("there", [True, False])
def test_a_crash_while_writing_changes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, where: tuple[Any, str], there: bool
) -> None:
    rows_path = store.rows_path("e", "smoke")
    checkpoint = store.checkpoint_path(REPLICA)
    if there:
        store.add_rows("e", "smoke", [ROW])
        store.save_checkpoint(REPLICA, Checkpoint({"weight": torch.zeros(1)}))
    before = [path.read_bytes() if path.exists() else None for path in (rows_path, checkpoint)]
    with monkeypatch.context() as patch:
        patch.setattr(*where, crash)
        with pytest.raises(Crash):
            store.add_rows("e", "smoke", [replace(ROW, seed=1)])
        with pytest.raises(Crash):
            store.save_checkpoint(REPLICA, Checkpoint({"weight": torch.ones(1)}, 1.5))
    after = [path.read_bytes() if path.exists() else None for path in (rows_path, checkpoint)]
    assert after == before
    assert not [*store.results.glob("*.draft"), *checkpoint.parent.glob("*.draft")], "a draft was left behind"
    # and the lock is free again
    store.add_rows("e", "smoke", [replace(ROW, seed=1)])
    assert [row.seed for row in store.rows("e", "smoke")] == ([0, 1] if there else [1])


def test_the_bytes_are_on_disk_before_they_are_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a power cut could leave a complete name with empty contents."""
    path, calls = tmp_path / "file", []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        calls.append(("fsync", os.fstat(handle).st_size))
        real_fsync(handle)

    def put(draft: Path, target: Path) -> Path:
        calls.append(("replace", draft.stat().st_size))
        assert draft.parent == target.parent, "a rename is atomic within one file system only"
        return real_replace(draft, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", put)
    write_atomically(path, b"twelve bytes")
    assert calls == [("fsync", 12), ("replace", 12)]
    assert path.read_bytes() == b"twelve bytes"
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_stored_number_stays_as_it_is(store: Store) -> None:
    store.add_rows("e", "smoke", [ROW])
    store.add_rows("e", "smoke", [replace(ROW, value=0.75, commit="later"), replace(ROW, seed=1)])
    assert store.rows("e", "smoke") == [ROW, replace(ROW, seed=1)]


def test_rows_are_in_one_order_however_they_came(store: Store) -> None:
    several = [
        replace(ROW, spec=spec, round=round_, seed=seed, metric=metric, attack=attack)
        for spec in ("0", "1")
        for round_ in (0, 2, 10)
        for seed in (0, 9, 10)
        for metric, attack in (("accuracy", None), ("r_2", "C&W"), ("r_2", "DeepFool"))
    ]
    for row in several[::-1]:
        store.add_rows("e", "smoke", [row])
    assert store.rows("e", "smoke") == several


def add_one_by_one(store: Store, seeds: Iterable[int], start: Any) -> None:
    start.wait()
    for seed in seeds:
        store.add_rows("e", "smoke", [replace(ROW, seed=seed)])


def test_two_writers_lose_nothing(store: Store) -> None:
    """Two processes start together and add a dozen rows each, one by one."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(2)
    shares = [range(12), range(12, 24)]
    writers = [context.Process(target=add_one_by_one, args=(store, share, start)) for share in shares]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [row.seed for row in store.rows("e", "smoke")] == list(range(24))


def test_folders_are_made_on_demand(store: Store) -> None:
    store.prepare()
    assert [*store.results.iterdir(), *store.cache.iterdir()] == []


@pytest.mark.parametrize("folder", ["results", "cache"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, folder: str) -> None:
    blocked = tmp_path / "file" / "folder"
    blocked.parent.write_text("in the way")
    folders = {"results": tmp_path / "results", "cache": tmp_path / "cache"} | {folder: blocked}
    with pytest.raises(StoreError, match=f"another one with SPARSE_ROBUST_{folder.upper()}") as caught:
        Store(**folders).prepare()
    assert str(caught.value).startswith(f"{blocked}: nothing can be stored there (Not a directory)")


def test_a_read_only_folder_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Injected, because permissions do not bind a superuser."""

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(StoreError, match=r"results: nothing can be stored there \(Permission denied\)"):
        store.prepare()


def test_drafts_that_nobody_writes_any_more_are_swept(store: Store) -> None:
    paths = [store.results / ".e.smoke.jsonl.0.draft", store.cache / "checkpoints" / "k" / ".round-0.1.draft"]
    young, other = (paths[1].with_name(name) for name in (".round-0.2.draft", "old.draft"))
    for path in (*paths, young, other):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half of")
        if path != young:
            os.utime(path, (0, 0))
    store.prepare()
    assert [path.exists() for path in (*paths, young, other)] == [False, False, True, True]


def test_who_waits_for_a_lock_says_for_whom(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files, "PATIENCE", 0.01)
    path, free = store.rows_path("e", "smoke"), Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            free.set()

    def hold() -> None:
        with files.locked(path):
            held.set()
            free.wait()

    held, handler = Event(), Handler()
    holder = Thread(target=hold)
    logger = logging.getLogger(files.__name__)
    logger.addHandler(handler)
    holder.start()
    held.wait()
    store.add_rows("e", "smoke", [ROW])
    holder.join()
    logger.removeHandler(handler)
    who = f"process {os.getpid()} on {platform.node()}"
    assert caplog.messages == [f"{path}: waiting for {who}, which is writing to it"]
    assert store.rows("e", "smoke") == [ROW]


def test_folders_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSE_ROBUST_RESULTS", str(tmp_path / "r"))
    monkeypatch.setenv("SPARSE_ROBUST_CACHE", str(tmp_path / "c"))
    published = Path(__file__).parents[1] / "book" / "results"
    assert Store.default() == Store(tmp_path / "r", tmp_path / "c", published)
    monkeypatch.setenv("SPARSE_ROBUST_RESULTS", "~/r")
    monkeypatch.setenv("SPARSE_ROBUST_CACHE", "~/c")
    assert Store.default() == Store(Path.home() / "r", Path.home() / "c", published)


def test_a_full_disk_names_the_folder(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left on device.*SPARSE_ROBUST_RESULTS") as caught:
        store.add_rows("e", "smoke", [ROW])
    assert str(caught.value).startswith(f"{store.results}: ")


def test_default_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARSE_ROBUST_RESULTS", raising=False)
    monkeypatch.delenv("SPARSE_ROBUST_CACHE", raising=False)
    assert results_folder() == Path(__file__).parents[1] / "book" / "results"
    assert cache_folder().name == "sparse-robust"


def test_a_user_whom_the_system_does_not_know_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(text: str) -> str:
        return text

    for name in ("SPARSE_ROBUST_CACHE", "SPARSE_ROBUST_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", unknown)
    with pytest.raises(FileNotFoundError, match=r"no home folder .* name one with SPARSE_ROBUST_CACHE$"):
        cache_folder()
    with pytest.raises(FileNotFoundError, match=r"name one with SPARSE_ROBUST_DATA$"):
        data_root()


def test_without_a_checkout_the_remedy_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARSE_ROBUST_RESULTS", raising=False)
    monkeypatch.setattr(
        module, "__file__", str(tmp_path / "site-packages/sparse_robust/experiments/store.py")
    )
    with pytest.raises(FileNotFoundError, match="or set SPARSE_ROBUST_RESULTS"):
        results_folder()


def test_published_rows_are_in_files_that_git_does_not_ignore(store: Store) -> None:
    """And no run writes into those of laptop scale: it writes into a file of its own, which git ignores."""
    patterns = (Path(__file__).parents[1] / ".gitignore").read_text().split()

    def ignored(file: str) -> bool:
        path = (Path("book/results") / store.rows_path("e", file).name).as_posix()
        return any(fnmatch(path, pattern) for pattern in patterns)

    assert not any(map(ignored, PUBLISHED_FILES.values()))
    assert ignored("laptop")
    assert ignored("smoke")
    assert set(PROFILES) & set(PUBLISHED_FILES.values()) == {"paper"}
