"""The numbers that the paper prints, each with the place where it prints them."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PaperNumber:
    """A printed number.

    Attributes:
        value: as printed; accuracies and sparsities as fractions.
        spread: what the paper prints after ±, over ten seeds, in the same unit; None without one.
        source: where it is printed.
        percent: whether the paper prints it in percent.
    """

    value: float
    spread: float | None
    source: str
    percent: bool = False

    def __str__(self) -> str:
        """As the paper prints it."""
        scale, unit = (100, " %") if self.percent else (1, "")
        digits = 2 if self.percent else 4
        spread = "" if self.spread is None else f" ± {scale * self.spread:.{digits}f}"
        return f"{scale * self.value:.{digits}f}{spread}{unit}"


_TEXT = "section 4.1"

PAPER: Mapping[str, PaperNumber] = {
    "binary-accuracy": PaperNumber(0.9917, 0.0000, _TEXT, percent=True),
    "multiclass-accuracy": PaperNumber(0.9226, 0.0008, _TEXT, percent=True),
    "final-sparsity": PaperNumber(0.9974, None, _TEXT, percent=True),
    "binary-r2-deepfool-dense": PaperNumber(2.0103, 0.0022, _TEXT),
    "binary-r2-deepfool-round-1": PaperNumber(2.0009, 0.0016, _TEXT),
    "binary-r2-cw-dense": PaperNumber(2.3151, 0.0023, _TEXT),
    "binary-r2-cw-round-1": PaperNumber(2.3061, 0.0023, _TEXT),
}

__all__ = ["PAPER", "PaperNumber"]
