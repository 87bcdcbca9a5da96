"""Checkpoints: what they say of themselves, and every fault that makes one useless is found."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sparse_robust.experiments import Store
from sparse_robust.experiments.checkpoints import (
    CHECKSUM,
    ORIGIN,
    SECONDS,
    Checkpoint,
    CheckpointError,
    Replica,
    digest,
    read,
    to_bytes,
)
from sparse_robust.experiments.machine import Program

REPLICA = Replica("key", "data", 3, 2)
PROGRAM = Program("0123456789ab", True, "2.11.0", "cpu x86_64", 1, 1)
STATE = {
    "weight": torch.tensor([[0.5, 1.0, -2.0, 0.0, 3.0, 0.0]]),
    "mask/weight": torch.tensor([[True] * 5 + [False]]),
    "batches": torch.tensor(7),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of a checkpoint."""
    path = tmp_path / "round-2.safetensors"
    path.write_bytes(to_bytes(REPLICA, Checkpoint(STATE, 0.1, PROGRAM)))
    return path


def assert_is_state(tensors: dict[str, Tensor]) -> None:
    assert set(tensors) == set(STATE)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in STATE.items())


def test_what_is_written_is_read(path: Path) -> None:
    found = read(path, REPLICA, STATE)
    assert (found.seconds, found.program) == (0.1, PROGRAM)
    assert_is_state(dict(found.tensors))


@pytest.mark.parametrize("metadata", [None, {SECONDS: "0.1"}])
def test_files_of_earlier_versions_are_used_and_say_less(path: Path, metadata: dict[str, str] | None) -> None:
    save_file(STATE, path, metadata)
    found = read(path, REPLICA, STATE)
    assert (found.seconds, found.program) == (0.1 if metadata else None, None)
    assert_is_state(dict(found.tensors))


def test_every_flipped_bit_is_found_or_harmless(path: Path) -> None:
    """In each byte of the file one of its bits, all of them in turn; a file that is read says the same."""
    whole, harmless = path.read_bytes(), 0
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            found = read(path, REPLICA, STATE)
        except CheckpointError:
            continue
        harmless += 1
        assert (found.seconds, found.program) == (0.1, PROGRAM)
        assert_is_state(dict(found.tensors))
    assert harmless < 10, "spaces that pad the header may change"


@pytest.mark.parametrize("left", [0, 4, 30, -1])
def test_a_truncated_file_is_damaged(path: Path, left: int) -> None:
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(CheckpointError, match=r"round-2\.safetensors: damaged"):
        read(path, REPLICA, STATE)


@pytest.mark.parametrize("field", Replica._fields)
def test_another_ones_file_is_not_taken(path: Path, field: str) -> None:
    """As if somebody had copied or renamed it."""
    other = REPLICA._replace(**{field: 9 if field in ("seed", "round") else "other"})
    path.write_bytes(to_bytes(other, Checkpoint(STATE, 0.1, PROGRAM)))
    with pytest.raises(CheckpointError, match=f"it is of {field} {getattr(other, field)}, not "):
        read(path, REPLICA, STATE)


@pytest.mark.parametrize("earlier", [True, False])
@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (5, 0.25, "weight has weights that its mask takes away"),
        (0, torch.nan, "weight is not finite"),
        (0, torch.inf, "weight is not finite"),
    ],
)
def test_what_no_training_ends_with_is_found(
    path: Path, place: int, value: float, message: str, earlier: bool
) -> None:
    """Even where the checksum is right, or there is none."""
    weight = STATE["weight"].clone()
    weight[0, place] = value
    bad = STATE | {"weight": weight}
    if earlier:
        save_file(bad, path)
    else:
        path.write_bytes(to_bytes(REPLICA, Checkpoint(bad, 0.1, PROGRAM)))
    with pytest.raises(CheckpointError, match=message):
        read(path, REPLICA, STATE)


@pytest.mark.parametrize(
    "foreign",
    [
        {"weight": STATE["weight"]},
        STATE | {"bias": torch.zeros(1)},
        STATE | {"weight": torch.zeros(1, 5)},
        STATE | {"mask/weight": torch.zeros(1, 6)},
    ],
    ids=["missing", "unknown", "shape", "type"],
)
def test_a_foreign_file_is_named(path: Path, foreign: dict[str, Tensor]) -> None:
    save_file(foreign, path)
    with pytest.raises(CheckpointError, match=r"expected .*torch.float32 \[1, 6\].*found ") as caught:
        read(path, REPLICA, STATE)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_checksum_cannot_be_left_out(path: Path) -> None:
    origin = json.dumps(REPLICA._asdict() | vars(PROGRAM))
    save_file(load_file(path), path, {ORIGIN: origin})
    with pytest.raises(CheckpointError, match="damaged"):
        read(path, REPLICA, STATE)
    save_file(STATE, path, {ORIGIN: origin, CHECKSUM: digest(STATE, {ORIGIN: origin})})
    assert read(path, REPLICA, STATE).program == PROGRAM


def test_the_checksum_is_of_names_types_and_values() -> None:
    one = {"a": torch.zeros(4), "b": torch.ones(4)}
    others = [
        {"a": torch.ones(4), "b": torch.zeros(4)},
        {"a": torch.zeros(2, 2), "b": torch.ones(4)},
        {"a": torch.zeros(4, dtype=torch.int32), "b": torch.ones(4)},
    ]
    sums = {digest(tensors, {}) for tensors in (one, *others)} | {digest(one, {"x": "y"})}
    assert len(sums) == 5
    assert digest(dict(reversed(one.items())), {}) == digest(one, {})


def test_a_useless_one_is_missing_and_said_in_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "results", tmp_path / "cache")
    assert store.find_checkpoint(REPLICA, STATE) is None
    assert caplog.messages == []
    checkpoint = Checkpoint(STATE, 0.1, PROGRAM)
    store.save_checkpoint(REPLICA, checkpoint)
    found = store.find_checkpoint(REPLICA, STATE)
    assert found is not None
    assert replace(found, tensors=STATE) == checkpoint
    path = store.checkpoint_path(REPLICA)
    path.write_bytes(path.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        assert store.find_checkpoint(REPLICA, STATE) is None
    (message,) = caplog.messages
    assert message.startswith(f"{path}: damaged")
    assert message.endswith("; it is trained again")
    assert "\n" not in message


@pytest.mark.parametrize("field", Replica._fields)
def test_everything_that_a_checkpoint_is_of_is_in_its_path(tmp_path: Path, field: str) -> None:
    store = Store(tmp_path, tmp_path)
    other = REPLICA._replace(**{field: 9 if field in ("seed", "round") else "other"})
    assert store.checkpoint_path(other) != store.checkpoint_path(REPLICA)
