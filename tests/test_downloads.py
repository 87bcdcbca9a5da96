"""The notebooks that readers take away begin by installing the book, and only where that is needed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from notebooks import ROOT
from sparse_robust.book import downloads

URL, COMMIT = "https://github.com/somebody/book", "0" * 40


@pytest.fixture(scope="module")
def chapter() -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "book" / "beyond" / "later-work.ipynb", as_version=4)


def test_the_first_cell_comes_once_and_leaves_the_rest_alone(chapter):
    once = downloads.with_first_cell(chapter, URL, COMMIT)
    twice = downloads.with_first_cell(once, URL, COMMIT)
    assert once == twice
    assert once.cells[1:] == chapter.cells
    assert once.cells[0].id == downloads.ID != chapter.cells[0].id
    nbformat.validate(once)


@pytest.mark.parametrize("url", ["", 'https://x/"; import os', "a b", "a\nb"])
def test_an_address_that_would_be_code_is_refused(chapter, url):
    with pytest.raises(ValueError, match="REPOSITORY_URL"):
        downloads.with_first_cell(chapter, url, COMMIT)


def test_where_the_package_is_installed_the_cell_does_nothing_and_the_notebook_runs(chapter, tmp_path):
    short = downloads.with_first_cell(chapter, URL, COMMIT)
    short.cells = [cell for cell in short.cells if cell.cell_type == "code"][:2]
    NotebookClient(short, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert list(tmp_path.iterdir()) == []
    assert short.cells[0].outputs == []


def test_elsewhere_it_clones_the_commit_and_installs_the_book(chapter, tmp_path, monkeypatch):
    """Git is run for real, on a small repository; pip is not."""
    origin = tmp_path / "origin"
    (origin / "src").mkdir(parents=True)
    git = ["git", "-C", str(origin), "-c", "user.name=n", "-c", "user.email=e@x"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    for text in ("first", "second"):
        (origin / "src" / "file").write_text(text)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "--quiet", "--message", text], check=True)
    first = subprocess.run([*git, "rev-parse", "HEAD~"], capture_output=True, text=True, check=True)

    run, installed = subprocess.run, []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(
        subprocess, "run", lambda c, **o: run(c, **o) if c[0] == "git" else installed.append(c)
    )
    cell = downloads.with_first_cell(chapter, origin.as_uri(), first.stdout.strip()).cells[0]
    for _ in range(2):  # a second run of the cell changes nothing
        exec(cell.source, {})
        assert Path("sparse-robust", "src", "file").read_text() == "first"
    (command, _) = installed
    assert command[1:5] == ["-m", "pip", "install", "--quiet"]
    assert command[-1] == f"{tmp_path / 'sparse-robust'}[book]"
    assert sys.path[0] == str(tmp_path / "sparse-robust" / "src")


def test_colab_opens_what_a_branch_on_github_holds():
    page = "book/linear/figure-1"
    assert downloads.colab(URL, "notebooks", page) == (
        f"https://colab.research.google.com/github/somebody/book/blob/notebooks/{page}.ipynb"
    )
    assert downloads.colab(URL, "", page) is None
    assert downloads.colab("https://example.org/book", "notebooks", page) is None
