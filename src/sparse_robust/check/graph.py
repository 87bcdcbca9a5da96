"""Networks as lists of known operators, run one after the other: what ONNX and torch.export files become.

Only operators from the tables of :mod:`.onnx_operators` and :mod:`.aten` ever run, so a file can compute and
nothing else. What does not depend on the input is computed once, when the graph is built; what does not
reach the output is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .limits import MAX_BATCH, MAX_STEPS, Bounded
from .memory import out_of_memory
from .model import Evaluation, ModelError
from .text import first_line

Values = Mapping[str, Any]
"""Tensors and integers by the names that the file gives them."""


@dataclass(frozen=True)
class Product:
    """The two operands of an operator that is linear in each: a layer's data and weight, in either order.

    Attributes:
        operands: their names.
        batch_last: for each, whether its examples are its last axis if it has two.
    """

    operands: tuple[str, str]
    batch_last: tuple[bool, bool] = (False, False)


@dataclass(frozen=True)
class Step:
    """One operator applied.

    Attributes:
        operator: its name in the file's format.
        inputs: the names of what it reads.
        outputs: the names of its results.
        function: computes the result, or a tuple of several, from the values so far.
        product: for matrix products and convolutions.
        rearranges: whether its result holds the numbers of its first input and no others.
        in_place: whether it changes its first input.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    function: Callable[[Values], Any]
    product: Product | None = None
    rearranges: bool = False
    in_place: bool = False

    def run(self, values: Values) -> dict[str, Any]:
        """Its results by name.

        Raises:
            ModelError: if it cannot be computed.
        """
        try:
            result = self.function(values)
        except ModelError:
            raise
        except Exception as error:  # a file may hand an operator anything
            if out_of_memory(error):
                raise
            raise ModelError(f"{self.operator} cannot be computed: {first_line(error)}") from None
        return dict(zip(self.outputs, result if isinstance(result, tuple) else (result,), strict=False))


@dataclass(frozen=True)
class WeightLayer:
    """A linear map of the data.

    Attributes:
        data: the name of what it reads.
        weight: the name of the constant that it multiplies that by.
        label: what the file calls the weight, before masks and transpositions.
        computed: whether the file computes the weight from others, as a product with a mask.
        batch_last: whether the examples are the last axis of ``data`` if that has two.
    """

    data: str
    weight: str
    label: str
    computed: bool
    batch_last: bool


@dataclass(frozen=True)
class Graph:
    """A network with one input and one output, as :func:`build` makes it.

    Attributes:
        steps: those that the output depends on, in an order in which they can be run.
        constants: weights and other fixed values, by name.
        layers: the linear ones, in the order of the steps.
        input: name of the input.
        output: name of the logits.
        batch: the only number of examples that the graph can take at once, or None for any.
    """

    steps: Sequence[Step]
    constants: Values
    layers: Sequence[WeightLayer]
    input: str
    output: str
    batch: int | None

    @property
    def weights(self) -> dict[str, Tensor]:
        """What the linear layers multiply the data by, each tensor once, by its label."""
        return {layer.label: self.constants[layer.weight] for layer in self.layers}

    def __call__(self, x: Tensor) -> Evaluation:
        """``x`` [N, *D] to logits [N, K] and what the last linear layer reads, if there is one."""
        results = self.evaluate(x, (self.output,))
        features = results[1] if len(results) > 1 and results[1].shape[:1] == x.shape[:1] else None
        return results[0], features

    def evaluate(self, x: Tensor, names: tuple[str, ...]) -> tuple[Tensor, ...]:
        """The values ``names``, and what the last linear layer reads if there is one, for ``x`` [N, *D].

        A graph for b examples is mapped over groups of b, the last of which is filled up.
        """
        if self.batch is None:
            return self._select(x, names)
        filling = x[-1:].expand(-len(x) % self.batch, *x.shape[1:])
        groups = torch.cat([x, filling]).unflatten(0, (-1, self.batch))
        mapped = torch.func.vmap(lambda group: self._select(group, names))(groups)
        return tuple(result.flatten(0, 1)[: len(x)] for result in mapped)

    def values(self, x: Tensor) -> dict[str, Any]:
        """Everything that is computed from ``x``, as many examples as the graph takes."""
        return dict(self._run(x))

    def _run(self, x: Tensor) -> Iterator[tuple[str, Any]]:
        # an operator in place must not change what the caller holds
        values = {**self.constants, self.input: x.clone() if any(s.in_place for s in self.steps) else x}
        for step in self.steps:
            results = step.run(values)
            values |= results
            yield from results.items()

    def _select(self, x: Tensor, names: tuple[str, ...]) -> tuple[Tensor, ...]:
        values = {self.input: x, **dict(self._run(x))}
        chosen = [values[name] for name in names]
        if not all(isinstance(value, Tensor) for value in chosen):
            raise ModelError(f"returns {type(chosen[0]).__name__} where logits are needed")
        for layer in self.layers[-1:]:
            read = values[layer.data]
            chosen.append(read.mT if layer.batch_last and read.ndim == 2 else read)
        return tuple(chosen)


def build(
    steps: Sequence[Step],
    constants: Mapping[str, Any],
    input_: str,
    output: str,
    batch: int | None,
    *,
    labels: Mapping[str, str] | None = None,
) -> Graph:
    """The graph that computes ``output`` from ``input_``.

    Args:
        steps: in an order in which they can be run.
        constants: stored values by name.
        input_: name of the input.
        output: name of the result.
        batch: the only number of examples that can be taken at once, or None for any.
        labels: what the user calls the constants, where that is not their name.

    Raises:
        ModelError: if it is too large, something that it reads is not computed before, or the output does
            not depend on the input.
    """
    if len(steps) > MAX_STEPS:
        raise ModelError(f"a graph of {len(steps)} operators; at most {MAX_STEPS} are run")
    if batch is not None and not 1 <= batch <= MAX_BATCH:
        raise ModelError(
            f"takes {batch} examples at once, and no other number; export it with a free batch axis "
            "(dynamic_shapes of torch.onnx.export and torch.export.export)"
        )
    _check_order(steps, {input_, *constants}, output)
    with torch.no_grad(), Bounded():
        folded, varying = _fold(steps, constants)
    if output in folded or output == input_:
        raise ModelError("a network whose output does not depend on its input by any operator")
    live = _live(varying, output)
    read = {name for step in live for name in step.inputs}
    origins = _origins(steps, {name: (labels or {}).get(name, name) for name in constants}, folded)
    layers = tuple(_layers(live, folded, origins, constants))
    kept = {name: value for name, value in folded.items() if name in read}
    return Graph(live, kept, layers, input_, output, batch)


def cut(graph: Graph, output: str) -> Graph:
    """The part of the graph that computes ``output``."""
    live = _live(graph.steps, output)
    read = {name for step in live for name in step.inputs}
    layers = [layer for layer in graph.layers if {layer.data, layer.weight} <= read]
    return replace(graph, steps=live, layers=layers, output=output)


def _check_order(steps: Sequence[Step], known: set[str], output: str) -> None:
    for step in steps:
        for name in step.inputs:
            if name not in known:
                raise ModelError(f"{step.operator} reads {name!r}, which nothing computes before it")
        known |= set(step.outputs)
    if output not in known:
        raise ModelError(f"{output!r} is needed, but nothing computes it")


def _fold(steps: Sequence[Step], constants: Mapping[str, Any]) -> tuple[dict[str, Any], list[Step]]:
    """The constants with all that follows from them, and the steps that remain."""
    folded, varying = dict(constants), []
    for step in steps:
        if step.in_place and step.inputs[0] in folded:
            raise ModelError(f"{step.operator} changes a stored tensor; call model.eval() and export again")
        if all(name in folded for name in step.inputs):
            folded |= step.run(folded)
        else:
            varying.append(step)
    return folded, varying


def _live(steps: Sequence[Step], output: str) -> list[Step]:
    """The steps that ``output`` depends on; those that change a value in place always count."""
    needed, live = {output}, []
    for step in reversed(steps):
        if step.in_place or needed & set(step.outputs):
            needed |= set(step.inputs)
            live.append(step)
    return live[::-1]


def _origins(steps: Sequence[Step], labels: Mapping[str, str], folded: Values) -> dict[str, tuple[str, str]]:
    """For each folded value: the tensor whose numbers it rearranges, and what the user calls that tensor."""
    origins = {name: (name, label) for name, label in labels.items()}
    for step in steps:
        if not set(step.outputs) <= folded.keys():
            continue
        tensors = [name for name in step.inputs if isinstance(folded[name], Tensor)]
        largest = max(tensors, key=lambda name: _rank(folded[name], origins[name][1]), default=None)
        for output in step.outputs:
            if step.rearranges and step.inputs:
                origins[output] = origins[step.inputs[0]]
            else:
                origins[output] = (output, origins[largest][1] if largest else output)
    return origins


def _rank(value: Tensor, label: str) -> tuple[bool, int, bool]:
    """Which part of a product is the weight: numbers rather than bits, many rather than few, no mask."""
    return value.is_floating_point(), value.numel(), "mask" not in label.lower()


def _layers(
    steps: Sequence[Step], folded: Values, origins: Mapping[str, tuple[str, str]], stored: Values
) -> Iterator[WeightLayer]:
    """The products of data with a constant; where two labels are the same, the tensor's own name is used."""
    labels: dict[str, str] = {}
    for step in steps:
        if step.product is None:
            continue
        for place, weight in enumerate(step.product.operands):
            data = step.product.operands[1 - place]
            if weight in folded and data not in folded:
                origin, label = origins[weight]
                if origin not in labels:
                    labels[origin] = origin if label in labels.values() else label
                yield WeightLayer(
                    data, weight, labels[origin], origin not in stored, step.product.batch_last[1 - place]
                )


__all__ = ["Graph", "Product", "Step", "Values", "WeightLayer", "build", "cut"]
