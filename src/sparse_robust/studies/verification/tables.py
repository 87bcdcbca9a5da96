"""Tables of the chapter on certificates: two sides of r_inf and r_2, cost over sparsity, orders of radii."""

import pandas as pd

from sparse_robust.experiments.statistics import summary

from .claims import NORMS, R_2, R_INF, at_eps
from .specs import EPS

SIDES = {"certified": "r_inf_certified", "attacked": "r_inf_attacked"}

ORDER = {
    "gamma_global": "global constant",
    "gamma_interval": "interval",
    "crown": "CROWN",
    "clever": "CLEVER",
    "distance_low": "exact, at least",
    "distance_high": "exact, at most",
    "attack": "attack",
}
"""What the chapter calls the metrics, roughly from below to above."""

BALLS = dict(zip(NORMS, (r"$\ell_2$", r"$\ell_\infty$"), strict=True))
"""The norms as titles spell them."""


def means(rows: pd.DataFrame, metric: str, attack: str) -> pd.Series:
    """The mean over seeds of one number after each round."""
    column: pd.Series = summary(rows, metric, attack)["mean"]
    return column


def two_sided(rows: pd.DataFrame) -> pd.DataFrame:
    """r_inf at each radius and r_2, between what is certified and what an attack finds.

    Returns:
        columns panel, round, sparsity, low, high (means over seeds).
    """
    parts = []
    for eps in EPS:
        own = at_eps(rows, eps)
        low, high = (means(own, metric, R_INF) for metric in SIDES.values())
        parts.append((rf"$r_\infty$, $\epsilon = {eps:g}$", own, low, high))
    own = at_eps(rows, EPS[-1])
    parts.append((r"$r_2$", own, means(own, "r_2_certified", R_2), means(own, "r_2_attacked", R_2)))
    frames = [
        pd.DataFrame(
            {"panel": panel, "sparsity": own.groupby("round").sparsity.mean(), "low": low, "high": high}
        )
        for panel, own, low, high in parts
    ]
    return pd.concat(frame.rename_axis("round").reset_index() for frame in frames).reset_index(drop=True)


def r_inf(rows: pd.DataFrame, eps: float) -> pd.DataFrame:
    """Everything about r_inf at one radius, means over seeds.

    Returns:
        columns round, sparsity (in percent), by bounds (certified by them alone), certified, attacked,
        decided, unstable, asked (the share of images that the solver was given), seconds (an image given).
    """
    own = at_eps(rows, eps)
    columns = {
        "sparsity, %": 100 * own.groupby("round").sparsity.mean(),
        "by bounds": means(own, "r_inf_bounds", R_INF),
        **{side: means(own, metric, R_INF) for side, metric in SIDES.items()},
        "decided": means(own, "decided", R_INF),
        "unstable": means(own, "unstable", R_INF),
        "asked": means(own, "solver_share", R_INF),
    }
    seconds = means(own, "solver_seconds", R_INF) / columns["asked"].where(columns["asked"] > 0)
    return pd.DataFrame(columns | {"seconds": seconds}).rename_axis("round").reset_index()


def order(rows: pd.DataFrame, attack: str) -> pd.DataFrame:
    """Mean radii on the same images in one norm: a line for each round, a column for each of ORDER."""
    columns = {label: means(rows, metric, attack) for metric, label in ORDER.items()}
    return pd.DataFrame(columns).rename_axis("round").reset_index()


def clever_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """How often CLEVER is above the exact distance.

    Returns:
        columns norm, round, images (over all seeds), above, at most, and unknown, each a number of scores.
    """
    lines = []
    for attack, norm in BALLS.items():
        own = rows[rows.attack == attack].assign(count=lambda t: t.value * t.n)
        counts = own.pivot_table(index="round", columns="metric", values="count", aggfunc="sum")
        images = own[own.metric == "clever"].groupby("round").n.sum()
        for round_, n in images.items():
            above, below = (round(counts[f"clever_{side}"].to_dict()[round_]) for side in ("above", "below"))
            lines.append((norm, round_, int(n), above, below, int(n) - above - below))
    return pd.DataFrame(lines, columns=["norm", "round", "images", "above", "at most", "unknown"])
