"""What a measurement is: it names its numbers before anything is trained, and measures just these."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparse_robust.metrics import Estimate
from sparse_robust.models import Network
from sparse_robust.types import LogitsFn

BOX = (0.0, 1.0)
"""Pixels, divided by 255."""

GPU_CHUNK = 1000
"""Examples to compute with at once on a GPU, over all replicas."""

MetricName = tuple[str, str | None]
"""A metric and the attack that it rests on, if any."""

Values = dict[MetricName, list[Estimate]]
"""One number for each replica, by name."""

Options = Mapping[str, Any]
"""Of an attack, by keyword."""

Progress = Callable[[int], object]
"""Told how many examples were just done."""


@dataclass(frozen=True)
class Setting:
    """What decides which numbers there are, known before anything is trained.

    Attributes:
        network: of the models.
        classes: K.
        eps: l_infinity radius of one-step attacks, pixel units.
        layers: of so many layers the sparsity is a number of its own, as they are pruned unequally.
        published: whether the models were published by others, whose biases may be pruned, too.
    """

    network: Network
    classes: int
    eps: float
    layers: int = 0
    published: bool = False


@dataclass(frozen=True)
class Subject:
    """The models and the test examples that are measured.

    Attributes:
        model: R replicas in evaluation mode, of the setting's network.
        x: inputs [N, D] in [0, 1], the same for all replicas.
        y: classes [N].
        seeds: [R].
        trained_on: how many training examples there were.
        training_seconds: [R], how long the last training took, in seconds; None where it is not known.
    """

    model: Any
    x: Tensor
    y: Tensor
    seeds: Sequence[int]
    trained_on: int = 0
    training_seconds: Sequence[float | None] = ()

    def chunks(self, network: Network) -> Iterator[slice]:
        """Where the examples are cut into parts that are computed at once."""
        total = network.chunk if self.x.device.type == "cpu" else GPU_CHUNK
        size = max(total // len(self.seeds), 1)
        return (slice(start, start + size) for start in range(0, len(self.y), size))

    def attacked(self, network: Network) -> tuple[LogitsFn, Callable[[Tensor, float], Tensor]]:
        """The logits to attack, and how to read inputs [R, N, D] for them, with a value for padding.

        Linear classifiers are attacked on the inputs that they read: no other can help the attack
        (:meth:`~sparse_robust.models.LinearClassifier.on_support`).
        """
        if network.on_support is None:
            return self.model, lambda values, fill: values
        small, support = network.on_support(self.model)
        padding = (support < 0).unsqueeze(1)
        index = support.clamp_min(0).unsqueeze(1)

        def read(values: Tensor, fill: float) -> Tensor:
            return values.gather(2, index.expand(-1, values.shape[1], -1)).masked_fill(padding, fill)

        return small, read


@dataclass(frozen=True)
class Measurement:
    """One entry of :mod:`.registry`.

    Attributes:
        names: every number of one replica.
        measure: exactly these numbers of every replica.
    """

    names: Callable[[Setting], list[MetricName]]
    measure: Callable[[Setting, Subject, Options, Progress], Values]


def exact_convolutions() -> Any:
    """Keep a GPU from rounding the operands of float32 convolutions to 10 bits, as it would unasked."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
