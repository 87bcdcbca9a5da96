"""How files are written: whole or not at all, whatever interrupts and whoever else is writing."""

import contextlib
import logging
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from filelock import FileLock, Timeout

from sparse_robust.data import path_of

RESULTS_VARIABLE = "SPARSE_ROBUST_RESULTS"
CACHE_VARIABLE = "SPARSE_ROBUST_CACHE"
PATIENCE = 5.0
"""Seconds to wait for a lock before saying so."""
ABANDONED = 3600.0
"""Seconds after which a draft, which takes seconds to write, is nobody's."""
EXTRA = "pip install '.[cluster]'"
"""What installs what many machines need."""

_LOG = logging.getLogger(__name__)


class StoreError(OSError):
    """A folder that nothing can be stored in; names it and the remedy."""


def place(name: str) -> Path:
    """A folder by its path, or by an address that fsspec knows, as s3://bucket/folder.

    What is elsewhere than on a disk is no :class:`~pathlib.Path`, but has the same methods.

    Raises:
        StoreError: if it has an address, and nothing is installed here that can reach it.
    """
    if "://" not in name:
        return path_of(name)
    try:
        from upath import UPath

        path = UPath(name)
        assert path.fs is not None  # which imports what reaches it
        return cast(Path, path)
    except (ImportError, ValueError) as error:
        raise StoreError(f"{name}: nothing is installed that stores there ({error}); {EXTRA}") from None


def write_atomically(path: Path, data: bytes) -> None:
    """Write a draft beside ``path``, flush it to disk and put it in place in one step.

    Elsewhere than on a disk the file is put as a whole, which is what stores of objects do.

    Raises:
        StoreError: naming the folder, if it cannot take the file, as a full disk cannot.
    """
    try:
        if isinstance(path, Path):
            _write_draft(path, data)
        else:
            path.write_bytes(data)
    except OSError as error:
        raise StoreError(
            f"{path.parent}: {path.name} cannot be stored there ({error.strerror or error}); free some "
            f"space, or name another folder with {RESULTS_VARIABLE} or {CACHE_VARIABLE}"
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

    Whoever waits for long logs for whom. Elsewhere than on a disk there are no locks: one program writes a
    file at a time, and a run sees in the end that nothing of its own was lost.
    """
    if not isinstance(path, Path):
        yield
        return
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


def can_be_written(folder: Path, variable: str) -> None:
    """Create a folder, and delete drafts of processes that were killed from it.

    Args:
        folder: local or not.
        variable: of the environment, that names another one.

    Raises:
        StoreError: if nothing can be stored there.
    """
    try:
        if not isinstance(folder, Path):
            write_atomically(folder / ".writable", b"")
            return
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        sweep(folder)
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            f"{folder}: nothing can be stored there ({error.strerror}); "
            f"make the folder writable, or name another one with {variable}"
        ) from None


def sweep(folder: Path) -> None:
    """Delete drafts that nobody can be writing any more: a kill leaves them behind."""
    for draft in folder.rglob(".*.draft"):
        with contextlib.suppress(FileNotFoundError):  # two may sweep at a time
            if time.time() - draft.stat().st_mtime > ABANDONED:
                draft.unlink()
