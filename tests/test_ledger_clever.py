"""The claims about CLEVER, on made rows whose verdict is known beforehand."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from sparse_robust.measurements.clever_scores import NORMS
from sparse_robust.studies import ledger
from sparse_robust.studies.catalogue import find

MEASURED = find("clever").specs["paper"][0].measured
NAMES = {"CLEVER l_2": "clever-l2-rises", "CLEVER l_inf": "clever-linf-rises"}


def table(score: Callable[[int], float], noise: float = 1e-3) -> pd.DataFrame:
    """Accuracy held up to round 8, the same scores in both norms."""
    draw = np.random.default_rng(0).standard_normal
    rows = []
    for round_ in MEASURED:
        common = {"round": round_, "sparsity": 1 - (2 / 3) ** round_}
        for seed in range(10):
            own = common | {"seed": seed}
            accuracy = 0.98 - 0.1 * (round_ > 8) + 1e-4 * draw()
            rows.append(own | {"metric": "accuracy", "attack": "", "value": accuracy, "n": 10_000})
            for attack in NORMS:
                value = score(round_) + noise * draw()
                rows.append(own | {"metric": "clever", "attack": attack, "value": value, "n": 20})
    return pd.DataFrame(rows)


def peaked(round_: int) -> float:
    return 1 + 0.05 * min(round_, 8) - 0.1 * max(round_ - 8, 0)


@pytest.mark.parametrize("attack", list(NORMS))
@pytest.mark.parametrize(
    ("score", "noise", "verdict"),
    [
        (peaked, 1e-3, "reproduced"),
        (lambda r: 1 + 0.05 * r, 1e-3, "reproduced"),
        (lambda r: 1 - 0.05 * r, 1e-3, "not reproduced"),
        (lambda r: peaked(r) - 0.3 * (r == 4), 1e-3, "partly"),
        (lambda r: 1 + 0.002 * min(r, 8), 0.2, "undecided"),
    ],
    ids=["up and down", "only up", "only down", "a dip before the peak", "within the noise"],
)
def test_verdicts(attack: str, score: Callable[[int], float], noise: float, verdict: str) -> None:
    (claim,) = [c for c in ledger.CLAIMS if c.name == NAMES[attack]]
    finding = claim.judge(table(score, noise))
    assert finding.verdict == verdict, finding
    assert "first 20 images" in finding.why
