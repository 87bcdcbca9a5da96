"""Layers with a leading replica axis."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sparse_robust.rng import stream


class ReplicaLinear(nn.Module):
    """R independent affine maps, ``[R, N, I] -> [R, N, O]``; replica r depends on ``seeds[r]`` alone.

    Weights and biases start uniform on (-1/sqrt(I), 1/sqrt(I)), PyTorch's own default for one map.

    Attributes:
        weight: [R, O, I].
        bias: [R, 1, O].
    """

    def __init__(self, seeds: Sequence[int], inputs: int, outputs: int, name: str) -> None:
        super().__init__()
        bound = inputs**-0.5

        def draw(part: str, *shape: int) -> nn.Parameter:
            draws = [
                torch.rand(shape, generator=stream(seed, f"init/{name}/{part}")) * 2 - 1 for seed in seeds
            ]
            return nn.Parameter(torch.stack(draws) * bound)

        self.weight = draw("weight", outputs, inputs)
        self.bias = draw("bias", 1, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [R, N, I] -> [R, N, O]."""
        return torch.baddbmm(self.bias, x, self.weight.mT)
