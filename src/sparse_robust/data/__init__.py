"""Data sets: files become uint8 tensors with a fingerprint; a damaged file becomes one clear error."""

from .dataset import DataError, Dataset, Split, fingerprint, pixels, select_classes
from .mnist import data_root, describe, load_mnist
from .sample import draw_sample, embedded_digits

__all__ = [
    "DataError",
    "Dataset",
    "Split",
    "data_root",
    "describe",
    "draw_sample",
    "embedded_digits",
    "fingerprint",
    "load_mnist",
    "pixels",
    "select_classes",
]
