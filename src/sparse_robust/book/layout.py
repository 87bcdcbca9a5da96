"""A drawing with its caption, as it is laid out on a desk and on a phone."""

import base64
import gzip
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from .figures import to_svg

KIND = "application/vnd.sparse-robust.figure+json"
"""The MIME type under which a cell's output holds what makes a numbered figure of its picture."""

FRAME = "application/vnd.sparse-robust.frame+json"
"""The same of markup."""

PHONE = 3.6
"""Inches: the width of a phone's page, so that a point of type is a point there, too."""

Mosaic = Sequence[Sequence[int]]
"""Numbers of a figure's panels, row by row, in the order in which they were drawn."""


@dataclass(frozen=True)
class Captioned:
    """What a cell shows as a numbered figure.

    Attributes:
        label: to refer to it.
        caption: MyST.
        desk: SVG.
        phone: SVG, panels below each other.
    """

    label: str
    caption: str
    desk: str
    phone: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """The picture for Jupyter, and for the site all else; the second picture is packed."""
        packed = base64.b64encode(gzip.compress(self.phone.encode(), mtime=0)).decode()
        rest = {"label": self.label, "caption": self.caption, "phone": packed}
        return {"text/plain": self.caption, "image/svg+xml": self.desk, KIND: rest}


@dataclass(frozen=True)
class Framed:
    """Markup that a cell shows as a numbered figure, as an interactive one.

    Attributes:
        label: to refer to it.
        caption: MyST.
        html: what is shown.
    """

    label: str
    caption: str
    html: str

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """The markup for Jupyter, and for the site all else."""
        rest = {"label": self.label, "caption": self.caption}
        return {"text/plain": self.caption, "text/html": self.html, FRAME: rest}


def captioned(drawing: Figure, caption: str, label: str, phone: Mosaic | None = None) -> Captioned:
    """Lay a drawing out twice and close it.

    Args:
        drawing: with panels in a grid; panels without a place in one, as colour bars, stay with theirs.
        caption: MyST.
        label: of the figure.
        phone: where the panels go on a phone; None for one below the other.
    """
    desk = to_svg(drawing)
    narrow(drawing, phone)
    small = to_svg(drawing)
    plt.close(drawing)
    return Captioned(label, caption, desk, small)


def narrow(drawing: Figure, mosaic: Mosaic | None = None) -> None:
    """Arrange the panels of a drawing for a page that is as wide as a phone.

    Raises:
        ValueError: if the mosaic does not place every panel.
    """
    panels = [axis for axis in drawing.axes if axis.get_subplotspec() is not None]
    rows = mosaic if mosaic is not None else [[place] for place in range(len(panels))]
    if sorted({place for row in rows for place in row}) != list(range(len(panels))):
        raise ValueError(f"a mosaic of {len(panels)} panels places {rows}")
    drawing.draw_without_rendering()  # constrained layout settles how high panels are
    inches = drawing.get_size_inches()[1]
    tall = [axis.get_position().height * inches for axis in panels]
    heights = [min(max(tall[place] for place in row), PHONE / len(row)) for row in rows]
    grid = drawing.add_gridspec(len(rows), len(rows[0]), height_ratios=heights)
    for place, axis in enumerate(panels):
        spots = [(y, x) for y, row in enumerate(rows) for x, own in enumerate(row) if own == place]
        (top, left), (bottom, right) = spots[0], spots[-1]
        axis.set_subplotspec(grid[top : bottom + 1, left : right + 1])
        if len(rows[0]) == 1 and len(axis.get_shared_y_axes().get_siblings(axis)) > 1:
            axis.tick_params(labelleft=True)
            axis.set_ylabel(axis.get_ylabel() or panels[0].get_ylabel())
    for legend in drawing.legends[:]:
        names = [text.get_text() for text in legend.get_texts()]
        legend.remove()
        handles = [handle for handle in legend.legend_handles if handle is not None]
        drawing.legend(handles, names, loc="outside lower center", ncols=2)
    words = 0.6 if len(rows[0]) < 4 else 0.2  # for titles and labels; small pictures have few
    drawing.set_size_inches(PHONE, sum(heights) + words * len(rows))
