"""Stored tensors of an ONNX file: within limits, of types that are computed with, sparse ones written out."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, external_data_helper, numpy_helper
from torch import Tensor

from .limits import MAX_FILE, check_shape
from .model import ModelError

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
"""All are computed in float32."""

INTEGERS = (
    *(TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
    *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32),
)
"""All are computed in int64."""


def load_external(model: onnx.ModelProto, folder: Path) -> None:
    """Fetch the tensors that lie in files beside the model; the ``onnx`` package keeps to ``folder``.

    Raises:
        ModelError: if they are longer than :data:`.limits.MAX_FILE` together.
    """
    left = MAX_FILE
    for tensor in _stored(model):
        if not external_data_helper.uses_external_data(tensor):
            continue
        check_shape(tuple(tensor.dims), f"tensor {tensor.name}")
        length = prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        given = {entry.key: entry.value for entry in tensor.external_data}
        if "length" not in given:
            tensor.external_data.add(key="length", value=str(length))
        elif given["length"] != str(length):
            raise ModelError(
                f"tensor {tensor.name} has {length} bytes by its shape and {given['length']} stored"
            )
        left -= length
        if left < 0:
            raise ModelError(f"external data of more than {MAX_FILE:,} bytes")
        external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def _stored(model: onnx.ModelProto) -> list[TensorProto]:
    attributes = [
        attribute.t for node in model.graph.node for attribute in node.attribute if attribute.HasField("t")
    ]
    return [*model.graph.initializer, *attributes]


def dense(stored: TensorProto) -> Tensor:
    """A stored tensor: float32, int64 or bool.

    Raises:
        ModelError: if it is of another type or too large.
    """
    check_shape(tuple(stored.dims), f"tensor {stored.name}")
    if stored.data_type in FLOATS:
        return torch.from_numpy(np.array(numpy_helper.to_array(stored), dtype=np.float32))
    if stored.data_type in INTEGERS:
        return torch.from_numpy(np.array(numpy_helper.to_array(stored), dtype=np.int64))
    if stored.data_type == TensorProto.BOOL:
        return torch.from_numpy(np.array(numpy_helper.to_array(stored)))
    raise ModelError(
        f"tensor {stored.name} of type {TensorProto.DataType.Name(stored.data_type)}, which is not run; "
        "export the network in float32"
    )


def from_sparse(stored: onnx.SparseTensorProto) -> Tensor:
    """A sparse tensor with its zeros: values at places, counted in the flat tensor or axis by axis."""
    check_shape(tuple(stored.dims), f"sparse tensor {stored.values.name}")
    values, places = dense(stored.values), dense(stored.indices)
    if places.ndim == 2:
        steps = [prod(stored.dims[axis + 1 :]) for axis in range(len(stored.dims))]
        places = (places * torch.tensor(steps)).sum(1)
    written = values.new_zeros(prod(stored.dims))
    written[places] = values
    return written.reshape(tuple(stored.dims))


def in_float32(stored: TensorProto) -> TensorProto:
    """The same tensor with floating-point numbers as float32."""
    if stored.data_type not in FLOATS[1:]:
        return stored
    return numpy_helper.from_array(dense(stored).numpy(), stored.name)


__all__ = ["FLOATS", "dense", "from_sparse", "in_float32", "load_external"]
