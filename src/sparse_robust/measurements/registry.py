"""Every measurement by the name of its attack; a new one is an entry here."""

from collections.abc import Mapping
from math import inf

from sparse_robust import attacks

from . import clean
from .clever_scores import NORMS, clever_scores
from .contract import Measurement
from .minimal_norm import minimal_norm
from .one_step import one_step
from .verified import certificates, two_sided_r_2, two_sided_r_inf

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
    "DeepFool in the box": minimal_norm("DeepFool in the box", attacks.deepfool, in_box=True),
    "verification l_inf": two_sided_r_inf("verification l_inf"),
    "verification l_2": two_sided_r_2("verification l_2"),
    "certificates l_2": certificates("certificates l_2", 2),
    "certificates l_inf": certificates("certificates l_inf", inf),
}
"""By the attack's name, as the paper calls it, or that of what no attack can do: CLEVER and certificates."""
