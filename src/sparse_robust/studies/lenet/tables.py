"""Tables of the chapters on pruned LeNets: where attacks fail, peaks and falls, lengths of retraining."""

from collections.abc import Mapping, Sequence

import pandas as pd

from sparse_robust.experiments import Spec
from sparse_robust.experiments.statistics import paired, per_seed, plus_minus, summary
from sparse_robust.models import prunable
from sparse_robust.pruning import kept_after
from sparse_robust.studies.courses import Course, course
from sparse_robust.studies.paper import TABLE_1, TABLE_2, TABLE_2_SOURCE, PaperNumber
from sparse_robust.studies.rules import ALPHA, comparable, first_below, held_rounds, peak_round
from sparse_robust.studies.tables import METRICS, Key, Panels, printed

FALLS = (0.02, 0.05, 0.1)
"""Losses relative to the peak; a table names the round of each."""


def printed_points(network: str, shown: Panels) -> pd.DataFrame:
    """What Tables 1 and 2 print of a network, as points beside its curves under FGS and DeepFool.

    Args:
        network: "lenet-300-100" or "lenet-5".
        shown: the panels; r_2 is taken for a mean squared distance.
    """
    (dense, *_) = TABLE_1[network]
    linf, l2 = ("r_inf", "FGS"), ("r_2_squared", "DeepFool")
    points = [(linf, 0.0, dense.r_inf), (l2, 0.0, dense.r_2), (("accuracy", ""), 0.0, dense.accuracy)]
    for name, model in TABLE_2.items():
        if name.startswith(f"caffe_{network.replace('-', '')}_"):
            values = {linf: model.r_inf, l2: model.r_2}
            points += [(k, model.sparsity, PaperNumber(v, None, TABLE_2_SOURCE)) for k, v in values.items()]
    return printed(shown, points)


def weights_left(spec: Spec, rounds: Sequence[int]) -> pd.DataFrame:
    """How many weights pruning leaves: columns layer, weights (their shape), and one for each round."""
    model = spec.network.build([0], len(spec.classes), spec.narrow)
    lines = [
        (
            name.removesuffix(".weight"),
            " x ".join(map(str, weight.shape[1:])),
            *(kept_after(weight[0].numel(), spec.rho, r) for r in rounds),
        )
        for name, weight in prunable(model).items()
    ]
    return pd.DataFrame(lines, columns=["layer", "weights", *(f"round {r}" for r in rounds)])


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """The rounds in which an l_2 attack fails: columns attack, n, round, seeds, failures."""
    lines = []
    for attack in ("DeepFool", "C&W"):
        failed = per_seed(rows, "failures", attack)
        n = int(rows[rows.attack == attack].n.max())
        some = failed[failed.any(axis=1)]
        lines += [(attack, n, r, int((f > 0).sum()), int(f.sum())) for r, f in some.iterrows()]
    return pd.DataFrame(lines, columns=["attack", "n", "round", "seeds", "failures"])


def spread_of_accuracy(rows: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of the worst and the best seed in the second half of the path: columns round, worst, best."""
    lowest = per_seed(rows, "accuracy").agg(["min", "max"], axis=1)
    lowest.columns = pd.Index(["worst", "best"])
    return lowest.iloc[len(lowest) // 2 :].rename_axis("round").reset_index()


def distances(rows: pd.DataFrame, printed: PaperNumber) -> pd.DataFrame:
    """r_2 of the dense networks under DeepFool by both definitions, beside a number of the paper.

    Returns:
        columns definition, $r_2$ (text), off (relative to the paper's number).
    """
    lines = [("paper", str(printed), float("nan"))]
    for what, metric in (("mean distance", "r_2"), ("mean squared distance", "r_2_squared")):
        mean, spread = map(float, summary(rows, metric, "DeepFool").loc[0, ["mean", "spread"]])
        lines.append((f"ours, {what}", plus_minus(mean, spread), mean / printed.value - 1))
    return pd.DataFrame(lines, columns=["definition", "$r_2$", "off"])


def courses(rows: pd.DataFrame) -> dict[str, Course | None]:
    """The course of every metric along the pruning path."""
    held = held_rounds(rows)
    return {label: course(per_seed(rows, *key), held) for label, key in METRICS.items()}


def peaks(rows: pd.DataFrame) -> pd.DataFrame:
    """For every metric the round of its peak, that of the seeds' own, and how far it is above dense.

    Returns:
        columns metric, dense, peak, earliest, latest, sparsity (at the peak), and rise, low, high relative to
        dense, and effect (d_z).
    """
    sparsity = rows.groupby("round").sparsity.mean()
    lines = [
        (
            *(label, c.dense, c.peak, c.earliest, c.latest, sparsity[c.peak]),
            *(v / c.dense for v in (c.rise.mean, c.rise.low, c.rise.high)),
            c.rise.effect,
        )
        for label, c in courses(rows).items()
        if c is not None
    ]
    columns = ["metric", "dense", "peak", "earliest", "latest", "sparsity", "rise", "low", "high", "effect"]
    return pd.DataFrame(lines, columns=columns)


def falls(rows: pd.DataFrame) -> pd.DataFrame:
    """For accuracy and every metric the rounds of its peak and of its fall; missing where it does not fall.

    All are tested at one level, divided by the number of rounds.

    Returns:
        columns metric, peak, below dense, and a column for each of :data:`FALLS`, relative to the peak.
    """
    lines, alpha = [], ALPHA / (rows["round"].nunique() - 1)
    for label, key in {"accuracy": ("accuracy", ""), **METRICS}.items():
        values = comparable(per_seed(rows, *key))
        top, level = peak_round(values), values.mean(axis=1)
        lost = [
            next((r for r in level.index if r > top and level[r] < (1 - loss) * level[top]), None)
            for loss in FALLS
        ]
        lines.append((label, top, first_below(values, alpha), *lost))
    columns = ["metric", "peak", "below dense", *(f"-{100 * loss:g} %" for loss in FALLS)]
    return pd.DataFrame(lines, columns=columns).astype(dict.fromkeys(columns[1:], "Int64"))


LENGTHS: Mapping[str, Key] = {
    "accuracy": ("accuracy", ""),
    **{label: key for label, key in METRICS.items() if key in (("r_inf", "FGS"), ("r_2", "DeepFool"))},
}
"""What the study of the length of retraining measures, by label."""


def lengths(usual: pd.DataFrame, longer: pd.DataFrame) -> pd.DataFrame:
    """Means along the path after retraining of two lengths, on the seeds and rounds of both.

    Args:
        usual, longer: rows of two lengths, of one scale.

    Returns:
        columns round, and two for each of :data:`LENGTHS`; a round in which an attack failed is missing.
    """
    columns = {}
    for label, key in LENGTHS.items():
        short, long = _same(usual, longer, key)
        columns[label], columns[f"{label}, longer"] = short.mean(axis=1), long.mean(axis=1)
    return pd.DataFrame(columns).rename_axis("round").reset_index()


def lengths_at_peaks(usual: pd.DataFrame, longer: pd.DataFrame) -> pd.DataFrame:
    """Where retraining of two lengths peaks, and where the two differ most.

    Args:
        usual, longer: rows of two lengths, of one scale.

    Returns:
        columns metric, peak, rise (relative to dense), both again for the longer one, the round of the
        largest difference, and that difference (paired, 95 % interval). A metric whose attack failed on the
        dense networks is missing.
    """
    lines = []
    for label, key in LENGTHS.items():
        short, long = _same(usual, longer, key)
        if 0 not in short.index:
            continue
        tops = [(peak_round(v), v.mean(axis=1).max() / v.loc[0].mean() - 1) for v in (short, long)]
        gaps = (long - short).mean(axis=1).abs()
        worst = int(gaps.index[int(gaps.argmax())])
        change = paired(pd.DataFrame([short.loc[worst], long.loc[worst]], index=[0, 1]), 0, 1)
        lines.append((label, *tops[0], *tops[1], worst, str(change)))
    columns = [
        "metric",
        "peak",
        "rise",
        "peak, longer",
        "rise, longer",
        "largest in round",
        "longer less usual",
    ]
    return pd.DataFrame(lines, columns=columns)


def _same(usual: pd.DataFrame, longer: pd.DataFrame, key: Key) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One number on the seeds and comparable rounds that both have."""
    long = comparable(per_seed(longer, *key))
    short = comparable(per_seed(usual, *key)[long.columns])
    both = long.index.intersection(short.index)
    return short.loc[both], long.loc[both]


def masking(rows: pd.DataFrame) -> pd.DataFrame:
    """What masked gradients would show in, while accuracy is held.

    Returns:
        columns round, rFGS - FGS, DeepFool failures, C&W failures, zeros (feeding the output layer).
    """
    held = held_rounds(rows)
    fgs, rfgs = (summary(rows, "r_inf", attack)["mean"].loc[held] for attack in ("FGS", "rFGS"))
    failed = {
        f"{attack} failures": per_seed(rows, "failures", attack).loc[held].sum(axis=1).astype(int)
        for attack in ("DeepFool", "C&W")
    }
    zeros = summary(rows, "activation_sparsity")["mean"].loc[held]
    table = pd.DataFrame({"rFGS - FGS": rfgs - fgs, **failed, "zeros": zeros})
    return table.rename_axis("round").reset_index()
