"""Pruning: exact counts, whatever the weights; the smallest go; what is gone stays gone."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sparse_robust.models import LinearClassifier
from sparse_robust.pruning import dense_masks, kept_after, prune, prune_at_random, prune_layers

THIRD = Fraction(1, 3)
fractions = st.fractions(0, 1, max_denominator=12).filter(lambda f: f < 1)


@st.composite
def layers(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Weights [R, O, I] full of ties, zeros and both signs, and masks that keep equally many of each."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 6)))
    size = shape[1] * shape[2]
    values = st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, 1e-30, -1e30])
    weights = torch.tensor(draw(st.lists(values, min_size=shape[0] * size, max_size=shape[0] * size)))
    kept = draw(st.integers(0, size))
    orders = [draw(st.permutations(range(size))) for _ in range(shape[0])]
    mask = torch.tensor([[position < kept for position in order] for order in orders])
    return weights.view(shape), mask.view(shape)


@given(layers(), fractions)
def test_exactly_the_right_number_and_the_smallest(layer: tuple[Tensor, Tensor], fraction: Fraction) -> None:
    weights, mask = layer
    before, untouched = mask.clone(), weights.clone()
    new = prune(weights, mask, fraction)
    assert torch.equal(mask, before)
    assert torch.equal(weights, untouched)
    assert new.shape == mask.shape
    assert new.dtype == torch.bool
    for r in range(len(weights)):
        kept = int(mask[r].sum())
        gone = mask[r] & ~new[r]
        assert not (new[r] & ~mask[r]).any(), "what was pruned came back"
        assert int(gone.sum()) == kept * fraction.numerator // fraction.denominator
        if gone.any() and new[r].any():
            assert weights[r].abs()[gone].max() <= weights[r].abs()[new[r]].min()


@given(layers(), fractions)
def test_ties_go_in_order_so_the_mask_is_one_number(layer: tuple[Tensor, Tensor], fraction: Fraction) -> None:
    """An independent selection by (magnitude, position), one replica at a time."""
    weights, mask = layer
    new = prune(weights, mask, fraction).flatten(1)
    for w, m, n in zip(weights.flatten(1).tolist(), mask.flatten(1).tolist(), new.tolist(), strict=True):
        ranked = sorted((i for i, kept in enumerate(m) if kept), key=lambda i: (abs(w[i]), i))
        gone = set(ranked[: len(ranked) * fraction.numerator // fraction.denominator])
        assert n == [kept and i not in gone for i, kept in enumerate(m)]


def test_random_pruning_takes_as_many_of_each_layer_whatever_their_size() -> None:
    model = LinearClassifier((3, 5), 40, 4)
    masks = dense_masks(model)
    by_size, at_random = masks, masks
    for round_ in range(1, 4):
        by_size = prune_layers(model, by_size, THIRD)
        before, stage = at_random, f"round-{round_}"
        at_random = prune_at_random(at_random, THIRD, seeds=(3, 5), stage=stage)
        for name, mask in at_random.items():
            assert torch.equal(mask.flatten(1).sum(1), by_size[name].flatten(1).sum(1))
            assert not (mask & ~before[name]).any(), "what was pruned came back"
            lone = prune_at_random({name: before[name][1:]}, THIRD, seeds=(5,), stage=stage)[name]
            assert torch.equal(mask[1:], lone), "a replica depends on its own seed alone"
            assert not torch.equal(mask[0], mask[1])
    weight, mask = model.affine.weight.detach().abs(), at_random["affine.weight"]
    # magnitudes have no say: of 320 weights as many large ones are lost as small ones, give or take
    lost_large = (~mask)[weight > weight.median()].double().mean()
    assert abs(float(lost_large) - float((~mask).double().mean())) < 0.15


def test_equal_magnitudes_everywhere() -> None:
    """A threshold would prune all of them or none."""
    weights = torch.full((2, 1, 9), -0.25)
    mask = torch.ones_like(weights, dtype=torch.bool)
    counts = []
    for _ in range(4):
        mask = prune(weights, mask, THIRD)
        counts.append(mask.flatten(1).sum(1).tolist())
    assert counts == [[6, 6], [4, 4], [3, 3], [2, 2]]


def test_a_kept_weight_of_zero_goes_before_any_other() -> None:
    weights = torch.tensor([[[0.0, 3.0, 0.0, -2.0, 9.0]]])
    mask = torch.tensor([[[False, True, True, True, True]]])
    assert prune(weights, mask, Fraction(1, 4)).tolist() == [[[False, True, False, True, True]]]


def test_the_papers_final_sparsity_follows_from_rounding_down() -> None:
    """Paper, section 4.1: 16 rounds of one third end at 99.74 % zeros, which it equates to 1 - (2/3)^16."""
    assert kept_after(784, THIRD, 16) == 2
    assert f"{1 - 2 / 784:.2%}" == "99.74%"
    assert f"{1 - (2 / 3) ** 16:.2%}" == "99.85%"
    assert 784 * Fraction(2, 3) ** 16 < Fraction(6, 5)  # rounding otherwise would leave one weight


def test_ten_classes_as_one_layer_end_elsewhere() -> None:
    """7840 weights pruned together keep 13: a sparsity of 99.83 %, which the paper does not print."""
    assert kept_after(7840, THIRD, 16) == 13
    assert f"{1 - 13 / 7840:.2%}" == "99.83%"


@given(st.integers(0, 5_000), fractions, st.integers(0, 20))
def test_kept_after_lies_between_the_geometric_law_and_its_rounding(
    weights: int, fraction: Fraction, rounds: int
) -> None:
    """n rho^m <= kept < n rho^m + 1/fraction, since each rounding leaves less than one weight more."""
    kept = kept_after(weights, fraction, rounds)
    exact = weights * (1 - fraction) ** rounds
    assert exact <= kept <= weights
    if fraction > 0:
        assert kept < exact + 1 / fraction
    else:
        assert kept == weights


@pytest.mark.parametrize("classes", [2, 3])
def test_rounds_over_a_model_follow_kept_after(classes: int) -> None:
    model = LinearClassifier((0, 1, 2), 50, classes)
    size = model.affine.weight[0].numel()
    masks = dense_masks(model)
    assert list(masks) == ["affine.weight"], "biases are not pruned"
    for done in range(1, 9):
        old = masks
        masks = prune_layers(model, masks, THIRD)
        counts = masks["affine.weight"].flatten(1).sum(1)
        assert counts.tolist() == [kept_after(size, THIRD, done)] * 3
        assert not (masks["affine.weight"] & ~old["affine.weight"]).any()


@pytest.mark.parametrize("fraction", [Fraction(1), Fraction(-1, 3), Fraction(4, 3)])
def test_fraction_out_of_range(fraction: Fraction) -> None:
    with pytest.raises(ValueError, match=r"must be in \[0, 1\)"):
        prune(torch.ones(1, 4), torch.ones(1, 4, dtype=torch.bool), fraction)


def test_replicas_that_keep_different_numbers() -> None:
    mask = torch.tensor([[True, True], [True, False]])
    with pytest.raises(ValueError, match=r"same number of weights, got \[2, 1\]"):
        prune(torch.ones(2, 2), mask, THIRD)
