"""Exact robustness: interval and CROWN bounds, decisions by mixed-integer programming, two-sided metrics."""

from .decisions import decide
from .network import replica, stages
from .two_sided import verify

__all__ = ["decide", "replica", "stages", "verify"]
