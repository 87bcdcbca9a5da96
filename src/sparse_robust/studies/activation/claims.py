"""The claims of the paper's Table 1: activations made sparse by l_1 regularisation (section 4.2).

The rules are those of pruned networks, with strengths of l_1 in the place of rounds; strengths were chosen
by the share of zeros that they lead to. :mod:`~sparse_robust.studies.changes` says which
rules were changed after rows had been seen.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from sparse_robust.experiments.statistics import paired, per_seed, summary
from sparse_robust.studies.courses import course, describe
from sparse_robust.studies.lenet.claims import R2_TOLERANCE, RINF_TOLERANCE
from sparse_robust.studies.lenet.specs import CAFFE
from sparse_robust.studies.paper import PAPER, TABLE_1, PaperNetwork
from sparse_robust.studies.rules import (
    EmpiricalClaim,
    Finding,
    Judge,
    combine,
    comparable,
    dense_mean,
    held_rounds,
    judge_change,
    judge_distance,
    judge_number,
    trained_in_full,
)

REACH = 0.05
"""A network stands for a line of Table 1 if its share of zeros is within five points of the printed one."""

ZEROS_TOLERANCE = 0.01
"""One point."""

UNATTACKED = Finding("", "not reproduced", "DeepFool fails on some image of every regularised network")

TABLE_1_METRICS = {
    "r_inf (FGS)": ("r_inf", "FGS"),
    "r_2 (mean distance)": ("r_2", "DeepFool"),
    "r_2 (mean squared distance)": ("r_2_squared", "DeepFool"),
}


def by_strength(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the number of the variant, which counts strengths of l_1 from 0 up, as the round."""
    return table.assign(round=table.variant)


def zeros(table: pd.DataFrame, layer: str = "activation_sparsity") -> pd.Series:
    """Mean share of zeros by variant, at the input of the last layer unless another ``layer`` is named."""
    return summary(by_strength(table), layer)["mean"]


def attackable(table: pd.DataFrame) -> list[int]:
    """The variants in which DeepFool succeeds on every image and seed.

    Under the strongest penalties all units are silent, on every image or on some: there the network is flat
    and no attack that follows gradients gets away. It has no finite r_2 and stands for no line of the table.
    """
    return list(comparable(per_seed(by_strength(table), *TABLE_1_METRICS["r_2 (mean distance)"])).index)


def nearest(table: pd.DataFrame, line: PaperNetwork, layer: str = "activation_sparsity") -> int | None:
    """The attackable regularised variant whose share of zeros is nearest to that of a line of Table 1."""
    gaps = (zeros(table, layer).loc[attackable(table)].drop(0, errors="ignore") - line.zeros.value).abs()
    return int(gaps.index[int(gaps.argmin())]) if len(gaps) else None


def counted(table: pd.DataFrame) -> str:
    """The metric of the layer whose zeros Table 1 counts: the first hidden one, if there are two."""
    first = "activation_sparsity_1"
    return first if first in set(table.metric) else "activation_sparsity"


def named(table: pd.DataFrame, variant: int, layer: str = "activation_sparsity") -> str:
    """A variant by its strength and the share of zeros that it leads to."""
    strength = table[table.variant == variant].l1.iloc[0]
    return f"l_1 = {strength:g} ({100 * zeros(table, layer)[variant]:.1f} % zeros)"


def zeros_of_references(net: str) -> Judge:
    """The share of zeros without l_1, beside that after the first hidden layer where there are two."""
    printed = PAPER[f"{net}-zeros-dense"]

    def judge(table: pd.DataFrame) -> Finding:
        note = ""
        if "activation_sparsity_1" in set(table.metric):
            first = judge_number(by_strength(table), "activation_sparsity_1", "", 0, printed, ZEROS_TOLERANCE)
            note = f"; after the first hidden layer {first.ours}, {first.why.split(';')[0]} ({first.verdict})"
        return judge_number(by_strength(table), "activation_sparsity", "", 0, printed, ZEROS_TOLERANCE, note)

    return judge


def line_of_table(line: PaperNetwork) -> Judge:
    """r_inf, r_2 and accuracy of the variant whose share of zeros is nearest to that of the line.

    Zeros are counted in the first hidden layer where there are two: it is the one in which networks without
    l_1 have the share that the paper prints for them.
    """

    def judge(table: pd.DataFrame) -> Finding:
        layer = counted(table)
        variant, rows = nearest(table, line, layer), by_strength(table)
        if variant is None:
            return UNATTACKED
        off = zeros(table, layer)[variant] - line.zeros.value
        if abs(off) > REACH:
            why = f"the nearest is off by {100 * off:+.1f} points of zeros"
            return Finding(named(table, variant, layer), "not reproduced", why)
        parts = {
            "r_inf": judge_number(rows, "r_inf", "FGS", variant, line.r_inf, RINF_TOLERANCE),
            "r_2": judge_distance(rows, "DeepFool", variant, line.r_2, R2_TOLERANCE),
            "accuracy": judge_number(rows, "accuracy", "", variant, line.accuracy, 0.0),
        }
        ours = "; ".join(f"{name} {part.ours}" for name, part in parts.items())
        why = "; ".join(f"{name} {part.verdict}, {part.why.split(';')[0]}" for name, part in parts.items())
        return Finding(
            f"{ours}; {named(table, variant, layer)}", combine([part.verdict for part in parts.values()]), why
        )

    return judge


def rises_for_a_while(table: pd.DataFrame) -> Finding:
    """With accuracy held, both metrics are above the references at their peak."""
    rows = by_strength(table[table.variant.isin(attackable(table))])
    held, numbers, reasons, verdicts = held_rounds(rows), [], [], []
    for name, (metric, attack) in TABLE_1_METRICS.items():
        c = course(per_seed(rows, metric, attack), held)
        if c is None:
            return Finding("", "not reproduced", f"no regularised network with accuracy held for {name}")
        verdicts.append(c.verdict)
        numbers.append(f"{name} {c.dense:.4f} → {c.top:.4f} at {named(table, c.peak)}")
        reasons.append(f"{name}: {describe(c.rise)}; from there to {named(table, c.last)} {describe(c.fall)}")
    return Finding("; ".join(numbers), combine(verdicts), ". ".join(reasons))


def lost(line: PaperNetwork, dense: PaperNetwork, metric: str, attack: str) -> float:
    """The share of a metric that a line of Table 1 has lost; printed distances are squared ones."""
    if metric == "r_inf":
        return 1 - line.r_inf.value / dense.r_inf.value
    ratio = line.r_2.value / dense.r_2.value
    return 1 - (ratio**0.5 if metric == "r_2" else ratio)


def falls_below(line: PaperNetwork, dense: PaperNetwork) -> Judge:
    """At the share of zeros of the line, both metrics are below the references."""

    def judge(table: pd.DataFrame) -> Finding:
        layer = counted(table)
        variant, rows = nearest(table, line, layer), by_strength(table)
        if variant is None:
            return UNATTACKED
        values = {name: per_seed(rows, *key) for name, key in TABLE_1_METRICS.items()}
        changes = {name: paired(some, 0, variant) for name, some in values.items()}
        why = "; ".join(f"{name} {describe(change)}" for name, change in changes.items())
        verdicts = [
            judge_change(change, -1, lost(line, dense, *TABLE_1_METRICS[name]) * dense_mean(values[name]))
            for name, change in changes.items()
        ]
        return Finding(f"at {named(table, variant, layer)}", combine(verdicts), why)

    return judge


def _claims(net: str, title: str, experiment: str) -> Iterator[EmpiricalClaim]:
    """The claims about one network."""
    dense, moderate, strong = TABLE_1[net]

    def claim(name: str, says: str, source: str, paper: str, judge: Judge) -> EmpiricalClaim:
        return EmpiricalClaim(f"{net}-{name}", f"{title}: {says}", source, paper, experiment, judge)

    yield claim(
        "zeros-dense",
        "zeros at the input of the last layer, without l_1",
        dense.zeros.source,
        str(dense.zeros),
        trained_in_full(CAFFE.steps, zeros_of_references(net)),
    )
    for name, line in (("moderate", moderate), ("strong", strong)):
        says = f"r_inf, r_2 and accuracy at {100 * line.zeros.value:.1f} % zeros"
        judge = trained_in_full(CAFFE.steps, line_of_table(line))
        yield claim(f"l1-{name}", says, line.r_inf.source, str(line), judge)
    yield claim(
        "l1-rises",
        "with more l_1, r_inf and r_2 rise with activation sparsity in a certain range",
        "section 4.2, Table 1",
        "up",
        rises_for_a_while,
    )
    yield claim(
        "l1-falls-below",
        f"at {100 * strong.zeros.value:.1f} % zeros r_inf and r_2 are below those without l_1",
        "Table 1",
        f"r_inf {strong.r_inf.value - dense.r_inf.value:+.4f}; r_2 {strong.r_2.value - dense.r_2.value:+.4f}",
        falls_below(strong, dense),
    )


CLAIMS: tuple[EmpiricalClaim, ...] = (
    *_claims("lenet-300-100", "LeNet-300-100", "activation-sparsity"),
    *_claims("lenet-5", "LeNet-5", "activation-sparsity-lenet-5"),
)
