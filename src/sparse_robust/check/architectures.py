"""Files that hold weights alone (safetensors, .caffemodel): which known network they are, by their shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from sparse_robust.data import DataError, read_caffemodel

from .graph import first_line
from .model import Evaluation, Model, ModelError, plain

Layer = tuple[Tensor, Tensor]
"""A weight [O, I] or [O, I, 5, 5], and a bias [O]."""

Pattern = tuple[int | None, ...]

ARCHITECTURES: dict[str, tuple[Pattern, ...]] = {
    "linear": ((None, None),),
    "lenet-300-100": ((300, None), (100, 300), (None, 100)),
    "lenet-5": ((20, None, 5, 5), (50, 20, 5, 5), (500, None), (None, 500)),
}
"""The shapes of the layers' weights, None for what depends on the data."""

NAME = re.compile(r"(.*?)[./_]?(weight|kernel|bias)")


def read_safetensors(path: Path, name: str) -> Model:
    """The network whose weights a safetensors file holds: one of this package, or names like fc1.weight.

    Raises:
        ModelError: if the file is damaged or is no known network.
    """
    try:
        tensors = load(path.read_bytes())
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(
            f"a safetensors file that cannot be read ({first_line(error)}); save it again"
        ) from None
    kept = {key: value for key, value in tensors.items() if not key.startswith("mask/")}
    return _recognise(kept, "safetensors", name)


def read_caffe(path: Path, name: str) -> Model:
    """The network whose weights a ``.caffemodel`` holds.

    Raises:
        ModelError: if the file is none, or no known network.
    """
    try:
        layers = read_caffemodel(path)
    except DataError as error:
        raise ModelError(str(error).removeprefix(f"{path}: ")) from None
    tensors = {
        f"{layer.name}.{part}": torch.from_numpy(blob)
        for layer in layers
        for part, blob in zip(("weight", "bias"), layer.blobs, strict=False)
    }
    return _recognise(tensors, "Caffe", name)


def _recognise(tensors: Mapping[str, Tensor], container: str, name: str) -> Model:
    layers = _layers(tensors)
    for architecture, patterns in ARCHITECTURES.items():
        chosen = [[key for key, (w, _) in layers.items() if _matches(w, pattern)] for pattern in patterns]
        if len(layers) == len(patterns) and sorted(key for keys in chosen for key in keys) == sorted(layers):
            order = [key for keys in chosen for key in keys]
            network = _network([layers[key] for key in order])
            weights = {key: layers[key][0] for key in order}
            return Model(name, f"{container}, {architecture}", weights, _Observed(network), _input(weights))
    shapes = ", ".join(f"{key} {[*weight.shape]}" for key, (weight, _) in layers.items())
    raise ModelError(
        f"weights of no known network ({shapes or 'none'}); known are {', '.join(ARCHITECTURES)}: "
        "for others hand over the network too, with torch.export or as ONNX"
    )


def _layers(tensors: Mapping[str, Tensor]) -> dict[str, Layer]:
    found: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        match = NAME.fullmatch(key)
        if match is None:
            raise ModelError(
                f"{key!r} is neither a weight nor a bias; names like fc1.weight, fc1.bias are needed"
            )
        part = "bias" if match[2] == "bias" else "weight"
        if part in found.setdefault(match[1], {}):
            raise ModelError(f"{key!r} names the {part} of {match[1]!r} a second time")
        found[match[1]][part] = plain(value)
    layers = {}
    for key, parts in found.items():
        if "weight" not in parts:
            raise ModelError(f"a bias {key!r} without a weight")
        weight = parts["weight"]
        bias = parts.get("bias", torch.zeros(weight.shape[:1])).flatten()
        if len(bias) != weight.shape[0]:
            advice = "; it looks transposed: store [outputs, inputs]" if len(bias) == weight.shape[-1] else ""
            raise ModelError(f"{key!r} has a weight {[*weight.shape]} and {len(bias)} biases{advice}")
        layers[key] = (weight, bias)
    return layers


def _matches(weight: Tensor, pattern: Pattern) -> bool:
    return weight.ndim == len(pattern) and all(
        want in (None, have) for have, want in zip(weight.shape, pattern, strict=True)
    )


def _network(layers: list[Layer]) -> nn.Sequential:
    """Fully connected layers with ReLU between them, after Caffe's two convolutions if there are any."""
    modules: list[nn.Module] = []
    convolutions = [layer for layer in layers if layer[0].ndim == 4]
    for weight, bias in convolutions:
        modules += [_filled(nn.Conv2d(weight.shape[1], weight.shape[0], 5), weight, bias), nn.MaxPool2d(2)]
    modules.append(nn.Flatten())
    for weight, bias in layers[len(convolutions) :]:
        if len(weight) == 1:  # one score f of the second class: the logits are -f/2 and f/2
            weight, bias = torch.cat([-weight / 2, weight / 2]), torch.cat([-bias / 2, bias / 2])
        modules += [_filled(nn.Linear(weight.shape[1], weight.shape[0]), weight, bias), nn.ReLU()]
    return nn.Sequential(*modules[:-1]).eval().requires_grad_(False)


def _filled(module: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor) -> nn.Module:
    module.load_state_dict({"weight": weight, "bias": bias})
    return module


def _input(weights: Mapping[str, Tensor]) -> tuple[int, ...]:
    """The shape of one input."""
    first, *rest = weights.values()
    if first.ndim == 2:
        return (first.shape[1],)
    side = round((rest[1].shape[1] / rest[0].shape[0]) ** 0.5)  # of the second pooling's output
    if rest[0].shape[0] * side**2 != rest[1].shape[1]:
        raise ModelError(f"a lenet-5 whose third layer reads {rest[1].shape[1]} numbers, not 50 square maps")
    side = ((side * 2 + 4) * 2) + 4
    return (first.shape[1], side, side)


class _Observed:
    """Runs a network and keeps what its last layer reads."""

    def __init__(self, network: nn.Sequential) -> None:
        self.body, self.readout = network[:-1], network[-1]

    def __call__(self, x: Tensor) -> Evaluation:
        features = self.body(x)
        return self.readout(features), features


__all__ = ["ARCHITECTURES", "read_caffe", "read_safetensors"]
