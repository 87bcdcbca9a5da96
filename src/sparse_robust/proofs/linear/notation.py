"""The symbols of the two linear chapters, and the cases in which their formulas are evaluated.

Every value of a case is computed from a definition (of a metric, a prior, a conditional mean) on a finite
distribution in exact arithmetic; none from a claim. Vectors are object arrays of fractions.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import OUTCOMES, Case, Every, Mean, Pr, indicator, operator
from sparse_robust.proofs.foundations.notation import (
    B_OF,
    EPS,
    INNER,
    L2,
    R_2,
    R_INF,
    W_OF,
    X_FGS,
    Y_HAT,
    B,
    C,
    E,
    K,
    W,
    X,
    Y,
    array,
)
from sparse_robust.proofs.linear.populations import BinaryExample, Example
from sparse_robust.theory.laws import Binary, FiniteLaw, Multiclass, Vector, dot, l1, l2_squared, minus, ratio


def _quotient(s: Any, norm: Any) -> Any:
    """s / norm, and infinity where a positive score has no boundary to reach, as the norm is 0."""
    if norm == 0 and not s > 0:
        raise ZeroDivisionError("0 / 0: neither a score nor a boundary")
    return sp.oo if norm == 0 else s / norm


QUOTIENT = operator("Quotient", r"\frac{{{0}}}{{{1}}}", _quotient, real=True)
X_WEAK, Y_FGS = sp.Symbol("x'", real=True), sp.Symbol(r"\hat y(\check x)", real=True)
Y_WEAK, R_STAR = sp.Symbol(r"\hat y(x')", real=True), sp.Symbol(r"r_\infty^*", real=True)
W_BAR, B_BAR = sp.Symbol(r"\bar w", real=True), sp.Symbol(r"\bar b", real=True)
F, A, Z, T = (sp.Symbol(name, real=True) for name in "faXt")
KAPPA = sp.Symbol(r"\kappa(w)", nonnegative=True)
MU = sp.IndexedBase(r"\mu", real=True)
PRIOR, ACCURACY = sp.IndexedBase("pi", nonnegative=True), sp.IndexedBase("t", nonnegative=True)

_ALL_EQUAL = operator("AllEqual", "{0} = {1} = {2}", lambda y, y_hat, k: y == y_hat == k)
RIGHT = _ALL_EQUAL(Y, Y_HAT, K)
"""The event y = yhat = k."""
EQUAL_ACCURACY = Every(sp.Eq(ACCURACY[K], T), K)


def linear(formula: sp.Expr) -> sp.Expr:
    """The formula with every inner product multiplied out."""

    def spread(u: sp.Expr, v: sp.Expr) -> sp.Expr:
        pairs = ((p, q) for p in sp.Add.make_args(sp.expand(u)) for q in sp.Add.make_args(sp.expand(v)))
        split = ((p.as_coeff_Mul(), q.as_coeff_Mul()) for p, q in pairs)
        return sp.Add(*(p[0] * q[0] * INNER(p[1], q[1]) for p, q in split))

    return sp.expand(formula.replace(INNER, spread))


def pointwise(formula: sp.Basic) -> sp.Basic:
    """What implies a relation between expectations, as they are linear and monotone: the one without them."""
    means = formula.replace(Pr, lambda event, given: indicator(event))
    return means.replace(Mean, lambda body, given: body)


def conditioned(body: sp.Expr) -> sp.Expr:
    """E(1_A X) = Pr(A) E(X | A) with A the event y = yhat = k, whose probability is pi_k t_k."""
    rest = body / indicator(RIGHT)
    assert not rest.has(RIGHT), "the indicator of y = yhat = k is no factor"
    share = PRIOR[K] * ACCURACY[K]
    return share * (Pr(rest.args[0], RIGHT) if isinstance(rest, indicator) else Mean(rest, RIGHT))


def at_mean(formula: sp.Expr) -> sp.Expr:
    """E(f(x) | y = yhat = k) = f(mu_k) for affine f."""

    def moved(body: sp.Expr, given: sp.Basic) -> sp.Expr:
        assert given == RIGHT, "mu_k is the mean given y = yhat = k"
        shift = sp.Symbol("d", real=True)
        change = sp.expand(linear(body.subs(X, X + shift)) - linear(body))
        assert not change.has(X), "not affine: its change under a translation depends on x"
        return body.subs(X, MU[K])

    return formula.replace(Mean, moved)


class _Means(dict[int, np.ndarray]):
    """Conditional means; asking for one of an event that never happens divides by zero."""

    def __missing__(self, k: int) -> np.ndarray:
        raise ZeroDivisionError(f"class {k} is never classified correctly: its mean does not exist")


def plain(formula: sp.Expr) -> sp.Expr:
    """With ordinary fractions, for algebra."""
    return formula.replace(QUOTIENT, lambda score, norm: score / norm)


def _class_values(law: FiniteLaw, model: Binary | Multiclass, classes: Iterable[int]) -> dict[Any, Any]:
    right = {k: law.probability(model.correct_as(k)) for k in classes}
    prior = {k: sum((atom.mass for atom in law.atoms if atom.label == k), Fraction(0)) for k in right}
    return {
        K: tuple(right),
        PRIOR: prior,
        ACCURACY: {k: right[k] / prior[k] if prior[k] else Fraction(0) for k in right},
        MU: _Means({k: array(law.given(model.correct_as(k)).mean()) for k in right if right[k]}),
        T: law.probability(model.correct),
    }


def binary_case(example: BinaryExample) -> Case:
    """What Theorem 3.1 speaks of, for a distribution, a classifier and a radius."""
    law, model, eps = example.law, example.model, example.eps
    norm = L2.value(model.w)
    outcomes = [
        (
            a.mass,
            {
                X: array(a.x),
                Y: a.label,
                Y_HAT: int(sp.sign(model.margin(1, a.x))),
                X_FGS: array(model.attacked(a.label, a.x, eps)),
            },
        )
        for a in law.atoms
    ]
    return {
        **_class_values(law, model, (-1, 1)),
        W: array(model.w),
        B: model.b,
        EPS: eps,
        KAPPA: l1(model.w) / norm if norm else sp.nan,
        R_2: model.r_2_times_norm(law) / norm if norm else sp.nan,
        R_INF: model.r_inf(law, eps),
        OUTCOMES: outcomes,
    }


def multiclass_case(example: Example) -> Case:
    """What Theorem 3.2 speaks of; a prediction of -1 is a tie, which is right for no label."""
    law, model, eps = example.law, example.model, example.eps
    labels = range(len(model.rows))

    def prediction(x: Vector) -> int:
        return next((k for k in labels if model.correct(k, x)), -1)

    def outcome(y: int, x: Vector) -> Case:
        fgs, weak = model.attacked(y, x, eps), model.weakly_attacked(y, x, eps)
        points = {X: array(x), X_FGS: array(fgs), X_WEAK: array(weak)}
        return {**points, Y: y, Y_HAT: prediction(x), Y_FGS: prediction(fgs), Y_WEAK: prediction(weak)}

    return {
        **_class_values(law, model, labels),
        E: tuple(labels),
        C: len(labels),
        W_OF: dict(enumerate(map(array, model.rows))),
        B_OF: {k: model.bias(k) for k in labels},
        W_BAR: sum(map(array, model.rows)) * Fraction(1, len(labels)),
        B_BAR: sum(map(model.bias, labels), Fraction(0)) / len(labels),
        EPS: eps,
        R_2: sum((a.mass * _deepfool_distance(model, a.label, a.x) for a in law.atoms), sp.Integer(0)),
        R_INF: model.r_inf(law, eps),
        OUTCOMES: [(a.mass, outcome(a.label, a.x)) for a in law.atoms],
    }


def _deepfool_distance(model: Multiclass, y: int, x: Vector) -> sp.Expr:
    """||x_tilde - x||_2 with the paper's projection on the nearest boundary; 0 where x is misclassified."""
    gaps = [(dot(v, x) + beta, v) for v, beta in model.rivals(y) if any(v)]
    if not model.correct(y, x):
        return sp.Integer(0)
    if not gaps:
        return sp.oo
    gap, v = min(gaps, key=lambda pair: ratio(pair[0], pair[1], "2"))
    landed = minus(x, tuple(gap * vi / l2_squared(v) for vi in v))
    return L2.value(minus(landed, x))
