"""What needs no attack: accuracy, sparsities; for linear models norm ratios and closed forms."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sparse_robust import metrics
from sparse_robust.metrics import Estimate
from sparse_robust.models import prunable
from sparse_robust.theory.bounds import norm_ratio

from .contract import MetricName, Options, Progress, Setting, Subject, Values, exact_convolutions

TRAINING_SECONDS = "training_seconds"


def names(setting: Setting) -> list[MetricName]:
    """Every number of one replica that needs no attack."""
    network = setting.network
    common: list[MetricName] = [("accuracy", None), ("sparsity", None)]
    common += [(f"sparsity_{k + 1}", None) for k in range(setting.layers)]
    if network.on_support is not None:
        return [*common, ("norm_ratio", None), ("r_2", "exact"), ("r_2_squared", "exact"), ("r_inf", "exact")]
    if network.colour:
        return [*common, (TRAINING_SECONDS, None)]
    biases: list[MetricName] = [("parameter_sparsity", None)] if setting.published else []
    return [*common, *biases, *((name, None) for name in activation_names(network.relus))]


def activation_names(relus: int) -> list[str]:
    """After each ReLU, counted from the input; the last one, which feeds the output layer, has no number."""
    return [*(f"activation_sparsity_{number}" for number in range(1, relus)), "activation_sparsity"]


def measure(setting: Setting, subject: Subject, options: Options, progress: Progress) -> Values:
    """The numbers of :func:`names`."""
    model, layers, replicas = subject.model, prunable(subject.model), len(subject.seeds)
    values: Values = {("sparsity", None): whole(layers)}
    for k, layer in zip(range(setting.layers), layers.values(), strict=False):
        shares = metrics.sparsity(layer)
        values[f"sparsity_{k + 1}", None] = [Estimate(share, layer[0].numel(), None) for share in shares]
    if setting.published:
        values["parameter_sparsity", None] = whole(dict(model.named_parameters()))
    batches = [subject.x[rows].expand(replicas, -1, -1) for rows in subject.chunks(setting.network)]
    with torch.no_grad(), exact_convolutions():
        logits = torch.cat([model(batch) for batch in batches], 1)
    values["accuracy", None] = metrics.accuracy(logits, subject.y.expand(replicas, -1))
    if setting.network.on_support is not None:
        values |= closed_forms(setting, subject)
    elif setting.network.colour:
        values[TRAINING_SECONDS, None] = [
            Estimate(known(seconds), subject.trained_on, None) for seconds in subject.training_seconds
        ]
    else:
        values |= activation_sparsities(subject, batches)
    return values


def known(seconds: float | None) -> float:
    """How long a training took.

    Raises:
        ValueError: if the checkpoint that it left does not say so.
    """
    if seconds is None:
        raise ValueError("the checkpoints do not say how long their training took: delete them")
    return seconds


def whole(tensors: dict[str, Tensor]) -> list[Estimate]:
    """The fraction of zeros over all tensors [R, ...], for each replica."""
    size = sum(tensor[0].numel() for tensor in tensors.values())
    return [Estimate(share, size, None) for share in metrics.total_sparsity(tensors)]


def activation_sparsities(subject: Subject, batches: Sequence[Tensor]) -> Values:
    """The fraction of zeros after each ReLU, by example."""
    with torch.no_grad():
        zeros = [[(h == 0).double().mean(-1) for h in subject.model.activations(batch)] for batch in batches]
    layers = [torch.cat(layer, 1) for layer in zip(*zeros, strict=True)]
    named = zip(activation_names(len(layers)), layers, strict=True)
    return {(name, None): metrics.estimate(layer) for name, layer in named}


def closed_forms(setting: Setting, subject: Subject) -> Values:
    """What is known of linear models alone: norm ratios, and what attacks can at best achieve."""
    weight, bias = subject.model.rows()
    # for two classes this is kappa(w); for more, the mean over classes of kappa(w_k - mean of all w),
    # the vectors that theorem 3.2 divides by
    kappa = norm_ratio(weight - weight.mean(1, keepdim=True)).mean(1)
    distance = metrics.exact_radius(weight, bias, subject.x, subject.y, q=2)
    holds = metrics.exact_radius(weight, bias, subject.x, subject.y, q=1) > setting.eps
    return {
        ("norm_ratio", None): [Estimate(float(k), weight.shape[1], None) for k in kappa],
        ("r_2", "exact"): metrics.estimate(distance),
        ("r_2_squared", "exact"): metrics.estimate(distance.square()),
        ("r_inf", "exact"): metrics.estimate(holds),
    }
