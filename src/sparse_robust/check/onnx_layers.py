"""ONNX's convolutions, poolings and normalisations, as PyTorch functions with gradients."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from .limits import check_shape
from .onnx_node import Node, Operator

CONVOLUTION = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
AVERAGE_POOL = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def gemm(a: Tensor, b: Tensor, c: Tensor | None = None, *, node: Node) -> Tensor:
    """alpha * A B + beta * C, A and B transposed if the attributes say so."""
    a = a.mT if node.get("transA") else a
    b = b.mT if node.get("transB") else b
    product = a @ b * node.get("alpha", 1.0)
    return product if c is None else product + c * node.get("beta", 1.0)


def _pads(x: Tensor, kernel: list[int], node: Node) -> list[tuple[int, int]]:
    """Zeros before and after each spatial axis."""
    axes = len(kernel)
    strides, dilations = node.get("strides", [1] * axes), node.get("dilations", [1] * axes)
    rule = node.text("auto_pad", "NOTSET")
    if rule == "NOTSET":
        ends = node.get("pads", [0] * 2 * axes)
        return list(zip(ends[:axes], ends[axes:], strict=True))
    if rule == "VALID":
        return [(0, 0)] * axes
    pairs = []  # SAME_UPPER and SAME_LOWER: as many outputs as strides fit in, the odd zero after or before
    for size, k, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        total = max((-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        small, large = total // 2, total - total // 2
        pairs.append((small, large) if rule == "SAME_UPPER" else (large, small))
    return pairs


def _padded(x: Tensor, pairs: list[tuple[int, int]], value: float = 0.0) -> Tensor:
    lengths = [size + sum(pair) for size, pair in zip(x.shape[2:], pairs, strict=True)]
    check_shape((*x.shape[:2], *lengths), "a padded value")
    if not any(map(any, pairs)):
        return x
    return functional.pad(x, [zeros for pair in reversed(pairs) for zeros in pair], value=value)


def conv(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, node: Node) -> Tensor:
    """Convolution over one to three axes."""
    axes = weight.ndim - 2
    padded = _padded(x, _pads(x, [*weight.shape[2:]], node))
    strides, dilations = node.get("strides", [1] * axes), node.get("dilations", [1] * axes)
    result: Tensor = CONVOLUTION[axes](
        padded, weight, bias, strides, 0, tuple(dilations), node.get("group", 1)
    )
    return result


def _ceil(x: Tensor, kernel: list[int], pairs: list[tuple[int, int]], node: Node) -> list[tuple[int, int]]:
    """With ``ceil_mode``, more at the ends, so that a last window that starts inside fits in whole."""
    axes = len(kernel)
    strides, dilations = node.get("strides", [1] * axes), node.get("dilations", [1] * axes)
    if not node.get("ceil_mode"):
        return [(0, 0)] * axes
    more = []
    for size, pair, k, stride, dilation in zip(x.shape[2:], pairs, kernel, strides, dilations, strict=True):
        window = dilation * (k - 1) + 1
        windows = -(-(size + sum(pair) - window) // stride) + 1
        if (windows - 1) * stride >= size + pair[0]:  # it would start in the padding: there is none
            windows -= 1
        more.append((0, max((windows - 1) * stride + window - size - sum(pair), 0)))
    return more


def max_pool(x: Tensor, *, node: Node) -> Tensor:
    """Largest value of each window; the indices that the standard offers beside it are not computed."""
    kernel = node.get("kernel_shape")
    axes = len(kernel)
    if node.text("auto_pad", "NOTSET").startswith("SAME") and any(d != 1 for d in node.get("dilations", ())):
        raise ValueError("auto_pad with a dilation, of which programs differ in what they compute")
    pairs = _pads(x, kernel, node)
    more = _ceil(x, kernel, pairs, node)
    padded = _padded(_padded(x, pairs, -torch.inf), more, -torch.inf)
    pooled: Tensor = _pool(MAX_POOL, axes)(
        padded, kernel, node.get("strides", [1] * axes), dilation=node.get("dilations", [1] * axes)
    )
    return pooled


def average_pool(x: Tensor, *, node: Node) -> Tensor:
    """Mean of each window, over the input alone or, with ``count_include_pad``, its padding too."""
    kernel = node.get("kernel_shape")
    axes = len(kernel)
    if any(dilation != 1 for dilation in node.get("dilations", ())):
        raise ValueError("an average pooling with a dilation")
    pairs = _pads(x, kernel, node)
    more = _ceil(x, kernel, pairs, node)
    ones = x.new_ones(1, 1, *x.shape[2:])
    counted = _padded(_padded(ones, pairs, float(bool(node.get("count_include_pad")))), more)
    strides, pool = node.get("strides", [1] * axes), _pool(AVERAGE_POOL, axes)
    padded = _padded(_padded(x, pairs), more)
    mean: Tensor = pool(padded, kernel, strides) / pool(counted, kernel, strides)
    return mean


def _pool(pools: dict[int, Operator], axes: int) -> Operator:
    if axes not in pools:
        raise ValueError(f"a pooling over {axes} axes; 1, 2 or 3 are known")
    return pools[axes]


def _spatial(x: Tensor) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


def batch_norm(x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor, *, node: Node) -> Tensor:
    """Batch normalisation by stored statistics."""
    if node.get("training_mode"):
        raise ValueError("it is in training mode; call model.eval() and export again")
    if not node.get("spatial", 1):
        raise ValueError("statistics for every pixel; export again for a newer version of ONNX")
    return functional.batch_norm(x, mean, var, scale, bias, False, 0.0, node.get("epsilon", 1e-5))


def layer_norm(x: Tensor, scale: Tensor, bias: Tensor | None = None, *, node: Node) -> Tensor:
    """Layer normalisation over the last axes."""
    axes = x.shape[node.get("axis", -1) % x.ndim :]
    result = functional.layer_norm(x, axes, eps=node.get("epsilon", 1e-5)) * scale
    return result if bias is None else result + bias


def group_norm(x: Tensor, scale: Tensor, bias: Tensor, *, node: Node) -> Tensor:
    """Group normalisation; before version 21 of ONNX, scale and bias are those of groups, not channels."""
    groups = node.get("num_groups")
    if node.opset < 21:
        scale, bias = (part.repeat_interleave(x.shape[1] // groups) for part in (scale, bias))
    return functional.group_norm(x, groups, scale, bias, node.get("epsilon", 1e-5))


def instance_norm(x: Tensor, scale: Tensor, bias: Tensor, *, node: Node) -> Tensor:
    """Normalisation of each channel of each example."""
    return functional.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", 1e-5))


def lrn(x: Tensor, *, node: Node) -> Tensor:
    """Local response normalisation over channels."""
    size = node.get("size")
    before = (size - 1) // 2
    check_shape((*x.shape, size), "a local response normalisation")
    ends = [0, 0] * (x.ndim - 2) + [before, size - 1 - before]
    total = functional.pad(x.square(), ends).unfold(1, size, 1).sum(-1)
    scale = node.get("bias", 1.0) + node.get("alpha", 1e-4) / size * total
    return x / scale.pow(node.get("beta", 0.75))


def softmax(x: Tensor, *, node: Node) -> Tensor:
    """Softmax along an axis; before version 13 of ONNX, over that axis and all that follow."""
    return _along(x, node, torch.softmax)


def log_softmax(x: Tensor, *, node: Node) -> Tensor:
    """Logarithm of the softmax, with the same two meanings of its axis."""
    return _along(x, node, torch.log_softmax)


def _along(x: Tensor, node: Node, function: Operator) -> Tensor:
    if node.opset >= 13:
        return function(x, node.get("axis", -1))
    axis = node.get("axis", 1) % x.ndim
    return function(x.reshape(prod(x.shape[:axis]), -1), 1).reshape(x.shape)


LAYERS: dict[str, Operator] = {
    "AveragePool": average_pool,
    "BatchNormalization": batch_norm,
    "Conv": conv,
    "Gemm": gemm,
    "GlobalAveragePool": lambda x, node: x.mean(_spatial(x), keepdim=True),
    "GlobalMaxPool": lambda x, node: x.amax(_spatial(x), keepdim=True),
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LRN": lrn,
    "LayerNormalization": layer_norm,
    "LogSoftmax": log_softmax,
    "MatMul": lambda a, b, node: a @ b,
    "MaxPool": max_pool,
    "Softmax": softmax,
}

__all__ = ["LAYERS"]
