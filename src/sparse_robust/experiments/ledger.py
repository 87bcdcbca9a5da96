"""The claims ledger: what the paper says it measured, and what the rows say.

Each claim is a predicate over rows. The rules by which verdicts are given are written here and apply to
every profile alike; see :func:`judge_number` and :func:`judge_change`. They were written before the numbers
were known, with two exceptions: SLIGHT was added afterwards, which made two verdicts stricter, and so was
the rule of :func:`first_fall` that leaves out rounds in which an attack failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from .paper import PAPER, PaperNumber
from .statistics import Paired, complete_size, paired, per_seed, stored, summary
from .store import Store

Verdict = Literal["reproduced", "partly", "not reproduced", "not run"]

ALPHA = 0.01
"""Level of every test, divided by the number of rounds searched where rounds are searched."""

HELD = 0.01
"""Benign accuracy counts as held while its mean is within one point of the dense references'."""

SLIGHT = 0.1
"""A relative fall of r_2 up to this counts as slight."""


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
    judge: Callable[[pd.DataFrame], Finding]


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
    room = tolerance + (printed.spread or 0.0)
    verdict: Verdict = (
        "reproduced" if abs(off) <= room else "partly" if abs(off) <= 5 * room else "not reproduced"
    )
    points = (
        f"{round(100 * off, 2) + 0.0:+.2f} points"
        if printed.percent
        else f"{off:+.4f} ({100 * off / printed.value:+.1f} %)"
    )
    return Finding(str(ours), verdict, f"off by {points}; {int(seeds)} seeds{note}")


def judge_change(change: Paired, direction: int, level: float = ALPHA) -> Verdict:
    """A claimed rise (+1) or fall (-1): reproduced if significant, partly if only the sign is right."""
    if change.mean * direction <= 0:
        return "not reproduced"
    return "reproduced" if change.p < level else "partly"


def one_round(attack: str) -> Callable[[pd.DataFrame], Finding]:
    """r_2 falls after the first round of pruning."""

    def judge(table: pd.DataFrame) -> Finding:
        values = per_seed(table, "r_2", attack)
        change = paired(values, 0, 1)
        return Finding(f"{change.mean:+.4f}", judge_change(change, -1), f"paired over seeds: {change}")

    return judge


def held_rounds(table: pd.DataFrame) -> list[int]:
    """The rounds after which mean accuracy is still within HELD of dense, without a gap."""
    mean = summary(table, "accuracy")["mean"]
    rounds = []
    for round_, value in mean.items():
        if value < mean.loc[0] - HELD:
            break
        rounds.append(int(round_))  # type: ignore[call-overload]
    return rounds


def sparse_more_robust(attacks: tuple[str, ...]) -> Callable[[pd.DataFrame], Finding]:
    """r_inf of some pruned model, its accuracy held, is above dense under every attack."""

    def judge(table: pd.DataFrame) -> Finding:
        rounds = held_rounds(table)[1:]
        if not rounds:
            return Finding("", "not reproduced", "accuracy falls in the first round already")
        parts, verdicts = [], []
        for attack in attacks:
            values = per_seed(table, "r_inf", attack)
            best = rounds[int(values.loc[rounds].mean(axis=1).argmax())]
            change = paired(values, 0, best)
            verdicts.append(judge_change(change, 1, ALPHA / len(rounds)))
            at = table[table["round"] == best].sparsity.iloc[0]
            parts.append(
                f"{attack} {values.loc[0].mean():.4f} → {values.loc[best].mean():.4f} "
                f"at {100 * at:.1f} % ({change})"
            )
        verdict: Verdict = "reproduced" if set(verdicts) == {"reproduced"} else "partly"
        if set(verdicts) == {"not reproduced"}:
            verdict = "not reproduced"
        ours = "; ".join(part.split(" (")[0] for part in parts)
        return Finding(ours, verdict, f"best of {len(rounds)} rounds with accuracy held: " + "; ".join(parts))

    return judge


def l2_not_better(attacks: tuple[str, ...]) -> Callable[[pd.DataFrame], Finding]:
    """While accuracy is held, no round has r_2 significantly above dense, nor more than SLIGHT below."""

    def judge(table: pd.DataFrame) -> Finding:
        rounds = held_rounds(table)[1:]
        if not rounds:
            return Finding("", "not reproduced", "accuracy falls in the first round already")
        risen, parts, lowest = [], [], 0.0
        for attack in attacks:
            values = per_seed(table, "r_2", attack)
            changes = {r: paired(values, 0, r) for r in rounds}
            risen += [(attack, r) for r, c in changes.items() if c.mean > 0 and c.p < ALPHA / len(rounds)]
            relative = values.loc[rounds].mean(axis=1) / values.loc[0].mean() - 1
            lowest = min(lowest, float(relative.min()))
            parts.append(f"{attack} {100 * relative.min():+.1f} % to {100 * relative.max():+.1f} %")
        why = f"against dense, over {len(rounds)} rounds with accuracy held: " + "; ".join(parts)
        if risen:
            why += "; significantly above dense after " + ", ".join(f"round {r} ({a})" for a, r in risen)
        if lowest < -SLIGHT:
            why += f"; more than {100 * SLIGHT:.0f} % below dense is not slight"
        share = len(risen) / (len(attacks) * len(rounds))
        verdict: Verdict = (
            "not reproduced" if share > 0.5 else "partly" if risen or lowest < -SLIGHT else "reproduced"
        )
        return Finding("; ".join(parts), verdict, why)

    return judge


def first_fall(values: pd.DataFrame) -> int | None:
    """The first round from which on every round is significantly below dense.

    Rounds in which an attack failed on some example have an infinite r_2 for a seed and cannot be
    compared; they are left out.
    """
    first = None
    finite = values[np.isfinite(values).all(axis=1)]
    for round_ in reversed(finite.index[1:]):
        change = paired(values, 0, int(round_))
        if not (change.mean < 0 and change.p < ALPHA):
            break
        first = int(round_)
    return first


def falls_earlier(attacks: tuple[str, ...]) -> Callable[[pd.DataFrame], Finding]:
    """r_2 begins its fall in an earlier round than accuracy does."""

    def judge(table: pd.DataFrame) -> Finding:
        accuracy = first_fall(per_seed(table, "accuracy"))
        starts = {attack: first_fall(per_seed(table, "r_2", attack)) for attack in attacks}
        earlier = [
            a for a, start in starts.items() if start is not None and (accuracy is None or start < accuracy)
        ]
        verdict: Verdict = (
            "reproduced" if len(earlier) == len(attacks) else "partly" if earlier else "not reproduced"
        )
        named = {f"r_2 ({attack})": start for attack, start in starts.items()} | {"accuracy": accuracy}
        ours = "; ".join(f"{what} {f'from round {r}' if r else 'in no round'}" for what, r in named.items())
        return Finding(ours, verdict, f"significantly below dense from then on: {ours}")

    return judge


LINF, L2 = ("FGS", "rFGS"), ("DeepFool", "C&W")
CALIBRATED = "; weight decay was calibrated on this number, so it is no evidence"


def _number(
    name: str,
    says: str,
    experiment: str,
    metric: str,
    attack: str,
    round_: int,
    tolerance: float,
    note: str = "",
) -> EmpiricalClaim:
    printed = PAPER[name]
    return EmpiricalClaim(
        name,
        says,
        printed.source,
        str(printed),
        experiment,
        lambda table: judge_number(table, metric, attack, round_, printed, tolerance, note),
    )


def _one_round(attack: str, dense: str, pruned: str) -> EmpiricalClaim:
    short = "cw" if attack == "C&W" else attack.lower()
    return EmpiricalClaim(
        f"binary-r2-{short}-falls",
        f"1 against 7: r_2 under {attack} falls after the first round of pruning already",
        "section 4.1",
        f"{PAPER[pruned].value - PAPER[dense].value:+.4f}",
        "linear-binary",
        one_round(attack),
    )


def _shapes() -> Iterator[EmpiricalClaim]:
    for task, digits, part in (("binary", "1 against 7", "upper"), ("multiclass", "ten digits", "lower")):
        experiment, source = f"linear-{task}", f"section 4.1, Figure 1 {part}"
        yield EmpiricalClaim(
            f"{task}-rinf-rises",
            f"{digits}: sparse models are more robust than dense ones in r_inf",
            source,
            "r_inf rises with sparsity",
            experiment,
            sparse_more_robust(LINF),
        )
        yield EmpiricalClaim(
            f"{task}-r2-not-better",
            f"{digits}: r_2 stays similar or falls slightly while accuracy is held",
            source,
            "flat, or slightly down",
            experiment,
            l2_not_better(L2),
        )
        yield EmpiricalClaim(
            f"{task}-r2-falls-earlier",
            f"{digits}: r_2 begins to fall much earlier than accuracy does",
            source,
            "r_2 first",
            experiment,
            falls_earlier(L2),
        )


CLAIMS: tuple[EmpiricalClaim, ...] = (
    _number(
        "binary-accuracy",
        "1 against 7: accuracy of the dense models",
        "linear-binary",
        "accuracy",
        "",
        0,
        1e-3,
        CALIBRATED,
    ),
    _number(
        "multiclass-accuracy",
        "ten digits: accuracy of the dense models",
        "linear-multiclass",
        "accuracy",
        "",
        0,
        1e-3,
        CALIBRATED,
    ),
    _number("final-sparsity", "sparsity after 16 rounds at 1/3", "linear-binary", "sparsity", "", -1, 5e-5),
    _number(
        "binary-r2-deepfool-dense",
        "1 against 7, dense: r_2 under DeepFool",
        "linear-binary",
        "r_2",
        "DeepFool",
        0,
        0.02,
    ),
    _number(
        "binary-r2-deepfool-round-1",
        "1 against 7, one round: r_2 under DeepFool",
        "linear-binary",
        "r_2",
        "DeepFool",
        1,
        0.02,
    ),
    _one_round("DeepFool", "binary-r2-deepfool-dense", "binary-r2-deepfool-round-1"),
    _number(
        "binary-r2-cw-dense", "1 against 7, dense: r_2 under C&W", "linear-binary", "r_2", "C&W", 0, 0.02
    ),
    _number(
        "binary-r2-cw-round-1",
        "1 against 7, one round: r_2 under C&W",
        "linear-binary",
        "r_2",
        "C&W",
        1,
        0.02,
    ),
    _one_round("C&W", "binary-r2-cw-dense", "binary-r2-cw-round-1"),
    *_shapes(),
)


def findings(profile: str, store: Store | None = None) -> dict[str, Finding]:
    """The finding of every claim under ``profile`` (``published`` or one of the catalogue's), by name."""
    tables: dict[str, pd.DataFrame] = {}
    found = {}
    for claim in CLAIMS:
        if claim.experiment not in tables:
            tables[claim.experiment] = stored(claim.experiment, profile, store)
        table = tables[claim.experiment]
        have, want = len(table), complete_size(table, claim.experiment, profile)
        if table.empty:
            found[claim.name] = Finding("", "not run", "no rows of this profile are stored")
        elif have < want:
            found[claim.name] = Finding("", "not run", f"unfinished: {have} of {want} numbers are stored")
        else:
            try:
                found[claim.name] = claim.judge(table)
            except ValueError as error:  # one seed: nothing to pair
                found[claim.name] = Finding("", "not run", str(error))
    return found


def records(profile: str, store: Store | None = None) -> list[dict[str, str]]:
    """The ledger as one record per claim: claim, source, paper, published, yours, verdict, why.

    The verdict and its reason are of ``profile``; ``yours`` is empty for ``published``.
    """
    published = findings("published", store)
    yours = published if profile in ("published", "paper") else findings(profile, store)
    return [
        {
            "name": claim.name,
            "claim": claim.says,
            "source": claim.source,
            "paper": claim.paper,
            "published": published[claim.name].ours,
            "yours": "" if profile == "published" else yours[claim.name].ours,
            "published verdict": published[claim.name].verdict,
            "verdict": yours[claim.name].verdict,
            "why": yours[claim.name].why,
        }
        for claim in CLAIMS
    ]


def table(profile: str, store: Store | None = None) -> str:
    """The ledger as text for a terminal: the paper's number, the published, yours, and the verdict."""
    lines = []
    for entry in records(profile, store):
        lines.append(f"{entry['claim']}  [{entry['source']}]")
        lines.append(f"    paper      {entry['paper']}")
        lines.append(f"    published  {entry['published'] or '-'}  ({entry['published verdict']})")
        if profile != "published":
            lines.append(f"    yours      {entry['yours'] or '-'}  ({entry['verdict']})")
        lines.append(f"    because    {entry['why']}")
    verdicts = [entry["verdict"] for entry in records(profile, store)]
    counts = ", ".join(
        f"{verdicts.count(v)} {v}" for v in ("reproduced", "partly", "not reproduced", "not run")
    )
    return "\n".join([*lines, "", f"{len(CLAIMS)} claims: {counts}"])


__all__ = ["CLAIMS", "EmpiricalClaim", "Finding", "findings", "held_rounds", "records", "table"]
