"""The numeric side of the theory: exact distributions and nets, Lipschitz constants, bounds as functions."""

from .certificates import (
    best_certificate,
    certificate,
    certified_r2,
    certified_rinf,
    network_certificate,
    rivals,
)
from .distance import distance
from .laws import Binary, FiniteLaw, Multiclass
from .lipschitz import lipschitz_power
from .networks import ReluNet, exact_net, float_net, fractions
from .regions import Ball, Region, regions

__all__ = [
    "Ball",
    "Binary",
    "FiniteLaw",
    "Multiclass",
    "Region",
    "ReluNet",
    "best_certificate",
    "certificate",
    "certified_r2",
    "certified_rinf",
    "distance",
    "exact_net",
    "float_net",
    "fractions",
    "lipschitz_power",
    "network_certificate",
    "regions",
    "rivals",
]
