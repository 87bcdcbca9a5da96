"""Failures of DeepFool: on models whose first linearisation is known in closed form."""

import math

import pytest
import torch
from torch import Tensor

from sparse_robust import attacks
from sparse_robust.measurements.first_step import estimates, first_steps, names


def curve(x: Tensor) -> Tensor:
    """Class 0 leads by exp(-x), where Newton's steps of length 1 never get to 0; by 1 + x where x < 0.

    [R, N, 1] -> [R, N, 2]
    """
    u = x[..., 0]
    lead = torch.where(u < 0, 1 + u, torch.exp(-u))
    return torch.stack([lead, torch.zeros_like(u)], -1)


def test_a_failure_counts_by_its_first_iteration() -> None:
    x = torch.tensor([[[0.5], [0.25], [-0.5]]], dtype=torch.float64)
    y = torch.zeros(1, 3, dtype=torch.long)
    options = {"overshoot": 0.02, "steps": 5}
    result = attacks.deepfool(curve, x, y, **options)
    correct = curve(x).argmax(-1) == y
    assert correct.all()
    assert result.flipped.tolist() == [[False, False, True]]
    radius = first_steps(curve, x, y, result, correct, options)
    # exp(-x) / exp(-x) = 1 from anywhere; the other example is at .5 from -1
    assert radius[0].tolist() == pytest.approx([1.02, 1.02, 1.02 * 0.5])
    assert torch.equal(result.radius.isinf(), torch.tensor([[True, True, False]])), "the result is untouched"


def flat(x: Tensor) -> Tensor:
    """No gradient anywhere."""
    return torch.stack([torch.ones_like(x[..., 0]), 0 * x[..., 0]], -1)


def test_where_there_is_no_way_the_first_iteration_goes_nowhere() -> None:
    x, y = torch.full((1, 2, 1), 0.5), torch.tensor([[0, 1]])
    result = attacks.deepfool(flat, x, y)
    radius = first_steps(flat, x, y, result, flat(x).argmax(-1) == y, {})
    assert radius.tolist() == [[0, 0]], "one failure without a step, one example misclassified before"


def test_counts_by_class_and_both_means() -> None:
    radius = torch.tensor([[1.0, 2.0, 0.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    flipped = torch.tensor([[True, False, True, False], [True, True, True, True]])
    correct = torch.tensor([[True, True, False, True], [True, True, True, True]])
    found = estimates(radius, flipped, correct, torch.tensor([0, 1, 1, 1]), classes=3)
    assert list(found) == names(3)
    assert [e.value for e in found["r_2_first_step"]] == [7 / 4, 1]
    assert [e.value for e in found["r_2_squared_first_step"]] == [21 / 4, 1]
    counts = {k: [(e.value, e.n) for e in found[f"failures_class_{k}"]] for k in range(3)}
    assert counts == {0: [(0, 1), (0, 1)], 1: [(2, 2), (0, 3)], 2: [(0, 0), (0, 0)]}
    assert all(math.isfinite(e.value) for values in found.values() for e in values)
