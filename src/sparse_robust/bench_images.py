"""How fast the networks for CIFAR-10 train and are attacked: ``python -m sparse_robust.bench_images``.

On a GPU this takes a minute or two, and what it prints replaces the assumed rates of
:mod:`.experiments.budget`. Images are made up: what a step costs does not depend on what they show.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sparse_robust.attacks.fgs import loss_gradient
from sparse_robust.data import made_images
from sparse_robust.experiments import find
from sparse_robust.experiments.budget import ASSUMED, NETS, layers
from sparse_robust.experiments.measure import exact_convolutions
from sparse_robust.experiments.runner import choose_device, device_name
from sparse_robust.images import objective
from sparse_robust.models import ImageClassifier
from sparse_robust.pruning import dense_masks
from sparse_robust.training import Training, train


def seconds(device: torch.device, work: Callable[[], object]) -> float:
    """Wall time of ``work``, to its end on the device."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def train_speed(model: ImageClassifier, x: Tensor, y: Tensor, options: Training, *, compiled: bool) -> float:
    """Images a second in training, after as many steps to warm up."""
    replicas = len(model.training_seconds)
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


def main(arguments: list[str] | None = None) -> int:
    """Print a line for each network and way of training, and one for attacks."""
    command = argparse.ArgumentParser(prog="python -m sparse_robust.bench_images", description=__doc__)
    command.add_argument("--device", default="auto", help="cpu or cuda (default: a GPU if there is one)")
    command.add_argument("--steps", type=int, default=100, help="timed (default: 100)")
    command.add_argument("--batch", type=int, default=512, help="images in a step (default: 512)")
    command.add_argument("--narrow", type=int, default=1, help="divides the channels (default: 1)")
    command.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS), help="default: both")
    options = command.parse_args(arguments)
    device = choose_device(options.device)
    data = made_images(train=2 * options.batch).train
    x, y = data.images.to(device), data.labels.to(device)
    print(
        f"{device_name(device)}, torch {torch.__version__}, {options.steps} steps of {options.batch} images"
    )
    for net in options.nets:
        (spec,) = find(net).specs["paper"]
        half = replace(spec.dense, steps=options.steps, batch_size=options.batch, warmup=0)
        work = 2 * sum(layer.macs for layer in layers(NETS[net]([0], options.narrow)))
        ways = {
            "float32, as written": (replace(half, bfloat16=False), False),
            "bfloat16, as written": (half, False),
            "bfloat16, compiled": (half, True),
        }
        for way, (training, compiled) in ways.items():
            if compiled and device.type == "cpu":
                continue
            model = NETS[net]([0], options.narrow).to(device)
            speed = train_speed(model, x, y, training, compiled=compiled)
            print(f"{net:10} training, {way:22}{speed:12.0f} images/s{3 * work * speed:12.3g} operations/s")
        model = NETS[net]([0], options.narrow).to(device).eval()
        speed = attack_speed(model, x, y, min(1_000, 2 * options.batch))
        print(f"{net:10} attacks,  {'float32':22}{speed:12.0f} passes/s{work * speed:12.3g} operations/s")
        rates = ASSUMED[net]
        print(f"{net:10} assumed in the budget: {rates.half:.3g} in training, {rates.single:.3g} in attacks")
    return 0


__all__ = ["attack_speed", "main", "seconds", "train_speed"]

if __name__ == "__main__":
    sys.exit(main())
