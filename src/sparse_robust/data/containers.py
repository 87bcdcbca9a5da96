"""Two containers of images: Keras-style ``.npz`` and a folder of idx files, checked to the last byte."""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from . import npz
from .dataset import DataError, Split, data_error, fingerprint

SIDE = 28
"""Height and width of an image, in pixels."""

CLASSES = 10
"""Labels are 0, ..., CLASSES - 1."""

REMEDY = "Remove it, or point SPARSE_ROBUST_DATA (--data) at another folder."


@dataclass(frozen=True)
class IdxFile:
    """One of the four files of an edition: its name, shape and the sha256 of its content."""

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def size(self) -> int:
        """Bytes: a magic number, one 32-bit length per axis, one byte per entry."""
        return 4 + 4 * len(self.shape) + int(np.prod(self.shape))


@dataclass(frozen=True)
class Edition:
    """What the files of one data set must contain, whichever container holds them.

    Attributes:
        name: for messages and provenance.
        train: number of training images.
        test: number of test images.
        fingerprint: of the content (`sparse_robust.data.fingerprint`); empty where any content will do and
            only the layout is checked.
        idx: training images, training labels, test images, test labels; empty where no such files exist.
        image: the shape of one image as the files have it.
    """

    name: str
    train: int
    test: int
    fingerprint: str
    idx: tuple[IdxFile, ...] = ()
    image: tuple[int, ...] = (SIDE, SIDE)

    def check(self, file: Path, train: Split, test: Split, remedy: str = REMEDY) -> tuple[Split, Split]:
        """Both splits, if they are this edition to the last pixel.

        Raises:
            DataError: naming ``file``, if they are not.
        """
        if self.fingerprint and (found := fingerprint(train, test)) != self.fingerprint:
            raise data_error(
                file,
                expected=f"the content of {self.name}, fingerprint {self.fingerprint}",
                found=f"arrays of the right shape with other content, fingerprint {found}",
                remedy=remedy,
            )
        return train, test


def read_npz(file: Path, edition: Edition, remedy: str = REMEDY) -> tuple[Split, Split]:
    """Training and test split of a Keras-style ``.npz``: x_train, y_train, x_test, y_test.

    Nothing is unpickled, and no array is read whose header does not promise the expected shape.

    Args:
        file: the archive.
        edition: what it must contain.
        remedy: the advice that ends the error message.

    Raises:
        DataError: if the file is truncated, altered or foreign.
    """
    images, labels = edition.image, ()
    try:
        with zipfile.ZipFile(file) as archive:
            train = _split(
                _member(archive, "x_train", (edition.train, *images), file, remedy),
                _member(archive, "y_train", (edition.train, *labels), file, remedy),
            )
            test = _split(
                _member(archive, "x_test", (edition.test, *images), file, remedy),
                _member(archive, "y_test", (edition.test, *labels), file, remedy),
            )
    except DataError:
        raise
    except Exception as failure:  # zip and header parsers raise anything on damaged input
        reason = re.sub(r" at 0x[0-9a-f]+", "", str(failure))  # NumPy quotes objects with their addresses
        raise data_error(
            file,
            expected=f"{edition.name} as a complete .npz archive",
            found=f"one that cannot be read ({type(failure).__name__}: {reason})",
            remedy=remedy,
        ) from failure
    return edition.check(file, train, test, remedy)


def _member(
    archive: zipfile.ZipFile, key: str, shape: tuple[int, ...], file: Path, remedy: str
) -> NDArray[np.integer]:
    if key not in npz.names(archive):
        keys = ", ".join(sorted(npz.names(archive))) or "none"
        raise data_error(file, expected=f"an array {key}", found=f"these arrays: {keys}", remedy=remedy)
    found_shape, dtype = npz.header(archive, key)
    is_image = len(shape) > 1
    right_dtype = dtype == np.uint8 if is_image else np.issubdtype(dtype, np.integer)
    # Keras keeps the labels of colour images as a column
    right_shape = found_shape in ([shape] if is_image else [shape, (*shape, 1)])
    if not right_shape or not right_dtype:
        raise data_error(
            file,
            expected=f"{key} of shape {shape} and {'dtype uint8' if is_image else 'integer dtype'}",
            found=f"shape {found_shape}, dtype {dtype}",
            remedy=remedy,
        )
    values: NDArray[np.integer] = npz.array(archive, key)
    if not is_image and (values.min() < 0 or values.max() >= CLASSES):
        raise data_error(
            file,
            expected=f"{key} between 0 and {CLASSES - 1}",
            found=f"labels from {values.min()} to {values.max()}",
            remedy=remedy,
        )
    return values.reshape(shape)


def read_idx_folder(folder: Path, edition: Edition) -> tuple[Split, Split]:
    """Training and test split of a folder of four idx files, each plain or gzipped.

    Args:
        folder: ``MNIST/raw`` in torchvision's layout.
        edition: what it must contain.

    Raises:
        DataError: if a file is missing, truncated, altered or foreign.
    """
    arrays = [_read_idx(folder, idx) for idx in edition.idx]
    train, test = _split(arrays[0], arrays[1]), _split(arrays[2], arrays[3])
    return edition.check(folder, train, test)


def _read_idx(folder: Path, idx: IdxFile) -> NDArray[np.uint8]:
    plain, packed = folder / idx.name, folder / f"{idx.name}.gz"
    if plain.exists():
        return parse_idx(plain, plain.read_bytes(), idx)
    if packed.exists():
        try:
            with gzip.open(packed) as stream:
                # one byte more than expected tells a longer file without unpacking all of it
                content = stream.read(idx.size + 1)
        except (OSError, EOFError, zlib.error) as failure:
            raise data_error(
                packed,
                expected="a complete gzip file",
                found=f"one that cannot be unpacked ({type(failure).__name__}: {failure})",
                remedy=REMEDY,
            ) from failure
        return parse_idx(packed, content, idx)
    raise data_error(
        folder,
        expected=f"{idx.name} or {idx.name}.gz beside the other idx files",
        found=f"only {', '.join(sorted(p.name for p in folder.iterdir()))}",
        remedy="Remove the folder, so that it is fetched anew, or complete it.",
    )


def parse_idx(file: Path | str, content: bytes, idx: IdxFile, remedy: str = REMEDY) -> NDArray[np.uint8]:
    """The array in ``content``, once its length, header and sha256 are those of ``idx``.

    Raises:
        DataError: naming ``file``, if one of them is not.
    """
    if len(content) != idx.size:
        found = f"{len(content):,} bytes" if len(content) < idx.size else "more"
        raise data_error(file, expected=f"{idx.size:,} bytes", found=found, remedy=remedy)
    header = struct.pack(f">{1 + len(idx.shape)}I", 0x0800 | len(idx.shape), *idx.shape)
    if content[: len(header)] != header:
        raise data_error(
            file,
            expected=f"an idx header for {idx.shape} unsigned bytes ({header.hex()})",
            found=content[: len(header)].hex(),
            remedy=remedy,
        )
    if (found := hashlib.sha256(content).hexdigest()) != idx.sha256:
        raise data_error(file, expected=f"sha256 {idx.sha256}", found=found, remedy=remedy)
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(idx.shape)


def _split(images: NDArray[np.integer], labels: NDArray[np.integer]) -> Split:
    # a copy, because torch wants memory that it may write to
    return Split(torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64)))
