"""Metrics against values worked out by hand, and the closed-form radius against brute force."""

import math
from itertools import product

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparse_robust.attacks import AttackResult, deepfool, fast_gradient_sign
from sparse_robust.metrics import (
    accuracy,
    estimate,
    exact_radius,
    failures,
    r_2,
    r_inf,
    sparsity,
    total_sparsity,
)
from sparse_robust.rng import stream
from sparse_robust.theory.bounds import norm_ratio

INF = math.inf


def result(flipped: list[list[bool]], radius: list[list[float]]) -> AttackResult:
    return AttackResult(torch.empty(0), torch.tensor(flipped), torch.tensor(radius))


def test_mean_and_standard_error_by_hand() -> None:
    """1, 2, 3, 6: mean 3, sample variance (4 + 1 + 0 + 9) / 3, divided by n = 4."""
    (first, second) = estimate(torch.tensor([[1.0, 2.0, 3.0, 6.0], [5.0, 5.0, 5.0, 5.0]]))
    assert (first.value, first.n) == (3.0, 4)
    assert first.stderr == pytest.approx(math.sqrt(14 / 3 / 4))
    assert (second.value, second.n, second.stderr) == (5.0, 4, 0.0)


def test_one_example_has_no_standard_error_and_none_no_mean() -> None:
    (only,) = estimate(torch.tensor([[2.5]]))
    assert (only.value, only.n, only.stderr) == (2.5, 1, None)
    with pytest.raises(ValueError, match="at least one example, the test set is empty"):
        estimate(torch.empty(3, 0))


def test_means_are_taken_in_double_precision() -> None:
    """In float32 a sum of 2^24 + 1 + ... loses every 1."""
    (found,) = estimate(torch.tensor([[2.0**24, 1.0, 1.0, 1.0, 1.0]]))
    assert found.value == (2**24 + 4) / 5


def test_accuracy_by_hand() -> None:
    logits = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [2.0, 3.0], [0.0, -1.0]]] * 2)
    y = torch.tensor([[0, 1, 0, 0], [1, 0, 0, 1]])
    first, second = accuracy(logits, y)
    assert (first.value, first.n, second.value) == (0.75, 4, 0.0)
    assert first.stderr == pytest.approx(math.sqrt(0.75 * 0.25 / 3))  # p (1 - p) / (n - 1)


def test_r_inf_is_the_share_that_stands() -> None:
    first, second = r_inf(
        result([[True, False, False, False], [True] * 4], [[1.0, INF, INF, INF], [0.0] * 4])
    )
    assert (first.value, first.n, second.value, second.stderr) == (0.75, 4, 0.0, 0.0)
    assert first.stderr == pytest.approx(math.sqrt(0.75 * 0.25 / 3))


def test_r_2_by_hand() -> None:
    """Misclassified examples count 0, whatever the attack moved; the mean is over all examples."""
    found = result([[True] * 4], [[3.0, 5.0, 9.0, 0.0]])
    correct = torch.tensor([[True, True, False, False]])
    (plain,), (squared,) = r_2(found, correct), r_2(found, correct, power=2)
    assert (plain.value, plain.n, squared.value) == (2.0, 4, 8.5)
    assert plain.stderr == pytest.approx(math.sqrt((1 + 9 + 4 + 4) / 3 / 4))
    assert failures(found, correct) == [0]


def test_one_failure_makes_r_2_infinite_and_is_counted() -> None:
    flipped = [[False, True, True], [True, True, False]]
    radius = [[INF, 1.0, 2.0], [1.0, 4.0, INF]]
    found, correct = result(flipped, radius), torch.tensor([[True, True, True], [True, True, False]])
    first, second = r_2(found, correct)
    assert (first.value, first.stderr) == (INF, None)
    assert second.value == pytest.approx(5 / 3)  # a failure on a misclassified example harms nothing
    assert failures(found, correct) == [1, 0]


def test_an_attack_without_gradient_cannot_hide_in_the_mean() -> None:
    """The whole way from a flat model to the metrics: all stand, none at a finite distance."""
    x, y = torch.rand(1, 5, 3, generator=stream(0, "flat")), torch.zeros(1, 5, dtype=torch.long)

    def flat(z: Tensor) -> Tensor:
        return torch.stack([z.sum(-1) + 1, z.sum(-1)], -1)

    found, correct = deepfool(flat, x, y), torch.ones(1, 5, dtype=torch.bool)
    assert r_2(found, correct)[0].value == INF
    assert r_inf(found)[0].value == 1.0
    assert failures(found, correct) == [5]


# Linear models in closed form


def linear(seed: int, classes: int, inputs: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two replicas, ten examples; labels at random, so that some are misclassified."""
    generator = stream(seed, "metrics")
    weight = torch.randn((2, classes, inputs), generator=generator, dtype=torch.float64)
    bias = torch.randn((2, classes), generator=generator, dtype=torch.float64) / 2
    x = torch.randn((10, inputs), generator=generator, dtype=torch.float64)
    y = torch.randint(classes, (10,), generator=generator)
    y[:4] = (x[:4] @ weight[0].T + bias[0]).argmax(1)
    return weight, bias, x, y


@pytest.mark.parametrize("q", [1, 2])
def test_exact_radius_against_the_formula_one_example_at_a_time(q: float) -> None:
    weight, bias, x, y = linear(0, 4, 5)
    found = exact_radius(weight, bias, x, y, q=q)
    assert 0 < int((found == 0).sum()) < found.numel()
    for r, n in product(range(2), range(10)):
        k, logits = int(y[n]), [float(w @ x[n] + b) for w, b in zip(weight[r], bias[r], strict=True)]
        distances = [
            (logits[k] - logits[e])
            / sum(abs(d) ** q for d in (weight[r, k] - weight[r, e]).tolist()) ** (1 / q)
            for e in range(4)
            if e != k
        ]
        assert found[r, n].item() == pytest.approx(max(min(distances), 0.0), rel=1e-9)


def test_exact_radius_in_the_plane_against_brute_force() -> None:
    """Around each point, on a fine polygon: nothing flips just inside the radius, something just outside."""
    weight, bias, x, y = linear(1, 3, 2)
    angle = torch.linspace(0, 2 * math.pi, 4001, dtype=torch.float64)
    circle = torch.stack([angle.cos(), angle.sin()], 1)
    square = circle / circle.abs().amax(1, keepdim=True)
    for q, shape in ((2, circle), (1, square)):
        for r, n in product(range(2), range(4)):
            radius = exact_radius(weight, bias, x, y, q=q)[r, n]
            if radius == 0:
                continue
            for scale, expected in ((0.999, False), (1.001, True)):
                ring = x[n] + scale * radius * shape
                assert bool(((ring @ weight[r].T + bias[r]).argmax(1) != y[n]).any()) == expected


@pytest.mark.parametrize("seed", range(3))
def test_exact_radius_is_what_attacks_achieve(seed: int) -> None:
    weight, bias, x, y = linear(seed, 3, 6)

    def logits(z: Tensor) -> Tensor:
        return torch.baddbmm(bias.unsqueeze(1), z, weight.mT)

    both, labels = x.expand(2, -1, -1), y.expand(2, -1)
    exact = exact_radius(weight, bias, x, y, q=2)
    assert torch.allclose(deepfool(logits, both, labels).radius, 1.02 * exact, rtol=1e-9)

    weight, bias, x, y = linear(seed, 2, 6)  # FGS is optimal for two classes
    both, labels = x.expand(2, -1, -1), y.expand(2, -1)
    exact = exact_radius(weight, bias, x, y, q=1)
    for eps in (0.05, 0.2, 0.5):
        stands = ~fast_gradient_sign(logits, both, labels, eps=eps).flipped
        assert torch.equal(stands[exact > 0], (exact > eps)[exact > 0])


def test_exact_radius_where_no_class_can_be_reached() -> None:
    weight = torch.tensor([[[1.0, 2.0], [1.0, 2.0]]])
    bias, x = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.3, 0.4]])
    assert exact_radius(weight, bias, x, torch.tensor([0]), q=2).tolist() == [[INF]]
    assert exact_radius(weight, bias, x, torch.tensor([1]), q=2).tolist() == [[0.0]]


# Weights


def test_sparsity_counts_exact_zeros() -> None:
    weights = torch.tensor([[[0.0, -0.0, 1e-38], [3.0, 0.0, -1.0]], [[1.0] * 3] * 2])
    assert sparsity(weights) == [0.5, 0.0]
    layers = {"a.weight": weights, "b.weight": torch.tensor([[[0.0, 0.0]], [[0.0, 1.0]]])}
    assert total_sparsity(layers) == [5 / 8, 1 / 8]  # of weights, not the mean of the layers' fractions


@given(
    st.lists(
        st.floats(-1e3, 1e3, allow_nan=False).map(lambda v: 0.0 if abs(v) < 1e-3 else v),
        min_size=1,
        max_size=9,
    )
)
@settings(deadline=None, max_examples=60)
def test_norm_ratio_lies_between_one_and_root_of_the_nonzeros(values: list[float]) -> None:
    vector = torch.tensor(values, dtype=torch.float64)
    assume(bool(vector.any()))
    ratio, nonzeros = norm_ratio(vector).item(), sum(v != 0 for v in values)
    assert 1 - 1e-12 <= ratio <= math.sqrt(nonzeros) + 1e-12
    assert norm_ratio(-3 * vector).item() == pytest.approx(ratio)


def test_norm_ratio_attains_its_bounds() -> None:
    vectors = torch.tensor([[0.0, 0.0, -7.0, 0.0], [2.0, -2.0, 2.0, -2.0], [3.0, 4.0, 0.0, 0.0], [0.0] * 4])
    ratio = norm_ratio(vectors).tolist()
    assert ratio[:3] == pytest.approx([1.0, 2.0, 1.4])
    assert math.isnan(ratio[3])
