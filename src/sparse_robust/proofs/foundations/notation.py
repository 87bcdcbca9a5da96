"""The symbols of the chapters on threat models and attacks: vectors, their norms and entries.

Values are object arrays of fractions or of sympy's numbers, so that nothing is rounded. A vector may be the
index of a minimum, a maximum or of "for every": a case then gives it finitely many values, the extreme ones
among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import operator, sign
from sparse_robust.theory.laws import l1, l2_squared


def array(v: Iterable[Any]) -> np.ndarray:
    """A vector on which the formulas' sums and multiples act."""
    return np.array(list(v), dtype=object)


def fractions(*values: object) -> np.ndarray:
    """A vector of these numbers, exactly."""
    return array(Fraction(str(v)) for v in values)


def p_norm(v: np.ndarray, p: Any) -> Any:
    """||v||_p for p > 0, infinity among them (and by the same formula for p < 0, where it is no norm)."""
    if p == sp.oo:
        return max(map(abs, v))
    exponent = sp.sympify(p)
    return sum((sp.sympify(abs(x)) ** exponent for x in v), sp.Integer(0)) ** (1 / exponent)


def _euclidean(v: np.ndarray) -> sp.Expr:
    return sp.sqrt(sp.Rational(l2_squared(tuple(v))))


INNER = operator("Inner", "{a}^T {b}", lambda u, v: u @ v, real=True)
L1 = operator("L1", r"\lVert {0} \rVert_1", lambda v: l1(tuple(v)), real=True, nonnegative=True)
L2 = operator("L2", r"\lVert {0} \rVert_2", _euclidean, real=True, nonnegative=True)
LINF = operator("LInf", r"\lVert {0} \rVert_\infty", lambda v: max(map(abs, v)), real=True, nonnegative=True)
NORM = operator("Norm", r"\lVert {0} \rVert_{{{1}}}", p_norm, real=True, nonnegative=True)
COUNT = operator("Count", r"\lVert {0} \rVert_0", lambda v: sum(x != 0 for x in v), real=True)
SGN = operator("Sgn", r"\mathrm{{sgn}}({0})", lambda v: array(map(sign, v)), real=True)
ENTRY = operator("Entry", r"{0}_{{{1}}}", lambda v, i: v[int(i)], real=True)
INSIDE = operator(
    "Inside",
    r"{0} \in [{1}, {2}]^n",
    lambda v, low, high: all(low <= x <= high for x in v),
    base=sp.logic.boolalg.BooleanFunction,
)

U, V, W = (sp.Symbol(name, real=True) for name in "uvw")
X, B, Y = (sp.Symbol(name, real=True) for name in "xby")
DELTA, STEP = sp.Symbol("delta", real=True), sp.Symbol(r"\delta^*", real=True)
X_FGS, Y_HAT = sp.Symbol(r"\check x", real=True), sp.Symbol(r"\hat y", real=True)
EPS = sp.Symbol("epsilon", real=True)
P, Q = sp.symbols("p q", extended_real=True)
F = sp.Symbol("f(x)", real=True)
INDEX, NEXT, K, E = sp.symbols("i j k e", integer=True)
C = sp.Symbol("c", integer=True, positive=True)
R_2, R_INF = sp.Symbol("r_2", real=True), sp.Symbol(r"r_\infty", real=True)
W_OF, B_OF = sp.IndexedBase("w", real=True), sp.IndexedBase("b", real=True)

SCORE = INNER(W, X) + B
SCORED = sp.Eq(F, SCORE)
DUAL = sp.Eq(1 / P + 1 / Q, 1)
FINITE_DUAL = operator("Finite", r"1 \le {0} < \infty", lambda q: 1 <= q < sp.oo)(Q)
"""1 < p <= infinity, where the steepest step has one formula."""
LABEL = sp.Eq(Y**2, 1)


def written(*entries: object) -> sp.Expr:
    """A vector as the page shows it, (1, 2)."""
    slots = ", ".join(f"{{{i}}}" for i in range(len(entries)))
    return operator("Written", f"({slots})", lambda *v: array(v))(*map(sp.sympify, entries))


def matrix(*rows: tuple[object, ...]) -> sp.Expr:
    """A matrix as the page shows it."""
    entries = iter(f"{{{i}}}" for i in range(sum(map(len, rows))))
    body = r" \\ ".join(" & ".join(next(entries) for _ in row) for row in rows)
    look = rf"\begin{{{{pmatrix}}}} {body} \end{{{{pmatrix}}}}"
    shape = (len(rows), len(rows[0]))
    values = [sp.sympify(entry) for row in rows for entry in row]
    return operator("Matrix", look, lambda *v: array(v).reshape(shape))(*values)


def corners(dimension: int, radius: Any) -> list[np.ndarray]:
    """The corners of the cube of this radius, where linear functions have their extrema."""
    return [array(s * radius for s in signs) for signs in product((-1, 1), repeat=dimension)]
