"""A minimal-norm attack that finds a point wherever the model tells two classes apart."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor

from sparse_robust.types import Box, LogitsFn

from .boundary import BoundaryWalk, approach, pull_back
from .contract import AttackResult, Remembering, conclude, one_replica, spread, validate
from .deepfool import leave_class

CROSSING: dict[str, Any] = {"steps": 50, "overshoot": 0.02}
"""DeepFool's options, until the class changes for the first time."""

BISECTIONS = 30
"""Points tried on the segment to an image of another class: its boundary may be a jump."""


class Way(IntEnum):
    """How a misclassified point was reached."""

    FAILED = 0
    GIVEN = 1  # the input was misclassified itself
    GRADIENT = 2
    IMAGE = 3  # by a line search towards an image of another class


@dataclass(frozen=True)
class MinimalResult(AttackResult):
    """An :class:`AttackResult`, and how each point was reached.

    Attributes:
        way: uint8 [*B], values of :class:`Way`.
    """

    way: Tensor


def minimal_l2(
    logits_fn: LogitsFn,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 24,
    images: Tensor | None = None,
    box: Box = (0.0, 1.0),
) -> MinimalResult:
    r"""The nearest misclassified point in l_2: walks along the boundary from several starts.

    Each step of a walk linearises the boundary at a point z and moves z part of the way to
    argmin ||z' - x||_2 over z' in the box on that linearised boundary (:func:`.boundary.slide`). A third of
    the steps starts where DeepFool ends, a third at x, and so possibly towards another class; the last
    third starts at the nearer of the points found and settles there. That is pulled back along its segment
    to x. The distance found bounds the minimal one from above.

    Where gradients lead nowhere, the start is on the segment to the nearest of ``images`` that the model
    puts in another class, found by a line search, and the walk goes on from there if it can. So it fails
    only where the model tells none of the images from the example.

    Args:
        logits_fn: [*B, *D] -> [*B, K], whatever N.
        x: [*B, *D], floating point, in the box.
        y: [*B], the true classes.
        steps: of all walks together, at least 3; each costs the gradient of one number.
        images: [M, *D], in the box, where to look for images of other classes; x itself unless given.
        box: (low, high) or None.

    Raises:
        ValueError: if steps is too small, shapes disagree or x or an image leaves the box.

    Reference: this book's; walks along the boundary with shrinking steps are those of Rony et al. 2019 (DDN)
    and Pintor et al. 2021 (FMN), which step along the gradient instead.
    """
    validate(x, y, box)
    if steps < 3:
        raise ValueError(f"steps must be at least 3, got {steps}")
    if images is not None:
        _validate_images(images, x, y, box)
    if y.ndim == 1:
        lone = minimal_l2(one_replica(logits_fn), x[None], y[None], steps=steps, images=images, box=box)
        return MinimalResult(lone.x_adv[0], lone.flipped[0], lone.radius[0], lone.way[0])
    logits_fn = Remembering(logits_fn)
    z = leave_class(logits_fn, x, y, **CROSSING, box=box)
    with torch.no_grad():
        given = logits_fn(x).argmax(-1) != y
        crossed = logits_fn(z).argmax(-1) != y
    if not crossed.all():
        others = x if images is None else images.expand(len(x), *images.shape)
        z = torch.where(spread(crossed, z), z, towards_image(logits_fn, x, y, others))
    z = approach(logits_fn, x, y, z, walks=walks(steps), box=box)
    result = conclude(logits_fn, x, y, z)
    way = torch.full(y.shape, Way.IMAGE, dtype=torch.uint8, device=y.device)
    way[crossed], way[given], way[~result.flipped] = Way.GRADIENT, Way.GIVEN, Way.FAILED
    return MinimalResult(result.x_adv, result.flipped, result.radius, way)


def walks(steps: int) -> list[BoundaryWalk]:
    """Of the three walks: from where DeepFool ends, from the input, and from the nearer of their ends."""
    third = steps // 3
    return [
        BoundaryWalk(third, rates=(0.3, 0.1), aims=(0.05, 0.01)),
        BoundaryWalk(third, rates=(1.0, 0.2), aims=(0.05, 0.01), from_input=True),
        BoundaryWalk(steps - 2 * third, rates=(0.2, 0.03), aims=(0.03, 0.003)),
    ]


def towards_image(logits_fn: LogitsFn, x: Tensor, y: Tensor, images: Tensor) -> Tensor:
    """Misclassified points [R, N, *D] on the segments from ``x`` to the nearest image of another class.

    Where the model puts no image into another class than y, the point is x.

    Args:
        logits_fn: [R, N, *D] -> [R, N, K].
        x: [R, N, *D].
        y: [R, N].
        images: [R, M, *D].
    """
    with torch.no_grad():
        classes = logits_fn(images).argmax(-1)
    distances = torch.cdist(x.flatten(2), images.flatten(2))
    distances = distances.masked_fill(classes.unsqueeze(1) == y.unsqueeze(2), torch.inf)
    distance, index = distances.min(-1)
    nearest = images.gather(1, spread(index, images).expand(-1, -1, *images.shape[2:]))
    nearest = torch.where(spread(distance.isfinite(), x), nearest, x)
    return pull_back(logits_fn, x, y, nearest, looks=BISECTIONS)


def _validate_images(images: Tensor, x: Tensor, y: Tensor, box: Box) -> None:
    """Reject images that cannot be compared with the inputs."""
    if images.shape[1:] != x.shape[y.ndim :]:
        raise ValueError(
            f"images must be [M] followed by the shape of an input, {[*x.shape[y.ndim :]]},"
            f" got {[*images.shape]}"
        )
    validate(images, torch.zeros(len(images), dtype=torch.long, device=images.device), box)
