"""The protocol of Table 3 (paper, section 4.2): CLEVER along the pruning path of LeNet-300-100."""

from collections.abc import Mapping
from dataclasses import replace

from sparse_robust.experiments import Attack, Experiment, Profile, Spec
from sparse_robust.studies.lenet.specs import LENET_300_100


def scores_of(name: str, title: str, images: Mapping[Profile, int], seeds: int) -> Experiment:
    """CLEVER along the pruning path of ``lenet-300-100``, whose checkpoints it shares.

    The l_2 radius is 5, the l_infinity radius that of FGS. The paper states neither these nor the number
    of points or images; here there are fewer points than Weng et al. draw.

    Args:
        name: of the experiment.
        title: of the experiment.
        images: how many, by profile; of up to two hundred each score is kept beside the rows.
        seeds: how many of those of ``lenet-300-100`` are run at paper scale.
    """

    def scores(profile: Profile, every: int, batches: int, samples: int) -> tuple[Spec, ...]:
        examples = images[profile]
        (spec,) = LENET_300_100.specs[profile]
        points = (("batches", batches), ("samples", samples))
        measured = (
            Attack("CLEVER l_2", tuple(sorted((*points, ("radius", 5.0)))), examples),
            Attack("CLEVER l_inf", tuple(sorted((*points, ("radius", spec.eps)))), examples),
            Attack("DeepFool", (("overshoot", 0.02),), examples),
        )
        return (replace(spec, attacks=measured, measure_every=every),)

    return Experiment(
        name,
        title,
        specs={
            "smoke": scores("smoke", 3, 3, 4),
            "laptop": scores("laptop", 4, 20, 32),
            "paper": scores("paper", 4, 30, 32),
        },
        seeds={"smoke": (0, 1), "laptop": (0, 1, 2), "paper": tuple(range(seeds))},
    )


EXPERIMENTS = (
    scores_of(
        "clever",
        "Table 3: CLEVER scores of LeNet-300-100, beside certified radii",
        {"smoke": 1, "laptop": 5, "paper": 20},
        seeds=10,
    ),
    scores_of(
        "clever-images",
        "CLEVER scores of LeNet-300-100 on two hundred images, image by image",
        {"smoke": 2, "laptop": 20, "paper": 200},
        seeds=3,
    ),
)
