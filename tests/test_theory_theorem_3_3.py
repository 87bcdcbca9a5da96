"""Theorem 3.3, its gaps and its repairs, on random networks in exact rationals; wrong steps turn red."""

import random
from fractions import Fraction
from itertools import pairwise

import numpy as np
import sympy as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparse_robust.proofs import registry as claims
from sparse_robust.proofs.deep.random_masks import bernstein, overpruning, russo
from sparse_robust.proofs.deep.random_masks import cases as mask_cases
from sparse_robust.proofs.deep.random_masks import gaps as theorem_3_3_gaps
from sparse_robust.proofs.deep.random_masks import inequalities as mask_inequalities
from sparse_robust.proofs.deep.random_masks import intervals as mask_intervals
from sparse_robust.proofs.deep.random_masks import moments as theorem_3_3_moments
from sparse_robust.proofs.deep.random_masks import norms as theorem_3_3_norms
from sparse_robust.proofs.deep.random_masks import paper as theorem_3_3
from sparse_robust.proofs.deep.random_masks import percolation as theorem_3_3_percolation
from sparse_robust.proofs.deep.random_masks import recursion as theorem_3_3_recursion
from sparse_robust.proofs.deep.random_masks import sparse_limit as theorem_sparse_limit
from sparse_robust.proofs.deep.random_masks.cases import AllMasks
from sparse_robust.theory import mask_bounds
from sparse_robust.theory import sparse_limit as limit
from sparse_robust.theory.laws import sqrt_bounds
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.mask_bounds import (
    gradient_second_moment,
    kept_product,
    norm_product_power,
    path_norm_bound,
    path_norm_variance,
)
from sparse_robust.theory.mask_derivatives import with_bit
from sparse_robust.theory.mask_enumeration import all_masks, cut_off, expectation, kept_sums
from sparse_robust.theory.mask_sampling import mean_over_masks
from sparse_robust.theory.masks import eta, eta_star, xi
from sparse_robust.theory.networks import Array, ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball
from wrong_steps import labels_of, refuses_edits, turns_red

OURS = labels_of(
    mask_inequalities,
    mask_intervals,
    overpruning,
    russo,
    theorem_3_3,
    theorem_3_3_gaps,
    theorem_3_3_moments,
    bernstein,
    theorem_3_3_norms,
    theorem_3_3_percolation,
    theorem_3_3_recursion,
    theorem_sparse_limit,
)
HALF = Fraction(1, 2)
WIDTHS = [(2, 1), (1, 2, 1), (1, 1, 2), (2, 2, 1), (2, 1, 2), (1, 2, 2), (1, 2, 1, 2), (2, 2, 2)]

entries = st.fractions(-3, 3, max_denominator=2)
sparsities = st.fractions(0, 1, max_denominator=8)


@st.composite
def masked_nets(draw: st.DrawFn) -> tuple[AllMasks, list[Fraction]]:
    """A random network, zero weights allowed, on a ball or everywhere, and one sparsity for each layer."""
    widths = draw(st.sampled_from(WIDTHS))

    def array(*shape: int) -> Array:
        count = int(np.prod(shape))
        return np.array(draw(st.lists(entries, min_size=count, max_size=count)), dtype=object).reshape(shape)

    weights = tuple(array(n, m) for n, m in pairwise(widths))
    biases = tuple(array(n) for n in widths[1:]) if draw(st.booleans()) else ()
    net = ReluNet(weights, array(widths[-1]), biases)
    ball = Ball(array(widths[0]), draw(st.fractions(Fraction(1, 4), 2, max_denominator=4)))
    alphas = [draw(sparsities) for _ in weights]
    return AllMasks(net, ball if draw(st.booleans()) else None), alphas


# ---------------------------------------------------------------- every inequality, exactly


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(masked_nets())
def test_theorems_a_to_c_on_all_masks(example: tuple[AllMasks, list[Fraction]]) -> None:
    case, alphas = example
    net, mean = case.net, case.mean(alphas)
    kept = kept_product(net, alphas)
    dead, recursive = eta_star(net.widths, alphas), eta(net.widths, alphas)
    c_1, c_2_squared = (norm_product_power(net, q=q) for q in (1, 2))
    assert recursive <= dead == mean.cut_off
    assert mean.l_1 <= c_1 * (1 - dead) <= c_1 * (1 - recursive)  # A, A+ for q = 1
    assert mean.l_2 <= sqrt_bounds(c_2_squared)[1] * (1 - dead)  # and q = 2
    assert mean.l_1 <= mean.path_norm == path_norm_bound(net, alphas) <= c_1 * kept  # B
    moment = gradient_second_moment(net, alphas)
    assert mean.l_2_squared <= mean.paths_squared == moment <= c_2_squared * kept  # C, squared
    assert mean.l_2**2 <= moment * (1 - dead)
    assert mean.path_norm_squared - mean.path_norm**2 == path_norm_variance(net, alphas)
    assert mean.l_2 <= mean.l_1
    assert mean.l_1**2 <= net.widths[0] * mean.l_2_squared
    low, high = limit.sparse_enclosure(net, [1 - a for a in alphas], case.ball)  # the sparse limit
    assert low <= mean.l_1 <= high


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(masked_nets(), st.randoms(use_true_random=False))
def test_theorem_e_on_every_mask(example: tuple[AllMasks, list[Fraction]], rng: random.Random) -> None:
    case, _ = example
    for masks in rng.sample(list(all_masks(case.shapes)), 4):
        if all(w.any() for w in case.net.weights):
            squared = norm_product_power(case.net, q=2)
            for weight, mask in zip(case.net.weights, masks, strict=True):
                squared *= mask_bounds.kept_energy(weight, mask)
            assert lipschitz_power(case.net.masked(masks), case.ball, q=2) <= squared


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(masked_nets(), st.fractions(Fraction(1, 4), 3, max_denominator=4))
def test_theorem_f_on_positive_networks(example: tuple[AllMasks, list[Fraction]], size: Fraction) -> None:
    case, alphas = example
    net = ReluNet(tuple(abs(w) for w in case.net.weights), abs(case.net.readout))
    x = fractions([size] * net.widths[0])
    margin, lipschitz = mask_bounds.positive_means(net, alphas, x)
    assert AllMasks(net, Ball(x, size)).mean(alphas).l_1 == lipschitz
    assert margin == size * lipschitz


def test_a_network_that_is_cut_off_is_constant() -> None:
    for net in mask_cases.random_nets(seed=3, count=6):
        for masks in filter(cut_off, all_masks(mask_cases.mask_shapes(net))):
            assert lipschitz_power(net.masked(masks), q=1) == 0


# ---------------------------------------------------------------- the two limits


def test_the_coefficient_of_the_sparse_limit_is_that_of_the_exact_polynomial() -> None:
    """On sixteen networks: the terms of E L_1 with one kept weight in each layer, from all such masks."""
    for index, net in enumerate(mask_cases.random_nets(seed=11, count=16)):
        ball = Ball(fractions([1] * net.widths[0]), HALF) if index % 2 else None
        shapes = mask_cases.mask_shapes(net)
        single = kept_sums(
            shapes,
            lambda masks, net=net, ball=ball: (
                lipschitz_power(net.masked(masks), ball, q=1) if all(m.sum() == 1 for m in masks) else 0
            ),
        )
        assert single[(1,) * len(shapes)] == limit.lone_path_sum(net, ball)


def test_a_path_is_alive_where_its_units_are_active_at_once() -> None:
    """h = 3 s(1 - 2 s(x - 1)): the path is open for 1 < x < 3/2."""
    net = exact_net([[[1]], [[-2]]], [3], [[-1], [1]])
    for low, high, alive in ((0, 1, False), (0, 2, True), ("5/4", 2, True), ("3/2", 2, False)):
        low, high = Fraction(low), Fraction(high)
        ball = Ball(fractions([(low + high) / 2]), (high - low) / 2)
        assert limit.alive_alone(net, (0, 0, 0), ball) == alive
        assert lipschitz_power(net, ball, q=1) == (6 if alive else 0)
    assert limit.lone_path_sum(net) == 6
    assert not limit.alive_alone(exact_net([[[0]]], [1]), (0, 0))


def test_ablations_are_the_derivative_at_no_sparsity() -> None:
    x = fractions([2, 1])
    for net in mask_cases.random_nets(seed=12, count=2):
        point = x[: net.widths[0]]
        f = russo.Functional(net, lambda masked, point=point: masked(point))
        slope = sum(russo.ablations(f.shapes, f).values())
        assert sp.diff(f.polynomial(), mask_cases.ALPHA).subs(mask_cases.ALPHA, 0) == slope
        tiny = Fraction(1, 10**6)
        step = expectation(f.shapes, kept_sums(f.shapes, f), [tiny] * len(f.shapes)) - f(f.whole)
        weights = sum(n * m for n, m in f.shapes)
        spread = max(f.table.values()) - min(f.table.values())
        assert abs(step - tiny * slope) <= weights * (weights - 1) * spread * tiny**2


# ---------------------------------------------------------------- the exact numbers


def test_the_table_of_256_masks() -> None:
    everywhere = AllMasks(mask_cases.EXAMPLE)
    near = AllMasks(mask_cases.EXAMPLE, mask_cases.EXAMPLE_BALL)
    rows = {
        Fraction(0): (23, 37, 48, 48, 9),
        HALF: (
            Fraction(1647, 256),
            Fraction(37, 4),
            Fraction(621, 16),
            Fraction(10413, 256),
            Fraction(129, 32),
        ),
    }
    for alpha, row in rows.items():
        mean, both = everywhere.mean([alpha] * 2), [alpha] * 2
        bounds = [48 * (1 - value((2, 2, 2), both)) for value in (eta_star, eta)]
        assert (mean.l_1, mean.path_norm, *bounds, near.mean(both).l_1) == row
    both = [Fraction(9, 10)] * 2
    mean = everywhere.mean(both)
    printed = [48 * (1 - value((2, 2, 2), both)) for value in (eta_star, eta)]
    numbers = [mean.l_1, mean.path_norm, *printed, near.mean(both).l_1, mean.l_2]
    assert [round(float(v), 4) for v in numbers] == [0.2593, 0.37, 3.403, 3.5453, 0.1504, 0.2518]
    assert lipschitz_power(mask_cases.EXAMPLE, q=2) == 18**2 + 5**2
    assert norm_product_power(mask_cases.EXAMPLE, q=2) == 1125
    c_2 = 1125**0.5
    for alpha, frobenius, recursive in (("0", 33.54, 33.54), ("1/2", 16.77, 28.42), ("9/10", 3.35, 2.48)):
        both = [Fraction(alpha)] * 2
        bounds = c_2 * float(1 - both[0]), c_2 * float(1 - eta((2, 2, 2), both))
        assert [round(v, 2) for v in bounds] == [frobenius, recursive]
    seconds = [float(everywhere.mean([a] * 2).l_2) for a in (Fraction(0), HALF)]
    assert [round(v, 2) for v in seconds] == [18.68, 5.34]


def test_counterexamples_live_in_open_sets() -> None:
    """No accident: near alpha = 1/2, and with slightly different weights, (11) to (14) fail as well."""
    for alpha in (Fraction(49, 100), Fraction(51, 100)):
        values = [
            mask_cases.average(
                theorem_3_3_gaps.ANTICORRELATED,
                lambda net, at=place: theorem_3_3_gaps.inactive(net, (1,), *at),
                alpha,
            )
            for place in ((2, 0), (2, 1), (3, 0))
        ]
        assert values[2] < theorem_3_3_gaps.product_of_14(alpha, values[:2])
    nudge = Fraction(1, 1000)
    asleep = theorem_3_3_gaps.ASLEEP
    shaken = ReluNet(tuple(w + nudge for w in asleep.weights), asleep.readout - nudge)
    ball = theorem_3_3_gaps.around(1, 1, radius="1/4")
    assert lipschitz_power(shaken, ball, q=1) == 0
    mean = mask_cases.average(shaken, lambda net: lipschitz_power(net, ball, q=1), Fraction(3, 10))
    assert mean > 1


# ---------------------------------------------------------------- the registry, and wrong steps


def test_what_is_cited_is_never_fully_checked() -> None:
    assert not claims.fully_checked("thm-d-bernstein")
    assert not claims.fully_checked("prop-honest-interval")
    assert not claims.fully_checked("thm-a-plus")
    assert not claims.fully_checked("def-cut-off")  # as the probability in it is a mean, which is cited
    assert not claims.fully_checked("cex-equation-14")  # as the glue of prop-percolation is argued
    assert claims.fully_checked("cex-deactivation-not-monotone")


def all_paths_with_signs(net: ReluNet) -> Array:
    """The product of the weights themselves, in which paths cancel."""
    v = net.readout
    for w in reversed(net.weights):
        v = w @ v
    return v


def _decreasing(rng: random.Random, bits: int):
    f = mask_inequalities.random_increasing(rng, bits)
    return (lambda b: -f(b)) if rng.random() < 0.5 else f


MUTATIONS = [
    # (14) and its relatives
    ("def-cut-off", theorem_3_3_percolation, "still_cut_off", lambda others, masked, below: others & masked),
    ("def-cut-off", theorem_3_3_percolation, "still_cut_off", lambda others, masked, below: others | masked),
    ("def-cut-off", theorem_3_3_percolation, "cut_off", lambda masks: not masks[-1].any()),
    ("lem-all-paths", theorem_3_3, "all_paths", lambda net: abs(all_paths_with_signs(net))),
    ("lem-all-paths", theorem_3_3, "norm_product_power", lambda net, q: theorem_3_3_gaps.row_product(net)),
    ("lem-jensen-power", mask_inequalities, "tangent", lambda t, at, n: at**n + at ** (n - 1) * (t - at)),
    ("lem-second-moment", mask_inequalities, "weighted", lambda p, value: p * value),
    ("prop-percolation", theorem_3_3_percolation, "unit_cut_off", lambda alpha, alive: alpha * alive),
    ("prop-percolation", theorem_3_3_percolation, "eta_star", lambda w, a: eta_star(w[::-1], a)),
    (
        "cor-two-hidden-layers",
        theorem_3_3_percolation,
        "unit_cut_off",
        lambda alpha, alive: alpha ** (alive + 1),
    ),
    (
        "cor-two-hidden-layers",
        theorem_3_3_percolation,
        "generating",
        lambda a, r, n, s: (a**r + s) ** n,
    ),
    (
        "prop-recursion-below-percolation",
        theorem_3_3_recursion,
        "recursion",
        lambda alpha, below, n: (alpha + below) ** n,
    ),
    ("prop-recursion-below-percolation", theorem_3_3_recursion, "eta", lambda w, a: eta_star(w, a) * 2),
    ("prop-eta-monotone", theorem_3_3_recursion, "recursion", lambda a, b, n: (1 - a + a * b) ** n),
    ("prop-eta-monotone", theorem_3_3_recursion, "mean_of_event", lambda a, m, k: a * k + (1 - a) * m),
    ("prop-eta-lenet", theorem_3_3_recursion, "LENET", (784, 300, 101)),
    ("thm-a-recursion", theorem_3_3, "xi", lambda w, a: [1 - (1 - value) / 9 for value in xi(w, a)]),
    ("thm-a-plus", theorem_3_3, "eta_star", eta),
    ("thm-3-3", theorem_3_3, "eta", lambda w, a: eta(w, [1 - v for v in a])),
    ("lem-harris", mask_inequalities, "random_increasing", _decreasing),
    (
        "lem-harris",
        mask_inequalities,
        "covariance",
        lambda p, f, g, s: sp.expand(p * (1 - p) * (f[1] - f[0]) * (g[0] - g[1])),
    ),
    # B, C
    ("thm-b-path-norm", theorem_3_3_moments, "mean_of_bit", lambda alpha: alpha),
    ("thm-c-second-moment", theorem_3_3_moments, "path_norm_bound", lambda n, a: path_norm_bound(n, a) * 2),
    ("thm-c-second-moment", theorem_3_3_moments, "mean_of_pair", lambda alpha, same: (1 - alpha) ** 2),
    (
        "thm-c-second-moment",
        theorem_3_3_moments,
        "gradient_second_moment",
        lambda net, alphas: kept_product(net, alphas) ** 2 * gradient_second_moment(net, [0] * len(alphas)),
    ),
    ("thm-c-second-moment", theorem_3_3_moments, "path_norm_variance", lambda net, alphas: Fraction(0)),
    ("prop-all-masks-example", theorem_3_3_moments, "EXAMPLE_BALL", Ball(fractions([1, 1]), Fraction(3))),
    # D, E, F
    ("cex-spectral-norm-grows", theorem_3_3_norms, "spectral_squared", lambda w: (w.T * w).trace()),
    (
        "thm-d-bernstein",
        bernstein,
        "bernstein_bound",
        lambda net, a: (1 - a[0]) * mask_bounds.norm_product(net, q=2) / 3,
    ),
    (
        "thm-e-magnitude",
        theorem_3_3_norms,
        "largest",
        lambda w, count: np.arange(w.size).reshape(w.shape) < count,
    ),
    ("thm-e-magnitude", theorem_3_3_norms, "kept_energy", lambda w, m: mask_bounds.kept_energy(w, m) ** 2),
    ("thm-e-magnitude", theorem_3_3_norms, "kept_energy", lambda w, m: abs(w * m).sum() / abs(w).sum()),
    ("cor-both-norms", theorem_3_3_norms, "square_gap", lambda s, q, a: (s - a) ** 2 - (q + a**2)),
    ("prop-gaussian-energy", theorem_3_3_norms, "gaussian_energy", lambda alpha: 1 - alpha),
    ("prop-gaussian-energy", theorem_3_3_norms, "gaussian_kept", lambda tau: sp.erfc(tau / sp.sqrt(2))),
    ("cex-magnitude-is-not-random", theorem_3_3_norms, "PAIR", theorem_3_3_norms.EVEN),
    ("cex-retraining", theorem_3_3_norms, "EVEN", theorem_3_3_norms.PAIR),
    (
        "thm-f-positive",
        theorem_3_3_moments,
        "positive_means",
        lambda net, a, x: (net(x), path_norm_bound(net, a)),
    ),
    ("err-larger-gamma", theorem_3_3_moments, "POSITIVE", mask_cases.EXAMPLE),
    # the paper's reading of each gap
    ("cex-winner-depends-on-masks", theorem_3_3_gaps, "winner", lambda masks: 0),
    (
        "cex-worst-point-depends-on-masks",
        theorem_3_3_gaps,
        "inactive",
        lambda net, x, layer, unit: not net.weights[0].any(),
    ),
    ("cex-equation-14", theorem_3_3_gaps, "product_of_14", lambda alpha, xi: Fraction(0)),
    (
        "cex-equation-14",
        theorem_3_3_gaps,
        "ANTICORRELATED",
        exact_net([[[1, 1]], [[1, 1], [1, 1]], [[1], [1]]], [1]),
    ),
    ("cex-deactivation-not-monotone", theorem_3_3_gaps, "UNBALANCED", exact_net([[[1], [2]]], [1])),
    ("err-sparser-is-not-smaller", theorem_3_3_gaps, "DIFFERENCE", exact_net([[[1, 1]]], [1, 1])),
    ("err-sparser-is-not-smaller", theorem_3_3_gaps, "ASLEEP", mask_cases.EXAMPLE),
    ("cex-biases-wake-units", theorem_3_3_gaps, "BIASED", exact_net([[[-1]], [[1]]], [1])),
    ("cex-row-sums", theorem_3_3_gaps, "row_product", lambda net: norm_product_power(net, q=1)),
    # sampling, over-pruning
    ("lem-mean-beyond", mask_intervals, "beyond_level", lambda variance, gap: variance / (5 * gap)),
    (
        "lem-empirical-bernstein",
        mask_intervals,
        "bernstein_half_width",
        lambda row, spread, confidence: float(np.std(row)) / 3,
    ),
    (
        "prop-honest-interval",
        mask_intervals,
        "mean_over_masks",
        lambda net, alphas, values, norms: mean_over_masks(net, [a / 2 for a in alphas], values, norms),
    ),
    # the two limits
    ("prop-path-alone", limit, "alive_alone", lambda net, path, ball: True),
    ("thm-sparse-limit", theorem_sparse_limit, "union_step", lambda missed, more: missed + more),
    ("prop-sparse-example", theorem_sparse_limit, "EXAMPLE_BALL", Ball(fractions([1, 1]), Fraction(3))),
    ("thm-russo", russo, "with_bit", lambda masks, place, kept: with_bit(masks, place, not kept)),
    ("cor-slight-pruning", russo, "ablations", lambda shapes, f: {0: f.without((0, (0, 0)))}),
    ("prop-gamma-slopes", russo, "EXAMPLE_BALL", Ball(fractions([1, 1]), Fraction(3))),
    ("prop-overpruned", overpruning, "accuracy_bound", lambda cut, prior: (1 - cut) * prior),
    ("prop-margins-vanish", overpruning, "margin_bound", lambda lipschitz, length: lipschitz - length),
    (
        "prop-margins-vanish",
        overpruning,
        "path_norm_bound",
        lambda net, alphas: path_norm_bound(net, alphas) / 9,
    ),
]


test_a_wrong_step_turns_red = turns_red(MUTATIONS)

PRINTED = [label for label in OURS if claims.get(label).claims]

test_an_edit_of_what_is_printed_turns_red = refuses_edits(PRINTED)


def test_every_check_is_broken_at_least_once() -> None:
    assert {label for label, *_ in MUTATIONS} == set(OURS)
