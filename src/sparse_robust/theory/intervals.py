"""Interval arithmetic for ReLU networks: which units can be active in a ball, and how large gradients can be.

All bounds hold on the closed ball, for the network's own arithmetic: exactly for rational networks, up to
rounding for others.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from .networks import Array, Pattern, ReluNet
from .regions import Ball, Part

Interval = tuple[Array, Array]
"""Lower and upper ends, of one shape."""


@dataclass(frozen=True, eq=False)
class States:
    """What is known about the units on a set of inputs.

    Attributes:
        live: the paper's D_j, made uniform: false only where a unit is inactive everywhere, ``[n_j]`` each.
        always: true only where a unit is active everywhere, ``[n_j]`` each.
    """

    live: Pattern
    always: Pattern


def norm_power(v: Array, q: float) -> Any:
    """||v||_1, ||v||_2 squared, or ||v||_inf, along the last axis: rational where v is.

    Raises:
        ValueError: if q is none of 1, 2, infinity.
    """
    if q not in (1, 2, inf):
        raise ValueError(f"q must be 1, 2 or infinity, got {q}")
    return abs(v).max(-1) if q == inf else (abs(v) ** int(q)).sum(-1)


def norm_root(power: Any, q: float) -> float:
    """The norm itself, from its :func:`norm_power`."""
    return float(power) ** (0.5 if q == 2 else 1.0)


def product_interval(bounds: Interval, weights: Array) -> Interval:
    """The range of u @ weights for u between ``bounds [n]``, each coordinate for itself, ``[m]``."""
    low, high = bounds
    up, down = np.maximum(weights, 0), np.minimum(weights, 0)
    return low @ up + high @ down, high @ up + low @ down


def switched(bounds: Interval, live: Array, always: Array) -> Interval:
    """The range of D u, where D is 1 if ``always``, 0 unless ``live``, and otherwise either."""
    low, high = bounds
    low, high = (
        np.where(always, v, end) for v, end in ((low, np.minimum(low, 0)), (high, np.maximum(high, 0)))
    )
    return low * live, high * live


def preactivation_bounds(net: ReluNet, ball: Ball) -> list[Interval]:
    """Bounds for the preactivations of each hidden layer on the ball: exact for the first, then intervals.

    Raises:
        ValueError: if the centre does not fit the network, or a rational network comes with p = 2.
    """
    n = net.widths[0]
    if ball.centre.shape != (n,):
        raise ValueError(f"the ball's centre needs shape ({n},), got {ball.centre.shape}")
    if net.exact and ball.p == 2:
        raise ValueError("exact bounds need a polytope, p = 1 or infinity; for p = 2 use float_net")
    first = net.weights[0]
    middle, spread = ball.centre @ first + net.bias(0), ball.spread(first.T)
    bounds = [(middle - spread, middle + spread)]
    for layer, w in enumerate(net.weights[1:], start=1):
        low, high = product_interval(tuple(np.maximum(end, 0) for end in bounds[-1]), w)
        bounds.append((low + net.bias(layer), high + net.bias(layer)))
    return bounds


def unit_states(net: ReluNet, ball: Ball | None) -> States:
    """The states that interval arithmetic decides on the ball; without one, nothing is decided.

    Raises:
        ValueError: as :func:`preactivation_bounds`.

    Reference: `prop-live-units`.
    """
    if ball is None:
        return States(
            tuple(np.ones(n, dtype=bool) for n in net.widths[1:]),
            tuple(np.zeros(n, dtype=bool) for n in net.widths[1:]),
        )
    bounds = preactivation_bounds(net, ball)
    return States(
        tuple(np.asarray(high > 0, dtype=bool) for _, high in bounds),
        tuple(np.asarray(low > 0, dtype=bool) for low, _ in bounds),
    )


def backward_bounds(net: ReluNet, states: States) -> list[Interval]:
    """Bounds for the derivatives of h by the activations of layer j, at index j = 0, ..., d - 1.

    Index 0 bounds the gradient, W_1 D_1 ... W_{d-1} D_{d-1} c, and index d - 1 is c itself.

    Reference: `prop-interval-gradient`.
    """
    bounds = [(net.readout, net.readout)]
    layers = zip(reversed(net.weights), reversed(states.live), reversed(states.always), strict=True)
    for w, live, always in layers:
        bounds.append(product_interval(switched(bounds[-1], live, always), w.T))
    return bounds[::-1]


def largest(bounds: Interval) -> Array:
    """The largest absolute value between the bounds, coordinate by coordinate."""
    return np.maximum(abs(bounds[0]), abs(bounds[1]))


def part_bound(part: Part, behind: list[Interval], states: States) -> Array:
    """Bounds, coordinate by coordinate, for the absolute gradients on a part of the input space, ``[n_0]``.

    The layers whose states are fixed enter exactly, the others through ``behind``.

    Args:
        part: a node of the search in :func:`regions`.
        behind: :func:`backward_bounds` of the network on the ball that is searched.
        states: the states behind them.
    """
    layer, known = len(part.pattern), len(part.signs)
    live, always = states.live[layer].copy(), states.always[layer].copy()
    live[:known] = always[:known] = part.signs
    return largest(product_interval(switched(behind[layer + 1], live, always), part.slope.T))


def live_net(net: ReluNet, states: States) -> ReluNet:
    """The network without the units that are never active: weights D_{j-1} W_j D_j, readout D_{d-1} c."""
    before: list[Any] = [True] + [live[:, None] for live in states.live[:-1]]
    masks = [rows * live[None] for rows, live in zip(before, states.live, strict=True)]
    kept = net.masked(masks)
    return ReluNet(kept.weights, net.readout * states.live[-1], net.biases, net.offset)
