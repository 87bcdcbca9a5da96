"""Training on images in colour: every seed its own, augmentation, half precision, one compilation."""

from collections.abc import Sequence
from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from sparse_robust.data import made_images
from sparse_robust.models import (
    COLOUR,
    ImageClassifier,
    NetworkName,
    ReplicaLinear,
)
from sparse_robust.models.cifar_layers import BatchNorm, Convolution, Dropout
from sparse_robust.pruning import dense_masks
from sparse_robust.rng import stream
from sparse_robust.training import Training, augmented, train
from test_models_cifar import SEEDS, Net, inputs, net

BRIEF = Training(3, batch_size=4, lr=0.05, schedule="linear", warmup=1, nesterov=True, augment=4)


@pytest.mark.parametrize("name", COLOUR)
def test_replica_equals_lone_run(name: NetworkName) -> None:
    """Order, crops, mirror images, dropout and moments: all are the seed's own."""
    data = made_images(train=12, test=10).train

    def trained(seeds: Sequence[int]) -> Net:
        model = net(name, seeds)
        loss = augmented.objective(model, data.images, data.labels, BRIEF, seeds=seeds, stage="round-0")
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
        assert not torch.equal(value, start[key]), f"{key} was not trained"
    assert not both.training


# --- augmentation --------------------------------------------------------------------------------------


def test_moved_is_a_crop_of_the_mirrored_margin() -> None:
    x = torch.randint(256, (7, 3, 32, 32), generator=stream(0, "test/moved"), dtype=torch.uint8)
    index = torch.tensor([[0, 6, 3], [2, 2, 5]])
    moves = torch.tensor([[[4, -4, 0], [0, 0, 1], [-3, 1, 1]], [[0, 0, 0], [2, 4, 1], [-4, -4, 1]]])
    found = augmented.moved(x, index, moves)
    assert (found.shape, found.dtype) == ((2, 3, 3, 32, 32), torch.uint8)
    for r in range(2):
        for b in range(3):
            down, right, flip = moves[r, b].tolist()
            margin = np.pad(x[index[r, b]].numpy(), ((0, 0), (4, 4), (4, 4)), mode="reflect")
            crop = margin[:, 4 + down : 36 + down, 4 + right : 36 + right]
            np.testing.assert_array_equal(found[r, b].numpy(), crop[:, :, ::-1] if flip else crop)


def test_draws_are_the_seeds_own_and_cover_their_range() -> None:
    both = list(islice(augmented.draws((0, 5), "round-1", 50, 10, 4), 12))
    lone = islice(augmented.draws((5,), "round-1", 50, 10, 4), 12)
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
    assert next(augmented.draws((0,), "round-1", 50, 10, 0))[0] is None


# --- options ----------------------------------------------------------------------------------


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
        loss = augmented.batch_loss(model, data.images, data.labels, index, None, noise, half)
        loss.backward()
        assert loss.dtype == torch.float32
        assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.float32}
        assert model.stem_norm.mean.dtype == torch.float32
        losses.append(float(loss.detach()))
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


# --- compiling -----------------------------------------------------------------------------------------


class Small(ImageClassifier):
    """A layer of each kind: what is traced thirty times in a network is traced once here."""

    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__()
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
    compiled = torch.compile(augmented.batch_loss, dynamic=False, backend=counted)
    data = made_images(train=20, test=10).train
    for seed, share in ((0, 1.0), (1, 0.7)):
        index = torch.arange(8).unsqueeze(0) + seed
        ((moves, noise),) = islice(augmented.draws((seed,), "round-0", 20, 8, 4), 1)
        states = []
        for loss in (augmented.batch_loss, compiled):
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
