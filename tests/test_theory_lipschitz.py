"""Lipschitz constants: the chain holds in rationals, branch and bound is exact, wrong steps turn red."""

import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, product
from math import inf

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_robust.proofs import registry as claims
from sparse_robust.proofs.deep.lipschitz import cases as lemma_cases
from sparse_robust.proofs.deep.lipschitz import chain as lipschitz_chain
from sparse_robust.proofs.deep.lipschitz import cover, gradients, segments
from sparse_robust.proofs.deep.lipschitz import errata as lemma_3_1_errata
from sparse_robust.proofs.deep.lipschitz import layers as lipschitz_layers
from sparse_robust.proofs.deep.lipschitz import paper as lemma_3_1
from sparse_robust.proofs.deep.random_masks.cases import EXAMPLE, EXAMPLE_BALL
from sparse_robust.theory import (
    Ball,
    ReluNet,
    exact_net,
    float_net,
    fractions,
    kinks,
    layer_intervals,
    linear_maps,
    lipschitz_power,
    regions,
)
from sparse_robust.theory import intervals as interval_module
from sparse_robust.theory import lipschitz as lipschitz_module
from sparse_robust.theory.intervals import (
    backward_bounds,
    largest,
    live_net,
    norm_power,
    norm_root,
    preactivation_bounds,
    product_interval,
    unit_states,
)
from sparse_robust.theory.linear_maps import MaxPool2d
from sparse_robust.theory.lipschitz import (
    chain_powers,
    induced_norm,
    interval_power,
    layer_product,
    lipschitz,
    literal_product,
    sampled_power,
    uniform_points,
)
from sparse_robust.theory.mask_enumeration import all_masks, mask_shapes
from wrong_steps import labels_of, refuses_edits, turns_red

OURS = labels_of(segments, cover, gradients, lemma_3_1, lemma_3_1_errata, lipschitz_chain, lipschitz_layers)
entries = st.fractions(min_value=-3, max_value=3, max_denominator=3)


@st.composite
def cases(draw: st.DrawFn) -> tuple[ReluNet, Ball]:
    """A small network in rationals and an l_1 or l_inf ball."""
    widths = draw(st.sampled_from([(1, 3), (2, 2), (2, 3), (3, 2), (1, 2, 2), (2, 2, 2), (2, 3, 1)]))
    weights = [
        draw(st.lists(st.lists(entries, min_size=m, max_size=m), min_size=n, max_size=n))
        for n, m in pairwise(widths)
    ]
    shifts = [draw(st.lists(entries, min_size=n, max_size=n)) for n in widths[1:]]
    readout = draw(st.lists(entries, min_size=widths[-1], max_size=widths[-1]))
    net = exact_net(weights, readout, shifts if draw(st.booleans()) else [])
    centre = fractions(draw(st.lists(entries, min_size=widths[0], max_size=widths[0])))
    radius = draw(st.fractions(min_value=Fraction(1, 4), max_value=3, max_denominator=4))
    return net, Ball(centre, radius, draw(st.sampled_from([1, inf])))


def as_float(net: ReluNet, ball: Ball) -> tuple[ReluNet, Ball]:
    rounded = float_net(net.weights, net.readout, net.biases)
    return rounded, Ball(ball.centre.astype(float), float(ball.radius), ball.p)


def inside(ball: Ball, seed: int, count: int = 8) -> list[np.ndarray]:
    """Rational points of the ball."""
    points = uniform_points(ball, count, seed=seed)
    return [ball.centre + (fractions(x) - ball.centre) * Fraction(999, 1000) for x in points]


# ---------------------------------------------------------------- the registry


def test_what_is_not_checked_in_full_says_so() -> None:
    argued = {"prop-pooling", "prop-pooling-intervals", "prop-power-iteration"}
    assert {label for label in OURS if claims.get(label).status == "argued"} == argued
    proved = {label for label in OURS if claims.get(label).status == "proved"}
    assert proved == {"lem-gradient", "lem-steepest", "lem-interval"}
    for label in ("lem-segment", "lem-regions", "lem-3-1-repaired", "lem-3-1", "prop-live-units"):
        assert claims.get(label).status == "kernel proved, glue argued"


def unmasked_gradient(net: ReluNet, pattern: object) -> np.ndarray:
    """The product of the weights, whatever is active."""
    v = net.readout
    for w in reversed(net.weights):
        v = w @ v
    return v


def first_wins(pool: MaxPool2d, bounds: layer_intervals.Range) -> layer_intervals.Choices:
    """Pooling that always takes the first input of its window."""
    live = torch.zeros(layer_intervals._windows(pool, bounds[0]).shape, dtype=torch.bool)
    live[:, 0] = True
    return layer_intervals.Choices(live, live)


def region_patterns(net: ReluNet, ball: Ball | None) -> list[object]:
    """Patterns without those at kinks."""
    return [region.pattern for region in regions(net, ball)]


def double_spectral_norm(layer: linear_maps.LinearMap, **options: int) -> linear_maps.SpectralNorm:
    """Bounds of twice the norm."""
    bounds = linear_maps.spectral_norm(layer, **options)
    return replace(bounds, lower=2 * bounds.lower, upper=2 * bounds.upper)


ALL_PREMISES = gradients.premises()

MUTATIONS: list[tuple[str, object, str, Callable[..., object]]] = [
    ("lem-gradient", segments, "backward", lambda w, active, v: w * v),
    ("lem-segment", segments, "crossing", lambda s, e, a, b: s + (e - s) * b / (a - b)),
    ("lem-segment", segments, "breakpoints", lambda net, x, y: [Fraction(0), Fraction(1)]),
    ("lem-segment", segments, "backward", lambda w, active, v: w * v),
    ("lem-off-kinks", cover, "clearance", lambda coefficients: Fraction(0)),
    ("lem-off-kinks", cover, "off_kinks", lambda net, x, within: x),
    ("lem-states", cover, "affine_radius", lambda net, x, q: 99 * kinks.affine_radius(net, x, q=q)),
    ("lem-cover", cover, "regions", lambda net, ball: list(regions(net, ball))[1:]),
    ("lem-steepest", gradients, "coordinate_gain", lambda u, eps: u * eps),
    ("lem-regions", gradients, "regions", lambda net, ball: list(regions(net, ball))[:1]),
    ("lem-regions", gradients, "steepest_slope", lambda net, ball: 2 * lemma_cases.steepest_slope(net, ball)),
    ("lem-regions", gradients, "premises", lambda: dict(list(ALL_PREMISES.items())[1:])),
    ("lem-induced-norms", lemma_3_1, "induced_norm", lambda w, q: induced_norm(w.T, q)),
    ("lem-induced-norms", lemma_3_1.INDUCED, "value", lambda w, q: lemma_3_1.by_definition(w.T, q)),
    ("lem-3-1-repaired", lemma_3_1, "layer_bound", lambda norm, active, length: norm * active - length),
    ("lem-3-1-repaired", lemma_cases, "induced_norm", lambda w, q: induced_norm(w.T, q)),
    ("lem-3-1-repaired", lemma_3_1, "attained_patterns", lambda net, ball: region_patterns(net, ball)),
    ("lem-3-1", lemma_cases, "induced_norm", lambda w, q: induced_norm(w.T, q)),
    ("err-transposed", lemma_3_1_errata, "literal_product", lambda net: layer_product(net, q=1)),
    ("cex-kinks", lemma_3_1_errata, "lipschitz_power", lambda net, ball, q: 4),
    ("err-activation-sparsity", lemma_3_1_errata, "layer_product", lambda net, q: 1),
    ("lem-interval", lemma_3_1_errata, "product_interval", lambda b, w: (b[0] @ w, b[1] @ w)),
    ("lem-interval", lemma_3_1_errata, "switched", lambda b, live, always: b),
    (
        "prop-live-units",
        lemma_3_1_errata,
        "unit_states",
        lambda net, ball: interval_module.States(net.pattern(ball.centre), net.pattern(ball.centre)),
    ),
    (
        "prop-interval-gradient",
        lipschitz_chain,
        "unit_states",
        lambda net, ball: interval_module.States(net.pattern(ball.centre), net.pattern(ball.centre)),
    ),
    ("prop-interval-gradient", lipschitz_chain, "largest", lambda bounds: bounds[1]),
    ("prop-interval-gradient", lipschitz_chain, "through_unit", lambda low, high, kind: (low, high)),
    ("prop-chain", lipschitz_chain, "through_unit", lambda low, high, kind: (2 * low, high)),
    ("prop-chain", lipschitz_module, "interval_power", lambda net, states, q: 0 * net.readout[0]),
    ("prop-chain", lipschitz_module, "norm_product_power", lambda net, q: literal_product(net)),
    ("cex-path-spectral", lipschitz_chain, "TURNED", exact_net([[[1, 0], [0, 1]]], [1, 1])),
    ("prop-sampling-blind", lipschitz_chain, "miss", lambda share, samples: 1 - share * samples),
    ("prop-sampling-blind", lipschitz_chain, "strip", lambda k: exact_net([[[1], [0]]], [1])),
    ("cex-sampling-certificate", lipschitz_chain, "distance", lambda net, x, within: Fraction(1)),
    ("lem-gradient", ReluNet, "gradient", unmasked_gradient),
    ("prop-pooling", lipschitz_layers.MaxPool2d, "euclidean", 1),
    ("prop-pooling", lipschitz_layers, "norm_inf", lipschitz_layers.norm_1),
    ("prop-pooling", linear_maps.Conv2d, "magnitude", lambda layer: layer),
    ("prop-pooling-intervals", layer_intervals, "_candidates", lambda pool, bounds: first_wins(pool, bounds)),
    (
        "prop-pooling-intervals",
        layer_intervals.Choices,
        "pass_on",
        lambda choices, bounds: tuple(end * choices.live for end in bounds),
    ),
    (
        "prop-pooling-intervals",
        layer_intervals,
        "through",
        lambda layer, b, backwards=False: tuple((layer.adjoint if backwards else layer.apply)(e) for e in b),
    ),
    ("prop-power-iteration", lipschitz_layers, "near_the_equator", lambda half, t: 2 * t),
    ("prop-power-iteration", lipschitz_layers, "spectral_norm", double_spectral_norm),
]


test_a_wrong_step_turns_red = turns_red(MUTATIONS)


test_what_is_printed_is_what_is_checked = refuses_edits([s for s in OURS if claims.get(s).claims])


def test_every_check_is_broken_at_least_once() -> None:
    assert {label for label, *_ in MUTATIONS} == set(OURS)


# ---------------------------------------------------------------- exact constants


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(0, 1000))
def test_the_lipschitz_inequality_in_both_norms(case: tuple[ReluNet, Ball], seed: int) -> None:
    net, ball = case
    constants = {q: lipschitz_power(net, ball, q=q) for q in (1, inf)}
    for x, y in pairwise(inside(ball, seed)):
        for q, p in ((1, inf), (inf, 1)):
            assert abs(net(x) - net(y)) <= constants[q] * norm_power(x - y, p)


@settings(max_examples=20, deadline=None)
@given(cases())
def test_the_constant_is_attained(case: tuple[ReluNet, Ball]) -> None:
    net, ball = case
    constant = lipschitz_power(net, ball, q=1)
    region = max(regions(net, ball), key=lambda r: norm_power(r.gradient, 1))
    direction = fractions([(g > 0) - (g < 0) for g in region.gradient])
    step = Fraction(1)
    while any(
        (a != b).any()
        for a, b in zip(net.pattern(region.point + step * direction), region.pattern, strict=True)
    ):
        step /= 2
    moved = region.point + step * direction
    assert net(moved) - net(region.point) == constant * norm_power(moved - region.point, inf)


@settings(max_examples=30, deadline=None)
@given(cases(), st.sampled_from([1, 2, inf]), st.booleans())
def test_branch_and_bound_equals_enumeration(case: tuple[ReluNet, Ball], q: float, local: bool) -> None:
    net, ball = case
    where = ball if local else None
    whole = norm_root(lipschitz_power(net, where, q=q), q)
    assert lipschitz(net, where, q=q) == pytest.approx(whole, rel=1e-12, abs=1e-12)
    rounded, same = as_float(net, ball)
    assert lipschitz(rounded, same, q=1) == pytest.approx(float(lipschitz_power(net, ball, q=1)), abs=1e-9)


def test_branch_and_bound_leaves_parts_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not enumeration in disguise: fewer regions are visited."""
    rng = np.random.default_rng(3)
    net = float_net(
        [rng.normal(size=(3, 8)), rng.normal(size=(8, 8))], rng.normal(size=8), [rng.normal(size=8)] * 2
    )
    ball = Ball(np.zeros(3), 1.0)
    seen: list[object] = []

    def counted(*args: object, **options: object) -> object:
        for region in regions(*args, **options):  # type: ignore[arg-type]
            seen.append(region)
            yield region

    monkeypatch.setattr(lipschitz_module, "regions", counted)
    assert lipschitz(net, ball, q=1) == pytest.approx(lipschitz_power(net, ball, q=1))
    visited = len(seen) - len(list(regions(net, ball)))  # the second call enumerates
    assert 0 < visited < 0.2 * (len(seen) - visited)


def test_a_constant_network_has_constant_zero() -> None:
    net = exact_net([[[1, -1]]], [0, 0])
    assert lipschitz_power(net, q=1) == 0
    assert lipschitz(net, q=2) == 0.0


@settings(max_examples=12, deadline=None)
@given(cases())
def test_patterns_at_kinks_are_those_of_points(case: tuple[ReluNet, Ball]) -> None:
    """Corners, centres of faces and points of regions show no pattern that is not listed."""
    net, ball = case
    attained = [tuple(map(bytes, p)) for p in kinks.attained_patterns(net, ball)]
    assert len(attained) == len(set(attained))
    steps = product((-1, 0, 1), repeat=len(ball.centre))
    scale = ball.radius if ball.p == inf else ball.radius / len(ball.centre)
    points = [ball.centre + scale * fractions(step) for step in steps]
    points += [region.point for region in regions(net, ball)]
    assert {tuple(map(bytes, net.pattern(x))) for x in points} <= set(attained)


def test_strict_and_other_inequalities() -> None:
    up, down = fractions([1]), fractions([-1])
    assert kinks.feasible([(up, Fraction(0), False), (down, Fraction(0), False)])
    assert not kinks.feasible([(up, Fraction(0), True), (down, Fraction(0), False)])
    assert kinks.feasible([(up, Fraction(1), True), (down, Fraction(0), True)])
    with pytest.raises(ValueError, match="exact_net"):
        list(kinks.attained_patterns(float_net([[[1.0]]], [1.0])))


# ---------------------------------------------------------------- the chain


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(0, 1000))
def test_the_chain_in_rationals(case: tuple[ReluNet, Ball], seed: int) -> None:
    net, ball = case
    for q in (1, 2):
        numbers = list(chain_powers(net, ball, q=q, points=10, seed=seed).values())
        assert numbers == sorted(numbers)
        assert all(isinstance(v, Fraction | int) for v in numbers)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_the_repaired_lemma_and_live_units(case: tuple[ReluNet, Ball]) -> None:
    net, ball = case
    live = live_net(net, unit_states(net, ball))
    for q in (1, inf):
        assert lipschitz_power(net, ball, q=q) <= layer_product(live, q=q) <= layer_product(net, q=q)
        assert lipschitz_power(net, ball, q=q) <= interval_power(net, unit_states(net, ball), q=q)
    assert float(lipschitz_power(net, ball, q=2)) <= layer_product(live, q=2) ** 2 + 1e-9
    assert layer_product(live, q=2) <= layer_product(net, q=2) + 1e-9


@settings(max_examples=40, deadline=None)
@given(cases(), st.integers(0, 1000))
def test_intervals_hold_what_they_promise(case: tuple[ReluNet, Ball], seed: int) -> None:
    net, ball = case
    bounds, states = preactivation_bounds(net, ball), unit_states(net, ball)
    gradient = largest(backward_bounds(net, states)[0])
    for x in inside(ball, seed):
        for (low, high), z in zip(bounds, net.preactivations(x), strict=True):
            assert ((low <= z) & (z <= high)).all()
        assert (abs(net.gradient(net.pattern(x))) <= gradient).all()
    rounded = preactivation_bounds(*as_float(net, ball))
    for exact, approximate in zip(bounds, rounded, strict=True):
        assert np.allclose(np.array(exact, dtype=float), approximate)


def test_intervals_in_the_euclidean_ball() -> None:
    rng = np.random.default_rng(5)
    net = float_net([rng.normal(size=(3, 5)), rng.normal(size=(5, 4))], rng.normal(size=4))
    ball = Ball(rng.normal(size=3), 0.7, 2)
    points = uniform_points(ball, 2000, seed=0)
    for (low, high), z in zip(preactivation_bounds(net, ball), net.preactivations(points), strict=True):
        assert (low <= z.min(0)).all()
        assert (z.max(0) <= high).all()
    w = net.weights[0]  # attained in the first layer, at the point of the sphere along each column
    best = ball.centre[:, None] + 0.7 * w / np.linalg.norm(w, axis=0)
    assert np.allclose((best * w).sum(0), preactivation_bounds(net, ball)[0][1])


def test_the_first_bounds_are_attained() -> None:
    """Intervals that are too wide would pass every inequality."""
    weights = fractions([[2, -1], [-3, 1]])
    low, high = product_interval((fractions([-1, 0]), fractions([2, 5])), weights)
    assert (list(low), list(high)) == ([-17, -2], [4, 6])


# ---------------------------------------------------------------- the literal lemma


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 3), st.integers(0, 10**6))
def test_the_literal_lemma_fails_with_more_inputs_than_units(inputs: int, seed: int) -> None:
    """Positive weights, one unit: L_1 is their sum, the literal bound their maximum."""
    rng = random.Random(seed)
    net = exact_net([[[rng.randint(1, 9)] for _ in range(inputs)]], [1])
    ball = Ball(fractions([2] * inputs), Fraction(1))
    total = sum(net.weights[0][:, 0])
    assert lipschitz_power(net, ball, q=1) == layer_product(net, q=1) == total > literal_product(net)


def test_the_masks_that_violate_the_literal_lemma() -> None:
    """Two of 256 on the whole plane, one on the ball; the repaired lemma holds for all."""
    nets = [EXAMPLE.masked(masks) for masks in all_masks(mask_shapes(EXAMPLE))]
    for ball, count in ((None, 2), (EXAMPLE_BALL, 1)):
        exact = [lipschitz_power(net, ball, q=1) for net in nets]
        assert sum(c > literal_product(net) for c, net in zip(exact, nets, strict=True)) == count
        assert all(c <= layer_product(net, q=1) for c, net in zip(exact, nets, strict=True))


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 1000))
def test_induced_norms_against_their_definition(rows: int, columns: int, seed: int) -> None:
    w = np.random.default_rng(seed).normal(size=(rows, columns))
    for q, order in ((1, 1), (2, 2), (inf, np.inf)):
        assert float(induced_norm(w, q)) == pytest.approx(np.linalg.norm(w, order))


# ---------------------------------------------------------------- samples


@pytest.mark.parametrize("p", [1, 2, inf])
def test_points_are_uniform_in_the_ball(p: float) -> None:
    ball = Ball(np.array([3.0, -1.0, 2.0]), 0.5, p)
    steps = (uniform_points(ball, 20_000, seed=0) - ball.centre) / 0.5
    norms = np.linalg.norm(steps, ord=p, axis=1)
    assert norms.max() <= 1
    levels = np.array([0.3, 0.6, 0.9])
    shares = (norms[:, None] <= levels).mean(0)
    assert np.allclose(shares, levels**3, atol=0.012), "a share s^n of the volume within s"
    assert np.allclose(steps.mean(0), 0, atol=0.02)
    assert (uniform_points(ball, 5, seed=1) == uniform_points(ball, 5, seed=1)).all()


def test_samples_miss_the_strip_as_often_as_they_should() -> None:
    net, square = as_float(lipschitz_chain.strip(50), lipschitz_chain.NEAR_STRIP)
    runs = [sampled_power(net, square, q=1, points=50, seed=s) for s in range(600)]
    assert set(runs) == {1.0, 52.0}
    probability = float(lipschitz_chain.miss(Fraction(1, 50), 50))
    error = (probability * (1 - probability) / 600) ** 0.5
    assert abs(runs.count(1.0) / 600 - probability) < 4 * error


# ---------------------------------------------------------------- bad input


def test_errors_name_the_argument() -> None:
    net, ball = lemma_cases.SUM, Ball(fractions([0, 0]), Fraction(1))
    for call in (
        lambda: lipschitz_power(net, ball, q=3),
        lambda: lipschitz(net, ball, q=0),
        lambda: layer_product(net, q=3),
        lambda: sampled_power(net, ball, q=1.5, points=3, seed=0),
    ):
        with pytest.raises(ValueError, match="q must be 1, 2 or infinity"):
            call()
    with pytest.raises(ValueError, match="count must be at least 1"):
        uniform_points(ball, 0, seed=0)
    with pytest.raises(ValueError, match="use float_net"):
        unit_states(net, Ball(fractions([0, 0]), Fraction(1), 2))
    with pytest.raises(ValueError, match="centre needs shape"):
        unit_states(net, Ball(fractions([0]), Fraction(1)))
