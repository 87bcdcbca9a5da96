"""The claims about CLEVER scores along the pruning path (paper, section 4.2).

The rule is that of the other robustness metrics of pruned networks, and was chosen before any row was
seen. Only some rounds are measured, so that a threshold is found no more finely than that. The numbers of
the paper's Table 3 are in a supplement that was not at hand; none is compared.
"""

from sparse_robust.measurements.clever_scores import NORMS
from sparse_robust.studies.courses import rises
from sparse_robust.studies.rules import EmpiricalClaim

CLAIMS: tuple[EmpiricalClaim, ...] = tuple(
    EmpiricalClaim(
        f"clever-{attack.removeprefix('CLEVER ').replace('_', '')}-rises",
        f"LeNet-300-100: {attack} scores rise with sparsity",
        "section 4.2, Table 3",
        "up with sparsity to a threshold",
        "clever",
        rises((("clever", attack),)),
    )
    for attack in NORMS
)
