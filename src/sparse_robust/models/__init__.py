"""Classifiers with a leading replica axis, and a registry of how each is built and computed with."""

from .backpropagation import Backpropagation
from .cifar import ImageClassifier, ResNet32, VGGLike
from .layers import ReplicaConvPool2d, ReplicaLinear
from .lenet import LeNet5, LeNet300100
from .linear import LinearClassifier
from .registry import COLOUR, NETWORKS, Classifier, Network, NetworkName, prunable

__all__ = [
    "COLOUR",
    "NETWORKS",
    "Backpropagation",
    "Classifier",
    "ImageClassifier",
    "LeNet5",
    "LeNet300100",
    "LinearClassifier",
    "Network",
    "NetworkName",
    "ReplicaConvPool2d",
    "ReplicaLinear",
    "ResNet32",
    "VGGLike",
    "prunable",
]
