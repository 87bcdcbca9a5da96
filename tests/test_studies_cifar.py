"""The networks for CIFAR-10 through the runner: seed by seed, dense ends, resumed, timed, budgeted."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from notebooks import ROOT
from sparse_robust.bench.budget import ASSUMED, ITERATIONS, budget, passes
from sparse_robust.bench.commits import OUTSIDE, commits
from sparse_robust.bench.run_times import OWN, by_run, not_run, run_times
from sparse_robust.data import made_images
from sparse_robust.experiments import Attack, Experiment, Row, Spec, Store, run, runner
from sparse_robust.experiments.load import PUBLISHED_FILES
from sparse_robust.experiments.stages import advance, arrays, build
from sparse_robust.models import COLOUR, NETWORKS, NetworkName, prunable
from sparse_robust.models.costs import layers
from sparse_robust.pruning import kept_after
from sparse_robust.studies.catalogue import find
from test_ledger_cifar import rows as made_rows

CPU = torch.device("cpu")
SMOKE = find("vgg").specs["smoke"][0]
TINY = replace(
    SMOKE,
    dense=replace(SMOKE.dense, steps=2, batch_size=8, warmup=0),
    retrain=replace(SMOKE.retrain, steps=1, batch_size=8, warmup=0),
    rounds=1,
    narrow=16,
    test_examples=3,
    attacks=(Attack("FGS"), Attack("DeepFool", (("steps", 2),), 2)),
)


EXPERIMENT = Experiment("tiny", "for tests", {"smoke": (TINY,)}, {"smoke": (0, 1)})


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made_images(train=16, test=10)
    monkeypatch.setattr(runner, "load", lambda spec, root: data)


def go(store: Store) -> list[Row]:
    return run(EXPERIMENT, "smoke", device="cpu", store=store, quiet=True)


def numbers(rows: list[Row]) -> dict[Any, Any]:
    """What was measured, without how long it took."""
    return {r.identity: (r.value, r.n, r.sparsity) for r in rows if r.metric != "training_seconds"}


def test_interrupted_after_every_write_a_run_ends_as_if_it_had_not_been(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, writes, order = os.fsync, 0, []

    def counting(handle: int) -> None:
        nonlocal writes
        writes += 1
        fsync(handle)

    def dying(handle: int) -> None:
        counting(handle)
        if writes == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", counting)
        peaceful, all_writes = go(Store(tmp_path / "a", tmp_path / "b")), writes
        store = Store(tmp_path / "results", tmp_path / "cache")
        patch.setattr(os, "fsync", dying)
        for _ in range(all_writes - 1):
            writes = 0
            with pytest.raises(KeyboardInterrupt):
                go(store)
            found = store.rows("tiny", "smoke")
            assert numbers(found).items() <= numbers(peaceful).items()
            order.append(len({row.seed for row in found}))
        writes = 0
        go(store)
    assert 0 < order.count(2) <= all_writes / 2, "the second seed begins when the first is complete"
    assert numbers(store.rows("tiny", "smoke")) == numbers(peaceful)
    timed = [row for row in peaceful if row.metric == "training_seconds"]
    assert len(timed) == 4
    assert all(row.value > 0 and row.n == 16 for row in timed)


@pytest.mark.parametrize("name", COLOUR)
def test_first_and_last_layer_stay_dense(name: NetworkName) -> None:
    (smoke,) = find(name).specs["smoke"]
    spec: Spec = replace(smoke, dense=replace(smoke.dense, steps=0), retrain=replace(smoke.retrain, steps=0))
    data = arrays(spec, made_images(train=16, test=10), CPU)
    assert data.x_train.dtype == torch.uint8
    assert data.x_test.shape == (10, 3072)
    population = build(spec, (0, 1), CPU)
    for round_ in range(4):
        population = advance(spec, population, data, (0, 1), round_, lambda _: None)
        weights = list(prunable(population.model).values())
        for i, weight in enumerate(weights):
            size = weight[0].numel()
            inner = 0 < i < len(weights) - 1
            left = kept_after(size, spec.rho, round_) if inner else size
            assert (weight != 0).flatten(1).sum(1).tolist() == [left, left]


def test_dropout_falls_with_the_connections() -> None:
    """Han et al. 2015: with the square root of the share that is left."""
    spec = replace(SMOKE, retrain=replace(SMOKE.retrain, steps=0))
    population = build(spec, (0,), CPU)
    data = arrays(spec, made_images(train=16, test=10), CPU)
    advance(spec, population, data, (0,), 2, lambda _: None)
    assert float(population.model.before_hidden.rate) == pytest.approx(0.5 * 2 / 3)


def test_a_profile_that_is_not_there_is_said(tmp_path: Path) -> None:
    vgg = find("vgg")
    brief = replace(vgg, specs={"smoke": vgg.specs["smoke"]}, seeds={"smoke": (0,)})
    with pytest.raises(KeyError, match="vgg: no profile 'laptop'; known: smoke"):
        run(brief, "laptop", store=Store(tmp_path, tmp_path))


# --- cost ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COLOUR)
def test_the_budget_adds_up(name: NetworkName) -> None:
    (spec,) = find(name).specs["paper"]
    table = budget(spec, 10).set_index("what")
    forward = 2 * sum(layer.macs for layer in layers(NETWORKS[name].build([0], 10, 1)))
    assert list(table.index) == ["dense training", "retraining", "accuracy", "FGS", "rFGS", "DeepFool", "C&W"]
    assert table.images["dense training"] == 10 * spec.dense.steps * spec.dense.batch_size
    assert table.images["retraining"] == 160 * spec.retrain.steps * spec.retrain.batch_size
    assert table.images["FGS"] == 170 * 10_000
    assert table.images["C&W"] == 170 * 100
    assert (table.operations / table.images / forward).round(6).tolist() == [
        *(3, 3, 1, 4, 4),
        1 + ITERATIONS * 12 + 2,
        1 + 2 * 4 * 60 + 2,
    ]
    rates = ASSUMED[name]
    assert (60 * table.minutes >= table.operations / max(rates.half, rates.single) * 0.999).all()
    assert (60 * table.minutes >= table.bytes / rates.bandwidth * 0.999).all()


def test_the_goal_is_within_the_assumptions() -> None:
    """Both sweeps in half an hour; whether the assumptions hold only a GPU can tell."""
    assert sum(budget(find(name).specs["paper"][0], 10).minutes.sum() for name in COLOUR) < 30


def test_the_cost_of_an_unknown_attack_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="CLEVER l_2 is not known"):
        passes(Attack("CLEVER l_2"), 10)


def pairs(table: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(table.experiment, table.scale, strict=True))


def test_run_times_count_every_measurement_once(tmp_path: Path) -> None:
    """Made rows of a second each: 170 models; training_seconds is what its value says."""
    store = Store(tmp_path / "results", tmp_path / "cache")
    assert run_times(store=store).empty
    assert ("vgg", "paper") in pairs(not_run(store=store))
    rows = [replace(r, value=5.0) if r.metric == "training_seconds" else r for r in made_rows("vgg")]
    store.add_rows("vgg", "paper", rows)
    assert run_times({"smoke": "smoke", "laptop": "laptop"}, store).empty
    table = run_times(store=store)
    assert set(table.experiment) == {"vgg"}
    assert set(table.device) == {"a GPU"}
    assert (table.seeds.unique().tolist(), table.models.unique().tolist()) == ([10], [170])
    assert table.set_index("what").seconds.to_dict() == {
        "training": 850.0,
        **dict.fromkeys(("no attack", "FGS", "rFGS", "DeepFool", "C&W"), 170.0),
    }
    assert by_run(table).total.tolist() == [pytest.approx((850 + 5 * 170) / 60)]
    assert "training 14.2" in by_run(table).minutes[0]
    assert ("vgg", "paper") not in pairs(not_run(store=store))
    assert ("resnet-32", "paper") in pairs(not_run({"paper": "paper"}, store))
    laptop = pairs(not_run({"laptop": "laptop"}, store))
    assert {scale for _, scale in laptop} == {"laptop"}
    assert ("vgg", "laptop") in laptop


def test_published_rows_of_laptop_scale_are_told_from_those_of_the_paper(tmp_path: Path) -> None:
    """A user's own laptop rows are not published; a published copy of them counts at laptop scale."""
    store = Store(tmp_path / "results", tmp_path / "cache")
    (paper,), (laptop,) = (find("lenet-300-100").specs[scale] for scale in ("paper", "laptop"))
    row = made_rows("vgg")[0]
    for file, spec in (("paper", paper), ("laptop", laptop), ("published-laptop", laptop)):
        stored = replace(row, experiment="lenet-300-100", spec=spec.key, commit=file)
        store.add_rows("lenet-300-100", file, [stored, replace(stored, seed=7, spec="of another spec")])
        if file == "laptop":
            assert commits(PUBLISHED_FILES, store).scale.tolist() == ["paper"]
    for table in (run_times(PUBLISHED_FILES, store), commits(PUBLISHED_FILES, store)):
        assert table.experiment.tolist() == ["lenet-300-100"] * 2
        assert table.scale.tolist() == ["paper", "laptop"]
    assert commits(PUBLISHED_FILES, store).commit.tolist() == ["paper", "published-laptop"]
    assert commits(store=store).commit.tolist() == ["laptop", "paper"]
    assert not {("lenet-300-100", "paper"), ("lenet-300-100", "laptop")} & pairs(
        not_run(PUBLISHED_FILES, store)
    )


def test_a_commit_tells_whether_it_can_be_looked_up(tmp_path: Path) -> None:
    store = Store(tmp_path / "results", tmp_path / "cache")
    first, second, third = made_rows("vgg")[:3]
    (gone, *_) = OUTSIDE
    rows = [replace(first, commit="a"), replace(second, commit="a", dirty=True), replace(third, commit=gone)]
    store.add_rows("vgg", "paper", rows)
    found = commits(store=store).set_index("commit")
    assert found.loc["a", ["rows", "dirty", "outside"]].tolist() == [2, True, False]
    assert found.loc[gone, ["rows", "dirty", "outside"]].tolist() == [1, False, True]


def test_every_commit_of_a_stored_row_is_in_the_history_or_said_not_to_be() -> None:
    """Needs the whole history, which a shallow clone and an archive lack."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)

    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("not a clone with its whole history")
    store = Store(ROOT / "book" / "results", ROOT)
    named = {commit for files in (OWN, PUBLISHED_FILES) for commit in commits(files, store).commit}
    known = {commit for commit in named if git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0}
    assert named - known == OUTSIDE
