"""Data sets: files become uint8 tensors with a fingerprint; a damaged file becomes one clear error."""

from . import npz
from .caffemodel import read_caffemodel
from .cifar import MissingDataError, describe_cifar10, load_cifar10
from .dataset import DataError, Dataset, Split, fingerprint, pixels, select_classes
from .made import made_images
from .mnist import data_root, describe, load_mnist
from .paths import path_of, user_folder
from .published import PUBLISHED_MODELS, MissingModelError, published_model
from .sample import draw_sample, embedded_digits

__all__ = [
    "PUBLISHED_MODELS",
    "DataError",
    "Dataset",
    "MissingDataError",
    "MissingModelError",
    "Split",
    "data_root",
    "describe",
    "describe_cifar10",
    "draw_sample",
    "embedded_digits",
    "fingerprint",
    "load_cifar10",
    "load_mnist",
    "made_images",
    "npz",
    "path_of",
    "pixels",
    "published_model",
    "read_caffemodel",
    "select_classes",
    "user_folder",
]
