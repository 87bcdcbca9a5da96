"""How fast replicas train, against a plain module of PyTorch in a loop: ``python -m sparse_robust.bench``.

Every contender takes the same steps: the same initial weights, masks, mini-batches and descent. What is
counted is replica-iterations per second, one mini-batch of 64 for one replica.
"""

import argparse
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune
from torch.utils.data import DataLoader, TensorDataset

from sparse_robust.data import embedded_digits, pixels
from sparse_robust.experiments.runner import code_version, device_name
from sparse_robust.experiments.side_by_side import pool
from sparse_robust.experiments.speeds import CASE, Speed, compare_speeds, keep_speeds
from sparse_robust.models import LeNet5, LeNet300100, ReplicaConvPool2d, ReplicaLinear, prunable
from sparse_robust.rng import stream
from sparse_robust.training import Training, batches, gradient, train

Net = LeNet300100 | LeNet5
Masks = dict[str, Tensor]
Array = npt.NDArray[Any]
Arrays = dict[str, Array]
NETS: dict[str, type[Net]] = {"lenet-300-100": LeNet300100, "lenet-5": LeNet5}
DESCENT = Training(steps=1, lr=0.01, weight_decay=5e-4)
STAGE = "round-1"
KEPT = 1 / 3
"""Of the weights, at random: what a step costs depends on whether there are masks, not on which."""


def plain(model: Net, r: int) -> nn.Sequential:
    """Replica r as a module of PyTorch's own layers, [N, D] -> [N, K], with copies of its parameters."""

    def linear(layer: ReplicaLinear) -> nn.Linear:
        copy = nn.Linear(layer.weight.shape[2], layer.weight.shape[1], device=layer.weight.device)
        copy.load_state_dict({"weight": layer.weight[r], "bias": layer.bias[r, 0]})
        return copy

    def convolution(layer: ReplicaConvPool2d) -> nn.Conv2d:
        filters, channels, size = layer.weight.shape[1:4]
        copy = nn.Conv2d(channels, filters, size, device=layer.weight.device)
        copy.load_state_dict({"weight": layer.weight[r], "bias": layer.bias[r]})
        return copy

    if isinstance(model, LeNet300100):
        hidden = (linear(model.hidden_1), nn.ReLU(), linear(model.hidden_2), nn.ReLU())
        return nn.Sequential(*hidden, linear(model.readout))
    return nn.Sequential(
        nn.Unflatten(1, (1, 28, 28)),
        *(convolution(model.filters_1), nn.MaxPool2d(2)),
        *(convolution(model.filters_2), nn.MaxPool2d(2)),
        *(nn.Flatten(), linear(model.hidden), nn.ReLU(), linear(model.readout)),
    )


def random_masks(model: nn.Module) -> Masks:
    """Masks by parameter name, bool [R, ...], that keep about a third of the weights."""
    return {
        name: (torch.rand(weight.shape, generator=stream(0, f"bench/{name}")) < KEPT).to(weight.device)
        for name, weight in prunable(model).items()
    }


def one_program(model: Net, masks: Masks, x: Tensor, y: Tensor, steps: int) -> list[nn.Sequential]:
    """All replicas in one batched program: what `run` does on a GPU, or with `--processes 1`."""
    seeds = range(count(masks))
    train(model, masks, x, y, replace(DESCENT, steps=steps), seeds=seeds, stage=STAGE)
    return [plain(model, r) for r in seeds]


def replicas(model: Net, masks: Masks, x: Tensor, y: Tensor, steps: int) -> list[nn.Sequential]:
    """What `run` does by itself: on a CPU each replica alone, a process for each core; else one program."""
    if x.device.type != "cpu":
        return one_program(model, masks, x, y, steps)

    def row(tensors: dict[str, Tensor], r: int) -> Arrays:
        return {name: tensor[r : r + 1].numpy() for name, tensor in tensors.items()}

    state, data = model.state_dict(), (x.numpy(), y.numpy())
    jobs = [
        workers().submit(lone_replica, type(model), r, row(state, r), row(masks, r), *data, steps)
        for r in range(count(masks))
    ]
    return [job.result() for job in jobs]


def lone_replica(
    kind: type[Net], r: int, state: Arrays, masks: Arrays, x: Array, y: Array, steps: int
) -> nn.Sequential:
    """Replica r, trained alone.

    It is given arrays: sharing tensors makes the sending process compute in a second thread, and OpenMP,
    which then counts more threads than cores, lets all that it does later wait instead of spin.
    """
    model = kind((r,))
    model.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
    tensors = {name: torch.from_numpy(mask) for name, mask in masks.items()}
    data = torch.from_numpy(x), torch.from_numpy(y)
    train(model, tensors, *data, replace(DESCENT, steps=steps), seeds=(r,), stage=STAGE)
    return plain(model, 0)


@functools.cache
def workers() -> ProcessPoolExecutor:
    """A process for each core; they stay, as starting them is not what is timed."""
    return pool(os.cpu_count() or 1)


def count(masks: Masks) -> int:
    """The number of replicas."""
    return len(next(iter(masks.values())))


def layers(module: nn.Module) -> list[nn.Module]:
    """The layers that have weights, in order."""
    return [layer for layer in module.children() if hasattr(layer, "weight")]


def descent(module: nn.Module, *, fused: bool) -> torch.optim.SGD:
    """Stochastic gradient descent that decays weights but not biases."""
    named = list(module.named_parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for name, p in named if "weight" in name], "weight_decay": DESCENT.weight_decay},
        {"params": [p for name, p in named if "bias" in name]},
    ]
    return torch.optim.SGD(groups, lr=DESCENT.lr, momentum=DESCENT.momentum, fused=fused)


def order(r: int, x: Tensor, steps: int) -> Iterator[Tensor]:
    """The mini-batches of replica r, indices [64]."""
    for (index,) in islice(batches((r,), f"order/{STAGE}", len(x), DESCENT.batch_size, x.device), steps):
        yield index


def loader_loop(
    model: Net, masks: dict[str, Tensor], x: Tensor, y: Tensor, steps: int
) -> list[nn.Sequential]:
    """The usual way: a DataLoader over examples, PyTorch's own pruning, one replica after another."""
    finished = []
    for r in range(count(masks)):
        module = plain(model, r)
        for layer, mask in zip(layers(module), masks.values(), strict=True):
            prune.custom_from_mask(layer, "weight", mask[r])
        sgd = descent(module, fused=False)
        chosen = [index.tolist() for index in order(r, x, steps)]
        for inputs, classes in DataLoader(TensorDataset(x, y), batch_sampler=chosen):
            sgd.zero_grad()
            functional.cross_entropy(module(inputs), classes).backward()
            sgd.step()
        for layer in layers(module):
            prune.remove(layer, "weight")
        finished.append(module)
    return finished


def tensor_loop(
    model: Net, masks: dict[str, Tensor], x: Tensor, y: Tensor, steps: int
) -> list[nn.Sequential]:
    """The best loop over one replica after another: data as one tensor, fused descent, channels last."""
    finished = []
    for r in range(count(masks)):
        module = plain(model, r)
        module.to(memory_format=torch.channels_last)
        weights = [p for name, p in module.named_parameters() if name.endswith("weight")]
        held = [(weight, mask[r]) for weight, mask in zip(weights, masks.values(), strict=True)]
        with torch.no_grad():
            for weight, mask in held:
                weight.mul_(mask)
        sgd = descent(module, fused=True)
        for index in order(r, x, steps):
            sgd.zero_grad()
            functional.cross_entropy(module(x.index_select(0, index)), y[index]).backward()
            for weight, mask in held:
                gradient(weight).mul_(mask)
            sgd.step()
        finished.append(module)
    return finished


Contender = Callable[[Net, Masks, Tensor, Tensor, int], list[nn.Sequential]]
CONTENDERS: dict[str, Contender] = {
    "DataLoader loop": loader_loop,
    "tensor loop": tensor_loop,
    "one program": one_program,
    "replicas": replicas,
}


def measure(net: str, contender: str, seeds: int, steps: int, device: torch.device) -> float:
    """Replica-iterations per second of ``seeds`` replicas, after a short run to warm up.

    What a run of one step takes is subtracted, so that setting up does not count; there are at least two.
    """
    data = embedded_digits().train
    x, y = pixels(data).flatten(1).to(device), data.labels.to(device)

    def seconds(steps: int) -> float:
        model = NETS[net](range(seeds)).to(device)
        masks = random_masks(model)
        start = time.perf_counter()
        CONTENDERS[contender](model, masks, x, y, steps)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    seconds(2)
    once = seconds(1)
    return seeds * (steps - 1) / (seconds(steps) - once)


def print_speeds(speeds: pd.DataFrame) -> None:
    """Each way's replica-iterations per second and how many times faster replicas are, in the same turn."""
    for _, lines in compare_speeds(speeds, "replicas").groupby(CASE, sort=False):
        of = lines.iloc[0]
        print(f"{of.net}: {of.seeds} replicas, {of.steps} steps of {DESCENT.batch_size} with masks,")
        print(f"{of.device}, {of.threads} threads, {of.turns} turns")
        print("  way              replica-iterations/s   replicas against it")
        for line in lines.itertuples():
            ratio = f"{line.times:11.2f}x [{line.least:.2f}, {line.most:.2f}]"
            told = f"  {line.way:17}{line.speed:20.0f}"
            print(told if line.way == "replicas" else told + ratio)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every way, turn by turn, and print the medians and the ratios within a turn."""
    command = argparse.ArgumentParser(prog="python -m sparse_robust.bench", description=__doc__)
    command.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    command.add_argument("--replicas", type=int, default=10, help="default: 10")
    command.add_argument("--steps", type=int, default=200, help="timed, for each replica (default: 200)")
    command.add_argument("--turns", type=int, default=3, help="how often each way is timed (default: 3)")
    command.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS), help="default: both")
    command.add_argument("--keep", type=Path, metavar="FILE", help="add the measurements to a file, as JSON")
    options = command.parse_args(arguments)
    if options.steps < 2:
        command.error(f"--steps must be at least 2, got {options.steps}")
    for name in ("replicas", "turns"):
        if getattr(options, name) < 1:
            command.error(f"--{name} must be at least 1, got {getattr(options, name)}")
    try:
        device = torch.zeros(1, device=options.device).device
    except (
        RuntimeError,
        AssertionError,
    ) as error:  # AssertionError where PyTorch was built without a GPU's support
        command.error(f"--device {options.device}: {str(error).splitlines()[0]}")
    commit, dirty = code_version()
    speeds = [
        Speed(
            net=net,
            way=way,
            seeds=options.replicas,
            steps=options.steps,
            turn=turn,
            value=measure(net, way, options.replicas, options.steps, device),
            device=device_name(device),
            threads=torch.get_num_threads(),
            torch=torch.__version__,
            commit=commit,
            dirty=dirty,
        )
        for net in options.nets
        for turn in (datetime.now(UTC).isoformat() for _ in range(options.turns))
        for way in CONTENDERS
        if CONTENDERS[way] is not one_program or device.type == "cpu"  # else replicas are just that
    ]
    if options.keep:
        keep_speeds(options.keep, speeds)
    print_speeds(pd.DataFrame(map(vars, speeds)))
    return 0


__all__ = [
    "CONTENDERS",
    "NETS",
    "count",
    "descent",
    "layers",
    "loader_loop",
    "lone_replica",
    "main",
    "measure",
    "one_program",
    "order",
    "plain",
    "print_speeds",
    "random_masks",
    "replicas",
    "tensor_loop",
    "workers",
]

if __name__ == "__main__":
    sys.exit(main())
