"""The activation regions of a small ReLU network, by enumeration.

A ReLU network is affine on each region where no unit changes its state. Its Lipschitz constant over a
ball is the largest gradient norm among the regions that are *full-dimensional* and meet the *open* ball;
on lower-dimensional pieces the formula of the gradient may say anything (`cex-kinks`). Strict
inequalities describe just these regions, so a region counts if and only if a system of strict linear
inequalities has a solution: decided exactly for rational networks, by linear programming for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from math import inf
from typing import Any

import numpy as np
from scipy.optimize import linprog, nnls

from .networks import Array, Pattern, ReluNet, fractions

SLACK = 1e-9
"""Floating point: how far inside, in units of x, a point has to be for its region to count."""

EXACT_INPUTS = 4
"""Rational networks may have this many inputs: elimination grows doubly exponentially with them."""


@dataclass(frozen=True, eq=False)
class Ball:
    """The ball of ``radius`` around ``centre [n_0]`` in the l_p norm, p = 1, 2 or infinity.

    Raises:
        ValueError: if p is none of these or the radius is not positive.
    """

    centre: Array
    radius: Any
    p: float = inf

    def __post_init__(self) -> None:
        if self.p not in (1, 2, inf):
            raise ValueError(f"p must be 1, 2 or infinity, got {self.p}")
        if not self.radius > 0:
            raise ValueError(f"the radius must be positive, got {self.radius}")

    def spread(self, a: Array) -> Any:
        """max of a.(x - centre) over the ball: radius times the dual norm, for ``a [..., n_0]``."""
        match self.p:
            case 1:
                return self.radius * abs(a).max(-1)
            case 2:
                return self.radius * np.linalg.norm(a.astype(np.float64), axis=-1)
            case _:
                return self.radius * abs(a).sum(-1)

    def facets(self) -> tuple[Array, Array]:
        """(A, b) with {A x + b > 0} the open ball; p = 1 or infinity."""
        n = len(self.centre)
        if self.p == 1:
            normals = fractions(list(product((1, -1), repeat=n)))
        else:
            normals = fractions(np.concatenate([np.eye(n, dtype=int), -np.eye(n, dtype=int)]))
        return normals, self.radius - normals @ self.centre


@dataclass(frozen=True, eq=False)
class Region:
    """One full-dimensional activation region.

    Attributes:
        pattern: D_1 .. D_{d-1}; units that are constant zero count as inactive.
        point: a point inside the region and the ball, ``[n_0]``.
        gradient: the gradient of h on the region, ``[n_0]``.
    """

    pattern: Pattern
    point: Array
    gradient: Array


Worth = Callable[["Part"], bool]


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the input space on which the states of some units are fixed: a node of the search.

    Attributes:
        pattern: the states of the layers that are fixed completely.
        signs: the states of the first units of the next layer.
        normals: with ``offsets``, the part is {normals x + offsets > 0} in the ball, ``[cuts, n_0]``.
        offsets: ``[cuts]``.
        point: a point inside.
        slope: W_1 D_1 ... W_j, ``[n_0, n_j]``: the next layer's preactivations are slope^T x + shift.
        shift: ``[n_j]``.
    """

    pattern: Pattern
    signs: tuple[bool, ...]
    normals: Array
    offsets: Array
    point: Array
    slope: Array
    shift: Array

    def with_sign(self, active: bool) -> Part:
        """The same part, one more state known."""
        return replace(self, signs=(*self.signs, active))

    def cut(self, active: bool, normal: Array, offset: Any, point: Array) -> Part:
        """One side of a hyperplane."""
        return replace(
            self.with_sign(active),
            normals=np.concatenate([self.normals, normal[None]]),
            offsets=np.append(self.offsets, offset),
            point=point,
        )

    def next_layer(self, net: ReluNet) -> Part:
        """The same part, with the states of a completed layer moved into the pattern."""
        active, layer = np.array(self.signs, dtype=bool), len(self.pattern) + 1
        w = net.weights[layer]
        slope, shift = (self.slope * active) @ w, (self.shift * active) @ w + net.bias(layer)
        return replace(self, pattern=(*self.pattern, active), signs=(), slope=slope, shift=shift)


def regions(net: ReluNet, ball: Ball | None = None, *, worth: Worth | None = None) -> Iterator[Region]:
    """All full-dimensional activation regions that meet the open ball, each once.

    Unit by unit, the input space is cut by the unit's hyperplane; a side survives if the strict
    inequalities collected so far have a solution there. For rational networks (at most EXACT_INPUTS
    inputs, p = 1 or infinity) that is decided exactly, otherwise up to SLACK.

    Args:
        net: the network.
        ball: where to look; None for the whole input space.
        worth: may refuse parts that a search need not see.

    Raises:
        ValueError: if a rational network has too many inputs, its ball is Euclidean, or the ball's centre
            does not have one coordinate for each input.
    """
    start, interior = _setting(net, ball)
    stack = [start]
    while stack:
        part = stack.pop()
        if worth is not None and not worth(part):
            continue
        if len(part.signs) < part.slope.shape[1]:
            stack.extend(_split(part, ball, interior))
        elif len(part.pattern) + 1 < len(net.weights):
            stack.append(part.next_layer(net))
        else:
            active = np.array(part.signs, dtype=bool)
            yield Region((*part.pattern, active), part.point, (part.slope * active) @ net.readout)


Interior = Callable[[Array, Array], Array | None]
"""A point x with normals x + offsets > 0 (and in the open ball), or None if there is none."""


def _split(part: Part, ball: Ball | None, interior: Interior) -> Iterator[Part]:
    """The sides of the next unit's hyperplane that are not empty."""
    unit = len(part.signs)
    normal, offset = part.slope[:, unit], part.shift[unit]
    exact = normal.dtype == object
    if not np.any(normal if exact else np.abs(normal) > SLACK):
        yield part.with_sign(bool(offset > 0))
        return
    if ball is not None:
        middle, spread = normal @ ball.centre + offset, ball.spread(normal)
        if abs(middle) >= spread:  # the hyperplane misses the open ball
            yield part.with_sign(bool(middle > 0))
            return
    here = normal @ part.point + offset
    clear = 0 if exact else SLACK * np.linalg.norm(normal)
    for active, sign in ((False, -1), (True, 1)):
        if sign * here > clear:
            yield part.cut(active, sign * normal, sign * offset, part.point)
            continue
        normals = np.concatenate([part.normals, sign * normal[None]])
        point = interior(normals, np.append(part.offsets, sign * offset))
        if point is not None:
            yield part.cut(active, sign * normal, sign * offset, point)


def _setting(net: ReluNet, ball: Ball | None) -> tuple[Part, Interior]:
    """The whole ball (or space) as a part, and how to find points in its parts."""
    n, exact = net.widths[0], net.exact
    if ball is not None and ball.centre.shape != (n,):
        raise ValueError(f"the ball's centre needs shape ({n},), got {ball.centre.shape}")
    if exact and n > EXACT_INPUTS:
        raise ValueError(f"exact regions need at most {EXACT_INPUTS} inputs, got {n}: use float_net")
    if exact and ball is not None and ball.p == 2:
        raise ValueError("exact regions need a polytope, p = 1 or infinity; for p = 2 use float_net")
    if ball is not None and ball.p != 2:
        normals, offsets = ball.facets()
    else:
        normals, offsets = np.zeros((0, n), dtype=object), np.zeros(0, dtype=object)
    shift = net.bias(0) + 0 * net.weights[0][0]
    centre = ball.centre if ball is not None else fractions([0] * n)
    if not exact:
        normals, offsets, centre = (a.astype(np.float64) for a in (normals, offsets, centre))
    start = Part((), (), normals, offsets, centre, net.weights[0], shift)
    if exact:
        return start, fourier_motzkin
    if ball is not None:
        return start, lambda a, b: _nearest(a, b, ball)
    return start, _deepest


def fourier_motzkin(normals: Array, offsets: Array) -> Array | None:
    """A rational solution of the strict inequalities normals x + offsets > 0, or None if there is none.

    Eliminates the last coordinate: its lower bounds must lie below its upper bounds, which is again a
    system of strict inequalities, in one coordinate less. Then a coordinate is chosen between its bounds.

    Args:
        normals: ``[cuts, n]``, rational.
        offsets: ``[cuts]``, rational.
    """
    if normals.shape[1] == 0:
        return fractions([]) if all(offsets > 0) else None
    point = fourier_motzkin(*eliminated(normals, offsets))
    if point is None:
        return None
    last, rest = normals[:, -1], normals[:, :-1] @ point + offsets
    # rest + last x_n > 0 bounds x_n by -rest / last, from below if last > 0
    lower = max((-r / s for r, s in zip(rest, last, strict=True) if s > 0), default=None)
    upper = min((-r / s for r, s in zip(rest, last, strict=True) if s < 0), default=None)
    if lower is None or upper is None:
        value = lower + 1 if lower is not None else upper - 1 if upper is not None else Fraction(0)
    else:
        value = (lower + upper) / 2
    return np.concatenate([point, fractions([value])])


def eliminated(normals: Array, offsets: Array) -> tuple[Array, Array]:
    """The inequalities on the first n - 1 coordinates that normals x + offsets > 0 (or >= 0) leaves.

    Every lower bound of the last coordinate lies below every upper bound: a nonnegative combination of the
    two inequalities, so that strict ones leave strict ones and others others.
    """
    last = normals[:, -1]
    free, up, down = last == 0, last > 0, last < 0
    scaled, levels = normals[:, :-1].copy(), offsets.copy()
    scaled[~free] /= abs(last[~free, None])
    levels[~free] /= abs(last[~free])
    shape = int(up.sum() * down.sum()), normals.shape[1] - 1
    pairs = (scaled[up][:, None] + scaled[down][None]).reshape(shape)
    sums = np.add.outer(levels[up], levels[down]).ravel()
    return _tightest(np.concatenate([scaled[free], pairs]), np.concatenate([levels[free], sums]))


def _tightest(normals: Array, offsets: Array) -> tuple[Array, Array]:
    """The same system without multiples of one inequality; of parallel ones only the tightest stays."""
    best: dict[tuple[Fraction, ...], Fraction] = {}
    for a, b in zip(normals, offsets, strict=True):
        scale = max(map(abs, a), default=0) or 1
        key, bound = tuple(a / scale), b / scale
        best[key] = min(bound, best.get(key, bound))
    rows = np.array(list(best), dtype=object).reshape(len(best), normals.shape[1])
    return rows, np.array(list(best.values()), dtype=object)


def _deepest(normals: Array, offsets: Array) -> Array | None:
    """The centre of a largest ball (of radius at most 1) inside the inequalities; None if it is no ball."""
    n = normals.shape[1]
    lengths = np.linalg.norm(normals, axis=1)
    result = linprog(
        np.append(np.zeros(n), -1.0),
        A_ub=np.column_stack([-normals, lengths]),
        b_ub=offsets,
        bounds=[(None, None)] * n + [(None, 1.0)],
    )
    return result.x[:n] if result.status == 0 and result.x[n] > SLACK else None


def _nearest(normals: Array, offsets: Array, ball: Ball) -> Array | None:
    """The point nearest to the ball's centre and SLACK inside the inequalities, or None.

    Many times faster than a linear program; the facets of a polytope are among the inequalities, a Euclidean
    ball is a bound on the distance.
    """
    lengths = np.linalg.norm(normals, axis=1)
    rows = normals / lengths[:, None]
    z = least_distance(rows, SLACK - (offsets / lengths + rows @ ball.centre))
    if z is None or (ball.p == 2 and np.linalg.norm(z) >= ball.radius - SLACK):
        return None
    return np.asarray(ball.centre + z)


def least_distance(rows: Array, need: Array) -> Array | None:
    """The Euclidean shortest z with rows z >= need, or None if there is none shorter than SLACK^(-1/2).

    The rows are of unit length. What rounding makes of an infeasible system is told by the inequalities
    themselves, which have to hold up to SLACK / 2.

    Reference: Lawson and Hanson 1974, chapter 23, by nonnegative least squares.
    """
    system = np.vstack([rows.T, need])
    target = np.append(np.zeros(rows.shape[1]), 1.0)
    residual = system @ nnls(system, target)[0] - target
    inverse = -residual[-1]  # 1 / (1 + ||z||^2)
    if inverse < SLACK:
        return None
    z = np.asarray(residual[:-1] / inverse)
    return z if (rows @ z >= need - SLACK / 2).all() else None
