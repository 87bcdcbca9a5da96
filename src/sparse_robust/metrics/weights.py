"""Metrics of the weights themselves."""

from collections.abc import Mapping

import torch
from torch import Tensor


def sparsity(weights: Tensor) -> list[float]:
    """The exact fraction of zero weights of each replica: one layer [R, ...] -> R fractions."""
    return [float(zeros) for zeros in (weights == 0).flatten(1).double().mean(1)]


def total_sparsity(layers: Mapping[str, Tensor]) -> list[float]:
    """The fraction of zeros over all prunable layers together, each [R, ...] (biases do not count)."""
    return sparsity(torch.cat([weights.flatten(1) for weights in layers.values()], 1))
