"""Every format gives the same network, and no file gets to run code of its own."""

import contextlib
import io
import json
import pickle
import warnings
import zipfile
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from sparse_robust.check import ModelError, load_model

SIDE = 12
"""Of an image here: after two convolutions and poolings, no pixel is left over."""


class Network(nn.Module):
    """A small convolutional network with what exported graphs commonly hold."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3, padding=1)
        self.normalisation = nn.BatchNorm2d(4)
        self.hidden = nn.Linear(4 * SIDE * SIDE // 4, 9)
        self.readout = nn.Linear(9, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.normalisation(self.convolution(x)))
        x = nn.functional.max_pool2d(x, 2)
        return self.readout(torch.relu(self.hidden(x.view(x.size(0), -1))))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = Network().eval().requires_grad_(False)
    network.normalisation.running_mean.normal_()
    network.normalisation.running_var.uniform_(0.5, 2)
    network.hidden.weight[network.hidden.weight.abs() < 0.02] = 0
    return network


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.rand(7, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def save_onnx(path: Path, network: Network, batch: int | str, *, softmax: bool = False) -> None:
    """The network as other tools write it: weights as initialisers, a reshape by computed sizes."""
    state = {name: value.numpy() for name, value in network.state_dict().items() if value.ndim}
    nodes = [
        helper.make_node("Conv", ["x", "convolution.weight", "convolution.bias"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node(
            "BatchNormalization",
            ["c", *(f"normalisation.{part}" for part in ("weight", "bias", "running_mean", "running_var"))],
            ["n"],
        ),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Shape", ["p"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n0"], axis=0),
        helper.make_node("Unsqueeze", ["n0", "first"], ["n1"]),
        helper.make_node("Constant", [], ["rest"], value_ints=[-1]),
        helper.make_node("Concat", ["n1", "rest"], ["size"], axis=0),
        helper.make_node("Reshape", ["p", "size"], ["f"]),
        helper.make_node("Gemm", ["f", "hidden.weight", "hidden.bias"], ["h"], transB=1),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Transpose", ["readout.weight"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["a", "t"], ["m"]),
        helper.make_node("Add", ["m", "readout.bias"], ["logits"]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["logits"], ["shares"]))
    integers = {"zero": np.array(0), "first": np.array([0])}
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("shares" if softmax else "logits", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(value, name) for name, value in (state | integers).items()],
    )
    onnx.save(helper.make_model(graph), path)


def save_exported(path: Path, network: nn.Module, x: Tensor, *, dynamic: bool) -> None:
    shapes = ({0: torch.export.Dim("n")},) if dynamic else None
    torch.export.save(torch.export.export(network, (x,), dynamic_shapes=shapes), path)


def save_torchscript(path: Path, module: nn.Module, example: Tensor | None = None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        program = torch.jit.script(module) if example is None else torch.jit.trace(module, example)
        torch.jit.save(program, path)


WRITERS = {
    "onnx": lambda path, network, x: save_onnx(path, network, "n"),
    "onnx, one image at a time": lambda path, network, x: save_onnx(path, network, 1),
    "onnx, softmax": lambda path, network, x: save_onnx(path, network, "n", softmax=True),
    "torch.export": lambda path, network, x: save_exported(path, network, x, dynamic=True),
    "torch.export, three at a time": lambda path, network, x: save_exported(
        path, network, x[:3], dynamic=False
    ),
    "torch.export, softmax": lambda path, network, x: save_exported(
        path, nn.Sequential(network, nn.Softmax(1)).eval(), x, dynamic=True
    ),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_is_the_same_network(kind, network, x, tmp_path):
    """Logits, gradients, weights and, where it can be seen, what the last layer reads; whatever the name."""
    path = tmp_path / "model.pt2"  # the only suffix that torch.export.save accepts without a warning
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        WRITERS[kind](path, network, x)
    path = path.rename(tmp_path / "model")
    model = load_model(path)
    z = x.clone().requires_grad_()
    logits, features = model.evaluate(z)
    wanted = network(x)
    torch.testing.assert_close(logits, wanted)
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), z)
    reference = x.clone().requires_grad_()
    torch.testing.assert_close(gradient, torch.autograd.grad(network(reference)[:, 1].sum(), reference)[0])
    assert sorted(w.numel() for w in model.weights.values()) == [27, 36, 1296]
    zeros = sum(int((weight == 0).sum()) for weight in model.weights.values())
    assert zeros == int((network.hidden.weight == 0).sum()) > 0
    torch.testing.assert_close(features @ network.readout.weight.mT + network.readout.bias, wanted)
    assert any("softmax" in note for note in model.notes) == ("softmax" in kind)


class Payload:
    """A pickle that leaves a trace where it is opened."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


def rewritten(source: Path, target: Path, change) -> Path:
    """An archive with members changed: ``change(name, content)`` gives the new content."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name.partition("/")[2], old.read(name)))
    return target


@pytest.mark.parametrize("file", ["model.pt", "model.pth", "model.onnx", "model.pkl"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_are_refused_whatever_their_name(file, zipped, tmp_path):
    path, trace = tmp_path / file, tmp_path / "trace"
    torch.save({"w": Payload(trace)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=r"never opened.*torch\.export\.save.*safetensors") as refusal:
        load_model(path)
    assert str(path) in str(refusal.value)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Payload(trace)))
    assert trace.exists()  # the trap is live


def test_pickled_parts_of_an_export_are_never_opened(network, x, tmp_path):
    path, trace = tmp_path / "m.pt2", tmp_path / "trace"
    save_exported(path, network, x, dynamic=True)
    buffer = io.BytesIO()
    torch.save(Payload(trace), buffer)

    def pickled_sample(name, content):
        return buffer.getvalue() if name == "data/sample_inputs/model.pt" else content

    hidden = rewritten(path, tmp_path / "sample.pt2", pickled_sample)
    assert len(load_model(hidden).weights) == 3  # sample inputs are not looked at
    assert not trace.exists()
    with contextlib.suppress(AssertionError):  # it finds no tuple there, once it is too late
        torch.export.load(hidden)
    assert trace.exists()  # which is why torch.export.load is not used
    trace.unlink()

    def pickled_weight(name, content):
        if name == "data/weights/weight_0":
            return buffer.getvalue()
        if name == "data/weights/model_weights_config.json":
            config = json.loads(content)
            for entry in config["config"].values():
                entry["use_pickle"] |= entry["path_name"] == "weight_0"
            return json.dumps(config)
        return content

    with pytest.raises(ModelError, match="pickled object, which is never opened"):
        load_model(rewritten(path, tmp_path / "weight.pt2", pickled_weight))
    assert not trace.exists()


@pytest.mark.parametrize("target", ["torch.os.system", "torch.ops.aten.save.default", "_operator.attrgetter"])
def test_an_export_cannot_name_other_functions(target, network, x, tmp_path):
    path = tmp_path / "m.pt2"
    save_exported(path, network, x, dynamic=True)

    def change(name, content):
        return content.replace(b"torch.ops.aten.relu.default", target.encode())

    with pytest.raises(ModelError, match=f"operator {target} is not among"):
        load_model(rewritten(path, tmp_path / "evil.pt2", change))


def test_an_export_cannot_read_beyond_its_weights(network, x, tmp_path):
    path = tmp_path / "m.pt2"
    save_exported(path, network, x, dynamic=True)

    def change(name, content):
        return content[:-4] if name == "data/weights/weight_0" else content

    with pytest.raises(ModelError, match="reaches beyond its 35 numbers"):
        load_model(rewritten(path, tmp_path / "short.pt2", change))


def test_an_export_in_training_mode_is_refused(x, tmp_path):
    path = tmp_path / "m.pt2"
    save_exported(path, nn.Sequential(nn.Dropout(), nn.Conv2d(1, 4, 3)).train(), x, dynamic=False)
    with pytest.raises(ModelError, match=r"training mode; call model\.eval\(\)"):
        load_model(path)


@pytest.mark.parametrize("example", [None, torch.rand(2, 1, SIDE, SIDE)])
def test_torchscript_is_refused_with_the_way_out(example, network, tmp_path):
    path = tmp_path / "m.pt"
    save_torchscript(path, network, example)
    with pytest.raises(ModelError, match=r"TorchScript program, which is not run.*torch\.export\.save.*onnx"):
        load_model(path)


@pytest.mark.parametrize("change", [str, str.upper])
def test_two_files_of_one_name_are_refused(change, network, x, tmp_path):
    path = tmp_path / "m.pt2"
    save_exported(path, network, x, dynamic=True)
    name = next(name for name in zipfile.ZipFile(path).namelist() if name.endswith("model.json"))
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is one of that name
        archive.writestr(change(name), "")
    with pytest.raises(ModelError, match="two files of one name"):
        load_model(path)


@pytest.mark.parametrize("kind", ["onnx", "torch.export"])
def test_a_damaged_file_is_one_clear_error(kind, network, x, tmp_path):
    path = tmp_path / "m.pt2"
    WRITERS[kind](path, network, x)
    content = path.read_bytes()
    for end in range(1, len(content), len(content) // 40):
        path.write_bytes(content[:end])
        with pytest.raises(ModelError) as refusal:
            load_model(path)
        assert str(refusal.value).startswith(f"{path}: ")
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("kind", ["onnx", "torch.export"])
def test_a_changed_file_is_a_network_or_one_clear_error(kind, network, x, tmp_path):
    """Bytes of the ONNX file, or characters of the archive's graph, changed at random."""
    path, changed = tmp_path / "m.pt2", tmp_path / "changed"
    WRITERS[kind](path, network, x)
    random = Random(0)

    def change(name, content):
        if name and name != "models/model.json":
            return content
        content = bytearray(content)
        for _ in range(random.choice([1, 3])):
            content[random.randrange(len(content))] = random.choice(b'0123456789{}[]",:-aenull\xff')
        return bytes(content)

    outcomes = []
    for _ in range(100):
        if kind == "onnx":
            changed.write_bytes(change("", path.read_bytes()))
        else:
            rewritten(path, changed, change)
        try:
            model = load_model(changed)
            model.logits(model.arrange(x))
            outcomes.append("run")
        except ModelError as error:
            outcomes.append(str(error))
    assert 0 < outcomes.count("run") < len(outcomes)
    assert all("\n" not in outcome for outcome in outcomes)


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"", "neither a torch.export archive"),
        (b"hello, world", "neither a torch.export archive"),
        (b"\x89HDF\r\n\x1a\n and more", "from Keras"),
        (b"PK\x03\x04 and then nothing", "damaged archive"),
        (b"\x10\0\0\0\0\0\0\0{not json", "safetensors file that cannot be read"),
        (b"\x80\x04.", "never opened"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "a web page"),
    ],
)
def test_what_is_no_model_is_one_clear_error(content, advice, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=advice) as refusal:
        load_model(path)
    assert "\n" not in str(refusal.value)


def test_an_npz_is_no_model(tmp_path):
    np.savez(tmp_path / "m.npz", x=np.zeros(3))
    with pytest.raises(ModelError, match=r"neither a torch\.export archive"):
        load_model(tmp_path / "m.npz")


@pytest.mark.parametrize(
    ("inputs", "outputs", "operator", "advice"),
    [
        (["x", "z"], ["y"], "Add", "2 inputs and 1 outputs"),
        (
            ["x"],
            ["y"],
            "NonZero",
            "operator NonZero of ONNX is not among the",
        ),
    ],
)
def test_an_onnx_file_that_is_no_known_classifier(inputs, outputs, operator, advice, tmp_path):
    def described(names: list[str]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in names]

    node = helper.make_node(operator, inputs, outputs)
    graph = helper.make_graph([node], "g", described(inputs), described(outputs))
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=advice):
        load_model(tmp_path / "m.onnx")
