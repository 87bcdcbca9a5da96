"""Classifiers with a leading replica axis, and which of their parameters pruning may touch."""

from torch import Tensor, nn

from .backpropagation import Backpropagation
from .image_layers import BatchNorm, Convolution, Dropout
from .images import ImageClassifier, ResNet32, VGGLike
from .layers import ReplicaConvPool2d, ReplicaLinear
from .lenet import LeNet5, LeNet300100
from .linear import LinearClassifier

Classifier = LinearClassifier | LeNet300100 | LeNet5 | VGGLike | ResNet32
"""[R, N, *D] -> [R, N, K]."""


def prunable(model: nn.Module) -> dict[str, Tensor]:
    """The weights by parameter name, each [R, ...]; biases are never pruned (paper, section 4.1)."""
    return {name: p for name, p in model.named_parameters() if name.endswith("weight")}


__all__ = [
    "Backpropagation",
    "BatchNorm",
    "Classifier",
    "Convolution",
    "Dropout",
    "ImageClassifier",
    "LeNet5",
    "LeNet300100",
    "LinearClassifier",
    "ReplicaConvPool2d",
    "ReplicaLinear",
    "ResNet32",
    "VGGLike",
    "prunable",
]
