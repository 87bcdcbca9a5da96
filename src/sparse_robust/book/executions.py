"""When each chapter was executed and how long that took: kept beside the book, as notebooks do not say.

Seconds are of the processor, not of the clock, so that they mean the same on a machine that has other things
to do. The code that ran is remembered by its digest: a chapter whose code has changed since says so.
"""

import hashlib
import json
import resource
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FILE = Path("book", "executions.json")
"""Below the repository's root."""


@dataclass(frozen=True)
class Execution:
    """One run of a chapter, from top to bottom.

    Attributes:
        day: on which it ended, in UTC, as 2026-01-31.
        seconds: of the processor; of the clock where papermill ran the chapter.
        code: digest of the code cells that ran.
    """

    day: str
    seconds: float
    code: str


def code_digest(notebook: NotebookNode) -> str:
    """Twelve hex digits that change with the code of a notebook, but not with its prose or outputs."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def execute(path: Path) -> Execution:
    """Execute a notebook in place, from top to bottom, in a kernel of its own.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell raises an error that it does not announce.
    """
    notebook = nbformat.read(path, as_version=4)
    before = _children_seconds()
    NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    seconds = round(_children_seconds() - before, 1)
    nbformat.write(notebook, path)
    return Execution(datetime.now(UTC).date().isoformat(), seconds, code_digest(notebook))


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read(root: Path) -> dict[str, Execution]:
    """What is remembered, by chapter as ``book/linear/figure-1``; empty where nothing is."""
    file = root / FILE
    if not file.is_file():
        return {}
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return {name: Execution(**entry) for name, entry in entries.items()}
    except (ValueError, TypeError, AttributeError) as broken:
        raise ValueError(
            f"{file} is not what `make notebooks` wrote: {broken}; restore it from git"
        ) from broken


def remember(root: Path, executed: Mapping[str, Execution]) -> None:
    """Add executions to what is remembered, in the order of names, one line for each."""
    entries = read(root) | dict(executed)
    lines = [f"  {json.dumps(name)}: {json.dumps(asdict(entries[name]))}" for name in sorted(entries)]
    (root / FILE).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def of_notebook(notebook: NotebookNode, remembered: Execution | None) -> Execution | None:
    """How a notebook came to its outputs: by papermill, if that says so, otherwise as remembered."""
    ran = notebook.metadata.get("papermill", {})
    if ran.get("end_time"):
        day = date.fromisoformat(ran["end_time"][:10]).isoformat()
        return Execution(day, round(float(ran["duration"]), 1), code_digest(notebook))
    return remembered
