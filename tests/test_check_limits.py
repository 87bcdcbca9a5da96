"""What a file may ask of the machine, memory that runs out, and what a file's names do to a terminal."""

import json
import resource
import zipfile

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from sparse_robust.check import Examples, Model, ModelError, Options, load_model, measure
from sparse_robust.check.limits import MAX_NUMBERS, Bounded, free_memory_only
from sparse_robust.check.measure import CANDIDATES
from sparse_robust.check.memory import BatchMemoryError, halving
from sparse_robust.check.text import escape


def test_text_from_a_file_is_one_line_that_no_terminal_acts_on():
    assert escape("a\x1b[31m\n\r\u202eb\x07\x9b") == r"a\x1b[31m\n\r\u202eb\x07\x9b"
    assert escape("Größe ≤ 1") == "Größe ≤ 1"
    assert len(escape("x" * 10**6)) < 1000
    assert str(ModelError("\x1b]0;title\x07")) == r"\x1b]0;title\x07"


def test_memory_that_runs_out_halves_the_batch():
    asked = []

    def work(first, last):
        asked.append(last - first)
        if last - first > 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return list(range(first, last))

    parts, batch = halving(work, 10, 500)
    assert [number for part in parts for number in part] == list(range(10))
    assert batch == 3
    assert asked == [10, 5, 3, 3, 3, 1]

    def hopeless(first, last):
        raise MemoryError

    with pytest.raises(BatchMemoryError):
        halving(hopeless, 10, 4)

    def wrong(first, last):
        raise RuntimeError("another thing")

    with pytest.raises(RuntimeError, match="another thing"):
        halving(wrong, 10, 4)


def test_memory_that_runs_out_is_not_called_a_lack_of_gradients():
    x = torch.rand(8, 4)
    weight = torch.eye(4)

    def evaluate(z):
        if len(z) > 1:
            raise RuntimeError("not enough memory: you tried to allocate 1 bytes")
        return z @ weight - 1, None

    found = measure(Model("m", "none", {}, evaluate), Examples(x, x.argmax(1), (0.0, 1.0)), Options())
    assert found.correct.all()
    assert "attacked 1 images at a time, for want of memory" in found.notes
    hopeless = Model("m", "none", {}, lambda z: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises((ModelError, MemoryError)):
        measure(hopeless, Examples(x, x.argmax(1), (0.0, 1.0)), Options())


def test_of_many_classes_the_leading_ones_are_tried():
    """On a linear model with steps of one length, the nearest class is the one that trails least."""
    classes = CANDIDATES * 3
    rows = torch.randn(classes, 100, generator=torch.Generator().manual_seed(0))
    weight = torch.linalg.qr(rows.T)[0].T  # orthonormal: all boundaries are equally steep
    x = torch.rand(6, 100, generator=torch.Generator().manual_seed(1))
    logits = x @ weight.T
    model = Model("m", "none", {}, lambda z: (z @ weight.T, None))
    found = measure(model, Examples(x, logits.argmax(1), (0.0, 1.0)), Options())
    first, second = logits.topk(2).values.T
    torch.testing.assert_close(found.radius, 1.02 * (first - second) / 2**0.5, rtol=1e-3, atol=1e-6)
    assert (
        f"DeepFool tries the {CANDIDATES} leading classes of {classes - 1} others in each step" in found.notes
    )


def test_only_free_memory_is_given_and_the_limit_is_taken_back():
    before = resource.getrlimit(resource.RLIMIT_AS)
    with free_memory_only():
        inside = resource.getrlimit(resource.RLIMIT_AS)[0]
        assert inside != resource.RLIM_INFINITY
        with pytest.raises((RuntimeError, MemoryError)):
            torch.empty(2**50, dtype=torch.uint8)
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_what_is_too_large_is_refused_before_it_is_computed():
    with Bounded():
        torch.zeros(4, 4) @ torch.zeros(4, 4)
        with pytest.raises(ModelError, match="at most 268,435,456"):
            torch.zeros(2**30)
        with pytest.raises(ModelError, match="at most"):
            torch.zeros(2**15, 1) @ torch.zeros(1, 2**15)
        with pytest.raises(ModelError, match="operations for one image"):
            torch.zeros(2**13, 2**14) @ torch.zeros(2**14, 2**13)


def saved(path, nodes, tensors=(), shape=("n", 1, 4, 4), **more):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, key) for key, value in dict(tensors).items()],
        **more,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def ints(*values):
    return np.array(values, np.int64)


HUGE = {
    "pads of a convolution": (
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[9000] * 4)],
        {"w": np.ones((4, 1, 3, 3), np.float32)},
    ),
    "pads": ([helper.make_node("Pad", ["x", "p"], ["y"])], {"p": ints(0, 0, 2**15, 2**15, 0, 0, 2**15, 0)}),
    "pads by copies": (
        [helper.make_node("Pad", ["x", "p"], ["y"], mode="edge")],
        {"p": ints(0, 0, 2**40, 0, 0, 0, 0, 0)},
    ),
    "repetitions": ([helper.make_node("Tile", ["x", "r"], ["y"])], {"r": ints(1, 1, 10**5, 10**5)}),
    "a shape": ([helper.make_node("Expand", ["x", "s"], ["y"])], {"s": ints(1, 2**40, 4, 4)}),
    "a constant": (
        [helper.make_node("ConstantOfShape", ["s"], ["c"]), helper.make_node("Add", ["x", "c"], ["y"])],
        {"s": ints(2**20, 2**20)},
    ),
    "a range": (
        [helper.make_node("Range", ["a", "b", "c"], ["r"]), helper.make_node("Gather", ["x", "r"], ["y"])],
        {"a": np.array(0), "b": np.array(2**50), "c": np.array(1)},
    ),
    "an outer product": (
        [helper.make_node("Tile", ["x", "r"], ["t"]), helper.make_node("MatMul", ["t", "u"], ["y"])],
        {"r": ints(1, 1, 5000, 1), "u": np.ones((4, 50000), np.float32)},
    ),
}


def load_and_measure(path):
    x = torch.rand(4, 1, 4, 4)
    return measure(load_model(path), Examples(x, torch.zeros(4).long(), (0.0, 1.0)), Options())


@pytest.mark.parametrize("kind", HUGE)
def test_what_a_small_onnx_file_blows_up_is_refused(kind, tmp_path):
    nodes, tensors = HUGE[kind]
    path = saved(tmp_path / "m.onnx", nodes, tensors)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match="at most"):
        load_and_measure(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 2**19  # KiB


def test_a_batch_or_graph_without_end_is_refused(tmp_path):
    flat = [helper.make_node("Flatten", ["x"], ["y"])]
    with pytest.raises(ModelError, match="takes 1000000000 examples at once"):
        load_model(saved(tmp_path / "m.onnx", flat, shape=(10**9, 1, 4, 4)))
    long = [helper.make_node("Relu", ["x"], ["a0"])]
    long += [helper.make_node("Relu", [f"a{i}"], [f"a{i + 1}"]) for i in range(50_000)]
    long.append(helper.make_node("Flatten", ["a50000"], ["y"]))
    with pytest.raises(ModelError, match="at most 50000 are run"):
        load_model(saved(tmp_path / "m.onnx", long))


def test_a_sparse_tensor_without_end_is_refused(tmp_path):
    values, places = (
        numpy_helper.from_array(np.ones(1, np.float32), "w"),
        numpy_helper.from_array(ints(0), "i"),
    )
    sparse = helper.make_sparse_tensor(values, places, [2**20, 2**20])
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    with pytest.raises(ModelError, match=f"at most {MAX_NUMBERS:,}"):
        load_model(saved(tmp_path / "m.onnx", nodes, sparse_initializer=[sparse]))


@pytest.mark.parametrize("missing", ["w", "b"])
def test_an_input_that_is_missing_is_one_clear_error(missing, tmp_path):
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"], transB=1),
    ]
    tensors = {"w": np.ones((3, 16), np.float32), "b": np.ones(3, np.float32)}
    del tensors[missing]
    with pytest.raises(ModelError, match=f"Gemm reads '{missing}', which nothing computes before it"):
        load_model(saved(tmp_path / "m.onnx", nodes, tensors))
    with pytest.raises(ModelError, match="Gemm cannot be computed"):
        load_model(saved(tmp_path / "m.onnx", [helper.make_node("Gemm", ["x"], ["y"])])).logits(
            torch.rand(2, 1, 4, 4)
        )


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "m.pt2"
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    torch.export.save(torch.export.export(network, (torch.rand(2, 1, 4, 4),)), path)
    return path


def rewritten(source, target, change, **options):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", **options) as new:
        for name in old.namelist():
            new.writestr(name, change(name.partition("/")[2], old.read(name)))
    return target


def test_a_compressed_archive_is_refused(archive, tmp_path):
    packed = rewritten(
        archive, tmp_path / "n", lambda name, content: content, compression=zipfile.ZIP_DEFLATED
    )
    with pytest.raises(ModelError, match="is compressed, which PyTorch does not do"):
        load_model(packed)


def test_a_tensor_that_repeats_its_numbers_is_refused(archive, tmp_path):
    def change(name, content):
        if name != "data/weights/model_weights_config.json":
            return content
        config = json.loads(content)
        for entry in config["config"].values():
            entry["tensor_meta"]["sizes"] = [{"as_int": 2**20}, {"as_int": 2**20}]
            entry["tensor_meta"]["strides"] = [{"as_int": 0}, {"as_int": 0}]
        return json.dumps(config)

    with pytest.raises(ModelError, match="repeats"):
        load_model(rewritten(archive, tmp_path / "n", change))


def test_brackets_within_brackets_are_refused(archive, tmp_path):
    def change(name, content):
        return "[" * 100_000 if name == "models/model.json" else content

    with pytest.raises(ModelError, match=r"torch\.export archive that cannot be read"):
        load_model(rewritten(archive, tmp_path / "n", change))
