"""What the protocols of several studies share: the paper's four attacks, and controls of a pruning path."""

from dataclasses import replace

from sparse_robust.experiments import Attack, Experiment, Profile, Spec


def attacks(examples: int | None = None, *, deepfool: int | None = None, **cw: float) -> tuple[Attack, ...]:
    """The four attacks of the paper; options that it states, and C&W's length, which it does not.

    C&W, which costs some forty times DeepFool, may be run on the first ``examples`` alone, and DeepFool,
    which costs some ten times FGS, on the first ``deepfool``.
    """
    return (
        Attack("FGS"),
        Attack("rFGS"),
        Attack("DeepFool", (("overshoot", 0.02),), deepfool),
        Attack("C&W", tuple(sorted(cw.items())), examples),
    )


def controls(
    experiment: Experiment, title: str, *, without: tuple[str, ...] = (), seeds: int | None = None
) -> Experiment:
    """What an experiment's training does without its pruning: two variants, same seeds, schedule, batches.

    The dense references are those of the experiment. First they are trained on as long as the pruned networks
    are, and lose no weight; then they lose as many weights of each layer, at random.

    Args:
        experiment: whose pruning path is controlled.
        title: of the controls.
        without: attacks that are left out, for what they cost; ``smoke`` is without C&W anyway.
        seeds: how many of the experiment's seeds are run but at smoke scale; None for all.
    """

    def variants(profile: Profile) -> tuple[Spec, ...]:
        (spec,) = experiment.specs[profile]
        left_out = (*without, "C&W") if profile == "smoke" else without
        attacks = tuple(attack for attack in spec.attacks if attack.name not in left_out)
        return tuple(replace(spec, attacks=attacks, selection=s) for s in ("none", "random"))

    return Experiment(
        f"{experiment.name}-controls",
        title,
        specs={profile: variants(profile) for profile in experiment.specs},
        seeds={
            profile: chosen[: seeds if profile != "smoke" else None]
            for profile, chosen in experiment.seeds.items()
        },
        needs=experiment.needs,
    )
