"""What rests on what: the dependency graph of the statements, in layers and for Graphviz."""

from __future__ import annotations

from . import claims
from .claims import Claim, Status

LOOKS: dict[Status, tuple[str, str]] = {
    "proved": ("#0072B2", "box"),
    "proved for small n": ("#56B4E9", "box"),
    "checked exactly on an example": ("#009E73", "ellipse"),
    "checked numerically": ("#E69F00", "diamond"),
    "argued": ("#D55E00", "hexagon"),
    "cited": ("#5F6368", "note"),
}
"""Colour and Graphviz shape of each status, so that colour is not all that tells them apart."""


def closure(label: str | None = None) -> list[Claim]:
    """``label`` and all it rests on, directly or not, in the order of the book; every statement for None.

    Raises:
        KeyError: if there is no such statement, or a ``uses`` does not resolve.
        ValueError: if the statement rests on itself.
    """
    entries = claims.registry()
    if label is None:
        return list(entries.values())
    wanted = {label, *(c.label for c in claims.ancestors(label))}
    return [c for c in entries.values() if c.label in wanted]


def edges(statements: list[Claim]) -> list[tuple[str, str]]:
    """(user, used) for every ``uses`` of the statements; both ends are among them if they are a closure."""
    return [(c.label, name) for c in statements for name in c.uses]


def layers(statements: list[Claim]) -> list[list[str]]:
    """Labels by depth: those that rest on nothing, then those that rest on these only, and so on.

    A statement is in layer n if the longest chain of statements beneath it has n members.

    Raises:
        ValueError: if statements rest on each other in a circle, or on one that is not among them.
    """
    depth: dict[str, int] = {}
    waiting = list(statements)
    while waiting:
        ready = [c for c in waiting if all(name in depth for name in c.uses)]
        if not ready:
            stuck = ", ".join(c.label for c in waiting)
            raise ValueError(f"these rest on each other in a circle, or on what is not there: {stuck}")
        for c in ready:
            depth[c.label] = max((depth[name] + 1 for name in c.uses), default=0)
        waiting = [c for c in waiting if c.label not in depth]
    found: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for c in statements:
        found[depth[c.label]].append(c.label)
    return found


def to_dot(label: str | None = None) -> str:
    """The graph of :func:`closure` in Graphviz' language: an arrow leads from a statement to each it uses.

    Shape and colour say the status, a heavy frame that the statement is fully checked. For a picture::

        python -m sparse_robust proofs --graph | dot -Tsvg > proofs.svg

    Raises:
        KeyError: as :func:`closure`.
    """
    statements = closure(label)
    lines = [
        "digraph proofs {",
        "  rankdir=RL;",
        '  node [style=filled, fontname="sans-serif", fontcolor=white];',
        '  edge [tooltip="uses", color="#5F6368"];',
    ]
    for c in statements:
        colour, shape = LOOKS[c.status]
        width = 3 if claims.fully_checked(c.label) else 1
        attributes = {"tooltip": f"{c.title} ({c.status})", "fillcolor": colour, "shape": shape}
        listed = ", ".join(f"{key}={_quoted(value)}" for key, value in attributes.items())
        lines.append(f"  {_quoted(c.label)} [{listed}, penwidth={width}];")
    lines += [f"  {_quoted(user)} -> {_quoted(used)};" for user, used in edges(statements)]
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


__all__ = ["LOOKS", "closure", "edges", "layers", "to_dot"]
