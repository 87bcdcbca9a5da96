"""What others published after the paper about sparsity and robustness, with numbers and sources."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from sparse_robust.experiments.statistics import summary

Relation = Literal["confirms", "qualifies", "contradicts"]


@dataclass(frozen=True)
class Work:
    """A publication.

    Attributes:
        key: in the bibliography.
        relation: to the paper's claim that moderate sparsity makes networks harder to fool.
        setting: networks and data.
        says: its finding, in our words.
        numbers: as it prints them, empty if it is named for no number.
    """

    key: str
    relation: Relation
    setting: str
    says: str
    numbers: str = ""


WORKS: tuple[Work, ...] = (
    Work(
        "wang2018pruned",
        "contradicts",
        "networks trained as usual, MNIST and CIFAR-10",
        "pruned networks are more vulnerable to strong attacks than dense ones of the same accuracy",
    ),
    Work(
        "ye2019both",
        "qualifies",
        "adversarial training",
        "robustness needs more capacity than accuracy does; a small network trained from scratch has neither",
    ),
    Work(
        "liebenwein2021lost",
        "qualifies",
        "several networks, data with noise and from other distributions",
        "how far a network can be pruned depends on the metric; accuracy on test data does not tell",
    ),
    Work(
        "diffenderfer2021winning",
        "qualifies",
        "CIFAR-10 with corruptions",
        "lottery-ticket-style sparsity improves accuracy on corrupted images; the usual pruning with "
        "fine-tuning does not",
    ),
    Work(
        "merkle2021pruning",
        "qualifies",
        "small CNNs and ResNets, MNIST and CIFAR-10, attacks in three norms",
        "there are sweet spots at moderate sparsity on MNIST; a ResNet-8 loses with every weight",
        "median $l_2$ distance under C&W, MNIST: 2.67 dense, 3.00 at 50 %, 2.83 at 75 %, 2.53 at 87.5 %, "
        "1.62 at 96.9 %",
    ),
    Work(
        "jordao2021effect",
        "confirms",
        "convolutional networks, filters and layers removed",
        "removing structures raises accuracy on adversarial images without adversarial training",
    ),
    Work(
        "chen2022sparsity",
        "confirms",
        "adversarial training, CIFAR and Tiny-ImageNet",
        "sparsity narrows the gap between robustness on training and on test data",
        "gap smaller by 34.44 %, CIFAR-100 with ResNet-18",
    ),
    Work(
        "li2023certified",
        "confirms",
        "complete verification in $l_\\infty$, CIFAR-10",
        "appropriate pruning makes networks easier to verify, and more images certifiably robust",
        "certified accuracy up by as much as 8.2 % as trained usually, 24.5 % adversarially",
    ),
    Work(
        "sehwag2020hydra",
        "qualifies",
        "adversarial training, CIFAR-10, SVHN, ImageNet",
        "magnitude pruning costs robustness at high sparsity; choosing weights by the robust loss keeps it",
    ),
    Work(
        "zhao2023harp",
        "qualifies",
        "adversarial training, ResNet-18, CIFAR-10",
        "with the pruning itself made robust, almost nothing is lost at extreme sparsity",
        "accuracy clean / under AutoAttack: 83.4 / 45.4 at 90 %, 83.1 / 45.5 at 99 %",
    ),
    Work(
        "goodfellow2018gradient",
        "qualifies",
        "the CLEVER score",
        "where gradients are masked, CLEVER exceeds the true distance: it is an estimate, no lower bound",
    ),
)
"""In the order in which they appeared, by relation where the year is the same."""

MERKLE: Sequence[tuple[float, float]] = ((0.0, 2.67), (0.5, 3.00), (0.75, 2.83), (0.875, 2.53), (0.969, 1.62))
"""Sparsity and median l_2 distance under C&W of the MNIST network of Merkle et al. (2021)."""


def works() -> pd.DataFrame:
    """The publications as a table, with citations."""
    return pd.DataFrame(
        [(f"{{cite:t}}`{w.key}`", w.relation, w.setting, w.says, w.numbers) for w in WORKS],
        columns=["work", "", "setting", "finding", "its numbers"],
    )


def relative_distances(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """r_2 under C&W over that of the dense network: ours by name, and Merkle et al.'s, to be drawn as curves.

    Args:
        tables: rows of pruned networks, by the label of their curve.

    Returns:
        columns panel, label, attack, sparsity, mean, spread.
    """
    parts = []
    for label, rows in tables.items():
        curve = summary(rows, "r_2", "C&W").replace(float("inf"), float("nan"))
        dense = curve["mean"].iloc[0]
        parts.append(curve.assign(mean=curve["mean"] / dense, spread=curve.spread / dense, label=label))
    theirs = pd.DataFrame(MERKLE, columns=["sparsity", "mean"])
    theirs = theirs.assign(mean=theirs["mean"] / theirs["mean"].iloc[0], spread=0.0)
    parts.append(theirs.assign(label="CNN of Merkle et al., median"))
    return pd.concat(parts, ignore_index=True).assign(panel="distance under C&W, dense = 1", attack="C&W")[
        ["panel", "label", "attack", "sparsity", "mean", "spread"]
    ]
