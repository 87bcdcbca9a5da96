"""Surgery beside progressive pruning at equal sparsity, on made rows whose difference is known beforehand."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from made_rows import made_rows
from sparse_robust.studies.catalogue import find
from sparse_robust.studies.surgery.tables import (
    PANELS,
    DepthComparison,
    at_equal_sparsities,
    at_equal_sparsity,
    beside,
    reach,
    strengths,
)
from sparse_robust.studies.tables import METRICS, protocol

PROGRESSIVE = [1 - (2 / 3) ** round_ for round_ in range(13)]
OPERATED = [0.0, 0.5, 0.95, 0.985]
KEYS = {("accuracy", ""), *METRICS.values(), *((f"sparsity_{k}", "") for k in (1, 2, 3))}
(SPEC,) = find("surgery").specs["laptop"]
TELLS = dict.fromkeys(("experiment", "commit", "torch", "device", "data", "data_description"), "x")
TELLS |= dict.fromkeys(("training_commit", "training_dirty", "training_torch", "training_device"))


def rows(sparsities: list[float], value: Callable[[float, int], float]) -> pd.DataFrame:
    """Rows of four seeds, the value of each metric by sparsity and seed."""
    return made_rows(
        sparsities,
        range(4),
        KEYS,
        lambda round_, seed, metric, attack: value(sparsities[round_], seed),
        lambda attack: 1000,
        scale="laptop",
        dirty=False,
        **TELLS,
    )


def straight(sparsity: float, seed: int) -> float:
    """Linear in log(1 - sparsity), so that interpolation is exact."""
    return 0.9 + 0.01 * float(np.log1p(-sparsity)) + 0.001 * seed


def made(ahead: float = 0.002, sparsities: list[float] = OPERATED) -> DepthComparison:
    """Surgery that is ``ahead`` of progressive pruning at every sparsity but that of dense."""
    operated = rows(sparsities, lambda s, seed: straight(s, seed) + ahead * (s > 0))
    return DepthComparison("surgery", "laptop", SPEC, operated, rows(PROGRESSIVE, straight), 0.98)


@pytest.mark.parametrize("round_", [0, 1, 2, 3])
def test_the_difference_at_equal_sparsity_is_the_one_made(round_: int):
    both = at_equal_sparsity(made(), ("r_2", "DeepFool"), round_)
    np.testing.assert_allclose(both.loc[1] - both.loc[0], 0.002 * (round_ > 0), atol=1e-12)
    assert list(both.columns) == [0, 1, 2, 3]


def test_seeds_with_a_failure_on_either_side_are_left_out():
    study = made()
    lost = (study.operated.seed == 1) & (study.operated["round"] == 3)
    study.operated.loc[lost & (study.operated.attack == "DeepFool"), "value"] = np.inf
    study.pruned.loc[(study.pruned.seed == 2) & (study.pruned["round"] == 11), "value"] = np.inf
    assert list(at_equal_sparsity(study, ("r_2", "DeepFool"), 3).columns) == [0, 3]
    assert list(at_equal_sparsity(study, ("r_2", "C&W"), 3).columns) == [0, 1, 3]


def test_an_operation_beyond_progressive_pruning_has_no_counterpart():
    study = made(sparsities=[0.0, 0.9, 0.999])
    with pytest.raises(ValueError, match="is not between"):
        at_equal_sparsity(study, ("accuracy", ""), 2)
    table = at_equal_sparsities(study)
    beyond, within = table.sparsity > 0.99, table.sparsity.between(0.8, 0.99)
    assert set(table[beyond].difference) == {"beyond the last round of progressive pruning"}
    assert table[within].difference.str.startswith("+0.0020").sum() == len(METRICS) + 1


def test_progressive_pruning_is_drawn_as_far_as_surgery_goes():
    curves = beside(made())
    assert list(dict.fromkeys(curves.panel)) == list(PANELS)
    drawn = curves[curves.label == "progressive"].sparsity
    assert sorted(set(drawn)) == pytest.approx(PROGRESSIVE[:12]), (
        "to the first round that is sparser than 98.5 %"
    )
    assert sorted(set(curves[curves.label == "surgery"].sparsity)) == pytest.approx(sorted(set(OPERATED)))


def test_what_has_not_been_run_is_said_and_not_drawn():
    study = made()
    study = DepthComparison("surgery", "paper", SPEC, study.operated.iloc[:0], study.pruned, 0.98)
    assert str(study) == "surgery: not run"
    assert at_equal_sparsities(study).empty
    assert reach(study).empty
    assert set(beside(study).label) == {"progressive"}
    assert list(strengths(study)) == ["round", "c, layer 1", "c, layer 2", "c, layer 3"]


def test_where_rows_come_from_is_said_of_both():
    assert str(made()).count("4 seeds, n = 1000 test images") == 2


@pytest.mark.parametrize(
    ("loss", "reached"), [(0.002, [True] * 2), (0.004, [False, True]), (0.02, [False] * 2)]
)
def test_the_sparsity_reached_depends_on_the_accuracy_lost(loss: float, reached: list[bool]):
    operated = rows(OPERATED, lambda s, seed: 0.98 - loss * (s > 0.98))
    table = reach(DepthComparison("surgery", "laptop", SPEC, operated, rows(PROGRESSIVE, straight), 0.98))
    assert list(table.within) == [0.003, 0.01]
    assert list(table.reached) == reached
    np.testing.assert_allclose(table.sparsity, [0.985 if success else 0.95 for success in reached])
    np.testing.assert_allclose(table.change, [-loss * success for success in reached], atol=1e-12)


def test_the_protocol_is_the_specs():
    assert SPEC.surgery is not None
    lines = dict(protocol(SPEC).itertuples(index=False))
    for number, surgery in enumerate(SPEC.surgery.surgeries, 1):
        assert lines[f"round {number}"] == f"c = {', '.join(f'{c:g}' for c in surgery.strengths)}"


def test_strengths_stand_beside_the_zeros_that_they_lead_to():
    (spec,) = find("surgery-lenet-5").specs["smoke"]
    assert spec.surgery is not None
    operated = made_rows(
        [0.0, 0.9],
        [0],
        [(f"sparsity_{k}", "") for k in range(1, 5)],
        lambda *key: key[0] * int(key[2][-1]) / 10,
        lambda attack: 9,
    )
    (line,) = strengths(DepthComparison("surgery-lenet-5", "smoke", spec, operated, operated, 0.9)).to_numpy()
    assert list(line[1::2]) == list(spec.surgery.surgeries[0].strengths)
    assert list(line[2::2]) == [0.1, 0.2, 0.3, 0.4]
