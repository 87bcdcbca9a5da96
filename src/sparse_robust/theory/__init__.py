"""What can be proved: checked statements, exact finite laws, and the bounds as functions."""

from .bounds import (
    ClassMoments,
    area_under_rinf,
    binary_r2,
    binary_rinf_bound,
    bounded_lower,
    cantelli_lower,
    class_margins,
    class_moments,
    multiclass_bound,
    multiclass_bound_plus,
    norm_ratio,
    product_zero_probability,
    vacuity_threshold,
)
from .claims import Claim, Verdict, ancestors, claim, fully_checked, get, registry, run
from .laws import Atom, Binary, FiniteLaw, Multiclass
from .ledger import check_all, gaps, proof_table, summary, table

__all__ = [
    "Atom",
    "Binary",
    "Claim",
    "ClassMoments",
    "FiniteLaw",
    "Multiclass",
    "Verdict",
    "ancestors",
    "area_under_rinf",
    "binary_r2",
    "binary_rinf_bound",
    "bounded_lower",
    "cantelli_lower",
    "check_all",
    "claim",
    "class_margins",
    "class_moments",
    "fully_checked",
    "gaps",
    "get",
    "multiclass_bound",
    "multiclass_bound_plus",
    "norm_ratio",
    "product_zero_probability",
    "proof_table",
    "registry",
    "run",
    "summary",
    "table",
    "vacuity_threshold",
]
