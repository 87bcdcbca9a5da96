"""Tables of the chapters on pruned networks, on made rows whose course is known beforehand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from made_rows import made_rows
from sparse_robust.studies.catalogue import find
from sparse_robust.studies.lenet import tables
from sparse_robust.studies.paper import PaperNumber
from sparse_robust.studies.tables import METRICS, curves, numbers, panels

FRACTIONS = [0.0, 1 / 3, 5 / 9, 19 / 27, 65 / 81]
JITTER = (-0.001, 0.0, 0.001)
DENSE = {"accuracy": 0.98, "r_inf": 0.4, "r_2": 1.0, "r_2_squared": 1.2}
IMAGES = {"DeepFool": 200, "C&W": 10}
KINDS = [("accuracy", ""), ("activation_sparsity", ""), *METRICS.values(), *(("failures", a) for a in IMAGES)]
FGS, DEEPFOOL, SQUARED = r"$r_\infty$, FGS", "$r_2$, DeepFool", "$r_2$, DeepFool, squared"

UP_AND_DOWN = {
    "accuracy": [1.0, 1.0, 1.0, 0.998, 0.93],
    "r_inf": [1.0, 1.2, 1.5, 1.1, 0.5],
    "r_2": [1.0, 1.1, 1.05, 0.9, 0.5],
    "r_2_squared": [1.0, 1.2, 1.1, 0.8, 0.3],
}


def rows(course: dict[str, list[float]], failures: dict[tuple[int, str], int] | None = None) -> pd.DataFrame:
    """The number of every model; ``course`` has one factor on the dense value for each round.

    Args:
        course: for every metric, factors by round.
        failures: (round, attack) -> failures of seed 0, whose distances are then infinite.
    """

    def value(round_: int, seed: int, metric: str, attack: str) -> float:
        failed = (failures or {}).get((round_, attack), 0) if seed == 0 else 0
        if metric not in course:
            return failed if metric == "failures" else 0.25
        if failed:
            return math.inf
        jitter = (1 + 0.1 * round_) * JITTER[seed]
        return DENSE[metric] * course[metric][round_] + jitter + 0.2 * (attack == "rFGS")

    return made_rows(FRACTIONS, range(3), KINDS, value, lambda attack: IMAGES.get(attack, 1000))


def line(table: pd.DataFrame, label: str) -> pd.Series:
    return table.set_index("metric").loc[label]


def test_curves_end_where_an_attack_fails():
    drawn = curves(rows(UP_AND_DOWN, {(3, "DeepFool"): 2}), panels("FGS", "DeepFool"))
    assert list(dict.fromkeys(drawn.label)) == ["FGS", "accuracy", "DeepFool", "DeepFool, squared"]
    deep = drawn[drawn.label == "DeepFool"]["mean"]
    assert deep.loc[1] == pytest.approx(1.1)
    assert math.isnan(deep.loc[3])
    assert not np.isinf(drawn["mean"]).any()


def test_numbers_say_that_a_mean_is_infinite():
    table = numbers(rows(UP_AND_DOWN, {(3, "DeepFool"): 2}), panels("FGS", "DeepFool"))
    assert list(table.loc[3, ["DeepFool", "DeepFool, squared"]]) == ["inf", "inf"]
    assert table.loc[1, "DeepFool"] == "1.1000 ± 0.0011"
    assert list(table["sparsity, %"]) == [0, 33.33, 55.56, 70.37, 80.25]


def test_weights_left_are_counted_by_layer():
    (spec,) = find("lenet-5").specs["paper"]
    table = tables.weights_left(spec, (0, 1)).set_index("layer")
    assert dict(table["round 0"]) == {
        "filters_1": 500,
        "filters_2": 25_000,
        "hidden": 400_000,
        "readout": 5_000,
    }
    assert table.weights["hidden"] in ("500 x 800", "800 x 500")
    assert all(
        math.isclose(after, 2 / 3 * n, abs_tol=1)
        for n, after in zip(*map(table.get, table.columns[1:]), strict=True)
    )


def test_peaks_are_sought_while_accuracy_is_held():
    table = tables.peaks(rows(UP_AND_DOWN | {"r_inf": [1.0, 1.2, 1.5, 1.1, 9.0]}))
    for label, peak, rise in ((FGS, 2, 0.5), (DEEPFOOL, 1, 0.1), (SQUARED, 1, 0.2)):
        assert list(line(table, label)[["peak", "earliest", "latest"]]) == [peak] * 3
        assert line(table, label).rise == pytest.approx(rise)
        assert line(table, label).sparsity == pytest.approx(FRACTIONS[peak])
        assert line(table, label).low < rise < line(table, label).high


def test_falls_are_counted_from_the_peak():
    table = tables.falls(rows(UP_AND_DOWN))
    assert list(line(table, DEEPFOOL)[["peak", "-2 %", "-5 %", "-10 %"]]) == [1, 2, 3, 3], "4.5 %, then 18 %"
    assert list(line(table, "accuracy")[["-2 %", "-5 %"]]) == [4, 4], "seven per cent"
    assert pd.isna(line(table, "accuracy")["-10 %"])


def test_failures_are_counted_by_round_and_seed():
    table = tables.failures(rows(UP_AND_DOWN, {(3, "DeepFool"): 2, (4, "DeepFool"): 5}))
    assert table.to_numpy().tolist() == [["DeepFool", 200, 3, 1, 2], ["DeepFool", 200, 4, 1, 5]]


def test_the_worst_and_the_best_seed_are_those_of_the_jitter():
    table = tables.spread_of_accuracy(rows(UP_AND_DOWN))
    assert list(table["round"]) == [2, 3, 4]
    assert list(table.best - table.worst) == pytest.approx([0.0024, 0.0026, 0.0028])


def test_distances_stand_beside_the_printed_one():
    table = tables.distances(rows(UP_AND_DOWN), PaperNumber(0.8, 0.1, "Table 1"))
    assert list(table.off)[1:] == pytest.approx([0.25, 0.5])


def test_masking_is_looked_for_in_rounds_with_accuracy_held():
    table = tables.masking(rows(UP_AND_DOWN, {(3, "C&W"): 4, (4, "C&W"): 9}))
    assert list(table["round"]) == [0, 1, 2, 3]
    assert list(table.iloc[-1]) == pytest.approx([3, 0.2, 0, 4, 0.25])


def test_lengths_of_retraining_are_compared_on_common_seeds_and_rounds():
    longer = rows(UP_AND_DOWN | {"r_inf": [1.0, 1.3, 1.2, 1.1, 1.0]})
    longer = longer.assign(value=longer.value + 0.001 * longer.seed)
    longer = longer[(longer.seed < 2) & (longer["round"] < 4)]
    assert list(tables.lengths(rows(UP_AND_DOWN), longer)["round"]) == [0, 1, 2, 3]
    table = tables.lengths_at_peaks(rows(UP_AND_DOWN), longer)
    fgs, deep = line(table, FGS), line(table, DEEPFOOL)
    assert list(fgs[["peak", "peak, longer", "largest in round"]]) == [2, 1, 2]
    half = stats.t.ppf(0.975, 1) * 0.0005  # one degree of freedom, the standard error of -0.12 and -0.119
    assert f"-0.1195 [{-0.1195 - half:+.4f}, {-0.1195 + half:+.4f}]" in fgs["longer less usual"]
    assert list(deep[["peak", "peak, longer"]]) == [1, 1]
    assert deep.rise == pytest.approx(0.1, abs=1e-3)


def test_lengths_of_retraining_cannot_be_compared_where_the_references_resist():
    resisted = rows(UP_AND_DOWN, {(0, "DeepFool"): 1})
    assert list(tables.lengths_at_peaks(resisted, resisted).metric) == ["accuracy", FGS]
