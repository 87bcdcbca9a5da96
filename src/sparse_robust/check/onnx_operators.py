"""The ONNX operators that are run, as PyTorch functions with gradients.

Each takes a node's inputs (None where one is left out) and its attributes. Semantics:
https://onnx.ai/onnx/operators; what an attribute of a listed operator may not be is an error, never ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Attributes = Mapping[str, Any]
Operator = Callable[..., Tensor]

FLOATS, INTEGERS = (1, 10, 11, 16), (6, 7)
"""TensorProto's numbers of the floating types, all computed in float32, and of int32 and int64."""


def _gemm(a: Tensor, b: Tensor, c: Tensor | None = None, *, given: Attributes) -> Tensor:
    a = a.mT if given.get("transA") else a
    b = b.mT if given.get("transB") else b
    product = a @ b * given.get("alpha", 1.0)
    return product if c is None else product + c * given.get("beta", 1.0)


def _pads(x: Tensor, kernel: list[int], given: Attributes) -> list[int]:
    """Zeros before and after each spatial axis, in the order of ``functional.pad``: last axis first."""
    axes = len(kernel)
    strides, dilations = given.get("strides", [1] * axes), given.get("dilations", [1] * axes)
    rule = bytes(given.get("auto_pad", b"NOTSET")).decode()
    if rule == "NOTSET":
        ends = given.get("pads", [0] * 2 * axes)
        pairs = list(zip(ends[:axes], ends[axes:], strict=True))
    elif rule == "VALID":
        pairs = [(0, 0)] * axes
    else:  # SAME_UPPER and SAME_LOWER: as many outputs as strides fit in, the odd zero after or before
        pairs = []
        for size, k, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
            total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
            small, large = total // 2, total - total // 2
            pairs.append((small, large) if rule == "SAME_UPPER" else (large, small))
    return [zeros for pair in reversed(pairs) for zeros in pair]


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, given: Attributes) -> Tensor:
    axes = weight.ndim - 2
    padded = functional.pad(x, _pads(x, [*weight.shape[2:]], given))
    strides, dilations = given.get("strides", [1] * axes), given.get("dilations", [1] * axes)
    return torch.convolution(
        padded, weight, bias, strides, [0] * axes, dilations, False, [0] * axes, given.get("group", 1)
    )


def _max_pool(x: Tensor, *, given: Attributes) -> Tensor:
    kernel = given["kernel_shape"]
    axes = len(kernel)
    pool = {1: functional.max_pool1d, 2: functional.max_pool2d}[axes]
    pooled: Tensor = pool(
        functional.pad(x, _pads(x, kernel, given), value=-torch.inf),
        kernel,
        given.get("strides", [1] * axes),
        dilation=given.get("dilations", [1] * axes),
        ceil_mode=bool(given.get("ceil_mode")),
    )
    return pooled


def _average_pool(x: Tensor, *, given: Attributes) -> Tensor:
    kernel = given["kernel_shape"]
    axes = len(kernel)
    pads = _pads(x, kernel, given)
    if pads[::2] != pads[1::2] or any(dilation != 1 for dilation in given.get("dilations", ())):
        raise ValueError("uneven padding or a dilation")
    pool = {1: functional.avg_pool1d, 2: functional.avg_pool2d}[axes]
    pooled: Tensor = pool(
        x,
        kernel,
        given.get("strides", [1] * axes),
        padding=pads[::-2],
        ceil_mode=bool(given.get("ceil_mode")),
        count_include_pad=bool(given.get("count_include_pad")),
    )
    return pooled


def _batch_norm(
    x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor, *, given: Attributes
) -> Tensor:
    if given.get("training_mode"):
        raise ValueError("it is in training mode; export the network in evaluation mode")
    return functional.batch_norm(x, mean, var, scale, bias, False, 0.0, given.get("epsilon", 1e-5))


def _reshape(x: Tensor, shape: Tensor, *, given: Attributes) -> Tensor:
    wanted = [int(length) for length in shape]
    if not given.get("allowzero"):
        wanted = [x.shape[axis] if length == 0 else length for axis, length in enumerate(wanted)]
    return x.reshape(wanted)


def _axes(axes: Tensor | None, given: Attributes) -> list[int] | None:
    """Axes are an attribute in older versions of an operator, an input in newer ones."""
    return given.get("axes") if axes is None else [int(axis) for axis in axes]


def _squeeze(x: Tensor, axes: Tensor | None = None, *, given: Attributes) -> Tensor:
    chosen = _axes(axes, given)
    return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))


def _unsqueeze(x: Tensor, axes: Tensor | None = None, *, given: Attributes) -> Tensor:
    chosen = _axes(axes, given) or []
    for axis in sorted(axis % (x.ndim + len(chosen)) for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def _reduce_mean(x: Tensor, axes: Tensor | None = None, *, given: Attributes) -> Tensor:
    return x.mean(_axes(axes, given), keepdim=bool(given.get("keepdims", 1)))


def _flatten(x: Tensor, *, given: Attributes) -> Tensor:
    axis = given.get("axis", 1)
    return x.reshape(prod(x.shape[:axis]), -1)


def _gather(x: Tensor, indices: Tensor, *, given: Attributes) -> Tensor:
    axis = given.get("axis", 0) % x.ndim
    return x[(slice(None),) * axis + (indices,)]


def _cast(x: Tensor, *, given: Attributes) -> Tensor:
    if given["to"] in FLOATS:
        return x.to(torch.float32)
    if given["to"] in INTEGERS:
        return x.to(torch.int64)
    raise ValueError(f"type {given['to']}")


def _shape(x: Tensor, *, given: Attributes) -> Tensor:
    return torch.tensor(x.shape[given.get("start", 0) : given.get("end")])


def _concat(*parts: Tensor, given: Attributes) -> Tensor:
    return torch.cat(parts, given["axis"])


def _clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None, *, given: Attributes) -> Tensor:
    bounds = (given.get("min") if low is None else low, given.get("max") if high is None else high)
    return x if bounds == (None, None) else x.clamp(*(None if b is None else float(b) for b in bounds))


def _spatial(x: Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


OPERATORS: dict[str, Operator] = {
    "Add": lambda a, b, given: a + b,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": lambda a, b, given: a / b if a.is_floating_point() else a // b,
    "Dropout": lambda x, *rest, given: x,
    "Elu": lambda x, given: functional.elu(x, given.get("alpha", 1.0)),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x, given: x.mean(_spatial(x), keepdim=True),
    "GlobalMaxPool": lambda x, given: x.amax(_spatial(x), keepdim=True),
    "Identity": lambda x, given: x,
    "LeakyRelu": lambda x, given: functional.leaky_relu(x, given.get("alpha", 0.01)),
    "LogSoftmax": lambda x, given: x.log_softmax(given.get("axis", -1)),
    "MatMul": lambda a, b, given: a @ b,
    "MaxPool": _max_pool,
    "Mul": lambda a, b, given: a * b,
    "Neg": lambda x, given: -x,
    "ReduceMean": _reduce_mean,
    "Relu": lambda x, given: x.relu(),
    "Reshape": _reshape,
    "Shape": _shape,
    "Sigmoid": lambda x, given: x.sigmoid(),
    "Softmax": lambda x, given: x.softmax(given.get("axis", -1)),
    "Softplus": lambda x, given: functional.softplus(x),
    "Squeeze": _squeeze,
    "Sub": lambda a, b, given: a - b,
    "Tanh": lambda x, given: x.tanh(),
    "Transpose": lambda x, given: x.permute(given.get("perm", tuple(reversed(range(x.ndim))))),
    "Unsqueeze": _unsqueeze,
}
"""By name. The batch is the first axis of what they compute with, as in every classifier of images."""

__all__ = ["OPERATORS"]
