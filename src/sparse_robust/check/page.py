"""The comparison as one page of HTML: the text, and the pictures that a person wants beside it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from .comparison import CheckOutcome
from .text import escape

TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Dense and pruned</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font-family: sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }}
pre {{ overflow-x: auto; }}
img {{ max-width: 100%; background: white; }}
</style>
</head>
<body>
<h1>Dense and pruned, side by side</h1>
<pre>{text}</pre>
{sections}
</body>
</html>
"""

SECTION = """<h2>{title}</h2>
<p>{caption}</p>
<img alt="{title}" src="data:image/svg+xml;base64,{svg}">"""

STYLE: Any = {
    "svg.hashsalt": "check",  # so that equal pictures are equal files
    "text.parse_math": False,  # a name may hold a dollar sign
    "text.usetex": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


ABOVE: Any = {"frameon": False, "loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}
"""Where a legend hides nothing, and does not make the picture wider than a phone."""


def page(outcome: CheckOutcome) -> str:
    """One file without references to others; whatever comes from the user's files is escaped."""
    sections = [
        _section(
            "Distances", "How far DeepFool moves each image that is classified correctly.", distances(outcome)
        ),
        _section("Sparsity by layer", "The share of zeros in the weight of each layer.", sparsity(outcome)),
    ]
    if (shown := images(outcome)) is not None:
        caption = (
            f"The first images, and what FGS makes of them at eps {outcome.options.eps:g}, with the answers."
        )
        sections.insert(0, _section("Adversarial images", caption, shown))
    return TEMPLATE.format(text=html.escape(outcome.text()), sections="\n".join(sections))


def _section(title: str, caption: str, draw: Callable[[], Figure]) -> str:
    buffer = io.BytesIO()
    with plt.rc_context(STYLE):
        figure = draw()
        figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
        plt.close(figure)
    svg = base64.b64encode(buffer.getvalue()).decode()
    return SECTION.format(title=html.escape(title), caption=html.escape(caption), svg=svg)


def distances(outcome: CheckOutcome) -> Callable[[], Figure]:
    """A histogram of DeepFool's distances for each model."""

    def draw() -> Figure:
        figure, axes = plt.subplots(figsize=(7, 3.5))
        columns = [m.radius[m.correct & ~m.failed].numpy() for m in outcome.measured]
        longest = max((float(column.max()) for column in columns if column.size), default=1.0)
        for model, column in zip(outcome.measured, columns, strict=True):
            axes.hist(
                column, np.linspace(0, longest or 1.0, 31).tolist(), histtype="step", label=_short(model.name)
            )
        axes.set(xlabel="distance in l_2", ylabel="images")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(**ABOVE)
        return figure

    return draw


def sparsity(outcome: CheckOutcome) -> Callable[[], Figure]:
    """A bar for each layer of each model."""

    def draw() -> Figure:
        models = [(model, model.layers or {}) for model in outcome.measured]
        rows = max(sum(len(layers) for _, layers in models), 1)
        figure, axes = plt.subplots(figsize=(7, 0.6 + 0.22 * rows))
        names: list[str] = []
        for number, (model, layers) in enumerate(models):
            places = range(len(names), len(names) + len(layers))
            axes.barh(places, list(layers.values()), color=f"C{number % 10}", label=_short(model.name))
            names += [_short(name) for name in layers]
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.set(xlim=(0, 1), xlabel="share of zeros")
        axes.invert_yaxis()
        axes.legend(**ABOVE)
        return figure

    return draw


def images(outcome: CheckOutcome) -> Callable[[], Figure] | None:
    """The first images and each model's adversarial examples beside them; None if they are no images."""
    pictures = [model.pictures for model in outcome.measured]
    low, high = outcome.examples.box or (0.0, 1.0)
    if any(p is None or _pixels(p.x[0]) is None for p in pictures):
        return None

    def draw() -> Figure:
        kept = [p for p in pictures if p is not None]
        rows, columns = len(kept[0].x), len(kept) + 1
        figure, grid = plt.subplots(rows, columns, figsize=(1.7 * columns, 1.8 * rows), squeeze=False)
        for row in range(rows):
            label = int(outcome.examples.y[row])
            shown = [(kept[0].x[row], "image" if row == 0 else "", f"label {label}")]
            for model, p in zip(outcome.measured, kept, strict=True):
                before, after = p.answers[row].tolist()
                shown.append((p.fgs[row], _short(model.name, 24) if row == 0 else "", f"{before} → {after}"))
            for axes, (x, title, answer) in zip(grid[row], shown, strict=True):
                pixels = _pixels(x)
                assert pixels is not None, "all examples have one shape"
                axes.imshow((pixels - low) / (high - low), cmap="gray", vmin=0, vmax=1)
                axes.set_title(title, fontsize=9)
                axes.set_xlabel(answer, fontsize=9)
                axes.set(xticks=[], yticks=[])
        return figure

    return draw


def _pixels(x: Tensor) -> np.ndarray | None:
    """An image [height, width] or [height, width, 3]; a square one from a flat vector; None if x is none."""
    values = x.numpy()
    if values.ndim == 1 and int(len(values) ** 0.5) ** 2 == len(values):
        side = int(len(values) ** 0.5)
        return values.reshape(side, side)
    if values.ndim == 3 and values.shape[0] in (1, 3):
        return values[0] if len(values) == 1 else values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] in (1, 3):
        return values[..., 0] if values.shape[2] == 1 else values
    return values if values.ndim == 2 else None


def _short(name: str, length: int = 40) -> str:
    return escape(name, length)


__all__ = ["distances", "images", "page", "sparsity"]
