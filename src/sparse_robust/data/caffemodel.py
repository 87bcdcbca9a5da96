"""Weights of a ``.caffemodel`` without Caffe: names, shapes and float arrays, nothing else.

The file is a protocol buffer (``NetParameter`` of Caffe's ``caffe.proto``). Only the few fields below
are looked into, at fixed depth and never copied ahead of their checks; everything else is stepped over
by its length, however deeply it is nested. Nothing in a file is executed.

Reference: https://protobuf.dev/programming-guides/encoding/ and BVLC/caffe, src/caffe/proto/caffe.proto.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .dataset import data_error

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
WIDTHS = {FIXED64: 8, FIXED32: 4}

MAX_BYTES = 2**31
"""Protocol buffers are at most 2 GiB long."""

MAX_AXES = 32
"""Caffe's own limit on the axes of a blob."""

MAX_FIELDS = 1_000_000
"""Fields looked at in one file; a deep network needs some thousands, a file made to waste time many more."""

# field numbers in caffe.proto
NET_LAYERS_V1, NET_LAYERS = 2, 100
NAME_V1, BLOBS_V1 = 4, 6
NAME, BLOBS = 1, 7
LEGACY_SHAPE, BLOB_DATA, BLOB_SHAPE, BLOB_DOUBLE = (1, 2, 3, 4), 5, 7, 8
SHAPE_DIM = 1


@dataclass(frozen=True)
class CaffeLayer:
    """One layer that has weights.

    Attributes:
        name: as the file gives it.
        blobs: float32 arrays in Caffe's order (weights, then biases), with the shapes that the file gives.
    """

    name: str
    blobs: tuple[NDArray[np.float32], ...]


class _MalformedError(Exception):
    """What is wrong, without the file's name."""


def read_caffemodel(file: Path | str) -> tuple[CaffeLayer, ...]:
    """The layers with weights, in the order of the file.

    Raises:
        FileNotFoundError: if there is no such file.
        DataError: naming the file, if it is truncated or is no ``.caffemodel`` with weights.
    """
    path = Path(file)
    remedy = "Download it again, or name another .caffemodel file."
    if (size := path.stat().st_size) > MAX_BYTES:
        raise data_error(path, expected="at most 2 GiB", found=f"{size} bytes", remedy=remedy)
    try:
        layers = tuple(_layers(memoryview(path.read_bytes()), count()))
    except _MalformedError as failure:
        raise data_error(path, expected="a .caffemodel", found=str(failure), remedy=remedy) from None
    if not layers:
        raise data_error(path, expected="layers with weights", found="none", remedy=remedy)
    return layers


Seen = Iterator[int]
"""Counts the fields of a file, over all its messages."""


def _layers(net: memoryview, seen: Seen) -> Iterator[CaffeLayer]:
    for field, layer in _fields(net, seen):
        if field not in (NET_LAYERS_V1, NET_LAYERS) or not isinstance(layer, memoryview):
            continue
        name_field, blobs_field = (NAME, BLOBS) if field == NET_LAYERS else (NAME_V1, BLOBS_V1)
        name, blobs = "", []
        for inner, content in _fields(layer, seen):
            if inner == name_field and isinstance(content, memoryview):
                name = bytes(content).decode("utf-8", errors="replace")
            elif inner == blobs_field and isinstance(content, memoryview):
                blobs.append(_blob(content, seen))
        if blobs:
            yield CaffeLayer(name, tuple(blobs))


def _blob(message: memoryview, seen: Seen) -> NDArray[np.float32]:
    legacy, shape = dict.fromkeys(LEGACY_SHAPE, 1), None
    single, double = bytearray(), bytearray()
    for field, value in _fields(message, seen):
        if isinstance(value, int):
            if field in legacy:
                legacy[field] = value
        elif field == BLOB_SHAPE:
            shape = _dimensions(value, seen)
        elif field == BLOB_DATA:
            single += value
        elif field == BLOB_DOUBLE:
            double += value
    numbers = _numbers(double, "<f8") if double else _numbers(single, "<f4")
    shape = tuple(legacy.values()) if shape is None else shape
    if len(shape) > MAX_AXES or prod(shape) != len(numbers):
        raise _MalformedError(f"a blob of shape {shape[:MAX_AXES]} with {len(numbers)} numbers")
    return numbers.astype(np.float32).reshape(shape)


def _dimensions(message: memoryview, seen: Seen) -> tuple[int, ...]:
    """The entries of a BlobShape, packed or not; one more than allowed is enough to know."""
    found: list[int] = []
    for field, value in _fields(message, seen):
        if field != SHAPE_DIM:
            continue
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value) and len(found) <= MAX_AXES:
            length, at = _varint(value, at)
            found.append(length)
    return tuple(found[: MAX_AXES + 1])


def _numbers(content: bytearray, dtype: DTypeLike) -> NDArray[np.floating]:
    size = np.dtype(dtype).itemsize
    if len(content) % size:
        raise _MalformedError(f"{len(content)} bytes where numbers of {size} bytes should be")
    return np.frombuffer(content, dtype=dtype)


def _fields(message: memoryview, seen: Seen) -> Iterator[tuple[int, int | memoryview]]:
    """(field, value) one after the other; a value is an integer or a view of its bytes."""
    at = 0
    while at < len(message):
        if next(seen) >= MAX_FIELDS:
            raise _MalformedError(f"more than {MAX_FIELDS} fields")
        tag, at = _varint(message, at)
        field, wire = tag >> 3, tag & 7
        if field == 0:
            raise _MalformedError("a field with number 0")
        if wire == VARINT:
            number, at = _varint(message, at)
            yield field, number
            continue
        if wire == LENGTH:
            length, at = _varint(message, at)
        elif wire in WIDTHS:
            length = WIDTHS[wire]
        else:
            raise _MalformedError(f"a field of wire type {wire}, which Caffe does not write")
        if length > len(message) - at:
            raise _MalformedError(f"a field of {length} bytes where {len(message) - at} are left")
        yield field, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """The integer that starts at ``at`` and the place after it."""
    value = 0
    for position in range(10):  # 64 bits, 7 to a byte
        if at >= len(message):
            raise _MalformedError("the end of the data in the middle of a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return value, at
    raise _MalformedError("a number of more than 10 bytes")


__all__ = ["CaffeLayer", "read_caffemodel"]
