"""Tables of the chapter on CLEVER: the curves that are shown, changes along the path, fits that are kept."""

import pandas as pd

from sparse_robust.experiments.statistics import paired, per_seed, summary
from sparse_robust.measurements.clever_scores import NORMS
from sparse_robust.studies.tables import Panels

LABELS = {
    "clever": "score",
    "clever_sampled": "sampled",
    "gamma_interval": "interval",
    "gamma_global": "global",
}
"""What the chapter calls the metrics."""

BALLS = {"CLEVER l_2": r"$\ell_2$", "CLEVER l_inf": r"$\ell_\infty$"}
"""The norm of each estimate's ball, as titles spell it."""

SHOWN: Panels = {
    ball: {label: (metric, attack) for metric, label in LABELS.items()}
    | ({"DeepFool": ("r_2", "DeepFool")} if NORMS[attack] == 2 else {})
    for attack, ball in BALLS.items()
}
"""Scores and certified radii in one panel for each norm, and the attack in its own norm."""


def changes(rows: pd.DataFrame) -> pd.DataFrame:
    """Changes from dense to the first measured pruned round, paired over seeds.

    Returns:
        columns ball, metric, rounds (both of them), change (text).
    """
    lines = []
    for attack, ball in BALLS.items():
        for metric in ("clever", "gamma_interval", "gamma_global"):
            values = per_seed(rows, metric, attack)
            before, after = values.index[:2]
            lines.append((ball, LABELS[metric], f"{before} to {after}", str(paired(values, before, after))))
    return pd.DataFrame(lines, columns=["ball", "metric", "rounds", "change"])


def fits_kept(rows: pd.DataFrame) -> pd.DataFrame:
    """The share of fitted distributions that the test keeps: columns round and, by ball, the share."""
    shares = {ball: summary(rows, "fits_kept", attack)["mean"] for attack, ball in BALLS.items()}
    return pd.DataFrame(shares).rename_axis("round").reset_index()


def dense_share(rows: pd.DataFrame, attack: str) -> float:
    """The interval certificate of the dense networks, in percent of their score."""
    interval, score = (summary(rows, m, attack)["mean"].iloc[0] for m in ("gamma_interval", "clever"))
    return float(100 * interval / score)
