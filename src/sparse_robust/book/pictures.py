"""Pictures of what the book is about: what pruning leaves, units that are silent, margins that fall."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .figures import ATTACKS, INK, PALETTE
from .small_net import UNIT, WINDOW, SmallNet


@dataclass(frozen=True)
class Fall:
    """The margin of one input on the straight way to an adversarial one.

    Attributes:
        distance: from the input [T], from 0.
        margin: logit of the class less the largest of the others [T].
        certified: a radius within which it is certainly positive.
        clever: the CLEVER score.
    """

    distance: np.ndarray
    margin: np.ndarray
    certified: float
    clever: float


def filters(networks: Mapping[str, np.ndarray], units: int = 6) -> Figure:
    """What units of a first layer read, as images: positive weights red, negative ones blue, zeros white.

    The units are those that keep the most weights in the last network; each image has a scale of its own.

    Args:
        networks: weights [units, pixels of a square image] by the network's name; one row for each.
        units: how many to show.
    """
    last = list(networks.values())[-1]
    chosen = np.argsort(-np.count_nonzero(last, axis=1), kind="stable")[:units]
    side = round(last.shape[1] ** 0.5)
    figure, axes = plt.subplots(len(networks), units, figsize=(7.0, 1.25 * len(networks)), squeeze=False)
    for line, (name, weights) in zip(axes, networks.items(), strict=True):
        for axis, unit in zip(line, chosen, strict=True):
            image = weights[unit].reshape(side, side)
            reach = max(float(np.abs(image).max()), 1e-12)
            axis.imshow(image, cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="none")
            axis.set(xticks=[], yticks=[])
            axis.grid(visible=False)
        line[0].set_ylabel(name)
    plt.close(figure)
    return figure


def silent_units(image: np.ndarray, hidden: Mapping[str, np.ndarray], columns: int = 25) -> Figure:
    """Which hidden units a digit wakes in some networks: a square for each unit, white where it is silent.

    Args:
        image: the digit [28, 28].
        hidden: activations after the ReLU [units] by the network's name, one panel for each.
        columns: squares in a line.
    """
    figure, axes = plt.subplots(
        1, 1 + len(hidden), figsize=(7.0, 1.9), width_ratios=[1.0, *[2.0] * len(hidden)], squeeze=False
    )
    axes[0, 0].imshow(image, cmap="gray_r", interpolation="none")
    axes[0, 0].set_title("the digit")
    for axis, (name, units) in zip(axes[0, 1:], hidden.items(), strict=True):
        silent = int((units == 0).sum())
        shades = np.where(units > 0, 0.25 + 0.75 * units / units.max(), 0.0).reshape(-1, columns)
        axis.imshow(shades, cmap="Oranges", vmin=0, vmax=1, interpolation="none")
        axis.set_title(f"{name}: {silent} of {units.size} silent")
    for axis in axes[0]:
        axis.set(xticks=[], yticks=[])
        axis.grid(visible=False)
    plt.close(figure)
    return figure


def falling_margins(networks: Mapping[str, Fall]) -> Figure:
    """How the margin falls on the way to an adversarial digit, and how far slopes say that it cannot.

    Args:
        networks: by name, one panel for each.
    """
    figure, axes = plt.subplots(1, len(networks), figsize=(7.0, 3.2), squeeze=False)
    for axis, (name, fall) in zip(axes[0], networks.items(), strict=True):
        start = float(fall.margin[0])
        axis.axhline(0, color=INK, linewidth=0.8)
        axis.plot(
            [0, fall.certified], [start, 0], ":", marker=".", color=PALETTE["grey"], label="certificate"
        )
        axis.plot([0, fall.clever], [start, 0], "--", marker=".", color=INK, label="CLEVER")
        axis.plot(
            fall.distance, fall.margin, color=ATTACKS["DeepFool"], label="the margin, to DeepFool's digit"
        )
        axis.set(title=name, xlabel="distance from the digit, $\\ell_2$", xlim=(0, None))
    axes[0, 0].set_ylabel("margin")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3)
    plt.close(figure)
    return figure


def weights_by_layer(layers: pd.DataFrame) -> Figure:
    """How many weights each layer has, and how many pruning leaves it, on a logarithmic scale.

    Args:
        layers: columns layer, weights, left; the first layer is drawn on top.
    """
    figure, axis = plt.subplots(figsize=(7.0, 1.0 + 0.19 * len(layers)))
    places = np.arange(len(layers))[::-1]
    axis.barh(places, layers.weights, color=PALETTE["sky"], alpha=0.5, label="dense")
    axis.barh(places, layers.left, color=PALETTE["blue"], label="after the last round")
    axis.set(xscale="log", xlabel="weights", xlim=(1, None))
    axis.set_yticks(places, layers.layer)
    axis.grid(visible=False, axis="y")
    figure.legend(loc="outside upper center", ncols=2)
    plt.close(figure)
    return figure


def region_maps(net: SmallNet, pruned: Sequence[int], points: int = 240) -> Figure:
    """Activation regions of a network in the plane while its smallest weights go: one colour for each region.

    Args:
        net: seen in its window.
        pruned: how many weights are gone, one panel for each.
        points: across the window.
    """
    reach = float(WINDOW.radius)
    grid = np.linspace(-reach, reach, points)
    plane = np.stack(np.meshgrid(grid, grid), -1)
    order, total = net.order(), sum(w.size for w in net.weights)
    figure, axes = plt.subplots(1, len(pruned), figsize=(7.0, 2.7), squeeze=False)
    for axis, gone in zip(axes[0], pruned, strict=True):
        weights = [w / UNIT for w in net.weights]
        for layer, row, column in order[:gone]:
            weights[layer][row, column] = 0
        active = _patterns(plane, weights, [b / UNIT for b in net.biases])
        codes = np.unique(active, return_inverse=True)[1].reshape(active.shape)
        shades = 0.15 + 0.7 * (codes * 0.618034 % 1)  # neighbours get different shades
        axis.imshow(shades, cmap="viridis", vmin=0, vmax=1, origin="lower", interpolation="none")
        axis.set(xticks=[], yticks=[], title=f"{total - gone} weights")
        count = int(codes.max()) + 1
        axis.set_xlabel("1 region" if count == 1 else f"{count} regions")
        axis.grid(visible=False)
    plt.close(figure)
    return figure


def _patterns(x: np.ndarray, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> np.ndarray:
    """Which hidden units are active at each point, [..., 2] -> [...], as the digits of a binary number."""
    code = np.zeros(x.shape[:-1], dtype=np.int64)
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        z = x @ weight + bias
        for unit in np.moveaxis(z > 0, -1, 0):
            code = 2 * code + unit
        x = np.maximum(z, 0)
    return code
