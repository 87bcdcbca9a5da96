"""Figures of the book: each has a number, a caption, words, provenance and a drawing for phones."""

import ast
import base64
import gzip
import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from notebooks import BOOK, Notebook, calls, notebooks, source
from sparse_robust.book.figures import ATTACKS, INK, activation_curves, sparsity_curves, style
from sparse_robust.book.layout import FRAME, KIND, PHONE, captioned, narrow
from sparse_robust.book.pictures import (
    Fall,
    falling_margins,
    filters,
    region_maps,
    silent_units,
    weights_by_layer,
)
from sparse_robust.book.small_net import small_net

NOTEBOOKS = notebooks()
LEAST = 10.0
"""CSS pixels: the height of the smallest label."""
WIDTHS = {"desk": 680, "phone": 356}
"""CSS pixels: how wide a figure can be on the pages of the browser tests."""
LOADING = {"load_rows", "rows_of", "compare"}


class Shown(NamedTuple):
    notebook: Notebook
    cell: dict[str, Any]
    parts: dict[str, Any]
    desk: str

    @property
    def label(self) -> str:
        return str(self.parts["label"])


def outputs(notebook: Notebook) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for cell in notebook.cells("code"):
        for output in cell["outputs"]:
            yield cell, output.get("data", {})


FIGURES = [
    Shown(notebook, cell, data[KIND], "".join(data["image/svg+xml"]))
    for notebook in NOTEBOOKS
    for cell, data in outputs(notebook)
    if KIND in data
]
FRAMES = [(notebook, data[FRAME]) for notebook in NOTEBOOKS for _, data in outputs(notebook) if FRAME in data]
each = pytest.mark.parametrize("shown", FIGURES, ids=lambda shown: shown.label)


def draws(data: dict[str, Any]) -> bool:
    markup = "".join(itertools.chain(data.get("text/html", ()), data.get("text/markdown", ())))
    return "image/svg+xml" in data or "<svg" in markup or 'class="widget"' in markup


def test_no_picture_of_a_chapter_goes_without_number_and_caption():
    bare = [
        f"{notebook.name}: {source(cell)[:60]}"
        for notebook in NOTEBOOKS
        for cell, data in outputs(notebook)
        if draws(data) and not {KIND, FRAME} & set(data)
    ]
    assert bare == []


def test_labels_are_one_figure_s_each():
    labels = [shown.label for shown in FIGURES] + [parts["label"] for _, parts in FRAMES]
    assert len(set(labels)) == len(labels)
    assert all(re.fullmatch(r"fig-[a-z0-9-]+", label) for label in labels)


@each
def test_a_figure_has_caption_words_and_mention(shown: Shown):
    assert re.match(r"[A-Z\d$].*\.", shown.parts["caption"], re.DOTALL), "a caption is a sentence"
    assert shown.cell["metadata"]["mystnb"]["image"]["alt"].strip()
    prose = "\n".join(source(cell) for cell in shown.notebook.cells("markdown"))
    assert f"{{numref}}`{shown.label}`" in prose, "prose refers to the figure by its number"


@pytest.mark.parametrize(("notebook", "parts"), FRAMES, ids=lambda part: getattr(part, "name", ""))
def test_a_framed_figure_has_caption_and_mention(notebook: Notebook, parts: dict[str, str]):
    assert re.match(r"[A-Z\d$].*\.", parts["caption"], re.DOTALL), "a caption is a sentence"
    prose = "\n".join(source(cell) for cell in notebook.cells("markdown"))
    assert f"{{numref}}`{parts['label']}`" in prose, "prose refers to the figure by its number"


def names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def assigned(node: ast.Assign) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Target and value, of tuples part by part."""
    for target in node.targets:
        match target, node.value:
            case ast.Tuple(elts=targets), ast.Tuple(elts=values):
                yield from zip(targets, values, strict=True)
            case _:
                yield target, node.value


def from_rows(notebook: Notebook) -> dict[str, set[str]]:
    """What a chapter computes from rows: names, by the source of the cell in which they are used."""
    tainted: set[str] = set()
    known: dict[str, set[str]] = {}
    for cell in notebook.cells("code"):
        code = source(cell)
        tree = ast.parse("\n".join(line for line in code.splitlines() if not line.startswith(("%", "!"))))
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                for target, value in assigned(node):
                    if names(value) & (tainted | LOADING):
                        tainted |= names(target)
        known[code] = names(tree) & tainted
    return known


def test_a_figure_made_from_rows_says_which():
    silent = []
    for notebook in NOTEBOOKS:
        known = from_rows(notebook)
        for cell in notebook.cells("code"):
            for call in calls(cell, "figure"):
                drawn = names(call.args[0]) & known[source(cell)]
                if drawn and not any(keyword.arg == "rows" for keyword in call.keywords):
                    silent.append(f"{notebook.name}: {call.args[2].value} from {sorted(drawn)}")
    assert silent == []


@each
def test_rows_are_named_below_the_caption(shown: Shown):
    given = any(k.arg == "rows" for call in calls(shown.cell, "figure") for k in call.keywords)
    assert given == bool(re.search(r"\[.+ seeds, n = \d+.+\]\{\.provenance\}", shown.parts["caption"]))


def smallest(svg: str, width: float) -> float:
    """The size of the smallest label in CSS pixels, of a drawing that is at most so wide."""
    (across,) = map(float, re.findall(r'viewBox="0 0 ([\d.]+) ', svg))
    sizes = [float(size) for size in re.findall(r'<g id="text_\d+">.*?scale\(([\d.]+) -[\d.]+\)', svg)]
    return 100 * min(sizes, default=1) * min(4 / 3, width / across)


@each
def test_labels_can_be_read(shown: Shown):
    phone = gzip.decompress(base64.b64decode(shown.parts["phone"])).decode()
    for drawing, where in ((shown.desk, "desk"), (phone, "phone")):
        assert smallest(drawing, WIDTHS[where]) >= LEAST, where


def test_every_attack_has_a_colour_of_its_own():
    colours = {mpl.colors.to_hex(colour) for colour in ATTACKS.values()}
    assert len(colours) == len(ATTACKS)


def test_no_chapter_gives_an_attack_another_colour():
    for notebook in NOTEBOOKS:
        for cell in notebook.cells("code"):
            for node in ast.walk(ast.parse(re.sub(r"(?m)^[%!].*$", "", source(cell)))):
                if isinstance(node, ast.Call):
                    given = {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg}
                    if given.get("label", "").strip("'\"") in ATTACKS and "color" in given:
                        assert "ATTACKS" in given["color"], f"{notebook.name}: {ast.unparse(node)}"


def lines_of(curves: pd.DataFrame, axis: str) -> dict[str, Any]:
    drawn = {"sparsity": sparsity_curves, "zeros": activation_curves}[axis](curves)
    return {bars.get_label(): bars.lines[0] for bars in drawn.axes[0].containers}


@pytest.mark.parametrize("axis", ["sparsity", "zeros"])
def test_curves_have_the_colour_of_their_attack(axis: str):
    labels = ["FGS", "accuracy", "FGS again", "paper"]
    curves = pd.DataFrame(
        {
            "panel": "p",
            "label": labels,
            "attack": ["FGS", "", "FGS", "FGS"],
            axis: 0.5,
            "mean": 1.0,
            "spread": 0,
        }
    )
    lines = lines_of(curves, axis)
    assert [lines[label].get_color() for label in ("FGS", "FGS again", "paper")] == [ATTACKS["FGS"]] * 3
    assert lines["accuracy"].get_color() not in ATTACKS.values()
    assert lines["FGS"].get_linestyle() != lines["FGS again"].get_linestyle()
    assert lines["paper"].get_linestyle() == "None"
    assert lines["paper"].get_markeredgecolor() == INK


@pytest.fixture
def three_panels():
    with mpl.rc_context():
        style()
        drawing, axes = plt.subplots(1, 3, figsize=(7, 3), sharey=True)
        axes[0].set_ylabel("height")
        drawing.legend([axes[0].plot([0, 1])[0]] * 4, list("abcd"), loc="outside lower center", ncols=4)
        yield drawing
        plt.close(drawing)


def test_on_a_phone_panels_are_below_each_other(three_panels):
    narrow(three_panels)
    three_panels.draw_without_rendering()
    assert three_panels.get_size_inches()[0] == PHONE
    boxes = [axis.get_position() for axis in three_panels.axes]
    assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))
    assert {axis.get_ylabel() for axis in three_panels.axes} == {"height"}
    (legend,) = three_panels.legends
    assert [text.get_text() for text in legend.get_texts()] == list("abcd")


def test_a_mosaic_arranges_panels(three_panels):
    narrow(three_panels, [[0, 1], [2, 2]])
    three_panels.draw_without_rendering()
    first, second, third = (axis.get_position() for axis in three_panels.axes)
    assert first.y0 == pytest.approx(second.y0)
    assert third.y1 <= first.y0
    assert third.width > 1.5 * first.width


def test_a_mosaic_places_every_panel(three_panels):
    with pytest.raises(ValueError, match="a mosaic of 3 panels"):
        narrow(three_panels, [[0], [1]])


def test_what_jupyter_and_the_site_get():
    drawing, axis = plt.subplots(figsize=(7, 3))
    axis.set_title("wide")
    first = captioned(drawing, "A caption.", "fig-a")
    bundle = first._repr_mimebundle_()
    assert bundle["text/plain"] == "A caption."
    parts = bundle[KIND]
    assert isinstance(parts, dict)
    assert gzip.decompress(base64.b64decode(parts["phone"])).decode() == first.phone != first.desk
    assert not plt.fignum_exists(drawing.number)


def test_filters_are_those_of_the_units_that_keep_most():
    dense = np.ones((3, 4))
    sparse = np.array([[0, 0, 0, 1], [1, 1, 1, 0], [1, 1, 0, 0.0]])
    drawn = filters({"dense": dense, "sparse": sparse}, units=2)
    images = [axis.images[0].get_array() for axis in drawn.axes]
    np.testing.assert_array_equal(images[2], sparse[1].reshape(2, 2))
    np.testing.assert_array_equal(images[3], sparse[2].reshape(2, 2))
    assert [axis.get_ylabel() for axis in drawn.axes[::2]] == ["dense", "sparse"]


def test_bars_are_as_long_as_layers_are_large():
    layers = pd.DataFrame({"layer": ["a", "b"], "weights": [100, 20], "left": [7, 3]})
    (axis,) = weights_by_layer(layers).axes
    assert [bar.get_width() for bar in axis.patches] == [100, 20, 7, 3]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]


def test_without_weights_one_region_is_left():
    maps = region_maps(small_net(), (0, 32), points=40)
    assert [axis.get_title() for axis in maps.axes] == ["32 weights", "0 weights"]
    assert maps.axes[1].get_xlabel() == "1 region"
    assert int(maps.axes[0].get_xlabel().split()[0]) > 1


def test_silent_units_are_counted_and_white():
    drawn = silent_units(np.zeros((28, 28)), {"a net": np.array([0.0, 3.0, 0.0, 1.5])}, columns=2)
    assert drawn.axes[1].get_title() == "a net: 2 of 4 silent"
    np.testing.assert_array_equal(drawn.axes[1].images[0].get_array(), [[0, 1], [0, 0.625]])


def test_slopes_end_at_the_radii_that_they_yield():
    fall = Fall(np.array([0.0, 1.0, 2.0]), np.array([3.0, 1.0, -1.0]), certified=0.5, clever=1.25)
    lines = {line.get_label(): line.get_xydata() for line in falling_margins({"net": fall}).axes[0].lines}
    np.testing.assert_array_equal(lines["certificate"], [[0, 3], [0.5, 0]])
    np.testing.assert_array_equal(lines["CLEVER"], [[0, 3], [1.25, 0]])


def test_the_site_reads_the_kinds_that_the_book_writes():
    house = (BOOK / "_ext" / "house.py").read_text(encoding="utf-8")
    assert f'FIGURE = "{KIND}"' in house
    assert f'FRAME = "{FRAME}"' in house
