"""Two Gaussian classes, where both robustness metrics of a linear classifier have closed forms.

The model: y is -1 or +1 with probability 1/2 each and x | y ~ N(y m, sigma^2 I) in R^n. The classifier is
sgn(w.x); inputs are not confined to a box. Throughout, ``m`` is ``[n]``, ``w`` is ``[*B, n]`` and a metric
is ``[*B]``; ``sigma`` and ``eps`` are in units of the inputs. Statements: `sparse_robust.proofs`.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]


def _direction(w: ArrayLike, m: ArrayLike) -> tuple[Array, Array, Array]:
    weights, mean = np.asarray(w, dtype=float), np.asarray(m, dtype=float)
    if weights.shape[-1:] != mean.shape:
        raise ValueError(f"m must be [n] and w [*B, n], got m {mean.shape} and w {weights.shape}")
    norm = np.linalg.norm(weights, axis=-1)
    if not np.all(norm > 0):
        raise ValueError("w is zero somewhere: a classifier needs a direction; drop the empty rows")
    return weights, mean, norm


def _check_scales(sigma: float, eps: float = 1.0) -> None:
    if not (sigma > 0 and eps > 0):
        raise ValueError(f"sigma and eps must be positive, got sigma={sigma}, eps={eps}")


def _density(z: Array) -> Array:
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def signal(w: ArrayLike, m: ArrayLike) -> Array:
    """A = w.m / ||w||_2, the signed distance from the class mean to the boundary.

    Raises:
        ValueError: if the shapes disagree or a row of w is zero.
    """
    weights, mean, norm = _direction(w, m)
    return np.asarray(weights @ mean / norm)


def robust_signal(w: ArrayLike, m: ArrayLike, eps: float) -> Array:
    """z = (w.m - eps ||w||_1) / ||w||_2, what the strongest l_inf attack of radius eps leaves of A.

    Raises:
        ValueError: as `signal`.
    """
    weights, mean, norm = _direction(w, m)
    return np.asarray((weights @ mean - eps * np.abs(weights).sum(-1)) / norm)


def accuracy(w: ArrayLike, m: ArrayLike, sigma: float) -> Array:
    """t = Phi(A / sigma), the same for both classes.

    Raises:
        ValueError: as `signal`; or if sigma is not positive.
    """
    _check_scales(sigma)
    return np.asarray(ndtr(signal(w, m) / sigma))


def r_2(w: ArrayLike, m: ArrayLike, sigma: float) -> Array:
    """The l_2 metric, r_2 = A Phi(A / sigma) + sigma phi(A / sigma), in units of the inputs.

    It is E[(A + sigma Z)_+] for a standard normal Z. Reference: `prop-gaussian-l2`; paper, equation (1).

    Raises:
        ValueError: as `accuracy`.
    """
    _check_scales(sigma)
    a = signal(w, m)
    return np.asarray(a * ndtr(a / sigma) + sigma * _density(a / sigma))


def r_inf(w: ArrayLike, m: ArrayLike, sigma: float, eps: float) -> Array:
    """The l_inf metric, r_inf = Phi((w.m - eps ||w||_1) / (sigma ||w||_2)).

    Reference: `prop-gaussian-linf`; paper, equation (1).

    Raises:
        ValueError: as `accuracy`; or if eps is not positive.
    """
    _check_scales(sigma, eps)
    return np.asarray(ndtr(robust_signal(w, m, eps) / sigma))


def printed_bound(w: ArrayLike, m: ArrayLike, sigma: float, eps: float) -> Array:
    """The bound on r_inf that Theorem 3.1 prints: r_2 ||w||_2 / (eps ||w||_1).

    It equals (t / 2) w.(mu_+ - mu_-) / (eps ||w||_1), equation (2) of the paper.

    Raises:
        ValueError: as `r_inf`.
    """
    _check_scales(sigma, eps)
    weights, _, norm = _direction(w, m)
    return np.asarray(r_2(w, m, sigma) * norm / (eps * np.abs(weights).sum(-1)))


def soft_threshold(m: ArrayLike, eps: float) -> Array:
    """soft_eps(m) = sgn(m) (|m| - eps)_+, entry by entry: m less its projection on the l_inf ball."""
    mean = np.asarray(m, dtype=float)
    return mean - np.clip(mean, -eps, eps)


def hard_threshold(m: ArrayLike, nonzeros: int) -> Array:
    """The ``nonzeros`` largest entries of m by magnitude, the others zero (the earlier one wins a tie).

    Raises:
        ValueError: if ``nonzeros`` is not in 1, ..., n.
    """
    mean = np.asarray(m, dtype=float)
    if not 1 <= nonzeros <= mean.size:
        raise ValueError(f"nonzeros must be between 1 and {mean.size}, got {nonzeros}")
    kept = np.argsort(-np.abs(mean), kind="stable")[:nonzeros]
    return np.asarray(np.where(np.isin(np.arange(mean.size), kept), mean, 0.0))


def pruning_gain(dropped: ArrayLike, norm: ArrayLike, z: ArrayLike, eps: float) -> Array:
    """How much the robust signal z of w = m_S grows when the weight of magnitude ``dropped`` is dropped.

    z' - z = (a / D') (eps - a + z tan(theta / 2)), with a = dropped, D = norm = ||m_S||_2, sin(theta) = a / D
    and D' = D cos(theta). Positive: pruning that weight raises r_inf. Reference: `thm-gaussian-phase`.

    Args:
        dropped: a in (0, D), any shape.
        norm: D, broadcasts against ``dropped``.
        z: the robust signal of m_S, broadcasts against ``dropped``.
        eps: the radius of the attack.

    Raises:
        ValueError: if a weight is not smaller than the norm (the last weight cannot be dropped).
    """
    a, d = np.asarray(dropped, dtype=float), np.asarray(norm, dtype=float)
    if not np.all((a > 0) & (a < d)):
        raise ValueError("each dropped magnitude must lie strictly between 0 and the norm of the weights")
    kept = np.sqrt(d**2 - a**2)
    return np.asarray(a / kept * (eps - a + np.asarray(z) * a / (d + kept)))


def phase_boundary(survival: ArrayLike, share: ArrayLike = 0.0) -> Array:
    """The critical a / eps: dropping a weight of m_S raises r_inf iff its |m_i| / eps = a / eps lies below.

    1 / (1 - survival / (1 + sqrt(1 - share^2))). Reference: `cor-gaussian-boundary`.

    Args:
        survival: nu = z / D = 1 - eps ||m_S||_1 / ||m_S||_2^2 < 1, the part of the signal that is left
            under attack.
        share: a / D in [0, 1), the dropped weight's share of the norm; 0 is the limit of many weights.

    Raises:
        ValueError: if an argument is out of its range.
    """
    nu, s = np.asarray(survival, dtype=float), np.asarray(share, dtype=float)
    if not (np.all(nu < 1) and np.all((s >= 0) & (s < 1))):
        raise ValueError("survival must be below 1 and share in [0, 1)")
    return np.asarray(1 / (1 - nu / (1 + np.sqrt(1 - s**2))))


def pruning_path(m: ArrayLike, sigma: float, eps: float) -> pd.DataFrame:
    """Prune the dense direction m one weight at a time, smallest first, in three ways.

    ``rule`` says which weights the k survivors carry: "hard", the means themselves (pruning without
    retraining); "soft", the means less the (k+1)-th largest magnitude (the l_1 path); "retrained", the best
    of all directions with k nonzeros, soft_eps(m) on the k largest (`prop-gaussian-budget`).

    Returns:
        One row per rule and k = n, ..., 1 (where the rule gives k nonzeros): rule, nonzeros, accuracy, r_2,
        r_inf, z, bound; and for the hard rule ``smallest``, the next magnitude to go, with ``survival`` and
        ``share`` as `phase_boundary` takes them.

    Raises:
        ValueError: if an entry of m is zero.
    """
    mean = np.asarray(m, dtype=float)
    size = np.sort(np.abs(mean))[::-1]
    if size[-1] == 0:
        raise ValueError("m has zero entries; leave these coordinates out, no direction gives them weight")
    soft = soft_threshold(mean, eps)
    rows: list[dict[str, Any]] = []
    for k in range(mean.size, 0, -1):
        hard = hard_threshold(mean, k)
        threshold = size[k] if k < mean.size else 0.0
        norm = float(np.linalg.norm(hard))
        phase = {
            "smallest": float(size[k - 1]),
            "survival": float(robust_signal(hard, mean, eps)) / norm,
            "share": float(size[k - 1]) / norm,
        }
        for rule, w, extra in (
            ("hard", hard, phase),
            ("soft", soft_threshold(mean, threshold), {}),
            ("retrained", np.where(hard != 0, soft, 0.0), {}),
        ):
            if np.count_nonzero(w) == k:
                rows.append({"rule": rule, "nonzeros": k, **_metrics(w, mean, sigma, eps), **extra})
    return pd.DataFrame(rows)


def _metrics(w: Array, m: Array, sigma: float, eps: float) -> dict[str, float]:
    return {
        "accuracy": float(accuracy(w, m, sigma)),
        "r_2": float(r_2(w, m, sigma)),
        "r_inf": float(r_inf(w, m, sigma, eps)),
        "z": float(robust_signal(w, m, eps)),
        "bound": float(printed_bound(w, m, sigma, eps)),
    }
