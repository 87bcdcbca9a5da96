"""ONNX files: a protocol buffer read by the ``onnx`` package, run with PyTorch operators of our own table.

Attacks need gradients, which onnxruntime does not give; so the logits of our operators are compared with its
logits (:mod:`.onnx_runtime`).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto
from torch import Tensor

from .graph import Product, Step, Values, build
from .heads import without_head
from .limits import MAX_STEPS, check_file
from .memory import out_of_memory
from .model import Model, ModelError
from .network import counted
from .onnx_node import Node, Operator
from .onnx_operators import OLDEST_OPSET, OPERATORS, REARRANGES
from .onnx_runtime import Reference
from .onnx_tensors import FLOATS, dense, from_sparse, load_external
from .text import first_line

FLOAT32_NOTE = "its numbers are computed in float32, whatever the file stores"


def read_onnx(path: Path, name: str) -> Model:
    """The network in an ONNX file, with its external data if there are any.

    Raises:
        ModelError: if the file is damaged, has several inputs or outputs, or an operator that is not listed.
    """
    check_file(path)
    try:
        stored = onnx.ModelProto.FromString(path.read_bytes())
        if len(stored.graph.node) > MAX_STEPS:
            raise ModelError(f"a graph of {len(stored.graph.node)} operators; at most {MAX_STEPS} are run")
        load_external(stored, path.parent)
        return _model(stored, name)
    except ModelError:
        raise
    except Exception as error:  # the parser and the library raise anything on damaged input
        if out_of_memory(error):
            raise ModelError("does not fit into the memory that is free") from None
        raise ModelError(f"an ONNX file that cannot be read ({first_line(error)}); export it again") from None


def _model(stored: onnx.ModelProto, name: str) -> Model:
    graph = stored.graph
    opset = max(
        (entry.version for entry in stored.opset_import if entry.domain in ("", "ai.onnx")), default=1
    )
    if opset < OLDEST_OPSET:
        raise ModelError(
            f"written for version {opset} of ONNX's operators, of which {OLDEST_OPSET} is the oldest run; "
            "export it again, or bring it up to date with onnx.version_converter.convert_version(model, 13)"
        )
    constants: dict[str, Tensor] = {tensor.name: dense(tensor) for tensor in graph.initializer}
    constants |= {tensor.values.name: from_sparse(tensor) for tensor in graph.sparse_initializer}
    source, batch, shape = _input(graph, constants)
    steps = [_step(node, opset) for node in graph.node]
    whole = build(steps, constants, source.name, graph.output[0].name, batch)
    network, head = without_head(whole)
    kinds = {source.type.tensor_type.elem_type, *(tensor.data_type for tensor in graph.initializer)}
    notes = [head] if head else []
    if kinds & set(FLOATS[1:]):
        notes.append(FLOAT32_NOTE)
    notes.append(counted(network, constants))
    return Model(
        name,
        "ONNX",
        network.weights,
        network,
        shape,
        tuple(notes),
        takes_bytes=source.type.tensor_type.elem_type == TensorProto.UINT8,
        verify=Reference(stored, whole, network).verify,
    )


def _input(graph: onnx.GraphProto, constants: Values) -> tuple[Any, int | None, tuple[int | None, ...]]:
    """The one input, its fixed number of examples or None, and the shape of an example."""
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ModelError(
            f"a network with {len(inputs)} inputs and {len(graph.output)} outputs; "
            "one that takes a batch of examples alone and returns logits alone is needed"
        )
    kind = inputs[0].type.tensor_type
    if not kind.shape.dim:
        raise ModelError("a network whose input has no shape; export it with one")
    if kind.elem_type not in (*FLOATS, TensorProto.UINT8):
        raise ModelError(
            f"takes inputs of type {TensorProto.DataType.Name(kind.elem_type)}; floating-point numbers or "
            "uint8 are needed"
        )
    batch, *shape = (dim.dim_value if dim.dim_value > 0 else None for dim in kind.shape.dim)
    return inputs[0], batch, tuple(shape)


def _step(node: onnx.NodeProto, opset: int) -> Step:
    kind = node.op_type
    if node.domain in ("", "ai.onnx") and kind == "Constant":
        return Step(kind, (), tuple(node.output), partial(_constant, node))
    if node.domain not in ("", "ai.onnx") or kind not in OPERATORS:
        raise ModelError(
            f"operator {kind} of {node.domain or 'ONNX'} is not among the {len(OPERATORS)} that are run; "
            "hand over a network of common layers"
        )
    given = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    given = {key: dense(v) if isinstance(v, TensorProto) else v for key, v in given.items()}
    names = tuple(node.input)
    return Step(
        kind,
        tuple(name for name in names if name),
        tuple(node.output),
        partial(_apply, OPERATORS[kind], names, Node(given, opset, len(node.output))),
        product=_product(kind, names, given) if len(names) > 1 else None,
        rearranges=kind in REARRANGES,
    )


def _product(kind: str, names: tuple[str, ...], given: dict[str, Any]) -> Product | None:
    operands = (names[0], names[1])
    if kind == "Gemm":
        return Product(operands, (bool(given.get("transA")), not given.get("transB")))
    if kind == "MatMul":
        return Product(operands, (False, True))
    return Product(operands) if kind in ("Conv", "Einsum") else None


def _constant(node: onnx.NodeProto, values: Values) -> Tensor:
    """What a Constant holds, in whichever of its attributes."""
    (attribute,) = node.attribute
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.SparseTensorProto):
        return from_sparse(value)
    return dense(value) if isinstance(value, TensorProto) else torch.tensor(value)


def _apply(function: Operator, names: tuple[str, ...], node: Node, values: Values) -> Any:
    return function(*(values[name] if name else None for name in names), node=node)


__all__ = ["read_onnx"]
