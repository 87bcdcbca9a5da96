"""All statements of the book: importing this module imports every proof, in the order of the book."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from .statement import MACHINE_CHECKED, REGISTERED, Statement

MODULES = (
    "foundations.norms",
    "foundations.distances",
    "foundations.attacks",
    "foundations.attacks_boxed",
    "linear.expectations",
    "linear.theorem_3_1.paper",
    "linear.theorem_3_1.sharper",
    "linear.theorem_3_1.errata",
    "linear.theorem_3_2.paper",
    "linear.theorem_3_2.attack",
    "linear.theorem_3_2.necessity",
    "linear.theorem_3_2.caveats",
    "deep.guarantees.paper",
    "deep.guarantees.errata",
    "deep.guarantees.radius",
    "deep.guarantees.search",
    "deep.guarantees.metrics",
    "deep.lipschitz.segments",
    "deep.lipschitz.cover",
    "deep.lipschitz.gradients",
    "deep.lipschitz.paper",
    "deep.lipschitz.errata",
    "deep.lipschitz.chain",
    "deep.lipschitz.layers",
    "deep.random_masks.inequalities",
    "deep.random_masks.percolation",
    "deep.random_masks.recursion",
    "deep.random_masks.paper",
    "deep.random_masks.gaps",
    "deep.random_masks.moments",
    "deep.random_masks.norms",
    "deep.random_masks.bernstein",
    "deep.random_masks.intervals",
    "deep.random_masks.overpruning",
    "deep.random_masks.sparse_limit",
    "deep.random_masks.russo",
    "beyond.linf_not_l2.gaussian",
    "beyond.linf_not_l2.threshold",
    "beyond.linf_not_l2.pruning",
    "beyond.linf_not_l2.path",
)
"""The modules of proofs, in the order of the book."""

for _module in MODULES:
    importlib.import_module(f"sparse_robust.proofs.{_module}")


def registry() -> dict[str, Statement]:
    """All registered statements by label, in the order of the book."""
    return dict(REGISTERED)


def get(label: str) -> Statement:
    """The statement under ``label``.

    Raises:
        KeyError: if there is none; the message lists the known labels.
    """
    statements = registry()
    if label not in statements:
        raise KeyError(f"no statement {label!r}; known: {', '.join(statements)}")
    return statements[label]


def ancestors(label: str) -> Iterator[Statement]:
    """Every statement that ``label`` rests on, directly or not, each once.

    Raises:
        KeyError: if a ``uses`` does not resolve.
        ValueError: if a statement rests on itself.
    """
    seen: set[str] = set()
    stack = list(get(label).uses)
    while stack:
        name = stack.pop()
        if name == label:
            raise ValueError(f"statement {label!r} rests on itself")
        if name not in seen:
            seen.add(name)
            used = get(name)
            stack.extend(used.uses)
            yield used


def fully_checked(label: str) -> bool:
    """Whether the statement and all it rests on are machine-checked (see MACHINE_CHECKED)."""
    return all(c.status in MACHINE_CHECKED for c in (get(label), *ancestors(label)))


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check: ``error`` is None when it passed."""

    statement: Statement
    error: str | None
    seconds: float


def run(label: str) -> Outcome:
    """Run one check; failure is a value."""
    target, start = get(label), time.perf_counter()
    try:
        target.check()
        error = None
    except Exception as failure:  # a broken proof step may raise anything; it is a failed check all the same
        error = f"{type(failure).__name__}: {failure}"
    return Outcome(target, error, time.perf_counter() - start)
