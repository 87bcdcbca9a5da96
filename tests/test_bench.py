"""The benchmark's contenders do the same work, so that their times can be compared; times are not tested."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sparse_robust.bench.replicas import CONTENDERS, NETS, main, print_speeds, random_masks
from sparse_robust.bench.speeds import Speed, compare_speeds, keep_speeds, read_speeds
from sparse_robust.experiments import RowError
from sparse_robust.rng import stream


@pytest.mark.parametrize("net", NETS)
def test_contenders_end_at_the_same_weights(net: str) -> None:
    x = torch.rand((100, 784), generator=stream(0, "test/bench"))
    y = torch.arange(100) % 10
    ends: dict[str, list[Any]] = {}
    for name, contender in CONTENDERS.items():
        model = NETS[net]((0, 1))
        ends[name] = contender(model, random_masks(model), x, y, 4)
    for modules in zip(*ends.values(), strict=True):
        first, *others = (module.state_dict() for module in modules)
        for key, value in first.items():
            for other in others:
                torch.testing.assert_close(other[key].contiguous(), value, rtol=1e-4, atol=1e-6)
            if key.endswith("weight"):
                assert 0.6 < float((value == 0).float().mean()) < 0.73


def test_the_table_and_what_is_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "speeds" / "replicas.jsonl"
    few = ["--replicas", "2", "--steps", "150", "--turns", "2", "--nets", "lenet-300-100"]
    options = [*few, "--keep", str(path)]
    assert main(options) == 0
    first, second, _, *lines = capsys.readouterr().out.splitlines()
    assert first == "lenet-300-100: 2 replicas, 150 steps of 64 with masks,"
    assert second.startswith("cpu")
    assert second.endswith("2 turns")
    assert [line[2:19].strip() for line in lines] == list(CONTENDERS)
    assert ["x [" in line for line in lines] == [True, True, True, False]
    kept = read_speeds(path)
    assert list(kept.way) == 2 * list(CONTENDERS)
    assert list(kept.turn) == sorted(kept.turn)
    assert kept.turn.nunique() == 2
    assert (kept.value > 0).all()
    assert main(options) == 0
    assert len(read_speeds(path)) == 2 * len(kept), "added to what was there"


def test_a_single_step_is_nothing_to_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--steps", "1"])
    assert "--steps must be at least 2, got 1" in capsys.readouterr().err


SPEED = Speed("net", "replicas", 2, 10, "0", 400.0, "cpu", 2, "2.0", "abc", False)


def test_ratios_are_taken_within_a_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    print_speeds(read_speeds(path))
    _, _, names, ours_line, loop_line = capsys.readouterr().out.splitlines()
    assert loop_line == "  loop                              100       3.00x [2.00, 5.00]"
    assert ours_line == "  replicas                          300"
    assert names.index("/s") + 2 == len(ours_line), "a column ends where its name ends"


def test_a_file_of_something_else_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "speeds.jsonl"
    path.write_text('{"net": "lenet-5"}\n')
    with pytest.raises(RowError, match=r"speeds\.jsonl, line 1: not an object of net, way"):
        keep_speeds(path, [SPEED])
    assert path.read_text() == '{"net": "lenet-5"}\n'
    assert read_speeds(tmp_path / "none").empty
