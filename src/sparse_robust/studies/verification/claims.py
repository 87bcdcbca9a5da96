"""What is certain about pruned LeNet-300-100, and what CLEVER scores are worth: claims of this book.

The rules were written before any row of the paper's scale was seen.
"""

from __future__ import annotations

from itertools import pairwise

import pandas as pd

from sparse_robust.experiments.statistics import per_seed
from sparse_robust.studies.rules import EmpiricalClaim, Finding, Verdict, combine, held_rounds

from .specs import CERTIFICATES, EPS, VERIFICATION

R_INF, R_2 = "verification l_inf", "verification l_2"

NORMS = {"certificates l_2": "l_2", "certificates l_inf": "l_inf"}

DECIDED = 0.95
"""The share of images above which a network counts as verified."""


def at_eps(table: pd.DataFrame, eps: float) -> pd.DataFrame:
    """The rows of the variant of one radius."""
    return table[table.variant == EPS.index(eps)]


def best_certified(table: pd.DataFrame, eps: float) -> int | None:
    """The pruned round, accuracy held, with the largest certified r_inf; None if none is held."""
    own = at_eps(table, eps)
    rounds = [r for r in held_rounds(own) if r > 0]
    if not rounds:
        return None
    means = per_seed(own, "r_inf_certified", R_INF).loc[rounds].mean(axis=1)
    return int(means.index[int(means.argmax())])


def judge_gain(table: pd.DataFrame) -> Finding:
    """Certified r_inf of pruned models is above the attacked r_inf of dense ones, in every seed.

    Then the exact r_inf is, too. Reproduced if at both radii, partly if at one or on average.
    """
    numbers, verdicts = [], []
    for eps in EPS:
        own, best = at_eps(table, eps), best_certified(table, eps)
        if best is None:
            return Finding("", "not reproduced", "accuracy is held in no pruned round")
        dense = per_seed(own, "r_inf_attacked", R_INF).loc[0]
        pruned = per_seed(own, "r_inf_certified", R_INF).loc[best]
        above = pruned > dense
        verdict: Verdict = (
            "reproduced" if above.all() else "partly" if pruned.mean() > dense.mean() else "not reproduced"
        )
        verdicts.append(verdict)
        numbers.append(
            f"eps {eps:g}: dense at most {dense.mean():.4f}, round {best} at least {pruned.mean():.4f}"
            f" ({above.to_numpy().sum()} of {len(above)} seeds)"
        )
    n = table[table.attack == R_INF].n.max()
    why = f"attacked r_inf is an upper, certified r_inf a lower bound of the exact one; first {n} images"
    return Finding("; ".join(numbers), combine(verdicts), why)


def judge_easier(table: pd.DataFrame) -> Finding:
    """Unstable ReLUs fall from each measured round to the next, and DECIDED of all images are decided.

    The latter in the last round with accuracy held, at both radii; partly if only one of the two is true.
    """
    falls, ends, numbers = True, [], []
    for eps in EPS:
        own = at_eps(table, eps)
        unstable = per_seed(own, "unstable", R_INF).mean(axis=1)
        decided = per_seed(own, "decided", R_INF).mean(axis=1)
        falls &= all(after < before for before, after in pairwise(unstable))
        last = held_rounds(own)[-1]
        ends.append(decided.loc[last])
        numbers.append(
            f"eps {eps:g}: {unstable.loc[0]:.0f} → {unstable.loc[last]:.0f} unstable ReLUs,"
            f" {decided.loc[0]:.2f} → {decided.loc[last]:.2f} decided in round {last}"
        )
    whole = all(end >= DECIDED for end in ends)
    verdict: Verdict = "reproduced" if falls and whole else "partly" if falls or whole else "not reproduced"
    why = f"unstable ReLUs fall in {'every' if falls else 'not every'} round; {DECIDED} has to be decided"
    return Finding("; ".join(numbers), verdict, why)


def judge_clever(table: pd.DataFrame) -> Finding:
    """No score is above the exact distance: reproduced if all are below, partly if none is known above."""
    numbers, verdicts = [], []
    for attack, norm in NORMS.items():
        above, below = (
            table[(table.metric == m) & (table.attack == attack)] for m in ("clever_above", "clever_below")
        )
        counts = [round(float((part.value * part.n).sum())) for part in (above, below)]
        images = int(above.n.sum())
        verdict: Verdict = (
            "not reproduced" if counts[0] else "reproduced" if counts[1] == images else "partly"
        )
        verdicts.append(verdict)
        numbers.append(
            f"{norm}: {counts[0]} of {images} scores above the exact distance, {counts[1]} at most it"
        )
    return Finding("; ".join(numbers), combine(verdicts), "the rest lies between certificate and attack")


CLAIMS: tuple[EmpiricalClaim, ...] = (
    EmpiricalClaim(
        "verified-rinf-gain",
        "LeNet-300-100: some pruned models certainly have a larger r_inf than the dense ones",
        "section 4.2, Figure 2 (a); beyond the paper",
        "larger under FGS",
        VERIFICATION.name,
        judge_gain,
    ),
    EmpiricalClaim(
        "verified-easier",
        "LeNet-300-100: the sparser, the easier to verify",
        "Xiao et al. 2019; beyond the paper",
        "not in the paper",
        VERIFICATION.name,
        judge_easier,
    ),
    EmpiricalClaim(
        "clever-below-distance",
        "LeNet-300-100: CLEVER scores are at most the exact distance",
        "section 4.2, Table 3; beyond the paper",
        "scores estimate a lower bound",
        CERTIFICATES.name,
        judge_clever,
    ),
)
