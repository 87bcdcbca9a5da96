"""The one contract that every attack keeps.

``attack(logits_fn, x, y, ...) -> AttackResult`` with ``x`` [*B, *D], ``y`` [*B] and ``logits_fn``
[*B, *D] -> [*B, K], where *B is (N,) for one model or (R, N) for replicas. An attack leaves the model
and its inputs untouched, stays in the box, and says of every example what it found and whether that is
misclassified: failure is a value, a radius of infinity, never a silent large number.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sparse_robust.types import Box, LogitsFn


@dataclass(frozen=True)
class AttackResult:
    """What an attack found.

    Attributes:
        x_adv: [*B, *D], the perturbed inputs.
        flipped: bool [*B], whether the model misclassifies ``x_adv`` (ties count for the defender only
            where argmax resolves them so).
        radius: [*B], ||x_adv - x||_2 where flipped and infinity elsewhere; pixel units.
    """

    x_adv: Tensor
    flipped: Tensor
    radius: Tensor


def spread(values: Tensor, like: Tensor) -> Tensor:
    """``values`` [*B] with trailing axes of length 1, ready to multiply ``like`` [*B, *D]."""
    return values.reshape(values.shape + (1,) * (like.ndim - values.ndim))


def norms(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean norm of each example: ``x`` [*B, *D] with ``y`` [*B] -> [*B]."""
    return x.flatten(y.ndim).norm(dim=-1)


def validate(x: Tensor, y: Tensor, box: Box) -> None:
    """Reject inputs that no attack can make sense of.

    Raises:
        ValueError: if shapes or types disagree, the box is empty, or an input is NaN or outside the box.
    """
    if y.ndim not in (1, 2) or x.ndim <= y.ndim or x.shape[: y.ndim] != y.shape:
        shapes = f"got y {[*y.shape]} and x {[*x.shape]}"
        raise ValueError(f"y must be [N] or [R, N] and x that followed by the shape of an input, {shapes}")
    if not x.is_floating_point():
        raise ValueError(f"x must be floating point (pixels / 255), got {x.dtype}")
    if y.is_floating_point() or y.dtype == torch.bool:
        raise ValueError(f"y must hold class indices, an integer type, got {y.dtype}")
    least, most = x.aminmax() if x.numel() else (x.new_zeros(()), x.new_zeros(()))  # NaN if there is any
    if not (least.isfinite() and most.isfinite()):
        raise ValueError(f"x must be finite, {int((~x.isfinite()).sum())} of its entries are not")
    if box is None:
        return
    low, high = box
    if not low < high:
        raise ValueError(f"the box must be (low, high) with low < high, got {box}")
    if x.numel() and (least < low or most > high):
        raise ValueError(f"x leaves the box {box}: it spans [{least:.4g}, {most:.4g}]; scale it first")


def clip(x: Tensor, box: Box) -> Tensor:
    """``x`` moved into the box."""
    return x if box is None else x.clamp(*box)


def margin(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Logit of the class minus the largest other, [*B], and that other's index, [*B]."""
    others = logits.scatter(-1, y.unsqueeze(-1), -torch.inf)
    best, runner_up = others.max(-1)
    return logits.gather(-1, y.unsqueeze(-1)).squeeze(-1) - best, runner_up


def conclude(logits_fn: LogitsFn, x: Tensor, y: Tensor, x_adv: Tensor) -> AttackResult:
    """Judge ``x_adv`` by the model itself."""
    with torch.no_grad():
        flipped = logits_fn(x_adv).argmax(-1) != y
    return AttackResult(x_adv, flipped, norms(x_adv - x, y).masked_fill(~flipped, torch.inf))


def as_replicas(
    search: Callable[[LogitsFn, Tensor, Tensor], Tensor], logits_fn: LogitsFn, x: Tensor, y: Tensor
) -> AttackResult:
    """Run ``search`` on [R, N, *D], with R = 1 for a lone model, and judge what it returns."""
    if y.ndim == 2:
        model = Remembering(logits_fn)
        return conclude(model, x, y, search(model, x, y))
    x_adv = search(one_replica(logits_fn), x.unsqueeze(0), y.unsqueeze(0))
    return conclude(logits_fn, x, y, x_adv.squeeze(0))


def one_replica(logits_fn: LogitsFn) -> LogitsFn:
    """The logits [N, *D] -> [N, K] of a lone model as those of replicas, [1, N, *D] -> [1, N, K]."""
    return lambda z: logits_fn(z.squeeze(0)).unsqueeze(0)


class Remembering:
    """A model that answers from memory when it is asked for the very same tensor again, unchanged.

    The steps of an attack each judge all points, those before and those behind them.

    Args:
        logits_fn: the model, which must not change meanwhile.
    """

    def __init__(self, logits_fn: LogitsFn) -> None:
        self._logits_fn = logits_fn
        self._answers: deque[tuple[Tensor, int, Tensor]] = deque(maxlen=2)
        self.linearise = getattr(logits_fn, "linearise", None)

    def __call__(self, x: Tensor) -> Tensor:
        """Logits of ``x``; those with a graph are always computed."""
        if torch.is_grad_enabled():
            return self._logits_fn(x)
        for asked, version, answer in self._answers:
            if asked is x and asked._version == version:
                return answer
        logits = self._logits_fn(x)
        self._answers.append((x, x._version, logits))
        return logits


class Active:
    """The examples still being worked on, packed to the front so that the others cost nothing.

    Replicas finish at different times; each keeps its own list of open examples, padded with finished
    ones to the longest list, so that one batched call of the model still serves them all.
    """

    def __init__(self, todo: Tensor) -> None:
        """``todo`` bool [R, N]."""
        self.shape = todo.shape
        width = int(todo.sum(1).amax())
        self.index = (~todo).to(torch.uint8).argsort(dim=1, stable=True)[:, :width]  # [R, width]
        self.todo = todo.gather(1, self.index)
        first = torch.arange(len(todo), device=todo.device).unsqueeze(1) * todo.shape[1]
        self.rows = self.index + first  # in [R N]

    def __len__(self) -> int:
        return self.index.shape[1]

    def take(self, values: Tensor) -> Tensor:
        """[R, N, ...] -> [R, width, ...]."""
        return (
            values.flatten(0, 1)
            .index_select(0, self.rows.flatten())
            .view(*self.index.shape, *values.shape[2:])
        )

    def put(self, values: Tensor, into: Tensor, only: Tensor | None = None) -> None:
        """Write [R, width, ...] back into contiguous [R, N, ...] in place.

        Args:
            values: of the open examples.
            into: of all.
            only: bool [R, width], which of the open ones to write; all unless given.
        """
        chosen = self.todo if only is None else self.todo & only
        rows, written = self.rows.flatten(), values.flatten(0, 1)
        if not chosen.all():
            kept = chosen.flatten().nonzero().squeeze(1)
            rows, written = rows.index_select(0, kept), written.index_select(0, kept)
        into.view(-1, *into.shape[2:]).index_copy_(0, rows, written)

    def still(self, held: Tensor) -> Tensor:
        """What is left to do: bool [R, N], true for the open examples with ``held`` [R, width]."""
        todo = torch.zeros(self.shape, dtype=torch.bool, device=held.device)
        self.put(held, todo)
        return todo
