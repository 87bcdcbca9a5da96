"""The reverse Weibull law, fitted to samples of block maxima by maximum likelihood, many at once."""

from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor

NEAREST, FARTHEST = 1e-4, 1e2
"""Where the location is looked for: so many sample ranges above the largest value."""

GRIDS = (61, *[11] * 8)
"""Points of the grid on which the likelihood's highest peak is found, and of the finer ones around it."""

STEPS = 100
"""Newton steps at most; about five are taken."""


@dataclass(frozen=True)
class ReverseWeibull:
    """Laws P(Z <= z) = exp(-((location - z) / scale)^shape) for z <= location, one for each sample.

    A sample without spread has its own law, all mass at its value: location that value, scale 0, shape
    not a number, ks 0.

    Attributes:
        location: [*B], the right end point; never below the sample's largest value.
        scale: [*B], positive, in the units of the sample.
        shape: [*B], at least 1.
        ks: [*B], the Kolmogorov-Smirnov statistic, the largest distance between the fitted and the
            empirical distribution function. ``scipy.stats.kstwo.sf(ks, M)`` turns it into the p-value
            that Weng et al. report; it is optimistic, because the law was fitted to the same sample.
    """

    location: Tensor
    scale: Tensor
    shape: Tensor
    ks: Tensor


def fit_reverse_weibull(
    maxima: Tensor, *, shape_penalty: float = 0.01, resolution: float = 1e-12
) -> ReverseWeibull:
    r"""The reverse Weibull law of greatest (penalised) likelihood, for each sample of M maxima.

    Maximised is the log-likelihood - shape_penalty * shape^2, over shape >= 1 and location >= the
    largest value. For a given location the scale is closed form, scale^c = mean (location - z)^c, and
    the shape c is the root of a decreasing function, by Newton steps kept inside a bracket. What is
    left depends on the location alone: its highest peak on a grid, then on finer grids.

    Two limits need a rule, because the plain likelihood has no maximum there:

    - Shape below 1: the density is infinite at the location, and the likelihood grows without bound as
      the location comes down to the largest value. Hence shape >= 1; at its end the law is exponential
      and the location is the largest value itself.
    - Shape to infinity: the law tends to Gumbel's, which has no end point, and for many a sample the
      likelihood keeps rising while the location runs away. The penalty, with the weight that the
      authors' released code uses, stops it. With ``shape_penalty=0`` such a location ends at
      ``FARTHEST`` sample ranges above the largest value.

    Args:
        maxima: [*B, M], M >= 3 (three parameters are fitted); computed with in float64.
        shape_penalty: at least 0; 0 for plain maximum likelihood.
        resolution: a sample whose range is at most this fraction of its largest magnitude has no spread.

    Returns:
        the laws, [*B], in float64 on the CPU.

    Raises:
        ValueError: if there are fewer than three maxima, one is not finite, or an option is negative.

    Reference: Weng et al. 2018, section 4 (the law) and their released code (the penalty);
    the bounds on shape and location are this book's.
    """
    if maxima.ndim == 0 or maxima.shape[-1] < 3:
        raise ValueError(f"maxima must be [*B, M] with M at least 3, three parameters, got {[*maxima.shape]}")
    if shape_penalty < 0 or resolution < 0:
        raise ValueError(
            f"shape_penalty and resolution must be at least 0, got {shape_penalty} and {resolution}"
        )
    if not maxima.isfinite().all():
        raise ValueError(f"maxima must be finite, {int((~maxima.isfinite()).sum())} of them are not")
    z = maxima.detach().double().cpu()
    top = z.amax(-1)
    width = top - z.amin(-1)
    equal = width <= resolution * z.abs().amax(-1)
    drop = ((top.unsqueeze(-1) - z) / width.unsqueeze(-1))[~equal]  # [F, M], from 0 to 1
    fitted = _maximise(drop, shape_penalty)
    excess, shape, scale, ks = (
        torch.full_like(top, empty).masked_scatter(~equal, values)
        for empty, values in zip((0, torch.nan, 0, 0), (*fitted, _distance(drop, *fitted)), strict=True)
    )
    return ReverseWeibull(top + excess * width, scale * width, shape, ks)


def _maximise(drop: Tensor, penalty: float) -> tuple[Tensor, Tensor, Tensor]:
    """Excess of the location over the largest value, shape and scale, [F] each; ``drop`` [F, M]."""
    low = torch.full((len(drop),), log(NEAREST), dtype=torch.float64)
    high = torch.full_like(low, log(FARTHEST))
    for points in GRIDS:
        grid = low + (high - low) * torch.linspace(0, 1, points, dtype=torch.float64).unsqueeze(-1)
        peak = torch.stack([_profile(drop, t.exp(), penalty)[0] for t in grid]).argmax(0, keepdim=True)
        low = grid.gather(0, (peak - 1).clamp_min(0)).squeeze(0)
        high = grid.gather(0, (peak + 1).clamp_max(points - 1)).squeeze(0)
    excess = ((low + high) / 2).exp()
    best, shape, scale = _profile(drop, excess, penalty)
    mean = drop.mean(-1)
    exponential = -drop.shape[-1] * (mean.log() + 1) - penalty > best  # shape 1 at the largest value
    return (
        excess.masked_fill(exponential, 0.0),
        shape.masked_fill(exponential, 1.0),
        torch.where(exponential, mean, scale),
    )


def _profile(drop: Tensor, excess: Tensor, penalty: float) -> tuple[Tensor, Tensor, Tensor]:
    """The penalised log-likelihood at the best shape and scale for a given location, and those, [F] each."""
    logs = (drop / excess.unsqueeze(-1)).log1p()  # [F, M], of the distances from the location / excess
    m, mean = logs.shape[-1], logs.mean(-1)
    shape = _best_shape(logs, penalty)
    log_scale = ((shape.unsqueeze(-1) * logs).logsumexp(-1) - log(m)) / shape
    value = m * (shape.log() - shape * log_scale + (shape - 1) * mean - 1 - excess.log())
    return value - penalty * shape**2, shape, excess * log_scale.exp()


def _best_shape(logs: Tensor, penalty: float) -> Tensor:
    """The shape >= 1 of greatest likelihood, [F], for logarithms [F, M] of the distances from a location."""
    logs = logs - logs.mean(-1, keepdim=True)
    low = torch.ones_like(logs[:, 0])
    high = torch.full_like(low, torch.inf)
    at_one = _slope(logs, low, penalty)[0] <= 0
    # the logarithm of a Weibull variable has standard deviation pi / sqrt(6) / shape
    shape = (pi / 6**0.5 / logs.square().mean(-1).sqrt()).clamp_min(1)
    for _ in range(STEPS):
        slope, curvature = _slope(logs, shape, penalty)
        low, high = torch.where(slope > 0, shape, low), torch.where(slope > 0, high, shape)
        newton = shape + slope / curvature
        inside = (newton >= low) & (newton <= high)
        fresh = torch.where(inside, newton, (low * high).sqrt())
        settled = (fresh - shape).abs() <= 1e-10 * shape
        shape = fresh
        if (settled | at_one).all():
            break
    return shape.masked_fill(at_one, 1.0)


def _slope(logs: Tensor, shape: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Derivative of the penalised log-likelihood by the shape, over M, and minus its own derivative, [F].

    With ``logs`` l centred and weights w proportional to exp(shape * l): 1 / shape - sum w l
    - 2 penalty shape / M, which decreases by 1 / shape^2 + Var_w(l) + 2 penalty / M.
    """
    weights = (shape.unsqueeze(-1) * logs).softmax(-1)
    mean = (weights * logs).sum(-1)
    variance = (weights * (logs - mean.unsqueeze(-1)) ** 2).sum(-1)
    pull = 2 * penalty / logs.shape[-1]
    return 1 / shape - mean - pull * shape, shape**-2 + variance + pull


def _distance(drop: Tensor, excess: Tensor, shape: Tensor, scale: Tensor) -> Tensor:
    """The Kolmogorov-Smirnov statistic of each fit, [F]."""
    ratio = (drop + excess.unsqueeze(-1)) / scale.unsqueeze(-1)
    law = (-(ratio ** shape.unsqueeze(-1))).exp().sort(-1).values
    steps = torch.linspace(0, 1, law.shape[-1] + 1, dtype=torch.float64)
    return torch.maximum((steps[1:] - law).amax(-1), (law - steps[:-1]).amax(-1))
