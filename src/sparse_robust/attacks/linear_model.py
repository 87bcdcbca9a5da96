"""A model linearised at its inputs: how far other classes trail, and in which direction they lie."""

from collections.abc import Iterator

import torch
from torch import Tensor

from sparse_robust.types import Box, LogitsFn

from .contract import margin, spread
from .projection import cross

ULPS = 16
"""Nearer to a boundary than so many rounding errors of the logits, an example counts as that far away: a
step from a tie would otherwise have length 0, and one shorter than the last bit of a pixel goes nowhere."""


def lead_and_gradient(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """By how much the best other class leads y, [R, N], negative where y leads, and its gradient, like x."""
    with torch.enable_grad():
        z = x.detach().clone().requires_grad_()
        behind, _ = margin(logits_fn(z), y)
        (gradient,) = torch.autograd.grad(behind.sum(), z)
    return behind.detach().neg(), gradient.neg()


def classes_by_gap(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """For each other class, the highest logits first: gap [R, N], normal [R, N, D] and its length [R, N].

    The gap is by how much y leads the class, at least ``ULPS`` rounding errors of what it is computed from;
    the normal is the gradient of the class's logit less that of y. One backward pass for each class that is
    asked for; the Jacobian is never held.
    """
    with torch.enable_grad():
        z = x.detach().clone().requires_grad_()
        logits = logits_fn(z)
    own, values = y.unsqueeze(-1), logits.detach()
    kind = torch.finfo(values.dtype)
    size, length = values.abs().amax(-1), x.flatten(2).norm(dim=-1)
    order = values.scatter(-1, own, -torch.inf).argsort(-1, descending=True)[..., :-1]
    for other in order.split(1, -1):
        weight = torch.zeros_like(values).scatter_(-1, other, 1.0).scatter_(-1, own, -1.0)
        (gradient,) = torch.autograd.grad(logits, z, weight, retain_graph=True)
        normal = gradient.flatten(2)
        slope = normal.norm(dim=-1)
        gap = (values.gather(-1, own) - values.gather(-1, other)).squeeze(-1)
        rounding = size + slope * length
        yield gap.maximum(ULPS * kind.eps * rounding).clamp_min(kind.tiny), normal, slope


def nearest_crossing(
    logits_fn: LogitsFn, x: Tensor, y: Tensor, box: Box, *, enough: int | None = None
) -> Tensor:
    """The shortest step, like ``x`` [R, N, *D], that reaches a boundary of class y in the linearised model.

    A class whose gradient does not differ from that of y cannot be reached and is passed over. Where none
    can be reached the step is not finite. It is never shorter than rounding allows to see: from a tie it
    leads ``ULPS`` rounding errors across.

    Args:
        logits_fn: [R, N, *D] -> [R, N, K].
        x: [R, N, *D].
        y: [R, N].
        box: where the step has to stay.
        enough: how many classes to try, those with the highest logits; more only while some example has
            no step. None for all.
    """
    flat = x.flatten(2)
    nearest = torch.zeros_like(flat)
    shortest = torch.full_like(flat[..., 0], torch.inf)
    for tried, (gap, normal, slope) in enumerate(classes_by_gap(logits_fn, x, y)):
        if enough is not None and tried >= enough and shortest.isfinite().all():
            break
        if box is None:  # the way is the normal's: only its length is needed to choose
            way, reach = normal, gap / slope
        else:
            way = cross(flat, normal, gap, box)
            reach = way.norm(dim=-1)
        reach = reach.nan_to_num(torch.inf, torch.inf)
        nearer = reach < shortest
        nearest = torch.where(spread(nearer, way), way, nearest)
        shortest = torch.where(nearer, reach, shortest)
    step = nearest * spread(shortest / nearest.norm(dim=-1), nearest)
    return step.masked_fill(spread(shortest.isinf(), step), torch.inf).view_as(x)
