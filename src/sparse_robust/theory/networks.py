"""Small ReLU networks, in exact rationals or floating point, in the paper's notation.

The theorems on deep networks are about one difference of logits,

    h(x) = g_a(x) - g_k(x) = c^T s(W_{d-1}^T s(... s(W_1^T x + b_1) ...) + b_{d-1}) + b,   c = w_a - w_k,

with s = max(., 0). Exact networks hold ``fractions.Fraction`` in numpy arrays of dtype object, others
float64; numpy's arithmetic is the same for both, so every formula of the book is written once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Pattern = tuple[Array, ...]
"""Which units are active, D_1 .. D_{d-1}: one boolean array [n_j] for each hidden layer."""


@dataclass(frozen=True, eq=False)
class ReluNet:
    """h(x) as above; ``exact_net`` and ``float_net`` make one from lists.

    Attributes:
        weights: W_j, ``[n_{j-1}, n_j]``, for the d - 1 hidden layers; column u feeds unit u.
        readout: c, ``[n_{d-1}]``.
        biases: b_j, ``[n_j]`` each; empty for a network without biases, as the paper's.
        offset: the bias b of the output.

    Raises:
        ValueError: if shapes do not fit together.

    Reference: paper, equation (8).
    """

    weights: tuple[Array, ...]
    readout: Array
    biases: tuple[Array, ...] = ()
    offset: Any = 0

    def __post_init__(self) -> None:
        shapes = [w.shape for w in self.weights]
        if not shapes or any(len(s) != 2 for s in shapes):
            raise ValueError(f"weights must be one matrix for each hidden layer, got shapes {shapes}")
        widths = [shapes[0][0]] + [s[1] for s in shapes]
        if [s[0] for s in shapes] != widths[:-1] or self.readout.shape != (widths[-1],):
            raise ValueError(f"shapes {shapes} and readout {self.readout.shape} do not fit together")
        if self.biases and [b.shape for b in self.biases] != [(n,) for n in widths[1:]]:
            raise ValueError(f"biases need shapes {[(n,) for n in widths[1:]]}, one for each hidden layer")

    @property
    def exact(self) -> bool:
        """Whether the arithmetic is rational."""
        return self.readout.dtype == object

    @property
    def widths(self) -> tuple[int, ...]:
        """n_0, n_1, ..., n_{d-1}."""
        return (len(self.weights[0]), *(w.shape[1] for w in self.weights))

    def bias(self, layer: int) -> Any:
        """b of hidden layer ``layer`` (counted from 0), zero where there are none."""
        return self.biases[layer] if self.biases else 0

    def preactivations(self, x: Array) -> list[Array]:
        """W_j^T a_{j-1} + b_j for every hidden layer, at ``x [n_0]`` or at a batch ``[N, n_0]``."""
        values: list[Array] = []
        a = x
        for layer, w in enumerate(self.weights):
            values.append(a @ w + self.bias(layer))
            a = np.maximum(values[-1], 0)
        return values

    def __call__(self, x: Array) -> Any:
        """h(x), for ``x [n_0]`` or ``[N, n_0] -> [N]``."""
        return np.maximum(self.preactivations(x)[-1], 0) @ self.readout + self.offset

    def pattern(self, x: Array) -> Pattern:
        """D_1(x) .. D_{d-1}(x): true where the preactivation is positive (paper, equation (9))."""
        return tuple(np.asarray(z > 0, dtype=bool) for z in self.preactivations(x))

    def gradient(self, pattern: Pattern) -> Array:
        """W_1 D_1 ... W_{d-1} D_{d-1} c, ``[n_0]``: the gradient of h inside the region of the pattern.

        For the patterns of a batch, ``[N, n_j]`` each, the gradients ``[N, n_0]``.

        Reference: `lem-gradient`.
        """
        v = self.readout
        for w, active in zip(reversed(self.weights), reversed(pattern), strict=True):
            v = (active * v) @ w.T
        return v

    def affine(self, pattern: Pattern) -> Iterator[tuple[Array, Array]]:
        """Where the pattern holds, the preactivations of each hidden layer, and at last h, as affine maps.

        Yields (slope ``[n_0, n_j]``, shift ``[n_j]``): the layer's values are x @ slope + shift. The last
        pair is that of h, with n_j = 1.
        """
        slope, shift = np.eye(self.widths[0], dtype=self.readout.dtype), 0 * self.weights[0][:, 0]
        for layer, (w, active) in enumerate(zip(self.weights, pattern, strict=True)):
            slope, shift = slope @ w, shift @ w + self.bias(layer)
            yield slope, shift
            slope, shift = slope * active, shift * active
        yield (slope @ self.readout)[:, None], np.atleast_1d(shift @ self.readout + self.offset)

    def masked(self, masks: Sequence[Array]) -> ReluNet:
        """The network with weights W_j * M_j (Hadamard); biases and readout stay."""
        pruned = tuple(w * m for w, m in zip(self.weights, masks, strict=True))
        return ReluNet(pruned, self.readout, self.biases, self.offset)


def closed_region(net: ReluNet, pattern: Pattern) -> tuple[Array, Array]:
    """(A, b) with {A x + b >= 0} the closed region of the pattern, ``[units, n_0]`` and ``[units]``."""
    normals, offsets = [], []
    for (slope, shift), active in zip(net.affine(pattern), pattern, strict=False):  # the last piece is h
        sign = np.where(active, 1, -1)
        normals.append((slope * sign).T)
        offsets.append(shift * sign)
    return np.concatenate(normals), np.concatenate(offsets)


def exact_net(
    weights: Sequence[Sequence[Sequence[object]]],
    readout: Sequence[object],
    biases: Sequence[Sequence[object]] = (),
    offset: object = 0,
) -> ReluNet:
    """A network in exact rationals, from integers, fractions or strings such as "1/3"."""
    return ReluNet(
        tuple(fractions(w) for w in weights),
        fractions(readout),
        tuple(fractions(b) for b in biases),
        Fraction(str(offset)),
    )


def float_net(
    weights: Sequence[Any], readout: Any, biases: Sequence[Any] = (), offset: float = 0.0
) -> ReluNet:
    """A network in float64, from anything that numpy reads."""

    def array(values: Any) -> Array:
        return np.asarray(values, dtype=np.float64)

    return ReluNet(
        tuple(array(w) for w in weights), array(readout), tuple(array(b) for b in biases), float(offset)
    )


def fractions(values: Any) -> Array:
    """An array of ``Fraction`` from nested sequences of integers, fractions or strings."""
    array = np.array(values, dtype=object)
    return np.array([Fraction(str(v)) for v in array.flat], dtype=object).reshape(array.shape)
