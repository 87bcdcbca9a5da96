"""What the networks for CIFAR-10 cost: operations counted from the models, time from assumed rates.

Nothing here is measured. The rates are assumptions about one H100, to be replaced by what
``python -m sparse_robust.bench_images`` prints on one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from sparse_robust.models import Convolution, ReplicaLinear, ResNet32, VGGLike

from .spec import Attack, Spec

NETS: Mapping[str, Callable[..., VGGLike | ResNet32]] = {"vgg": VGGLike, "resnet-32": ResNet32}


@dataclass(frozen=True)
class Layer:
    """A layer with weights.

    Attributes:
        name: of its parameters.
        output: the shape of its output for one image.
        weights: their number, what pruning can remove.
        macs: multiplications, each with an addition, for one image.
    """

    name: str
    output: tuple[int, ...]
    weights: int
    macs: int


def layers(model: nn.Module) -> list[Layer]:
    """Every convolution and linear map of the first replica, in order, as one image passes them."""
    found: list[Layer] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def record(module: nn.Module, _: Any, result: Tensor | list[Tensor]) -> None:
            assert isinstance(module, Convolution | ReplicaLinear)
            output = tuple(result[0].shape[1:])  # a list, or [R, N, O]
            weights = module.weight[0].numel()
            pixels = output[1] * output[2] if isinstance(module, Convolution) else 1
            found.append(Layer(name, output, weights, weights * pixels))

        return record

    watched = {n: m for n, m in model.named_modules() if isinstance(m, Convolution | ReplicaLinear)}
    hooks = [module.register_forward_hook(watch(name)) for name, module in watched.items()]
    replicas = next(model.parameters()).shape[0]
    with torch.no_grad():
        model.eval()(torch.zeros(replicas, 1, 3 * 32 * 32))
    for hook in hooks:
        hook.remove()
    return found


@dataclass(frozen=True)
class Rates:
    """What a GPU is assumed to reach on a network.

    Attributes:
        half: operations a second in training, bfloat16.
        single: operations a second in attacks, float32 without its tensor cores.
        bandwidth: bytes a second.
    """

    half: float
    single: float
    bandwidth: float = 2.0e12


ASSUMED: Mapping[str, Rates] = {"vgg": Rates(250e12, 40e12), "resnet-32": Rates(40e12, 15e12)}
"""On one H100, whose data sheet says 990e12, 67e12 and 3.35e12; narrow layers fill it badly."""

ITERATIONS = 4
"""Of DeepFool for an image, assumed."""

ACCESSES = {"training": 13, "attack": 5}
"""How often an output of a layer is written or read, assumed: by convolution, normalisation, ReLU and,
in training, by the backward pass."""


def passes(attack: Attack, classes: int) -> int:
    """Forward passes for one image, a backward pass to the input counting as one more.

    Two of them are the attack's verdict and whether the image was classified correctly at all.
    """
    options: dict[str, Any] = dict(attack.options)
    match attack.name:
        case "FGS" | "rFGS":
            return 2 + 2
        case "DeepFool":
            return 1 + ITERATIONS * (1 + classes + 1) + 2
        case "C&W":
            return 1 + 2 * int(options["searches"] * options["steps"]) + 2
    raise ValueError(f"the cost of {attack.name} is not known")


def budget(spec: Spec, seeds: int, test_images: int = 10_000) -> pd.DataFrame:
    """Where the time of a run goes: a line for training and for each attack.

    Columns: images that pass, operations (a multiplication with its addition is two), bytes that layers
    write and read, and seconds at the rates of :data:`ASSUMED`, by whichever takes longer.
    """
    model = NETS[spec.model]([0], spec.narrow, len(spec.classes))
    costs, rates = layers(model), ASSUMED[spec.model]
    forward = 2 * sum(layer.macs for layer in costs)
    outputs = sum(torch.Size(layer.output).numel() for layer in costs)
    models = seeds * len(spec.measured)
    lines = []

    def line(what: str, images: int, cost: int, kind: str) -> None:
        """``cost`` forward passes for an image, the whole of them a training step or an attack."""
        half = kind == "training"
        operations = images * cost * forward
        accesses = ACCESSES["training"] if half else ACCESSES["attack"] * cost
        traffic = images * outputs * accesses * (2 if half else 4)
        seconds = max(operations / (rates.half if half else rates.single), traffic / rates.bandwidth)
        lines.append((what, images, operations, traffic, seconds))

    for what, training, times in (
        ("dense training", spec.dense, 1),
        ("retraining", spec.retrain, spec.rounds),
    ):
        line(what, seeds * times * training.steps * training.batch_size, 3, "training")
    line("accuracy", models * test_images, 1, "attack")
    for attack in spec.attacks:
        images = models * min(attack.examples or test_images, test_images)
        line(attack.name, images, passes(attack, len(spec.classes)), "attack")
    return pd.DataFrame(lines, columns=["what", "images", "operations", "bytes", "seconds"])


__all__ = ["ACCESSES", "ASSUMED", "ITERATIONS", "Layer", "Rates", "budget", "layers", "passes"]
