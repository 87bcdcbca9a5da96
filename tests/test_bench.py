"""The benchmark's contenders do the same work, so that their times can be compared; times are not tested."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sparse_robust.__main__ import main
from sparse_robust.bench import cifar
from sparse_robust.bench.replicas import CONTENDERS, NETS, measure_all, random_masks
from sparse_robust.bench.speeds import Speed, compare_speeds, keep_speeds, read_speeds
from sparse_robust.experiments import RowError
from sparse_robust.models import NETWORKS, NetworkName
from sparse_robust.rng import stream


@pytest.mark.parametrize("net", NETS)
def test_contenders_end_at_the_same_weights(net: NetworkName) -> None:
    x = torch.rand((100, 784), generator=stream(0, "test/bench"))
    y = torch.arange(100) % 10
    ends: dict[str, list[Any]] = {}
    for name, contender in CONTENDERS.items():
        model = NETWORKS[net].build((0, 1), 10, 1)
        ends[name] = contender(net, model, random_masks(model), x, y, 4)
    for modules in zip(*ends.values(), strict=True):
        first, *others = (module.state_dict() for module in modules)
        for key, value in first.items():
            for other in others:
                torch.testing.assert_close(other[key].contiguous(), value, rtol=1e-4, atol=1e-6)
            if key.endswith("weight"):
                assert 0.6 < float((value == 0).float().mean()) < 0.73


def test_every_way_is_timed_in_every_turn_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "speeds" / "replicas.jsonl"
    few = ["--replicas", "2", "--steps", "150", "--turns", "2", "--nets", "lenet-300-100"]
    assert main(["bench", "replicas", *few, "--keep", str(path)]) == 0
    kept = read_speeds(path)
    assert list(kept.way) == 2 * list(CONTENDERS)
    assert list(kept.turn) == sorted(kept.turn)
    assert kept.turn.nunique() == 2
    assert (kept.value > 0).all()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(CONTENDERS)
    keep_speeds(path, [Speed(**line) for line in kept.to_dict("records")])
    assert len(read_speeds(path)) == 2 * len(kept), "added to what was there"


def test_a_single_step_is_nothing_to_time() -> None:
    with pytest.raises(ValueError, match="--steps must be at least 2, got 1"):
        next(measure_all(NETS, seeds=1, steps=1, turns=1, device=torch.device("cpu")))


def test_the_networks_for_cifar_are_timed_in_every_way_beside_what_is_assumed() -> None:
    cpu = torch.device("cpu")
    table = cifar.measure_all(["resnet-32"], steps=1, batch=4, narrow=8, device=cpu)
    assert table[["net", "work", "way"]].agg(", ".join, axis=1).tolist() == [
        "resnet-32, training, float32, as written",
        "resnet-32, training, bfloat16, as written",
        "resnet-32, attacks, float32",
    ]
    assert (table[["images/s", "operations/s", "assumed"]] > 0).all(axis=None)


SPEED = Speed("net", "replicas", 2, 10, "0", 400.0, "cpu", 2, "2.0", "abc", False)


def test_ratios_are_taken_within_a_turn(tmp_path: Path) -> None:
    path = tmp_path / "speeds.jsonl"
    loop = replace(SPEED, way="loop")
    values = [(400.0, 200.0), (100.0, 20.0), (300.0, 100.0)]  # a machine that was busy in the second turn
    turns = [
        (replace(SPEED, turn=str(turn), value=ours), replace(loop, turn=str(turn), value=theirs))
        for turn, (ours, theirs) in enumerate(values)
    ]
    keep_speeds(path, [speed for pair in turns for speed in pair])
    compared = compare_speeds(read_speeds(path), "replicas").set_index("way")
    assert list(compared.loc["loop", ["speed", "times", "least", "most", "turns"]]) == [100, 3, 2, 5, 3]
    assert list(compared.loc["replicas", ["speed", "times", "least", "most"]]) == [300, 1, 1, 1]


def test_a_file_of_something_else_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "speeds.jsonl"
    path.write_text('{"net": "lenet-5"}\n')
    with pytest.raises(RowError, match=r"speeds\.jsonl, line 1: not an object of net, way"):
        keep_speeds(path, [SPEED])
    assert path.read_text() == '{"net": "lenet-5"}\n'
    assert read_speeds(tmp_path / "none").empty
