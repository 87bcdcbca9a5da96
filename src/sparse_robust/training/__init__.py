"""Objectives and how they are minimised, for R replicas under masks."""

from .augmented import objective
from .descent import Snapshot, State, Training, Watch, batches, gradient, snapshot, train, trained

__all__ = [
    "Snapshot",
    "State",
    "Training",
    "Watch",
    "batches",
    "gradient",
    "objective",
    "snapshot",
    "train",
    "trained",
]
