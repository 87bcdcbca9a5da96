"""The picture of the front page: one digit and what fools three networks, and the two curves of the paper."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from sparse_robust.attacks import minimal_l2
from sparse_robust.data import Split, embedded_digits, pixels
from sparse_robust.experiments.statistics import summary
from sparse_robust.studies.paper import TABLE_1, TABLE_2
from sparse_robust.types import LogitsFn

from .figures import ATTACKS, INK, PALETTE, sparsity_axis

LOOKED_AT = 200
"""Test digits among which the typical one is looked for."""


def hero(networks: Mapping[str, LogitsFn], rows: pd.DataFrame) -> Figure:
    """One digit, its nearest adversarial images for each network, and robustness along the pruning path.

    The digit is the most typical one: that whose distances are nearest to the medians, in proportion.

    Args:
        networks: dense, pruned and over-pruned, by name, each [N, 28, 28] -> [N, 10].
        rows: of a LeNet-300-100 pruned step by step.
    """
    mosaic: Any = [["digit", *networks], ["linf"] * 2 + ["l2"] * 2]
    figure, axes = plt.subplot_mosaic(
        mosaic,
        figsize=(7.0, 4.9),
        height_ratios=[1, 1.35],
    )
    _digits([axes["digit"], *(axes[name] for name in networks)], networks, embedded_digits().test)
    _curve(axes["linf"], rows, "r_inf", "FGS", "correct under attack (FGS)")
    _curve(axes["l2"], rows, "r_2_squared", "DeepFool", "mean squared distance to fool it")
    plt.close(figure)
    return figure


def typical(distances: Tensor) -> int:
    """The column whose entries are nearest to the medians of their rows, as ratios: [networks, N] -> index.

    Infinite distances are passed over.
    """
    ratios = (distances / distances.median(1, keepdim=True).values).log().abs()
    return int(ratios.sum(0).nan_to_num(torch.inf).argmin())


def _digits(axes: list[Axes], networks: Mapping[str, LogitsFn], test: Split) -> None:
    """The typical digit, and beside it the nearest image that each network misreads."""
    every = len(test.labels) // LOOKED_AT
    x, y = pixels(test)[::every], test.labels[::every].long()
    results = [minimal_l2(network, x, y) for network in networks.values()]
    n = typical(torch.stack([result.radius for result in results]))
    _image(axes[0], x[n], f"a {int(y[n])}", "")
    for axis, (name, network), result in zip(axes[1:], networks.items(), results, strict=True):
        with torch.no_grad():
            read = int(network(result.x_adv[n : n + 1]).argmax())
        _image(axis, result.x_adv[n], name, f"read as {read} at {float(result.radius[n]):.2f}")


def _image(axis: Axes, image: Tensor, title: str, below: str) -> None:
    axis.imshow(image.numpy(), cmap="gray_r", vmin=0, vmax=1)
    axis.set(title=title, xlabel=below, xticks=[], yticks=[])
    axis.grid(False)
    axis.spines[:].set_visible(False)


def _curve(axis: Axes, rows: pd.DataFrame, metric: str, attack: str, title: str) -> None:
    """One metric over sparsity with its spread over seeds, accuracy behind it, and what the paper prints."""
    curve = summary(rows, metric, attack).replace(np.inf, np.nan)
    where = -np.log1p(-curve.sparsity)
    axis.errorbar(where, curve["mean"], curve.spread, color=ATTACKS[attack], marker="o", label="ours")
    accuracy = summary(rows, "accuracy")["mean"]
    if metric == "r_inf":
        axis.plot(where, accuracy, color=PALETTE["grey"], ls="--", label="accuracy")
    dense, models = (
        TABLE_1["lenet-300-100"][0],
        [TABLE_2[f"caffe_lenet300100_{w}"] for w in ("original", "sparse")],
    )
    printed = [(0.0, (dense.r_inf if metric == "r_inf" else dense.r_2).value)]
    printed += [(m.sparsity, m.r_inf if metric == "r_inf" else m.r_2) for m in models]
    axis.plot(
        [-np.log1p(-s) for s, _ in printed],
        [value for _, value in printed],
        ls="none",
        marker="D",
        ms=6,
        color=ATTACKS[attack],
        markeredgecolor=INK,
        label="paper, Tables 1 and 2",
    )
    axis.set_title(title)
    axis.legend(loc="lower left" if metric == "r_2_squared" else (0.02, 0.62), fontsize=8.5)
    sparsity_axis(axis)
