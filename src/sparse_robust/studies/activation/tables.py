"""Tables of the chapter on activation sparsity: Table 1 line by line, the curve, what goes with zeros."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from sparse_robust.experiments.statistics import paired, per_seed, plus_minus, summary
from sparse_robust.studies.paper import PaperNetwork
from sparse_robust.studies.rules import held_rounds, peak_round
from sparse_robust.studies.tables import METRICS, Key

from .claims import attackable, by_strength, named, nearest, zeros

LAYERS: Mapping[str, str] = {
    "first hidden layer": "activation_sparsity_1",
    "last layer's input": "activation_sparsity",
}
"""Shares of zeros, by the place where they are counted."""

ROBUST: Mapping[str, Key] = {label: key for label, key in METRICS.items() if key[1] in ("FGS", "DeepFool")}
"""The metrics of Table 1, by label, both definitions of r_2 among them."""


def zeros_metrics(rows: pd.DataFrame) -> dict[str, str]:
    """Those of :data:`LAYERS` that the network has."""
    return {place: metric for place, metric in LAYERS.items() if metric in set(rows.metric)}


def line_by_line(
    rows: pd.DataFrame, printed: Sequence[PaperNetwork], layer: str = "activation_sparsity"
) -> pd.DataFrame:
    """Table 1 beside our networks: after each line of the paper the variant with the nearest share of zeros.

    Args:
        rows: of one network.
        printed: the lines of Table 1, the references first.
        layer: the metric of zeros that decides what is nearest.

    Returns:
        columns network, $r_\\infty$, $r_2$ (ours is the mean square), mean distance, accuracy, zeros: text.
    """
    table = by_strength(rows)
    keys = (("r_inf", "FGS"), ("r_2_squared", "DeepFool"), ("r_2", "DeepFool"), ("accuracy", ""), (layer, ""))
    summaries = [summary(table, *key) for key in keys]
    lines: list[tuple[str, ...]] = []
    for number, line in enumerate(printed):
        variant = nearest(rows, line, layer) if number else 0
        if variant is None:
            continue
        *ours, (share, spread) = (map(float, s.loc[variant, ["mean", "spread"]]) for s in summaries)
        strength = f"l_1 = {rows[rows.variant == variant].l1.iloc[0]:g}"
        theirs = (line.r_inf, line.r_2, "", line.accuracy, line.zeros)
        lines.append(("paper", *map(str, theirs)))
        zero = f"{100 * share:.2f} ± {100 * spread:.2f} %"
        lines.append((strength, *(plus_minus(mean, over) for mean, over in ours), zero))
    columns = ["network", r"$r_\infty$", "$r_2$", "mean distance", "accuracy", "zeros"]
    return pd.DataFrame(lines, columns=columns)


def curve(
    rows: pd.DataFrame, printed: Sequence[PaperNetwork], layer: str = "activation_sparsity"
) -> pd.DataFrame:
    """Our networks and the paper's over the zeros of a layer.

    Returns:
        columns zeros, mean, spread, panel, label, attack, which
        :func:`~sparse_robust.book.figures.activation_curves` draws; where an attack failed, the mean is not a
        number.
    """
    theirs = {
        r"$r_\infty$ (FGS)": ("r_inf", "FGS", [line.r_inf for line in printed]),
        r"$r_2$, mean square": ("r_2_squared", "DeepFool", [line.r_2 for line in printed]),
        "accuracy": ("accuracy", "", [line.accuracy for line in printed]),
    }
    shares = [line.zeros.value for line in printed]
    parts = []
    for panel, (metric, attack, numbers) in theirs.items():
        ours = summary(by_strength(rows), metric, attack).replace(np.inf, np.nan)
        points = {"mean": [n.value for n in numbers], "spread": [n.spread for n in numbers], "zeros": shares}
        parts.append(ours.assign(zeros=zeros(rows, layer), panel=panel, label="ours", attack=attack))
        parts.append(pd.DataFrame(points).assign(panel=panel, label="paper", attack=attack))
    return pd.concat(parts)


def means(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds along the strengths of l_1.

    Returns:
        columns l_1, zeros at each layer, accuracy, and each of :data:`ROBUST`.
    """
    table = by_strength(rows)
    keys = {f"zeros, {place}": (metric, "") for place, metric in zeros_metrics(rows).items()}
    columns = keys | {"accuracy": ("accuracy", ""), **ROBUST}
    values = {label: summary(table, *key)["mean"] for label, key in columns.items()}
    return pd.DataFrame({"l_1": table.groupby("round").l1.first(), **values})


def correlations(rows: pd.DataFrame) -> pd.DataFrame:
    """How zeros and robustness go together over networks, one for each strength and seed.

    The paper's "certain range" is read as the strengths up to the one under which r_inf peaks.

    Returns:
        columns networks, n (their number), zeros (where they are counted), and each of :data:`ROBUST`.
    """
    table, lines = by_strength(rows), []
    usable = attackable(rows)
    peak = peak_round(per_seed(table, "r_inf", "FGS").loc[usable])
    ranges = {
        "up to the peak": [v for v in usable if v <= peak],
        "accuracy held": [v for v in held_rounds(table) if v in usable],
        "all attackable": usable,
    }
    for what, chosen in ranges.items():
        for place, metric in zeros_metrics(rows).items():
            share = per_seed(table, metric).loc[chosen].to_numpy().ravel()
            values = {label: per_seed(table, *key).loc[chosen] for label, key in ROBUST.items()}
            correlations = {
                k: float(np.corrcoef(share, v.to_numpy().ravel())[0, 1]) for k, v in values.items()
            }
            lines.append({"networks": what, "n": len(share), "zeros": place, **correlations})
    return pd.DataFrame(lines)


def changes(rows: pd.DataFrame) -> pd.DataFrame:
    """Every strength against the references: paired differences, seed by seed, with 95 % intervals.

    Returns:
        columns network, metric, difference (text); where DeepFool fails, of accuracy alone.
    """
    table, attacked = by_strength(rows), set(attackable(rows))
    lines = [
        (named(rows, variant), label, str(paired(per_seed(table, *key), 0, variant)))
        for variant in sorted(set(rows.variant) - {0})
        for label, key in {"accuracy": ("accuracy", ""), **ROBUST}.items()
        if variant in attacked or label == "accuracy"
    ]
    return pd.DataFrame(lines, columns=["network", "metric", "difference"])


def zeros_of_references(rows: pd.DataFrame, printed: PaperNetwork) -> pd.DataFrame:
    """The share of zeros without l_1, by layer, beside the paper's: columns zeros, ours, paper (text)."""
    lines = []
    for place, metric in zeros_metrics(rows).items():
        at = summary(by_strength(rows), metric).loc[0]
        ours = f"{100 * at['mean']:.2f} ± {100 * at['spread']:.2f} %"
        lines.append((place, ours, str(printed.zeros)))
    return pd.DataFrame(lines, columns=["zeros", "ours", "paper"])


def beside_pruned(rows: pd.DataFrame, pruned: pd.DataFrame) -> pd.DataFrame:
    """Each strength of l_1, and after it the pruned networks of nearest weight sparsity; means over seeds.

    Args:
        rows: of networks under l_1.
        pruned: of the same networks, pruned; empty if there are none of this scale.

    Returns:
        columns network, zero weights, silent units, accuracy, and each of :data:`ROBUST`.
    """
    keys = {"zero weights": ("sparsity", ""), "silent units": ("activation_sparsity", "")}
    keys |= {"accuracy": ("accuracy", ""), **ROBUST}

    def averages(table: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({label: summary(table, *key)["mean"] for label, key in keys.items()})

    if pruned.empty:
        return pd.DataFrame(columns=["network", *keys])
    others, lines = averages(pruned), []
    for variant, line in averages(by_strength(rows)).iterrows():
        near = (others["zero weights"] - line["zero weights"]).abs().idxmin()
        strength = rows[rows.variant == variant].l1.iloc[0]
        lines.append({"network": f"l_1 = {strength:g}", **line})
        lines.append({"network": f"pruned, round {near}", **others.loc[near]})
    return pd.DataFrame(lines)


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """How often DeepFool fails at each strength, over all seeds: columns network, failures."""
    failed = per_seed(by_strength(rows), "failures", "DeepFool").sum(axis=1).astype(int)
    return pd.DataFrame({"network": [named(rows, v) for v in failed.index.astype(int)], "failures": failed})
