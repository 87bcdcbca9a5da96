"""What rounding can do to a bound that is computed in float64.

A sum of n products, in whatever order and with or without fused operations, is off by at most
gamma(n) times the sum of the absolute products, gamma(n) = n u / (1 - n u) with the unit roundoff
u = 2^-53 (Higham 2002, section 3.1). Every bound of this package is a chain of such sums, so it carries the
sum of its absolute terms along, its *size*, and :func:`margin` of it is taken off at the end. That holds for
matrix products and convolutions that multiply and add, as PyTorch's do in float64, not for fast algorithms
such as Strassen's or Winograd's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sparse_robust.theory.layer_intervals import Stage

UNIT = torch.finfo(torch.float64).eps / 2
"""u, the largest relative error of one rounding."""

UNDERFLOW = 1e-250
"""More than all results below the normal range, 2e-308, can add up to."""


def gamma(terms: int) -> float:
    """n u / (1 - n u) for n = ``terms``."""
    return terms * UNIT / (1 - terms * UNIT)


def operations(stages: Sequence[Stage]) -> int:
    """n so that gamma(n) times its size bounds the error of a bound computed through ``stages``.

    In a stage with at most m inputs and outputs, each coefficient is one product (for the relaxation) and a
    sum over m (for the layer), and two more sums over m add up what is constant; the entries of a relaxation
    are off by at most 8 roundings. The results of all stages are added, and the size is itself such a sum:
    4 m + 64 is more than all of them, with 4 for each stage.
    """
    shape, largest = stages[0].layer.inputs, 0  # type: ignore[union-attr]
    x = torch.zeros(1, *shape, dtype=torch.float64)
    for stage in stages:
        largest = max(largest, x.numel())
        x = stage.apply(x)
    return 4 * max(largest, x.numel()) + 4 * len(stages) + 64


def margin(size: Tensor, terms: int) -> Tensor:
    """How far a bound may be off, for its ``size``; twice gamma(terms), as the size is rounded too."""
    return 2 * gamma(terms) * size + UNDERFLOW


def below(values: Tensor) -> Tensor:
    """The next smaller floating-point numbers: at most what a correctly rounded result stands for."""
    return torch.nextafter(values, torch.full_like(values, -math.inf))


def above(values: Tensor) -> Tensor:
    """The next larger floating-point numbers."""
    return torch.nextafter(values, torch.full_like(values, math.inf))
