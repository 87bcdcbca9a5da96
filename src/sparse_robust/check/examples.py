"""The data that models are compared on: an ``.npz`` with x and y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sparse_robust.data import DataError
from sparse_robust.types import Box

REMEDY = "write it with numpy.savez('test.npz', x=images, y=labels)"


@dataclass(frozen=True)
class Examples:
    """Labelled inputs.

    Attributes:
        x: float32 [N, *D]; uint8 pixels divided by 255.
        y: int64 [N].
        box: what every coordinate of an input lies in: (0, 1) for pixels, else None.
    """

    x: Tensor
    y: Tensor
    box: Box


def read_examples(
    file: Path | str, *, limit: int | None = None, classes: Sequence[int] | None = None
) -> Examples:
    """The examples of an ``.npz``: x, uint8 or float [N, *D], and y, integers [N]. Nothing is unpickled.

    Floating-point inputs between 0 and 1 count as pixels; others, standardised ones say, have no box.

    Args:
        file: the archive.
        limit: only the first so many.
        classes: only examples with these labels; the i-th becomes class i, the model's logit i.

    Raises:
        FileNotFoundError: if there is no such file.
        DataError: naming the file, if it holds something else.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile) or not {"x", "y"} <= set(archive.files):
                held = ", ".join(getattr(archive, "files", ())) or "none"
                raise DataError(f"{file}: arrays x and y are needed, found {held}; {REMEDY}")
            x, y = archive["x"], archive["y"]
    except (FileNotFoundError, DataError):
        raise
    except Exception as error:  # zip and header parsers raise anything on damaged input
        raise DataError(
            f"{file}: no .npz that can be read ({type(error).__name__}: {error}); {REMEDY}"
        ) from None
    if x.ndim < 2 or y.shape != x.shape[:1]:
        raise DataError(
            f"{file}: x [N, *D] and y [N] are needed, found {[*x.shape]} and {[*y.shape]}; {REMEDY}"
        )
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{file}: y must hold class indices, an integer type, found {y.dtype}; {REMEDY}")
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"{file}: x must be uint8 or floating point, found {x.dtype}; {REMEDY}")
    labels = torch.from_numpy(y.astype(np.int64))
    kept = torch.arange(len(labels))
    if classes is not None:
        matches = labels == torch.tensor(classes).unsqueeze(1)  # [classes, N]
        kept = matches.any(0).nonzero().squeeze(1)
        labels = matches.int().argmax(0)
    kept = kept[:limit]
    if len(kept) < 2:
        raise DataError(f"{file}: intervals need at least 2 examples, found {len(kept)}")
    inputs = torch.from_numpy(x[kept.numpy()])
    inputs = inputs / 255 if inputs.dtype == torch.uint8 else inputs.to(torch.float32)
    if not inputs.isfinite().all():
        raise DataError(f"{file}: x must be finite, {int((~inputs.isfinite()).sum())} of its numbers are not")
    pixels = bool(inputs.amin() >= 0 and inputs.amax() <= 1)
    if not pixels and inputs.amin() >= 0 and (inputs == inputs.round()).all():
        raise DataError(
            f"{file}: x looks like pixels up to {inputs.amax():.0f}; store them as uint8, or divide them"
        )
    return Examples(inputs, labels[kept], (0.0, 1.0) if pixels else None)


__all__ = ["Examples", "read_examples"]
