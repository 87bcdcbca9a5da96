"""The proof ledger: every registered statement, what it rests on, and what its check amounts to."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable

from . import claims
from .claims import Claim, Verdict

Progress = Callable[[int, int, str], None]
"""Called as progress(done, total, label) before each check and once at the end."""


def check_all(progress: Progress | None = None) -> list[Verdict]:
    """Run every registered check, in the order of the book; failures are values."""
    names = list(claims.registry())
    verdicts = []
    for done, label in enumerate(names):
        if progress:
            progress(done, len(names), label)
        verdicts.append(claims.run(label))
    if progress:
        progress(len(names), len(names), "")
    return verdicts


def proof_table(verdicts: Iterable[Verdict] | None = None, width: int = 100) -> str:
    """The ledger as plain text: label, status, whether fully checked, and with verdicts the outcome.

    Args:
        verdicts: from check_all; without them nothing is run and the outcome is left out.
        width: columns of the terminal; titles are shortened to fit.
    """
    outcome = {v.claim.label: v for v in verdicts or ()}
    entries = claims.registry().values()
    label_width = max(len(c.label) for c in entries)
    status_width = max(len(c.status) for c in entries)
    room = max(20, width - label_width - status_width - 24)
    lines = [f"{'label':{label_width}}  {'status':{status_width}}  fully  check   statement", "-" * width]
    for c in entries:
        verdict = outcome.get(c.label)
        ran = "" if verdict is None else ("ok" if verdict.error is None else "FAILED")
        full = "yes" if claims.fully_checked(c.label) else "no"
        title = textwrap.shorten(c.title, room, placeholder=" …")
        lines.append(f"{c.label:{label_width}}  {c.status:{status_width}}  {full:5}  {ran:6}  {title}")
        if verdict is not None and verdict.error is not None:
            lines.append(f"{'':{label_width}}  {verdict.error}")
    return "\n".join([*lines, "", summary()])


def summary() -> str:
    """One sentence with the counts."""
    entries = list(claims.registry().values())
    full = sum(claims.fully_checked(c.label) for c in entries)
    own = sum(c.status in claims.MACHINE_CHECKED for c in entries)
    return (
        f"{len(entries)} statements; {own} have a check that leaves nothing to trust but the computer algebra"
        f" system, and {full} of these rest only on such statements."
    )


def table(selected: Iterable[Claim] | None = None) -> str:
    """The ledger as a MyST table; each label links to the place where the book states it."""
    rows = ["| statement | | status | fully checked | rests on | source |", "|---|---|---|---|---|---|"]
    for c in claims.registry().values() if selected is None else selected:
        uses = ", ".join(reference(name) for name in c.uses) or "–"
        full = "yes" if claims.fully_checked(c.label) else "no"
        rows.append(f"| {reference(c.label)} | {c.title} | {c.status} | {full} | {uses} | {c.source} |")
    return "\n".join(rows)


def errata() -> str:
    """Every erratum as MyST: where the paper says it, what is wrong, and a link to its number in the book."""
    return "\n\n".join(
        f"**{c.title}** ({reference(c.label)}). *In the {c.source}.*\n\n{c.statement}"
        for c in claims.registry().values()
        if c.kind == "erratum"
    )


def gaps(label: str) -> list[Claim]:
    """The statements, among ``label`` and what it rests on, that a machine has not checked in full."""
    everything = (claims.get(label), *claims.ancestors(label))
    return [c for c in everything if c.status not in claims.MACHINE_CHECKED]


def reference(label: str) -> str:
    """A MyST cross-reference to a registered statement, which prints as its kind and number."""
    return f"{{prf:ref}}`{label}`"


__all__ = ["Progress", "check_all", "errata", "gaps", "proof_table", "reference", "summary", "table"]
