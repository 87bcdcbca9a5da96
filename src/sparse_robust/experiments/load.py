"""The rows of an experiment: those that are stored, or computed as far as they are missing."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from .experiment import Experiment, Profile, find_profile
from .rows import read, read_blocks
from .runner import run
from .statistics import frame
from .store import Store, blocks_path

PUBLISHED_FILES: Mapping[Profile, str] = {"paper": "paper", "laptop": "published-laptop"}
"""Which stored rows are published, by the scale of their specs.

What nobody has run at the paper's scale yet may be published at laptop scale, in a file of its own: a copy of
the rows of a finished ``laptop`` run, which itself stays the user's own and is no part of the repository.
"""


def with_training(table: pd.DataFrame, experiment: Experiment, profile: Profile) -> pd.DataFrame:
    """Add the scale, how the dense references were trained, and how weights were selected.

    Columns scale (the profile of the specs), variant, steps, schedule, weight_decay, l1, selection.
    """
    variants = experiment.variants(profile)
    specs = {spec.key: (number, spec.dense, spec.selection) for number, spec in enumerate(variants)}
    return table.assign(
        scale=profile,
        variant=[specs[key][0] for key in table.spec],
        steps=[specs[key][1].steps for key in table.spec],
        schedule=[specs[key][1].schedule for key in table.spec],
        weight_decay=[specs[key][1].weight_decay for key in table.spec],
        l1=[specs[key][1].l1 for key in table.spec],
        selection=[specs[key][2] for key in table.spec],
    )


def scale_of(experiment: Experiment, profile: str, store: Store | None = None) -> Profile:
    """The scale of the rows that ``profile`` stands for.

    That of ``published`` is the paper's, but for an experiment of which rows of laptop scale are published
    and no complete rows of the paper's scale.

    Raises:
        ValueError: if the profile is unknown.
    """
    if profile != "published":
        return find_profile(profile)
    store = store or Store.default()
    if not store.published_path(experiment.name, PUBLISHED_FILES["laptop"]).exists():
        return "paper"
    table = _read(experiment, "paper", store.published_path(experiment.name, PUBLISHED_FILES["paper"]))
    finished = not table.empty and len(table) >= complete_size(table, experiment, "paper")
    return "paper" if finished else "laptop"


def stored(
    experiment: Experiment, profile: str, store: Store | None = None, *, scale: Profile | None = None
) -> pd.DataFrame:
    """What is stored of an experiment under its present specs; empty if nothing is.

    ``published`` reads the committed rows, of the scale that :func:`scale_of` tells, or of ``scale``: what is
    put beside rows of laptop scale must be of that scale, too, though larger ones may have been published
    since. Where rows of several data sets are stored (the sample that the package carries, and later the
    whole of MNIST), those with the most test examples count.
    """
    store = store or Store.default()
    scale = scale or scale_of(experiment, profile, store)
    if profile == "published":
        return _read(experiment, scale, store.published_path(experiment.name, PUBLISHED_FILES[scale]))
    return _read(experiment, scale, store.rows_path(experiment.name, scale))


def _read(experiment: Experiment, scale: Profile, path: Path) -> pd.DataFrame:
    keys = {spec.key for spec in experiment.specs[scale]}
    rows = [row for row in read(path) if row.spec in keys]
    table = frame(rows)
    if table.empty:
        return table
    largest = table[table.metric == "accuracy"].groupby("data").n.max().idxmax()
    chosen = table[table.data == largest].reset_index(drop=True)
    return with_blocks(with_training(chosen, experiment, scale), path)


def with_blocks(table: pd.DataFrame, rows: Path) -> pd.DataFrame:
    """Add column blocks: means over blocks of images as a tuple, None where none are stored.

    Args:
        table: of rows.
        rows: their file.
    """
    stored = {block.identity: block.blocks for block in read_blocks(blocks_path(rows))}
    names = ("spec", "data", "seed", "round", "metric", "attack")
    identities = (table[name] for name in names)
    blocks = [stored.get((*of, attack or None)) for *of, attack in zip(*identities, strict=True)]
    return table.assign(blocks=pd.Series(blocks, index=table.index, dtype=object))


def complete_size(table: pd.DataFrame, experiment: Experiment, scale: Profile) -> int:
    """How many rows the experiment has when each of the table's seeds is finished."""
    specs = experiment.variants(scale)
    return table.seed.nunique() * sum(len(spec.measured) * len(spec.names) for spec in specs)


def finished(table: pd.DataFrame, experiment: Experiment, scale: Profile) -> pd.DataFrame:
    """The rows of the seeds that are finished in every variant: of a run that goes on, what can be used."""
    if table.empty:
        return table
    counts = table.groupby("seed").size()
    seeds = counts.index[counts == complete_size(table[table.seed == counts.index[0]], experiment, scale)]
    return table[table.seed.isin(seeds)].reset_index(drop=True)


def load_rows(experiment: Experiment, profile: str, device: str = "cpu") -> pd.DataFrame:
    """The rows of an experiment: read when published, computed as far as they are missing otherwise.

    Args:
        experiment: whose.
        profile: ``published`` for the committed rows, of the paper's protocol where that has been run;
            else ``smoke``, ``laptop`` or ``paper``.
        device: where to compute, ``cpu`` or ``cuda``.

    Raises:
        FileNotFoundError: if nothing is published of this experiment.
        ValueError: if the profile is unknown.
    """
    if profile == "published":
        table = stored(experiment, profile)
        if table.empty:
            raise FileNotFoundError(
                f"no published rows of {experiment.name!r} under its present spec: run it, commit them"
            )
        return table
    scale = find_profile(profile)
    store = Store.default()
    table = with_training(
        frame(run(experiment, scale, device=device, store=store, quiet=True)), experiment, scale
    )
    return with_blocks(table, store.rows_path(experiment.name, scale))


def origin(table: pd.DataFrame) -> dict[str, str]:
    """Where numbers come from: experiment, scale, seeds, images, data, commit, torch, device.

    The last three are those of measuring, and those of training where they are known to differ.
    """

    known = table[table.training_commit.notna()]

    def every(column: str, of: pd.DataFrame = table) -> str:
        changed = column.endswith("commit") and of[column.replace("commit", "dirty")].any()
        names = ", ".join(sorted({str(value) for value in of[column]}))
        return names + (" with uncommitted changes" if changed else "")

    def both(column: str) -> str:
        trained = every(f"training_{column}", known)
        return every(column) + (f" (trained: {trained})" if trained not in ("", every(column, known)) else "")

    return {
        "experiment": every("experiment"),
        "scale": every("scale"),
        "seeds": str(table.seed.nunique()),
        "images": str(table[table.metric == "accuracy"].n.max()),
        "data": f"{every('data_description')} ({every('data')})",
        "commit": both("commit"),
        "torch": both("torch"),
        "device": both("device"),
    }


def provenance(table: pd.DataFrame) -> str:
    """:func:`origin` in a line; the scale is told where it is not the paper's."""
    of = origin(table)
    scale = "" if of["scale"] == "paper" else f", {of['scale']} scale"
    return (
        f"{of['experiment']}{scale}: {of['seeds']} seeds, n = {of['images']} test images, {of['data']};"
        f" commit {of['commit']}, torch {of['torch']}, {of['device']}"
    )
