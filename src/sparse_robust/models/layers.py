"""Layers with a leading replica axis."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparse_robust.rng import stream


def uniform(seeds: Sequence[int], name: str, shape: Sequence[int], bound: float) -> nn.Parameter:
    """Initial values [R, *shape], uniform on (-bound, bound); row r depends on ``seeds[r]`` alone."""
    draws = [torch.rand(*shape, generator=stream(seed, f"init/{name}")) * 2 - 1 for seed in seeds]
    return nn.Parameter(torch.stack(draws) * bound)


class ReplicaLinear(nn.Module):
    """R independent affine maps, ``[R, N, I] -> [R, N, O]``; replica r depends on ``seeds[r]`` alone.

    Weights and biases start uniform on (-1/sqrt(I), 1/sqrt(I)), PyTorch's own default for one map; with
    ``xavier`` as Caffe's filler of that name starts them: weights uniform on (-sqrt(3/I), sqrt(3/I)), of
    variance 1/I, and biases at zero.

    Attributes:
        weight: [R, O, I].
        bias: [R, 1, O].
    """

    def __init__(
        self, seeds: Sequence[int], inputs: int, outputs: int, name: str, *, xavier: bool = False
    ) -> None:
        super().__init__()
        if xavier:
            self.weight = uniform(seeds, f"{name}/weight", (outputs, inputs), (3 / inputs) ** 0.5)
            self.bias = nn.Parameter(torch.zeros(len(seeds), 1, outputs))
        else:
            self.weight = uniform(seeds, f"{name}/weight", (outputs, inputs), inputs**-0.5)
            self.bias = uniform(seeds, f"{name}/bias", (1, outputs), inputs**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [R, N, I] -> [R, N, O]."""
        # weights on the left: their gradient then comes out in their own layout, without a copy
        return torch.baddbmm(self.bias.mT, self.weight, x.mT).mT


class ReplicaConvPool2d(nn.Module):
    """R independent convolutions without padding, each followed by the maximum over squares of 2 x 2.

    ``[R, N, C, H, W] -> [R, N, O, (H - k + 1) // 2, (W - k + 1) // 2]``. They start as Caffe's xavier filler
    starts them: weights uniform on (-sqrt(3/I), sqrt(3/I)) with I = C k^2 inputs to each output, biases at
    zero.

    Attributes:
        weight: [R, O, C, k, k].
        bias: [R, O].
    """

    def __init__(self, seeds: Sequence[int], channels: int, filters: int, size: int, name: str) -> None:
        super().__init__()
        bound = (3 / (channels * size**2)) ** 0.5
        self.weight = uniform(seeds, f"{name}/weight", (filters, channels, size, size), bound)
        self.bias = nn.Parameter(torch.zeros(len(seeds), filters))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [R, N, C, H, W] -> [R, N, O, (H - k + 1) // 2, (W - k + 1) // 2]."""
        return (one_by_one if x.device.type == "cpu" else grouped)(x, self.weight, self.bias)


def one_by_one(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The maps of R replicas one after another: on a CPU, where one fills the cores, the faster way.

    The channels of a pixel lie side by side, which is the layout that CPUs convolve fastest in, and replicas
    are joined when their maps are small again.
    """
    layout = torch.channels_last
    rows = [
        functional.max_pool2d(functional.conv2d(z.to(memory_format=layout), w.to(memory_format=layout), b), 2)
        for z, w, b in zip(x, weight, bias, strict=True)
    ]
    return torch.stack([row.movedim(1, -1) for row in rows]).movedim(-1, 2)


def grouped(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The maps of R replicas from one convolution with R groups: on a GPU, which one replica leaves idle."""
    replicas = len(weight)
    joined = functional.conv2d(
        x.transpose(0, 1).flatten(1, 2), weight.flatten(0, 1), bias.flatten(), groups=replicas
    )
    return functional.max_pool2d(joined, 2).unflatten(1, (replicas, -1)).transpose(0, 1)
