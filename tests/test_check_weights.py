"""Sparsity counts the weights that the function uses, whichever way a file keeps them and their masks."""

import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

from sparse_robust.check import Examples, ModelError, Options, load_model, measure

X = torch.rand(40, 1, 4, 5, generator=torch.Generator().manual_seed(0))


def sparsity(model) -> float:
    weights = torch.cat([weight.flatten() for weight in model.weights.values()])
    return float((weights == 0).double().mean())


def pruned(kind: str = "unstructured") -> nn.Sequential:
    """Two layers with masks attached that keep 3 weights of 10; the rest as prune leaves it."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 4)).eval()
    for layer in (network[1], network[3]):
        if kind == "parametrized":
            parametrize.register_parametrization(layer, "weight", Masked(layer.weight))
        else:
            prune.l1_unstructured(layer, "weight", 0.7)
    return network


class Masked(nn.Module):
    """A mask as torch.nn.utils.parametrize attaches it."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        cut = weight.abs().flatten().sort().values[int(0.7 * weight.numel())]
        self.register_buffer("mask", (weight.abs() >= cut).float())

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


def to_onnx(network, path, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (X[:2],), path, verbose=False, **options)


def to_pt2(network, path):
    shapes = ({0: torch.export.Dim("n")},)
    torch.export.save(torch.export.export(network, (X[:2],), dynamic_shapes=shapes), path)


EXPORTS = {
    "default": lambda network, path: to_onnx(network, path, dynamic_shapes=({0: torch.export.Dim("n")},)),
    "older": lambda network, path: to_onnx(network, path, dynamo=False, do_constant_folding=False),
    "pt2": to_pt2,
}


@pytest.mark.parametrize("kind", ["unstructured", "parametrized"])
@pytest.mark.parametrize("export", EXPORTS)
def test_attached_masks_are_multiplied_in(export, kind, tmp_path):
    network, path = pruned(kind), tmp_path / "m.pt2"
    EXPORTS[export](network, path)
    model = load_model(path)
    assert sparsity(model) == 168 / 240
    x = X[:2]
    torch.testing.assert_close(model.logits(x), network(x))
    assert "240 weights of 2 layers" in model.notes[-1]


@pytest.mark.parametrize("kind", ["unstructured", "parametrized", "mask of the layer", "of this package"])
def test_masks_in_safetensors_are_multiplied_in(kind, tmp_path):
    torch.manual_seed(0)
    layer = nn.Linear(20, 4)
    weight = layer.weight.detach().clone()
    mask = (weight.abs() > 0.1).float()
    tensors = {
        "unstructured": {"1.weight_orig": weight, "1.weight_mask": mask, "1.bias": layer.bias},
        "parametrized": {
            "1.parametrizations.weight.original": weight,
            "1.parametrizations.weight.0.mask": mask,
            "1.bias": layer.bias,
        },
        "mask of the layer": {"1.weight": weight, "1.mask": mask, "1.bias": layer.bias},
        "of this package": {"1.weight": weight, "mask/1.weight": mask.bool(), "1.bias": layer.bias},
    }[kind]
    save_file({key: value.detach() for key, value in tensors.items()}, tmp_path / "m")
    model = load_model(tmp_path / "m")
    assert sparsity(model) == float((mask == 0).double().mean())
    x = X.flatten(1)
    torch.testing.assert_close(model.logits(x), x @ (weight * mask).mT + layer.bias)


@pytest.mark.parametrize(
    ("tensors", "advice"),
    [
        ({"a.weight_orig": torch.zeros(4, 3)}, None),
        ({"a.weight_mask": torch.ones(4, 3)}, "without a weight of its shape"),
        ({"a.weight": torch.zeros(4, 3), "a.mask": torch.ones(4)}, "without a weight of its shape"),
        ({"a.weight": torch.ones(4, 3), "a.mask": torch.rand(4, 3)}, "other numbers than 0 and 1"),
        ({"a.weight": torch.eye(3), "a.mask": 1 - torch.eye(3)}, "as if 1 meant pruned; it means kept"),
    ],
)
def test_masks_and_weights_belong_together(tensors, advice, tmp_path):
    save_file(tensors, tmp_path / "m")
    if advice is None:
        assert len(load_model(tmp_path / "m").weights) == 1
        return
    with pytest.raises(ModelError, match=advice):
        load_model(tmp_path / "m")


def saved(path, nodes, tensors):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 4, 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None])],
        [numpy_helper.from_array(value, key) for key, value in tensors.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return load_model(path)


RANDOM = np.random.default_rng(0)
A, B = (RANDOM.normal(size=shape).astype(np.float32) for shape in ((6, 20), (4, 6)))
MEAN = np.zeros((1, 20), np.float32)


def node(operator, inputs, output, **attributes):
    return helper.make_node(operator, inputs.split(), [output], **attributes)


def test_what_no_layer_multiplies_by_does_not_count(tmp_path):
    nodes = [
        node("Flatten", "x", "f"),
        node("Sub", "f mean", "c"),
        node("Gemm", "c a", "h", transB=1),
        node("Relu", "h", "r"),
        node("Gemm", "r b", "y", transB=1),
    ]
    tensors = {"mean": MEAN, "a": A, "b": B, "unused": np.zeros((500, 500), np.float32)}
    model = saved(tmp_path / "m.onnx", nodes, tensors)
    assert {name: weight.numel() for name, weight in model.weights.items()} == {"a": 120, "b": 24}
    assert "not of 2 tensors (mean, unused)" in model.notes[-1]


def test_one_layer_on_a_shifted_input_has_no_activations(tmp_path):
    nodes = [node("Flatten", "x", "f"), node("Sub", "f mean", "c"), node("Gemm", "c a", "y", transB=1)]
    model = saved(tmp_path / "m.onnx", nodes, {"mean": MEAN, "a": A})
    y = model.logits(X).argmax(1).detach()
    assert measure(model, Examples(X, y, (0.0, 1.0)), Options()).silent is None


def test_weights_may_come_first_in_a_product(tmp_path):
    """y = (B relu(A x^T))^T: weights, logits and activations are those of the usual order."""
    nodes = [
        node("Flatten", "x", "f"),
        node("Transpose", "f", "t", perm=[1, 0]),
        node("MatMul", "a t", "h"),
        node("Relu", "h", "r"),
        node("MatMul", "b r", "z"),
        node("Transpose", "z", "y", perm=[1, 0]),
    ]
    model = saved(tmp_path / "m.onnx", nodes, {"a": A, "b": B})
    assert set(model.weights) == {"a", "b"}
    logits, features = model.evaluate(X)
    hidden = (X.flatten(1) @ torch.from_numpy(A).mT).relu()
    torch.testing.assert_close(features, hidden)
    torch.testing.assert_close(logits, hidden @ torch.from_numpy(B).mT)


def test_a_weight_used_twice_counts_once(tmp_path):
    square = RANDOM.normal(size=(20, 20)).astype(np.float32)
    nodes = [
        node("Flatten", "x", "f"),
        node("MatMul", "f w", "h"),
        node("Transpose", "w", "t", perm=[1, 0]),
        node("Relu", "h", "r"),
        node("MatMul", "r t", "y"),
    ]
    assert set(saved(tmp_path / "m.onnx", nodes, {"w": square}).weights) == {"w"}


def test_sparse_initialisers_are_weights(tmp_path):
    dense = A * (np.abs(A) > 0.5)
    places = np.flatnonzero(dense)
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f a", "y", transB=1)]
    for indices in (places, np.stack(np.unravel_index(places, dense.shape), 1)):
        saved(tmp_path / "m.onnx", nodes, {"a": A})
        stored = onnx.load(tmp_path / "m.onnx")
        del stored.graph.initializer[:]
        values = numpy_helper.from_array(dense.ravel()[places], "a")
        place = numpy_helper.from_array(indices.astype(np.int64), "places")
        stored.graph.sparse_initializer.append(helper.make_sparse_tensor(values, place, dense.shape))
        onnx.save(stored, tmp_path / "m.onnx")
        model = load_model(tmp_path / "m.onnx")
        assert np.array_equal(model.weights["a"].numpy(), dense)
        model.verify(X[:3])


@pytest.mark.parametrize(
    ("architecture", "activation"),
    [
        ("lenet-300-100", torch.relu),
        ("lenet-300-100-tanh", torch.tanh),
        ("lenet-300-100-sigmoid", torch.sigmoid),
    ],
)
def test_the_activation_is_assumed_aloud_or_chosen(architecture, activation, tmp_path):
    torch.manual_seed(0)
    layers = [nn.Linear(20, 300), nn.Linear(300, 100), nn.Linear(100, 4)]
    save_file({f"{i}.weight": layer.weight.detach() for i, layer in enumerate(layers)}, tmp_path / "m")
    chosen = None if architecture == "lenet-300-100" else architecture
    model = load_model(tmp_path / "m", architecture=chosen)
    assert f"taken as {architecture}, with" in model.assumption
    assert ("--architecture chooses" in model.assumption) == (chosen is None)
    x = X.flatten(1)
    for layer in layers[:2]:
        x = activation(x @ layer.weight.mT)
    torch.testing.assert_close(model.logits(X.flatten(1)), x @ layers[2].weight.mT)


def test_an_architecture_that_does_not_fit_is_refused(tmp_path):
    save_file({"a.weight": torch.zeros(4, 20)}, tmp_path / "m")
    with pytest.raises(ModelError, match="weights that are not of lenet-5"):
        load_model(tmp_path / "m", architecture="lenet-5")
    with pytest.raises(ModelError, match="no architecture 'resnet'"):
        load_model(tmp_path / "m", architecture="resnet")
