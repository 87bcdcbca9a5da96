"""How robustness goes along a pruning path: its course from dense to a peak and down, rules and claims.

The first rules were settled before any row of a pruned network was looked at. They were changed afterwards,
for reasons that do not depend on what they yield; :mod:`~sparse_robust.studies.changes` has the verdicts
before and after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sparse_robust.experiments import blocks
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
    by_selection,
    combine,
    comparable,
    dense_mean,
    first_below,
    held_rounds,
    judge_change,
    peak_round,
)

Kind = tuple[str, str]
"""A metric and the attack that it rests on."""


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
        fall: from the peak to the last comparable round. It is shown and not judged: a network of which
            nothing is left has lost its robustness, whatever it rested on.
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
        """Up: reproduced if the rise is significant and nothing dips before the peak, partly if it does."""
        rises = judge_change(self.rise, 1, SLIGHT * self.dense, ALPHA / len(self.rounds))
        return "partly" if rises == "reproduced" and self.dips else rises


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


def rises(kinds: Sequence[Kind]) -> Judge:
    """With accuracy held, each metric is above dense at its peak.

    Where blocks of images are stored, the peak is chosen on one half of the images and the rise measured on
    the other (:func:`~sparse_robust.experiments.blocks.split_rise`); else both on the same images.
    """

    def judge(table: pd.DataFrame) -> Finding:
        held, numbers, reasons, verdicts = held_rounds(table), [], [], []
        for metric, attack in kinds:
            c = course(per_seed(table, metric, attack), held)
            if c is None:
                return Finding("", "not reproduced", f"no pruned round to compare under {attack}")
            halves = half_by_half(table, metric, attack, c.rounds)
            verdicts.append(c.verdict if halves is None else replace(c, rise=halves.rise).verdict)
            sparsity = table[table["round"] == c.peak].sparsity.mean()
            label = f"{attack}{', squared' * (metric == 'r_2_squared')}"
            numbers.append(f"{label} {c.dense:.4f} → {c.top:.4f} at {100 * sparsity:.1f} %")
            share = f"{100 * (c.top / c.dense - 1):+.1f} %" if c.dense else "from zero"
            dips = f"; below dense after {', '.join(map(str, c.dips))} before" if c.dips else ""
            reasons.append(
                f"{label}{images(table, attack)}: round {c.peak} (seeds' own peaks: {c.earliest} to "
                f"{c.latest}), {share}: {describe(c.rise)}{dips}; {halves or SAME_IMAGES}"
            )
        why = f"peak among {len(held) - 1} rounds with accuracy held. " + ". ".join(reasons)
        return Finding("; ".join(numbers), combine(verdicts), why)

    return judge


SAME_IMAGES = "chosen and measured on the same images, as no blocks of images are stored"


@dataclass(frozen=True)
class Halves:
    """A rise whose peak was chosen on one half of the images and measured on the other, and vice versa.

    Attributes:
        rise: by seed, the mean of both ways.
        low, high: its 95 % interval over images and seeds.
    """

    rise: Paired
    low: float
    high: float

    def __str__(self) -> str:
        """The rise and its intervals."""
        return (
            f"chosen on one half of the images and measured on the other {self.rise}, "
            f"over images and seeds [{self.low:+.4f}, {self.high:+.4f}]"
        )


def half_by_half(table: pd.DataFrame, metric: str, attack: str, rounds: list[int]) -> Halves | None:
    """The rise of a metric by halves of the images; None where no blocks are stored."""
    stored = blocks.of_metric(table, metric, attack)
    if stored is None:
        return None
    by_block = blocks.split_rise(stored, rounds)
    low, high = blocks.two_way_interval(by_block)
    return Halves(paired(pd.DataFrame([0 * by_block.mean(axis=1), by_block.mean(axis=1)]), 0, 1), low, high)


def rises_beyond_training(kinds: Sequence[Kind]) -> Judge:
    """At the peak of the raw course, pruned networks have gained more than dense ones trained on.

    Rows of pruned networks and of both controls come in one table and are told apart by its column
    ``selection``. Gains are differences to each side's own dense references, paired by seed. The verdict
    rests on the dense networks that are trained on; those pruned at random are named beside them.
    """

    def judge(table: pd.DataFrame) -> Finding:
        ways = by_selection(table)
        path, held = ways["magnitude"], held_rounds(ways["magnitude"])
        run = set(zip(ways["none"].metric, ways["none"].attack, strict=True))
        numbers, reasons, verdicts = [], [], []
        for metric, attack in (kind for kind in kinds if kind in run):
            c = course(per_seed(path, metric, attack), held)
            if c is None:
                return Finding("", "not reproduced", f"no pruned round to compare under {attack}")
            label = f"{attack}{', squared' * (metric == 'r_2_squared')}"
            gains = {way: gain(per_seed(rows, metric, attack), c.peak) for way, rows in ways.items()}
            trained = beyond(gains["magnitude"], gains["none"])
            verdicts.append(judge_change(trained, 1, SLIGHT * c.dense, ALPHA / len(c.rounds)))
            seeds = gains["none"].index
            shares = (gains[way].loc[seeds].mean() for way in ("magnitude", "none"))
            numbers.append(f"{label} {' against '.join(f'{share:+.4f}' for share in shares)}")
            at_random = over_random(gains) if "random" in gains else ""
            reasons.append(f"{label} after round {c.peak}: {describe(trained)}{at_random}")
        missing = sorted({attack for metric, attack in kinds if (metric, attack) not in run})
        note = f". The controls were not attacked by {', '.join(missing)}" if missing else ""
        why = f"gains over dense, paired by seed, pruned less trained on. {'. '.join(reasons)}{note}"
        return Finding("; ".join(numbers), combine(verdicts), why)

    return judge


def over_random(gains: Mapping[str, pd.Series]) -> str:
    """In words how far magnitude pruning is above random pruning, by the gains of both."""
    try:
        return f"; over random pruning {beyond(gains['magnitude'], gains['random'])}"
    except ValueError:  # no two seeds are left
        return "; on networks pruned at random the attack fails there"


def gain(values: pd.DataFrame, round_: int) -> pd.Series:
    """By seed, how far a round is above dense."""
    by_round = values.T
    return by_round[round_] - by_round[0]


def beyond(ours: pd.Series, theirs: pd.Series) -> Paired:
    """The difference of two gains on the seeds that both have, without those in which an attack fails.

    Raises:
        ValueError: if there are fewer than two.
    """
    both = pd.concat([theirs, ours], axis=1, join="inner").T.reset_index(drop=True)
    return paired(both.replace(np.inf, np.nan).dropna(axis="columns"), 0, 1)


def better_under_all(metrics: tuple[tuple[str, str], ...]) -> Judge:
    """Some pruned model, its accuracy held, is significantly above dense in every metric at once.

    Undecided if in some round no metric is significantly above dense that would have to be, and none is known
    to be below the paper's rise; else partly, if some model is in an l_infinity metric and an l_2 metric.
    """

    def judge(table: pd.DataFrame) -> Finding:
        rounds = held_rounds(table)[1:]
        if not rounds:
            return Finding("", "not reproduced", "accuracy is held in no round")
        wins: dict[int, list[str]] = {r: [] for r in rounds}
        lost = set()
        for metric, attack in metrics:
            values = comparable(per_seed(table, metric, attack))
            paper = SLIGHT * dense_mean(values) if 0 in values.index else 0.0
            for r in rounds:
                if not {0, r} <= set(values.index):
                    lost.add(r)
                    continue
                above = judge_change(paired(values, 0, r), 1, paper, ALPHA / len(rounds))
                if above == "reproduced":
                    wins[r].append(attack)
                elif above == "not reproduced":
                    lost.add(r)
        whole = [r for r, won in wins.items() if len(won) == len(metrics)]
        both = [r for r, won in wins.items() if set(won) & set(LINF) and set(won) & set(L2)]
        verdict: Verdict = (
            "reproduced"
            if whole
            else "undecided"
            if set(rounds) - lost
            else "partly"
            if both
            else "not reproduced"
        )
        listed = "; ".join(f"round {r}: {', '.join(won) or 'none'}" for r, won in wins.items())
        ours = f"under all {len(metrics)} attacks {after(table, whole)}"
        return Finding(ours, verdict, f"significantly above dense, accuracy held: {listed}")

    return judge


def comes_first(r_2: pd.DataFrame, accuracy: pd.DataFrame) -> tuple[Verdict, int | None, int | None]:
    """Whether r_2 falls sharply, more than SLIGHT below its peak, in a round before accuracy degrades.

    Both sides are tested in the same way and at one level, ALPHA divided by the number of rounds: the first
    round that is significantly below counts. Where r_2 comes first, accuracy must be known to be held, its
    interval excluding a loss of HELD; where r_2 does not, it must be known not to have fallen before.

    Args:
        r_2: by round and seed.
        accuracy: by round and seed.

    Returns:
        the verdict, and the rounds of r_2 and of accuracy.
    """
    r_2 = comparable(r_2)
    peak = peak_round(r_2)
    r_2.loc[peak] *= 1 - SLIGHT
    level = ALPHA / (len(accuracy) - 1)
    sharp, lost = first_below(r_2, level, peak), first_below(accuracy, level)
    if sharp is not None and (lost is None or sharp < lost):
        before = [paired(accuracy, 0, r).within(ALPHA)[0] for r in accuracy.index if 0 < r <= sharp]
        return "reproduced" if min(before) > -HELD else "undecided", sharp, lost
    unseen = [r for r in r_2.index if r > peak and (lost is None or r < lost)]
    reach = [paired(r_2, peak, r).within(ALPHA)[0] for r in unseen]
    return "undecided" if reach and min(reach) < 0 else "not reproduced", sharp, lost


def sharp_fall_comes_first(attacks: tuple[str, ...]) -> Judge:
    """r_2 falls sharply in an earlier round than accuracy does (:func:`comes_first`)."""

    def judge(table: pd.DataFrame) -> Finding:
        accuracy = per_seed(table, "accuracy")
        judged = {attack: comes_first(per_seed(table, "r_2", attack), accuracy) for attack in attacks}
        falls = "; ".join(f"r_2 ({attack}) {after(table, [r])}" for attack, (_, r, _) in judged.items())
        lost = next(iter(judged.values()))[2]
        why = (
            f"first rounds significantly below: r_2 more than {100 * SLIGHT:.0f} % below its peak, accuracy "
            f"below dense, at one level; accuracy is held if a loss of {100 * HELD:g} points is excluded"
        )
        ours = f"{falls}; accuracy {after(table, [lost])}"
        return Finding(ours, combine([verdict for verdict, _, _ in judged.values()]), why)

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
            verdicts.append(judge_change(change, -1, SLIGHT))
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

    beyond = "rises with sparsity; that it falls in the end is no test, as everything does"
    squares = tuple((metric, attack) for metric in ("r_2", "r_2_squared") for attack in L2)
    for name, what, kinds in (
        ("rinf-rises", "r_inf", tuple(("r_inf", attack) for attack in LINF)),
        ("r2-rises", "r_2, as mean distance and as mean square,", squares),
    ):
        section = f"section 4.2, {figures}"
        yield claim(name, f"{what} {beyond}", section, "up with sparsity to a threshold", rises(kinds))
        says = f"{what} rises by more than that of a dense network which is trained on for as long"
        controlled = claim(f"{name}-controlled", says, section, "no control", rises_beyond_training(kinds))
        yield replace(controlled, controls=f"{net}-controls")
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
