"""Anyone's dense and pruned models side by side: does robustness fall before accuracy does?

Model files are read as data. No pickle is opened; of torch.export archives, ONNX and safetensors files only
listed operators run; TorchScript programs are compiled by PyTorch once their source names no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from .examples import Examples, read_examples
from .formats import load_model
from .measure import Measured, measure
from .model import Model, ModelError
from .report import Comparison, Interval, align, compare, table


def check(
    files: Sequence[Path | str],
    data: Path | str,
    *,
    eps: float = 0.1,
    limit: int | None = None,
    batch: int = 500,
    classes: Sequence[int] | None = None,
) -> tuple[str, bool]:
    """Measure every model on the same images and compare each with the first.

    Args:
        files: models, the dense one first.
        data: the ``.npz`` of :func:`read_examples`.
        eps: of FGS, in the units of x.
        limit: only the first so many examples.
        batch: examples at once.
        classes: the labels in the order of the models' logits.

    Returns:
        the table with its verdicts, and whether a model's robustness falls before its accuracy.

    Raises:
        ValueError: naming the option, the file or the model that makes no sense.
        FileNotFoundError: if there is no such file.
    """
    if not 0 <= eps < float("inf") or batch < 1 or (limit is not None and limit < 2):
        raise ValueError(
            f"eps must be at least 0, batch at least 1, examples at least 2; got {eps}, {batch} and {limit}"
        )
    if len(set(map(str, files))) < len(files):
        raise ValueError("a model is named twice; name every model once")
    short = [Path(file).name for file in files]
    names = short if len(set(short)) == len(short) else [str(file) for file in files]
    models = [load_model(file, name) for file, name in zip(files, names, strict=True)]
    examples = read_examples(data, limit=limit, classes=classes)
    with tqdm(total=len(models) * len(examples.y), unit="image", leave=False, disable=None) as bar:
        measured = [measure(model, examples, eps=eps, batch=batch, progress=bar.update) for model in models]
    comparisons = compare(measured)
    return _text(examples, measured, comparisons, eps), any(found.over_pruned for found in comparisons)


def _text(
    examples: Examples, measured: Sequence[Measured], comparisons: Sequence[Comparison], eps: float
) -> str:
    low, high = examples.box or (None, None)
    clipped = (
        "not clipped: x is not within [0, 1]" if examples.box is None else f"clipped to [{low:g}, {high:g}]"
    )
    shape = ", ".join(map(str, examples.x.shape[1:]))
    notes = [f"{model.name}: {note}" for model in measured for note in model.notes]
    failures = sum(int(model.failed.sum()) for model in measured)
    if failures:
        notes.append("r_2 leaves out, for every model, the images on which DeepFool failed for one")
    return "\n".join(
        [
            f"{len(examples.y)} images [{shape}]; 95 % confidence intervals over images",
            f"r_inf: accuracy under FGS, eps {eps:g}, {clipped}; r_2: mean distance of DeepFool, no box",
            "",
            align(table(measured)),
            *(["", *notes] if notes else []),
            *(["", *(found.verdict() for found in comparisons)] if comparisons else []),
        ]
    )


__all__ = [
    "Comparison",
    "Examples",
    "Interval",
    "Measured",
    "Model",
    "ModelError",
    "check",
    "compare",
    "load_model",
    "measure",
    "read_examples",
]
