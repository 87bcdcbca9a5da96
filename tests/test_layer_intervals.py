"""Intervals through convolutions and pooling: never too narrow, and exact where they must be."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_robust.proofs.deep.lipschitz.layers import random_stack
from sparse_robust.theory import Ball, float_net
from sparse_robust.theory.intervals import backward_bounds, largest, live_net, norm_power, unit_states
from sparse_robust.theory.layer_intervals import (
    Stage,
    gradient_bound,
    live_path_norm,
    sampled_gradients,
    stage_choices,
)
from sparse_robust.theory.linear_maps import Conv2d, Dense, MaxPool2d, layers_path_norm
from sparse_robust.theory.lipschitz import uniform_points
from sparse_robust.theory.mask_bounds import all_paths

POOLS = [MaxPool2d(2, 2), MaxPool2d(3, 2), MaxPool2d(3, 1), MaxPool2d(2, 3)]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(POOLS),
    st.sampled_from([1e-3, 0.03, 0.3, 2.0]),
    st.sampled_from([2, math.inf]),
)
def test_no_gradient_leaves_the_bounds(seed: int, pool: MaxPool2d, radius: float, p: float) -> None:
    stages, readout, image = random_stack(seed, pool)
    ball = Ball(image.flatten().numpy(), radius, p)
    points = torch.from_numpy(uniform_points(ball, 60, seed=seed)).reshape(60, *image.shape)
    gradients = sampled_gradients(stages, readout, points)
    bound = gradient_bound(stages, readout, image, radius, p=p)
    live = live_path_norm(stages, readout, image, radius, p=p)
    assert (gradients.abs() <= bound + 1e-9).all()
    assert float(gradients.flatten(1).abs().sum(1).max()) <= live + 1e-9
    assert live <= layers_path_norm([stage.layer for stage in stages], readout) + 1e-9


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.5]), st.sampled_from([2, math.inf]))
def test_dense_networks_agree_with_the_formulas_for_small_ones(seed: int, radius: float, p: float) -> None:
    shapes = [(4, 6), (6, 5)]
    weights = [normal(*shape, seed=seed + i) for i, shape in enumerate(shapes)]
    shifts = [normal(n, seed=seed + 7 + i) for i, (_, n) in enumerate(shapes)]
    readout, centre = normal(5, seed=seed + 20), normal(4, seed=seed + 21)
    net, ball = float_net(weights, readout, shifts), Ball(centre.numpy(), radius, p)
    stages = [Stage(Dense(w.mT), b, relu=True) for w, b in zip(weights, shifts, strict=True)]
    states = unit_states(net, ball)
    bound = gradient_bound(stages, readout, centre, radius, p=p).numpy()
    assert np.allclose(bound, largest(backward_bounds(net, states)[0]))
    live = norm_power(all_paths(live_net(net, states)), 1)
    assert live_path_norm(stages, readout, centre, radius, p=p) == pytest.approx(float(live))
    for choice, sleep, wake in zip(
        stage_choices(stages, centre, radius, p=p), states.live, states.always, strict=True
    ):
        assert choice is not None
        assert (choice.live.numpy() == sleep).all()
        assert (choice.always.numpy() == wake).all()
    points = torch.from_numpy(uniform_points(ball, 10, seed=seed))
    by_formula = net.gradient(net.pattern(points.numpy()))
    assert np.allclose(sampled_gradients(stages, readout, points).numpy(), by_formula)


@pytest.mark.parametrize("pool", POOLS)
def test_in_a_tiny_ball_the_bound_is_the_gradient(pool: MaxPool2d) -> None:
    """Every unit's state is known, and every window has one candidate: the image is in general position."""
    stages, readout, whole = random_stack(3, pool)
    image = normal(*whole.shape, seed=3)
    gradient = sampled_gradients(stages, readout, image[None])[0]
    bound = gradient_bound(stages, readout, image, 1e-9, p=math.inf)
    assert torch.allclose(bound, gradient.abs(), atol=1e-6)
    assert float(gradient.abs().sum()) > 0


def test_a_convolution_without_relu_is_known_exactly() -> None:
    layer = Conv2d(normal(2, 1, 3, 3), (1, 5, 5))
    readout = normal(18, seed=1)
    bound = gradient_bound([Stage(layer)], readout, torch.zeros(1, 5, 5), 0.1, p=2)
    assert torch.allclose(bound, layer.adjoint(readout.reshape(1, 2, 3, 3))[0].abs())


def test_a_pool_by_hand() -> None:
    """Windows of two inputs; the readout reads one window, whose first input may win, the second, or both."""
    pool = [Stage(Dense(torch.eye(4)), relu=False), Stage(Dense(torch.eye(4)))]
    assert stage_choices(pool, torch.zeros(4), 1.0, p=math.inf) == [None, None]
    stages = [Stage(Conv2d(torch.ones(1, 1, 1, 1), (1, 2, 2))), Stage(MaxPool2d(2, 2))]
    image = torch.tensor([[[1.0, 0.5], [0.0, -3.0]]])
    for radius, winners in ((0.2, 1), (0.25, 2), (0.4, 2), (0.6, 3), (2.0, 4)):
        choice = stage_choices(stages, image, radius, p=math.inf)[1]
        assert choice is not None
        assert int(choice.live.sum()) == winners
        assert int(choice.always.sum()) == (winners == 1)
        bound = gradient_bound(stages, torch.ones(1), image, radius, p=math.inf)
        assert float(bound.sum()) == winners
        assert live_path_norm(stages, torch.ones(1), image, radius, p=math.inf) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Stage(MaxPool2d(2, 2), relu=True), "max pooling takes no bias and no ReLU"),
        (lambda: stage_choices([], torch.zeros(1), 1, p=2), "at least one stage"),
        (
            lambda: stage_choices([Stage(MaxPool2d(2, 2))], torch.zeros(1), 1, p=2),
            "the first of them with a linear",
        ),
        (lambda: stage_choices([Stage(Dense(torch.eye(2)))], torch.zeros(2), 0, p=2), "radius positive"),
        (
            lambda: stage_choices([Stage(Dense(torch.eye(2)))], torch.zeros(2), 1, p=1),
            "p must be 2 or infinity",
        ),
        (lambda: stage_choices([Stage(Dense(torch.eye(2)))], torch.zeros(3), 1, p=2), "centre needs shape"),
        (
            lambda: gradient_bound([Stage(Dense(torch.eye(2)))], torch.zeros(3), torch.zeros(2), 1, p=2),
            "readout needs 2 entries",
        ),
        (
            lambda: live_path_norm([Stage(Dense(torch.eye(2)))], torch.zeros(3), torch.zeros(2), 1, p=2),
            "readout needs 2 entries",
        ),
        (
            lambda: sampled_gradients([Stage(Dense(torch.eye(2)))], torch.zeros(3), torch.zeros(1, 2)),
            "readout needs 2 entries",
        ),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
