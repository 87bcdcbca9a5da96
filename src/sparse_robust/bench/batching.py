"""How far numbers of replicas that share a batched program are from those of replicas alone.

Sums over a batch are taken in another order there, and training carries the difference on. What matters is
how it compares with what seeds differ by anyway.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from sparse_robust.experiments import Experiment, Spec, Store
from sparse_robust.experiments.files import write_atomically
from sparse_robust.experiments.machine import running
from sparse_robust.experiments.runner import Run, fixed_threads
from sparse_robust.experiments.stages import load
from sparse_robust.experiments.statistics import frame
from sparse_robust.experiments.store import results_folder

TOLERANCE = 1.0
"""How far the number of a seed may be from the one that it has alone, in standard deviations over seeds."""
OF = ["seed", "round", "metric", "attack"]


def batching(spec: Spec, seeds: int, place: torch.device, root: Path | str | None = None) -> pd.DataFrame:
    """Run some seeds of a spec alone, and together in one program.

    Args:
        spec: what to run.
        seeds: how many.
        place: the device.
        root: the data root; None for the default.

    Returns:
        a line for each number that is no time and is not the same for all seeds; columns round, metric,
        attack; largest, the largest difference of a seed; spread, the standard deviation over seeds; ratio;
        seeds, steps of the dense training, device, torch, commit.
    """
    every = tuple(range(seeds))
    groups: tuple[list[tuple[int, ...]], ...] = ([(seed,) for seed in every], [every])
    alone, together = (_numbers(spec, group, place, root) for group in groups)
    both = alone.join(together, lsuffix="_alone", rsuffix="_together").reset_index()
    both["difference"] = (both.value_alone - both.value_together).abs()
    parts = both.groupby(["round", "metric", "attack"], sort=False)
    table = parts.agg(largest=("difference", "max"), spread=("value_alone", "std")).reset_index()
    table = table[(table.spread > 0) & ~table.metric.str.endswith("seconds")]
    program = running(place, seeds)
    return table.assign(
        ratio=table.largest / table.spread,
        seeds=seeds,
        steps=spec.dense.steps,
        device=program.device,
        torch=program.torch,
        commit=program.commit,
    ).reset_index(drop=True)


def _numbers(
    spec: Spec, groups: list[tuple[int, ...]], device: torch.device, root: Path | str | None
) -> pd.DataFrame:
    """The finite values of a run in these groups of seeds."""
    experiment = Experiment("batching", "alone or together", {"smoke": (spec,)}, {"smoke": ()})
    with tempfile.TemporaryDirectory() as folder, fixed_threads(device):
        store = Store(Path(folder), Path(folder))
        dataset = load(spec, root)
        for seeds in groups:
            Run(
                experiment,
                "smoke",
                spec,
                seeds,
                device=device,
                root=root,
                dataset=dataset,
                store=store,
                quiet=True,
            )()
        table = frame(store.rows("batching", "smoke"))
    return table[table.value < float("inf")].set_index(OF)[["value"]]


def of_dense(spec: Spec, steps: int, images: int) -> Spec:
    """The dense references of a spec after some steps, measured on some images under FGS and DeepFool."""
    chosen = tuple(attack for attack in spec.attacks if attack.name in ("FGS", "DeepFool"))
    dense = replace(spec.dense, steps=steps)
    return replace(spec, dense=dense, rounds=0, test_examples=images, attacks=chosen)


def published_batching() -> Path:
    """The file that the chapter reads."""
    return results_folder() / "speeds" / "batching.jsonl"


def keep_batching(table: pd.DataFrame, path: Path) -> None:
    """Store what :func:`batching` has measured, in the place of what was there."""
    write_atomically(path, table.to_json(orient="records", lines=True).encode())


def read_batching(path: Path) -> pd.DataFrame:
    """What :func:`keep_batching` has stored.

    Raises:
        FileNotFoundError: if nothing is stored there.
    """
    return pd.read_json(path, orient="records", lines=True)
