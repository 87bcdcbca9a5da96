"""Points on and off the kinks of small ReLU networks, in exact rationals.

Every preactivation is, for given states of the layers before it, an affine function of the input. Off the
zeros of all these functions the network is differentiable; on them the formula of the gradient may say
anything (`cex-kinks`), and a bound that is a maximum over all points of a ball has to look there, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from .networks import Array, Pattern, ReluNet, fractions
from .regions import Ball

Affine = tuple[Array, Any]
"""(A, b): the function x -> A.x + b."""
Inequality = tuple[Array, Any, bool]
"""(A, b, strict): A.x + b > 0 if strict, else >= 0."""


def kink_functions(net: ReluNet) -> Iterator[Affine]:
    """The affine functions that the preactivations are, over all states of earlier layers; none constant."""
    widths = net.widths[1:]
    for layer in range(len(widths)):
        for states in product((False, True), repeat=sum(widths[:layer])):
            before = np.split(np.array(states, dtype=bool), np.cumsum(widths[:layer])[:-1]) if layer else []
            pattern = (*before, *(np.zeros(n, dtype=bool) for n in widths[layer:]))
            slope, shift = list(net.affine(pattern))[layer]
            yield from ((a, b) for a, b in zip(slope.T, shift, strict=True) if any(a))


def along_the_curve(function: Affine, x: Array) -> list[Any]:
    """The coefficients of tau -> f(x + (tau, tau^2, ..., tau^n)), constant term first."""
    slope, shift = function
    return [slope @ x + shift, *slope]


def clearance(coefficients: Iterable[Any]) -> Any:
    """A polynomial with these coefficients, not all 0, has no zero between 0 and this (`lem-off-kinks`)."""
    values = [abs(c) for c in coefficients]
    first = next(v for v in values if v)
    return first / (first + max(values))


def off_kinks(net: ReluNet, x: Array, within: Any) -> Array:
    """A point at most ``within`` from ``x`` in every coordinate at which no function of a kink vanishes."""
    step = min((clearance(along_the_curve(f, x)) for f in kink_functions(net)), default=Fraction(1))
    tau = min(step / 2, within, Fraction(1))
    return np.asarray(x + fractions([tau**k for k in range(1, len(x) + 1)]))


def affine_radius(net: ReluNet, x: Array, *, q: float) -> Any:
    """Nearer than this to ``x`` in l_p no unit that moves changes its state, q dual to p (`lem-states`).

    Args:
        net: the network.
        x: ``[n_0]``; at a kink the radius is 0.
        q: 1 or infinity.
    """
    *layers, _ = net.affine(net.pattern(x))
    moving = [
        abs(a @ x + b) / (abs(a).sum() if q == 1 else abs(a).max())
        for slope, shift in layers
        for a, b in zip(slope.T, shift, strict=True)
        if any(a)
    ]
    return min(moving, default=Fraction(10**6))


def attained_patterns(net: ReluNet, ball: Ball | None = None) -> Iterator[Pattern]:
    """D_1(x) .. D_{d-1}(x) at all points x of the closed ball, or of the input space: kinks included.

    Unit by unit: a unit is active where its preactivation is positive, inactive where it is at most 0.

    Raises:
        ValueError: if the network is not rational or the ball Euclidean.
    """
    if not net.exact or (ball is not None and ball.p == 2):
        raise ValueError("patterns at kinks need exact_net and a polytope, p = 1 or infinity")
    facets = [] if ball is None else [(a, b, False) for a, b in zip(*ball.facets(), strict=True)]
    yield from _patterns(net, (), facets)


def _patterns(net: ReluNet, done: Pattern, known: list[Inequality]) -> Iterator[Pattern]:
    if len(done) == len(net.weights):
        yield done
        return
    rest = tuple(np.zeros(n, dtype=bool) for n in net.widths[len(done) + 1 :])
    slope, shift = list(net.affine((*done, *rest)))[len(done)]
    partial: list[tuple[tuple[bool, ...], list[Inequality]]] = [((), known)]
    for a, b in zip(slope.T, shift, strict=True):
        sides = ((True, (a, b, True)), (False, (-a, -b, False)))
        partial = [
            ((*states, active), [*rows, side])
            for states, rows in partial
            for active, side in sides
            if feasible([*rows, side])
        ]
    for states, rows in partial:
        yield from _patterns(net, (*done, np.array(states, dtype=bool)), rows)


def feasible(rows: list[Inequality]) -> bool:
    """Whether strict and other linear inequalities have a common rational solution: by elimination."""
    moving = [row for row in rows if any(row[0])]
    if any(b < 0 or (strict and b == 0) for a, b, strict in rows if not any(a)):
        return False
    if not moving:
        return True
    last = max(i for i in range(len(moving[0][0])) if any(a[i] for a, _, _ in moving))
    free = [row for row in moving if not row[0][last]]
    up, down = ([r for r in moving if sign * r[0][last] > 0] for sign in (1, -1))
    pairs = [
        (a / a[last] - c / c[last], b / a[last] - d / c[last], strict or also)
        for a, b, strict in up
        for c, d, also in down
    ]
    return feasible(_tightest([*free, *pairs]))


def _tightest(rows: list[Inequality]) -> list[Inequality]:
    """The same inequalities; of parallel ones only the tightest."""
    best: dict[tuple[Any, ...], tuple[Any, bool, Array]] = {}
    for a, b, strict in rows:
        scale = max(map(abs, a), default=0) or 1
        key, level = tuple(a / scale), b / scale
        if key not in best or (level, not strict) < (best[key][0], not best[key][1]):
            best[key] = (level, strict, a / scale)
    return [(a, level, strict) for level, strict, a in best.values()]
