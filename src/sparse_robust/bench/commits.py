"""Which code computed the rows: the commits that they name, and whether one can look them up."""

from collections.abc import Mapping

import pandas as pd

from sparse_robust.experiments import Profile
from sparse_robust.experiments.store import Store
from sparse_robust.studies.catalogue import CATALOGUE

from .run_times import OWN, current

OUTSIDE = frozenset({"5db56abe998d", "6e7b9b29df24", "8244dc3a0f61"})
"""Commits of a working copy whose history is not part of this repository: they cannot be looked up.

A test compares with the history, so that this names what stored rows still name, and nothing else.
"""


def commits(files: Mapping[Profile, str] = OWN, store: Store | None = None) -> pd.DataFrame:
    """The commits that rows name: experiment, scale, commit, rows, dirty, outside.

    ``dirty`` is whether the package differed from the commit for any of the rows, ``outside`` whether the
    commit is one of :data:`OUTSIDE`.
    """
    store = store or Store.default()
    lines = []
    for name in CATALOGUE:
        for scale, file in files.items():
            rows = current(name, scale, file, store)
            for commit in sorted({row.commit for row in rows}):
                dirty = [row.dirty for row in rows if row.commit == commit]
                lines.append((name, scale, commit, len(dirty), any(dirty), commit in OUTSIDE))
    return pd.DataFrame(lines, columns=["experiment", "scale", "commit", "rows", "dirty", "outside"])
