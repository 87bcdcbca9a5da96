"""The numbers that the paper prints, each with the place where it prints them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


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


@dataclass(frozen=True)
class PaperNetwork:
    """A line of Table 1.

    Attributes:
        r_inf: under FGS.
        r_2: under DeepFool.
        accuracy: benign.
        zeros: "the percentage of deactivated (i.e., zero) neurons feeding to the last fully-connected layer".
    """

    r_inf: PaperNumber
    r_2: PaperNumber
    accuracy: PaperNumber
    zeros: PaperNumber

    def __str__(self) -> str:
        """As the paper prints it, in its order."""
        return f"r_inf {self.r_inf}; r_2 {self.r_2}; accuracy {self.accuracy}; zeros {self.zeros}"


def _table_1(*lines: tuple[float, ...]) -> tuple[PaperNetwork, ...]:
    """Lines of Table 1 from numbers and spreads as printed."""
    names = ("unregularised", "moderate l_1", "strong l_1")

    def network(name: str, *printed: float) -> PaperNetwork:
        source = f"Table 1, {name}"
        r_inf, r_2 = (PaperNumber(value, spread, source) for value, spread in (printed[0:2], printed[2:4]))
        accuracy, zeros = (
            PaperNumber(round(value / 100, 6), round(spread / 100, 6), source, percent=True)
            for value, spread in (printed[4:6], printed[6:8])
        )
        return PaperNetwork(r_inf, r_2, accuracy, zeros)

    return tuple(network(name, *line) for name, line in zip(names, lines, strict=True))


TABLE_1: Mapping[str, tuple[PaperNetwork, ...]] = {
    "lenet-300-100": _table_1(
        (0.2862, 0.0113, 1.3213, 0.0207, 98.20, 0.07, 45.25, 1.14),
        (0.3993, 0.0079, 1.5903, 0.0240, 98.27, 0.04, 75.92, 0.54),
        (0.2098, 0.0133, 1.1440, 0.0402, 97.96, 0.07, 95.22, 0.18),
    ),
    "lenet-5": _table_1(
        (0.7388, 0.0188, 2.7831, 0.1490, 99.11, 0.04, 51.26, 1.88),
        (0.7729, 0.0081, 3.1688, 0.1203, 99.19, 0.05, 97.54, 0.10),
        (0.6741, 0.0162, 2.0799, 0.0522, 99.10, 0.06, 99.64, 0.02),
    ),
}
"""By network, with more l_1 from line to line; the first lines are the references of section 4.2."""

_TEXT = "section 4.1"

PAPER: Mapping[str, PaperNumber] = {
    "binary-accuracy": PaperNumber(0.9917, 0.0000, _TEXT, percent=True),
    "multiclass-accuracy": PaperNumber(0.9226, 0.0008, _TEXT, percent=True),
    "final-sparsity": PaperNumber(0.9974, None, _TEXT, percent=True),
    "binary-r2-deepfool-dense": PaperNumber(2.0103, 0.0022, _TEXT),
    "binary-r2-deepfool-round-1": PaperNumber(2.0009, 0.0016, _TEXT),
    "binary-r2-cw-dense": PaperNumber(2.3151, 0.0023, _TEXT),
    "binary-r2-cw-round-1": PaperNumber(2.3061, 0.0023, _TEXT),
    "vgg-accuracy": PaperNumber(0.9301, None, "section 4.2", percent=True),
    "resnet-32-accuracy": PaperNumber(0.9289, None, "section 4.2", percent=True),
} | {
    f"{net}-{name}": number
    for net, (dense, *_) in TABLE_1.items()
    for name, number in (
        ("accuracy", replace(dense.accuracy, source="section 4.2")),
        ("rinf-dense", dense.r_inf),
        ("r2-dense", dense.r_2),
        ("zeros-dense", dense.zeros),
    )
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
