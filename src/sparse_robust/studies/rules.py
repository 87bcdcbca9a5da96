"""What a claim of the ledger is, and the rules that the claims of several studies share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from sparse_robust.experiments.statistics import Paired, paired, summary

from .paper import PAPER, PaperNumber

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


def judge_number(
    table: pd.DataFrame,
    metric: str,
    attack: str,
    round_: int,
    printed: PaperNumber,
    tolerance: float,
    note: str = "",
) -> Finding:
    """A printed number: reproduced within ``tolerance``, partly within five times that.

    ``tolerance`` is in the number's own unit; the paper's spread over seeds is added to it.
    """
    at = summary(table, metric, attack)
    round_ = at.index[-1] if round_ < 0 else round_
    mean, spread, seeds = map(float, at.loc[round_, ["mean", "spread", "seeds"]])
    ours = PaperNumber(mean, spread if seeds > 1 else None, "", printed.percent)
    off = mean - printed.value
    allowed = tolerance + (printed.spread or 0.0)
    verdict: Verdict = (
        "reproduced" if abs(off) <= allowed else "partly" if abs(off) <= 5 * allowed else "not reproduced"
    )
    points = (
        f"{round(100 * off, 2) + 0.0:+.2f} points"
        if printed.percent
        else f"{off:+.4f} ({100 * off / printed.value:+.1f} %)"
    )
    return Finding(str(ours), verdict, f"off by {points}; {int(seeds)} seeds{note}")


def number(
    name: str,
    says: str,
    experiment: str,
    metric: str,
    attack: str,
    round_: int,
    tolerance: float,
    note: str = "",
) -> EmpiricalClaim:
    """The claim that a printed number is right; ``name`` is its name in PAPER, too."""
    printed = PAPER[name]
    return EmpiricalClaim(
        name,
        says,
        printed.source,
        str(printed),
        experiment,
        lambda table: judge_number(table, metric, attack, round_, printed, tolerance, note),
    )


def judge_change(change: Paired, direction: int, level: float = ALPHA) -> Verdict:
    """A claimed rise (+1) or fall (-1): reproduced if significant, partly if only the sign is right."""
    if change.mean * direction <= 0:
        return "not reproduced"
    return "reproduced" if change.p < level else "partly"


def combine(verdicts: Collection[Verdict]) -> Verdict:
    """A claim about several attacks: what all of them agree on, else partly."""
    return next(iter(verdicts)) if len(set(verdicts)) == 1 else "partly"


def held_rounds(table: pd.DataFrame) -> list[int]:
    """The rounds after which mean accuracy is still within HELD of dense, without a gap."""
    mean = summary(table, "accuracy")["mean"]
    rounds = []
    for round_, value in mean.items():
        if value < mean.loc[0] - HELD:
            break
        rounds.append(int(round_))  # type: ignore[call-overload]
    return rounds


def comparable(values: pd.DataFrame) -> pd.DataFrame:
    """The rounds in which every attack succeeded.

    Rounds in which an attack failed on some example have an infinite r_2 for a seed and cannot be
    compared; they are left out.
    """
    return values.replace(np.inf, np.nan).dropna()


def peak_round(values: pd.DataFrame) -> int:
    """The round with the largest mean over seeds.

    Raises:
        ValueError: if there is none, as the attack failed in every round.
    """
    if values.empty:
        raise ValueError("there is no round in which the attack succeeded on every image and seed")
    return int(values.index[int(values.mean(axis=1).argmax())])


def first_fall(values: pd.DataFrame, start: int = 0) -> int | None:
    """The first round from which on every comparable round is significantly below round ``start``."""
    first = None
    rounds = comparable(values).index
    for round_ in reversed(rounds[rounds > start]):
        change = paired(values, start, int(round_))
        if not (change.mean < 0 and change.p < ALPHA):
            break
        first = int(round_)
    return first


def first_below(values: pd.DataFrame) -> int | None:
    """The first comparable round that is significantly below dense, all of them being searched."""
    rounds = comparable(values).index[1:]
    for round_ in rounds:
        change = paired(values, 0, int(round_))
        if change.mean < 0 and change.p < ALPHA / len(rounds):
            return int(round_)
    return None
