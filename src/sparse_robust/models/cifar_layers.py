"""Layers of image classifiers. Each maps one list of maps, one entry for each replica, to the next.

Replicas go through a layer one after another: on a GPU a batch of one replica of these nets is work enough,
and grouped convolutions, which would join them, are slow in half precision.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparse_robust.rng import hashed, stream

Maps = list[Tensor]
"""R tensors [N, C, H, W], or [N, C] behind the last convolution."""


class Convolution(nn.Module):
    """R convolutions of 3 x 3 with a margin of zeros and without biases, [N, C, H, W] -> [N, O, H/s, W/s].

    Weights start normal with variance 2 / (9 C) (He et al. 2015), replica r from ``seeds[r]`` alone.

    Attributes:
        weight: [R, O, C, 3, 3].
    """

    def __init__(self, seeds: Sequence[int], channels: int, filters: int, name: str, stride: int = 1) -> None:
        super().__init__()
        shape = (filters, channels, 3, 3)
        draws = [torch.randn(shape, generator=stream(seed, f"init/{name}/weight")) for seed in seeds]
        self.weight = nn.Parameter(torch.stack(draws) * (2 / (9 * channels)) ** 0.5)
        self.stride = stride

    def forward(self, maps: Maps) -> Maps:
        """One convolution for each replica."""
        weights = self.weight.unbind()
        return [functional.conv2d(z, w, None, self.stride, 1) for z, w in zip(maps, weights, strict=True)]


class BatchNorm(nn.Module):
    """R batch normalisations of C channels: with the batch's moments in training, with stored ones after.

    Scale and shift are not called weights, as they are neither pruned nor decayed. Stored moments move a
    tenth of the way to those of each training batch (PyTorch's default).

    Attributes:
        scale, shift: [R, C], from 1 and 0.
        mean, variance: [R, C], of the stored moments.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, replicas: int, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(replicas, channels))
        self.shift = nn.Parameter(torch.zeros(replicas, channels))
        self.register_buffer("mean", torch.zeros(replicas, channels))
        self.register_buffer("variance", torch.ones(replicas, channels))

    def forward(self, maps: Maps) -> Maps:
        """Each replica by its own moments."""
        of = zip(
            *(maps, self.mean.unbind(), self.variance.unbind(), self.scale.unbind(), self.shift.unbind()),
            strict=True,
        )
        return [functional.batch_norm(*parts, training=self.training) for parts in of]


class Dropout(nn.Module):
    """Zero each entry with a probability, and scale the others so that the mean stays.

    Which ones depends on the replica's noise key and the layer's number alone: a hash of the entry's place,
    so that the same are chosen on every device and no generator has to be kept in step.

    Attributes:
        base: the probability that the architecture names.
        rate: the one in use, a tensor.
    """

    rate: Tensor

    def __init__(self, base: float, number: int) -> None:
        super().__init__()
        self.base, self.number = base, number
        self.register_buffer("rate", torch.tensor(base), persistent=False)

    def forward(self, maps: Maps, noise: Tensor | None) -> Maps:
        """``noise`` int32 [R, 2]; None, or evaluation mode, for no dropout."""
        if noise is None or not self.training:
            return maps
        dropped = []
        for z, key in zip(maps, noise.unbind(), strict=True):
            uniform = hashed(key + self.number, z.numel()).view(z.shape)
            dropped.append(z * ((uniform >= self.rate) / (1 - self.rate)).to(z.dtype))
        return dropped
