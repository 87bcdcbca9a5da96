"""The claims of section 4.3 once more, on models that this package prunes by dynamic network surgery.

The paper judges two published models; its sentences are about a method. Here each seed is operated on at
several depths, so that a fall can be told from a single unlucky run. The rules were written before any row
of these experiments was looked at; the strengths were chosen on two seeds by the sparsity that they lead to.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from sparse_robust.experiments.statistics import paired, per_seed, summary
from sparse_robust.studies.courses import after, describe, images, sharp_fall_comes_first
from sparse_robust.studies.paper import TABLE_2
from sparse_robust.studies.rules import (
    HELD,
    L2,
    LINF,
    SLIGHT,
    EmpiricalClaim,
    Finding,
    Judge,
    Verdict,
    combine,
    comparable,
    dense_mean,
    judge_change,
)

PRINTED = ("FGS", "DeepFool")
"""The attacks of Table 2."""


def deepest(table: pd.DataFrame, tolerance: float = HELD) -> int:
    """The last operation up to which every mean accuracy is within ``tolerance`` of dense; 0 if none."""
    mean = summary(table, "accuracy")["mean"]
    lost = mean.index[mean < mean.loc[0] - tolerance]
    return int(mean.index[-1] if lost.empty else lost[0] - 1)


def stays_competitive(target: float) -> Judge:
    """Surgery reaches the sparsity with accuracy held, within HELD of dense."""

    def judge(table: pd.DataFrame) -> Finding:
        at = summary(table, "accuracy")[["mean", "sparsity"]].astype(float)
        dense, best = at["mean"].loc[0], at.loc[deepest(table)]
        verdict: Verdict = "reproduced" if best["sparsity"] >= target else "not reproduced"
        ours = f"{100 * best['sparsity']:.2f} %: {100 * dense:.2f} → {100 * best['mean']:.2f} %"
        why = (
            f"within {100 * HELD:g} points of dense {after(table, [deepest(table)])}; "
            f"{100 * target:g} % zeros are asked for"
        )
        return Finding(ours, verdict, why)

    return judge


def at_the_deepest(kinds: tuple[tuple[str, str], ...], printed: float) -> Judge:
    """After the deepest operation with competitive accuracy, a rise or fall in each metric, as in the paper.

    Args:
        kinds: metrics and attacks.
        printed: sparse / dense in Table 2, under FGS or DeepFool; under other attacks it prints nothing.
            Printed distances are squared ones, so that a mean distance changes by the square root.
    """
    direction = 1 if printed > 1 else -1

    def judge(table: pd.DataFrame) -> Finding:
        round_, numbers, reasons, verdicts = deepest(table), [], [], []
        if round_ == 0:
            return Finding("", "not reproduced", "no operation leaves accuracy competitive")
        for metric, attack in kinds:
            values = comparable(per_seed(table, metric, attack))
            if not {0, round_} <= set(values.index):
                return Finding("", "not reproduced", f"{attack} failed on an image {after(table, [round_])}")
            change = paired(values, 0, round_)
            dense, sparse = values.loc[0].mean(), values.loc[round_].mean()
            share = abs((printed**0.5 if metric == "r_2" else printed) - 1) if attack in PRINTED else SLIGHT
            verdicts.append(judge_change(change, direction, share * dense_mean(values)))
            square = ", squared" if metric == "r_2_squared" else ""
            numbers.append(f"{attack}{square} {dense:.4f} → {sparse:.4f}")
            reasons.append(f"{attack}{square}{images(table, attack)} {describe(change)}")
        why = f"{after(table, [round_])}, the deepest with competitive accuracy: {'; '.join(reasons)}"
        return Finding("; ".join(numbers), combine(verdicts), why)

    return judge


def _claims(experiment: str, title: str, model: str, target: float) -> Iterator[EmpiricalClaim]:
    dense, sparse = TABLE_2[f"{model}_original"], TABLE_2[f"{model}_sparse"]

    def claim(name: str, says: str, paper: str, judge: Judge) -> EmpiricalClaim:
        full = f"{title} after our own surgery: {says}"
        return EmpiricalClaim(f"{experiment}-{name}", full, "section 4.3, Table 2", paper, experiment, judge)

    word = "higher" if sparse.r_inf > dense.r_inf else "lower"
    squares = tuple((metric, attack) for metric in ("r_2", "r_2_squared") for attack in L2)
    yield claim(
        "competitive",
        "extremely sparse, and accuracy competitive",
        f"{100 * sparse.sparsity:.2f} %, competitive",
        stays_competitive(target),
    )
    yield claim(
        "r2",
        "r_2 lower than dense",
        f"{dense.r_2:.4f} → {sparse.r_2:.4f}",
        at_the_deepest(squares, sparse.r_2 / dense.r_2),
    )
    yield claim(
        "rinf",
        f"r_inf {word} than dense",
        f"{dense.r_inf:.4f} → {sparse.r_inf:.4f}",
        at_the_deepest(tuple(("r_inf", attack) for attack in LINF), sparse.r_inf / dense.r_inf),
    )
    yield claim(
        "r2-falls-earlier",
        "r_2 falls sharply before accuracy degrades",
        "r_2 first, and with other methods too",
        sharp_fall_comes_first(L2),
    )


CLAIMS: tuple[EmpiricalClaim, ...] = (
    *_claims("surgery", "LeNet-300-100", "caffe_lenet300100", 0.98),
    *_claims("surgery-lenet-5", "LeNet-5", "caffe_lenet5", 0.99),
)
