"""Other ways in which images and labels could be meant: tried, and asked about if one fits much better.

Nothing in a file says whether images are inverted, standardised or transposed, whether the channels of a
flattened image came first or last, or in which order labels were counted. The shapes of a network that was
trained on another convention fit; it is only wrong more often, and all of its numbers with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .examples import Examples
from .model import ModelError
from .ranges import GREY_LEVELS

TRIED = 500
"""Images on which other readings are tried."""

FEWEST = 20
"""Of fewer images, shares say too little for a question."""

ADVANTAGE, LARGE_ADVANTAGE = 0.2, 0.4
"""By how much more accurate a model has to be for another scale of x, or for another convention, to be asked
about."""

NAMED = 20
"""Labels that a message writes out."""

STANDARDS = {
    1: ("MNIST", (0.1307,), (0.3081,)),
    3: ("ImageNet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""By the number of channels: the means and deviations that tutorials subtract and divide by."""


def check_readings(
    examples: Examples, arrange: Callable[[Tensor], Tensor], answers: Callable[[Tensor], Tensor]
) -> None:
    """Refuse images that the model reads much better in another convention, unless the user has chosen.

    Args:
        examples: as they were read, before the model's shape.
        arrange: brings them into that shape.
        answers: the model's classes [N] of arranged images.

    Raises:
        ModelError: saying what to change.
    """
    if examples.scale is None or examples.box is None or len(examples.y) < FEWEST:
        return
    x, y = examples.x[:TRIED], examples.y[:TRIED]
    plain = arrange(x)
    as_it_is = float((answers(plain) == y).double().mean())
    shares = []
    for reading, advantage, words, advice in _readings(x, plain, arrange, examples.scale):
        share = float((answers(reading) == y).double().mean())
        if share > as_it_is + advantage:
            shares.append((share, words, advice))
    if shares:
        share, words, advice = max(shares)
        raise ModelError(
            f"classifies {as_it_is:.0%} of the images as they are and {share:.0%} with {words}: {advice} "
            f"for that, or say --scale={examples.scale:g} if x is meant as it is"
        )


def doubts(
    examples: Examples, arrange: Callable[[Tensor], Tensor], answers: Callable[[Tensor], Tensor]
) -> tuple[str, ...]:
    """What to say of a box that the user chose, if the model is much better on the same images in [0, 1]."""
    if examples.scale is not None or examples.box in (None, (0.0, 1.0)) or len(examples.y) < FEWEST:
        return ()
    low, high = examples.box
    x, y = examples.x[:TRIED], examples.y[:TRIED]
    as_it_is, share = (
        float((answers(arrange(images)) == y).double().mean()) for images in (x, (x - low) / (high - low))
    )
    if share <= as_it_is + ADVANTAGE:
        return ()
    return (
        f"classifies {as_it_is:.0%} of the images in the box [{low:g}, {high:g}] and {share:.0%} of the same "
        "in [0, 1]: is x in the units that it reads?",
    )


def _readings(
    x: Tensor, plain: Tensor, arrange: Callable[[Tensor], Tensor], scale: float
) -> Iterator[tuple[Tensor, float, str, str]]:
    """Images in other conventions, arranged; the advantage asked of them, what they are and what to do."""
    times, over = f"say --scale={scale / GREY_LEVELS:.6g} --box=0,{GREY_LEVELS}", scale * GREY_LEVELS
    yield plain * GREY_LEVELS, ADVANTAGE, f"x times {GREY_LEVELS}", times
    yield plain / GREY_LEVELS, ADVANTAGE, f"x over {GREY_LEVELS}", f"say --scale={over:.6g}"
    rest = LARGE_ADVANTAGE
    yield 1 - plain, rest, "light and dark exchanged", "store 1 - x in the .npz"
    yield 2 * plain - 1, rest, "x in [-1, 1]", "store 2 * x - 1 in the .npz and say --box=-1,1"
    channels = _channels(x)
    if channels is not None:
        axis, number = channels
        name, means, deviations = STANDARDS[number]
        shape = [-1 if place == axis else 1 for place in range(x.ndim)] if axis else [1] * x.ndim
        mean, deviation = (torch.tensor(part).reshape(shape) for part in (means, deviations))
        low, high = float(((0 - mean) / deviation).min()), float(((1 - mean) / deviation).max())
        yield (
            arrange((x - mean) / deviation),
            rest,
            f"x standardised by {name}'s mean and deviation",
            f"store (x - {[*means]}) / {[*deviations]} in the .npz and say --box={low:.4g},{high:.4g}",
        )
        if number == 3 and plain.ndim == 2:
            moved = x.movedim(1, -1) if axis == 1 else x.movedim(-1, 1)
            words = f"channels {'last' if axis == 1 else 'first'}"
            yield moved.flatten(1), rest, words, f"store x with {words} in the .npz"
    if (rows := _square(x, channels)) is not None:
        turned = arrange(x.transpose(rows, rows + 1))
        yield turned, rest, "rows and columns exchanged", f"store x.swapaxes({rows}, {rows + 1}) in the .npz"


def _channels(x: Tensor) -> tuple[int | None, int] | None:
    """The axis of the channels, None if there is none, and their number, if that is 1 or 3."""
    if x.ndim == 4:
        return next(((axis, x.shape[axis]) for axis in (1, 3) if x.shape[axis] in STANDARDS), None)
    return (None, 1) if x.ndim == 3 or x.ndim == 2 else None


def _square(x: Tensor, channels: tuple[int | None, int] | None) -> int | None:
    """The axis of the rows, if images are square."""
    rows = 2 if channels is not None and channels[0] == 1 else 1
    return rows if x.ndim in (3, 4) and x.ndim > rows + 1 and x.shape[rows] == x.shape[rows + 1] else None


def check_labels(logits: Tensor, examples: Examples) -> None:
    """Refuse labels that the model gives in another order, such as from one on, unless the user named them.

    Raises:
        ModelError: naming the order that would fit.
    """
    y, classes = examples.y, logits.shape[1]
    if examples.classes is not None or len(y) < max(FEWEST, 5 * classes):
        return
    answers = logits.argmax(1)
    counts = torch.bincount(answers * classes + y, minlength=classes**2).reshape(classes, classes)
    order = counts.argmax(1)  # for each logit the label that it is most often given for
    as_it_is = float(counts.diagonal().sum()) / len(y)
    share = float(counts.amax(1).sum()) / len(y)
    if share > as_it_is + LARGE_ADVANTAGE and len(set(order.tolist())) == classes:
        named = ",".join(map(str, order.tolist())) if classes <= NAMED else "..."
        raise ModelError(
            f"classifies {as_it_is:.0%} of the images as labelled and {share:.0%} with the labels in another "
            f"order: say --classes={named} for that, or name 0,1,2,... if they are meant as they are"
        )


__all__ = ["check_labels", "check_readings", "doubts"]
