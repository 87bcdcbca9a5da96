"""Rows that nobody measured: what judges and prints rows is tested on values that are known beforehand."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd


def made_rows(
    sparsities: Sequence[float],
    seeds: Iterable[int],
    kinds: Iterable[tuple[str, str]],
    value: Callable[[int, int, str, str], float],
    images: Callable[[str], int],
    **columns: Any,
) -> pd.DataFrame:
    """One line per number: round by round, seed by seed, kind by kind.

    Args:
        sparsities: of the rounds, from 0 on.
        seeds: of the replicas.
        kinds: metric and attack.
        value: (round, seed, metric, attack) -> the number.
        images: attack -> how many images are behind it.
        columns: what is the same in every line.
    """
    chosen, numbers = list(seeds), list(kinds)
    return pd.DataFrame(
        [
            {
                "round": round_,
                "seed": seed,
                "metric": metric,
                "attack": attack,
                "value": value(round_, seed, metric, attack),
                "sparsity": sparsity,
                "n": images(attack),
                **columns,
            }
            for round_, sparsity in enumerate(sparsities)
            for seed in chosen
            for metric, attack in numbers
        ]
    )
