"""Classifiers with a leading replica axis, and which of their parameters pruning may touch."""

from torch import Tensor, nn

from .layers import ReplicaLinear
from .linear import LinearClassifier


def prunable(model: nn.Module) -> dict[str, Tensor]:
    """The weights by parameter name, each [R, ...]; biases are never pruned (paper, section 4.1)."""
    return {name: p for name, p in model.named_parameters() if name.endswith("weight")}


__all__ = ["LinearClassifier", "ReplicaLinear", "prunable"]
