"""The claims ledger: what the paper says it measured, and what the rows say.

Each claim is a predicate over rows. The rules by which verdicts are given are written in this package and
apply to every profile alike; each module of claims says which of its rules were settled before the numbers
were known.
"""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import replace
from typing import get_args

import pandas as pd

from sparse_robust.experiments import Experiment
from sparse_robust.experiments.load import complete_size, scale_of, stored
from sparse_robust.experiments.store import Store
from sparse_robust.studies.controls import controls_of
from sparse_robust.studies.rules import EmpiricalClaim, Finding, Verdict

from . import STUDIES
from .catalogue import find

CLAIMS: tuple[EmpiricalClaim, ...] = tuple(
    claim for study in STUDIES for claim in importlib.import_module(f"{__package__}.{study}.claims").CLAIMS
)


def findings(profile: str, store: Store | None = None) -> dict[str, Finding]:
    """The finding of every claim under ``profile`` (``published`` or one of the catalogue's), by name."""
    names = dict.fromkeys(claim.experiment for claim in CLAIMS)
    tables = {name: whole_table(find(name), profile, store) for name in names}
    beside = {
        claim.controls: controls_of(find(claim.experiment), profile, store)
        for claim in CLAIMS
        if claim.controls
    }
    found = {
        claim.name: finding(claim, tables[claim.experiment], beside.get(claim.controls)) for claim in CLAIMS
    }
    for claim in CLAIMS:
        table = beside.get(claim.controls, tables[claim.experiment])
        if found[claim.name].verdict != "not run" and not isinstance(table, str):
            note = fewer_seeds(table, find(claim.controls or claim.experiment))
            found[claim.name] = replace(found[claim.name], why=found[claim.name].why + note)
    return found


def fewer_seeds(table: pd.DataFrame, experiment: Experiment) -> str:
    """How many of the seeds of its protocol an experiment has rows of, in words; empty if of all."""
    scale = table.scale.iloc[0]
    have, planned = table.seed.nunique(), len(experiment.seeds[scale])
    protocol = "the paper's protocol" if scale == "paper" else f"{scale} scale"
    return "" if have >= planned else f"; {experiment.name}: {protocol}, {have} of {planned} seeds"


def whole_table(experiment: Experiment, profile: str, store: Store | None = None) -> pd.DataFrame | str:
    """The stored rows of an experiment, or in words why there are none to judge."""
    table = stored(experiment, profile, store)
    if table.empty:
        return "no rows of this profile are stored"
    have, want = len(table), complete_size(table, experiment, scale_of(experiment, profile, store))
    return table if have == want else f"unfinished: {have} of {want} numbers are stored"


def finding(claim: EmpiricalClaim, table: pd.DataFrame | str, controls: pd.DataFrame | None) -> Finding:
    """What the rows say of a claim.

    Args:
        claim: which.
        table: the rows of its experiment, or why there are none.
        controls: the rows of its controls, None for a claim without.
    """
    if isinstance(table, str):
        return Finding("", "not run", table)
    if controls is not None:
        if controls.empty:
            return Finding("", "not run", "no rows of the controls are stored")
        table = pd.concat([table, controls], ignore_index=True)
    try:
        return claim.judge(table)
    except ValueError as error:  # one seed, or an attack that never succeeds: nothing to compare
        return Finding("", "undecided", str(error))


def at_scale(verdict: str, scale: str) -> str:
    """A verdict with the scale of the rows that it rests on, where that is not the paper's."""
    return verdict if scale == "paper" or verdict == "not run" else f"{verdict} at {scale} scale"


def records(profile: str, store: Store | None = None) -> list[dict[str, str]]:
    """The ledger as one record per claim: claim, source, paper, published, yours, verdict, why.

    The verdict, its scale and its reason are of ``profile``; ``yours`` is empty for ``published``. Labels are
    verdicts with their scales (:func:`at_scale`).
    """
    published = findings("published", store)
    yours = published if profile == "published" else findings(profile, store)
    names = {claim.experiment for claim in CLAIMS}
    scales = {
        which: {name: scale_of(find(name), which, store) for name in names}
        for which in ("published", profile)
    }
    return [
        {
            "name": claim.name,
            "claim": claim.says,
            "source": claim.source,
            "paper": claim.paper,
            "published": published[claim.name].ours,
            "yours": "" if profile == "published" else yours[claim.name].ours,
            "published label": at_scale(published[claim.name].verdict, scales["published"][claim.experiment]),
            "verdict": yours[claim.name].verdict,
            "label": at_scale(yours[claim.name].verdict, scales[profile][claim.experiment]),
            "why": yours[claim.name].why,
        }
        for claim in CLAIMS
    ]


def tally(entries: list[dict[str, str]]) -> dict[str, int]:
    """How many records have each label: the verdicts, given or not, then those at a smaller scale."""
    labels = Counter(entry["label"] for entry in entries)
    return {verdict: labels.pop(verdict, 0) for verdict in get_args(Verdict)} | dict(sorted(labels.items()))


def as_text(profile: str, store: Store | None = None) -> str:
    """The ledger as text for a terminal: the paper's number, the published, yours, and the verdict."""
    lines, entries = [], records(profile, store)
    for entry in entries:
        lines.append(f"{entry['claim']}  [{entry['source']}]")
        lines.append(f"    paper      {entry['paper']}")
        lines.append(f"    published  {entry['published'] or '-'}  ({entry['published label']})")
        if profile != "published":
            lines.append(f"    yours      {entry['yours'] or '-'}  ({entry['label']})")
        lines.append(f"    because    {entry['why']}")
    counts = ", ".join(f"{count} {label}" for label, count in tally(entries).items())
    return "\n".join([*lines, "", f"{len(CLAIMS)} claims: {counts}"])
