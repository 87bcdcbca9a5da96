"""The page on the state of the book says what notebooks, rows and the record of executions say."""

import json

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from notebooks import ROOT
from sparse_robust.book import executions, status
from sparse_robust.book.cells import load_rows
from sparse_robust.book.reproduce import chapters
from sparse_robust.proofs.registry import registry


def notebook(*sources: str, markdown: str = "words"):
    return new_notebook(cells=[new_markdown_cell(markdown), *map(new_code_cell, sources)])


@pytest.fixture(scope="module")
def state():
    return status.of_chapters(ROOT).set_index("chapter")


def test_every_chapter_has_a_line_in_the_order_of_the_book(state):
    assert list(state.index) == [path.with_suffix("").as_posix() for path in chapters(ROOT)]


def test_chapters_name_their_rows_and_checks(state):
    assert state.experiments["book/linear/figure-1"][:2] == ["linear-binary", "linear-multiclass"]
    assert "thm-3-1" in state.checks["book/linear/theorem-3-1"]
    assert state.checks["book/back/proof-ledger"] == list(registry())
    known = set(registry())
    assert all(set(labels) <= known for labels in state.checks)


def test_rows_are_counted_as_they_are_loaded():
    rows = status.of_rows("published", ["linear-binary", "vgg"]).set_index("experiment")
    loaded = load_rows("linear-binary", "published")
    assert rows.numbers["linear-binary"] == len(loaded)
    assert rows.seeds["linear-binary"] == str(loaded.seed.nunique())
    assert rows.scale["vgg"] == "not run" or rows.numbers["vgg"]


def test_a_change_of_code_is_told_and_one_of_prose_is_not():
    ran = executions.code_digest(notebook("x = 1"))
    assert ran == executions.code_digest(notebook("x = 1", markdown="other words"))
    assert ran != executions.code_digest(notebook("x = 2"))


def test_only_checks_that_were_run_count():
    cell = new_code_cell("verify(label)")
    cell.outputs = [new_output("execute_result", {"text/markdown": "{prf:ref}`thm-3-1`: proved; rests on"})]
    quoted = new_code_cell("Markdown(text)")
    quoted.outputs = [new_output("execute_result", {"text/markdown": "{prf:ref}`thm-3-2`: quoted"})]
    assert status.checked_in(new_notebook(cells=[cell, quoted])) == ["thm-3-1"]


def test_a_chapter_that_reads_all_experiments_says_so():
    assert status.experiments_of(notebook("for e in CATALOGUE: ...")) == list(status.CATALOGUE)
    assert status.experiments_of(notebook('load_rows("vgg", profile)')) == ["vgg"]


def test_papermill_tells_when_it_ran_a_chapter():
    reproduced = notebook("x = 1")
    remembered = executions.Execution("2020-01-01", 1.0, "")
    assert executions.of_notebook(reproduced, remembered) == remembered
    reproduced.metadata["papermill"] = {"end_time": "2026-02-03T04:05:06.7", "duration": 8.04}
    ran = executions.of_notebook(reproduced, remembered)
    assert (ran.day, ran.seconds) == ("2026-02-03", 8.0)


def test_executions_are_remembered(tmp_path):
    (tmp_path / "book").mkdir()
    path = tmp_path / "book" / "page.ipynb"
    executions.nbformat.write(notebook("6 * 7"), path)
    ran = executions.execute(path)
    assert executions.nbformat.read(path, as_version=4).cells[1].outputs[0].data["text/plain"] == "42"
    executions.remember(tmp_path, {"book/page": ran})
    executions.remember(tmp_path, {"book/other": ran})
    assert executions.read(tmp_path) == {"book/other": ran, "book/page": ran}
    assert ran.seconds >= 0
    (tmp_path / executions.FILE).write_text(json.dumps({"book/page": {"when": "today"}}))
    with pytest.raises(ValueError, match=r"executions\.json.*make notebooks"):
        executions.read(tmp_path)
