"""Made-up colour images that a small network learns in seconds, so that tests need no CIFAR-10."""

from __future__ import annotations

import torch
from torch import Tensor

from sparse_robust.rng import stream

from .containers import CLASSES
from .dataset import Dataset, Split, fingerprint

BLOCK = 8
"""Edge of a patch of one colour, in pixels."""

NOISE = 48
"""Largest deviation of a pixel from its patch, in grey levels."""


def made_images(train: int = 640, test: int = 100, seed: int = 0) -> Dataset:
    """Ten classes of 32 x 32 colour images: a class is a pattern of patches, an example that with noise.

    Only integers are drawn, so that the images are the same on every machine.

    Args:
        train: number of training images, as many of each class (up to one).
        test: number of test images.
        seed: of the patterns and the noise.
    """
    side = 32 // BLOCK
    patterns = torch.randint(0, 256, (CLASSES, 3, side, side), generator=stream(seed, "made/patterns"))
    patterns = patterns.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)

    def split(name: str, size: int) -> Split:
        labels: Tensor = torch.arange(size) % CLASSES
        shape = (size, *patterns.shape[1:])
        noise = torch.randint(-NOISE, NOISE + 1, shape, generator=stream(seed, f"made/{name}"))
        return Split((patterns[labels] + noise).clamp(0, 255).to(torch.uint8), labels)

    splits = split("train", train), split("test", test)
    return Dataset(
        *splits,
        description=f"made-up images, {train + test:,} of them",
        fingerprint=fingerprint(*splits),
        source="made from a seed",
    )
