"""`make reproduce`: compute every experiment, execute every chapter, print the claims, build the site.

A chapter is executed, always anew, as soon as the experiments that it names are there. What takes long,
training and attacks, is stored row by row by the runner, so that a second run, or one after an interruption,
spends time only on what is missing.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import papermill
import torch
import yaml
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from sparse_robust.data import MissingDataError, MissingModelError
from sparse_robust.experiments import PROFILES as COMPUTED
from sparse_robust.experiments import Experiment, Store, find_profile, run_side_by_side
from sparse_robust.studies.catalogue import CATALOGUE

from . import durations
from .layout import KIND

PROFILES = (*COMPUTED, "published")
"""The scales, and the committed results as they are."""

PATIENCE = 600.0
"""Seconds of a processor: experiments of laptop scale that take longer are computed on request."""


def repository() -> Path:
    """The checkout that this package is installed from, in editable mode.

    Raises:
        FileNotFoundError: if the package was installed away from its checkout.
    """
    root = Path(__file__).parents[3]
    if not (root / "_toc.yml").is_file():
        raise FileNotFoundError(
            f"{root} holds no _toc.yml, so the chapters cannot be found."
            " Work in a clone of the repository, with the package installed from it: pip install -e ."
        )
    return root


def chapters(root: Path) -> list[Path]:
    """The notebooks that ``_toc.yml`` names, in the order of the book, relative to ``root``.

    Raises:
        FileNotFoundError: if ``_toc.yml`` names a file that does not exist.
    """
    return [
        path
        for path in _pages(root, yaml.safe_load((root / "_toc.yml").read_text()))
        if path.suffix == ".ipynb"
    ]


def _pages(root: Path, entry: object) -> Iterator[Path]:
    if isinstance(entry, list):
        for item in entry:
            yield from _pages(root, item)
    elif isinstance(entry, dict):
        for key, value in entry.items():
            if key in ("root", "file"):
                stem = Path(value)
                files = [p for p in (stem, Path(f"{stem}.ipynb"), Path(f"{stem}.md")) if (root / p).is_file()]
                if not files:
                    raise FileNotFoundError(f"{root / '_toc.yml'} names {stem}, and there is no such chapter")
                yield files[0]
            else:
                yield from _pages(root, value)


def unfinished(notebook: NotebookNode) -> str | None:
    """Why an executed notebook does not count as done; None if it does.

    Done means that papermill recorded an end time, that every cell is ``completed`` and that no cell holds
    an error that it does not announce (tag ``raises-exception``). The absence of an exception says nothing:
    after a kill, papermill leaves ``exception: None`` behind.
    """
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        expected = "raises-exception" in cell.metadata.get("tags", [])
        for output in cell.get("outputs", []):
            if output.output_type == "error" and not expected:
                return f"code cell {number} raised {output.ename}: {output.evalue}"
        status = cell.metadata.get("papermill", {}).get("status", "not run")
        if status != "completed":
            return f"code cell {number} is {status}, not completed:\n{cell.source[:200]}"
    if not notebook.metadata.get("papermill", {}).get("end_time"):
        return "no end time was recorded, so the run was cut off"
    return None


def execute(source: Path, target: Path, *, profile: str, device: str) -> str | None:
    """Run the chapter ``source`` into ``target``; why it failed, or None.

    The kernel's working directory is the folder of ``target``. A partial notebook is kept.
    """
    try:
        papermill.execute_notebook(
            source,
            target,
            parameters={"profile": profile, "device": device},
            kernel_name="python3",
            cwd=target.parent,
            progress_bar=False,
        )
    except PapermillExecutionError:
        pass  # also raised for errors that a chapter announces; the notebook tells which it was
    except Exception as failure:  # a kernel that died or never started: name it, and go on
        return f"{type(failure).__name__}: {failure}"
    notebook = nbformat.read(target, as_version=4)
    reason = unfinished(notebook)
    # papermill's banners go: the traceback that the failing cell keeps says the same
    notebook.cells = [
        c for c in notebook.cells if "papermill-error-cell-tag" not in c.metadata.get("tags", [])
    ]
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("remove-cell")
    nbformat.write(notebook, target)
    return reason


def stage(root: Path) -> Path:
    """A fresh copy of the book's sources under ``_build/reproduced``, to execute in and to build from.

    The notebooks there start without outputs, so that no published number can pass for one computed here.
    """
    staged = root / "_build" / "reproduced"
    shutil.rmtree(staged, ignore_errors=True)
    ignored = shutil.ignore_patterns("results", ".ipynb_checkpoints", "__pycache__")
    shutil.copytree(root / "book", staged / "book", ignore=ignored)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, staged / name)
    for path in staged.rglob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, path)
    return staged


def build(root: Path, staged: Path) -> bool:
    """Build the site of ``staged`` into ``_build/html``; whether that worked."""
    shutil.rmtree(root / "_build" / "html", ignore_errors=True)
    command = [
        str(Path(sys.executable).with_name("jupyter-book")),
        "build",
        str(staged),
        "--path-output",
        str(root),
    ]
    return subprocess.run([*command, "--all", "--keep-going", "-n", "--quiet"], check=False).returncode == 0


def named(chapter: Path) -> set[str]:
    """The experiments that a chapter's code names."""
    notebook = nbformat.read(chapter, as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return set(re.findall(r'"([\w-]+)"', code)) & set(CATALOGUE)


def write_figures(chapter: Path, folder: Path) -> int:
    """Put the numbered figures of an executed chapter into ``folder``, as LABEL.svg; how many there are."""
    notebook = nbformat.read(chapter, as_version=4)
    shown = [
        output.data
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if KIND in output.get("data", {})
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for data in shown:
        (folder / f"{data[KIND]['label']}.svg").write_text("".join(data["image/svg+xml"]), encoding="utf-8")
    return len(shown)


def compute(
    experiment: Experiment, profile: str, device: str, seconds: float | None, *, record: Path | None = None
) -> str | None:
    """Run what is missing of an experiment, saying before how long it will take; why it is left out, or None.

    Args:
        experiment: whose rows.
        profile: ``smoke``, ``laptop`` or ``paper``.
        device: as for :func:`~sparse_robust.experiments.run`.
        seconds: of a processor that it takes, if that is known.
        record: the repository that is to remember how long it took, if nothing was there before; or None.
    """
    about = f"about {minutes(seconds)} of a processor" if seconds is not None else "nobody has timed it yet"
    print(f"{experiment.title} ({experiment.name}): {about}", flush=True)
    fresh = not Store.default().rows(experiment.name, profile)
    start = durations.processor_seconds()
    try:
        rows = run_side_by_side(experiment, find_profile(profile), device=device)
    except MissingModelError as missing:
        return f"needs the published models. {missing}"
    except MissingDataError as missing:
        return f"needs its data. {missing}"
    took = durations.processor_seconds() - start
    print(f"  {len(rows)} numbers, from {rows[0].data_description}; took {minutes(took)}", flush=True)
    if fresh and record is not None:
        durations.record(record, profile, experiment.name, took)
    return None


def on_request(times: Mapping[str, float]) -> dict[str, str]:
    """The experiments of laptop scale that take longer than :data:`PATIENCE`, and how long.

    Args:
        times: seconds of a processor by name, as far as they are known; networks for images in colour that
            nobody has timed take hours.
    """
    colour = {name: "hours" for name, of in CATALOGUE.items() if of.specs["laptop"][0].network.colour}
    return colour | {name: minutes(seconds) for name, seconds in times.items() if seconds > PATIENCE}


def minutes(seconds: float) -> str:
    """A duration in words."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def reproduce(
    profile: str = "laptop", device: str = "cpu", *, everything: bool = False, record: bool = False
) -> int:
    """Compute all experiments, execute all chapters, print the claims, build the site; the exit status.

    Args:
        profile: ``smoke``, ``laptop``, ``paper``, or ``published`` for the committed results.
        device: ``cpu`` or ``cuda``.
        everything: also experiments that take a laptop longer than :data:`PATIENCE`; chapters that show
            those show committed results otherwise.
        record: remember in :data:`.durations.FILE` how long experiments took that had not been begun.

    Raises:
        FileNotFoundError: if this is no checkout, or ``_toc.yml`` names a chapter that does not exist.
        ValueError: if the profile is unknown or the device absent.
    """
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device {device!r}: PyTorch sees no GPU here; use DEVICE=cpu")
    root = repository()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads of a kernel would wait for the neighbours'
    todo = chapters(root)
    staged = stage(root)
    times = durations.read(root).get(profile, {})
    open_ = {name for name in CATALOGUE if profile != "published"}
    too_long = on_request(times) if profile == "laptop" and not everything else {}
    failed: dict[Path, str] = {}

    def execute_those(ready: list[Path]) -> None:
        """Execute chapters side by side, with committed rows for what was too long, and say how it went."""

        def one(chapter: Path) -> tuple[str | None, float]:
            start = time.perf_counter()
            with_rows = "published" if named(root / chapter) & set(too_long) else profile
            reason = execute(root / chapter, staged / chapter, profile=with_rows, device=device)
            return reason, time.perf_counter() - start

        with ThreadPoolExecutor(os.cpu_count()) as threads:
            for chapter, (reason, seconds) in zip(ready, threads.map(one, ready), strict=True):
                if reason is not None:
                    failed[chapter] = reason
                how = "FAILED" if reason else "done"
                figures = write_figures(staged / chapter, staged / "figures") if reason is None else 0
                seen = f"; {figures} figures in {staged.relative_to(root) / 'figures'}" if figures else ""
                print(f"{chapter}: {how} in {seconds:.0f} s{seen}", flush=True)

    waiting = list(todo)
    for experiment in CATALOGUE.values() if profile != "published" else ():
        reason: str | None
        if experiment.name in too_long:
            reason = f"takes {too_long[experiment.name]} of a processor: make reproduce ALL=1"
        else:
            seconds = times.get(experiment.name)
            reason = compute(experiment, profile, device, seconds, record=root if record else None)
        open_.discard(experiment.name)
        if reason is not None:
            print(f"{experiment.title}: left out, {reason}", flush=True)
        ready = [chapter for chapter in waiting if (of := named(root / chapter)) and not of & open_]
        waiting = [chapter for chapter in waiting if chapter not in ready]
        execute_those(ready)
    execute_those(waiting)

    print("\nBuilding the site from the executed chapters", flush=True)
    built = build(root, staged)
    from sparse_robust.studies import ledger  # here: a broken ledger must not keep chapters from running

    print(f"\nThe paper's claims, profile {profile}:\n\n{ledger.as_text(profile)}\n")
    for chapter, reason in failed.items():
        partial = (staged / chapter).relative_to(root)
        print(f"FAILED {chapter}: {reason}\n  what it got to: {partial}", file=sys.stderr)
    if failed or not built:
        site = "" if built else " The site was not built; the reason is above."
        print(f"{len(failed)} of {len(todo)} chapters failed.{site}", file=sys.stderr)
        return 1
    print(f"All {len(todo)} chapters ran. Your book: _build/html/index.html (open it, or: make serve)")
    return 0
