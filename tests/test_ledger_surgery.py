"""The rules for our own surgery, on made rows whose verdict is known beforehand."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from made_rows import made_rows
from sparse_robust.experiments.statistics import at_sparsity
from sparse_robust.studies import ledger
from sparse_robust.studies.rules import HELD
from sparse_robust.studies.surgery.claims import deepest

SPARSITY = [0.0, 0.6, 0.9, 0.97, 0.985, 0.993]
ACCURACY = [0.982, 0.983, 0.983, 0.982, 0.980, 0.965]
KINDS = [("accuracy", ""), ("r_inf", "FGS"), ("r_inf", "rFGS")]
KINDS += [(metric, attack) for metric in ("r_2", "r_2_squared") for attack in ("DeepFool", "C&W")]
CLAIMS = {c.name: c for c in ledger.CLAIMS if c.experiment == "surgery"}
Value = Callable[[int, str, str], float]
"""(round, metric, attack) -> mean over seeds."""


def as_the_paper_says(round_: int, metric: str, attack: str) -> float:
    """Accuracy holds to 98.5 %; r_inf stays above dense; r_2 falls from 97 % on."""
    if metric == "accuracy":
        return ACCURACY[round_]
    if metric == "r_inf":
        return 0.3 + 0.02 * round_
    return [1.0, 1.02, 1.03, 0.9, 0.85, 0.6][round_]


def table(value: Value, seeds: int = 5) -> pd.DataFrame:
    return made_rows(
        SPARSITY,
        range(seeds),
        KINDS,
        lambda r, seed, metric, attack: (
            value(r, metric, attack) + (1e-4 if metric == "accuracy" else 1e-3) * ((7 * seed + 3 * r) % 5 - 2)
        ),
        lambda attack: 500 if attack == "C&W" else 10_000,
    )


def judged(name: str, value: Value) -> ledger.Finding:
    return CLAIMS[f"surgery-{name}"].judge(table(value))


@pytest.mark.parametrize("name", list(CLAIMS))
def test_rows_as_the_paper_says_reproduce_every_claim(name: str):
    finding = CLAIMS[name].judge(table(as_the_paper_says))
    assert finding.verdict == "reproduced", finding
    assert finding.ours
    assert "nan" not in finding.ours + finding.why


def test_the_deepest_operation_is_before_the_first_loss():
    lost_twice = table(lambda r, k, a: 0.95 if k == "accuracy" and r in (2, 5) else 0.98)
    assert deepest(lost_twice) == 1
    assert deepest(table(as_the_paper_says)) == 4
    assert deepest(table(as_the_paper_says), tolerance=0.02) == 5
    assert deepest(table(lambda r, k, a: 0.98 if r == 0 else 0.9)) == 0


@pytest.mark.parametrize(
    ("loss", "verdict"),
    [(HELD - 1e-4, "reproduced"), (HELD + 1e-4, "not reproduced")],
)
def test_competitive_is_three_tenths_of_a_point(loss: float, verdict: str):
    def value(round_: int, metric: str, attack: str) -> float:
        return 0.982 - loss * (round_ >= 4) if metric == "accuracy" else 1.0

    assert judged("competitive", value).verdict == verdict


def test_one_attack_that_disagrees_is_enough_for_partly():
    def but(metric: str, attack: str) -> Value:
        return lambda r, k, a: 2.0 if (r, k, a) == (4, metric, attack) else as_the_paper_says(r, k, a)

    for metric, attack in KINDS[3:]:
        assert judged("r2", but(metric, attack)).verdict == "partly"
    low = judged("rinf", lambda r, k, a: 0.1 if (r, a) == (4, "FGS") else as_the_paper_says(r, k, a))
    assert low.verdict == "partly"
    assert judged("rinf", lambda r, k, a: 0.1 if r == 4 and a else 0.98).verdict == "not reproduced"


def test_failed_attacks_and_lost_accuracy_are_not_compared():
    def failed(round_: int, metric: str, attack: str) -> float:
        lost = round_ == 4 and metric == "r_2"
        return np.inf if lost else as_the_paper_says(round_, metric, attack)

    finding = judged("r2", failed)
    assert finding.verdict == "not reproduced"
    assert "DeepFool failed on an image after round 4 (98.5 %)" in finding.why
    none = judged("r2", lambda r, k, a: 0.98 if r == 0 else 0.9)
    assert (none.verdict, none.why) == ("not reproduced", "no operation leaves accuracy competitive")


def test_the_printed_directions_are_table_2s():
    says = {c.name: c.says for c in ledger.CLAIMS}
    assert says["surgery-rinf"].endswith("r_inf higher than dense")
    assert says["surgery-lenet-5-rinf"].endswith("r_inf lower than dense")


def test_a_number_at_a_sparsity_between_two_rounds():
    """A quantity that is linear in log(1 - sparsity) is met exactly, whatever the rounds."""
    rows = table(lambda r, k, a: 2 - 0.3 * np.log1p(-SPARSITY[r]))
    rows["value"] = 2 - 0.3 * np.log1p(-rows.sparsity) + rows.seed
    for sparsity in (0.0, 0.1, 0.6, 0.8, 0.985, 0.99, 0.993):
        found = at_sparsity(rows, "r_2", "DeepFool", sparsity)
        np.testing.assert_allclose(found, 2 - 0.3 * np.log1p(-sparsity) + np.arange(5))
    with pytest.raises(ValueError, match=r"sparsity 0\.994 is not between 0 and 0\.993"):
        at_sparsity(rows, "r_2", "DeepFool", 0.994)
    rows.loc[rows["round"] == 5, "value"] = np.inf
    assert at_sparsity(rows, "r_2", "DeepFool", 0.99).isna().all()
    assert at_sparsity(rows, "r_2", "DeepFool", 0.985).notna().all()
