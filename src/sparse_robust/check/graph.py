"""Networks as lists of known operators, run one after the other: what ONNX and torch.export files become.

Only operators from the tables of :mod:`.onnx_operators` and :mod:`.exported` ever run, so a file can
compute and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .model import Evaluation, ModelError

Values = Mapping[str, Any]
"""Tensors and integers by the names that the file gives them."""

SOFTMAX_REMOVED = "its last operator, a softmax, is left out: attacks need logits"


@dataclass(frozen=True)
class Step:
    """One operator applied.

    Attributes:
        operator: its name in the file's format.
        outputs: the names of its results.
        function: computes the result, or a tuple of several, from the values so far.
        linear: for a linear layer, the name of what it reads.
        softmax: for a softmax, the name of what it reads.
    """

    operator: str
    outputs: tuple[str, ...]
    function: Callable[[Values], Any]
    linear: str | None = None
    softmax: str | None = None


@dataclass(frozen=True)
class Graph:
    """A network with one input and one output.

    Attributes:
        steps: in an order in which they can be run.
        constants: weights and other fixed values, by name.
        input: name of the input.
        output: name of the logits.
        batch: the only number of examples that the graph can take at once, or None for any.
    """

    steps: Sequence[Step]
    constants: Values
    input: str
    output: str
    batch: int | None

    def __post_init__(self) -> None:
        """Reject a graph whose result nothing computes."""
        known = {self.input, *self.constants, *(name for step in self.steps for name in step.outputs)}
        for name in (self.output, *self._read()):
            if name not in known:
                raise ModelError(f"{name!r} is needed, but nothing computes it")

    def _read(self) -> list[str]:
        """The name of what the last linear layer reads, if there is one."""
        return [step.linear for step in self.steps if step.linear is not None][-1:]

    def __call__(self, x: Tensor) -> Evaluation:
        """``x`` [N, *D] to logits [N, K] and what the last linear layer reads, if there is one."""
        if self.batch is None:
            results = self._run(x)
        else:  # a graph for b examples is mapped over groups of b, the last of which is filled up
            filling = x[-1:].expand(-len(x) % self.batch, *x.shape[1:])
            groups = torch.cat([x, filling]).unflatten(0, (-1, self.batch))
            mapped = torch.func.vmap(self._run)(groups)
            results = tuple(result.flatten(0, 1)[: len(x)] for result in mapped)
        return results[0], results[1] if len(results) > 1 else None

    def _run(self, x: Tensor) -> tuple[Tensor, ...]:
        values = {**self.constants, self.input: x}
        for step in self.steps:
            try:
                result = step.function(values)
            except KeyError as error:
                raise ModelError(f"{step.operator} reads {error.args[0]!r}, which nothing computes") from None
            except (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError) as error:
                raise ModelError(f"{step.operator} cannot be computed: {first_line(error)}") from None
            values |= zip(step.outputs, result if isinstance(result, tuple) else (result,), strict=False)
        return tuple(values[name] for name in (self.output, *self._read()))


def logits_of(steps: Sequence[Step], output: str) -> tuple[str, tuple[str, ...]]:
    """The name of the logits where the last operator is a softmax, else ``output``; and what to say of it."""
    for step in steps:
        if step.softmax is not None and step.outputs == (output,):
            return step.softmax, (SOFTMAX_REMOVED,)
    return output, ()


def first_line(error: Exception) -> str:
    """What an error says, short enough for one line."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


__all__ = ["SOFTMAX_REMOVED", "Graph", "Step", "Values", "first_line", "logits_of"]
