"""CLEVER: an estimate of the distance to the nearest misclassified input, from sampled gradients.

If L_k is the largest ||grad (g_y - g_k)||_q over the l_p ball of some radius around x, 1/p + 1/q = 1,
then no perturbation shorter than min_k min((g_y - g_k)(x) / L_k, radius) changes the prediction y.
CLEVER puts an estimate in the place of L_k: the end point of the law of the largest norm in a batch
of sampled points, which extreme value theory says is reverse Weibull if it has an end point.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from sparse_robust.attacks.contract import clip, validate
from sparse_robust.rng import stream
from sparse_robust.types import Box, LogitsFn

from .weibull import fit_reverse_weibull

DUAL = {2: 2, inf: 1}
"""q for each p, 1/p + 1/q = 1."""

ULPS = 64
"""Batch maxima that agree to so many rounding errors are the same number, as on a linear model."""


@dataclass(frozen=True)
class CleverResult:
    """CLEVER scores, and what they were made of; float64, entries [r, n, y[r, n]] of K are not a number.

    The score is an estimate and bounds nothing. Only one side is certain: a norm that was sampled is
    attained, so ``sampled`` <= L, and the certificate margin / L is at most ``margin / sampled``. The
    location is at least ``sampled`` too, but nothing puts it above L: where large gradients are too rare
    to be sampled, the score is too high.

    Attributes:
        score: [R, N], in units of x; 0 where x is misclassified, else at most the radius.
        margin: [R, N, K], logit of the class minus the other.
        sampled: [R, N, K], the largest gradient norm of that margin among all points.
        location: [R, N, K], the estimate of L, at least ``sampled``.
        shape: [R, N, K], of the fitted law; not a number where all batch maxima are equal.
        ks: [R, N, K], the Kolmogorov-Smirnov statistic of the fit, see :class:`ReverseWeibull`; large where
            the ball holds few linear regions: maxima are then often equal, and no continuous law fits.
    """

    score: Tensor
    margin: Tensor
    sampled: Tensor
    location: Tensor
    shape: Tensor
    ks: Tensor


def clever(
    logits_fn: LogitsFn,
    x: Tensor,
    y: Tensor,
    *,
    p: float,
    radius: float,
    batches: int,
    samples: int,
    seeds: Sequence[int],
    first: int = 0,
    box: Box = None,
    shape_penalty: float = 0.01,
    chunk: int = 512,
) -> CleverResult:
    r"""The untargeted CLEVER score of every input and replica.

    score = min over k != y of min((g_y - g_k)(x) / location_k, radius), with location_k the end point of
    the reverse Weibull law fitted to ``batches`` maxima of ||grad (g_y - g_k)||_q, each over ``samples``
    points, uniform in the l_p ball; 0 where x is misclassified, as for r_2. On a linear model all norms
    are equal and the score is the exact distance, or the radius where that is smaller. A class whose
    gradient vanishes at all points cannot be reached and is passed over.

    The points depend on the replica's seed, the input's index, p, radius, samples and box alone: along a
    pruning path all models of a seed are compared on the same points.

    Args:
        logits_fn: [R, N, *D] -> [R, N, K], whatever N.
        x: [R, N, *D], floating point, in the box.
        y: [R, N], the true classes.
        p: 2 or infinity, the norm of the perturbation; gradients are measured in its dual.
        radius: of the ball, in units of x, positive; 5 in the reference, in its released code 3 for p = 2
            and 0.1 for p = infinity.
        batches: how many maxima a law is fitted to, at least 3; 500 in the reference.
        samples: points for each maximum, at least 1; 1024 in the reference.
        seeds: one for each replica.
        first: the index of x[:, 0] in its data set, so that a data set may be done in parts.
        box: None as the reference is written, or (low, high): then points are clipped, as its released
            code does (which also draws the length of an l_2 step, not its volume, uniformly).
        shape_penalty: see :func:`fit_reverse_weibull`.
        chunk: about how many points the model is given at once, which decides on memory and speed alone:
            some hundred suit a CPU's caches, a GPU takes thousands.

    Raises:
        ValueError: if an option is out of range, shapes disagree, x leaves the box or a gradient is not
            finite.

    Reference: Weng et al. 2018, section 4; paper, section 4.2.
    """
    validate(x, y, box)
    _check(y, seeds, p, radius, batches, samples, first, chunk)
    with torch.no_grad():
        logits = logits_fn(x)
    maxima = torch.empty(*logits.shape, batches, dtype=torch.float64)
    together = max(1, chunk // (len(seeds) * samples))
    for n in range(x.shape[1]):
        generators = [stream(seed, f"clever/{first + n}") for seed in seeds]
        for start in range(0, batches, together):
            part = maxima[:, n, :, start : start + together]
            steps = _draw(generators, part.shape[-1], samples, x.shape[2:].numel(), p)
            steps = radius * steps.to(x).unflatten(-1, x.shape[2:])
            points = clip(x[:, n : n + 1] + steps, box)
            norms = gradient_norms(logits_fn, points, y[:, n : n + 1].expand(points.shape[:2]), DUAL[p])
            part.copy_(norms.unflatten(1, (-1, samples)).amax(2).mT)
    return _score(logits.double().cpu(), y.cpu(), maxima, radius, shape_penalty, torch.finfo(x.dtype).eps)


def gradient_norms(logits_fn: LogitsFn, x: Tensor, y: Tensor, q: float) -> Tensor:
    """||grad (g_y - g_k)||_q for every k, [R, N, K], 0 for k = y; ``x`` [R, N, *D], ``y`` [R, N].

    One backward pass for each other class, reduced to its norm at once: the Jacobian is never held.
    """
    with torch.enable_grad():
        z = x.detach().clone().requires_grad_()
        logits = logits_fn(z)
        margin = logits.gather(-1, y.unsqueeze(-1)) - logits
    norms = torch.zeros_like(logits, requires_grad=False)
    classes = logits.shape[-1]
    for step in range(1, classes):
        other = ((y + step) % classes).unsqueeze(-1)
        (gradient,) = torch.autograd.grad(margin.gather(-1, other).sum(), z, retain_graph=step < classes - 1)
        norms.scatter_(-1, other, torch.linalg.vector_norm(gradient.flatten(2), ord=q, dim=-1, keepdim=True))
    return norms


def _draw(generators: Sequence[torch.Generator], batches: int, samples: int, inputs: int, p: float) -> Tensor:
    """The next points of each generator, uniform in the unit l_p ball: [R, batches * samples, inputs].

    A batch is drawn by a call of its own, so that it does not depend on how many are drawn together.
    """
    return torch.stack(
        [torch.cat([unit_ball(g, samples, inputs, p) for _ in range(batches)]) for g in generators]
    )


def unit_ball(generator: torch.Generator, points: int, inputs: int, p: float) -> Tensor:
    """Points uniform in the unit l_p ball, p = 2 or infinity: float32 [points, inputs], on the CPU.

    For p = 2, a uniform direction (of a normal vector) times U^(1 / inputs), U uniform on [0, 1): a share
    s^inputs of the volume lies within s of the centre.
    """
    if p == inf:
        return torch.rand(points, inputs, generator=generator) * 2 - 1
    direction = torch.randn(points, inputs, generator=generator)
    length = torch.rand(points, 1, generator=generator) ** (1 / inputs)
    return direction * (length / direction.norm(dim=-1, keepdim=True))


def _score(
    logits: Tensor, y: Tensor, maxima: Tensor, radius: float, shape_penalty: float, eps: float
) -> CleverResult:
    """From logits [R, N, K] and batch maxima [R, N, K, batches] to the result."""
    own = y.unsqueeze(-1)
    margin = logits.gather(-1, own) - logits
    law = fit_reverse_weibull(maxima, shape_penalty=shape_penalty, resolution=ULPS * eps)
    reach = torch.where(law.location > 0, margin / law.location, inf).scatter(-1, own, inf)
    score = reach.amin(-1).clamp(0, radius)
    blank = torch.zeros_like(margin).scatter(-1, own, torch.nan)
    return CleverResult(
        score=torch.where(logits.argmax(-1) == y, score, 0.0),
        margin=margin + blank,
        sampled=maxima.amax(-1) + blank,
        location=law.location + blank,
        shape=law.shape + blank,
        ks=law.ks + blank,
    )


def _check(
    y: Tensor,
    seeds: Sequence[int],
    p: float,
    radius: float,
    batches: int,
    samples: int,
    first: int,
    chunk: int,
) -> None:
    """Reject options that no score can be computed from."""
    if y.ndim != 2 or len(seeds) != len(y):
        shapes = f"got y {[*y.shape]} and {len(seeds)} seeds"
        raise ValueError(
            f"y must be [R, N] with one seed for each replica (a lone model has R = 1), {shapes}"
        )
    if p not in DUAL:
        raise ValueError(f"p must be 2 or infinity, got {p}")
    if not 0 < radius < inf:
        raise ValueError(f"radius must be positive and finite, got {radius}")
    if batches < 3:
        raise ValueError(f"batches must be at least 3, for a law of three parameters, got {batches}")
    if samples < 1 or first < 0 or chunk < 1:
        given = f"got {samples}, {chunk} and {first}"
        raise ValueError(f"samples and chunk must be at least 1 and first at least 0, {given}")
