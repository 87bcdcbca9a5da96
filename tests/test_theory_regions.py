"""Activation regions: brute force finds none that enumeration misses, exact and floating point agree."""

from fractions import Fraction
from itertools import pairwise
from math import inf

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from sparse_robust.theory import Ball, Region, ReluNet, exact_net, float_net, fractions, regions
from sparse_robust.theory.networks import closed_region
from sparse_robust.theory.polygons import area, clip, polygon, zero_line
from sparse_robust.theory.regions import SLACK, fourier_motzkin, least_distance

entries = st.fractions(min_value=-3, max_value=3, max_denominator=3)
SQUARE = fractions([[-1, -1], [1, -1], [1, 1], [-1, 1]])


@st.composite
def nets(draw: st.DrawFn, inputs: int | None = None) -> ReluNet:
    """One or two hidden layers, up to three inputs, with or without biases, in rationals."""
    widths = [inputs or draw(st.integers(1, 3)), *draw(st.lists(st.integers(1, 3), min_size=1, max_size=2))]
    weights = [
        draw(st.lists(st.lists(entries, min_size=m, max_size=m), min_size=n, max_size=n))
        for n, m in pairwise(widths)
    ]
    shifts = [draw(st.lists(entries, min_size=n, max_size=n)) for n in widths[1:]]
    readout = draw(st.lists(entries, min_size=widths[-1], max_size=widths[-1]))
    return exact_net(weights, readout, shifts if draw(st.booleans()) else [])


def as_float(net: ReluNet) -> ReluNet:
    return float_net(net.weights, net.readout, net.biases, float(net.offset))


def unit_ball(net: ReluNet, p: float = inf) -> Ball:
    return Ball(fractions([0] * net.widths[0]), Fraction(1), p)


def key(region: Region) -> tuple[bytes, ...]:
    return tuple(bytes(d) for d in region.pattern)


@settings(max_examples=40, deadline=None)
@given(nets(), st.sampled_from([1, inf]), st.integers(0, 10**6))
def test_brute_force_finds_no_other_pattern(net: ReluNet, p: float, seed: int) -> None:
    ball = unit_ball(net, p)
    found = {key(r) for r in regions(net, ball)}
    assert len(found) == len(list(regions(net, ball))), "no region twice"
    steps = np.random.default_rng(seed).integers(-999, 1000, size=(40, net.widths[0]))
    for step in steps:
        x = fractions(step) / 1000
        outside = (abs(x).sum() if p == 1 else abs(x).max()) >= 1
        if not outside and all((z != 0).all() for z in net.preactivations(x)):
            assert tuple(bytes(d) for d in net.pattern(x)) in found


@settings(max_examples=40, deadline=None)
@given(nets(), st.sampled_from([1, inf, None]))
def test_every_region_is_seen_from_its_point(net: ReluNet, p: float | None) -> None:
    ball = None if p is None else unit_ball(net, p)
    for region in regions(net, ball):
        assert tuple(bytes(d) for d in net.pattern(region.point)) == key(region)
        assert (net.gradient(region.pattern) == region.gradient).all()
        if p is not None:
            assert (abs(region.point).sum() if p == 1 else abs(region.point).max()) < 1


@settings(max_examples=30, deadline=None)
@given(nets(), st.sampled_from([1, inf, None]))
def test_floating_point_agrees_with_rationals(net: ReluNet, p: float | None) -> None:
    ball = None if p is None else unit_ball(net, p)
    rounded = None if ball is None else Ball(ball.centre.astype(float), 1.0, ball.p)
    assert {key(r) for r in regions(net, ball)} == {key(r) for r in regions(as_float(net), rounded)}


@settings(max_examples=30, deadline=None)
@given(nets())
def test_the_euclidean_ball_lies_between_the_other_two(net: ReluNet) -> None:
    small, large = ({key(r) for r in regions(net, unit_ball(net, p))} for p in (1, inf))
    centre = np.zeros(net.widths[0])
    middle = {key(r) for r in regions(as_float(net), Ball(centre, 1.0, 2))}
    assert small <= middle <= large


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(0, 10**6))
def test_three_ways_to_decide_feasibility(dimension: int, cuts: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    normals, offsets = rng.integers(-3, 4, size=(cuts, dimension)), rng.integers(-3, 4, size=cuts)
    assume((normals != 0).any(1).all())
    box = np.concatenate([np.eye(dimension, dtype=int), -np.eye(dimension, dtype=int)])
    normals, offsets = np.concatenate([normals, box]), np.append(offsets, [5] * (2 * dimension))
    exact = fourier_motzkin(fractions(normals), fractions(offsets))
    if exact is not None:
        assert (fractions(normals) @ exact + fractions(offsets) > 0).all()
    lengths = np.linalg.norm(normals, axis=1)
    nearest = least_distance(normals / lengths[:, None], SLACK - offsets / lengths)
    program = linprog(
        np.append(np.zeros(dimension), -1.0),
        A_ub=np.column_stack([-normals, lengths]),
        b_ub=offsets,
        bounds=[(None, None)] * dimension + [(None, 1.0)],
    )
    assert (exact is None) == (nearest is None) == (not (program.status == 0 and program.x[-1] > SLACK))


def lattice_regions(units: int, inputs: int) -> int:
    """How many regions so many hyperplanes in general position have."""
    return sum(
        int(np.prod(range(units - k + 1, units + 1)) / np.prod(range(1, k + 1))) for k in range(inputs + 1)
    )


@pytest.mark.parametrize(("inputs", "units"), [(2, 16), (3, 8), (4, 6)])
def test_hyperplanes_in_general_position_are_counted(inputs: int, units: int) -> None:
    """Schlaefli's count, without a ball: a closed form for one hidden layer with biases."""
    rng = np.random.default_rng(0)
    net = float_net([rng.normal(size=(inputs, units))], np.ones(units), [rng.normal(size=units)])
    assert len(list(regions(net))) == lattice_regions(units, inputs)


@pytest.mark.parametrize("widths", [(2, 16, 16), (10, 8, 8)])
def test_the_sizes_that_the_book_promises(widths: tuple[int, ...]) -> None:
    """As many layers and units as promised, with a ball; each region once, with a point of its own."""
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=s) for s in pairwise(widths)]
    net = float_net(weights, rng.normal(size=widths[-1]), [rng.normal(size=n) for n in widths[1:]])
    ball = Ball(np.zeros(widths[0]), 1.0)
    found = {}
    for region in regions(net, ball):
        assert key(region) not in found
        found[key(region)] = region.point
        assert np.abs(region.point).max() < 1
        assert tuple(bytes(d) for d in net.pattern(region.point)) == key(region)
    rows = rng.uniform(-1, 1, size=(2000, widths[0]))
    seen = {tuple(bytes(layer[i]) for layer in net.pattern(rows)) for i in range(len(rows))}
    assert seen <= found.keys()
    assert len(found) > 100


def test_refused_parts_are_not_searched() -> None:
    net = float_net([np.ones((2, 1))], [1.0])
    assert list(regions(net, worth=lambda part: False)) == []
    assert len(list(regions(net, worth=lambda part: True))) == 2


@pytest.mark.parametrize(
    ("ball", "message"),
    [
        (lambda: Ball(fractions([0]), Fraction(1), 3), "p must be"),
        (lambda: Ball(fractions([0]), Fraction(0)), "radius must be positive"),
        (lambda: Ball(fractions([0]), Fraction(1)), "centre needs shape"),
        (lambda: Ball(fractions([0, 0]), Fraction(1), 2), "use float_net"),
    ],
)
def test_bad_balls(ball: object, message: str) -> None:
    net = exact_net([[[1], [1]]], [1])
    with pytest.raises(ValueError, match=message):
        list(regions(net, ball()))  # type: ignore[operator]


def test_bad_networks() -> None:
    with pytest.raises(ValueError, match="do not fit together"):
        exact_net([[[1, 2]]], [1])
    with pytest.raises(ValueError, match="one matrix for each"):
        float_net([], [1.0])
    with pytest.raises(ValueError, match="biases need shapes"):
        exact_net([[[1, 2]]], [1, 1], [[1]])
    with pytest.raises(ValueError, match="at most 4 inputs"):
        list(regions(exact_net([[[1]] * 5], [1])))


# ---------------------------------------------------------------- networks


@settings(max_examples=30, deadline=None)
@given(nets(), st.integers(0, 10**6))
def test_a_batch_is_its_points(net: ReluNet, seed: int) -> None:
    x = fractions(np.random.default_rng(seed).integers(-5, 6, size=(4, net.widths[0])))
    assert (net(x) == [net(row) for row in x]).all()
    assert (net.gradient(net.pattern(x)) == [net.gradient(net.pattern(row)) for row in x]).all()


# ---------------------------------------------------------------- polygons


@settings(max_examples=30, deadline=None)
@given(nets(inputs=2))
def test_polygons_tile_the_square_exactly(net: ReluNet) -> None:
    found = list(regions(net, unit_ball(net)))
    shapes = [polygon(net, r.pattern, SQUARE) for r in found]
    assert sum(map(area, shapes)) == 4
    for region, shape in zip(found, shapes, strict=True):
        normals, offsets = closed_region(net, region.pattern)
        assert (shape @ normals.T + offsets >= 0).all()
        assert (normals @ region.point + offsets >= 0).all()
        for end in zero_line(net, shape):
            assert net(end) == 0


def test_clipping() -> None:
    half = clip(SQUARE, fractions([1, 0]), 0)
    assert area(half) == 2
    assert len(clip(SQUARE, fractions([1, 0]), -2)) == 0
    assert (clip(SQUARE, fractions([1, 0]), 2) == SQUARE).all()
    with pytest.raises(ValueError, match="2 inputs"):
        polygon(exact_net([[[1]]], [1]), (np.array([True]),), SQUARE)
