"""The symbols of the Gaussian chapter, and the cases in which its formulas are evaluated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, operator

SIGMA, EPS = sp.symbols("sigma epsilon", positive=True)
A = sp.Symbol("A", real=True)
W, M = sp.Symbol("w", real=True), sp.Symbol("m", real=True)
R_2, R_INF = sp.Symbol("r_2", real=True), sp.Symbol(r"r_\infty", real=True)

Array = np.ndarray[Any, Any]


def exact(*values: object) -> Array:
    """A vector of sympy's rationals."""
    return np.array([sp.Rational(str(v)) for v in values], dtype=object)


def norm_1(v: Array) -> sp.Expr:
    """||v||_1."""
    return sum(map(abs, v), sp.Integer(0))


def norm_2(v: Array) -> sp.Expr:
    """||v||_2."""
    return sp.sqrt(sum((x**2 for x in v), sp.Integer(0)))


def soft(v: Array, eps: sp.Expr) -> Array:
    """sgn(v) (|v| - eps)_+, entry by entry."""
    return np.array([sp.sign(x) * sp.Max(abs(x) - eps, 0) for x in v], dtype=object)


def _function(name: str, template: str, value: Callable[..., Any]) -> type[sp.Function]:
    return operator(name, template, value, real=True)


def clip(v: Array, eps: sp.Expr) -> Array:
    """Every entry moved into [-eps, eps]."""
    return np.array([sp.Max(sp.Min(x, eps), -eps) for x in v], dtype=object)


INNER = _function("InnerProduct", "{a}^T {b}", lambda u, v: u @ v)
NORM_1 = _function("OneNorm", r"\lVert {0} \rVert_1", norm_1)
NORM_2 = _function("TwoNorm", r"\lVert {0} \rVert_2", norm_2)
NORM_INF = _function("MaxNorm", r"\lVert {0} \rVert_\infty", lambda v: max(map(abs, v)))
CLIP = _function("Clip", r"\mathrm{{clip}}({0}, -{1}, {1})", clip)
SOFT = _function("Soft", r"\mathrm{{soft}}_{{{1}}}({0})", soft)
SIGNAL = INNER(W, M) / NORM_2(W)
ROBUST_SIGNAL = (INNER(W, M) - EPS * NORM_1(W)) / NORM_2(W)


def phi(x: sp.Expr) -> sp.Expr:
    """The standard normal density."""
    return sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)


def cdf(x: sp.Expr) -> sp.Expr:
    """The standard normal distribution function."""
    return (1 + sp.erf(x / sp.sqrt(2))) / 2


PHI, CDF = (
    _function("Density", r"\varphi\left({0}\right)", phi),
    _function("Cdf", r"\Phi\left({0}\right)", lambda x: sp.expand(cdf(sp.sympify(x)))),
)


def r_2_of(signal: sp.Expr) -> sp.Expr:
    """g(A) = A Phi(A / sigma) + sigma phi(A / sigma)."""
    return signal * cdf(signal / SIGMA) + SIGMA * phi(signal / SIGMA)


G = _function("G", "g({0})", lambda a, sigma: sp.expand(r_2_of(a).subs(SIGMA, sigma)))


def antiderivatives(z: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """Of (A + sigma z) phi(z) and of phi(z), both 0 at minus infinity (`lem-gaussian-integrals`)."""
    return A * cdf(z) - SIGMA * phi(z), cdf(z)


def expectation_above(level: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """E (S; S > level) and Pr(S > level) for a score S = A + sigma Z, Z standard normal."""
    mean, share = antiderivatives((level - A) / SIGMA)
    return A - mean, 1 - share


def metrics(w: Array, m: Array, sigma: sp.Expr, eps: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """r_2 and r_inf from their definitions: the mean distance, and the share of scores above the toll."""
    level = sp.Symbol("level", real=True)
    values = {A: w @ m / norm_2(w), SIGMA: sigma}
    mean, share = expectation_above(level)
    r_2, r_inf = mean.subs({**values, level: 0}), share.subs({**values, level: eps * norm_1(w) / norm_2(w)})
    return sp.expand(r_2), sp.expand(r_inf)


def gaussian_case(w: Array, m: Array, sigma: sp.Expr, eps: sp.Expr) -> Case:
    """A direction, the means, and both metrics."""
    r_2, r_inf = metrics(w, m, sigma, eps)
    return {W: w, M: m, SIGMA: sigma, EPS: eps, R_2: r_2, R_INF: r_inf}


MEANS = exact(3, 4, "1/2")
"""Means of the examples: two large coordinates and one below the radius 1 of the attack."""


def gaussian_cases() -> list[Case]:
    """Dense, soft, sparse, reversed and crooked directions for the same means."""
    sigma, eps = sp.Integer(2), sp.Integer(1)
    directions = (MEANS, -MEANS, soft(MEANS, eps), exact(0, 1, 0), exact(2, -1, 2))
    return [gaussian_case(w, MEANS, sigma, eps) for w in directions]
