"""Lipschitz constants of small ReLU networks: the exact ones, and how they are bounded from below and above.

L_q is the best Lipschitz constant of h with respect to ||.||_p, 1/p + 1/q = 1: its index is that of the norm
which measures gradients. What is rational for rational networks is ||.||_q^q, the square for q = 2; functions
that return it say "power".
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import torch

from sparse_robust.rng import stream

from .intervals import (
    States,
    backward_bounds,
    largest,
    live_net,
    norm_power,
    norm_root,
    part_bound,
    unit_states,
)
from .mask_bounds import Norm, all_paths, norm_product_power
from .networks import Array, ReluNet, fractions
from .regions import Ball, Part, regions


def lipschitz_power(net: ReluNet, ball: Ball | None = None, *, q: float) -> Any:
    """L_q^q, the largest ||gradient||_q^q over the regions that meet the ball; rational for rational nets.

    L_1 itself for q = 1, the square of L_2 for q = 2, L_inf itself for q = infinity; on the ball, or on the
    whole input space without one (`lem-regions`). All regions are enumerated.

    Raises:
        ValueError: if q is none of these; as :func:`regions`.

    Reference: paper, section 3.2, the definition of L before Proposition 3.1.
    """
    return max(norm_power(r.gradient, q) for r in regions(net, ball))


def lipschitz(net: ReluNet, ball: Ball | None = None, *, q: float) -> float:
    """L_q, as :func:`lipschitz_power`, by branch and bound: parts that cannot beat the best are not searched.

    What a part can reach at most is bounded by interval arithmetic. Without a ball that is worth much less
    than with one.

    Raises:
        ValueError: as :func:`lipschitz_power`.
    """
    states = unit_states(net, ball)
    behind = backward_bounds(net, states)
    best = norm_power(0 * net.weights[0][:, 0], q)

    def worth(part: Part) -> bool:
        return bool(norm_power(part_bound(part, behind, states), q) > best)

    for region in regions(net, ball, worth=worth):
        best = max(best, norm_power(region.gradient, q))
    return norm_root(best, q)


def uniform_points(ball: Ball, count: int, *, seed: int) -> Array:
    """``count`` points, uniform in the ball, ``[count, n_0]``, float64; they depend on ``seed`` alone.

    Raises:
        ValueError: if count is not positive.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    n, generator = len(ball.centre), stream(seed, "gradients")
    if ball.p == inf:
        steps = 2 * torch.rand(count, n, generator=generator, dtype=torch.float64) - 1
    else:
        steps = torch.randn(count, n, generator=generator, dtype=torch.float64)
        extra = torch.rand(count, n + 1, generator=generator, dtype=torch.float64)
        if ball.p == 2:  # a uniform direction, a radius of density n r^(n-1)
            steps *= extra[:, :1] ** (1 / n) / steps.norm(dim=1, keepdim=True)
        else:  # n of n + 1 exponential variables, divided by their sum, with random signs
            waits = -torch.log1p(-extra)
            steps = steps.sign() * waits[:, :n] / waits.sum(1, keepdim=True)
    return ball.centre.astype(np.float64) + float(ball.radius) * steps.numpy()


def sampled_power(net: ReluNet, ball: Ball, *, q: float, points: int, seed: int) -> Any:
    """The largest ||gradient||_q^q at ``points`` uniform points of the ball: at most L_q^q, almost surely.

    Raises:
        ValueError: if q is none of 1, 2, infinity or points is not positive.
    """
    x = uniform_points(ball, points, seed=seed)
    return norm_power(net.gradient(net.pattern(fractions(x) if net.exact else x)), q).max()


def induced_norm(w: Array, q: float) -> Any:
    """||W||_{q->q}: the largest column sum of absolute values for q = 1, row sum for infinity, else spectral.

    In the paper's orientation, W ``[n_{j-1}, n_j]``, the gradient is W D v, so that it is this norm of W, not
    that of its transpose, which a bound for L_q needs (`err-transposed`).

    Raises:
        ValueError: if q is none of 1, 2, infinity.
    """
    if q == 2:
        return float(np.linalg.norm(w.astype(np.float64), 2))
    if q not in (1, inf):
        raise ValueError(f"q must be 1, 2 or infinity, got {q}")
    return abs(w).sum(0 if q == 1 else 1).max()


def layer_product(net: ReluNet, *, q: float) -> Any:
    """||c||_q prod_j ||W_j||_{q->q}, an upper bound for L_q; rational for rational networks unless q = 2.

    Reference: paper, Lemma 3.1, with the norms the right way round (`lem-3-1-repaired`).
    """
    product = norm_root(norm_power(net.readout, 2), 2) if q == 2 else norm_power(net.readout, q)
    for w in net.weights:
        product = product * induced_norm(w, q)
    return product


def literal_product(net: ReluNet) -> Any:
    """||c||_1 prod_j ||W_j||_inf, as equation (10) has it for q = 1: no bound for L_1 (`err-transposed`)."""
    product = norm_power(net.readout, 1)
    for w in net.weights:
        product = product * induced_norm(w, inf)
    return product


def chain_powers(net: ReluNet, ball: Ball, *, q: Norm, points: int, seed: int) -> dict[str, Any]:
    """Six numbers in increasing order, L_q^q among them, each a q-th power: rational for rational networks.

    The largest sampled gradient; the exact constant; the interval bound of the gradient; the norm of the
    vector of all paths through units that can be active in the ball; the same through all units; and the
    product of norms that the paper calls c_q, column sums for q = 1 and Frobenius norms for q = 2.

    Args:
        net: the network, small.
        ball: p = infinity for the usual meaning of q = 1, p = 2 for that of q = 2.
        q: 1 or 2.
        points: how many gradients are sampled.
        seed: of the sample.

    Reference: `prop-chain`.
    """
    states = unit_states(net, ball)
    return {
        "sampled": sampled_power(net, ball, q=q, points=points, seed=seed),
        "exact": lipschitz_power(net, ball, q=q),
        "interval": interval_power(net, states, q=q),
        "live paths": norm_power(all_paths(live_net(net, states)), q),
        "paths": norm_power(all_paths(net), q),
        "product": norm_product_power(net, q=q),
    }


def interval_power(net: ReluNet, states: States, *, q: float) -> Any:
    """||g||_q^q for the coordinatewise interval bound g of the gradient: at least L_q^q.

    Reference: `prop-interval-gradient`; Weng et al. 2018, Towards fast computation, Fast-Lip.
    """
    return norm_power(largest(backward_bounds(net, states)[0]), q)
