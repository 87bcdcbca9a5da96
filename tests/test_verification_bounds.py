"""Bounds of networks: never above the exact minimum, in rational arithmetic, and exact where they must be."""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_robust.proofs.deep.lipschitz.layers import random_stack
from sparse_robust.theory import Ball, float_net, regions
from sparse_robust.theory.distance import distance
from sparse_robust.theory.layer_intervals import Stage
from sparse_robust.theory.linear_maps import Dense, MaxPool2d
from sparse_robust.theory.lipschitz import uniform_points
from sparse_robust.theory.networks import Array, closed_region, fractions
from sparse_robust.verification import crown, neighbourhood, rounding
from sparse_robust.verification.crown import Ascent, crown_bounds, interval_bounds, margin_bounds
from sparse_robust.verification.neighbourhood import Neighbourhood
from sparse_robust.verification.network import Stages, compact
from sparse_robust.verification.relaxation import ReluLines, max_planes, relu_lines, windows

UNIT_BOX = (0.0, 1.0)


def grid(generator: torch.Generator, *shape: int, scale: int = 8, largest: int = 12) -> torch.Tensor:
    """Multiples of 1 / scale, which floating point holds exactly."""
    return torch.randint(-largest, largest + 1, shape, generator=generator).double() / scale


def perceptron(seed: int, widths: tuple[int, ...] = (2, 4, 3, 3)) -> Stages:
    """A random perceptron with rational weights, some of them zero, its last layer the logits."""
    g = torch.Generator().manual_seed(seed)
    found = []
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        weight = grid(g, outputs, inputs) * (torch.rand(outputs, inputs, generator=g) < 0.8)
        found.append(Stage(Dense(weight), grid(g, outputs, largest=4), relu=number + 2 < len(widths)))
    return tuple(found)


def rational(values: torch.Tensor) -> Array:
    """The exact values of floating-point numbers."""
    flat = [Fraction(float(v)) for v in values.flatten()]
    return fractions(flat).reshape(tuple(values.shape))


def evaluated(layers: Stages, points: Array) -> Array:
    """The outputs of the last stage before its ReLU at ``points [V, D]``, in rational arithmetic."""
    values = points
    for index, stage in enumerate(layers):
        values = values @ rational(stage.layer.weight).T + rational(stage.bias)  # type: ignore
        values = np.maximum(values, 0) if index + 1 < len(layers) else values
    return values


def vertices(layers: Stages, low: Array, high: Array) -> Array:
    """All points where two boundaries of activation regions or of a rectangle meet, rational ``[V, 2]``.

    A function that is linear on each region is smallest in one of them. Regions are enumerated, vertices
    solved for in floating point and then taken for what they are: rational points of the rectangle.
    """
    weights = [stage.layer.weight.mT.numpy() for stage in layers[:-1]]  # type: ignore[union-attr]
    net = float_net(weights, np.ones(weights[-1].shape[1]), [stage.bias for stage in layers[:-1]])
    ends = low.astype(np.float64), high.astype(np.float64)
    middle, spread = (ends[0] + ends[1]) / 2, (ends[1] - ends[0]) / 2
    sides = np.concatenate([np.eye(2), np.eye(2)]), np.concatenate([-ends[0], -ends[1]])
    found = []
    for region in regions(net, Ball(middle, float(spread.max()), math.inf)):
        normals, offsets = closed_region(net, region.pattern)
        normals, offsets = np.concatenate([normals, sides[0]]), np.concatenate([offsets, sides[1]])
        for pair in combinations(range(len(offsets)), 2):
            matrix = normals[list(pair)]
            if abs(np.linalg.det(matrix)) > 1e-9:
                found.append(np.linalg.solve(matrix, -offsets[list(pair)]))
    points = np.unique(np.clip(np.array(found), *ends).round(12), axis=0)
    return np.minimum(np.maximum(rational(torch.from_numpy(points)), low), high)


def exact_box(x: torch.Tensor, eps: float, box: tuple[float, float] | None) -> tuple[Array, Array]:
    """The ends of the l_inf ball in the box, without rounding."""
    low, high = rational(x) - Fraction(eps), rational(x) + Fraction(eps)
    if box is None:
        return low, high
    ends = [Fraction(end) for end in box]
    return fractions([max(v, ends[0]) for v in low]), fractions([min(v, ends[1]) for v in high])


def exact_leads(layers: Stages, x: torch.Tensor, eps: float, box: tuple[float, float] | None) -> Array:
    """min over the ball of logit 0 minus each logit, ``[K]``, from the vertices."""
    logits = evaluated(layers, vertices(layers, *exact_box(x, eps, box)))
    return np.asarray((logits[:, :1] - logits).min(0))


def assert_sound(layers: Stages, x: torch.Tensor, eps: float, box: tuple[float, float] | None) -> None:
    """Every bound of every kind lies below what the network can be, exactly."""
    around = Neighbourhood(x[None], torch.tensor([eps], dtype=torch.float64), math.inf, box)
    points = vertices(layers, *exact_box(x, eps, box))
    units = evaluated(layers[:2], points)
    leads = exact_leads(layers, x, eps, box)
    for known in (interval_bounds(layers, around), crown_bounds(layers, around, Ascent(4))):
        low, high = (rational(end[0]) for end in known.ranges[1])
        assert (units >= low).all(), "a unit is below its range"
        assert (units <= high).all(), "a unit is above its range"
        for ascent in (Ascent(0), Ascent(5)):
            bounds = margin_bounds(layers, around, known, torch.tensor([0]), ascent)[0]
            assert all(leads[1:] >= rational(bounds[1:])), "a lead is below its bound"


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 0.4, 1.0]), st.sampled_from([None, UNIT_BOX]))
def test_no_bound_is_above_the_exact_minimum(seed: int, eps: float, box: tuple[float, float] | None) -> None:
    x = torch.rand(2, generator=torch.Generator().manual_seed(seed)).double()
    assert_sound(perceptron(seed), x, eps, box)


SEEDS = range(5)
"""Networks on which every mistake below shows."""

EXACT_SEEDS = (6, 8, 12, 17)
"""Networks whose lead over class 1 reaches 0 at a distance; bounds of two of them are exact there."""


def unsound() -> bool:
    """Whether one of a few fixed networks has a bound that is not one."""
    for seed in SEEDS:
        x = torch.rand(2, generator=torch.Generator().manual_seed(seed)).double()
        try:
            assert_sound(perceptron(seed), x, 0.4, UNIT_BOX)
        except AssertionError:
            return True
    return False


def test_the_networks_for_mistakes_have_sound_bounds() -> None:
    assert not unsound()


def altered(**parts: Callable[[ReluLines], torch.Tensor]) -> Callable[..., ReluLines]:
    """relu_lines with some of its fields replaced."""

    def lines(bounds: tuple[torch.Tensor, torch.Tensor]) -> ReluLines:
        right = relu_lines(bounds)
        fields = {name: getattr(right, name) for name in ReluLines.__dataclass_fields__}
        return ReluLines(**{**fields, **{name: change(right) for name, change in parts.items()}})

    return lines


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(altered(high_shift=lambda r: 0 * r.high_shift), id="chord through 0"),
        pytest.param(altered(high_shift=lambda r: -r.high_shift), id="sign of the shift"),
        pytest.param(altered(high_slope=lambda r: r.high_slope / 2), id="half the slope above"),
        pytest.param(altered(low_slope=lambda r: r.high_slope + r.unstable), id="slope below more than 1"),
        pytest.param(altered(low_slope=lambda r: r.low_slope - 1.0 * r.unstable), id="negative slope below"),
    ],
)
def test_no_other_lines_pass(wrong: Callable[..., ReluLines], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crown, "relu_lines", wrong)
    assert unsound()


def test_a_flipped_sign_or_a_smaller_ball_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Neighbourhood.minimum

    def maximum(self: Neighbourhood, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        value, size = right(self, -rows)
        return -value, size

    def at_centre(self: Neighbourhood, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return (rows * self.centre[:, None]).sum(-1), right(self, rows)[1]

    for wrong in (maximum, at_centre):
        monkeypatch.setattr(Neighbourhood, "minimum", wrong)
        assert unsound()


def cancelling(seed: int) -> Stages:
    """Large weights that nearly cancel: one hidden layer that is always active, and logits near 0."""
    g = torch.Generator().manual_seed(seed)
    first = torch.rand(6, 3, generator=g, dtype=torch.float64) * 1e8
    last = torch.zeros(3, 6, dtype=torch.float64)
    last[0], last[1] = torch.rand(2, 6, generator=g, dtype=torch.float64) * 1e8
    return (
        Stage(Dense(torch.eye(3, dtype=torch.float64)), torch.zeros(3, dtype=torch.float64), relu=True),
        Stage(Dense(first), torch.rand(6, generator=g, dtype=torch.float64), relu=True),
        Stage(Dense(last), torch.zeros(3, dtype=torch.float64)),
    )


def bounds_below_the_point(seed: int) -> bool:
    """On a ball of radius 0, whether the bounds of all leads are below the exact ones."""
    layers, x = cancelling(seed), torch.rand(3, generator=torch.Generator().manual_seed(seed)).double()
    around = Neighbourhood(x[None], torch.zeros(1, dtype=torch.float64), math.inf, UNIT_BOX)
    leads = margin_bounds(layers, around, crown_bounds(layers, around), torch.tensor([0]), Ascent(0))[0]
    (logits,) = evaluated(layers, rational(x)[None])
    return all(rational(leads[1:]) <= logits[0] - logits[1:])


def test_rounding_is_taken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """With entries of 1e8 a rounding error is some 1: the margin is what makes bounds sound."""
    seeds = range(40)
    assert all(bounds_below_the_point(seed) for seed in seeds)
    for module in (crown, rounding):
        monkeypatch.setattr(module, "margin", lambda size, terms: 0 * size)
    monkeypatch.setattr(neighbourhood, "below", lambda values: values)
    monkeypatch.setattr(neighbourhood, "above", lambda values: values)
    assert not all(bounds_below_the_point(seed) for seed in seeds)


def test_gamma_counts_the_operations_of_the_widest_stage() -> None:
    layers = perceptron(0, (2, 9, 3, 3))
    assert rounding.operations(layers) == 4 * 9 + 4 * 3 + 64
    assert rounding.gamma(10) == pytest.approx(10 * 2.0**-53, rel=1e-12)
    value = torch.tensor([1.0, -1.0], dtype=torch.float64)
    assert (rounding.below(value) < value).all()
    assert (rounding.above(value) > value).all()


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, math.inf]), st.sampled_from([None, UNIT_BOX]))
def test_better_methods_give_better_bounds(seed: int, p: float, box: tuple[float, float] | None) -> None:
    layers = perceptron(seed, (3, 6, 5, 3))
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(seed)).double()
    around = Neighbourhood(x, torch.full((4,), 0.3, dtype=torch.float64), p, box)
    y = torch.tensor([0, 1, 2, 0])
    loose, tight = interval_bounds(layers, around), crown_bounds(layers, around)
    for (low, high), (better_low, better_high) in zip(loose.ranges, tight.ranges, strict=True):
        assert (better_low >= low).all()
        assert (better_high <= high).all()
    leads = [margin_bounds(layers, around, tight, y, Ascent(steps)) for steps in (0, 8)]
    assert (leads[1] >= leads[0]).all()
    assert (leads[0].gather(1, y[:, None]) == math.inf).all()
    assert (tight.unstable(layers) <= loose.unstable(layers)).all()
    alone = margin_bounds(
        layers, around.part(torch.tensor([2])), tight.part(torch.tensor([2])), y[2:3], Ascent(0)
    )
    torch.testing.assert_close(alone[0], leads[0][2], rtol=1e-12, atol=1e-12)


def test_slopes_that_are_optimised_gain_something() -> None:
    layers = perceptron(3, (3, 6, 5, 3))
    x = torch.rand(8, 3, generator=torch.Generator().manual_seed(3)).double()
    around = Neighbourhood(x, torch.full((8,), 0.5, dtype=torch.float64), math.inf)
    known, y = crown_bounds(layers, around), torch.zeros(8, dtype=torch.int64)
    first, last = (margin_bounds(layers, around, known, y, Ascent(steps))[:, 1:] for steps in (0, 20))
    assert ((last - first) > 0.1).any()


@pytest.mark.parametrize("box", [None, UNIT_BOX])
def test_a_network_without_unstable_units_is_bounded_exactly_in_l_inf(
    box: tuple[float, float] | None,
) -> None:
    """Biases of 50 keep every unit active: what is left is linear, and its minimum lies in a corner."""
    layers = tuple(
        Stage(stage.layer, stage.bias + 50 * stage.relu, stage.relu) for stage in perceptron(1, (3, 5, 4, 3))
    )
    x = torch.tensor([[0.02, 0.5, 0.97]], dtype=torch.float64)
    around = Neighbourhood(x, torch.tensor([0.1], dtype=torch.float64), math.inf, box)
    slope, shift = torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for stage in layers:
        slope, shift = stage.layer.weight @ slope, stage.layer.weight @ shift + stage.bias  # type: ignore
    low, high = x[0] - 0.1, x[0] + 0.1
    if box is not None:
        low, high = low.clamp(min=0), high.clamp(max=1)
    lead, offset = slope[0] - slope, shift[0] - shift
    exact = torch.where(lead > 0, lead * low, lead * high).sum(1) + offset
    leads = margin_bounds(layers, around, crown_bounds(layers, around), torch.tensor([0]), Ascent(0))[0]
    torch.testing.assert_close(leads[1:], exact[1:], rtol=1e-9, atol=1e-9)
    assert (leads[1:] <= exact[1:]).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.5, 1.5, 4.0]))
def test_the_minimum_over_a_euclidean_ball_in_a_box(seed: int, radius: float) -> None:
    """Between the bound and the value of a feasible point, found by bisection, there is nearly nothing."""
    g = torch.Generator().manual_seed(seed)
    x, row = torch.rand(1, 6, generator=g).double().round(decimals=1), torch.randn(6, generator=g).double()
    around = Neighbourhood(x, torch.tensor([radius], dtype=torch.float64), 2, UNIT_BOX)
    bound = float(around.minimum(row[None, None])[0])

    def step(t: float) -> torch.Tensor:
        return torch.minimum(torch.maximum(-t * row, -x[0]), 1 - x[0])

    short, long = 0.0, 1e6
    for _ in range(100):
        middle = (short + long) / 2
        short, long = (middle, long) if float(step(middle).norm()) <= radius else (short, middle)
    attained = float(row @ (x[0] + step(short)))
    assert bound <= attained + 1e-9
    assert bound >= attained - 1e-5 * (1 + abs(attained))
    free = Neighbourhood(x, around.radius, 2, None).minimum(row[None, None])[0]
    assert float(free) == pytest.approx(float(row @ x[0] - radius * row.norm()), abs=1e-12)


def at_exact_distance(seed: int) -> tuple[Stages, Neighbourhood]:
    """A small network and the Euclidean ball around a point whose lead over class 1 reaches 0 on its edge."""
    layers = perceptron(seed, (2, 3, 2, 2))
    last = layers[-1]
    assert last.bias is not None
    weights = [stage.layer.weight.mT.numpy() for stage in layers[:-1]]  # type: ignore[union-attr]
    readout = last.layer.weight[0] - last.layer.weight[1]  # type: ignore[union-attr]
    biases = [stage.bias.numpy() for stage in layers[:-1]]
    net = float_net(weights, readout.numpy(), biases, float(last.bias[0] - last.bias[1]))
    x = torch.rand(2, generator=torch.Generator().manual_seed(seed)).double()
    radius = float(distance(net, x.numpy(), p=2)) * (1 + 1e-9)
    assert 0 < radius < math.inf
    return layers, Neighbourhood(x[None], torch.tensor([radius], dtype=torch.float64), 2, None)


def test_no_lead_in_l_2_is_bounded_above_0_where_enumeration_finds_a_point_of_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Norms that are a tenth too short are noticed."""
    cases = [at_exact_distance(seed) for seed in EXACT_SEEDS]

    def sound(layers: Stages, around: Neighbourhood) -> bool:
        bounds = margin_bounds(layers, around, crown_bounds(layers, around), torch.tensor([0]), Ascent(3))
        return float(bounds[0, 1]) <= 0

    assert all(sound(*case) for case in cases)
    right = Neighbourhood.minimum

    def shorter(self: Neighbourhood, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return right(Neighbourhood(self.centre, 0.9 * self.radius, self.p, self.box), rows)

    monkeypatch.setattr(Neighbourhood, "minimum", shorter)
    assert not all(sound(*case) for case in cases)


POOLS = [MaxPool2d(2, 2), MaxPool2d(3, 2), MaxPool2d(3, 1), MaxPool2d(2, 3)]


@settings(max_examples=5, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from(POOLS),
    st.sampled_from([1e-3, 0.03, 0.3]),
    st.sampled_from([2, math.inf]),
)
def test_no_sample_leaves_the_bounds_of_a_convolutional_network(
    seed: int, pool: MaxPool2d, radius: float, p: float
) -> None:
    hidden, readout, image = random_stack(seed, pool)
    logits = torch.stack([readout, -readout, 0 * readout])
    layers = (*hidden, Stage(Dense(logits), torch.zeros(3, dtype=torch.float64)))
    around = Neighbourhood(image.flatten()[None], torch.tensor([radius], dtype=torch.float64), p, None)
    points = torch.from_numpy(uniform_points(Ball(image.flatten().numpy(), radius, p), 60, seed=seed))
    values = points.reshape(60, *image.shape)
    loose, tight = interval_bounds(layers, around), crown_bounds(layers, around)
    y = torch.tensor([0])
    bounds = [
        margin_bounds(layers, around, known, y, ascent)[0]
        for known, ascent in ((loose, Ascent(0)), (tight, Ascent(0)), (tight, Ascent(3)))
    ]
    for index, stage in enumerate(layers):
        before = stage.shifted(stage.layer.apply(values))
        low, high = tight.ranges[index]
        assert (before >= low).all()
        assert (before <= high).all()
        values = stage.apply(values)
    leads = values[:, :1] - values
    for bound in bounds:
        assert (leads[:, 1:] >= bound[1:]).all()
    assert (bounds[2] >= bounds[1]).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(POOLS), st.sampled_from([0.0, 0.1, 1.0]))
def test_planes_of_a_maximum(seed: int, pool: MaxPool2d, width: float) -> None:
    """Above and below at every corner of a window's range, which is enough, and exact if one input wins."""
    g = torch.Generator().manual_seed(seed)
    middle = torch.randn(1, 2, 5, 5, generator=g, dtype=torch.float64)
    spread = width * torch.rand(1, 2, 5, 5, generator=g, dtype=torch.float64)
    planes = max_planes(pool, (middle - spread, middle + spread))
    signs = torch.randint(0, 2, (300, 2, 5, 5), generator=g) * 2 - 1
    corners = windows(pool, middle + spread * signs)  # [300, C, kernel^2, windows]
    largest = corners.amax(2)
    above = (planes.high_slope[:, 0] * corners).sum(2) + planes.high_shift[:, 0]
    below = (planes.chosen[:, 0] * corners).sum(2)
    assert (above >= largest - 1e-12).all()
    assert (below <= largest).all()
    if width == 0:
        torch.testing.assert_close(above, largest)
        torch.testing.assert_close(below, largest)


def test_a_network_without_what_no_weight_reads_is_the_same_function() -> None:
    for seed in range(20):
        layers = perceptron(seed, (6, 5, 4, 3))
        g = torch.Generator().manual_seed(seed)
        sparse = tuple(
            Stage(
                Dense(s.layer.weight * (torch.rand(s.layer.weight.shape, generator=g) < 0.3)), s.bias, s.relu
            )  # type: ignore
            for s in layers
        )
        small, read = compact(sparse)
        x = torch.randn(10, 6, generator=g, dtype=torch.float64)
        whole, part = x, x[:, read]
        for stage in sparse:
            whole = stage.apply(whole)
        for stage in small:
            part = stage.apply(part)
        torch.testing.assert_close(part, whole, rtol=1e-12, atol=1e-12)
        for before, after in pairwise(small):
            weight = after.layer.weight  # type: ignore[union-attr]
            used = (weight != 0).any(0)
            assert used.all() or len(used) == 1, "a unit that nobody reads is left"
            assert len(before.layer.weight) == len(used)  # type: ignore[union-attr]


def test_a_unit_without_inputs_stays_if_its_bias_is_positive() -> None:
    one = torch.ones(1, 1, dtype=torch.float64)
    for bias, outputs in ((2.0, 2.0), (-2.0, 0.0)):
        first = Stage(Dense(0 * one), torch.tensor([bias], dtype=torch.float64), relu=True)
        small, _ = compact((first, Stage(Dense(one))))
        value = one
        for stage in small:
            value = stage.apply(value)
        assert float(value) == outputs


def test_neighbourhoods_reject_what_is_none() -> None:
    x, radius = torch.full((1, 2), 0.5, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    for options, message in (
        ({"p": 1.0}, "p must be 2 or infinity"),
        ({"radius": -radius}, "at least 0"),
        ({"radius": radius.float()}, "float64"),
        ({"radius": torch.ones(2, dtype=torch.float64)}, r"\[N, D\]"),
        ({"centre": x + 1}, "leaves the box"),
    ):
        arguments = {"centre": x, "radius": radius, "p": 2.0, **options}
        with pytest.raises(ValueError, match=message):
            Neighbourhood(**arguments)  # type: ignore[arg-type]


def test_the_oracle_knows_a_closed_form() -> None:
    """The logits 0 and -|x_1| - 2 |x_2|, by relu(v) + relu(-v) = |v|: the lead is at least 0, and at 0."""
    hidden = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], dtype=torch.float64)
    none = torch.zeros(4, dtype=torch.float64)
    last = torch.tensor([[0.0, 0.0, 0.0, 0.0], [-1.0, -1.0, -2.0, -2.0]], dtype=torch.float64)
    same = Stage(Dense(torch.eye(4, dtype=torch.float64)), none, relu=True)
    layers = (Stage(Dense(hidden), none, relu=True), same, Stage(Dense(last), none[:2]))
    for centre, exact in (((0.0, 0.0), 0), ((0.75, -0.5), Fraction(1, 2) + 2 * Fraction(1, 4))):
        x = torch.tensor(centre, dtype=torch.float64)
        assert exact_leads(layers, x, 0.25, None)[1] == exact


def test_the_chord_of_a_relu() -> None:
    lines = relu_lines((torch.tensor([[-1.0]]), torch.tensor([[3.0]])))
    assert (float(lines.high_slope), float(lines.high_shift)) == (0.75, 0.75)
    assert float(lines.low_slope) == 1.0
