"""Caffe weights: what the reader returns on files built here, and that no damaged file gets past it."""

from __future__ import annotations

import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparse_robust.data import DataError
from sparse_robust.data.caffemodel import read_caffemodel


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(array: np.ndarray, kind: str = "shape") -> bytes:
    floats = array.astype("<f4").tobytes()
    match kind:
        case "shape":
            return field(7, field(1, b"".join(map(varint, array.shape)))) + field(5, floats)
        case "shape, not packed":
            return field(7, b"".join(field(1, n) for n in array.shape)) + field(5, floats)
        case "numbers one by one":
            single = b"".join(varint(5 << 3 | 5) + struct.pack("<f", v) for v in array.ravel())
            return field(7, field(1, b"".join(map(varint, array.shape)))) + single
        case "doubles":
            return field(7, field(1, b"".join(map(varint, array.shape)))) + field(
                8, array.astype("<f8").tobytes()
            )
        case _:
            lengths = (1,) * (4 - array.ndim) + array.shape
            return b"".join(field(i + 1, n) for i, n in enumerate(lengths)) + field(5, floats)


def layer(name: str, *blobs: bytes, old: bool = False) -> bytes:
    name_field, blobs_field, layers_field = (4, 6, 2) if old else (1, 7, 100)
    parts = field(name_field, name.encode()) + b"".join(field(blobs_field, b) for b in blobs)
    return field(layers_field, parts)


WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4) - 5.5
BIAS = np.array([0.25, -1.0, 3.0], dtype=np.float32)
NET = (
    field(1, b"a net") + layer("data") + layer("ip1", blob(WEIGHT), blob(BIAS)) + layer("ip2", blob(WEIGHT.T))
)


@pytest.fixture
def write(tmp_path: Path):
    def write(content: bytes) -> Path:
        file = tmp_path / "a.caffemodel"
        file.write_bytes(content)
        return file

    return write


def test_names_shapes_and_numbers_come_back_in_the_order_of_the_file(write):
    first, second = read_caffemodel(write(NET))
    assert (first.name, second.name) == ("ip1", "ip2")
    np.testing.assert_array_equal(first.blobs[0], WEIGHT)
    np.testing.assert_array_equal(first.blobs[1], BIAS)
    np.testing.assert_array_equal(second.blobs[0], WEIGHT.T)
    assert {b.dtype for b in first.blobs} == {np.dtype(np.float32)}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("kind", ["shape", "shape, not packed", "numbers one by one", "doubles", "legacy"])
def test_every_way_in_which_caffe_writes_a_blob(write, kind, old):
    (found,) = read_caffemodel(write(layer("conv1", blob(WEIGHT, kind), old=old)))
    expected = WEIGHT.reshape(1, 1, 3, 4) if kind == "legacy" else WEIGHT
    np.testing.assert_array_equal(found.blobs[0], expected)


def test_what_is_not_looked_into_may_be_anything(write):
    deep = b"x"
    for _ in range(3000):
        deep = field(9, deep)
    extra = (
        field(9, deep) + field(3, 2**63) + varint(11 << 3 | 1) + b"8 bytes." + varint(12 << 3 | 5) + b"four"
    )
    (found,) = read_caffemodel(write(extra + layer("ip", blob(WEIGHT) + extra) + extra))
    np.testing.assert_array_equal(found.blobs[0], WEIGHT)


NO_BUFFER = "bytes that are no whole protocol buffer"

BAD = {
    "empty": (b"", "none"),
    "no weights": (layer("data"), "none"),
    "text": (b"name: 'LeNet'\nlayer {\n}\n", "expected a .caffemodel"),
    "length past the end": (varint(100 << 3 | 2) + varint(10**6) + b"abc", NO_BUFFER),
    "length of 2^63": (varint(100 << 3 | 2) + varint(2**63) + b"abc", NO_BUFFER),
    "endless number": (b"\xff" * 20, NO_BUFFER),
    "number cut off": (NET + b"\x80", NO_BUFFER),
    "field 0": (b"\x00\x00", NO_BUFFER),
    "group": (varint(1 << 3 | 3), NO_BUFFER),
    "shape too large": (
        layer("a", field(7, field(1, varint(2**62) * 2)) + field(5, b"1234")),
        "with 1 numbers",
    ),
    "too many axes": (
        layer("a", field(7, field(1, varint(1) * 10**5)) + field(5, b"1234")),
        "a blob of shape",
    ),
    "shape of nothing": (layer("a", field(7, field(1, varint(0))) + field(5, b"1234")), "with 1 numbers"),
    "half a float": (layer("a", field(7, field(1, varint(1))) + field(5, b"12345")), NO_BUFFER),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_gets_one_error_that_names_it_and_the_remedy(write, name):
    content, message = BAD[name]
    file = write(content)
    tracemalloc.start()
    with pytest.raises(DataError, match=message) as caught:
        read_caffemodel(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(file) in str(caught.value)
    assert "Download it again" in str(caught.value)
    assert caught.value.__cause__ is None
    assert peak < 4 * len(content) + 100_000


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.caffemodel"):
        read_caffemodel(tmp_path / "nothing.caffemodel")


def test_every_truncation_is_an_error_or_leaves_out_whole_layers(write):
    whole = [layer.name for layer in read_caffemodel(write(NET))]
    for length in range(len(NET)):
        try:
            found = [layer.name for layer in read_caffemodel(write(NET[:length]))]
        except DataError:
            continue
        assert found == whole[: len(found)]
        assert len(found) < len(whole)


@settings(max_examples=400, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, len(NET) - 1), st.integers(0, 255)), max_size=8))
def test_changed_bytes_give_arrays_or_one_error(write, changes):
    content = bytearray(NET)
    for place, value in changes:
        content[place] = value
    try:
        layers = read_caffemodel(write(bytes(content)))
    except DataError:
        return
    assert all(b.dtype == np.float32 for layer in layers for b in layer.blobs)


@settings(max_examples=400, deadline=1000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=400))
def test_noise_gives_arrays_or_one_error(write, content):
    with suppress(DataError):
        assert read_caffemodel(write(content))
