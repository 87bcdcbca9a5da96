"""The engine of experiments: frozen specs, a resumable runner, stored rows and what is made of them."""

from .cluster import run_on_cluster
from .experiment import PROFILES, Experiment, Needs, Profile, find_profile
from .files import CACHE_VARIABLE, RESULTS_VARIABLE, StoreError
from .load import load_rows, provenance
from .rows import Row, RowError
from .runner import run
from .side_by_side import run_side_by_side
from .spec import Attack, Operations, Spec
from .store import Store
from .unfinished import KEEP_EVERY

__all__ = [
    "CACHE_VARIABLE",
    "KEEP_EVERY",
    "PROFILES",
    "RESULTS_VARIABLE",
    "Attack",
    "Experiment",
    "Needs",
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
    "run_on_cluster",
    "run_side_by_side",
]
