"""Means over a test set, with their standard errors, and the two robustness metrics of the paper."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sparse_robust.attacks import AttackResult


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` examples.

    Attributes:
        value: the mean; infinite when an example's value is.
        n: the number of examples.
        stderr: the standard error of the mean, sample deviation / sqrt(n); None without one.
        blocks: means over interleaved blocks of the examples, example i in block i mod B; empty where the
            value is no mean over examples.
    """

    value: float
    n: int
    stderr: float | None
    blocks: tuple[float, ...] = ()


BY_IMAGE = 200
"""Up to so many examples a block is one example."""

BLOCKS = 20
"""Blocks of more examples."""


def block_means(values: Tensor) -> list[tuple[float, ...]]:
    """Means over interleaved blocks, by replica: ``values`` [R, N] -> R times B means."""
    n = values.shape[1]
    size = n if n <= BY_IMAGE else BLOCKS
    means = torch.stack([values[:, b::size].mean(1) for b in range(size)], 1)
    return [tuple(round(mean, 6) for mean in row) for row in means.tolist()]


def estimate(values: Tensor) -> list[Estimate]:
    """One estimate for each replica: ``values`` [R, N] -> R estimates.

    Raises:
        ValueError: if there is no example.
    """
    replicas, n = values.shape
    if n == 0:
        raise ValueError("a mean needs at least one example, the test set is empty")
    values = values.double()
    spread = values.std(1) / n**0.5 if n > 1 else torch.full((replicas,), torch.nan)
    return [
        Estimate(float(mean), n, float(error) if error.isfinite() else None, blocks)
        for mean, error, blocks in zip(values.mean(1), spread, block_means(values), strict=True)
    ]


def accuracy(logits: Tensor, y: Tensor) -> list[Estimate]:
    """Share of examples whose largest logit is the class: ``logits`` [R, N, K], ``y`` [R, N]."""
    return estimate(logits.argmax(-1) == y)


def r_inf(result: AttackResult) -> list[Estimate]:
    """Accuracy on adversarial examples, r_inf = E 1[y = prediction at x_adv] (paper, equations 1 and 5).

    ``result`` over [R, N]; an attack that corrects a misclassified example counts for the defender.
    """
    return estimate(~result.flipped)


def r_2(result: AttackResult, correct: Tensor, *, power: int = 1) -> list[Estimate]:
    """Mean distance, r_2 = E 1[y = prediction at x] ||x_adv - x||_2^power (paper, equations 1 and 5).

    Misclassified examples count 0. One failed attack on a correctly classified example makes the mean
    infinite; :func:`failures` says how many there are.

    Args:
        result: over [R, N].
        correct: bool [R, N], whether the unperturbed example is classified correctly.
        power: 1 for the paper's definition, 2 for the mean squared distance.
    """
    return estimate(torch.where(correct, result.radius.double() ** power, 0.0))


def failures(result: AttackResult, correct: Tensor) -> list[int]:
    """How many correctly classified examples the attack failed to flip, for each replica."""
    return [int(count) for count in (correct & ~result.flipped).sum(1)]
