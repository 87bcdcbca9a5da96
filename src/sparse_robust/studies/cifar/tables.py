"""Tables of the chapters on CIFAR-10, made from specs and, where there are any, rows."""

import pandas as pd

from sparse_robust.experiments import Spec
from sparse_robust.experiments.statistics import per_seed
from sparse_robust.models.costs import layers
from sparse_robust.pruning import kept_after


def architecture(spec: Spec) -> pd.DataFrame:
    """Layer by layer: shape of the output, weights, weights left after the last round, multiplications."""
    costs = layers(spec.network.build([0], len(spec.classes), spec.narrow))
    ends = (costs[0].name, costs[-1].name)
    return pd.DataFrame(
        {
            "layer": [layer.name for layer in costs],
            "output": [" x ".join(map(str, layer.output)) for layer in costs],
            "weights": [layer.weights for layer in costs],
            "left": [
                layer.weights
                if spec.dense_ends and layer.name in ends
                else kept_after(layer.weights, spec.rho, spec.rounds)
                for layer in costs
            ],
            "multiplications": [layer.macs for layer in costs],
        }
    )


def convolutions(layers: pd.DataFrame) -> int:
    """How many lines of :func:`architecture` are convolutions: their outputs are maps."""
    return int(layers.output.str.contains(" x ").sum())


def sparsity_path(spec: Spec) -> pd.DataFrame:
    """The zeros among all weights after each round, counted: columns round and zeros (a fraction)."""
    sizes = architecture(spec).weights.tolist()
    kept = [
        sum(
            size if spec.dense_ends and i in (0, len(sizes) - 1) else kept_after(size, spec.rho, r)
            for i, size in enumerate(sizes)
        )
        for r in range(spec.rounds + 1)
    ]
    return pd.DataFrame([(r, 1 - k / kept[0]) for r, k in enumerate(kept)], columns=["round", "zeros"])


def failures(rows: pd.DataFrame) -> pd.DataFrame:
    """Where DeepFool fails: a line for each round in which it does, none if it never does.

    Returns:
        columns round, failures, seeds, classes (text), r_2, and r_2 with first iterations for failures.
    """
    failed = per_seed(rows, "failures", "DeepFool")
    kinds = sorted(m for m in set(rows.metric) if m.startswith("failures_class_"))
    lines = []
    for round_ in failed.index[(failed > 0).any(axis=1)].astype(int):
        counts = failed.loc[round_].to_numpy()
        of = {
            k.removeprefix("failures_class_"): per_seed(rows, k, "DeepFool").loc[round_].sum() for k in kinds
        }
        by_class = ", ".join(f"{k}: {v:.0f}" for k, v in of.items() if v)
        both = [per_seed(rows, m, "DeepFool").loc[round_].mean() for m in ("r_2", "r_2_first_step")]
        lines.append((round_, int(counts.sum()), int((counts > 0).sum()), by_class, *both))
    columns = ["round", "failures", "seeds", "classes", "r_2", "r_2, first iterations"]
    return pd.DataFrame(lines, columns=columns)
