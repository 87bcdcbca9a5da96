"""Tables of the chapter on over-pruning: Table 2 with the authors' own models, r_2 by several definitions."""

import numpy as np
import pandas as pd

from sparse_robust.studies.paper import TABLE_2
from sparse_robust.studies.tables import METRICS

from .claims import MODELS, PAIRS, of_model, values

NAMES = [f"{net} {kind}" for net in PAIRS for kind in ("dense", "sparse")]
"""The four models, in the order of :data:`~.claims.MODELS`."""


def table_2(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 2 beside ours: columns model, accuracy, both r_inf, the paper's r_2 and our two."""
    columns = {
        "model": NAMES,
        "accuracy": values(rows, "accuracy"),
        r"$r_\infty$, paper": [TABLE_2[model].r_inf for model in MODELS],
        r"$r_\infty$, ours": values(rows, "r_inf", "FGS"),
        "$r_2$, paper": [TABLE_2[model].r_2 for model in MODELS],
        "mean $d$": values(rows, "r_2", "DeepFool"),
        "mean $d^2$": values(rows, "r_2_squared", "DeepFool"),
        "failures": [int(n) for n in values(rows, "failures", "DeepFool")],
    }
    return pd.DataFrame(columns)


def differing_images(rows: pd.DataFrame) -> pd.DataFrame:
    """How far r_inf under FGS is from the printed one, and how many test images that is.

    Returns:
        columns model, off (ours less the paper's), images (rounded), of.
    """
    n = int(of_model(rows, MODELS[0], "r_inf", "FGS").n)
    table = table_2(rows)
    off = table[r"$r_\infty$, ours"] - table[r"$r_\infty$, paper"]
    images = (off.abs() * n).round().astype(int)
    return pd.DataFrame({"model": NAMES, "off": off.round(6) + 0.0, "images": images, "of": n})


def definitions(rows: pd.DataFrame) -> pd.DataFrame:
    """What r_2 could be, from the same distances d: a line for each definition, a column for each model."""
    right = np.array(values(rows, "accuracy"))
    plain, square = (np.array(values(rows, metric, "DeepFool")) for metric in ("r_2", "r_2_squared"))
    lines = {
        "mean $d$": plain,
        "mean $d$, correct": plain / right,
        "root of mean $d^2$": np.sqrt(square),
        "mean $d^2$": square,
        "mean $d^2$, correct": square / right,
    }
    return pd.DataFrame.from_dict(lines, orient="index", columns=NAMES).rename_axis("definition")


def ratios_by_definition(rows: pd.DataFrame) -> pd.DataFrame:
    """Ours / the paper's r_2 under every definition, and the largest of a line over its least."""
    table = definitions(rows) / [TABLE_2[model].r_2 for model in MODELS]
    return table.assign(**{"largest / least": table.max(axis=1) / table.min(axis=1)})


def errors_of_squares(rows: pd.DataFrame) -> pd.DataFrame:
    """The standard error of the mean squared distance over images, relative to it: columns model, error."""
    lines = [of_model(rows, model, "r_2_squared", "DeepFool") for model in MODELS]
    return pd.DataFrame({"model": NAMES, "error": [line.stderr / line.value for line in lines]})


def differences(rows: pd.DataFrame) -> pd.DataFrame:
    """Sparse against dense in every metric.

    Returns:
        columns network, metric, images (the first ones), dense, sparse, errors (the change in standard errors
        over images, those of both models taken as independent).
    """
    lines = []
    for net, pair in PAIRS.items():
        for label, key in METRICS.items():
            dense, sparse = (of_model(rows, model, *key) for model in pair)
            errors = (sparse.value - dense.value) / np.hypot(dense.stderr, sparse.stderr)
            lines.append((net, label, int(dense.n), dense.value, sparse.value, float(errors)))
    return pd.DataFrame(lines, columns=["network", "metric", "images", "dense", "sparse", "errors"])


def stronger(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's attacks beside stronger ones, on the same images.

    Args:
        rows: of the experiment ``over-pruning-strong``, whose variants are the four models in their order.

    Returns:
        columns model, images, accuracy, r_inf under each l_infinity attack, and the mean distance of each l_2
        attack, with failures of DeepFool and of the minimal attack.
    """
    columns: dict[str, object] = {
        "model": NAMES,
        "images": int(rows[rows.metric == "accuracy"].n.max()),
        "accuracy": values(rows, "accuracy"),
    }
    columns |= {attack: values(rows, "r_inf", attack) for attack in ("FGS", "PGD", "APGD")}
    for attack in ("DeepFool", "minimal l_2"):
        columns[f"$r_2$, {attack}"] = values(rows, "r_2", attack)
        columns[f"failures, {attack}"] = [int(n) for n in values(rows, "failures", attack)]
    return pd.DataFrame(columns)


def changes_by_definition(rows: pd.DataFrame) -> pd.DataFrame:
    """Sparse against dense under every definition of r_2: the relative change, a column for each network."""
    table = definitions(rows)
    changes = {net: table[f"{net} sparse"] / table[f"{net} dense"] - 1 for net in PAIRS}
    return pd.DataFrame(changes)


def sparsities(rows: pd.DataFrame) -> pd.DataFrame:
    """The printed sparsities beside compression factors and counts.

    Returns:
        columns network, factor (the compression that the paper names), 1 - 1/factor, printed, and the zeros
        among weights, and among weights and biases.
    """
    lines = []
    for (net, (_, sparse)), factor in zip(PAIRS.items(), (56, 108), strict=True):
        counts = [
            float(of_model(rows, sparse, metric).value) for metric in ("sparsity", "parameter_sparsity")
        ]
        lines.append((net, factor, 1 - 1 / factor, TABLE_2[sparse].sparsity, *counts))
    return pd.DataFrame(
        lines, columns=["network", "factor", "1 - 1/factor", "printed", "weights", "with biases"]
    )


def exponents(rows: pd.DataFrame) -> pd.DataFrame:
    """The p of each model for which E d^p would be the printed r_2, by the power law through p = 1 and 2."""
    first, second = (np.array(values(rows, metric, "DeepFool")) for metric in ("r_2", "r_2_squared"))
    printed = np.array([TABLE_2[model].r_2 for model in MODELS])
    return pd.DataFrame({"model": NAMES, "p": 1 + np.log(printed / first) / np.log(second / first)})
