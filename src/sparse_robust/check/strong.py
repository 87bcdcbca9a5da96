"""Stronger attacks beside the paper's: where they find much more, gradients are masked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from sparse_robust.attacks import (
    AttackResult,
    adaptive_projected_gradient_descent,
    carlini_wagner,
    minimal_l2,
    projected_gradient_descent,
)
from sparse_robust.types import Box, LogitsFn


@dataclass(frozen=True)
class Stronger:
    """The best of all attacks, the paper's among them.

    Attributes:
        resisted: bool [N], classified correctly after every l_infinity attack.
        radius: [N], the smallest distance of any l_2 attack; infinite where all failed.
    """

    resisted: Tensor
    radius: Tensor


LINF: dict[str, Callable[[LogitsFn, Tensor, Tensor, float, Box], AttackResult]] = {
    "PGD": lambda logits_fn, x, y, eps, box: projected_gradient_descent(logits_fn, x, y, eps=eps, box=box),
    "APGD": lambda logits_fn, x, y, eps, box: adaptive_projected_gradient_descent(
        logits_fn, x, y, eps=eps, box=box
    ),
}
"""Attacks with a radius, by name."""

L2: dict[str, Callable[[LogitsFn, Tensor, Tensor], AttackResult]] = {
    "C&W": lambda logits_fn, x, y: carlini_wagner(logits_fn, x, y, box=_around(x)),
    "minimal": lambda logits_fn, x, y: minimal_l2(logits_fn, x, y, box=None),
}
"""Attacks that look for the nearest example, by name; without a box, as DeepFool, or the gap would be its."""


def _around(x: Tensor) -> tuple[float, float]:
    """A box for an attack that needs one: twice as wide as the data."""
    low, high = float(x.amin()), float(x.amax())
    margin = (high - low) / 2 or 1.0
    return low - margin, high + margin


def strongest(
    logits_fn: LogitsFn, x: Tensor, y: Tensor, fgs: AttackResult, nearest: AttackResult, eps: float, box: Box
) -> Stronger:
    """What :data:`LINF` and :data:`L2` find beyond FGS and DeepFool, whose results are given."""
    resisted, radius = ~fgs.flipped, nearest.radius
    for linf in LINF.values():
        resisted = resisted & ~linf(logits_fn, x, y, eps, box).flipped
    for l2 in L2.values():
        radius = radius.minimum(l2(logits_fn, x, y).radius)
    return Stronger(resisted, radius)


__all__ = ["L2", "LINF", "Stronger", "strongest"]
