"""How far every image is certainly from being misclassified, and how far at most."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, sqrt

import torch
from torch import Tensor, nn

from sparse_robust.attacks import AttackResult, deepfool
from sparse_robust.types import Box, LogitsFn

from .crown import Ascent
from .decisions import certified, lone_logits, misclassified
from .neighbourhood import Neighbourhood
from .network import compact, stages

CROWN = Ascent(steps=0)
"""The slopes of CROWN as they are: a radius is found by many bounds, and ascent gains little on each."""

MinimalAttack = Callable[[LogitsFn, Tensor, Tensor, Box], AttackResult]
"""(logits_fn, x [N, D], y [N], box) -> the nearest misclassified inputs that an attack found, in l_2."""


def deepfool_in_box(logits_fn: LogitsFn, x: Tensor, y: Tensor, box: Box) -> AttackResult:
    """DeepFool with its usual overshoot, as a :data:`MinimalAttack`."""
    return deepfool(logits_fn, x, y, box=box)


def attack_radius(
    model: nn.Module, x: Tensor, y: Tensor, *, box: Box = (0.0, 1.0), attack: MinimalAttack = deepfool_in_box
) -> Tensor:
    """||x_adv - x||_2 where the network itself misclassifies x_adv, else infinity, float64 ``[N]``.

    It is 0 where the image itself is misclassified.

    Raises:
        ValueError: if the attack leaves the box.
    """
    logits = lone_logits(model)
    x_adv = attack(logits, x, y, box).x_adv
    if box is not None and len(x) and not (box[0] <= x_adv.amin() and x_adv.amax() <= box[1]):
        raise ValueError(f"the attack leaves the box {box}: pass the box on to it")
    length = (x_adv.double() - x.double()).flatten(1).norm(dim=1)
    length = length.masked_fill(~misclassified(logits, x_adv, y), inf)
    return length.masked_fill(misclassified(logits, x, y), 0.0)


def certified_radius(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    upper: Tensor,
    *,
    p: float = 2,
    box: Box = (0.0, 1.0),
    steps: int = 10,
    ascent: Ascent = CROWN,
) -> Tensor:
    """A radius within which no input in the box is misclassified, by bisection over CROWN, float64 ``[N]``.

    What is returned was certified itself, whatever the bounds of other radii; it is 0 where nothing was, and
    where the image is misclassified.

    Args:
        model: a LeNet-300-100 or a LeNet-5 with one replica.
        x: ``[N, D]``, in the box.
        y: the true classes ``[N]``.
        upper: the largest radius to try ``[N]``, for example an attack's; infinity for the whole box.
        p: 2 or infinity.
        box: (low, high) or None.
        steps: the result is within upper / 2^steps of the largest radius that CROWN certifies, if that is
            one interval.
        ascent: of the slopes.

    Raises:
        ValueError: if steps is below 1, or a radius is infinite without a box.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    if box is None and not all(isfinite(u) for u in upper.tolist()):
        raise ValueError("upper must be finite where there is no box")
    layers, read = compact(stages(model))
    centre = x.detach().double().flatten(1)
    reach = inf if box is None else (box[1] - box[0]) * (sqrt(centre.shape[1]) if p == 2 else 1.0)
    high = upper.double().clamp(max=reach)
    low = torch.zeros_like(high)
    asked = ~misclassified(lone_logits(model), x, y)
    for _ in range(steps):
        middle = (low + high) / 2
        around = Neighbourhood(centre[:, read], middle, p, box)
        _, bound = certified(layers, around, y, asked, ascent)
        safe = bound > 0
        low, high = torch.where(safe, middle, low), torch.where(safe, high, middle)
    return low
