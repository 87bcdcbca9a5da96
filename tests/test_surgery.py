"""Dynamic network surgery: against the authors' algorithm written out by hand, alone and together."""

from collections.abc import Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sparse_robust.models import LeNet5, LeNet300100, LinearClassifier, prunable
from sparse_robust.pruning import Operation, Surgery, calendar, cut_and_splice, dense_masks, thresholds
from sparse_robust.rng import stream
from sparse_robust.training import Training, batches, train

WEIGHT = "affine.weight"


def problem(examples: int = 40, inputs: int = 6, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Overlapping classes: shifted noise, float64 [N, D] and classes [N]."""
    generator = stream(1, "problem")
    y = torch.arange(examples) % classes
    centres = torch.randn((classes, inputs), generator=generator, dtype=torch.float64)
    return centres[y] + torch.randn((examples, inputs), generator=generator, dtype=torch.float64), y


def by_hand(
    w: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray, surgery: Surgery, seed: int, steps: int
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """One layer of one replica, weight by weight, as the authors' code goes: W, b, and every mask."""
    size = w.size
    mean = sum(abs(v) for v in w.flat) / size
    deviation = (sum(v * v for v in w.flat) / size - mean**2) ** 0.5
    middle = max(mean + surgery.strengths[0] * deviation, 0)
    draws = torch.rand((surgery.stop, 1), generator=stream(seed, "surgery/test"))
    mask, speed_w, speed_b = np.ones_like(w), np.zeros_like(w), np.zeros_like(b)
    masks = []
    for t, index in enumerate(islice(batches((seed,), "order/test", len(x), 8), steps)):
        if t < surgery.stop and float(draws[t, 0]) < (1 + surgery.gamma * t) ** -surgery.power:
            for place in np.ndindex(*w.shape):
                if mask[place] == 1 and abs(w[place]) < 0.9 * middle:
                    mask[place] = 0
                elif mask[place] == 0 and abs(w[place]) >= 1.1 * middle:
                    mask[place] = 1
        masks.append(mask.copy())
        batch, truth = x[index[0]], y[index[0]]
        slope = scipy.special.softmax(batch @ (w * mask).T + b, axis=1) - np.eye(len(w))[truth]
        speed_w = 0.8 * speed_w + slope.T @ batch / len(batch) + 0.02 * w  # at W * T, of all weights
        speed_b = 0.8 * speed_b + slope.mean(0)
        w, b = w - 0.2 * speed_w, b - 0.2 * speed_b
    return w, b, masks


def test_is_the_authors_algorithm_by_hand() -> None:
    surgery = Surgery((0.3,), stop=30, gamma=0.1, power=0.7)
    options = Training(40, batch_size=8, lr=0.2, momentum=0.8, weight_decay=0.02)
    x, y = problem()
    seeds = (3, 5, 8)
    model = LinearClassifier(seeds, 6, 3).double()
    start = [p.detach().clone().numpy() for p in (model.affine.weight, model.affine.bias)]
    operation = Operation(model, surgery, seeds=seeds, stage="test")
    seen: list[Tensor] = []
    model.register_forward_pre_hook(lambda *_: seen.append(operation.masks[WEIGHT].clone()))
    train(model, {}, x, y, options, seeds=seeds, stage="test", view=operation)
    alive = model.affine.weight.detach().clone()
    final = operation.close()

    cut, spliced = 0, 0
    for r, seed in enumerate(seeds):
        w, b, masks = by_hand(start[0][r], start[1][r, 0], x.numpy(), y.numpy(), surgery, seed, options.steps)
        np.testing.assert_array_equal(torch.stack(seen)[:, r].numpy(), np.stack(masks) == 1)
        np.testing.assert_allclose(alive[r].numpy(), w, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(model.affine.bias[r, 0].detach().numpy(), b, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            model.affine.weight[r].detach().numpy(), w * masks[-1], rtol=1e-10, atol=1e-12
        )
        np.testing.assert_array_equal(final[WEIGHT][r].numpy(), masks[-1] == 1)
        changes = np.diff(np.stack(masks), axis=0)
        cut, spliced = cut + int((changes < 0).sum()), spliced + int((changes > 0).sum())
        assert not changes[surgery.stop - 1 :].any(), "operated after the stop"
    assert cut > 5
    assert spliced > 5, "nothing came back, so that splicing is not tested"


values = st.sampled_from([0.0, 0.5, -0.5, 0.75, 1.0, -1.0, 1.25, -1.25, 3.0])


@given(st.lists(st.tuples(values, st.booleans()), min_size=1, max_size=12), st.sampled_from([0.0, 0.5, 1.0]))
def test_between_the_thresholds_everything_stays(weights: list[tuple[float, bool]], low: float) -> None:
    """Equation 3 for one weight at a time; the thresholds belong to the upper side."""
    high = low + 0.25
    w, mask = (torch.tensor(column)[None] for column in zip(*weights, strict=True))
    a, b = torch.full((1, 1), low), torch.full((1, 1), high)
    expected = [0 if abs(v) < low else 1 if abs(v) >= high else int(kept) for v, kept in weights]
    assert cut_and_splice(w, mask, a, b)[0].int().tolist() == expected
    assert [kept for _, kept in weights] == mask[0].tolist()


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 4, 3, 2, 2)])
def test_thresholds_are_the_means_and_deviations_of_each_replica(shape: tuple[int, ...]) -> None:
    weights = torch.randn(shape, generator=stream(0, "test"), dtype=torch.float64)
    low, high = thresholds(weights, 1.5, 0.1)
    assert low.shape == high.shape == (shape[0], *(1 for _ in shape[1:]))
    for r, layer in enumerate(weights.numpy()):
        middle = np.abs(layer).mean() + 1.5 * np.abs(layer).std()
        assert low[r].item() == pytest.approx(0.9 * middle)
        assert high[r].item() == pytest.approx(1.1 * middle)
    assert thresholds(weights, -100.0, 0.1)[1].count_nonzero() == 0, "a threshold is never negative"


def test_the_calendar_of_a_replica_is_its_own_and_thins_out() -> None:
    surgery = Surgery((1.0, 2.0), stop=4_000, gamma=1e-3, power=2.0)
    assert surgery.probability(0) == 1
    assert surgery.probability(1_000) == pytest.approx(1 / 4)
    assert surgery.probability(4_000) == 0
    together = calendar(surgery, (4, 7, 1), "a")
    assert together.shape == (4_000, 2, 3)
    assert together[0].all()
    for r, seed in enumerate((4, 7, 1)):
        assert torch.equal(calendar(surgery, (seed,), "a")[..., 0], together[..., r])
    columns = torch.cat([together, calendar(surgery, (4,), "b")], 2).flatten(1)
    assert len(columns.unique(dim=1).T) == 2 * 4, "layers, seeds and stages are drawn independently"
    for part in range(0, 4_000, 1_000):
        probability = np.mean([surgery.probability(t) for t in range(part, part + 1_000)])
        share = columns[part : part + 1_000].double().mean().item()
        assert share == pytest.approx(probability, abs=5 * (probability * (1 - probability) / 8_000) ** 0.5)


def digits(examples: int = 40) -> tuple[Tensor, Tensor]:
    """Noise with a bright bar for each class [N, 784], and the classes."""
    y = torch.arange(examples) % 10
    x = torch.rand((examples, 28, 28), generator=stream(0, "test/digits")) / 4
    x[torch.arange(examples), 4 + 2 * y] += 0.7
    return x.flatten(1), y


POLICY = Training(12, batch_size=8, lr=0.05, schedule="inv", gamma=0.1, power=0.75, weight_decay=5e-4)


def operated(
    kind: Any, seeds: Sequence[int], strengths: tuple[float, ...]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters and masks after a short surgery in float32."""
    x, y = digits()
    model = kind(seeds)
    operation = Operation(model, Surgery(strengths, stop=9, gamma=0.1), seeds=seeds, stage="test")
    train(model, {}, x, y, POLICY, seeds=seeds, stage="test", view=operation)
    masks = operation.close()
    return {name: p.detach() for name, p in model.named_parameters()}, masks


@pytest.mark.parametrize(
    ("kind", "strengths"), [(LeNet300100, (1.0, 1.0, 0.5)), (LeNet5, (0.0, 0.5, 1.0, 0.5))]
)
def test_replica_equals_lone_run(kind: Any, strengths: tuple[float, ...]) -> None:
    seeds = (2, 7)
    together, masks = operated(kind, seeds, strengths)
    for r, seed in enumerate(seeds):
        alone, lone_masks = operated(kind, (seed,), strengths)
        for name, mask in lone_masks.items():
            assert torch.equal(masks[name][r], mask[0])
            assert together[name][r][~mask[0]].count_nonzero() == 0
        for name, parameter in alone.items():
            torch.testing.assert_close(together[name][r], parameter[0], rtol=1e-4, atol=1e-5)
    zeros = {name: (~mask).double().mean().item() for name, mask in masks.items()}
    assert all(0.2 < share < 0.98 for share in zeros.values()), zeros
    assert any((mask[0] != mask[1]).any() for mask in masks.values())


def test_surgery_that_cuts_nothing_is_training_to_the_last_bit() -> None:
    x, y = digits()
    model = LeNet300100((1, 4))
    train(model, dense_masks(model), x, y, POLICY, seeds=(1, 4), stage="test")
    other, masks = operated(LeNet300100, (1, 4), (-100.0, -100.0, -100.0))
    assert all(mask.all() for mask in masks.values())
    assert all(torch.equal(p.detach(), other[name]) for name, p in model.named_parameters())


def test_masked_weights_are_seen_as_zeros_and_live_on() -> None:
    x, y = problem()
    model = LinearClassifier((0,), 6, 3).double()
    operation = Operation(model, Surgery((0.5,), stop=1), seeds=(0,), stage="test")
    before, seen = model.affine.weight.detach().clone(), []
    model.register_forward_pre_hook(lambda *_: seen.append(model.affine.weight.detach().clone()))
    train(model, {}, x, y, Training(5, batch_size=8, lr=0.1), seeds=(0,), stage="test", view=operation)
    off = ~operation.masks[WEIGHT]
    assert 0 < off.sum() < off.numel()
    assert all((weights == 0).equal(off) for weights in seen)
    assert model.affine.weight[off].ne(0).all(), "what is masked is not lost before the end"
    assert model.affine.weight[off].ne(before[off]).all(), "it learns"


def test_the_weights_are_back_after_an_interruption() -> None:
    model = LeNet300100((0,))
    before = {name: weight.detach().clone() for name, weight in prunable(model).items()}
    operation = Operation(model, Surgery((2.0, 2.0, 2.0), stop=1), seeds=(0,), stage="test")

    def interrupted() -> None:
        with operation(0):
            assert all((w == 0).any() for w in prunable(model).values())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all(torch.equal(weight, before[name]) for name, weight in prunable(model).items())


def test_the_view_of_a_step_is_open_for_forward_and_backward_alone() -> None:
    x, y = problem()
    model = LinearClassifier((0,), 6, 3).double()
    told: list[str] = []

    @contextmanager
    def view(step: int) -> Any:
        told.append(f"open {step}")
        yield
        told.append(f"close {step}")

    model.register_forward_pre_hook(lambda *_: told.append("forward"))
    model.affine.weight.register_hook(lambda gradient: told.append("backward"))
    train(model, {}, x, y, Training(2, batch_size=8), seeds=(0,), stage="test", view=view)
    assert told == [
        word for step in (0, 1) for word in (f"open {step}", "forward", "backward", f"close {step}")
    ]


def test_one_strength_for_each_layer() -> None:
    with pytest.raises(
        ValueError, match=r"2 strengths for the layers hidden_1\.weight, hidden_2\.weight, readout"
    ):
        Operation(LeNet300100((0,)), Surgery((1.0, 2.0), stop=1), seeds=(0,), stage="test")
