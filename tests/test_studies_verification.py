"""Claims and tables of verification and strong attacks, on made rows whose verdict is known beforehand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from made_rows import made_rows
from sparse_robust.studies import ledger
from sparse_robust.studies.catalogue import find
from sparse_robust.studies.strong_attacks import tables as strong
from sparse_robust.studies.strong_attacks.claims import STRONG_L2, STRONG_LINF
from sparse_robust.studies.verification import tables
from sparse_robust.studies.verification.claims import NORMS, R_2, R_INF, at_eps
from sparse_robust.studies.verification.specs import EPS

SPARSITIES = [1 - (2 / 3) ** round_ for round_ in range(5)]
SEEDS = (0, 1)
Value = Callable[[int, int, str, str], float]


def verdict(name: str, table: pd.DataFrame) -> str:
    (claim,) = [claim for claim in ledger.CLAIMS if claim.name == name]
    finding = claim.judge(table)
    assert finding.why
    return finding.verdict


def attacked(value: Value, seeds: tuple[int, ...] = SEEDS, stderr: float = 0.01) -> pd.DataFrame:
    """Rows of strong attacks, accuracy held until the last round."""
    kinds = {("accuracy", ""), *strong.LINF.values(), *strong.L2.values()}

    def number(round_: int, seed: int, metric: str, attack: str) -> float:
        return 0.98 - 0.1 * (round_ == 4) if metric == "accuracy" else value(round_, seed, metric, attack)

    return made_rows(SPARSITIES, seeds, kinds, number, lambda attack: 1000, stderr=stderr)


def hill(round_: int, seed: int, metric: str, attack: str) -> float:
    return 0.2 + 0.1 * min(round_, 2) - 0.1 * max(round_ - 2, 0) + 0.01 * seed


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (hill, "reproduced"),
        (lambda r, s, m, a: 0.2 + 0.02 * (r == 2), "partly"),
        (lambda r, s, m, a: 0.2 + 0.1 * (r == 2) * (1 - 2 * (s == 1)) + 0.05 * (r == 2), "partly"),
        (lambda r, s, m, a: 0.2 - 0.01 * r, "not reproduced"),
        (lambda r, s, m, a: 0.2 + 0.1 * (r == 4), "not reproduced"),
        (
            lambda r, s, m, a: hill(r, s, m, a) if a in ("PGD", "DeepFool in the box") else 0.2 - 0.01 * r,
            "partly",
        ),
    ],
    ids=["up and down", "within the noise", "in one seed", "down", "where accuracy is lost", "one attack"],
)
@pytest.mark.parametrize("name", ["strong-rinf-gain", "strong-r2-gain"])
def test_gains_under_stronger_attacks(name: str, value: Value, expected: str) -> None:
    assert verdict(name, attacked(value)) == expected


def test_one_seed_is_judged_by_its_images() -> None:
    assert verdict("strong-rinf-gain", attacked(hill, seeds=(3,))) == "reproduced"


def test_no_held_round_is_no_gain() -> None:
    table = attacked(hill)
    lost = (table.metric == "accuracy") & (table["round"] > 0)
    table.loc[lost, "value"] = 0.5
    assert verdict("strong-r2-gain", table) == "not reproduced"
    assert strong.gains(table)["round"].isna().all()


@pytest.mark.parametrize(
    ("gap", "expected"), [(0.005, "reproduced"), (0.04, "partly"), (0.2, "not reproduced")]
)
def test_one_step_beside_many(gap: float, expected: str) -> None:
    def value(round_: int, seed: int, metric: str, attack: str) -> float:
        return 0.5 - gap * (attack == "APGD" and round_ == 2) - 0.3 * (attack == "PGD" and round_ == 4)

    assert verdict("strong-fgs-suffices", attacked(value)) == expected


def test_gains_by_attack() -> None:
    table = strong.gains(attacked(hill))
    assert list(table.attack) == ["FGS", *STRONG_LINF, "DeepFool", *STRONG_L2]
    assert (table["round"] == 2).all()
    np.testing.assert_allclose(table.dense, 0.205)
    np.testing.assert_allclose(table.gain, 0.405 / 0.205 - 1)
    np.testing.assert_allclose(table.least, 0.41 / 0.21 - 1)
    np.testing.assert_allclose(table.most, 0.4 / 0.2 - 1)


def test_ratios_by_round() -> None:
    parts = {"APGD": 0.5, "PGD": 0.75, "minimal l_2": 0.25}
    rows = attacked(lambda r, s, m, a: parts.get(a, 1.0))
    rows.loc[(rows.attack == "DeepFool in the box") & (rows["round"] == 4) & (rows.seed == 1), "value"] = (
        np.inf
    )
    table = strong.ratios(rows)
    assert (table["APGD / FGS"] == 0.5).all()
    assert (table["PGD / FGS"] == 0.75).all()
    np.testing.assert_array_equal(table["minimal / DeepFool"], [0.25] * 4 + [np.nan])
    np.testing.assert_allclose(table.sparsity, SPARSITIES)


def verified(values: dict[str, Value], unstable: Value, last: float = 1.0) -> pd.DataFrame:
    """Rows of verification at both radii; ``values`` by metric of r_inf."""
    metrics = (
        "r_inf_bounds",
        "r_inf_certified",
        "r_inf_attacked",
        "decided",
        "solver_share",
        "solver_seconds",
    )

    def number(variant: int) -> Value:
        def of(round_: int, seed: int, metric: str, attack: str) -> float:
            known: dict[str, Value] = {
                "accuracy": lambda *_: 0.98,
                "unstable": unstable,
                "decided": lambda *_: last if round_ == 4 else 0.5,
                "r_2_certified": lambda *_: 0.4,
                "r_2_attacked": lambda *_: 1.2,
                "solver_share": lambda *_: 0.25 * (round_ > 0),
                "solver_seconds": lambda *_: 0.5 * (round_ > 0),
            }
            return (known | values).get(metric, lambda *_: 0.1)(round_, seed, metric, attack)

        return of

    kinds: list[set[tuple[str, str]]] = [
        {("accuracy", ""), ("unstable", R_INF), *((m, R_INF) for m in metrics)}
    ] * 2
    kinds[1] = kinds[1] | {("r_2_certified", R_2), ("r_2_attacked", R_2)}
    parts = [
        made_rows(SPARSITIES, SEEDS, kinds[v], number(v), lambda a: 40, variant=v) for v in range(len(EPS))
    ]
    return pd.concat(parts, ignore_index=True)


def falling(round_: int, seed: int, metric: str, attack: str) -> float:
    return 300 / (1 + round_)


CERTAIN: dict[str, Value] = {
    "r_inf_attacked": lambda r, s, m, a: 0.3 + 0.1 * (r > 0),
    "r_inf_certified": lambda r, s, m, a: 0.1 + 0.25 * (r == 3),
}


def test_a_certain_gain() -> None:
    assert verdict("verified-rinf-gain", verified(CERTAIN, falling)) == "reproduced"
    table = verified(CERTAIN, falling)
    row = table[(table.metric == "r_inf_certified") & (table["round"] == 3) & (table.seed == 1)].index
    table.loc[row[0], "value"] = 0.29
    assert verdict("verified-rinf-gain", table) == "partly"
    certified = table.metric == "r_inf_certified"
    assert (
        verdict("verified-rinf-gain", table.assign(value=table.value.where(~certified, 0.2)))
        == "not reproduced"
    )


@pytest.mark.parametrize(
    ("unstable", "last", "expected"),
    [
        (falling, 1.0, "reproduced"),
        (falling, 0.9, "partly"),
        (lambda r, s, m, a: 300 - 50 * (r == 2), 0.99, "partly"),
        (lambda r, s, m, a: 300.0, 0.9, "not reproduced"),
    ],
)
def test_easier_to_verify(unstable: Value, last: float, expected: str) -> None:
    assert verdict("verified-easier", verified({}, unstable, last)) == expected


def test_two_sides_and_costs() -> None:
    rows = verified(CERTAIN, falling)
    both = tables.two_sided(rows)
    assert len(both) == 3 * len(SPARSITIES)
    r_2 = both[both.panel == "$r_2$"]
    assert (r_2.low == 0.4).all()
    assert (r_2.high == 1.2).all()
    cost = tables.r_inf(rows, EPS[0])
    assert cost.seconds.isna().tolist() == [True, False, False, False, False]
    assert (cost.seconds.dropna() == 2).all(), "of an image that the solver was given, not of all"
    np.testing.assert_allclose(cost.certified, [0.1, 0.1, 0.1, 0.35, 0.1])
    assert set(at_eps(rows, EPS[1]).variant) == {1}


def scored(above: dict[str, float], below: dict[str, float]) -> pd.DataFrame:
    """Rows of certificates: shares of scores above and below, by norm."""
    kinds = [
        (metric, attack) for attack in NORMS for metric in (*tables.ORDER, "clever_above", "clever_below")
    ]

    def number(round_: int, seed: int, metric: str, attack: str) -> float:
        shares = {"clever_above": above, "clever_below": below}
        return shares[metric][NORMS[attack]] if metric in shares else [*tables.ORDER].index(metric) / 10

    return made_rows(SPARSITIES, SEEDS, kinds, number, lambda a: 20)


@pytest.mark.parametrize(
    ("above", "below", "expected"),
    [
        ((0, 0), (1, 1), "reproduced"),
        ((0, 0), (0.5, 1), "partly"),
        ((0.05, 0.05), (0.9, 0.9), "not reproduced"),
        ((0.05, 0), (0.9, 1), "partly"),
    ],
)
def test_scores_beside_exact_distances(above: Any, below: Any, expected: str) -> None:
    shares = [dict(zip(NORMS.values(), side, strict=True)) for side in (above, below)]
    assert verdict("clever-below-distance", scored(*shares)) == expected


def test_scores_are_counted() -> None:
    counted = tables.clever_counts(scored({"l_2": 0.05, "l_inf": 0}, {"l_2": 0.9, "l_inf": 1}))
    assert len(counted) == 2 * len(SPARSITIES)
    assert counted.iloc[0].tolist() == [r"$\ell_2$", 0, 40, 2, 36, 2]
    assert counted.iloc[-1].tolist() == [r"$\ell_\infty$", 4, 40, 0, 40, 0]
    order = tables.order(scored({"l_2": 0, "l_inf": 0}, {"l_2": 1, "l_inf": 1}), "certificates l_2")
    assert list(order.columns) == ["round", *tables.ORDER.values()]
    np.testing.assert_allclose(order["CROWN"], 0.2)


@pytest.mark.parametrize("name", ["verification", "certificates", "strong-attacks"])
def test_checkpoints_are_those_of_the_pruning_path(name: str) -> None:
    for profile, (path,) in find("lenet-300-100").specs.items():
        for spec in find(name).specs[profile]:
            assert spec.training_key == path.training_key
            assert spec.rounds == path.rounds
            assert spec.measured[-1] == path.rounds, "the last model of the path is measured"
        assert set(find(name).seeds[profile]) <= set(find("lenet-300-100").seeds[profile])


def test_radii_and_points_are_those_of_the_paper_and_of_clever() -> None:
    for profile in ("laptop", "paper"):
        small, large = find("verification").specs[profile]  # type: ignore[index]
        assert (small.eps, large.eps) == EPS
        assert {attack.name for attack in large.attacks} == {R_INF, R_2}
    certificates, clever = (find(name).specs["paper"][0] for name in ("certificates", "clever"))
    assert certificates.measured == clever.measured
    options = dict(certificates.attacks[0].options)
    assert dict(clever.attacks[0].options).items() <= options.items()
