"""Interval and CROWN bounds of what the stages of a network put out, sound in floating point.

Forwards, intervals; backwards, a lower bound that is linear in a stage's outputs becomes one that is linear
in its inputs, through the lines of :mod:`.relaxation`, until it is linear in the image and its minimum over
the neighbourhood has a closed form. Bounds are for the function that the weights define in real arithmetic:
they are computed in float64, and what rounding can have added is taken off (:mod:`.rounding`).

Reference: Zhang et al. 2018, "Efficient neural network robustness certification with general activation
functions" (CROWN); slopes by ascent: Xu et al. 2021, "Fast and complete" (alpha-CROWN).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf

import torch
from torch import Tensor

from sparse_robust.theory.layer_intervals import Range, Stage, through
from sparse_robust.theory.linear_maps import LinearMap, MaxPool2d

from .neighbourhood import Neighbourhood
from .network import Stages
from .relaxation import Relaxation, ReluLines, max_planes, relu_lines
from .rounding import margin, operations

ROWS = 1_000
"""Lower bounds of so many units are carried back at once, over all images, times the number of images."""


@dataclass(frozen=True, eq=False)
class Bounds:
    """What is known on a neighbourhood, stage by stage.

    Attributes:
        ranges: of each stage's outputs before its ReLU, ``[N, *outputs]``.
        sizes: at least the sum of the absolute terms of each output, ``[N, *outputs]``, see :mod:`.rounding`.
    """

    ranges: tuple[Range, ...]
    sizes: tuple[Tensor, ...]

    def unstable(self, layers: Stages) -> Tensor:
        """How many ReLUs may be active and may be inactive, int64 ``[N]``."""
        counts = [
            ((low < 0) & (high > 0)).flatten(1).sum(1)
            for stage, (low, high) in zip(layers, self.ranges, strict=True)
            if stage.relu
        ]
        return torch.stack(counts).sum(0)

    def part(self, index: Tensor) -> Bounds:
        """The bounds of the images with these indices or under this mask."""
        ranges = tuple((low[index], high[index]) for low, high in self.ranges)
        return Bounds(ranges, tuple(size[index] for size in self.sizes))


@dataclass(frozen=True)
class Ascent:
    """How the slopes of lower lines are optimised.

    Attributes:
        steps: of Adam, each one bound and its gradient; 0 for the slopes of CROWN.
        lr: the first step's size, slopes lie in [0, 1]; it falls linearly to a tenth.
    """

    steps: int = 20
    lr: float = 0.3


def interval_bounds(layers: Stages, around: Neighbourhood) -> Bounds:
    """Bounds by interval arithmetic; those of the first stage are exact up to rounding for p = infinity.

    Reference: `prop-live-units`, `prop-pooling-intervals`.
    """
    return _forward(layers, around, crown=False, ascent=Ascent(steps=0))


def crown_bounds(layers: Stages, around: Neighbourhood, ascent: Ascent | None = None) -> Bounds:
    """Bounds of every stage but the last by CROWN, each intersected with the interval of those before it.

    The logits get intervals alone: what matters is the difference of two, see :func:`margin_bounds`.

    Args:
        layers: of the network.
        around: the images and their neighbourhoods.
        ascent: optimises the slopes for every unit by itself; None for the slopes of CROWN.
    """
    return _forward(layers, around, crown=True, ascent=ascent or Ascent(steps=0))


def margin_bounds(layers: Stages, around: Neighbourhood, known: Bounds, y: Tensor, ascent: Ascent) -> Tensor:
    """Lower bounds for logit y minus every logit on the neighbourhood, ``[N, K]``, infinity for y itself.

    Args:
        layers: of the network.
        around: the images and their neighbourhoods.
        known: of all stages, for the same neighbourhoods.
        y: the classes ``[N]``.
        ascent: of the slopes, for every difference by itself.
    """
    classes = known.ranges[-1][0].shape[1]
    eye = torch.eye(classes, dtype=torch.float64)
    rows = eye[y][:, None] - eye  # [N, K, K]
    bounds = optimised_lower(layers, around, known, rows, ascent)
    return bounds.scatter(1, y[:, None], inf)


def _forward(layers: Stages, around: Neighbourhood, *, crown: bool, ascent: Ascent) -> Bounds:
    """Stage by stage; a stage's neighbours in front are bounded before it."""
    terms = operations(layers)
    first = layers[0].layer
    assert isinstance(first, LinearMap)
    low, high = (end.reshape(-1, *first.inputs) for end in around.range)
    known = Bounds((), ())
    for index, stage in enumerate(layers):
        largest = torch.maximum(low.abs(), high.abs())
        if isinstance(stage.layer, MaxPool2d):
            low, high = stage.layer.apply(low), stage.layer.apply(high)
            size = stage.layer.kernel**2 * stage.layer.apply(largest)
        else:
            size = stage.layer.magnitude().apply(largest)
            if stage.bias is not None:
                size = size + stage.bias.abs()
            low, high = (stage.shifted(end) for end in through(stage.layer, (low, high)))
            slack = margin(size, terms)
            low, high = low - slack, high + slack
        known = Bounds((*known.ranges, (low, high)), (*known.sizes, size))
        followed = stage.relu or (index + 1 < len(layers) and isinstance(layers[index + 1].layer, MaxPool2d))
        ball = index == 0 and around.p == 2
        if not isinstance(stage.layer, MaxPool2d) and (ball or (crown and index and followed)):
            low, high = _tightened(layers[: index + 1], around, known, ascent)
            known = replace(known, ranges=(*known.ranges[:-1], (low, high)))
        low, high = _active(stage, (low, high))
    return known


def _active(stage: Stage, bounds: Range) -> Range:
    """The range of what a stage puts out, behind its ReLU if it has one."""
    low, high = bounds
    return (low.clamp(min=0), high.clamp(min=0)) if stage.relu else bounds


def _tightened(layers: Stages, around: Neighbourhood, known: Bounds, ascent: Ascent) -> Range:
    """CROWN bounds of the last stage, where they are better than the interval that is known."""
    low, high = known.ranges[-1]
    shape, units = low.shape, low[0].numel()
    lows, highs = [], []
    for part in torch.arange(units).split(max(1, ROWS // len(around))):
        eye = torch.zeros(len(part), units, dtype=torch.float64)
        eye[torch.arange(len(part)), part] = 1.0
        rows = torch.cat([eye, -eye]).reshape(1, 2 * len(part), *shape[1:])
        lower = optimised_lower(layers, around, known, rows, ascent)
        lows.append(lower[:, : len(part)])
        highs.append(-lower[:, len(part) :])
    return (
        torch.maximum(low, torch.cat(lows, 1).reshape(shape)),
        torch.minimum(high, torch.cat(highs, 1).reshape(shape)),
    )


def optimised_lower(
    layers: Stages, around: Neighbourhood, known: Bounds, rows: Tensor, ascent: Ascent
) -> Tensor:
    """The best lower bound of rows . output met by Adam on the slopes of the lower lines, ``[N, M]``.

    Every slope in [0, 1] gives a valid bound, so the ascent needs no convergence. Arguments as for
    :func:`lower`.
    """
    lines = relaxations(layers, known)
    with torch.no_grad():
        best = lower(layers, around, known, rows, lines)
    free = {index: line for index, line in lines.items() if isinstance(line, ReluLines)}
    if not ascent.steps or not any(bool(line.unstable.any()) for line in free.values()):
        return best
    slopes = {
        index: line.low_slope.expand(-1, rows.shape[1], *line.low_slope.shape[2:]).clone().requires_grad_()
        for index, line in free.items()
    }
    adam = torch.optim.Adam(list(slopes.values()), lr=ascent.lr)
    for step in range(ascent.steps):
        adam.param_groups[0]["lr"] = ascent.lr * (1 - 0.9 * step / ascent.steps)
        chosen = {index: line.with_slopes(slopes[index]) for index, line in free.items()}
        bound = lower(layers, around, known, rows, {**lines, **chosen})
        best = torch.maximum(best, bound.detach())
        if step + 1 < ascent.steps:
            adam.zero_grad()
            (-bound.sum()).backward()
            adam.step()
            with torch.no_grad():
                for values in slopes.values():
                    values.clamp_(0, 1)
    return best


def relaxations(layers: Stages, known: Bounds) -> dict[int, Relaxation]:
    """The lines of every stage that is not linear, but for the last stage's ReLU, by its number."""
    relaxations: dict[int, Relaxation] = {}
    for index, stage in enumerate(layers):
        if isinstance(stage.layer, MaxPool2d):
            relaxations[index] = max_planes(stage.layer, _active(layers[index - 1], known.ranges[index - 1]))
        elif stage.relu and index + 1 < len(layers):
            relaxations[index] = relu_lines(known.ranges[index])
    return relaxations


def lower(
    layers: Stages,
    around: Neighbourhood,
    known: Bounds,
    rows: Tensor,
    lines: Mapping[int, Relaxation],
) -> Tensor:
    """A lower bound of rows . output on each neighbourhood, ``[N, M]``, whatever the lines' free slopes.

    Args:
        layers: up to the stage that is bounded, before its ReLU.
        around: the images and their neighbourhoods.
        known: bounds of at least these stages, for the same neighbourhoods.
        rows: ``[N, M, *outputs]``, or ``[1, M, *outputs]`` for the same in every neighbourhood, which are
            carried through the last layer once.
        lines: of all stages but the last that are not linear, valid on ``known``.
    """
    shift = size = rows.new_zeros(rows.shape[:2])
    for index in reversed(range(len(layers))):
        stage = layers[index]
        rows = rows.reshape(*rows.shape[:2], *known.sizes[index].shape[1:])  # dense layers flatten images
        size = size + _inner(rows.abs(), known.sizes[index])
        if index in lines:
            rows, more = lines[index].backward(rows)
            shift = shift + more
        if isinstance(stage.layer, MaxPool2d):
            continue
        if stage.bias is not None:
            shift = shift + _inner(rows, stage.bias.expand(rows.shape[2:])[None])
        rows = _adjoint(stage.layer, rows)
    value, more = around.minimum(rows.flatten(2))
    return shift + value - margin(size + more, operations(layers))


def _inner(rows: Tensor, values: Tensor) -> Tensor:
    """``rows [N, M, *units]`` times ``values [N or 1, *units]``, ``[N, M]``."""
    return torch.matmul(rows.flatten(2), values.flatten(1)[..., None])[..., 0]


def _adjoint(layer: LinearMap, rows: Tensor) -> Tensor:
    """``rows [N, M, *outputs]`` times the layer, ``[N, M, *inputs]``."""
    return layer.adjoint(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])
