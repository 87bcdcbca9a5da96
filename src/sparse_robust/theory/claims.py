"""The registry of checked statements, from which the proof ledger is generated.

A statement is registered by decorating the function that checks it. The function's docstring is the
statement as the book prints it (MyST Markdown), so that a statement is typed once::

    @claim("lem-markov", title="Markov's inequality", kind="lemma", source="folklore",
           status="proved", uses=())
    def markov() -> None:
        r\"\"\"For $X \\ge 0$ and $a > 0$, $\\Pr(X > a) \\le \\mathbb{E}X / a$.\"\"\"
        ...  # raises AssertionError if the statement fails

The status says, honestly, what the check amounts to; whether a statement is *fully checked* is never
typed but derived from its own status and those of everything it uses.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
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
class Claim:
    """One statement and the check that backs it.

    Attributes:
        label: the cross-reference label, unique, as the book uses it (``{prf:ref}`label```).
        kind: which environment the book prints it in.
        title: a short name.
        statement: MyST Markdown, from the check's docstring.
        source: where the statement comes from ("paper, Theorem 3.1, equation (2)"; "this book").
        status: what the check amounts to.
        uses: labels of the statements that the proof rests on.
        check: raises AssertionError when the statement does not hold.
    """

    label: str
    kind: Kind
    title: str
    statement: str
    source: str
    status: Status
    uses: tuple[str, ...]
    check: Callable[[], None]


_REGISTRY: dict[str, Claim] = {}


def claim(
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
        statement = inspect.getdoc(check)
        if not statement:
            raise ValueError(f"claim {label!r}: give the check a docstring, it is the statement")
        if label in _REGISTRY:
            raise ValueError(f"claim {label!r} is registered twice, in {_REGISTRY[label].check.__module__}")
        if status not in get_args(Status):
            raise ValueError(f"claim {label!r}: status {status!r} is none of {get_args(Status)}")
        if kind not in get_args(Kind):
            raise ValueError(f"claim {label!r}: kind {kind!r} is none of {get_args(Kind)}")
        _REGISTRY[label] = Claim(label, kind, title, statement, source, status, uses, check)
        return check

    return register


def registry() -> dict[str, Claim]:
    """All registered claims by label, in the order of the book."""
    from . import proofs  # noqa: F401  (importing it registers every proof)

    return dict(_REGISTRY)


def get(label: str) -> Claim:
    """The claim under ``label``.

    Raises:
        KeyError: if there is none; the message lists the known labels.
    """
    claims = registry()
    if label not in claims:
        raise KeyError(f"no claim {label!r}; known: {', '.join(claims)}")
    return claims[label]


def ancestors(label: str) -> Iterator[Claim]:
    """Every claim that ``label`` rests on, directly or not, each once.

    Raises:
        KeyError: if a ``uses`` does not resolve.
        ValueError: if a claim rests on itself.
    """
    seen: set[str] = set()
    stack = list(get(label).uses)
    while stack:
        name = stack.pop()
        if name == label:
            raise ValueError(f"claim {label!r} rests on itself")
        if name not in seen:
            seen.add(name)
            used = get(name)
            stack.extend(used.uses)
            yield used


def fully_checked(label: str) -> bool:
    """Whether the claim and all it rests on are machine-checked (see MACHINE_CHECKED)."""
    return all(c.status in MACHINE_CHECKED for c in (get(label), *ancestors(label)))


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check: ``error`` is None when it passed."""

    claim: Claim
    error: str | None
    seconds: float


def run(label: str) -> Verdict:
    """Run one check; failure is a value."""
    target, start = get(label), time.perf_counter()
    try:
        target.check()
        error = None
    except Exception as failure:  # a broken proof step may raise anything; it is a failed check all the same
        error = f"{type(failure).__name__}: {failure}"
    return Verdict(target, error, time.perf_counter() - start)


__all__ = [
    "MACHINE_CHECKED",
    "Claim",
    "Kind",
    "Status",
    "Verdict",
    "ancestors",
    "claim",
    "fully_checked",
    "get",
    "registry",
    "run",
]
