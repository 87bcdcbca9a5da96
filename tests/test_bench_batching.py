"""Numbers of replicas that share a program are those of replicas alone, within what seeds differ by."""

from pathlib import Path

import pandas as pd
import torch

from sparse_robust.bench.batching import (
    TOLERANCE,
    batching,
    keep_batching,
    of_dense,
    published_batching,
    read_batching,
)
from sparse_robust.studies.catalogue import find

CPU = torch.device("cpu")


def test_sharing_a_program_changes_numbers_by_less_than_another_seed_does(tmp_path: Path) -> None:
    (spec,) = find("lenet-300-100").specs["smoke"]
    table = batching(of_dense(spec, steps=60, images=100), 3, CPU)
    assert set(table.metric) >= {"accuracy", "r_inf", "r_2"}
    assert (table.spread > 0).all()
    assert (table.largest <= TOLERANCE * table.spread).all()
    keep_batching(table, tmp_path / "batching.jsonl")
    pd.testing.assert_frame_equal(read_batching(tmp_path / "batching.jsonl"), table, check_exact=False)


def test_what_the_chapter_shows_is_within_the_tolerance() -> None:
    assert (read_batching(published_batching()).ratio <= TOLERANCE).all()
