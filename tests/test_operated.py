"""Surgery beside progressive pruning at equal sparsity, on made rows whose difference is known beforehand."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from made_rows import made_rows
from sparse_robust.studies.catalogue import find
from sparse_robust.studies.lenet.tables import METRICS
from sparse_robust.studies.surgery.tables import (
    PANELS,
    Study,
    at_equal_sparsity,
    beside,
    print_beside,
    print_operations,
    print_reach,
)

PROGRESSIVE = [1 - (2 / 3) ** round_ for round_ in range(13)]
OPERATED = [0.0, 0.5, 0.95, 0.985]
KEYS = {("accuracy", ""), *METRICS.values()}
(SPEC,) = find("surgery").specs["laptop"]
TELLS = dict.fromkeys(("experiment", "commit", "torch", "device", "data", "data_description"), "x")


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


def made(ahead: float = 0.002, sparsities: list[float] = OPERATED) -> Study:
    """Surgery that is ``ahead`` of progressive pruning at every sparsity but that of dense."""
    operated = rows(sparsities, lambda s, seed: straight(s, seed) + ahead * (s > 0))
    return Study("surgery", "laptop", SPEC, operated, rows(PROGRESSIVE, straight), 0.98)


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


def test_an_operation_beyond_progressive_pruning_has_no_counterpart(capsys: pytest.CaptureFixture[str]):
    study = made(sparsities=[0.0, 0.9, 0.999])
    with pytest.raises(ValueError, match="is not between"):
        at_equal_sparsity(study, ("accuracy", ""), 2)
    print_beside(study)
    out = capsys.readouterr().out
    assert out.count("beyond the last round of progressive pruning") == len(METRICS) + 1
    assert out.count("+0.0020") >= len(METRICS) + 1


def test_progressive_pruning_is_drawn_as_far_as_surgery_goes():
    curves = beside(made())
    assert list(dict.fromkeys(curves.panel)) == list(PANELS)
    drawn = curves[curves.label == "progressive"].sparsity
    assert sorted(set(drawn)) == pytest.approx(PROGRESSIVE[:12]), (
        "to the first round that is sparser than 98.5 %"
    )
    assert sorted(set(curves[curves.label == "surgery"].sparsity)) == pytest.approx(sorted(set(OPERATED)))


def test_what_has_not_been_run_is_said_and_not_drawn(capsys: pytest.CaptureFixture[str]):
    study = Study("surgery", "paper", SPEC, pd.DataFrame(), rows(PROGRESSIVE, straight), 0.98)
    print_beside(study)
    print_reach(study)
    out = capsys.readouterr().out
    assert out.startswith("surgery: not run")
    assert "98 % zeros are asked for; not run" in out
    assert set(beside(study).label) == {"progressive"}


@pytest.mark.parametrize(
    ("loss", "close", "held"), [(0.002, "", ""), (0.004, "not ", ""), (0.02, "not ", "not ")]
)
def test_the_sparsity_reached_depends_on_the_accuracy_lost(
    loss: float, close: str, held: str, capsys: pytest.CaptureFixture[str]
):
    operated = rows(OPERATED, lambda s, seed: 0.98 - loss * (s > 0.98))
    print_reach(Study("surgery", "laptop", SPEC, operated, rows(PROGRESSIVE, straight), 0.98))
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert first.startswith("  within 0.3 points")
    assert first.endswith(f"98 % {close}reached")
    assert second.endswith(f"98 % {held}reached")


def test_the_protocol_is_the_specs(capsys: pytest.CaptureFixture[str]):
    study = made()
    print_operations(study)
    out = capsys.readouterr().out
    assert SPEC.surgery is not None
    assert SPEC.key in out
    for surgery in SPEC.surgery.surgeries:
        assert f"c = {', '.join(f'{c:g}' for c in surgery.strengths)}\n" in out
    (without,) = find("lenet-300-100").specs["laptop"]
    with pytest.raises(ValueError, match="no surgery"):
        print_operations(Study("lenet-300-100", "laptop", without, study.operated, study.pruned, 0.98))
