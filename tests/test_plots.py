"""The look of the book: figures are reproducible bytes, legible on white and safe for the colour-blind."""

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from sparse_robust.book.figures import PALETTE, radius_dots, sparsity_bands, style, to_svg


@pytest.fixture
def figure():
    with mpl.rc_context():
        style()
        fig, ax = plt.subplots()
        ax.fill_between([0, 1], [0, 1], hatch="/")  # hatches and clip paths carry generated ids
        ax.plot([0, 1], [0, 1], label=r"$r_\infty$")
        ax.legend()
        yield fig
        plt.close(fig)


def test_the_same_figure_gives_the_same_bytes(figure):
    first, again = to_svg(figure), to_svg(figure)
    assert first == again
    assert first.startswith("<?xml")
    assert "\n" not in first
    assert "date" not in first.lower()


def test_nothing_depends_on_the_reader_s_fonts(figure):
    assert "<text" not in to_svg(figure)


def test_the_ground_is_opaque_white(figure):
    assert figure.get_facecolor() == (1.0, 1.0, 1.0, 1.0)
    assert "fill: #ffffff" in to_svg(figure)


def luminance(colour):
    rgb = np.array(mpl.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(colour):
    """WCAG 2 contrast with white."""
    return 1.05 / (luminance(colour) + 0.05)


def test_the_colours_used_for_lines_and_words_contrast_with_white():
    for name in ("blue", "vermillion", "green", "purple", "grey"):
        assert contrast(PALETTE[name]) >= 3, name  # WCAG's least for graphics


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
SEEN = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}


@pytest.mark.parametrize("kind", SEEN)
def test_the_first_colours_differ_for_the_colour_blind(kind):
    names = ("blue", "vermillion", "green", "purple", "grey")

    def seen(name):
        rgb = np.array(mpl.colors.to_rgb(PALETTE[name]))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return np.clip(SEEN[kind] @ linear, 0, 1) ** (1 / 2.2)

    for one, other in itertools.combinations(names, 2):
        assert np.linalg.norm(seen(one) - seen(other)) > 0.18, (one, other)


def test_the_palette_starts_the_cycle():
    with mpl.rc_context():
        style()
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
    assert cycle == list(PALETTE.values())


def test_bands_lie_between_their_sides():
    bands = pd.DataFrame({"panel": ["a", "b"] * 2, "sparsity": [0.0, 0.0, 0.5, 0.5]})
    drawn = sparsity_bands(bands.assign(low=[0.1, 0.2, 0.3, 0.4], high=[0.5, 0.6, 0.7, 0.8]))
    titles = [axis.get_title() for axis in drawn.axes]
    assert titles == ["a", "b"]
    for axis, low, high in zip(drawn.axes, ([0.1, 0.3], [0.2, 0.4]), ([0.5, 0.7], [0.6, 0.8]), strict=True):
        lines = {line.get_label(): line for line in axis.lines}
        np.testing.assert_allclose(lines["certain"].get_ydata(), low)
        np.testing.assert_allclose(lines["attack"].get_ydata(), high)
        np.testing.assert_allclose(lines["attack"].get_xdata(), [0, np.log(2)])


def test_dots_are_in_the_order_of_the_frame():
    drawn = radius_dots(pd.DataFrame({"dense": [1.0, 2.0], "sparse": [3.0, 4.0]}, index=["x", "y"]), "pixels")
    (axis,) = drawn.axes
    assert [line.get_label() for line in axis.lines] == ["dense", "sparse"]
    top = max(axis.get_yticks())
    names = dict(zip(axis.get_yticks(), [label.get_text() for label in axis.get_yticklabels()], strict=True))
    assert names[top] == "x"
    np.testing.assert_allclose(axis.lines[1].get_xdata(), [3, 4])
    np.testing.assert_allclose(axis.lines[1].get_ydata(), [top, top - 1])
