"""Result rows: one number each, with where it comes from."""

import json
import math
import re
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

Identity = tuple[str, str, int, int, str, str | None]
"""Of a number: spec, data, seed, round, metric, attack."""


class RowError(ValueError):
    """A stored row that cannot be read; names file and line."""


@dataclass(frozen=True)
class Row:
    """One measured number.

    Attributes:
        experiment: its name in the catalogue.
        spec: the content address of the spec it was computed under.
        seed: of the replica.
        round: prunings done, or which surgery was done; 0 for the dense reference.
        sparsity: exact fraction of zero weights.
        metric: accuracy, sparsity, norm_ratio, r_inf, r_2, r_2_squared or failures; activation_sparsity at
            the input of the last layer, activation_sparsity_1 after the first hidden one;
            parameter_sparsity counts weights and biases; sparsity_1, sparsity_2, ... those of the layers;
            training_seconds is how long the last training took; r_2_first_step, r_2_squared_first_step and
            failures_class_0, 1, ... as in :mod:`~sparse_robust.measurements.first_step`.
        attack: FGS, rFGS, DeepFool, C&W, PGD, APGD, minimal l_2, or exact for a closed form; CLEVER l_2 and
            CLEVER l_inf for the metrics of :mod:`~sparse_robust.measurements.clever_scores`, verification and
            certificates for those of :mod:`~sparse_robust.measurements.verified`; None where no attack is
            involved.
        value: the number; infinity (stored as null) where an attack failed.
        n: examples behind it.
        stderr: standard error over these examples, where there is one.
        commit: of the code that measured it.
        dirty: whether the package differed from that commit.
        torch: version.
        device: what measured it.
        data: fingerprint of the data.
        data_description: the data, in words.
        seconds: wall time of the measurement, divided by the replicas that shared it.
        threads: of PyTorch's operations on the CPU while it was measured.
        replicas: how many were measured at once, in one batched program.
        training_commit, training_dirty, training_torch, training_device, training_threads,
            training_replicas: the same of the last training of the model.

    Fields from ``threads`` on are None, and left out of the file, where they are not known: in rows of
    earlier versions, and of models from their checkpoints or from others.
    """

    experiment: str
    spec: str
    seed: int
    round: int
    sparsity: float
    metric: str
    attack: str | None
    value: float
    n: int
    stderr: float | None
    commit: str
    dirty: bool
    torch: str
    device: str
    data: str
    data_description: str
    seconds: float
    threads: int | None = None
    replicas: int | None = None
    training_commit: str | None = None
    training_dirty: bool | None = None
    training_torch: str | None = None
    training_device: str | None = None
    training_threads: int | None = None
    training_replicas: int | None = None

    @property
    def identity(self) -> Identity:
        """What the number is of; two rows with one identity are the same measurement."""
        return (self.spec, self.data, self.seed, self.round, self.metric, self.attack)

    def to_json(self) -> str:
        """One line of JSON without a newline; infinity becomes null, which no other value is.

        Raises:
            ValueError: if a number is not a number, or is infinite where only ``value`` may be.
        """
        record = {k: v for k, v in vars(self).items() if k in REQUIRED or v is not None}
        if self.value == math.inf:
            record["value"] = None
        return json.dumps(record, allow_nan=False, separators=(",", ":"))


REQUIRED = frozenset(f.name for f in fields(Row) if f.default is MISSING)
"""The fields that every row has."""


@dataclass(frozen=True)
class BlockRow:
    """The means over blocks of images behind one row, kept beside it in a file of their own.

    Attributes:
        spec, data, seed, round, metric, attack: the identity of the row.
        blocks: B means, image i in block i mod B; infinity, stored as null, where an attack failed.
    """

    spec: str
    data: str
    seed: int
    round: int
    metric: str
    attack: str | None
    blocks: tuple[float, ...]

    @property
    def identity(self) -> Identity:
        """That of the row."""
        return (self.spec, self.data, self.seed, self.round, self.metric, self.attack)

    def to_json(self) -> str:
        """One line of JSON without a newline."""
        finite = [None if mean == math.inf else mean for mean in self.blocks]
        return json.dumps(vars(self) | {"blocks": finite}, allow_nan=False, separators=(",", ":"))


def read_blocks(path: Path) -> list[BlockRow]:
    """All lines of a file of blocks, in order; none if it does not exist.

    Raises:
        RowError: if a line is none; the message names file and line.
    """
    if not path.exists():
        return []
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            record = json.loads(line)
            means = tuple(math.inf if mean is None else float(mean) for mean in record.pop("blocks"))
            found.append(BlockRow(**record, blocks=means))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            remedy = "restore the line from version control, or delete it"
            raise RowError(f"{path}, line {number}: no blocks of a row ({error}); {remedy}") from None
    return found


_TYPES: dict[str, Any] = get_type_hints(Row)
_EXACT: dict[str, set[type]] = {
    name: {
        type_ for part in get_args(kind) or (kind,) for type_ in ((int, float) if part is float else (part,))
    }
    for name, kind in _TYPES.items()
}
"""The types that a field may have as JSON is read, where a whole float may be spelt as an integer."""


def _accepts(name: str, value: Any) -> bool:
    return type(value) in _EXACT[name] and not (isinstance(value, float) and not math.isfinite(value))


SHARES = re.compile(r"accuracy|r_inf|(activation_|parameter_)?sparsity(_\d+)?")
"""Metrics that lie between 0 and 1."""


def _impossible(row: Row) -> str | None:
    """What no measurement can have given, in words; None if all numbers are possible."""
    if not 0 <= row.sparsity <= 1:
        return f"sparsity must lie in [0, 1], got {row.sparsity}"
    if SHARES.fullmatch(row.metric) and not 0 <= row.value <= 1:
        return f"{row.metric} must lie in [0, 1], got {row.value}"
    counts = (row.seed, row.round, row.n, row.seconds, row.stderr or 0)
    if min(counts) < 0:
        return f"seed, round, n, seconds and stderr must be at least 0, got {counts}"
    ways = [row.threads, row.replicas, row.training_threads, row.training_replicas]
    if any(count is not None and count < 1 for count in ways):
        return f"threads and replicas must be at least 1, got {ways}"
    return None


def parse(line: bytes, where: str) -> Row:
    """Read one row, checking every field's presence, type and range.

    Raises:
        RowError: naming ``where`` (file and line), what is wrong and the remedy.
    """
    remedy = "restore the line from version control or delete it and run the experiment again"
    try:
        record = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise RowError(f"{where}: not UTF-8 (byte {error.start + 1}); {remedy}") from None
    except RecursionError:
        raise RowError(f"{where}: not a row (brackets within brackets); {remedy}") from None
    except json.JSONDecodeError as error:
        raise RowError(f"{where}: not JSON ({error.msg} at column {error.colno}); {remedy}") from None
    if not isinstance(record, dict):
        raise RowError(f"{where}: missing or unknown fields {type(record).__name__}; {remedy}")
    if others := sorted((REQUIRED - set(record)) | (set(record) - set(_TYPES))):
        raise RowError(f"{where}: missing or unknown fields {others}; {remedy}")
    for name in record:
        if not _accepts(name, record[name]) and not (name == "value" and record[name] is None):
            wanted = getattr(_TYPES[name], "__name__", _TYPES[name])
            raise RowError(f"{where}: {name} must be {wanted}, got {record[name]!r}; {remedy}")
    if record["value"] is None:
        record["value"] = math.inf
    row = Row(**record)
    if (problem := _impossible(row)) is not None:
        raise RowError(f"{where}: {problem}; {remedy}")
    return row


def read(path: Path) -> list[Row]:
    """All rows of a file, in order; none if it does not exist.

    Raises:
        RowError: if a line is not a row, or a number is stored twice.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines()
    rows = [parse(line, f"{path}, line {number}") for number, line in enumerate(lines, 1)]
    seen: dict[Any, int] = {}
    for number, row in enumerate(rows, 1):
        if row.identity in seen:
            first = seen[row.identity]
            raise RowError(f"{path}, line {number}: the same number as line {first}; delete one of them")
        seen[row.identity] = number
    return rows
