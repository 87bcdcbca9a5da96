"""The proofs about attacks: each must reject its own statement with one thing wrong."""

from collections.abc import Callable
from fractions import Fraction

import pytest
import sympy as sp
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sparse_robust.attacks import cross
from sparse_robust.proofs import registry as claims
from sparse_robust.proofs.foundations import attacks, attacks_boxed, distances, norms
from sparse_robust.theory.laws import Vector, vector
from wrong_steps import refuses_edits

MODULES = (norms, distances, attacks, attacks_boxed)
LABELS = [c.label for c in claims.registry().values() if c.proof.__module__ in {m.__name__ for m in MODULES}]


def test_what_needs_an_argument_in_prose_says_so() -> None:
    assert LABELS[0] == "lem-young", "norms come before attacks"
    glued = ["prop-distance-classes", "cex-fgs-multiclass", "prop-rfgs", "prop-l2-box"]
    assert [label for label in LABELS if not claims.fully_checked(label)] == glued


test_an_edit_of_what_is_printed_turns_red = refuses_edits([s for s in LABELS if claims.get(s).claims])


def wrong(variant: Callable[..., object], name: str) -> object:
    return pytest.param(variant, id=name)


@pytest.mark.parametrize(
    "step",
    [
        wrong(lambda w, y, eps: eps * y * sp.sign(w), "sign flipped"),
        wrong(lambda w, y, eps: -eps * sp.sign(w), "label forgotten"),
        wrong(lambda w, y, eps: -eps * y * sp.sign(w) / 2, "half the budget"),
        wrong(lambda w, y, eps: -2 * eps * y * sp.sign(w), "twice the budget"),
        wrong(lambda w, y, eps: -eps * y * w, "gradient instead of its sign"),
    ],
)
def test_no_other_step_passes_for_fgs(step: attacks.LinfStep) -> None:
    with pytest.raises(AssertionError):
        attacks.assert_lowest(step)


@pytest.mark.parametrize(
    "step",
    [
        wrong(
            lambda x, lo, hi, w, y, eps: sp.Min(sp.Max(x + eps * y * sp.sign(w), lo), hi) - x, "sign flipped"
        ),
        wrong(lambda x, lo, hi, w, y, eps: -eps * y * sp.sign(w), "no clipping"),
        wrong(lambda x, lo, hi, w, y, eps: sp.Max(x - eps * y * sp.sign(w), lo) - x, "one side clipped"),
        wrong(lambda x, lo, hi, w, y, eps: sp.Integer(0), "no step"),
    ],
)
def test_no_other_step_passes_for_boxed_fgs(step: attacks_boxed.BoxedStep) -> None:
    with pytest.raises(AssertionError):
        attacks_boxed.assert_lowest_in_box(step)


@pytest.mark.parametrize(
    "step",
    [
        wrong(lambda w, f, V: f * w / V, "sign flipped"),
        wrong(lambda w, f, V: -f * w / sp.sqrt(V), "norm not squared"),
        wrong(lambda w, f, V: -2 * f * w / V, "twice as far"),
        wrong(lambda w, f, V: -f * sp.sign(w) / V, "sign of the gradient"),
    ],
)
def test_no_other_step_passes_for_the_projection(step: Callable[..., sp.Expr]) -> None:
    with pytest.raises(AssertionError):
        distances.assert_projection(step)


@pytest.mark.parametrize(
    "step",
    [
        wrong(lambda u, q: sp.sign(u) * sp.Abs(u) ** q, "exponent q"),
        wrong(lambda u, q: -sp.sign(u) * sp.Abs(u) ** (q - 1), "sign flipped"),
        wrong(lambda u, q: sp.sign(u), "the sign, whatever q"),
    ],
)
def test_no_other_step_passes_for_the_steepest(step: norms.Step) -> None:
    with pytest.raises(AssertionError):
        norms.assert_steepest(step)


@pytest.mark.parametrize(
    "clip",
    [
        wrong(lambda a, lo, hi: sp.Max(a, lo), "one side only"),
        wrong(lambda a, lo, hi: sp.Max(sp.Min(a, lo), hi), "Min and Max exchanged"),
        wrong(lambda a, lo, hi: lo, "always the lower end"),
    ],
)
def test_no_other_clip_passes_for_the_projection_on_an_interval(clip: Callable[..., sp.Expr]) -> None:
    with pytest.raises(AssertionError):
        attacks_boxed.assert_clip_is_projection(clip)


@pytest.mark.parametrize(
    "multiplier",
    [
        wrong(lambda f, V, c: sp.Max(c / 2, f / V), "Max for Min"),
        wrong(lambda f, V, c: sp.Min(c, f / V), "c for c / 2"),
        wrong(lambda f, V, c: f / V, "always at the boundary"),
        wrong(lambda f, V, c: -sp.Min(c / 2, f / V), "sign flipped"),
    ],
)
def test_no_other_minimiser_passes_for_the_penalty(multiplier: Callable[..., sp.Expr]) -> None:
    with pytest.raises(AssertionError):
        attacks_boxed.assert_penalty_minimiser(multiplier)


def naive_projection_then_clip(normal: Vector, gap: Fraction, low: Vector, high: Vector) -> Vector | None:
    """What a DeepFool does that ignores the box and clips afterwards."""
    found = attacks_boxed.shortest_in_box(normal, gap, low, high)
    square = sum(n * n for n in normal)
    if found is None or not square:
        return found
    free = tuple(gap * n / square for n in normal)
    return tuple(min(max(v, lo), h) for v, lo, h in zip(free, low, high, strict=True))


def greedy(normal: Vector, gap: Fraction, low: Vector, high: Vector) -> Vector | None:
    """Use up one coordinate after the other: feasible, but longer."""
    if attacks_boxed.shortest_in_box(normal, gap, low, high) is None:
        return None
    step, left = [], gap
    for n, lo, h in zip(normal, low, high, strict=True):
        move = min(max(left / n, lo), h) if n else Fraction(0)
        step.append(move)
        left -= n * move
    return tuple(step)


@pytest.mark.parametrize("solve", [naive_projection_then_clip, greedy, lambda *_: None])
def test_no_other_solver_passes_for_the_shortest_step_in_a_box(
    solve: Callable[[Vector, Fraction, Vector, Vector], Vector | None],
) -> None:
    with pytest.raises(AssertionError):
        attacks_boxed.assert_shortest(solve)


@pytest.mark.parametrize(
    ("module", "name", "value", "label"),
    [
        (norms, "young_gap", lambda a, b, p: a**p / p + b**p / p - a * b, "lem-young"),
        (norms, "young_gap", lambda a, b, p: a**p + b ** (p / (p - 1)) - a * b, "lem-young"),
        (distances, "sign", lambda a: -((a > 0) - (a < 0)), "prop-distance-classes"),
        (distances, "l1", lambda v: 2 * sum(map(abs, v)), "prop-distance-classes"),
    ],
)
def test_a_wrong_ingredient_turns_the_claim_red(
    monkeypatch: pytest.MonkeyPatch, module: object, name: str, value: object, label: str
) -> None:
    monkeypatch.setattr(module, name, value)
    assert claims.run(label).error is not None


@pytest.mark.parametrize("label", ["prop-fgs-binary-optimal", "prop-rfgs"])
def test_an_fgs_with_the_sign_flipped_turns_its_claims_red(
    monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    monkeypatch.setattr(attacks, "fgs_step", lambda w, y, eps: eps * y * sp.sign(w))
    assert claims.run(label).error is not None


rationals = st.fractions(min_value=-5, max_value=5, max_denominator=8)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
@given(data=st.data(), dimension=st.integers(1, 6), gap=st.fractions(Fraction(1, 8), 8, max_denominator=8))
def test_the_code_crosses_where_the_exact_solution_does(
    data: st.DataObject, dimension: int, gap: Fraction
) -> None:
    """`cross`, in floating point, against `shortest_in_box`, in rationals, with and without the box."""
    normal = vector(data.draw(st.lists(rationals, min_size=dimension, max_size=dimension)))
    unit = st.fractions(0, 1, max_denominator=8)
    x = vector(data.draw(st.lists(unit, min_size=dimension, max_size=dimension)))
    most = sum((n * ((1 - v) if n > 0 else -v) for n, v in zip(normal, x, strict=True)), Fraction(0))
    assume(most != gap)  # just reachable: rounding may say either
    exact = attacks_boxed.shortest_in_box(normal, gap, tuple(-v for v in x), tuple(1 - v for v in x))
    arguments = [torch.tensor([float(v) for v in a], dtype=torch.float64) for a in (x, normal, (gap,))]
    found = cross(arguments[0], arguments[1], arguments[2].squeeze(0), (0.0, 1.0))
    if exact is None:
        assert not found.isfinite().any()
    else:
        assert torch.allclose(found, torch.tensor([float(v) for v in exact], dtype=torch.float64), atol=1e-9)
    if any(normal):
        free = cross(arguments[0], arguments[1], arguments[2].squeeze(0), None)
        square = sum(n * n for n in normal)
        expected = torch.tensor([float(gap * n / square) for n in normal], dtype=torch.float64)
        assert torch.allclose(free, expected, atol=1e-12)
