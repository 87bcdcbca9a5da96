"""Upper bounds for the expected Lipschitz constant of a randomly masked ReLU network.

Throughout, ``net`` is the unmasked network with weights W'_j, j = 1, ..., d-1, and readout c = w_a - w_k
(`networks.float_net` makes one from lists of arrays or tensors), and each weight of layer j is masked,
independently, with probability ``alphas[j-1]``; the readout is not. L_q is the Lipschitz constant of h with
respect to ||.||_p, 1/p + 1/q = 1, on any ball or on the whole input space. Biases do not matter. Results
without a square root are rational for rational networks and alphas. Units: of h per unit of x.

Every function raises ValueError if an alpha lies outside [0, 1] or there is not one for each layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from scipy.special import ndtr, ndtri

from .masks import log_eta, log_eta_star
from .networks import Array, ReluNet

Norm = Literal[1, 2]
"""The norm of the gradient: 1 for l_inf perturbations, 2 for l_2."""


def norm_product_power(net: ReluNet, *, q: Norm) -> Any:
    """c_q^q for the c_q of Theorem 3.3, rational for rational networks.

    c_2 = ||c||_2 prod_j ||W'_j||_F; c_1 = ||c||_1 prod_j (largest column sum of |W'_j|), which the paper
    writes ||W'_j||_{1,inf}.
    """
    if q == 1:
        return abs(net.readout).sum() * math.prod(abs(w).sum(0).max() for w in net.weights)
    return (net.readout**2).sum() * math.prod((w**2).sum() for w in net.weights)


def norm_product(net: ReluNet, *, q: Norm) -> float:
    """c_q of Theorem 3.3, the constant in front of 1 - eta; see `norm_product_power`."""
    return float(norm_product_power(net, q=q)) ** (1 / q)


def recursion_bound(net: ReluNet, alphas: Sequence[float], *, q: Norm) -> float:
    """Theorem A: E L_q <= c_q (1 - eta), with eta by the recursion of the paper's sketch."""
    return norm_product(net, q=q) * -math.expm1(log_eta(net.widths, alphas))


def percolation_bound(net: ReluNet, alphas: Sequence[float], *, q: Norm) -> float:
    """Theorem A+: E L_q <= c_q (1 - eta*), with eta* the true probability that no path is left."""
    return norm_product(net, q=q) * -math.expm1(log_eta_star(net.widths, alphas))


def all_paths(net: ReluNet) -> Array:
    """v = |W_1| ... |W_{d-1}| |c|, ``[n_0]``, which bounds every gradient coordinate by coordinate."""
    v = abs(net.readout)
    for w in reversed(net.weights):
        v = abs(w) @ v
    return v


def path_norm(net: ReluNet) -> Any:
    """PN = 1^T |W_1| ... |W_{d-1}| |c|, which bounds L_1, and L_2 as well."""
    return all_paths(net).sum()


def path_norm_bound(net: ReluNet, alphas: Sequence[Any]) -> Any:
    """Theorem B: E L_1 <= E PN = prod_j (1 - alpha_j) PN <= c_1 prod_j (1 - alpha_j). Bounds E L_2 too."""
    return kept_product(net, alphas) * path_norm(net)


def second_moments(net: ReluNet, alphas: Sequence[Any]) -> Array:
    """S_0 = E v v^T, ``[n_0, n_0]``, for the vector v of `all_paths` of the masked network.

    S_{d-1} = |c| |c|^T and, going down,
    S_{j-1} = (1 - alpha_j)^2 |W'_j| S_j |W'_j|^T + alpha_j (1 - alpha_j) diag(W'_j^{o2} diag S_j).
    """
    _check(net, alphas)
    moments = np.outer(abs(net.readout), abs(net.readout))
    for w, alpha in zip(reversed(net.weights), reversed(alphas), strict=True):
        spread = w**2 @ np.diagonal(moments)
        moments = (1 - alpha) ** 2 * (abs(w) @ moments @ abs(w).T) + alpha * (1 - alpha) * np.diag(spread)
    return moments


def gradient_second_moment(net: ReluNet, alphas: Sequence[Any]) -> Any:
    """Theorem C, squared: E L_2^2 <= tr S_0 <= c_2^2 prod_j (1 - alpha_j)."""
    return np.trace(second_moments(net, alphas))


def path_norm_variance(net: ReluNet, alphas: Sequence[Any]) -> Any:
    """The variance of the masked path norm, exactly: 1^T S_0 1 - (E PN)^2."""
    return second_moments(net, alphas).sum() - path_norm_bound(net, alphas) ** 2


def second_moment_bound(net: ReluNet, alphas: Sequence[float]) -> float:
    """Theorem C: E L_2 <= sqrt(tr S_0 (1 - eta*)) <= sqrt(tr S_0)."""
    alive = -math.expm1(log_eta_star(net.widths, alphas))
    return math.sqrt(float(gradient_second_moment(net, alphas)) * alive)


def frobenius_bound(net: ReluNet, alphas: Sequence[float]) -> float:
    """The simple half of Theorem C: E L_2 <= c_2 prod_j sqrt(1 - alpha_j), not below second_moment_bound."""
    return norm_product(net, q=2) * math.sqrt(kept_product(net, alphas))


def bernstein_bound(net: ReluNet, alphas: Sequence[float]) -> float:
    """Theorem D: E L_2 <= ||c||_2 prod_j b_j, where matrix Bernstein gives E ||W'_j * M_j||_2 <= b_j.

    b = (1 - alpha) ||W'||_2 + sqrt(2 alpha (1 - alpha) nu l) + max(alpha, 1 - alpha) w l / 3, l = log(n + m),
    with nu the largest squared row or column norm of the n x m matrix W' and w its largest entry in absolute
    value; the last two terms vanish at alpha = 0 and 1, where nothing is random.

    Reference: Tropp 2015, An introduction to matrix concentration inequalities, theorem 1.6.2.
    """
    _check(net, alphas)
    bound = float(np.linalg.norm(net.readout.astype(float)))
    for w, alpha in zip(net.weights, alphas, strict=True):
        bound *= _spectral_norm_bound(w.astype(float), float(alpha))
    return bound


def _spectral_norm_bound(w: Array, alpha: float) -> float:
    """b of Theorem D for one layer."""
    mean = (1 - alpha) * float(np.linalg.norm(w, 2))
    if alpha in (0, 1):
        return mean
    log = math.log(sum(w.shape))
    nu = max(float((w**2).sum(axis).max()) for axis in (0, 1))
    largest = max(alpha, 1 - alpha) * float(abs(w).max())
    return mean + math.sqrt(2 * alpha * (1 - alpha) * nu * log) + largest * log / 3


def kept_energy(weight: Array, mask: Array) -> Any:
    """rho = ||W' * M||_F^2 / ||W'||_F^2, the part of the squared weights that a mask keeps.

    Raises:
        ValueError: if the weight is zero.
    """
    if not (weight != 0).any():
        raise ValueError("the weight matrix is zero, so that there is no energy to keep")
    return (weight**2 * mask).sum() / (weight**2).sum()


def energy_bound(net: ReluNet, masks: Sequence[Array]) -> float:
    """Theorem E: L_2 <= c_2 prod_j sqrt(rho_j), for any given masks, such as those of magnitude pruning."""
    kept = math.prod(kept_energy(w, m) for w, m in zip(net.weights, masks, strict=True))
    return norm_product(net, q=2) * math.sqrt(kept)


def gaussian_energy(alpha: float) -> float:
    """rho when the largest 1 - alpha of Gaussian weights are kept: 2 (tau phi(tau) + 1 - Phi(tau)).

    tau is the threshold, 2 (1 - Phi(tau)) = 1 - alpha.

    Raises:
        ValueError: if alpha is not in [0, 1).
    """
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha = {alpha}: the sparsity of a magnitude-pruned layer lies in [0, 1)")
    tau = float(ndtri((1 + alpha) / 2))
    density = math.exp(-(tau**2) / 2) / math.sqrt(2 * math.pi)
    return 2 * (tau * density + float(ndtr(-tau)))


def positive_means(net: ReluNet, alphas: Sequence[Any], x: Array) -> tuple[Any, Any]:
    """Theorem F: (E h(x), E L_1) = prod_j (1 - alpha_j) times (h(x), L_1) of the unmasked network.

    For nonnegative weights and readout, no biases, and a ball around x inside the positive orthant.

    Raises:
        ValueError: also if there are biases, or a weight, the readout or x has a negative entry.
    """
    if net.biases or any((a < 0).any() for a in (*net.weights, net.readout, x)):
        raise ValueError("weights, readout and x must be at least 0, without biases: then h is linear there")
    factor = kept_product(net, alphas)
    return factor * net(x), factor * path_norm(net)


def best_bound(net: ReluNet, alphas: Sequence[float], *, q: Norm) -> tuple[str, float]:
    """The smallest of the bounds for E L_q, and its name: "A+", "B", "C" or "D".

    A is never below A+, nor the Frobenius form of C below C. As ||g||_2 <= ||g||_1 <= sqrt(n_0) ||g||_2 for
    gradients g, B bounds E L_2 as well, and C and D, times sqrt(n_0), bound E L_1.
    """
    scale = 1.0 if q == 2 else math.sqrt(net.widths[0])
    bounds = {
        "A+": percolation_bound(net, alphas, q=q),
        "B": float(path_norm_bound(net, alphas)),
        "C": scale * second_moment_bound(net, alphas),
        "D": scale * bernstein_bound(net, alphas),
    }
    name = min(bounds, key=bounds.__getitem__)
    return name, bounds[name]


def kept_product(net: ReluNet, alphas: Sequence[Any]) -> Any:
    """prod_j (1 - alpha_j), the probability that a given path is open."""
    _check(net, alphas)
    return math.prod(1 - alpha for alpha in alphas)


def _check(net: ReluNet, alphas: Sequence[Any]) -> None:
    if len(alphas) != len(net.weights):
        raise ValueError(
            f"{len(net.weights)} layers of weights, {len(alphas)} alphas: give one for each layer"
        )
    for alpha in alphas:
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha = {alpha}: the probability of a masked weight lies in [0, 1]")
