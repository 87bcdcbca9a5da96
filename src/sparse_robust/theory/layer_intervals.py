"""Interval arithmetic for convolutional networks: which units can be active in a ball, and how steep.

The same as :mod:`.intervals`, for layers that are applied and not written out as matrices. All arithmetic is
in float64, and what is called a bound holds up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .linear_maps import Layer, LinearMap, MaxPool2d

Range = tuple[Tensor, Tensor]
"""Lower and upper ends, of one shape."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One step of a network: a layer, then its bias, then a ReLU if there is one.

    Attributes:
        layer: a linear map or max pooling.
        bias: what is added, of a shape that broadcasts to an output: ``[O]``, or ``[O, 1, 1]`` for images.
        relu: whether a ReLU follows.

    Raises:
        ValueError: if max pooling comes with a bias or a ReLU, which belong to the stage before it.
    """

    layer: Layer
    bias: Tensor | None = None
    relu: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.layer, MaxPool2d) and (self.relu or self.bias is not None):
            raise ValueError(
                "max pooling takes no bias and no ReLU: give them to the stage before, it commutes"
            )

    def apply(self, x: Tensor) -> Tensor:
        """``x [N, *inputs]`` through layer, bias and ReLU."""
        x = self.shifted(self.layer.apply(x))
        return x.relu() if self.relu else x

    def shifted(self, x: Tensor) -> Tensor:
        """``x`` plus the bias."""
        return x if self.bias is None else x + self.bias.double()


@dataclass(frozen=True, eq=False)
class Choices:
    """What is known about one stage on a ball: of its ReLU, or of the windows of its max pooling.

    Attributes:
        live: false only where a unit is inactive everywhere, ``[*outputs]``; for pooling, where an input is
            nowhere the largest of its window, ``[C, kernel^2, windows]``.
        always: true only where it is active, or the largest, everywhere; of the same shape.
    """

    live: Tensor
    always: Tensor

    def pass_on(self, bounds: Range) -> Range:
        """The range of D g, with D as far as it is known, for g between ``bounds``."""
        low, high = bounds
        low = torch.where(self.always, low, low.clamp(max=0))
        high = torch.where(self.always, high, high.clamp(min=0))
        return low * self.live, high * self.live


def stage_choices(
    stages: Sequence[Stage], centre: Tensor, radius: float, *, p: float
) -> list[Choices | None]:
    """What interval arithmetic decides about each stage on the ball; None for a stage that has no choice.

    Args:
        stages: from the input on; the first must begin with a linear map.
        centre: ``[*inputs]``.
        radius: of the ball, above 0.
        p: 2 or infinity, the norm of the ball.

    Raises:
        ValueError: if radius or p is out of range, the first stage is no linear map, or the centre does not
            fit it.

    Reference: `prop-live-units`, `prop-pooling-intervals`.
    """
    low, high = _first_bounds(stages, centre, radius, p)
    choices: list[Choices | None] = []
    for index, stage in enumerate(stages):
        choice = None
        if isinstance(stage.layer, MaxPool2d):
            choice = _candidates(stage.layer, (low, high))
            low, high = (stage.layer.apply(end) for end in (low, high))
        elif index:
            low, high = through(stage.layer, (low, high))
        low, high = stage.shifted(low), stage.shifted(high)
        if stage.relu:
            choice = Choices(high[0] > 0, low[0] > 0)
            low, high = low.clamp(min=0), high.clamp(min=0)
        choices.append(choice)
    return choices


def _first_bounds(stages: Sequence[Stage], centre: Tensor, radius: float, p: float) -> Range:
    """The exact range of the first layer on the ball, before its bias."""
    if not stages or not isinstance(stages[0].layer, LinearMap):
        raise ValueError(
            "give at least one stage, the first of them with a linear map, which fixes the inputs"
        )
    first = stages[0].layer
    if p not in (2, math.inf) or not radius > 0:
        raise ValueError(f"p must be 2 or infinity and the radius positive, got {p} and {radius}")
    if centre.numel() != math.prod(first.inputs):
        raise ValueError(f"the ball's centre needs shape {first.inputs}, got {(*centre.shape,)}")
    if p == 2:
        spread = first.entrywise(torch.square).apply(first.ones()).sqrt()
    else:
        spread = first.magnitude().apply(first.ones())
    middle = first.apply(centre.double().reshape(1, *first.inputs))
    return middle - radius * spread, middle + radius * spread


def through(layer: LinearMap, bounds: Range, *, backwards: bool = False) -> Range:
    """The range of A x, or backwards of A^T x, for x between ``bounds``, each coordinate for itself."""
    middle, spread = (bounds[0] + bounds[1]) / 2, (bounds[1] - bounds[0]) / 2
    size = layer.magnitude()
    if backwards:
        middle, spread = layer.adjoint(middle), size.adjoint(spread)
    else:
        middle, spread = layer.apply(middle), size.apply(spread)
    return middle - spread, middle + spread


def _windows(pool: MaxPool2d, images: Tensor) -> Tensor:
    """The windows of ``images [1, C, H, W]``, ``[C, kernel^2, windows]``."""
    return functional.unfold(images[0][:, None], pool.kernel, stride=pool.stride)


def _candidates(pool: MaxPool2d, bounds: Range) -> Choices:
    """Which inputs can be the largest of a window, and which one is if it is the only one."""
    low, high = (_windows(pool, end) for end in bounds)
    live = high >= low.amax(1, keepdim=True)
    return Choices(live, live & (live.sum(1, keepdim=True) == 1))


def gradient_bound(
    stages: Sequence[Stage], readout: Tensor, centre: Tensor, radius: float, *, p: float
) -> Tensor:
    """u with |gradient of readout . network| <= u, coordinate by coordinate, on the ball, ``[*inputs]``.

    So L_q <= ||u||_q. Arguments and errors as for :func:`stage_choices`.

    Args:
        stages: see there.
        readout: c, as many entries as the last stage has outputs.
        centre: see there.
        radius: see there.
        p: see there.

    Raises:
        ValueError: also if the readout does not fit.

    Reference: `prop-interval-gradient`, `prop-pooling-intervals`.
    """
    choices = stage_choices(stages, centre, radius, p=p)
    shapes = _input_shapes(stages)
    outputs = stages[-1].apply(torch.zeros(1, *shapes[-1], dtype=torch.float64)).shape
    _check_readout(readout, math.prod(outputs))
    bounds = readout.double().reshape(outputs), readout.double().reshape(outputs)
    for stage, choice, shape in reversed(list(zip(stages, choices, shapes, strict=True))):
        bounds = _before(stage.layer, choice, bounds, shape)
    return torch.maximum(bounds[0].abs(), bounds[1].abs())[0]


def _before(layer: Layer, choice: Choices | None, bounds: Range, shape: tuple[int, ...]) -> Range:
    """The range of the derivatives by the inputs of a stage, from that by its outputs."""
    if isinstance(layer, MaxPool2d):
        assert choice is not None
        low, high = (end[0].flatten(1)[:, None] for end in bounds)
        low, high = choice.pass_on((low, high))
        low, high = (
            functional.fold(end, shape[1:], kernel_size=layer.kernel, stride=layer.stride)
            for end in (low, high)
        )  # an input that is in several windows gets the sum
    else:
        low, high = through(layer, bounds if choice is None else choice.pass_on(bounds), backwards=True)
    return low.reshape(1, *shape), high.reshape(1, *shape)


def live_path_norm(
    stages: Sequence[Stage], readout: Tensor, centre: Tensor, radius: float, *, p: float
) -> float:
    """The path norm through the units that can be active on the ball: at least L_1, and so L_2.

    The number at a unit bounds the l_1 norm of its gradient, as in :func:`.layers_path_norm`: 0 for a unit
    that is inactive on the ball, and for a pooled one the largest of those that can be chosen. Arguments and
    errors as for :func:`gradient_bound`.

    Reference: `prop-live-units`, `prop-pooling-intervals`.
    """
    choices = stage_choices(stages, centre, radius, p=p)
    sums = torch.ones(1, *_input_shapes(stages)[0], dtype=torch.float64)
    for stage, choice in zip(stages, choices, strict=True):
        if isinstance(stage.layer, MaxPool2d):
            assert choice is not None
            shape = stage.layer.apply(sums).shape
            sums = (_windows(stage.layer, sums) * choice.live).amax(1).reshape(shape)
        else:
            sums = stage.layer.magnitude().apply(sums)
            sums = sums if choice is None else sums * choice.live
    _check_readout(readout, sums.numel())
    return float(readout.double().abs() @ sums.flatten())


def sampled_gradients(stages: Sequence[Stage], readout: Tensor, points: Tensor) -> Tensor:
    """The gradients of readout . network at ``points [N, *inputs]``, ``[N, *inputs]``.

    The largest norm among them is at most L_q on any ball that holds the points, almost surely.
    """
    x = points.detach().double().requires_grad_()
    value = x
    for stage in stages:
        value = stage.apply(value)
    _check_readout(readout, value[0].numel())
    (gradients,) = torch.autograd.grad((value.flatten(1) @ readout.double()).sum(), x)
    return gradients


def _input_shapes(stages: Sequence[Stage]) -> list[tuple[int, ...]]:
    """The shape of what each stage is applied to."""
    first = stages[0].layer
    assert isinstance(first, LinearMap)
    x, shapes = first.ones(), []
    for stage in stages:
        shapes.append((*x.shape[1:],))
        x = stage.apply(x)
    return shapes


def _check_readout(readout: Tensor, outputs: int) -> None:
    if readout.shape != (outputs,):
        raise ValueError(f"readout needs {outputs} entries, got shape {(*readout.shape,)}")
