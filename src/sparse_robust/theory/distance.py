"""The distance from a point to the decision boundary of a small ReLU network, region by region.

On an activation region the network is affine, so that the nearest point of the region's closure with
h <= 0 solves a linear program (p = 1 or infinity) or a least distance problem (p = 2). The closures of the
full-dimensional regions cover the input space; the nearest of these points is the nearest of all.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from scipy.optimize import linprog

from .networks import Array, Pattern, ReluNet, closed_region
from .regions import Ball, eliminated, least_distance, regions


def distance(net: ReluNet, x: Array, *, p: float = inf, within: Any = None) -> Any:
    """min ||z - x||_p over all z with h(z) <= 0: how far the leading class is from losing its lead.

    A tie counts as lost, as everywhere in the book. Rational networks are solved in rational arithmetic, by
    elimination, others in floating point.

    Args:
        net: h, a small network.
        x: ``[n_0]``.
        p: 1, 2 or infinity; not 2 for rational networks.
        within: a radius, for speed: regions that do not meet the open ball of this radius are not visited.

    Returns:
        The distance, infinite where h stays positive; with ``within``, at most ``within``.

    Raises:
        ValueError: as :func:`regions`.
    """
    ball = Ball(x, 1 if within is None else within, p)
    if net.exact and p == 2:
        raise ValueError("exact distances need a polytope, p = 1 or infinity; for p = 2 use float_net")
    nearest: Any = inf if within is None else within
    for region in regions(net, None if within is None else ball):
        normals, offsets = lost(net, region.pattern)
        if p == 2:
            nearest = min(nearest, _euclidean(normals, offsets, x))
        else:
            nearest = min(nearest, (_rational if net.exact else _linear)(*_epigraph(normals, offsets, ball)))
    return nearest


def lost(net: ReluNet, pattern: Pattern) -> tuple[Array, Array]:
    """(A, b) with {A z + b >= 0} the closed region of the pattern, cut down to h(z) <= 0."""
    normals, offsets = closed_region(net, pattern)
    *_, (slope, shift) = net.affine(pattern)
    return np.concatenate([normals, -slope.T]), np.concatenate([offsets, -shift])


def _epigraph(normals: Array, offsets: Array, ball: Ball) -> tuple[Array, Array]:
    """The same inequalities and t >= ||z - centre||_p, in the unknowns (t, z)."""
    facets, levels = ball.facets()
    first = np.concatenate([0 * normals[:, :1], 0 * facets[:, :1] + 1])
    rows = np.column_stack([first, np.concatenate([normals, facets])])
    return rows, np.concatenate([offsets, levels - ball.radius])


def _rational(rows: Array, offsets: Array) -> Any:
    """The least first coordinate under rows u + offsets >= 0, exactly; infinite if nothing satisfies them."""
    while rows.shape[1] > 1:
        rows, offsets = eliminated(rows, offsets)
    slope = rows[:, 0]
    if any(offsets[slope == 0] < 0):
        return inf
    low = max(-offsets[slope > 0] / slope[slope > 0])  # t >= 0 is among them
    high = min(-offsets[slope < 0] / slope[slope < 0], default=inf)
    return low if low <= high else inf


def _linear(rows: Array, offsets: Array) -> float:
    """The same by linear programming, in floating point."""
    cost = np.eye(rows.shape[1])[0]
    best = linprog(cost, A_ub=-rows.astype(np.float64), b_ub=offsets.astype(np.float64), bounds=(None, None))
    return float(best.fun) if best.status == 0 else inf


def _euclidean(normals: Array, offsets: Array, x: Array) -> float:
    """The least ||z - x||_2 under normals z + offsets >= 0, in floating point."""
    lengths = np.linalg.norm(normals, axis=1)
    scale = np.where(lengths > 0, lengths, 1.0)
    step = least_distance(normals / scale[:, None], -(offsets + normals @ x) / scale)
    return inf if step is None else float(np.linalg.norm(step))
