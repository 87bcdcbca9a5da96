"""CIFAR-10, from the first source that has it, and an honest word on what the images are.

Images become uint8 [N, 3, 32, 32], red, green and blue, whichever container held them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from . import fetch
from .containers import REMEDY, Edition, read_npz
from .dataset import DataError, Dataset, Split, data_error, fingerprint
from .mnist import data_root

CIFAR10 = Edition("CIFAR-10", 50_000, 10_000, fingerprint="", image=(32, 32, 3))
"""As Keras keeps it; what the pixels are is told by :func:`provenance`."""

FOLDER = "cifar-10-batches-py"
"""torchvision's layout."""


@dataclass(frozen=True)
class Batch:
    """One of the six files of the original's Python version: its name, length and MD5 (torchvision's)."""

    name: str
    images: int
    md5: str


BATCHES: tuple[Batch, ...] = (
    Batch("data_batch_1", 10_000, "c99cafc152244af753f735de768cd75f"),
    Batch("data_batch_2", 10_000, "d4bba439e000b95fd0a9bffe97cbabec"),
    Batch("data_batch_3", 10_000, "54ebc095f3ab1f0389bbae665268c751"),
    Batch("data_batch_4", 10_000, "634d18415352ddfa80567beed471001a"),
    Batch("data_batch_5", 10_000, "482c414d41f54cd18b22e5b47cb7c3cb"),
    Batch("test_batch", 10_000, "40351d587109b95175f43aff81a1287e"),
)
"""Training images in five parts, then the test images."""

ORIGINAL = CIFAR10.name
RECODED = "CIFAR-10, JPEG q75 re-encoding"
UNKNOWN = "images in the layout of CIFAR-10, of unknown provenance"

KNOWN: Mapping[str, str] = {"dba19f493035": RECODED}
"""By fingerprint. The re-encoding was decoded with Pillow 13.0; another decoder may round otherwise."""

CHANNEL_SUMS = (6_415_714_204, 6_295_060_180, 5_829_907_619)
"""Of the red, green and blue bytes of the original training images: 51,200,000 times the means that are in
wide use, 125.306918046875, 122.950394140625 and 113.86538318359375, which are exact."""


class MissingDataError(FileNotFoundError):
    """A data set that is neither in the data root nor to be had; says where to get it."""


def load_cifar10(root: Path | str | None = None, *, download: bool = True) -> Dataset:
    """CIFAR-10 from the first source that has it; `Dataset.description` says which images they are.

    In this order: ``cifar10.npz`` (Keras) or ``cifar-10-batches-py`` (torchvision) in the data root;
    torchvision's download, which is put into the data root for the next time.

    Args:
        root: the data root (see :func:`~.mnist.data_root`).
        download: whether to try the network.

    Raises:
        DataError: if a file in the data root is truncated, altered or foreign.
        MissingDataError: if there is none and none can be downloaded.
    """
    folder = data_root(root)
    dataset, missed = _stored(folder), "nothing was downloaded"
    if dataset is None and download:
        try:
            dataset = _fetched(folder)
        except (fetch.UnavailableError, OSError) as failure:
            missed = str(failure)
    if dataset is None:
        raise MissingDataError(
            f"{folder} holds neither cifar10.npz nor {FOLDER}, and {missed}; get cifar-10-python.tar.gz from"
            " https://www.cs.toronto.edu/~kriz/cifar.html and unpack it there, or name the folder that holds"
            " it with --data or SPARSE_ROBUST_DATA"
        )
    _LOG.info("%s, fingerprint %s, from %s", dataset.description, dataset.fingerprint, dataset.source)
    return dataset


def provenance(train: Split, test: Split) -> str:
    """What the images are, as far as their content tells: the original, the re-encoding, or unknown."""
    if description := KNOWN.get(fingerprint(train, test)):
        return description
    sums = train.images.sum(dim=(0, 2, 3), dtype=torch.int64)
    return f"{ORIGINAL}, by its channel sums" if tuple(sums.tolist()) == CHANNEL_SUMS else UNKNOWN


def _stored(root: Path) -> Dataset | None:
    """What the data root holds, or None if it holds neither container."""
    if (archive := root / "cifar10.npz").exists():
        train, test = (
            Split(split.images.movedim(-1, 1).contiguous(), split.labels)
            for split in read_npz(archive, CIFAR10)
        )
        return _dataset(train, test, provenance(train, test), "cifar10.npz in the data root")
    if (folder := root / FOLDER).is_dir():
        return _dataset(*read_batches(folder), ORIGINAL, f"{FOLDER} in the data root")
    return None


def _dataset(train: Split, test: Split, description: str, source: str) -> Dataset:
    return Dataset(train, test, description, fingerprint(train, test), source)


def read_batches(folder: Path) -> tuple[Split, Split]:
    """Training and test split of the original's Python version, as torchvision leaves it.

    The files are pickles: none is opened before its MD5 is that of the original.

    Raises:
        DataError: if a file is missing, truncated or altered.
    """
    parts = [_read_batch(folder, batch) for batch in BATCHES]
    train = Split(*(torch.cat([getattr(p, name) for p in parts[:-1]]) for name in ("images", "labels")))
    return train, parts[-1]


def _read_batch(folder: Path, batch: Batch) -> Split:
    file = folder / batch.name
    if not file.is_file():
        raise data_error(
            folder,
            expected=f"{batch.name} beside the other batches",
            found=f"only {', '.join(sorted(p.name for p in folder.iterdir())) or 'an empty folder'}",
            remedy="Remove the folder, so that it is downloaded anew, or complete it.",
        )
    content = file.read_bytes()
    if (digest := hashlib.md5(content, usedforsecurity=False).hexdigest()) != batch.md5:
        raise data_error(file, expected=f"MD5 {batch.md5}", found=digest, remedy=REMEDY)
    record: dict[bytes, Any] = pickle.loads(content, encoding="bytes")
    images = np.asarray(record[b"data"], np.uint8).reshape(batch.images, 3, 32, 32)
    return Split(torch.from_numpy(images.copy()), torch.tensor(record[b"labels"], dtype=torch.int64))


def _fetched(root: Path) -> Dataset | None:
    """Download beside the final place, check, and move the whole folder there in one step."""
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "cifar10.lock"):
        if (dataset := _stored(root)) is not None:  # another process may have fetched it meanwhile
            return dataset
        staging = Path(tempfile.mkdtemp(prefix="cifar10-", suffix=".draft", dir=root))
        try:
            fetch.fetch_cifar10(staging)
            splits = read_batches(staging / FOLDER)
            os.replace(staging / FOLDER, root / FOLDER)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return _dataset(*splits, ORIGINAL, "torchvision's download, now in the data root")


def describe_cifar10(root: Path | str | None = None) -> str:
    """What the data root holds of CIFAR-10 and what a run would use; for the command line.

    Reads and checks every file that is there, and never touches the network.
    """
    lines = ["CIFAR-10:"]
    try:
        dataset = _stored(data_root(root))
    except DataError as failure:
        return "\n".join([*lines, f"  {failure}", "A run stops with this error."])
    if dataset is None:
        lines.append(f"  no cifar10.npz and no {FOLDER} (torchvision's layout)")
        return "\n".join([*lines, "A run tries torchvision's download, and stops if it cannot be had."])
    counts = f"{len(dataset.train):,} training and {len(dataset.test):,} test images"
    lines.append(f"  {dataset.description}: {counts}, fingerprint {dataset.fingerprint} ({dataset.source})")
    return "\n".join([*lines, f"A run uses {dataset.source}."])


_LOG = logging.getLogger(__name__)
