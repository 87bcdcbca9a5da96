"""A model linearised at its inputs: how far other classes trail, and in which direction they lie."""

import torch
from torch import Tensor

from sparse_robust.types import Box, Linearised, LogitsFn

from .contract import Active, margin, spread
from .projection import cross

ULPS = 16
"""Nearer to a boundary than so many rounding errors of the logits, an example counts as that far away: a
step from a tie would otherwise have length 0, and one shorter than the last bit of a pixel goes nowhere."""


class Recorded:
    """Any model linearised at ``x`` [R, N, *D] by autograd; a :class:`~sparse_robust.types.Linearised`."""

    def __init__(self, logits_fn: LogitsFn, x: Tensor) -> None:
        with torch.enable_grad():
            self._x = x.detach().clone().requires_grad_()
            self._logits = logits_fn(self._x)
        self.logits = self._logits.detach()

    def gradient(self, weight: Tensor, index: Tensor | None = None) -> Tensor:
        """See :meth:`.Linearised.gradient`: a backward pass of all examples, whatever ``index``."""
        if index is not None:
            whole = torch.zeros_like(self.logits)
            weight = whole.scatter_(1, spread(index, weight).expand_as(weight), weight)
        (gradient,) = torch.autograd.grad(self._logits, self._x, weight, retain_graph=True)
        if index is None:
            return gradient.contiguous()
        rows = zip(gradient, index, strict=True)
        return torch.stack([of.index_select(0, examples) for of, examples in rows])

    def length_bounds(self, weights: Tensor) -> None:
        """See :meth:`.Linearised.length_bounds`."""


def linearise(logits_fn: LogitsFn, x: Tensor) -> Linearised:
    """``logits_fn`` linearised at ``x`` [R, N, *D]: by its own method ``linearise``, or by autograd."""
    own = getattr(logits_fn, "linearise", None)
    return Recorded(logits_fn, x) if own is None else own(x)


def towards(other: Tensor, own: Tensor, logits: Tensor) -> Tensor:
    """The weights [*B, K] of logits that give the ones of ``other`` [*B] less the ones of ``own`` [*B]."""
    weight = logits.new_zeros((*other.shape, logits.shape[-1]))
    weight.scatter_(-1, other.unsqueeze(-1), 1.0)
    return weight.scatter_(-1, own.unsqueeze(-1), -1.0)


def lead_and_gradient(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """By how much the best other class leads y, [R, N], negative where y leads, and its gradient, like x."""
    model = linearise(logits_fn, x)
    behind, best = margin(model.logits, y)
    return behind.neg(), model.gradient(towards(best, y, model.logits))


def nearest_crossing(
    logits_fn: LogitsFn, x: Tensor, y: Tensor, box: Box, *, enough: int | None = None
) -> Tensor:
    """The shortest step, like ``x`` [R, N, *D], that reaches a boundary of class y in the linearised model.

    A class whose gradient does not differ from that of y cannot be reached and is passed over. Where none
    can be reached the step is not finite. It is never shorter than rounding allows to see: from a tie it
    leads ``ULPS`` rounding errors across.

    Where the model bounds the lengths of gradients before it computes them, a class is passed over, too,
    whose boundary is farther away, box or not, than a point that has been reached.

    Args:
        logits_fn: [R, N, *D] -> [R, N, K].
        x: [R, N, *D].
        y: [R, N].
        box: where the step has to stay.
        enough: how many classes to try, those with the highest logits; more only where none of them can be
            reached. None for all.
    """
    flat = x.flatten(2)
    model = linearise(logits_fn, x)
    others, gaps = classes_by_gap(model.logits, y)
    enough = others.shape[-1] if enough is None else min(enough, others.shape[-1])
    bounds, order = _visits(model, others, gaps, y, enough)
    nearest = torch.zeros(flat.shape, dtype=flat.dtype, device=flat.device)
    shortest = torch.full_like(nearest[..., 0], torch.inf)
    for tried in range(others.shape[-1]):
        waiting = bounds[..., tried] < shortest
        if tried >= enough:
            waiting = waiting & shortest.isinf()
        if not waiting.any():
            break
        active = Active(waiting)
        other, gap = (
            active.take(values.gather(-1, order[..., tried : tried + 1]).squeeze(-1))
            for values in (others, gaps)
        )
        normal = model.gradient(towards(other, active.take(y), model.logits), active.index).flatten(2)
        slope = normal.norm(dim=-1)
        at = active.take(flat)
        gap = _visible(gap, slope, active.take(model.logits), at)
        if box is None:  # the way is the normal's: only its length is needed to choose
            way, reach = normal, gap / slope
        else:
            way = cross(at, normal, gap, box)
            reach = way.norm(dim=-1)
        reach = reach.nan_to_num(torch.inf, torch.inf)
        nearer = reach < active.take(shortest)
        active.put(way, nearest, nearer)
        active.put(reach, shortest, nearer)
    step = nearest.mul_(spread(shortest / nearest.norm(dim=-1), nearest))
    return step.masked_fill_(spread(shortest.isinf(), step), torch.inf).view(x.shape)


def classes_by_gap(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The other classes, the highest logits first, and by how much y leads them: both [R, N, K - 1]."""
    own = y.unsqueeze(-1)
    others = logits.scatter(-1, own, -torch.inf).argsort(-1, descending=True)[..., :-1]
    return others, logits.gather(-1, own) - logits.gather(-1, others)


def _visible(gap: Tensor, slope: Tensor, logits: Tensor, flat: Tensor) -> Tensor:
    """``gap`` [R, W], at least ``ULPS`` errors of what it was computed from, at ``flat`` [R, W, D]."""
    kind = torch.finfo(logits.dtype)
    rounding = logits.abs().amax(-1) + slope * flat.norm(dim=-1)
    return gap.maximum(ULPS * kind.eps * rounding).clamp_min(kind.tiny)


def _visits(model: Linearised, others: Tensor, gaps: Tensor, y: Tensor, enough: int) -> tuple[Tensor, Tensor]:
    """In which order to try the other classes, and how far their boundaries are at least: [R, N, K - 1]."""
    bounds = torch.zeros_like(gaps)
    order = torch.arange(gaps.shape[-1], device=gaps.device).expand(gaps.shape).clone()
    leading = others[..., :enough]
    steepest = model.length_bounds(towards(leading, y.unsqueeze(-1).expand_as(leading), model.logits))
    if steepest is not None:
        distances = gaps[..., :enough].clamp_min(0) / steepest
        bounds[..., :enough], order[..., :enough] = distances.nan_to_num(0, torch.inf).sort(-1)
    return bounds, order
