"""The dependency graph of the statements as pages show it: every mark is a link to its statement."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape

from IPython.display import HTML

from sparse_robust.proofs import graph
from sparse_robust.proofs.statement import Statement, Status

from .reproduce import chapters, repository

SHAPES: dict[Status, str] = {
    "proved": "-6,-6 6,-6 6,6 -6,6",
    "kernel proved, glue argued": "-3,-7 3,-7 7,-3 7,3 3,7 -3,7 -7,3 -7,-3",
    "proved for small n": "-8,-4 8,-4 8,4 -8,4",
    "checked exactly on an example": "0,-8 3,-3 8,0 3,3 0,8 -3,3 -8,0 -3,-3",
    "checked numerically": "0,-8 8,0 0,8 -8,0",
    "argued": "-8,0 -4,-7 4,-7 8,0 4,7 -4,7",
    "cited": "0,-8 8,6 -8,6",
}
"""The corners of each status's mark, so that colour is not all that tells them apart."""

LETTERS = {"infty": "∞", "eta": "η", "gamma": "γ", "epsilon": "ε", "alpha": "α", "lVert": "‖", "rVert": "‖"}
LETTERS |= {"le": "≤", "in": "∈", "bar": "mean of ", "mathbb": "", "cdot": "·"}
ROW, COLUMN = 22, 26
"""Pixels from one row to the next, and from one column to the next."""

Places = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Words:
    """A text beside the graph: where it ends or begins, in pixels, and how it is anchored."""

    text: str
    x: float
    y: float
    anchor: str


def proof_graph(label: str) -> HTML:
    """What one statement rests on: a row for each statement, a column for the depth, a line for each use.

    The statement is on top; what a statement uses is below it and to its left.

    Raises:
        KeyError: if there is no such statement.
    """
    statements = graph.closure(label)
    levels = graph.levels(statements)
    names = [name for level in reversed(levels) for name in reversed(level)]
    depth = _depth(levels)
    places = {name: (12 + COLUMN * depth[name], ROW * (row + 0.7)) for row, name in enumerate(names)}
    right = 12 + COLUMN * len(levels)
    words = [Words(name, right, places[name][1], "start") for name in names]
    return _drawn(f"What {label} rests on", statements, places, words)


def proof_overview() -> HTML:
    """All statements: a row for each module of proofs in the order of the book, a column for the depth."""
    statements = graph.closure()
    depth = _depth(graph.levels(statements))
    modules = list(dict.fromkeys(map(_module, statements)))
    left, wide = 230, 44
    places: dict[str, tuple[float, float]] = {}
    words, y = [], 0.0
    for module in modules:
        cells: dict[int, list[str]] = {}
        for statement in statements:
            if _module(statement) == module:
                cells.setdefault(depth[statement.label], []).append(statement.label)
        words.append(Words(module, left - 16, y + 0.7 * ROW, "end"))
        for level, names in cells.items():
            for i, name in enumerate(names):
                places[name] = (left + wide * level + 20 * (i % 2), y + ROW * (0.7 + i // 2))
        y += ROW * (max((len(names) + 1) // 2 for names in cells.values()) + 0.3)
    return _drawn("All statements of the book", statements, places, words)


def _depth(levels: list[list[str]]) -> dict[str, int]:
    return {name: depth for depth, level in enumerate(levels) for name in level}


def _module(c: Statement) -> str:
    """The module that holds the check of a statement, below its part of the book: "theorem 3.1: paper"."""
    _, _, below = c.proof.__module__.partition(".proofs.")
    _, *names = below.split(".")
    return re.sub(r"(\d)_(\d)", r"\1.\2", ": ".join(names)).replace("_", " ")


@cache
def _pages() -> dict[str, str]:
    """The page that states each statement, from the chapters' own cells."""
    root = repository()
    stated = re.compile(r"\bstate\(\\\"([\w-]+)\\\"\)")
    return {
        label: path.with_suffix(".html").relative_to("book").as_posix()
        for path in chapters(root)
        for label in stated.findall((root / path).read_text(encoding="utf-8"))
    }


def plain(title: str) -> str:
    """A title without TeX, for what shows no formulas."""
    words = re.sub(r"\\([A-Za-z]+) ?", lambda match: LETTERS.get(match[1], match[1]), title)
    return re.sub(r"[${}\\]", "", words)


def _drawn(title: str, statements: list[Statement], places: Places, words: Iterable[Words]) -> HTML:
    """Lines, marks and words as one picture; pages are addressed from ``book/back``."""
    lines = "".join(
        f'<line x1="{places[user][0]:.0f}" y1="{places[user][1]:.0f}" '
        f'x2="{places[used][0]:.0f}" y2="{places[used][1]:.0f}"/>'
        for user, used in graph.edges(statements)
    )
    marks = "".join(_mark(statement, *places[statement.label]) for statement in statements)
    texts = "".join(
        f'<text x="{w.x:.0f}" y="{w.y + 4:.0f}" text-anchor="{w.anchor}">{escape(w.text)}</text>'
        for w in words
    )
    height = max(y for _, y in places.values()) + ROW
    used = [status for status in graph.LOOKS if any(c.status == status for c in statements)]
    key = "".join(
        f'<li><svg width="20" height="18" viewBox="-10 -9 20 18" aria-hidden="true">{_shape(status)}</svg>'
        f" {status}</li>"
        for status in used
    )
    return HTML(
        f'<div class="proof-graph"><svg width="660" height="{height:.0f}" role="group" '
        f'aria-label="{escape(title)}"><g class="uses">{lines}</g>{marks}{texts}</svg><ul>{key}</ul></div>'
    )


def _mark(c: Statement, x: float, y: float) -> str:
    name = escape(f"{plain(c.title)} ({c.kind}; {c.status})")
    return (
        f'<a href="../{_pages()[c.label]}#{c.label}" aria-label="{name}"><title>{name}</title>'
        f'<g transform="translate({x:.0f} {y:.0f})">{_shape(c.status)}</g></a>'
    )


def _shape(status: Status) -> str:
    return f'<polygon points="{SHAPES[status]}" fill="{graph.LOOKS[status][0]}"/>'
