"""The protocols on CIFAR-10 (paper, section 4.2, Figure 2 (e-h)).

The paper names the networks, ten references each, their accuracy, the progressive pruning with first and
last layers dense, and no more. So how they are trained is our choice, made for speed: Nesterov momentum with
a rate that rises and falls linearly, large batches in bfloat16, crops and mirror images. Labels are not
smoothed, as that would change the very margins that are measured. After each pruning the survivors are
trained for three passes over the data, so that all sixteen rounds together are about as long as the dense
training; each round repeats its policy at half the rate.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from sparse_robust.experiments import Attack, Experiment, Spec
from sparse_robust.studies.protocol import controls
from sparse_robust.training import Training

BATCH = 512

EPOCH = 50_000 // BATCH
"""Steps of a pass over CIFAR-10."""

_SMOOTH = Training(
    steps=0,
    batch_size=BATCH,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule="linear",
    augment=4,
    bfloat16=True,
)


def _training(epochs: int, lr: float) -> Training:
    """So many passes over CIFAR-10, a tenth of them with a rising rate."""
    steps = epochs * EPOCH
    return replace(_SMOOTH, steps=steps, warmup=steps // 10, lr=lr)


_DENSE = {"vgg": _training(40, lr=0.2), "resnet-32": _training(60, lr=0.4)}
_RETRAIN = {"vgg": _training(3, lr=0.1), "resnet-32": _training(3, lr=0.2)}
_NARROW = {"vgg": 8, "resnet-32": 4}


def image_specs(
    model: Literal["vgg", "resnet-32"],
) -> Mapping[Literal["smoke", "laptop", "paper"], tuple[Spec, ...]]:
    """The specs of a network for CIFAR-10: ``smoke`` on made-up images with narrow nets, and ``paper``.

    FGS and rFGS are run on the whole test set, DeepFool on its first thousand images, C&W, which costs some
    ten times as much an image, on the first hundred.
    """
    paper = Spec(
        model=model,
        data="cifar-10",
        classes=tuple(range(10)),
        dense=_DENSE[model],
        retrain=_RETRAIN[model],
        rounds=16,
        fraction="1/3",
        attacks=(
            Attack("FGS"),
            Attack("rFGS"),
            Attack("DeepFool", (("overshoot", 0.02),), 1_000),
            Attack("C&W", (("lr", 0.01), ("searches", 4), ("steps", 60)), 100),
        ),
        dense_ends=True,
    )
    brief = replace(_SMOOTH, batch_size=16, lr=0.1, warmup=2, bfloat16=False)
    smoke = replace(
        paper,
        data="made-images",
        dense=replace(brief, steps=16),
        retrain=replace(brief, steps=4),
        rounds=1,
        attacks=(
            Attack("FGS"),
            Attack("rFGS"),
            Attack("DeepFool", (("overshoot", 0.02),), 4),
            Attack("C&W", (("lr", 0.2), ("searches", 2), ("steps", 10)), 2),
        ),
        test_examples=10,
        narrow=_NARROW[model],
    )
    return {"smoke": (smoke,), "paper": (paper,)}


def _experiment(name: Literal["vgg", "resnet-32"], title: str) -> Experiment:
    """A network for CIFAR-10; there is no ``laptop``, which it would keep busy for weeks."""
    return Experiment(
        name, title, specs=image_specs(name), seeds={"smoke": (0, 1), "paper": tuple(range(10))}
    )


VGG = _experiment("vgg", "Figure 2 (e-f): the VGG-like net on CIFAR-10")
RESNET_32 = _experiment("resnet-32", "Figure 2 (g-h): ResNet-32 on CIFAR-10")
EXPERIMENTS = (
    VGG,
    RESNET_32,
    *(
        controls(path, f"Controls of {path.title.split(':')[0]}", without=("C&W",), seeds=1)
        for path in (VGG, RESNET_32)
    ),
)
