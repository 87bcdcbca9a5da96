"""The steps of one experiment that make its models: data, training, pruning. No storage, no loops."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from sparse_robust.data import (
    Dataset,
    embedded_digits,
    load_cifar10,
    load_mnist,
    made_images,
    pixels,
    published_model,
    read_caffemodel,
    select_classes,
)
from sparse_robust.models import Classifier, prunable
from sparse_robust.pruning import Operation, Surgery, dense_masks, prune_at_random, prune_layers
from sparse_robust.training import Snapshot, State, Watch, objective, snapshot, train, trained

from .checkpoints import MASK, Checkpoint
from .machine import Program, running
from .spec import Spec


class StateKeeper(Protocol):
    """Who keeps the state of a training that may be cut short, see :class:`.unfinished.Keeper`."""

    earlier: float

    def find(self, like: Mapping[str, Tensor]) -> State | None:
        """Where it was cut short, if that is kept."""

    def __call__(self, steps: int, state: Snapshot) -> None:
        """Keep its state if it is time."""


def load(spec: Spec, root: Path | str | None) -> Dataset:
    """The data that the spec names, all classes."""
    match spec.data:
        case "mnist-sample":
            return embedded_digits()
        case "mnist":
            return load_mnist(root)
        case "made-images":
            return made_images()
        case "cifar-10":
            return load_cifar10(root)


@dataclass(frozen=True)
class Arrays:
    """A spec's data on the device: inputs [N, D] in [0, 1] and class indices [N].

    Training images in colour stay bytes, uint8 [N, 3, 32, 32]: they are cropped before they are scaled.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor


def arrays(spec: Spec, dataset: Dataset, device: torch.device) -> Arrays:
    """Choose the classes, scale to [0, 1], flatten, and move to the device once."""
    chosen = select_classes(dataset, spec.classes)
    shown = slice(spec.test_examples)
    return Arrays(
        (chosen.train.images if spec.network.colour else pixels(chosen.train).flatten(1)).to(device),
        chosen.train.labels.to(device),
        pixels(chosen.test).flatten(1)[shown].to(device),
        chosen.test.labels[shown].to(device),
    )


@dataclass(frozen=True)
class Population:
    """R replicas and their masks.

    Attributes:
        seconds: [R], how long the last training took; None if that is not known.
        programs: [R], what trained it last; None if that is not known.
    """

    model: Classifier
    masks: dict[str, Tensor]
    seconds: tuple[float | None, ...]
    programs: tuple[Program | None, ...]

    def state(self) -> dict[str, Tensor]:
        """Parameters, buffers and masks by name, [R, ...]."""
        return dict(self.model.state_dict()) | {MASK + name: mask for name, mask in self.masks.items()}

    def split(self) -> list[Checkpoint]:
        """Each replica, to store."""
        state = self.state()
        return [
            Checkpoint({name: tensor[r] for name, tensor in state.items()}, seconds, program)
            for r, (seconds, program) in enumerate(zip(self.seconds, self.programs, strict=True))
        ]


def untimed(model: Classifier, masks: dict[str, Tensor], replicas: int) -> Population:
    """Replicas of which nobody knows what trained them, and for how long."""
    return Population(model, masks, (None,) * replicas, (None,) * replicas)


def build(spec: Spec, seeds: Sequence[int], device: torch.device) -> Population:
    """Untrained replicas, nothing pruned."""
    model = spec.network.build(seeds, len(spec.classes), spec.narrow).to(device)
    return untimed(model, dense_masks(model), len(seeds))


def published(spec: Spec, seeds: Sequence[int], device: torch.device, root: Path | str | None) -> Population:
    """The published model that the spec names, once for each seed; what is zero in it stays pruned.

    Raises:
        MissingModelError: if its file cannot be had.
        DataError: if its file is damaged.
    """
    assert spec.weights is not None
    model = build(spec, seeds, device).model
    blobs = [blob for layer in read_caffemodel(published_model(spec.weights, root)) for blob in layer.blobs]
    with torch.no_grad():
        for parameter, blob in zip(model.parameters(), blobs, strict=True):
            parameter.copy_(torch.from_numpy(blob).view(parameter.shape[1:]))
    masks = {name: weight != 0 for name, weight in prunable(model).items()}
    return untimed(model.eval(), masks, len(seeds))


def join(
    spec: Spec, seeds: Sequence[int], checkpoints: Sequence[Checkpoint], device: torch.device
) -> Population:
    """The inverse of :meth:`Population.split`."""
    population = build(spec, seeds, device)
    state = {
        name: torch.stack([c.tensors[name] for c in checkpoints]).to(device)
        for name in checkpoints[0].tensors
    }
    masks = {name: state.pop(MASK + name) for name in population.masks}
    population.model.load_state_dict(state)
    seconds, programs = zip(*((c.seconds, c.program) for c in checkpoints), strict=True)
    return Population(population.model.eval(), masks, seconds, programs)


def advance(
    spec: Spec,
    population: Population,
    data: Arrays,
    seeds: Sequence[int],
    round_: int,
    progress: Any,
    keeper: StateKeeper | None = None,
) -> Population:
    """Train the dense references (round 0), or prune once and retrain (rounds 1 to m), in place.

    With surgery, rounds 1 to m are operations, and ``population`` are the dense references for each.

    Where there is dropout its probabilities fall with the square root of the share of connections that is
    left (Han et al. 2015, section 3.2), here as if every layer was pruned.

    With a ``keeper``, training goes on where it was cut short, from the same ``population``.
    """
    start = time.perf_counter()
    if round_ > 0 and spec.surgery is not None:
        surgery = spec.surgery.surgeries[round_ - 1]
        masks = operate(spec, surgery, population.model, data, seeds, progress, keeper)
    else:
        masks = descend(spec, population, data, seeds, round_, progress, keeper)
    earlier = keeper.earlier if keeper else 0.0
    seconds = (earlier + time.perf_counter() - start) / len(seeds)
    program = running(data.x_train.device, len(seeds))
    return Population(population.model, masks, (seconds,) * len(seeds), (program,) * len(seeds))


def operate(
    spec: Spec,
    surgery: Surgery,
    model: Classifier,
    data: Arrays,
    seeds: Sequence[int],
    progress: Any,
    keeper: StateKeeper | None,
) -> dict[str, Tensor]:
    """Train under dynamic network surgery, in place; the masks that it ends with."""
    operation = Operation(model, surgery, seeds=seeds, stage="surgery")
    options = spec.training(1)

    def masks() -> dict[str, Tensor]:
        return {OPERATED + name: mask for name, mask in operation.masks.items()}

    start, watch = resumption(model, keeper, masks)
    if start is not None:
        for name, mask in operation.masks.items():
            mask.copy_(start.tensors[OPERATED + name])
    train(
        model,
        {},
        data.x_train,
        data.y_train,
        options,
        seeds=seeds,
        stage="surgery",
        progress=progress,
        view=operation,
        start=start,
        watch=watch,
    )
    return operation.close()


OPERATED = "surgery/"
"""Before the name of the parameter of which surgery has a mask, which the weights outlive."""


def resumption(
    model: Classifier, keeper: StateKeeper | None, more: Snapshot = dict
) -> tuple[State | None, Watch | None]:
    """Where to go on with the training of a model, and what keeps its state from then on.

    Args:
        model: as it is before the stage.
        keeper: None to start at the start, and to keep nothing.
        more: tensors by name that belong to the state beside those of the descent.
    """
    if keeper is None:
        return None, None
    start = keeper.find(snapshot(model, trained(model)) | more())
    return start, lambda steps, state: keeper(steps, lambda: state() | more())


def descend(
    spec: Spec,
    population: Population,
    data: Arrays,
    seeds: Sequence[int],
    round_: int,
    progress: Any,
    keeper: StateKeeper | None = None,
) -> dict[str, Tensor]:
    """Prune unless it is round 0, then train under the masks, in place; the masks."""
    model: Any = population.model
    masks, stage = population.masks, f"round-{round_}"
    examples, options, network = (data.x_train, data.y_train), spec.training(round_), spec.network
    if round_ > 0:
        chosen = pruned_layers(spec, masks)
        match spec.selection:
            case "magnitude":
                masks = masks | prune_layers(model, chosen, spec.rho)
            case "random":
                masks = masks | prune_at_random(chosen, spec.rho, seeds=seeds, stage=stage)
            case "none":
                pass
    start, watch = resumption(model, keeper)
    loss, gradients = None, None
    if network.colour:
        share, done = float(1 - spec.rho) ** (round_ / 2), start.steps if start else 0
        loss = objective(model, *examples, options, seeds=seeds, stage=stage, dropout=share, done=done)
    elif network.gradients and len(seeds) == 1 and data.x_train.device.type == "cpu":
        gradients = network.gradients(model, *examples, options.batch_size)
    train(
        model,
        masks,
        *examples,
        options,
        seeds=seeds,
        stage=stage,
        progress=progress,
        objective=loss,
        gradients=gradients,
        start=start,
        watch=watch,
    )
    return masks


def pruned_layers(spec: Spec, masks: dict[str, Tensor]) -> dict[str, Tensor]:
    """The masks that a round of pruning shrinks: all, or all but those of the first and the last layer."""
    return dict(list(masks.items())[1:-1]) if spec.dense_ends else masks
