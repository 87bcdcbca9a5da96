"""Expectations over random masks by Monte Carlo, with a control variate and intervals that are honest.

The masked path norm is known in mean and variance (`mask_bounds`), and it bounds every Lipschitz constant
of the masked network. So it does three services: it tests the sampler, it takes out a part of the variance,
and it stands in for the range of the sampled variable, which an interval without assumptions needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from sparse_robust.rng import stream

from .mask_bounds import path_norm_bound, path_norm_variance
from .mask_enumeration import Masks, Shape
from .networks import ReluNet

ALARM = 4.0
"""A sampler score beyond this many standard errors is no accident."""

ROUNDING = 1e-12
"""A relative variance below this is the difference of two equal numbers."""


@dataclass(frozen=True)
class SampleMean:
    """An estimated expectation.

    Attributes:
        mean: the estimate.
        low: with ``high``, covers the expectation with at least the confidence asked for.
        high: see ``low``.
        draws: masks behind the mean.
        variance_left: the part of the variance that the control variate has left.
    """

    mean: float
    low: float
    high: float
    draws: int
    variance_left: float


def draw_masks(shapes: Sequence[Shape], alphas: Sequence[float], *, seed: int, draw: int) -> Masks:
    """Draw number ``draw``: a weight is kept where its uniform number is at least the layer's alpha.

    The uniform numbers depend on ``seed`` and ``draw`` alone, so that the masks of a larger alpha are part
    of those of a smaller one.

    Args:
        shapes: of the masked layers.
        alphas: one for each layer.
        seed: at least 0.
        draw: at least 0.
    """
    generator = stream(seed, f"masks/{draw}")
    uniform = [torch.rand(shape, generator=generator, dtype=torch.float64).numpy() for shape in shapes]
    return tuple(u >= float(alpha) for u, alpha in zip(uniform, alphas, strict=True))


def sampler_score(net: ReluNet, alphas: Sequence[float], path_norms: ArrayLike) -> float:
    """How many standard errors the mean of sampled path norms is off its expectation, which is known.

    0 where nothing is random. Beyond ALARM, up or down, the masks were not drawn as they should be.
    """
    sample = np.asarray(path_norms, dtype=float)
    mean, deviation = _law(net, alphas)
    return (float(sample.mean()) - mean) / deviation * math.sqrt(len(sample)) if deviation > 0 else 0.0


def bernstein_half_width(values: ArrayLike, *, spread: float, confidence: float) -> float:
    """Half the width of Maurer and Pontil's interval for a mean, on both sides together at ``confidence``.

    sqrt(2 V l / n) + 7 s l / (3 (n - 1)) with the sample variance V, values in an interval of length s, and
    l = log(4 / (1 - confidence)). It holds for every law, not only in the limit.

    Args:
        values: n independent draws.
        spread: s.
        confidence: strictly between 0 and 1.

    Raises:
        ValueError: if there are fewer than two values or the confidence is no probability.

    Reference: Maurer and Pontil 2009, Empirical Bernstein bounds and sample-variance penalization, theorem 4.
    """
    sample = np.asarray(values, dtype=float)
    if len(sample) < 2 or not 0 < confidence < 1:
        raise ValueError(f"{len(sample)} values, confidence {confidence}: need at least 2, and 0 < c < 1")
    log = math.log(4 / (1 - confidence))
    return math.sqrt(2 * float(sample.var(ddof=1)) * log / len(sample)) + spread * _tax(len(sample), log)


def _tax(n: int, log: float) -> float:
    """What each unit of the range costs in Maurer and Pontil's interval."""
    return 7 * log / (3 * (n - 1))


def mean_over_masks(
    net: ReluNet,
    alphas: Sequence[float],
    values: ArrayLike,
    path_norms: ArrayLike,
    *,
    confidence: float = 0.95,
) -> SampleMean:
    """E X for a variable 0 <= X <= PN of the masks, from draws of X and of the path norm PN.

    The first quarter of the draws only fixes the coefficient b in [0, 1] of the control variate. Beyond a
    level T the rest of PN has mean at most Var PN / (4 (T - E PN)), for every law; so X and PN are cut off
    at T, the interval is Maurer and Pontil's for the mean of min(X, T) - b min(PN, T) + b E PN, whose range
    has length T, and what was cut off is added.

    Args:
        net: the unmasked network.
        alphas: one for each layer.
        values: X of each draw, ``[n]``.
        path_norms: PN of the same draws, ``[n]``.
        confidence: of the interval.

    Raises:
        ValueError: if the lengths differ, there are fewer than 8 draws, or X is not in [0, PN].
    """
    x, y = np.asarray(values, dtype=float), np.asarray(path_norms, dtype=float)
    if x.shape != y.shape or len(x) < 8:
        raise ValueError(f"{len(x)} values and {len(y)} path norms: give both for each draw, at least 8")
    if (x < 0).any() or (x > y * (1 + 1e-9)).any():
        raise ValueError("a value lies outside [0, path norm]: pass path norms of the same masks")
    mean, deviation = _law(net, alphas)
    pilot = len(x) // 4
    coefficient = _coefficient(x[:pilot], y[:pilot])
    x, y = x[pilot:], y[pilot:]
    tax = _tax(len(x), math.log(4 / (1 - confidence)))
    level = mean + deviation / (2 * math.sqrt(tax))
    beyond = deviation * math.sqrt(tax) / 2  # at least E max(PN - level, 0)
    z = np.minimum(x, level) - coefficient * (np.minimum(y, level) - mean)
    half = bernstein_half_width(z, spread=level, confidence=confidence)
    centre = float(z.mean())
    variance = float(x.var())
    return SampleMean(
        mean=centre,
        low=max(centre - half - coefficient * beyond, 0.0),
        high=min(centre + half + beyond, mean),
        draws=len(x),
        variance_left=float(z.var()) / variance if variance > 0 else 1.0,
    )


def _law(net: ReluNet, alphas: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of the masked path norm; a deviation that is mere rounding is 0."""
    mean, variance = float(path_norm_bound(net, alphas)), float(path_norm_variance(net, alphas))
    return mean, math.sqrt(variance) if variance > ROUNDING * mean**2 else 0.0


def _coefficient(x: np.ndarray, y: np.ndarray) -> float:
    """The least-squares slope of x on y, in [0, 1]."""
    deviation = y - y.mean()
    square = float(deviation @ deviation)
    return min(max(float(deviation @ x) / square, 0.0), 1.0) if square > 0 else 0.0
