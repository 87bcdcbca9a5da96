"""Interactive figures: what a cell hands to a script of ``book/_static/widgets``; what stays without it."""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML

from sparse_robust.data import Split, embedded_digits
from sparse_robust.experiments.statistics import summary
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.regions import regions

from .small_net import WINDOW, SmallNet

CURVES = (("accuracy", ""), ("r_inf", "FGS"), ("r_2", "DeepFool"))
"""Metrics that a reader follows along the rounds of pruning, each with its attack."""


def widget(name: str, data: Mapping[str, Any], fallback: str) -> HTML:
    """An interactive figure: ``widgets/NAME.js`` draws ``data`` in place of the fallback, if scripts run.

    Args:
        name: of the script.
        data: numbers, strings, lists and mappings of them; what is not finite becomes null.
        fallback: HTML, shown until the script has run.
    """
    text = json.dumps(_finite(data), allow_nan=False, separators=(",", ":")).replace("</", "<\\/")
    return HTML(
        f'<div class="widget" data-widget="{escape(name)}" id="widget-{escape(name)}">'
        f'<script type="application/json">{text}</script>{fallback}</div>'
    )


def html_table(caption: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table as a fallback."""
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in line) + "</tr>" for line in lines)
    return (
        f'<table class="table"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    )


def sparsity(figures: Mapping[str, pd.DataFrame]) -> HTML:
    """Accuracy and robustness along the rounds of pruning, by the title of a figure and its rows."""
    curves: dict[str, Any] = {}
    lines = []
    for title, rows in figures.items():
        by_metric = {metric: summary(rows, metric, attack) for metric, attack in CURVES}
        first = by_metric["accuracy"]
        curves[title] = {
            "rounds": [int(r) for r in first.index],
            "sparsity": [float(s) for s in first.sparsity],
            "seeds": int(first.seeds.iloc[0]),
        } | {
            metric: {part: [float(v) for v in curve[part]] for part in ("mean", "spread")}
            for metric, curve in by_metric.items()
        }
        for place in (0, len(first) // 2, len(first) - 1):
            means = [f"{by_metric[metric]['mean'].iloc[place]:.3f}" for metric, _ in CURVES]
            lines.append([title, f"{first.sparsity.iloc[place]:.1%}", *means])
    head = ("Figure", "sparsity", "accuracy", "r∞ (FGS)", "r₂ (DeepFool)")
    return widget(
        "sparsity", curves, html_table("Three rounds of each figure; means over seeds.", head, lines)
    )


def attack(described: Mapping[str, Any]) -> HTML:
    """A test digit of each class, and the carried networks to attack, as ``networks.json`` describes them."""
    images, labels = one_of_each(embedded_digits().test)
    data = {
        "digits": [base64.b64encode(image.tobytes()).decode("ascii") for image in images],
        "labels": labels,
        "networks": [
            {key: net[key] for key in ("name", "sparsity", "accuracy", "layers")}
            for net in described["networks"]
        ],
    }
    lines = [[n["name"], f"{n['sparsity']:.1%}", f"{n['accuracy']:.1%}"] for n in described["networks"]]
    caption = "The three networks. Their attack in the browser needs scripts."
    return widget("attack", data, html_table(caption, ("network", "sparsity", "accuracy"), lines))


def one_of_each(test: Split) -> tuple[np.ndarray, list[int]]:
    """The first image of each class, uint8 [K, 28, 28], and the classes."""
    labels = test.labels.tolist()
    classes = sorted(set(labels))
    return test.images[[labels.index(c) for c in classes]].numpy(), classes


def small_regions(net: SmallNet) -> HTML:
    """Regions and Lipschitz constant of a small network while its weights are pruned one by one."""
    total = len(net.order())
    lines = []
    for count in range(0, total + 1, total // 4):
        state = net.difference(count)
        number = sum(1 for _ in regions(state, WINDOW))
        lines.append([str(count), str(number), f"{float(lipschitz_power(state, WINDOW, q=2)) ** 0.5:.3f}"])
    head = ("weights pruned", "activation regions", "Lipschitz constant")
    return widget("regions", net.as_lists(), html_table(f"Of {total} weights.", head, lines))


def _finite(value: Any) -> Any:
    """The same without infinities and NaN, which JSON does not know."""
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
