"""Every network of the book by name: how it is built, what it reads, how it is best computed with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torch import Tensor, nn

from .backpropagation import Backpropagation
from .cifar import ResNet32, VGGLike
from .lenet import LeNet5, LeNet300100
from .linear import LinearClassifier

Classifier = LinearClassifier | LeNet300100 | LeNet5 | VGGLike | ResNet32
"""[R, N, *D] -> [R, N, K]; a network of :data:`NETWORKS`."""

NetworkName = Literal["linear", "lenet-300-100", "lenet-5", "vgg", "resnet-32"]

Gradients = Callable[[Tensor], dict[str, Tensor]]
"""From the indices of a mini-batch [R, batch] to gradients by parameter name."""


@dataclass(frozen=True)
class Network:
    """One architecture.

    Attributes:
        build: (seeds, classes, narrow) -> replicas, one for each seed; ``narrow`` divides the channels of the
            networks for colour images, for tests.
        colour: whether it reads 32 x 32 colour images, trains on them augmented and is normalised by batch.
        relus: how many layers of units that may be silent it shows (``activations``).
        chunk: how many examples to compute with at once on a CPU, over all replicas: enough to fill the
            cores, few enough to stay in cache. The maps of a convolutional network are larger than its input.
        one_by_one: whether one replica fills a GPU, so that seeds are run one after another there, too.
        on_support: for linear classifiers, the same ones on the inputs that they read alone, and where those
            are, [R, S]; attacks need no others.
        gradients: for a lone replica on a CPU, the gradient written out, which is faster than autograd:
            (model, inputs [N, *D], classes [N], batch size) -> :data:`Gradients`.
    """

    build: Callable[[Sequence[int], int, int], Classifier]
    colour: bool = False
    relus: int = 0
    chunk: int = 1000
    one_by_one: bool = False
    on_support: Callable[[Any], tuple[Classifier, Tensor]] | None = None
    gradients: Callable[[Any, Tensor, Tensor, int], Gradients] | None = None


NETWORKS: Mapping[NetworkName, Network] = {
    "linear": Network(
        lambda seeds, classes, narrow: LinearClassifier(seeds, 28 * 28, classes),
        on_support=LinearClassifier.on_support,
    ),
    "lenet-300-100": Network(
        lambda seeds, classes, narrow: LeNet300100(seeds, 28 * 28, classes),
        relus=2,
        gradients=Backpropagation,
    ),
    "lenet-5": Network(lambda seeds, classes, narrow: LeNet5(seeds, classes), relus=1, chunk=100),
    "vgg": Network(
        lambda seeds, classes, narrow: VGGLike(seeds, narrow, classes), colour=True, one_by_one=True
    ),
    "resnet-32": Network(
        lambda seeds, classes, narrow: ResNet32(seeds, narrow, classes), colour=True, one_by_one=True
    ),
}

COLOUR: tuple[NetworkName, ...] = tuple(name for name in get_args(NetworkName) if NETWORKS[name].colour)
"""The networks for images in colour."""


def prunable(model: nn.Module) -> dict[str, Tensor]:
    """The weights by parameter name, each [R, ...]; biases are never pruned (paper, section 4.1)."""
    return {name: p for name, p in model.named_parameters() if name.endswith("weight")}
