"""The page on the state of the book, made when the site is built: what ran when, on which rows and checks."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import nbformat
import pandas as pd
from nbformat import NotebookNode

from sparse_robust.experiments.load import origin, stored
from sparse_robust.proofs.registry import registry
from sparse_robust.studies.catalogue import CATALOGUE, find

from . import executions
from .cells import table
from .reproduce import chapters

CHECKED = re.compile(r"^\{prf:ref\}`([\w-]+)`: ", re.MULTILINE)
"""A line of what :func:`~sparse_robust.book.cells.verify` returns."""


THROUGH_ALL = {"CATALOGUE", "run_times", "verdict_strip"}
"""Names that stand for the rows of every experiment."""


def experiments_of(notebook: NotebookNode) -> list[str]:
    """The experiments whose rows a chapter reads: those that its code names, or all of them."""
    nodes = [node for tree in _trees(notebook) for node in ast.walk(tree)]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    if names & THROUGH_ALL:
        return list(CATALOGUE)
    named = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    if "controls" in names:
        named |= {f"{name}-controls" for name in named}
    return [name for name in CATALOGUE if name in named]


def _trees(notebook: NotebookNode) -> Iterator[ast.Module]:
    for cell in notebook.cells:
        if cell.cell_type == "code" and not cell.source.lstrip().startswith(("%", "!")):
            yield ast.parse(cell.source)


def checked_in(notebook: NotebookNode) -> list[str]:
    """The statements whose checks a chapter has run and passed, as its outputs say, in their order."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if any("check_all(" in cell.source for cell in code):
        return list(registry())
    outputs = [output for cell in code if "verify(" in cell.source for output in cell.outputs]
    texts = ["".join(output.get("data", {}).get("text/markdown", "")) for output in outputs]
    return list(dict.fromkeys(label for text in texts for label in CHECKED.findall(text)))


def profile_of(notebook: NotebookNode) -> str:
    """Whose rows the chapter shows: ``published``, or what `make reproduce` ran it with."""
    return str(notebook.metadata.get("papermill", {}).get("parameters", {}).get("profile", "published"))


def of_chapters(root: Path) -> pd.DataFrame:
    """A line for each chapter in the order of the book.

    Returns:
        columns chapter (its document), executed (a day, or why there is none), seconds, experiments and
        checks (names).
    """
    remembered, lines = executions.read(root), []
    for path in chapters(root):
        name = path.with_suffix("").as_posix()
        notebook = nbformat.read(root / path, as_version=4)
        ran = executions.of_notebook(notebook, remembered.get(name))
        if ran is None:
            executed = "not recorded"
        elif ran.code != executions.code_digest(notebook):
            executed = f"{ran.day}, code changed since"
        else:
            executed = ran.day
        seconds = float("nan") if ran is None else ran.seconds
        lines.append((name, executed, seconds, experiments_of(notebook), checked_in(notebook)))
    return pd.DataFrame(lines, columns=["chapter", "executed", "seconds", "experiments", "checks"])


def of_rows(profile: str, names: Iterable[str] = CATALOGUE) -> pd.DataFrame:
    """A line for each experiment: columns experiment, scale, seeds, images, commit, and numbers stored."""
    lines = []
    for name in names:
        experiment = find(name)
        rows = stored(experiment, profile)
        whence = origin(rows) if len(rows) else {"scale": "not run", "seeds": "", "images": "", "commit": ""}
        lines.append((name, *(whence[key] for key in ("scale", "seeds", "images", "commit")), len(rows)))
    return pd.DataFrame(lines, columns=["experiment", "scale", "seeds", "images", "commit", "numbers"])


def page(root: Path) -> str:
    """Both tables as MyST, and below them the statements that each chapter checks, folded."""
    state = of_chapters(root)
    profile = profile_of(nbformat.read(root / chapters(root)[0], as_version=4))
    shown = state.assign(
        chapter=[f"{{doc}}`/{name}`" for name in state.chapter],
        checks=[len(labels) for labels in state.checks],
        experiments=[
            f"all {len(names)}" if len(names) == len(CATALOGUE) else names for names in state.experiments
        ],
    )
    caption = (
        "Every notebook of the book: when it was last executed, how long that took, the experiments whose "
    )
    caption += "rows it reads, and how many statements its outputs say are checked."
    parts = [table(shown, caption, "tab-status-chapters", {"seconds": ".0f"}).data]
    caption = (
        "The rows of every experiment: how many numbers, of what scale, over how many seeds and test images, "
    )
    caption += "and at which commit of this book's code they were measured."
    rows = of_rows(profile).rename(columns={"images": "test images"})
    parts.append(table(rows, caption, "tab-status-rows").data)
    for name, labels in zip(state.chapter, state.checks, strict=True):
        if labels and len(labels) < len(registry()):
            references = ", ".join(f"{{prf:ref}}`{label}`" for label in labels)
            parts.append(
                f":::{{dropdown}} {len(labels)} checked in {name.removeprefix('book/')}\n{references}\n:::"
            )
    return "\n\n".join(parts)
