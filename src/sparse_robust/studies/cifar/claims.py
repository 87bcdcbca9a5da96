"""The claims about the pruned VGG-like net and ResNet-32 on CIFAR-10 (paper, section 4.2, Figure 2 (e-h)).

"The same observations can be made", says the paper: so the rules are those of the LeNets, and no row of
these networks had been seen when they were taken over. Where DeepFool fails the paper disregards all its
iterations but the first, and so do these claims (:mod:`~sparse_robust.measurements.first_step`); whether
it does fail on ResNets is a claim of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from sparse_robust.experiments.statistics import per_seed
from sparse_robust.measurements.first_step import FIRST_STEP
from sparse_robust.studies.courses import course_claims
from sparse_robust.studies.paper import PAPER
from sparse_robust.studies.rules import EmpiricalClaim, Finding, Judge, Verdict, held_rounds, number

ACCURACY_TOLERANCE = 0.0026
"""A standard error of an accuracy of .93 on ten thousand images; the paper prints no spread."""


def with_first_steps(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with failures of DeepFool counted as the paper counts them, by their first iteration."""
    deepfool = table.attack == "DeepFool"
    names = {first: metric for metric, first in FIRST_STEP.items()}
    kept = table[~(deepfool & table.metric.isin(FIRST_STEP))]
    renamed = kept.metric.where(kept.attack != "DeepFool", kept.metric.replace(names))
    return kept.assign(metric=renamed).reset_index(drop=True)


def as_the_paper(judge: Judge) -> Judge:
    """A rule, applied to :func:`with_first_steps`; it says which images these were."""

    def judged(table: pd.DataFrame) -> Finding:
        finding = judge(with_first_steps(table))
        return replace(finding, why=f"{finding.why}; {', '.join(sorted(set(table.data_description)))}")

    return judged


def judge_resistance(table: pd.DataFrame) -> Finding:
    """Reproduced if DeepFool fails on some image for most seeds, accuracy held; partly if for any seed."""
    failed = per_seed(table, "failures", "DeepFool").loc[held_rounds(table)]
    hit = (failed > 0).any()
    n = table[(table.metric == "failures") & (table.attack == "DeepFool")].n.max()
    verdict: Verdict = "reproduced" if hit.mean() > 0.5 else "partly" if hit.any() else "not reproduced"
    ours = f"dense {failed.loc[0].mean():.1f} of {n} images, at most {failed.mean(axis=1).max():.1f}"
    why = f"DeepFool fails for {hit.sum()} of {len(hit)} seeds in {len(failed)} rounds with accuracy held"
    return Finding(ours, verdict, why)


def _claims(net: str, title: str, panels: str) -> Iterator[EmpiricalClaim]:
    """The claims about one network."""
    says = f"{title}: accuracy of the dense models"
    claims = [number(f"{net}-accuracy", says, net, "accuracy", "", 0, ACCURACY_TOLERANCE)]
    claims += course_claims(net, title, f"Figure 2 ({panels})")
    for claim in claims:
        yield replace(claim, judge=as_the_paper(claim.judge))


CLAIMS: tuple[EmpiricalClaim, ...] = (
    *_claims("vgg", "VGG-like net", "e-f"),
    *_claims("resnet-32", "ResNet-32", "g-h"),
    EmpiricalClaim(
        "resnet-32-resists",
        "ResNet-32: some images resist DeepFool",
        PAPER["resnet-32-accuracy"].source,
        "some",
        "resnet-32",
        judge_resistance,
    ),
)
