"""ONNX's operators on shapes: what is moved, cut, repeated or joined, and where sizes are computed."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .limits import check_shape
from .onnx_node import Node, Operator, integers

PADDINGS: dict[str, Any] = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
"""Modes of a padding by entries of the value itself: ONNX's names for NumPy's."""


def reshape(x: Tensor, shape: Tensor, *, node: Node) -> Tensor:
    """A 0 keeps the length of its axis, unless ``allowzero`` says that it is meant."""
    wanted = integers(shape)
    if not node.get("allowzero"):
        wanted = [x.shape[axis] if length == 0 else length for axis, length in enumerate(wanted)]
    return x.reshape(wanted)


def _axes(axes: Tensor | None, node: Node) -> list[int] | None:
    """Axes are an attribute in older versions of an operator, an input in newer ones."""
    given = node.get("axes") if axes is None else axes
    return None if given is None else integers(given)


def squeeze(x: Tensor, axes: Tensor | None = None, *, node: Node) -> Tensor:
    """Without the axes named, or all of length 1."""
    chosen = _axes(axes, node)
    return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))


def unsqueeze(x: Tensor, axes: Tensor | None = None, *, node: Node) -> Tensor:
    """With axes of length 1 at places that are counted in the result."""
    chosen = _axes(axes, node) or []
    for axis in sorted(axis % (x.ndim + len(chosen)) for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def flatten(x: Tensor, *, node: Node) -> Tensor:
    """Two axes: those before ``axis``, and the others."""
    axis = node.get("axis", 1)
    return x.reshape(prod(x.shape[:axis]), -1)


def reduction(function: Operator) -> Operator:
    """A reduction by ``function(x, axes, keepdim)``."""

    def reduce(x: Tensor, axes: Tensor | None = None, *, node: Node) -> Tensor:
        chosen = _axes(axes, node)
        if not chosen:
            if node.get("noop_with_empty_axes"):
                return x
            chosen = list(range(x.ndim))
        result: Tensor = function(x, chosen, bool(node.get("keepdims", 1)))
        return result

    return reduce


def _product(x: Tensor, axes: list[int], keepdim: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(axis, keepdim)
    return x


def gather(x: Tensor, indices: Tensor, *, node: Node) -> Tensor:
    """Slices of an axis."""
    axis = node.get("axis", 0) % x.ndim
    return x[(slice(None),) * axis + (indices,)]


def gather_nd(x: Tensor, indices: Tensor, *, node: Node) -> Tensor:
    """Entries or slices at the places that the last axis of ``indices`` names."""
    shared = node.get("batch_dims", 0)
    lead = [
        torch.arange(x.shape[axis]).reshape(-1, *[1] * (indices.ndim - 2 - axis)) for axis in range(shared)
    ]
    return x[(*lead, *indices.unbind(-1))]


def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, *, node: Node) -> Tensor:
    """The same with other entries or slices at the places that the last axis of ``indices`` names."""
    if node.text("reduction", "none") != "none":
        raise ValueError("entries that are added or multiplied in place")
    return x.index_put(indices.unbind(-1), updates)


def gather_elements(x: Tensor, indices: Tensor, *, node: Node) -> Tensor:
    """Entries along an axis."""
    axis = node.get("axis", 0) % x.ndim
    return x.gather(axis, indices % x.shape[axis])


def split(x: Tensor, lengths: Tensor | None = None, *, node: Node) -> tuple[Tensor, ...]:
    """Parts along an axis: of the lengths given, or as equal as can be."""
    axis = node.get("axis", 0)
    given = node.get("split") if lengths is None else lengths
    if given is None:
        return x.split(-(-x.shape[axis] // node.get("num_outputs", node.outputs)), axis)
    return x.split(integers(given), axis)


def slice_(
    x: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
    *,
    node: Node,
) -> Tensor:
    """A range of indices of some axes, as Python's slices take it."""
    first, last = (
        integers(node.get(name) if given is None else given)
        for name, given in (("starts", starts), ("ends", ends))
    )
    chosen = _axes(axes, node) or list(range(len(first)))
    strides = [1] * len(first) if steps is None else integers(steps)
    for axis, start, end, stride in zip(chosen, first, last, strides, strict=True):
        index = slice(start, end, stride).indices(x.shape[axis])
        if stride > 0:
            x = x[(slice(None),) * (axis % x.ndim) + (slice(*index),)]
        else:
            x = x.index_select(axis, torch.tensor(range(*index), dtype=torch.int64))
    return x


def pad(
    x: Tensor,
    pads: Tensor | None = None,
    value: Tensor | None = None,
    axes: Tensor | None = None,
    *,
    node: Node,
) -> Tensor:
    """Padding of any axes, by a number or by the entries at the edge."""
    ends = integers(node.get("pads") if pads is None else pads)
    chosen = _axes(axes, node) or list(range(x.ndim))
    fill = float(value) if value is not None else node.get("value", 0.0)
    mode = node.text("mode", "constant")
    for axis, before, after in zip(chosen, ends[: len(chosen)], ends[len(chosen) :], strict=True):
        axis %= x.ndim
        shape = [*x.shape[:axis], x.shape[axis] + before + after, *x.shape[axis + 1 :]]
        check_shape(tuple(shape), "a padded value")
        if mode == "constant":
            x = functional.pad(x, [0, 0] * (x.ndim - 1 - axis) + [before, after], value=fill)
        else:
            index = np.pad(np.arange(x.shape[axis]), (before, after), PADDINGS[mode])
            x = x.index_select(axis, torch.from_numpy(index))
    return x


def expand(x: Tensor, shape: Tensor, *, node: Node) -> Tensor:
    """Repetition along axes of length 1."""
    return x.expand(torch.broadcast_shapes(x.shape, tuple(integers(shape))))


def shape_of(x: Tensor, *, node: Node) -> Tensor:
    """The lengths of the axes."""
    return torch.tensor(x.shape[node.get("start", 0) : node.get("end")], dtype=torch.int64)


def constant_of_shape(shape: Tensor, *, node: Node) -> Tensor:
    """One number everywhere, a float 0 unless told."""
    value = node.get("value", torch.zeros(1))
    lengths = integers(shape)
    check_shape(tuple(lengths), "a constant")
    return torch.full(lengths, value.item(), dtype=value.dtype)


def range_(start: Tensor, limit: Tensor, delta: Tensor, *, node: Node) -> Tensor:
    """Numbers at equal distances."""
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def depth_to_space(x: Tensor, *, node: Node) -> Tensor:
    """Channels to pixels."""
    size, (n, channels, height, width) = node.get("blocksize"), x.shape
    if node.text("mode", "DCR") == "DCR":
        parts = x.reshape(n, size, size, -1, height, width).permute(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, -1, size, size, height, width).permute(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, channels // size**2, height * size, width * size)


def space_to_depth(x: Tensor, *, node: Node) -> Tensor:
    """Pixels to channels."""
    size, (n, channels, height, width) = node.get("blocksize"), x.shape
    parts = x.reshape(n, channels, height // size, size, width // size, size).permute(0, 3, 5, 1, 2, 4)
    return parts.reshape(n, channels * size**2, height // size, width // size)


SHAPES: dict[str, Operator] = {
    "Concat": lambda *parts, node: torch.cat(parts, node.get("axis")),
    "ConstantOfShape": constant_of_shape,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "Identity": lambda x, node: x,
    "Pad": pad,
    "Range": range_,
    "ReduceL1": reduction(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": reduction(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "ReduceLogSumExp": reduction(lambda x, axes, keep: x.logsumexp(axes, keep)),
    "ReduceMax": reduction(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMean": reduction(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMin": reduction(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceProd": reduction(_product),
    "ReduceSum": reduction(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceSumSquare": reduction(lambda x, axes, keep: x.square().sum(axes, keep)),
    "Reshape": reshape,
    "ScatterND": scatter_nd,
    "Shape": shape_of,
    "Size": lambda x, node: torch.tensor(x.numel()),
    "Slice": slice_,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": lambda x, repeats, node: x.repeat(integers(repeats)),
    "Transpose": lambda x, node: x.permute(node.get("perm", tuple(reversed(range(x.ndim))))),
    "Unsqueeze": unsqueeze,
}

REARRANGING = {"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
"""Those whose results hold the numbers of their first input and no others."""

__all__ = ["REARRANGING", "SHAPES"]
