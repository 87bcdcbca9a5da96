"""Tables of the chapter on stronger attacks: curves by norm, gains by attack, distances beside each other."""

from typing import Any

import numpy as np
import pandas as pd

from sparse_robust.experiments.statistics import per_seed, summary
from sparse_robust.studies.tables import Key, Panels

from .claims import STRONG_L2, STRONG_LINF, WEAK_LINF, best_round

LINF: dict[str, Key] = {attack: ("r_inf", attack) for attack in (WEAK_LINF, *STRONG_LINF)}
L2: dict[str, Key] = {attack: ("r_2", attack) for attack in ("DeepFool", *STRONG_L2)}

SHOWN: Panels = {r"$r_\infty$": LINF, r"$r_2$": L2}
"""One panel for each norm, the paper's attack first."""


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """For each attack the dense models and the best pruned ones with accuracy held.

    Returns:
        columns metric, attack, dense, round (of the best; missing where none can be compared), pruned, gain
        (relative), least, most (of the seeds).
    """
    lines: list[tuple[Any, ...]] = []
    for metric, panel in SHOWN.items():
        for attack, key in panel.items():
            values, best = per_seed(rows, *key), best_round(rows, *key)
            dense = values.loc[0]
            if best is None:
                lines.append((metric, attack, dense.mean(), *(None,) * 5))
                continue
            share = values.loc[best] / dense - 1
            top = values.loc[best].mean()
            lines.append(
                (metric, attack, dense.mean(), best, top, top / dense.mean() - 1, share.min(), share.max())
            )
    columns = ["metric", "attack", "dense", "round", "pruned", "gain", "least", "most"]
    return pd.DataFrame(lines, columns=columns).astype({"round": "Int64"})


def ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """By round, what a stronger attack leaves of the paper's number.

    Returns:
        columns round, sparsity, and for each norm the ratio of the stronger attack's mean to the weaker one's
        in the same box: PGD and APGD to FGS, minimal l_2 to DeepFool in the box. Not a number where DeepFool
        failed on an image.
    """
    pairs = {
        **{f"{attack} / FGS": (LINF[attack], LINF[WEAK_LINF]) for attack in STRONG_LINF},
        "minimal / DeepFool": (L2["minimal l_2"], L2["DeepFool in the box"]),
    }
    columns = {}
    for name, keys in pairs.items():
        strong, weak = (summary(rows, *key)["mean"].replace(np.inf, np.nan) for key in keys)
        columns[name] = strong / weak
    sparsity = rows.groupby("round").sparsity.mean()
    return pd.DataFrame({"sparsity": sparsity} | columns).rename_axis("round").reset_index()
