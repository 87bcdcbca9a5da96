"""What a checkpoint says: its tensors, what they are of, what made them, and a checksum.

Of one replica after a round, or of all that are computed together in the middle of one.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from .machine import Program

SECONDS, ORIGIN, CHECKSUM, STEPS = "training_seconds", "origin", "sha256", "steps"
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


class TrainingStage(NamedTuple):
    """One training, of the replicas that are computed together.

    Attributes:
        spec, data, round: as those of :class:`Replica`.
        seeds: of the replicas, in order.
        start: :func:`digest` of the replicas that it starts from.
    """

    spec: str
    data: str
    seeds: tuple[int, ...]
    round: int
    start: str

    @property
    def first(self) -> Replica:
        """The first of the replicas that it ends with."""
        return Replica(self.spec, self.data, self.seeds[0], self.round)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a replica, or of a stage.

    Attributes:
        tensors: by name, of a replica without the dimension of replicas; ``mask/NAME`` is the mask of
            parameter NAME.
        seconds: how long its last training took, or the stage so far; None if that is not known.
        program: what trained it; None if that is not known.
        steps: done of a stage; None if it is finished.
    """

    tensors: Mapping[str, Tensor]
    seconds: float | None = None
    program: Program | None = None
    steps: int | None = None


def to_bytes(of: Replica | TrainingStage, checkpoint: Checkpoint) -> bytes:
    """The file of a checkpoint."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    said = {}
    if checkpoint.seconds is not None:
        said[SECONDS] = repr(checkpoint.seconds)
    if checkpoint.program is not None:
        said[ORIGIN] = json.dumps(of._asdict() | asdict(checkpoint.program))
    if checkpoint.steps is not None:
        said[STEPS] = str(checkpoint.steps)
    return save(plain, said | {CHECKSUM: digest(plain, said)})


def digest(tensors: Mapping[str, Tensor], said: Mapping[str, str]) -> str:
    """SHA-256 of what a file says, whatever the order in which it says so."""
    whole = hashlib.sha256(json.dumps([sorted(said.items()), layout(tensors)]).encode())
    for name in sorted(tensors):
        whole.update(tensors[name].detach().cpu().numpy().tobytes())
    return whole.hexdigest()


def layout(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Types and shapes by name, in order."""
    return {name: f"{tensor.dtype} {[*tensor.shape]}" for name, tensor in sorted(tensors.items())}


def read(path: Path, of: Replica | TrainingStage, like: Mapping[str, Tensor]) -> Checkpoint:
    """Read a checkpoint, whose tensors have the names, shapes and types of those of ``like``.

    Files of earlier versions say neither their checksum nor what made them; the rest is seen to.

    Raises:
        CheckpointError: if the file is damaged, or holds something else.
    """
    whole = path.read_bytes()
    try:
        tensors = load(whole)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: damaged ({error})") from None
    said = metadata(whole)
    checksum = said.pop(CHECKSUM, None)
    if layout(tensors) != layout(like):
        raise CheckpointError(f"{path}: expected {layout(like)}, found {layout(tensors)}")
    if checksum != (digest(tensors, said) if checksum or ORIGIN in said else None):
        raise CheckpointError(f"{path}: damaged (its checksum is not that of its contents)")
    origin = json.loads(said.get(ORIGIN, "{}"))
    wanted = json.loads(json.dumps(of._asdict()))  # where tuples are lists
    if origin and (others := differences(origin, wanted)):
        raise CheckpointError(f"{path}: it is of {others}")
    if (fault := impossible(tensors)) is not None:
        raise CheckpointError(f"{path}: {fault}")
    seconds = float(said[SECONDS]) if SECONDS in said else None
    program = {name: value for name, value in origin.items() if name not in of._fields}
    steps = int(said[STEPS]) if STEPS in said else None
    return Checkpoint(tensors, seconds, Program(**program) if program else None, steps)


def read_unfinished(
    path: Path, of: TrainingStage, like: Mapping[str, Tensor], program: Program
) -> Checkpoint:
    """Read the state of a stage that ``program`` has begun.

    Another one's last digits may differ, and rows say what their models were trained by: one program.

    Raises:
        CheckpointError: if the file is damaged, or of something else, or by another program.
    """
    found = read(path, of, like)
    if found.program is None or found.steps is None:
        raise CheckpointError(f"{path}: it does not say how far it is, or what made it")
    if others := differences(asdict(found.program), asdict(program)):
        raise CheckpointError(f"{path}: it was made with {others}")
    return found


def metadata(whole: bytes) -> dict[str, str]:
    """What a sound file says beside its tensors: its header is JSON behind eight bytes for its length."""
    size = int.from_bytes(whole[:8], "little")
    said: dict[str, str] = json.loads(whole[8 : 8 + size]).get("__metadata__", {})
    return said


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Where one says other than what is wanted, in words; empty if nowhere."""
    return ", ".join(f"{name} {found[name]}, not {v}" for name, v in wanted.items() if found[name] != v)


def impossible(tensors: Mapping[str, Tensor]) -> str | None:
    """What no training can have ended with, in words; None if everything is possible."""
    for name, tensor in tensors.items():
        parameter = name.removeprefix(MASK)
        if not tensor.isfinite().all():
            return f"{name} is not finite"
        if parameter != name and (tensors[parameter][~tensor] != 0).any():
            return f"{parameter} has weights that its mask takes away"
    return None
