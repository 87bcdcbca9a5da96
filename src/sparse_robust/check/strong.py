"""Stronger attacks beside the paper's: where they find much more, gradients are masked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sparse_robust.attacks import AttackResult, carlini_wagner, fast_gradient_sign
from sparse_robust.types import Box, LogitsFn

STEPS = 40
"""Of the iterated attack, each of 2.5 / STEPS of the radius, as in Madry et al. 2018."""


@dataclass(frozen=True)
class Stronger:
    """The best of all attacks, the paper's among them.

    Attributes:
        resisted: bool [N], classified correctly after every l_infinity attack.
        radius: [N], the smallest distance of any l_2 attack; infinite where all failed.
    """

    resisted: Tensor
    radius: Tensor


def projected_gradient(logits_fn: LogitsFn, x: Tensor, y: Tensor, eps: float, box: Box) -> Tensor:
    """Bool [N], whether FGS in small steps within the l_infinity ball of radius ``eps`` flips x [N, *D]."""
    x_adv, flipped = x, torch.zeros_like(y, dtype=torch.bool)
    for _ in range(STEPS):
        step = fast_gradient_sign(logits_fn, x_adv, y, eps=2.5 * eps / STEPS, box=box)
        x_adv = step.x_adv.clamp(x - eps, x + eps)
        with torch.no_grad():
            flipped |= logits_fn(x_adv).argmax(-1) != y
    return flipped


LINF: dict[str, Callable[[LogitsFn, Tensor, Tensor, float, Box], Tensor]] = {"PGD": projected_gradient}
"""Attacks with a radius, by name: which examples they flip."""

L2: dict[str, Callable[[LogitsFn, Tensor, Tensor, Box], AttackResult]] = {
    "C&W": lambda logits_fn, x, y, box: carlini_wagner(logits_fn, x, y, box=box or _around(x)),
}
"""Attacks that look for the nearest example, by name."""


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
        resisted = resisted & ~linf(logits_fn, x, y, eps, box)
    for l2 in L2.values():
        radius = radius.minimum(l2(logits_fn, x, y, box).radius)
    return Stronger(resisted, radius)


__all__ = ["L2", "LINF", "Stronger", "projected_gradient", "strongest"]
