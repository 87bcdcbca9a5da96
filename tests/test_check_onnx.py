"""Each ONNX operator against ONNX's own reference implementation."""

import numpy as np
import pytest
import torch
from onnx import helper
from onnx.reference import ReferenceEvaluator

from sparse_robust.check.onnx_node import Node
from sparse_robust.check.onnx_operators import OPERATORS

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
]


@pytest.mark.parametrize(("name", "inputs", "attributes"), CASES, ids=lambda value: str(value)[:20])
def test_an_operator_is_that_of_the_standard(name, inputs, attributes):
    names = [f"input_{i}" for i in range(len(inputs))]
    node = helper.make_node(name, names, ["y"], **attributes)
    infos = [
        helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for key, value in zip(names, inputs, strict=True)
    ]
    output = helper.make_empty_tensor_value_info("y")
    model = helper.make_model(helper.make_graph([node], "g", infos, [output]))
    (wanted,) = ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    found = OPERATORS[name](*map(torch.tensor, inputs), given=given)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found.numpy(), wanted, rtol=2e-5, atol=2e-6)


def test_every_operator_has_a_case():
    assert {name for name, _, _ in CASES} == OPERATORS.keys()


@pytest.mark.parametrize(
    ("name", "inputs", "attributes"),
    [
        (
            "BatchNormalization",
            [IMAGE, floats(3), floats(3), floats(3), floats(3) ** 2],
            {"training_mode": 1},
        ),
        ("AveragePool", [IMAGE], KERNEL | {"pads": [0, 0, 1, 1]}),
        ("Cast", [floats(3)], {"to": 8}),
    ],
)
def test_what_is_not_done_is_an_error(name, inputs, attributes):
    with pytest.raises(ValueError, match=r"training mode|uneven padding|type 8"):
        OPERATORS[name](*map(torch.tensor, inputs), given=attributes)
