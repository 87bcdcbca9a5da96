"""ONNX files: a protocol buffer read by the ``onnx`` package, run with PyTorch operators of our own table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from .graph import Graph, Step, Values, first_line, logits_of
from .model import Model, ModelError, plain, weights_among
from .onnx_operators import OPERATORS


def read_onnx(path: Path, name: str) -> Model:
    """The network in an ONNX file, with its external data if there are any.

    Raises:
        ModelError: if the file is damaged, has several inputs or outputs, or an operator that is not listed.
    """
    try:
        return _model(onnx.load(path).graph, name)
    except ModelError:
        raise
    except Exception as error:  # the parser and the library raise anything on damaged input
        raise ModelError(f"an ONNX file that cannot be read ({first_line(error)}); export it again") from None


def _model(graph: onnx.GraphProto, name: str) -> Model:
    constants = {tensor.name: _tensor(tensor) for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ModelError(
            f"a network with {len(inputs)} inputs and {len(graph.output)} outputs; "
            "one that takes a batch of examples alone and returns logits alone is needed"
        )
    steps = []
    for node in graph.node:
        if node.op_type == "Constant" and len(node.attribute) == 1:
            value = onnx.helper.get_attribute_value(node.attribute[0])
            stored = _tensor(value) if isinstance(value, onnx.TensorProto) else torch.tensor(value)
            constants[node.output[0]] = stored
        else:
            steps.append(_step(node))
    output, notes = logits_of(steps, graph.output[0].name)
    lengths = [dim.dim_value or None for dim in inputs[0].type.tensor_type.shape.dim]
    if not lengths:
        raise ModelError("a network whose input has no shape; export it with one")
    batch, *shape = lengths
    network = Graph(steps, constants, inputs[0].name, output, batch)
    return Model(name, "ONNX", weights_among(constants), network, tuple(shape), notes)


def _tensor(stored: onnx.TensorProto) -> Tensor:
    return plain(torch.tensor(numpy_helper.to_array(stored)))


def _step(node: onnx.NodeProto) -> Step:
    kind = node.op_type
    if node.domain not in ("", "ai.onnx") or kind not in OPERATORS:
        raise ModelError(
            f"operator {kind} of {node.domain or 'ONNX'} is not among those that are run: "
            f"{', '.join(OPERATORS)}"
        )
    given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return Step(
        kind,
        tuple(node.output),
        partial(_apply, partial(OPERATORS[kind], given=given), tuple(node.input)),
        linear=node.input[0] if kind in ("Gemm", "MatMul") else None,
        softmax=node.input[0] if kind == "Softmax" else None,
    )


def _apply(function: Callable[..., Tensor], names: tuple[str, ...], values: Values) -> Any:
    return function(*(values[name] if name else None for name in names))


__all__ = ["read_onnx"]
