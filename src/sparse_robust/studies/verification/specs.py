"""The protocols of exact and two-sided robustness along the pruning path of LeNet-300-100."""

from dataclasses import replace

from sparse_robust.experiments import Attack, Experiment, Profile, Spec
from sparse_robust.studies.lenet.specs import LENET_300_100

EPS = (0.05, 0.1)
"""The l_inf radii: half of the paper's, and the paper's, pixel units."""

SEEDS: dict[Profile, tuple[int, ...]] = {"smoke": (0, 1), "laptop": (0, 1, 2), "paper": (0, 1, 2)}

UNSTABLE = 150.0
"""An image that leaves more ReLUs unstable is left to bounds and attack.

That is nearly every image of the dense networks, where the bounds alone that the solver needs take some ten
seconds an image, and half of the rest of the first rounds. Of two such images that were tried, with 170 and
179 unstable ReLUs, one was decided within a minute: without this limit three seeds would take hours more.
"""

Limits = tuple[tuple[str, float], ...]


def limits(seconds: float, unstable: float) -> Limits:
    """Of the solver for one image."""
    return ("seconds", seconds), ("unstable", unstable)


LAPTOP = limits(5.0, 100.0)
SMOKE: Limits = (("nodes", 5.0), ("unstable", 20.0))
"""In nodes, so that what is open does not depend on the machine."""


def verification() -> Experiment:
    """r_inf at two radii, and r_2, between what is certified and what an attack finds.

    One variant for each radius; the checkpoints are those of ``lenet-300-100``. The second variant measures
    r_2, which needs no radius.
    """

    def verified(profile: Profile, every: int, examples: int, fewer: int, solver: Limits) -> tuple[Spec, ...]:
        (spec,) = LENET_300_100.specs[profile]
        r_inf, r_2 = Attack("verification l_inf", solver, examples), Attack("verification l_2", (), fewer)
        small, large = (replace(spec, eps=eps, measure_every=every) for eps in EPS)
        return replace(small, attacks=(r_inf,)), replace(large, attacks=(r_inf, r_2))

    return Experiment(
        "verification",
        "LeNet-300-100: r_inf and r_2 between certificate and attack, along the pruning path",
        specs={
            "smoke": verified("smoke", 3, 2, 1, SMOKE),
            "laptop": verified("laptop", 4, 20, 10, LAPTOP),
            "paper": verified("paper", 2, 100, 100, limits(30.0, UNSTABLE)),
        },
        seeds=SEEDS,
    )


def certificates() -> Experiment:
    """Certificates, CLEVER, exact distance and attack on images and models of the experiment ``clever``."""

    def compared(
        profile: Profile, examples: int, batches: int, samples: int, solver: Limits
    ) -> tuple[Spec, ...]:
        (spec,) = LENET_300_100.specs[profile]
        points = (("batches", float(batches)), ("samples", float(samples)))
        radii = {"certificates l_2": 5.0, "certificates l_inf": spec.eps}
        chosen = tuple(
            Attack(name, tuple(sorted((*points, ("radius", radius), *solver))), examples)
            for name, radius in radii.items()
        )
        return (replace(spec, attacks=chosen, measure_every=3 if profile == "smoke" else 4),)

    return Experiment(
        "certificates",
        "LeNet-300-100: certificates, CLEVER, exact distances and attacks on the same images",
        specs={
            "smoke": compared("smoke", 1, 3, 4, SMOKE),
            "laptop": compared("laptop", 5, 20, 32, LAPTOP),
            "paper": compared("paper", 20, 30, 32, limits(10.0, UNSTABLE)),
        },
        seeds=SEEDS,
    )


VERIFICATION, CERTIFICATES = verification(), certificates()
EXPERIMENTS = (VERIFICATION, CERTIFICATES)
