"""The steps of one experiment: data, training and pruning, measuring. No storage, no loops over rounds."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparse_robust import attacks, metrics
from sparse_robust.attacks import AttackResult
from sparse_robust.data import Dataset, embedded_digits, load_mnist, pixels, select_classes
from sparse_robust.metrics import Estimate
from sparse_robust.models import LinearClassifier, prunable
from sparse_robust.pruning import dense_masks, prune_layers
from sparse_robust.training import train

from .spec import Attack, Spec

BOX = (0.0, 1.0)
"""Pixels, divided by 255."""

CHUNK = 1000
"""Examples attacked at once, over all replicas: enough to fill the cores, few enough to stay in cache."""


@dataclass(frozen=True)
class Measurement:
    """One number for each replica, before it becomes rows."""

    metric: str
    attack: str | None
    values: list[Estimate]
    seconds: float


def load(spec: Spec, root: Path | str | None) -> Dataset:
    """The data that the spec names, all classes."""
    return embedded_digits() if spec.data == "mnist-sample" else load_mnist(root)


@dataclass(frozen=True)
class Arrays:
    """A spec's data on the device: inputs [N, D] in [0, 1] and class indices [N]."""

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor


def arrays(spec: Spec, dataset: Dataset, device: torch.device) -> Arrays:
    """Choose the classes, scale to [0, 1], flatten, and move to the device once."""
    chosen = select_classes(dataset, spec.classes)
    shown = slice(spec.test_examples)
    return Arrays(
        pixels(chosen.train).flatten(1).to(device),
        chosen.train.labels.to(device),
        pixels(chosen.test).flatten(1)[shown].to(device),
        chosen.test.labels[shown].to(device),
    )


@dataclass(frozen=True)
class Population:
    """R replicas and their masks."""

    model: LinearClassifier
    masks: dict[str, Tensor]

    def split(self) -> list[dict[str, Tensor]]:
        """One flat dictionary of tensors for each replica, to store."""
        state = self.model.state_dict() | {f"mask/{name}": mask for name, mask in self.masks.items()}
        replicas = next(iter(self.masks.values())).shape[0]
        return [{name: tensor[r] for name, tensor in state.items()} for r in range(replicas)]


def build(spec: Spec, seeds: Sequence[int], device: torch.device) -> Population:
    """Untrained replicas, nothing pruned."""
    model = LinearClassifier(seeds, 28 * 28, len(spec.classes)).to(device)
    return Population(model, dense_masks(model))


def join(
    spec: Spec, seeds: Sequence[int], states: list[dict[str, Tensor]], device: torch.device
) -> Population:
    """The inverse of :meth:`Population.split`."""
    population = build(spec, seeds, device)
    state = {name: torch.stack([s[name] for s in states]).to(device) for name in states[0]}
    masks = {name: state.pop(f"mask/{name}") for name in population.masks}
    population.model.load_state_dict(state)
    return Population(population.model.eval(), masks)


def advance(
    spec: Spec, population: Population, data: Arrays, seeds: Sequence[int], round_: int, progress: Any
) -> Population:
    """Train the dense references (round 0), or prune once and retrain (rounds 1 to m), in place."""
    model, masks = population.model, population.masks
    if round_ > 0:
        masks = prune_layers(model, masks, spec.rho)
    options = spec.dense if round_ == 0 else spec.retrain
    train(
        model,
        masks,
        data.x_train,
        data.y_train,
        options,
        seeds=seeds,
        stage=f"round-{round_}",
        progress=progress,
    )
    return Population(model, masks)


def measure_clean(spec: Spec, population: Population, data: Arrays) -> Iterator[Measurement]:
    """What needs no attack: accuracy, sparsity, norm ratio, and the closed forms of linear models."""
    start = time.perf_counter()
    weight, bias = population.model.rows()
    x, y = data.x_test, data.y_test
    with torch.no_grad():
        logits = population.model(x.expand(len(weight), -1, -1))
    correct = metrics.accuracy(logits, y.expand(len(weight), -1))
    layers = prunable(population.model)
    weights = sum(layer[0].numel() for layer in layers.values())
    sparsity = [Estimate(share, weights, None) for share in metrics.total_sparsity(layers)]
    # for two classes this is kappa(w); for more, the mean over classes of kappa(w_k - mean of all w),
    # the vectors that theorem 3.2 divides by
    kappa = metrics.norm_ratio(weight - weight.mean(1, keepdim=True)).mean(1)
    distance = metrics.exact_radius(weight, bias, x, y, q=2)
    holds = metrics.exact_radius(weight, bias, x, y, q=1) > spec.eps
    seconds = time.perf_counter() - start
    yield Measurement("accuracy", None, correct, seconds)
    yield Measurement("sparsity", None, sparsity, seconds)
    yield Measurement("norm_ratio", None, [Estimate(float(k), weight.shape[1], None) for k in kappa], seconds)
    yield Measurement("r_2", "exact", metrics.estimate(distance), seconds)
    yield Measurement("r_2_squared", "exact", metrics.estimate(distance.square()), seconds)
    yield Measurement("r_inf", "exact", metrics.estimate(holds), seconds)


def perturb(
    spec: Spec, attack: Attack, model: LinearClassifier, x: Tensor, y: Tensor, signs: Tensor | None
) -> AttackResult:
    """Run one attack of the spec on [R, N, D]."""
    options: dict[str, Any] = dict(attack.options)
    match attack.name:
        case "FGS":
            return attacks.fast_gradient_sign(model, x, y, eps=spec.eps, box=BOX, **options)
        case "rFGS":
            assert signs is not None
            return attacks.random_fast_gradient_sign(
                model, x, y, eps=spec.eps, signs=signs, box=BOX, **options
            )
        case "DeepFool":
            return attacks.deepfool(model, x, y, **options)
        case "C&W":
            return attacks.carlini_wagner(model, x, y, box=BOX, **options)


def measure_attack(
    spec: Spec, attack: Attack, population: Population, data: Arrays, seeds: Sequence[int], progress: Any
) -> Iterator[Measurement]:
    """Attack every replica on the whole test set, in chunks of examples.

    The attack works on the inputs that the classifiers read: no other can help it
    (:meth:`LinearClassifier.on_support`).
    """
    start = time.perf_counter()
    small, support = population.model.on_support()
    padding = (support < 0).unsqueeze(1)
    index = support.clamp_min(0).unsqueeze(1)

    def read(values: Tensor, fill: float) -> Tensor:
        return values.gather(2, index.expand(-1, values.shape[1], -1)).masked_fill(padding, fill)

    replicas, n = len(seeds), len(data.y_test)
    signs = None
    if attack.name == "rFGS":
        signs = attacks.random_signs(seeds, n, data.x_test.shape[1:]).to(data.x_test.device)
    correct, flipped, radius = [], [], []
    for part in torch.arange(n).split(max(CHUNK // replicas, 1)):
        rows = slice(int(part[0]), int(part[-1]) + 1)
        x = read(data.x_test[rows].expand(replicas, -1, -1), sum(BOX) / 2)
        y = data.y_test[rows].expand(replicas, -1)
        chosen = read(signs[:, rows], 1) if signs is not None else None
        result = perturb(spec, attack, small, x, y, chosen)
        with torch.no_grad():
            correct.append(small(x).argmax(-1) == y)
        flipped.append(result.flipped)
        radius.append(result.radius)
        progress(x.shape[1])
    right, whole = torch.cat(correct, 1), AttackResult(x, torch.cat(flipped, 1), torch.cat(radius, 1))
    seconds = time.perf_counter() - start
    if attack.name in ("FGS", "rFGS"):
        yield Measurement("r_inf", attack.name, metrics.r_inf(whole), seconds)
        return
    failed = [Estimate(count, n, None) for count in metrics.failures(whole, right)]
    yield Measurement("r_2", attack.name, metrics.r_2(whole, right), seconds)
    yield Measurement("r_2_squared", attack.name, metrics.r_2(whole, right, power=2), seconds)
    yield Measurement("failures", attack.name, failed, seconds)
