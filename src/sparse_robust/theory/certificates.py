"""Certified radii: Proposition 3.1 as functions, from margins and Lipschitz constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import numpy as np

from .lipschitz import lipschitz, lipschitz_power
from .networks import Array, ReluNet
from .regions import Ball

Constants = Callable[[Any], Sequence[Any]]
"""radius -> a Lipschitz constant on the ball of this radius, or an upper bound, for each rival."""


def certificate(margins: Sequence[Any], constants: Sequence[Any], radius: Any) -> Any:
    """gamma = min(min_k m_k / L_k, R): no perturbation shorter than gamma changes the decision.

    m / 0 is infinite for m > 0. Where a rival leads or ties, nothing is certified and gamma is 0.
    Rational arguments give a rational number.

    Args:
        margins: m_k = g_yhat(x) - g_k(x), one for each rival.
        constants: L_k, a Lipschitz constant of g_yhat - g_k on the ball of this radius, or an upper bound.
        radius: R, of the ball on which the constants hold; may be infinite.

    Raises:
        ValueError: if there is no rival, a constant is negative or the radius is not positive.

    Reference: paper, equation (7), with the conventions of `def-gamma`.
    """
    if len(margins) != len(constants) or not margins:
        raise ValueError(
            f"give one constant for each of at least one margin, got {len(constants)} and {len(margins)}"
        )
    if not all(c >= 0 for c in constants):
        raise ValueError(f"constants must be at least 0, got {list(constants)}")
    if not radius > 0:
        raise ValueError(f"radius must be positive, got {radius}")
    if not all(m > 0 for m in margins):
        return 0
    return min(radius, *(m / c if c else inf for m, c in zip(margins, constants, strict=True)))


def best_certificate(margins: Sequence[Any], constants: Constants, upper: Any, *, tolerance: Any) -> Any:
    """The largest certificate over all radii up to ``upper``, by bisection, from below.

    What is returned is the certificate of one of the radii that were tried, so it is valid whatever
    ``constants`` does between them. If each constant does not decrease with the radius, no radius up to
    ``upper`` has a certificate that is larger by more than ``tolerance``.

    Args:
        margins: as for :func:`certificate`.
        constants: Lipschitz constants, or upper bounds, on the ball of a given radius.
        upper: the largest radius to try, finite; for instance the norm of a successful attack.
        tolerance: when to stop, above 0.

    Raises:
        ValueError: if upper or tolerance is not positive and finite; as :func:`certificate`.
    """
    if not (0 < upper < inf and 0 < tolerance < inf):
        raise ValueError(
            f"upper and tolerance must be positive and finite, got upper={upper}, tolerance={tolerance}"
        )
    best, high = certificate(margins, constants(upper), upper), upper
    while high - best > tolerance:
        middle = (best + high) / 2
        certified = certificate(margins, constants(middle), middle)
        best = max(best, certified)
        if certified < middle:  # so is every certificate of a larger radius
            high = middle
    return best


def rivals(
    weights: Sequence[Array],
    outputs: Array,
    label: int,
    biases: Sequence[Array] = (),
    offsets: Array | None = None,
) -> tuple[ReluNet, ...]:
    """The networks h_k = g_label - g_k, one for each other class k, in the order of the classes.

    Args:
        weights: W_1 .. W_{d-1}, as for :class:`ReluNet`.
        outputs: W_d, ``[n_{d-1}, c]``; column k is w_k.
        label: the class that is to keep its lead.
        biases: of the hidden layers.
        offsets: the biases of the outputs, ``[c]``.

    Raises:
        ValueError: if ``label`` is no column of ``outputs``.
    """
    classes = outputs.shape[1]
    if not 0 <= label < classes:
        raise ValueError(f"label must be a class from 0 to {classes - 1}, got {label}")
    shift = offsets if offsets is not None else 0 * outputs[0]
    return tuple(
        ReluNet(tuple(weights), outputs[:, label] - outputs[:, k], tuple(biases), shift[label] - shift[k])
        for k in range(classes)
        if k != label
    )


def network_certificate(nets: Sequence[ReluNet], x: Array, *, p: float, upper: Any, tolerance: Any) -> Any:
    """The best certificate for small networks h_k at ``x``, with their exact local Lipschitz constants.

    The rivals are taken one by one, each up to the best radius of those before it (`prop-gamma-rivals`).

    Args:
        nets: h_k for each rival, see :func:`rivals`.
        x: ``[n_0]``.
        p: 1, 2 or infinity; not 2 for rational networks.
        upper: the largest radius to try.
        tolerance: as for :func:`best_certificate`.

    Raises:
        ValueError: if p is none of these; as :func:`best_certificate` and :func:`lipschitz`.
    """
    dual = {inf: 1, 2: 2, 1: inf}
    if p not in dual:
        raise ValueError(f"p must be 1, 2 or infinity, got {p}")
    best = upper
    for net in nets:

        def constant(radius: Any, net: ReluNet = net) -> list[Any]:
            exact = (
                lipschitz_power if net.exact else lipschitz
            )  # for q = 1 and infinity the same, but rational
            return [exact(net, Ball(x, radius, p), q=dual[p])]

        if not net(x) > 0:
            return 0
        best = best_certificate([net(x)], constant, best, tolerance=tolerance)
    return best


def certified_r2(radii: Array, correct: Array) -> float:
    """E(1[y = yhat] gamma_2), at most r_2 under any attack (`prop-gamma-metrics`); radii, correct ``[N]``.

    Raises:
        ValueError: if there is no example or the shapes differ.
    """
    radii, correct = _checked(radii, correct)
    return float(np.where(correct, radii, 0.0).mean())


def certified_rinf(radii: Array, correct: Array, eps: float) -> float:
    """Pr(y = yhat, gamma_inf > eps), at most r_inf under any attack of radius eps (`prop-gamma-metrics`).

    Raises:
        ValueError: if there is no example, the shapes differ, or eps is negative.
    """
    if not eps >= 0:
        raise ValueError(f"eps must be at least 0, got {eps}")
    radii, correct = _checked(radii, correct)
    return float((correct & (radii > eps)).mean())


def _checked(radii: Array, correct: Array) -> tuple[Array, Array]:
    radii, correct = np.asarray(radii, dtype=np.float64), np.asarray(correct, dtype=bool)
    if radii.shape != correct.shape or radii.ndim != 1 or not len(radii):
        raise ValueError(
            f"radii and correct must hold one entry for each of at least one example,"
            f" got shapes {radii.shape} and {correct.shape}"
        )
    return radii, correct
