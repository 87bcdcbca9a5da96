"""CLEVER scores of a population, beside what is certain about the same inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import inf

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from sparse_robust import metrics
from sparse_robust.metrics import CleverResult
from sparse_robust.models import ReplicaLinear
from sparse_robust.theory import Ball, ReluNet, best_certificate, certificate
from sparse_robust.theory.intervals import (
    Interval,
    largest,
    norm_power,
    norm_root,
    product_interval,
    switched,
    unit_states,
)
from sparse_robust.theory.lipschitz import induced_norm
from sparse_robust.theory.networks import Array

from .contract import Measurement, Options, Progress, Setting, Subject, Values

NORMS = {"CLEVER l_2": 2.0, "CLEVER l_inf": inf}
"""p of each measurement."""

CLEVER_METRICS = ("clever", "clever_sampled", "fits_kept", "gamma_global", "gamma_interval")

LEVEL = 0.05
"""A fit is rejected where the p-value of its Kolmogorov-Smirnov statistic is below."""

STEPS = 64
"""The best radius of an interval certificate is found to this fraction of the largest radius tried."""


@dataclass(frozen=True)
class Perceptron:
    """One replica in float64: hidden weights [n_{j-1}, n_j], their biases, and the outputs [n_{d-1}, K]."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    outputs: Array

    def differences(self, label: int) -> Array:
        """w_label - w_k for each other class k, in order, [K - 1, n_{d-1}]."""
        return np.delete(self.outputs[:, [label]] - self.outputs, label, axis=1).T


def perceptron(model: nn.Module, replica: int) -> Perceptron:
    """Replica number ``replica`` in the paper's orientation.

    Raises:
        ValueError: if the model has layers that are not affine: certified radii are for perceptrons.
    """

    def array(values: Tensor) -> Array:
        return values[replica].detach().double().cpu().numpy()

    layers = [layer for layer in model.children() if isinstance(layer, ReplicaLinear)]
    if len(layers) < len(list(model.children())):
        raise ValueError(f"CLEVER is measured for perceptrons alone, got a {type(model).__name__}")
    *hidden, outputs = layers
    return Perceptron(
        tuple(array(layer.weight).T for layer in hidden),
        tuple(array(layer.bias)[0] for layer in hidden),
        array(outputs.weight).T,
    )


def global_constants(net: Perceptron, q: float) -> Callable[[int], list[float]]:
    """label -> Lipschitz constants of its leads on the whole input space, one for each rival.

    For q = 2 the product of spectral norms, for q = 1 the sum over all paths of the absolute products of
    their weights, which is never larger than the product of column sums.

    Reference: paper, Lemma 3.1, with the norms the right way round (`lem-3-1-repaired`); `prop-chain`.
    """
    spectral = float(np.prod([induced_norm(w, 2) for w in net.weights])) if q == 2 else 1.0

    def constants(label: int) -> list[float]:
        c = net.differences(label)
        if q == 2:
            return [spectral * norm_root(norm_power(row, 2), 2) for row in c]
        paths = reduce(lambda v, w: v @ abs(w).T, reversed(net.weights), abs(c))
        return [float(v) for v in paths.sum(-1)]

    return constants


def interval_constants(net: Perceptron, label: int, ball: Ball, q: float) -> list[float]:
    """Bounds for the Lipschitz constants on the ball of the leads of a class, one for each rival.

    Interval arithmetic as in :func:`~sparse_robust.theory.intervals.backward_bounds`, all rivals at once.

    Reference: `prop-interval-gradient`.
    """
    c = net.differences(label)
    states = unit_states(ReluNet(net.weights, c[0], net.biases), ball)
    bounds: Interval = (c, c)
    for w, live, always in zip(
        reversed(net.weights), reversed(states.live), reversed(states.always), strict=True
    ):
        bounds = product_interval(switched(bounds, live, always), w.T)
    return [norm_root(power, q) for power in norm_power(largest(bounds), q)]


def clever_scores(name: str, p: float) -> Measurement:
    """Every number of :data:`CLEVER_METRICS`: means over all inputs, misclassified ones counting 0.

    - clever: the score;
    - clever_sampled: the same with the largest sampled gradient norm in the place of the fitted end point;
    - fits_kept: the share of fitted distributions that the Kolmogorov-Smirnov test keeps at :data:`LEVEL`;
      one without spread is not kept, as no continuous distribution has such a sample;
    - gamma_global: certified radius from :func:`global_constants`, at most the radius of the sampled ball;
    - gamma_interval: certified radius from :func:`interval_constants`, for the best radius up to that one.

    The options are those of :func:`~sparse_robust.metrics.clever`.

    Args:
        name: of the estimate, one of :data:`NORMS`.
        p: of the norm.
    """

    def measure(setting: Setting, subject: Subject, options: Options, progress: Progress) -> Values:
        nets = [perceptron(subject.model, r) for r in range(len(subject.seeds))]
        result = scores(subject, options, p, progress)
        x, y, radius, batches = subject.x, subject.y, options["radius"], int(options["batches"])
        points, labels = x.double().cpu().numpy(), [int(label) for label in y]
        radii = [certified(net, points, labels, result.margin[r], p, radius) for r, net in enumerate(nets)]
        values = {
            "clever": result.score,
            "clever_sampled": sampled_score(result, radius),
            "fits_kept": kept(result, batches).nanmean(-1),
            "gamma_global": torch.tensor([whole for whole, _ in radii], dtype=torch.float64),
            "gamma_interval": torch.tensor([local for _, local in radii], dtype=torch.float64),
        }
        return {(metric, name): metrics.estimate(scores) for metric, scores in values.items()}

    return Measurement(lambda setting: [(metric, name) for metric in CLEVER_METRICS], measure)


def scores(subject: Subject, options: Options, p: float, progress: Progress) -> CleverResult:
    """Scores [R, N] of every image, one after the other, which tells ``progress``."""
    replicas, parts = len(subject.seeds), []
    for n in range(len(subject.y)):
        parts.append(
            metrics.clever(
                subject.model,
                subject.x[n : n + 1].expand(replicas, -1, -1),
                subject.y[n : n + 1].expand(replicas, -1),
                p=p,
                radius=options["radius"],
                batches=int(options["batches"]),
                samples=int(options["samples"]),
                seeds=subject.seeds,
                first=n,
            )
        )
        progress(1)
    fields = CleverResult.__dataclass_fields__
    return CleverResult(**{f: torch.cat([getattr(part, f) for part in parts], 1) for f in fields})


def sampled_score(result: CleverResult, radius: float) -> Tensor:
    """The score from the largest sampled norms alone, never below the fitted one, [R, N]."""
    own = result.margin.isnan()
    reach = torch.where(result.sampled > 0, result.margin / result.sampled, inf).masked_fill(own, inf)
    right = ~(result.margin <= 0).any(-1)
    return torch.where(right, reach.amin(-1).clamp(0, radius), 0.0)


def kept(result: CleverResult, batches: int) -> Tensor:
    """1 where the fitted law is not rejected, else 0; not a number at the own class, [R, N, K]."""
    p = torch.from_numpy(np.asarray(stats.kstwo.sf(result.ks.numpy(), batches)))
    not_rejected = (p >= LEVEL) & result.shape.isfinite()
    return torch.where(result.margin.isnan(), torch.nan, not_rejected.double())


def certified(
    net: Perceptron, points: Array, labels: Sequence[int], margins: Tensor, p: float, radius: float
) -> tuple[list[float], list[float]]:
    """Certified radii of one replica from global and from interval constants, up to ``radius``, [N] each.

    Args:
        net: the replica.
        points: [N, D].
        labels: [N].
        margins: [N, K], the own class not a number.
        p: 2 or infinity.
        radius: the largest one to certify.
    """
    q = metrics.DUAL[p]
    constants = global_constants(net, q)
    whole, local = [], []
    for x, label, row in zip(points, labels, margins, strict=True):
        m = [float(v) for v in row[~row.isnan()]]

        def on_ball(size: float, x: Array = x, label: int = label) -> list[float]:
            return interval_constants(net, label, Ball(x, size, p), q)

        whole.append(float(certificate(m, constants(label), radius)))
        local.append(float(best_certificate(m, on_ball, radius, tolerance=radius / STEPS)))
    return whole, local
