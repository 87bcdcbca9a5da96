"""Training of nonlinear replicas: against PyTorch's own tools, alone and together, Caffe's policy, l_1."""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparse_robust.experiments.stages import Arrays, build, descend
from sparse_robust.models import Backpropagation, LeNet5, LeNet300100, LinearClassifier, prunable
from sparse_robust.pruning import dense_masks, prune_layers
from sparse_robust.rng import stream
from sparse_robust.studies.lenet.specs import LENET_300_100
from sparse_robust.training import Training, batches, train
from sparse_robust.training.descent import Descent, cross_entropy, drop_traces

POLICY = Training(12, batch_size=8, lr=0.05, schedule="inv", gamma=0.1, power=0.75, weight_decay=5e-4)


def digits(examples: int = 40) -> tuple[Tensor, Tensor]:
    """Noise with a bright bar for each class [N, 784], and the classes."""
    y = torch.arange(examples) % 10
    x = torch.rand((examples, 28, 28), generator=stream(0, "test/digits")) / 4
    x[torch.arange(examples), 4 + 2 * y] += 0.7
    return x.flatten(1), y


def test_the_inv_policy_is_caffes() -> None:
    caffe = Training(50_000, lr=0.01, schedule="inv", gamma=1e-4, power=0.75)
    assert caffe.rate(0) == 0.01
    assert caffe.rate(10_000) == pytest.approx(0.01 * 2**-0.75)
    assert caffe.rate(50_000) == pytest.approx(0.01 * 6**-0.75)
    assert Training(9, lr=0.3, schedule="inv").rate(7) == 0.3  # without a decay, as it is by default
    assert Training(9, lr=0.3).rate(7) == 0.3
    assert Training(10, lr=0.3, schedule="linear").rate(7) == pytest.approx(0.09)


@pytest.mark.parametrize("seeds", [(3, 5), (4,)])
@pytest.mark.parametrize("l1", [0.0, 0.01])
def test_equals_pytorchs_own_tools(l1: float, seeds: tuple[int, ...]) -> None:
    """A plain module, autograd of the smooth objective, SGD and a lambda schedule, replica by replica."""
    x, y = digits()
    x = x.double()
    options = Training(**{**vars(POLICY), "l1": l1, "momentum": 0.8})
    model = LeNet300100(seeds).double()
    masks = {
        name: torch.rand(weight.shape, generator=stream(0, name)) > 0.4
        for name, weight in prunable(model).items()
    }
    layers = (model.hidden_1, model.hidden_2, model.readout)
    expected = []
    for r, seed in enumerate(seeds):
        lone = nn.Sequential(
            nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
        ).double()
        kept = [masks[f"{name}.weight"][r] for name in ("hidden_1", "hidden_2", "readout")]
        maps = [lone[0], lone[2], lone[4]]
        for copy, layer, mask in zip(maps, layers, kept, strict=True):
            copy.weight.data, copy.bias.data = layer.weight.data[r] * mask, layer.bias.data[r, 0].clone()
        weights = [copy.weight for copy in maps]
        sgd = torch.optim.SGD(lone.parameters(), lr=options.lr, momentum=options.momentum)
        policy = torch.optim.lr_scheduler.LambdaLR(sgd, lambda t: (1 + 0.1 * t) ** -0.75)
        for (index,) in islice(batches((seed,), "order/round-1", len(x), 8), options.steps):
            loss = nn.functional.cross_entropy(lone(x[index]), y[index])
            loss = loss + sum(5e-4 / 2 * w.square().sum() for w in weights)
            sgd.zero_grad()
            loss.backward()
            for weight, mask in zip(weights, kept, strict=True):
                weight.grad *= mask
            sgd.step()
            pull = policy.get_last_lr()[0] * l1 / (1 - 0.8)
            with torch.no_grad():
                for parameter in lone.parameters():
                    parameter.copy_(parameter.sign() * (parameter.abs() - pull).clamp_min(0))
            policy.step()
        expected.append([p.detach() for copy in maps for p in (copy.weight, copy.bias)])

    train(model, masks, x, y, options, seeds=seeds, stage="round-1")
    for r, parameters in enumerate(expected):
        found = [p[r].detach().squeeze(0) for layer in layers for p in (layer.weight, layer.bias)]
        for a, b in zip(found, parameters, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", [LeNet300100, LeNet5])
def test_replica_equals_lone_run(kind: Any) -> None:
    """In float32 and through a pruning, as the experiments run it."""
    x, y = digits()

    def two_stages(seeds: Sequence[int]) -> dict[str, Tensor]:
        model = kind(seeds)
        masks = dense_masks(model)
        train(model, masks, x, y, POLICY, seeds=seeds, stage="round-0")
        masks = prune_layers(model, masks, Fraction(1, 3))
        train(model, masks, x, y, POLICY, seeds=seeds, stage="round-1")
        return {name: p.detach() for name, p in model.named_parameters()}

    seeds = (2, 7)
    together = two_stages(seeds)
    for r, seed in enumerate(seeds):
        for name, alone in two_stages((seed,)).items():
            torch.testing.assert_close(together[name][r], alone[0], rtol=1e-4, atol=1e-5)
    # the comparison means something: other seeds end elsewhere
    assert (together["readout.weight"][0] - together["readout.weight"][1]).abs().max() > 1e-2


def test_the_gradient_written_out_is_autograds() -> None:
    """Also where a unit is silent for the whole mini-batch, and for images of any shape."""
    x, y = digits()
    x = x.double().unflatten(1, (28, 28))
    model = LeNet300100((6,)).double()
    model.hidden_1.bias.data[0, 0, 3] = -50
    model.hidden_2.bias.data[0, 0, 4] = -50
    written_out = Backpropagation(model, x, y, 8)
    for index in (torch.arange(8)[None], torch.tensor([[3, 3, 39, 0, 21, 20, 1, 2]])):
        found = written_out(index)
        expected = torch.autograd.grad(cross_entropy(model, x, y)(index) / 8, list(model.parameters()))
        assert list(found) == [name for name, _ in model.named_parameters()]
        for gradient, other in zip(found.values(), expected, strict=True):
            torch.testing.assert_close(gradient, other, rtol=1e-12, atol=1e-15)
        assert bool((found["hidden_1.weight"][0, 3] == 0).all())
        assert bool((found["readout.weight"][..., 4] == 0).all())


def test_a_lone_perceptron_has_its_gradient_written_out() -> None:
    """In the experiments, on a CPU; many replicas have not, and all come to the same."""
    x, y = digits()
    (spec,) = LENET_300_100.specs["smoke"]
    data, spec = Arrays(x, y, x, y), replace(spec, dense=POLICY)

    def trained(*seeds: int) -> tuple[int, Tensor]:
        calls = 0
        keep = Backpropagation.__call__

        def counted(self: Backpropagation, index: Tensor) -> dict[str, Tensor]:
            nonlocal calls
            calls += 1
            return keep(self, index)

        population = build(spec, seeds, torch.device("cpu"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Backpropagation, "__call__", counted)
            descend(spec, population, data, seeds, 0, lambda steps: None)
        return calls, dict(population.model.named_parameters())["readout.weight"].detach()[0]

    (calls, weight), (others, other) = trained(2), trained(2, 3)
    assert (calls, others) == (POLICY.steps, 0)
    torch.testing.assert_close(other, weight, rtol=1e-4, atol=1e-5)


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ValueError, match="momentum above 0"):
        Training(1, nesterov=True, momentum=0.0)


def test_l1_drives_idle_weights_to_zero() -> None:
    """A pixel that is always black teaches nothing: its weights lose lr * l1 / (1 - momentum) a step."""
    x, y = digits()
    x = torch.where(torch.arange(784) < 28, 0, x)
    ends = []
    for steps in (1, 20):
        model = LinearClassifier((0,), 784, 10)
        before = model.affine.weight.detach()[..., :28].clone()
        options = Training(steps, batch_size=8, lr=0.1, momentum=0.5, l1=0.01)
        train(model, dense_masks(model), x, y, options, seeds=(0,), stage="round-0")
        ends.append(model.affine.weight.detach()[..., :28])
    torch.testing.assert_close(ends[0], before.sign() * (before.abs() - 0.002).clamp_min(0))
    assert bool((ends[1] == 0).all())
    assert float(before.abs().max()) > 19 * 0.001  # without momentum's share they would not have got there


def test_momentum_that_moves_nothing_is_dropped() -> None:
    """After hundreds of steps with l_1 no momentum is subnormal."""
    tiny = torch.finfo(torch.float32).tiny
    momentum = torch.tensor([0.0, tiny / 4, 1e-31, -1e-31, 1e-29, -2.0])
    drop_traces(momentum)
    assert momentum.tolist() == pytest.approx([0, 0, 0, 0, 1e-29, -2], rel=1e-6, abs=0)

    x, y = digits()
    x = torch.where(torch.arange(784) < 28, 0, x)
    descents: list[Descent] = []
    keep = Descent.step

    def spied(self: Descent, *args: Any) -> None:
        descents[:] = [self]
        keep(self, *args)

    model = LinearClassifier((0,), 784, 10)
    options = Training(1_100, batch_size=8, lr=0.01, momentum=0.8, weight_decay=5e-4, l1=0.01)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Descent, "step", spied)
        train(model, dense_masks(model), x, y, options, seeds=(0,), stage="round-0")
    assert bool((model.affine.weight[..., :28] == 0).all()), "nothing pulls at what reads black pixels"
    assert len(descents[0].momentum) == 2
    for buffer in descents[0].momentum.values():
        assert not bool(((buffer != 0) & (buffer.abs() < tiny)).any())


def test_l1_finds_the_optimum_of_the_penalised_loss() -> None:
    """One input of 1, all of one class: softplus(-w) + l1 |w| is least at log(1 / l1 - 1), or at 0."""
    x, y = torch.ones(4, 1, dtype=torch.float64), torch.ones(4, dtype=torch.long)
    for l1, expected in ((0.2, math.log(4)), (0.6, 0.0)):
        model = LinearClassifier((0,), 1, 2).double()
        model.affine.bias.requires_grad_(False).zero_()
        options = Training(3_000, batch_size=4, lr=0.1, momentum=0.0, l1=l1)
        train(model, dense_masks(model), x, y, options, seeds=(0,), stage="round-0")
        assert float(model.affine.weight.detach()) == pytest.approx(expected, abs=1e-6)


def test_all_ones_masks_are_no_masks() -> None:
    x, y = digits()
    ends = []
    for masked in (True, False):
        model = LeNet300100((1,))
        train(model, dense_masks(model) if masked else {}, x, y, POLICY, seeds=(1,), stage="round-0")
        ends.append(model.readout.weight.detach())
    assert torch.equal(*ends)
