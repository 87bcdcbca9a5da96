"""The minimal-norm attack and descents in a ball, against exact distances of small ReLU networks."""

from itertools import pairwise
from math import inf

import numpy as np
import pytest
import torch
from torch import Tensor

from sparse_robust.attacks import (
    Way,
    adaptive_projected_gradient_descent,
    deepfool,
    fast_gradient_sign,
    minimal_l2,
    projected_gradient_descent,
)
from sparse_robust.attacks.adaptive_pgd import dlr_loss, intervals
from sparse_robust.attacks.boundary import BoundaryWalk, pull_back
from sparse_robust.rng import stream
from sparse_robust.theory.distance import distance
from sparse_robust.theory.networks import ReluNet, float_net
from sparse_robust.types import LogitsFn

INPUTS, HIDDEN, EXAMPLES = 2, (5, 3), 5


def relu_net(seed: int) -> ReluNet:
    generator = np.random.default_rng(seed)
    widths = (INPUTS, *HIDDEN)
    weights = [generator.normal(size=s) for s in pairwise(widths)]
    biases = [generator.normal(size=n) for n in HIDDEN]
    return float_net(weights, generator.normal(size=HIDDEN[-1]), biases, generator.normal())


def two_logits(net: ReluNet) -> LogitsFn:
    """Logits (h, 0): class 0 where h is positive."""

    def logits(z: Tensor) -> Tensor:
        a = z
        for layer, weight in enumerate(net.weights):
            a = (a @ torch.from_numpy(weight) + torch.from_numpy(net.bias(layer))).relu()
        h = a @ torch.from_numpy(net.readout) + net.offset
        return torch.stack([h, 0 * h], -1)

    return logits


def positive_points(net: ReluNet, seed: int) -> Tensor:
    points = torch.randn((100, INPUTS), generator=stream(seed, "points"), dtype=torch.float64)
    return points[two_logits(net)(points)[:, 0] > 0][:EXAMPLES]


@pytest.fixture(scope="module", params=range(2))
def problem(request: pytest.FixtureRequest) -> tuple[ReluNet, Tensor, Tensor]:
    net = relu_net(request.param)
    x = positive_points(net, request.param)
    assert len(x) == EXAMPLES
    return net, x, torch.zeros(EXAMPLES, dtype=torch.long)


def exact(net: ReluNet, x: Tensor, p: float) -> Tensor:
    return torch.tensor([float(distance(net, point, p=p)) for point in x.numpy()], dtype=torch.float64)


@pytest.fixture(scope="module")
def l_inf_distances(problem: tuple[ReluNet, Tensor, Tensor]) -> Tensor:
    """Of all examples, by enumeration, which takes longer than all attacks on them."""
    net, x, _ = problem
    return exact(net, x, inf)


def test_minimal_l2_finds_the_distance_that_enumeration_proves(
    problem: tuple[ReluNet, Tensor, Tensor],
) -> None:
    """Never below it, and above it by more than a percent for one point of five at most."""
    net, x, y = problem
    closest = exact(net, x, 2)
    # far points of both classes, so that failures of gradients alone are no failures
    images = 8 * torch.randn((50, INPUTS), generator=stream(9, "images"), dtype=torch.float64)
    attacked = minimal_l2(two_logits(net), x, y, steps=36, images=images, box=None)
    reachable = closest.isfinite()
    assert torch.equal(attacked.flipped, reachable)
    ratio = (attacked.radius / closest)[reachable].sort().values
    assert float(ratio.min()) >= 1 - 1e-9
    assert float(ratio[:-1].max()) <= 1.01
    crossing = deepfool(two_logits(net), x, y)
    assert bool((crossing.radius >= closest * (1 - 1e-9)).all())


@pytest.mark.parametrize("attack", [projected_gradient_descent, adaptive_projected_gradient_descent])
def test_descents_flip_nothing_within_the_exact_l_inf_distance(
    problem: tuple[ReluNet, Tensor, Tensor], l_inf_distances: Tensor, attack: object
) -> None:
    net, x, y = problem
    logits_fn, closest = two_logits(net), l_inf_distances
    near = closest[closest.isfinite()]
    for point, label, eps in zip(x[closest.isfinite()], y, near.tolist(), strict=False):
        inside = attack(logits_fn, point[None], label[None], eps=(1 - 1e-9) * eps)  # type: ignore[operator]
        assert not bool(inside.flipped.any())
    eps = float(near.max()) * 1.2
    reached = attack(logits_fn, x, y, eps=eps).flipped  # type: ignore[operator]
    one_step = fast_gradient_sign(logits_fn, x, y, eps=eps).flipped
    assert bool((reached | ~one_step).all()), "what one step flips, many do"
    assert int(reached.sum()) >= len(near) - 1


class Stairs:
    """Logits that are constant almost everywhere: class 1 where the mean exceeds a half."""

    def __call__(self, z: Tensor) -> Tensor:
        up = (z.flatten(z.ndim - 1).mean(-1) > 0.5).to(z.dtype) + 0 * z.sum(-1)
        return torch.stack([1 - up, up], -1)


@pytest.mark.parametrize("given", [True, False])
def test_without_gradients_a_line_search_towards_the_nearest_image_finds_the_jump(given: bool) -> None:
    x = torch.tensor([[0.2, 0.2], [0.1, 0.6], [0.9, 0.8], [0.3, 0.1]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1, 1])  # the last is misclassified
    far = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    found = minimal_l2(Stairs(), x, y, images=far if given else None)
    assert found.way.tolist() == [Way.IMAGE, Way.IMAGE, Way.IMAGE, Way.GIVEN]
    other = torch.stack([far[1], far[1], far[0]]) if given else torch.stack([x[2], x[2], x[1]])
    for n in range(3):
        towards = other[n] - x[n]
        share = (1.0 - x[n].sum()) / towards.sum()  # where the mean is a half on the segment
        assert found.radius[n].item() == pytest.approx(float(share * towards.norm()), rel=1e-5)
    assert found.radius[3].item() == 0
    plain = deepfool(Stairs(), x, y, box=(0.0, 1.0))
    assert plain.radius[:3].isposinf().all()


def over_half(z: Tensor) -> Tensor:
    """By how much the mean exceeds a half, in a few hundreds of units."""
    return 300 * (z.flatten(z.ndim - 1).mean(-1) - 0.5)


def rounded(z: Tensor) -> Tensor:
    """Constant between jumps, one of them where the mean is a half: slopes are 0."""
    return (over_half(z).round() + 0 * z.sum(-1)).clamp(-1, 1)


def saturated(z: Tensor) -> Tensor:
    """Slopes are 0 in floating point but for a thin layer around the boundary."""
    return over_half(z).tanh()


def not_a_number(z: Tensor) -> Tensor:
    """The square root of 0 has the slope infinity, and times 0 that is not a number."""
    return over_half(z).sign() + (0 * z.sum(-1)).sqrt()


def misleading(z: Tensor) -> Tensor:
    """Slopes lead away from the boundary, in pieces that jump back."""
    return over_half(z).sign() * (1 + (20 * over_half(z)).detach().frac().abs()) - over_half(z) / 400


@pytest.mark.parametrize("score", [rounded, saturated, not_a_number, misleading])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_masked_gradient_hides_a_boundary(score: LogitsFn, dtype: torch.dtype) -> None:
    """The distance is finite, on the segment at most, and never below that of the hyperplane itself."""
    x = torch.tensor([[0.2, 0.2, 0.1], [0.1, 0.5, 0.3], [0.9, 0.8, 0.7], [0.6, 0.8, 0.9]], dtype=dtype)
    y = torch.tensor([0, 0, 1, 1])
    far = torch.tensor([[0.0, 0.1, 0.0], [1.0, 0.9, 1.0]], dtype=dtype)
    attacked = minimal_l2(lambda z: torch.stack([-score(z), score(z)], -1), x, y, images=far)
    assert bool(attacked.flipped.all())
    exact = (x.mean(-1) - 0.5).abs() * 3**0.5
    across = far[1 - y] - x
    segment = ((0.5 - x.mean(-1)) / across.mean(-1) * across.norm(dim=-1)).abs()
    assert bool((attacked.radius >= exact - 2e-3).all()), "a unit of the score is a thin layer"
    assert bool((attacked.radius <= segment + 4e-3).all())
    if score is saturated:
        assert bool((attacked.radius <= 1.02 * exact).all()), "slopes come back on the boundary"
    assert set(attacked.way.tolist()) <= {Way.IMAGE, Way.GRADIENT}


def test_only_a_model_that_tells_nothing_apart_resists() -> None:
    x, y = torch.rand((5, 2), generator=stream(0, "x")), torch.zeros(5, dtype=torch.long)
    found = minimal_l2(lambda z: torch.stack([1 + 0 * z[..., 0], 0 * z[..., 0]], -1), x, y)
    assert found.way.tolist() == [Way.FAILED] * 5
    assert bool(found.radius.isposinf().all())
    assert torch.equal(found.x_adv, x)


def test_gradients_are_preferred_to_images() -> None:
    x, y = torch.tensor([[0.25, 0.5], [1.0, 0.5]]), torch.tensor([0, 0])
    found = minimal_l2(lambda z: torch.stack([0.5 - z[..., 0], z[..., 0] - 0.5], -1), x, y)
    assert found.way.tolist() == [Way.GRADIENT, Way.GIVEN]
    assert found.radius[0].item() == pytest.approx(0.25, rel=2e-3)
    assert found.radius[0].item() >= 0.25


def test_options_and_images_that_make_no_sense_are_refused() -> None:
    x, y = torch.full((2, 3), 0.5), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="steps must be at least 3, got 2"):
        minimal_l2(Stairs(), x, y, steps=2)
    with pytest.raises(ValueError, match=r"followed by the shape of an input, \[3\], got \[5, 2\]"):
        minimal_l2(Stairs(), x, y, images=torch.zeros(5, 2))
    with pytest.raises(ValueError, match="x leaves the box"):
        minimal_l2(Stairs(), x, y, images=torch.full((5, 3), 2.0))


def test_a_course_goes_from_its_first_to_its_last_values() -> None:
    walk = BoundaryWalk(5, rates=(0.4, 0.1), aims=(0.01, 0.01))
    assert walk.at(0) == pytest.approx((0.4, 0.01))
    assert walk.at(2) == pytest.approx((0.2, 0.01))
    assert walk.at(4) == pytest.approx((0.1, 0.01))
    assert BoundaryWalk(1, rates=(0.4, 0.1), aims=(0.01, 0.01)).at(0) == pytest.approx((0.4, 0.01))


def test_a_point_is_pulled_back_to_where_its_segment_crosses() -> None:
    """A curved boundary: |z| = 1, from the origin outwards."""

    def logits_fn(z: Tensor) -> Tensor:
        return torch.stack([1 - z.square().sum(-1), 0 * z[..., 0]], -1)

    x = torch.zeros(1, 3, 2, dtype=torch.float64)
    z = torch.tensor([[[0.0, 3.0], [1.2, 0.9], [0.3, 0.3]]], dtype=torch.float64)
    pulled = pull_back(logits_fn, x, torch.zeros(1, 3, dtype=torch.long), z, looks=20)
    assert torch.equal(pulled[0, 2], z[0, 2])  # not misclassified: as it was
    expected = z[0, :2] / z[0, :2].norm(dim=-1, keepdim=True)
    assert torch.allclose(pulled[0, :2], expected, atol=1e-6)
    assert bool((pulled[0, :2].norm(dim=-1) >= 1).all())


# APGD


def test_dlr_loss_ignores_scale_and_shift() -> None:
    logits = torch.randn((7, 5), generator=stream(1, "dlr"), dtype=torch.float64)
    y = torch.arange(7) % 5
    ordered = logits.sort(-1, descending=True).values
    for n in range(7):
        others = torch.cat([logits[n, : y[n]], logits[n, y[n] + 1 :]])
        expected = (others.max() - logits[n, y[n]]) / (ordered[n, 0] - ordered[n, 2])
        assert dlr_loss(logits, y)[n].item() == pytest.approx(float(expected))
    assert torch.allclose(dlr_loss(3 * logits + 2, y), dlr_loss(logits, y))
    assert torch.allclose(dlr_loss(logits[:, :2], y % 2), (1 - 2 * (y % 2)) * (logits[:, 1] - logits[:, 0]))


def test_checkpoints_are_those_of_the_reference() -> None:
    """p = .22, .41, .57, .70, .80, .87, .93, .99 of 100 steps, and the end."""
    assert list(intervals(100)) == [22, 19, 16, 13, 10, 7, 6, 6, 1]
    for steps in range(1, 30):
        assert sum(intervals(steps)) == steps
        assert min(intervals(steps)) >= 1


@pytest.mark.parametrize("third", [0.0, -1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_where_the_ratio_is_flat_the_difference_leads_across(third: float, dtype: torch.dtype) -> None:
    """Logits (h, 0, third h) have the ratio -1 / (1 - third) wherever h is positive: its slopes vanish."""
    normal = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=dtype)

    def logits_fn(z: Tensor) -> Tensor:
        h = z @ normal + 0.3
        return torch.stack([h, 0 * h, third * h], -1)

    x = torch.rand((6, 4), generator=stream(3, "flat"), dtype=dtype).mul(torch.tensor([1, 0.15, 1, 1]))
    assert bool((logits_fn(x).argmax(-1) == 0).all())
    z, y = x.clone().requires_grad_(), torch.zeros(len(x), dtype=torch.long)
    (slope,) = torch.autograd.grad(dlr_loss(logits_fn(z), y).sum(), z)
    assert float(slope.abs().max()) < 1e-5
    nearest = logits_fn(x)[:, 0] / normal.abs().sum()  # in l_inf
    for point, eps in zip(x, nearest.tolist(), strict=True):
        for factor, crosses in ((0.99, False), (1.01, True)):
            attacked = adaptive_projected_gradient_descent(
                logits_fn, point[None], y[:1], eps=factor * eps, steps=20
            )
            assert bool(attacked.flipped) == crosses


def test_where_three_logits_are_constant_the_others_lead_across() -> None:
    """Only the last logit has slopes: the ratio does not see it, and no margin does."""

    def logits_fn(z: Tensor) -> Tensor:
        one = 1 + 0 * z.sum(-1)
        return torch.stack([3 * one, 2 * one, one, 4 * z.sum(-1)], -1)

    x, y = torch.full((1, 2), 0.1, dtype=torch.float64), torch.zeros(1, dtype=torch.long)
    for eps, crosses in ((0.27, False), (0.28, True)):  # 8 (0.1 + eps) = 3 at eps = 0.275
        attacked = adaptive_projected_gradient_descent(logits_fn, x, y, eps=eps, steps=20)
        assert bool(attacked.flipped) == crosses
