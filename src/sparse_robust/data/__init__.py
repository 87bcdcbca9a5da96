"""Data sets: files become uint8 tensors with a fingerprint; a damaged file becomes one clear error."""

from .caffemodel import CaffeLayer, read_caffemodel
from .dataset import DataError, Dataset, Split, fingerprint, pixels, select_classes
from .mnist import data_root, describe, load_mnist
from .published import PUBLISHED, MissingModelError, published_model
from .sample import draw_sample, embedded_digits

__all__ = [
    "PUBLISHED",
    "CaffeLayer",
    "DataError",
    "Dataset",
    "MissingModelError",
    "Split",
    "data_root",
    "describe",
    "draw_sample",
    "embedded_digits",
    "fingerprint",
    "load_mnist",
    "pixels",
    "published_model",
    "read_caffemodel",
    "select_classes",
]
