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

from sparse_robust.experiments import Attack, Experiment, Needs, Profile, Spec
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
_BRIEF = {
    "vgg": (_training(15, lr=0.2), _training(1, lr=0.1)),
    "resnet-32": (_training(30, lr=0.4), _training(2, lr=0.2)),
}
"""Dense training and retraining at laptop scale."""
_COSTLY = {"vgg": (500, 50), "resnet-32": (1_000, 100)}
"""Images for DeepFool and C&W at laptop scale."""
_NARROW = {"vgg": 8, "resnet-32": 4}


def image_specs(
    model: Literal["vgg", "resnet-32"],
) -> Mapping[Literal["smoke", "laptop", "paper"], tuple[Spec, ...]]:
    """The specs of a network for CIFAR-10: ``smoke`` on made-up images with narrow nets, and others.

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
    dense, retrain = (replace(training, bfloat16=False) for training in _BRIEF[model])
    images = dict(zip(("DeepFool", "C&W"), _COSTLY[model], strict=True))
    laptop = replace(
        paper,
        dense=dense,
        retrain=retrain,
        attacks=tuple(replace(attack, examples=images.get(attack.name)) for attack in paper.attacks),
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
    return {"smoke": (smoke,), "laptop": (laptop,), "paper": (paper,)}


def _experiment(name: Literal["vgg", "resnet-32"], title: str, laptop: int) -> Experiment:
    """A network for CIFAR-10, with so many seeds at laptop scale, which keeps a core busy for hours each."""
    seeds: dict[Profile, int] = {"smoke": 2, "laptop": laptop, "paper": 10}
    return Experiment(
        name,
        title,
        specs=image_specs(name),
        seeds={scale: tuple(range(n)) for scale, n in seeds.items()},
        needs=Needs(gpus=1),
    )


VGG = _experiment("vgg", "Figure 2 (e-f): the VGG-like net on CIFAR-10", laptop=2)
RESNET_32 = _experiment("resnet-32", "Figure 2 (g-h): ResNet-32 on CIFAR-10", laptop=3)
EXPERIMENTS = (
    VGG,
    RESNET_32,
    *(
        controls(path, f"Controls of {path.title.split(':')[0]}", without=("C&W",), seeds=1)
        for path in (VGG, RESNET_32)
    ),
)
