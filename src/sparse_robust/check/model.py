"""What a model file becomes, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Evaluation = tuple[Tensor, Tensor | None]
"""Logits [N, K], and what the last linear layer reads, [N, F], where that can be observed."""


class ModelError(ValueError):
    """A model file that cannot be read or run; the message says why and what to do."""


@dataclass(frozen=True)
class Model:
    """A classifier from a file.

    Attributes:
        name: how the user calls it, for messages and tables.
        format: of the file, for the table ("ONNX", "safetensors, lenet-5").
        weights: by name, the floating-point tensors with two axes or more.
        evaluate: ``[N, *D] -> `` logits and features, differentiable in its argument.
        shape: of one input, where the file says it; None in the place of a free axis.
        notes: what the user has to know about how the file was read.
    """

    name: str
    format: str
    weights: Mapping[str, Tensor]
    evaluate: Callable[[Tensor], Evaluation]
    shape: tuple[int | None, ...] | None = None
    notes: tuple[str, ...] = ()

    def arrange(self, x: Tensor) -> Tensor:
        """``x`` [N, *D] in the shape that the model declares, if only axes of length 1 or flattening differ.

        Raises:
            ModelError: if more than that differs.
        """
        found, wanted = tuple(x.shape[1:]), self.shape
        if wanted is None or _fits(found, wanted):
            return x
        long = [length for length in found if length != 1]
        free = wanted.count(None)
        if _fits(tuple(long), tuple(length for length in wanted if length != 1)) and not free:
            return x.reshape(len(x), *(length or 1 for length in wanted))
        if len(wanted) == 1 and wanted[0] in (None, x[0].numel()):
            return x.flatten(1)
        raise ModelError(
            f"takes inputs of shape {_text(wanted)}, the data has {_text(found)}; "
            "bring x in the .npz to the shape that the model was trained on"
        )

    def logits(self, x: Tensor) -> Tensor:
        """``[N, *D] -> [N, K]``."""
        return self.evaluate(x)[0]


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        want in (None, have) for have, want in zip(found, wanted, strict=True)
    )


def _text(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("?" if length is None else str(length) for length in shape) + "]"


def weights_among(tensors: Mapping[str, object]) -> dict[str, Tensor]:
    """Those that count as weights: floating point, two axes or more (so neither biases nor scales)."""
    return {
        name: value
        for name, value in tensors.items()
        if isinstance(value, Tensor) and value.is_floating_point() and value.ndim >= 2
    }


def plain(value: Tensor) -> Tensor:
    """A tensor to compute with: float32 if it was of another floating type, detached."""
    value = value.detach()
    return value.to(torch.float32) if value.is_floating_point() else value


__all__ = ["Evaluation", "Model", "ModelError", "plain", "weights_among"]
