"""Decisions and radii: the solver agrees with exact enumeration, and nothing is above what it bounds."""

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from torch import nn

from sparse_robust.attacks import AttackResult, fast_gradient_sign
from sparse_robust.models import LeNet5, LeNet300100, LinearClassifier, prunable
from sparse_robust.proofs.deep.lipschitz.layers import random_stack
from sparse_robust.theory import float_net
from sparse_robust.theory.distance import distance
from sparse_robust.theory.layer_intervals import Stage
from sparse_robust.theory.linear_maps import Dense, MaxPool2d
from sparse_robust.theory.networks import ReluNet
from sparse_robust.types import Box, LogitsFn
from sparse_robust.verification import crown, decide, milp, replica, stages, verify
from sparse_robust.verification.crown import Ascent, Bounds, crown_bounds
from sparse_robust.verification.decisions import inside
from sparse_robust.verification.milp import Solver
from sparse_robust.verification.neighbourhood import Neighbourhood
from sparse_robust.verification.network import Stages
from sparse_robust.verification.radius import attack_radius, certified_radius
from test_verification_bounds import evaluated, exact_leads, perceptron, rational

NO_CLOCK = Solver(seconds=None)
"""Nothing here depends on the speed of a machine."""


class Perceptron(nn.Module):
    """A small network in float32 as the decisions take it, [1, N, D] -> [1, N, K]."""

    def __init__(self, layers: Stages) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for stage in self.layers:
            x = x @ stage.layer.weight.float().mT + stage.bias.float()  # type: ignore
            x = x.relu() if stage.relu else x
        return x


@stages.register
def _(model: Perceptron) -> Stages:
    return model.layers


def led_by_class_0(seed: int) -> tuple[Perceptron, torch.Tensor, torch.Tensor]:
    """A network of two inputs with three classes and four images that it takes for class 0, by its bias."""
    layers = perceptron(seed)
    x = torch.randint(0, 17, (4, 2), generator=torch.Generator().manual_seed(seed)) / 16
    logits = evaluated(layers, rational(x))
    lead = max(float(max(row[1:]) - row[0]) for row in logits) + 0.25
    last = layers[-1]
    assert last.bias is not None
    shifted = type(last)(last.layer, last.bias + torch.tensor([lead, 0.0, 0.0]).double())
    return Perceptron((*layers[:-1], shifted)), x, torch.zeros(4, dtype=torch.int64)


def nothing(logits_fn: LogitsFn, x: torch.Tensor, y: torch.Tensor, eps: float, box: Box) -> AttackResult:
    """An attack that leaves everything to the bounds and the solver."""
    return fast_gradient_sign(logits_fn, x, y, eps=0.0, box=box)


def disagreements(seeds: range, eps: float, box: Box) -> int:
    """How many decisions of the solver, which alone decides, contradict the exact minimum."""
    wrong = 0
    for seed in seeds:
        model, x, y = led_by_class_0(seed)
        found = decide(
            model, x[:2], y[:2], eps=eps, box=box, attack=nothing, solver=NO_CLOCK, ascent=Ascent(3)
        )
        for n in range(2):
            lead = min(exact_leads(model.layers, x[n].double(), eps, box)[1:])
            if abs(lead) > 2 * milp.TOLERANCE:
                wrong += bool(found.robust[n]) != (lead > 0)
            wrong += bool(found.robust[n]) and lead <= 0
    return wrong


@pytest.mark.parametrize(("eps", "box"), [(0.2, (0.0, 1.0)), (0.5, None)])
def test_the_solver_agrees_with_enumeration(eps: float, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds are made useless, so that every image that is not attacked needs the solver."""
    monkeypatch.setattr("sparse_robust.verification.decisions.certified", blind)
    assert disagreements(range(3), eps, box) == 0


def blind(
    layers: Stages, around: Neighbourhood, y: torch.Tensor, asked: torch.Tensor, ascent: Ascent
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bounds that decide nothing."""
    count = len(around)
    return torch.zeros(count, dtype=torch.int64), torch.full((count,), -math.inf, dtype=torch.float64)


def test_decisions_agree_with_the_exact_distance() -> None:
    """Without a box: robust if and only if the rational distance to a lost lead is above eps."""
    model, x, y = led_by_class_0(2)
    for n in (0, 1):
        exact = min(
            distance(net, rational(x[n])) for net in (rational_lead(model, 1), rational_lead(model, 2))
        )
        for eps, robust in ((0.999 * float(exact), True), (1.001 * float(exact), False)):
            found = decide(model, x[n : n + 1], y[:1], eps=eps, box=None, attack=nothing, solver=NO_CLOCK)
            assert bool(found.robust[0]) == robust
            assert bool(found.attacked[0]) != robust
        certified = certified_radius(
            model, x[n : n + 1], y[:1], torch.tensor([2 * float(exact)]), p=math.inf, box=None, steps=5
        )
        assert 0 < Fraction(float(certified[0])) < exact


def rational_lead(model: Perceptron, rival: int) -> ReluNet:
    """Logit 0 minus a rival's, in rational arithmetic."""
    *hidden, last = model.layers
    weight, bias = rational(last.layer.weight), rational(last.bias)  # type: ignore
    return ReluNet(
        tuple(rational(stage.layer.weight.mT) for stage in hidden),  # type: ignore[union-attr]
        weight[0] - weight[rival],
        tuple(rational(stage.bias) for stage in hidden),  # type: ignore[arg-type]
        bias[0] - bias[rival],
    )


@pytest.mark.parametrize("change", ["too tight", "sign flipped", "no slack in the rows"])
def test_wrong_bounds_are_noticed(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = crown_bounds

    def wrong(layers: Stages, around: Neighbourhood, ascent: Ascent | None = None) -> Bounds:
        known = right(layers, around, ascent)
        ranges = {
            "too tight": tuple((low / 4, high / 4) for low, high in known.ranges),
            "sign flipped": tuple((-high, -low) for low, high in known.ranges),
            "no slack in the rows": tuple(((low + high) / 2,) * 2 for low, high in known.ranges),
        }[change]
        return Bounds(ranges, known.sizes)

    monkeypatch.setattr("sparse_robust.verification.decisions.crown_bounds", wrong)
    assert disagreements(range(3), 0.5, None) > 0


def test_attacked_points_are_within_reach_and_misclassified_by_the_network_itself() -> None:
    for seed in range(8):
        model, x, y = led_by_class_0(seed)
        found = decide(model, x, y, eps=0.3, attack=nothing, solver=NO_CLOCK)
        assert not bool((found.robust & found.attacked).any())
        for n in found.attacked.nonzero()[:, 0].tolist():
            point, start = rational(found.x_adv[n]), rational(x[n])
            assert max(abs(point - start)) <= Fraction(0.3)
            assert min(point) >= 0
            assert max(point) <= 1
            assert int(model(found.x_adv[None, n : n + 1])[0].argmax()) != 0
        assert (found.x_adv[~found.attacked] == x[~found.attacked]).all()
        assert (found.bound[found.robust] > 0).all()


def test_robust_at_a_radius_is_robust_at_smaller_ones() -> None:
    radii = (0.05, 0.1, 0.2, 0.4, 0.8)
    for seed in range(2):
        model, x, y = led_by_class_0(seed)
        found = [decide(model, x, y, eps=eps, solver=NO_CLOCK) for eps in radii]
        for nearer, farther in pairwise(found):
            assert (farther.robust <= nearer.robust).all()
            assert (nearer.attacked <= farther.attacked).all()
            assert (farther.bound[farther.robust] <= nearer.bound[farther.robust] + 1e-9).all()


def test_certified_exact_and_attacked_radii_are_in_this_order() -> None:
    """In l_2 without a box, where the exact distance is a least distance problem on each region."""
    compared = 0
    for seed in range(4):
        model, x, y = led_by_class_0(seed)
        upper = attack_radius(model, x, y, box=None)
        certified = certified_radius(model, x, y, upper.clamp(max=4.0), box=None)
        for n in range(2):
            nets = [rational_lead(model, rival) for rival in (1, 2)]
            floats = [float_net(net.weights, net.readout, net.biases, float(net.offset)) for net in nets]
            exact = min(distance(net, x[n].double().numpy(), p=2) for net in floats)
            assert float(certified[n]) <= exact + 1e-7
            assert exact <= float(upper[n]) + 1e-6
            compared += exact < math.inf
    assert compared


def test_an_image_that_is_misclassified_is_attacked_by_itself() -> None:
    model, x, _ = led_by_class_0(1)
    ones = torch.ones(4, dtype=torch.int64)
    found = decide(model, x, ones, eps=0.1)
    assert found.attacked.all()
    assert (found.x_adv == x).all()
    assert not found.by_solver.any()
    assert (attack_radius(model, x, ones) == 0).all()
    assert (certified_radius(model, x, ones, torch.ones(4)) == 0).all()


def test_limits_leave_images_open_and_nothing_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """No nodes at all, and no time at all: what is not known is open."""
    monkeypatch.setattr("sparse_robust.verification.decisions.certified", blind)
    for limit in (Solver(seconds=None, nodes=0), Solver(seconds=0.0)):
        opened = 0
        for seed in range(4):
            model, x, y = led_by_class_0(seed)
            found = decide(model, x, y, eps=0.3, attack=nothing, solver=limit, ascent=Ascent(0))
            sure = decide(model, x, y, eps=0.3, attack=nothing, solver=NO_CLOCK)
            assert not (found.robust & sure.attacked).any()
            assert not (found.attacked & sure.robust).any()
            opened += int(found.open.sum())
        assert opened or limit.nodes == 0
    assert Solver(seconds=3.0, nodes=10).left(1.0, 4) == Solver(seconds=2.0, nodes=6)
    assert Solver(seconds=None, nodes=3).left(9.0, 4) == Solver(seconds=None, nodes=0)


def test_the_solver_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    model, x, y = led_by_class_0(0)
    decide(model, x, y, eps=0.5, attack=nothing, solver=NO_CLOCK, ascent=Ascent(0))
    assert capfd.readouterr() == ("", "")


def test_points_are_moved_inside_without_rounding_out() -> None:
    x = torch.rand(50, 20, generator=torch.Generator().manual_seed(0))
    around = Neighbourhood(x.double(), torch.full((50,), 0.1, dtype=torch.float64), math.inf)
    points = inside(around, x + torch.randn(50, 20, generator=torch.Generator().manual_seed(1)))
    moved = points.double() - x.double()
    assert (moved.abs() <= 0.1).all()
    assert (points >= 0).all()
    assert (points <= 1).all()
    assert ((moved.abs() > 0.1 - 1e-6) | (points == 0) | (points == 1)).double().mean() > 0.8
    assert (inside(around, points) == points).all()


def test_stages_are_the_networks() -> None:
    x = torch.rand(2, 3, 784, generator=torch.Generator().manual_seed(0))
    for model in (LeNet300100([3, 4]), LeNet5([3, 4])):
        for number in range(2):
            values = x[number].double()
            layers = stages(replica(model, number))
            values = values.reshape(-1, *layers[0].layer.inputs)  # type: ignore[union-attr]
            for stage in layers:
                values = stage.apply(values)
            torch.testing.assert_close(values.float(), model(x)[number], rtol=1e-4, atol=1e-5)
        with pytest.raises(ValueError, match=r"2 replicas.*verification\.replica"):
            stages(model)
    with pytest.raises(TypeError, match="LinearClassifier"):
        stages(LinearClassifier([0], 4, 3))


def sparse_lenet() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """An untrained LeNet-300-100 with 2 % of its weights, and images in their own classes."""
    model = LeNet300100([0])
    g = torch.Generator().manual_seed(0)
    for weight in prunable(model).values():
        weight.data *= 5 * (torch.rand(weight.shape, generator=g) < 0.02)
    x = torch.rand(3, 784, generator=g)
    return model, x, model(x[None])[0].argmax(-1)


def test_verify_brackets_both_metrics() -> None:
    model, x, y = sparse_lenet()
    done: list[int] = []
    found = verify(model, x, y, eps=(0.02, 0.005), seconds=None, nodes=50, progress=done.append)
    assert found.eps == (0.005, 0.02)
    assert found.correct.all()
    assert sum(done) == len(x) * 3
    for eps in found.eps:
        numbers = found.r_inf(eps)
        assert (numbers["certified"] <= numbers["attacked"]).all()
        assert ((numbers["certified"] == numbers["attacked"]) == (numbers["decided"] == 1)).all()
    assert (found.r_inf(0.02)["certified"] <= found.r_inf(0.005)["certified"]).all()
    assert (found.r_2()["certified"] <= found.r_2()["attacked"]).all()
    with pytest.raises(ValueError, match=r"0\.3 was not verified"):
        found.r_inf(0.3)


def test_an_attack_that_succeeded_counts_at_larger_radii() -> None:
    calls: list[float] = []

    def once(logits_fn: LogitsFn, x: torch.Tensor, y: torch.Tensor, eps: float, box: Box) -> AttackResult:
        calls.append(eps)
        return fast_gradient_sign(logits_fn, x, y, eps=eps if len(calls) == 1 else 0.0, box=box)

    model, x, y = led_by_class_0(5)
    found = verify(model, x, y, eps=(0.5, 0.6), attack=once, seconds=None, nodes=0)
    first, second = found.decisions
    by_attack = first.attacked & ~first.by_solver
    assert by_attack.any()
    assert not second.by_solver[by_attack].any()
    assert second.attacked[by_attack].all()


class Convolutional(nn.Module):
    """A small network with a convolution and pooling, [1, N, D] -> [1, N, K]."""

    def __init__(self, layers: Stages) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = x[0].double().reshape(-1, *self.layers[0].layer.inputs)  # type: ignore[union-attr]
        for stage in self.layers:
            values = stage.apply(values)
        return values[None]


@stages.register
def _(model: Convolutional) -> Stages:
    return model.layers


def test_convolutions_have_bounds_and_attacks_alone() -> None:
    hidden, readout, image = random_stack(1, MaxPool2d(2, 2))
    last = Stage(Dense(torch.stack([readout, -readout, 0 * readout])))
    model, x = Convolutional((*hidden, last)), image.flatten()[None]
    y = model(x[None])[0].argmax(-1)
    with pytest.raises(ValueError, match="solver=None"):
        decide(model, x, y, eps=0.01, box=None)
    found = verify(model, x, y, eps=(1e-6, 10.0), box=None)
    near, far = found.decisions
    assert near.robust.all()
    assert not far.robust.any()
    assert not far.by_solver.any()
    assert 0 < float(found.certified) < float(found.attacked)
    assert found.r_inf(1e-6)["decided"].all()


def test_bad_options_are_refused() -> None:
    model, x, y = led_by_class_0(0)
    with pytest.raises(ValueError, match="eps must be at least 0"):
        decide(model, x, y, eps=-0.1)
    with pytest.raises(ValueError, match="at least one image"):
        decide(model, x[:0], y[:0], eps=0.1)
    with pytest.raises(ValueError, match="steps must be at least 1"):
        certified_radius(model, x, y, torch.ones(4), steps=0)
    with pytest.raises(ValueError, match="finite where there is no box"):
        certified_radius(model, x, y, torch.full((4,), math.inf), box=None)
    around = Neighbourhood(x.double(), torch.ones(4, dtype=torch.float64), 2)
    with pytest.raises(ValueError, match="l_2 ball is no polytope"):
        milp.program(model.layers, around, crown.interval_bounds(model.layers, around))
