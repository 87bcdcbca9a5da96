"""How robustness goes along a pruning path: its course from dense to a peak and down, rules and claims.

The rules were settled before any row of a pruned network was looked at, and two were repaired afterwards:
:func:`sharp_fall_comes_first` counts the fall of accuracy from the first significant round, which is
stricter than from a round after which all are (one seed that loses a digit hides the fall from a t-test);
:func:`falls_most` compares both metrics in the same round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from sparse_robust.experiments.statistics import Paired, paired, per_seed

from .rules import (
    ALPHA,
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
    first_below,
    first_fall,
    held_rounds,
    judge_change,
    peak_round,
)


@dataclass(frozen=True)
class Course:
    """How a metric goes along the pruning path: from dense to its peak, and down from there.

    Attributes:
        rounds: the pruned ones among which the peak was sought: comparable ones with accuracy held.
        peak: where the mean over seeds is largest.
        earliest, latest: the extremes over seeds of each seed's own peak.
        dense, top: means over seeds before pruning and at the peak.
        last: the last comparable round.
        rise: from dense to the peak.
        fall: from the peak to the last comparable round.
        dips: rounds before the peak that are significantly below dense.
    """

    rounds: list[int]
    peak: int
    earliest: int
    latest: int
    dense: float
    top: float
    last: int
    rise: Paired
    fall: Paired
    dips: list[int]

    @property
    def verdict(self) -> Verdict:
        """Up, then down: reproduced if rise and fall are significant and nothing dips before the peak."""
        rises = judge_change(self.rise, 1, ALPHA / len(self.rounds))
        if rises == "not reproduced":
            return rises
        whole = rises == "reproduced" and judge_change(self.fall, -1) == "reproduced" and not self.dips
        return "reproduced" if whole else "partly"


def course(values: pd.DataFrame, held: list[int]) -> Course | None:
    """The course of one metric, rounds down and seeds across; None if there is no round to compare.

    Args:
        values: one number of every model.
        held: the rounds with accuracy held, 0 among them.
    """
    values = comparable(values)
    rounds = [r for r in held if r > 0 and r in values.index]
    if 0 not in values.index or not rounds:
        return None
    means, peaks = values.mean(axis=1), values.loc[rounds].idxmax()
    peak = peak_round(values.loc[rounds])
    last, before = int(values.index[-1]), {r: paired(values, 0, r) for r in rounds if r < peak}
    return Course(
        rounds,
        peak,
        int(peaks.min()),
        int(peaks.max()),
        float(means.loc[0]),
        float(means.loc[peak]),
        last,
        paired(values, 0, peak),
        paired(values, peak, last),
        [r for r, c in before.items() if c.mean < 0 and c.p < ALPHA / len(rounds)],
    )


def rises_then_falls(metric: str, attacks: tuple[str, ...]) -> Judge:
    """With accuracy held, the metric is above dense at its peak, and falls from there."""

    def judge(table: pd.DataFrame) -> Finding:
        held, numbers, reasons, verdicts = held_rounds(table), [], [], []
        for attack in attacks:
            c = course(per_seed(table, metric, attack), held)
            if c is None:
                return Finding("", "not reproduced", f"no pruned round to compare under {attack}")
            verdicts.append(c.verdict)
            sparsity = table[table["round"] == c.peak].sparsity.mean()
            numbers.append(f"{attack} {c.dense:.4f} → {c.top:.4f} at {100 * sparsity:.1f} %")
            share = f"{100 * (c.top / c.dense - 1):+.1f} %" if c.dense else "from zero"
            dips = f"; below dense after {', '.join(map(str, c.dips))} before" if c.dips else ""
            reasons.append(
                f"{attack}{images(table, attack)}: round {c.peak} (seeds' own peaks: {c.earliest} to "
                f"{c.latest}), {share}: {describe(c.rise)}{dips}; "
                f"from there to round {c.last} {describe(c.fall)}"
            )
        why = f"peak among {len(held) - 1} rounds with accuracy held. " + ". ".join(reasons)
        return Finding("; ".join(numbers), combine(verdicts), why)

    return judge


def better_under_all(metrics: tuple[tuple[str, str], ...]) -> Judge:
    """Some pruned model, its accuracy held, is significantly above dense in every metric at once.

    Partly, if some one is in an l_infinity metric and an l_2 metric.
    """

    def judge(table: pd.DataFrame) -> Finding:
        rounds = held_rounds(table)[1:]
        wins: dict[int, list[str]] = {r: [] for r in rounds}
        for metric, attack in metrics:
            values = comparable(per_seed(table, metric, attack))
            for r in [r for r in rounds if {0, r} <= set(values.index)]:
                change = paired(values, 0, r)
                if change.mean > 0 and change.p < ALPHA / len(rounds):
                    wins[r].append(attack)
        whole = [r for r, won in wins.items() if len(won) == len(metrics)]
        both = [r for r, won in wins.items() if set(won) & set(LINF) and set(won) & set(L2)]
        verdict: Verdict = "reproduced" if whole else "partly" if both else "not reproduced"
        listed = "; ".join(f"round {r}: {', '.join(won) or 'none'}" for r, won in wins.items())
        ours = f"under all {len(metrics)} attacks {after(table, whole)}"
        return Finding(ours, verdict, f"significantly above dense, accuracy held: {listed or 'no round'}")

    return judge


def sharp_fall_comes_first(attacks: tuple[str, ...]) -> Judge:
    """r_2 falls more than SLIGHT below its peak, for good, before accuracy falls.

    Reproduced if that is before accuracy is significantly below dense for the first time, partly if only
    before accuracy has lost HELD.
    """

    def judge(table: pd.DataFrame) -> Finding:
        accuracy, held = first_below(per_seed(table, "accuracy")), held_rounds(table)
        lost = next((r for r in sorted(table["round"].unique()) if r not in held), None)
        starts, verdicts = {}, []
        for attack in attacks:
            values = comparable(per_seed(table, "r_2", attack))
            peak = peak_round(values)
            values.loc[peak] *= 1 - SLIGHT
            start = starts[attack] = first_fall(values, peak)
            verdict: Verdict = "not reproduced"
            if start is not None and (lost is None or start < lost):
                verdict = "reproduced" if accuracy is None or start < accuracy else "partly"
            verdicts.append(verdict)
        falls = "; ".join(f"r_2 ({attack}) {after(table, [start])}" for attack, start in starts.items())
        why = (
            f"r_2 more than {100 * SLIGHT:.0f} % below its peak from then on; accuracy significantly below "
            f"dense for the first time, and more than {100 * HELD:.0f} point below it {after(table, [lost])}"
        )
        return Finding(f"{falls}; accuracy {after(table, [accuracy])}", combine(verdicts), why)

    return judge


def falls_most(pairs: tuple[tuple[str, str], ...]) -> Judge:
    """At the last round with accuracy held, r_2 has lost a larger share of its peak than r_inf has.

    Args:
        pairs: an l_2 attack and the l_infinity attack that it is compared with.
    """

    def judge(table: pd.DataFrame) -> Finding:
        held, numbers, reasons, verdicts = held_rounds(table), [], [], []
        for l2, linf in pairs:
            robust = {a: comparable(per_seed(table, m, a)) for m, a in (("r_2", l2), ("r_inf", linf))}
            common = [r for r in held if all(r in values.index for values in robust.values())]
            kept = {
                attack: values.loc[common[-1]] / values.loc[peak_round(values.loc[common])]
                for attack, values in robust.items()
                if common
            }
            if not kept:
                return Finding("", "not reproduced", f"no round to compare under {l2} and {linf}")
            if pd.DataFrame(kept).isna().any(axis=None):
                return Finding("", "not reproduced", f"a seed is robust in no round under {l2} or {linf}")
            change = paired(pd.DataFrame([kept[linf], kept[l2]], index=[0, 1]), 0, 1)
            verdicts.append(judge_change(change, -1))
            numbers += [f"{attack} {100 * (share.mean() - 1):+.1f} %" for attack, share in kept.items()]
            reasons.append(f"{l2} less {linf} {after(table, common[-1:])}: {describe(change)}")
        why = "relative to each one's peak. " + "; ".join(reasons)
        return Finding("; ".join(numbers), combine(verdicts), why)

    return judge


def describe(change: Paired) -> str:
    """A paired change with its effect size."""
    return f"{change}, d = {change.effect:.1f}"


def images(table: pd.DataFrame, attack: str) -> str:
    """On how many images an attack was run, where it was not all."""
    n, everything = table[table.attack == attack].n.max(), table[table.metric == "accuracy"].n.max()
    return "" if n == everything else f" (first {n} images)"


def after(table: pd.DataFrame, rounds: Sequence[int | None]) -> str:
    """When, by round and sparsity."""
    sparsity = table.groupby("round").sparsity.mean()
    named = [f"round {r} ({100 * sparsity.loc[r]:.1f} %)" for r in rounds if r is not None]
    return f"after {', '.join(named)}" if named else "in no round"


def course_claims(net: str, title: str, figures: str) -> Iterator[EmpiricalClaim]:
    """What the paper says of how robustness goes along the pruning path of a network."""

    def claim(name: str, says: str, source: str, paper: str, judge: Judge) -> EmpiricalClaim:
        return EmpiricalClaim(f"{net}-{name}", f"{title}: {says}", source, paper, net, judge)

    up = "up with sparsity to a threshold, then down"
    for name, metric, attacks, what in (
        ("rinf-rises", "r_inf", LINF, "r_inf"),
        ("r2-rises", "r_2", L2, "r_2 (mean distance)"),
        ("r2-squared-rises", "r_2_squared", L2, "r_2 (mean squared distance)"),
    ):
        says = f"{what} rises with sparsity, and falls beyond a threshold"
        yield claim(name, says, f"section 4.2, {figures}", up, rises_then_falls(metric, attacks))
    yield claim(
        "consistent",
        "some pruned models are more robust than dense ones under all four attacks at once",
        f"section 4.2, {figures}",
        "consistently more robust",
        better_under_all((*(("r_inf", a) for a in LINF), *(("r_2", a) for a in L2))),
    )
    yield claim(
        "r2-falls-earlier",
        "r_2 falls sharply before accuracy degrades",
        f"section 4.3, {figures}",
        "r_2 first",
        sharp_fall_comes_first(L2),
    )
    yield claim(
        "r2-falls-most",
        "the decrease is sharper in r_2 than in r_inf",
        f"section 4.3, {figures}",
        "especially r_2",
        falls_most((("DeepFool", "FGS"), ("C&W", "rFGS"))),
    )
