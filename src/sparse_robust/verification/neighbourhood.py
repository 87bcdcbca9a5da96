"""The inputs that an opponent may choose: a ball in l_inf or l_2 around each image, inside the pixel box."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf

import torch
from torch import Tensor

from sparse_robust.types import Box

from .rounding import above, below

MULTIPLIER_STEPS = 8
"""Steps towards the best multiplier of an l_2 ball in a box; any multiplier gives a valid bound."""


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """N sets of inputs, {z : ||z - x_n||_p <= radius_n, z in the box}.

    Attributes:
        centre: x, float64 ``[N, D]``.
        radius: float64 ``[N]``, at least 0, in units of x.
        p: infinity or 2.
        box: (low, high), or None for no constraint.

    Raises:
        ValueError: if p is neither, shapes or types disagree, a radius is negative or a centre
            leaves the box.
    """

    centre: Tensor
    radius: Tensor
    p: float
    box: Box = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.p not in (2, inf):
            raise ValueError(f"p must be 2 or infinity, got {self.p}")
        if self.centre.ndim != 2 or self.radius.shape != self.centre.shape[:1]:
            shapes = f"got {[*self.centre.shape]} and {[*self.radius.shape]}"
            raise ValueError(f"centre must be [N, D] and radius [N], {shapes}")
        if self.centre.dtype != torch.float64 or self.radius.dtype != torch.float64:
            raise ValueError(
                f"centre and radius must be float64, got {self.centre.dtype} and {self.radius.dtype}"
            )
        if not (self.radius >= 0).all():
            raise ValueError(f"radius must be at least 0, got {self.radius.min()}")
        if self.box is not None and len(self.centre):
            low, high = self.box
            if self.centre.amin() < low or self.centre.amax() > high:
                raise ValueError(f"centre leaves the box {self.box}: scale the images to it first")

    def __len__(self) -> int:
        return len(self.centre)

    def part(self, index: Tensor) -> Neighbourhood:
        """The sets with these indices or under this mask."""
        return Neighbourhood(self.centre[index], self.radius[index], self.p, self.box)

    @cached_property
    def range(self) -> tuple[Tensor, Tensor]:
        """The smallest and largest value of each coordinate, rounded outwards, ``[N, D]`` each."""
        low, high = below(self.centre - self.radius[:, None]), above(self.centre + self.radius[:, None])
        if self.box is None:
            return low, high
        return low.clamp(min=self.box[0]), high.clamp(max=self.box[1])

    def minimum(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """A lower bound for row . z over each set, and the size of its terms.

        For l_inf it is the minimum, attained in a corner. For l_2 without a box it is
        row . x - radius ||row||_2, and in a box the best of the Lagrangian bounds of :func:`_in_box` that
        were tried, which is the minimum up to the precision of the multiplier.

        Args:
            rows: ``[N or 1, M, D]``.

        Returns:
            the bounds and their sizes (see :mod:`.rounding`), ``[N, M]`` each.
        """
        low, high = self.range
        size = _inner(rows.abs(), torch.maximum(low.abs(), high.abs()))
        if self.p == inf:
            middle, spread = (low + high) / 2, (high - low) / 2
            return _inner(rows, middle) - _inner(rows.abs(), spread), 2 * size
        radius = self.radius[:, None]
        start = _inner(rows, self.centre)
        free = -radius * torch.linalg.vector_norm(rows, dim=-1)
        if self.box is None:
            return start + free, size - free
        boxed, boxed_size = _in_box(rows, low - self.centre, high - self.centre, radius)
        return start + torch.maximum(free, boxed), size - free + boxed_size


def _inner(rows: Tensor, values: Tensor) -> Tensor:
    """``rows [N or 1, M, D]`` times ``values [N, D]``, ``[N, M]``."""
    return torch.matmul(rows, values[..., None])[..., 0]


def _in_box(rows: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
    """min c . d with ||d||_2 <= radius and low <= d <= high, from below, by Lagrange.

    For every t > 0 the minimum over the box of c . d + (||d||^2 - radius^2) / (2 t) is a lower bound,
    attained at d = clip(-t c). The best t is the one with ||d|| = radius, found by fixed-point steps of
    radius over the part that is not clipped; where the box itself lies in the ball, it is infinite and the
    penalty vanishes.

    Args:
        rows: c, ``[N, M, D]``.
        low: at most 0, ``[N, D]``.
        high: at least 0, ``[N, D]``.
        radius: ``[N, 1]``.
    """
    low, high, square = low[:, None], high[:, None], radius.square()
    with torch.no_grad():
        scale = torch.linalg.vector_norm(rows, dim=-1)
        t = radius / scale
        for _ in range(MULTIPLIER_STEPS):
            step = -t[..., None] * rows
            clipped = (step < low) | (step > high)
            spent = torch.where(clipped, torch.maximum(torch.minimum(step, high), low), 0.0)
            left = square - spent.square().sum(-1)
            free = torch.where(clipped, 0.0, rows).square().sum(-1)
            t = torch.where((free > 0) & (left > 0), (left / free).sqrt(), t).maximum(t)
    usable = torch.isfinite(t) & (t > 0)
    t = torch.where(usable, t, 1.0)
    step = torch.maximum(torch.minimum(-t[..., None] * rows, high), low)
    length = step.square().sum(-1)
    value = (rows * step).sum(-1) + (length - square) / (2 * t)
    size = (rows * step).abs().sum(-1) + (length + square) / (2 * t)
    # without a usable multiplier the box alone is a bound
    corner = torch.where(rows > 0, rows * low, rows * high).sum(-1)
    worst = torch.maximum(low.abs(), high.abs())
    return torch.maximum(torch.where(usable, value, corner), corner), size + (rows.abs() * worst).sum(-1)
