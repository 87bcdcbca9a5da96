"""Training: the descent written out by hand, replicas alone and together, masks, known optima."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sparse_robust.models import LinearClassifier
from sparse_robust.pruning import dense_masks, prune_layers
from sparse_robust.rng import stream
from sparse_robust.training import Training, batches, train

INPUTS = 6
WEIGHT = "affine.weight"


def problem(classes: int, examples: int = 40, inputs: int = INPUTS) -> tuple[Tensor, Tensor]:
    """Overlapping classes: shifted noise, float64 [N, D] and classes [N]."""
    generator = stream(1, "problem")
    y = torch.arange(examples) % classes
    centres = torch.randn((classes, inputs), generator=generator, dtype=torch.float64)
    return centres[y] + torch.randn((examples, inputs), generator=generator, dtype=torch.float64), y


def classifier(seeds: Sequence[int], classes: int, inputs: int = INPUTS) -> LinearClassifier:
    return LinearClassifier(seeds, inputs, classes).double()


def some_masks(model: LinearClassifier) -> dict[str, Tensor]:
    """Each replica keeps its own weights: two fifths are masked, by a fixed pattern."""
    weight = model.affine.weight
    pattern = torch.arange(weight.numel()).view_as(weight) * 7 % 5
    return {WEIGHT: pattern > 1}


def loss_gradient(weight: np.ndarray, bias: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
    """Gradient of the mean loss by hand: softplus for one weight vector, cross-entropy for several."""
    scores = x @ weight.T + bias  # [batch, O]
    if len(weight) == 1:
        signs = np.where(y == 1, 1.0, -1.0)[:, None]
        slope = -signs * scipy.special.expit(-signs * scores)  # d/df log(1 + exp(-s f))
    else:
        slope = scipy.special.softmax(scores, axis=1) - np.eye(len(weight))[y]
    return slope.T @ x / len(x), slope.mean(0)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_descent_is_heavy_ball_by_hand(classes: int, schedule: Any) -> None:
    options = Training(7, batch_size=8, lr=0.3, momentum=0.8, weight_decay=0.05, schedule=schedule)
    seeds = (3, 5)
    x, y = problem(classes)
    model = classifier(seeds, classes)
    masks = some_masks(model)
    weights = model.affine.weight.detach().clone().numpy()
    biases = model.affine.bias.detach().clone().numpy()
    train(model, masks, x, y, options, seeds=seeds, stage="round-3")

    for r, seed in enumerate(seeds):
        mask = masks[WEIGHT][r].numpy()
        w, b = weights[r] * mask, biases[r, 0]
        speed_w, speed_b = np.zeros_like(w), np.zeros_like(b)
        for k, index in enumerate(islice(batches((seed,), "order/round-3", len(x), 8), options.steps)):
            rate = 0.3 * (1 - k / 7 if schedule == "linear" else 1)
            grad_w, grad_b = loss_gradient(w, b, x.numpy()[index[0]], y.numpy()[index[0]])
            speed_w = 0.8 * speed_w + mask * grad_w + 0.05 * w
            speed_b = 0.8 * speed_b + grad_b  # no decay on biases
            w, b = w - rate * speed_w, b - rate * speed_b
        np.testing.assert_allclose(model.affine.weight[r].detach().numpy(), w, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(model.affine.bias[r, 0].detach().numpy(), b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("seeds", [(0, 1, 2, 3, 4), (4, 2, 0), (7, 0)])
def test_replica_equals_lone_run(classes: int, seeds: tuple[int, ...]) -> None:
    """In float32 and through a pruning, as the experiments run it."""
    options = Training(30, batch_size=8, lr=0.1, weight_decay=1e-3, schedule="linear")
    x, y = problem(classes)

    def two_stages(seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        model = LinearClassifier(seeds, INPUTS, classes)
        masks = dense_masks(model)
        train(model, masks, x.float(), y, options, seeds=seeds, stage="round-0")
        masks = prune_layers(model, masks, Fraction(1, 2))
        train(model, masks, x.float(), y, options, seeds=seeds, stage="round-1")
        return model.affine.weight.detach(), model.affine.bias.detach()

    weight, bias = two_stages(seeds)
    for r, seed in enumerate(seeds):
        lone_weight, lone_bias = two_stages([seed])
        torch.testing.assert_close(weight[r], lone_weight[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(bias[r], lone_bias[0], rtol=1e-5, atol=1e-6)
    # the comparison means something: other seeds end elsewhere
    assert (weight[0] - weight[1]).abs().max() > 1e-3


def test_masked_weights_are_zero_in_every_forward_pass() -> None:
    options = Training(25, batch_size=8, lr=0.2, momentum=0.9, weight_decay=0.1)
    x, y = problem(3)
    seeds = (0, 1)
    model = classifier(seeds, 3)
    masks = some_masks(model)
    off, start = ~masks[WEIGHT], model.affine.weight.detach().clone()
    assert start[off].ne(0).all()
    seen = []
    model.register_forward_pre_hook(lambda *_: seen.append(model.affine.weight[off].abs().max().item()))
    train(model, masks, x, y, options, seeds=seeds, stage="round-1")
    assert seen == [0.0] * options.steps
    assert model.affine.weight[off].eq(0).all()
    assert model.affine.weight[~off].ne(start[~off]).all()


def test_momentum_starts_at_zero_in_every_stage() -> None:
    """Two stages differ from one of the same length: what the first left behind is its weights alone."""
    x, y = problem(2, examples=8)
    options = Training(1, batch_size=8, lr=0.5, momentum=0.9)
    model = classifier((0,), 2)
    for stage in ("round-0", "round-1"):
        before = [p.detach().clone().numpy() for p in (model.affine.weight, model.affine.bias)]
        train(model, dense_masks(model), x, y, options, seeds=(0,), stage=stage)
        grad_w, grad_b = loss_gradient(before[0][0], before[1][0, 0], x.numpy(), y.numpy())
        np.testing.assert_allclose(model.affine.weight[0].detach().numpy(), before[0][0] - 0.5 * grad_w)
        np.testing.assert_allclose(model.affine.bias[0, 0].detach().numpy(), before[1][0, 0] - 0.5 * grad_b)


@given(examples=st.integers(1, 30), data=st.data())
def test_batches_are_shuffled_epochs(examples: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, examples))
    seed = data.draw(st.integers(0, 2**31))
    per_epoch = examples // size
    drawn = list(islice(batches((seed,), "order/round-0", examples, size), 3 * per_epoch))
    assert all(batch.shape == (1, size) for batch in drawn)
    for epoch in range(3):
        seen = torch.cat(drawn[epoch * per_epoch : (epoch + 1) * per_epoch], 1).flatten().tolist()
        assert len(set(seen)) == len(seen) == per_epoch * size
        assert set(seen) <= set(range(examples))
    again = islice(batches((seed + 1, seed), "order/round-0", examples, size), 3 * per_epoch)
    assert all(torch.equal(a[0], b[1]) for a, b in zip(drawn, again, strict=True))


def test_orders_differ_by_seed_stage_and_epoch() -> None:
    def order(seed: int, name: str, epochs: int = 1) -> tuple[int, ...]:
        return tuple(torch.cat(list(islice(batches((seed,), name, 60, 20), 3 * epochs)), 1)[0, -60:].tolist())

    orders = {order(seed, name) for seed in range(5) for name in ("order/round-0", "order/round-1")}
    assert len(orders | {order(0, "order/round-0", epochs=2)}) == 11


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_reaches_the_optimum_that_scipy_finds(classes: int, masked: bool) -> None:
    """Weight decay makes the problem strictly convex in the weights, and the minimum is unique."""
    decay, inputs = 0.1, 4
    x, y = problem(classes, examples=24, inputs=inputs)
    model = classifier((0,), classes, inputs)
    masks = some_masks(model) if masked else dense_masks(model)
    mask = masks[WEIGHT][0].numpy()
    outputs = len(mask)

    def objective(theta: np.ndarray) -> float:
        w, b = theta[outputs:].reshape(mask.shape) * mask, theta[:outputs]
        scores = x.numpy() @ w.T + b
        if outputs == 1:
            losses = np.logaddexp(0, -np.where(y.numpy() == 1, 1, -1) * scores[:, 0])
        else:
            losses = scipy.special.logsumexp(scores, axis=1) - scores[np.arange(len(y)), y.numpy()]
        return float(losses.mean() + decay / 2 * (w**2).sum())

    best = scipy.optimize.minimize(objective, np.zeros(outputs + mask.size), method="BFGS", tol=1e-9)
    options = Training(500, batch_size=24, lr=0.3, momentum=0.9, weight_decay=decay)
    train(model, masks, x, y, options, seeds=(0,), stage="round-0")
    found_w = model.affine.weight[0].detach().numpy()
    found_b = model.affine.bias[0, 0].detach().numpy()
    assert objective(np.concatenate([found_b, found_w.ravel()])) == pytest.approx(best.fun, abs=1e-10)
    np.testing.assert_allclose(found_w, best.x[outputs:].reshape(mask.shape) * mask, atol=2e-4)
    # adding one number to every bias changes nothing when there are several classes
    shift = 0 if outputs == 1 else found_b.mean() - best.x[:outputs].mean()
    np.testing.assert_allclose(found_b - shift, best.x[:outputs], atol=2e-4)


def test_divergence_is_an_error_with_advice() -> None:
    x, y = problem(2)
    model = classifier((0,), 2)
    options = Training(60, batch_size=8, lr=1e200, weight_decay=1.0)
    with pytest.raises(
        FloatingPointError, match=r"affine\.\w+ is not finite after training round-2: lower lr"
    ):
        train(model, dense_masks(model), x, y, options, seeds=(0,), stage="round-2")


def test_batch_larger_than_the_data() -> None:
    x, y = problem(2, examples=10)
    model = classifier((0,), 2)
    with pytest.raises(ValueError, match="a batch of 11 needs at least as many examples, got 10"):
        train(model, dense_masks(model), x, y, Training(1, batch_size=11), seeds=(0,), stage="round-0")


@pytest.mark.parametrize("steps", [0, 1, 100, 250])
def test_progress_adds_up_and_the_model_is_left_in_evaluation_mode(steps: int) -> None:
    x, y = problem(2, examples=10)
    model = classifier((0,), 2)
    told: list[int] = []
    train(
        model,
        dense_masks(model),
        x,
        y,
        Training(steps, batch_size=5),
        seeds=(0,),
        stage="round-0",
        progress=told.append,
    )
    assert sum(told) == steps
    assert max(told) <= 100
    assert not model.training


def test_negative_seed() -> None:
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        next(batches((-1,), "order/round-0", 4, 2))
