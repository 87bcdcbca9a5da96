"""What one image costs in each layer of a network, counted as it passes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .cifar_layers import Convolution
from .layers import ReplicaLinear


@dataclass(frozen=True)
class LayerCost:
    """A layer with weights.

    Attributes:
        name: of its parameters.
        output: the shape of its output for one image.
        weights: their number, what pruning can remove.
        macs: multiplications, each with an addition, for one image.
    """

    name: str
    output: tuple[int, ...]
    weights: int
    macs: int


def layers(model: nn.Module) -> list[LayerCost]:
    """Every convolution and linear map of the first replica, in order, as one image passes them."""
    costs: list[LayerCost] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def record(module: nn.Module, _: Any, result: Tensor | list[Tensor]) -> None:
            assert isinstance(module, Convolution | ReplicaLinear)
            output = tuple(result[0].shape[1:])  # a list, or [R, N, O]
            weights = module.weight[0].numel()
            pixels = output[1] * output[2] if isinstance(module, Convolution) else 1
            costs.append(LayerCost(name, output, weights, weights * pixels))

        return record

    watched = {n: m for n, m in model.named_modules() if isinstance(m, Convolution | ReplicaLinear)}
    hooks = [module.register_forward_hook(watch(name)) for name, module in watched.items()]
    replicas = next(model.parameters()).shape[0]
    with torch.no_grad():
        model.eval()(torch.zeros(replicas, 1, 3 * 32 * 32))
    for hook in hooks:
        hook.remove()
    return costs
