"""The shortest step across a hyperplane, with and without a box."""

import torch
from torch import Tensor

from sparse_robust.types import Box

NEWTON_STEPS = 60
"""Far more than needed: each step passes at least one breakpoint, and in practice 4 to 10 suffice."""


def cross(x: Tensor, normal: Tensor, gap: Tensor, box: Box) -> Tensor:
    r"""The smallest delta in l_2 with normal . delta = gap and x + delta in the box.

    Without a box, delta = gap * normal / ||normal||^2. In a box, delta_i = clip(t * normal_i,
    low - x_i, high - x_i) for the multiplier t >= 0 that closes the gap: the left side grows in t,
    is concave and piecewise linear, so Newton's method from t = 0 never overshoots and ends exactly.

    Args:
        x: [..., D].
        normal: [..., D], pointing towards the other side.
        gap: [...], at least 0: how much normal . delta has to reach.
        box: (low, high) or None.

    Returns:
        delta, [..., D]; not finite where it cannot be done (zero normal, or the box is too small).
    """
    if box is None:
        return normal * (gap / normal.square().sum(-1)).unsqueeze(-1)
    down, up = box[0] - x, box[1] - x
    # the multiplier at which a coordinate has gone as far as it may; 0 where the normal is
    full = torch.maximum(up / normal, down / normal).nan_to_num_(0.0, 0.0, 0.0)
    weight, left = normal.square(), gap.unsqueeze(-1)
    t, buffer = torch.zeros_like(left), torch.empty_like(full)  # new memory costs as much as the arithmetic
    for _ in range(NEWTON_STEPS):
        missing = left - torch.minimum(full, t, out=buffer).mul_(weight).sum(-1, keepdim=True)
        slope = torch.gt(full, t, out=buffer).mul_(weight).sum(-1, keepdim=True)
        advance = torch.where(slope > 0, missing / slope, 0.0).clamp_min(0)
        if not (advance > t * torch.finfo(t.dtype).eps).any():
            break
        t = t + advance
    possible = (torch.mul(weight, full, out=buffer).sum(-1) >= gap) & (weight.amax(-1) > 0)
    delta = torch.minimum(full, t, out=buffer).mul_(normal).maximum(down).minimum(up)
    return delta.masked_fill_(~possible.unsqueeze(-1), torch.inf)
