"""What a claim of the ledger is, and the rules that the claims of several studies share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from sparse_robust.experiments.statistics import Paired, paired, summary

from .paper import PAPER, PaperNumber

Verdict = Literal["reproduced", "partly", "not reproduced", "undecided", "not a test", "not run"]
"""Undecided: the rows cannot tell. Not a test: no outcome could have spoken against the claim."""

ALPHA = 0.01
"""Level of every test, divided by the number of rounds searched where rounds are searched."""

HELD = 0.003
"""Benign accuracy counts as held while its mean is within three tenths of a point of the references'."""

SLIGHT = 0.1
"""A relative fall of r_2 up to this counts as slight, a larger one as sharp.

It is also the paper's effect where the paper shows a curve and prints no number: less could not be read off
its figures, and the changes that it does print, in Tables 1 and 2, are larger.
"""

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
        controls: an experiment whose rows the judge reads, too; their column ``selection`` tells them apart.
    """

    name: str
    says: str
    source: str
    paper: str
    experiment: str
    judge: Judge
    controls: str = ""


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


def judge_change(change: Paired, direction: int, paper: float, level: float = ALPHA) -> Verdict:
    """A claimed rise (+1) or fall (-1), by the confidence interval at ``1 - level``.

    Reproduced if the interval lies on the claimed side of zero; not reproduced if it lies on the other side,
    or excludes a change as large as the paper's; else the rows are too few to tell.

    Args:
        change: ours.
        direction: the sign that is claimed.
        paper: the size of the paper's change, at least 0, in the unit of ours.
        level: of the test.
    """
    low, high = sorted(direction * bound for bound in change.within(level))
    if low > 0:
        return "reproduced"
    return "not reproduced" if high < paper or high <= 0 else "undecided"


def combine(verdicts: Collection[Verdict]) -> Verdict:
    """A claim of several parts: what they agree on, "partly" if some hold and some do not.

    Undecided if it depends on the undecided parts. Parts that are no test have no say, unless all are none.
    """
    said = set(verdicts) - {"not a test"}
    if len(said) < 2:
        return next(iter(said), "not a test")
    decided = said - {"undecided"}
    return "partly" if "partly" in said or len(decided) > 1 else "undecided"


def no_test(reason: str, judge: Judge) -> Judge:
    """A rule whose outcome is shown and not counted, for ``reason``."""

    def judged(table: pd.DataFrame) -> Finding:
        finding = judge(table)
        return Finding(finding.ours, "not a test", f"{reason}; {finding.why}")

    return judged


def trained_in_full(steps: int, judge: Judge) -> Judge:
    """A rule about printed numbers of dense networks: no test of networks trained for fewer ``steps``."""

    def judged(table: pd.DataFrame) -> Finding:
        share = table.steps.max() / steps if "steps" in table else 1.0
        brief = f"trained for {100 * share:.0f} % of the paper's iterations"
        return (no_test(brief, judge) if share < 1 else judge)(table)

    return judged


def judge_distance(
    table: pd.DataFrame, attack: str, round_: int, printed: PaperNumber, share: float
) -> Finding:
    """A printed r_2: reproduced as the paper defines it, by the mean distance; partly by the mean square.

    Args:
        table: rows.
        attack: that r_2 rests on.
        round_: of the models.
        printed: the paper's number.
        share: relative tolerance; the paper's spread is added.
    """
    tolerance = share * printed.value
    plain, square = (
        judge_number(table, metric, attack, round_, printed, tolerance) for metric in ("r_2", "r_2_squared")
    )
    ours = f"mean distance {plain.ours}; mean square {square.ours}"
    why = f"mean distance: {plain.why}. Mean square: {square.why}"
    verdict: Verdict = (
        "reproduced"
        if plain.verdict == "reproduced"
        else "partly"
        if square.verdict == "reproduced"
        else "not reproduced"
    )
    return Finding(ours, verdict, why)


def dense_mean(values: pd.DataFrame) -> float:
    """The mean over seeds before pruning, of one number of every model by round and seed."""
    return float(values.mean(axis=1).loc[0])


def by_selection(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Rows by how weights were selected: of pruned networks alone where the table does not say."""
    if "selection" not in table:
        return {"magnitude": table}
    return {str(way): rows for way, rows in table.groupby("selection")}


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


def first_below(values: pd.DataFrame, level: float, start: int = 0) -> int | None:
    """The first comparable round after ``start`` that is significantly below it."""
    rounds = comparable(values).index
    for round_ in rounds[rounds > start]:
        if paired(values, start, int(round_)).within(level)[1] < 0:
            return int(round_)
    return None
