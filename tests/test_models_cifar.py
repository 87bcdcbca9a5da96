"""Networks for images in colour against plain PyTorch; dropout and the operations of layers."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sparse_robust.models import (
    COLOUR,
    NETWORKS,
    NetworkName,
    ResNet32,
    VGGLike,
    prunable,
)
from sparse_robust.models.cifar_layers import BatchNorm, Convolution, Dropout
from sparse_robust.models.costs import layers
from sparse_robust.rng import hashed, stream

SEEDS = (3, 1)
NARROW = {"vgg": 16, "resnet-32": 8}
Net = VGGLike | ResNet32


def net(name: NetworkName, seeds: Sequence[int] = SEEDS) -> Net:
    model = NETWORKS[name].build(seeds, 10, NARROW[name])
    assert isinstance(model, Net)
    return model


def inputs(examples: int = 3, replicas: int = 2) -> Tensor:
    return torch.rand((replicas, examples, 3, 32, 32), generator=stream(0, "test/images"))


# --- the same nets of PyTorch's own layers -------------------------------------------------------------


def convolution(layer: Convolution, r: int) -> nn.Conv2d:
    filters, channels = layer.weight.shape[1:3]
    copy = nn.Conv2d(channels, filters, 3, layer.stride, padding=1, bias=False)
    copy.load_state_dict({"weight": layer.weight[r].detach()})
    return copy


def norm(layer: BatchNorm, r: int, kind: type[nn.Module] = nn.BatchNorm2d) -> nn.Module:
    copy = kind(layer.scale.shape[1])
    copy.load_state_dict(
        {
            "weight": layer.scale[r].detach(),
            "bias": layer.shift[r].detach(),
            "running_mean": layer.mean[r],
            "running_var": layer.variance[r],
            "num_batches_tracked": torch.tensor(0),
        }
    )
    return copy


def linear(layer: nn.Module, r: int) -> nn.Linear:
    copy = nn.Linear(layer.weight.shape[2], layer.weight.shape[1])
    copy.load_state_dict({"weight": layer.weight[r].detach(), "bias": layer.bias[r, 0].detach()})
    return copy


class Normalise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        mean = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
        return (x - mean) / torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)


class Residual(nn.Module):
    def __init__(self, block: nn.Module, r: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            *(convolution(block.first, r), norm(block.first_norm, r), nn.ReLU()),
            *(convolution(block.second, r), norm(block.second_norm, r)),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x)
        if y.shape != x.shape:  # every second pixel, the new channels empty
            padded = torch.zeros_like(y)
            padded[:, : x.shape[1]] = x[:, :, ::2, ::2]
            x = padded
        return torch.relu(x + y)


def plain(model: Net, r: int) -> nn.Sequential:
    if isinstance(model, ResNet32):
        return nn.Sequential(
            *(Normalise(), convolution(model.stem, r), norm(model.stem_norm, r), nn.ReLU()),
            *(Residual(block, r) for block in model.blocks),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(model.readout, r)),
        )
    features: list[nn.Module] = [Normalise()]
    for number, (c, n) in enumerate(zip(model.convolutions, model.norms, strict=True)):
        features += [convolution(c, r), norm(n, r), nn.ReLU()]
        features += [nn.MaxPool2d(2)] if number in (1, 3, 6, 9, 12) else []
    hidden = [nn.Flatten(), linear(model.hidden, r), norm(model.hidden_norm, r, nn.BatchNorm1d), nn.ReLU()]
    return nn.Sequential(*features, *hidden, linear(model.readout, r))


@pytest.mark.parametrize("name", COLOUR)
def test_logits_gradients_and_moments_are_those_of_pytorchs_layers(name: NetworkName) -> None:
    """In training, without dropout, and then in evaluation with the moments that training left."""
    model, x = net(name), inputs()
    plains = [plain(model, r) for r in range(2)]
    expected = [p(x[r]) for r, p in enumerate(plains)]
    found = model(x)
    assert found.shape == (2, 3, 10)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-4, atol=1e-5)
    (found[0, :, 0].sum() + 2 * found[1, :, 1].sum()).backward()
    (expected[0][:, 0].sum() + 2 * expected[1][:, 1].sum()).backward()
    weights = list(prunable(model).values())
    for r, p in enumerate(plains):
        theirs = [w for n, w in p.named_parameters() if n.endswith("weight") and w.ndim > 1]
        for ours, other in zip(weights, theirs, strict=True):
            assert ours.grad is not None
            scale = float(other.grad.abs().max())  # type: ignore[union-attr]
            torch.testing.assert_close(ours.grad[r], other.grad, rtol=1e-3, atol=1e-4 * scale)
    model.eval()
    for r, p in enumerate(plains):
        torch.testing.assert_close(model(x)[r], p.eval()(x[r]), rtol=1e-4, atol=1e-5)
    flat = model(x.flatten(2))
    torch.testing.assert_close(flat, model(x))


# --- dropout -------------------------------------------------------------------------------------------


def mixed(x: int) -> int:
    """The mixer in unsigned arithmetic without bounds."""
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def test_hashed_is_the_mixer_on_unsigned_integers() -> None:
    key = torch.tensor([-5, 2**31 - 1], dtype=torch.int32)
    expected = [mixed(mixed(i ^ (-5 % 2**32)) ^ (2**31 - 1)) % 2**24 / 2**24 for i in range(50)]
    assert hashed(key, 50).tolist() == expected


def test_hashed_looks_uniform_and_keys_look_independent() -> None:
    n = 100_000
    keys = torch.randint(-(2**31), 2**31, (6, 2), generator=stream(0, "test/keys"), dtype=torch.int32)
    keys[1] = keys[0] + 1  # as the next layer's
    draws = torch.stack([hashed(key, n) for key in keys]).double()
    counts = torch.stack([torch.histc(d, 16, 0, 1) for d in draws])
    chi = ((counts - n / 16) ** 2 / (n / 16)).sum(1)
    assert chi.max() < 45  # 15 degrees of freedom: one in ten thousand is above 44
    off = torch.corrcoef(draws).fill_diagonal_(0).abs().max()
    assert off < 5 / n**0.5
    shifted = torch.corrcoef(torch.stack([draws[0, 1:], draws[0, :-1]]))[0, 1]
    assert abs(shifted) < 5 / n**0.5


def test_dropout_keeps_the_mean_and_depends_on_key_and_layer() -> None:
    z = torch.ones(2, 50, 40, 10)
    noise = torch.tensor([[1, 2], [3, 4]], dtype=torch.int32)
    one, other = Dropout(0.4, 0), Dropout(0.4, 5)
    first, again, second = one(list(z), noise), one(list(z), noise), other(list(z), noise)
    for dropped, same, different in zip(first, again, second, strict=True):
        assert torch.equal(dropped, same)
        assert not torch.equal(dropped, different)
        values = dropped.unique()
        torch.testing.assert_close(values, torch.tensor([0, 1 / 0.6]))
        assert abs(float((dropped == 0).float().mean()) - 0.4) < 5 * (0.4 * 0.6 / z[0].numel()) ** 0.5
    assert not torch.equal(first[0], first[1])
    lone = one([z[1]], noise[1:])
    assert torch.equal(lone[0], first[1])
    assert one.eval()(list(z), noise)[0].eq(1).all()
    assert other(list(z), None)[0].eq(1).all()


def test_the_share_of_dropout_that_is_used() -> None:
    model = net("vgg")
    rates = [d.base for d in model.modules() if isinstance(d, Dropout)]
    assert rates == [0.3, 0.4, 0.4, 0.4, 0.4, 0.4, 0.5, 0.5]
    model.use_dropout(0.5)
    assert [float(d.rate) for d in model.modules() if isinstance(d, Dropout)] == pytest.approx(
        [r / 2 for r in rates]
    )
    assert not any("rate" in key for key in model.state_dict())


# --- layers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "convolutions", "linear"), [("vgg", 13, 2), ("resnet-32", 31, 1)])
def test_layers_and_operations_are_counted(name: NetworkName, convolutions: int, linear: int) -> None:
    model = NETWORKS[name].build([0], 10, 1)
    found = layers(model)
    kinds = ["x".join(map(str, layer.output)) for layer in found]
    assert sum("x" in kind for kind in kinds) == convolutions
    assert len(found) - convolutions == linear
    assert [layer.weights for layer in found] == [w[0].numel() for w in prunable(model).values()]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, 1, 3072))
    assert 2 * sum(layer.macs for layer in found) == counter.get_total_flops()


def test_resnet_32_has_the_size_that_he_et_al_print() -> None:
    """.46 million parameters (He et al. 2016, table 6)."""
    assert round(sum(p[0].numel() for p in ResNet32([0]).parameters()) / 1e6, 2) == 0.46
