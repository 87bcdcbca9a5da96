"""Theorems 3.1 and 3.2 on random finite laws in exact rationals, and proof steps that must turn red."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sparse_robust.metrics import exact_radius
from sparse_robust.proofs import ledger
from sparse_robust.proofs import registry as claims
from sparse_robust.proofs.linear import expectations
from sparse_robust.proofs.linear.populations import Example, random_binary, random_multiclass
from sparse_robust.proofs.linear.theorem_3_1 import errata as theorem_3_1_errata
from sparse_robust.proofs.linear.theorem_3_1 import paper as theorem_3_1
from sparse_robust.proofs.linear.theorem_3_1 import sharper as theorem_3_1_sharper
from sparse_robust.proofs.linear.theorem_3_2 import attack as theorem_3_2_attack
from sparse_robust.proofs.linear.theorem_3_2 import caveats as theorem_3_2_caveats
from sparse_robust.proofs.linear.theorem_3_2 import evaluation
from sparse_robust.proofs.linear.theorem_3_2 import necessity as theorem_3_2_necessity
from sparse_robust.proofs.linear.theorem_3_2 import paper as theorem_3_2
from sparse_robust.studies.paper import PAPER
from sparse_robust.theory import bounds
from sparse_robust.theory.laws import (
    Binary,
    FiniteLaw,
    Multiclass,
    dot,
    exp_sum_sign,
    l1,
    l2_squared,
    ratio,
    sqrt_bounds,
    vector,
)
from wrong_steps import labels_of, refuses_edits, turns_red

OURS = labels_of(
    expectations,
    theorem_3_1,
    theorem_3_1_sharper,
    theorem_3_1_errata,
    theorem_3_2,
    theorem_3_2_attack,
    theorem_3_2_necessity,
    theorem_3_2_caveats,
)
rationals = st.fractions(min_value=-6, max_value=6, max_denominator=5)
radii = st.fractions(min_value=Fraction(1, 20), max_value=4, max_denominator=20)


@st.composite
def binary_cases(draw: st.DrawFn) -> tuple[FiniteLaw, Binary]:
    n = draw(st.integers(1, 3))
    point = st.tuples(*[rationals] * n)
    w = draw(point.filter(any))
    outcomes = draw(
        st.lists(st.tuples(st.integers(1, 5), st.sampled_from([-1, 1]), point), min_size=1, max_size=8)
    )
    return FiniteLaw.of(outcomes), Binary(w, draw(rationals))


@st.composite
def multiclass_cases(draw: st.DrawFn) -> tuple[FiniteLaw, Multiclass]:
    n, c = draw(st.integers(1, 3)), draw(st.integers(2, 4))
    point = st.tuples(*[rationals] * n)
    model = Multiclass(tuple(draw(point) for _ in range(c)), tuple(draw(rationals) for _ in range(c)))
    vectors = (v for k in range(c) for v, _ in [*model.rivals(k), model.centred(k)])
    assume(all(map(any, vectors)))  # with a vector 0 and a bias the bound is infinite, and says nothing
    points = draw(st.lists(st.tuples(st.integers(1, 5), point), min_size=1, max_size=8))
    noisy = [
        (m, draw(st.integers(0, c - 1)) if draw(st.booleans()) else _best(model, x), x) for m, x in points
    ]
    return FiniteLaw.of(noisy), model


def _best(model: Multiclass, x: tuple[Fraction, ...]) -> int:
    scores = model.scores(x)
    return scores.index(max(scores))


# ---------------------------------------------------------------- the registry


def test_uses_resolve_and_nothing_rests_on_itself() -> None:
    for label in OURS:
        for ancestor in claims.ancestors(label):
            assert ancestor.label != label


def test_argued_and_cited_statements_are_never_fully_checked() -> None:
    assert not claims.fully_checked("lem-expectation")
    assert not claims.fully_checked("thm-3-1")  # it rests on lem-expectation, which is cited
    assert not claims.fully_checked("prop-average-not-sparse")
    assert claims.fully_checked("lem-mediant")
    assert claims.fully_checked("prop-pointwise-margin")
    assert claims.get("thm-3-2").status == "kernel proved, glue argued"  # the averages at the means, in prose
    assert [c.label for c in ledger.gaps("thm-3-1")] == ["lem-expectation"]


def _flip(method: Callable[..., tuple[Fraction, ...]]) -> Callable[..., tuple[Fraction, ...]]:
    """An attack that steps the wrong way."""

    def attacked(self: object, y: int, x: tuple[Fraction, ...], eps: Fraction) -> tuple[Fraction, ...]:
        return method(self, y, x, -eps)

    return attacked


MUTATIONS = [
    # a wrong sign in the attack
    ("lem-fgs-margin", Binary, "attacked", _flip(Binary.attacked)),
    ("lem-total-probability", Binary, "attacked", _flip(Binary.attacked)),
    ("prop-rinf-bound", Binary, "attacked", _flip(Binary.attacked)),
    ("lem-weak-survivors", Multiclass, "weakly_attacked", _flip(Multiclass.weakly_attacked)),
    ("cex-assumption-one", Multiclass, "weakly_attacked", _flip(Multiclass.weakly_attacked)),
    ("cex-assumption-two", Multiclass, "attacked", _flip(Multiclass.attacked)),
    # the wrong norm, the wrong constant
    ("prop-area-identity", theorem_3_1_sharper, "l1", l2_squared),
    ("prop-cantelli", theorem_3_1_sharper, "cantelli", lambda gap, variance: gap / (variance + gap)),
    (
        "prop-cantelli",
        theorem_3_1_sharper,
        "cantelli",
        lambda gap, variance: gap**2 / (variance / 2 + gap**2),
    ),
    ("prop-bounded-support", theorem_3_1_sharper, "bounded", lambda gap, room: 2 * gap / room),
    ("prop-r2-ascent", theorem_3_1_sharper, "next_direction", lambda law, w: tuple(-c for c in w)),
    (
        "prop-product-sparsity",
        theorem_3_2_caveats,
        "product_zero_probability",
        lambda a, h: (1 - (1 - a) * 2) ** h,
    ),
    ("prop-average-not-sparse", theorem_3_2_caveats, "mean_zero_probability", lambda a, c: a),
    # the paper's reading of each erratum
    ("err-bias", theorem_3_1_errata, "true_distance", theorem_3_1_errata.lifted_distance),
    ("err-bias", theorem_3_1_errata, "lifted_distance", theorem_3_1_errata.true_distance),
    ("err-maximiser", Binary, "r_2_times_norm", lambda self, law: Fraction(1)),
    ("err-vacuous", theorem_3_1_errata, "PAPER_EPS", Fraction(10)),
    ("err-final-sparsity", theorem_3_1_errata, "PRINTED", "99.85"),
    ("err-final-sparsity", theorem_3_1_errata, "ROUNDS", 15),
    (
        "err-bias-classes",
        theorem_3_2_caveats,
        "quotient",
        lambda score, v, dual: (Fraction(1),) * 2,
    ),
]


test_a_wrong_step_turns_red = turns_red(MUTATIONS)
test_an_edit_of_what_is_printed_turns_red = refuses_edits([s for s in OURS if claims.get(s).claims])


@pytest.mark.parametrize("example", ["WITHOUT_ONE", "WITHOUT_TWO", "UNCONDITIONAL_ONE"])
def test_counterexamples_live_in_an_open_set(example: str) -> None:
    """They are no accident of rounding: at slightly different radii the printed bound fails as well."""
    case = getattr(theorem_3_2_necessity, example)
    for factor in (Fraction(99, 100), Fraction(101, 100)):
        near = Example(case.law, case.model, case.eps * factor)
        assert theorem_3_2_necessity.r_inf(near) > theorem_3_2_necessity.bound(near)


# ---------------------------------------------------------------- Theorem 3.1 on random laws


@settings(max_examples=60, deadline=None)
@given(binary_cases(), radii)
def test_theorem_3_1_and_its_sharpenings(case: tuple[FiniteLaw, Binary], eps: Fraction) -> None:
    law, model = case
    assume(law.probability(model.correct) > 0)
    total = model.r_2_times_norm(law)
    assert total == theorem_3_1.mean_margin(law, model)
    assert model.r_inf(law, eps) <= total / (eps * l1(model.w))
    assert theorem_3_1_sharper.area(law, model) == total / l1(model.w)
    assert model.r_inf(law, eps) <= model.r_inf(law, eps / 2) <= law.probability(model.correct)


@settings(max_examples=60, deadline=None)
@given(binary_cases(), radii)
def test_fgs_is_the_worst_perturbation_on_a_grid(case: tuple[FiniteLaw, Binary], eps: Fraction) -> None:
    law, model = case
    for a in law.atoms:
        worst = model.margin(a.label, model.attacked(a.label, a.x, eps))
        for corner in np.ndindex(*(3,) * len(a.x)):
            moved = tuple(x + eps * (s - 1) for x, s in zip(a.x, corner, strict=True))
            assert model.margin(a.label, moved) >= worst


def test_dropping_the_accuracy_assumption_breaks_the_printed_identity() -> None:
    """With unequal accuracies (2) is wrong, the general form right: t cannot mean the average accuracy."""
    law = FiniteLaw.of([(2, 1, [1]), (1, -1, [-5]), (1, -1, [3])])
    model = Binary(vector([1]))
    low, high = (term[2].mean() for term in theorem_3_1.class_terms(law, model))
    accuracy = law.probability(model.correct)
    printed = accuracy / 2 * (dot(model.w, high) - dot(model.w, low))
    assert accuracy == Fraction(3, 4)
    assert model.r_2_times_norm(law) == theorem_3_1.mean_margin(law, model) == Fraction(7, 4) != printed


def test_markov_without_conditioning_on_correct_predictions_fails() -> None:
    """Means over all points of a class, instead of mu_k, do not bound r_inf: a proof must condition."""
    law = FiniteLaw.of([(1, 1, [1]), (1, 1, [-9]), (1, -1, [-1]), (1, -1, [9])])
    model = Binary(vector([1]))
    unconditional = law.expect(model.margin)
    assert unconditional < 0 < model.r_inf(law, Fraction(1, 2)) == Fraction(1, 2)


# ---------------------------------------------------------------- Theorem 3.2 on random laws


@settings(max_examples=60, deadline=None)
@given(multiclass_cases(), radii)
def test_theorem_3_2_plus_in_three_norms(case: tuple[FiniteLaw, Multiclass], eps: Fraction) -> None:
    law, model = case
    assume(law.probability(model.correct) > 0)
    for dual in theorem_3_2.DUALS:
        radius = evaluation.expected_radius(law, model, dual)
        sharp, printed = (f(law, model, dual) for f in (evaluation.sharper, evaluation.printed))
        assert radius[0] <= sharp[1]
        assert sharp[0] <= printed[1]
    exact = theorem_3_2_attack.optimal_r_inf(law, model, eps)
    assert exact <= evaluation.sharper(law, model, "1")[1] / eps
    assert exact <= model.r_inf(law, eps), "FGS is one of the attacks with radius eps, or corrects"


@settings(max_examples=60, deadline=None)
@given(multiclass_cases(), radii)
def test_r_inf_half_under_both_assumptions(case: tuple[FiniteLaw, Multiclass], eps: Fraction) -> None:
    law, model = case
    assume(law.probability(model.correct) > 0)
    assume(theorem_3_2_attack.corrected(law, model, eps) == 0)
    assume(theorem_3_2_attack.assumption_one(law, model, eps))
    assert model.r_inf(law, eps) <= evaluation.printed(law, model, "1")[1] / eps


def test_the_second_pointwise_step_needs_a_nonnegative_score() -> None:
    """On a misclassified point the average margin may be below the average of the ratios."""
    scores, vectors = (Fraction(-1), Fraction(-1)), (vector([1, 0]), vector([0, 1]))
    mediant = sum(scores) / sum(map(l1, vectors))
    joint = sum(scores) / max(map(abs, vector([1, 1])))  # the dual norm l_inf: ||u + v|| < ||u|| + ||v||
    assert joint < mediant


# ---------------------------------------------------------------- exact arithmetic


@given(st.fractions(min_value=0, max_value=1000, max_denominator=1000))
def test_sqrt_bounds_enclose(a: Fraction) -> None:
    low, high = sqrt_bounds(a)
    assert low**2 <= a <= high**2
    assert high - low <= Fraction(1, 10**50)


@given(st.lists(st.tuples(rationals, rationals), max_size=5))
def test_exp_sum_sign_agrees_with_high_precision(terms: list[tuple[Fraction, Fraction]]) -> None:
    exact = sp.Add(*(sp.Rational(a) * sp.exp(sp.Rational(z)) for a, z in terms))
    assert exp_sum_sign(terms) == sp.sign(exact.evalf(60, chop=1e-40))


def test_exp_sum_sign_decides_near_ties() -> None:
    e = Fraction(sp.Rational(str(sp.E.evalf(80))).p, sp.Rational(str(sp.E.evalf(80))).q)
    nudge = Fraction(1, 10**70)
    assert exp_sum_sign([(Fraction(1), Fraction(1)), (-e - nudge, Fraction(0))]) == -1
    assert exp_sum_sign([(Fraction(1), Fraction(1)), (-e + nudge, Fraction(0))]) == 1
    assert exp_sum_sign([(Fraction(2), Fraction(1)), (Fraction(-2), Fraction(1))]) == 0


def test_laws_refuse_nonsense() -> None:
    with pytest.raises(ValueError, match="sum to exactly 1"):
        FiniteLaw(())
    law = FiniteLaw.of([(1, 1, [1])])
    with pytest.raises(ValueError, match="probability zero"):
        law.given(lambda y, x: False)
    with pytest.raises(ValueError, match="no misclassified point"):
        law.balanced(lambda y, x: True, Fraction(1, 2))


# ---------------------------------------------------------------- bounds.py against exact laws


def _as_sample(law: FiniteLaw, first: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Every atom repeated in proportion to its mass, so that a test set has exactly this law."""
    scale = math.lcm(*(a.mass.denominator for a in law.atoms))
    rows = [(a, int(a.mass * scale)) for a in law.atoms]
    x = torch.tensor(
        [[float(c) for c in a.x] for a, count in rows for _ in range(count)], dtype=torch.float64
    )
    return x, torch.tensor([a.label - first for a, count in rows for _ in range(count)])


@pytest.mark.parametrize("array", [torch.as_tensor, lambda t: t.numpy()], ids=["torch", "numpy"])
def test_binary_bounds_equal_the_exact_law(array: Callable[[torch.Tensor], bounds.Array]) -> None:
    for law, model, eps in random_binary(seed=80, count=30):
        x, y = _as_sample(law, 0)
        w = torch.tensor([float(v) for v in model.w], dtype=torch.float64)
        b = torch.tensor(float(model.b), dtype=torch.float64)
        margin = y * (x @ w + b)
        exact = torch.tensor(
            [
                float(model.margin(int(k), vector(map(Fraction, p))))
                for k, p in zip(y, x.tolist(), strict=True)
            ]
        )
        assert torch.allclose(margin, exact.double(), atol=1e-9)
        if bool((margin.abs() < 1e-9).any()):
            continue  # a tie, which floating point cannot decide
        moments = bounds.class_moments(array(x), array((y + 1) // 2), array(margin > 0), 2)
        total = model.r_2_times_norm(law)
        r2 = bounds.binary_r2(array(w), moments, array(b))
        assert float(r2) == pytest.approx(float(total) / math.sqrt(l2_squared(model.w)), abs=1e-9)
        bound = bounds.binary_rinf_bound(array(w), moments, float(eps), array(b))
        assert float(bound) == pytest.approx(float(total / (eps * l1(model.w))), abs=1e-9)
        area = bounds.area_under_rinf(array(w), r2)
        assert float(area) == pytest.approx(float(theorem_3_1_sharper.area(law, model)), abs=1e-9)
        r_inf = float(model.r_inf(law, eps / 20))
        spread = torch.stack([margin[(y == k) & (margin > 0)].var(unbiased=False) for k in (-1, 1)])
        assert float(bounds.cantelli_lower(w, moments, spread, float(eps) / 20, b)) <= r_inf + 1e-12


def test_cantelli_and_bounded_lower_by_hand() -> None:
    # margins 1 and 3 of class +1, margin 2 of class -1; w = (2, 0), eps ||w||_1 = 1
    x = torch.tensor([[0.5, 0.0], [1.0, 1.0], [0.0, 0.5]], dtype=torch.float64)
    w, b = torch.tensor([4.0, 0.0], dtype=torch.float64), torch.tensor(-1.0, dtype=torch.float64)
    moments = bounds.class_moments(x, torch.tensor([1, 1, 0]), torch.tensor([True, True, True]), 2)
    assert bounds.class_margins(w, moments.mean, b).tolist() == [1.0, 2.0]
    variance = torch.tensor([0.0, 1.0], dtype=torch.float64)
    # a = .5: class -1 gives 1/3 * 1, class +1 gives 2/3 * 1.5^2 / (1 + 1.5^2)
    assert float(bounds.cantelli_lower(w, moments, variance, 0.125, b)) == pytest.approx(
        1 / 3 + 2 / 3 * 2.25 / 3.25
    )
    # M = 1 for class -1 and 3 for class +1: 1/3 * .5/.5 + 2/3 * 1.5/2.5
    assert float(bounds.bounded_lower(w, moments, 0.125, b)) == pytest.approx(1 / 3 + 2 / 3 * 0.6)
    assert float(bounds.bounded_lower(w, moments, 10.0, b)) == 0
    assert float(bounds.cantelli_lower(w, moments, variance, 10.0, b)) == 0


def test_multiclass_bounds_and_radii_equal_the_exact_law() -> None:
    for law, model, _ in random_multiclass(seed=81, count=30):
        x, y = _as_sample(law, 0)
        weight = torch.tensor([[float(v) for v in row] for row in model.rows], dtype=torch.float64)
        bias = torch.tensor([float(v) for v in model.biases], dtype=torch.float64)
        scores = x @ weight.T + bias
        top = scores.topk(2).values
        if bool(((top[:, 0] - top[:, 1]) < 1e-9).any()):
            continue
        correct = scores.argmax(-1) == y
        moments = bounds.class_moments(x, y, correct, len(model.rows))
        for q, dual in ((1, "1"), (2, "2")):
            radius = exact_radius(weight[None], bias[None], x, y, q=q).mean()
            assert float(radius) == pytest.approx(
                float(evaluation.expected_radius(law, model, dual)[0]), abs=1e-9
            )
            sharp = bounds.multiclass_bound_plus(weight, moments, bias, q=q)
            assert float(sharp) == pytest.approx(float(evaluation.sharper(law, model, dual)[0]), abs=1e-9)
            bound = bounds.multiclass_bound(weight, moments, bias, q=q)
            assert float(bound) == pytest.approx(float(evaluation.printed(law, model, dual)[0]), abs=1e-9)


def test_replicas_are_independent() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(50, 6, generator=generator, dtype=torch.float64)
    y = torch.arange(50) % 3
    weight = torch.randn(4, 3, 6, generator=generator, dtype=torch.float64)
    bias = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    correct = (x @ weight.mT + bias.unsqueeze(-2)).argmax(-1) == y
    together = bounds.class_moments(x, y, correct, 3)
    for r in range(4):
        alone = bounds.class_moments(x, y, correct[r], 3)
        for f in (bounds.multiclass_bound, bounds.multiclass_bound_plus):
            assert torch.allclose(f(weight, together, bias, q=2)[r], f(weight[r], alone, bias[r], q=2))
    signs = y[:40] % 2
    w, b = weight[:, 0], bias[:, 0]
    pair = bounds.class_moments(x[:40], signs, torch.ones(4, 40, dtype=torch.bool), 2)
    one = bounds.class_moments(x[:40], signs, torch.ones(40, dtype=torch.bool), 2)
    for r in range(4):
        assert torch.allclose(bounds.binary_r2(w, pair, b)[r], bounds.binary_r2(w[r], one, b[r]))
        assert torch.allclose(
            bounds.bounded_lower(w, pair, 0.01, b)[r], bounds.bounded_lower(w[r], one, 0.01, b[r])
        )


def test_a_class_that_is_never_right_contributes_nothing() -> None:
    x = torch.tensor([[1.0], [2.0], [3.0]])
    moments = bounds.class_moments(x, torch.tensor([1, 1, 0]), torch.tensor([True, True, False]), 2)
    assert float(bounds.binary_r2(torch.tensor([1.0]), moments)) == pytest.approx(1.0)
    dead = torch.zeros(3, 1)  # an over-pruned model: every class has the same score
    nobody = bounds.class_moments(x, torch.tensor([0, 1, 2]), torch.zeros(3, dtype=torch.bool), 3)
    assert float(bounds.multiclass_bound(dead, nobody, q=2)) == 0
    assert float(bounds.multiclass_bound_plus(dead, nobody, q=2)) == 0


def test_norm_ratio_by_hand() -> None:
    w = torch.tensor([[3.0, -4.0, 0.0], [0.0, 2.0, 0.0]])
    assert bounds.norm_ratio(w).tolist() == pytest.approx([1.4, 1.0])


def test_the_errata_use_the_numbers_that_the_paper_prints() -> None:
    assert float(theorem_3_1_errata.PAPER_ACCURACY) == PAPER["binary-accuracy"].value
    assert float(theorem_3_1_errata.PAPER_R_2) == PAPER["binary-r2-deepfool-dense"].value
    assert f"{theorem_3_1_errata.PRINTED} %" == str(PAPER["final-sparsity"])


def test_bad_input_gets_advice() -> None:
    with pytest.raises(ValueError, match=r"no example of class \[2\]"):
        bounds.class_moments(torch.ones(2, 1), torch.tensor([0, 1]), torch.tensor([True, True]), 3)
    moments = bounds.class_moments(torch.ones(2, 1), torch.tensor([0, 1]), torch.tensor([True, True]), 2)
    with pytest.raises(ValueError, match="positive radius"):
        bounds.binary_rinf_bound(torch.ones(1), moments, 0.0)


# ---------------------------------------------------------------- the ledger


def test_the_table_has_every_statement_once() -> None:
    assert list(ledger.statements().label) == list(claims.registry())


def test_check_all_reports_progress_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    right, wrong = (claims.get(label) for label in ("lem-fgs-margin", "lem-markov"))
    twice = {"markov": (wrong.claims["markov"][0], sp.Eq(*wrong.claims["markov"][1].args))}
    few = {right.label: right, wrong.label: replace(wrong, claims=twice)}
    for module in (claims, ledger):
        monkeypatch.setattr(module, "registry", lambda: few)
    seen: list[tuple[int, int, str]] = []
    outcomes = ledger.check_all(lambda *args: seen.append(args))
    assert seen == [(0, 2, "lem-fgs-margin"), (1, 2, "lem-markov"), (2, 2, "")]
    assert [outcome.error is None for outcome in outcomes] == [True, False]


def test_random_cases_are_reproducible() -> None:
    first = [model for _, model, _ in random_binary(seed=1, count=5)]
    assert first == [model for _, model, _ in random_binary(seed=1, count=5)]
    assert random.Random(1).random() != random.Random(2).random()
    assert ratio(Fraction(-3), vector([3, 4]), "2") == Fraction(-9, 25)
