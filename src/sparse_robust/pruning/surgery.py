"""Dynamic network surgery: weights are cut and spliced while all of them go on learning.

Guo, Yao, Chen, "Dynamic Network Surgery for Efficient DNNs", NIPS 2016. A masked weight is not gone: it
follows the gradient at the masked weights like any other, and returns when it has grown large enough.
Thresholds and probabilities are those of the authors' code. It masks biases too; here, as elsewhere in
this package, they are never pruned.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparse_robust.models import prunable
from sparse_robust.rng import stream

from .magnitude import dense_masks


@dataclass(frozen=True)
class Surgery:
    """How deep and how often to cut.

    Attributes:
        strengths: c of each layer, in the order of :func:`~sparse_robust.models.prunable`; the larger, the
            sparser the layer becomes.
        stop: steps after which no mask changes any more.
        gamma: of the probability.
        power: of the probability.
        margin: how far the two thresholds of a layer are from their middle, relative to it.
    """

    strengths: tuple[float, ...]
    stop: int
    gamma: float = 1e-4
    power: float = 1.0
    margin: float = 0.1

    def probability(self, step: int) -> float:
        """Of operating on a layer after ``step`` steps: (1 + gamma * step)^-power, and 0 from ``stop`` on."""
        return float((1 + self.gamma * step) ** -self.power) if step < self.stop else 0.0


def thresholds(weights: Tensor, strength: float, margin: float) -> tuple[Tensor, Tensor]:
    """a and b of one layer: (1 -+ margin) * max(mean |W| + strength * std |W|, 0), by replica.

    Args:
        weights: the layer before surgery, [R, ...].
        strength: c.
        margin: relative.

    Returns:
        two tensors that broadcast against ``weights``, [R, 1, ...].
    """
    magnitude = weights.detach().abs().flatten(1).double()
    middle = (magnitude.mean(1) + strength * magnitude.std(1, correction=0)).clamp_min(0)
    middle = middle.to(weights.dtype).view(-1, *(1 for _ in weights.shape[1:]))
    return (1 - margin) * middle, (1 + margin) * middle


def cut_and_splice(weights: Tensor, mask: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """The new mask: 0 where |W| < a, 1 where |W| >= b, and in between what it was (equation 3).

    Args:
        weights: all weights of one layer, masked ones too, [R, ...].
        mask: bool [R, ...].
        low: a, [R, 1, ...].
        high: b, at least a.
    """
    magnitude = weights.detach().abs()
    return (mask & (magnitude >= low)) | (magnitude >= high)


def calendar(surgery: Surgery, seeds: Sequence[int], stage: str) -> Tensor:
    """When each layer of each replica is operated on: bool [stop, layers, R]; replica r depends on seeds[r].

    Drawn from the stream (seeds[r], "surgery/" + stage).
    """
    probability = torch.tensor([surgery.probability(step) for step in range(surgery.stop)])
    shape = (surgery.stop, len(surgery.strengths))
    draws = [torch.rand(shape, generator=stream(seed, f"surgery/{stage}")) for seed in seeds]
    return torch.stack(draws, 2) < probability.view(-1, 1, 1)


class Operation:
    """R replicas on the table: called around each training step, it shows the model its masked weights.

    Within the context of a step the model holds W * T, so the backward pass leaves the gradient there, of
    every weight; outside of it the model holds W, which the descent updates, masked weights included.

    Attributes:
        masks: T by parameter name, bool [R, ...].
    """

    def __init__(self, model: nn.Module, surgery: Surgery, *, seeds: Sequence[int], stage: str) -> None:
        """Set the thresholds by the weights that the model has now.

        Raises:
            ValueError: if there is not one strength for each layer.
        """
        self.weights, self.masks = prunable(model), dense_masks(model)
        if len(surgery.strengths) != len(self.weights):
            raise ValueError(f"{len(surgery.strengths)} strengths for the layers {', '.join(self.weights)}")
        self.bounds = {
            name: thresholds(weight, strength, surgery.margin)
            for (name, weight), strength in zip(self.weights.items(), surgery.strengths, strict=True)
        }
        device = next(iter(self.weights.values())).device
        self.calendar = calendar(surgery, seeds, stage).to(device)

    @contextmanager
    def __call__(self, step: int) -> Iterator[None]:
        """Operate if the calendar says so, and mask the weights for as long as the context is open."""
        if step < len(self.calendar):
            self.operate(self.calendar[step])
        alive = {name: weight.data for name, weight in self.weights.items()}
        for name, weight in self.weights.items():
            weight.data = torch.where(self.masks[name], weight.data, 0)
        try:
            yield
        finally:
            for name, weight in self.weights.items():
                weight.data = alive[name]

    def operate(self, chosen: Tensor) -> None:
        """Cut and splice the chosen layers of the chosen replicas, bool [layers, R]."""
        for (name, weight), replicas in zip(self.weights.items(), chosen, strict=True):
            new = cut_and_splice(weight, self.masks[name], *self.bounds[name])
            self.masks[name] = torch.where(
                replicas.view(-1, *(1 for _ in weight.shape[1:])), new, self.masks[name]
            )

    def close(self) -> dict[str, Tensor]:
        """Set the masked weights to exactly zero, for good, and return the masks."""
        for name, weight in self.weights.items():
            weight.data = torch.where(self.masks[name], weight.data, 0)
        return self.masks
