"""Networks for images in colour against plain PyTorch; dropout, augmentation, layers, compiling."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils.flop_counter import FlopCounterMode

from sparse_robust.bench.budget import NETS
from sparse_robust.data import made_images
from sparse_robust.models import ReplicaLinear, prunable
from sparse_robust.models.cifar import ImageClassifier, ResNet32, VGGLike
from sparse_robust.models.cifar_layers import BatchNorm, Convolution, Dropout
from sparse_robust.models.costs import layers
from sparse_robust.pruning import dense_masks
from sparse_robust.rng import hashed, stream
from sparse_robust.training import Training, train
from sparse_robust.training import augmented as images

SEEDS = (3, 1)
BRIEF = Training(3, batch_size=4, lr=0.05, schedule="linear", warmup=1, nesterov=True, augment=4)
Net = VGGLike | ResNet32


def net(name: str, seeds: Sequence[int] = SEEDS) -> Net:
    return NETS[name](seeds, {"vgg": 16, "resnet-32": 8}[name])


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


@pytest.mark.parametrize("name", NETS)
def test_logits_gradients_and_moments_are_those_of_pytorchs_layers(name: str) -> None:
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


@pytest.mark.parametrize("name", NETS)
def test_replica_equals_lone_run(name: str) -> None:
    """Order, crops, mirror images, dropout and moments: all are the seed's own."""
    data = made_images(train=12, test=10).train

    def trained(seeds: Sequence[int]) -> Net:
        model = net(name, seeds)
        loss = images.objective(model, data.images, data.labels, BRIEF, seeds=seeds, stage="round-0")
        options = {"seeds": seeds, "stage": "round-0", "objective": loss}
        train(model, dense_masks(model), data.images, data.labels, BRIEF, **options)  # type: ignore[arg-type]
        return model

    both = trained(SEEDS)
    for r, seed in enumerate(SEEDS):
        lone = trained([seed]).state_dict()
        for key, value in both.state_dict().items():
            torch.testing.assert_close(value[r], lone[key][0], rtol=1e-3, atol=1e-4)
    start = net(name).state_dict()
    for key, value in both.state_dict().items():
        if key != "training_seconds":
            assert not torch.equal(value, start[key]), f"{key} was not trained"
    assert not both.training


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


# --- augmentation --------------------------------------------------------------------------------------


def test_moved_is_a_crop_of_the_mirrored_margin() -> None:
    x = torch.randint(256, (7, 3, 32, 32), generator=stream(0, "test/moved"), dtype=torch.uint8)
    index = torch.tensor([[0, 6, 3], [2, 2, 5]])
    moves = torch.tensor([[[4, -4, 0], [0, 0, 1], [-3, 1, 1]], [[0, 0, 0], [2, 4, 1], [-4, -4, 1]]])
    found = images.moved(x, index, moves)
    assert (found.shape, found.dtype) == ((2, 3, 3, 32, 32), torch.uint8)
    for r in range(2):
        for b in range(3):
            down, right, flip = moves[r, b].tolist()
            margin = np.pad(x[index[r, b]].numpy(), ((0, 0), (4, 4), (4, 4)), mode="reflect")
            crop = margin[:, 4 + down : 36 + down, 4 + right : 36 + right]
            np.testing.assert_array_equal(found[r, b].numpy(), crop[:, :, ::-1] if flip else crop)


def test_draws_are_the_seeds_own_and_cover_their_range() -> None:
    both = list(islice(images.draws((0, 5), "round-1", 50, 10, 4), 12))
    lone = islice(images.draws((5,), "round-1", 50, 10, 4), 12)
    for (moves, noise), (own, key) in zip(both, lone, strict=True):
        assert moves is not None
        assert own is not None
        assert (moves.shape, noise.shape) == ((2, 10, 3), (2, 2))
        assert torch.equal(moves[1], own[0])
        assert torch.equal(noise[1], key[0])
    every = torch.cat([moves.flatten(0, 1) for moves, _ in both if moves is not None])
    assert [sorted(set(column.tolist())) for column in every.T] == [[*range(-4, 5)]] * 2 + [[0, 1]]
    keys = torch.stack([noise for _, noise in both]).flatten(0, 1)
    assert len(keys.unique(dim=0)) == 24
    assert keys.min() < 0 < keys.max()
    assert next(images.draws((0,), "round-1", 50, 10, 0))[0] is None


# --- training options ----------------------------------------------------------------------------------


def test_warmup_rises_to_the_rate_and_falls_to_nothing() -> None:
    options = Training(10, lr=0.4, schedule="linear", warmup=4)
    rates = [options.rate(step) for step in range(10)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, *(0.4 * k / 6 for k in (5, 4, 3, 2, 1))])


@pytest.mark.parametrize("options", [{"augment": 4}, {"bfloat16": True}])
def test_options_that_need_an_objective_are_not_ignored(options: dict[str, int]) -> None:
    model = net("resnet-32")
    with pytest.raises(ValueError, match="need an objective"):
        train(model, {}, inputs(), torch.zeros(3), Training(1, **options), seeds=SEEDS, stage="x")  # type: ignore[arg-type]


def test_half_precision_is_close_and_leaves_float32_behind() -> None:
    data, index = made_images(train=20, test=10).train, torch.arange(16).expand(2, -1)
    noise = torch.zeros(2, 2, dtype=torch.int32)
    losses = []
    for half in (False, True):
        model = net("resnet-32")
        loss = images.batch_loss(model, data.images, data.labels, index, None, noise, half)
        loss.backward()
        assert loss.dtype == torch.float32
        assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}
        assert model.stem_norm.mean.dtype == torch.float32
        losses.append(float(loss.detach()))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


# --- layers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "convolutions", "linear"), [("vgg", 13, 2), ("resnet-32", 31, 1)])
def test_layers_and_operations_are_counted(name: str, convolutions: int, linear: int) -> None:
    model = NETS[name]([0])
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


# --- compiling -----------------------------------------------------------------------------------------


class Small(ImageClassifier):
    """A layer of each kind: what is traced thirty times in a network is traced once here."""

    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__(len(seeds))
        self.convolution, self.norm = Convolution(seeds, 3, 4, "convolution"), BatchNorm(len(seeds), 4)
        self.dropout, self.readout = Dropout(0.4, 0), ReplicaLinear(seeds, 4, 10, "readout")

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        maps = self.dropout(self.norm(self.convolution(self.normalised(x))), noise)
        logits: Tensor = self.readout(torch.stack([z.relu().mean((2, 3)) for z in maps]))
        return logits


def test_the_compiled_loss_is_the_loss_and_is_compiled_once_for_all_seeds() -> None:
    """Without a code generator: the function can be traced, moments that change in place and all."""
    torch._dynamo.reset()
    counted = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(images.batch_loss, dynamic=False, backend=counted)
    data = made_images(train=20, test=10).train
    for seed, share in ((0, 1.0), (1, 0.7)):
        index = torch.arange(8).unsqueeze(0) + seed
        ((moves, noise),) = islice(images.draws((seed,), "round-0", 20, 8, 4), 1)
        states = []
        for loss in (images.batch_loss, compiled):
            model = Small([seed])
            model.use_dropout(share)
            value = loss(model, data.images, data.labels, index, moves, noise, False)
            value.backward()
            states.append([value.detach(), model.norm.mean, *(p.grad for p in model.parameters())])
        assert states[0][1].ne(0).all()
        for one, other in zip(*states, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    assert counted.frame_count == 1
    torch._dynamo.reset()
