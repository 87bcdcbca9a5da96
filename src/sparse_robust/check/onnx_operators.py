"""The ONNX operators that are run, as PyTorch functions with gradients.

Each takes a node's inputs (None where one is left out) and the node. Semantics, by version of the standard
from :data:`OLDEST_OPSET` on: https://onnx.ai/onnx/operators. What an attribute of a listed operator may not
be is an error, never ignored.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .onnx_layers import LAYERS
from .onnx_node import Node, Operator
from .onnx_shapes import REARRANGING, SHAPES

OLDEST_OPSET = 7
"""Before, operators broadcast by attributes, and onnxruntime, which results are compared with, runs few."""

FLOATS, INTEGERS, BOOLEAN = (1, 10, 11, 16), (6, 7), 9
"""TensorProto's numbers of the floating types, all computed in float32, of int32 and int64, and of bool."""


def _cast(x: Tensor, *, node: Node) -> Tensor:
    return _to(x, node.get("to"))


def _to(x: Tensor, kind: int) -> Tensor:
    if kind in FLOATS:
        return x.to(torch.float32)
    if kind in INTEGERS:
        return x.to(torch.int64)
    if kind == BOOLEAN:
        return x.to(torch.bool)
    raise ValueError(f"type {kind}")


def _clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None, *, node: Node) -> Tensor:
    bounds = (node.get("min") if low is None else low, node.get("max") if high is None else high)
    return x if bounds == (None, None) else x.clamp(*(None if b is None else float(b) for b in bounds))


def _dropout(x: Tensor, ratio: Tensor | None = None, training: Tensor | None = None, *, node: Node) -> Tensor:
    if training is not None and bool(training) and (ratio is None or float(ratio) > 0):
        raise ValueError("it is in training mode; call model.eval() and export again")
    return x


def _divide(a: Tensor, b: Tensor, *, node: Node) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _modulo(a: Tensor, b: Tensor, *, node: Node) -> Tensor:
    return a.fmod(b) if node.get("fmod") else a % b


def _gelu(x: Tensor, *, node: Node) -> Tensor:
    return functional.gelu(x, approximate=node.text("approximate", "none"))


def _celu(x: Tensor, *, node: Node) -> Tensor:
    return functional.celu(x, node.get("alpha", 1.0))


def _selu(x: Tensor, *, node: Node) -> Tensor:
    alpha, gamma = node.get("alpha", 1.67326319217681884765625), node.get("gamma", 1.05070102214813232421875)
    return gamma * functional.elu(x, alpha)


def _hard_sigmoid(x: Tensor, *, node: Node) -> Tensor:
    return (node.get("alpha", 0.2) * x + node.get("beta", 0.5)).clamp(0, 1)


def _einsum(*parts: Tensor, node: Node) -> Tensor:
    return torch.einsum(node.text("equation", ""), *parts)


def _mean(*parts: Tensor, node: Node) -> Tensor:
    return _fold(torch.add, parts) / len(parts)


def _fold(function: Operator, parts: tuple[Tensor, ...]) -> Tensor:
    """``function`` of the first two, of that and the third, and so on."""
    result = parts[0]
    for part in parts[1:]:
        result = function(result, part)
    return result


ELEMENTWISE: dict[str, Operator] = {
    "Abs": lambda x, node: x.abs(),
    "Add": lambda a, b, node: a + b,
    "And": lambda a, b, node: a & b,
    "Cast": _cast,
    "CastLike": lambda x, like, node: x.to(like.dtype),
    "Ceil": lambda x, node: x.ceil(),
    "Celu": _celu,
    "Clip": _clip,
    "Div": _divide,
    "Dropout": _dropout,
    "Einsum": _einsum,
    "Elu": lambda x, node: functional.elu(x, node.get("alpha", 1.0)),
    "Equal": lambda a, b, node: a == b,
    "Erf": lambda x, node: x.erf(),
    "Exp": lambda x, node: x.exp(),
    "Floor": lambda x, node: x.floor(),
    "Gelu": _gelu,
    "Greater": lambda a, b, node: a > b,
    "GreaterOrEqual": lambda a, b, node: a >= b,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda x, node: functional.hardswish(x),
    "LeakyRelu": lambda x, node: functional.leaky_relu(x, node.get("alpha", 0.01)),
    "Less": lambda a, b, node: a < b,
    "LessOrEqual": lambda a, b, node: a <= b,
    "Log": lambda x, node: x.log(),
    "Max": lambda *parts, node: _fold(torch.maximum, parts),
    "Mean": _mean,
    "Min": lambda *parts, node: _fold(torch.minimum, parts),
    "Mish": lambda x, node: functional.mish(x),
    "Mod": _modulo,
    "Mul": lambda a, b, node: a * b,
    "Neg": lambda x, node: -x,
    "Not": lambda x, node: ~x,
    "Or": lambda a, b, node: a | b,
    "PRelu": lambda x, slope, node: torch.where(x < 0, slope * x, x),
    "Pow": lambda a, b, node: a.pow(b).to(a.dtype),
    "Reciprocal": lambda x, node: x.reciprocal(),
    "Relu": lambda x, node: x.relu(),
    "Round": lambda x, node: x.round(),
    "Selu": _selu,
    "Sigmoid": lambda x, node: x.sigmoid(),
    "Sign": lambda x, node: x.sign(),
    "Softplus": lambda x, node: functional.softplus(x),
    "Softsign": lambda x, node: functional.softsign(x),
    "Sqrt": lambda x, node: x.sqrt(),
    "Sub": lambda a, b, node: a - b,
    "Sum": lambda *parts, node: _fold(torch.add, parts),
    "Swish": lambda x, node: x * (node.get("alpha", 1.0) * x).sigmoid(),
    "Tanh": lambda x, node: x.tanh(),
    "ThresholdedRelu": lambda x, node: torch.where(x > node.get("alpha", 1.0), x, torch.zeros_like(x)),
    "Where": lambda condition, a, b, node: torch.where(condition, a, b),
}

OPERATORS: dict[str, Operator] = dict(sorted((ELEMENTWISE | LAYERS | SHAPES).items()))
"""By name. The batch is the first axis of what they compute with, as in every classifier of images."""

REARRANGES = REARRANGING | {"Cast", "Dropout"}
"""Operators whose results hold the numbers of their first input, as far as a classifier needs them."""

__all__ = ["OLDEST_OPSET", "OPERATORS", "REARRANGES"]
