"""What is measured of one model, image by image, so that models can be compared over the same images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sparse_robust.attacks import deepfool, fast_gradient_sign
from sparse_robust.metrics import total_sparsity

from .examples import Examples
from .graph import first_line
from .model import Model, ModelError


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
    """

    name: str
    format: str
    sparsity: float | None
    correct: Tensor
    resisted: Tensor
    radius: Tensor
    silent: Tensor | None
    notes: tuple[str, ...]

    @property
    def failed(self) -> Tensor:
        """Bool [N], where DeepFool found nothing."""
        return self.radius.isinf()


def measure(
    model: Model,
    examples: Examples,
    *,
    eps: float,
    batch: int,
    progress: Callable[[int], object] = lambda count: None,
) -> Measured:
    """Accuracy, FGS and DeepFool (the paper's r_inf and r_2) and sparsities of one model.

    FGS is clipped to the box of the examples, if they have one; DeepFool has no box, as in the paper.

    Args:
        model: from a file.
        examples: what to classify.
        eps: of FGS, in the units of x.
        batch: examples at once.
        progress: told the number of examples just done.

    Raises:
        ModelError: if the model does not take the inputs, or its outputs are no logits of the labels.
    """
    parts: list[tuple[Tensor, ...]] = []
    try:
        x = model.arrange(examples.x)
        for inputs, labels in zip(x.split(batch), examples.y.split(batch), strict=True):
            parts.append(_attack(model, Examples(inputs, labels, examples.box), eps))
            progress(len(labels))
    except ModelError as error:
        raise ModelError(f"{model.name}: {error}") from None
    correct, resisted, radius, *silent = (torch.cat(column) for column in zip(*parts, strict=True))
    flat = {name: weight.unsqueeze(0) for name, weight in model.weights.items()}
    return Measured(
        model.name,
        model.format,
        total_sparsity(flat)[0] if flat else None,
        correct,
        resisted,
        radius,
        silent[0] if silent and len(model.weights) > 1 else None,  # a lone layer reads the input
        model.notes,
    )


def _attack(model: Model, examples: Examples, eps: float) -> tuple[Tensor, ...]:
    """The columns of :class:`Measured` for some of the examples."""
    x, y = examples.x, examples.y
    with torch.no_grad():
        logits, features = model.evaluate(x)
        _check_logits(logits, y)
        alone = model.logits(x[:1])
    if not torch.allclose(alone, logits[:1], rtol=1e-3, atol=1e-3 * float(logits.abs().amax())):
        raise ModelError(
            "returns other logits for an image alone than among others; save it in evaluation mode"
        )
    try:
        fgs = fast_gradient_sign(model.logits, x, y, eps=eps, box=examples.box)
        nearest = deepfool(model.logits, x, y)
    except RuntimeError as error:
        raise ModelError(
            f"no gradients reach the input ({first_line(error)}); "
            "hand over a network that is differentiable from its input to its logits"
        ) from None
    silent = [] if features is None else [(features == 0).flatten(1).double().mean(1)]
    return logits.argmax(-1) == y, ~fgs.flipped, nearest.radius, *silent


def _check_logits(logits: object, labels: Tensor) -> None:
    if (
        not isinstance(logits, Tensor)
        or logits.ndim != 2
        or len(logits) != len(labels)
        or logits.shape[1] < 2
    ):
        found = [*logits.shape] if isinstance(logits, Tensor) else type(logits).__name__
        raise ModelError(f"returns {found} for {len(labels)} examples; logits [N, K], K >= 2, are needed")
    if not logits.isfinite().all():
        raise ModelError("returns logits that are not finite; its weights or the data are not sound")
    classes = logits.shape[1]
    if labels.amin() < 0 or labels.amax() >= classes:
        raise ModelError(
            f"has logits 0 to {classes - 1}, labels go from {labels.amin()} to {labels.amax()}; "
            "name the labels in the order of the logits with --classes"
        )
    if (logits >= 0).all() and torch.allclose(logits.sum(1), torch.ones(len(logits)), atol=1e-4):
        raise ModelError("returns probabilities; attacks need logits: leave out its last softmax")


__all__ = ["Measured", "measure"]
