"""Layers that are applied and not written out: convolutions, max pooling, and norms by power iteration."""

from __future__ import annotations

from math import inf

import numpy as np
import sympy as sp
import torch

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.layer_intervals import Stage, gradient_bound, live_path_norm, sampled_gradients
from sparse_robust.theory.linear_maps import (
    Conv2d,
    Dense,
    MaxPool2d,
    layers_path_norm,
    layers_product,
    norm_1,
    norm_inf,
    spectral_norm,
)

IMAGE = (2, 6, 6)
"""The shape of the inputs of :func:`random_stack`."""


def random_stack(seed: int, pool: MaxPool2d) -> tuple[list[Stage], torch.Tensor, torch.Tensor]:
    """A small convolutional network with biases, its readout, and an image."""
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    conv = Stage(Conv2d(normal(3, 2, 3, 3), IMAGE, padding=1), normal(3, 1, 1), relu=True)
    pooled = pool.apply(conv.apply(torch.zeros(1, *IMAGE, dtype=torch.float64)))[0].numel()
    stages = [conv, Stage(pool), Stage(Dense(normal(5, pooled)), normal(5), relu=True)]
    return stages, normal(5), normal(*IMAGE)


@statement(
    "prop-pooling",
    kind="proposition",
    title="Layers that are not dense",
    source="this book",
    status="argued",
    uses=("lem-3-1-repaired", "lem-interval"),
)
def pooling() -> None:
    r"""Convolutions are linear maps, and {prf:ref}`lem-3-1-repaired` holds for them with the norms of these
    maps: with $|K|$ for the kernels of absolute values, $|A|$ applied to an image of ones has the row sums of
    $|A|$ as entries, and its transpose the column sums. Max pooling selects one input for each output, at
    almost every point: its Lipschitz constant is 1 with respect to $\lVert \cdot \rVert_\infty$, and at most
    $\lceil k / s \rceil$ with respect to $\lVert \cdot \rVert_2$, for windows of side $k$ at distance $s$.

    Apply the network with weights of absolute values, without biases, to an image of ones, pooling and
    all. The number at each unit bounds the $l_1$ norm of its gradient, and $|c|^T$ times those of the
    last layer bounds $L_1$.
    """
    rng = torch.Generator().manual_seed(51)
    for kernel, stride in ((2, 2), (3, 2), (3, 1)):
        pool = MaxPool2d(kernel, stride)
        images = torch.randn(30, 1, 7, 7, generator=rng, dtype=torch.float64)
        others = images + 0.5 * torch.randn(images.shape, generator=rng, dtype=torch.float64)
        gap, moved = pool.apply(images) - pool.apply(others), images - others
        assert (gap.flatten(1).abs().amax(1) <= moved.flatten(1).abs().amax(1)).all()
        assert (gap.flatten(1).norm(dim=1) <= pool.euclidean * moved.flatten(1).norm(dim=1)).all()
    for stride, padding in ((1, 0), (1, 1), (2, 1)):
        kernels = torch.randn(2, 3, 3, 3, generator=rng, dtype=torch.float64)
        conv = Conv2d(kernels, (3, 5, 5), stride, padding)
        unit = torch.eye(75, dtype=torch.float64).reshape(75, 3, 5, 5)
        matrix = conv.apply(unit).flatten(1).mT.abs()  # |A|, column by column
        assert abs(norm_inf(conv) - float(matrix.sum(1).max())) < 1e-9
        assert abs(norm_1(conv) - float(matrix.sum(0).max())) < 1e-9
    for seed, pool in enumerate((MaxPool2d(2, 2), MaxPool2d(3, 2))):
        stages, readout, _ = random_stack(seed, pool)
        images = 3 * torch.randn(200, *IMAGE, generator=rng, dtype=torch.float64)
        steepest = sampled_gradients(stages, readout, images).flatten(1).abs().sum(1).max()
        layers = [stage.layer for stage in stages]
        assert float(steepest) <= layers_path_norm(layers, readout) <= layers_product(layers, readout, q=1)


@statement(
    "prop-pooling-intervals",
    kind="proposition",
    title="Intervals through max pooling",
    source="this book",
    status="argued",
    uses=("prop-interval-gradient", "prop-live-units", "prop-pooling"),
)
def pooling_intervals() -> None:
    r"""Let $l_i \le a_i \le r_i$ for the inputs of a window on the ball. The largest of them lies between
    $\max_i l_i$ and $\max_i r_i$, and can be attained at $i$ only if $r_i \ge \max_j l_j$: call these $i$ the
    candidates of the window. {prf:ref}`prop-interval-gradient` and {prf:ref}`prop-live-units` remain true for
    networks with max pooling, if a pooled unit passes its interval on to the inputs of its window like a unit
    that is active everywhere to its only candidate, if it has but one; like one that may be either to each of
    several candidates; and like one that is active nowhere to all others. An input gets the sum over the
    windows that it is in, and on the way forwards a pooled unit the largest number among its candidates.
    """
    for seed, pool in enumerate((MaxPool2d(2, 2), MaxPool2d(3, 2), MaxPool2d(3, 1))):
        stages, readout, image = random_stack(seed, pool)
        layers, rng = [stage.layer for stage in stages], torch.Generator().manual_seed(53)
        for radius in (0.01, 0.1, 1.0):
            steps = 2 * torch.rand(50, *image.shape, generator=rng, dtype=torch.float64) - 1
            gradients = sampled_gradients(stages, readout, image + radius * steps)
            bound = gradient_bound(stages, readout, image, radius, p=inf)
            live = live_path_norm(stages, readout, image, radius, p=inf)
            assert (gradients.abs() <= bound + 1e-9).all()
            assert float(gradients.flatten(1).abs().sum(1).max()) <= live + 1e-9
            assert live <= layers_path_norm(layers, readout) + 1e-9


def start_bound(threshold: sp.Expr, inputs: sp.Expr) -> sp.Expr:
    """The bound for Pr(|u_1| <= t), u uniform on the unit sphere of R^n."""
    return threshold * sp.sqrt(2 * inputs / sp.pi)


@statement(
    "prop-power-iteration",
    kind="proposition",
    title="What power iteration guarantees",
    source="this book; in the manner of Kuczyński and Woźniakowski 1992",
    status="argued",
    uses=("lem-cauchy-schwarz",),
)
def power_iteration() -> None:
    r"""Let $B = A^T A$ with the largest singular value $s$ of $A$, and $u$ uniform on the unit sphere of
    $\mathbb{R}^n$. For every unit vector $v$: $\lVert A v \rVert_2 \le s$, and $B$ has an eigenvalue within
    $\lVert B v - \rho v \rVert_2$ of $\rho = \lVert A v \rVert_2^2$. For $0 < t < 1$, with a probability
    of at least $1 - t \sqrt{2 n / \pi}$,

    $$s \le \bigl( \lVert B^k u \rVert_2 / t \bigr)^{1 / 2k} .$$

    A small residual alone does not say that the eigenvalue is the largest one.
    """
    # the density of u_1 is at most Gamma(n/2) / (sqrt(pi) Gamma((n-1)/2)); Gamma(x + 1/2) <= sqrt(x) Gamma(x)
    for n in (3, 4, 10, 100):
        peak = sp.gamma(sp.Rational(n, 2)) / (sp.sqrt(sp.pi) * sp.gamma(sp.Rational(n - 1, 2)))
        assert float(2 * peak) <= float(start_bound(sp.Integer(1), sp.Integer(n)))
    t = np.linspace(0, 1, 21)  # n = 2: the distribution of |cos| of a uniform angle
    assert (
        2 / np.pi * np.arcsin(t) <= [float(start_bound(sp.Float(v), sp.Integer(2))) + 1e-12 for v in t]
    ).all()
    generator = torch.Generator().manual_seed(52)
    for seed in range(20):
        matrix = torch.randn(5, 7, generator=generator, dtype=torch.float64)
        truth = float(torch.linalg.matrix_norm(matrix, 2))
        bounds = spectral_norm(Dense(matrix), steps=15, seed=seed)
        assert bounds.lower <= truth * (1 + 1e-12)
        assert truth <= bounds.upper
        values = torch.linalg.svdvals(matrix) ** 2
        assert float((values - bounds.lower**2).abs().min()) <= bounds.residual + 1e-9
