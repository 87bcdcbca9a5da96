"""The Gaussian model: closed forms against quadrature, simulation and brute force over all supports."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.integrate import quad
from scipy.special import ndtr

from sparse_robust.proofs import registry as claims
from sparse_robust.proofs.beyond.linf_not_l2 import gaussian as proofs
from sparse_robust.proofs.beyond.linf_not_l2 import path as path_proofs
from sparse_robust.proofs.beyond.linf_not_l2 import pruning as pruning_proofs
from sparse_robust.proofs.beyond.linf_not_l2 import threshold as threshold_proofs
from sparse_robust.rng import stream
from sparse_robust.theory import gaussian as g
from wrong_steps import labels_of, refuses_edits, turns_red

SIGMA, EPS = 0.5, 0.1


def sizes(n):
    """n weights of either sign, none so small that its square is lost."""
    magnitude = st.floats(0.01, 2.0)
    return hnp.arrays(float, n, elements=st.one_of(magnitude, magnitude.map(lambda v: -v)))


small = st.integers(2, 7).flatmap(sizes)
pairs = st.integers(1, 7).flatmap(lambda n: st.tuples(sizes(n), sizes(n)))


@pytest.fixture(scope="module")
def example():
    """The example of the chapter: 200 exponential means of mean 0.1."""
    return np.random.default_rng(0).exponential(0.1, 200)


@pytest.fixture(scope="module")
def path(example):
    return {
        rule: rows.set_index("nonzeros") for rule, rows in g.pruning_path(example, SIGMA, EPS).groupby("rule")
    }


def normal(mean):
    return lambda z: np.exp(-(((z - mean) / SIGMA) ** 2) / 2) / (SIGMA * np.sqrt(2 * np.pi))


@pytest.mark.parametrize("scale", [-2.0, -0.3, 0.0, 0.4, 3.0])
def test_closed_forms_match_quadrature(scale):
    w, m = np.array([1.0, -2.0, 0.5]), scale * np.array([0.3, -0.1, 0.4])
    score, kappa = w @ m / np.linalg.norm(w), np.abs(w).sum() / np.linalg.norm(w)
    top = max(0.0, score) + 12 * SIGMA
    assert g.r_2(w, m, SIGMA) == pytest.approx(quad(lambda z: z * normal(score)(z), 0, top)[0], abs=1e-9)
    assert g.accuracy(w, m, SIGMA) == pytest.approx(quad(normal(score), 0, top)[0], abs=1e-9)
    assert g.r_inf(w, m, SIGMA, EPS) == pytest.approx(quad(normal(score), EPS * kappa, top)[0], abs=1e-9)
    # the printed bound, by its own definition: the conditional mean of the score, which is mu_+ . w / ||w||
    conditional = quad(lambda z: z * normal(score)(z), 0, top)[0] / quad(normal(score), 0, top)[0]
    t = g.accuracy(w, m, SIGMA)
    assert g.printed_bound(w, m, SIGMA, EPS) == pytest.approx(
        t / 2 * 2 * conditional / (EPS * kappa), rel=1e-8
    )
    # the area identity: r_inf over all radii integrates to r_2 / kappa
    area = quad(lambda eps: g.r_inf(w, m, SIGMA, eps), 1e-300, top / kappa)[0]
    assert area == pytest.approx(g.r_2(w, m, SIGMA) / kappa, abs=1e-8)


@pytest.mark.parametrize("which", ["dense", "soft", "random", "reversed"])
def test_closed_forms_match_simulated_attacks(example, which):
    n, trials = 200, 20_000
    m = example
    w = {
        "dense": m,
        "soft": g.soft_threshold(m, EPS),
        "random": torch.randn(n, generator=stream(0, "direction"), dtype=torch.float64).numpy(),
        "reversed": -m,
    }[which]
    y = torch.randint(2, (trials, 1), generator=stream(0, "labels")).numpy() * 2 - 1
    noise = torch.randn(trials, n, generator=stream(0, "noise"), dtype=torch.float64).numpy()
    x = y * m + SIGMA * noise
    label = y[:, 0]

    attacked = x - EPS * y * np.sign(w)  # FGS, the strongest attack on a linear model
    survived = (label * (attacked @ w) > 0).astype(float)
    nearest = x - np.outer(x @ w, w) / (w @ w)  # DeepFool, the projection on the boundary
    distance = np.where(label * (x @ w) > 0, np.linalg.norm(x - nearest, axis=1), 0.0)

    def agrees(value, draws):
        # the variance of a rare event is badly estimated from the draws, hence the floor of one event
        error = max(draws.std() / np.sqrt(trials), 1 / trials)
        return abs(value - draws.mean()) < 4 * error

    assert agrees(g.r_inf(w, m, SIGMA, EPS), survived)
    assert agrees(g.r_2(w, m, SIGMA), distance)
    if which in ("dense", "soft"):  # the test has the power to reject plausible mistakes
        norm = np.linalg.norm(w)
        assert not agrees(ndtr((w @ m - EPS * norm) / (SIGMA * norm)), survived)  # l_2 instead of l_1
        assert not agrees(ndtr((w @ m - EPS * np.abs(w).sum()) / norm), survived)  # sigma forgotten
        assert not agrees(g.signal(w, m) + SIGMA, distance)


@settings(max_examples=300, deadline=None)
@given(pairs)
def test_no_direction_beats_the_mean_in_l2(pair):
    w, m = pair
    best = g.r_2(m, m, SIGMA)
    assert g.r_2(w, m, SIGMA) <= best + 1e-12
    assert g.r_2(-m, m, SIGMA) <= g.r_2(w, m, SIGMA) + 1e-12
    assert g.r_2(w, m, SIGMA) - g.r_2(-w, m, SIGMA) == pytest.approx(g.signal(w, m), abs=1e-12)
    assert g.r_2(3 * m, m, SIGMA) == pytest.approx(best)


@settings(max_examples=300, deadline=None)
@given(pairs, st.floats(0.01, 1.5))
def test_no_direction_beats_the_soft_threshold_in_linf(pair, eps):
    w, m = pair
    soft = g.soft_threshold(m, eps)
    if soft.any():
        best = ndtr(np.linalg.norm(soft) / SIGMA)
        assert g.r_inf(soft, m, SIGMA, eps) == pytest.approx(best)
        assert np.array_equal(soft == 0, np.abs(m) <= eps)
    else:  # the attack exceeds every mean: one weight on a largest coordinate
        top = np.abs(m).argmax()
        best = ndtr((np.abs(m[top]) - eps) / SIGMA)
        assert g.r_inf(np.sign(m[top]) * np.eye(len(m))[top], m, SIGMA, eps) == pytest.approx(best)
        assert best <= 0.5
    assert g.r_inf(w, m, SIGMA, eps) <= best + 1e-12


def test_soft_threshold_is_a_strict_maximum_found_by_ascent():
    # An independent route to the maximiser: projected subgradient ascent from the dense direction.
    m = np.array([0.9, -0.5, 0.3, 0.15, -0.05, 0.02])
    w = m / np.linalg.norm(m)
    for step in range(1, 40_001):
        w = w + (m - 0.2 * np.sign(w)) / (10 + step)
        w /= np.linalg.norm(w)
    soft = g.soft_threshold(m, 0.2)
    assert w == pytest.approx(soft / np.linalg.norm(soft), abs=2e-3)


@settings(max_examples=150, deadline=None)
@given(small, st.floats(0.05, 1.0), st.integers(1, 7))
def test_budget_against_every_support(m, eps, k):
    assume(np.abs(m).max() > eps)
    supports = [list(s) for s in combinations(range(len(m)), min(k, len(m)))]
    best = max(np.linalg.norm(g.soft_threshold(m, eps)[s]) for s in supports)
    top = np.argsort(-np.abs(m))[:k]
    claimed = np.where(np.isin(np.arange(len(m)), top), g.soft_threshold(m, eps), 0.0)
    assert g.robust_signal(claimed, m, eps) == pytest.approx(best)


@settings(max_examples=300, deadline=None)
@given(small, st.floats(0.05, 2.0), st.integers(0, 6))
def test_gain_and_boundary_match_the_difference(m, eps, index):
    index %= len(m)
    after = m.copy()
    after[index] = 0
    a, norm, z = abs(m[index]), np.linalg.norm(m), g.robust_signal(m, m, eps)
    difference = g.robust_signal(after, m, eps) - z
    assert g.pruning_gain(a, norm, z, eps) == pytest.approx(difference, abs=1e-9)
    critical = g.phase_boundary(z / norm, a / norm)
    assume(abs(a / eps - critical) > 1e-6)
    assert (difference > 0) == (a / eps < critical)


@settings(max_examples=200, deadline=None)
@given(small, st.floats(0.05, 1.0))
def test_best_hard_support_keeps_two_eps_and_drops_eps(m, eps):
    def z(support):
        kept = m[list(support)]
        return g.robust_signal(kept, kept, eps)

    supports = [s for k in range(1, len(m) + 1) for s in combinations(range(len(m)), k)]
    best = max(supports, key=z)
    assume(z(best) > 1e-9)
    kept = np.isin(np.arange(len(m)), best)
    assert np.all(np.abs(m[kept]) > eps - 1e-9)
    assert np.all(np.abs(m[~kept]) < 2 * eps + 1e-9)


@settings(max_examples=100, deadline=None)
@given(small, st.floats(0.05, 2.0), st.floats(0.05, 3.0))
def test_along_the_path_l2_falls_and_the_printed_bound_rises(m, sigma, eps):
    rows = g.pruning_path(m, sigma, eps)
    hard = rows[rows.rule == "hard"]
    assert list(hard.nonzeros) == list(range(len(m), 0, -1))
    # strict in exact arithmetic; a rounding error is allowed where floating point saturates
    assert np.all(np.diff(hard.r_2) < 1e-12)
    assert np.all(np.diff(hard.accuracy) < 1e-12)
    assert np.all(np.diff(np.log(hard.bound)) > -1e-12)
    if hard.accuracy.iloc[-1] < 1 - 1e-9:  # otherwise the rise itself is below a rounding error
        assert hard.bound.iloc[-1] > hard.bound.iloc[0]


@settings(max_examples=300, deadline=None)
@given(pairs, st.floats(0.05, 2.0), st.floats(0.01, 2.0))
def test_printed_bound_is_valid_and_vacuous_above_one_half(pair, sigma, eps):
    w, m = pair
    bound = g.printed_bound(w, m, sigma, eps)
    assert g.r_inf(w, m, sigma, eps) <= bound + 1e-12
    if g.robust_signal(w, m, eps) >= 0:
        assert bound >= g.accuracy(w, m, sigma) - 1e-12  # strict in exact arithmetic; both saturate at 1


def test_the_printed_bound_can_say_something_below_one_half():
    # so that the condition of the proposition is not idle
    m = np.full(100, 0.05)
    assert g.printed_bound(m, m, SIGMA, 0.3) < g.accuracy(m, m, SIGMA)


def test_numbers_of_the_example(example, path):
    soft = g.soft_threshold(example, EPS)
    assert np.count_nonzero(soft) == 83
    assert round(float(g.r_2(example, example, SIGMA)), 3) == 2.159
    assert round(float(g.r_inf(example, example, SIGMA, EPS)), 4) == 0.9870
    assert round(float(g.r_2(soft, example, SIGMA)), 3) == 1.988
    assert round(float(g.r_inf(soft, example, SIGMA, EPS)), 4) == 0.9955
    hard = path["hard"]
    assert hard.r_inf.idxmax() == 56
    assert round(hard.r_inf.max(), 4) == 0.9946
    assert round(hard.r_inf[1], 3) == 0.844
    assert EPS < hard.smallest[56] < 2 * EPS


def test_the_example_crosses_the_boundary_once_at_its_peak(path):
    hard = path["hard"].iloc[:-1]  # the last weight cannot be dropped
    helps = hard.smallest / EPS < g.phase_boundary(hard.survival, hard.share)
    assert list(helps) == list(hard.index > 56)


def test_retrained_path_starts_where_the_soft_threshold_ends(path):
    best = path["retrained"]
    assert best.index[0] == 83
    assert np.all(np.diff(best.r_inf) < 0)
    for rule in ("hard", "soft"):
        both = best.index.intersection(path[rule].index)
        assert len(both) > 80
        assert np.all(best.r_inf[both] >= path[rule].r_inf[both] - 1e-15)


LABELS = labels_of(proofs, threshold_proofs, pruning_proofs, path_proofs)
PRINTED = [label for label in LABELS if claims.get(label).claims]

STEPS: list[tuple[str, object, str, object]] = [
    ("prop-gaussian-l2", proofs, "r_2_of", lambda a: a * proofs.cdf(a / proofs.SIGMA)),
    ("prop-gaussian-l2", proofs, "expectation_above", lambda level: (proofs.A, 1)),
    ("prop-gaussian-linf", threshold_proofs, "cdf", sp.erf),
    ("lem-gaussian-score", proofs, "cdf", sp.erf),
    ("lem-gaussian-score", proofs, "square_completed", lambda x, z, u, v: (x**2 / u**2, z**2 / v**2)),
    (
        "lem-gaussian-integrals",
        proofs,
        "antiderivatives",
        lambda z: (proofs.A * proofs.cdf(z), proofs.cdf(z)),
    ),
    ("thm-gaussian-soft", threshold_proofs, "EPS", -threshold_proofs.EPS),
    ("thm-gaussian-phase", pruning_proofs, "KEPT", pruning_proofs.D),
    ("cor-gaussian-boundary", pruning_proofs, "T", 2 * pruning_proofs.T),
    ("thm-gaussian-factor-two", pruning_proofs, "EPS", -pruning_proofs.EPS),
    ("prop-gaussian-path-bound", path_proofs, "r_2_of", lambda a: a**2),
]
test_a_wrong_step_turns_red = turns_red(STEPS)
test_what_is_printed_is_what_is_checked = refuses_edits(PRINTED)


def test_conditional_means_are_those_of_the_inputs_not_of_twice_the_means():
    whole = claims.get("cex-gaussian-fixed-point")
    doubled = sp.Eq(proofs.MEAN_I, proofs.CONDITIONAL + proofs.M_I)
    with pytest.raises(AssertionError):
        replace(whole, claims={"mean": doubled}).check()
    with pytest.raises(AssertionError):
        replace(whole, claims={"mean": doubled}, proof=lambda mean: None).check()


def test_the_budget_goes_to_the_largest():
    whole = claims.get("prop-gaussian-budget")
    order = whole.hypotheses["order"]
    smallest = order.xreplace({part: sp.Le(*part.args) for part in order.atoms(sp.Ge)})
    with pytest.raises(AssertionError):
        replace(whole, hypotheses={**whole.hypotheses, "order": smallest}).check()


def test_what_rests_on_probability_says_so():
    assert "lem-densities" in {c.label for c in claims.ancestors("thm-gaussian-soft")}
    assert not claims.fully_checked("thm-gaussian-dense")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: g.r_2(np.zeros(3), np.ones(3), 1.0), "w is zero"),
        (lambda: g.r_2(np.ones(2), np.ones(3), 1.0), "got m"),
        (lambda: g.r_inf(np.ones(3), np.ones(3), 0.0, 0.1), "sigma and eps"),
        (lambda: g.r_inf(np.ones(3), np.ones(3), 1.0, -0.1), "sigma and eps"),
        (lambda: g.hard_threshold(np.ones(3), 0), "between 1 and 3"),
        (lambda: g.pruning_gain(1.0, 1.0, 0.5, 0.1), "between 0 and the norm"),
        (lambda: g.phase_boundary(1.0), "survival"),
        (lambda: g.pruning_path(np.array([1.0, 0.0]), 1.0, 0.1), "zero entries"),
    ],
)
def test_bad_input_gets_one_clear_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_metrics_keep_leading_axes_and_ignore_scale(example):
    w = np.stack([example, 2 * example, -example])[None]  # [1, 3, n]
    for values in (
        g.r_2(w, example, SIGMA),
        g.r_inf(w, example, SIGMA, EPS),
        g.printed_bound(w, example, SIGMA, EPS),
    ):
        assert values.shape == (1, 3)
        assert values[0, 0] == pytest.approx(values[0, 1])
        assert values[0, 2] < values[0, 0]
