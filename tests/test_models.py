"""Replica models: each row alone, the paper's binary loss, the support; random streams."""

import math

import pytest
import torch
from torch import Tensor

from sparse_robust.attacks import carlini_wagner, deepfool, fast_gradient_sign
from sparse_robust.models import LinearClassifier, ReplicaLinear, prunable
from sparse_robust.rng import stream


def inputs(replicas: int, *shape: int) -> Tensor:
    return torch.rand((replicas, *shape), generator=stream(0, "test/models"))


# Random streams


def test_a_stream_depends_on_seed_and_name_alone() -> None:
    def draw(seed: int, name: str) -> list[float]:
        return torch.rand(4, generator=stream(seed, name)).tolist()

    first = draw(1, "init")
    torch.rand(3)
    torch.manual_seed(5)
    draw(2, "init")
    assert draw(1, "init") == first
    others = [draw(2, "init"), draw(1, "order"), draw(11, "init"), draw(1, "1/init"), draw(0, "init")]
    assert len({tuple(v) for v in [first, *others]}) == 6


def test_a_stream_is_frozen() -> None:
    """The published numbers rest on these draws: sha256 of "seed/name", first 8 bytes, halved."""
    assert stream(7, "order/round-3").initial_seed() == 3730420109487879230


def test_streams_are_uncorrelated() -> None:
    a, b = (torch.rand(4000, generator=stream(s, "x"), dtype=torch.float64) for s in (0, 1))
    assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 4 / math.sqrt(4000)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        stream(-1, "init")


# Layers and classifiers


def test_replica_linear_is_r_maps_of_torch() -> None:
    layer, x = ReplicaLinear((4, 9), 5, 3, "one"), inputs(2, 7, 5)
    expected = [torch.nn.functional.linear(x[r], layer.weight[r], layer.bias[r, 0]) for r in range(2)]
    assert torch.allclose(layer(x), torch.stack(expected), atol=1e-6)
    bound = 5**-0.5
    for values in (layer.weight, layer.bias):
        assert float(values.detach().abs().max()) <= bound
    wide = ReplicaLinear((0,), 400, 5, "wide").weight.detach() * 20  # uniform on (-1, 1)
    assert abs(float(wide.mean())) < 4 / math.sqrt(3 * 2000)
    assert float(wide.square().mean()) == pytest.approx(1 / 3, abs=4 * math.sqrt(4 / 45 / 2000))


@pytest.mark.parametrize("classes", [2, 5])
def test_replica_equals_the_lone_model_with_its_seed(classes: int) -> None:
    seeds, x = (3, 0, 11), inputs(3, 4, 2, 3)
    together = LinearClassifier(seeds, 6, classes)
    for r, seed in enumerate(seeds):
        alone = LinearClassifier((seed,), 6, classes)
        for a, b in zip(alone.parameters(), together.parameters(), strict=True):
            assert torch.equal(a[0], b[r])
        assert torch.allclose(alone(x[r : r + 1])[0], together(x)[r], atol=1e-6)
    assert not torch.equal(together.affine.weight[0], together.affine.weight[1])


def test_binary_cross_entropy_is_the_softplus_loss_of_the_paper() -> None:
    model, x = LinearClassifier((2,), 6, 2), inputs(1, 9, 6)
    y = torch.arange(9).unsqueeze(0) % 2
    f = x @ model.affine.weight.mT + model.affine.bias
    paper = torch.log1p(torch.exp(-(2 * y - 1) * f.squeeze(-1)))
    logits = model(x)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
    assert torch.allclose(loss, paper.flatten(), atol=1e-6)
    assert torch.equal(logits.argmax(-1) == 1, f.squeeze(-1) > 0)
    assert model.affine.weight.shape == (1, 1, 6)  # one weight vector, not a redundant pair


@pytest.mark.parametrize("classes", [2, 4])
def test_rows_are_the_weights_of_the_logits(classes: int) -> None:
    model, x = LinearClassifier((2, 5), 6, classes), inputs(2, 3, 6)
    weight, bias = model.rows()
    assert weight.shape == (2, classes, 6)
    assert torch.allclose(x @ weight.mT + bias.unsqueeze(1), model(x), atol=1e-6)
    assert [weight.requires_grad, bias.requires_grad] == [False, False]


def test_one_class_is_no_classifier() -> None:
    with pytest.raises(ValueError, match="at least 2 classes, got 1"):
        LinearClassifier((0,), 3, 1)


def test_biases_are_not_prunable() -> None:
    model = LinearClassifier((0, 1), 3, 4)
    assert {name: tuple(p.shape) for name, p in prunable(model).items()} == {"affine.weight": (2, 4, 3)}


# The support


def sparse_model(classes: int) -> LinearClassifier:
    """Replica 0 reads pixels 1, 3 and 4, replica 1 pixel 5, replica 2 none; in double precision."""
    model = LinearClassifier((3, 4, 5), 6, classes).double()
    read = torch.zeros(3, 6, dtype=torch.bool)
    read[0, [1, 3, 4]] = True
    read[1, 5] = True
    model.affine.weight.data *= read.unsqueeze(1)
    if classes > 2:
        model.affine.weight.data[0, 0, 3] = 0  # one class does not read it, the others do
    model.affine.bias.data *= 0.1
    return model


@pytest.mark.parametrize("classes", [2, 3])
def test_on_the_support_everything_is_as_on_the_whole(classes: int) -> None:
    model, x = sparse_model(classes), inputs(3, 8, 6).double()
    small, index = model.on_support()
    assert [sorted(row) for row in index.tolist()] == [[1, 3, 4], [-1, -1, 5], [-1, -1, -1]]
    kept = x.gather(2, index.clamp_min(0).unsqueeze(1).expand(-1, 8, -1))
    y = model(x).argmax(-1)
    assert torch.allclose(small(kept), model(x), atol=1e-12)
    for attack in (
        lambda f, z: fast_gradient_sign(f, z, y, eps=0.1, box=(0.0, 1.0)),
        lambda f, z: deepfool(f, z, y),
        lambda f, z: deepfool(f, z, y, box=(0.0, 1.0)),
    ):
        whole, part = attack(model, x), attack(small, kept)
        assert torch.equal(whole.flipped, part.flipped)
        assert bool(whole.flipped[0].any())
        moved = (whole.x_adv - x).gather(2, index.clamp_min(0).unsqueeze(1).expand(-1, 8, -1))
        moved = moved * (index >= 0).unsqueeze(1)
        real = whole.flipped.unsqueeze(-1)
        assert torch.allclose((moved * real).double(), (part.x_adv - kept) * real, atol=1e-7)
        assert torch.allclose(whole.radius[0], part.radius[0], atol=1e-7)
        assert bool(whole.radius[2].isposinf().all())  # a replica that reads nothing cannot be flipped


@pytest.mark.parametrize("classes", [2, 3])
def test_on_the_support_cw_goes_no_farther(classes: int) -> None:
    """On the whole model Adam turns the rounding noise of unread inputs into steps, which cost distance."""
    model, x = sparse_model(classes), inputs(3, 8, 6).double()
    small, index = model.on_support()
    kept = x.gather(2, index.clamp_min(0).unsqueeze(1).expand(-1, 8, -1))
    y = model(x).argmax(-1)
    whole, part = (
        carlini_wagner(f, z, y, steps=100, searches=6, box=(-3.0, 4.0))
        for f, z in ((model, x), (small, kept))
    )
    assert torch.equal(whole.flipped, part.flipped)
    found = part.radius.isfinite()
    assert bool(found[0].any())
    assert bool((part.radius[found] <= whole.radius[found] * 1.001).all())


def test_the_smaller_model_is_a_copy() -> None:
    model = sparse_model(3)
    before = model.affine.weight.detach().clone()
    small, _ = model.on_support()
    small.affine.weight.data += 1
    small.affine.bias.data += 1
    assert torch.equal(model.affine.weight, before)
    assert float(model.affine.bias.detach().abs().max()) < 0.1
