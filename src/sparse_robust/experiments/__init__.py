"""The engine of experiments: frozen specs, a resumable runner, stored rows and what is made of them."""

from .experiment import PROFILES, Experiment, Profile, find_profile
from .load import load_rows, provenance
from .rows import Row, RowError
from .runner import run
from .side_by_side import run_side_by_side
from .spec import Attack, Operations, Spec
from .store import Store, StoreError

__all__ = [
    "PROFILES",
    "Attack",
    "Experiment",
    "Operations",
    "Profile",
    "Row",
    "RowError",
    "Spec",
    "Store",
    "StoreError",
    "find_profile",
    "load_rows",
    "provenance",
    "run",
    "run_side_by_side",
]
