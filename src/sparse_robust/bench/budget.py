"""What the networks for CIFAR-10 cost: operations counted from the models, time from assumed rates.

Nothing here is measured. The rates are assumptions about one H100, to be replaced by what
``python -m sparse_robust bench cifar`` prints on one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from sparse_robust.experiments import Attack, Spec
from sparse_robust.models.costs import layers


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


def budget(spec: Spec, seeds: int, rates: Rates | None = None, test_images: int = 10_000) -> pd.DataFrame:
    """Where the time of a run goes: a line for training and for each attack.

    Args:
        spec: the protocol.
        seeds: how many.
        rates: of the device; None for those that are :data:`ASSUMED`.
        test_images: on which models are measured where an attack does not say how many.

    Returns:
        columns what; images that pass; operations (a multiplication with its addition is two); bytes that
        layers write and read; and minutes at the rates, by whichever of the two takes longer.
    """
    rates = rates or ASSUMED[spec.model]
    costs = layers(spec.network.build([0], len(spec.classes), spec.narrow))
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
        lines.append((what, images, operations, traffic, seconds / 60))

    for what, training, times in (
        ("dense training", spec.dense, 1),
        ("retraining", spec.retrain, spec.rounds),
    ):
        line(what, seeds * times * training.steps * training.batch_size, 3, "training")
    line("accuracy", models * test_images, 1, "attack")
    for attack in spec.attacks:
        images = models * min(attack.examples or test_images, test_images)
        line(attack.name, images, passes(attack, len(spec.classes)), "attack")
    return pd.DataFrame(lines, columns=["what", "images", "operations", "bytes", "minutes"])
