"""How strong attacks are, on networks whose weaknesses are known."""

import math

import torch

from sparse_robust.attacks import projected_gradient_descent
from sparse_robust.studies import strength
from sparse_robust.studies.catalogue import find

WEIGHT = torch.tensor([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]], dtype=torch.float64)


def linear(z: torch.Tensor) -> torch.Tensor:
    return z @ WEIGHT.mT


def test_iterating_on_a_linear_classifier_ends_in_the_corner_of_the_ball():
    """The gradient has one sign everywhere, so that many steps go where one goes, and no further."""
    x = torch.tensor([[[0.5, 0.5, 0.5], [0.95, 0.99, 0.3]]], dtype=torch.float64)
    y = torch.ones(1, 2, dtype=torch.long)
    at = projected_gradient_descent(linear, x, y, eps=0.1, steps=40, box=(0.0, 1.0)).x_adv
    corner = (x + 0.1 * torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64)).clamp(0, 1)
    torch.testing.assert_close(at, corner)


def test_gradients_that_are_exactly_zero_are_counted():
    """Behind a unit that is off on all but one of four inputs."""
    x = torch.tensor([[[0.1], [0.2], [0.3], [0.9]]], dtype=torch.float64)
    y = torch.zeros(1, 4, dtype=torch.long)

    def net(z: torch.Tensor) -> torch.Tensor:
        on = (z - 0.5).relu()
        return torch.cat([on, -on], -1)

    assert strength.zero_gradients(net, x, y) == 0.75


def test_strength_on_a_linear_classifier_is_in_closed_form():
    """Margins .5 and .2: the first survives eps = .1, which moves it by .3; w . x / |w| is the distance."""
    x = torch.tensor([[[0.9, 0.2, 0.5], [0.6, 0.2, 0.5]]], dtype=torch.float64)
    y = torch.zeros(1, 2, dtype=torch.long)
    linf = strength.linf_strength({"net": linear}, x, y, eps=0.1).iloc[0]
    assert (linf.network, linf.FGS, linf.PGD, linf["zero gradients"]) == ("net", 0.5, 0.5, 0)
    l2 = strength.l2_strength({"net": linear}, x, y).iloc[0]
    exact = (0.5 + 0.2) / 2 / math.sqrt(5)
    assert exact <= l2["DeepFool"] <= 1.021 * exact, "up to its overshoot"
    assert exact <= l2["C&W"] <= 1.05 * exact


def test_stand_ins_are_pruned_as_the_spec_says():
    (spec,) = find("lenet-300-100").specs["smoke"]
    nets = strength.stand_ins(spec, dense=3, retrain=2, rounds=1)
    x, y = torch.zeros(1, 2, 784, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.long)
    table = strength.described(nets, x, y)
    assert list(table.network) == ["dense", "sparse"]
    assert list(table["zero weights"]) == [0, sum(n // 3 for n in (235_200, 30_000, 1_000))]
    assert table.silent.between(0, 1).all()
