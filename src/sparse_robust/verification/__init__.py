"""Exact robustness: interval and CROWN bounds, decisions by mixed-integer programming, two-sided metrics."""

from .crown import Ascent, Bounds, crown_bounds, interval_bounds, margin_bounds
from .decisions import Decisions, decide
from .milp import Solver
from .neighbourhood import Neighbourhood
from .network import compact, replica, stages
from .radius import attack_radius, certified_radius
from .two_sided import VerificationResult, verify

__all__ = [
    "Ascent",
    "Bounds",
    "Decisions",
    "Neighbourhood",
    "Solver",
    "VerificationResult",
    "attack_radius",
    "certified_radius",
    "compact",
    "crown_bounds",
    "decide",
    "interval_bounds",
    "margin_bounds",
    "replica",
    "stages",
    "verify",
]
