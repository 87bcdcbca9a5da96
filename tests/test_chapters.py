"""Chapters open with a task, numbers and a question, end with three lessons, and quote what runs."""

import ast
import inspect
import re

import pytest
import yaml

from notebooks import BOOK, ROOT, Notebook, notebooks, source
from sparse_robust.book.cells import in_short, show
from sparse_robust.training import Training

QUESTION = "**The question.**"
LESSONS = "## What was learned"


def of_chapters() -> list[Notebook]:
    """The notebooks of the book's parts, less the back matter, whose pages are tables and lists."""
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    files = {c["file"] for part in parts if part["caption"] != "Back matter" for c in part["chapters"]}
    return [n for n in notebooks() if n.path.relative_to(ROOT).with_suffix("").as_posix() in files]


each = pytest.mark.parametrize("chapter", of_chapters(), ids=lambda chapter: chapter.name)


def prose(chapter: Notebook) -> str:
    return "\n\n".join(source(cell) for cell in chapter.cells("markdown"))


def test_there_are_chapters():
    assert len(of_chapters()) >= 25
    assert all(chapter.path.is_relative_to(BOOK) for chapter in of_chapters())


@each
def test_a_chapter_opens_with_numbers_and_then_its_question(chapter: Notebook):
    opening = re.split(r"^## ", prose(chapter), maxsplit=1, flags=re.MULTILINE)[0]
    assert opening.count(QUESTION) == 1, f"its question once, after {QUESTION}, before the first section"
    task, question = opening.split(QUESTION)
    task = re.sub(r"\([\w-]+\)=\s+# .*", "", task)
    assert re.search(r"\{glue:text\}|\d", task), "a task with numbers, before the question"
    assert "?" in question


@each
def test_a_chapter_ends_with_three_lines_and_a_number(chapter: Notebook):
    last = re.split(r"^## ", prose(chapter), flags=re.MULTILINE)[-1]
    assert last.startswith(LESSONS.removeprefix("## "))
    assert len(re.findall(r"^- ", last, flags=re.MULTILINE)) == 3
    assert "{glue:text}" in last, "a lesson has a number, and it is glued"


@each
def test_what_is_glued_is_computed_in_the_same_notebook(chapter: Notebook):
    asked = set(re.findall(r"\{glue:text\}`([^`:]+)", prose(chapter)))
    outputs = [output for cell in chapter.cells("code") for output in cell["outputs"]]
    glued = {o["metadata"].get("scrapbook", {}).get("name") for o in outputs if "metadata" in o}
    assert asked <= glued


def test_quoted_code_is_what_runs_less_the_rest_of_what_it_says_of_itself():
    quoted = show(Training).data.removeprefix("```python\n").removesuffix("\n```")
    assert "momentum: of the heavy ball" not in quoted
    assert "momentum: of the heavy ball" in show(Training, folded=True).data
    shown, whole = (ast.parse(text) for text in (quoted, inspect.getsource(Training)))
    for tree in (shown, whole):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
                del node.body[0]
    assert ast.dump(shown) == ast.dump(whole)


def test_a_docstring_of_one_paragraph_is_quoted_whole():
    source = 'def f():\n    """One\n    paragraph.\n    """\n    return 1'
    assert in_short(source) == source
