"""In which units pixels are stored, and what box they lie in: recognised, or one question to the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparse_robust.types import Box

BoxChoice = tuple[float, float] | Literal["none"] | None
"""What the user says of the box: its ends, that there is none, or nothing."""

GREY_LEVELS = 255

ROUNDING = 0.5 / GREY_LEVELS
"""Half a grey level: so far outside of its box, relative to the width, a pixel is taken as rounded."""

DARK = 64
"""Bytes of which none reaches a quarter of the range are hardly pixels of 0 to 255."""


class RangeError(ValueError):
    """Data whose units cannot be told; the message asks for the option that tells them."""


@dataclass(frozen=True)
class Scaled:
    """Inputs in the units that models read.

    Attributes:
        x: float32 [N, *D].
        box: what every coordinate lies in.
        scale: what they were divided by.
        notes: what was done to the stored numbers.
    """

    x: Tensor
    box: Box
    scale: float
    notes: tuple[str, ...] = ()


def scale_inputs(stored: NDArray[Any], scale: float | None = None, box: BoxChoice = None) -> Scaled:
    """Stored numbers divided by ``scale``, and their box.

    Without options, bytes are divided by 255 and numbers in [0, 1] stay; both lie in the box [0, 1].

    Args:
        stored: uint8 or floating point [N, *D].
        scale: what to divide by.
        box: in the units after the division.

    Raises:
        RangeError: if the units or the box cannot be told, or x leaves the box.
    """
    bytes_ = stored.dtype == np.uint8
    numbers = np.ascontiguousarray(stored, dtype=np.float32)
    low, high = float(numbers.min()), float(numbers.max())
    if not np.isfinite([low, high]).all():
        raise RangeError(f"x must be finite, {int((~np.isfinite(numbers)).sum())} of its numbers are not")
    if scale is None:
        scale = _recognised_scale(low, high, bytes_, box)
    with np.errstate(over="ignore", divide="ignore"):
        x = torch.from_numpy(numbers / np.float32(scale))
    if not x.isfinite().all():
        raise RangeError(f"x over {scale:g} is more than float32 holds; say another --scale")
    if x.amin() == x.amax():
        raise RangeError(f"x is {float(x[0].flatten()[0]):g} everywhere; images that differ are needed")
    low, high = low / scale, high / scale
    if box == "none":
        return Scaled(x, None, scale)
    if box is None:
        if bytes_:
            box = (0.0, GREY_LEVELS / scale)
        elif low >= -ROUNDING and high <= 1 + ROUNDING:
            box = (0.0, 1.0)
        else:
            raise RangeError(
                f"x spans [{low:.4g}, {high:.4g}] and is no image in [0, 1]; say in which box attacks have "
                f"to stay, with --box={low:.4g},{high:.4g} for example, or that there is none: --box=none"
            )
    return _clipped(x, scale, (low, high), box)


def _recognised_scale(low: float, high: float, bytes_: bool, box: BoxChoice) -> float:
    if bytes_:
        if high < DARK:
            raise RangeError(
                f"x is uint8 and at most {high:.0f}, so 0 to 255 is not its range; say what x is to be "
                f"divided by: --scale={max(high, 1):.0f}, or --scale=255 if these are dark bytes"
            )
        if isinstance(box, tuple) and box[1] > 1:
            raise RangeError(
                "x is uint8, which is divided by 255 unless told; say --scale=1 to leave it as it is"
            )
        return GREY_LEVELS
    if box is None and low >= -ROUNDING and high <= 1.5 / GREY_LEVELS:
        raise RangeError(
            f"x is at most {high:.2g}, as if divided by 255 twice; say --scale=1 to leave it as it is, "
            f"or --scale={high:.4g}"
        )
    floor = -0.5 if high > DARK else 0.0  # a resize reaches a little below; standardised pixels are small
    if box is None and low >= floor and 2 < high <= GREY_LEVELS + 0.5:
        raise RangeError(
            f"x spans [{low:.4g}, {high:.4g}], as pixels of 0 to 255 do; say --scale=255 if the models read "
            "[0, 1], or --scale=1 --box=0,255 if they read it as it is"
        )
    return 1.0


def _clipped(x: Tensor, scale: float, span: tuple[float, float], box: tuple[float, float]) -> Scaled:
    low, high = span
    ends = torch.tensor(box)  # float32, as x is: an attack's box must not lie between two numbers
    box = (ends[0].item(), ends[1].item())
    if not ends.isfinite().all():
        raise RangeError("the box is wider than float32 holds; say --box=none if there is none")
    slack = ROUNDING * (box[1] - box[0])
    if low < box[0] - slack or high > box[1] + slack:
        raise RangeError(f"x spans [{low:.4g}, {high:.4g}] and leaves the box [{box[0]:g}, {box[1]:g}]")
    outside = int(((x < box[0]) | (x > box[1])).sum())
    if not outside:
        return Scaled(x, box, scale)
    note = f"{outside} numbers of x lie outside of [{box[0]:g}, {box[1]:g}] by rounding and were clipped"
    return Scaled(x.clamp(*box), box, scale, (note,))


__all__ = ["BoxChoice", "RangeError", "Scaled", "scale_inputs"]
