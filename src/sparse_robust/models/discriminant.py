"""Fisher's linear discriminant: a linear classifier in closed form, for examples that train nothing."""

import torch
from torch import Tensor


def linear_discriminant(x: Tensor, y: Tensor, classes: int, *, ridge: float) -> tuple[Tensor, Tensor]:
    r"""The Bayes classifier for Gaussian classes of equal priors that share their covariance.

    w_k = (S + ridge I)^{-1} mu_k and b_k = -w_k . mu_k / 2, with the class means mu_k and the covariance S
    within classes; logit k is w_k . x + b_k, the log posterior up to a constant.

    Args:
        x: [N, D], floating point.
        y: [N], classes 0, ..., classes - 1, each at least once.
        classes: K.
        ridge: added to every variance, in squared pixel units; above 0.

    Returns:
        weight [K, D] and bias [K].

    Raises:
        ValueError: if ridge is not positive or a class has no example.
    """
    if ridge <= 0:
        raise ValueError(f"ridge must be above 0, got {ridge}")
    counts = y.bincount(minlength=classes)
    if len(counts) != classes or (counts == 0).any():
        raise ValueError(f"every class 0..{classes - 1} needs an example, got counts {counts.tolist()}")
    means = torch.stack([x[y == k].mean(0) for k in range(classes)])
    centred = x - means[y]
    within = centred.mT @ centred / len(x) + ridge * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    weight = torch.linalg.solve(within, means.mT).mT
    return weight, -(weight * means).sum(1) / 2
