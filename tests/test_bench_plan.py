"""What a larger study would cost, from operations that are counted and shards that were timed."""

from dataclasses import replace

import pandas as pd
import pytest
from torchvision.models import ResNet50_Weights

from sparse_robust.bench.budget import ASSUMED, passes
from sparse_robust.bench.plan import Study, checkpoint_bytes, of_network, of_resnet_50, plan, shard_times
from sparse_robust.experiments import Attack
from sparse_robust.studies.catalogue import find

SPEC = replace(find("lenet-5").specs["laptop"][0], attacks=(Attack("FGS"), Attack("rFGS", (), 50)))
LENET_5 = 2 * (24 * 24 * 20 * 25 + 8 * 8 * 50 * 500 + 800 * 500 + 500 * 10)


def test_operations_are_those_that_others_count() -> None:
    assert of_network(SPEC) == LENET_5
    assert of_resnet_50() / 2e9 == pytest.approx(ResNet50_Weights.IMAGENET1K_V1.meta["_ops"], abs=5e-4)


def test_a_checkpoint_holds_parameters_and_masks() -> None:
    parameters = ResNet50_Weights.IMAGENET1K_V1.meta["num_params"]
    assert 4 * parameters < checkpoint_bytes() < 5.1 * parameters


def times(fgs: float) -> pd.DataFrame:
    """Of two shards of FGS and one of rFGS, and a training of two steps a second on each of two cores."""
    rows = [(0, 0, "FGS", 200, fgs), (0, 1, "FGS", 200, fgs), (0, 0, "rFGS", 50, 1.0), (0, 0, "", 200, 9.0)]
    table = pd.DataFrame(rows, columns=["seed", "round", "attack", "n", "seconds"])
    speeds = pd.DataFrame(
        [("lenet-5", "replicas", 4.0, 2), ("lenet-5", "tensor loop", 1.0, 1)],
        columns=["net", "way", "value", "threads"],
    )
    return shard_times(SPEC, table, speeds)


def test_rates_are_operations_over_time() -> None:
    found = times(4.0).set_index("what")
    images = SPEC.dense.steps * SPEC.dense.batch_size
    assert found.seconds.to_dict() == {"training": SPEC.dense.steps / 2, "FGS": 4.0, "rFGS": 1.0}
    assert found.shards.to_dict() == {"training": 1, "FGS": 2, "rFGS": 1}
    assert found.images.to_dict() == {"training": images, "FGS": 200, "rFGS": 50}
    assert found.rate["training"] == 3 * SPEC.dense.batch_size * LENET_5 * 2
    assert found.rate["FGS"] == 200 * passes(SPEC.attacks[0], 10) * LENET_5 / 4
    with pytest.raises(ValueError, match="no shard of lenet-5 was timed"):
        shard_times(SPEC, pd.DataFrame(), pd.DataFrame(columns=["net", "way"]))


def test_a_plan_scales_with_what_was_timed_and_with_the_study() -> None:
    study = Study(seeds=2, rounds=3, attacks=SPEC.attacks)
    fast, slow = (plan(study, times(s), ASSUMED["vgg"]).set_index("what") for s in (4.0, 8.0))
    assert fast.shards.to_dict() == {"dense training": 2, "retraining": 6, "FGS": 8, "rFGS": 8}
    assert slow["core-years"]["FGS"] == pytest.approx(2 * fast["core-years"]["FGS"])
    assert slow["core-years"]["rFGS"] == fast["core-years"]["rFGS"]
    assert fast.operations["dense training"] == 30 * fast.operations["retraining"]
    hours = fast["GPU-hours a shard"] * fast.shards
    assert fast["GPU-days"].to_dict() == pytest.approx((hours / 24).to_dict())
