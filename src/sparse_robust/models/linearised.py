"""Multilayer perceptrons linearised at their inputs, written out."""

from collections.abc import Sequence

import torch
from torch import Tensor

ROWS = 2000
"""How many gradients are bounded at once: few enough to stay in cache."""

LEADING = 32
"""Of so many singular vectors of the first layer the part of a gradient is computed, to bound its length."""

SLACK = 1e-4
"""What rounding may take from a bound of a length, relative to it, and more."""

WORTH = 10
"""Bounds are for at least so many gradients to each output of the first layer: its singular vectors take as
long as the gradients that they spare would otherwise."""


class LinearisedPerceptron:
    """R perceptrons with ReLU, linearised at ``x`` [R, N, *D]; a :class:`~sparse_robust.types.Linearised`.

    Around an input the network is linear, and its gradient is a product of its weights, with the rows of
    silent units left out: a W, with W the weights of the first layer. That is what autograd computes, without
    its bookkeeping. With singular values s_1 >= s_2 >= ... and left singular vectors u_i of W,

        ||a W||^2 = sum_i s_i^2 (u_i . a)^2
                 <= sum_{i <= m} s_i^2 (u_i . a)^2 + s_{m+1}^2 sum_{i > m} (u_i . a)^2,

    which for small m takes far less than the gradient itself.

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
                self._active.append(values.sign())
        self.logits = values

    @torch.no_grad()
    def gradient(self, weight: Tensor, index: Tensor | None = None) -> Tensor:
        """See :meth:`.Linearised.gradient`."""
        active = self._active if index is None else [_rows(on, index) for on in self._active]
        error = self._at_first_layer(weight.unsqueeze(2), active)
        return torch.bmm(error, self._weights[0]).view(*error.shape[:2], *self._shape)

    @torch.no_grad()
    def length_bounds(self, weights: Tensor) -> Tensor | None:
        """See :meth:`.Linearised.length_bounds`; None for so few that the singular vectors cost more.

        None, too, where they cannot be computed, as of some layers that pruning has left nearly empty.
        """
        n, count = weights.shape[1:3]
        first = self._weights[0]
        outputs, inputs = first.shape[1:]
        if n * count < WORTH * outputs or min(outputs, inputs) <= LEADING:
            return None
        try:
            squares, vectors = torch.linalg.eigh(torch.bmm(first, first.mT))  # ascending
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            return None
        leading, rest = vectors[..., -LEADING:], squares[..., -LEADING - 1, None]
        excess = squares[..., -LEADING:].unsqueeze(1) - rest.unsqueeze(1)
        parts = []
        for part in torch.arange(n, device=first.device).split(max(ROWS // count, 1)):
            error = self._at_first_layer(weights[:, part], [on[:, part] for on in self._active])
            bound = torch.bmm(error, leading).square_().mul_(excess).sum(-1)
            bound += error.square_().sum(-1).mul_(rest)
            parts.append(bound.clamp_min_(0).sqrt_().mul_(1 + SLACK).unflatten(1, (-1, count)))
        return torch.cat(parts, 1)

    def _at_first_layer(self, weights: Tensor, active: Sequence[Tensor]) -> Tensor:
        """Gradients by what the first layer puts out, [R, W * C, O], for weights [R, W, C, K]."""
        count = weights.shape[2]
        error = weights.flatten(1, 2)
        for later, on in zip(reversed(self._weights[1:]), reversed(active), strict=True):
            error = torch.bmm(error, later)
            error.unflatten(1, (-1, count)).mul_(on.unsqueeze(2))
        return error


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """``values`` [R, N, O] at ``index`` [R, W]."""
    return torch.stack([of.index_select(0, rows) for of, rows in zip(values, index, strict=True)])
