"""From data frame to figure: how the book draws. No statistics are computed here."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PALETTE: dict[str, str] = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "grey": "#5F6368",
}
"""Okabe and Ito's colours, which the colour-blind tell apart; grey for what is only context."""

INK = "#202124"
"""The colour of words; of what the paper prints, where it is not of an attack."""

ATTACKS: dict[str, str] = {
    "FGS": PALETTE["blue"],
    "rFGS": PALETTE["purple"],
    "DeepFool": PALETTE["vermillion"],
    "C&W": PALETTE["green"],
    "PGD": PALETTE["orange"],
    "APGD": "#1B2A59",
    "DeepFool in the box": "#7A3E00",
    "minimal l_2": PALETTE["sky"],
}
"""One colour for each attack throughout the book."""

LINES = ("-", "--", ":", "-.")
"""Of curves of one panel that have the same colour."""

MARKERS = "os^v<>D"
"""One shape for each curve of a panel, so that colour is not all that tells them apart."""

_RC: Any = {
    # The page is about 700 px wide and a figure of 7 inches fills it, so that points are points.
    "figure.figsize": (7.0, 3.8),
    "figure.constrained_layout.use": True,
    "font.size": 10.5,
    "axes.titlesize": 11,
    "axes.labelsize": 10.5,
    "legend.fontsize": 9.5,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "mathtext.fontset": "cm",
    # An opaque white ground: a transparent figure has black axes on the dark theme's black page.
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.facecolor": "white",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#5F6368",
    "xtick.color": "#3C4043",
    "ytick.color": "#3C4043",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E5E8",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "errorbar.capsize": 2.0,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "axes.prop_cycle": cycler(color=list(PALETTE.values())),
    # The same figure gives the same bytes: ids from a fixed salt, glyphs as paths, no system font.
    "svg.hashsalt": "sparse-robust",
    "svg.fonttype": "path",
}


def style() -> None:
    """Set matplotlib up for the book: one look, SVG, and the same bytes for the same figure.

    Under IPython the inline back end is told to emit SVG without a date; elsewhere only the rc
    parameters are set. Call it once, in the first cell that draws.
    """
    mpl.rcParams.update(_RC)
    try:  # a machine that only computes need not have Jupyter
        from IPython.core.getipython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
        from matplotlib_inline.config import InlineBackend
    except ImportError:
        return
    shell = get_ipython()
    if shell is None or shell.display_formatter is None:
        return
    # matplotlib reads this trait again when the first figure opens, and would put its own printer back
    InlineBackend.instance(parent=shell).figure_formats = set()
    set_matplotlib_formats()
    shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, to_svg)


def to_svg(figure: Figure) -> str:
    """The figure as SVG without a date and on one line (a notebook quotes every line: it grows by half)."""
    with io.StringIO() as file:
        figure.savefig(file, format="svg", bbox_inches="tight", metadata={"Date": None})
        return re.sub(r"\s*\n\s*", " ", file.getvalue())


def sparsity_curves(curves: pd.DataFrame) -> Figure:
    """Curves against weight sparsity, one panel for each metric, with bars of one standard deviation.

    Sparsity is drawn as -log(1 - sparsity), so that rounds of pruning are equally far apart.

    Args:
        curves: columns panel, label, sparsity, mean, spread and attack, which gives the colour; panels and
            labels are drawn in their order. What is labelled "paper" is drawn as points.
    """
    figure, axes = _curves(curves.assign(x=-np.log1p(-curves.sparsity)))
    for axis in axes:
        sparsity_axis(axis)
    return figure


def sparsity_bands(bands: pd.DataFrame) -> Figure:
    """What lies between two sides of a number, against weight sparsity; one panel for each number.

    Args:
        bands: columns panel, sparsity, low, high; panels are drawn in their order.
    """
    panels = list(dict.fromkeys(bands.panel))
    figure, axes = plt.subplots(1, len(panels), figsize=(7.0, 3.0), squeeze=False)
    for axis, panel in zip(axes[0], panels, strict=True):
        part = bands[bands.panel == panel]
        x = -np.log1p(-part.sparsity)
        axis.fill_between(x, part.low, part.high, color=PALETTE["sky"], alpha=0.35, label="unknown")
        axis.plot(x, part.high, marker=MARKERS[1], color=PALETTE["vermillion"], label="attack")
        axis.plot(x, part.low, marker=MARKERS[0], color=PALETTE["blue"], label="certain")
        axis.set_ylim(bottom=0)
        axis.set_title(panel)
        sparsity_axis(axis)
    axes[0][0].legend()
    plt.close(figure)
    return figure


def radius_dots(radii: pd.DataFrame, unit: str) -> Figure:
    """Radii as dots: a row for each line of the frame, a colour and a marker for each column.

    Args:
        radii: indexed by what the radii are called, the first at the top.
        unit: of the horizontal axis.
    """
    figure, axis = plt.subplots(figsize=(7.0, 0.9 + 0.32 * len(radii)))
    rows = np.arange(len(radii))[::-1]
    for marker, (name, column) in zip(MARKERS, radii.items(), strict=False):
        axis.plot(column, rows, marker=marker, linestyle="none", markersize=7, label=name)
    axis.set_yticks(rows, radii.index)
    axis.set_xlim(left=0)
    axis.set_xlabel(unit)
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    plt.close(figure)
    return figure


def sparsity_axis(axis: Axes) -> None:
    """Label a horizontal axis of -log(1 - sparsity) with sparsities in percent."""
    ticks = np.array([0.0, 0.5, 0.8, 0.95, 0.99, 0.998])
    axis.set_xticks(-np.log1p(-ticks), [f"{100 * tick:g}" for tick in ticks])
    axis.set_xlabel("weights that are zero, %")


def activation_curves(curves: pd.DataFrame) -> Figure:
    """Curves against the share of units that are zero, as :func:`sparsity_curves` otherwise.

    Args:
        curves: as there, with zeros instead of sparsity.
    """
    figure, axes = _curves(curves.assign(x=100 * curves.zeros))
    for axis in axes:
        axis.set_xlabel("units that are zero, %")
    return figure


def _curves(curves: pd.DataFrame) -> tuple[Figure, list[Axes]]:
    """One panel beside the other against column x; what the paper prints as points without a line."""
    panels = list(dict.fromkeys(curves.panel))
    figure, axes = plt.subplots(1, len(panels), figsize=(7.0, 3.3), squeeze=False)
    for axis, panel in zip(axes[0], panels, strict=True):
        part = curves[curves.panel == panel]
        colours: list[str] = []
        for (label, attack), curve in part.groupby(["label", "attack"], sort=False):
            colour = ATTACKS.get(attack, PALETTE["grey"])
            if label == "paper":
                look = {"linestyle": "none", "marker": "D", "markersize": 6, "markeredgecolor": INK}
            else:
                line = LINES[colours.count(colour)]
                look = {"linestyle": line, "marker": MARKERS[len(colours)], "markersize": 3.5}
                colours.append(colour)
            name = label if label not in axis.get_legend_handles_labels()[1] else None
            axis.errorbar(curve.x, curve["mean"], curve.spread, label=name, color=colour, **look)
        axis.set_title(panel)
        axis.legend()
    plt.close(figure)
    return figure, list(axes[0])


def masked_network(axis: Axes, masks: Sequence[np.ndarray]) -> None:
    """Draw a network under masks: kept weights as lines, masked ones dotted, units that are cut off hollow.

    Args:
        axis: to draw on.
        masks: bool [n_{j-1}, n_j] for each layer, true where the weight is kept.
    """
    reached = [np.ones(len(masks[0]), dtype=bool)]
    for mask in masks:
        reached.append(np.any(mask[reached[-1]], axis=0))
    for j, mask in enumerate(masks):
        heights = [_heights(len(reached[j])), _heights(len(reached[j + 1]))]
        for (u, v), kept in np.ndenumerate(mask):
            colour = PALETTE["blue"] if kept and reached[j][u] else PALETTE["grey"]
            look = {"lw": 1.6} if kept else {"lw": 0.9, "ls": ":", "alpha": 0.6}
            axis.plot([j, j + 1], [heights[0][u], heights[1][v]], color=colour, zorder=1, **look)
    for j, live in enumerate(reached):
        face = [PALETTE["blue"] if r else "white" for r in live]
        edge = PALETTE["blue"], PALETTE["vermillion"]
        colours = [edge[0] if r else edge[1] for r in live]
        axis.scatter([j] * len(live), _heights(len(live)), s=90, c=face, edgecolors=colours, lw=1.6, zorder=2)
    axis.set(xticks=range(len(reached)), yticks=[])
    axis.set_xticklabels(["inputs", *(f"layer {j}" for j in range(1, len(reached)))])
    axis.grid(False)
    axis.spines[:].set_visible(False)


def _heights(count: int) -> np.ndarray:
    return np.arange(count) - (count - 1) / 2
