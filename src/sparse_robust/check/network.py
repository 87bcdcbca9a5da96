"""What a network's sparsity is taken of, in words."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from .graph import Graph, Values

NAMED = 4
"""Tensors that a note names; of more it gives the number."""


def counted(graph: Graph, stored: Values) -> str:
    """What counts as a weight: the constants that data is multiplied by in linear maps."""
    weights = graph.weights
    others = [
        name
        for name, value in stored.items()
        if isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 1 and name not in weights
    ]
    return describe_counted(weights, others, folded=any(layer.computed for layer in graph.layers))


def describe_counted(weights: dict[str, Tensor], others: Sequence[str], *, folded: bool = False) -> str:
    """The note on sparsity, for weights by label and the names of what is left out."""
    numbers = sum(weight.numel() for weight in weights.values())
    said = f"sparsity counts the {numbers:,} weights of {_several(list(weights), 'layer')}"
    if folded:
        said += ", as they are after what the file computes of them (masks, scales)"
    return f"{said}; not of {_several(others, 'tensor')}, no layer's weight" if others else said


def _several(names: Sequence[str], noun: str) -> str:
    if len(names) > NAMED:
        return f"{len(names)} {noun}s"
    return (
        f"{len(names)} {noun}{'s' if len(names) != 1 else ''} ({', '.join(names)})" if names else f"no {noun}"
    )


__all__ = ["counted", "describe_counted"]
