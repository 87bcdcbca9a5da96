"""What a model file becomes, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from .text import escape

Evaluation = tuple[Tensor, Tensor | None]
"""Logits [N, K], and what the last linear layer reads, [N, *F], where that can be observed."""


class ModelError(ValueError):
    """A model file that cannot be read or run; the message says why and what to do, on one line."""

    def __init__(self, message: str) -> None:
        """Names that a file gives to its parts are escaped."""
        super().__init__(escape(message))


@dataclass(frozen=True)
class Model:
    """A classifier from a file.

    Attributes:
        name: how the user calls it, for messages and tables.
        format: of the file, for the table ("ONNX", "safetensors, lenet-5").
        weights: by name, what linear maps multiply the data by, masks multiplied in; each counted once.
        evaluate: ``[N, *D] -> `` logits and features, differentiable in its argument.
        shape: of one input, where the file says it; None in the place of a free axis.
        notes: what the user has to know about how the file was read.
        assumption: what the file leaves open and was assumed; None where it says all.
        takes_bytes: whether the file declares inputs of type uint8, 0 to 255.
        verify: compares the logits of a few examples with another program's, and raises ModelError.
    """

    name: str
    format: str
    weights: Mapping[str, Tensor]
    evaluate: Callable[[Tensor], Evaluation]
    shape: tuple[int | None, ...] | None = None
    notes: tuple[str, ...] = ()
    assumption: str | None = None
    takes_bytes: bool = False
    verify: Callable[[Tensor], None] | None = None

    def arrange(self, x: Tensor) -> Tensor:
        """``x`` [N, *D] in the shape that the model declares, if only axes of length 1 or flattening differ.

        Raises:
            ModelError: if more than that differs.
        """
        given, wanted = tuple(x.shape[1:]), self.shape
        if wanted is None or _fits(given, wanted):
            return x
        long = tuple(length for length in given if length != 1)
        if None not in wanted and long == tuple(length for length in wanted if length != 1):
            return x.reshape(len(x), *(length or 1 for length in wanted))
        if len(wanted) == 1 and wanted[0] in (None, x[0].numel()):
            return x.flatten(1)
        raise ModelError(
            f"takes inputs of shape {_text(wanted)}, the data has {_text(given)}; "
            "bring x in the .npz to the shape that the model was trained on"
        )

    def logits(self, x: Tensor) -> Tensor:
        """``[N, *D] -> [N, K]``."""
        return self.evaluate(x)[0]

    def multiplied(self, factor: float) -> Model:
        """The same classifier for inputs that are ``factor`` times smaller."""
        return replace(self, evaluate=lambda x: self.evaluate(x * factor))


def _fits(given: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(given) == len(wanted) and all(
        want in (None, have) for have, want in zip(given, wanted, strict=True)
    )


def _text(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("?" if length is None else str(length) for length in shape) + "]"


def plain(value: Tensor) -> Tensor:
    """A tensor to compute with: float32 if it was of another floating type, detached."""
    value = value.detach()
    return value.float() if value.is_floating_point() else value


__all__ = ["Evaluation", "Model", "ModelError", "plain"]
