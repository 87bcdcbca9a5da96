"""From a misclassified point to a nearer one: along the boundary, and back towards the input."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparse_robust.types import Box, LogitsFn

from .contract import Active, clip, margin, norms, spread
from .linear_model import ULPS, lead_and_gradient
from .projection import cross

LOOKS, SHARES, NUDGE = 3, (0.1, 0.9), 0.01
"""Line search: how many points are tried, where in what is left of the segment at the extremes, and how far
past the place where a straight line would cross."""


@dataclass(frozen=True)
class BoundaryWalk:
    """How a walk along the boundary goes; the values change geometrically from the first to the last step.

    Attributes:
        steps: each costs the gradient of one number.
        rates: how far to go towards the nearest point of the linearised boundary. Whole steps swing between
            the pieces of a network; shorter and shorter ones settle where they meet.
        aims: how far past the boundary to aim, relative to the input's own distance from it: what ends up
            on the wrong side of it by curvature counts for nothing.
        from_input: whether to begin at the input, so that another class may come to be nearest, and not at
            the nearest misclassified point so far.
    """

    steps: int
    rates: tuple[float, float]
    aims: tuple[float, float]
    from_input: bool = False

    def at(self, step: int) -> tuple[float, float]:
        """Rate and aim of a step, counted from 0."""
        share = step / max(self.steps - 1, 1)
        rate, aim = (first * (last / first) ** share for first, last in (self.rates, self.aims))
        return rate, aim


def approach(
    logits_fn: LogitsFn, x: Tensor, y: Tensor, z: Tensor, *, walks: Sequence[BoundaryWalk], box: Box
) -> Tensor:
    """Misclassified points no farther from ``x`` than ``z``, all [R, N, *D].

    Where x is misclassified itself, or z is not, z is returned as it is.

    Args:
        logits_fn: [R, N, *D] -> [R, N, K].
        x: the inputs.
        y: [R, N].
        z: points in the box.
        walks: of walks along the boundary, one after another.
        box: that the points stay in.
    """
    with torch.no_grad():
        moved = (logits_fn(x).argmax(-1) == y) & (logits_fn(z).argmax(-1) != y)
    if not moved.any():
        return z
    active = Active(moved)
    start, label, point = active.take(x), active.take(y), active.take(z)
    for walk in walks:
        begin = start if walk.from_input else point
        slid = slide(logits_fn, start, label, begin, walk=walk, box=box)
        farther = ~(norms(slid - start, label) < norms(point - start, label))
        slid[farther] = point[farther]
        point = slid
    pulled = z.clone()
    active.put(pull_back(logits_fn, start, label, point, looks=LOOKS), pulled)
    with torch.no_grad():  # by the whole batch: a smaller one may round to the other side
        lost = moved & (logits_fn(pulled).argmax(-1) == y)
    if lost.any():
        pulled[lost] = z[lost]
    return pulled


def slide(
    logits_fn: LogitsFn, x: Tensor, y: Tensor, start: Tensor, *, walk: BoundaryWalk, box: Box
) -> Tensor:
    """The misclassified point nearest to ``x`` on a walk that begins at ``start``, infinite if there is none.

    Each step linearises the boundary where it is and goes part of the way to the point of the linearised
    boundary that is nearest to x in the box: sequential quadratic programming, damped.
    """
    at = start
    nearest = torch.full(x.shape, torch.inf, dtype=x.dtype, device=x.device)
    length = norms(nearest, y)

    for step in range(walk.steps):
        lead, gradient = lead_and_gradient(logits_fn, at, y)
        offset = at - x
        _keep_nearest(nearest, length, at, lead, norms(offset, y))
        rate, aim = walk.at(step)
        gap = (gradient * offset).flatten(2).sum(-1) - lead  # by which y leads at x, as linearised
        gap = (gap + aim * gap.abs()).clamp_min(torch.finfo(gap.dtype).tiny)
        nearer = cross(x.flatten(2), gradient.flatten(2), gap, box).view_as(x)
        impossible = ~norms(nearer, y).isfinite()
        nearer[impossible] = offset[impossible]
        at = clip(offset.lerp_(nearer, rate).add_(x), box)
    with torch.no_grad():
        behind, _ = margin(logits_fn(at), y)
    _keep_nearest(nearest, length, at, -behind, norms(at - x, y))
    return nearest


def _keep_nearest(nearest: Tensor, length: Tensor, at: Tensor, lead: Tensor, distance: Tensor) -> None:
    """Write points ``at`` into ``nearest``, and distances into ``length``, if misclassified and nearer."""
    better = (lead > 0) & (distance < length)
    nearest[better], length[better] = at[better], distance[better]


def pull_back(logits_fn: LogitsFn, x: Tensor, y: Tensor, z: Tensor, *, looks: int) -> Tensor:
    """A misclassified point on the segment from ``x`` to ``z``, close behind a boundary that it crosses.

    Regula falsi on the lead of the best other class, kept away from the ends of the bracket so that both
    of them move; a lead within rounding does not count. Where z has none, z is returned as it is.

    Args:
        logits_fn: [R, N, *D] -> [R, N, K].
        x: [R, N, *D], classified correctly.
        y: [R, N].
        z: [R, N, *D].
        looks: points to try.
    """

    def lead(share: Tensor) -> Tensor:
        with torch.no_grad():
            logits = logits_fn(torch.lerp(x, z, spread(share, x)))
        rounding = ULPS * torch.finfo(logits.dtype).eps * logits.abs().amax(-1)
        return -margin(logits, y)[0] - rounding

    low = torch.zeros(y.shape, dtype=x.dtype, device=x.device)
    high = torch.ones_like(low)
    below, above = lead(low), lead(high)
    crossed = above > 0
    for _ in range(looks):
        share = (below / (below - above)).add(NUDGE).nan_to_num(0.5).clamp(*SHARES)
        middle = low + share * (high - low)
        here = lead(middle)
        beyond = here > 0
        high, above = torch.where(beyond, middle, high), torch.where(beyond, here, above)
        low, below = torch.where(beyond, low, middle), torch.where(beyond, below, here)
    return torch.where(spread(crossed, z), torch.lerp(x, z, spread(high, x)), z)
