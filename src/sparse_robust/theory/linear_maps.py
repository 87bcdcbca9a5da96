"""Layers as linear maps, by what they do: norms of dense and convolutional layers without their matrices.

A layer maps a_{j-1} to A a_{j-1}, so that A is the transpose of the paper's W_j: ||W_j||_{1->1} is
||A||_{inf->inf} here. All arithmetic is in float64, and what is called a bound holds up to rounding.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from sparse_robust.rng import stream

Entrywise = Callable[[Tensor], Tensor]


class LinearMap(ABC):
    """A linear map that can be applied forwards and backwards."""

    @property
    @abstractmethod
    def inputs(self) -> tuple[int, ...]:
        """The shape of what the map is applied to."""

    @abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        """A x, for ``x [N, *inputs]``."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """A^T y, for ``y`` of the shape that :meth:`apply` gives."""

    @abstractmethod
    def entrywise(self, change: Entrywise) -> LinearMap:
        """The map with ``change`` applied to every entry of its matrix; ``change(0)`` has to be 0."""

    def magnitude(self) -> LinearMap:
        """|A|, entry by entry."""
        return self.entrywise(torch.abs)

    def ones(self) -> Tensor:
        """A batch of one input, all ones."""
        return torch.ones(1, *self.inputs, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class Dense(LinearMap):
    """x -> weight x, on inputs that are flattened first.

    Attributes:
        weight: ``[O, I]``, as PyTorch has it.

    Raises:
        ValueError: if the weight is no matrix.
    """

    weight: Tensor

    def __post_init__(self) -> None:
        if self.weight.ndim != 2:
            raise ValueError(f"weight must be a matrix [outputs, inputs], got shape {[*self.weight.shape]}")

    @property
    def inputs(self) -> tuple[int, ...]:
        """(I,)."""
        return (self.weight.shape[1],)

    def apply(self, x: Tensor) -> Tensor:
        """``[N, *D] -> [N, O]``, where the product of ``*D`` is I."""
        return x.flatten(1) @ self.weight.double().mT

    def adjoint(self, y: Tensor) -> Tensor:
        """``[N, O] -> [N, I]``."""
        return y @ self.weight.double()

    def entrywise(self, change: Entrywise) -> Dense:
        """See :meth:`LinearMap.entrywise`."""
        return Dense(change(self.weight.double()))


@dataclass(frozen=True, eq=False)
class Conv2d(LinearMap):
    """A convolution without bias, as a linear map between images.

    Attributes:
        weight: the kernels, ``[O, I, height, width]``.
        image: the shape of its inputs, (I, H, W).
        stride: in both directions.
        padding: zeros on all four sides.

    Raises:
        ValueError: if the shapes do not fit together.
    """

    weight: Tensor
    image: tuple[int, int, int]
    stride: int = 1
    padding: int = 0

    def __post_init__(self) -> None:
        kernel, image = tuple(self.weight.shape), self.image
        if len(kernel) != 4 or len(image) != 3 or kernel[1] != image[0]:
            raise ValueError(
                f"kernels {[*kernel]} need an image of shape (I, H, W), I the second; got {image}"
            )
        if self.stride < 1 or self.padding < 0:
            raise ValueError(f"stride {self.stride} must be at least 1, padding {self.padding} at least 0")
        if min(image[1] - kernel[2], image[2] - kernel[3]) + 2 * self.padding < 0:
            raise ValueError(f"kernels {[*kernel]} are larger than the padded image {image}")

    @property
    def inputs(self) -> tuple[int, ...]:
        """(I, H, W)."""
        return self.image

    def apply(self, x: Tensor) -> Tensor:
        """``[N, I, H, W] -> [N, O, H', W']``."""
        return functional.conv2d(x, self.weight.double(), stride=self.stride, padding=self.padding)

    def adjoint(self, y: Tensor) -> Tensor:
        """``[N, O, H', W'] -> [N, I, H, W]``."""
        left = [
            (side + 2 * self.padding - kernel) % self.stride
            for side, kernel in zip(self.image[1:], self.weight.shape[2:], strict=True)
        ]  # rows and columns at the far end that no kernel reaches
        return functional.conv_transpose2d(
            y, self.weight.double(), stride=self.stride, padding=self.padding, output_padding=left
        )

    def entrywise(self, change: Entrywise) -> Conv2d:
        """See :meth:`LinearMap.entrywise`: the entries of the matrix are those of the kernels, and zeros."""
        return replace(self, weight=change(self.weight.double()))


@dataclass(frozen=True)
class MaxPool2d:
    """Max pooling, which is not linear: each of its gradients selects one input for each output.

    Attributes:
        kernel: the side of the windows.
        stride: their distance.

    Raises:
        ValueError: if either is not positive.
    """

    kernel: int
    stride: int

    def __post_init__(self) -> None:
        if self.kernel < 1 or self.stride < 1:
            raise ValueError(f"kernel and stride must be at least 1, got {self.kernel} and {self.stride}")

    def apply(self, x: Tensor) -> Tensor:
        """The largest entry in each window, ``[N, C, H, W] -> [N, C, H', W']``."""
        return functional.max_pool2d(x, self.kernel, self.stride)

    @property
    def euclidean(self) -> int:
        """A Lipschitz constant in l_2; no input is in more windows than its square (`prop-pooling`)."""
        return math.ceil(self.kernel / self.stride)


Layer = LinearMap | MaxPool2d


def norm_inf(layer: LinearMap) -> float:
    """||A||_{inf->inf}, the largest row sum of |A|: |A| applied to ones. The paper's ||W||_{1->1}."""
    return float(layer.magnitude().apply(layer.ones()).max())


def norm_1(layer: LinearMap) -> float:
    """||A||_{1->1}, the largest column sum of |A|: |A|^T applied to ones. The paper's ||W||_{inf->inf}."""
    return float(layer.magnitude().adjoint(torch.ones_like(layer.apply(layer.ones()))).max())


def frobenius(layer: LinearMap) -> float:
    """||A||_F, of the whole matrix: a kernel counts once for every place where it is applied."""
    return math.sqrt(float(layer.entrywise(torch.square).apply(layer.ones()).sum()))


@dataclass(frozen=True)
class SpectralNorm:
    """Two bounds for the largest singular value of A.

    Attributes:
        lower: ||A v|| of the last unit vector v: certain.
        upper: holds with the confidence asked for, over the random start of the iteration; never above
            ||A||_F and the root of ||A||_{1->1} ||A||_{inf->inf}, which are certain.
        residual: ||A^T A v - lower^2 v||: A^T A has an eigenvalue within this of lower^2. That it is the
            largest one does not follow.
        steps: of the iteration.
    """

    lower: float
    upper: float
    residual: float
    steps: int


def spectral_norm(
    layer: LinearMap, *, steps: int = 200, confidence: float = 1 - 1e-6, seed: int = 0
) -> SpectralNorm:
    """||A||_2 by power iteration on B = A^T A from a random unit vector u, with what is guaranteed.

    ||B^k u|| >= s^(2k) |u_1|, where s = ||A||_2 and u_1 is the coordinate of u along a right singular vector
    of s; and |u_1| <= t has a probability of at most t sqrt(2 n / pi) (`prop-power-iteration`). So with
    t = (1 - confidence) / sqrt(2 n / pi), s <= (||B^k u|| / t)^(1 / 2k) with the confidence asked for.

    Args:
        layer: the linear map, n inputs.
        steps: k.
        confidence: below 1; its price is logarithmic.
        seed: of the start.

    Raises:
        ValueError: if steps or confidence is out of range.
    """
    if steps < 1 or not 0 < confidence < 1:
        raise ValueError(f"need steps >= 1 and 0 < confidence < 1, got {steps} and {confidence}")
    start = torch.randn(1, *layer.inputs, generator=stream(seed, "power-iteration"), dtype=torch.float64)
    v, growth = start / start.norm(), 0.0
    for _ in range(steps):
        w = layer.adjoint(layer.apply(v))
        length = float(w.norm())
        if length == 0:  # almost surely the map is zero
            return SpectralNorm(0.0, frobenius(layer), 0.0, steps)
        v, growth = w / length, growth + math.log(length)
    image = layer.apply(v)
    lower = float(image.norm())
    log_t = math.log1p(-confidence) - math.log(2 * start.numel() / math.pi) / 2
    upper = min(
        math.exp((growth - log_t) / (2 * steps)),
        frobenius(layer),
        math.sqrt(norm_1(layer) * norm_inf(layer)),
    )
    residual = float((layer.adjoint(image) - lower**2 * v).norm())
    return SpectralNorm(lower, max(upper, lower), residual, steps)


def layers_path_norm(layers: Sequence[Layer], readout: Tensor) -> float:
    """The path norm |c|^T |A_{d-1}| ... |A_1| 1 of a network of layers with ReLU, max pooling included.

    It bounds L_1, and so L_2: the network of absolute values, without biases, is applied to ones. The number
    at a unit bounds the l_1 norm of its gradient, and a pooled unit has the gradient of one of its inputs
    (`prop-pooling`).

    Args:
        layers: from the input on; the first must be linear.
        readout: c, the difference of two rows of the last weight matrix, ``[n_{d-1}]``.

    Raises:
        ValueError: if there is no layer, the first is no linear map, or the readout does not fit.
    """
    sums = _first(layers).ones()
    for layer in layers:
        sums = (layer.magnitude() if isinstance(layer, LinearMap) else layer).apply(sums)
    if sums.numel() != readout.numel():
        raise ValueError(f"readout needs {sums.numel()} entries, got {readout.numel()}")
    return float(readout.double().abs() @ sums.flatten())


def layers_product(layers: Sequence[Layer], readout: Tensor, *, q: int, steps: int = 200) -> float:
    """||c||_q prod_j of the norms of the layers, an upper bound for L_q, q = 1 or 2.

    q = 1: ||A_j||_{inf->inf}, and 1 for max pooling. q = 2: the upper bounds of :func:`spectral_norm`, and
    :attr:`MaxPool2d.euclidean`.

    Args:
        layers: as for :func:`layers_path_norm`.
        readout: as for :func:`layers_path_norm`.
        q: 1 or 2.
        steps: of :func:`spectral_norm`, for q = 2.

    Raises:
        ValueError: if q is neither 1 nor 2, or the first layer is no linear map.
    """
    _first(layers)
    if q not in (1, 2):
        raise ValueError(f"q must be 1 or 2, got {q}")
    product = float(torch.linalg.vector_norm(readout.double(), ord=q))
    for layer in layers:
        if isinstance(layer, MaxPool2d):
            product *= 1 if q == 1 else layer.euclidean
        else:
            product *= norm_inf(layer) if q == 1 else spectral_norm(layer, steps=steps).upper
    return product


def _first(layers: Sequence[Layer]) -> LinearMap:
    """The first layer, which says what shape the inputs have."""
    if not layers or not isinstance(layers[0], LinearMap):
        raise ValueError("give at least one layer, the first of them a linear map, which fixes the inputs")
    return layers[0]
