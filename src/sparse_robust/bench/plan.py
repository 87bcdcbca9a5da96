"""What a study of ImageNet's size would cost, from the times that shards of ours took.

A shard is what one core or GPU does without asking anybody: the training of one model, or one attack on it.
Rows say how long the shards of LeNet-5 took, so they say how many operations a second a core reaches in each
attack; how fast it trains, :mod:`.replicas` has measured. The operations of the larger study are counted.
"""

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet50

from sparse_robust.experiments import Attack, Spec
from sparse_robust.models import NETWORKS

from .budget import Rates, passes

TRAINING = 3
"""Forward passes that a training step costs for an image."""
OURS = "replicas"
"""The way of :data:`.replicas.CONTENDERS` in which experiments are run; on a CPU each core has a seed."""
YEAR = 365.25 * 24 * 3600


@dataclass(frozen=True)
class Study:
    """The paper's protocol, at ImageNet's size.

    Attributes:
        seeds: dense references.
        rounds: prunings.
        epochs: of the dense training, as is usual.
        retraining: epochs after each pruning, as for CIFAR-10 here.
        train: training images.
        test: images on which accuracy, FGS and rFGS are measured.
        classes: among which DeepFool and the margin of C&W choose: the likeliest.
        attacks: with how many images the distances are measured on.
    """

    seeds: int = 10
    rounds: int = 16
    epochs: int = 90
    retraining: int = 3
    train: int = 1_281_167
    test: int = 50_000
    classes: int = 10
    attacks: tuple[Attack, ...] = (
        Attack("FGS"),
        Attack("rFGS"),
        Attack("DeepFool", (("overshoot", 0.02),), 1_000),
        Attack("C&W", (("lr", 0.01), ("searches", 4), ("steps", 60)), 100),
    )


def operations(model: nn.Module, x: Tensor) -> int:
    """Of a forward pass of x; a multiplication with its addition is two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    total: int = counter.get_total_flops()
    return total


def of_resnet_50() -> int:
    """Operations of ResNet-50 for one image of 224 x 224 pixels."""
    with torch.device("meta"):
        return operations(resnet50().eval(), torch.empty(1, 3, 224, 224))


def of_network(spec: Spec) -> int:
    """Operations of a spec's network for one image of 28 x 28 pixels."""
    model = NETWORKS[spec.model].build([0], len(spec.classes), spec.narrow).eval()
    return operations(model, torch.zeros(1, 1, 28 * 28))


def shard_times(spec: Spec, rows: pd.DataFrame, speeds: pd.DataFrame) -> pd.DataFrame:
    """How long shards of a study on MNIST took, and what a core reached in them.

    Args:
        spec: the study's.
        rows: its rows, as :func:`~sparse_robust.experiments.load.stored` reads them.
        speeds: of training on CPUs, as :func:`.speeds.read_speeds` reads them.

    Returns:
        columns what; images that pass in a shard; operations of a shard; shards that were timed; seconds, the
        median of a shard; rate, operations a second.

    Raises:
        ValueError: if nothing was timed.
    """
    one, lines = of_network(spec), []
    timed = speeds[(speeds.net == spec.model) & (speeds.way == OURS)]
    if rows.empty or timed.empty:
        raise ValueError(f"no shard of {spec.model} was timed: run its experiment, and bench replicas")
    images, steps = spec.dense.steps * spec.dense.batch_size, spec.dense.steps
    seconds = (steps * timed.threads / timed.value).median()
    lines.append(("training", images, images * TRAINING * one, len(timed), seconds))
    for attack in spec.attacks:
        shards = rows[rows.attack == attack.name].drop_duplicates(["seed", "round"])
        images = min(attack.examples or int(shards.n.max()), int(shards.n.max()))
        cost = images * passes(attack, len(spec.classes)) * one
        lines.append((attack.name, images, cost, len(shards), shards.seconds.median()))
    times = pd.DataFrame(lines, columns=["what", "images", "operations", "shards", "seconds"])
    return times.assign(rate=times.operations / times.seconds)


def plan(study: Study, measured: pd.DataFrame, gpu: Rates) -> pd.DataFrame:
    """What a study with ResNet-50 would cost at the rates of a core, as measured, and of a GPU, as assumed.

    Returns:
        columns what; shards; operations of a shard; hours of a core and of a GPU for a shard; years of a core
        and days of a GPU for all of them.
    """
    one, models = of_resnet_50(), study.seeds * (study.rounds + 1)
    rates = measured.set_index("what").rate
    lines = []
    for what, epochs, shards in (
        ("dense training", study.epochs, study.seeds),
        ("retraining", study.retraining, study.seeds * study.rounds),
    ):
        cost = epochs * study.train * TRAINING * one
        lines.append((what, shards, cost, cost / rates["training"], cost / gpu.half))
    for attack in study.attacks:
        cost = (attack.examples or study.test) * passes(attack, study.classes) * one
        lines.append((attack.name, models, cost, cost / rates[attack.name], cost / gpu.single))
    table = pd.DataFrame(lines, columns=["what", "shards", "operations", "core", "gpu"])
    return pd.DataFrame(
        {
            "what": table.what,
            "shards": table.shards,
            "operations": table.operations,
            "core-hours a shard": table.core / 3600,
            "GPU-hours a shard": table.gpu / 3600,
            "core-years": table.core * table.shards / YEAR,
            "GPU-days": table.gpu * table.shards / 86400,
        }
    )


def checkpoint_bytes() -> int:
    """Of ResNet-50 after a round: parameters and buffers in single precision, masks in bytes."""
    with torch.device("meta"):
        model = resnet50()
    entries = sum(p.numel() for p in model.parameters() if p.dim() > 1)
    return entries + sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
