"""A network small enough to see whole, of 2 inputs, two hidden layers of 4 units and 2 classes."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from sparse_robust.rng import stream
from sparse_robust.theory.networks import Array, ReluNet, fractions
from sparse_robust.theory.regions import Ball

WIDTHS = (2, 4, 4, 2)
UNIT = 100
"""Weights and biases are whole hundredths, so that Python and a browser start from the same numbers."""

WINDOW = Ball(fractions([0, 0]), 3)
"""The square of inputs that is looked at."""


@dataclass(frozen=True)
class SmallNet:
    """Weights and biases in hundredths.

    Attributes:
        weights: int64 [n_{j-1}, n_j] for each layer, the output layer included.
        biases: int64 [n_j] each.
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    def order(self) -> list[list[int]]:
        """Layer, row and column of every weight, the smallest magnitude first."""
        places = [[j, *at] for j, w in enumerate(self.weights) for at in np.ndindex(*w.shape)]
        return sorted(places, key=lambda place: abs(int(self.weights[place[0]][tuple(place[1:])])))

    def difference(self, pruned: int) -> ReluNet:
        """By how much the second class leads the first, without the ``pruned`` smallest weights; rational.

        Raises:
            ValueError: if there are not so many weights.
        """
        order = self.order()
        if not 0 <= pruned <= len(order):
            raise ValueError(f"there are {len(order)} weights to prune, got {pruned}")
        weights = [w.copy() for w in self.weights]
        for layer, row, column in order[:pruned]:
            weights[layer][row, column] = 0
        first, second = weights[-1].T
        low, high = self.biases[-1]
        hidden = tuple(_hundredths(w) for w in weights[:-1])
        biases = tuple(_hundredths(b) for b in self.biases[:-1])
        return ReluNet(hidden, _hundredths(second - first), biases, Fraction(int(high - low), UNIT))

    def as_lists(self) -> dict[str, Any]:
        """What the browser gets."""
        return {
            "weights": [w.tolist() for w in self.weights],
            "biases": [b.tolist() for b in self.biases],
            "order": self.order(),
            "window": float(WINDOW.radius),
        }


def small_net(seed: int = 0) -> SmallNet:
    """Normal weights of variance 2 / n_{j-1} and normal biases of standard deviation 1/2, rounded."""
    generator = stream(seed, "book/small-net")

    def draw(*shape: int, scale: float) -> np.ndarray:
        return (UNIT * scale * torch.randn(*shape, generator=generator)).round().long().numpy()

    pairs = list(pairwise(WIDTHS))
    return SmallNet(
        tuple(draw(n, m, scale=(2 / n) ** 0.5) for n, m in pairs),
        tuple(draw(m, scale=0.5) for _, m in pairs),
    )


def _hundredths(values: np.ndarray) -> Array:
    return np.vectorize(lambda value: Fraction(int(value), UNIT), otypes=[object])(values)
