"""Random masks that keep hardly anything: paths one by one, and the limit of the expected Lipschitz constant.

A *path* of a network with widths n_0, ..., n_{d-1} chooses a unit of each layer, and with them one weight of
each masked layer. The network that keeps its weights alone is, apart from constants, a function of one input,
piecewise linear with slope 0 or plus or minus the product of the weights; so its Lipschitz constant is the
same for every norm.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np

from .mask_bounds import path_norm
from .mask_enumeration import Masks, mask_shapes
from .networks import ReluNet
from .regions import Ball

Path = tuple[int, ...]
"""A unit of every layer, from an input to layer d-1."""


def paths(widths: Sequence[int]) -> Iterator[Path]:
    """All n_0 n_1 ... n_{d-1} paths."""
    return product(*map(range, widths))


def path_weight(net: ReluNet, path: Path) -> Any:
    """w_P: the product of the weights along the path and of its last-layer weight."""
    steps = zip(net.weights, pairwise(path), strict=True)
    return math.prod((w[step] for w, step in steps), start=net.readout[path[-1]])


def alone(net: ReluNet, path: Path) -> Masks:
    """The masks that keep the weights of the path, and no others."""
    masks = tuple(np.zeros(shape, dtype=bool) for shape in mask_shapes(net))
    for mask, step in zip(masks, pairwise(path), strict=True):
        mask[step] = True
    return masks


def alive_alone(net: ReluNet, path: Path, ball: Ball | None = None) -> bool:
    """Whether all units of the path are active at once somewhere inside the ball, its weights kept alone.

    The preactivations along the path are monotone functions of one input, so the inputs at which all are
    positive form an open interval; what is followed through the layers is its image.
    """
    if path_weight(net, path) == 0:
        return False
    low, high = -math.inf, math.inf
    if ball is not None:
        low, high = ball.centre[path[0]] - ball.radius, ball.centre[path[0]] + ball.radius
    for layer, (w, step) in enumerate(zip(net.weights, pairwise(path), strict=True)):
        shift = net.biases[layer][step[1]] if net.biases else 0
        low, high = sorted((w[step] * low + shift, w[step] * high + shift))
        if high <= 0:
            return False
        low = max(low, 0)
    return True


def lone_path_sum(net: ReluNet, ball: Ball | None = None) -> Any:
    """sum_P L_q(P), the coefficient of the sparse limit: |w_P| over the paths that are alive alone."""
    return sum(
        (abs(path_weight(net, path)) for path in paths(net.widths) if alive_alone(net, path, ball)),
        start=0 * path_norm(net),
    )


def nothing_else(net: ReluNet, keeps: Sequence[Any]) -> Any:
    """prod_j (1 - k_j)^(N_j - 1): the probability that nothing but a path is kept, given that it is."""
    return math.prod((1 - k) ** (w.size - 1) for k, w in zip(keeps, net.weights, strict=True))


def sparse_enclosure(net: ReluNet, keeps: Sequence[Any], ball: Ball | None = None) -> tuple[Any, Any]:
    """prod_j k_j times theta sum_P L_q(P), and times that plus (1 - theta) PN: E L_q lies between.

    theta is `nothing_else`; the ends do not depend on q.

    Args:
        net: the unmasked network.
        keeps: k_j = 1 - alpha_j, one for each layer.
        ball: where Lipschitz constants are taken; None for the whole input space.

    Reference: `thm-sparse-limit`.
    """
    whole, quiet, live = math.prod(keeps), nothing_else(net, keeps), lone_path_sum(net, ball)
    return whole * quiet * live, whole * (quiet * live + (1 - quiet) * path_norm(net))
