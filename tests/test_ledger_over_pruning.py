"""The rules for Table 2, on made rows whose verdict is known beforehand."""

from collections.abc import Callable

import pandas as pd
import pytest

from sparse_robust.experiments.load import stored
from sparse_robust.studies import ledger
from sparse_robust.studies.over_pruning import tables
from sparse_robust.studies.over_pruning.claims import MODELS, PAIRS, RINF_TOLERANCE, of_model, values
from sparse_robust.studies.over_pruning.specs import OVER_PRUNING
from sparse_robust.studies.paper import TABLE_2

CLAIMS = {c.name: c for c in ledger.CLAIMS if c.experiment == "over-pruning"}
Value = Callable[[str, str, str], float]
"""(model, metric, attack) -> value."""


def as_printed(model: str, metric: str, attack: str) -> float:
    """Table 2 to the last digit; a squared distance is half as large again."""
    line = TABLE_2[model]
    return {
        "r_inf": line.r_inf,
        "r_2": line.r_2,
        "r_2_squared": 1.5 * line.r_2,
        "accuracy": 0.98,
        "sparsity": line.sparsity,
        "parameter_sparsity": line.sparsity,
        "failures": 0,
    }[metric]


def table(value: Value, stderr: float = 0.005) -> pd.DataFrame:
    kinds = [("accuracy", ""), ("sparsity", ""), ("parameter_sparsity", ""), ("failures", "DeepFool")]
    kinds += [("r_inf", attack) for attack in ("FGS", "rFGS")]
    kinds += [(metric, attack) for metric in ("r_2", "r_2_squared") for attack in ("DeepFool", "C&W")]
    return pd.DataFrame(
        [
            {
                "variant": number,
                "metric": metric,
                "attack": attack,
                "value": value(model, metric, attack),
                "stderr": stderr,
                "n": 10_000,
            }
            for number, model in enumerate(MODELS)
            for metric, attack in kinds
        ]
    )


def judged(name: str, value: Value, stderr: float = 0.005) -> ledger.Finding:
    return CLAIMS[f"over-pruning-{name}"].judge(table(value, stderr))


def changed(change: Callable[[str, str, str, float], float]) -> Value:
    return lambda model, metric, attack: change(model, metric, attack, as_printed(model, metric, attack))


def test_the_models_are_in_the_order_of_the_table():
    assert tuple(TABLE_2) == MODELS
    assert [*PAIRS["LeNet-300-100"], *PAIRS["LeNet-5"]] == list(MODELS)
    assert all(TABLE_2[dense].sparsity == 0 < TABLE_2[sparse].sparsity for dense, sparse in PAIRS.values())


@pytest.mark.parametrize("name", list(CLAIMS))
def test_rows_as_printed_reproduce_every_claim(name: str):
    finding = CLAIMS[name].judge(table(as_printed))
    assert finding.verdict == "reproduced", finding
    assert finding.ours
    assert "nan" not in finding.ours + finding.why


@pytest.mark.parametrize(
    ("shift", "models", "verdict"),
    [
        (0.0003, MODELS, "reproduced"),
        (-0.0003, MODELS, "reproduced"),
        (0.0004, MODELS[:1], "partly"),
        (0.0004, MODELS, "not reproduced"),
    ],
)
def test_rinf_agrees_to_three_images(shift: float, models: tuple[str, ...], verdict: str):
    finding = judged("rinf", changed(lambda m, k, a, v: v + shift * (k == "r_inf" and m in models)))
    assert finding.verdict == verdict


def test_r2_under_the_square_alone_is_partly():
    def squared(model: str, metric: str, attack: str) -> float:
        return TABLE_2[model].r_2 * {"r_2": 0.75, "r_2_squared": 0.97}.get(metric, 1.0)

    finding = judged("r2", squared)
    assert finding.verdict == "partly"
    assert "mean distance 0.750, 0.750, 0.750, 0.750" in finding.why
    assert "mean squared distance 0.970, 0.970, 0.970, 0.970" in finding.why


def test_r2_under_neither_definition_is_not_reproduced():
    one = changed(lambda m, k, a, v: 0.5 * v if m == MODELS[3] else v)
    assert judged("r2", one).verdict == "not reproduced"


@pytest.mark.parametrize(
    ("metric", "attack", "claim"),
    [
        ("r_inf", "FGS", "rinf-conclusions"),
        ("r_inf", "rFGS", "rinf-conclusions"),
        ("r_2", "DeepFool", "r2-conclusions"),
        ("r_2_squared", "DeepFool", "r2-conclusions"),
        ("r_2", "C&W", "r2-conclusions"),
        ("r_2_squared", "C&W", "r2-conclusions"),
    ],
)
def test_one_sign_that_is_wrong_is_enough_for_partly(metric: str, attack: str, claim: str):
    dense, sparse = PAIRS["LeNet-5"]

    def swap(model: str, kind: str, by: str) -> float:
        other = {dense: sparse, sparse: dense}.get(model, model)
        return as_printed(other if (kind, by) == (metric, attack) else model, kind, by)

    assert judged(claim, swap).verdict == "partly"


@pytest.mark.parametrize("claim", ["rinf-conclusions", "r2-conclusions"])
def test_signs_within_the_error_are_undecided_and_all_wrong_are_not_reproduced(claim: str):
    swapped = {m: pair[1 - i] for pair in PAIRS.values() for i, m in enumerate(pair)}
    assert judged(claim, as_printed, stderr=1.0).verdict == "undecided"
    assert judged(claim, lambda m, k, a: 1.0, stderr=0.01).verdict == "not reproduced"
    assert judged(claim, lambda m, k, a: as_printed(swapped[m], k, a)).verdict == "not reproduced"


def test_sparsity_and_accuracy_have_their_tolerances():
    def off(metric: str, by: float) -> Value:
        return changed(lambda m, k, a, v: v - by * (k == metric and m == MODELS[1]))

    assert judged("sparsity", off("sparsity", 0.0007)).verdict == "partly"
    assert judged("sparsity", off("sparsity", 0.002)).verdict == "not reproduced"
    assert judged("accuracy", off("accuracy", 0.0029)).verdict == "reproduced"
    assert judged("accuracy", off("accuracy", 0.0031)).verdict == "not reproduced"


def test_the_committed_rows_agree_with_table_2():
    """The proof that the attack is the paper's: r_inf to three images of 10,000, on all four models."""
    rows = stored(OVER_PRUNING, "published")
    for model, ours in zip(MODELS, values(rows, "r_inf", "FGS"), strict=True):
        assert abs(round(ours - TABLE_2[model].r_inf, 6)) <= RINF_TOLERANCE, model
        assert of_model(rows, model, "r_inf", "FGS").n == 10_000
        assert of_model(rows, model, "failures", "DeepFool").value == 0
    verdicts = {name: claim.judge(rows).verdict for name, claim in CLAIMS.items()}
    assert verdicts == {
        "over-pruning-rinf": "reproduced",
        "over-pruning-r2": "partly",
        "over-pruning-sparsity": "partly",
        "over-pruning-accuracy": "reproduced",
        "over-pruning-rinf-conclusions": "reproduced",
        "over-pruning-r2-conclusions": "reproduced",
    }


def test_the_committed_sparsities_are_counts():
    """What is left of each model, to the last weight; 98.14 % and 99.08 % are zeros."""
    rows = stored(OVER_PRUNING, "published")
    for model, left in zip(MODELS, (266_200, 4_952, 430_500, 3_977), strict=True):
        row = of_model(rows, model, "sparsity")
        assert (1 - row.value) * row.n == pytest.approx(left, abs=1e-6)
    shares = [of_model(rows, pair[1], "sparsity").value for pair in PAIRS.values()]
    assert [f"{100 * share:.2f}" for share in shares] == ["98.14", "99.08"]


def test_a_missing_row_is_said():
    with pytest.raises(KeyError, match="0 rows of 'r_2' under attack 'FGS'"):
        of_model(table(as_printed), MODELS[0], "r_2", "FGS")


def test_tables_hold_the_numbers_that_were_made():
    off = changed(lambda model, metric, attack, v: v + (metric == "r_inf" and model == MODELS[1]) * 0.0003)
    rows = table(off)
    assert list(tables.table_2(rows)["$r_2$, paper"]) == list(tables.table_2(rows)["mean $d$"])
    assert list(tables.differing_images(rows).images) == [0, 3, 0, 0]
    errors = tables.differences(rows).set_index(["network", "metric"]).errors
    dense, sparse = (TABLE_2[model].r_2 for model in PAIRS["LeNet-5"])
    assert errors["LeNet-5", "$r_2$, C&W"] == pytest.approx((sparse - dense) / (0.005 * 2**0.5))
    changes = tables.changes_by_definition(rows)
    assert changes.loc["mean $d$", "LeNet-5"] == pytest.approx(sparse / dense - 1)
    assert changes.loc["root of mean $d^2$", "LeNet-5"] == pytest.approx((sparse / dense) ** 0.5 - 1)


def test_definitions_are_told_apart_by_their_ratios():
    """All is as printed, but for squares that are half as large again, and an accuracy of .98."""
    found = tables.ratios_by_definition(table(as_printed))
    expected = {
        "mean $d$": 1,
        "mean $d$, correct": 1 / 0.98,
        "mean $d^2$": 1.5,
        "mean $d^2$, correct": 1.5 / 0.98,
    }
    for definition, ratio in expected.items():
        assert list(found.loc[definition]) == pytest.approx([ratio] * 4 + [1]), definition
    assert list(tables.exponents(table(as_printed)).p) == pytest.approx([1] * 4)
    assert list(tables.errors_of_squares(table(as_printed)).error) == pytest.approx(
        [0.005 / (1.5 * TABLE_2[model].r_2) for model in MODELS]
    )


def test_printed_sparsities_are_compression_factors():
    found = tables.sparsities(table(as_printed))
    assert list(found["1 - 1/factor"].round(4)) == list(found.printed) == list(found.weights)
