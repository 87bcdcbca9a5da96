"""The protocol of stronger attacks along the pruning path of LeNet-300-100."""

from dataclasses import replace

from sparse_robust.experiments import Attack, Experiment, Profile, Spec
from sparse_robust.studies.lenet.specs import LENET_300_100


def strong_attacks() -> Experiment:
    """The paper's attacks and stronger ones, on the same images; checkpoints are those of ``lenet-300-100``.

    DeepFool stands here twice, as in the paper, which lets pixels leave their range, and in the range, which
    is where the minimal-norm attack stays.
    """

    def attacked(profile: Profile, examples: int, steps: int) -> tuple[Spec, ...]:
        (spec,) = LENET_300_100.specs[profile]
        overshoot = (("overshoot", 0.02),)
        chosen = (
            Attack("FGS"),
            Attack("PGD", (("steps", 20),)),
            Attack("APGD", (("steps", steps),)),
            Attack("DeepFool", overshoot),
            Attack("DeepFool in the box", overshoot),
            Attack("minimal l_2"),
        )
        return (replace(spec, attacks=chosen, test_examples=examples),)

    return Experiment(
        "strong-attacks",
        "LeNet-300-100 under stronger attacks, along the pruning path",
        specs={
            "smoke": attacked("smoke", 20, 10),
            "laptop": attacked("laptop", 200, 50),
            "paper": attacked("paper", 1_000, 100),
        },
        seeds={"smoke": (0, 1), "laptop": (0, 1, 2), "paper": (0, 1, 2)},
    )


STRONG_ATTACKS = strong_attacks()
EXPERIMENTS = (STRONG_ATTACKS,)
