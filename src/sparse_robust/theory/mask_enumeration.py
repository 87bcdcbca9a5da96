"""Expectations over all masks of a tiny network, exactly, as polynomials in the sparsities."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from .networks import Array, ReluNet

Masks = tuple[Array, ...]
"""One boolean array ``[n_{j-1}, n_j]`` for each masked layer; true where the weight is kept."""

Shape = tuple[int, int]

MOST_WEIGHTS = 16
"""Enumeration doubles with each weight; beyond this, sample (`mask_sampling`)."""


def mask_shapes(net: ReluNet) -> list[Shape]:
    """The shapes of the masked weight matrices, (n_{j-1}, n_j)."""
    return [(n, m) for n, m in (w.shape for w in net.weights)]


def all_masks(shapes: Sequence[Shape]) -> Iterator[Masks]:
    """Every choice of kept weights, 2^(number of weights) of them.

    Raises:
        ValueError: if there are more than MOST_WEIGHTS weights.
    """
    sizes = [n * m for n, m in shapes]
    if sum(sizes) > MOST_WEIGHTS:
        raise ValueError(f"{sum(sizes)} weights have 2^{sum(sizes)} masks: sample instead of enumerating")
    ends = np.cumsum(sizes)[:-1]
    for bits in product((True, False), repeat=sum(sizes)):
        parts = np.split(np.array(bits, dtype=bool), ends)
        yield tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))


def kept_sums(shapes: Sequence[Shape], value: Callable[[Masks], Any]) -> dict[tuple[int, ...], Any]:
    """The sum of ``value`` over all masks that keep k_1, k_2, ... weights of the layers, at (k_1, k_2, ...).

    All that an expectation over masks needs to know of ``value``, whatever the sparsities are.
    """
    sums: dict[tuple[int, ...], Any] = {}
    for masks in all_masks(shapes):
        kept = tuple(int(mask.sum()) for mask in masks)
        sums[kept] = sums.get(kept, 0) + value(masks)
    return sums


def expectation(shapes: Sequence[Shape], sums: dict[tuple[int, ...], Any], alphas: Sequence[Any]) -> Any:
    """E value = sum_k sums[k] prod_j (1 - alpha_j)^k_j alpha_j^(N_j - k_j), N_j weights in layer j.

    Rational for rational sums and alphas, a float for floats.

    Args:
        shapes: of the masked layers.
        sums: from `kept_sums`.
        alphas: one for each layer.
    """
    sizes = [n * m for n, m in shapes]
    return sum(
        total * math.prod((1 - a) ** k * a ** (n - k) for a, k, n in zip(alphas, kept, sizes, strict=True))
        for kept, total in sums.items()
    )


def mask_polynomial(
    shapes: Sequence[Shape], sums: dict[tuple[int, ...], Fraction], alphas: Sequence[sp.Symbol]
) -> sp.Poly:
    """The expectation as a polynomial over the rationals; repeat a symbol where layers share their alpha."""
    exact = {kept: sp.Rational(total.numerator, total.denominator) for kept, total in sums.items()}
    return sp.Poly(expectation(shapes, exact, alphas), *dict.fromkeys(alphas), domain="QQ")


def cut_off(masks: Masks) -> bool:
    """Whether no open path leads from the inputs to the last masked layer: the event behind eta*."""
    reached: Array = np.ones(len(masks[0]), dtype=bool)
    for mask in masks:
        reached = np.any(mask[reached], axis=0)
    return not reached.any()
