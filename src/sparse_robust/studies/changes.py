"""Rules that were changed after rows had been seen: the verdicts before and after, side by side."""

from collections.abc import Mapping

import pandas as pd

from .ledger import records
from .rules import Verdict

COMMIT = "161bada"
"""The last commit with the earlier rules; their verdicts below were computed there, on its published rows."""

EARLIER: Mapping[str, Verdict] = {
    "binary-accuracy": "reproduced",
    "multiclass-accuracy": "reproduced",
    "final-sparsity": "reproduced",
    "binary-r2-deepfool-dense": "reproduced",
    "binary-r2-deepfool-round-1": "reproduced",
    "binary-r2-deepfool-falls": "partly",
    "binary-r2-cw-dense": "partly",
    "binary-r2-cw-round-1": "partly",
    "binary-r2-cw-falls": "partly",
    "binary-rinf-rises": "reproduced",
    "binary-r2-not-better": "partly",
    "binary-r2-falls-earlier": "reproduced",
    "multiclass-rinf-rises": "reproduced",
    "multiclass-r2-not-better": "partly",
    "multiclass-r2-falls-earlier": "reproduced",
    "lenet-300-100-accuracy": "reproduced",
    "lenet-300-100-rinf-dense": "reproduced",
    "lenet-300-100-r2-dense": "reproduced",
    "lenet-300-100-rinf-rises": "reproduced",
    "lenet-300-100-r2-rises": "reproduced",
    "lenet-300-100-r2-squared-rises": "reproduced",
    "lenet-300-100-consistent": "reproduced",
    "lenet-300-100-r2-falls-earlier": "reproduced",
    "lenet-300-100-r2-falls-most": "partly",
    "lenet-5-accuracy": "not reproduced",
    "lenet-5-rinf-dense": "reproduced",
    "lenet-5-r2-dense": "partly",
    "lenet-5-rinf-rises": "partly",
    "lenet-5-r2-rises": "partly",
    "lenet-5-r2-squared-rises": "partly",
    "lenet-5-consistent": "not reproduced",
    "lenet-5-r2-falls-earlier": "not reproduced",
    "lenet-5-r2-falls-most": "not reproduced",
    "lenet-300-100-zeros-dense": "not reproduced",
    "lenet-300-100-l1-moderate": "not reproduced",
    "lenet-300-100-l1-strong": "partly",
    "lenet-300-100-l1-rises": "reproduced",
    "lenet-300-100-l1-falls-below": "partly",
    "lenet-5-zeros-dense": "reproduced",
    "lenet-5-l1-moderate": "not reproduced",
    "lenet-5-l1-strong": "partly",
    "lenet-5-l1-rises": "partly",
    "lenet-5-l1-falls-below": "partly",
    "clever-l2-rises": "reproduced",
    "clever-linf-rises": "reproduced",
    "over-pruning-rinf": "reproduced",
    "over-pruning-r2": "partly",
    "over-pruning-sparsity": "partly",
    "over-pruning-accuracy": "reproduced",
    "over-pruning-rinf-conclusions": "reproduced",
    "over-pruning-r2-conclusions": "reproduced",
    "surgery-competitive": "reproduced",
    "surgery-r2": "partly",
    "surgery-rinf": "partly",
    "surgery-r2-falls-earlier": "not reproduced",
    "surgery-lenet-5-competitive": "reproduced",
    "surgery-lenet-5-r2": "partly",
    "surgery-lenet-5-rinf": "partly",
    "surgery-lenet-5-r2-falls-earlier": "not reproduced",
}
"""By the name of the claim; claims that had no rows are missing."""

REASONS: Mapping[str, tuple[str, ...]] = {
    "The weight decay, or the way of rounding, was chosen to meet this number: no test.": (
        "binary-accuracy",
        "multiclass-accuracy",
        "final-sparsity",
    ),
    "The tolerance is wider than the change that the claim is about: no test.": (
        "binary-r2-deepfool-round-1",
        "binary-r2-cw-round-1",
    ),
    "What is not significant is undecided, or not reproduced if the paper's change is excluded.": (
        "binary-r2-deepfool-falls",
        "binary-r2-cw-falls",
        "lenet-5-consistent",
        "lenet-5-r2-falls-most",
        "lenet-5-l1-falls-below",
        "lenet-5-l1-rises",
        "surgery-r2",
        "surgery-rinf",
        "surgery-lenet-5-r2",
        "surgery-lenet-5-rinf",
        "lenet-300-100-r2-falls-most",
        "lenet-300-100-consistent",
        "lenet-300-100-l1-rises",
        "over-pruning-rinf-conclusions",
        "over-pruning-r2-conclusions",
    ),
    "Much earlier means by more than one round, and is undecided if an early fall is not excluded.": (
        "binary-r2-falls-earlier",
        "multiclass-r2-falls-earlier",
    ),
    "Accuracy is held within .3 points, not within one, and a rise that is not excluded is undecided.": (
        "binary-rinf-rises",
        "multiclass-rinf-rises",
        "binary-r2-not-better",
        "multiclass-r2-not-better",
        "over-pruning-accuracy",
        "surgery-competitive",
        "surgery-lenet-5-competitive",
    ),
    "Only the rise is judged, as what is pruned to the end falls; accuracy is held within .3 points.": (
        "lenet-300-100-rinf-rises",
        "lenet-300-100-r2-rises",
        "lenet-300-100-r2-squared-rises",
        "lenet-5-rinf-rises",
        "lenet-5-r2-rises",
        "lenet-5-r2-squared-rises",
        "clever-l2-rises",
        "clever-linf-rises",
    ),
    "Both sides are tested at one level, and accuracy that may have fallen unseen leaves it undecided.": (
        "lenet-300-100-r2-falls-earlier",
        "lenet-5-r2-falls-earlier",
        "surgery-r2-falls-earlier",
        "surgery-lenet-5-r2-falls-earlier",
    ),
    "A printed distance that is met by the mean square alone is partly reproduced, here as in Table 2.": (
        "lenet-300-100-r2-dense",
    ),
    "Numbers after a fiftieth of the training are no test.": (
        "lenet-5-accuracy",
        "lenet-5-rinf-dense",
        "lenet-5-r2-dense",
        "lenet-5-zeros-dense",
        "lenet-5-l1-moderate",
        "lenet-5-l1-strong",
    ),
    "Read by the zeros of the first hidden layer, for which the chapter argues.": (
        "lenet-300-100-l1-moderate",
        "lenet-300-100-l1-strong",
        "lenet-300-100-l1-falls-below",
    ),
}
"""What was changed, and the claims to which it applies."""

MERGED = {f"{net}-r2-squared-rises": f"{net}-r2-rises" for net in ("lenet-300-100", "lenet-5")}
"""Claims that are now a part of another: both distances have to rise, as in Tables 1 and 2."""


def before_and_after(profile: str = "published") -> pd.DataFrame:
    """Every claim whose rule was changed after rows had been seen.

    Returns:
        columns change, claim, before, after; by change, and the verdicts that it left as they were, too.
    """
    now = {entry["name"]: entry for entry in records(profile)}
    lines = [
        (reason, name, EARLIER[name], now[MERGED.get(name, name)]["verdict"])
        for reason, names in REASONS.items()
        for name in names
    ]
    return pd.DataFrame(lines, columns=["change", "claim", "before", "after"])
