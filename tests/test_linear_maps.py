"""Layers as linear maps agree with their matrices, and what is said of spectral norms is true."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparse_robust.theory import float_net
from sparse_robust.theory.linear_maps import (
    Conv2d,
    Dense,
    LinearMap,
    MaxPool2d,
    frobenius,
    layers_path_norm,
    layers_product,
    norm_1,
    norm_inf,
    spectral_norm,
)
from sparse_robust.theory.lipschitz import layer_product
from sparse_robust.theory.mask_bounds import path_norm


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def matrix(layer: LinearMap) -> Tensor:
    """The matrix of a layer, column by column."""
    inputs = math.prod(layer.inputs)
    return layer.apply(torch.eye(inputs, dtype=torch.float64).reshape(inputs, *layer.inputs)).flatten(1).mT


@st.composite
def convolutions(draw: st.DrawFn) -> Conv2d:
    channels, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    height, width = draw(st.integers(2, 7)), draw(st.integers(2, 7))
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride, padding = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    assume(rows <= height + 2 * padding and columns <= width + 2 * padding)
    weight = normal(outputs, channels, rows, columns, seed=draw(st.integers(0, 1000)))
    return Conv2d(weight, (channels, height, width), stride, padding)


layers = st.one_of(
    convolutions(),
    st.builds(lambda o, i, s: Dense(normal(o, i, seed=s)), *[st.integers(1, 6)] * 2, st.integers(0, 99)),
)


@settings(max_examples=60, deadline=None)
@given(layers)
def test_norms_are_those_of_the_matrix(layer: LinearMap) -> None:
    whole = matrix(layer)
    assert norm_inf(layer) == pytest.approx(float(whole.abs().sum(1).max()))
    assert norm_1(layer) == pytest.approx(float(whole.abs().sum(0).max()))
    assert frobenius(layer) == pytest.approx(float(whole.norm()))
    assert torch.allclose(matrix(layer.magnitude()), whole.abs())


@settings(max_examples=60, deadline=None)
@given(layers)
def test_the_adjoint_is_the_transpose(layer: LinearMap) -> None:
    whole = matrix(layer)
    shape = layer.apply(layer.ones()).shape[1:]
    unit = torch.eye(len(whole), dtype=torch.float64).reshape(len(whole), *shape)
    assert torch.allclose(layer.adjoint(unit).flatten(1), whole)


@settings(max_examples=40, deadline=None)
@given(layers, st.integers(1, 40), st.integers(0, 1000))
def test_what_is_said_of_the_spectral_norm_is_true(layer: LinearMap, steps: int, seed: int) -> None:
    values = torch.linalg.svdvals(matrix(layer))
    assume(float(values[0]) > 1e-6)
    found = spectral_norm(layer, steps=steps, seed=seed)
    assert found.lower <= float(values[0]) * (1 + 1e-9)
    assert float(values[0]) <= found.upper * (1 + 1e-9)
    spectrum = torch.cat([values**2, torch.zeros(1, dtype=torch.float64)])  # zero: a wide matrix has a kernel
    if matrix(layer).shape[0] >= matrix(layer).shape[1]:
        spectrum = values**2
    assert float((spectrum - found.lower**2).abs().min()) <= found.residual + 1e-9


def test_more_steps_close_the_gap() -> None:
    layer = Conv2d(normal(4, 3, 3, 3), (3, 8, 8), padding=1)
    truth = float(torch.linalg.matrix_norm(matrix(layer), 2))
    coarse, fine = (spectral_norm(layer, steps=s) for s in (20, 2000))
    assert coarse.upper > fine.upper
    assert coarse.lower <= fine.lower <= truth * (1 + 1e-12)
    assert fine.lower > 0.999 * truth  # two singular values are almost equal: it crawls, and bounds hold
    assert fine.upper < 1.01 * truth


def test_a_small_residual_does_not_certify_the_largest() -> None:
    """The start may miss the top singular vector; the bounds say so, the residual does not."""
    layer = Dense(torch.diag(torch.tensor([1.0, 1.0, 1.000001], dtype=torch.float64)))
    found = spectral_norm(layer, steps=5)
    assert found.residual < 1e-5
    assert found.upper >= 1.000001 > found.lower


@pytest.mark.parametrize("seed", range(3))
def test_confidence_is_honest(seed: int) -> None:
    """With confidence 1/2 and one step the probabilistic bound fails for some starts, but not for most."""
    layer = Dense(torch.diag(torch.tensor([1.0] + [0.9] * 40, dtype=torch.float64)))
    runs = [spectral_norm(layer, steps=1, confidence=0.5, seed=100 * seed + s).upper for s in range(100)]
    assert sum(u >= 1 for u in runs) >= 50


def test_zero_maps() -> None:
    found = spectral_norm(Dense(torch.zeros(2, 3)))
    assert (found.lower, found.upper) == (0.0, 0.0)


# ---------------------------------------------------------------- networks


def network(seed: int, pool: MaxPool2d) -> tuple[list[LinearMap | MaxPool2d], Tensor]:
    first = Conv2d(normal(3, 2, 3, 3, seed=seed), (2, 9, 9), padding=1)
    middle = pool.apply(first.apply(first.ones())).shape[1:]
    second = Dense(normal(5, math.prod(middle), seed=seed + 1))
    return [first, pool, second], normal(5, seed=seed + 2)


@pytest.mark.parametrize("pool", [MaxPool2d(2, 2), MaxPool2d(3, 2), MaxPool2d(3, 1)])
def test_bounds_hold_for_gradients_through_pooling(pool: MaxPool2d) -> None:
    for seed in range(5):
        stack, readout = network(seed, pool)
        x = normal(50, 2, 9, 9, seed=seed + 10).requires_grad_()
        value = x
        for layer in stack:
            value = layer.apply(value)
            value = value.relu() if isinstance(layer, LinearMap) else value
        (gradient,) = torch.autograd.grad((value @ readout).sum(), x)
        steepest = float(gradient.flatten(1).abs().sum(1).max())
        assert (
            steepest <= layers_path_norm(stack, readout) <= layers_product(stack, readout, q=1) * (1 + 1e-9)
        )
        assert float(gradient.flatten(1).norm(dim=1).max()) <= layers_product(stack, readout, q=2, steps=50)


def test_dense_networks_agree_with_the_formulas_for_small_ones() -> None:
    weights, readout = [normal(4, 6), normal(6, 5, seed=1)], normal(5, seed=2)
    net = float_net(weights, readout)
    stack = [Dense(w.mT) for w in weights]
    assert layers_path_norm(stack, readout) == pytest.approx(float(path_norm(net)))
    assert layers_product(stack, readout, q=1) == pytest.approx(float(layer_product(net, q=1)))
    certain = layers_product(stack, readout, q=2, steps=3000)
    assert layer_product(net, q=2) <= certain < 1.02 * layer_product(net, q=2)


def test_pooling_is_the_worst_case_of_its_windows() -> None:
    """An input that is the largest of all its windows moves them all: the constant is attained."""
    pool = MaxPool2d(3, 2)
    x = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    moved = x.clone()
    moved[..., 2, 2] = 1.0
    assert float((pool.apply(moved) - pool.apply(x)).norm()) == pool.euclidean == 2


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Dense(torch.zeros(3)), "weight must be a matrix"),
        (lambda: Conv2d(torch.zeros(1, 2, 3, 3), (1, 5, 5)), "need an image of shape"),
        (lambda: Conv2d(torch.zeros(1, 1, 3, 3), (1, 5, 5), stride=0), "must be at least 1"),
        (lambda: Conv2d(torch.zeros(1, 1, 6, 3), (1, 5, 5)), "larger than the padded image"),
        (lambda: MaxPool2d(0, 1), "kernel and stride"),
        (lambda: spectral_norm(Dense(torch.eye(2)), steps=0), "steps >= 1"),
        (lambda: spectral_norm(Dense(torch.eye(2)), confidence=1.0), "confidence < 1"),
        (lambda: layers_path_norm([MaxPool2d(2, 2)], torch.ones(1)), "first of them a linear map"),
        (lambda: layers_path_norm([], torch.ones(1)), "at least one layer"),
        (lambda: layers_path_norm([Dense(torch.eye(2))], torch.ones(3)), "readout needs 2 entries"),
        (lambda: layers_product([Dense(torch.eye(2))], torch.ones(2), q=3), "q must be 1 or 2"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
