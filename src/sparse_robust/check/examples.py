"""The data that models are compared on: an ``.npz`` with x and y."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sparse_robust.data import DataError, npz, path_of
from sparse_robust.types import Box

from .limits import MAX_FILE, MAX_NUMBERS
from .ranges import BoxChoice, RangeError, scale_inputs
from .text import escape

REMEDY = "write it with numpy.savez('test.npz', x=images, y=labels)"


@dataclass(frozen=True)
class Examples:
    """Labelled inputs.

    Attributes:
        x: float32 [N, *D].
        y: int64 [N].
        box: what every coordinate of an input lies in, or None.
        notes: what the user has to know about how x was read.
        classes: how many labels the user named; None if labels are the models' own.
        scale: what the stored numbers were divided by, if that was recognised; None if the user said it.
    """

    x: Tensor
    y: Tensor
    box: Box
    notes: tuple[str, ...] = ()
    classes: int | None = None
    scale: float | None = None


def read_examples(
    file: Path | str,
    *,
    limit: int | None = None,
    classes: Sequence[int] | None = None,
    scale: float | None = None,
    box: BoxChoice = None,
) -> Examples:
    """The examples of an ``.npz``: x, uint8 or float [N, *D], and y, integers [N]. Nothing is unpickled.

    Args:
        file: the archive.
        limit: only the first so many.
        classes: only examples with these labels; the i-th becomes class i, the model's logit i.
        scale: what x is divided by; recognised where it is uint8 or in [0, 1] (:mod:`.ranges`).
        box: the box of x after the division; (0, 1) for pixels unless told.

    Raises:
        FileNotFoundError: if there is no such file.
        DataError: naming the file, if it holds something else or its units cannot be told.
    """
    try:
        with zipfile.ZipFile(path_of(file)) as archive:
            x, y = _arrays(archive)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except DataError as error:
        raise DataError(f"{file}: {escape(str(error))}; {REMEDY}") from None
    except MemoryError:
        raise DataError(f"{file}: does not fit into the memory that is free; store fewer examples") from None
    except Exception as error:  # zip and header parsers raise anything on damaged input
        reason = escape(f"{type(error).__name__}: {error}")
        raise DataError(f"{file}: no .npz that can be read ({reason}); {REMEDY}") from None
    labels = torch.from_numpy(y.astype(np.int64))
    kept = torch.arange(len(labels))
    if classes is not None:
        matches = labels == torch.tensor(classes).unsqueeze(1)  # [classes, N]
        kept = matches.any(0).nonzero().squeeze(1)
        labels = matches.int().argmax(0)
    kept = kept[:limit]
    if len(kept) < 2:
        raise DataError(f"{file}: intervals need at least 2 examples, found {len(kept)}")
    try:
        scaled = scale_inputs(x[kept.numpy()], scale, box)
    except RangeError as error:
        raise DataError(f"{file}: {error}") from None
    named = None if classes is None else len(classes)
    recognised = scaled.scale if scale is None and box is None else None
    return Examples(scaled.x, labels[kept], scaled.box, scaled.notes, named, recognised)


def _arrays(archive: zipfile.ZipFile) -> tuple[NDArray[Any], NDArray[Any]]:
    """x and y, once their headers promise what is expected."""
    names = npz.names(archive)
    if not {"x", "y"} <= set(names):
        raise DataError(f"arrays x and y are needed, found {', '.join(names) or 'none'}")
    (x_shape, x_type), (y_shape, y_type) = npz.header(archive, "x"), npz.header(archive, "y")
    if len(x_shape) < 2 or y_shape not in (x_shape[:1], (*x_shape[:1], 1)) or 0 in x_shape:
        advice = "; of one-hot labels, store y.argmax(1)" if len(y_shape) == 2 else ""
        raise DataError(f"x [N, *D] and y [N] are needed, found {[*x_shape]} and {[*y_shape]}{advice}")
    if not np.issubdtype(y_type, np.integer):
        raise DataError(f"y must hold class indices, an integer type, found {y_type}: y.astype('int64')")
    if x_type != np.uint8 and not np.issubdtype(x_type, np.floating):
        advice = "x.astype('uint8') if these are bytes, else x.astype('float32')"
        raise DataError(f"x must be uint8 or floating point, found {x_type}: {advice}")
    numbers = prod(x_shape)
    if numbers > MAX_NUMBERS or numbers * x_type.itemsize > MAX_FILE:
        raise DataError(
            f"x has {numbers:,} numbers of {x_type}; at most {MAX_NUMBERS:,} of {MAX_FILE:,} bytes are read: "
            "store fewer examples"
        )
    return npz.array(archive, "x"), npz.array(archive, "y").reshape(-1)  # Keras stores y of CIFAR as a column


__all__ = ["Examples", "read_examples"]
