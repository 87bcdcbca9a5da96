"""Progressive magnitude pruning (Han et al. 2015; paper, section 4.1)."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import torch
from torch import Tensor, nn

from sparse_robust.models import prunable
from sparse_robust.rng import stream


def kept_after(weights: int, fraction: Fraction, rounds: int) -> int:
    """How many of ``weights`` are left after ``rounds``, when each prunes floor(fraction * remaining).

    Rounding down is what the paper did: of 784 weights, 16 rounds at 1/3 keep 2, which is its final
    sparsity of 99.74 %, while 1 - (2/3)^16 would be 99.85 %.
    """
    for _ in range(rounds):
        weights -= int(fraction * weights)
    return weights


def dense_masks(model: nn.Module) -> dict[str, Tensor]:
    """Masks that keep every weight: bool, by parameter name, [R, ...]."""
    return {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in prunable(model).items()}


def prune(weights: Tensor, mask: Tensor, fraction: Fraction) -> Tensor:
    """Mask out the smallest of each replica's remaining weights, exactly floor(fraction * remaining).

    Weights are counted, not compared with a threshold, so ties cannot change the number pruned (of
    equal magnitudes those that come first go first).

    Args:
        weights: one layer, [R, ...].
        mask: bool [R, ...]; every replica keeps the same number of weights.
        fraction: of the remaining weights, in [0, 1).

    Returns:
        the new mask, a subset of the old one.

    Raises:
        ValueError: if the fraction is out of range or the replicas keep different numbers.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the fraction to prune must be in [0, 1), got {fraction}")
    kept = mask.flatten(1).sum(1)
    if (kept != kept[0]).any():
        raise ValueError(f"every replica must keep the same number of weights, got {kept.tolist()}")
    count = int(fraction * int(kept[0]))
    magnitude = weights.detach().abs().masked_fill(~mask, torch.inf).flatten(1)
    smallest = magnitude.argsort(dim=1, stable=True)[:, :count]
    return mask.flatten(1).scatter(1, smallest, False).view_as(mask)


def prune_layers(model: nn.Module, masks: Mapping[str, Tensor], fraction: Fraction) -> dict[str, Tensor]:
    """One round over every prunable layer of the model, each by the same fraction."""
    weights = prunable(model)
    return {name: prune(weights[name], mask, fraction) for name, mask in masks.items()}


def prune_at_random(
    masks: Mapping[str, Tensor], fraction: Fraction, *, seeds: Sequence[int], stage: str
) -> dict[str, Tensor]:
    """One round that takes as many weights of each layer as :func:`prune_layers` does, but any.

    A control: what a network of that shape, trained like that, is like if its magnitudes had no say.

    Args:
        masks: by parameter name, bool [R, ...]; every replica keeps the same number of weights.
        fraction: of the remaining weights, in [0, 1).
        seeds: one per replica; replica r loses weights drawn from the stream (seeds[r], "prune/" + stage),
            layer after layer.
        stage: names the stream, for example ``"round-3"``.
    """
    generators = [stream(seed, f"prune/{stage}") for seed in seeds]
    pruned = {}
    for name, mask in masks.items():
        order = torch.stack([torch.rand(mask.shape[1:], generator=generator) for generator in generators])
        pruned[name] = prune(order.to(mask.device), mask, fraction)
    return pruned
