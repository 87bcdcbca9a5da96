"""The rules for Table 1, on made rows whose verdict is known beforehand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from made_rows import made_rows
from sparse_robust.studies import ledger
from sparse_robust.studies.activation import tables
from sparse_robust.studies.activation.claims import attackable, nearest
from sparse_robust.studies.paper import TABLE_1

NETS = {"lenet-300-100": "activation-sparsity", "lenet-5": "activation-sparsity-lenet-5"}
STRENGTHS = (0.0, 1e-4, 1e-3, 1e-2)
"""Those of the paper's three lines, and one that makes the network a constant."""


def claims(net: str) -> dict[str, ledger.EmpiricalClaim]:
    return {c.name.removeprefix(f"{net}-"): c for c in ledger.CLAIMS if c.experiment == NETS[net]}


def table(net: str, seeds: int = 10, **changed: list[float]) -> pd.DataFrame:
    """The paper's rows with a little jitter, and a constant network; ``changed`` puts other means."""
    lines = TABLE_1[net]
    squares = [line.r_2.value for line in lines]
    means = {
        ("accuracy", ""): [line.accuracy.value for line in lines] + [0.1],
        ("activation_sparsity", ""): [line.zeros.value for line in lines] + [1.0],
        ("r_inf", "FGS"): [line.r_inf.value for line in lines] + [0.1],
        ("r_2", "DeepFool"): [math.sqrt(s) for s in squares] + [math.inf],
        ("r_2_squared", "DeepFool"): [*squares, math.inf],
    } | {(name.split("__")[0], "".join(name.split("__")[1:])): v for name, v in changed.items()}
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        [
            {
                "variant": variant,
                "round": 0,
                "l1": strength,
                "seed": seed,
                "metric": metric,
                "attack": attack,
                "value": values[variant] + 1e-4 * generator.standard_normal(),
                "sparsity": 0.0,
                "n": 10_000,
            }
            for (metric, attack), values in means.items()
            for variant, strength in enumerate(STRENGTHS)
            for seed in range(seeds)
        ]
    )


@pytest.mark.parametrize("net", NETS)
def test_the_papers_own_rows_reproduce_every_claim(net: str) -> None:
    rows = table(net)
    found = {name: claim.judge(rows) for name, claim in claims(net).items()}
    # the printed distances are mean squares in these rows; that of one line is within its spread of the mean
    squares = ("l1-moderate", *(["l1-strong"] if net == "lenet-5" else []))
    by_square = dict.fromkeys(squares, "partly")
    expected = dict.fromkeys(found, "reproduced") | by_square
    assert {name: finding.verdict for name, finding in found.items()} == expected, found
    assert len(found) == 5


@pytest.mark.parametrize("net", NETS)
def test_a_constant_network_stands_for_no_line(net: str) -> None:
    """It is nearest to the last line of LeNet-5, and its infinite r_2 would pass for a rise."""
    rows = table(net)
    assert attackable(rows) == [0, 1, 2]
    strong = TABLE_1[net][2]
    assert nearest(rows, replace(strong, zeros=replace(strong.zeros, value=1.0))) == 2
    for claim in claims(net).values():
        finding = claim.judge(rows)
        assert "+inf" not in finding.why
        assert "nan" not in finding.why + finding.ours
        assert "100.0 % zeros" not in finding.ours + finding.why


@pytest.mark.parametrize("net", NETS)
def test_where_every_regularised_network_is_constant_nothing_is_reproduced(net: str) -> None:
    least = TABLE_1[net][0].r_2.value
    rows = table(
        net,
        r_2__DeepFool=[math.sqrt(least), *3 * [math.inf]],
        r_2_squared__DeepFool=[least, *3 * [math.inf]],
    )
    for name in ("l1-moderate", "l1-strong", "l1-rises", "l1-falls-below"):
        assert claims(net)[name].judge(rows).verdict == "not reproduced"


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(
    ("metric", "attack"), [("r_inf", "FGS"), ("r_2", "DeepFool"), ("r_2_squared", "DeepFool")]
)
def test_robustness_that_only_falls_contradicts_the_rise(net: str, metric: str, attack: str) -> None:
    key = {f"{metric}__{attack}": [0.9, 0.8, 0.7, 0.1]}
    found = {name: claim.judge(table(net, **key)).verdict for name, claim in claims(net).items()}
    assert found["l1-rises"] == "partly", "one metric falls, the others do as the paper says"
    every = ("r_inf__FGS", "r_2__DeepFool", "r_2_squared__DeepFool")
    falling = table(net, **{k: [0.9, 0.8, 0.7, 0.1] for k in every})
    assert claims(net)["l1-rises"].judge(falling).verdict == "not reproduced"
    assert claims(net)["l1-falls-below"].judge(falling).verdict == "reproduced"
    rising = table(net, **{k: [0.7, 0.8, 0.9, 1.0] for k in every})
    assert claims(net)["l1-falls-below"].judge(rising).verdict == "not reproduced"


@pytest.mark.parametrize("net", NETS)
def test_a_line_is_met_only_within_reach(net: str) -> None:
    dense, _, strong = (line.zeros.value for line in TABLE_1[net])
    rows = table(net, activation_sparsity=[dense, 0.3, strong, 1.0])
    finding = claims(net)["l1-moderate"].judge(rows)
    if net == "lenet-300-100":
        assert finding.verdict == "not reproduced"
        assert "points of zeros" in finding.why
        assert finding.ours.startswith("l_1 = 0.001")
    else:  # the strong network is within five points of the moderate line
        assert "l_1 = 0.001" in finding.ours


@pytest.mark.parametrize("net", NETS)
def test_numbers_off_are_named(net: str) -> None:
    moderate = TABLE_1[net][1]
    half = [line.r_inf.value for line in TABLE_1[net]] + [0.1]
    half[1] = moderate.r_inf.value / 2
    finding = claims(net)["l1-moderate"].judge(table(net, r_inf__FGS=half))
    assert finding.verdict == "partly"
    assert "r_inf not reproduced" in finding.why
    assert "r_2 partly, mean distance" in finding.why


@pytest.mark.parametrize("net", NETS)
def test_zeros_of_the_references_are_judged_in_points(net: str) -> None:
    dense, moderate, strong = (line.zeros.value for line in TABLE_1[net])
    off = claims(net)["zeros-dense"].judge(
        table(net, activation_sparsity=[dense - 0.3, moderate, strong, 1.0])
    )
    assert off.verdict == "not reproduced"
    assert "-29.99 points" in off.why
    first = table(
        net, activation_sparsity=[dense - 0.3, moderate, strong, 1.0], activation_sparsity_1=4 * [dense]
    )
    noted = claims(net)["zeros-dense"].judge(first)
    assert "after the first hidden layer" in noted.why
    assert "(reproduced)" in noted.why


def test_the_lines_of_the_table_stand_beside_the_networks_that_they_were_made_from() -> None:
    lines = tables.line_by_line(table("lenet-5"), TABLE_1["lenet-5"]).set_index("network")
    assert list(lines.index) == ["paper", "l_1 = 0", "paper", "l_1 = 0.0001", "paper", "l_1 = 0.001"]
    for printed, strength in zip(TABLE_1["lenet-5"], STRENGTHS, strict=False):
        ours = lines.loc[f"l_1 = {strength:g}"]
        for column, number in (
            (r"$r_\infty$", printed.r_inf),
            ("$r_2$", printed.r_2),
            ("accuracy", printed.accuracy),
        ):
            assert float(ours[column].split()[0]) == pytest.approx(number.value, abs=3e-4)


def test_means_and_changes_leave_out_what_cannot_be_attacked() -> None:
    rows = table("lenet-5")
    assert list(tables.means(rows).l_1) == list(STRENGTHS)
    assert math.isinf(tables.means(rows)["$r_2$, DeepFool"].iloc[-1])
    changes = tables.changes(rows).groupby("network", sort=False).size()
    assert list(changes) == [4, 4, 1], "of the constant network there is only accuracy"
    drawn = tables.curve(rows, TABLE_1["lenet-5"])
    assert not np.isinf(drawn["mean"]).any()
    assert list(drawn.groupby("label").size()) == [3 * len(STRENGTHS), 3 * 3]


def test_correlations_are_those_of_the_means_where_jitter_is_small() -> None:
    """Three strengths with zeros and robustness on a line: +1 for r_inf, -1 for r_2."""
    share = [0.4, 0.5, 0.7, 1.0]
    rows = table(
        "lenet-300-100",
        activation_sparsity=share,
        r_inf__FGS=share,
        r_2__DeepFool=[2.0 - s for s in share[:3]] + [math.inf],
        r_2_squared__DeepFool=[4.0 - 2 * s for s in share[:3]] + [math.inf],
    )
    whole = tables.correlations(rows).set_index("networks").loc["all attackable"]
    assert list(whole[list(tables.ROBUST)]) == pytest.approx([1, -1, -1], abs=1e-4)
    assert whole.n == 30
    assert tables.zeros_of_references(rows, TABLE_1["lenet-300-100"][0]).ours[0].startswith("40.0")


def test_pruned_networks_of_nearest_sparsity_stand_below() -> None:
    rows = table("lenet-5")
    rows = rows.assign(sparsity=0.3 * rows.variant)
    kinds = [*map(tuple, rows[["metric", "attack"]].drop_duplicates().to_numpy()), ("sparsity", "")]
    shares = rows[rows.metric == "accuracy"].assign(metric="sparsity", value=lambda some: some.sparsity)
    pruned = made_rows(
        [0.0, 0.35, 0.85], range(2), kinds, lambda r, *key: [0.0, 0.35, 0.85][r], lambda attack: 9
    )
    beside = tables.beside_pruned(pd.concat([rows, shares]), pruned)
    assert list(beside.network[1::2]) == [f"pruned, round {r}" for r in (0, 1, 1, 2)]
    assert tables.beside_pruned(rows, pruned.iloc[:0]).empty
