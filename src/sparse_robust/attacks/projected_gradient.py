"""Projected gradient descent in l_infinity: FGS in many small steps."""

import torch
from torch import Tensor

from sparse_robust.types import Box, LogitsFn

from .contract import Active, AttackResult, as_replicas, clip, spread, validate
from .fgs import logits_and_loss_gradient


def projected_gradient_descent(
    logits_fn: LogitsFn,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    steps: int = 40,
    step_size: float | None = None,
    noise: Tensor | None = None,
    box: Box = None,
) -> AttackResult:
    r"""PGD: z <- project(z + step_size * sgn(grad of the loss at z)) until z is misclassified.

    The projection is onto the l_infinity ball of radius ``eps`` around x and onto the box. An example stops
    at its first misclassified iterate; one that is misclassified already is returned as it is.

    Args:
        logits_fn: [*B, *D] -> [*B, K].
        x: [*B, *D], floating point, in the box.
        y: [*B], the true classes.
        eps: l_infinity radius, pixel units, at least 0.
        steps: gradients at most, at least 1.
        step_size: of one step, pixel units, above 0; 2.5 eps / steps unless given, enough to cross the ball.
        noise: [*B, *D], added to x for the first iterate, which is projected; none unless given.
        box: (low, high) or None.

    Raises:
        ValueError: if an option is out of range, shapes disagree or x leaves the box.

    Reference: Madry et al. 2018, section 2.1.
    """
    validate_descent(x, y, eps=eps, steps=steps, noise=noise, box=box)
    if step_size is not None and step_size <= 0:
        raise ValueError(f"step_size must be above 0, got {step_size}")
    size = 2.5 * eps / steps if step_size is None else step_size

    def search(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> Tensor:
        at, todo = first_iterate(logits_fn, x, y, noise, eps, box)
        for _ in range(steps):
            if not todo.any():
                break
            active = Active(todo)
            z, start, label = active.take(at), active.take(x), active.take(y)
            logits, gradient = logits_and_loss_gradient(logits_fn, z, label)
            held = logits.argmax(-1) == label  # what is misclassified stays where it is
            stepped = project(z + size * gradient.sign(), start, eps, box)
            active.put(torch.where(spread(held, z), stepped, z), at)
            todo = active.still(held)
        return at

    return as_replicas(search, logits_fn, x, y)


def project(z: Tensor, x: Tensor, eps: float, box: Box) -> Tensor:
    """``z`` moved into the l_infinity ball of radius ``eps`` around ``x``, and into the box."""
    return clip(z.clamp(x - eps, x + eps), box)


def first_iterate(
    logits_fn: LogitsFn, x: Tensor, y: Tensor, noise: Tensor | None, eps: float, box: Box
) -> tuple[Tensor, Tensor]:
    """Where a descent from ``x`` [R, N, *D] begins, and which of these points are classified as y, [R, N].

    Noise is not for misclassified inputs: they stay as they are.
    """
    with torch.no_grad():
        todo = logits_fn(x).argmax(-1) == y
        if noise is None:
            return x.clone(), todo
        at = torch.where(spread(todo, x), project(x + noise.view_as(x), x, eps, box), x)
        return at, logits_fn(at).argmax(-1) == y


def validate_descent(x: Tensor, y: Tensor, *, eps: float, steps: int, noise: Tensor | None, box: Box) -> None:
    """Reject what no descent in a ball can begin with.

    Raises:
        ValueError: as :func:`validate`, or if eps, steps or the noise's shape are out of range.
    """
    validate(x, y, box)
    if eps < 0 or steps < 1:
        raise ValueError(f"eps must be at least 0 and steps at least 1, got {eps} and {steps}")
    if noise is not None and noise.shape != x.shape:
        raise ValueError(f"noise must have the shape of x, {[*x.shape]}, got {[*noise.shape]}")
