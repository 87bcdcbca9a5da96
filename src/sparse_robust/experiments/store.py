"""Where results and checkpoints live, and how they are written: whole or not at all."""

import contextlib
import logging
import os
import platform
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from torch import Tensor

from sparse_robust.data import path_of, user_folder

from . import checkpoints
from .checkpoints import Checkpoint, CheckpointError, Replica, Stage
from .machine import Program
from .rows import BlockRow, Row, read, read_blocks

RESULTS_VARIABLE = "SPARSE_ROBUST_RESULTS"
CACHE_VARIABLE = "SPARSE_ROBUST_CACHE"
PATIENCE = 5.0
"""Seconds to wait for a lock before saying so."""
ABANDONED = 3600.0
"""Seconds after which a draft, which takes seconds to write, is nobody's."""

_LOG = logging.getLogger(__name__)


class StoreError(OSError):
    """A folder that nothing can be stored in; names it and the remedy."""


def results_folder() -> Path:
    """``SPARSE_ROBUST_RESULTS``, else ``book/results`` of the checkout this package runs from."""
    if folder := os.environ.get(RESULTS_VARIABLE):
        return path_of(folder)
    if (published := published_folder()) is not None:
        return published
    checkout = Path(__file__).resolve().parents[3]
    raise FileNotFoundError(
        f"no book/ beside {checkout / 'src'}: run from a clone of the repository, or set {RESULTS_VARIABLE}"
    )


def published_folder() -> Path | None:
    """``book/results`` of the checkout this package runs from, where the published rows are."""
    checkout = Path(__file__).resolve().parents[3]
    return checkout / "book" / "results" if (checkout / "book").is_dir() else None


def cache_folder() -> Path:
    """``SPARSE_ROBUST_CACHE``, else the user's cache folder."""
    return user_folder(CACHE_VARIABLE)


def blocks_path(rows: Path) -> Path:
    """Where the blocks of images of a file of rows are: in ``NAME.PROFILE.blocks.jsonl`` beside it."""
    return rows.with_suffix(".blocks.jsonl")


def write_atomically(path: Path, data: bytes) -> None:
    """Write a draft beside ``path``, flush it to disk and put it in place in one step.

    Raises:
        StoreError: naming the folder, if it cannot take the file, as a full disk cannot.
    """
    try:
        _write_draft(path, data)
    except OSError as error:
        raise StoreError(
            f"{path.parent}: {path.name} cannot be stored there ({error.strerror}); free some space, or name "
            f"another folder with {RESULTS_VARIABLE} or {CACHE_VARIABLE}"
        ) from error


def _write_draft(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".draft", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of ``path``, which lies beside it, so that all who share the file share the lock.

    Whoever waits for long logs for whom.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = (path.with_name(f".{path.name}.{suffix}") for suffix in ("lock", "holder.lock"))
    with _patiently(FileLock(lock), path, holder):
        holder.write_text(f"process {os.getpid()} on {platform.node()}")
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)


def _patiently(lock: FileLock, path: Path, holder: Path) -> contextlib.AbstractContextManager[object]:
    try:
        return lock.acquire(timeout=PATIENCE)
    except Timeout:
        who = holder.read_text() if holder.exists() else "another process"
        _LOG.warning("%s: waiting for %s, which is writing to it", path, who)
        return lock.acquire()


def sweep(folder: Path) -> None:
    """Delete drafts that nobody can be writing any more: a kill leaves them behind."""
    for draft in folder.rglob(".*.draft"):
        with contextlib.suppress(FileNotFoundError):  # two may sweep at a time
            if time.time() - draft.stat().st_mtime > ABANDONED:
                draft.unlink()


@dataclass(frozen=True)
class Store:
    """Rows under ``results``, one file per experiment and profile; checkpoints under ``cache``.

    Attributes:
        results: where rows are written to and read from.
        cache: for checkpoints.
        published: where published rows are read from if ``results`` has none.
    """

    results: Path
    cache: Path
    published: Path | None = None

    @staticmethod
    def default() -> "Store":
        """The folders that the environment or the checkout names."""
        return Store(results_folder(), cache_folder(), published_folder())

    def prepare(self) -> None:
        """Create the folders and see that they can be written to, before hours go into a computation.

        Drafts of processes that were killed are deleted from them.

        Raises:
            StoreError: if one cannot.
        """
        for folder, variable in ((self.results, RESULTS_VARIABLE), (self.cache, CACHE_VARIABLE)):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
                sweep(folder)
            except OSError as error:
                raise StoreError(
                    f"{folder}: nothing can be stored there ({error.strerror}); "
                    f"make the folder writable, or name another one with {variable}"
                ) from None

    def rows_path(self, experiment: str, profile: str) -> Path:
        """The file of one experiment's rows; :data:`.load.PUBLISHED_FILES` says which are published."""
        return self.results / f"{experiment}.{profile}.jsonl"

    def published_path(self, experiment: str, profile: str) -> Path:
        """The file of an experiment's published rows, wherever the user keeps their own."""
        path = self.rows_path(experiment, profile)
        return path if path.exists() or self.published is None else self.published / path.name

    def rows(self, experiment: str, profile: str) -> list[Row]:
        """The stored rows, checked; none if nothing was stored."""
        return read(self.rows_path(experiment, profile))

    def add_rows(self, experiment: str, profile: str, rows: Iterable[Row]) -> None:
        """Add rows under a lock; a number that is stored already stays as it is."""
        path = self.rows_path(experiment, profile)
        with locked(path):
            merged = {row.identity: row for row in read(path)}
            for row in rows:
                merged.setdefault(row.identity, row)
            order = sorted(
                merged.values(), key=lambda r: (r.spec, r.data, r.round, r.seed, r.metric, r.attack or "")
            )
            write_atomically(path, "".join(row.to_json() + "\n" for row in order).encode())

    def add_blocks(self, experiment: str, profile: str, blocks: Iterable[BlockRow]) -> None:
        """Add means over blocks of images, beside the rows and under a lock; what is stored stays."""
        path = blocks_path(self.rows_path(experiment, profile))
        with locked(path):
            merged = {block.identity: block for block in read_blocks(path)}
            new = [block for block in blocks if block.identity not in merged]
            if not new:
                return
            merged |= {block.identity: block for block in new}
            order = sorted(merged.values(), key=lambda b: (*b.identity[:5], b.attack or ""))
            write_atomically(path, "".join(block.to_json() + "\n" for block in order).encode())

    def checkpoint_path(self, of: Replica) -> Path:
        """The file of one replica."""
        folder = self.cache / "checkpoints" / f"{of.spec}-{of.data}" / f"seed-{of.seed}"
        return folder / f"round-{of.round}.safetensors"

    def save_checkpoint(self, of: Replica, checkpoint: Checkpoint) -> None:
        """Store one replica."""
        write_atomically(self.checkpoint_path(of), checkpoints.to_bytes(of, checkpoint))

    def find_checkpoint(self, of: Replica, like: Mapping[str, Tensor]) -> Checkpoint | None:
        """One replica, if it is stored and sound; that it is not sound is logged.

        Args:
            of: which.
            like: tensors of the names, shapes and types that it must have.
        """
        path = self.checkpoint_path(of)
        if not path.exists():
            return None
        try:
            return checkpoints.read(path, of, like)
        except CheckpointError as error:
            _LOG.warning("%s; it is trained again", error)
            return None

    def unfinished_path(self, first: Replica) -> Path:
        """The file of a stage that goes on, beside the checkpoint that its first replica will have."""
        return self.checkpoint_path(first).with_suffix(".partial.safetensors")

    def save_unfinished(self, of: Stage, checkpoint: Checkpoint) -> None:
        """Store how far a stage is."""
        write_atomically(self.unfinished_path(of.first), checkpoints.to_bytes(of, checkpoint))

    def find_unfinished(self, of: Stage, like: Mapping[str, Tensor], program: Program) -> Checkpoint | None:
        """How far a stage is, if that is stored, sound and by ``program``; that it is not is logged.

        Args:
            of: which.
            like: tensors of the names, shapes and types that it must have.
            program: what computes it.
        """
        path = self.unfinished_path(of.first)
        if not path.exists():
            return None
        try:
            return checkpoints.read_unfinished(path, of, like, program)
        except CheckpointError as error:
            _LOG.warning("%s; it is trained again", error)
            return None

    def drop_unfinished(self, first: Replica) -> None:
        """Delete what is stored of a stage that has its checkpoints."""
        self.unfinished_path(first).unlink(missing_ok=True)
