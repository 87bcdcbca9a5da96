"""What is left of the paper's conclusions about r_inf and r_2 under stronger attacks: claims of this book.

The rules were written before any row was seen. A model is compared with the dense one of its own seed, on the
same images.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sparse_robust.experiments.statistics import per_seed
from sparse_robust.studies.rules import (
    EmpiricalClaim,
    Finding,
    Judge,
    Verdict,
    combine,
    comparable,
    held_rounds,
    peak_round,
)

EXPERIMENT = "strong-attacks"

WEAK_LINF, STRONG_LINF = "FGS", ("PGD", "APGD")
STRONG_L2 = ("DeepFool in the box", "minimal l_2")

Z = 3.29
"""Standard errors over images that count as a difference, two-sided level 0.001; those of two models are
added in squares, as if their images were different ones."""

SLACK = 0.01
"""r_inf under FGS counts as that under stronger attacks up to so much above it, as near up to five times."""


def errors(table: pd.DataFrame, metric: str, attack: str) -> pd.DataFrame:
    """Standard errors over images of one number of every model: rounds down, seeds across."""
    chosen = table[(table.metric == metric) & (table.attack == attack)]
    return chosen.pivot(index="round", columns="seed", values="stderr")


def best_round(table: pd.DataFrame, metric: str, attack: str) -> int | None:
    """The pruned round, accuracy held, with the largest mean; None if there is none to compare with dense."""
    values = comparable(per_seed(table, metric, attack))
    rounds = [r for r in held_rounds(table) if r > 0 and r in values.index]
    return peak_round(values.loc[rounds]) if rounds and 0 in values.index else None


def gains(metric: str, attacks: tuple[str, ...]) -> Judge:
    """Under each attack some pruned models, accuracy held, are above the dense ones.

    Reproduced if in every seed, and by Z standard errors; partly if on average.
    """

    def judge(table: pd.DataFrame) -> Finding:
        numbers, reasons, verdicts = [], [], []
        for attack in attacks:
            best = best_round(table, metric, attack)
            if best is None:
                return Finding("", "not reproduced", f"no pruned round to compare under {attack}")
            values, error = per_seed(table, metric, attack), errors(table, metric, attack)
            change = values.loc[best] - values.loc[0]
            scale = np.hypot(error.loc[best], error.loc[0])
            verdict: Verdict = (
                "reproduced"
                if bool((change >= Z * scale).all())
                else "partly"
                if change.to_numpy(dtype=float).mean() > 0
                else "not reproduced"
            )
            verdicts.append(verdict)
            numbers.append(f"{attack} {values.loc[0].mean():.4f} → {values.loc[best].mean():.4f}")
            least = float((change / scale).min())
            reasons.append(f"{attack} in round {best}, least of the seeds {least:+.1f} s.e.")
        seeds, n = table.seed.nunique(), table[table.attack == attacks[0]].n.max()
        why = f"{'; '.join(reasons)}; {seeds} seeds, first {n} images; {Z} s.e. count"
        return Finding("; ".join(numbers), combine(verdicts), why)

    return judge


def gaps(table: pd.DataFrame) -> pd.Series:
    """r_inf under FGS less the smallest under a stronger attack, a mean over seeds for each round."""
    strong = pd.concat([per_seed(table, "r_inf", attack) for attack in STRONG_LINF]).groupby(level=0).min()
    gap: pd.Series = (per_seed(table, "r_inf", WEAK_LINF) - strong).mean(axis=1)
    return gap


def judge_weak(table: pd.DataFrame) -> Finding:
    """The mean gap is at most SLACK in every round, accuracy held; partly up to five times that."""
    gap = gaps(table).loc[held_rounds(table)]
    worst = float(gap.max())
    verdict: Verdict = (
        "reproduced" if worst <= SLACK else "partly" if worst <= 5 * SLACK else "not reproduced"
    )
    why = f"r_inf under FGS less that under {' or '.join(STRONG_LINF)}; largest in round {gap.idxmax()}"
    return Finding(f"{gap.loc[0]:+.4f} dense, {worst:+.4f} at most", verdict, f"{why}; {SLACK} is allowed")


CLAIMS: tuple[EmpiricalClaim, ...] = (
    EmpiricalClaim(
        "strong-rinf-gain",
        "LeNet-300-100: pruned models have a larger r_inf than dense ones under stronger attacks, too",
        "section 4.2, Figure 2 (a); beyond the paper",
        "larger under FGS",
        EXPERIMENT,
        gains("r_inf", STRONG_LINF),
    ),
    EmpiricalClaim(
        "strong-r2-gain",
        "LeNet-300-100: pruned models have a larger r_2 than dense ones under nearly minimal attacks, too",
        "section 4.2, Figure 2 (b); beyond the paper",
        "larger under DeepFool",
        EXPERIMENT,
        gains("r_2", STRONG_L2),
    ),
    EmpiricalClaim(
        "strong-fgs-suffices",
        "LeNet-300-100: one step of FGS measures the r_inf that stronger attacks leave",
        "section 3.1; beyond the paper",
        "r_inf is defined by FGS",
        EXPERIMENT,
        judge_weak,
    ),
)
