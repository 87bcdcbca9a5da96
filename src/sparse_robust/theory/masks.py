"""Random masks: the probability that no path through the network is left, exactly and in logarithms.

The setting of the paper's Theorem 3.3: layer j has ``widths[j]`` units, j = 0, ..., d-1, and each weight
between layers j-1 and j is masked, independently, with probability ``alphas[j-1]``. The readout c^h behind
layer d-1 is not masked. A unit is *cut off* when every path from the inputs to it meets a masked weight.

Two probabilities that all of layer d-1 is cut off, in which case the network is constant:
eta* is the true one, by percolation, and eta <= eta* is that of the recursion in the paper's sketch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp, xlogy

EXACT = (int, Fraction, sp.Expr)
"""What a probability may be where nothing is rounded: a rational number, or a symbol."""


def xi(widths: Sequence[int], alphas: Sequence[Any]) -> list[Any]:
    """The recursion of Theorem A: xi_0 = 0, xi_j = (alpha_j + (1 - alpha_j) xi_{j-1})^n_{j-1}.

    xi_j bounds from below the probability that a given unit of layer j is cut off.

    Args:
        widths: n_0, ..., n_{d-1}.
        alphas: alpha_1, ..., alpha_{d-1}, rational or symbolic.

    Returns:
        xi_0, ..., xi_{d-1}.

    Raises:
        ValueError: if the lengths disagree, a width is not positive or an alpha not in [0, 1].
        TypeError: if an alpha is a float, as the result may be far below the smallest float.

    Reference: paper, proof sketch of Theorem 3.3, equation (14); this book, Theorem A.
    """
    _check(widths, alphas, exact=True)
    values: list[Any] = [Fraction(0)]
    for n, alpha in zip(widths[:-1], alphas, strict=True):
        values.append((alpha + (1 - alpha) * values[-1]) ** n)
    return values


def eta(widths: Sequence[int], alphas: Sequence[Any]) -> Any:
    """eta = xi_{d-1}^n_{d-1}, exactly: at most the probability that the network is cut off (Theorem A).

    Arguments and errors as for `xi`; `log_eta` takes floats.
    """
    return xi(widths, alphas)[-1] ** widths[-1]


def eta_star(widths: Sequence[int], alphas: Sequence[Any]) -> Any:
    """eta* = Pr(r_{d-1} = 0), exactly: the probability that the network is cut off (Theorem A+).

    The numbers r_j of units of layer j that are not cut off form a Markov chain with r_0 = n_0 and
    r_j | r_{j-1} ~ Bin(n_j, 1 - alpha_j^r_{j-1}).

    Arguments and errors as for `xi`; `log_eta_star` takes floats.
    """
    _check(widths, alphas, exact=True)
    # cut_off[r] is the probability that the last layer is cut off, given that r units of layer j are not
    cut_off: list[Any] = [Fraction(1), *[Fraction(0)] * widths[-1]]
    for before, n, alpha in reversed(list(zip(widths[:-1], widths[1:], alphas, strict=True))):
        cut_off = [
            sum(
                math.comb(n, k) * (1 - alpha**r) ** k * (alpha**r) ** (n - k) * cut_off[k]
                for k in range(n + 1)
            )
            for r in range(before + 1)
        ]
    return cut_off[-1]


def log_eta(widths: Sequence[int], alphas: Sequence[float]) -> float:
    """ln eta, which does not underflow where eta does; -inf means that eta is exactly 0.

    Arguments and errors as for `xi`, but floats are welcome.
    """
    _check(widths, alphas)
    log_xi = -math.inf
    for n, alpha in zip(widths[:-1], map(float, alphas), strict=True):
        log_xi = n * float(np.logaddexp(xlogy(1, alpha), xlogy(1, 1 - alpha) + log_xi))
    return widths[-1] * log_xi


def log_eta_star(widths: Sequence[int], alphas: Sequence[float]) -> float:
    """ln eta*, which does not underflow where eta* does; -inf means that eta* is exactly 0.

    Arguments and errors as for `xi`, but floats are welcome. Memory and time grow as n_j n_{j-1}.
    """
    _check(widths, alphas)
    log_cut_off = np.concatenate([[0.0], np.full(widths[-1], -np.inf)])
    for before, n, alpha in reversed(list(zip(widths[:-1], widths[1:], map(float, alphas), strict=True))):
        log_cut_off = logsumexp(_log_binomial(before, n, alpha) + log_cut_off, axis=1)
    return min(float(log_cut_off[-1]), 0.0)  # a probability, whatever rounding says


def _log_binomial(before: int, n: int, alpha: float) -> np.ndarray:
    """ln Pr(r_j = k | r_{j-1} = r) at [r, k], r = 0 ... before, k = 0 ... n."""
    k = np.arange(n + 1)
    log_cut = xlogy(np.arange(before + 1), alpha)[:, None]  # ln alpha^r, also for alpha = r = 0
    with np.errstate(divide="ignore"):
        log_open = np.log(-np.expm1(log_cut))
    choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return np.asarray(choose + _times(k, log_open) + _times(n - k, log_cut))


def _times(count: np.ndarray, log: np.ndarray) -> np.ndarray:
    """count * log with 0 * (-inf) = 0, as x^0 = 1 for every x."""
    return np.where(count == 0, 0.0, np.maximum(count, 1) * log)


def sparsity_for(widths: Sequence[int], probability: float) -> float:
    """The alpha, the same in all layers, at which eta reaches ``probability``.

    Raises:
        ValueError: if ``probability`` is not strictly between 0 and 1.
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability = {probability}: eta runs from 0 to 1, ask for a value between")
    target, layers = math.log(probability), len(widths) - 1

    def excess(log_kept: float) -> float:  # 1 - alpha, in logarithms: all that matters happens near alpha = 1
        return max(log_eta(widths, [-math.expm1(log_kept)] * layers), -1e300) - target

    return -math.expm1(brentq(excess, -200.0, -1e-12, xtol=1e-13))


def hidden_weights(widths: Sequence[int]) -> int:
    """How many weights the masks of Theorem 3.3 act on: sum_j n_{j-1} n_j, the readout not among them."""
    return sum(n * m for n, m in pairwise(widths))


def format_probability(log: float, digits: int = 2) -> str:
    """A probability from its natural logarithm, also far below the smallest float.

    ``0`` for -inf, plain decimals from 0.001 on, then ``1.3e-131``, and ``10^-9031`` where the exponent is
    so large that a mantissa would suggest a precision the logarithm does not have.
    """
    if log == -math.inf:
        return "0"
    exponent, value = log / math.log(10), math.exp(log)
    if value >= 1e-3:
        return f"{value:.{digits + 2}g}"
    if exponent < -300:
        return f"10^{exponent:.0f}"
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}e{int(power)}"


def _check(widths: Sequence[int], alphas: Sequence[Any], *, exact: bool = False) -> None:
    if len(widths) < 2 or len(alphas) != len(widths) - 1:
        raise ValueError(
            f"{len(widths)} widths and {len(alphas)} alphas: give n_0, ..., n_(d-1), and one alpha for each"
            " layer of masked weights, which is one less"
        )
    if any(n < 1 or n != int(n) for n in widths):
        raise ValueError(f"widths = {tuple(widths)}: every layer needs at least one unit")
    for alpha in alphas:
        if exact and not isinstance(alpha, EXACT):
            raise TypeError(
                f"alpha = {alpha!r} is not exact: pass a Fraction, or call the function of the same name that"
                " begins with log_"
            )
        if not isinstance(alpha, sp.Expr) and not 0 <= alpha <= 1:
            raise ValueError(f"alpha = {alpha}: the probability of a masked weight lies in [0, 1]")
