"""From files to a verdict: models are read, measured on the same images and compared with the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from .examples import Examples, read_examples
from .formats import load_model
from .measure import Measured, measure
from .model import ModelError
from .options import Options
from .report import Comparison, align, attacked, cells, compare
from .text import escape

SOUND, OVER_PRUNED, UNSOUND = 0, 1, 3
"""Exit statuses: 2 is that of bad input."""


@dataclass(frozen=True)
class CheckOutcome:
    """What a comparison found.

    Attributes:
        examples: the images.
        options: how they were attacked.
        measured: the models, in their order.
        comparisons: every further model with the first.
    """

    examples: Examples
    options: Options
    measured: tuple[Measured, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def status(self) -> int:
        """3 if a number is not defined, else 1 if a model's robustness falls before its accuracy, else 0."""
        if any(model.unsound for model in self.measured):
            return UNSOUND
        return OVER_PRUNED if any(found.over_pruned for found in self.comparisons) else SOUND

    def text(self) -> str:
        """The table with what is assumed before it, and notes and verdicts after it."""
        notes = self._notes()
        return "\n".join(
            [
                *(f"{model.name}: {model.assumption}" for model in self.measured if model.assumption),
                *self._heading(),
                "",
                align(cells(self.measured)),
                *(["", *notes] if notes else []),
                *(["", *(found.verdict() for found in self.comparisons)] if self.comparisons else []),
            ]
        )

    def _heading(self) -> list[str]:
        shape = ", ".join(map(str, self.examples.x.shape[1:]))
        box = self.examples.box
        clipped = "not clipped: x has no box" if box is None else f"clipped to [{box[0]:g}, {box[1]:g}]"
        return [
            f"{len(self.examples.y)} images [{shape}]; 95 % confidence intervals over images",
            f"r_inf: accuracy under FGS, eps {self.options.eps:g}, {clipped}; "
            "r_2: mean distance of DeepFool, no box",
        ]

    def _notes(self) -> list[str]:
        notes = [*self.examples.notes]
        for model in self.measured:
            notes += [f"{model.name}: {note}" for note in model.notes]
            failures = int(model.failed.sum())
            if model.unsound:
                notes.append(f"{model.name}: {model.unsound}")
            elif failures:
                notes.append(f"{model.name}: r_2 leaves out {failures} images on which DeepFool failed")
        left_out = int((~attacked(self.measured)).sum())
        if left_out and any("r_2" in found.differences for found in self.comparisons):
            notes.append("differences of r_2 leave out the images on which DeepFool failed for either model")
        return notes


def check(files: Sequence[Path | str], data: Path | str, options: Options | None = None) -> CheckOutcome:
    """Measure every model on the same images and compare each with the first.

    Args:
        files: models, the dense one first.
        data: the ``.npz`` of :func:`read_examples`.
        options: how.

    Raises:
        ValueError: naming the option, the file or the model that makes no sense.
        FileNotFoundError: if there is no such file.
    """
    options = options or Options()
    if len(set(map(str, files))) < len(files):
        raise ValueError("a model is named twice; name every model once")
    short = [Path(file).name for file in files]
    names = short if len(set(short)) == len(short) else [str(file) for file in files]
    models = [
        load_model(file, escape(name), options.architecture) for file, name in zip(files, names, strict=True)
    ]
    if options.architecture and not any("," in model.format for model in models):
        raise ModelError("--architecture is for files that hold weights alone, safetensors and .caffemodel")
    examples = read_examples(
        data, limit=options.limit, classes=options.classes, scale=options.scale, box=options.box
    )
    low, high = examples.box or (float(examples.x.amin()), float(examples.x.amax()))
    said = options.check_eps(high - low)
    with tqdm(total=len(models) * len(examples.y), unit="image", leave=False, disable=None) as bar:
        measured = [measure(model, examples, options, bar.update) for model in models]
    examples = Examples(examples.x, examples.y, examples.box, (*examples.notes, *said))
    return CheckOutcome(examples, options, tuple(measured), tuple(compare(measured)))


__all__ = ["CheckOutcome", "check"]
