"""One training loop for R replicas under masks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparse_robust.rng import stream


@dataclass(frozen=True)
class Training:
    """Stochastic gradient descent with momentum.

    Attributes:
        steps: mini-batches.
        batch_size: examples in a mini-batch, for each replica.
        lr: the learning rate at the start.
        schedule: ``constant``, or ``linear`` for a rate that falls linearly to 0 at the last step.
        momentum: of the heavy ball, without dampening.
        weight_decay: coefficient of ||w||_2^2 / 2, on weights only.
    """

    steps: int
    batch_size: int = 64
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "linear"] = "constant"


def batches(seed: int, name: str, examples: int, batch_size: int) -> Iterator[Tensor]:
    """Endless mini-batches of indices [batch_size]: shuffled epochs, a short last batch left out.

    Raises:
        ValueError: if one batch needs more examples than there are.
    """
    if batch_size > examples:
        raise ValueError(f"a batch of {batch_size} needs at least as many examples, got {examples}")
    generator = stream(seed, name)
    while True:
        order = torch.randperm(examples, generator=generator)
        yield from order[: examples // batch_size * batch_size].view(-1, batch_size)


def train(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    x: Tensor,
    y: Tensor,
    options: Training,
    *,
    seeds: Sequence[int],
    stage: str,
    progress: Callable[[int], object] = lambda steps: None,
) -> None:
    """Minimise each replica's mean cross-entropy in place; masked weights stay exactly zero.

    Replica r sees its own order of examples, drawn from the stream (seeds[r], "order/" + stage), and
    starts with zero momentum, so what it becomes does not depend on the other replicas.

    Args:
        model: [R, N, *D] -> [R, N, K].
        masks: by parameter name, bool [R, ...]; parameters without a mask train freely.
        x: the training inputs [N, *D], on the model's device.
        y: their classes [N], int64.
        options: the descent.
        seeds: one per replica.
        stage: names the stream of the order, for example ``"round-3"``.
        progress: told the number of steps just done, now and then.

    Raises:
        ValueError: if a batch is larger than the data.
        FloatingPointError: if a weight stops being finite; the remedy is a smaller learning rate.
    """
    parameters = dict(model.named_parameters())
    held = [(parameters[name], mask.to(parameters[name].dtype)) for name, mask in masks.items()]
    with torch.no_grad():
        for weight, mask in held:
            weight.mul_(mask)
    decayed = [p for name, p in parameters.items() if name.endswith("weight")]
    free = [p for name, p in parameters.items() if not name.endswith("weight")]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": free},
    ]
    sgd = torch.optim.SGD(groups, lr=options.lr, momentum=options.momentum)
    orders = [batches(seed, f"order/{stage}", len(x), options.batch_size) for seed in seeds]
    model.train()
    report = 100
    for step in range(1, options.steps + 1):
        if options.schedule == "linear":
            for group in sgd.param_groups:
                group["lr"] = options.lr * (1 - (step - 1) / options.steps)
        index = torch.stack([next(order) for order in orders]).to(x.device)
        logits = model(x[index])  # [R, batch, K]
        loss = functional.cross_entropy(logits.flatten(0, 1), y[index].flatten(), reduction="sum")
        sgd.zero_grad()
        (loss / options.batch_size).backward()
        for weight, mask in held:
            assert weight.grad is not None
            weight.grad.mul_(mask)
        sgd.step()
        if step % report == 0:
            progress(report)
    progress(options.steps % report)
    model.eval()
    for name, p in parameters.items():
        if not p.isfinite().all():
            raise FloatingPointError(f"{name} is not finite after training {stage}: lower lr={options.lr}")


__all__ = ["Training", "batches", "train"]
