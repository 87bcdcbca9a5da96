"""Tables of the chapter on Figure 1: how training moves r_2, failures, one-step attacks, C&W and DeepFool."""

import pandas as pd

from sparse_robust.experiments.statistics import paired, per_seed, plus_minus, summary
from sparse_robust.studies.paper import PAPER
from sparse_robust.studies.tables import Panels, printed

SHOWN: Panels = {
    r"accuracy and $r_\infty$": {
        "FGS": ("r_inf", "FGS"),
        "rFGS": ("r_inf", "rFGS"),
        "accuracy": ("accuracy", ""),
    },
    r"$r_2$": {"DeepFool": ("r_2", "DeepFool"), "C&W": ("r_2", "C&W")},
}
"""The curves of Figure 1."""


def printed_points(rows: pd.DataFrame) -> pd.DataFrame:
    """What section 4.1 prints of 1 against 7, as points beside :data:`SHOWN`; ``rows`` tell the sparsity."""
    first = float(rows[rows["round"] == 1].sparsity.mean())
    points = [(("accuracy", ""), 0.0, PAPER["binary-accuracy"])]
    for attack, name in (("DeepFool", "deepfool"), ("C&W", "cw")):
        for at, which in ((0.0, "dense"), (first, "round-1")):
            points.append((("r_2", attack), at, PAPER[f"binary-r2-{name}-{which}"]))
    return printed(SHOWN, points)


def training(rows: pd.DataFrame) -> pd.DataFrame:
    """How the length of training and weight decay move the exact r_2 of dense models, by variant.

    Returns:
        columns learning rate, steps, weight decay; accuracy (percent) and r_2, mean ± spread as text.
    """
    lines = []
    for _, part in rows.groupby("variant"):
        schedule, steps, decay = part.iloc[0][["schedule", "steps", "weight_decay"]]
        accuracy, distance = summary(part, "accuracy").loc[0], summary(part, "r_2", "exact").loc[0]
        percent = f"{100 * accuracy['mean']:.2f} ± {100 * accuracy.spread:.2f}"
        r_2 = plus_minus(*distance[["mean", "spread"]].astype(float))
        lines.append((schedule, steps, f"{decay:g}", percent, r_2))
    columns = ["learning rate", "steps", "weight decay", "accuracy, %", "$r_2$, exact"]
    return pd.DataFrame(lines, columns=columns)


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """How often each l_2 attack fails, over all seeds: columns attack and failures, by round as text."""
    lines = []
    for attack in ("DeepFool", "C&W"):
        failed = per_seed(rows, "failures", attack).sum(axis=1)
        by_round = ", ".join(f"round {r}: {count:.0f}" for r, count in failed[failed > 0].items())
        lines.append((attack, by_round or "none"))
    return pd.DataFrame(lines, columns=["attack", "failures"])


def one_step(rows: pd.DataFrame, every: int = 4, last: int = 12) -> pd.DataFrame:
    """r_inf under one-step attacks beside the closed form: columns round, FGS, rFGS, exact.

    Args:
        rows: of linear models.
        every: of how many rounds one is shown.
        last: the last round that may be shown.
    """
    means = {attack: summary(rows, "r_inf", attack)["mean"] for attack in ("FGS", "rFGS", "exact")}
    frame = pd.DataFrame(means).rename_axis("round").reset_index()
    return frame[(frame["round"] % every == 0) & (frame["round"] <= last)]


def ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """r_2 of the dense models under C&W relative to DeepFool: columns definition, ratio."""
    lines = []
    for definition, metric in (("distance", "r_2"), ("squared distance", "r_2_squared")):
        cw, deepfool = (summary(rows, metric, attack)["mean"].loc[0] for attack in ("C&W", "DeepFool"))
        lines.append((definition, cw / deepfool))
    return pd.DataFrame(lines, columns=["definition", "ratio"])


def first_round(rows: pd.DataFrame) -> pd.DataFrame:
    """The change of r_2 in the first round of pruning, paired over seeds: columns attack, change (text)."""
    lines = [
        (attack, str(paired(per_seed(rows, "r_2", attack), 0, 1))) for attack in ("exact", "DeepFool", "C&W")
    ]
    return pd.DataFrame(lines, columns=["attack", "change"])
