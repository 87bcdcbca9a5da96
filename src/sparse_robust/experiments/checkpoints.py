"""What a checkpoint says: the tensors of one replica, what they are of, what made them, and a checksum."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .machine import Program

SECONDS, ORIGIN, CHECKSUM = "training_seconds", "origin", "sha256"
"""The entries of a file's metadata; files of earlier versions have the first one at most."""
MASK = "mask/"
"""Before the name of the parameter that a mask is of."""


class CheckpointError(ValueError):
    """A stored checkpoint that cannot be used; names the file."""


class Replica(NamedTuple):
    """One model of an experiment: a seed after a round.

    Attributes:
        spec: the address of how it is trained, :meth:`.spec.Spec.checkpoint_key`.
        data: fingerprint of what it is trained on.
        seed: its seed.
        round: prunings done, or which surgery was done; 0 for the dense reference.
    """

    spec: str
    data: str
    seed: int
    round: int


@dataclass(frozen=True)
class Checkpoint:
    """One replica's state.

    Attributes:
        tensors: by name, without the dimension of replicas; ``mask/NAME`` is the mask of parameter NAME.
        seconds: how long its last training took; None if that is not known.
        program: what trained it; None if that is not known.
    """

    tensors: Mapping[str, Tensor]
    seconds: float | None = None
    program: Program | None = None


def to_bytes(of: Replica, checkpoint: Checkpoint) -> bytes:
    """The file of a checkpoint."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    said = {}
    if checkpoint.seconds is not None:
        said[SECONDS] = repr(checkpoint.seconds)
    if checkpoint.program is not None:
        said[ORIGIN] = json.dumps(of._asdict() | asdict(checkpoint.program))
    return save(plain, said | {CHECKSUM: digest(plain, said)})


def digest(tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> str:
    """SHA-256 of what a file says, whatever the order in which it says so."""
    whole = hashlib.sha256(json.dumps([sorted(said.items()), layout(tensors)]).encode())
    for name in sorted(tensors):
        whole.update(tensors[name].numpy().tobytes())
    return whole.hexdigest()


def layout(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Types and shapes by name, in order."""
    return {name: f"{tensor.dtype} {[*tensor.shape]}" for name, tensor in sorted(tensors.items())}


def read(path: Path, of: Replica, like: Mapping[str, Tensor]) -> Checkpoint:
    """Read a replica's checkpoint, whose tensors have the names, shapes and types of those of ``like``.

    Files of earlier versions say neither their checksum nor what made them; the rest is seen to.

    Raises:
        CheckpointError: if the file is damaged, or holds something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            said = file.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f"{path}: damaged ({error})") from None
    checksum = said.pop(CHECKSUM, None)
    if layout(tensors) != layout(like):
        raise CheckpointError(f"{path}: expected {layout(like)}, found {layout(tensors)}")
    if checksum != (digest(tensors, said) if checksum or ORIGIN in said else None):
        raise CheckpointError(f"{path}: damaged (its checksum is not that of its contents)")
    origin = json.loads(said.get(ORIGIN, "{}"))
    others = [f"{k} {origin[k]}, not {v}" for k, v in of._asdict().items() if origin and origin[k] != v]
    if others:
        raise CheckpointError(f"{path}: it is of {', '.join(others)}")
    if (fault := impossible(tensors)) is not None:
        raise CheckpointError(f"{path}: {fault}")
    seconds = float(said[SECONDS]) if SECONDS in said else None
    program = {name: value for name, value in origin.items() if name not in Replica._fields}
    return Checkpoint(tensors, seconds, Program(**program) if program else None)


def impossible(tensors: Mapping[str, Tensor]) -> str | None:
    """What no training can have ended with, in words; None if everything is possible."""
    for name, tensor in tensors.items():
        parameter = name.removeprefix(MASK)
        if not tensor.isfinite().all():
            return f"{name} is not finite"
        if parameter != name and (tensors[parameter][~tensor] != 0).any():
            return f"{parameter} has weights that its mask takes away"
    return None
