"""How fast the networks for CIFAR-10 train and are attacked.

On a GPU this takes a minute or two, and what it tells replaces the assumed rates of :mod:`.budget`. Images
are made up: what a step costs does not depend on what they show.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sparse_robust.attacks.fgs import loss_gradient
from sparse_robust.data import made_images
from sparse_robust.measurements import exact_convolutions
from sparse_robust.models import NETWORKS, ImageClassifier, NetworkName, ResNet32, VGGLike
from sparse_robust.models.costs import layers
from sparse_robust.pruning import dense_masks
from sparse_robust.studies.catalogue import find
from sparse_robust.training import Training, objective, train

from .budget import ASSUMED


def seconds(device: torch.device, work: Callable[[], object]) -> float:
    """Wall time of ``work``, to its end on the device."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def train_speed(
    model: VGGLike | ResNet32, x: Tensor, y: Tensor, options: Training, *, compiled: bool
) -> float:
    """Images a second in training, after as many steps to warm up."""
    replicas = len(model.readout.weight)
    seeds = range(replicas)

    def work() -> None:
        loss = objective(model, x, y, options, seeds=seeds, stage="round-0", compiled=compiled)
        train(model, dense_masks(model), x, y, options, seeds=seeds, stage="round-0", objective=loss)

    work()
    return replicas * options.steps * options.batch_size / seconds(x.device, work)


def attack_speed(model: ImageClassifier, x: Tensor, y: Tensor, batch: int) -> float:
    """Passes a second of an image in float32, forward and backward to the input counting as two."""
    z, label = x[:batch].flatten(1).unsqueeze(0) / 255, y[:batch].unsqueeze(0)
    with exact_convolutions():
        loss_gradient(model, z, label)
        return 2 * batch / seconds(x.device, lambda: loss_gradient(model, z, label))


def measure_all(
    nets: Sequence[NetworkName], *, steps: int, batch: int, narrow: int, device: torch.device
) -> pd.DataFrame:
    """Training in each way, and attacks, beside the rate that the budget assumes.

    Args:
        nets: their names.
        steps: timed.
        batch: images in a step.
        narrow: divides the channels.
        device: where; on a CPU nothing is compiled.

    Returns:
        columns net, work, way, images (or passes) and operations a second, and assumed operations a second.
    """
    data = made_images(train=2 * batch).train
    x, y = data.images.to(device), data.labels.to(device)
    lines = []
    for net in nets:
        (spec,) = find(net).specs["paper"]

        def build(net: NetworkName = net) -> Any:
            return NETWORKS[net].build([0], 10, narrow).to(device)

        half = replace(spec.dense, steps=steps, batch_size=batch, warmup=0)
        work = 2 * sum(layer.macs for layer in layers(build()))
        ways = {
            "float32, as written": (replace(half, bfloat16=False), False),
            "bfloat16, as written": (half, False),
            "bfloat16, compiled": (half, True),
        }
        for way, (training, compiled) in ways.items():
            if compiled and device.type == "cpu":
                continue
            speed = train_speed(build(), x, y, training, compiled=compiled)
            lines.append((net, "training", way, speed, 3 * work * speed, ASSUMED[net].half))
        speed = attack_speed(build().eval(), x, y, min(1_000, 2 * batch))
        lines.append((net, "attacks", "float32", speed, work * speed, ASSUMED[net].single))
    columns = ["net", "work", "way", "images/s", "operations/s", "assumed"]
    return pd.DataFrame(lines, columns=columns)
