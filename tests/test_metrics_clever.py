"""CLEVER against closed forms and exact Lipschitz constants, and the Weibull fit against scipy."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from sparse_robust.metrics import clever, exact_radius, fit_reverse_weibull
from sparse_robust.metrics.clever import gradient_norms, unit_ball
from sparse_robust.models import LinearClassifier
from sparse_robust.rng import stream
from sparse_robust.theory import Ball, ReluNet, float_net, lipschitz_power
from sparse_robust.types import LogitsFn

INF = math.inf
SMALL = {"p": 2, "radius": 1.0, "batches": 8, "samples": 5}


def mlp(seeds: list[int], inputs: int = 6, hidden: int = 12, classes: int = 4) -> LogitsFn:
    """A bent random network for each seed, in float64."""
    w, v, b = (
        torch.stack([torch.randn(*shape, generator=stream(s, name), dtype=torch.float64) for s in seeds])
        for name, shape in (("w", (inputs, hidden)), ("v", (hidden, classes)), ("b", (1, hidden)))
    )
    return lambda x: torch.baddbmm(b, x.flatten(2), w).relu() @ v


def inputs(replicas: int, n: int, *shape: int) -> Tensor:
    """The same [N, *D] for every replica."""
    x = torch.rand(n, *shape, generator=stream(7, "x"), dtype=torch.float64)
    return x.expand(replicas, *x.shape).clone()


def of_net(net: ReluNet) -> LogitsFn:
    """Logits (h, 0) of a theory network, so that class 0 leads by h."""

    def logits(x: Tensor) -> Tensor:
        for w in net.weights:
            x = (x @ torch.from_numpy(w)).relu()
        h = x @ torch.from_numpy(net.readout)
        return torch.stack([h, torch.zeros_like(h)], -1)

    return logits


# ---- the sampled points


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_points_are_uniform_in_the_euclidean_ball(n: int) -> None:
    """||u||^n is uniform on [0, 1], and coordinates have variance 1 / (n + 2)."""
    u = unit_ball(stream(0, "ball"), 20_000, n, 2).double()
    assert stats.kstest((u.norm(dim=1) ** n).numpy(), "uniform").pvalue > 0.001
    assert u.mean(0).abs().max() < 5 * ((n + 2) * 20_000) ** -0.5
    assert u.var(0).numpy() == pytest.approx(np.full(n, 1 / (n + 2)), rel=0.05)


def test_points_are_uniform_in_the_cube() -> None:
    u = unit_ball(stream(0, "ball"), 20_000, 3, INF).double()
    assert all(stats.kstest(column.numpy(), "uniform", args=(-1, 2)).pvalue > 0.001 for column in u.T)


@pytest.mark.parametrize("p", [2, INF])
def test_points_stay_in_the_ball_and_in_a_box_only_if_there_is_one(p: float) -> None:
    seen: list[Tensor] = []
    model = mlp([0])

    def watched(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return model(x)

    x, y = inputs(1, 1, 2, 3), torch.zeros(1, 1, dtype=torch.long)
    clever(watched, x, y, p=p, radius=0.9, batches=5, samples=50, seeds=[0])
    free = torch.cat([z for z in seen if z.shape[1] > 1], 1)
    assert free.shape == (1, 250, 2, 3)
    lengths = torch.linalg.vector_norm((free - x).flatten(2), ord=p, dim=-1)
    assert 0.8 < lengths.max() <= 0.9 * (1 + 1e-6)
    assert free.min() < 0
    seen.clear()
    clever(watched, x, y, p=p, radius=0.9, batches=5, samples=50, seeds=[0], box=(0, 1))
    boxed = torch.cat([z for z in seen if z.shape[1] > 1], 1)
    assert torch.equal(boxed, free.clamp(0, 1))


# ---- closed forms


def test_gradient_norms_of_every_margin() -> None:
    """Against the Jacobian, taken one input at a time."""
    model, x = mlp([0, 1]), inputs(2, 3, 6)
    y = torch.tensor([[0, 1, 2], [3, 3, 0]])
    found = {q: gradient_norms(model, x, y, q) for q in (1, 2)}
    for r in range(2):
        for n in range(3):

            def alone(z: Tensor, r: int = r, n: int = n) -> Tensor:
                return model(x.index_put((torch.tensor(r), torch.tensor(n)), z))[r, n]

            jacobian = torch.autograd.functional.jacobian(alone, x[r, n])
            rows = jacobian[y[r, n]] - jacobian
            for q in (1, 2):
                assert torch.allclose(found[q][r, n], torch.linalg.vector_norm(rows, ord=q, dim=-1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("p", "q", "radius"), [(2, 2, 0.3), (INF, 1, 0.05)])
def test_on_a_linear_model_the_score_is_the_exact_distance(
    p: float, q: float, radius: float, classes: int, dtype: torch.dtype
) -> None:
    """All gradients are equal; misclassified examples score 0, far ones the radius."""
    model = LinearClassifier([0, 1, 2], 10, classes).to(dtype)
    x, y = inputs(3, 40, 10).to(dtype), torch.arange(40).remainder(classes)
    found = clever(model, x, y.expand(3, -1), p=p, radius=radius, batches=5, samples=7, seeds=[0, 1, 2])
    exact = exact_radius(*model.rows(), x[0], y, q=q)
    assert (exact == 0).any()
    assert ((exact > 0) & (exact < radius)).any()
    assert (exact > radius).any()
    assert torch.allclose(
        found.score, exact.clamp_max(radius).double(), rtol=1e-5 if dtype.itemsize < 8 else 1e-12
    )
    others = found.ks.isfinite()
    assert others.sum(-1).eq(classes - 1).all()
    assert torch.equal(found.location[others], found.sampled[others])
    assert (found.ks[others] == 0).all()


@pytest.mark.parametrize("other", [0.0, 1.0])
def test_where_gradients_vanish_no_class_is_reached(other: float) -> None:
    """Constant logits (1, other), a tie included: class 0 holds everywhere, class 1 is misclassified."""

    def constant(x: Tensor) -> Tensor:
        return torch.stack([1 + 0 * x.sum(-1), other + 0 * x.sum(-1)], -1)

    y = torch.tensor([[0, 1]])
    found = clever(constant, inputs(1, 2, 3), y, seeds=[0], **SMALL)
    assert found.score.tolist() == [[1.0, 0.0]]
    assert (found.location[0, 0, 1], found.ks[0, 0, 1]) == (0, 0)
    assert found.margin[0, :, 0].isnan().tolist() == [True, False]


def test_rounding_is_no_spread() -> None:
    """Norms that differ in their last bits are one number, not a law to extrapolate."""

    def nearly_linear(x: Tensor) -> Tensor:
        h = 3 + x.sum(-1) + 2e-7 * (x**2).sum(-1)
        return torch.stack([h, torch.zeros_like(h)], -1)

    found = clever(nearly_linear, inputs(1, 1, 4).float(), torch.tensor([[0]]), seeds=[0], **SMALL)
    law = fit_reverse_weibull(gradient_maxima(nearly_linear))
    assert law.shape.isfinite()
    assert found.shape.isnan().all()
    assert found.location[0, 0, 1] == found.sampled[0, 0, 1]


def gradient_maxima(logits_fn: LogitsFn) -> Tensor:
    """Maxima of eight batches of float32 norms around a point."""
    points = inputs(1, 1, 4).float() + unit_ball(stream(0, "maxima"), 40, 4, 2)
    norms = gradient_norms(logits_fn, points, torch.zeros(1, 40, dtype=torch.long), 2)
    return norms[0, :, 1].view(8, 5).amax(-1)


# ---- exact local Lipschitz constants


@pytest.mark.parametrize(("p", "q"), [(2, 2), (INF, 1)])
@pytest.mark.parametrize("seed", range(4))
def test_sampled_norms_approach_the_exact_lipschitz_constant_from_below(seed: int, p: float, q: int) -> None:
    """sampled <= L; the more points, the nearer, and with many the estimate has nowhere else to go."""
    rng = np.random.default_rng(seed)
    net = float_net([rng.normal(size=(2, 6)), rng.normal(size=(6, 6))], rng.normal(size=6))
    centre = rng.normal(size=2)
    exact = float(lipschitz_power(net, Ball(centre, 0.5, p), q=q)) ** (1 / q)
    x, y = torch.from_numpy(centre).view(1, 1, 2), torch.tensor([[0]])
    few, many = (
        clever(of_net(net), x, y, p=p, radius=0.5, batches=20, samples=samples, seeds=[0])
        for samples in (2, 500)
    )
    for found in (few, many):
        assert found.sampled[0, 0, 1] <= exact * (1 + 1e-9)
        assert found.location[0, 0, 1] >= found.sampled[0, 0, 1]
    assert few.sampled[0, 0, 1] <= many.sampled[0, 0, 1]
    assert float(many.sampled[0, 0, 1]) == pytest.approx(exact, rel=0.02)
    assert float(many.location[0, 0, 1]) == pytest.approx(exact, rel=0.02)


def spike(steepness: float, depth: float) -> ReluNet:
    """h(x) = x_1 + depth * max(x_1 - steepness |x_2|, 0) for x_1 > 0: one narrow, steep region."""
    return float_net([[[1, 0, 0], [0, 1, -1]], [[1, 1], [0, -steepness], [0, -steepness]]], [1, depth])


def test_a_hidden_spike_is_missed_as_often_as_its_area_says() -> None:
    """In the square (1, 1/2) +- 1/2 the gradient is (1, 0), but (2, -1000) on one thousandth of the area.

    1000 points miss it with probability (1 - 1/1000)^1000 = 0.37; all that were sampled is then 1, the
    estimate is 1, and the certificate that it pretends to is too good by a factor of 1002.
    """
    replicas = 400
    net = spike(1000, 1)
    exact = lipschitz_power(net, Ball(np.array([1.0, 0.5]), 0.5, INF), q=1)
    x = torch.tensor([1.0, 0.5], dtype=torch.float64).expand(replicas, 1, 2)
    y = torch.zeros(replicas, 1, dtype=torch.long)
    found = clever(of_net(net), x, y, p=INF, radius=0.5, batches=10, samples=100, seeds=range(replicas))
    assert float(exact) == pytest.approx(1002)
    sampled = found.sampled[:, 0, 1]
    assert set(sampled.tolist()) == {1.0, 1002.0}
    missed = sampled == 1
    assert (found.location[missed, 0, 1] == 1).all()
    assert (found.score[missed] == 0.5).all()
    share, error = 0.999**1000, (0.999**1000 * (1 - 0.999**1000) / replicas) ** 0.5
    assert abs(float(missed.double().mean()) - share) < 4 * error


def test_a_score_can_exceed_the_true_distance() -> None:
    """A spike downwards flips the class at distance 0.1; a sample that misses it reports the radius."""
    net = spike(1e6, -2)
    x = torch.tensor([[[1.0, 0.1]]], dtype=torch.float64)
    adversarial = x - torch.tensor([0, 0.1], dtype=torch.float64)
    assert of_net(net)(x).argmax() == 0
    assert of_net(net)(adversarial).argmax() == 1
    found = clever(of_net(net), x, torch.tensor([[0]]), p=INF, radius=0.5, batches=10, samples=10, seeds=[0])
    assert found.score.item() == 0.5


# ---- streams


def close(a: Tensor, b: Tensor, tolerance: float) -> bool:
    return torch.allclose(a, b, rtol=tolerance, atol=0, equal_nan=True)


@pytest.mark.parametrize("p", [2, INF])
def test_points_depend_on_seed_and_index_alone(p: float) -> None:
    """Replica by replica, part by part and whatever the chunk, the same norms are found."""
    seeds, options = [3, 1, 2], {**SMALL, "p": p}
    x, y = inputs(3, 4, 6), torch.tensor([[0, 1, 2, 3]] * 3)
    whole = clever(mlp(seeds), x, y, seeds=seeds, **options)
    again = clever(mlp(seeds), x, y, seeds=seeds, **options)
    assert close(again.score, whole.score, 0)
    assert close(again.location, whole.location, 0)
    longer = clever(mlp(seeds), x, y, seeds=seeds, **{**options, "batches": 16})
    assert (longer.sampled.nan_to_num() >= whole.sampled.nan_to_num() * (1 - 1e-12)).all()
    others = [clever(mlp(seeds), x, y, seeds=seeds, chunk=chunk, **options) for chunk in (1, 31, 10**6)]
    parts = [
        clever(mlp(seeds), x[:, s], y[:, s], seeds=seeds, first=s.start, **options)
        for s in (slice(0, 1), slice(1, 4))
    ]
    alone = [clever(mlp([s]), x[:1], y[:1], seeds=[s], **options) for s in seeds]
    for name in ("sampled", "location", "score", "ks"):
        expected, tolerance = getattr(whole, name), 1e-12 if name == "sampled" else 1e-5
        found = [getattr(other, name) for other in others]
        found += [torch.cat([getattr(part, name) for part in parts], 1)]
        found += [torch.cat([getattr(part, name) for part in alone])]
        assert all(close(value, expected, tolerance) for value in found), name


def test_another_seed_or_index_is_another_sample() -> None:
    model = mlp([0])
    x, y = inputs(1, 1, 6), torch.tensor([[0]])
    base = clever(model, x, y, seeds=[0], **SMALL).sampled
    assert not close(clever(model, x, y, seeds=[1], **SMALL).sampled, base, 1e-6)
    assert not close(clever(model, x, y, seeds=[0], first=1, **SMALL).sampled, base, 1e-6)


def test_inputs_and_model_are_left_alone() -> None:
    model = LinearClassifier([0], 6, 3)
    x, y = inputs(1, 2, 6).float(), torch.tensor([[0, 1]])
    kept = x.clone()
    clever(model, x, y, seeds=[0], **SMALL)
    assert torch.equal(x, kept)
    assert not x.requires_grad
    assert all(weight.grad is None for weight in model.parameters())


def test_no_example_gives_no_score() -> None:
    found = clever(mlp([0]), torch.empty(1, 0, 6).double(), torch.empty(1, 0).long(), seeds=[0], **SMALL)
    assert (found.score.shape, found.ks.shape) == ((1, 0), (1, 0, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 1}, "p must be 2 or infinity, got 1"),
        ({"radius": 0.0}, "radius must be positive and finite, got 0"),
        ({"radius": INF}, "radius must be positive and finite"),
        ({"batches": 2}, "batches must be at least 3, .* got 2"),
        ({"samples": 0}, "samples and chunk must be at least 1 .* got 0,"),
        ({"seeds": [0, 1]}, "one seed for each replica"),
        ({"chunk": 0}, "samples and chunk must be at least 1 .* got 5, 0 and 0"),
        ({"first": -1}, "first at least 0, got 5, 512 and -1"),
        ({"shape_penalty": -1.0}, "shape_penalty and resolution must be at least 0"),
        ({"box": (0, 0.1)}, "x leaves the box"),
        ({"y": torch.tensor([0, 1])}, "y must"),
    ],
)
def test_bad_options_get_one_clear_error(change: dict[str, object], message: str) -> None:
    arguments = {"x": inputs(1, 2, 6), "y": torch.tensor([[0, 1]]), "seeds": [0], **SMALL, **change}
    with pytest.raises(ValueError, match=message):
        clever(mlp([0]), arguments.pop("x"), arguments.pop("y"), **arguments)


def test_a_gradient_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(ValueError, match="must be finite"):
        clever(lambda x: mlp([0])(x) * 1e308, inputs(1, 1, 6), torch.tensor([[0]]), seeds=[0], **SMALL)


# ---- the fit

Sampler = Callable[..., np.ndarray]


def draws(shape: float, m: int, fits: int, seed: int) -> np.ndarray:
    """[fits, m] from the law with location 3 and scale 2."""
    return stats.weibull_max.rvs(shape, loc=3, scale=2, size=(fits, m), random_state=seed)


def log_likelihood(z: np.ndarray, shape: object, location: object, scale: object) -> np.ndarray:
    columns = (np.asarray(value)[..., None] for value in (shape, location, scale))
    return stats.weibull_max.logpdf(z, *columns).sum(-1)


@pytest.mark.parametrize("shape", [1.5, 2.5, 5.0])
def test_parameters_are_recovered_from_large_samples(shape: float) -> None:
    law = fit_reverse_weibull(torch.from_numpy(draws(shape, 4000, 5, 0)), shape_penalty=0)
    assert law.location.numpy() == pytest.approx(np.full(5, 3), rel=0.06)
    assert law.scale.numpy() == pytest.approx(np.full(5, 2), rel=0.1)
    assert law.shape.numpy() == pytest.approx(np.full(5, shape), rel=0.12)
    assert (law.ks < 1.63 / 4000**0.5).all()  # the 1 % point for a law that is not fitted


@pytest.mark.parametrize("shape", [1.5, 3.0, 8.0])
def test_the_likelihood_is_no_smaller_than_scipys(shape: float) -> None:
    """scipy's search is general and local, so it may stop early; ours must never be beaten in its range."""
    z = draws(shape, 50, 15, 1)
    law = fit_reverse_weibull(torch.from_numpy(z), shape_penalty=0)
    ours = log_likelihood(z, law.shape, law.location, law.scale)
    met = 0
    for sample, value in zip(z, ours, strict=True):
        c, location, scale = stats.weibull_max.fit(sample, shape)
        if c >= 1 and location - sample.max() < 100 * np.ptp(sample):
            theirs = log_likelihood(sample, c, location, scale)
            assert value >= theirs - 1e-6
            met += bool(value - theirs < 1e-3)
    assert met >= 5


@given(st.integers(0, 10**6), st.floats(0.5, 20), st.integers(3, 60), st.sampled_from([0.01, 0.1]))
@settings(max_examples=40, deadline=None)
def test_no_neighbour_is_more_likely(seed: int, shape: float, m: int, penalty: float) -> None:
    """Shape at least 1, location at least the maximum, and no law nearby in that range that is better."""
    z = draws(shape, m, 1, seed)[0]
    law = fit_reverse_weibull(torch.from_numpy(z), shape_penalty=penalty)
    best = [float(law.shape), float(law.location), float(law.scale)]
    assert best[0] >= 1
    assert best[1] >= z.max()
    value = log_likelihood(z, *best) - penalty * best[0] ** 2
    rng = np.random.default_rng(seed)
    for size in (1e-3, 1e-2, 1e-1):
        for move in rng.normal(size=(20, 3)) * size:
            c = max(1.0, best[0] * math.exp(move[0]))
            location = max(z.max(), best[1] + np.ptp(z) * move[1])
            near = log_likelihood(z, c, location, best[2] * math.exp(move[2])) - penalty * c**2
            assert near <= value + 1e-6


@given(st.integers(0, 10**6), st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
@settings(max_examples=30, deadline=None)
def test_units_do_not_matter(seed: int, unit: float, shift: float) -> None:
    z = torch.from_numpy(draws(3, 30, 2, seed))
    law, moved = fit_reverse_weibull(z), fit_reverse_weibull(unit * (z + shift))
    assert torch.allclose(moved.location / unit - shift, law.location, rtol=1e-4, atol=1e-4)
    assert torch.allclose(moved.shape, law.shape, rtol=1e-3)
    assert torch.allclose(moved.ks, law.ks, atol=1e-4)


def test_kolmogorov_smirnov_is_scipys() -> None:
    z = draws(3, 40, 6, 2)
    law = fit_reverse_weibull(torch.from_numpy(z).view(2, 3, 40))
    for sample, c, location, scale, ks in zip(
        z, *(value.flatten().tolist() for value in (law.shape, law.location, law.scale, law.ks)), strict=True
    ):
        assert ks == pytest.approx(stats.kstest(sample, "weibull_max", args=(c, location, scale)).statistic)


def test_an_exponential_sample_ends_at_its_maximum() -> None:
    """At shape 1 the likelihood rises down to the largest value, where location and law are closed form."""
    z = 3 - torch.cat([torch.zeros(1), torch.linspace(0, 1, 400)[1:]]).double() ** 3
    law = fit_reverse_weibull(z)
    assert (float(law.location), float(law.shape)) == (3.0, 1.0)
    assert float(law.scale) == pytest.approx(float((3 - z).mean()))


def test_a_gumbel_sample_has_no_end_and_the_penalty_gives_it_one() -> None:
    """Plain likelihood ends at the farthest location that is tried; the penalty keeps it near."""
    z = torch.from_numpy(stats.gumbel_r.rvs(size=(20, 50), random_state=0))
    width = z.amax(-1) - z.amin(-1)
    plain, kept = (fit_reverse_weibull(z, shape_penalty=penalty) for penalty in (0, 0.01))
    far = (plain.location - z.amax(-1)) / width
    assert (far > 90).sum() >= 10
    assert ((kept.location - z.amax(-1)) / width < 3).all()
    assert (kept.location <= plain.location * (1 + 1e-6)).all()


def test_a_sample_without_spread_is_its_own_law() -> None:
    law = fit_reverse_weibull(torch.tensor([[2.0] * 5, [0.0] * 5, [1.0, 2.0, 4.0, 3.0, 3.5]]))
    assert law.location[:2].tolist() == [2, 0]
    assert law.scale[:2].tolist() == [0, 0]
    assert law.ks[:2].tolist() == [0, 0]
    assert law.shape.isnan().tolist() == [True, True, False]
    lone = fit_reverse_weibull(torch.tensor([1.0, 2.0, 4.0, 3.0, 3.5]))
    assert torch.allclose(lone.location, law.location[2])
    noisy = torch.tensor([1.0, 1.0 + 1e-7, 1.0 - 1e-7])
    assert fit_reverse_weibull(noisy, resolution=1e-6).shape.isnan()
    assert fit_reverse_weibull(noisy).shape.isfinite()


def test_ties_at_the_top_are_no_obstacle_but_a_bad_fit() -> None:
    """The law is continuous at 5, where the sample jumps from 0.2 to 1."""
    law = fit_reverse_weibull(torch.tensor([[5.0] * 40 + [4.0] * 10]))
    assert law.location.tolist() == [5.0]
    assert law.shape.tolist() == [1.0]
    assert law.ks.item() == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("maxima", "options", "message"),
    [
        (torch.ones(4, 2), {}, "M at least 3"),
        (torch.tensor(1.0), {}, "M at least 3"),
        (torch.tensor([1.0, math.nan, INF]), {}, "must be finite, 2 of them"),
        (torch.ones(3), {"shape_penalty": -0.1}, "at least 0, got -0.1"),
        (torch.ones(3), {"resolution": -1.0}, "at least 0"),
    ],
)
def test_samples_that_cannot_be_fitted_are_rejected(
    maxima: Tensor, options: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_reverse_weibull(maxima, **options)
