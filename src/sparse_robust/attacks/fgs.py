"""One-step attacks in l_infinity: fast gradient sign and its randomised variant."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sparse_robust.rng import stream
from sparse_robust.types import Box, LogitsFn

from .contract import AttackResult, clip, conclude, validate


def loss_gradient(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> Tensor:
    """A positive multiple, example by example, of the cross-entropy's gradient with respect to x; [*B, *D].

    It is the gradient of m = logsumexp of the other logits - own logit. The cross-entropy is log(1 + e^m),
    so the signs agree; but its own gradient, softmax minus one-hot, loses the term 1 - p_y to rounding
    once the class leads by 17 (float32), and FGS would then step in a wrong direction.
    """
    return logits_and_loss_gradient(logits_fn, x, y)[1]


def logits_and_loss_gradient(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The logits at x, [*B, K], and :func:`loss_gradient`, from one pass."""
    with torch.enable_grad():
        z = x.detach().clone().requires_grad_()
        logits = logits_fn(z)
        (gradient,) = torch.autograd.grad(soft_lead(logits, y).sum(), z)
    return logits.detach(), gradient


def soft_lead(logits: Tensor, y: Tensor) -> Tensor:
    """logsumexp of the logits of other classes, less that of class y: [*B, K] -> [*B]."""
    own = y.unsqueeze(-1)
    return logits.scatter(-1, own, -torch.inf).logsumexp(-1) - logits.gather(-1, own).squeeze(-1)


def fast_gradient_sign(
    logits_fn: LogitsFn, x: Tensor, y: Tensor, *, eps: float, box: Box = None
) -> AttackResult:
    r"""FGS: x_adv = clip(x + eps * sgn(grad of the loss)); one l_infinity step of radius eps.

    Coordinates whose gradient is exactly zero do not move. The step is taken from every example,
    misclassified ones included (whether it may correct them is the theorem's assumption (II)).

    Args:
        logits_fn: [*B, *D] -> [*B, K].
        x: [*B, *D], floating point, in the box.
        y: [*B], the true classes.
        eps: l_infinity radius, pixel units, at least 0.
        box: (low, high) or None; the paper clips to (0, 1).

    Raises:
        ValueError: if eps is negative, shapes disagree or x leaves the box.

    Reference: Goodfellow, Shlens, Szegedy 2015; paper, section 3.1.
    """
    validate(x, y, box)
    if eps < 0:
        raise ValueError(f"eps must be at least 0, got {eps}")
    x_adv = clip(x + eps * loss_gradient(logits_fn, x, y).sign(), box)
    return conclude(logits_fn, x, y, x_adv)


def random_signs(seeds: Sequence[int], examples: int, shape: Sequence[int]) -> Tensor:
    """The random signs of rFGS, int8 [R, N, *D]; row r depends on ``seeds[r]`` alone."""
    rows = [
        torch.randint(0, 2, (examples, *shape), generator=stream(seed, "rfgs"), dtype=torch.int8)
        for seed in seeds
    ]
    return torch.stack(rows) * 2 - 1


def random_fast_gradient_sign(
    logits_fn: LogitsFn,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    signs: Tensor,
    step: float | None = None,
    box: Box = None,
) -> AttackResult:
    r"""rFGS: a random step, then FGS with what is left of the budget.

    x' = clip(x + step * signs), x_adv = clip(x' + (eps - step) * sgn(grad of the loss at x')).

    Args:
        logits_fn: [*B, *D] -> [*B, K].
        x: [*B, *D], floating point, in the box.
        y: [*B], the true classes.
        eps: l_infinity radius of the whole perturbation, pixel units.
        signs: [*B, *D] of -1 and +1, from :func:`random_signs`.
        step: radius of the random step, between 0 and eps; eps / 2 unless told.
        box: (low, high) or None.

    Raises:
        ValueError: if step is not in [0, eps], shapes disagree or x leaves the box.

    Reference: Tramèr et al. 2018, equation (7), where step is called alpha; paper, section 4.
    """
    validate(x, y, box)
    step = eps / 2 if step is None else step
    if not 0 <= step <= eps:
        raise ValueError(f"step must lie between 0 and eps={eps}, got {step}")
    if signs.shape != x.shape:
        raise ValueError(f"signs must have the shape of x, {[*x.shape]}, got {[*signs.shape]}")
    start = clip(x + step * signs.to(x.dtype), box)
    x_adv = clip(start + (eps - step) * loss_gradient(logits_fn, start, y).sign(), box)
    return conclude(logits_fn, x, y, x_adv)
