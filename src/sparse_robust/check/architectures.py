"""Files that hold weights alone (safetensors, .caffemodel): which known network they are, by their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from sparse_robust.data import DataError, read_caffemodel

from .limits import check_file
from .model import Evaluation, Model, ModelError
from .network import describe_counted
from .stored_weights import WeightLayer, has_masks, layers_of
from .text import first_line

Pattern = tuple[int | None, ...]

LINEAR: tuple[Pattern, ...] = ((None, None),)
LENET_300_100: tuple[Pattern, ...] = ((300, None), (100, 300), (None, 100))
LENET_5: tuple[Pattern, ...] = ((20, None, 5, 5), (50, 20, 5, 5), (500, None), (None, 500))


@dataclass(frozen=True)
class Architecture:
    """A network that weights can belong to.

    Attributes:
        patterns: the shapes of the layers' weights, None for what depends on the data.
        activation: what follows every layer but the last.
        convolutions: whether it follows convolutions, too; Caffe's LeNet-5 has none there.
        words: how to say it.
    """

    patterns: tuple[Pattern, ...]
    activation: type[nn.Module] = nn.ReLU
    convolutions: bool = False
    words: str = ""


ARCHITECTURES: dict[str, Architecture] = {
    "linear": Architecture(LINEAR),
    "lenet-300-100": Architecture(LENET_300_100, words="with ReLU"),
    "lenet-300-100-tanh": Architecture(LENET_300_100, nn.Tanh, words="with tanh"),
    "lenet-300-100-sigmoid": Architecture(LENET_300_100, nn.Sigmoid, words="with sigmoids"),
    "lenet-5": Architecture(LENET_5, words="as Caffe's, with one ReLU, before the last layer"),
    "lenet-5-relu": Architecture(
        LENET_5, convolutions=True, words="with ReLU after every layer but the last"
    ),
    "lenet-5-tanh": Architecture(LENET_5, nn.Tanh, True, "with tanh after every layer but the last"),
}
"""By name; of those with the same shapes, the first is assumed unless the user chooses."""


def read_safetensors(path: Path, name: str, architecture: str | None = None) -> Model:
    """The network whose weights a safetensors file holds: one of this package, or names like fc1.weight.

    Raises:
        ModelError: if the file is damaged or is no known network.
    """
    check_file(path)
    try:
        tensors = load(path.read_bytes())
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(
            f"a safetensors file that cannot be read ({first_line(error)}); save it again"
        ) from None
    return _recognise(tensors, "safetensors", name, architecture)


def read_caffe(path: Path, name: str, architecture: str | None = None) -> Model:
    """The network whose weights a ``.caffemodel`` holds.

    Raises:
        ModelError: if the file is none, or no known network.
    """
    try:
        layers = read_caffemodel(path)
    except DataError as error:
        raise ModelError(str(error).removeprefix(f"{path}: ")) from None
    tensors: dict[str, Tensor] = {}
    for layer in layers:
        for part, blob in zip(("weight", "bias"), layer.blobs, strict=False):
            if f"{layer.name}.{part}" in tensors:
                raise ModelError(f"two layers of the name {layer.name!r}")
            tensors[f"{layer.name}.{part}"] = torch.from_numpy(blob)
    return _recognise(tensors, "Caffe", name, architecture)


def _recognise(tensors: Mapping[str, Tensor], container: str, name: str, chosen: str | None) -> Model:
    layers = layers_of(tensors)
    candidates = ARCHITECTURES if chosen is None else {chosen: ARCHITECTURES[chosen]}
    for known, architecture in candidates.items():
        if (order := _order(layers, architecture.patterns)) is not None:
            return _model([(key, layers[key]) for key in order], known, container, name, chosen, tensors)
    shapes = ", ".join(f"{key} {[*weight.shape]}" for key, (weight, _) in layers.items())
    raise ModelError(
        f"weights that are not of {chosen}: {shapes or 'none'}"
        if chosen
        else f"weights of no known network ({shapes or 'none'}); known are {', '.join(ARCHITECTURES)}: "
        "for others hand over the network too, with torch.export or as ONNX"
    )


def _model(
    layers: list[tuple[str, WeightLayer]],
    architecture: str,
    container: str,
    name: str,
    chosen: str | None,
    tensors: Mapping[str, Tensor],
) -> Model:
    weights = {key: weight for key, (weight, _) in layers}
    network = _network([layer for _, layer in layers], ARCHITECTURES[architecture])
    words = ARCHITECTURES[architecture].words
    assumption = f"{container} holds weights alone, taken as {architecture}, {words}" if words else None
    if assumption and chosen is None:
        others = [other for other in ARCHITECTURES if other.startswith(f"{architecture}-")]
        assumption += f" (--architecture chooses {', '.join(others)})"
    return Model(
        name,
        f"{container}, {architecture}",
        weights,
        _Observed(network),
        _input(weights),
        (describe_counted(weights, (), folded=has_masks(tensors)),),
        assumption,
    )


def _order(layers: Mapping[str, WeightLayer], patterns: tuple[Pattern, ...]) -> list[str] | None:
    """The layers' names in the order of the patterns, if each fits exactly one."""
    fitting = [[key for key, (w, _) in layers.items() if _matches(w, pattern)] for pattern in patterns]
    order = [key for keys in fitting for key in keys]
    return order if len(layers) == len(patterns) and sorted(order) == sorted(layers) else None


def _matches(weight: Tensor, pattern: Pattern) -> bool:
    return weight.ndim == len(pattern) and all(
        want in (None, have) for have, want in zip(weight.shape, pattern, strict=True)
    )


def _network(layers: list[WeightLayer], architecture: Architecture) -> nn.Sequential:
    """Fully connected layers with activations between them, after convolutions with poolings if any."""
    modules: list[nn.Module] = []
    convolutions = [layer for layer in layers if layer[0].ndim == 4]
    for weight, bias in convolutions:
        modules.append(_filled(nn.Conv2d(weight.shape[1], weight.shape[0], 5), weight, bias))
        if architecture.convolutions:
            modules.append(architecture.activation())
        modules.append(nn.MaxPool2d(2))
    modules.append(nn.Flatten())
    for weight, bias in layers[len(convolutions) :]:
        if len(weight) == 1:  # one score f of the second class: the logits are -f/2 and f/2
            weight, bias = torch.cat([-weight / 2, weight / 2]), torch.cat([-bias / 2, bias / 2])
        modules += [
            _filled(nn.Linear(weight.shape[1], weight.shape[0]), weight, bias),
            architecture.activation(),
        ]
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
        self.body, self.output_layer = network[:-1], network[-1]

    def __call__(self, x: Tensor) -> Evaluation:
        features = self.body(x)
        return self.output_layer(features), features


__all__ = ["ARCHITECTURES", "Architecture", "read_caffe", "read_safetensors"]
