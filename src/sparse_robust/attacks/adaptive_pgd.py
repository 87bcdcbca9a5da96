"""Projected gradient descent whose step size adapts itself, on the difference-of-logits ratio."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import ceil

import torch
from torch import Tensor

from sparse_robust.types import Box, LogitsFn

from .contract import Active, AttackResult, as_replicas, margin, spread
from .fgs import soft_lead
from .linear_model import linearise
from .projected_gradient import first_iterate, project, validate_descent

MOMENTUM = 0.75
"""The share of a new step; the rest is that of the step before."""

RISES = 0.75
"""A step size stays as long as the loss rises in at least this share of its steps."""


def adaptive_projected_gradient_descent(
    logits_fn: LogitsFn,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    steps: int = 100,
    noise: Tensor | None = None,
    box: Box = None,
) -> AttackResult:
    r"""APGD with the DLR loss: projected sign steps with momentum, halved when they stop paying.

    The first steps are 2 eps long. At checkpoints that come closer and closer together a step size is
    halved, and the search goes back to the best iterate, where the loss rose in too few steps or the best has
    not changed since the last checkpoint at the same size. The loss is :func:`dlr_loss`, which does not
    change when logits are scaled or shifted. Where it is flat, because its numerator and its denominator
    are proportional or the three logits in it constant, the loss is from then on :func:`.fgs.soft_lead`, a
    difference of all logits. An example stops at its first misclassified iterate; one that is misclassified
    already is returned as it is.

    Args:
        logits_fn: [*B, *D] -> [*B, K].
        x: [*B, *D], floating point, in the box.
        y: [*B], the true classes.
        eps: l_infinity radius, pixel units, at least 0.
        steps: gradients at most, at least 1.
        noise: [*B, *D], added to x for the first iterate, which is projected; none unless given.
        box: (low, high) or None.

    Raises:
        ValueError: if an option is out of range, shapes disagree or x leaves the box.

    Reference: Croce, Hein 2020, algorithm 1 and equation (6).
    """
    validate_descent(x, y, eps=eps, steps=steps, noise=noise, box=box)

    def search(logits_fn: LogitsFn, x: Tensor, y: Tensor) -> Tensor:
        at, todo = first_iterate(logits_fn, x, y, noise, eps, box)
        if not todo.any():
            return at
        walk = Walk.begin(logits_fn, at, y, eps)
        for length in intervals(steps):
            if not todo.any():
                break
            active = Active(todo)
            part = walk.take(active)
            held = part.advance(logits_fn, active.take(x), active.take(y), length, eps, box)
            active.put(part.at, at)
            part.check(length)
            walk.put(active, part)
            todo = active.still(held)
        return at

    return as_replicas(search, logits_fn, x, y)


def dlr_loss(logits: Tensor, y: Tensor) -> Tensor:
    """(largest other logit - logit of y) / (largest - third largest logit), to be maximised; [*B].

    Of two classes there is no third: then the difference alone, whose sign steps are the same.

    Args:
        logits: [*B, K].
        y: [*B].
    """
    lead = -margin(logits, y)[0]
    if logits.shape[-1] < 3:
        return lead
    top = logits.topk(3, -1).values
    return lead / (top[..., 0] - top[..., 2]).clamp_min(torch.finfo(logits.dtype).tiny)


def intervals(steps: int) -> Iterator[int]:
    """The numbers of steps between checkpoints; their sum is ``steps``.

    Checkpoints come after the shares p_1 = .22 and p_{j+1} = p_j + max(p_j - p_{j-1} - .03, .06) of them.
    """
    before, share, width = 0, 0.22, 0.22
    while before < steps:
        until = min(ceil(round(share * steps, 9)), steps)  # .41 * 100 is a little more than 41
        if until > before:
            yield until - before
        before, width = until, max(width - 0.03, 0.06)
        share += width


@dataclass
class Walk:
    """The state of a search: replicas and examples lead in every field.

    Attributes:
        at, previous: [R, N, *D], the last two iterates.
        gradient: [R, N, *D], of the loss at ``at``.
        loss: [R, N], there.
        best, best_gradient, best_loss: the same of the best iterate.
        size: [R, N], of a step, pixel units.
        rises: [R, N], in how many steps since the last checkpoint the loss rose.
        settled: bool [R, N], whether the best loss has not risen since then.
        fresh: bool [R, N], whether the size was halved at the last checkpoint.
        plain: bool [R, N], whether the loss is the difference of logits, as the ratio was flat.
    """

    at: Tensor
    previous: Tensor
    gradient: Tensor
    loss: Tensor
    best: Tensor
    best_gradient: Tensor
    best_loss: Tensor
    size: Tensor
    rises: Tensor
    settled: Tensor
    fresh: Tensor
    plain: Tensor

    @classmethod
    def begin(cls, logits_fn: LogitsFn, at: Tensor, y: Tensor, eps: float) -> "Walk":
        """Before the first step, from ``at`` [R, N, *D]."""
        no = torch.zeros_like(y, dtype=torch.bool)
        loss, gradient, _, plain = _loss_and_gradient(logits_fn, at, y, no, eps)
        none = torch.zeros_like(loss)
        return cls(at, at, gradient, loss, at, gradient, loss, none + 2 * eps, none, ~no, no, plain)

    def take(self, active: Active) -> "Walk":
        """Its open examples."""
        return Walk(*(active.take(getattr(self, field.name)) for field in fields(self)))

    def put(self, active: Active, part: "Walk") -> None:
        """Write open examples back."""
        for field in fields(self):
            whole = getattr(self, field.name).clone()
            active.put(getattr(part, field.name), whole)
            setattr(self, field.name, whole)

    def advance(self, logits_fn: LogitsFn, x: Tensor, y: Tensor, steps: int, eps: float, box: Box) -> Tensor:
        """Take steps; bool [R, N], which examples are still classified as y. Those that are not stay put."""
        held = torch.ones_like(y, dtype=torch.bool)
        for _ in range(steps):
            step = project(self.at + spread(self.size, self.at) * self.gradient.sign(), x, eps, box)
            mixed = self.at + MOMENTUM * (step - self.at) + (1 - MOMENTUM) * (self.at - self.previous)
            first = (self.at == self.previous).flatten(2).all(-1)  # nothing to carry on: the whole step
            z = torch.where(spread(first, x), step, project(mixed, x, eps, box))
            z = torch.where(spread(held, x), z, self.at)
            loss, self.gradient, same, plain = _loss_and_gradient(logits_fn, z, y, self.plain, eps)
            held = held & same
            anew = plain & ~self.plain  # another loss, in other units: any value of it is the best so far
            self.rises = self.rises + ((loss > self.loss) | anew)
            self.previous, self.at, self.loss, self.plain = self.at, z, loss, plain
            better = (loss > self.best_loss) | anew
            self.settled = self.settled & ~better
            self.best = torch.where(spread(better, x), z, self.best)
            self.best_gradient = torch.where(spread(better, x), self.gradient, self.best_gradient)
            self.best_loss = torch.where(better, loss, self.best_loss)
        return held

    def check(self, steps: int) -> None:
        """At a checkpoint: halve the size, and go back to the best iterate, where ``steps`` did not pay."""
        halve = (self.rises < RISES * steps) | (self.settled & ~self.fresh)
        back = spread(halve, self.at)
        self.size = torch.where(halve, self.size / 2, self.size)
        self.at, self.previous = (torch.where(back, self.best, z) for z in (self.at, self.previous))
        self.gradient = torch.where(back, self.best_gradient, self.gradient)
        self.loss = torch.where(halve, self.best_loss, self.loss)
        self.rises, self.settled = torch.zeros_like(self.rises), torch.ones_like(self.settled)
        self.fresh = halve


def _loss_and_gradient(
    logits_fn: LogitsFn, z: Tensor, y: Tensor, plain: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Loss, gradient, and whether the loss is plain.

    The ratio is flat where a step across the whole ball, along its gradient, would change it by less than
    half of the digits that it is known to.

    Args:
        logits_fn: [R, N, *D] -> [R, N, K].
        z: [R, N, *D].
        y: [R, N].
        plain: bool [R, N], where the loss is the difference of logits whatever the ratio does.
        eps: of the ball.

    Returns:
        the loss [R, N] at ``z``, its gradient, like z, whether z is classified as y, and ``plain`` with those
        where the ratio is flat.
    """
    model = linearise(logits_fn, z)
    with torch.enable_grad():
        logits = model.logits.detach().clone().requires_grad_()
        losses = dlr_loss(logits, y), soft_lead(logits, y)
        weights = [torch.autograd.grad(loss.sum(), logits)[0] for loss in losses]
    ratio, difference = (loss.detach() for loss in losses)
    gradient = model.gradient(torch.where(spread(plain, model.logits), weights[1], weights[0]))
    change = eps * gradient.flatten(2).abs().sum(-1)
    visible = torch.finfo(change.dtype).eps ** 0.5 * ratio.abs()
    flat = ~plain & ~(change > visible)  # of a gradient that is not a number, too
    if flat.any():
        gradient = torch.where(spread(flat, z), model.gradient(weights[1]), gradient)
        plain = plain | flat
    return torch.where(plain, difference, ratio), gradient, model.logits.argmax(-1) == y, plain
