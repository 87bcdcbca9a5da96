"""The numbers with which a chapter on a pruning path opens: the dense networks, and the most robust ones."""

import pandas as pd

from sparse_robust.experiments.statistics import summary
from sparse_robust.studies.rules import held_rounds


def landmarks(rows: pd.DataFrame) -> dict[str, float]:
    """Accuracy and robustness before pruning, and where pruning has made networks hardest to fool.

    That is the round with the largest mean accuracy under FGS, of those that keep accuracy
    (:func:`~sparse_robust.studies.rules.held_rounds`).

    Args:
        rows: of one experiment, with FGS and DeepFool among its attacks.

    Returns:
        round, sparsity (in percent); and for ``dense`` and ``best`` each, as ``dense-accuracy``: accuracy and
        rinf (accuracy under FGS), both in percent, and r2 (mean distance that DeepFool needs).
    """
    metrics = {"accuracy": ("accuracy", ""), "rinf": ("r_inf", "FGS"), "r2": ("r_2", "DeepFool")}
    means = {name: summary(rows, *key)["mean"] for name, key in metrics.items()}
    held = means["rinf"].loc[held_rounds(rows)]
    best = int(held.index.to_numpy()[held.to_numpy().argmax()])
    sparsity = summary(rows, *metrics["rinf"]).sparsity[best]
    found = {"round": float(best), "sparsity": float(100 * sparsity)}
    for when, round_ in (("dense", 0), ("best", best)):
        for name, values in means.items():
            scale = 1 if name == "r2" else 100
            found[f"{when}-{name}"] = float(scale * values[round_])
    return found
