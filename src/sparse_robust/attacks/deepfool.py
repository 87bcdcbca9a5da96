"""DeepFool: the minimal l_2 perturbation, by repeated linearisation."""

import torch
from torch import Tensor

from sparse_robust.types import Box, LogitsFn

from .boundary import BoundaryWalk, approach
from .contract import Active, AttackResult, as_replicas, clip, norms, validate
from .linear_model import nearest_crossing

CLASSES = 3
"""In a box, how many of the leading other classes each linearisation tries."""

POLISH = BoundaryWalk(4, rates=(0.4, 0.1), aims=(0.05, 0.01))
"""In a box, the walk along the boundary that follows the last linearisation."""


def leave_class(
    logits_fn: LogitsFn,
    x: Tensor,
    y: Tensor,
    *,
    steps: int,
    overshoot: float,
    box: Box,
    classes: int | None = None,
) -> Tensor:
    """DeepFool's iteration from ``x`` [R, N, *D], without a box that of the paper; options as below."""
    reached, total = x.clone(), torch.zeros_like(x)
    with torch.no_grad():
        todo = logits_fn(x).argmax(-1) == y
    hopeful = todo.clone()
    if classes is None and box is not None:
        classes = CLASSES
    for _ in range(steps):
        if not todo.any():  # in this batch; in the whole one a point on a boundary may round back
            with torch.no_grad():
                todo = hopeful & (logits_fn(reached).argmax(-1) == y)
            if not todo.any():
                break
        active = Active(todo)
        start, label = active.take(x), active.take(y)
        step = nearest_crossing(logits_fn, active.take(reached), label, box, enough=classes)
        possible = norms(step, label).isfinite()
        step[~possible] = 0
        taken = active.take(total).add_(step)
        z = clip(start + (1 + overshoot) * taken, box)
        with torch.no_grad():
            held = logits_fn(z).argmax(-1) == label
        active.put(taken, total)
        active.put(z, reached)
        active.put(possible, hopeful)
        todo = active.still(held & possible)
    return reached


def deepfool(
    logits_fn: LogitsFn,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 50,
    overshoot: float = 0.02,
    box: Box = None,
    classes: int | None = None,
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
        box: None as in the paper, or (low, high): then each step is the exact shortest one in the box, to one
            of the nearest in logits, and what is reached is brought closer (:func:`.approach`).
        classes: how many other classes each linearisation tries, those with the highest logits, and more
            where none of them can be reached; None for all, and for ``CLASSES`` in a box.

    Raises:
        ValueError: if an option is out of range, shapes disagree or x leaves the box.

    Reference: Moosavi-Dezfooli, Fawzi, Frossard 2016, algorithm 2; paper, section 3.1.
    """
    validate(x, y, box)
    if steps < 1 or overshoot < 0:
        raise ValueError(f"steps must be at least 1 and overshoot at least 0, got {steps} and {overshoot}")
    if classes is not None and classes < 1:
        raise ValueError(f"classes must be at least 1, got {classes}")

    def search(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> Tensor:
        reached = leave_class(logits_fn, x, y, steps=steps, overshoot=overshoot, box=box, classes=classes)
        return reached if box is None else approach(logits_fn, x, y, reached, walks=[POLISH], box=box)

    return as_replicas(search, logits_fn, x, y)
