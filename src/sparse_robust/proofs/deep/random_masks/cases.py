"""Small networks with all their masks, in exact rationals: the ground for Theorem 3.3 and its repairs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np
import sympy as sp

from sparse_robust.proofs.deep.written import ALPHA
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.laws import sqrt_bounds
from sparse_robust.theory.mask_bounds import all_paths
from sparse_robust.theory.mask_enumeration import (
    Masks,
    cut_off,
    expectation,
    kept_sums,
    mask_polynomial,
    mask_shapes,
)
from sparse_robust.theory.networks import Array, ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball, regions

Value = Callable[[ReluNet], Fraction | int | bool]
"""A number for a masked network."""

SPARSITIES = tuple(Fraction(k, 10) for k in (0, 1, 3, 5, 8, 10))
"""Values of alpha at which inequalities between polynomials are tried."""

EXAMPLE = exact_net([[[1, -2], [3, 1]], [[2, -1], [-1, 3]]], [1, -2])
"""The 2-2-2 network of the tables: 8 weights, 256 masks."""
EXAMPLE_BALL = Ball(fractions([1, 1]), Fraction(1, 2))
"""The l_inf ball of radius 1/2 around (1, 1)."""


ONES = exact_net([[[1]], [[1]]], [1])
"""The 1-1-1 network with all weights one: every bound for it is attained."""


@dataclass(frozen=True)
class OverMasks:
    """What a network does on average over its masks: every attribute is E of it, at given sparsities.

    ``l_2`` is rounded down, by less than 10^-30; everything else is exact.
    """

    l_1: Fraction
    l_2: Fraction
    l_2_squared: Fraction
    path_norm: Fraction
    path_norm_squared: Fraction
    paths_squared: Fraction
    cut_off: Fraction


class AllMasks:
    """The exact Lipschitz constants of a network under each of its masks, ready to be averaged.

    Args:
        net: in exact rationals.
        ball: where the Lipschitz constants are taken; None for the whole input space.
    """

    def __init__(self, net: ReluNet, ball: Ball | None = None) -> None:
        self.net, self.ball, self.shapes = net, ball, mask_shapes(net)
        self._sums = kept_sums(self.shapes, self._one)

    def _one(self, masks: Masks) -> Array:
        masked = self.net.masked(masks)
        paths = all_paths(masked)
        gradients = [region.gradient for region in regions(masked, self.ball)]  # once, for both norms
        l_1, l_2_squared = (max(norm_power(g, q) for g in gradients) for q in (1, 2))
        return np.array(
            [
                l_1,
                sqrt_bounds(l_2_squared, digits=30)[0],
                l_2_squared,
                paths.sum(),
                paths.sum() ** 2,
                (paths**2).sum(),
                Fraction(cut_off(masks)),
            ]
        )

    def mean(self, alphas: list[Fraction]) -> OverMasks:
        """The expectations at these sparsities, one for each layer."""
        return OverMasks(*expectation(self.shapes, self._sums, alphas))


def average(net: ReluNet, value: Value, alpha: Fraction) -> Fraction:
    """E value(masked network), over all masks with one alpha for all layers."""
    shapes = mask_shapes(net)
    sums = kept_sums(shapes, lambda masks: Fraction(value(net.masked(masks))))
    return Fraction(expectation(shapes, sums, [alpha] * len(shapes)))


def polynomial(net: ReluNet, value: Value) -> sp.Expr:
    """E value(masked network) as a polynomial in alpha."""
    shapes = mask_shapes(net)
    sums = kept_sums(shapes, lambda masks: Fraction(value(net.masked(masks))))
    return mask_polynomial(shapes, sums, [ALPHA] * len(shapes)).as_expr()


def random_nets(seed: int, count: int, *, biases: bool = True) -> Iterator[ReluNet]:
    """Random networks with few weights, small rational entries, every second one with biases."""
    rng = random.Random(seed)
    widths = ((2, 2, 2), (1, 3, 1), (2, 1, 2), (1, 2, 2), (3, 2), (1, 2, 1, 2))
    for index in range(count):
        shape = widths[index % len(widths)]
        yield random_net(rng, shape, biases=biases and index % 2 == 1)


@cache
def random_cases() -> list[tuple[AllMasks, list[list[Fraction]]]]:
    """Six random networks, three of them on a ball, under all their masks, and sparsities to try."""
    rng = random.Random(70)
    cases = []
    for index, net in enumerate(random_nets(seed=71, count=6)):
        ball = Ball(fractions([1] * net.widths[0]), Fraction(1, 2)) if index % 4 > 1 else None
        layers = len(net.weights)
        cases.append((AllMasks(net, ball), [random_alphas(rng, layers) for _ in range(6)]))
    return cases


@cache
def tight_cases() -> list[tuple[AllMasks, list[list[Fraction]]]]:
    """Networks with all weights one, on which bounds are attained; with sparsities."""
    dense, half, mixed = Fraction(0), Fraction(1, 2), Fraction(1, 3)
    return [
        (AllMasks(ONES), [[dense, dense], [half, half], [half, mixed]]),
        (AllMasks(ONES, Ball(fractions([2]), Fraction(1))), [[half, mixed]]),
        (AllMasks(exact_net([[[1], [1]]], [1])), [[dense], [half]]),
    ]


def random_net(rng: random.Random, widths: tuple[int, ...], *, biases: bool = False) -> ReluNet:
    """One network with these widths n_0 ... n_{d-1}; no weight is zero, as the paper asks."""

    def entry() -> Fraction:
        return Fraction(rng.choice((-1, 1)) * rng.randint(1, 5), rng.randint(1, 2))

    weights = [[[entry() for _ in range(m)] for _ in range(n)] for n, m in pairwise(widths)]
    shifts = [[entry() for _ in range(n)] for n in widths[1:]] if biases else []
    return exact_net(weights, [entry() for _ in range(widths[-1])], shifts)


def random_alphas(rng: random.Random, layers: int) -> list[Fraction]:
    """One sparsity for each layer, some of them 0 or 1."""
    return [rng.choice(SPARSITIES) for _ in range(layers)]
