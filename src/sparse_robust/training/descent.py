"""One training loop for R replicas under masks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.sgd import sgd

from sparse_robust.rng import stream

Objective = Callable[[Tensor], Tensor]
View = Callable[[int], AbstractContextManager[object]]
Gradients = Callable[[Tensor], dict[str, Tensor]]
Snapshot = Callable[[], dict[str, Tensor]]
Watch = Callable[[int, Snapshot], object]
"""Called between two steps: the number of steps done, and what takes :attr:`State.tensors` then."""

NOW_AND_THEN = 100
"""Steps between what need not happen at each: reports of progress, and :func:`drop_traces`."""


@dataclass(frozen=True)
class Training:
    """Stochastic gradient descent with momentum.

    Attributes:
        steps: mini-batches.
        batch_size: examples in a mini-batch, for each replica.
        lr: the learning rate at the start.
        schedule: ``constant``; ``linear`` for a rate that falls linearly to 0 at the last step; ``inv``
            for Caffe's policy, lr * (1 + gamma * t)^-power after t steps.
        momentum: of the heavy ball, without dampening.
        weight_decay: coefficient of ||w||_2^2 / 2, on weights only.
        gamma: of the ``inv`` policy.
        power: of the ``inv`` policy.
        l1: coefficient of ||w||_1 (paper, Table 1), on weights and biases as in Caffe: a unit that reads
            nothing any more is silent only if its bias is 0 too. After each step every parameter shrinks
            by rate * l1 / (1 - momentum), which is how far the penalty's slope would drive it, and stays
            at exactly 0 where it arrives there; with the slope itself it would rattle around 0.
        nesterov: look ahead of the heavy ball.
        warmup: steps over which the ``linear`` schedule rises to lr before it falls to 0.
        augment: how many pixels an image may be shifted, and whether it may be mirrored (0: neither).
        bfloat16: compute logits and gradients in half precision. This and ``augment`` are for images in
            colour, and need an objective (:func:`~.augmented.objective`).

    Raises:
        ValueError: if ``nesterov`` has no momentum.
    """

    steps: int
    batch_size: int = 64
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: Literal["constant", "linear", "inv"] = "constant"
    gamma: float = 0.0
    power: float = 0.0
    l1: float = 0.0
    nesterov: bool = False
    warmup: int = 0
    augment: int = 0
    bfloat16: bool = False

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov looks ahead of the heavy ball: give it a momentum above 0")

    def rate(self, step: int) -> float:
        """The learning rate after ``step`` steps."""
        match self.schedule:
            case "constant":
                return self.lr
            case "linear" if self.warmup:
                return self.lr * min(
                    (step + 1) / self.warmup, (self.steps - step) / (self.steps - self.warmup)
                )
            case "linear":
                return self.lr * (1 - step / self.steps)
            case "inv":
                return float(self.lr * (1 + self.gamma * step) ** -self.power)


@dataclass(frozen=True)
class State:
    """A descent after some of its steps: all that the next one depends on, but for what seeds decide.

    Attributes:
        steps: done.
        tensors: by name, [R, ...]: the model's state, and ``momentum/NAME`` of each parameter that trains.
    """

    steps: int
    tensors: Mapping[str, Tensor]


MOMENTUM = "momentum/"
"""Before the name of the parameter that a momentum is of."""


def snapshot(model: nn.Module, momentum: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """:attr:`State.tensors` as they are now, not copied."""
    return dict(model.state_dict()) | {MOMENTUM + name: tensor for name, tensor in momentum.items()}


def trained(model: nn.Module) -> dict[str, Tensor]:
    """The values of the parameters that train, by name."""
    return {name: p.data for name, p in model.named_parameters() if p.requires_grad}


def batches(
    seeds: Sequence[int], name: str, examples: int, batch_size: int, device: torch.device | str = "cpu"
) -> Iterator[Tensor]:
    """Endless mini-batches of indices [R, batch_size]: shuffled epochs, a short last batch left out.

    Row r depends on ``seeds[r]`` alone. An epoch is drawn and moved to the device at once.

    Raises:
        ValueError: if one batch needs more examples than there are.
    """
    if batch_size > examples:
        raise ValueError(f"a batch of {batch_size} needs at least as many examples, got {examples}")
    generators = [stream(seed, name) for seed in seeds]
    count = examples // batch_size
    while True:
        orders = torch.stack([torch.randperm(examples, generator=generator) for generator in generators])
        yield from orders[:, : count * batch_size].unflatten(1, (count, batch_size)).to(device).unbind(1)


class Descent:
    """Stochastic gradient descent with momentum under masks, in place, of one replica or of many.

    Args:
        parameters: by name; those whose names end in ``weight`` decay.
        masks: by parameter name, ones and zeros of the parameter's shape and dtype; what they take away
            must be zero, and stays so.
        options: the descent.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], masks: Mapping[str, Tensor], options: Training
    ) -> None:
        self.parameters, self.masks, self.options = parameters, masks, options
        self.momentum = {name: torch.zeros_like(p) for name, p in parameters.items()}
        weights = [name for name in parameters if name.endswith("weight")]
        others = [name for name in parameters if not name.endswith("weight")]
        self._groups = [(weights, options.weight_decay), (others, 0.0)]
        # kept from step to step, as allocating them takes longer than what is done with them
        self._pulls = {name: torch.empty_like(p) for name, p in parameters.items()} if options.l1 else {}

    @torch.no_grad()
    def step(self, gradients: Mapping[str, Tensor], done: int) -> None:
        """A step along ``gradients``, by parameter name, which it masks in place; ``done`` came before it."""
        options, rate = self.options, self.options.rate(done)
        for name, mask in self.masks.items():
            gradients[name].mul_(mask)
        for names, decay in self._groups:
            sgd(
                [self.parameters[name] for name in names],
                [gradients[name] for name in names],
                [self.momentum[name] for name in names],
                fused=True,
                weight_decay=decay,
                momentum=options.momentum,
                lr=rate,
                dampening=0.0,
                nesterov=options.nesterov,
                maximize=False,
            )
        pull = rate * options.l1 / (1 - options.momentum) if options.l1 else 0.0
        for name, buffer in self._pulls.items():
            self.parameters[name].sub_(torch.clamp(self.parameters[name], -pull, pull, out=buffer))
            if (done + 1) % NOW_AND_THEN == 0:
                drop_traces(self.momentum[name])


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
    view: View | None = None,
    objective: Objective | None = None,
    gradients: Gradients | None = None,
    start: State | None = None,
    watch: Watch | None = None,
) -> None:
    """Minimise each replica's mean cross-entropy in place; masked weights stay exactly zero.

    Replica r sees its own order of examples, drawn from the stream (seeds[r], "order/" + stage), and
    starts with zero momentum, so what it becomes does not depend on the other replicas.

    Replicas train in one batched program, by autograd unless ``gradients`` are given.

    Args:
        model: [R, N, *D] -> [R, N, K].
        masks: by parameter name, bool [R, ...]; parameters without a mask train freely.
        x: the training inputs [N, *D], on the model's device.
        y: their classes [N], int64.
        options: the descent.
        seeds: one per replica.
        stage: names the stream of the order, for example ``"round-3"``.
        progress: told the number of steps just done, now and then.
        view: opened around the forward and backward pass of each step, with the number of steps done; in
            between it may show the model other weights than those that the descent then updates.
        objective: the summed loss of the batches with indices [R, batch], instead of the cross-entropy of
            ``x`` as it is.
        gradients: from the indices [R, batch] of a batch to the gradients of its mean loss by parameter name,
            instead of autograd's of the objective; for example
            :class:`~sparse_robust.models.Backpropagation`, which is faster.
        start: what an earlier call with the same arguments had reached; this one goes on there, and ends with
            the very numbers of a call that was not interrupted. An objective that draws has to skip the
            steps done by itself.
        watch: called after each step but the last; what it raises ends training there.

    Raises:
        ValueError: if a batch is larger than the data, or the options need an objective.
        FloatingPointError: if a weight stops being finite; the remedy is a smaller learning rate.
    """
    if objective is None and (options.augment or options.bfloat16):
        raise ValueError("augment and bfloat16 need an objective, see sparse_robust.training.objective")
    parameters, first = trained(model), start.steps if start else 0
    kept = {name: mask.to(parameters[name].dtype) for name, mask in masks.items() if not mask.all()}
    for name, mask in kept.items():
        parameters[name].mul_(mask)
    model.train()
    if gradients is None:
        gradients = by_autograd(model, objective or cross_entropy(model, x, y), options.batch_size)
    descent = Descent(parameters, kept, options)
    if start:
        for name, tensor in snapshot(model, descent.momentum).items():
            tensor.copy_(start.tensors[name])
        progress(first - first % NOW_AND_THEN)
    orders = batches(seeds, f"order/{stage}", len(x), options.batch_size, x.device)
    state = partial(snapshot, model, descent.momentum)
    for step, index in enumerate(islice(orders, first, options.steps), first):
        with view(step) if view else nullcontext():
            slopes = gradients(index)
        descent.step(slopes, step)
        if (step + 1) % NOW_AND_THEN == 0:
            progress(NOW_AND_THEN)
        if watch and step + 1 < options.steps:
            watch(step + 1, state)
    progress(options.steps % NOW_AND_THEN)
    model.eval()
    for name, p in parameters.items():
        if not p.isfinite().all():
            raise FloatingPointError(f"{name} is not finite after training {stage}: lower lr={options.lr}")


def cross_entropy(model: nn.Module, x: Tensor, y: Tensor) -> Objective:
    """What ``train`` minimises by default: of indices [R, batch], the summed cross-entropy of ``x``."""

    def loss(index: Tensor) -> Tensor:
        chosen = index.flatten()
        logits = model(x.index_select(0, chosen).unflatten(0, index.shape))  # [R, batch, K]
        return functional.cross_entropy(logits.flatten(0, 1), y[chosen], reduction="sum")

    return loss


def by_autograd(model: nn.Module, objective: Objective, batch_size: int) -> Gradients:
    """From indices [R, batch] to the gradients of the objective over ``batch_size``, by parameter name."""
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}

    def gradients(index: Tensor) -> dict[str, Tensor]:
        for p in parameters.values():
            p.grad = None
        (objective(index) / batch_size).backward()
        return {name: gradient(p) for name, p in parameters.items()}

    return gradients


def drop_traces(momentum: Tensor) -> None:
    """Set to zero, in place, what moves no weight any more.

    Where l_1 holds a weight at zero that no gradient pulls at, momentum decays and decays, to subnormal
    numbers, with which CPUs are slow.
    """
    momentum.mul_(momentum.abs() > 1e-30)


def gradient(parameter: Tensor) -> Tensor:
    """The gradient that the backward pass has left on a parameter."""
    assert parameter.grad is not None
    return parameter.grad
