"""DeepFool: the minimal l_2 perturbation, by repeated linearisation."""

import torch
from torch import Tensor

from sparse_robust.types import Box, LogitsFn

from .contract import Active, AttackResult, as_replicas, clip, spread, validate
from .projection import cross

ULPS = 16
"""Nearer to a boundary than so many rounding errors of the logits, an example counts as that far away: a
step from a tie would otherwise have length 0, and one shorter than the last bit of a pixel goes nowhere."""


def logits_and_jacobian(logits_fn: LogitsFn, x: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [R, N, K] and the gradient of each with respect to its input, [R, N, K, D]."""
    with torch.enable_grad():
        z = x.detach().clone().requires_grad_()
        logits = logits_fn(z)
        rows = [
            torch.autograd.grad(logits[..., k].sum(), z, retain_graph=True)[0].flatten(2)
            for k in range(logits.shape[-1])
        ]
    return logits.detach(), torch.stack(rows, 2)


def nearest_crossing(logits: Tensor, jacobian: Tensor, x: Tensor, y: Tensor, box: Box) -> Tensor:
    """The shortest step [R, N, D] that reaches a boundary of class y in the linearised model.

    A class whose gradient does not differ from that of y cannot be reached and is passed over. Where none
    can be reached the step is not finite. It is never shorter than rounding allows to see: from a tie it
    leads ``ULPS`` rounding errors across.

    Classes are tried in the order of their distances without a box, which a box can only lengthen, until
    none that is left could be nearer; without a box that is the first.
    """
    own = y.unsqueeze(-1)
    gap = logits.gather(-1, own) - logits  # [R, N, K], by how much y leads each class
    normal = jacobian - jacobian.gather(2, spread(own, jacobian).expand(-1, -1, 1, jacobian.shape[-1]))
    slope = normal.norm(dim=-1)
    flat = x.flatten(2)
    rounding = logits.abs().amax(-1, keepdim=True) + slope * flat.norm(dim=-1, keepdim=True)
    kind = torch.finfo(gap.dtype)
    gap = gap.maximum(ULPS * kind.eps * rounding).clamp_min(kind.tiny)
    least = (gap / slope).nan_to_num(torch.inf, torch.inf).scatter(-1, own, torch.inf)
    least, order = least.sort(-1)
    step, length = torch.full_like(flat, torch.inf), torch.full_like(gap[..., 0], torch.inf)
    for rank in range(gap.shape[-1]):
        if not (least[..., rank] < length).any():
            break
        chosen = order[..., rank : rank + 1]
        towards = normal.gather(2, spread(chosen, normal).expand(-1, -1, 1, normal.shape[-1])).squeeze(2)
        delta = cross(flat, towards, gap.gather(-1, chosen).squeeze(-1), box)
        reach = delta.norm(dim=-1).nan_to_num(torch.inf, torch.inf)
        nearer = (reach < length) & least[..., rank].isfinite()
        step, length = torch.where(spread(nearer, step), delta, step), torch.where(nearer, reach, length)
    return step


def deepfool(
    logits_fn: LogitsFn,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 50,
    overshoot: float = 0.02,
    box: Box = None,
) -> AttackResult:
    r"""DeepFool: step to the nearest boundary of the linearised model until the class changes.

    r <- r + argmin over classes e of the shortest step across {logit_e = logit_y} as linearised at
    x + (1 + overshoot) r; the result is x + (1 + overshoot) r. On a linear model without a box one step
    is exact: radius = (1 + overshoot) * min_e (logit_y - logit_e) / ||w_y - w_e||_2. Without overshoot
    one step ends on the boundary, a tie, which floating point may resolve either way; if it holds, the
    next step crosses. An example that is misclassified already is returned as it is, with radius 0.
    Where no class can be reached (zero gradients) or ``steps`` do not suffice, the example has not
    flipped and its radius is infinite.

    Args:
        logits_fn: [*B, *D] -> [*B, K].
        x: [*B, *D], floating point, in the box.
        y: [*B], the true classes.
        steps: linearisations at most, at least 1.
        overshoot: how far past the boundary to go, relative to the perturbation; at least 0.
        box: None as in the paper, or (low, high): then each step is the exact shortest one in the box.

    Raises:
        ValueError: if steps or overshoot are out of range, shapes disagree or x leaves the box.

    Reference: Moosavi-Dezfooli, Fawzi, Frossard 2016, algorithm 2; paper, section 3.1.
    """
    validate(x, y, box)
    if steps < 1 or overshoot < 0:
        raise ValueError(f"steps must be at least 1 and overshoot at least 0, got {steps} and {overshoot}")

    def search(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> Tensor:
        found, total = x.clone(), torch.zeros_like(x)
        with torch.no_grad():
            todo = logits_fn(x).argmax(-1) == y
        hopeful = todo.clone()
        for _ in range(steps):
            if not todo.any():  # in this batch; in the whole one a point on a boundary may round back
                with torch.no_grad():
                    todo = hopeful & (logits_fn(found).argmax(-1) == y)
                if not todo.any():
                    break
            active = Active(todo)
            z, start, label = active.take(found), active.take(x), active.take(y)
            logits, jacobian = logits_and_jacobian(logits_fn, z)
            step = nearest_crossing(logits, jacobian, z, label, box).view_as(z)
            possible = step.isfinite().flatten(2).all(-1)
            taken = active.take(total) + torch.where(spread(possible, step), step, 0)
            z = clip(start + (1 + overshoot) * taken, box)
            with torch.no_grad():
                held = logits_fn(z).argmax(-1) == label
            active.put(taken, total)
            active.put(z, found)
            still = torch.zeros_like(todo)
            active.put(held & possible, still)
            active.put(possible, hopeful)
            todo = still
        return found

    return as_replicas(search, logits_fn, x, y)
