"""onnxruntime as the judge of what an ONNX file computes: our operators have to agree with it.

It gets a file of ours, written from what was read: the operators that are run and the tensors that they
read. So it sees neither bytes, custom operators, external paths nor settings of the file's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from .graph import Graph
from .heads import check_head
from .memory import out_of_memory
from .model import ModelError
from .onnx_tensors import FLOATS, from_sparse, in_float32
from .text import first_line

IR_VERSION = 10
"""Of the files written here; initialisers that are no inputs came with version 4."""

SPREAD, SIZE = 1e-3, 1e-5
"""Differences count as rounding up to these shares of the values' spread and of the largest of them."""


@dataclass(frozen=True)
class Reference:
    """A file and its network in both programs.

    Attributes:
        stored: the file as it was read.
        whole: the network as we run it, up to the output that the file names.
        network: the network up to its logits.
    """

    stored: onnx.ModelProto
    whole: Graph
    network: Graph

    def verify(self, x: Tensor) -> None:
        """Compare both on some examples [N, *D], in the units that the network reads.

        Raises:
            ModelError: naming the first operator whose result differs beyond rounding.
        """
        if self.whole.batch is not None:
            x = x[torch.arange(self.whole.batch) % len(x)]
        bytes_ = self._source.type.tensor_type.elem_type == TensorProto.UINT8
        x = x.round() if bytes_ else x
        given = x.to(torch.uint8).numpy() if bytes_ else x.numpy()
        with torch.no_grad():
            ours = self.whole.values(x)
            check_head(self.whole, self.network, x)
        result = ours[self.whole.output]
        (theirs,) = self._run(given, [self.whole.output])
        if not _agree(result, theirs):
            raise ModelError(
                f"{self._first_difference(given, ours)}; export it again for a newer version of ONNX"
            )

    @property
    def _source(self) -> onnx.ValueInfoProto:
        (source,) = (value for value in self.stored.graph.input if value.name == self.whole.input)
        return source

    def _run(self, given: NDArray[Any], outputs: list[str]) -> list[NDArray[Any]]:
        import onnxruntime  # slow to import, and needed for this format alone

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        try:
            content = self._written(outputs).SerializeToString()
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            results: list[NDArray[Any]] = session.run(outputs, {self.whole.input: given})
        except Exception as error:  # its errors have no base class of their own
            if out_of_memory(error):
                raise
            raise ModelError(f"onnxruntime cannot run it ({first_line(error)}); export it again") from None
        return results

    def _written(self, outputs: list[str]) -> onnx.ModelProto:
        """The operators and tensors that ``outputs`` depend on, floating-point numbers as float32."""
        nodes, needed = [], set(outputs)
        for node in reversed(self.stored.graph.node):
            if needed & set(node.output):
                needed |= set(node.input)
                nodes.append(_copy(node))
        stored = self.stored.graph
        tensors = [in_float32(tensor) for tensor in stored.initializer if tensor.name in needed]
        for sparse in stored.sparse_initializer:
            if sparse.values.name in needed:
                tensors.append(numpy_helper.from_array(from_sparse(sparse).numpy(), sparse.values.name))
        source = onnx.ValueInfoProto()
        source.CopyFrom(self._source)
        if source.type.tensor_type.elem_type in FLOATS:
            source.type.tensor_type.elem_type = TensorProto.FLOAT
        results = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(nodes[::-1], "network", [source], results, tensors)
        versions = [helper.make_opsetid(entry.domain, entry.version) for entry in self.stored.opset_import]
        return helper.make_model(graph, opset_imports=versions, ir_version=IR_VERSION)

    def _first_difference(self, given: NDArray[Any], ours: dict[str, Any]) -> str:
        names = [
            name for step in self.whole.steps for name in step.outputs if isinstance(ours.get(name), Tensor)
        ]
        for name, theirs in zip(names, self._run(given, names), strict=True):
            if not _agree(ours[name], theirs):
                (step,) = (step for step in self.whole.steps if name in step.outputs)
                place = f"first at {step.operator}, whose result is {name!r}"
                return f"computes other numbers than onnxruntime, {place}"
        return "computes other numbers than onnxruntime"


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for attribute in copy.attribute:
        if attribute.HasField("t"):
            attribute.t.CopyFrom(in_float32(attribute.t))
        if copy.op_type == "Cast" and attribute.name == "to" and attribute.i in FLOATS:
            attribute.i = TensorProto.FLOAT
    return copy


def _agree(ours: Tensor, theirs: NDArray[Any]) -> bool:
    mine = ours.numpy()
    if mine.shape != theirs.shape:
        return False
    if not mine.size:
        return True
    mine, theirs = mine.astype(np.float64), theirs.astype(np.float64)
    finite = np.isfinite(theirs)
    if (
        not np.array_equal(mine[~finite], theirs[~finite], equal_nan=True)
        or not np.isfinite(mine[finite]).all()
    ):
        return False
    if not finite.any():
        return True
    spread, largest = np.ptp(theirs[finite]), np.abs(theirs[finite]).max()
    return bool(np.abs(mine - theirs)[finite].max() <= SPREAD * spread + SIZE * largest)


__all__ = ["Reference"]
