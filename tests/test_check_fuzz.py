"""Damaged and hostile files: each reader ends in a network or in one clear error, and in nothing else."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save
from torch import nn

from sparse_robust.check import ModelError, load_model, read_examples
from sparse_robust.data import DataError

INPUTS = int(os.environ.get("SPARSE_ROBUST_FUZZ", "4000"))
"""For each reader; the variable asks for a longer run."""

X = torch.rand(2, 1, 4, 4)


def onnx_file() -> bytes:
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Reshape", ["p", "s"], ["f"]),
        helper.make_node("Mul", ["w", "m"], ["wm"]),
        helper.make_node("Gemm", ["f", "wm"], ["h"], transB=1),
        helper.make_node("Softmax", ["h"], ["y"]),
    ]
    random = np.random.default_rng(0)
    tensors = {
        "k": random.normal(size=(2, 1, 3, 3)).astype(np.float32),
        "w": random.normal(size=(3, 8)).astype(np.float32),
        "m": np.ones((3, 8), np.float32),
        "s": np.array([0, -1]),
    }
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(value, key) for key, value in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def pt2_file() -> bytes:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).eval()
    stream = io.BytesIO()
    torch.export.save(torch.export.export(network, (X,)), stream)
    return stream.getvalue()


def safetensors_file() -> bytes:
    return save(
        {"a.weight_orig": torch.rand(3, 16), "a.weight_mask": torch.ones(3, 16), "a.bias": torch.rand(3)}
    )


def caffe_file() -> bytes:
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    numbers = np.arange(16, dtype="<f4").tobytes()
    blob = field(7, field(1, b"\x01\x10")) + field(5, numbers)
    return field(2, field(4, b"ip") + field(6, blob))


def npz_file() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, x=np.random.default_rng(0).random((4, 3, 3), np.float32), y=np.arange(4))
    return stream.getvalue()


def mutated(content: bytes, random: Random) -> bytes:
    """Some bytes changed, removed, repeated or put elsewhere."""
    changed = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 5])):
        at = random.randrange(len(changed))
        length = random.choice([1, 1, 2, 4, 16])
        match random.randrange(4):
            case 0:
                changed[at : at + length] = random.randbytes(length)
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = changed[random.randrange(len(changed)) :][:length]
            case 3:
                changed[at] = random.choice(b'0123456789{}[]",:-\x00\x7f\x80\xff')
        if not changed:
            return b""
    return bytes(changed)


def repacked(content: bytes, random: Random) -> bytes:
    """An archive with one member mutated and its checksums made anew, so that readers get to see it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        names = old.namelist()
        chosen = random.choice([name for name in names if old.getinfo(name).file_size])
        for name in names:
            member = old.read(name)
            new.writestr(name, mutated(member, random) if name == chosen else member)
    return stream.getvalue()


def run_model(path: Path) -> None:
    model = load_model(path)
    model.logits(model.arrange(X))


def succeeds(read: Callable[[Path], object], path: Path) -> bool:
    """Whether a file is read; where it is not, the error is the readers' own and one line."""
    message = ""
    try:
        read(path)
    except (ModelError, DataError) as error:
        message = str(error)
    assert "\n" not in message
    return not message


READERS = {
    "onnx": (onnx_file, mutated, run_model),
    "pt2": (pt2_file, repacked, run_model),
    "safetensors": (safetensors_file, mutated, run_model),
    "caffemodel": (caffe_file, mutated, run_model),
    "npz": (npz_file, repacked, read_examples),
}


def fuzz(reader: str, inputs: int, path: Path, seed: int = 0) -> int:
    """How many of the mutated files are read; any other error than a reader's own goes through."""
    make, mutate, read = READERS[reader]
    torch.manual_seed(0)
    content, random = make(), Random(seed)
    path.write_bytes(content)
    assert succeeds(read, path)
    count = 0
    for _ in range(inputs):
        path.write_bytes(mutate(content, random))
        count += succeeds(read, path)
    return count


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS)
def test_a_mutated_file_is_a_network_or_one_clear_error(reader, tmp_path):
    suffix = ".caffemodel" if reader == "caffemodel" else ""
    assert 0 < fuzz(reader, INPUTS, tmp_path / f"m{suffix}") < INPUTS


@pytest.mark.parametrize("start", [b"", b"\x08", b"\x80\x04", b"PK\x03\x04", b"\x10\0\0\0\0\0\0\0{", b"\x12"])
def test_noise_is_one_clear_error(start, tmp_path):
    random, path = Random(1), tmp_path / "m"
    for length in range(60):
        path.write_bytes(start + random.randbytes(length))
        assert not succeeds(run_model, path)


def test_json_of_another_make_is_one_clear_error(tmp_path):
    """Every value of an archive's graph replaced by another type."""
    torch.manual_seed(0)
    with zipfile.ZipFile(io.BytesIO(pt2_file())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (name,) = (name for name in members if name.endswith("models/model.json"))
    graph = json.loads(members[name])
    random, path = Random(0), tmp_path / "m"

    def places(value, above=()):
        yield above
        items = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        for key, inner in items:
            yield from places(inner, (*above, key))

    inside = [place for place in places(graph["graph_module"]) if place]
    for place in random.sample(inside, 150):
        changed = json.loads(members[name])["graph_module"]
        at = changed
        for key in place[:-1]:
            at = at[key]
        at[place[-1]] = random.choice([None, -1, 2**70, "x", [], {}, [1], 1.5, True])
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in members.items():
                new = json.dumps({**graph, "graph_module": changed}) if member == name else content
                archive.writestr(member, new)
        succeeds(run_model, path)
