"""The measurements of one experiment, after each round: with and without attacks."""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparse_robust import attacks, metrics
from sparse_robust.attacks import AttackResult
from sparse_robust.metrics import Estimate
from sparse_robust.models import (
    Classifier,
    ImageClassifier,
    LeNet5,
    LeNet300100,
    LinearClassifier,
    prunable,
)
from sparse_robust.types import LogitsFn

from .clever import METRICS, NORMS, clever_metrics
from .resisted import first_steps, resisted, resisted_metrics
from .spec import IMAGE_NETS, Attack, Spec
from .stages import Arrays, Population

BOX = (0.0, 1.0)
"""Pixels, divided by 255."""

CHUNK, CONVOLVED = 1000, 100
"""Examples attacked at once, over all replicas: enough to fill the cores, few enough to stay in cache.

On a CPU, those of a convolutional network are fewer, as its maps are larger than the images.
"""

MetricName = tuple[str, str | None]
"""A metric and the attack that it rests on, if any."""


@dataclass(frozen=True)
class Measurement:
    """One number for each replica, before it becomes rows."""

    metric: str
    attack: str | None
    values: list[Estimate]
    seconds: float


def chunk(model: Classifier, device: torch.device) -> int:
    """How many examples to work on at once."""
    return CONVOLVED if isinstance(model, LeNet5) and device.type == "cpu" else CHUNK


def clean_metrics(spec: Spec) -> list[MetricName]:
    """Every number of one replica that needs no attack."""
    common: list[MetricName] = [("accuracy", None), ("sparsity", None)]
    if spec.surgery is not None:  # which cuts layers to different depths
        common += [(f"sparsity_{k + 1}", None) for k in range(len(spec.surgery.surgeries[0].strengths))]
    if spec.model == "linear":
        return [*common, ("norm_ratio", None), ("r_2", "exact"), ("r_2_squared", "exact"), ("r_inf", "exact")]
    if spec.model in IMAGE_NETS:
        return [*common, ("training_seconds", None)]
    first = [("activation_sparsity_1", None)] if spec.model == "lenet-300-100" else []
    biases = [("parameter_sparsity", None)] if spec.weights is not None else []
    return [*common, *biases, *first, ("activation_sparsity", None)]


def attack_metrics(spec: Spec, attack: Attack) -> list[MetricName]:
    """Every number of one replica under an attack."""
    if attack.name in NORMS:
        return [(name, attack.name) for name in METRICS]
    names = ("r_inf",) if attack.name in ("FGS", "rFGS") else ("r_2", "r_2_squared", "failures")
    more = resisted_metrics(len(spec.classes)) if traces_failures(spec, attack) else []
    return [(name, attack.name) for name in [*names, *more]]


def traces_failures(spec: Spec, attack: Attack) -> bool:
    """Whether more is reported of an attack than how often it fails (:mod:`.resisted`)."""
    return attack.name == "DeepFool" and spec.model in IMAGE_NETS


def exact_convolutions() -> Any:
    """Keep a GPU from rounding the operands of float32 convolutions to 10 bits, as it would unasked."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def measure_clean(spec: Spec, population: Population, data: Arrays) -> Iterator[Measurement]:
    """What needs no attack: accuracy, sparsities; for linear models norm ratios and closed forms."""
    start = time.perf_counter()
    model, x, y = population.model, data.x_test, data.y_test
    layers = prunable(model)
    replicas = len(next(iter(layers.values())))
    weights = sum(layer[0].numel() for layer in layers.values())
    found: dict[MetricName, list[Estimate]] = {
        ("sparsity", None): [Estimate(share, weights, None) for share in metrics.total_sparsity(layers)]
    }
    for k, layer in enumerate(layers.values(), 1):
        shares = metrics.sparsity(layer)
        found[f"sparsity_{k}", None] = [Estimate(share, layer[0].numel(), None) for share in shares]
    parameters = dict(model.named_parameters())
    found["parameter_sparsity", None] = [
        Estimate(share, sum(p[0].numel() for p in parameters.values()), None)
        for share in metrics.total_sparsity(parameters)
    ]
    batches = [part.expand(replicas, -1, -1) for part in x.split(chunk(model, x.device))]
    with torch.no_grad(), exact_convolutions():
        logits = torch.cat([model(batch) for batch in batches], 1)
    found["accuracy", None] = metrics.accuracy(logits, y.expand(replicas, -1))
    if isinstance(model, LinearClassifier):
        found |= closed_forms(spec, model, x, y)
    elif isinstance(model, ImageClassifier):
        trained = len(data.y_train)
        found["training_seconds", None] = [Estimate(float(t), trained, None) for t in model.training_seconds]
    else:
        found |= activation_sparsities(model, batches)
    seconds = time.perf_counter() - start
    for metric, attack in clean_metrics(spec):
        yield Measurement(metric, attack, found[metric, attack], seconds)


def activation_sparsities(
    model: LeNet300100 | LeNet5, batches: Sequence[Tensor]
) -> dict[MetricName, list[Estimate]]:
    """The fraction of zeros after each ReLU, by example; the last layer's input has the plain name."""
    with torch.no_grad():
        zeros = [[(h == 0).double().mean(-1) for h in model.activations(batch)] for batch in batches]
    layers = [torch.cat(layer, 1) for layer in zip(*zeros, strict=True)]
    names = [f"activation_sparsity_{number}" for number in range(1, len(layers))] + ["activation_sparsity"]
    return {(name, None): metrics.estimate(layer) for name, layer in zip(names, layers, strict=True)}


def closed_forms(
    spec: Spec, model: LinearClassifier, x: Tensor, y: Tensor
) -> dict[MetricName, list[Estimate]]:
    """What is known of linear models alone: norm ratios, and what attacks can at best achieve."""
    weight, bias = model.rows()
    # for two classes this is kappa(w); for more, the mean over classes of kappa(w_k - mean of all w),
    # the vectors that theorem 3.2 divides by
    kappa = metrics.norm_ratio(weight - weight.mean(1, keepdim=True)).mean(1)
    distance = metrics.exact_radius(weight, bias, x, y, q=2)
    holds = metrics.exact_radius(weight, bias, x, y, q=1) > spec.eps
    return {
        ("norm_ratio", None): [Estimate(float(k), weight.shape[1], None) for k in kappa],
        ("r_2", "exact"): metrics.estimate(distance),
        ("r_2_squared", "exact"): metrics.estimate(distance.square()),
        ("r_inf", "exact"): metrics.estimate(holds),
    }


def perturb(
    spec: Spec, attack: Attack, model: LogitsFn, x: Tensor, y: Tensor, signs: Tensor | None
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
    raise ValueError(f"{attack.name} is no attack: it perturbs nothing")


def attacked_model(population: Population) -> tuple[LogitsFn, Callable[[Tensor, float], Tensor]]:
    """The logits to attack, and how to read inputs [R, N, D] for them, with a value for padding.

    Linear classifiers are attacked on the inputs that they read: no other can help the attack
    (:meth:`LinearClassifier.on_support`).
    """
    model = population.model
    if not isinstance(model, LinearClassifier):
        return model, lambda values, fill: values
    small, support = model.on_support()
    padding = (support < 0).unsqueeze(1)
    index = support.clamp_min(0).unsqueeze(1)

    def read(values: Tensor, fill: float) -> Tensor:
        return values.gather(2, index.expand(-1, values.shape[1], -1)).masked_fill(padding, fill)

    return small, read


@functools.lru_cache(maxsize=1)
def random_signs(seeds: tuple[int, ...], examples: int, shape: tuple[int, ...]) -> Tensor:
    """The signs of rFGS, which are the same after every round: kept, as drawing them takes a while."""
    return attacks.random_signs(seeds, examples, shape)


def measure_attack(
    spec: Spec, attack: Attack, population: Population, data: Arrays, seeds: Sequence[int], progress: Any
) -> Iterator[Measurement]:
    """Attack every replica on the test examples that the spec names, in chunks."""
    start = time.perf_counter()
    model, read = attacked_model(population)
    x_test, y_test = data.x_test[: attack.examples], data.y_test[: attack.examples]
    if attack.name in NORMS:
        if not isinstance(population.model, LeNet300100):
            raise ValueError(f"{attack.name} is measured for lenet-300-100 alone, got {spec.model}")
        found = clever_metrics(attack, population.model, x_test, y_test, seeds, progress)
        seconds = time.perf_counter() - start
        yield from (Measurement(name, attack.name, values, seconds) for name, values in found.items())
        return
    replicas, n = len(seeds), len(y_test)
    signs = None
    if attack.name == "rFGS":
        signs = random_signs(tuple(seeds), n, tuple(x_test.shape[1:])).to(x_test.device)
    correct, flipped, radius, traced = [], [], [], []
    for part in torch.arange(n).split(max(chunk(population.model, x_test.device) // replicas, 1)):
        rows = slice(int(part[0]), int(part[-1]) + 1)
        x = read(x_test[rows].expand(replicas, -1, -1), sum(BOX) / 2)
        y = y_test[rows].expand(replicas, -1)
        chosen = read(signs[:, rows], 1) if signs is not None else None
        with exact_convolutions():
            result = perturb(spec, attack, model, x, y, chosen)
            with torch.no_grad():
                correct.append(model(x).argmax(-1) == y)
            if traces_failures(spec, attack):
                traced.append(first_steps(model, x, y, result, correct[-1], dict(attack.options)))
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
    if traced:
        more = resisted(torch.cat(traced, 1), whole.flipped, right, y_test, len(spec.classes))
        yield from (Measurement(name, attack.name, values, seconds) for name, values in more.items())
