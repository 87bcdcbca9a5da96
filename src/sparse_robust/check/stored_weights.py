"""Tensors by name, as checkpoints hold them, put together to layers: weight, bias and the mask on either."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from .model import ModelError, plain

WeightLayer = tuple[Tensor, Tensor]
"""A weight [O, I] or [O, I, 5, 5], and a bias [O]."""

SPELLINGS = (
    (re.compile(r"mask/(.*)"), r"\1.mask"),  # this package's checkpoints
    (re.compile(r"(.*?)parametrizations\.(weight|bias)\.original"), r"\1\2"),  # torch.nn.utils.parametrize
    (re.compile(r"(.*?)parametrizations\.(weight|bias)\.\d+\.(?:_)?mask"), r"\1\2.mask"),
    (re.compile(r"(.*)[._](?:orig|original)"), r"\1"),  # torch.nn.utils.prune
    (re.compile(r"(.*?)[./_]mask(?:s?)"), r"\1.mask"),
)
"""Other names of a tensor, and what they stand for: NAME, or NAME.mask."""

NAME = re.compile(r"(.*?)[./_]?(weight|kernel|bias)(\.mask)?")

MASK_OF_LAYER = re.compile(r"(.*)\.mask")
"""A mask that names its layer alone is that of the layer's weight."""


def layers_of(tensors: Mapping[str, Tensor]) -> dict[str, WeightLayer]:
    """Layers by name, each with the product of its weight and mask; a bias of zeros where there is none.

    Raises:
        ModelError: if a tensor is no part of a layer, or parts do not belong together.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        layer, part = _place(key)
        if part in parts.setdefault(layer, {}):
            raise ModelError(f"{key!r} names the {part} of {layer!r} a second time")
        parts[layer][part] = plain(value)
    return {layer: _layer(layer, given) for layer, given in parts.items()}


def has_masks(tensors: Mapping[str, Tensor]) -> bool:
    """Whether masks are stored beside the weights."""
    return any(_place(key)[1].endswith("mask") for key in tensors)


def _place(key: str) -> tuple[str, str]:
    """The layer that a tensor belongs to, and which part it is: weight, bias or a mask of one of them."""
    name = key
    for pattern, spelling in SPELLINGS:
        if match := pattern.fullmatch(name):
            name = match.expand(spelling)
            break
    match = NAME.fullmatch(name)
    if match is None and (mask := MASK_OF_LAYER.fullmatch(name)):
        return mask[1], "weight mask"
    if match is None:
        raise ModelError(
            f"{key!r} is neither a weight, a bias nor a mask; names like fc1.weight, fc1.bias are needed"
        )
    part = "bias" if match[2] == "bias" else "weight"
    return match[1], f"{part} mask" if match[3] else part


def _layer(name: str, parts: Mapping[str, Tensor]) -> WeightLayer:
    for part in ("weight", "bias"):
        mask = parts.get(f"{part} mask")
        if mask is not None and (part not in parts or mask.shape != parts[part].shape):
            raise ModelError(f"a mask of {name!r} without a {part} of its shape")
        if mask is not None and not ((mask == 0) | (mask == 1)).all():
            raise ModelError(f"a mask of {name!r} with other numbers than 0 and 1; store the product alone")
        if mask is not None and parts[part].any() and not (parts[part] * mask).any():
            raise ModelError(
                f"a mask of {name!r} that leaves nothing of its {part}, as if 1 meant pruned; it means kept: "
                "store 1 - mask, or the product alone"
            )
    if "weight" not in parts:
        raise ModelError(f"a bias {name!r} without a weight")
    weight = parts["weight"] * parts.get("weight mask", 1)
    bias = (parts.get("bias", torch.zeros(weight.shape[:1])) * parts.get("bias mask", 1)).flatten()
    if len(bias) != len(weight):
        advice = "; it looks transposed: store [outputs, inputs]" if len(bias) == weight.shape[-1] else ""
        raise ModelError(f"{name!r} has a weight {[*weight.shape]} and {len(bias)} biases{advice}")
    return weight, bias


__all__ = ["WeightLayer", "has_masks", "layers_of"]
