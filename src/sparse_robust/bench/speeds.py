"""Measured training speeds, one JSON object a line, kept for the chapter on run times."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from sparse_robust.experiments.files import locked, write_atomically
from sparse_robust.experiments.rows import RowError
from sparse_robust.experiments.store import results_folder


@dataclass(frozen=True)
class Speed:
    """How fast one way of training was, once.

    Attributes:
        net: which network.
        way: of training.
        seeds: how many replicas were trained.
        steps: timed, for each replica.
        turn: when it began, UTC; within a turn all ways are timed one after another.
        value: replica-iterations per second.
        device: what computed it.
        threads: of the CPU.
        torch: version.
        commit: of the code.
        dirty: whether the package differed from that commit.
    """

    net: str
    way: str
    seeds: int
    steps: int
    turn: str
    value: float
    device: str
    threads: int
    torch: str
    commit: str
    dirty: bool


def published_speeds() -> Path:
    """The file that the chapter reads."""
    return results_folder() / "speeds" / "replicas.jsonl"


def keep_speeds(path: Path, speeds: Iterable[Speed]) -> None:
    """Add measurements to a file, whole or not at all.

    Raises:
        RowError: if what the file holds already is not of this kind; it stays as it is.
    """
    with locked(path):
        read_speeds(path)
        text = path.read_text() if path.exists() else ""
        write_atomically(path, (text + "".join(json.dumps(asdict(s)) + "\n" for s in speeds)).encode())


def read_speeds(path: Path) -> pd.DataFrame:
    """The measurements of a file, columns as in :class:`Speed`; none if it does not exist.

    Raises:
        RowError: if a line is not a measurement; names the file and the line.
    """
    speeds = []
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else [], 1):
        try:
            speed = Speed(**json.loads(line))
        except (ValueError, TypeError):
            names = ", ".join(f.name for f in fields(Speed))
            raise RowError(
                f"{path}, line {number}: not an object of {names}; delete the line and measure again"
            ) from None
        speeds.append(asdict(speed))
    return pd.DataFrame(speeds, columns=[f.name for f in fields(Speed)])


CASE = ["device", "threads", "net", "seeds", "steps"]
"""What a comparison holds fixed."""


def compare_speeds(speeds: pd.DataFrame, ours: str) -> pd.DataFrame:
    """Each way beside ``ours``, a line for every case and way.

    Returns:
        columns of :data:`CASE`; way; speed, the median in replica-iterations per second; times, least and
        most, by what factor ``ours`` is faster in the same turn, the median and the extremes; and turns.
    """
    wide = speeds.pivot_table(index=[*CASE, "turn"], columns="way", values="value", sort=False)
    lines = [
        (*case, way, part[way].median(), times.median(), times.min(), times.max(), len(part))
        for case, part in wide.groupby(CASE, sort=False)
        for way, times in part.rdiv(part[ours], axis=0).items()
    ]
    return pd.DataFrame(lines, columns=[*CASE, "way", "speed", "times", "least", "most", "turns"])
