"""Every measurement by the name of its attack; a new one is an entry here."""

from collections.abc import Mapping

from sparse_robust import attacks

from . import clean
from .clever_scores import NORMS, clever_scores
from .contract import Measurement
from .minimal_norm import minimal_norm
from .one_step import one_step

CLEAN = Measurement(clean.names, clean.measure)
"""What needs no attack."""

MEASUREMENTS: Mapping[str, Measurement] = {
    "FGS": one_step("FGS", attacks.fast_gradient_sign),
    "rFGS": one_step("rFGS", attacks.random_fast_gradient_sign, signs=True),
    "DeepFool": minimal_norm("DeepFool", attacks.deepfool, in_box=False, traces_failures=True),
    "C&W": minimal_norm("C&W", attacks.carlini_wagner, in_box=True),
    # stronger than those of the paper
    "PGD": one_step("PGD", attacks.projected_gradient_descent),
    "APGD": one_step("APGD", attacks.adaptive_projected_gradient_descent),
    "minimal l_2": minimal_norm("minimal l_2", attacks.minimal_l2, in_box=True),
    **{name: clever_scores(name, p) for name, p in NORMS.items()},
}
"""By the attack's name, as the paper calls it, or that of an estimate of what no attack can do, CLEVER."""
