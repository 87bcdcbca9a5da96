"""The symbols of the chapters on random masks, and the cases in which their formulas are evaluated.

Every value of a case comes from a definition, by enumeration of all masks of a small network in exact
arithmetic, none from the bound that is claimed. ``L_q`` on the page is the Lipschitz constant of the masked
network; the mean of ``L_2`` is rounded down by less than 10^-30.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, operator
from sparse_robust.theory.mask_bounds import all_paths, norm_product_power, path_norm
from sparse_robust.theory.mask_enumeration import expectation, kept_sums, mask_shapes
from sparse_robust.theory.masks import eta, xi
from sparse_robust.theory.networks import Array, ReluNet

from .cases import AllMasks, random_cases, tight_cases

J, Q, DEPTH = sp.symbols("j q d", integer=True)
ALPHA_OF, WIDTH = sp.IndexedBase(r"\alpha", real=True), sp.IndexedBase("n", real=True)
XI = sp.IndexedBase(r"\xi", real=True)
ETA, ETA_STAR = sp.Symbol(r"\eta", real=True), sp.Symbol(r"\eta^*", real=True)
MEAN_L, CONSTANT = sp.IndexedBase(r"\mathbb{E} L", real=True), sp.IndexedBase("c", real=True)
READOUT, WEIGHT = sp.Symbol("c"), sp.IndexedBase("W'")
PATH_NORM = sp.Symbol(r"\mathrm{PN}", real=True)
MEAN_PATH_NORM = sp.Symbol(r"\mathbb{E}\,\mathrm{PN}(M)", real=True)
VARIANCE = sp.Symbol(r"\mathrm{Var}\,\mathrm{PN}(M)")
MOMENT, MEAN_OUTER = sp.IndexedBase("S", real=True), sp.Symbol(r"\mathbb{E}\, v v^T")
ETA_RECURSION = sp.Eq(XI[J], (ALPHA_OF[J] + (1 - ALPHA_OF[J]) * XI[J - 1]) ** WIDTH[J - 1])
ETA_LAST = sp.Eq(ETA, XI[DEPTH - 1] ** WIDTH[DEPTH - 1])
"""Theorem A's recursion."""
KEPT = sp.Product(1 - ALPHA_OF[J], (J, 1, DEPTH - 1))
"""The probability that a given path is open."""

ENTRIES = operator("Entries", r"\lVert {0} \rVert_1", lambda v: abs(v).sum())
LENGTH = operator("Length", r"\lVert {0} \rVert_2", lambda v: sp.sqrt(sp.Rational((v**2).sum())))
COLUMNS = operator(
    "Columns", r"\max_u \sum_{{u'}} \bigl|{0}[u', u]\bigr|", lambda w: Fraction(abs(w).sum(0).max())
)
FROBENIUS = operator("Frobenius", r"\lVert {0} \rVert_F", lambda w: sp.sqrt(sp.Rational((w**2).sum())))
OUTER = operator("Outer", "|{0}|\\, |{0}|^T", lambda v: np.outer(abs(v), abs(v)))
SANDWICH = operator("Sandwich", r"|{0}|\, {1}\, |{0}|^T", lambda w, s: abs(w) @ s @ abs(w).T)
DIAGONAL = operator(
    "Diagonal",
    r"\mathrm{{diag}}\bigl(|{0}|^{{\circ 2}}\, \mathrm{{diag}}\, {1}\bigr)",
    lambda w, s: _diagonal(w**2 @ np.diagonal(s)),
)
TRACE = operator("Trace", r"\mathrm{{tr}}\, {0}", np.trace)
TOTAL = operator("AllEntries", "1^T {0}\\, 1", lambda s: s.sum())


def _diagonal(entries: Array) -> Array:
    matrix = np.full((len(entries), len(entries)), Fraction(0), dtype=object)
    np.fill_diagonal(matrix, entries)
    return matrix


def by_layer(depth: int, values: Any) -> dict[int, Any]:
    """Values of layers 1, ..., d - 1 under their numbers."""
    return dict(zip(range(1, depth), values, strict=True))


def mean_over(net: ReluNet, alphas: list[Fraction], value: Any) -> Any:
    """E value(masked network), by enumeration."""
    shapes = mask_shapes(net)
    return expectation(shapes, kept_sums(shapes, lambda masks: value(net.masked(masks))), alphas)


def second_moments_by_enumeration(net: ReluNet, alphas: list[Fraction]) -> dict[int, Array]:
    """S_j = E v_j v_j^T for the vector of all paths from layer j on, j = 0, ..., d - 1."""
    depth = len(net.widths)
    moments = {depth - 1: np.outer(abs(net.readout), abs(net.readout))}
    for j in range(depth - 1):
        upper = ReluNet(net.weights[j:], net.readout)
        moments[j] = mean_over(
            upper, alphas[j:], lambda masked: np.outer(all_paths(masked), all_paths(masked))
        )
    return moments


def mask_case(case: AllMasks, alphas: list[Fraction], q: int, j: int) -> Case:
    """What Theorems A to C speak of, for a network under all its masks; j is the layer of a recursion."""
    net, mean = case.net, case.mean(alphas)
    depth = len(net.widths)
    moments = second_moments_by_enumeration(net, alphas)
    return {
        J: j,
        Q: q,
        DEPTH: depth,
        ALPHA_OF: by_layer(depth, alphas),
        WIDTH: dict(enumerate(net.widths)),
        WEIGHT: by_layer(depth, net.weights),
        READOUT: net.readout,
        XI: dict(enumerate(xi(net.widths, alphas))),
        ETA: eta(net.widths, alphas),
        ETA_STAR: mean.cut_off,
        MEAN_L: {1: mean.l_1, 2: mean.l_2},
        CONSTANT: {1: norm_product_power(net, q=1), 2: sp.sqrt(sp.Rational(norm_product_power(net, q=2)))},
        PATH_NORM: path_norm(net),
        MEAN_PATH_NORM: mean.path_norm,
        VARIANCE: mean.path_norm_squared - mean.path_norm**2,
        MOMENT: moments,
        MEAN_OUTER: moments[0],
    }


@cache
def mask_cases() -> list[Case]:
    """Random networks and tight ones, at several sparsities, for both norms."""
    return list(_mask_cases())


def _mask_cases() -> Iterator[Case]:
    for case, grid in (*tight_cases(), *random_cases()):
        for alphas in grid:
            for q, j in product((1, 2), range(1, len(case.net.widths))):
                yield mask_case(case, alphas, q, j)
