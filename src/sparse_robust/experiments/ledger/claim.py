"""What a claim of the ledger is, what is found of it, and the constants that all rules share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

Verdict = Literal["reproduced", "partly", "not reproduced", "not run"]

ALPHA = 0.01
"""Level of every test, divided by the number of rounds searched where rounds are searched."""

HELD = 0.01
"""Benign accuracy counts as held while its mean is within one point of the dense references'."""

SLIGHT = 0.1
"""A relative fall of r_2 up to this counts as slight, a larger one as sharp."""

LINF, L2 = ("FGS", "rFGS"), ("DeepFool", "C&W")


@dataclass(frozen=True)
class Finding:
    """What the rows say of one claim.

    Attributes:
        ours: our number or numbers, printable.
        verdict: by the rule of the claim.
        why: what the verdict rests on, in a sentence.
    """

    ours: str
    verdict: Verdict
    why: str


Judge = Callable[[pd.DataFrame], Finding]
"""Rows -> finding."""


@dataclass(frozen=True)
class EmpiricalClaim:
    """A sentence, figure or table of the paper as a predicate over rows.

    Attributes:
        name: unique, as the ledger and the chapters refer to it.
        says: what the paper claims, in our words.
        source: where.
        paper: the paper's number, or what its figure shows.
        experiment: whose rows decide.
        judge: rows -> finding.
    """

    name: str
    says: str
    source: str
    paper: str
    experiment: str
    judge: Judge
