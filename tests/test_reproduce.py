"""When does an executed chapter count as done, and what becomes of one that fails."""

from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from sparse_robust.__main__ import main
from sparse_robust.book import durations, reproduce
from sparse_robust.book.layout import KIND
from sparse_robust.data import MissingDataError, MissingModelError
from sparse_robust.experiments import Experiment
from sparse_robust.studies.catalogue import find

END = "2026-01-01T00:00:00+00:00"


def executed(*statuses: str, end_time: str | None = END) -> nbformat.NotebookNode:
    """A notebook as papermill leaves it, with one code cell for each status."""
    cells = [new_markdown_cell("# A chapter", metadata={"papermill": {"status": "completed"}})]
    cells += [
        new_code_cell("1", metadata={"papermill": {"status": status}, "tags": []}) for status in statuses
    ]
    record = {"exception": None, "end_time": end_time}
    return new_notebook(cells=cells, metadata={"papermill": record})


def test_a_complete_run_is_done():
    assert reproduce.unfinished(executed("completed", "completed")) is None


def test_a_killed_run_is_not_done():
    """After SIGTERM papermill leaves no exception, no end time, and cells that are still running."""
    killed = executed("completed", "running", "pending", end_time=None)
    assert killed.metadata.papermill.exception is None
    assert "code cell 2 is running" in str(reproduce.unfinished(killed))


def test_a_run_cut_off_between_cells_is_not_done():
    assert "no end time" in str(reproduce.unfinished(executed("completed", end_time=None)))


@pytest.mark.parametrize("status", ["failed", "running", "pending"])
def test_one_cell_is_enough_to_be_unfinished(status: str):
    assert f"code cell 2 is {status}" in str(reproduce.unfinished(executed("completed", status)))


def test_a_notebook_that_papermill_never_saw_is_not_done():
    assert "not run" in str(reproduce.unfinished(new_notebook(cells=[new_code_cell("1")])))


def test_an_error_counts_unless_it_is_announced():
    notebook = executed("completed", "completed")
    notebook.cells[2].outputs = [new_output("error", ename="ValueError", evalue="no", traceback=[])]
    assert reproduce.unfinished(notebook) == "code cell 2 raised ValueError: no"
    notebook.cells[2].metadata.tags.append("raises-exception")
    assert reproduce.unfinished(notebook) is None


def chapter(path: Path, *cells: nbformat.NotebookNode) -> Path:
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    parameters = new_code_cell('profile = "published"\ndevice = "cpu"', metadata={"tags": ["parameters"]})
    book = new_notebook(cells=[new_markdown_cell("# T"), parameters, *cells], metadata={"kernelspec": spec})
    nbformat.write(book, path)
    return path


def test_parameters_reach_the_kernel_and_a_failure_keeps_the_partial_notebook(tmp_path: Path):
    """One real kernel: parameters arrive, announced errors pass, the first real one is named."""
    announced = new_code_cell("raise KeyError('meant')", metadata={"tags": ["raises-exception"]})
    source = chapter(
        tmp_path / "source.ipynb",
        new_code_cell("import os; print(profile, device, os.path.basename(os.getcwd()))"),
        announced,
        new_code_cell("1 / 0"),
        new_code_cell("print('never')"),
    )
    target = tmp_path / "staged" / "target.ipynb"
    target.parent.mkdir()
    reason = reproduce.execute(source, target, profile="smoke", device="cpu")
    assert reason == "code cell 5 raised ZeroDivisionError: division by zero"

    partial = nbformat.read(target, as_version=4)
    assert [cell.cell_type for cell in partial.cells] == ["markdown"] + ["code"] * 6, (
        "papermill's banners are gone"
    )
    injected, printed = partial.cells[2], partial.cells[3]
    assert set(injected.metadata.tags) == {"injected-parameters", "remove-cell"}
    assert printed.outputs[0].text == "smoke cpu staged\n"
    assert partial.cells[-1].outputs == []


def book(root: Path, toc: str) -> Path:
    (root / "book").mkdir()
    (root / "_config.yml").write_text("title: T\n")
    (root / "_toc.yml").write_text(toc)
    return root


TOC = """
format: jb-book
root: book/intro
parts:
  - caption: One
    chapters:
      - file: book/second
      - file: book/page
"""


def test_chapters_are_the_notebooks_of_the_contents_in_order(tmp_path: Path):
    root = book(tmp_path, TOC)
    (root / "book" / "page.md").write_text("# P\n")
    for name in ("second", "intro", "stray"):
        chapter(root / "book" / f"{name}.ipynb")
    assert reproduce.chapters(root) == [Path("book/intro.ipynb"), Path("book/second.ipynb")]
    (root / "book" / "page.md").unlink()
    with pytest.raises(FileNotFoundError, match=r"book/page, and there is no such chapter"):
        reproduce.chapters(root)


def test_the_staged_copy_holds_no_published_output(tmp_path: Path):
    root = book(tmp_path, TOC)
    cell = new_code_cell("1", outputs=[new_output("stream", text="42\n")], execution_count=7)
    chapter(root / "book" / "intro.ipynb", cell)
    (root / "book" / "results").mkdir()
    staged = reproduce.stage(root)
    copy = nbformat.read(staged / "book" / "intro.ipynb", as_version=4)
    assert all(c.outputs == [] and c.execution_count is None for c in copy.cells if c.cell_type == "code")
    assert not (staged / "book" / "results").exists()
    assert nbformat.read(root / "book" / "intro.ipynb", as_version=4).cells[2].outputs, (
        "the original is untouched"
    )


@pytest.mark.parametrize(
    ("profile", "device", "message"),
    [
        ("fast", "cpu", "unknown profile 'fast'; known: smoke, laptop, paper"),
        ("smoke", "cuda:99", "use DEVICE=cpu"),
    ],
)
def test_bad_arguments_are_named(profile: str, device: str, message: str, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=message):
        reproduce.reproduce(profile, device)


def test_one_failed_chapter_does_not_stop_the_others(tmp_path: Path, monkeypatch, capsys):
    root = book(tmp_path, TOC)
    (root / "book" / "page.md").write_text("# P\n")
    for name in ("intro", "second"):
        chapter(root / "book" / f"{name}.ipynb")
    tried = []

    def execute(source: Path, target: Path, *, profile: str, device: str) -> str | None:
        tried.append((source.stem, profile, device))
        return "code cell 1 raised ValueError: no" if source.stem == "intro" else None

    monkeypatch.setattr(reproduce, "repository", lambda: root)
    monkeypatch.setattr(reproduce, "CATALOGUE", {"linear-training": find("linear-training")})
    monkeypatch.setattr(reproduce, "execute", execute)
    monkeypatch.setattr(reproduce, "build", lambda root, staged: True)
    monkeypatch.setattr("sparse_robust.studies.ledger.as_text", lambda profile: f"table for {profile}")
    assert main(["reproduce", "--profile", "smoke"]) == 1
    captured = capsys.readouterr()
    assert tried == [("intro", "smoke", "cpu"), ("second", "smoke", "cpu")]
    assert "table for smoke" in captured.out
    assert "FAILED book/intro.ipynb: code cell 1 raised ValueError: no" in captured.err
    assert "1 of 2 chapters failed" in captured.err

    monkeypatch.setattr(reproduce, "execute", lambda *args, **kwargs: None)
    assert main(["reproduce", "--profile", "smoke"]) == 0
    assert "All 2 chapters ran" in capsys.readouterr().out

    monkeypatch.setattr(reproduce, "build", lambda root, staged: False)
    assert main(["reproduce", "--profile", "smoke"]) == 1


def test_an_experiment_whose_models_are_missing_is_left_out_and_said(tmp_path: Path, monkeypatch, capsys):
    def run(experiment: Experiment, profile: str, **_: object) -> list[object]:
        raise MissingModelError(f"dns/{experiment.name} is not there")

    root = book(tmp_path, "root: book/intro\n")
    chapter(root / "book" / "intro.ipynb")
    monkeypatch.setattr(reproduce, "repository", lambda: root)
    monkeypatch.setattr(reproduce, "run_side_by_side", run)
    monkeypatch.setattr(reproduce, "execute", lambda *args, **kwargs: None)
    monkeypatch.setattr(reproduce, "build", lambda root, staged: True)
    monkeypatch.setattr("sparse_robust.studies.ledger.as_text", lambda profile: "")
    assert main(["reproduce", "--profile", "smoke"]) == 0
    printed = capsys.readouterr().out
    assert "left out, needs the published models. dns/over-pruning is not there" in printed
    assert "All 1 chapters ran" in printed


def test_what_needs_another_profile_or_data_is_left_out_and_said(tmp_path: Path, monkeypatch, capsys):
    ran = []

    def run(experiment: Experiment, profile: str, **_: object) -> list[object]:
        ran.append(experiment.name)
        raise MissingDataError(f"no data for {experiment.name}")

    root = book(tmp_path, "root: book/intro\n")
    chapter(root / "book" / "intro.ipynb")
    monkeypatch.setattr(reproduce, "repository", lambda: root)
    monkeypatch.setattr(reproduce, "run_side_by_side", run)
    monkeypatch.setattr(reproduce, "execute", lambda *args, **kwargs: None)
    monkeypatch.setattr(reproduce, "build", lambda root, staged: True)
    monkeypatch.setattr("sparse_robust.studies.ledger.as_text", lambda profile: "")
    assert main(["reproduce", "--profile", "laptop"]) == 0
    printed = capsys.readouterr().out
    assert "Figure 2 (e-f): the VGG-like net on CIFAR-10: left out, takes hours of a processor" in printed
    assert "left out, needs its data. no data for lenet-5" in printed
    assert "lenet-5" in ran
    assert not {"vgg", "resnet-32"} & set(ran)


def test_what_takes_a_laptop_long_waits_for_a_request_and_its_chapters_show_committed_rows(
    tmp_path: Path, monkeypatch, capsys
):
    ran, shown = [], []

    def run(experiment: Experiment, profile: str, **_: object) -> list[object]:
        ran.append(experiment.name)
        raise MissingDataError("no data")

    def execute(source: Path, target: Path, *, profile: str, device: str) -> str | None:
        shown.append((source.stem, profile))
        return None

    root = book(tmp_path, TOC.replace("book/page", "book/third"))
    chapter(root / "book" / "intro.ipynb")
    chapter(root / "book" / "second.ipynb", new_code_cell('load_rows("surgery", profile)'))
    chapter(root / "book" / "third.ipynb", new_code_cell('load_rows("linear-binary", profile)'))
    durations.record(root, "laptop", "surgery", reproduce.PATIENCE + 60)
    durations.record(root, "laptop", "linear-binary", 90.0)
    names = ("linear-binary", "surgery")
    monkeypatch.setattr(reproduce, "CATALOGUE", {name: find(name) for name in names})
    monkeypatch.setattr(reproduce, "repository", lambda: root)
    monkeypatch.setattr(reproduce, "run_side_by_side", run)
    monkeypatch.setattr(reproduce, "execute", execute)
    monkeypatch.setattr(reproduce, "build", lambda root, staged: True)
    monkeypatch.setattr("sparse_robust.studies.ledger.as_text", lambda profile: "")
    assert main(["reproduce"]) == 0
    assert ran == ["linear-binary"]
    assert shown == [("third", "laptop"), ("second", "published"), ("intro", "laptop")]
    printed = capsys.readouterr().out
    assert "(linear-binary): about 90 s of a processor" in printed
    assert "left out, takes 11 min of a processor: make reproduce ALL=1" in printed

    shown.clear()
    assert main(["reproduce", "--all"]) == 0
    assert ran[1:] == list(names)
    assert ("second", "laptop") in shown


def test_an_executed_chapter_leaves_its_figures_as_files(tmp_path: Path):
    data = {"image/svg+xml": "<svg/>", KIND: {"label": "fig-a", "caption": "A.", "phone": ""}}
    path = chapter(tmp_path / "a.ipynb", new_code_cell("1", outputs=[new_output("display_data", data)]))
    assert reproduce.write_figures(path, tmp_path / "figures") == 1
    assert (tmp_path / "figures" / "fig-a.svg").read_text() == "<svg/>"


def test_durations_that_are_damaged_are_named(tmp_path: Path):
    (tmp_path / "book").mkdir()
    assert durations.read(tmp_path) == {}
    (tmp_path / durations.FILE).write_text('{"laptop": {"a": "long"}}')
    with pytest.raises(ValueError, match=r"reproduce\.json is not what"):
        durations.read(tmp_path)
