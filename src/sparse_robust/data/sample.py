"""The 12,000 digits that the package carries, so that every command works with no network at all."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .containers import CLASSES, Edition, read_npz
from .dataset import Dataset, Split

SAMPLE = Edition("the embedded MNIST sample", 10_000, 2_000, fingerprint="44deee05e67e")
"""1,000 training and 200 test images of each digit."""

SAMPLE_FILE = Path(__file__).parent / "embedded" / "mnist-sample.npz"


def embedded_digits() -> Dataset:
    """The embedded sample: 10,000 training and 2,000 test images of MNIST, as many of each digit.

    Raises:
        DataError: if the installed file is not the one that was released.
    """
    train, test = read_npz(SAMPLE_FILE, SAMPLE, remedy="Install the package again.")
    return Dataset(
        train,
        test,
        description="MNIST sample, 12,000 digits",
        fingerprint=SAMPLE.fingerprint,
        source="the sample that the package carries",
    )


def draw_sample(split: Split, size: int) -> Split:
    """How the embedded sample was drawn: of each digit ``size // 10`` images, evenly spaced in file order.

    Of a digit's n images, those numbered floor(i n / k) are taken, i = 0, ..., k - 1, with k = size // 10.
    So the sample needs no random numbers and spans the whole file: the first half of MNIST's test set is
    easier than the second, and a sample of the first images would flatter every classifier. The images
    keep their order.

    Args:
        split: MNIST's training or test images.
        size: how many to draw; a multiple of ten.

    Raises:
        ValueError: if some digit has fewer than ``size // 10`` images.
    """
    keep = torch.cat([_spaced(split.labels, label, size // CLASSES) for label in range(CLASSES)])
    keep = keep.sort().values
    return Split(split.images[keep], split.labels[keep])


def _spaced(labels: Tensor, label: int, count: int) -> Tensor:
    where = (labels == label).nonzero().squeeze(1)
    if len(where) < count:
        raise ValueError(f"split has {len(where)} images of digit {label}, {count} are to be drawn")
    return where[torch.arange(count) * len(where) // count]
