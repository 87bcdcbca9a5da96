"""The protocol of Table 2 (paper, section 4.3): models of the authors' own, dense and over-pruned."""

from dataclasses import replace
from typing import Literal

from sparse_robust.experiments import Attack, Experiment, Spec
from sparse_robust.studies.lenet.specs import lenet_paper
from sparse_robust.studies.protocol import attacks
from sparse_robust.training import Training


def over_pruning() -> Experiment:
    """The models behind Table 2 as they were published: nothing is trained, nothing is pruned.

    ``laptop`` is ``paper``, which takes minutes.
    """
    names: dict[str, Literal["lenet-300-100", "lenet-5"]] = {
        "caffe_lenet300100_original": "lenet-300-100",
        "caffe_lenet300100_sparse": "lenet-300-100",
        "caffe_lenet5_original": "lenet-5",
        "caffe_lenet5_sparse": "lenet-5",
    }
    untrained = Training(steps=0)
    paper = tuple(
        replace(lenet_paper(model), dense=untrained, retrain=untrained, rounds=0, weights=name)
        for name, model in names.items()
    )
    smoke = tuple(
        replace(
            spec,
            data="mnist-sample",
            attacks=attacks(10, searches=2, steps=20, lr=1.0),
            test_examples=40,
        )
        for spec in paper
    )
    return Experiment(
        "over-pruning",
        "Table 2: the authors' own models, dense and over-pruned",
        specs={"smoke": smoke, "laptop": paper, "paper": paper},
        seeds={"smoke": (0,), "laptop": (0,), "paper": (0,)},
    )


def strong() -> Experiment:
    """The same models under stronger attacks than the paper's, and the paper's, all on the same images."""

    def attacked(spec: Spec, examples: int, steps: int) -> Spec:
        chosen = (
            Attack("FGS"),
            Attack("PGD", (("steps", steps),)),
            Attack("APGD", (("steps", steps),)),
            Attack("DeepFool", (("overshoot", 0.02),)),
            Attack("minimal l_2"),
        )
        return replace(spec, attacks=chosen, test_examples=examples)

    specs = OVER_PRUNING.specs
    paper = tuple(attacked(spec, 2_000, 100) for spec in specs["paper"])
    return Experiment(
        "over-pruning-strong",
        "Table 2's models under stronger attacks, on the same images",
        specs={
            "smoke": tuple(attacked(spec, 20, 10) for spec in specs["smoke"]),
            "laptop": tuple(attacked(spec, 100, 50) for spec in specs["laptop"]),
            "paper": paper,
        },
        seeds=OVER_PRUNING.seeds,
    )


OVER_PRUNING = over_pruning()
EXPERIMENTS = (OVER_PRUNING, strong())
