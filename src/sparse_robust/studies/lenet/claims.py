"""The claims about pruned LeNet-300-100 and LeNet-5 (paper, sections 4.2 and 4.3, Figures 2 (a-d) and 3).

Their rules are those of every pruning path (:mod:`~sparse_robust.studies.courses`). Which of two definitions
of r_2 a printed number is compared with was settled by the authors' own published models, not by these rows:
their printed r_2 (Table 2) is met far better by the mean squared distance than by the mean distance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from sparse_robust.studies.courses import course_claims
from sparse_robust.studies.paper import PAPER, PaperNumber
from sparse_robust.studies.rules import EmpiricalClaim, Finding, Judge, judge_number, number

RINF_TOLERANCE = 0.01
"""One point of accuracy on adversarial examples, twice the standard error over the test images."""

R2_TOLERANCE = 0.03
"""Relative: how far the mean squared distance is from the paper's on the authors' own models (Table 2)."""


def mean_square(printed: PaperNumber) -> Judge:
    """The printed r_2 of the dense references as a mean squared distance; the mean distance beside it."""

    def judge(table: pd.DataFrame) -> Finding:
        tolerance = R2_TOLERANCE * printed.value
        square = judge_number(table, "r_2_squared", "DeepFool", 0, printed, tolerance)
        plain = judge_number(table, "r_2", "DeepFool", 0, printed, tolerance)
        note = "; the mean square is compared, as the authors' own published models meet Table 2 in it"
        why = f"{square.why}{note}. Mean distance: {plain.why}"
        return replace(square, ours=f"mean square {square.ours}; mean distance {plain.ours}", why=why)

    return judge


def _claims(net: str, title: str, panels: str) -> Iterator[EmpiricalClaim]:
    """The claims about one network; Table 1's first row is of the same references."""
    dense = PAPER[f"{net}-r2-dense"]
    yield number(f"{net}-accuracy", f"{title}: accuracy of the dense models", net, "accuracy", "", 0, 0.0)
    yield number(
        f"{net}-rinf-dense", f"{title}, dense: r_inf under FGS", net, "r_inf", "FGS", 0, RINF_TOLERANCE
    )
    says = f"{title}: dense: r_2 under DeepFool"
    yield EmpiricalClaim(f"{net}-r2-dense", says, dense.source, str(dense), net, mean_square(dense))
    yield from course_claims(net, title, f"Figures 2 ({panels}) and 3")


CLAIMS: tuple[EmpiricalClaim, ...] = (
    *_claims("lenet-300-100", "LeNet-300-100", "a-b"),
    *_claims("lenet-5", "LeNet-5", "c-d"),
)
