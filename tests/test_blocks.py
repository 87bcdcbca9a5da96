"""Blocks of test images: stored beside rows, peaks by halves, intervals over images and seeds."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sparse_robust.experiments import RowError, Store, blocks
from sparse_robust.experiments.rows import BlockRow, read_blocks
from sparse_robust.experiments.store import blocks_path
from sparse_robust.metrics.estimates import BLOCKS, BY_IMAGE, estimate
from sparse_robust.studies.courses import SAME_IMAGES, rises


def test_blocks_are_interleaved_and_average_to_the_mean() -> None:
    values = torch.arange(2 * 1000, dtype=torch.float64).view(2, 1000) ** 0.5
    for replica, one in enumerate(estimate(values)):
        assert len(one.blocks) == BLOCKS
        assert one.blocks[3] == pytest.approx(float(values[replica, 3::BLOCKS].mean()), abs=1e-6)
        assert np.mean(one.blocks) == pytest.approx(one.value, abs=1e-6)


def test_up_to_a_number_of_images_a_block_is_an_image() -> None:
    values = torch.rand(1, BY_IMAGE, generator=torch.Generator().manual_seed(0))
    assert estimate(values)[0].blocks == pytest.approx(values[0].tolist(), abs=1e-6)
    assert len(estimate(torch.cat([values, values], 1))[0].blocks) == BLOCKS


def block(seed: int = 0, **changed: Any) -> BlockRow:
    plain: dict[str, Any] = {"spec": "s", "data": "d", "seed": seed, "round": 0, "metric": "r_2"}
    return BlockRow(**(plain | {"attack": None, "blocks": (1.0, np.inf)} | changed))


def test_blocks_are_stored_once_beside_their_rows(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path)
    store.add_blocks("name", "paper", [block(1)])
    store.add_blocks("name", "paper", [block(0), block(1, blocks=(9.0,))])
    path = blocks_path(store.rows_path("name", "paper"))
    assert path.name == "name.paper.blocks.jsonl"
    assert read_blocks(path) == [block(0), block(1)]
    assert json.loads(path.read_text().splitlines()[0])["blocks"] == [1.0, None]
    assert read_blocks(tmp_path / "none") == []


@pytest.mark.parametrize(
    "line", ["nonsense", "{}", "[]", '{"blocks": 3}', block().to_json()[:-1] + ',"more":1}']
)
def test_a_line_that_is_no_block_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.paper.blocks.jsonl"
    path.write_text(f"{block().to_json()}\n{line}\n")
    with pytest.raises(RowError, match=r"x\.paper\.blocks\.jsonl, line 2: .* restore the line"):
        read_blocks(path)


def values(means: list[float], image: np.ndarray, seeds: int = 4) -> pd.DataFrame:
    """Rounds and seeds down, blocks across: the mean of the round and what each block adds to it."""
    x = np.array(means)[:, None, None] + np.broadcast_to(image, (len(means), seeds, len(image)))
    index = pd.MultiIndex.from_product([range(len(means)), range(seeds)], names=["round", "seed"])
    return pd.DataFrame(x.reshape(-1, len(image)), index=index)


def test_without_noise_the_rise_is_that_of_the_means() -> None:
    rise = blocks.split_rise(values([1.0, 1.2, 1.5, 0.7], np.arange(20.0)), [1, 2, 3])
    assert rise.shape == (4, 20)
    assert rise.to_numpy() == pytest.approx(0.5)
    even, odd = blocks.halves(rise)
    assert (list(even), list(odd)) == (list(range(0, 20, 2)), list(range(1, 20, 2)))


def test_a_peak_that_noise_made_is_no_rise_on_the_other_half() -> None:
    """Of sixteen rounds of noise the largest is 1.766 deviations above its mean, and so is the naive rise."""
    generator, naive, split = np.random.default_rng(0), [], []
    for _ in range(300):
        x = values(17 * [1.0], np.zeros(20), seeds=1) + generator.standard_normal((17, 20))
        means = x.mean(axis=1).groupby(level="round").mean()
        naive.append(means.loc[1:].max() - means.loc[0])
        split.append(blocks.split_rise(x, range(1, 17)).to_numpy().mean())
    assert np.mean(naive) == pytest.approx(1.766 * 20**-0.5, abs=0.06)
    assert np.mean(split) == pytest.approx(0.0, abs=0.06)


def test_two_way_variance_is_that_of_the_bootstrap() -> None:
    generator = np.random.default_rng(1)
    x = pd.DataFrame(generator.standard_normal((5, 8)) + np.arange(8) + np.arange(5)[:, None])
    means = blocks.two_way_means(x, draws=40_000)
    assert means.mean() == pytest.approx(x.to_numpy().mean(), abs=0.03)
    assert means.var() == pytest.approx(blocks.two_way_variance(x), rel=0.03)


def test_two_way_variance_in_closed_form() -> None:
    """Rows alone and columns alone have that of the plain bootstrap, var / n; both together add."""
    s, b = np.array([0.0, 1.0, 5.0]), np.array([2.0, 2.0, 3.0, 9.0])
    rows, columns = pd.DataFrame(np.tile(s[:, None], 4)), pd.DataFrame(np.tile(b, (3, 1)))
    assert blocks.two_way_variance(rows) == pytest.approx(s.var() / 3)
    assert blocks.two_way_variance(columns) == pytest.approx(b.var() / 4)
    assert blocks.two_way_variance(rows + columns) == pytest.approx(s.var() / 3 + b.var() / 4)
    assert blocks.two_way_variance(pd.DataFrame([[1.0, -1.0], [-1.0, 1.0]])) == pytest.approx(4 / 16)


def test_the_interval_is_that_of_the_images_where_these_alone_differ() -> None:
    x = pd.DataFrame(np.tile(np.arange(20.0), (4, 1)))
    half = 1.96 * blocks.two_way_variance(x) ** 0.5
    assert blocks.two_way_interval(x) == pytest.approx((9.5 - half, 9.5 + half), abs=0.25)
    assert blocks.two_way_interval(pd.DataFrame(np.full((3, 4), 2.0))) == pytest.approx((2.0, 2.0))


def table(with_blocks: bool) -> pd.DataFrame:
    """A metric that rises by a half, accuracy held."""
    lines = []
    for (round_, seed), row in values([1.0, 1.5, 1.2], np.arange(20.0) / 100).iterrows():
        image = row + 1e-3 * (seed + round_ * seed**2)
        own = {"round": round_, "seed": seed, "sparsity": 0.3 * round_, "n": 1000}
        own["blocks"] = tuple(image) if with_blocks else None
        lines.append(own | {"metric": "r_inf", "attack": "FGS", "value": image.mean()})
        lines.append(own | {"metric": "accuracy", "attack": "", "value": 0.98})
    return pd.DataFrame(lines)


def test_claims_use_blocks_where_there_are_some_and_say_so_where_there_are_none() -> None:
    judge = rises((("r_inf", "FGS"),))
    halves, whole = judge(table(True)), judge(table(False))
    assert halves.verdict == whole.verdict == "reproduced"
    assert "measured on the other +0.50" in halves.why
    assert "over images and seeds [" in halves.why
    assert SAME_IMAGES in whole.why
    assert blocks.of_metric(table(False), "r_inf", "FGS") is None
    assert blocks.of_metric(table(True).drop(columns="blocks"), "r_inf", "FGS") is None
    stored = blocks.of_metric(table(True), "r_inf", "FGS")
    assert stored is not None
    assert stored.shape == (12, 20)
