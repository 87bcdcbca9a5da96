"""Random masks as functions: exact numbers, logarithms, enumeration and sampling agree; intervals cover."""

import math
import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_robust.proofs.deep.random_masks.cases import EXAMPLE, AllMasks, random_net
from sparse_robust.theory import mask_bounds, mask_enumeration, mask_sampling, masks
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.mask_enumeration import all_masks, cut_off, expectation, kept_sums, mask_polynomial
from sparse_robust.theory.networks import exact_net, float_net

HALF = Fraction(1, 2)
LENET = (784, 300, 100)
FLOAT = float_net([w.astype(float) for w in EXAMPLE.weights], EXAMPLE.readout.astype(float))
SHAPES = mask_enumeration.mask_shapes(EXAMPLE)

alphas_of = st.lists(st.fractions(0, 1, max_denominator=12), min_size=1, max_size=3)


@st.composite
def layers(draw: st.DrawFn, most: int = 4) -> tuple[tuple[int, ...], list[Fraction]]:
    alphas = draw(alphas_of)
    return tuple(draw(st.integers(1, most)) for _ in range(len(alphas) + 1)), alphas


# ---------------------------------------------------------------- eta and eta*, exactly


@settings(max_examples=40, deadline=None)
@given(layers(most=3))
def test_percolation_is_enumeration(case: tuple[tuple[int, ...], list[Fraction]]) -> None:
    widths, alphas = case
    shapes = list(pairwise(widths))
    if sum(n * m for n, m in shapes) > 10:
        widths, alphas = widths[:2], alphas[:1]
        shapes = shapes[:1]
    sums = kept_sums(shapes, lambda m: Fraction(cut_off(m)))
    assert masks.eta_star(widths, alphas) == expectation(shapes, sums, alphas)


@settings(max_examples=100, deadline=None)
@given(layers(), st.integers(0, 2), st.fractions(0, 1, max_denominator=9))
def test_eta_is_monotone_and_below_eta_star(
    case: tuple[tuple[int, ...], list[Fraction]], place: int, nearer: Fraction
) -> None:
    widths, alphas = case
    j = place % len(alphas)
    sparser = [*alphas[:j], alphas[j] + nearer * (1 - alphas[j]), *alphas[j + 1 :]]
    for value in (masks.eta, masks.eta_star):
        assert 0 <= value(widths, alphas) <= value(widths, sparser) <= 1
    assert masks.eta(widths, alphas) <= masks.eta_star(widths, alphas)
    assert masks.xi(widths, alphas)[-1] ** widths[-1] == masks.eta(widths, alphas)


def test_known_values() -> None:
    assert masks.eta_star((2, 2, 2, 2), [HALF] * 3) == Fraction(1297, 4096)
    assert float(masks.eta((2, 2, 2, 2), [HALF] * 3)) == pytest.approx(0.234, abs=5e-4)
    assert masks.eta_star((3, 2), [HALF]) == masks.eta((3, 2), [HALF]) == HALF**6  # one layer: independent
    assert (
        masks.eta_star((4, 1, 3), [Fraction(0), HALF]) == masks.eta((4, 1, 3), [Fraction(0), HALF]) == HALF**3
    )


def test_symbols_are_exact_too() -> None:
    a, b = sp.symbols("a b")
    closed = (a**2 + (1 - a**2) * b**3) ** 2
    assert sp.expand(masks.eta_star((2, 2, 3), [a, b]) - closed) == 0


# ---------------------------------------------------------------- logarithms


@settings(max_examples=100, deadline=None)
@given(layers())
def test_logarithms_agree_with_exact_numbers(case: tuple[tuple[int, ...], list[Fraction]]) -> None:
    widths, alphas = case
    for exact, log in ((masks.eta, masks.log_eta), (masks.eta_star, masks.log_eta_star)):
        value = exact(widths, alphas)
        if value == 0:
            assert log(widths, alphas) == -math.inf
        else:
            logarithm = math.log(value.numerator) - math.log(value.denominator)
            assert log(widths, alphas) == pytest.approx(logarithm, rel=1e-11, abs=1e-12)


def test_logarithms_survive_where_floats_do_not() -> None:
    widths, alphas = (30, 20, 25), [HALF, Fraction(2, 3)]
    for exact, log in ((masks.eta, masks.log_eta), (masks.eta_star, masks.log_eta_star)):
        value = exact(widths, alphas)
        logarithm = math.log(value.numerator) - math.log(value.denominator)
        assert logarithm < -200
        assert log(widths, alphas) == pytest.approx(logarithm, rel=1e-12)
    assert masks.log_eta(LENET, [0.5, 0.5]) == pytest.approx(30_000 * math.log(0.5), rel=1e-12)
    assert math.exp(masks.log_eta(LENET, [0.5, 0.5])) == 0


@pytest.mark.parametrize(
    ("alpha", "eta", "star"),
    [
        (0, "0", "0"),
        (0.5, "10^-9031", "10^-9031"),
        (0.9, "10^-1373", "10^-1373"),
        (0.99, "1.3e-131", "1.4e-131"),
        (0.999, "8.2e-8", "1.2e-7"),
        (0.9999, "0.7975", "0.7984"),
        (1, "1", "1"),
    ],
)
def test_the_table_for_lenet(alpha: float, eta: str, star: str) -> None:
    logs = masks.log_eta(LENET, [alpha] * 2), masks.log_eta_star(LENET, [alpha] * 2)
    assert tuple(map(masks.format_probability, logs)) == (eta, star)


def test_weights_left_where_the_printed_bound_begins_to_speak() -> None:
    total = masks.hidden_weights(LENET)
    assert total == 265_200
    for probability, left in ((0.01, 129), (0.5, 47)):
        alpha = masks.sparsity_for(LENET, probability)
        assert round(total * (1 - alpha)) == left
        assert math.exp(masks.log_eta(LENET, [alpha] * 2)) == pytest.approx(probability, rel=1e-6)


@pytest.mark.parametrize(
    ("log", "digits", "text"),
    [
        (-math.inf, 2, "0"),
        (0.0, 2, "1"),
        (math.log(0.25), 2, "0.25"),
        (math.log(2e-5), 2, "2.0e-5"),
        (math.log(2.345e-5), 3, "2.35e-5"),
        (math.log(9.97e-10), 2, "1.0e-9"),
        (-math.log(10) * 400, 2, "10^-400"),
    ],
)
def test_formats(log: float, digits: int, text: str) -> None:
    assert masks.format_probability(log, digits) == text


# ---------------------------------------------------------------- enumeration


def test_enumeration_is_a_law() -> None:
    a, b = sp.symbols("a b")
    assert mask_polynomial(SHAPES, kept_sums(SHAPES, lambda m: Fraction(1)), [a, b]).as_expr() == 1
    kept = mask_polynomial(SHAPES, kept_sums(SHAPES, lambda m: Fraction(int(m[1].sum()))), [a, b])
    assert kept == sp.Poly(4 * (1 - b), a, b, domain="QQ")
    assert len(list(all_masks(SHAPES))) == 256
    assert len({tuple(m.tobytes() for m in mask) for mask in all_masks(SHAPES)}) == 256


def test_enumeration_agrees_with_sampling() -> None:
    alphas, draws = [0.3, 0.6], 3000
    sampled = [float(cut_off(mask_sampling.draw_masks(SHAPES, alphas, seed=1, draw=i))) for i in range(draws)]
    exact = float(masks.eta_star((2, 2, 2), [Fraction(3, 10), Fraction(6, 10)]))
    assert abs(np.mean(sampled) - exact) < 4 * math.sqrt(exact * (1 - exact) / draws)


# ---------------------------------------------------------------- bounds


def test_bounds_by_hand() -> None:
    """The 2-2-2 network of the tables, alpha = 1/2: every bound from its formula."""
    half = [0.5, 0.5]
    assert mask_bounds.norm_product_power(EXAMPLE, q=1) == 48
    assert mask_bounds.norm_product_power(EXAMPLE, q=2) == 15 * 15 * 5
    assert mask_bounds.path_norm_bound(EXAMPLE, [HALF] * 2) == Fraction(37, 4)
    assert mask_bounds.gradient_second_moment(EXAMPLE, [HALF] * 2) == Fraction(405, 4)
    assert mask_bounds.recursion_bound(FLOAT, half, q=1) == pytest.approx(10413 / 256)
    assert mask_bounds.percolation_bound(FLOAT, half, q=1) == pytest.approx(621 / 16)
    assert mask_bounds.frobenius_bound(FLOAT, half) == pytest.approx(16.77, abs=5e-3)
    assert mask_bounds.second_moment_bound(FLOAT, half) == pytest.approx(math.sqrt(405 / 4 * 207 / 256))
    assert mask_bounds.recursion_bound(FLOAT, half, q=2) == pytest.approx(28.42, abs=5e-3)
    name, value = mask_bounds.best_bound(FLOAT, half, q=1)
    assert (name, value) == ("B", 9.25)
    assert mask_bounds.best_bound(FLOAT, half, q=2) == ("C", mask_bounds.second_moment_bound(FLOAT, half))


def test_bernstein_by_hand() -> None:
    net = float_net([[[3.0, 0.0], [0.0, 4.0]]], [0.0, 2.0])
    log = math.log(4)
    by_hand = 2 * (0.75 * 4 + math.sqrt(2 * 0.25 * 0.75 * 16 * log) + 0.75 * 4 * log / 3)
    assert mask_bounds.bernstein_bound(net, [0.25]) == pytest.approx(by_hand)
    assert mask_bounds.bernstein_bound(net, [0.0]) == 8
    assert mask_bounds.bernstein_bound(net, [1.0]) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.2, 0.5, 0.9, 1.0]))
def test_order_of_the_bounds(seed: int, alpha: float) -> None:
    drawn = random_net(random.Random(seed), (3, 4, 2))
    net = float_net([w.astype(float) for w in drawn.weights], drawn.readout.astype(float))
    alphas = [alpha, alpha / 2]
    slack = 1 + 1e-12
    for q in (1, 2):
        printed = mask_bounds.recursion_bound(net, alphas, q=q)
        assert mask_bounds.percolation_bound(net, alphas, q=q) <= printed * slack
        assert mask_bounds.best_bound(net, alphas, q=q)[1] <= printed * slack
    assert mask_bounds.second_moment_bound(net, alphas) <= mask_bounds.frobenius_bound(net, alphas) * slack
    kept = mask_bounds.kept_product(net, alphas)
    assert mask_bounds.path_norm_bound(net, alphas) <= mask_bounds.norm_product(net, q=1) * kept * slack


def test_floats_equal_rationals() -> None:
    alphas, exact = [0.3, 0.7], [Fraction(3, 10), Fraction(7, 10)]
    for function in (
        mask_bounds.path_norm_bound,
        mask_bounds.path_norm_variance,
        mask_bounds.gradient_second_moment,
    ):
        assert function(FLOAT, alphas) == pytest.approx(float(function(EXAMPLE, exact)))
    assert mask_bounds.second_moments(EXAMPLE, exact).dtype == object


def test_kept_energy() -> None:
    weight = np.array([[3.0, 0.0], [0.0, 4.0]])
    assert mask_bounds.kept_energy(weight, weight > 3) == pytest.approx(16 / 25)
    assert mask_bounds.gaussian_energy(0.9) == pytest.approx(0.4393, abs=5e-5)
    sample = np.random.Generator(np.random.PCG64(0)).standard_normal((400, 400))
    mask = np.abs(sample) >= np.quantile(np.abs(sample), 0.9)
    assert mask_bounds.kept_energy(sample, mask) == pytest.approx(mask_bounds.gaussian_energy(0.9), abs=5e-3)


# ---------------------------------------------------------------- Monte Carlo


def draws_of(alphas: list[float], seed: int, count: int) -> tuple[list[float], list[float]]:
    """(L_1, path norm) of ``count`` random masks of the example."""
    keys = [
        tuple(m.tobytes() for m in mask_sampling.draw_masks(SHAPES, alphas, seed=seed, draw=i))
        for i in range(count)
    ]
    return [LIPSCHITZ[key] for key in keys], [PATH_NORM[key] for key in keys]


EVERY = AllMasks(EXAMPLE)
LIPSCHITZ: dict[tuple[bytes, ...], float] = {}
PATH_NORM: dict[tuple[bytes, ...], float] = {}


@pytest.fixture(scope="module", autouse=True)
def _tables() -> None:
    for mask in all_masks(SHAPES):
        key = tuple(m.tobytes() for m in mask)
        masked = EXAMPLE.masked(mask)
        LIPSCHITZ[key] = float(lipschitz_power(masked, q=1))
        PATH_NORM[key] = float(mask_bounds.path_norm(masked))


def test_masks_depend_on_seed_and_draw_alone_and_are_nested() -> None:
    one = mask_sampling.draw_masks(SHAPES, [0.5, 0.5], seed=3, draw=7)
    again = mask_sampling.draw_masks(SHAPES, [0.5, 0.5], seed=3, draw=7)
    other = mask_sampling.draw_masks(SHAPES, [0.5, 0.5], seed=3, draw=8)
    sparser = mask_sampling.draw_masks(SHAPES, [0.7, 0.5], seed=3, draw=7)
    assert all((a == b).all() for a, b in zip(one, again, strict=True))
    assert any((a != b).any() for a, b in zip(one, other, strict=True))
    assert (sparser[0] <= one[0]).all()
    assert (sparser[1] == one[1]).all()
    assert all(mask.all() for mask in mask_sampling.draw_masks(SHAPES, [0, 0], seed=0, draw=0))
    assert not any(mask.any() for mask in mask_sampling.draw_masks(SHAPES, [1, 1], seed=0, draw=0))


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.9])
def test_the_sampler_passes_its_test(alpha: float) -> None:
    _, norms = draws_of([alpha] * 2, seed=0, count=800)
    assert abs(mask_sampling.sampler_score(FLOAT, [alpha] * 2, norms)) < mask_sampling.ALARM


@pytest.mark.parametrize("wrong", [[0.4, 0.5], [0.5, 0.62]])
def test_a_wrong_sampler_fails_its_test(wrong: list[float]) -> None:
    """Masks drawn at one sparsity and claimed to be of another."""
    _, norms = draws_of(wrong, seed=0, count=800)
    assert abs(mask_sampling.sampler_score(FLOAT, [0.5, 0.5], norms)) > mask_sampling.ALARM


@pytest.mark.parametrize("alpha", [0.3, 0.9])
def test_intervals_cover_a_known_expectation(alpha: float) -> None:
    exact = float(EVERY.mean([Fraction(str(alpha))] * 2).l_1)
    missed, lengths = 0, []
    for seed in range(60):
        lipschitz, norms = draws_of([alpha] * 2, seed=seed, count=80)
        estimate = mask_sampling.mean_over_masks(FLOAT, [alpha] * 2, lipschitz, norms)
        missed += not estimate.low <= exact <= estimate.high
        lengths.append(estimate.high - estimate.low)
    assert missed <= 3  # 95 % of 60
    assert max(lengths) <= float(mask_bounds.path_norm_bound(EXAMPLE, [alpha] * 2)) + 1e-9


def test_more_draws_give_shorter_intervals_and_the_control_variate_helps() -> None:
    alphas = [0.5, 0.5]
    exact = 1647 / 256
    lipschitz, norms = draws_of(alphas, seed=0, count=6000)
    few = mask_sampling.mean_over_masks(FLOAT, alphas, lipschitz[:200], norms[:200])
    many = mask_sampling.mean_over_masks(FLOAT, alphas, lipschitz, norms)
    assert many.high - many.low < (few.high - few.low) / 3
    assert many.low <= exact <= many.high
    assert many.draws == 4500
    assert many.variance_left < 0.5
    assert abs(many.mean - exact) < abs(few.mean - exact) + 0.2


def test_nothing_random() -> None:
    norms = [float(mask_bounds.path_norm(FLOAT))] * 10
    estimate = mask_sampling.mean_over_masks(FLOAT, [0, 0], [20.0] * 10, norms)
    assert estimate.mean == 20
    assert mask_sampling.sampler_score(FLOAT, [0, 0], norms) == 0


def test_half_width_by_hand() -> None:
    log = math.log(4 / 0.1)
    by_hand = math.sqrt(2 * (4 / 3) * log / 4) + 7 * 5 * log / (3 * 3)
    assert mask_sampling.bernstein_half_width([0, 2, 2, 0], spread=5, confidence=0.9) == pytest.approx(
        by_hand
    )


# ---------------------------------------------------------------- bad input


def test_bad_input_gets_advice() -> None:
    with pytest.raises(ValueError, match="2 widths and 2 alphas"):
        masks.eta((2, 2), [HALF, HALF])
    with pytest.raises(ValueError, match="at least one unit"):
        masks.log_eta((2, 0, 2), [0.5, 0.5])
    with pytest.raises(ValueError, match=r"alpha = 1\.5"):
        masks.log_eta_star((2, 2), [1.5])
    with pytest.raises(TypeError, match="begins with log_"):
        masks.eta_star((2, 2), [0.5])
    with pytest.raises(ValueError, match="from 0 to 1"):
        masks.sparsity_for((2, 2), 0.0)
    with pytest.raises(ValueError, match="2 layers of weights, 1 alphas"):
        mask_bounds.path_norm_bound(FLOAT, [0.5])
    with pytest.raises(ValueError, match=r"alpha = -0\.5"):
        mask_bounds.second_moments(FLOAT, [0.5, -0.5])
    with pytest.raises(ValueError, match=r"sparsity .* lies in \[0, 1\)"):
        mask_bounds.gaussian_energy(1.0)
    with pytest.raises(ValueError, match="no energy to keep"):
        mask_bounds.kept_energy(np.zeros((2, 2)), np.ones((2, 2), dtype=bool))
    with pytest.raises(ValueError, match="at least 0, without biases"):
        mask_bounds.positive_means(EXAMPLE, [HALF, HALF], EXAMPLE.readout)
    with pytest.raises(ValueError, match="sample instead of enumerating"):
        next(all_masks([(5, 4)]))
    with pytest.raises(ValueError, match="at least 2, and 0 < c < 1"):
        mask_sampling.bernstein_half_width([1.0], spread=1, confidence=0.9)
    with pytest.raises(ValueError, match="give both for each draw, at least 8"):
        mask_sampling.mean_over_masks(FLOAT, [0.5, 0.5], [1.0] * 9, [1.0] * 8)
    with pytest.raises(ValueError, match="path norms of the same masks"):
        mask_sampling.mean_over_masks(FLOAT, [0.5, 0.5], [3.0] * 9, [2.0] * 9)


def test_positive_means_refuses_biases() -> None:
    biased = exact_net([[[1]]], [1], [[1]])
    with pytest.raises(ValueError, match="without biases"):
        mask_bounds.positive_means(biased, [HALF], biased.readout)
