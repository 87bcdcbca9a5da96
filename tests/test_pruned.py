"""What the chapters on pruned networks print, on made rows whose course is known beforehand."""

import math
import re

import numpy as np
import pandas as pd
import pytest
import torch

from sparse_robust.studies.lenet import tables as pruned
from sparse_robust.studies.paper import PaperNumber

SEEDS = range(3)
FRACTIONS = [0.0, 1 / 3, 5 / 9, 19 / 27, 65 / 81]
JITTER = (-0.001, 0.0, 0.001)
DENSE = {"accuracy": 0.98, "r_inf": 0.4, "r_2": 1.0, "r_2_squared": 1.2}
IMAGES = {"DeepFool": 200, "C&W": 10}


def rows(course, failures=None, n=1000):
    """The number of every model; ``course`` has one factor on the dense value for each round.

    Args:
        course: for every metric, factors by round.
        failures: (round, attack) -> failures of seed 0, whose distances are then infinite.
        n: images of what is not an l_2 attack.
    """
    failures = failures or {}
    kinds = [
        ("accuracy", ""),
        ("activation_sparsity", ""),
        *(("r_inf", attack) for attack in ("FGS", "rFGS")),
        *((metric, attack) for attack in IMAGES for metric in ("r_2", "r_2_squared", "failures")),
    ]
    lines = []
    for round_, sparsity in enumerate(FRACTIONS):
        for seed in SEEDS:
            for metric, attack in kinds:
                failed = failures.get((round_, attack), 0) if seed == 0 else 0
                value = failed if metric == "failures" else 0.25
                if metric in course:
                    value = DENSE[metric] * course[metric][round_] + (1 + 0.1 * round_) * JITTER[seed]
                    value += 0.2 * (attack == "rFGS")
                    value = math.inf if failed and attack in IMAGES else value
                lines.append(
                    {
                        "experiment": "made",
                        "scale": "laptop",
                        "round": round_,
                        "seed": seed,
                        "metric": metric,
                        "attack": attack,
                        "value": value,
                        "sparsity": sparsity,
                        "n": IMAGES.get(attack, n),
                        "commit": "c",
                        "dirty": False,
                        "torch": "t",
                        "device": "cpu",
                        "data": "d",
                        "data_description": "made up",
                    }
                )
    return pd.DataFrame(lines)


UP_AND_DOWN = {
    "accuracy": [1.0, 1.0, 1.0, 0.995, 0.93],
    "r_inf": [1.0, 1.2, 1.5, 1.1, 0.5],
    "r_2": [1.0, 1.1, 1.05, 0.9, 0.5],
    "r_2_squared": [1.0, 1.2, 1.1, 0.8, 0.3],
}


def line(text, start):
    (found,) = [found for found in text.splitlines() if found.startswith(start)]
    return found.removeprefix(start)


def test_curves_end_where_an_attack_fails():
    found = pruned.curves(rows(UP_AND_DOWN, {(3, "DeepFool"): 2}), "FGS", "DeepFool")
    assert list(dict.fromkeys(found.label)) == ["FGS", "accuracy", "DeepFool", "DeepFool, squared"]
    deep = found[found.label == "DeepFool"]["mean"]
    assert deep.loc[1] == pytest.approx(1.1)
    assert math.isnan(deep.loc[3])
    assert not np.isinf(found["mean"]).any()


def test_the_printed_curves_say_that_a_mean_is_infinite_and_where_rows_come_from(capsys):
    pruned.print_curves(rows(UP_AND_DOWN, {(3, "DeepFool"): 2}), "FGS", "DeepFool")
    text = capsys.readouterr().out
    assert line(text, "3").split()[-2:] == ["inf", "inf"]
    assert "1.1000" in line(text, "1")
    assert "made, laptop scale: 3 seeds, n = 1000 test images, made up (d)" in text


def test_peaks_are_sought_while_accuracy_is_held(capsys):
    late = UP_AND_DOWN | {"r_inf": [1.0, 1.2, 1.5, 1.1, 9.0]}
    pruned.print_peaks(rows(late))
    text = capsys.readouterr().out
    assert "held to round 3 (70.4 % sparsity)" in text
    assert line(text, "r_inf FGS").split()[:6] == ["2", "2", "to", "2", "+50.0", "%"]
    assert line(text, "r_2 DeepFool  ").split()[:6] == ["1", "1", "to", "1", "+10.0", "%"]
    assert line(text, "r_2 DeepFool, squared").split()[:6] == ["1", "1", "to", "1", "+20.0", "%"]


def test_falls_are_counted_from_the_peak(capsys):
    pruned.print_falls(rows(UP_AND_DOWN))
    text = capsys.readouterr().out
    peak, *losses = line(text, "r_2 DeepFool  ").split()
    assert (peak, losses[1:]) == ("1", ["2", "3", "3"]), "1.05 has lost 4.5 % of 1.1, and 0.9 a fifth"
    assert line(text, "accuracy").split()[-3:] == ["4", "4", "-"], "seven per cent"


def test_failures_are_counted_by_round_and_seed(capsys):
    pruned.print_failures(rows(UP_AND_DOWN, {(3, "DeepFool"): 2, (4, "DeepFool"): 5}))
    text = capsys.readouterr().out
    assert "DeepFool on 200 images for each of 3 seeds:\n  round  3: 1 seeds, fails 2 times" in text
    assert "round  4: 1 seeds, fails 5 times" in text
    assert "C&W on 10 images for each of 3 seeds: never fails" in text


def test_distances_stand_beside_the_printed_one(capsys):
    pruned.print_distances(rows(UP_AND_DOWN), PaperNumber(0.8, 0.1, "Table 1"))
    text = capsys.readouterr().out
    assert "(+25.0 %)" in line(text, "ours, mean distance")
    assert "(+50.0 %)" in line(text, "ours, mean squared distance")


def test_masking_is_looked_for_in_rounds_with_accuracy_held(capsys):
    pruned.print_masking(rows(UP_AND_DOWN, {(3, "C&W"): 4, (4, "C&W"): 9}))
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [found.split() for found in lines][-1] == ["3", "0.200", "0,", "4", "25.0"]
    assert len(lines) == 4


def test_lengths_of_retraining_are_compared_on_common_seeds_and_rounds(capsys):
    early = UP_AND_DOWN | {"r_inf": [1.0, 1.3, 1.2, 1.1, 1.0]}
    longer = rows(early)
    longer = longer.assign(value=longer.value + 0.001 * longer.seed)
    longer = longer[(longer.seed < 2) & (longer["round"] < 4)]
    pruned.print_lengths(rows(UP_AND_DOWN), longer)
    text = capsys.readouterr().out
    assert "r_inf FGS: peak +50.0 % after round 2 or +30.0 % after round 1;" in text
    half = (
        12.7062 * 0.0005
    )  # Student's t with one degree of freedom, and the standard error of -0.12 and -0.119
    assert f"at most: round 2, -0.1195 [{-0.1195 - half:+.4f}, {-0.1195 + half:+.4f}]" in text
    assert "r_2 DeepFool: peak +10.0 % after round 1 or +10.0 % after round 1;" in text
    assert not re.search(r"^4 ", text, flags=re.MULTILINE), "the longer run ends before"


def test_lengths_of_retraining_cannot_be_compared_where_the_references_resist(capsys):
    resisted = rows(UP_AND_DOWN, {(0, "DeepFool"): 1})
    pruned.print_lengths(resisted, resisted)
    assert "r_2 DeepFool: an attack failed on the dense networks" in capsys.readouterr().out


WEIGHT = torch.tensor([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)


def test_iterating_on_a_linear_classifier_ends_in_the_corner_of_the_ball():
    """The gradient has one sign everywhere, so that many steps go where one goes, and no further."""
    x = torch.tensor([[[0.5, 0.5, 0.5], [0.95, 0.99, 0.3]]], dtype=torch.float64)
    y = torch.ones(1, 2, dtype=torch.long)
    at = pruned.iterated(lambda z: z @ WEIGHT.mT, x, y, eps=0.1)
    corner = (x + 0.1 * torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)).clamp(0, 1)
    torch.testing.assert_close(at, corner)


def test_gradients_that_are_exactly_zero_are_counted():
    """Behind a unit that is off on all but one of four inputs."""
    x = torch.tensor([[[0.1], [0.2], [0.3], [0.9]]], dtype=torch.float64)
    y = torch.zeros(1, 4, dtype=torch.long)

    def net(z):
        on = (z - 0.5).relu()
        return torch.cat([on, -on], -1)

    assert pruned.zero_gradients(net, x, y) == 0.75
