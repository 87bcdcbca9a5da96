"""What a chapter calls: quote code, state and verify statements, load rows, show tables and figures."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure

from sparse_robust.experiments import load_rows as load
from sparse_robust.experiments import provenance
from sparse_robust.proofs import registry
from sparse_robust.proofs.ledger import reference
from sparse_robust.proofs.statement import Status
from sparse_robust.studies.catalogue import find

from .layout import Captioned, Framed, Mosaic, captioned

BADGES: dict[Status, str] = {
    "proved": "success",
    "kernel proved, glue argued": "info",
    "proved for small n": "info",
    "checked exactly on an example": "success",
    "checked numerically": "warning",
    "argued": "warning",
    "cited": "secondary",
}
"""The colour of each status; the words of the badge say the same."""


def show(obj: Callable[..., object] | type, folded: bool = False) -> Markdown:
    """The source of ``obj`` as Markdown, so that a chapter quotes the very code that runs.

    Of what it says about itself the first paragraph is shown; unfolding shows everything.

    Args:
        obj: a function, a method or a class.
        folded: whole, behind a line with its name, for what is long.
    """
    source = textwrap.dedent(inspect.getsource(obj)).rstrip()
    source = source if folded else in_short(source)
    quoted = f"```python\n{source}\n```"
    return Markdown(f":::{{dropdown}} The code of `{obj.__name__}`\n{quoted}\n:::" if folded else quoted)


def in_short(source: str) -> str:
    """Python source with the first paragraph of each docstring alone."""
    lines = source.split("\n")
    documented = [
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    for node in sorted(documented, key=lambda node: node.lineno, reverse=True):
        first = node.body[0]
        if not ast.get_docstring(node) or not isinstance(first, ast.Expr):
            continue
        start, end = first.lineno - 1, first.end_lineno
        whole = lines[start:end]
        if "" in whole:
            paragraph = whole[: whole.index("")]
            lines[start:end] = [*paragraph[:-1], paragraph[-1] + '"""']
    return "\n".join(lines)


def badge(status: Status) -> str:
    """A status as MyST: a badge that leads to what it means in the proof ledger."""
    return f"{{bdg-ref-{BADGES[status]}-line}}`{status} <statuses>`"


def state(label: str) -> Markdown:
    """The registered statement ``label`` as a numbered, referable environment of the book.

    Its status stands in the title as a badge, which leads to the proof ledger.
    """
    c = registry.get(label)
    return Markdown(f":::{{prf:{c.kind}}} {c.title} {badge(c.status)}\n:label: {c.label}\n\n{c.text}\n:::")


def verify(*labels: str) -> Markdown:
    """Run the checks of statements in the reader's sight, and say what each amounts to.

    Raises:
        AssertionError: if a statement does not hold.
    """
    lines = []
    for label in labels:
        outcome = registry.run(label)
        assert outcome.error is None, f"{label}: {outcome.error}"
        uses = ", ".join(map(reference, outcome.statement.uses)) or "nothing else"
        lines.append(f"{reference(label)}: {outcome.statement.status}; rests on {uses}.")
    return Markdown("\n\n".join(lines))


def load_rows(name: str, profile: str, device: str = "cpu") -> pd.DataFrame:
    """The rows of the experiment called ``name``, see :func:`~sparse_robust.experiments.load_rows`."""
    return load(find(name), profile, device)


def table(
    frame: pd.DataFrame, caption: str, label: str = "", formats: Mapping[str, str] | None = None
) -> Markdown:
    """A data frame as a numbered table of the book, with a caption.

    Args:
        frame: one line for each row, without the index; headings and text may hold MyST, as ``$r_2$``.
        caption: a sentence or two of MyST.
        label: to refer to it, as ``{numref}`label```.
        formats: by column, how its numbers are written, as ``.2f``; others are written as ``.4g``. What is
            missing is a dash.
    """
    chosen = dict(formats or {})
    if unknown := sorted(set(chosen) - set(map(str, frame.columns))):
        raise ValueError(f"formats for columns that are not there: {', '.join(unknown)}")
    rules = ["---:" if pd.api.types.is_numeric_dtype(kind) else "---" for kind in frame.dtypes]
    lines = ["| " + " | ".join(_text(str(name)) for name in frame.columns) + " |", f"|{'|'.join(rules)}|"]
    for line in frame.itertuples(index=False):
        cells = (_cell(v, chosen.get(str(name), "")) for name, v in zip(frame.columns, line, strict=True))
        lines.append("| " + " | ".join(cells) + " |")
    named = f":name: {label}\n" if label else ""
    return Markdown(f":::{{table}} {caption}\n{named}\n" + "\n".join(lines) + "\n:::")


def figure(
    drawing: Figure,
    caption: str,
    label: str,
    rows: pd.DataFrame | Sequence[pd.DataFrame] = (),
    phone: Mosaic | None = None,
) -> Captioned:
    """A drawing as a numbered figure of the book, with a caption; its words are in the cell's metadata.

    Args:
        drawing: matplotlib's; it is closed.
        caption: a sentence or two of MyST.
        label: to refer to it, as ``{numref}`label```.
        rows: what it is made from, if it is made from rows; their provenance
            stands below the caption.
        phone: how its panels are arranged on a phone, by their numbers; None for one below the other.
    """
    return captioned(drawing, _with_sources(caption, rows), label, phone)


def framed(
    markup: HTML, caption: str, label: str, rows: pd.DataFrame | Sequence[pd.DataFrame] = ()
) -> Framed:
    """Markup as a numbered figure of the book, as an interactive one; arguments as for :func:`figure`."""
    return Framed(label, _with_sources(caption, rows), str(markup.data))


def _with_sources(caption: str, rows: pd.DataFrame | Sequence[pd.DataFrame]) -> str:
    tables = [rows] if isinstance(rows, pd.DataFrame) else rows
    sources = [f"[{provenance(table)}.]{{.provenance}}" for table in tables if len(table)]
    return " ".join([caption.strip(), *sources])


def _cell(value: object, form: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(_cell(part, form) for part in value) or "–"
    if pd.isna(value):  # type: ignore[call-overload]
        return "–"
    if isinstance(value, str):
        return _text(value) or "–"
    if isinstance(value, float):
        return format(value, form or ".4g")
    return format(value, form)


def _text(value: str) -> str:
    """Text for a cell: what is not math must not end the cell, begin math or be taken for emphasis."""
    return value.replace("|", r"\|").replace("\n", " ")
