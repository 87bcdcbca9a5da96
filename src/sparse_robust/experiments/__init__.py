"""Experiments: frozen specs, a catalogue, a resumable runner, typed rows, the ledger of claims."""

from .catalogue import CATALOGUE, PROFILES, Experiment, Profile, find, find_profile
from .rows import Row, RowError
from .runner import run
from .side_by_side import run_side_by_side
from .spec import Attack, Spec
from .store import CheckpointError, Store, StoreError

__all__ = [
    "CATALOGUE",
    "PROFILES",
    "Attack",
    "CheckpointError",
    "Experiment",
    "Profile",
    "Row",
    "RowError",
    "Spec",
    "Store",
    "StoreError",
    "find",
    "find_profile",
    "run",
    "run_side_by_side",
]
