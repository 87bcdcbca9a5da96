"""What Theorems 3.1 and 3.2 say about a linear model, as printed and sharpened, as functions.

Shapes: ``...`` leading axes such as replicas; n input coordinates; K classes. Binary models have
``w [..., n]`` and ``b [...]`` with score w.x + b and labels -1, +1, in that order wherever a class axis
occurs; multi-class models have ``weight [..., K, n]`` (row k is the paper's column w_k) and
``bias [..., K]``. Arrays may be torch tensors or numpy arrays; results are torch tensors. Perturbations
and radii are in the units of x.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Array = Tensor | np.ndarray
Norm = Literal[1, 2]
"""The norm of the weights: dual to that of the perturbation, 1 for l_inf attacks and 2 for l_2."""


@dataclass(frozen=True)
class ClassMoments:
    """The conditional moments that the bounds are made of, estimated on a test set.

    Attributes:
        prior: P(y = k), ``[..., K]``.
        accuracy: t_k = P(yhat = k | y = k), ``[..., K]``.
        mean: mu_k = E(x | y = yhat = k), ``[..., K, n]``; zero where a class has no correct
            example, which t_k = 0 then weighs with zero.
    """

    prior: Tensor
    accuracy: Tensor
    mean: Tensor


def class_moments(x: Array, y: Array, correct: Array, classes: int) -> ClassMoments:
    """P(y = k), t_k and mu_k of a test set.

    Args:
        x: inputs, ``[N, n]``.
        y: class indices 0 .. classes-1, ``[N]``.
        correct: which predictions are right, boolean ``[..., N]``.
        classes: K.

    Raises:
        ValueError: if a class has no example at all.

    Reference: paper, section 3.1, the definition of mu_k before Theorem 3.1.
    """
    inputs, right = torch.as_tensor(x), torch.as_tensor(correct)
    member = torch.nn.functional.one_hot(torch.as_tensor(y).long(), classes).to(inputs.dtype)  # [N, K]
    size = member.sum(0)
    if bool((size == 0).any()):
        missing = [k for k in range(classes) if size[k] == 0]
        raise ValueError(f"y has no example of class {missing}; t_k and mu_k need at least one per class")
    hit = right.to(inputs.dtype).unsqueeze(-1) * member  # [..., N, K]
    hits = hit.sum(-2)
    prior = (size / size.sum()).expand_as(hits)
    return ClassMoments(prior, hits / size, (hit.mT @ inputs) / hits.clamp_min(1).unsqueeze(-1))


def norm_ratio(w: Array) -> Tensor:
    """kappa(w) = ||w||_1 / ||w||_2, from 1 to sqrt(number of nonzero weights); ``[..., n] -> [...]``."""
    v = torch.as_tensor(w)
    return v.norm(p=1, dim=-1) / v.norm(p=2, dim=-1)


def class_margins(w: Array, mean: Array, b: Array | float = 0.0) -> Tensor:
    """m_k = E(k (w.x + b) | y = yhat = k) for k = -1, +1; ``w [..., n], mean [..., 2, n] -> [..., 2]``."""
    v, mu = torch.as_tensor(w), torch.as_tensor(mean)
    score = (mu @ v.unsqueeze(-1)).squeeze(-1) + torch.as_tensor(b).unsqueeze(-1)
    return score * score.new_tensor([-1.0, 1.0])


def binary_r2(w: Array, moments: ClassMoments, b: Array | float = 0.0) -> Tensor:
    """The identity for r_2: sum_k pi_k t_k k (w.mu_k + b) / ||w||_2.

    With equal priors and equal accuracies b cancels, and this is the left half of the paper's equation (2),
    r_2 = (t/2) w.(mu_+ - mu_-) / ||w||_2. The norm is that of w alone (`err-bias`). ``[...]``, units of x.
    """
    return _average(moments, class_margins(w, moments.mean, b)) / torch.as_tensor(w).norm(p=2, dim=-1)


def binary_rinf_bound(w: Array, moments: ClassMoments, eps: float, b: Array | float = 0.0) -> Tensor:
    """The upper bound for r_inf: sum_k pi_k t_k k (w.mu_k + b) / (eps ||w||_1) = r_2 / (eps kappa).

    With equal priors and accuracies the right half of the paper's equation (2). ``[...]``, dimensionless.

    Raises:
        ValueError: if eps is not positive.
    """
    _positive(eps)
    return binary_r2(w, moments, b) / (eps * norm_ratio(w))


def vacuity_threshold(r2: Array | float, eps: float, accuracy: Array | float) -> Tensor:
    """The printed bound is at least t, so says nothing, exactly for kappa <= r_2 / (eps t) (`err-vacuous`).

    As kappa <= sqrt(nnz), it is vacuous for every model with nnz at most the square of this number.
    """
    _positive(eps)
    return torch.as_tensor(r2) / (eps * torch.as_tensor(accuracy))


def area_under_rinf(w: Array, r2: Array) -> Tensor:
    """The area under eps -> r_inf(eps), exactly r_2 / kappa(w) for every law (this book). ``[...]``."""
    return torch.as_tensor(r2) / norm_ratio(w)


def cantelli_lower(
    w: Array, moments: ClassMoments, variance: Array, eps: float, b: Array | float = 0.0
) -> Tensor:
    """r_inf >= sum over {k: m_k > a} of pi_k t_k (m_k - a)^2 / (s_k^2 + (m_k - a)^2) (this book).

    a = eps ||w||_1 is the drop that the attack achieves. ``[...]``, dimensionless.

    Args:
        w: ``[..., n]``.
        moments: see class_moments.
        variance: s_k^2, the variance of w.x given y = yhat = k, ``[..., 2]``.
        eps: radius of the attack.
        b: ``[...]``.
    """
    _positive(eps)
    gap = _gap(w, moments, eps, b)
    return _average(moments, gap**2 / (torch.as_tensor(variance) + gap**2), absent=gap == 0)


def bounded_lower(w: Array, moments: ClassMoments, eps: float, b: Array | float = 0.0) -> Tensor:
    """For x in [0, 1]^n: r_inf >= sum over {k: m_k > a} of pi_k t_k (m_k - a) / (M_k - a) (this book).

    M_k = sum_i max(k w_i, 0) + k b is the largest margin in the box and a = eps ||w||_1. ``[...]``.
    """
    _positive(eps)
    v = torch.as_tensor(w)
    gap = _gap(w, moments, eps, b)
    offset = torch.as_tensor(b).to(v.dtype)
    largest = torch.stack([(-v).clamp_min(0).sum(-1) - offset, v.clamp_min(0).sum(-1) + offset], -1)
    width = largest - eps * v.norm(p=1, dim=-1, keepdim=True)
    return _average(moments, gap / width, absent=gap == 0)


def multiclass_bound(weight: Array, moments: ClassMoments, bias: Array | None = None, *, q: Norm) -> Tensor:
    """The right sides of the paper's equation (6), before the division by eps.

    sum_k pi_k t_k ((w_k - wbar).mu_k + b_k - bbar) / ||w_k - wbar||_q, with pi_k t_k = t/c under the
    assumptions of Theorem 3.2. q = 2 bounds r_2; q = 1, divided by eps, bounds r_inf under (I) and (II),
    and under the optimal attack without them. Biases do not cancel here (`err-bias-classes`).
    ``[...]``, units of x.
    """
    rows = torch.as_tensor(weight)
    centred = rows - rows.mean(-2, keepdim=True)
    margin = (centred * moments.mean).sum(-1)
    if bias is not None:
        offset = torch.as_tensor(bias)
        margin = margin + offset - offset.mean(-1, keepdim=True)
    return _average(moments, margin / centred.norm(p=q, dim=-1))


def multiclass_bound_plus(
    weight: Array, moments: ClassMoments, bias: Array | None = None, *, q: Norm
) -> Tensor:
    """Theorem 3.2+ (this book): sum_k pi_k t_k min_e (v_e.mu_k + b_k - b_e) / ||v_e||_q.

    Never larger than multiclass_bound, and a bound for the same quantities. ``[...]``, units of x.
    """
    rows = torch.as_tensor(weight)
    rivals = rows.unsqueeze(-2) - rows.unsqueeze(-3)  # v_e at [..., k, e, :]
    margin = (rivals * moments.mean.unsqueeze(-2)).sum(-1)
    if bias is not None:
        offset = torch.as_tensor(bias)
        margin = margin + offset.unsqueeze(-1) - offset.unsqueeze(-2)
    own = torch.eye(rows.shape[-2], dtype=torch.bool)
    nearest = (margin / rivals.norm(p=q, dim=-1)).masked_fill(own.to(margin.device), torch.inf).amin(-1)
    return _average(moments, nearest)


def product_zero_probability(sparsity: float, hidden: int) -> float:
    """Pr(entry of W_1 W_2 is 0) = (1 - (1 - sparsity)^2)^hidden for generic weights under random masks.

    Reference: paper, section 3.1, last paragraph ("higher sparsity of the multipliers ...").
    """
    return (1 - (1 - sparsity) ** 2) ** hidden


def _gap(w: Array, moments: ClassMoments, eps: float, b: Array | float) -> Tensor:
    """max(m_k - eps ||w||_1, 0), ``[..., 2]``."""
    return (
        class_margins(w, moments.mean, b) - eps * torch.as_tensor(w).norm(p=1, dim=-1, keepdim=True)
    ).clamp_min(0)


def _average(moments: ClassMoments, value: Tensor, absent: Tensor | None = None) -> Tensor:
    """sum_k pi_k t_k value_k, where a class that contributes nothing may have any value, 0 / 0 included."""
    mass = moments.prior * moments.accuracy
    idle = mass == 0 if absent is None else (mass == 0) | absent
    return (mass * value).masked_fill(idle, 0).sum(-1)


def _positive(eps: float) -> None:
    if not eps > 0:
        raise ValueError(f"eps = {eps}: the bounds for r_inf need a positive radius")
