"""The protocols of Table 1 (paper, section 4.2): weights under l_1, so that activations become sparse."""

from collections.abc import Mapping
from dataclasses import replace

from sparse_robust.experiments import PROFILES, Experiment, Profile, Spec
from sparse_robust.studies.lenet.specs import CAFFE, CAFFE_LAPTOP, LENET_5, LENET_300_100, lenet_paper


def regularised(
    name: str,
    title: str,
    references: Experiment,
    bases: Mapping[Profile, Spec],
    strengths: Mapping[Profile, tuple[float, ...]],
) -> Experiment:
    """Half of Table 1: dense networks, one variant for each strength of l_1, and first those without it.

    Args:
        name: of the experiment.
        title: of the experiment.
        references: the experiment whose dense references, and their checkpoints, are the first variant.
        bases: for each profile, what is trained, but for l_1.
        strengths: of l_1, for each profile; the paper prints the sparsities that it reached, not these.
    """

    def variants(profile: Profile) -> tuple[Spec, ...]:
        attacks = tuple(a for a in bases[profile].attacks if a.name in ("FGS", "DeepFool"))
        base = replace(bases[profile], rounds=0, attacks=attacks)
        (reference,) = references.specs[profile]
        return (
            replace(reference, rounds=0, attacks=attacks, test_examples=base.test_examples),
            *(replace(base, dense=replace(base.dense, l1=l1)) for l1 in strengths[profile]),
        )

    return Experiment(
        name, title, specs={profile: variants(profile) for profile in PROFILES}, seeds=references.seeds
    )


def activation_sparsity() -> tuple[Experiment, Experiment]:
    """Table 1, by network: LeNet-5 at the paper's scale is too much for a CPU, LeNet-300-100 is not."""
    mlp, cnn = lenet_paper("lenet-300-100"), lenet_paper("lenet-5")
    brief = replace(CAFFE, steps=60, lr=0.05, gamma=0.1)

    def small(spec: Spec) -> Spec:
        return replace(spec, dense=brief, data="mnist-sample", test_examples=40)

    return (
        regularised(
            "activation-sparsity",
            "Table 1, upper: LeNet-300-100 with l_1 regularisation of the weights",
            LENET_300_100,
            {
                "smoke": small(mlp),
                "laptop": replace(mlp, dense=CAFFE_LAPTOP, test_examples=1_000),
                "paper": mlp,
            },
            {
                "smoke": (1e-4, 1e-3),
                "laptop": (3e-5, 1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2),
                "paper": (3e-5, 7e-5, 1e-4, 3e-4, 5e-4, 1e-3, 3e-3, 5e-3),
            },
        ),
        regularised(
            "activation-sparsity-lenet-5",
            "Table 1, lower: LeNet-5 with l_1 regularisation of the weights",
            LENET_5,
            {"smoke": small(cnn), "laptop": LENET_5.specs["laptop"][0], "paper": cnn},
            {
                "smoke": (1e-4,),
                "laptop": (1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2),
                "paper": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3),
            },
        ),
    )


EXPERIMENTS = activation_sparsity()
