"""Both sides of Theorem 3.2 for one distribution and one classifier, in rationals or between two of them."""

from __future__ import annotations

from fractions import Fraction

from sparse_robust.theory.laws import Dual, FiniteLaw, Multiclass, dot, l2_squared, ratio, sqrt_bounds


def class_terms(law: FiniteLaw, model: Multiclass) -> list[tuple[int, Fraction, FiniteLaw]]:
    """(k, pi_k t_k, the law given y = yhat = k) for each k that is ever correct."""
    masses = [(k, law.probability(model.correct_as(k))) for k in law.labels]
    return [(k, mass, law.given(model.correct_as(k))) for k, mass in masses if mass]


def quotient(
    score: Fraction, v: tuple[Fraction, ...], dual: Dual, digits: int = 50
) -> tuple[Fraction, Fraction]:
    """Rational bounds for score / ||v||, exact where the norm is rational."""
    if dual != "2":
        return (ratio(score, v, dual),) * 2
    low, high = sqrt_bounds(l2_squared(v), digits)
    return min(score / low, score / high), max(score / low, score / high)


def expected_radius(law: FiniteLaw, model: Multiclass, dual: Dual) -> tuple[Fraction, Fraction]:
    """E 1[y = yhat] min_e (v_e.x + beta_e) / ||v_e||, which is r_2 for the Euclidean norm: lower, upper."""
    low = high = Fraction(0)
    for a in law.atoms:
        if model.correct(a.label, a.x):
            bounds = [quotient(dot(v, a.x) + beta, v, dual) for v, beta in model.rivals(a.label)]
            low, high = low + a.mass * min(b[0] for b in bounds), high + a.mass * min(b[1] for b in bounds)
    return low, high


def printed(law: FiniteLaw, model: Multiclass, dual: Dual) -> tuple[Fraction, Fraction]:
    """sum_k pi_k t_k ((w_k - wbar).mu_k + b_k - bbar) / ||w_k - wbar||: lower, upper."""
    low = high = Fraction(0)
    for k, mass, given in class_terms(law, model):
        v, beta = model.centred(k)
        bounds = quotient(dot(v, given.mean()) + beta, v, dual)
        low, high = low + mass * bounds[0], high + mass * bounds[1]
    return low, high


def sharper(law: FiniteLaw, model: Multiclass, dual: Dual) -> tuple[Fraction, Fraction]:
    """sum_k pi_k t_k min_e (v_e.mu_k + beta_e) / ||v_e||: lower, upper."""
    low = high = Fraction(0)
    for k, mass, given in class_terms(law, model):
        bounds = [quotient(dot(v, given.mean()) + beta, v, dual) for v, beta in model.rivals(k)]
        low, high = low + mass * min(b[0] for b in bounds), high + mass * min(b[1] for b in bounds)
    return low, high
