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


_TEXT, _TABLE_1 = "section 4.1", "Table 1, unregularised"

PAPER: Mapping[str, PaperNumber] = {
    "binary-accuracy": PaperNumber(0.9917, 0.0000, _TEXT, percent=True),
    "multiclass-accuracy": PaperNumber(0.9226, 0.0008, _TEXT, percent=True),
    "final-sparsity": PaperNumber(0.9974, None, _TEXT, percent=True),
    "binary-r2-deepfool-dense": PaperNumber(2.0103, 0.0022, _TEXT),
    "binary-r2-deepfool-round-1": PaperNumber(2.0009, 0.0016, _TEXT),
    "binary-r2-cw-dense": PaperNumber(2.3151, 0.0023, _TEXT),
    "binary-r2-cw-round-1": PaperNumber(2.3061, 0.0023, _TEXT),
    "lenet-300-100-accuracy": PaperNumber(0.9820, 0.0007, "section 4.2", percent=True),
    "lenet-300-100-rinf-dense": PaperNumber(0.2862, 0.0113, _TABLE_1),
    "lenet-300-100-r2-dense": PaperNumber(1.3213, 0.0207, _TABLE_1),
    "lenet-5-accuracy": PaperNumber(0.9911, 0.0004, "section 4.2", percent=True),
    "lenet-5-rinf-dense": PaperNumber(0.7388, 0.0188, _TABLE_1),
    "lenet-5-r2-dense": PaperNumber(2.7831, 0.1490, _TABLE_1),
    "vgg-accuracy": PaperNumber(0.9301, None, "section 4.2", percent=True),
    "resnet-32-accuracy": PaperNumber(0.9289, None, "section 4.2", percent=True),
}


@dataclass(frozen=True)
class PaperModel:
    """A line of Table 2; sparsity as a fraction of the weights."""

    r_inf: float
    r_2: float
    sparsity: float


TABLE_2_SOURCE = "Table 2"

TABLE_2: Mapping[str, PaperModel] = {
    "caffe_lenet300100_original": PaperModel(0.2663, 1.3899, 0.0),
    "caffe_lenet300100_sparse": PaperModel(0.3823, 1.1058, 0.9821),
    "caffe_lenet5_original": PaperModel(0.7887, 2.7226, 0.0),
    "caffe_lenet5_sparse": PaperModel(0.6791, 1.7383, 0.9907),
}
"""By the name of the published model."""

__all__ = ["PAPER", "TABLE_2", "TABLE_2_SOURCE", "PaperModel", "PaperNumber"]
