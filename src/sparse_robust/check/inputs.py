"""Whether a model and the data belong together: shape, type, range, classes; asked before any attack."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .examples import Examples
from .limits import Bounded
from .memory import halving
from .model import Evaluation, Model, ModelError
from .ranges import GREY_LEVELS
from .readings import check_labels, check_readings, doubts

COMPARED = 4
"""Images whose logits are compared with another program's."""


def fit(model: Model, examples: Examples, batch: int) -> tuple[Model, Examples]:
    """The model and the examples in the units and the shape in which they fit together.

    Raises:
        ModelError: if they do not, or the model's outputs are no logits of the labels.
    """
    x = model.arrange(examples.x)
    if model.takes_bytes:
        model = _reading_bytes(model, examples)
    with torch.no_grad(), Bounded():
        first = model.logits(x[:1])
    if isinstance(first, Tensor) and first.ndim > 2 and first.shape[2:].numel() == 1:
        model = _flattened(model)
    if model.verify is not None:
        model.verify(x[:COMPARED])
    logits = logits_of(model, x, batch)
    check_logits(logits, examples)
    check_labels(logits, examples)

    def answers(images: Tensor) -> Tensor:
        return logits_of(model, images, batch).argmax(1)

    check_readings(examples, model.arrange, answers)
    said = doubts(examples, model.arrange, answers)
    examples = replace(examples, x=x)
    correct = int((logits.argmax(1) == examples.y).sum())
    if not correct:
        raise ModelError(
            f"classifies none of {len(x)} images correctly, so nothing can be attacked: name the labels in "
            "the order of the logits with --classes, or how x is scaled with --scale"
        )
    if correct <= int(examples.y.bincount().amax()):
        note = (
            "classifies no better than always answering the most frequent label: its robustness says little"
        )
        said = (*said, note)
    return replace(model, notes=(*model.notes, *said)), examples


def _flattened(model: Model) -> Model:
    """The same for logits [N, K, 1, 1], as networks without a last linear layer return them."""

    def evaluate(x: Tensor) -> Evaluation:
        logits, features = model.evaluate(x)
        return logits.flatten(1), features

    return replace(model, evaluate=evaluate)


def _reading_bytes(model: Model, examples: Examples) -> Model:
    if examples.box is None or examples.box[0] != 0:
        raise ModelError("takes uint8, 0 to 255; data in a box that starts with 0 are needed, see --box")
    factor = GREY_LEVELS / examples.box[1]
    note = f"takes uint8: x is multiplied by {factor:g}; attacks move between whole bytes"
    verify = model.verify
    return replace(
        model.multiplied(factor),
        notes=(*model.notes, note),
        verify=None if verify is None else lambda x: verify(x * factor),
    )


def logits_of(model: Model, x: Tensor, batch: int) -> Tensor:
    """Logits [N, K] of all examples; whatever the model returns if that is no tensor."""

    def evaluate(first: int, last: int) -> Tensor:
        with torch.no_grad():
            logits = model.logits(x[first:last])
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != last - first:
            shown = [*logits.shape] if isinstance(logits, Tensor) else type(logits).__name__
            raise ModelError(
                f"returns {shown} for {last - first} examples; logits [N, K], K >= 2, are needed: "
                "one number for each class"
            )
        return logits

    parts, _ = halving(evaluate, len(x), batch)
    return torch.cat(parts)


def check_logits(logits: Tensor, examples: Examples) -> None:
    """Refuse outputs [N, K] that are no logits of the examples' labels.

    Raises:
        ModelError: saying what they are.
    """
    labels, classes = examples.y, logits.shape[1]
    if classes < 2:
        raise ModelError(
            f"returns [{len(logits)}, 1] for {len(logits)} examples; logits [N, K], K >= 2, are needed: "
            "of a single score f, hand over -f/2 and f/2"
        )
    if not logits.isfinite().all():
        raise ModelError("returns logits that are not finite; its weights or the data are not sound")
    if examples.classes is not None and examples.classes != classes:
        raise ModelError(
            f"has {classes} logits, --classes names {examples.classes}; name the label of every logit, "
            "or keep only the images that you mean in the .npz"
        )
    if labels.amin() < 0 or labels.amax() >= classes:
        raise ModelError(
            f"has logits 0 to {classes - 1}, labels go from {labels.amin()} to {labels.amax()}; "
            "name the labels in the order of the logits with --classes"
        )
    if (logits >= 0).all() and torch.allclose(logits.sum(1), torch.ones(len(logits)), atol=1e-4):
        raise ModelError("returns probabilities; attacks need logits: leave out its last softmax")
    if (logits >= 0).all() and (logits <= 1).all() and not (logits == logits[:1]).all():
        raise ModelError(
            "returns numbers in [0, 1] alone, as a sigmoid does; attacks need logits: leave that out"
        )


__all__ = ["check_logits", "fit", "logits_of"]
