"""The protocols of LeNet-300-100 and LeNet-5 (paper, section 4.2, Figures 2 (a-d) and 3)."""

from dataclasses import replace
from typing import Literal

from sparse_robust.experiments import Experiment, Profile, Spec
from sparse_robust.studies.protocol import attacks, controls
from sparse_robust.training import Training

# Caffe's training policy, which the paper follows (section 4.2). The paper does not state how long the
# survivors are retrained: here the whole policy again, compressed into a fifth of the iterations, so that
# each round starts at the rate of the reference's first step and ends at that of its last.
CAFFE = Training(
    steps=50_000, lr=0.01, schedule="inv", gamma=1e-4, power=0.75, momentum=0.9, weight_decay=5e-4
)
CAFFE_LAPTOP = replace(CAFFE, steps=6_000, lr=0.02, gamma=1e-3)
CAFFE_AGAIN = replace(CAFFE, steps=10_000, gamma=5e-4)


def lenet_paper(model: Literal["lenet-300-100", "lenet-5"]) -> Spec:
    """The paper's protocol (sections 4.1 and 4.2)."""
    return Spec(
        model=model,
        data="mnist",
        classes=tuple(range(10)),
        dense=CAFFE,
        retrain=CAFFE_AGAIN,
        rounds=16,
        fraction="1/3",
        attacks=attacks(500, searches=5, steps=100),
    )


def lenet_smoke(paper: Spec) -> Spec:
    """A protocol in seconds on the digits that the package carries."""
    return replace(
        paper,
        data="mnist-sample",
        dense=replace(CAFFE, steps=60, lr=0.05, gamma=0.1),
        retrain=replace(CAFFE, steps=20, lr=0.05, gamma=0.3),
        rounds=3,
        attacks=attacks(10, searches=2, steps=20, lr=1.0),
        test_examples=40,
    )


def lenet_300_100() -> Experiment:
    """The perceptron, at three scales."""
    paper = lenet_paper("lenet-300-100")
    laptop = replace(
        paper,
        dense=CAFFE_LAPTOP,
        retrain=replace(CAFFE, steps=1_500, lr=0.02, gamma=4e-3),
        attacks=attacks(100, lr=0.2, searches=5, steps=60),
        test_examples=1_000,
    )
    return Experiment(
        "lenet-300-100",
        "Figures 2 (a-b) and 3: LeNet-300-100 on all ten digits",
        specs={"smoke": (lenet_smoke(paper),), "laptop": (laptop,), "paper": (paper,)},
        seeds={"smoke": (0, 1), "laptop": (0, 1, 2), "paper": tuple(range(10))},
    )


def retraining_study() -> Experiment:
    """Is LeNet-300-100 retrained for long enough? Three times as long, on some of the same seeds.

    Dense references, data and pruning are those of the experiment ``lenet-300-100``, whose rows it is
    compared with, seed by seed.
    """

    def longer(profile: Profile, rounds: int) -> tuple[Spec, ...]:
        (spec,) = lenet_300_100().specs[profile]
        attacks = tuple(attack for attack in spec.attacks if attack.name in ("FGS", "DeepFool"))
        retrain = replace(spec.retrain, steps=3 * spec.retrain.steps, gamma=spec.retrain.gamma / 3)
        return (replace(spec, retrain=retrain, rounds=rounds, attacks=attacks),)

    return Experiment(
        "lenet-300-100-retraining",
        "LeNet-300-100, retrained three times as long after each pruning",
        specs={"smoke": longer("smoke", 2), "laptop": longer("laptop", 8), "paper": longer("paper", 12)},
        seeds={"smoke": (0, 1), "laptop": (0, 1), "paper": (0, 1, 2)},
    )


def lenet_5() -> Experiment:
    """Convolutions are costly on a CPU: the laptop trains as briefly as 98 % accuracy allows.

    What is cheap, accuracy and r_inf, is measured there on more images than distances are.
    """
    paper = lenet_paper("lenet-5")
    laptop = replace(
        paper,
        dense=replace(CAFFE, steps=1_000, lr=0.02, gamma=5e-3),
        retrain=replace(CAFFE, steps=200, lr=0.02, gamma=2.5e-2),
        attacks=attacks(10, deepfool=200, lr=0.2, searches=4, steps=60),
        test_examples=1_000,
    )
    smoke = replace(
        lenet_smoke(paper),
        dense=replace(CAFFE, steps=40, lr=0.05, gamma=0.1),
        retrain=replace(CAFFE, steps=5, lr=0.05, gamma=1.0),
        rounds=2,
        attacks=attacks(5, searches=2, steps=20, lr=1.0),
        test_examples=20,
    )
    return Experiment(
        "lenet-5",
        "Figures 2 (c-d) and 3: LeNet-5 on all ten digits",
        specs={"smoke": (smoke,), "laptop": (laptop,), "paper": (paper,)},
        seeds={"smoke": (0, 1), "laptop": (0, 1, 2), "paper": tuple(range(10))},
    )


LENET_300_100, LENET_5 = lenet_300_100(), lenet_5()
EXPERIMENTS = (
    LENET_300_100,
    retraining_study(),
    LENET_5,
    controls(LENET_300_100, "Controls of Figures 2 (a-b) and 3"),
    controls(LENET_5, "Controls of Figures 2 (c-d) and 3", without=("C&W",), seeds=3),
)
