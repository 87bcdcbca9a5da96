"""Multilayer perceptrons linearised at their inputs, written out."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

ROWS = 2000
"""How many gradients are measured at once: few enough to stay in cache."""


class LinearisedPerceptron:
    """R perceptrons with ReLU, linearised at ``x`` [R, N, *D]; a :class:`~sparse_robust.types.Linearised`.

    Around an input the network is linear: its gradients are products of its weights, with the rows of silent
    units left out. This is what autograd computes, and knows besides how long gradients are before it
    computes them: a gradient is a W with W the first layer's weights, and its squared norm a W W^T a^T. With
    fewer units than inputs that is less work.

    Args:
        layers: weights [R, O, I] and biases [R, 1, O], the first layer's first.
        x: the inputs.
    """

    @torch.no_grad()
    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]], x: Tensor) -> None:
        self._shape = x.shape[2:]
        self._weights = [weight.detach() for weight, _ in layers]
        self._active: list[Tensor] = []  # 1 for units that are not silent, else 0: [R, N, O] of each ReLU
        values = x.detach().flatten(2)
        for weight, (_, bias) in zip(self._weights, layers, strict=True):
            values = torch.baddbmm(bias.detach(), values, weight.mT)
            if len(self._active) < len(layers) - 1:
                values.relu_()
                self._active.append((values > 0).to(values.dtype))
        self.logits = values

    @torch.no_grad()
    def gradient(self, weight: Tensor, index: Tensor | None = None) -> Tensor:
        """See :meth:`.Linearised.gradient`."""
        error = self._at_first(
            weight, self._active if index is None else [_rows(a, index) for a in self._active]
        )
        return torch.bmm(error, self._weights[0]).view(*error.shape[:2], *self._shape)

    @torch.no_grad()
    def lengths(self, weights: Tensor) -> Tensor:
        """See :meth:`.Linearised.lengths`."""
        n, classes = weights.shape[1:3]
        parts = []
        for part in torch.arange(n, device=weights.device).split(max(ROWS // classes, 1)):
            active = [a[:, part].repeat_interleave(classes, 1) for a in self._active]
            error = self._at_first(weights[:, part].flatten(1, 2), active)
            squares = torch.bmm(error, self._gram).mul_(error).sum(-1)
            parts.append(squares.clamp_min_(0).sqrt_().unflatten(1, (-1, classes)))
        return torch.cat(parts, 1)

    @cached_property
    def _gram(self) -> Tensor:
        """W W^T of the first layer, [R, O, O]."""
        return torch.bmm(self._weights[0], self._weights[0].mT)

    def _at_first(self, weight: Tensor, active: Sequence[Tensor]) -> Tensor:
        """The gradient by what the first layer puts out, [R, W, O], silent units left out."""
        error = weight
        for later, on in zip(reversed(self._weights[1:]), reversed(active), strict=True):
            error = torch.bmm(error, later).mul_(on)
        return error


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """``values`` [R, N, O] at ``index`` [R, W]."""
    return torch.stack([of.index_select(0, rows) for of, rows in zip(values, index, strict=True)])
