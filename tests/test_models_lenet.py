"""LeNet-300-100 and LeNet-5: sizes, initial values, plain PyTorch, replicas alone and together."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sparse_robust.bench.replicas import plain
from sparse_robust.models import LeNet5, LeNet300100, ReplicaConvPool2d, prunable
from sparse_robust.models.layers import grouped, one_by_one
from sparse_robust.rng import stream

MODELS: dict[str, Any] = {"lenet-300-100": LeNet300100, "lenet-5": LeNet5}
each = pytest.mark.parametrize("kind", MODELS)


def digits(*shape: int) -> Tensor:
    return torch.rand((*shape, 28 * 28), generator=stream(0, "test/lenet"))


@each
def test_logits_are_those_of_plain_pytorch(kind: str) -> None:
    model, x = MODELS[kind]((3, 8)), digits(2, 5)
    for parameter in model.parameters():  # biases start at zero, and must count
        parameter.data += 0.05 * torch.rand(parameter.shape, generator=stream(1, "test/lenet"))
    expected = torch.stack([plain(model, r)(x[r]) for r in range(2)])
    torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(model(x.unflatten(2, (28, 28))), model(x))


@each
def test_replica_equals_the_lone_model_with_its_seed(kind: str) -> None:
    seeds, x = (4, 0, 9), digits(3, 4)
    together = MODELS[kind](seeds)
    for r, seed in enumerate(seeds):
        alone = MODELS[kind]((seed,))
        assert all(
            torch.equal(p[r], q[0]) for p, q in zip(together.parameters(), alone.parameters(), strict=True)
        )
        torch.testing.assert_close(together(x)[r], alone(x[r : r + 1])[0], rtol=1e-5, atol=1e-6)
    assert (together.readout.weight[0] - together.readout.weight[1]).abs().max() > 0.01


@pytest.mark.parametrize(
    ("kind", "weights", "parameters"), [("lenet-300-100", 266_200, 266_610), ("lenet-5", 430_500, 431_080)]
)
def test_sizes_are_those_of_the_pruning_literature(kind: str, weights: int, parameters: int) -> None:
    """267K and 431K parameters (Han et al. 2015, Table 1)."""
    model = MODELS[kind]((0,))
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert sum(p.numel() for p in prunable(model).values()) == weights


@each
def test_initial_values_are_caffes_xavier(kind: str) -> None:
    """Weights uniform with variance 1 / fan-in, biases zero."""
    model = MODELS[kind]((5,))
    for name, parameter in model.named_parameters():
        values = parameter.detach()[0]
        if name.endswith("bias"):
            assert bool((values == 0).all()), name
            continue
        scaled = values.flatten() * (values[0].numel() / 3) ** 0.5  # uniform on (-1, 1)
        assert float(scaled.abs().max()) <= 1, name
        assert abs(float(scaled.mean())) < 4 / (3 * len(scaled)) ** 0.5, name
        assert float(scaled.square().mean()) == pytest.approx(1 / 3, abs=4 * (4 / 45 / len(scaled)) ** 0.5), (
            name
        )


@each
def test_activations_are_what_the_next_layer_reads(kind: str) -> None:
    model, x = MODELS[kind]((1, 2)), digits(2, 6)
    with torch.no_grad():
        activations = model.activations(x)
        assert [a.shape for a in activations] == [
            (2, 6, width) for width in ((300, 100) if kind == "lenet-300-100" else (500,))
        ]
        assert all(float(a.min()) == 0 < float(a.max()) for a in activations)
        torch.testing.assert_close(model.readout(activations[-1]), model(x))
        if kind == "lenet-300-100":
            torch.testing.assert_close(model.hidden_2(activations[0]).relu(), activations[1])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("wanted", [(0, 1, 2), (0,), (1, 2), (2,)])
def test_grouped_convolution_and_pooling_are_those_of_r_replicas(
    channels: int, wanted: tuple[int, ...]
) -> None:
    """The two ways of a CPU and a GPU, with their gradients: all, those of attacks, those of training."""

    def outcome(convolve: Any) -> list[Tensor]:
        inputs = [
            torch.rand(shape, generator=stream(2, "test/conv"), dtype=torch.float64)
            for shape in ((3, 4, channels, 9, 8), (3, 5, channels, 3, 3), (3, 5))
        ]
        chosen = [inputs[i].requires_grad_() for i in wanted]
        y = convolve(*inputs)
        assert y.shape == (3, 4, 5, 3, 3)
        return [y, *torch.autograd.grad(y.square().sum(), chosen)]

    for a, b in zip(outcome(grouped), outcome(one_by_one), strict=True):
        torch.testing.assert_close(a, b)


def test_a_convolution_reads_its_own_replica() -> None:
    layer = ReplicaConvPool2d((0, 1), 1, 2, 3, "conv")
    x = torch.rand(2, 1, 1, 5, 5, generator=stream(0, "test/conv"))
    changed = torch.stack([x[0], x[1] + 1])
    assert torch.equal(layer(x)[0], layer(changed)[0])
    assert not torch.equal(layer(x)[1], layer(changed)[1])
