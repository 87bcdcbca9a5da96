"""Attacks, one contract (see :mod:`.contract`).

=============  ==================================================================
in l_infinity  FGS, rFGS, PGD, APGD
in l_2         DeepFool, C&W, and :func:`minimal_l2`, which fails only where the
               model tells no two classes apart
=============  ==================================================================
"""

from .adaptive_pgd import adaptive_projected_gradient_descent
from .carlini_wagner import carlini_wagner
from .contract import AttackResult
from .deepfool import deepfool
from .fgs import fast_gradient_sign, random_fast_gradient_sign, random_signs
from .minimal import Way, minimal_l2
from .projected_gradient import projected_gradient_descent
from .projection import cross

__all__ = [
    "AttackResult",
    "Way",
    "adaptive_projected_gradient_descent",
    "carlini_wagner",
    "cross",
    "deepfool",
    "fast_gradient_sign",
    "minimal_l2",
    "projected_gradient_descent",
    "random_fast_gradient_sign",
    "random_signs",
]
