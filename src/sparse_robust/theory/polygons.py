"""Activation regions in the plane as polygons, clipped by the very inequalities that define them."""

from __future__ import annotations

import numpy as np

from .networks import Array, Pattern, ReluNet, closed_region


def clip(corners: Array, normal: Array, offset: object) -> Array:
    """The part of a convex polygon ``[k, 2]`` where normal x + offset >= 0, corners in their order.

    Reference: Sutherland and Hodgman 1974.
    """
    levels = corners @ normal + offset
    kept: list[Array] = []
    for corner, level, following, after in zip(
        corners, levels, np.roll(corners, -1, axis=0), np.roll(levels, -1), strict=True
    ):
        if level >= 0:
            kept.append(corner)
        if level * after < 0:
            kept.append(corner + (following - corner) * (level / (level - after)))
    return np.array(kept, dtype=corners.dtype).reshape(len(kept), 2)


def polygon(net: ReluNet, pattern: Pattern, corners: Array) -> Array:
    """The region of a pattern within a convex polygon, as corners ``[k, 2]`` in order; exact if all is.

    Args:
        net: with two inputs.
        pattern: of a region, see :func:`regions`.
        corners: of the polygon to stay in, ``[m, 2]``, in order.

    Raises:
        ValueError: if the network does not have two inputs.
    """
    if net.widths[0] != 2:
        raise ValueError(f"polygons need a network with 2 inputs, got {net.widths[0]}")
    for normal, offset in zip(*closed_region(net, pattern), strict=True):
        corners = clip(corners, normal, offset)
    return corners


def area(corners: Array) -> object:
    """The area of a convex polygon ``[k, 2]``, by the shoelace formula; exact if the corners are."""
    x, y = corners.T
    return abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2


def zero_line(net: ReluNet, corners: Array) -> Array:
    """The ends ``[2, 2]`` of the piece of {h = 0} in a region's polygon, or ``[0, 2]`` if there is none."""
    levels = net(corners)
    ends = [
        corners[i] + (corners[j] - corners[i]) * (levels[i] / (levels[i] - levels[j]))
        for i in range(len(corners))
        for j in [(i + 1) % len(corners)]
        if levels[i] * levels[j] < 0
    ]
    return np.array(ends, dtype=corners.dtype).reshape(len(ends), 2)
