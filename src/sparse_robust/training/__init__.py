"""Objectives and how they are minimised, for R replicas under masks."""

from .augmented import objective
from .descent import Training, batches, gradient, train

__all__ = ["Training", "batches", "gradient", "objective", "train"]
