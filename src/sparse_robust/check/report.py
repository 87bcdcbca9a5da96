"""Models side by side: intervals over images, paired differences, and whether robustness falls first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from .measure import Measured

LEVEL = 0.95

DIGITS = 4
"""Printed after the point; a difference that they do not show is none."""


@dataclass(frozen=True)
class Interval:
    """A mean over images with its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """The mean, and the interval in brackets."""
        return self.text()

    def text(self, sign: str = "") -> str:
        """The same, with ``sign="+"`` for differences."""
        mean, low, high = (f"{number:{sign}z.{DIGITS}f}" for number in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]"


def proportion(values: Tensor) -> Interval:
    """Wilson's interval for the share of true values, bool [N]."""
    count = int(values.sum())
    interval = stats.binomtest(count, len(values)).proportion_ci(LEVEL, method="wilson")
    return Interval(count / len(values), float(interval.low), float(interval.high))


def mean(values: Tensor) -> Interval:
    """Student's interval for the mean of numbers [N]; a point where all are equal."""
    numbers = values.double().numpy()
    centre, deviation = float(numbers.mean()), float(numbers.std(ddof=1))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(numbers) - 1)) * deviation / np.sqrt(len(numbers))
    return Interval(centre, centre - reach, centre + reach)


@dataclass(frozen=True)
class Comparison:
    """A model against the first one, over the same images.

    Attributes:
        name: of the model.
        differences: model - first, by the metric's name.
    """

    name: str
    differences: dict[str, Interval]

    @property
    def lower(self) -> list[str]:
        """The metrics whose interval, as printed, lies below zero."""
        return [name for name, difference in self.differences.items() if round(difference.high, DIGITS) < 0]

    @property
    def higher(self) -> list[str]:
        """The metrics whose interval, as printed, lies above zero."""
        return [name for name, difference in self.differences.items() if round(difference.low, DIGITS) > 0]

    @property
    def over_pruned(self) -> bool:
        """Whether a measure of robustness falls although no fall of accuracy is seen."""
        return bool(self.lower) and "accuracy" not in self.lower

    def verdict(self) -> str:
        """One line."""
        if self.over_pruned:
            said = "robustness falls before accuracy"
        elif len(self.lower) > 1:
            said = "accuracy and robustness fall"
        elif self.lower:
            said = "accuracy falls before robustness"
        else:
            said = "no fall of accuracy or robustness is seen"
        sides = [("lower", self.lower), ("higher", self.higher)]
        return f"{self.name}: {said}" + "".join(
            f"; {side}: {', '.join(names)}" for side, names in sides if names
        )


def compare(models: Sequence[Measured]) -> list[Comparison]:
    """Every further model against the first."""
    first, *rest = models
    comparisons = []
    for model in rest:
        differences = {
            "accuracy": mean(model.correct.double() - first.correct.double()),
            "r_inf": mean(model.resisted.double() - first.resisted.double()),
        }
        usable = attacked([first, model])
        if not first.unsound and not model.unsound and usable.sum() > 1:
            differences["r_2"] = mean((model.radius - first.radius)[usable])
        comparisons.append(Comparison(model.name, differences))
    return comparisons


def attacked(models: Sequence[Measured]) -> Tensor:
    """Bool [N], the images on which DeepFool succeeded for every model: r_2 is compared on those."""
    return ~torch.stack([model.failed for model in models]).any(0)


def _radius(model: Measured) -> str:
    return "n/a" if model.unsound else str(mean(model.radius[~model.failed]))


def cells(models: Sequence[Measured]) -> list[list[str]]:
    """Rows of texts, the first of each naming what the others are."""
    rows = [
        ["", *(model.name for model in models)],
        ["format", *(model.format for model in models)],
        ["accuracy", *(str(proportion(model.correct)) for model in models)],
        ["r_inf", *(str(proportion(model.resisted)) for model in models)],
        ["r_2", *(_radius(model) for model in models)],
        ["DeepFool failed", *(str(int(model.failed.sum())) for model in models)],
        ["sparsity", *("n/a" if m.sparsity is None else f"{m.sparsity:.{DIGITS}f}" for m in models)],
        ["activation sparsity", *("n/a" if m.silent is None else str(mean(m.silent)) for m in models)],
    ]
    if all(model.stronger for model in models):
        rows += _strong(models)
    comparisons = compare(models)
    if comparisons:
        rows.append([f"difference from {models[0].name}, same images"])
        for metric in ("accuracy", "r_inf", "r_2"):
            cells = [
                c.differences[metric].text("+") if metric in c.differences else "n/a" for c in comparisons
            ]
            rows.append([metric, "", *cells])
    return rows


def _strong(models: Sequence[Measured]) -> list[list[str]]:
    """What the stronger attacks leave, and by how much less that is."""
    strong = [(model, model.stronger) for model in models if model.stronger is not None]
    near = [(model, s.radius, ~(model.failed | s.radius.isinf())) for model, s in strong]
    return [
        ["with stronger attacks"],
        ["r_inf", *(str(proportion(s.resisted)) for _, s in strong)],
        ["gap", *(mean(s.resisted.double() - model.resisted.double()).text("+") for model, s in strong)],
        ["r_2", *("n/a" if ok.sum() < 2 else str(mean(radius[ok])) for _, radius, ok in near)],
        ["gap", *("n/a" if ok.sum() < 2 else mean((r - m.radius)[ok]).text("+") for m, r, ok in near)],
    ]


def align(rows: Sequence[Sequence[str]]) -> str:
    """The rows as columns of text; a row of one cell is a heading."""
    full = [row for row in rows if len(row) > 1]
    widths = [max(len(cell) for cell in column) for column in zip(*full, strict=True)]
    lines = []
    for row in rows:
        if len(row) == 1:
            lines += ["", row[0]]
        else:
            lines.append(
                "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            )
    return "\n".join(lines)


__all__ = ["Comparison", "Interval", "align", "attacked", "cells", "compare", "mean", "proportion"]
