"""Static guards on the notebooks: what nbval cannot see, or passes although it should not."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from notebooks import BOOK, ROOT, TAGS, Notebook, calls, notebooks, source, tags, typed_numbers
from sparse_robust.book.reproduce import chapters
from sparse_robust.proofs.registry import registry

NOTEBOOKS = notebooks()
each = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)


def test_the_table_of_contents_lists_every_notebook_once():
    assert sorted(map(str, chapters(ROOT))) == [notebook.name for notebook in NOTEBOOKS]


@each
def test_executed_from_top_to_bottom(notebook: Notebook):
    """nbval never compares a cell whose count is null, so a notebook that was never run would pass."""
    counts = [cell["execution_count"] for cell in notebook.cells("code")]
    assert counts == list(range(1, len(counts) + 1)), (
        "execute it afresh: make notebooks CHAPTERS=" + notebook.name
    )


@each
def test_one_parameters_cell_asks_for_published_results(notebook: Notebook):
    cells = [cell for cell in notebook.cells("code") if "parameters" in tags(cell)]
    assert len(cells) == 1
    assert cells[0] is notebook.cells("code")[0]
    assert "remove-cell" in tags(cells[0])
    values = {
        target.id: ast.literal_eval(statement.value)
        for statement in ast.parse(source(cells[0])).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    assert values == {"profile": "published", "device": "cpu"}


@each
def test_chapters_show_and_do_not_print(notebook: Notebook):
    printing = [number for number, cell in enumerate(notebook.cells("code"), 1) if [*calls(cell, "print")]]
    assert printing == [], "show what functions return; a table by table(...)"


@each
def test_tags_are_known(notebook: Notebook):
    used = {tag for cell in notebook.content["cells"] for tag in tags(cell)}
    assert used <= TAGS, f"unknown tags: {sorted(used - TAGS)}"


@each
def test_outputs_are_clean(notebook: Notebook):
    for number, cell in enumerate(notebook.cells("code"), start=1):
        for output in cell["outputs"]:
            where = f"code cell {number}"
            assert output.get("name") != "stderr", f"{where} wrote to stderr: {output['text']}"
            if output["output_type"] == "error":
                assert "raises-exception" in tags(cell), f"{where} stores an error"
            glued = str(output.get("data", {}).get("application/papermill.record/text/plain", ""))
            assert not glued.startswith("np."), (
                f"{where} glues {glued}, which the page cannot format: float(...)"
            )
            pictures = {"image/png", "image/jpeg"} & output.get("data", {}).keys()
            assert not pictures, f"{where} stores {pictures}: nbval skips them; draw SVG (figures.style())"


@each
def test_figures_have_alternative_text_and_are_not_compared(notebook: Notebook):
    for number, cell in enumerate(notebook.cells("code"), start=1):
        if any("image/svg+xml" in output.get("data", {}) for output in cell["outputs"]):
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt) >= 20, f"code cell {number}: say what the figure shows in mystnb.image.alt"
            assert "nbval-ignore-output" in tags(cell), f"code cell {number}: SVG differs between releases"


@each
def test_only_figures_are_exempt_from_comparison(notebook: Notebook):
    """`nbval-ignore-output` on a cell that prints numbers would take them out of the regression."""
    for number, cell in enumerate(notebook.cells("code"), start=1):
        if "nbval-ignore-output" in tags(cell):
            kinds = {kind for output in cell["outputs"] for kind in output.get("data", {"text/plain": ""})}
            assert "image/svg+xml" in kinds, f"code cell {number} is exempt and draws no figure: {kinds}"


@each
def test_small_enough_to_review(notebook: Notebook):
    assert notebook.path.stat().st_size < 650_000
    for number, cell in enumerate(notebook.cells("code"), start=1):
        assert source(cell).count("\n") < 40, f"code cell {number} belongs into src"


@each
def test_kernel_is_everybodys(notebook: Notebook):
    spec = notebook.content["metadata"]["kernelspec"]
    assert (spec["name"], spec["display_name"]) == ("python3", "Python 3")


@each
def test_begins_with_its_only_title(notebook: Notebook):
    text = "\n".join(source(cell) for cell in notebook.cells("markdown"))
    text = re.sub(r"^(`{3,})(?!\{).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)  # "# " comments in code
    assert re.match(r"(\([\w-]+\)=\s+)?# ", text), "the first cell holds the title"
    assert len(re.findall(r"^# ", text, flags=re.MULTILINE)) == 1


PROSE = [
    (notebook.name, "\n\n".join(source(cell) for cell in notebook.cells("markdown")))
    for notebook in NOTEBOOKS
]
PROSE += [(path.relative_to(ROOT).as_posix(), path.read_text()) for path in sorted(BOOK.rglob("*.md"))]


@pytest.mark.parametrize(("name", "text"), PROSE, ids=[name for name, _ in PROSE])
def test_no_number_in_prose_is_typed_by_hand(name: str, text: str):
    assert typed_numbers(text) == [], "glue what was measured, put the numbers of a derivation into math"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("We reach an accuracy of 99.17 % on the test set.", ["99.17 %"]),
        ("It is 92.26% there.", ["92.26%"]),
        ("It falls by 3 per cent.", ["3 per cent"]),
        ("It falls from 2.0103 to 2.0009.", ["2.0103", "2.0009"]),
        ("A step of 1e-3.", ["1e-3"]),
        ("| DeepFool | 2.31 |", ["2.31"]),
        ("- **Result**: 0.5", ["0.5"]),
        (":::{note}\nIt is 0.25 here.\n:::", ["0.25"]),
        ("Theorem 3.1 holds for 0.73 of them.", ["0.73"]),
        ("In Figure 1 99.17 % are right.", ["99.17 %"]),
        ("Table 99.17 %", ["99.17 %"]),
        ("so $r$ costs 5 and $s$ costs 2.5 here", ["2.5"]),
        ("`a` is 0.1 and `b` is 0.2", ["0.1", "0.2"]),
        ("An accuracy of $99.17 \\pm 0.08\\%$.", ["99.17 \\pm 0.08\\%"]),
        ("Theorem 3.1 and Theorem 3.2, Theorems 3.1, 3.2 and 3.3, Section 4.1, Figure 1", []),
        (
            "Theorem 3.2⁺ repairs it; equation (2.1); Sections 9.1–9.2; Lemma 3.1's proof; errata 1.1 to 1.3",
            [],
        ),
        ("We take $\\epsilon = 0.1$ and $$x = 0.25.$$", []),
        ("\\begin{align}\nx &= 0.5\n\\end{align}", []),
        ("It is {glue:text}`x:.3f`, and {glue:text}`../a.ipynb::x:.3f`; see `eps=0.1`.", []),
        ("```python\nx = 0.5\n```\n\n```{math}\nx = 0.5\n```", []),
        (":::{figure} a.svg\n:width: 62.5%\n:::", []),
        ("[the paper](https://example.org/1.5/2.5) or <https://example.org/0.5>", []),
        ("Python 3.11, torch 2.15.0, version 1.0, CC BY 4.0, in 2018, 70,000 digits, 10 seeds", []),
        ("{cite}`guo2018sparse`, arXiv:1801.04695, doi 10.1109/5.726791", []),
        ("> accuracy of 99.17 %", []),
        ("a 95 % confidence interval", []),
        ('<img width="12.5%">', []),
    ],
)
def test_the_number_scanner(text: str, found: list[str]):
    assert typed_numbers(text) == found


def labels(function: str) -> list[tuple[str, str]]:
    """(label, chapter) for every label that is written out in a call of ``function``."""
    return [
        (argument.value, notebook.name)
        for notebook in NOTEBOOKS
        for cell in notebook.cells("code")
        for call in calls(cell, function)
        for argument in call.args
        if isinstance(argument, ast.Constant)
    ]


def test_every_registered_statement_is_printed_by_exactly_one_chapter():
    printed: dict[str, list[str]] = {}
    for label, chapter in labels("state"):
        printed.setdefault(label, []).append(chapter)
    assert {label: where for label, where in printed.items() if len(where) > 1} == {}, "printed twice"
    assert printed.keys() - registry().keys() == set(), "printed, and in no registry"
    assert sorted(registry().keys() - printed.keys()) == [], "registered, and printed nowhere"


def test_state_names_its_label():
    """A label that is computed could not be counted above."""
    for notebook in NOTEBOOKS:
        for cell in notebook.cells("code"):
            for call in calls(cell, "state"):
                assert isinstance(call.args[0], ast.Constant), f"{notebook.name}: {source(cell)}"


def test_every_verified_label_is_registered():
    assert {label for label, _ in labels("verify")} <= registry().keys()


def in_reading_order() -> list[Notebook]:
    """The notebooks as the table of contents orders them."""
    place = {str(path): number for number, path in enumerate(chapters(ROOT))}
    return sorted(NOTEBOOKS, key=lambda notebook: place[notebook.name])


def test_nothing_is_verified_before_it_is_stated():
    stated: set[str] = set()
    early = []
    for notebook in in_reading_order():
        for cell in notebook.cells("code"):
            for function in ("state", "verify"):
                for call in calls(cell, function):
                    names = {a.value for a in call.args if isinstance(a, ast.Constant)}
                    if function == "state":
                        stated |= names
                    else:
                        early += [f"{notebook.name}: {name}" for name in sorted(names - stated)]
    assert early == []


def test_the_page_of_notation_is_listed_and_leads_to_registered_statements():
    text = (BOOK / "foundations" / "notation.md").read_text(encoding="utf-8")
    assert "book/foundations/notation" in (ROOT / "_toc.yml").read_text(encoding="utf-8")
    assert "{doc}`foundations/notation`" in (BOOK / "intro.ipynb").read_text(encoding="utf-8")
    assert set(re.findall(r"\{prf:ref\}`([^`]+)`", text)) <= registry().keys()


def test_notebooks_are_normalised():
    """The command is the Makefile's, so that `make notebooks` and this cannot disagree."""
    options = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("NORMALISE")
    )
    command = options.split("nbstripout ", 1)[1]
    flags, keys = command.split("--extra-keys ")
    result = subprocess.run(
        [
            Path(sys.executable).with_name("nbstripout"),
            "--verify",
            *flags.split(),
            "--extra-keys",
            keys.strip(" '"),
        ]
        + [str(notebook.path) for notebook in NOTEBOOKS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
