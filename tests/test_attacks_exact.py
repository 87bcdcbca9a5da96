"""Each attack against a closed form or an independent solver, on models where the answer is known."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparse_robust.attacks import (
    carlini_wagner,
    cross,
    deepfool,
    fast_gradient_sign,
    random_fast_gradient_sign,
    random_signs,
)
from sparse_robust.rng import stream
from sparse_robust.types import LogitsFn

UNIT = (0.0, 1.0)
eighths = st.integers(-16, 16).map(lambda k: k / 8)
pixels = st.integers(0, 8).map(lambda k: k / 8)  # the edges 0 and 1 come up often


def affine(weight: Tensor, bias: Tensor) -> LogitsFn:
    return lambda z: z @ weight.T + bias


def random_linear(seed: int, classes: int, inputs: int, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weight, bias, inputs in the unit box (some pixels at its edges) and predicted classes; float64."""
    generator = stream(seed, "exact")
    weight = torch.randn((classes, inputs), generator=generator, dtype=torch.float64)
    x = (torch.rand((n, inputs), generator=generator, dtype=torch.float64) * 1.6 - 0.3).clamp(0, 1)
    bias = -(weight @ x.mean(0))
    return weight, bias, x, (x @ weight.T + bias).argmax(1)


def boxed_distance(x: np.ndarray, normal: np.ndarray, gap: float) -> float:
    """Shortest l_2 way from x in [0, 1]^D to normal . delta = gap, by bisection on the multiplier."""
    if gap <= 0:
        return 0.0

    def move(t: float) -> np.ndarray:
        return np.clip(t * normal, -x, 1 - x)

    low, high = 0.0, 1.0
    while normal @ move(high) < gap:
        high *= 2
        if high > 1e9:
            return np.inf
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if normal @ move(middle) < gap else (low, middle)
    return float(np.linalg.norm(move(high)))


def exact_boxed(weight: Tensor, bias: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Distance in the box from each x to the boundary with each other class, ascending; [N, K - 1]."""
    w, b, distances = weight.numpy(), bias.numpy(), []
    for point, k in zip(x.numpy(), y.tolist(), strict=True):
        gaps = (w[k] - w) @ point + b[k] - b
        others = [e for e in range(len(w)) if e != k]
        distances.append(sorted(boxed_distance(point, w[e] - w[k], gaps[e]) for e in others))
    return torch.tensor(distances, dtype=torch.float64)


# FGS


@pytest.mark.parametrize("magnitude", [1.0, 40.0])
@pytest.mark.parametrize("y", [0, 1])
def test_fgs_flips_a_linear_model_exactly_at_margin_over_l1_norm(y: int, magnitude: float) -> None:
    """Logits (-f/2, f/2), also where the softmax has saturated: f/2 - (-f/2) = |f| = eps ||w||_1."""
    w = torch.tensor([0.5, -2.0, 0.25, 0.0]) * magnitude
    x, label = torch.tensor([[0.5, 0.25, 0.5, 0.5]]), torch.tensor([y])
    f_at_x = (2 * y - 1) * 0.75 * magnitude

    def logits(z: Tensor) -> Tensor:
        f = z @ w - x @ w + f_at_x
        return torch.stack([-f / 2, f / 2], -1)

    critical = 0.75 / 2.75
    below = fast_gradient_sign(logits, x, label, eps=critical - 1e-3)
    above = fast_gradient_sign(logits, x, label, eps=critical + 1e-3)
    assert (below.flipped.item(), above.flipped.item()) == (False, True)
    assert above.radius.item() == pytest.approx((critical + 1e-3) * 3**0.5)  # three coordinates move
    assert above.x_adv[0, 3] == x[0, 3]


@pytest.mark.parametrize("seed", range(5))
def test_clipped_fgs_is_optimal_on_a_binary_linear_model(seed: int) -> None:
    """No point of the box within eps has a smaller margin: brute force over all corners."""
    weight, bias, x, y = random_linear(seed, 2, 5, 6)
    logits, eps = affine(weight, bias), 0.3
    found = fast_gradient_sign(logits, x, y, eps=eps, box=UNIT)
    low, high = (x - eps).clamp_min(0), (x + eps).clamp_max(1)
    corners = torch.tensor(list(product([0, 1], repeat=5)), dtype=torch.bool)[:, None]
    every = logits(torch.where(corners, high, low))  # [32, N, 2]
    sign = 2 * y - 1
    lowest = (sign * (every[..., 1] - every[..., 0])).amin(0)
    at = logits(found.x_adv)
    assert torch.allclose(sign * (at[:, 1] - at[:, 0]), lowest, atol=1e-12)
    assert torch.equal(found.flipped, at.argmax(1) != y)


def test_the_box_makes_fgs_another_attack() -> None:
    """At pixel 1 with a step upwards nothing is left of it: the clipped attack fails, the free one flips."""
    x, y = torch.tensor([[1.0, 0.0]]), torch.tensor([0])

    def logits(z: Tensor) -> Tensor:
        return torch.stack([torch.full_like(z[:, 0], 0.05), z[:, 0] - z[:, 1] - 1], -1)

    assert fast_gradient_sign(logits, x, y, eps=0.1).flipped.item()
    assert not fast_gradient_sign(logits, x, y, eps=0.1, box=UNIT).flipped.item()


@pytest.mark.parametrize("box", [UNIT, None])
def test_rfgs_between_noise_and_fgs(box: tuple[float, float] | None) -> None:
    weight, bias, x, y = random_linear(3, 4, 6, 12)
    logits, signs = affine(weight, bias), random_signs((7,), 12, (6,))[0]
    plain = fast_gradient_sign(logits, x, y, eps=0.2, box=box)
    noise = x + 0.2 * signs.to(x.dtype)
    for step in (0.0, 0.05, None, 0.2):
        found = random_fast_gradient_sign(logits, x, y, eps=0.2, signs=signs, step=step, box=box)
        assert float((found.x_adv - x).abs().max()) <= 0.2 + 1e-12
        assert torch.equal(found.x_adv, plain.x_adv) == (step == 0.0)
        assert torch.equal(found.x_adv, noise.clamp(0, 1) if box else noise) == (step == 0.2)
    halves = random_fast_gradient_sign(logits, x, y, eps=0.2, signs=signs, step=0.1, box=box)
    unless_told = random_fast_gradient_sign(logits, x, y, eps=0.2, signs=signs, box=box)
    assert torch.equal(halves.x_adv, unless_told.x_adv)


def test_rfgs_takes_its_gradient_at_the_random_point() -> None:
    """f = x^2: the slope changes sign at 0, so noise of .05 from x = .01 decides where the step leads."""
    x, y = torch.tensor([[0.01], [0.01]]), torch.tensor([0, 0])
    signs = torch.tensor([[-1], [1]], dtype=torch.int8)
    found = random_fast_gradient_sign(
        lambda z: torch.cat([0 * z, z.square()], -1), x, y, eps=0.15, signs=signs, step=0.05
    )
    assert torch.allclose(found.x_adv, torch.tensor([[-0.14], [0.16]]))


# The shortest step across a hyperplane


@given(
    data=st.lists(st.tuples(pixels, eighths), min_size=1, max_size=6),
    gap=st.integers(1, 40).map(lambda k: k / 8),
)
@example(data=[(0.0, 1.0), (1.0, -1.0)], gap=2.0)  # the far corner, only just
@example(data=[(0.5, 0.0)], gap=1.0)
@settings(deadline=None, max_examples=60)
def test_cross_in_a_box_against_bisection(data: list[tuple[float, float]], gap: float) -> None:
    x, normal = (np.array(part) for part in zip(*data, strict=True))
    reach = float(np.where(normal > 0, normal * (1 - x), -normal * x).sum())
    delta = cross(torch.tensor(x), torch.tensor(normal), torch.tensor(gap, dtype=torch.float64), UNIT)
    if reach < gap:  # eighths: exact in floating point
        assert bool(delta.isinf().all())
        return
    assert float(delta @ torch.tensor(normal)) == pytest.approx(gap, rel=1e-12)
    assert 0 <= float((torch.tensor(x) + delta).min()) <= float((torch.tensor(x) + delta).max()) <= 1
    expected = np.linalg.norm(normal * 0 + np.where(normal > 0, 1 - x, -x) * (normal != 0))
    if reach > gap:
        expected = boxed_distance(x, normal, gap)
    assert float(delta.norm()) == pytest.approx(expected, rel=1e-9)


@given(data=st.lists(st.tuples(pixels, eighths), min_size=1, max_size=6), gap=pixels)
@settings(deadline=None, max_examples=30)
def test_cross_without_a_box(data: list[tuple[float, float]], gap: float) -> None:
    x, normal = (torch.tensor(part, dtype=torch.float64) for part in zip(*data, strict=True))
    assume(bool(normal.any()))
    delta = cross(x, normal, torch.tensor(gap, dtype=torch.float64), None)
    assert torch.allclose(delta, normal * gap / (normal @ normal), atol=1e-15)
    wide = cross(x, normal, torch.tensor(gap, dtype=torch.float64), (-1e3, 1e3))
    assert torch.allclose(delta, wide, atol=1e-12)


# DeepFool


@pytest.mark.parametrize("overshoot", [0.02, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_deepfool_is_exact_in_one_step_on_linear_models(seed: int, overshoot: float) -> None:
    weight, bias, x, y = random_linear(seed, 4, 6, 10)
    found = deepfool(affine(weight, bias), x, y, steps=1, overshoot=overshoot)
    logits = (x @ weight.T + bias).tolist()
    for n, k in enumerate(y.tolist()):
        distance = min(
            (logits[n][k] - logits[n][e]) / float((weight[k] - weight[e]).norm()) for e in range(4) if e != k
        )
        assert found.radius[n].item() == pytest.approx((1 + overshoot) * distance, rel=1e-9)


@pytest.mark.parametrize("overshoot", [1e-9, 0.02])
@pytest.mark.parametrize("seed", range(4))
def test_deepfool_in_a_box_is_the_shortest_way_in_the_box(seed: int, overshoot: float) -> None:
    weight, bias, x, y = random_linear(seed, 3, 5, 10)
    exact = exact_boxed(weight, bias, x, y)[:, 0]
    found = deepfool(affine(weight, bias), x, y, overshoot=overshoot, box=UNIT)
    assert torch.equal(found.radius.isfinite(), exact.isfinite())
    reached = exact.isfinite()
    ratio = found.radius[reached] / exact[reached]
    assert 1 - 1e-9 <= float(ratio.min()) <= float(ratio.max()) <= 1 + overshoot + 1e-9
    free = deepfool(affine(weight, bias), x, y, overshoot=overshoot)
    assert float((exact / free.radius).max()) > 1.01  # the box mattered


@pytest.mark.parametrize("box", [UNIT, None])
@pytest.mark.parametrize("overshoot", [0.0, 1e-7, 0.02])
@pytest.mark.parametrize("inputs", [4, 60])
def test_deepfool_leaves_the_boundary_where_it_starts_on_it(
    inputs: int, overshoot: float, box: tuple[float, float] | None
) -> None:
    """In float32 a step from a near-tie is shorter than the last bit of a pixel, yet each must flip."""
    weight, bias, x, y = (v.float() if v.is_floating_point() else v for v in random_linear(1, 3, inputs, 60))
    logits = affine(weight, bias)
    on_it = deepfool(logits, x, y, steps=1, overshoot=0.0, box=box).x_adv
    held = logits(on_it).argmax(1) == y
    assert int(held.sum()) > 5
    found = deepfool(logits, on_it, y, steps=3, overshoot=overshoot, box=box)
    assert bool(found.flipped.all())
    scale = weight.abs().max() * inputs
    assert float(found.radius.max()) < 100 * torch.finfo(torch.float32).eps * float(scale)


def test_deepfool_leaves_an_exact_tie() -> None:
    """Equal logits, which argmax gives to the class: the gap is 0, and 0 is no step."""
    x = torch.tensor([[0.5, 0.5], [0.0, 0.0]])
    found = deepfool(lambda z: torch.stack([z[:, 0], z[:, 1]], -1), x, torch.tensor([0, 0]))
    assert found.flipped.tolist() == [True, True]
    assert float(found.radius.max()) < 1e-4


def test_deepfool_passes_over_a_class_it_cannot_reach() -> None:
    """Class 1 has the gradient of class 0 and trails by a hair; class 2 is far but within reach."""
    weight = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    logits = affine(weight, torch.tensor([1.0, 0.999, 0.0]))
    found = deepfool(logits, torch.tensor([[0.5, 0.5]]), torch.tensor([0]))
    assert logits(found.x_adv).argmax().item() == 2
    assert found.radius.item() == pytest.approx(1.02 / 2**0.5, rel=1e-6)


# C&W


@pytest.mark.parametrize("classes", [2, 3])
def test_cw_is_close_to_the_exact_boxed_distance_and_never_below(classes: int) -> None:
    """Exact to 2 % but for one example: with three classes a descent may end farther away."""
    weight, bias, x, y = random_linear(2, classes, 5, 16)
    exact = exact_boxed(weight, bias, x, y)
    assert bool(exact.isfinite().any(1).all())
    found = carlini_wagner(affine(weight, bias), x, y)
    assert bool(found.flipped.all())
    ratio = found.radius[:, None] / exact
    assert float(ratio[:, 0].min()) >= 1 - 1e-9
    ascending = ratio[:, 0].sort().values
    assert float(ascending[-1]) <= (1.02 if classes == 2 else 1.15)
    assert float(ascending[-2]) <= 1.02
    assert float(ratio[:, 0].median()) <= 1.01


@pytest.mark.parametrize("attack", [carlini_wagner, deepfool])
def test_pixels_at_the_edges_of_the_box_can_move(attack: object) -> None:
    """Every pixel is exactly 0 or 1, as 82.6 % of MNIST: atanh(+-1) is infinite, and must not freeze them."""
    x = torch.tensor([[0.0, 1.0, 0.0, 1.0]], dtype=torch.float64)

    def logits(z: Tensor) -> Tensor:
        return torch.stack([torch.full_like(z[:, 0], 0.8), z[:, 0] - z[:, 1] + 1 + z[:, 3] - 1], -1)

    found = attack(logits, x, torch.tensor([0]), box=UNIT)  # type: ignore[operator]
    expected = 0.8 / 2**0.5  # half of .8 upwards, half downwards; the pixel at 1 that would go up cannot
    assert expected <= found.radius.item() <= 1.021 * expected
    assert torch.allclose(found.x_adv, torch.tensor([[0.4, 0.6, 0.0, 1.0]], dtype=torch.float64), atol=0.01)


def test_cw_with_confidence_leads_by_it() -> None:
    weight, bias, x, y = random_linear(4, 2, 5, 8)
    logits = affine(weight, bias)
    found = carlini_wagner(logits, x, y, confidence=0.25, box=(-2.0, 3.0))
    at = logits(found.x_adv)
    lead = (at[:, 1] - at[:, 0]) * (1 - 2 * y)
    assert bool(found.flipped.all())
    assert 0.25 <= float(lead.min()) <= float(lead.max()) <= 0.3
    gap = (logits(x)[:, 1] - logits(x)[:, 0]).abs() + 0.25  # prop-cw-penalty: f becomes f + k
    ratio = found.radius / (gap / (weight[1] - weight[0]).norm())
    assert 1 - 1e-9 <= float(ratio.min()) <= float(ratio.max()) <= 1.04
