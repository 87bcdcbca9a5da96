"""The rules for Table 1, on made rows whose verdict is known beforehand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sparse_robust.studies import ledger
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
    assert {name: f.verdict for name, f in found.items()} == dict.fromkeys(found, "reproduced"), found
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
    assert "r_2 reproduced" in finding.why


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
