"""Weights of a ``.caffemodel`` without Caffe: names, shapes and float arrays, nothing else.

The file is a protocol buffer (``NetParameter`` of Caffe's ``caffe.proto``), which Google's parser reads. Of
its fields only the few below are described to it; it steps over all others. Nothing in a file is executed.

Reference: BVLC/caffe, src/caffe/proto/caffe.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from .dataset import data_error

MAX_BYTES = 2**31
"""Protocol buffers are at most 2 GiB long."""

MAX_AXES = 32
"""Caffe's own limit on the axes of a blob."""

REMEDY = "Download it again, or name another .caffemodel file."

FieldType = descriptor_pb2.FieldDescriptorProto

FIELDS: dict[str, tuple[tuple[str, int, int, str | None], ...]] = {
    "BlobShape": (("dim", 1, FieldType.TYPE_INT64, None),),
    "BlobProto": (
        ("num", 1, FieldType.TYPE_INT32, None),
        ("channels", 2, FieldType.TYPE_INT32, None),
        ("height", 3, FieldType.TYPE_INT32, None),
        ("width", 4, FieldType.TYPE_INT32, None),
        ("data", 5, FieldType.TYPE_FLOAT, None),
        ("shape", 7, FieldType.TYPE_MESSAGE, "BlobShape"),
        ("double_data", 8, FieldType.TYPE_DOUBLE, None),
    ),
    "V1LayerParameter": (
        ("name", 4, FieldType.TYPE_BYTES, None),
        ("blobs", 6, FieldType.TYPE_MESSAGE, "BlobProto"),
    ),
    "LayerParameter": (
        ("name", 1, FieldType.TYPE_BYTES, None),
        ("blobs", 7, FieldType.TYPE_MESSAGE, "BlobProto"),
    ),
    "NetParameter": (
        ("layers", 2, FieldType.TYPE_MESSAGE, "V1LayerParameter"),
        ("layer", 100, FieldType.TYPE_MESSAGE, "LayerParameter"),
    ),
}
"""The messages of caffe.proto that are looked into: name, number and type of each field.

Names are bytes here: in old files they need not be UTF-8.
"""

REPEATED = {"dim", "data", "double_data", "blobs", "layers", "layer"}


@dataclass(frozen=True)
class CaffeLayer:
    """One layer that has weights.

    Attributes:
        name: as the file gives it.
        blobs: float32 arrays in Caffe's order (weights, then biases), with the shapes that the file gives.
    """

    name: str
    blobs: tuple[NDArray[np.float32], ...]


def _net_parameter() -> Any:
    """The class that Google's library makes of :data:`FIELDS`, with a ``FromString``."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind, type_name in fields:
            label = FieldType.LABEL_REPEATED if field_name in REPEATED else FieldType.LABEL_OPTIONAL
            field = message.field.add(name=field_name, number=number, type=kind, label=label)
            if type_name is not None:
                field.type_name = f".caffe.{type_name}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))


NetParameter = _net_parameter()


def read_caffemodel(file: Path | str) -> tuple[CaffeLayer, ...]:
    """The layers with weights, in the order of the file; those in the old format first.

    Raises:
        FileNotFoundError: if there is no such file.
        DataError: naming the file, if it is truncated or is no ``.caffemodel`` with weights.
    """
    path = Path(file)
    if (size := path.stat().st_size) > MAX_BYTES:
        raise data_error(path, expected="at most 2 GiB", found=f"{size} bytes", remedy=REMEDY)
    try:
        net = NetParameter.FromString(path.read_bytes())
    except DecodeError:
        found = "bytes that are no whole protocol buffer"
        raise data_error(path, expected="a .caffemodel", found=found, remedy=REMEDY) from None
    layers = tuple(
        CaffeLayer(layer.name.decode("utf-8", errors="replace"), tuple(_blobs(layer, path)))
        for layer in (*net.layers, *net.layer)
        if layer.blobs
    )
    if not layers:
        raise data_error(path, expected="layers with weights", found="none", remedy=REMEDY)
    return layers


def _blobs(layer: Any, path: Path) -> Iterator[NDArray[np.float32]]:
    for blob in layer.blobs:
        numbers = np.array(blob.double_data or blob.data, dtype=np.float32)
        legacy = [
            getattr(blob, side) if blob.HasField(side) else 1
            for side in ("num", "channels", "height", "width")
        ]
        shape = tuple(blob.shape.dim[: MAX_AXES + 1] if blob.HasField("shape") else legacy)
        if len(shape) > MAX_AXES or min(shape, default=0) < 0 or prod(shape) != len(numbers):
            found = f"a blob of shape {shape[:MAX_AXES]} with {len(numbers)} numbers"
            raise data_error(path, expected="a .caffemodel", found=found, remedy=REMEDY)
        yield numbers.reshape(shape)
