"""The loss of a mini-batch of colour images: augmentation, dropout and half precision, all on the device.

The data set lies on the device as bytes. One batch is one gather, which crops and flips on its way; what is
random about it is drawn on the CPU, an epoch at a time, from streams of the replica's seed. On a GPU the
whole of it is compiled (TORCH_COMPILE_DISABLE=1 runs it as it is written), and nothing waits for the GPU
before training ends.
"""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sparse_robust.models.cifar import ImageClassifier
from sparse_robust.rng import stream

from .descent import Training

Draw = tuple[Tensor | None, Tensor]
"""What is random about a batch: moves int64 [R, batch, 3] (down, right, flip) and noise keys int32 [R, 2]."""


def draws(
    seeds: Sequence[int],
    stage: str,
    examples: int,
    batch_size: int,
    margin: int,
    device: torch.device | str = "cpu",
) -> Iterator[Draw]:
    """Endless draws for the batches of :func:`~.training.batches`; row r depends on ``seeds[r]`` alone.

    Args:
        seeds: one per replica.
        stage: names the streams, ``augment/<stage>`` and ``dropout/<stage>``.
        examples: of the data set.
        batch_size: of a batch.
        margin: how far a crop may be shifted, in pixels; without one there are no moves.
        device: where the draws are needed.
    """
    movers = [stream(seed, f"augment/{stage}") for seed in seeds]
    makers = [stream(seed, f"dropout/{stage}") for seed in seeds]
    count, size = examples // batch_size, 2**31
    while True:
        keys = torch.stack(
            [torch.randint(-size, size, (count, 2), generator=g, dtype=torch.int32) for g in makers], 1
        ).to(device)
        if not margin:
            yield from ((None, key) for key in keys)
            continue
        shape = (count, batch_size)
        moves = torch.stack(
            [
                torch.cat(
                    [
                        torch.randint(-margin, margin + 1, (*shape, 2), generator=g),
                        torch.randint(2, (*shape, 1), generator=g),
                    ],
                    -1,
                )
                for g in movers
            ],
            1,
        ).to(device)
        yield from zip(moves, keys, strict=True)


def moved(x: Tensor, index: Tensor, moves: Tensor) -> Tensor:
    """The images ``x[index]``, each shifted inside a margin that mirrors it, then perhaps flipped.

    Pixel (i, j) of a moved image is pixel (i + down, j + right) of the one it was, before the flip, where
    coordinates beyond an edge turn back there.

    Args:
        x: [N, C, H, W].
        index: [R, batch].
        moves: int64 [R, batch, 3]: down, right, and 1 for a mirror image.

    Returns:
        [R, batch, C, H, W].
    """
    channels, height, width = x.shape[1:]
    down, right, flip = moves.unbind(-1)  # [R, batch]
    rows = reflected(torch.arange(height, device=x.device) + down.unsqueeze(-1), height)
    ahead = torch.arange(width, device=x.device)
    columns = torch.where(flip.unsqueeze(-1) == 1, width - 1 - ahead, ahead) + right.unsqueeze(-1)
    columns = reflected(columns, width)
    channel = torch.arange(channels, device=x.device)[:, None, None]
    return x[index[..., None, None, None], channel, rows[..., None, :, None], columns[..., None, None, :]]


def reflected(position: Tensor, size: int) -> Tensor:
    """Positions up to size - 1 beyond an edge, mirrored at the edge pixel."""
    return (size - 1) - ((size - 1) - position.abs()).abs()


def batch_loss(
    model: ImageClassifier,
    x: Tensor,
    y: Tensor,
    index: Tensor,
    moves: Tensor | None,
    noise: Tensor,
    half: bool,
) -> Tensor:
    """The summed cross-entropy of a batch over all replicas; with ``half`` the model is in bfloat16."""
    images = (x[index] if moves is None else moved(x, index, moves)) / 255
    with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
        logits = model(images, noise)
    return functional.cross_entropy(logits.float().flatten(0, 1), y[index].flatten(), reduction="sum")


@functools.cache
def compiled_loss() -> Callable[..., Any]:
    """:func:`batch_loss`, compiled once for each kind of model."""
    return torch.compile(batch_loss, dynamic=False)


def objective(
    model: ImageClassifier,
    x: Tensor,
    y: Tensor,
    options: Training,
    *,
    seeds: Sequence[int],
    stage: str,
    dropout: float = 1.0,
    compiled: bool | None = None,
    done: int = 0,
) -> Callable[[Tensor], Tensor]:
    """The loss that :func:`~.training.train` minimises, as a function of the batch's indices [R, batch].

    Args:
        model: [R, N, *D] -> [R, N, K].
        x: uint8 [N, 3, 32, 32], on the model's device.
        y: their classes [N], int64.
        options: augmentation and precision.
        seeds: one per replica.
        stage: names the streams of moves and dropout.
        dropout: the share of the architecture's dropout probabilities to use.
        compiled: whether to compile; None for on a GPU.
        done: steps of the stage that came before the first call.
    """
    model.use_dropout(dropout)
    every = draws(seeds, stage, len(x), options.batch_size, options.augment, x.device)
    drawn = itertools.islice(every, done, None)
    loss = compiled_loss() if (x.is_cuda if compiled is None else compiled) else batch_loss

    def value(index: Tensor) -> Tensor:
        moves, noise = next(drawn)
        result: Tensor = loss(model, x, y, index, moves, noise, options.bfloat16)
        return result

    return value
