"""The benchmark of attacks: what it counts and how it compares. Times and the peers are not tested."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from sparse_robust.__main__ import main
from sparse_robust.bench import peers as bench_peers
from sparse_robust.bench.attacks import (
    OURS,
    TASKS,
    AttackOutcome,
    Case,
    Request,
    Trial,
    compare_attacks,
    contenders,
    judge,
    keep_trials,
    read_trials,
)
from sparse_robust.experiments.rows import RowError
from sparse_robust.models import LeNet300100
from sparse_robust.rng import stream

PLACE = Case("peer==1", "abc", "cpu", 1, "2.0", "abc", False)
OWN = Trial("net", "task", OURS, "1", 10, 2.0, 3.0, AttackOutcome(1.0, 0.5, 0.6), PLACE)


def module() -> nn.Linear:
    """Class 1 where the first coordinate exceeds a half."""
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
        linear.bias.copy_(torch.tensor([0.5, 0.0]))
    return linear


def test_only_correctly_classified_images_count_and_failures_are_infinitely_far() -> None:
    x = torch.tensor([[0.0, 0.0], [0.25, 0.0], [0.25, 0.0], [1.0, 0.0]])
    y = torch.zeros(4, dtype=torch.long)  # the last is misclassified
    points = torch.tensor([[0.75, 0.0], [0.75, 0.0], [0.3, 0.0], [1.0, 0.0]])
    found = judge(module(), x, y, points)
    assert found.success == pytest.approx(2 / 3)
    assert found.median == pytest.approx(0.75)
    assert found.mean == torch.inf


def test_a_peer_that_wins_stands_first_and_ratios_are_taken_within_a_turn() -> None:
    peer = replace(OWN, program="peer", cpu=1.0, outcome=AttackOutcome(1.0, 0.4, 0.5))
    turns = [OWN, peer, replace(OWN, turn="2", cpu=6.0), replace(peer, turn="2", cpu=1.5)]
    slow = replace(OWN, task="another", cpu=4.0)
    table = compare_attacks(pd.DataFrame([trial.row() for trial in [*turns, slow]]))
    assert list(table.program) == ["peer", OURS, OURS]
    assert list(table.task) == ["task", "task", "another"]
    assert list(table.cpu) == [1.25, 4.0, 4.0]
    assert list(table.times) == [(1 / 2 + 1.5 / 6) / 2, 1.0, 1.0]
    assert list(table["median"]) == [0.4, 0.5, 0.5]
    assert list(table.turns) == [2, 2, 1]


def test_rows_are_flat_and_added_to_what_was_kept(tmp_path: Path) -> None:
    rows = pd.DataFrame([OWN.row(), replace(OWN, outcome=AttackOutcome(None, 1.0, 1.0, 0.1)).row()])
    path = tmp_path / "attacks" / "rows.jsonl"
    keep_trials(path, rows)
    keep_trials(path, rows)
    kept = read_trials(path)
    assert list(kept.columns) == list(rows.columns)
    assert {"cpu", "success", "commit", "data"} < set(kept.columns)
    assert len(kept) == 4
    assert list(kept.error.isna()) == [True, False, True, False]


def test_a_line_that_is_no_trial_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    keep_trials(path, pd.DataFrame([OWN.row()]))
    for line in ("{", "[]", '{"net": "net"}'):
        with path.open("a") as file:
            file.write(line + "\n")
        with pytest.raises(RowError, match=r"rows\.jsonl, line 2: not an object of .*delete the line"):
            read_trials(path)
        path.write_text(path.read_text().splitlines()[0] + "\n")


def test_every_task_has_peers_and_ours_comes_first() -> None:
    model = LeNet300100([0])
    for task in TASKS:
        programs = list(contenders(model, task))
        assert programs[0].startswith(OURS)
        assert any(not program.startswith(OURS) for program in programs)


@pytest.mark.parametrize("task", [task for task in TASKS if "CLEVER" not in task])
def test_ours_sees_what_the_plain_module_sees(task: str) -> None:
    """Points in the shape of the images, inside the box unless the task has none."""
    model = LeNet300100([0])
    x = torch.rand((2, 784), generator=stream(0, "test/bench"))
    y = torch.zeros(2, dtype=torch.long)
    attack = next(iter(contenders(model, task).values()))
    points: Tensor = attack(module(), x, y)
    assert points.shape == x.shape
    if task != "DeepFool":
        assert 0 <= float(points.min()) <= float(points.max()) <= 1


def test_slow_programs_see_fewer_images() -> None:
    request = Request(["lenet-5"], list(TASKS), images=200, scored=3, turns=1)
    assert request.number("DeepFool in the box", "torchattacks") == 20
    assert request.number("DeepFool in the box", "foolbox") == 200
    assert request.number("CLEVER, 50 x 100", "toolbox") == 3
    assert replace(request, images=5).number("DeepFool", "toolbox") == 1


@pytest.mark.parametrize("option", ["images", "scored", "turns"])
def test_counts_below_one_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "attacks", f"--{option}", "0"]) == 2
    assert f"--{option} must be at least 1, got 0" in capsys.readouterr().err


def test_what_cannot_be_installed_says_where_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left that a later run could take for a finished environment."""
    monkeypatch.setenv("SPARSE_ROBUST_CACHE", str(tmp_path))
    monkeypatch.setattr(bench_peers, "NEEDED", (str(tmp_path / "nothing.whl"),))
    monkeypatch.setattr(bench_peers, "PINS", ())
    with pytest.raises(bench_peers.PeersError, match=r"could not be installed in .*peers-[0-9a-f]{12}"):
        bench_peers.peers_python()
    assert not list(tmp_path.rglob("pins.txt"))
