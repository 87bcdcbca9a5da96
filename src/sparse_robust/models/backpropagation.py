"""The gradient of a lone multilayer perceptron, written out."""

import torch
from torch import Tensor

from .lenet import LeNet300100


class Backpropagation:
    """The gradient of the mean cross-entropy of one perceptron with ReLU over a mini-batch, on a CPU.

    It is what autograd computes, without its bookkeeping and without new memory at every step: the network
    is so small that those take as long as a good part of the arithmetic.

    Args:
        model: a single replica; its weights are read anew in every call.
        x: the training inputs [N, *D].
        y: their classes [N], int64.
        batch_size: examples in a mini-batch.
    """

    def __init__(self, model: LeNet300100, x: Tensor, y: Tensor, batch_size: int) -> None:
        self._x, self._y = x.flatten(1), y
        parameters = {name: p.data for name, p in model.named_parameters()}
        self._gradients = {name: torch.empty_like(p) for name, p in parameters.items()}
        self._layers, self._slopes = (
            [(of[f"{name}.weight"][0], of[f"{name}.bias"][0, 0]) for name, _ in model.named_children()]
            for of in (parameters, self._gradients)
        )
        # [batch, inputs] of each layer, and last the logits; of all but the first the loss has a slope
        sizes = [*(weight.shape[1] for weight, _ in self._layers), len(self._layers[-1][1])]
        self._values = [x.new_empty(batch_size, size) for size in sizes]
        self._errors = [torch.empty_like(values) for values in self._values[1:]]
        self._minus_one = x.new_full((batch_size, 1), -1.0)

    @torch.no_grad()
    def __call__(self, index: Tensor) -> dict[str, Tensor]:
        """Gradients by parameter name, over the examples ``index`` [1, batch]; the next call overwrites."""
        inputs, logits = self._values[:-1], self._values[-1]
        torch.index_select(self._x, 0, index[0], out=inputs[0])
        for k, (weight, bias) in enumerate(self._layers):
            torch.addmm(bias, inputs[k], weight.mT, out=self._values[k + 1])
            if k + 1 < len(inputs):
                inputs[k + 1].relu_()
        # softmax, less 1 at the class, over the number of examples
        error = torch.softmax(logits, 1, out=self._errors[-1])
        classes = self._y.index_select(0, index[0])
        error.scatter_add_(1, classes[:, None], self._minus_one).div_(float(len(error)))
        for k in reversed(range(len(inputs))):
            by_weight, by_bias = self._slopes[k]
            torch.mm(error.mT, inputs[k], out=by_weight)
            torch.sum(error, 0, out=by_bias)
            if k:
                error = torch.mm(error, self._layers[k][0], out=self._errors[k - 1])
                error.mul_(inputs[k].sign_())  # the slope of ReLU, 0 or 1
        return self._gradients
