"""The claims ledger: what the paper says it measured, and what the rows say.

Each claim is a predicate over rows. The rules by which verdicts are given are written in this package and
apply to every profile alike; each module of claims says which of its rules were settled before the numbers
were known.
"""

from __future__ import annotations

import pandas as pd

from ..statistics import complete_size, has_profile, stored
from ..store import Store
from . import cifar, clever, lenet, linear, over_pruning
from .claim import EmpiricalClaim, Finding
from .rules import held_rounds

CLAIMS: tuple[EmpiricalClaim, ...] = (
    *linear.CLAIMS,
    *lenet.CLAIMS,
    *cifar.CLAIMS,
    *clever.CLAIMS,
    *over_pruning.CLAIMS,
)


def findings(profile: str, store: Store | None = None) -> dict[str, Finding]:
    """The finding of every claim under ``profile`` (``published`` or one of the catalogue's), by name."""
    tables: dict[str, pd.DataFrame] = {}
    found = {}
    for claim in CLAIMS:
        if not has_profile(claim.experiment, profile):
            found[claim.name] = Finding("", "not run", "needs PROFILE=paper")
            continue
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
