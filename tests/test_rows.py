"""Result rows: what is written is what is read, and a bad line is named with its file and number."""

import json
import math
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparse_robust.experiments import Row, RowError
from sparse_robust.experiments.rows import REQUIRED, parse, read

ROW = Row(
    experiment="linear-binary",
    spec="22a1a31a7b52",
    seed=3,
    round=2,
    sparsity=0.5,
    metric="r_2",
    attack="C&W",
    value=1.25,
    n=40,
    stderr=0.125,
    commit="0123456789ab",
    dirty=False,
    torch="2.11.0",
    device="cpu",
    data="44deee05e67e",
    data_description="MNIST sample",
    seconds=0.5,
    threads=1,
    replicas=2,
    training_commit="ba9876543210",
    training_dirty=True,
    training_torch="2.12.0",
    training_device="gpu",
    training_threads=4,
    training_replicas=10,
)
LATER = [f.name for f in fields(Row) if f.name not in REQUIRED]
"""Fields that rows of earlier versions lack."""

finite = st.floats(allow_nan=False, allow_infinity=False)
natural = st.integers(min_value=0)
positive = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
rows = st.builds(
    Row,
    experiment=st.text(),
    spec=st.text(),
    seed=natural,
    round=natural,
    sparsity=st.floats(0, 1),
    metric=st.text(),
    attack=st.none() | st.text(),
    value=finite | st.just(math.inf),
    n=natural,
    stderr=st.none() | positive,
    commit=st.text(),
    dirty=st.booleans(),
    torch=st.text(),
    device=st.text(),
    data=st.text(),
    data_description=st.text(),
    seconds=positive,
    threads=st.none() | st.integers(min_value=1),
    replicas=st.none() | st.integers(min_value=1),
    training_commit=st.none() | st.text(),
    training_dirty=st.none() | st.booleans(),
)


def damaged(**changes: Any) -> bytes:
    return json.dumps(asdict(ROW) | changes).encode()


@given(rows)
def test_round_trip(row: Row) -> None:
    line = row.to_json()
    assert line.isascii()
    assert "\n" not in line
    assert parse(line.encode(), "here") == row


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows, max_size=4, unique_by=lambda row: row.identity))
def test_a_file_is_read_in_order(tmp_path: Path, several: list[Row]) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(row.to_json() + "\n" for row in several))
    assert read(path) == several


def test_a_row_of_an_earlier_version_is_written_as_it_was() -> None:
    line = json.dumps({k: v for k, v in asdict(ROW).items() if k in REQUIRED}, separators=(",", ":"))
    assert len(REQUIRED) == 17
    assert parse(line.encode(), "here").to_json() == line


def test_infinity_is_null_and_nothing_else_is() -> None:
    assert json.loads(replace(ROW, value=math.inf).to_json())["value"] is None
    assert parse(damaged(value=None), "here").value == math.inf
    for bad in (math.nan, -math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            replace(ROW, value=bad).to_json()
    for name in ("sparsity", "stderr", "seconds"):
        with pytest.raises(ValueError, match="not JSON compliant"):
            replace(ROW, **{name: math.inf}).to_json()


def test_a_missing_file_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path / "none.jsonl") == []


BAD = {
    "not JSON": (ROW.to_json()[:-20].encode(), r"not JSON \(.* at column \d+\)"),
    "blank": (b"", "not JSON"),
    "not UTF-8": (ROW.to_json().replace("MNIST", "\xe9").encode("latin-1"), "not UTF-8"),
    "not an object": (b"[1, 2]", "missing or unknown fields list"),
    "missing": (json.dumps({k: v for k, v in asdict(ROW).items() if k != "seed"}).encode(), r"\['seed'\]"),
    "unknown": (damaged(colour="red"), r"missing or unknown fields \['colour'\]"),
    "text for a number": (damaged(value="1.25"), "value must be float, got '1.25'"),
    "number for text": (damaged(metric=2), "metric must be str, got 2"),
    "float for int": (damaged(seed=3.0), r"seed must be int, got 3\.0"),
    "bool for int": (damaged(n=True), "n must be int, got True"),
    "bool for float": (damaged(value=False), "value must be float, got False"),
    "int for bool": (damaged(dirty=0), "dirty must be bool, got 0"),
    "null for text": (damaged(spec=None), "spec must be str, got None"),
    "null for a number": (damaged(sparsity=None), "sparsity must be float, got None"),
    "list for an optional": (damaged(attack=[]), r"attack must be str \| None, got \[\]"),
    "NaN": (damaged(value=math.nan), "value must be float, got nan"),
    "Infinity": (damaged(value=math.inf), "value must be float, got inf"),
    "too large": (ROW.to_json().replace("1.25", "1e999").encode(), "value must be float, got inf"),
    "sparsity above 1": (damaged(sparsity=9.0), r"sparsity must lie in \[0, 1\], got 9\.0"),
    "accuracy above 1": (damaged(metric="accuracy", value=7.0), r"accuracy must lie in \[0, 1\], got 7\.0"),
    "a layer's sparsity": (damaged(metric="sparsity_2", value=-0.1), r"sparsity_2 must lie in \[0, 1\]"),
    "n below 0": (damaged(n=-5), "seed, round, n, seconds and stderr must be at least 0"),
    "seconds below 0": (damaged(seconds=-1.0), "must be at least 0"),
    "no threads": (damaged(threads=0), "threads and replicas must be at least 1"),
    "brackets within brackets": (b"[" * 100_000, "brackets within brackets"),
    "stderr NaN": (damaged(stderr=math.nan), r"stderr must be float \| None, got nan"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_line_is_named(tmp_path: Path, fault: str) -> None:
    line, message = BAD[fault]
    path = tmp_path / "linear-binary.paper.jsonl"
    good = [replace(ROW, seed=seed).to_json().encode() for seed in (10, 11)]
    path.write_bytes(b"\n".join([*good, line, replace(ROW, seed=12).to_json().encode()]) + b"\n")
    with pytest.raises(RowError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}, line 3: ")
    assert "restore the line from version control or delete it" in str(caught.value)


@pytest.mark.parametrize("name", [f.name for f in fields(Row)])
def test_every_field_is_typed_and_those_of_all_versions_are_required(name: str) -> None:
    record = asdict(ROW)
    wrong = {"an": "object"}
    with pytest.raises(RowError, match=f"here: {name} must be"):
        parse(json.dumps(record | {name: wrong}).encode(), "here")
    del record[name]
    if name in LATER:
        assert getattr(parse(json.dumps(record).encode(), "here"), name) is None
        return
    with pytest.raises(RowError, match=rf"here: missing or unknown fields \['{name}'\]"):
        parse(json.dumps(record).encode(), "here")


def test_the_same_number_twice_is_named_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    several = [ROW, replace(ROW, seed=4), replace(ROW, value=9.0, commit="other", seconds=1.0)]
    path.write_text("".join(row.to_json() + "\n" for row in several))
    with pytest.raises(RowError, match="line 3: the same number as line 1; delete one of them") as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["spec", "data", "seed", "round", "metric", "attack"])
def test_what_makes_two_numbers_different(name: str) -> None:
    value = 99 if name in ("seed", "round") else "other"
    assert replace(ROW, **{name: value}).identity != ROW.identity


@pytest.mark.parametrize("name", ["value", "stderr", "seconds", "sparsity", "n", "commit", "torch", "device"])
def test_what_does_not(name: str) -> None:
    assert replace(ROW, **{name: 7}).identity == ROW.identity
