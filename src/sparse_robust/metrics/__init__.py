"""What is measured: accuracy, r_inf, r_2, sparsity, norm ratios, CLEVER; each with n and a standard error."""

from .clever import DUAL, CleverResult, clever
from .estimates import Estimate, accuracy, estimate, failures, r_2, r_inf
from .linear import exact_radius
from .weibull import fit_reverse_weibull
from .weights import sparsity, total_sparsity

__all__ = [
    "DUAL",
    "CleverResult",
    "Estimate",
    "accuracy",
    "clever",
    "estimate",
    "exact_radius",
    "failures",
    "fit_reverse_weibull",
    "r_2",
    "r_inf",
    "sparsity",
    "total_sparsity",
]
