"""What is measured: accuracy, r_inf, r_2, sparsity, norm ratios; each with n and a standard error."""

from .estimates import Estimate, accuracy, estimate, failures, r_2, r_inf
from .linear import exact_radius
from .weights import norm_ratio, sparsity, total_sparsity

__all__ = [
    "Estimate",
    "accuracy",
    "estimate",
    "exact_radius",
    "failures",
    "norm_ratio",
    "r_2",
    "r_inf",
    "sparsity",
    "total_sparsity",
]
