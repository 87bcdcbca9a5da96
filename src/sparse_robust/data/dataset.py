"""What a data set is: two splits of uint8 images, a description, a fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


class DataError(ValueError):
    """A data file is truncated, altered or foreign; the message names it and says what to do."""


def data_error(file: Path | str, *, expected: str, found: str, remedy: str) -> DataError:
    """The one error that a bad file gets: which file, what was expected and found, the remedy."""
    return DataError(f"{file}: expected {expected}; found {found}. {remedy}")


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Attributes:
        images: uint8, [N, 28, 28] or in colour [N, 3, 32, 32]; 0 is black.
        labels: int64 [N], counted from 0.
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A training and a test split, and where they come from.

    Attributes:
        train: what models are fitted to.
        test: what metrics are computed on.
        description: what the images are, for provenance ("MNIST sample, 12,000 digits").
        fingerprint: first 12 hexadecimal digits of the sha256 over the content of the four arrays,
            the same whichever container they were read from.
        source: where they were read from on this occasion, and which better sources were not to be had.
    """

    train: Split
    test: Split
    description: str
    fingerprint: str
    source: str


def fingerprint(train: Split, test: Split) -> str:
    """First 12 hexadecimal digits of the sha256 over both splits' shapes, pixels and labels."""
    digest = hashlib.sha256()
    for split in (train, test):
        digest.update(str(tuple(split.images.shape)).encode())
        digest.update(split.images.contiguous().numpy().tobytes())
        digest.update(split.labels.to(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def pixels(split: Split) -> Tensor:
    """The images as float32 in [0, 1], shaped as they are; one grey level is 1/255."""
    return split.images.to(torch.float32) / 255


def select_classes(dataset: Dataset, classes: Sequence[int]) -> Dataset:
    """The examples of ``classes`` alone, in their order; ``classes[i]`` becomes label i.

    Args:
        dataset: where to select from.
        classes: at least two distinct labels of ``dataset``.

    Raises:
        ValueError: if a class is named twice, has no example, or fewer than two are named.
    """
    wanted = tuple(classes)
    if len(wanted) < 2 or len(set(wanted)) < len(wanted):
        raise ValueError(f"classes={wanted}: name at least two, each once")

    def select(split: Split, name: str) -> Split:
        matches = split.labels == torch.tensor(wanted).unsqueeze(1)  # [classes, N]
        for label, there in zip(wanted, matches.any(dim=1).tolist(), strict=True):
            if not there:
                known = sorted(set(split.labels.tolist()))
                raise ValueError(f"classes={wanted}: no {name} example has label {label}; there are {known}")
        keep = matches.any(dim=0)
        return Split(split.images[keep], matches.int().argmax(dim=0)[keep])

    train, test = select(dataset.train, "training"), select(dataset.test, "test")
    return Dataset(
        train,
        test,
        description=f"{dataset.description}, classes {', '.join(map(str, wanted))}",
        fingerprint=fingerprint(train, test),
        source=dataset.source,
    )
