"""A node of an ONNX graph, as its operator sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Node:
    """What an operator knows beside its inputs.

    Attributes:
        attributes: by name, as ``onnx.helper.get_attribute_value`` gives them.
        opset: the version of the standard that the file was written for.
        outputs: how many results are asked for.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 20
    outputs: int = 1

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or ``default`` where the file leaves it out."""
        return self.attributes.get(name, default)

    def text(self, name: str, default: str) -> str:
        """An attribute that is a word."""
        return bytes(self.get(name, default.encode())).decode()


Operator = Callable[..., Any]
"""``operator(*inputs, node=...)``: a tensor or a tuple of several; inputs that are left out are None."""


def integers(values: Tensor | list[int]) -> list[int]:
    """Axes, sizes or repetitions as Python integers."""
    return [int(value) for value in (values.flatten() if isinstance(values, Tensor) else values)]


__all__ = ["Node", "Operator", "integers"]
