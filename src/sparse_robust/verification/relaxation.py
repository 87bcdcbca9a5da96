"""Straight lines above and below a ReLU or a maximum, on the range of its inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from sparse_robust.theory.layer_intervals import Range
from sparse_robust.theory.linear_maps import MaxPool2d


class Relaxation(Protocol):
    """Linear functions below and above an operation on a range."""

    def backward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """From lower bounds that are linear in the outputs to such that are linear in the inputs.

        Args:
            rows: ``[N or 1, M, *outputs]``.

        Returns:
            rows' ``[N, M, *inputs]`` and a shift ``[N, M]`` with rows . output >= rows' . input + shift.
        """
        ...


@dataclass(frozen=True, eq=False)
class ReluLines:
    """low_slope z <= relu(z) <= high_slope z + high_shift on a range.

    Attributes:
        low_slope: in [0, 1], ``[N, M or 1, *units]``.
        high_slope: in [0, 1], ``[N, 1, *units]``.
        high_shift: at least 0, ``[N, 1, *units]``.
        unstable: where the range holds 0 inside, and any low_slope in [0, 1] is valid, ``[N, 1, *units]``.
    """

    low_slope: Tensor
    high_slope: Tensor
    high_shift: Tensor
    unstable: Tensor

    def backward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Relaxation.backward`."""
        up, down = rows.clamp(min=0), rows.clamp(max=0)
        shift = (down * self.high_shift).flatten(2).sum(-1)
        return up * self.low_slope + down * self.high_slope, shift

    def with_slopes(self, slopes: Tensor) -> ReluLines:
        """The same with ``slopes [N, M, *units]`` in [0, 1] for the lower lines of unstable units."""
        low_slope = torch.where(self.unstable, slopes, self.low_slope)
        return ReluLines(low_slope, self.high_slope, self.high_shift, self.unstable)


def relu_lines(bounds: Range) -> ReluLines:
    """The chord above and, below, the one of 0 and z that is nearer, between ``bounds [N, *units]``.

    For low < 0 < high: relu(z) <= high (z - low) / (high - low), and relu(z) >= z if high > -low, else 0.

    Reference: Zhang et al. 2018, section 3.2, with the adaptive choice of section 3.3.
    """
    low, high = (end[:, None] for end in bounds)
    unstable = (low < 0) & (high > 0)
    active = (low >= 0).to(low)
    width = torch.where(unstable, high - low, 1.0)
    chord = torch.where(unstable, high / width, active)
    shift = torch.where(unstable, -chord * low, 0.0)
    nearer = torch.where(unstable, (high > -low).to(low), active)
    return ReluLines(nearer, chord, shift, unstable)


@dataclass(frozen=True, eq=False)
class MaxPlanes:
    """Planes below and above the maximum of each window on a range.

    Attributes:
        pool: the windows.
        image: (C, H, W), the shape of what they are taken from.
        chosen: 1 for the input of each window that is the plane below, else 0,
            ``[N, 1, C, kernel^2, windows]``.
        high_slope: of the plane above, in [0, 1], of the same shape.
        high_shift: ``[N, 1, C, windows]``.
    """

    pool: MaxPool2d
    image: tuple[int, ...]
    chosen: Tensor
    high_slope: Tensor
    high_shift: Tensor

    def backward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Relaxation.backward`."""
        many = rows.flatten(3)  # [N, M, C, windows]
        up, down = many.clamp(min=0), many.clamp(max=0)
        shift = (down * self.high_shift).flatten(2).sum(-1)
        spread = up[:, :, :, None] * self.chosen + down[:, :, :, None] * self.high_slope
        sides = {"kernel_size": self.pool.kernel, "stride": self.pool.stride}
        folded = functional.fold(spread.flatten(0, 2), self.image[1:], **sides)
        return folded.reshape(*spread.shape[:2], *self.image), shift


def max_planes(pool: MaxPool2d, bounds: Range) -> MaxPlanes:
    """Planes for max pooling of images between ``bounds [N, C, H, W]``.

    With m the largest lower end of a window: below, the input whose lower end that is. Above,
    max z <= m + sum over the inputs with high_i > m of (high_i - m) (z_i - low_i) / (high_i - low_i), as
    max z = m + max(z - m)_+ there; or the largest upper end, if that is smaller in the middle of the range.
    Where one input alone exceeds m, both planes are that input.

    Reference: Zhang et al. 2018, section 3 (any pair of valid planes gives valid bounds).
    """
    image = tuple(bounds[0].shape[1:])
    low, high = (windows(pool, end) for end in bounds)  # [N, C, kernel^2, windows]
    best, where = low.max(2, keepdim=True)
    chosen = torch.zeros_like(low).scatter(2, where, 1.0)
    largest = high.amax(2, keepdim=True)
    excess = (high - best).clamp(min=0)
    alone = (((high > best) & (chosen == 0)).sum(2, keepdim=True)) == 0
    slope = torch.where(excess > 0, excess / (high - low).clamp(min=torch.finfo(low.dtype).tiny), 0.0)
    tilted = best + excess.sum(2, keepdim=True) / 2 < largest
    slope = torch.where(alone, chosen, torch.where(tilted, slope, 0.0))
    shift = torch.where(alone, 0.0, torch.where(tilted, best - (slope * low).sum(2, keepdim=True), largest))
    return MaxPlanes(pool, image, chosen[:, None], slope[:, None], shift[:, None, :, 0])


def windows(pool: MaxPool2d, images: Tensor) -> Tensor:
    """The windows of ``images [N, C, H, W]``, ``[N, C, kernel^2, windows]``."""
    flat = functional.unfold(images.flatten(0, 1)[:, None], pool.kernel, stride=pool.stride)
    return flat.unflatten(0, images.shape[:2])
