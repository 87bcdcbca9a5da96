"""Networks as stages in float64, as bounds and solvers read them."""

from __future__ import annotations

from copy import deepcopy
from functools import singledispatch

import torch
from torch import Tensor, nn

from sparse_robust.models import LeNet5, LeNet300100, ReplicaConvPool2d, ReplicaLinear
from sparse_robust.theory.layer_intervals import Stage
from sparse_robust.theory.linear_maps import Conv2d, Dense, MaxPool2d

Stages = tuple[Stage, ...]
"""From the input to the logits; the first begins with a linear map, and the last has no ReLU."""


@singledispatch
def stages(model: nn.Module) -> Stages:
    """The stages of a lone network, its weights converted to float64 without rounding.

    Args:
        model: a network with one replica, LeNet-300-100 or LeNet-5.

    Raises:
        TypeError: if no stages are known for the kind of model.
        ValueError: if it has more than one replica; :func:`replica` picks one.
    """
    raise TypeError(f"no stages are known for {type(model).__name__}: give a LeNet300100 or a LeNet5")


@stages.register
def _(model: LeNet300100) -> Stages:
    return _dense(model.hidden_1, True), _dense(model.hidden_2, True), _dense(model.readout, False)


@stages.register
def _(model: LeNet5) -> Stages:
    first, second = _filters(model.filters_1, (1, 28, 28)), _filters(model.filters_2, (20, 12, 12))
    return *first, *second, _dense(model.hidden, True), _dense(model.readout, False)


def _dense(layer: ReplicaLinear, relu: bool) -> Stage:
    _check_lone(layer.weight)
    return Stage(Dense(layer.weight.detach()[0].double()), layer.bias.detach()[0, 0].double(), relu)


def _filters(layer: ReplicaConvPool2d, image: tuple[int, int, int]) -> Stages:
    _check_lone(layer.weight)
    bias = layer.bias.detach()[0, :, None, None].double()
    return Stage(Conv2d(layer.weight.detach()[0].double(), image), bias), Stage(MaxPool2d(2, 2))


def _check_lone(weight: Tensor) -> None:
    if len(weight) != 1:
        raise ValueError(f"the model has {len(weight)} replicas: pick one with verification.replica")


def replica(model: nn.Module, number: int) -> nn.Module:
    """A copy of replica ``number`` alone, of a model whose parameters all lead with the replica axis."""
    lone = deepcopy(model)
    for parameter in lone.parameters():
        parameter.data = parameter.data[number : number + 1].clone()
    return lone


def is_dense(layers: Stages) -> bool:
    """Whether a network is a perceptron: it has neither convolutions nor pooling."""
    return all(isinstance(stage.layer, Dense) for stage in layers)


def compact(layers: Stages) -> tuple[Stages, Tensor]:
    """The same function without what no weight reads, and the indices of the inputs that are read.

    A unit without outgoing weights, and a unit without incoming ones whose bias is not positive, puts nothing
    into the logits; leaving them out changes no number. Networks with convolutions are returned as they are.

    Args:
        layers: of a network.

    Returns:
        the stages, and the indices [read] of the inputs that are left, of those flattened.
    """
    if not is_dense(layers):
        return layers, torch.arange(layers[0].layer.ones().numel())  # type: ignore[union-attr]
    weights = [stage.layer.weight for stage in layers]  # type: ignore[union-attr]
    biases = [w.new_zeros(len(w)) if s.bias is None else s.bias for s, w in zip(layers, weights, strict=True)]
    kept = [torch.ones(w.shape[1], dtype=torch.bool) for w in weights]  # of the inputs of each stage
    for index in range(len(weights)):
        if index:
            before = weights[index - 1][:, kept[index - 1]]
            kept[index] = (before != 0).any(1) | (biases[index - 1] > 0)
    outputs = torch.ones(len(weights[-1]), dtype=torch.bool)
    for index in reversed(range(len(weights))):
        kept[index] &= (weights[index][outputs] != 0).any(0)
        kept[index][0] |= not kept[index].any()  # a layer needs an input, if one of weight 0
        outputs = kept[index]
    rows = [*kept[1:], torch.ones(len(weights[-1]), dtype=torch.bool)]
    small = tuple(
        Stage(Dense(w[out][:, into]), b[out], stage.relu)
        for stage, w, b, into, out in zip(layers, weights, biases, kept, rows, strict=True)
    )
    return small, kept[0].nonzero()[:, 0]
