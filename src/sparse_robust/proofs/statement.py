"""Checked statements: what one is, and the decorator that registers it. Imports nothing of the package.

A statement is registered by decorating the function that checks it. The function's docstring is the
statement as the book prints it (MyST Markdown), so that a statement is typed once::

    @statement("lem-markov", title="Markov's inequality", kind="lemma", source="folklore",
           status="proved", uses=())
    def markov() -> None:
        r\"\"\"For $X \\ge 0$ and $a > 0$, $\\Pr(X > a) \\le \\mathbb{E}X / a$.\"\"\"
        ...  # raises AssertionError if the statement fails

The status says, honestly, what the check amounts to; whether a statement is *fully checked* is never
typed but derived from its own status and those of everything it uses.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

Status = Literal[
    "proved",  # symbolically, in the generality of the statement
    "proved for small n",  # symbolically, for the sizes that the check names
    "checked exactly on an example",  # rational arithmetic, no rounding
    "checked numerically",  # floating point, random or real inputs
    "argued",  # a human argument in the book, spot-checked by the code
    "cited",  # taken from the literature
]
Kind = Literal["theorem", "proposition", "lemma", "corollary", "definition", "erratum", "counterexample"]

MACHINE_CHECKED: frozenset[str] = frozenset({"proved", "checked exactly on an example"})
"""The statuses that leave nothing to trust but the computer algebra system."""


@dataclass(frozen=True)
class Statement:
    """One statement and the check that backs it.

    Attributes:
        label: the cross-reference label, unique, as the book uses it (``{prf:ref}`label```).
        kind: which environment the book prints it in.
        title: a short name.
        text: MyST Markdown, from the check's docstring.
        source: where the statement comes from ("paper, Theorem 3.1, equation (2)"; "this book").
        status: what the check amounts to.
        uses: labels of the statements that the proof rests on.
        check: raises AssertionError when the statement does not hold.
    """

    label: str
    kind: Kind
    title: str
    text: str
    source: str
    status: Status
    uses: tuple[str, ...]
    check: Callable[[], None]


REGISTERED: dict[str, Statement] = {}
"""Filled by the decorator as modules of proofs are imported; read it through :mod:`.registry`."""


def statement(
    label: str,
    *,
    kind: Kind,
    title: str,
    source: str,
    status: Status,
    uses: tuple[str, ...] = (),
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register the decorated check under ``label``; its docstring is the statement.

    Raises:
        ValueError: if the label is taken, the status or kind unknown, or the docstring missing.
    """

    def register(check: Callable[[], None]) -> Callable[[], None]:
        text = inspect.getdoc(check)
        if not text:
            raise ValueError(f"statement {label!r}: give the check a docstring, it is the statement")
        if label in REGISTERED:
            raise ValueError(
                f"statement {label!r} is registered twice, in {REGISTERED[label].check.__module__}"
            )
        if status not in get_args(Status):
            raise ValueError(f"statement {label!r}: status {status!r} is none of {get_args(Status)}")
        if kind not in get_args(Kind):
            raise ValueError(f"statement {label!r}: kind {kind!r} is none of {get_args(Kind)}")
        REGISTERED[label] = Statement(label, kind, title, text, source, status, uses, check)
        return check

    return register


__all__ = ["MACHINE_CHECKED", "REGISTERED", "Kind", "Statement", "Status", "statement"]
