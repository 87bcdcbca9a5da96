"""Attacks: FGS, rFGS, DeepFool and C&W, one contract (see :mod:`.contract`)."""

from .carlini_wagner import carlini_wagner
from .contract import AttackResult
from .deepfool import deepfool
from .fgs import fast_gradient_sign, random_fast_gradient_sign, random_signs
from .projection import cross

__all__ = [
    "AttackResult",
    "carlini_wagner",
    "cross",
    "deepfool",
    "fast_gradient_sign",
    "random_fast_gradient_sign",
    "random_signs",
]
