"""Each ONNX operator against ONNX's own reference implementation."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from sparse_robust.check import ModelError, load_model
from sparse_robust.check.onnx_node import Node
from sparse_robust.check.onnx_operators import OPERATORS
from sparse_robust.check.onnx_tensors import dense

RANDOM = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


IMAGE = floats(2, 3, 7, 8)
INTEGERS = np.array([2, -1, 0])
KERNEL = {"kernel_shape": [3, 2]}

CASES = [
    ("Add", [floats(2, 3), floats(3)], {}),
    ("AveragePool", [IMAGE], KERNEL | {"strides": [2, 2]}),
    ("AveragePool", [IMAGE], KERNEL | {"pads": [1, 1, 1, 1], "strides": [1, 3]}),
    ("AveragePool", [IMAGE], KERNEL | {"pads": [1, 0, 1, 0], "count_include_pad": 1}),
    ("AveragePool", [floats(2, 3, 9)], {"kernel_shape": [3]}),
    ("BatchNormalization", [IMAGE, floats(3), floats(3), floats(3), floats(3) ** 2], {"epsilon": 1e-3}),
    ("Cast", [INTEGERS], {"to": 1}),
    ("Cast", [floats(3) * 9], {"to": 7}),
    ("Clip", [floats(5), np.float32(-0.5), np.float32(0.5)], {}),
    ("Concat", [floats(2, 3), floats(2, 1)], {"axis": 1}),
    ("Conv", [IMAGE, floats(4, 3, 3, 2), floats(4)], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    ("Conv", [IMAGE, floats(6, 1, 3, 3)], {"group": 3, "dilations": [2, 2]}),
    ("Conv", [IMAGE, floats(4, 3, 2, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 3]}),
    ("Conv", [IMAGE, floats(4, 3, 2, 3)], {"auto_pad": "SAME_LOWER"}),
    ("Conv", [IMAGE, floats(4, 3, 2, 3)], {"auto_pad": "VALID"}),
    ("Conv", [floats(2, 3, 9), floats(4, 3, 2)], {}),
    ("Div", [floats(2, 3), floats(3)], {}),
    ("Div", [np.array([7, 9]), np.array([2, 3])], {}),
    ("Dropout", [floats(3)], {}),
    ("Elu", [floats(9)], {"alpha": 0.7}),
    ("Flatten", [IMAGE], {}),
    ("Flatten", [IMAGE], {"axis": 2}),
    ("Gather", [floats(4, 3), INTEGERS], {}),
    ("Gather", [floats(4, 3), np.array(1)], {"axis": 1}),
    ("Gemm", [floats(3, 2), floats(4, 3), floats(4)], {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}),
    ("Gemm", [floats(2, 3), floats(3, 4)], {}),
    ("GlobalAveragePool", [IMAGE], {}),
    ("GlobalMaxPool", [IMAGE], {}),
    ("Identity", [floats(3)], {}),
    ("LeakyRelu", [floats(9)], {"alpha": 0.3}),
    ("LogSoftmax", [floats(2, 5)], {"axis": 1}),
    ("MatMul", [floats(2, 3), floats(3, 4)], {}),
    ("MaxPool", [IMAGE], KERNEL | {"strides": [2, 2]}),
    ("MaxPool", [IMAGE], KERNEL | {"pads": [1, 0, 1, 1], "strides": [2, 1]}),
    ("MaxPool", [IMAGE], KERNEL | {"ceil_mode": 1, "strides": [2, 3]}),
    ("MaxPool", [floats(2, 3, 9)], {"kernel_shape": [3]}),
    ("Mul", [floats(2, 3), floats(3)], {}),
    ("Neg", [floats(3)], {}),
    ("ReduceMean", [IMAGE, np.array([2, 3])], {"keepdims": 0}),
    ("Relu", [floats(9)], {}),
    ("Reshape", [floats(2, 6), np.array([0, -1, 3])], {}),
    ("Shape", [IMAGE], {"start": 1}),
    ("Sigmoid", [floats(9)], {}),
    ("Softmax", [floats(2, 5)], {"axis": 1}),
    ("Softplus", [floats(9)], {}),
    ("Squeeze", [floats(2, 1, 3, 1), np.array([1, -1])], {}),
    ("Squeeze", [floats(2, 1, 3, 1)], {}),
    ("Sub", [floats(2, 3), floats(3)], {}),
    ("Tanh", [floats(9)], {}),
    ("Transpose", [floats(2, 3, 4)], {}),
    ("Transpose", [floats(2, 3, 4)], {"perm": [1, 0, 2]}),
    ("Unsqueeze", [floats(2, 3), np.array([0, -1])], {}),
    ("Abs", [floats(3)], {}),
    ("And", [floats(4) > 0, floats(4) > 0], {}),
    ("CastLike", [INTEGERS, floats(1)], {}),
    ("Ceil", [floats(5)], {}),
    ("Celu", [floats(9)], {"alpha": 0.7}),
    ("ConstantOfShape", [np.array([2, 3])], {"value": numpy_helper.from_array(np.array([4], np.int64))}),
    ("DepthToSpace", [floats(2, 8, 3, 2)], {"blocksize": 2}),
    ("DepthToSpace", [floats(2, 8, 3, 2)], {"blocksize": 2, "mode": "CRD"}),
    ("Einsum", [floats(2, 3), floats(3, 4)], {"equation": "ij,jk->ik"}),
    ("Equal", [np.array([1, 2]), np.array([1, 3])], {}),
    ("Erf", [floats(5)], {}),
    ("Exp", [floats(5)], {}),
    ("Expand", [floats(3, 1), np.array([2, 1, 4])], {}),
    ("Floor", [floats(5)], {}),
    ("GatherElements", [floats(3, 4), np.array([[0, -1, 2, 1]])], {"axis": 0}),
    ("GatherND", [floats(3, 4, 2), np.array([[0, 1], [2, -1]])], {}),
    ("GatherND", [floats(2, 3, 4), np.array([[[1], [0]], [[2], [2]]])], {"batch_dims": 1}),
    ("ScatterND", [floats(4, 3), np.array([[2], [0]]), floats(2, 3)], {}),
    ("ScatterND", [floats(4, 3), np.array([[1, 2], [-1, 0]]), floats(2)], {}),
    ("Gelu", [floats(9)], {}),
    ("Gelu", [floats(9)], {"approximate": "tanh"}),
    ("Greater", [floats(4), floats(4)], {}),
    ("GreaterOrEqual", [floats(4), floats(4)], {}),
    ("GroupNormalization", [floats(2, 4, 3, 3), floats(2), floats(2)], {"num_groups": 2}),
    ("HardSigmoid", [floats(9) * 5], {"alpha": 0.3, "beta": 0.4}),
    ("HardSwish", [floats(9) * 5], {}),
    ("InstanceNormalization", [IMAGE, floats(3), floats(3)], {"epsilon": 1e-3}),
    ("LRN", [floats(7, 7, 2, 2)], {"size": 3, "alpha": 0.3, "beta": 0.6, "bias": 1.5}),
    ("LRN", [floats(7, 7, 2, 2)], {"size": 4}),  # the reference loops over as many channels as examples
    ("LayerNormalization", [floats(2, 3, 4), floats(4), floats(4)], {}),
    ("LayerNormalization", [floats(2, 3, 4), floats(3, 4)], {"axis": 1, "epsilon": 1e-3}),
    ("Less", [floats(4), floats(4)], {}),
    ("LessOrEqual", [floats(4), floats(4)], {}),
    ("Log", [floats(5) ** 2], {}),
    ("Max", [floats(3), floats(2, 3), floats(1)], {}),
    ("Mean", [floats(3), floats(3), floats(3)], {}),
    ("Min", [floats(3), floats(2, 3)], {}),
    ("Mish", [floats(9)], {}),
    ("Mod", [np.array([7, -7]), np.array([3, 3])], {}),
    ("Mod", [floats(5), floats(5)], {"fmod": 1}),
    ("Not", [floats(4) > 0], {}),
    ("Or", [floats(4) > 0, floats(4) > 0], {}),
    ("PRelu", [floats(2, 3, 4), floats(3, 1)], {}),
    ("Pad", [floats(2, 3), np.array([0, 1, 1, 2]), np.float32(7)], {}),
    ("Pad", [floats(2, 5), np.array([0, 2, 0, 3])], {"mode": "reflect"}),
    ("Pad", [floats(2, 5), np.array([1, 2, 0, 3])], {"mode": "edge"}),
    ("Pow", [floats(5) ** 2, np.float32(1.5)], {}),
    ("Range", [np.array(1), np.array(9), np.array(3)], {}),
    ("Reciprocal", [floats(5)], {}),
    ("ReduceL1", [IMAGE, np.array([2, 3])], {}),
    ("ReduceL2", [IMAGE, np.array([1])], {"keepdims": 0}),
    ("ReduceLogSumExp", [IMAGE, np.array([3])], {}),
    ("ReduceMax", [IMAGE, np.array([2, 3])], {}),
    ("ReduceMin", [IMAGE, np.array([-1])], {}),
    ("ReduceProd", [floats(2, 3, 2), np.array([0, 2])], {}),
    ("ReduceSum", [IMAGE], {}),
    ("ReduceSum", [IMAGE], {"noop_with_empty_axes": 1}),
    ("ReduceSumSquare", [IMAGE, np.array([0])], {}),
    ("Reshape", [floats(2, 0, 3), np.array([3, 0, 2])], {"allowzero": 1}),
    ("Round", [np.array([0.5, 1.5, -2.4], np.float32)], {}),
    ("Selu", [floats(9)], {}),
    ("Sign", [floats(5)], {}),
    ("Size", [IMAGE], {}),
    (
        "Slice",
        [floats(5, 6), np.array([1, -1]), np.array([99, -99]), np.array([0, 1]), np.array([2, -2])],
        {},
    ),
    ("Slice", [floats(5, 6), np.array([1]), np.array([-1])], {}),
    ("Softsign", [floats(9)], {}),
    ("SpaceToDepth", [floats(2, 3, 4, 6)], {"blocksize": 2}),
    ("Split", [floats(2, 6), np.array([1, 2, 3])], {"axis": 1}),
    ("Split", [floats(2, 7)], {"axis": -1, "num_outputs": 3}),
    ("Sqrt", [floats(5) ** 2], {}),
    ("Sum", [floats(3), floats(2, 3), floats(1)], {}),
    ("Swish", [floats(9)], {}),
    ("ThresholdedRelu", [floats(9)], {"alpha": 0.5}),
    ("Tile", [floats(2, 3), np.array([2, 1])], {}),
    ("Where", [floats(4) > 0, floats(4), floats(1)], {}),
    ("AveragePool", [IMAGE], KERNEL | {"ceil_mode": 1, "strides": [2, 3]}),
    ("AveragePool", [IMAGE], KERNEL | {"pads": [0, 0, 1, 1]}),
    ("AveragePool", [IMAGE], KERNEL | {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ("AveragePool", [floats(1, 2, 4, 5, 6)], {"kernel_shape": [2, 2, 2]}),
    ("Conv", [floats(1, 2, 4, 5, 6), floats(3, 2, 2, 2, 2)], {}),
    ("MaxPool", [floats(1, 2, 4, 5, 6)], {"kernel_shape": [1, 2, 2], "strides": [1, 2, 2]}),
]


OPSETS = {"Swish": 24}
"""Versions of the standard; that of every other operator is 20."""


def attributes_of(node) -> dict[str, object]:
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    tensor = {key: value for key, value in given.items() if isinstance(value, TensorProto)}
    return given | {key: dense(value) for key, value in tensor.items()}


@pytest.mark.parametrize(("name", "inputs", "attributes"), CASES, ids=lambda value: str(value)[:20])
def test_an_operator_is_that_of_the_standard(name, inputs, attributes):
    names = [f"input_{i}" for i in range(len(inputs))]
    results = ["y", "z", "u"][: 3 if name == "Split" else 1]
    node = helper.make_node(name, names, results, **attributes)
    infos = [
        helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for key, value in zip(names, inputs, strict=True)
    ]
    outputs = [helper.make_empty_tensor_value_info(result) for result in results]
    opset = OPSETS.get(name, 20)
    graph = helper.make_graph([node], "g", infos, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    wanted = ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))
    tensors = [torch.from_numpy(np.array(value)) for value in inputs]
    made = OPERATORS[name](*tensors, node=Node(attributes_of(node), opset, len(results)))
    for result, expected in zip(made if isinstance(made, tuple) else (made,), wanted, strict=True):
        assert result.shape == expected.shape
        np.testing.assert_allclose(result.numpy(), expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("rule", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("strides", [[1, 1], [2, 2], [3, 2]])
def test_a_pooling_that_keeps_the_size_is_that_of_onnxruntime(name, rule, strides):
    """ONNX's own reference returns three columns of eight at stride 2 and SAME_LOWER, its standard four."""
    attributes = KERNEL | {"auto_pad": rule, "strides": strides}
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, IMAGE.shape)
    node = helper.make_node(name, ["x"], ["y"], **attributes)
    graph = helper.make_graph([node], "g", [info], [onnx.ValueInfoProto(name="y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = session.run(["y"], {"x": IMAGE})
    made = OPERATORS[name](torch.from_numpy(IMAGE), node=Node(attributes_of(node), 17))
    assert made.shape[2:] == tuple(
        -(-size // step) for size, step in zip(IMAGE.shape[2:], strides, strict=True)
    )
    np.testing.assert_allclose(made.numpy(), expected, rtol=2e-5, atol=2e-6)


def test_every_operator_has_a_case():
    assert {name for name, _, _ in CASES} == OPERATORS.keys()


@pytest.mark.parametrize(
    ("name", "inputs", "attributes"),
    [
        ("BatchNormalization", [IMAGE, *[floats(3) ** 2] * 4], {"training_mode": 1}),
        ("Dropout", [IMAGE, np.float32(0.5), np.array(True)], {}),
        ("AveragePool", [IMAGE], KERNEL | {"dilations": [2, 2]}),
        ("MaxPool", [IMAGE], KERNEL | {"dilations": [2, 2], "auto_pad": b"SAME_LOWER"}),
        ("MaxPool", [floats(1, 1, 2, 2, 2, 2)], {"kernel_shape": [1, 1, 1, 1]}),
        ("Cast", [floats(3)], {"to": 8}),
        ("ScatterND", [floats(2, 2), np.array([[0, 1], [0, 1]]), floats(2)], {"reduction": b"add"}),
    ],
)
def test_what_is_not_done_is_an_error(name, inputs, attributes):
    with pytest.raises(ValueError, match=r"training mode|(a|with a) dilation|over 4 axes|type 8|in place"):
        OPERATORS[name](*(torch.from_numpy(np.array(value)) for value in inputs), node=Node(attributes))


def saved(path, nodes, tensors, opset=17, shape=("n", 1, 4, 4)):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", None])],
        [numpy_helper.from_array(value, key) for key, value in tensors.items()],
    )
    versions = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=versions, ir_version=8), path)
    return path


@pytest.mark.parametrize("opset", [7, 11, 12, 13])
@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
def test_softmax_before_version_13_is_over_all_axes_from_its_own_on(operator, opset, tmp_path):
    """As onnxruntime computes it, in the middle of a network and with its default axis."""
    nodes = [
        helper.make_node(operator, ["x"], ["s"]),
        helper.make_node("Flatten", ["s"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    model = load_model(saved(tmp_path / "m.onnx", nodes, {"w": floats(16, 3)}, opset))
    x = torch.from_numpy(floats(5, 1, 4, 4))
    model.verify(x)
    along = x.flatten(1) if opset < 13 else x
    function = torch.softmax if operator == "Softmax" else torch.log_softmax
    weight = next(iter(model.weights.values()))
    torch.testing.assert_close(model.logits(x), function(along, -1).reshape(5, 16) @ weight)


def test_operators_that_broadcast_by_attributes_are_refused(tmp_path):
    nodes = [helper.make_node("Add", ["x", "b"], ["y"], broadcast=1, axis=1)]
    with pytest.raises(ModelError, match="version 6 of ONNX's operators, of which 7 is the oldest"):
        load_model(saved(tmp_path / "m.onnx", nodes, {"b": floats(1)}, 6))


def test_a_difference_from_onnxruntime_names_the_first_operator(tmp_path, monkeypatch):
    nodes = [
        helper.make_node("Flatten", ["x"], ["f"]),
        helper.make_node("Elu", ["f"], ["e"]),
        helper.make_node("Relu", ["e"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["y"]),
    ]
    path = saved(tmp_path / "m.onnx", nodes, {"w": floats(16, 3)})
    x = torch.from_numpy(floats(3, 1, 4, 4))
    load_model(path).verify(x)
    monkeypatch.setitem(OPERATORS, "Elu", lambda x, node: x.abs())
    with pytest.raises(
        ModelError, match=r"other numbers than onnxruntime, first at Elu, whose result is 'e'"
    ):
        load_model(path).verify(x)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_floating_types_are_computed_in_float32_and_said(kind, tmp_path):
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    path = saved(tmp_path / "m.onnx", nodes, {"w": floats(16, 3).astype(kind)})
    stored = onnx.load(path)
    stored.graph.input[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    onnx.save(stored, path)
    model = load_model(path)
    model.verify(torch.from_numpy(floats(3, 1, 4, 4)))
    assert any("computed in float32" in note for note in model.notes)
