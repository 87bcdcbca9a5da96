"""What rests on what: the dependency graph of the statements, in layers and for Graphviz."""

from __future__ import annotations

import networkx as nx

from .registry import ancestors, fully_checked, registry
from .statement import Statement, Status

LOOKS: dict[Status, tuple[str, str]] = {
    "proved": ("#0072B2", "box"),
    "kernel proved, glue argued": ("#332288", "octagon"),
    "proved for small n": ("#56B4E9", "box"),
    "checked exactly on an example": ("#009E73", "ellipse"),
    "checked numerically": ("#E69F00", "diamond"),
    "argued": ("#D55E00", "hexagon"),
    "cited": ("#5F6368", "note"),
}
"""Colour and Graphviz shape of each status, so that colour is not all that tells them apart."""


def closure(label: str | None = None) -> list[Statement]:
    """``label`` and all it rests on, directly or not, in the order of the book; every statement for None.

    Raises:
        KeyError: if there is no such statement, or a ``uses`` does not resolve.
        ValueError: if the statement rests on itself.
    """
    entries = registry()
    if label is None:
        return list(entries.values())
    wanted = {label, *(c.label for c in ancestors(label))}
    return [c for c in entries.values() if c.label in wanted]


def edges(statements: list[Statement]) -> list[tuple[str, str]]:
    """(user, used) for every ``uses`` of the statements; both ends are among them if they are a closure."""
    return [(c.label, name) for c in statements for name in c.uses]


def levels(statements: list[Statement]) -> list[list[str]]:
    """Labels by depth: those that rest on nothing, then those that rest on these only, and so on.

    A statement is in layer n if the longest chain of statements beneath it has n members.

    Raises:
        ValueError: if statements rest on each other in a circle, or on one that is not among them.
    """
    graph = nx.DiGraph((used, user) for user, used in edges(statements))
    graph.add_nodes_from(c.label for c in statements)
    place = {c.label: number for number, c in enumerate(statements)}
    if absent := sorted(set(graph) - set(place)):
        raise ValueError(f"these are used, but are not there: {', '.join(absent)}")
    try:
        return [sorted(layer, key=place.__getitem__) for layer in nx.topological_generations(graph)]
    except nx.NetworkXUnfeasible:
        circle = ", ".join(user for user, _ in nx.find_cycle(graph))
        raise ValueError(f"these rest on each other in a circle: {circle}") from None


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
        width = 3 if fully_checked(c.label) else 1
        attributes = {"tooltip": f"{c.title} ({c.status})", "fillcolor": colour, "shape": shape}
        listed = ", ".join(f"{key}={_quoted(value)}" for key, value in attributes.items())
        lines.append(f"  {_quoted(c.label)} [{listed}, penwidth={width}];")
    lines += [f"  {_quoted(user)} -> {_quoted(used)};" for user, used in edges(statements)]
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
