"""What single weights do to a function of the masks: ablations, and the terms of Russo's formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .mask_enumeration import Masks, Shape

Place = tuple[int, tuple[int, int]]
"""A weight: its layer, counted from 0, and its place in the matrix."""


def places(shapes: Sequence[Shape]) -> Iterator[Place]:
    """Every weight."""
    for layer, shape in enumerate(shapes):
        for place in np.ndindex(*shape):
            yield layer, (place[0], place[1])


def with_bit(masks: Masks, place: Place, kept: bool) -> Masks:
    """The same masks, but for one weight, which is kept or masked."""
    changed = [mask.copy() for mask in masks]
    changed[place[0]][place[1]] = kept
    return tuple(changed)


def probability(masks: Masks, alphas: Sequence[Any]) -> Any:
    """Pr(M = masks) = prod_j (1 - alpha_j)^kept alpha_j^masked."""
    value: Any = 1
    for mask, alpha in zip(masks, alphas, strict=True):
        kept = int(mask.sum())
        value = value * (1 - alpha) ** kept * alpha ** (mask.size - kept)
    return value


def ablations(shapes: Sequence[Shape], value: Callable[[Masks], Any]) -> dict[Place, Any]:
    """value(all but w) - value(all) for every weight w; their sum is d/d alpha E value at alpha = 0."""
    everything: Masks = tuple(np.ones(shape, dtype=bool) for shape in shapes)
    whole = value(everything)
    return {place: value(with_bit(everything, place, False)) - whole for place in places(shapes)}
