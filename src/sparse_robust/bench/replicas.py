"""How fast replicas train, against a plain module of PyTorch in a loop.

Every contender takes the same steps: the same initial weights, masks, mini-batches and descent. What is
counted is replica-iterations per second, one mini-batch of 64 for one replica.
"""

import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import prune
from torch.utils.data import DataLoader, TensorDataset

from sparse_robust.data import embedded_digits, pixels
from sparse_robust.experiments.machine import code_version, device_name
from sparse_robust.experiments.side_by_side import pool
from sparse_robust.models import (
    NETWORKS,
    Classifier,
    NetworkName,
    ReplicaConvPool2d,
    ReplicaLinear,
    prunable,
)
from sparse_robust.rng import stream
from sparse_robust.training import Training, batches, gradient, train

from .speeds import Speed

Masks = dict[str, Tensor]
Array = npt.NDArray[Any]
Arrays = dict[str, Array]
NETS: tuple[NetworkName, ...] = ("lenet-300-100", "lenet-5")
DESCENT = Training(steps=1, lr=0.01, weight_decay=5e-4)
STAGE = "round-1"
KEPT = 1 / 3
"""Of the weights, at random: what a step costs depends on whether there are masks, not on which."""


def plain(model: Classifier, r: int) -> nn.Sequential:
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

    layers: list[nn.Module] = []
    for layer in model.children():
        if isinstance(layer, ReplicaConvPool2d):
            layers += [convolution(layer), nn.MaxPool2d(2)]
        elif isinstance(layer, ReplicaLinear):
            layers += [nn.Flatten(), linear(layer), nn.ReLU()]
    return nn.Sequential(nn.Unflatten(1, (1, 28, 28)), *layers[:-1])  # there is no ReLU behind the logits


def random_masks(model: nn.Module) -> Masks:
    """Masks by parameter name, bool [R, ...], that keep about a third of the weights."""
    return {
        name: (torch.rand(weight.shape, generator=stream(0, f"bench/{name}")) < KEPT).to(weight.device)
        for name, weight in prunable(model).items()
    }


def one_program(
    net: NetworkName, model: Classifier, masks: Masks, x: Tensor, y: Tensor, steps: int
) -> list[nn.Sequential]:
    """All replicas in one batched program: what `run` does on a GPU."""
    seeds = range(count(masks))
    train(model, masks, x, y, replace(DESCENT, steps=steps), seeds=seeds, stage=STAGE)
    return [plain(model, r) for r in seeds]


def replicas(
    net: NetworkName, model: Classifier, masks: Masks, x: Tensor, y: Tensor, steps: int
) -> list[nn.Sequential]:
    """What `run` does by itself: on a CPU each replica alone, a process for each core; else one program."""
    if x.device.type != "cpu":
        return one_program(net, model, masks, x, y, steps)

    def row(tensors: dict[str, Tensor], r: int) -> Arrays:
        return {name: tensor[r : r + 1].numpy() for name, tensor in tensors.items()}

    state, data = model.state_dict(), (x.numpy(), y.numpy())
    jobs = [
        workers().submit(lone_replica, net, r, row(state, r), row(masks, r), *data, steps)
        for r in range(count(masks))
    ]
    return [job.result() for job in jobs]


def lone_replica(
    net: NetworkName, r: int, state: Arrays, masks: Arrays, x: Array, y: Array, steps: int
) -> nn.Sequential:
    """Replica r, trained alone.

    It is given arrays: sharing tensors makes the sending process compute in a second thread, and OpenMP,
    which then counts more threads than cores, lets all that it does later wait instead of spin.
    """
    network = NETWORKS[net]
    model = network.build((r,), 10, 1)
    model.load_state_dict({name: torch.from_numpy(values) for name, values in state.items()})
    tensors = {name: torch.from_numpy(mask) for name, mask in masks.items()}
    data = torch.from_numpy(x), torch.from_numpy(y)
    options = replace(DESCENT, steps=steps)
    gradients = network.gradients(model, *data, options.batch_size) if network.gradients else None
    train(model, tensors, *data, options, seeds=(r,), stage=STAGE, gradients=gradients)
    return plain(model, 0)


@functools.cache
def workers() -> ProcessPoolExecutor:
    """A process for each core; they stay, as starting them is not what is timed."""
    return pool(os.cpu_count() or 1)


def count(masks: Masks) -> int:
    """The number of replicas."""
    return len(next(iter(masks.values())))


def _layers(module: nn.Module) -> list[nn.Module]:
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
    net: NetworkName, model: Classifier, masks: Masks, x: Tensor, y: Tensor, steps: int
) -> list[nn.Sequential]:
    """The usual way: a DataLoader over examples, PyTorch's own pruning, one replica after another."""
    finished = []
    for r in range(count(masks)):
        module = plain(model, r)
        for layer, mask in zip(_layers(module), masks.values(), strict=True):
            prune.custom_from_mask(layer, "weight", mask[r])
        sgd = descent(module, fused=False)
        chosen = [index.tolist() for index in order(r, x, steps)]
        for inputs, classes in DataLoader(TensorDataset(x, y), batch_sampler=chosen):
            sgd.zero_grad()
            functional.cross_entropy(module(inputs), classes).backward()
            sgd.step()
        for layer in _layers(module):
            prune.remove(layer, "weight")
        finished.append(module)
    return finished


def tensor_loop(
    net: NetworkName, model: Classifier, masks: Masks, x: Tensor, y: Tensor, steps: int
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


Contender = Callable[[NetworkName, Classifier, Masks, Tensor, Tensor, int], list[nn.Sequential]]
CONTENDERS: dict[str, Contender] = {
    "DataLoader loop": loader_loop,
    "tensor loop": tensor_loop,
    "one program": one_program,
    "replicas": replicas,
}


def measure(net: NetworkName, contender: str, seeds: int, steps: int, device: torch.device) -> float:
    """Replica-iterations per second of ``seeds`` replicas, after a short run to warm up.

    What a run of one step takes is subtracted, so that setting up does not count; there are at least two.
    """
    data = embedded_digits().train
    x, y = pixels(data).flatten(1).to(device), data.labels.to(device)

    def seconds(steps: int) -> float:
        model = NETWORKS[net].build(range(seeds), 10, 1).to(device)
        masks = random_masks(model)
        start = time.perf_counter()
        CONTENDERS[contender](net, model, masks, x, y, steps)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    seconds(2)
    once = seconds(1)
    return seeds * (steps - 1) / (seconds(steps) - once)


def measure_all(
    nets: Sequence[NetworkName], *, seeds: int, steps: int, turns: int, device: torch.device
) -> Iterator[Speed]:
    """Every way of training every network, turn by turn; within a turn one after another.

    Args:
        nets: their names.
        seeds: how many replicas.
        steps: timed, for each replica; at least 2.
        turns: how often each way is timed.
        device: where.

    Raises:
        ValueError: if there are fewer than two steps.
    """
    if steps < 2:
        raise ValueError(f"--steps must be at least 2, got {steps}")
    commit, dirty = code_version()
    for net in nets:
        for _ in range(turns):
            turn = datetime.now(UTC).isoformat()
            for way in CONTENDERS:
                if CONTENDERS[way] is one_program and device.type != "cpu":
                    continue  # there replicas are just that
                yield Speed(
                    net=net,
                    way=way,
                    seeds=seeds,
                    steps=steps,
                    turn=turn,
                    value=measure(net, way, seeds, steps, device),
                    device=device_name(device),
                    threads=torch.get_num_threads(),
                    torch=torch.__version__,
                    commit=commit,
                    dirty=dirty,
                )
