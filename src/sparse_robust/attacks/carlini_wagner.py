"""Carlini and Wagner's l_2 attack."""

import torch
from torch import Tensor

from sparse_robust.types import LogitsFn

from .contract import Active, AttackResult, as_replicas, margin, norms, spread, validate
from .linear_model import linearise, towards

EDGE = 1e-4
"""How far, relative to half the box, a start keeps from its edges: atanh(±1) is infinite, and within
1e-6 of an edge tanh is so flat that a pixel needs most of the search to leave it."""

SETTLED = 1e-3
"""An example is done when a descent flips it again and finds nothing nearer by this relative amount."""


def descend(
    logits_fn: LogitsFn,
    x: Tensor,
    y: Tensor,
    c: Tensor,
    *,
    steps: int,
    lr: float,
    confidence: float,
    box: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """One descent with trade-offs ``c`` [R, N]: the nearest flipped point and its distance (or inf).

    Adam on w, with x' = centre + half * tanh(w), of ||x' - x||^2 + c * max(margin + confidence, 0).
    Every example has its own trade-off and its own moments, and descends to the last step: none affects
    another. (Stopping those whose loss stalls saves nothing on small models and finds points farther away.)
    """
    half, centre = (box[1] - box[0]) / 2, (box[1] + box[0]) / 2
    best, nearest = x.clone(), torch.full_like(c, torch.inf)
    w = torch.atanh(((x - centre) / half).clamp(-1 + EDGE, 1 - EDGE))
    first, second = torch.zeros_like(w), torch.zeros_like(w)
    for step in range(1, steps + 1):
        tanh = w.tanh()
        z = tanh.mul(half).add_(centre)
        model = linearise(logits_fn, z)
        lead, other = margin(model.logits, y)
        hinged = torch.where(lead > -confidence, c, 0.0)
        gradient = model.gradient(towards(y, other, model.logits) * hinged.unsqueeze(-1))
        move = z - x
        length = norms(move, y)
        better = (lead < -confidence) & (length < nearest)
        nearest = torch.where(better, length, nearest)
        best[better] = z[better]
        slope = tanh.square_().neg_().add_(1).mul_(half)  # dx' / dw
        gradient = gradient.add_(move, alpha=2).mul_(slope)
        first.lerp_(gradient, 0.1)
        second.lerp_(gradient.square_(), 0.001)
        scale = (1 - 0.999**step) ** 0.5
        rate = lr * (1 - (step - 1) / steps)
        w.addcdiv_(first, second.sqrt().add_(1e-8 * scale), value=-rate * scale / (1 - 0.9**step))
    return best, nearest


def carlini_wagner(
    logits_fn: LogitsFn,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 100,
    searches: int = 9,
    lr: float = 0.1,
    first_c: float = 1.0,
    confidence: float = 0.0,
    box: tuple[float, float] = (0.0, 1.0),
) -> AttackResult:
    r"""C&W l_2: minimise ||x' - x||_2^2 + c max(margin(x') + confidence, 0), and search for c.

    The change of variables x' = centre + half * tanh(w) keeps x' in the box, so the box is part of the
    attack. For each example c starts at ``first_c``; after a success it moves halfway down to the
    largest c that failed, after a failure halfway up to the smallest that succeeded (or tenfold up). The
    nearest flipped point of all descents is kept. An example that is misclassified already is returned as
    it is, with radius 0; one that never flips has an infinite radius.

    Args:
        logits_fn: [*B, *D] -> [*B, K].
        x: [*B, *D], floating point, in the box.
        y: [*B], the true classes.
        steps: of Adam in each descent.
        searches: descents, one for each trial of c.
        lr: of Adam, in units of w.
        first_c: the first trade-off, above 0.
        confidence: by how much another class must lead, in logits; at least 0.
        box: (low, high).

    Raises:
        ValueError: if an option is out of range, shapes disagree or x leaves the box.

    Reference: Carlini, Wagner 2017, section VI-A; paper, section 4.
    """
    validate(x, y, box)
    if min(steps, searches) < 1 or min(lr, first_c) <= 0 or confidence < 0:
        raise ValueError(
            "steps and searches must be at least 1, lr and first_c above 0, confidence at least 0; "
            f"got {steps}, {searches}, {lr}, {first_c}, {confidence}"
        )

    def search(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> Tensor:
        found = x.clone()
        with torch.no_grad():
            todo = logits_fn(x).argmax(-1) == y
        nearest = torch.full(y.shape, torch.inf, dtype=x.dtype, device=x.device)
        low, high = torch.zeros_like(nearest), torch.full_like(nearest, torch.inf)
        c = torch.full_like(nearest, first_c)
        for _ in range(searches):
            if not todo.any():
                break
            active = Active(todo)
            point, distance = descend(
                logits_fn,
                *map(active.take, (x, y, c)),
                steps=steps,
                lr=lr,
                confidence=confidence,
                box=box,
            )
            reached = torch.full_like(nearest, torch.inf)
            active.put(distance, reached)
            improved = reached < nearest
            active.put(torch.where(spread(active.take(improved), point), point, active.take(found)), found)
            flipped = reached.isfinite()
            todo = todo & ~(flipped & (reached > (1 - SETTLED) * nearest))
            nearest = torch.where(improved, reached, nearest)
            high = torch.where(flipped, c, high)
            low = torch.where(flipped, low, c)
            c = torch.where(high.isfinite(), (low + high) / 2, c * 10)
        return found

    return as_replicas(search, logits_fn, x, y)
