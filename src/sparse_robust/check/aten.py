"""The ATen operators that a torch.export archive may run: each a pure function of its arguments."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

LAYERS = {
    *("linear.default", "addmm.default", "mm.default", "bmm.default", "matmul.default", "einsum.default"),
    *("conv1d.default", "conv1d.padding", "conv2d.default", "conv2d.padding", "conv3d.default"),
    *("convolution.default", "scaled_dot_product_attention.default"),
    *("max_pool1d.default", "max_pool2d.default", "max_pool3d.default", "max_pool2d_with_indices.default"),
    *("avg_pool1d.default", "avg_pool2d.default", "avg_pool3d.default"),
    *("adaptive_avg_pool1d.default", "adaptive_avg_pool2d.default", "adaptive_avg_pool3d.default"),
    *("adaptive_max_pool1d.default", "adaptive_max_pool2d.default"),
    *("batch_norm.default", "_native_batch_norm_legit_no_training.default", "layer_norm.default"),
    *("native_layer_norm.default", "group_norm.default", "instance_norm.default", "rms_norm.default"),
    *("dropout.default", "dropout_.default", "feature_dropout.default", "alpha_dropout.default"),
}

ACTIVATIONS = {
    *("relu.default", "relu_.default", "relu6.default", "leaky_relu.default", "leaky_relu_.default"),
    *("elu.default", "elu_.default", "selu.default", "selu_.default", "celu.default", "celu_.default"),
    *("gelu.default", "gelu_.default", "silu.default", "silu_.default", "mish.default", "mish_.default"),
    *("tanh.default", "tanh_.default", "sigmoid.default", "sigmoid_.default", "softplus.default"),
    *("hardtanh.default", "hardtanh_.default", "hardswish.default", "hardswish_.default"),
    *("hardsigmoid.default", "hardsigmoid_.default", "prelu.default", "log_sigmoid.default", "glu.default"),
    *("threshold.default", "softmax.int", "_softmax.default", "log_softmax.int", "_log_softmax.default"),
}

ARITHMETIC = {
    *("add.Tensor", "add_.Tensor", "sub.Tensor", "sub_.Tensor", "mul.Tensor", "mul_.Tensor", "div.Tensor"),
    *("div_.Tensor", "rsub.Scalar", "neg.default", "abs.default", "exp.default", "log.default"),
    *("sqrt.default", "rsqrt.default", "reciprocal.default", "erf.default", "pow.Tensor_Scalar"),
    *("square.default", "maximum.default", "minimum.default", "where.self", "addcmul.default"),
    *("clamp.default", "clamp_.default", "clamp_min.default", "clamp_max.default", "masked_fill.Scalar"),
    *("mean.dim", "mean.default", "sum.dim_IntList", "amax.default", "amin.default", "max.dim"),
    *("logsumexp.default", "linalg_vector_norm.default", "var.correction", "norm.ScalarOpt_dim"),
    *("add.Scalar", "sub.Scalar", "mul.Scalar", "div.Scalar", "pow.Tensor_Tensor", "rsub.Tensor"),
    *("sum.default", "max.default", "min.default", "sign.default", "round.default", "floor.default"),
    *("eq.Scalar", "ne.Scalar", "lt.Scalar", "le.Scalar", "gt.Scalar", "ge.Scalar"),
    *("eq.Tensor", "ne.Tensor", "lt.Tensor", "le.Tensor", "gt.Tensor", "ge.Tensor"),
    *("logical_not.default", "logical_and.default", "bitwise_not.default", "bitwise_and.Tensor"),
    *("masked_fill.Tensor", "where.ScalarOther", "where.ScalarSelf", "expm1.default", "log1p.default"),
}

SHAPES = {
    *("view.default", "reshape.default", "_unsafe_view.default", "flatten.using_ints", "unflatten.int"),
    *("permute.default", "transpose.int", "t.default", "unsqueeze.default", "squeeze.dim", "squeeze.dims"),
    *("squeeze.default", "cat.default", "stack.default", "chunk.default", "split.Tensor", "unbind.int"),
    *("split_with_sizes.default", "select.int", "slice.Tensor", "narrow.default", "expand.default"),
    *("repeat.default", "pad.default", "constant_pad_nd.default", "reflection_pad2d.default"),
    *("replication_pad2d.default", "roll.default", "pixel_shuffle.default", "channel_shuffle.default"),
    *("alias.default", "clone.default", "contiguous.default", "lift_fresh_copy.default", "to.dtype"),
    *("_to_copy.default", "full.default", "zeros.default", "ones.default", "arange.default"),
    *("arange.start", "sym_size.int", "zeros_like.default", "ones_like.default", "full_like.default"),
    *("new_zeros.default", "scalar_tensor.default", "index.Tensor", "index_select.default", "flip.default"),
    *("_adaptive_avg_pool2d.default", "expand_as.default", "view_as.default", "tile.default"),
}

ATEN = LAYERS | ACTIVATIONS | ARITHMETIC | SHAPES
"""The operators that may run, by the names that follow ``torch.ops.aten.``."""

CHECKS = {
    *("_assert_tensor_metadata.default", "_assert_scalar.default", "_assert_async.msg"),
    *("sym_constrain_range_for_size.default", "sym_constrain_range.default"),
}
"""Operators without a result, which only check what the program was traced for: left out."""

REARRANGES = {
    *("view.default", "reshape.default", "_unsafe_view.default", "flatten.using_ints", "unflatten.int"),
    *("permute.default", "transpose.int", "t.default", "unsqueeze.default", "squeeze.dim", "squeeze.dims"),
    *("squeeze.default", "alias.default", "clone.default", "contiguous.default", "lift_fresh_copy.default"),
    *("dropout.default", "dropout_.default", "feature_dropout.default", "alpha_dropout.default"),
    *("to.dtype", "_to_copy.default"),
}
"""Operators whose results hold the numbers of their first input, as far as a classifier needs them."""

PRODUCTS: dict[str, tuple[str, str, bool]] = {
    "linear.default": ("input", "weight", False),
    "addmm.default": ("mat1", "mat2", True),
    "mm.default": ("self", "mat2", True),
    "matmul.default": ("self", "other", True),
    "bmm.default": ("self", "mat2", False),
    "conv1d.default": ("input", "weight", False),
    "conv1d.padding": ("input", "weight", False),
    "conv2d.default": ("input", "weight", False),
    "conv2d.padding": ("input", "weight", False),
    "conv3d.default": ("input", "weight", False),
    "convolution.default": ("input", "weight", False),
}
"""Which arguments are multiplied, and whether examples are the last axis of the second if it has two."""

SIZES: dict[str, Callable[..., Any]] = {
    "_operator.add": operator.add,
    "_operator.sub": operator.sub,
    "_operator.mul": operator.mul,
    "_operator.floordiv": operator.floordiv,
}
"""Arithmetic on sizes."""

PREFIX = "torch.ops.aten."


def function(target: str) -> Callable[..., Any] | None:
    """The listed operator of that full name, or None."""
    name = target.removeprefix(PREFIX)
    if target in SIZES:
        return SIZES[target]
    if not target.startswith(PREFIX) or name not in ATEN:
        return None
    packet, _, overload = name.partition(".")
    found: Callable[..., Any] = getattr(getattr(torch.ops.aten, packet), overload)
    return found


__all__ = ["ATEN", "CHECKS", "PREFIX", "PRODUCTS", "REARRANGES", "SIZES", "function"]
