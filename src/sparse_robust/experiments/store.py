"""Where results and checkpoints live, and what is in them."""

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sparse_robust.data import user_folder

from . import checkpoints
from .checkpoints import Checkpoint, CheckpointError, Replica, TrainingStage
from .files import (
    CACHE_VARIABLE,
    RESULTS_VARIABLE,
    can_be_written,
    locked,
    place,
    write_atomically,
)
from .machine import Program
from .rows import BlockRow, Row, read, read_blocks

_LOG = logging.getLogger(__name__)


def results_folder() -> Path:
    """``SPARSE_ROBUST_RESULTS``, else ``book/results`` of the checkout this package runs from."""
    if folder := os.environ.get(RESULTS_VARIABLE):
        return place(folder)
    if (published := published_folder()) is not None:
        return published
    checkout = Path(__file__).resolve().parents[3]
    raise FileNotFoundError(
        f"no book/ beside {checkout / 'src'}: run from a clone of the repository, or set {RESULTS_VARIABLE}"
    )


def published_folder() -> Path | None:
    """``book/results`` of the checkout this package runs from, where the published rows are."""
    checkout = Path(__file__).resolve().parents[3]
    return checkout / "book" / "results" if (checkout / "book").is_dir() else None


def cache_folder() -> Path:
    """``SPARSE_ROBUST_CACHE``, else the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    return place(named) if named else user_folder(CACHE_VARIABLE)


def blocks_path(rows: Path) -> Path:
    """Where the blocks of images of a file of rows are: in ``NAME.PROFILE.blocks.jsonl`` beside it."""
    return rows.with_suffix(".blocks.jsonl")


@dataclass(frozen=True)
class Store:
    """Rows under ``results``, one file per experiment and profile; checkpoints under ``cache``.

    Both may be local folders, or folders of a store that fsspec knows (:func:`.files.place`).

    Attributes:
        results: where rows are written to and read from.
        cache: for checkpoints.
        published: where published rows are read from if ``results`` has none.
    """

    results: Path
    cache: Path
    published: Path | None = None

    @staticmethod
    def default() -> "Store":
        """The folders that the environment or the checkout names."""
        return Store(results_folder(), cache_folder(), published_folder())

    def prepare(self) -> None:
        """Create the folders and see that they can be written to, before hours go into a computation.

        Drafts of processes that were killed are deleted from them.

        Raises:
            StoreError: if one cannot.
        """
        can_be_written(self.results, RESULTS_VARIABLE)
        can_be_written(self.cache, CACHE_VARIABLE)

    def rows_path(self, experiment: str, profile: str) -> Path:
        """The file of one experiment's rows; :data:`.load.PUBLISHED_FILES` says which are published."""
        return self.results / f"{experiment}.{profile}.jsonl"

    def published_path(self, experiment: str, profile: str) -> Path:
        """The file of an experiment's published rows, wherever the user keeps their own."""
        path = self.rows_path(experiment, profile)
        return path if path.exists() or self.published is None else self.published / path.name

    def rows(self, experiment: str, profile: str) -> list[Row]:
        """The stored rows, checked; none if nothing was stored."""
        return read(self.rows_path(experiment, profile))

    def add_rows(self, experiment: str, profile: str, rows: Iterable[Row]) -> None:
        """Add rows under a lock; a number that is stored already stays as it is."""
        path = self.rows_path(experiment, profile)
        with locked(path):
            merged = {row.identity: row for row in read(path)}
            for row in rows:
                merged.setdefault(row.identity, row)
            order = sorted(
                merged.values(), key=lambda r: (r.spec, r.data, r.round, r.seed, r.metric, r.attack or "")
            )
            write_atomically(path, "".join(row.to_json() + "\n" for row in order).encode())

    def add_blocks(self, experiment: str, profile: str, blocks: Iterable[BlockRow]) -> None:
        """Add means over blocks of images, beside the rows and under a lock; what is stored stays."""
        path = blocks_path(self.rows_path(experiment, profile))
        with locked(path):
            merged = {block.identity: block for block in read_blocks(path)}
            new = [block for block in blocks if block.identity not in merged]
            if not new:
                return
            merged |= {block.identity: block for block in new}
            order = sorted(merged.values(), key=lambda b: (*b.identity[:5], b.attack or ""))
            write_atomically(path, "".join(block.to_json() + "\n" for block in order).encode())

    def checkpoint_path(self, of: Replica) -> Path:
        """The file of one replica."""
        folder = self.cache / "checkpoints" / f"{of.spec}-{of.data}" / f"seed-{of.seed}"
        return folder / f"round-{of.round}.safetensors"

    def save_checkpoint(self, of: Replica, checkpoint: Checkpoint) -> None:
        """Store one replica."""
        write_atomically(self.checkpoint_path(of), checkpoints.to_bytes(of, checkpoint))

    def find_checkpoint(self, of: Replica, like: Mapping[str, Tensor]) -> Checkpoint | None:
        """One replica, if it is stored and sound; that it is not sound is logged.

        Args:
            of: which.
            like: tensors of the names, shapes and types that it must have.
        """
        path = self.checkpoint_path(of)
        if not path.exists():
            return None
        try:
            return checkpoints.read(path, of, like)
        except CheckpointError as error:
            _LOG.warning("%s; it is trained again", error)
            return None

    def unfinished_path(self, first: Replica) -> Path:
        """The file of a stage that goes on, beside the checkpoint that its first replica will have."""
        return self.checkpoint_path(first).with_suffix(".partial.safetensors")

    def save_unfinished(self, of: TrainingStage, checkpoint: Checkpoint) -> None:
        """Store how far a stage is."""
        write_atomically(self.unfinished_path(of.first), checkpoints.to_bytes(of, checkpoint))

    def find_unfinished(
        self, of: TrainingStage, like: Mapping[str, Tensor], program: Program
    ) -> Checkpoint | None:
        """How far a stage is, if that is stored, sound and by ``program``; that it is not is logged.

        Args:
            of: which.
            like: tensors of the names, shapes and types that it must have.
            program: what computes it.
        """
        path = self.unfinished_path(of.first)
        if not path.exists():
            return None
        try:
            return checkpoints.read_unfinished(path, of, like, program)
        except CheckpointError as error:
            _LOG.warning("%s; it is trained again", error)
            return None

    def drop_unfinished(self, first: Replica) -> None:
        """Delete what is stored of a stage that has its checkpoints."""
        self.unfinished_path(first).unlink(missing_ok=True)
