"""The two networks of the paper's section 4.2, as Caffe's examples and the pruning literature define them."""

from collections.abc import Sequence

from torch import Tensor, nn

from .layers import ReplicaConvPool2d, ReplicaLinear
from .linearised import LinearisedPerceptron


class LeNet300100(nn.Module):
    """R multilayer perceptrons D-300-100-K with ReLU, ``[R, N, *D] -> [R, N, K]``.

    Args:
        seeds: one seed per replica; replica r depends on ``seeds[r]`` alone.
        inputs: the number of input coordinates, the product of ``*D``.
        classes: K.
    """

    def __init__(self, seeds: Sequence[int], inputs: int = 28 * 28, classes: int = 10) -> None:
        super().__init__()
        self.hidden_1 = ReplicaLinear(seeds, inputs, 300, "hidden_1", xavier=True)
        self.hidden_2 = ReplicaLinear(seeds, 300, 100, "hidden_2", xavier=True)
        self.readout = ReplicaLinear(seeds, 100, classes, "readout", xavier=True)

    def activations(self, x: Tensor) -> list[Tensor]:
        """After each ReLU, the last layer's input last: ``x`` [R, N, *D] -> [R, N, 300] and [R, N, 100]."""
        first = self.hidden_1(x.flatten(2)).relu()
        return [first, self.hidden_2(first).relu()]

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [R, N, *D] -> logits [R, N, K]."""
        logits: Tensor = self.readout(self.activations(x)[-1])
        return logits

    def linearise(self, x: Tensor) -> LinearisedPerceptron:
        """The network linearised at ``x`` [R, N, *D], as attacks need it."""
        layers = (self.hidden_1, self.hidden_2, self.readout)
        return LinearisedPerceptron([(layer.weight, layer.bias) for layer in layers], x)


class LeNet5(nn.Module):
    """R of Caffe's LeNets for 28 x 28 pixels, ``[R, N, *D] -> [R, N, K]``.

    20 filters of 5 x 5, maximum over 2 x 2, 50 filters of 5 x 5, maximum over 2 x 2, 500 hidden units
    with ReLU, readout. There is no ReLU after the convolutions.

    Args:
        seeds: one seed per replica; replica r depends on ``seeds[r]`` alone.
        classes: K.
    """

    def __init__(self, seeds: Sequence[int], classes: int = 10) -> None:
        super().__init__()
        self.filters_1 = ReplicaConvPool2d(seeds, 1, 20, 5, "filters_1")
        self.filters_2 = ReplicaConvPool2d(seeds, 20, 50, 5, "filters_2")
        self.hidden = ReplicaLinear(seeds, 50 * 4 * 4, 500, "hidden", xavier=True)
        self.readout = ReplicaLinear(seeds, 500, classes, "readout", xavier=True)

    def activations(self, x: Tensor) -> list[Tensor]:
        """After its one ReLU, the last layer's input: ``x`` [R, N, *D] -> [R, N, 500]."""
        maps = x.reshape(*x.shape[:2], 1, 28, 28)
        for filters in (self.filters_1, self.filters_2):
            maps = filters(maps)  # [R, N, filters, height, width]
        hidden: Tensor = self.hidden(maps.flatten(2))
        return [hidden.relu()]

    def forward(self, x: Tensor) -> Tensor:
        """``x`` [R, N, *D] -> logits [R, N, K]."""
        logits: Tensor = self.readout(self.activations(x)[-1])
        return logits
