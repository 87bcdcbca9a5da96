"""The symbols of Lemma 3.1 and its relatives, and the small networks on which they are evaluated, exactly."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import inf

import numpy as np
import sympy as sp

from sparse_robust.proofs.deep.random_masks.cases import random_nets
from sparse_robust.proofs.formulas import Case, Largest, operator
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.kinks import attained_patterns
from sparse_robust.theory.lipschitz import induced_norm, lipschitz_power
from sparse_robust.theory.networks import Array, Pattern, ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball

SUM = exact_net([[[1], [1]]], [1])
"""h = s(x_1 + x_2), on which column sums are attained and row sums are too small."""
KINK = exact_net([[[1, 1, -1], [1, 0, 0]]], [2, -1, 1])
"""h = 2 s(x_1 + x_2) - s(x_1) + s(-x_1) = 2 s(x_1 + x_2) - x_1."""
ONE = exact_net([[[1]], [[1]]], [1])
"""A single path of weights 1: every bound of Lemma 3.1's kind is attained."""
UNIT = Ball(fractions([1, 1]), Fraction(1, 2))
"""The square of side 1 around (1, 1)."""


@dataclass(frozen=True, eq=False)
class LipschitzSetting:
    """A network with the norm that measures its gradients, q = 1 or infinity."""

    net: ReluNet
    q: float


@dataclass(frozen=True, eq=False)
class Place:
    """What the states of the units are at some point."""

    setting: LipschitzSetting
    pattern: Pattern


def _gradient_norm(place: Place) -> Fraction:
    return Fraction(norm_power(place.setting.net.gradient(place.pattern), place.setting.q))


def _dual(q: float) -> float:
    return inf if q == 1 else 1


L_Q = sp.Symbol("L_q", nonnegative=True)
NET, PLACE = sp.Symbol("h"), sp.Symbol("x'")
J, DEPTH = sp.Symbol("j", integer=True), sp.Symbol("d", integer=True)
INSIDE = operator("Inside", r"{0} \in B", lambda place: True)
GRADIENT = operator(
    "GradientNorm",
    r"\lVert W_1 D_1({0}) \cdots W_{{d-1}} D_{{d-1}}({0})\, c \rVert_q",
    _gradient_norm,
    real=True,
    nonnegative=True,
)
STATES = operator(
    "StatesNorm",
    r"\lVert D_{0}({1}) \rVert_{{q \to q}}",
    lambda j, place: int(place.pattern[int(j) - 1].any()),
    real=True,
    nonnegative=True,
)
WEIGHTS = operator(
    "WeightsNorm",
    r"\lVert W_{1} \rVert_{{q \to q}}",
    lambda setting, j: induced_norm(setting.net.weights[int(j) - 1], setting.q),
    real=True,
    nonnegative=True,
)
TRANSPOSED = operator(
    "TransposedNorm",
    r"\lVert W_{1}^T \rVert_p",
    lambda setting, j: induced_norm(setting.net.weights[int(j) - 1].T, _dual(setting.q)),
    real=True,
    nonnegative=True,
)
READOUT = operator(
    "ReadoutNorm",
    r"\lVert c \rVert_q",
    lambda setting: norm_power(setting.net.readout, setting.q),
    real=True,
    nonnegative=True,
)


def over_ball(body: sp.Expr) -> Largest:
    """The maximum over the points x' of the ball."""
    return Largest(body, PLACE, INSIDE(PLACE))


def random_cases(seed: int, count: int) -> Iterator[tuple[ReluNet, Ball]]:
    """Random networks with one or two hidden layers or three, half of them with biases, and an l_inf ball."""
    rng = random.Random(seed)
    for net in random_nets(seed=seed, count=count):
        centre = fractions([Fraction(rng.randint(-4, 4), 2) for _ in range(net.widths[0])])
        yield net, Ball(centre, Fraction(rng.randint(1, 4), 2))


def tight_cases() -> list[tuple[ReluNet, Ball | None]]:
    """Networks on which bounds are attained or kinks matter."""
    return [(SUM, UNIT), (SUM, None), (KINK, Ball(fractions([0, 1]), Fraction(1, 2))), (ONE, None)]


def random_point(rng: random.Random, ball: Ball) -> Array:
    """A rational point of an l_inf ball."""
    steps = [Fraction(rng.randint(-997, 997), 1000) for _ in ball.centre]
    return np.asarray(ball.centre + ball.radius * np.array(steps, dtype=object))


def steepest_slope(net: ReluNet, ball: Ball) -> Fraction:
    """The best Lipschitz constant of a network with one input on an interval, from its broken line."""
    low, high = ball.centre - ball.radius, ball.centre + ball.radius
    cuts = breakpoints(net, low, high)
    ends = [(t, net(low + t * (high - low))) for t in cuts]
    steepest = max(abs((b - a) / (e - s)) for (s, a), (e, b) in pairwise(ends))
    return Fraction(steepest) / (2 * ball.radius)


def breakpoints(net: ReluNet, x: Array, y: Array) -> list[Fraction]:
    """0 = t_0 < t_1 < ... < t_m = 1 such that no unit changes its state between t_i and t_{i+1} on [x, y].

    Layer by layer: between two breakpoints so far the preactivations are affine in t, each has one root at
    most, and behind a further cut at the roots the activations are affine as well.
    """
    cuts = [Fraction(0), Fraction(1)]
    for layer in range(len(net.weights)):
        roots: set[Fraction] = set()
        for start, end in pairwise(cuts):
            first, last = (net.preactivations(x + t * (y - x))[layer] for t in (start, end))
            for a, b in zip(first, last, strict=True):
                if a * b < 0:
                    roots.add(crossing(start, end, a, b))
        cuts = sorted({*cuts, *roots})
    return cuts


def crossing(start: Fraction, end: Fraction, a: Fraction, b: Fraction) -> Fraction:
    """Where the affine function with values a at ``start`` and b at ``end`` vanishes."""
    return start + (end - start) * a / (a - b)


def lemma_case(net: ReluNet, ball: Ball | None, q: float) -> Case:
    """What Lemma 3.1 speaks of: every pattern that some point of the ball has, kinks included."""
    setting = LipschitzSetting(net, q)
    return {
        L_Q: Fraction(lipschitz_power(net, ball, q=q)),
        NET: setting,
        PLACE: [Place(setting, pattern) for pattern in attained_patterns(net, ball)],
        DEPTH: len(net.weights) + 1,
    }
