"""What is measured of one model, image by image, so that models can be compared over the same images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sparse_robust.attacks import deepfool, fast_gradient_sign
from sparse_robust.metrics import total_sparsity

from .examples import Examples
from .inputs import fit, logits_of
from .memory import BatchMemoryError, halving, out_of_memory
from .model import Model, ModelError
from .options import Options
from .strong import Stronger, strongest
from .text import first_line

CANDIDATES = 20
"""Other classes that DeepFool tries in each step, those with the highest logits. A step costs a backward pass
for each: all of a thousand would take a hundred times as long, and the nearest boundary is rarely a class's
that lies so far behind (Moosavi-Dezfooli et al. try the first 10)."""

FAILING = 0.1
"""A larger share of failures among the images classified correctly leaves r_2 undefined."""

PICTURES = 6
"""First images whose adversarial examples are kept to be shown."""


@dataclass(frozen=True)
class Pictures:
    """Adversarial examples of the first images.

    Attributes:
        x: [P, *D], the images.
        fgs: [P, *D], what FGS makes of them.
        answers: [P, 2], the classes of x and of fgs by the model.
    """

    x: Tensor
    fgs: Tensor
    answers: Tensor


@dataclass(frozen=True)
class Measured:
    """One number for each example.

    Attributes:
        name: of the model.
        format: of its file.
        sparsity: the exact fraction of zeros among all weights; None without weights.
        correct: bool [N], classified correctly.
        resisted: bool [N], classified correctly after FGS.
        radius: [N], distance of DeepFool's example; 0 where misclassified, infinite where the attack failed.
        silent: [N], fraction of zeros in what the last layer reads; None where that cannot be observed.
        notes: what the user has to know.
        layers: the fraction of zeros of each layer's weight, by name.
        diameter: of the box of x, in l_2; None without a box.
        assumption: what the model's file leaves open.
        pictures: of the first images.
        stronger: what stronger attacks found, if they were asked for.
    """

    name: str
    format: str
    sparsity: float | None
    correct: Tensor
    resisted: Tensor
    radius: Tensor
    silent: Tensor | None = None
    notes: tuple[str, ...] = ()
    layers: Mapping[str, float] | None = None
    diameter: float | None = None
    assumption: str | None = None
    pictures: Pictures | None = None
    stronger: Stronger | None = None

    @property
    def failed(self) -> Tensor:
        """Bool [N], where DeepFool found nothing."""
        return self.radius.isinf()

    @property
    def unsound(self) -> str | None:
        """Why r_2 has no value, or None if it has one."""
        failures, tried = int(self.failed.sum()), int(self.correct.sum())
        if failures > FAILING * tried:
            return (
                f"DeepFool failed on {failures} of the {tried} images classified correctly, where no "
                "gradient leads to another class: r_2 is not defined"
            )
        mean = float(self.radius[~self.failed].mean())
        if self.diameter is not None and mean > self.diameter:
            return (
                f"DeepFool's mean distance, {mean:.4g}, is beyond the diameter of the box, "
                f"{self.diameter:.4g}: there are no such images, and r_2 is not defined"
            )
        return None


def measure(
    model: Model,
    examples: Examples,
    options: Options,
    progress: Callable[[int], object] = lambda count: None,
) -> Measured:
    """Accuracy, FGS and DeepFool (the paper's r_inf and r_2) and sparsities of one model.

    FGS is clipped to the box of the examples, if they have one; DeepFool has no box, as in the paper.

    Args:
        model: from a file.
        examples: what to classify.
        options: eps and the batch, which is halved where memory runs out, and whether to attack strongly.
        progress: told the number of examples just done.

    Raises:
        ModelError: if the model does not take the inputs, or its outputs are no logits of the labels.
    """
    try:
        return _measure(model, examples, options, progress)
    except ModelError as error:
        raise ModelError(f"{model.name}: {error}") from None
    except BatchMemoryError:
        raise ModelError(
            f"{model.name}: memory runs out even for one image at a time; free some, or take smaller models"
        ) from None


def _measure(
    model: Model, examples: Examples, options: Options, progress: Callable[[int], object]
) -> Measured:
    model, examples = fit(model, examples, options.batch)
    x, y = examples.x, examples.y

    def attack(first: int, last: int) -> tuple[Tensor, ...]:
        columns = _attack(model, x[first:last], y[first:last], examples, options)
        progress(last - first)
        return columns

    parts, used = halving(attack, len(y), options.batch)
    correct, resisted, radius, moved, *rest = (torch.cat(column) for column in zip(*parts, strict=True))
    classes = logits_of(model, x[:1], 1).shape[1]
    stronger = Stronger(*rest[-2:]) if options.strong else None
    silent = rest[0] if len(rest) % 2 else None
    flat = {name: weight.unsqueeze(0) for name, weight in model.weights.items()}
    diameter = None if examples.box is None else (examples.box[1] - examples.box[0]) * x[0].numel() ** 0.5
    return Measured(
        model.name,
        model.format,
        total_sparsity(flat)[0] if flat else None,
        correct,
        resisted,
        radius,
        silent if len(model.weights) > 1 else None,  # a lone layer reads the input
        (*model.notes, *_notes(options, classes, used, correct, radius, moved, diameter)),
        {name: float((weight == 0).double().mean()) for name, weight in model.weights.items()},
        diameter,
        model.assumption,
        _pictures(model, examples, options.eps, used),
        stronger,
    )


def _notes(
    options: Options,
    classes: int,
    used: int,
    correct: Tensor,
    radius: Tensor,
    moved: Tensor,
    diameter: float | None,
) -> list[str]:
    notes = []
    if classes - 1 > CANDIDATES:
        notes.append(f"DeepFool tries the {CANDIDATES} leading classes of {classes - 1} others in each step")
    if used < min(options.batch, len(correct)):
        notes.append(f"attacked {used} images at a time, for want of memory")
    still = int((correct & ~moved).sum())
    if still and options.eps:
        notes.append(
            f"no gradient reaches {still} of the images classified correctly, so FGS leaves them alone"
        )
    if diameter is not None and (far := int(((radius > diameter) & radius.isfinite()).sum())):
        notes.append(f"DeepFool leads {far} images farther than the box is wide ({diameter:.4g})")
    return notes


def _attack(model: Model, x: Tensor, y: Tensor, examples: Examples, options: Options) -> tuple[Tensor, ...]:
    """Correct, resisted, radius, moved; what is silent in the last layer; stronger attacks: columns [N]."""
    with torch.no_grad():
        logits, features = model.evaluate(x)
        alone = model.logits(x[:1])
    if not torch.allclose(alone, logits[:1], rtol=1e-3, atol=1e-3 * float(logits.abs().amax())):
        raise ModelError(
            "returns other logits for an image alone than among others; save it in evaluation mode"
        )
    try:
        fgs = fast_gradient_sign(model.logits, x, y, eps=options.eps, box=examples.box)
        nearest = deepfool(model.logits, x, y, classes=CANDIDATES)
        stronger = (
            strongest(model.logits, x, y, fgs, nearest, options.eps, examples.box) if options.strong else None
        )
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise ModelError(
            f"no gradients reach the input ({first_line(error)}); "
            "hand over a network that is differentiable from its input to its logits"
        ) from None
    silent = [] if features is None else [(features == 0).flatten(1).double().mean(1)]
    moved = (fgs.x_adv != x).flatten(1).any(1)
    columns = (logits.argmax(-1) == y, ~fgs.flipped, nearest.radius, moved, *silent)
    return columns if stronger is None else (*columns, stronger.resisted, stronger.radius)


def _pictures(model: Model, examples: Examples, eps: float, batch: int) -> Pictures:
    def draw(first: int, last: int) -> Tensor:
        x, y = examples.x[first:last], examples.y[first:last]
        return fast_gradient_sign(model.logits, x, y, eps=eps, box=examples.box).x_adv

    x = examples.x[:PICTURES]
    fgs = torch.cat(halving(draw, len(x), batch)[0])
    answers = [logits_of(model, images, batch).argmax(1) for images in (x, fgs)]
    return Pictures(x, fgs, torch.stack(answers, 1))


__all__ = ["Measured", "Pictures", "measure"]
