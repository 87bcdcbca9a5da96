"""The proof ledger: every registered statement, what it rests on, and what its check amounts to."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from .registry import Outcome, ancestors, fully_checked, get, registry, run
from .statement import MACHINE_CHECKED, Statement

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, label) before each check and once at the end."""


def check_all(progress: Progress | None = None) -> list[Outcome]:
    """Run every registered check, in the order of the book; failures are values."""
    names = list(registry())
    outcomes = []
    for done, label in enumerate(names):
        if progress:
            progress(done, len(names), label)
        outcomes.append(run(label))
    if progress:
        progress(len(names), len(names), "")
    return outcomes


def statements(
    statements: Iterable[Statement] | None = None, outcomes: Iterable[Outcome] | None = None
) -> pd.DataFrame:
    """A line for each statement, in the order of the book.

    Args:
        statements: which ones; None for all.
        outcomes: from :func:`check_all`; without them nothing is run.

    Returns:
        columns label, title, status, fully (whether it is fully checked), uses (labels), source and, with
        outcomes, check: ``ok``, or how it failed.
    """
    chosen = list(registry().values() if statements is None else statements)
    frame = pd.DataFrame(
        [(c.label, c.title, c.status, fully_checked(c.label), c.uses, c.source) for c in chosen],
        columns=["label", "title", "status", "fully", "uses", "source"],
    )
    if outcomes is None:
        return frame
    ran = {outcome.statement.label: outcome.error or "ok" for outcome in outcomes}
    return frame.assign(check=frame.label.map(ran))


def summary() -> str:
    """One sentence with the counts."""
    entries = list(registry().values())
    full = sum(fully_checked(c.label) for c in entries)
    own = sum(c.status in MACHINE_CHECKED for c in entries)
    return (
        f"{len(entries)} statements; {own} have a check that leaves nothing to trust but the computer algebra"
        f" system, and {full} of these rest only on such statements."
    )


def errata() -> str:
    """Every erratum as MyST: where the paper says it, what is wrong, and a link to its number in the book."""
    return "\n\n".join(
        f"**{c.title}** ({reference(c.label)}). *In the {c.source}.*\n\n{c.text}"
        for c in registry().values()
        if c.kind == "erratum"
    )


def gaps(label: str) -> list[Statement]:
    """The statements, among ``label`` and what it rests on, that a machine has not checked in full."""
    everything = (get(label), *ancestors(label))
    return [c for c in everything if c.status not in MACHINE_CHECKED]


def reference(label: str) -> str:
    """A MyST cross-reference to a registered statement, which prints as its kind and number."""
    return f"{{prf:ref}}`{label}`"
