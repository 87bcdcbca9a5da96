"""Lemma 3.1: induced norms and what transposing does, the lemma repaired, and the lemma as the paper has
it."""

from __future__ import annotations

from itertools import product
from math import inf
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Largest, Total, chain, operator
from sparse_robust.proofs.foundations.norms import SIGN_BRANCHES
from sparse_robust.proofs.foundations.notation import NORM, Q, p_norm
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.kinks import attained_patterns
from sparse_robust.theory.lipschitz import induced_norm, layer_product, lipschitz_power

from . import segments as _segments  # registers its statements before these
from .cases import (
    DEPTH,
    GRADIENT,
    L_Q,
    NET,
    PLACE,
    READOUT,
    STATES,
    SUM,
    TRANSPOSED,
    WEIGHTS,
    J,
    lemma_case,
    over_ball,
    random_cases,
    tight_cases,
)

PAPER = "paper, Lemma 3.1, equation (10)"
ROUNDING = 1 + 1e-9
"""Room for rounding where a norm is not rational."""

PRODUCT = sp.Product(STATES(J, PLACE) * WEIGHTS(NET, J), (J, 1, DEPTH - 1))
READ_TRANSPOSED = sp.Product(STATES(J, PLACE) * TRANSPOSED(NET, J), (J, 1, DEPTH - 1))
backward = _segments.backward


def lemma_cases() -> list[Case]:
    """Random networks and tight ones, for q = 1 and infinity."""
    nets = [*tight_cases(), *random_cases(seed=45, count=12)]
    return [lemma_case(net, ball, q) for net, ball in nets for q in (1, inf)]


def layer_bound(norm: sp.Expr, active: sp.Expr, length: sp.Expr) -> sp.Expr:
    """The bound for || W D v ||: ||W|| ||D|| ||v||."""
    return norm * active * length


def by_definition(w: np.ndarray, q: Any) -> Any:
    """The largest ||W v||_q over the unit ball: at a corner of it, or from the eigenvalues of W^T W."""
    if q == 2:
        gram = sp.Matrix(w.T @ w)
        return sp.sqrt(max(gram.eigenvals(), key=lambda value: value.evalf()))
    ends = np.eye(w.shape[1], dtype=int) if q == 1 else np.array(list(product((-1, 1), repeat=w.shape[1])))
    return max(p_norm(w @ v, q) for v in ends.astype(object))


A, M, V, D = (sp.Symbol(name) for name in ("A", "W", "v", "D"))
ROW, COLUMN = sp.symbols("i u", integer=True)
INDUCED = operator("Induced", r"\lVert {0} \rVert_{{{1} \to {1}}}", by_definition, nonnegative=True)
ONCE = operator("Once", "{0} {1}", lambda w, v: w @ v)
TWICE = operator("Twice", "{0} {1} {2}", lambda a, w, v: a @ (w @ v))
AT = operator("At", "{0}_{{{1} {2}}}", lambda w, i, u: w[int(i), int(u)], real=True)
FLIPPED = operator("Turned", "{0}^T", lambda w: w.T)


def norms_case(
    a: object, w: object, v: object, q: object, states: tuple[tuple[int, ...], ...] = ((1, 0), (0, 0))
) -> Case:
    """Two matrices, a vector, the states of two units, and q."""
    left, right = (np.array(m, dtype=object) for m in (a, w))
    return {
        A: left,
        M: right,
        V: np.array(v, dtype=object),
        D: np.array(states, dtype=object),
        ROW: range(len(right)),
        COLUMN: range(right.shape[1]),
        J: range(len(states)),
        Q: q,
    }


def norms_cases() -> list[Case]:
    """All bounds attained for each q, in between strictly; no unit active; wide and tall matrices."""
    turn, shear, wide = ((1, 1), (1, -1)), ((2, 1), (0, 1)), ((1, -2, 3), (0, 4, -1))
    exact = [norms_case(turn, turn, v, q) for q, v in ((1, (1, 0)), (sp.oo, (1, 1)), (2, (3, -1)))]
    qs = (1, 2, sp.oo)
    loose = [norms_case(turn, shear, (1, -2), q, ((0, 0), (0, 0))) for q in qs]
    return [*exact, *loose, *(norms_case(shear, wide, (1, 0, -1), q) for q in qs)]


@statement(
    "lem-induced-norms",
    kind="lemma",
    title="Induced norms, and what transposing does",
    source="folklore",
    status="kernel proved, glue argued",
    uses=("lem-cauchy-schwarz",),
    claims={
        "product": chain(
            NORM(TWICE(A, M, V), Q),
            sp.Le,
            INDUCED(A, Q) * NORM(ONCE(M, V), Q),
            sp.Le,
            INDUCED(A, Q) * INDUCED(M, Q) * NORM(V, Q),
        ),
        "columns": sp.Eq(INDUCED(M, 1), Largest(Total(sp.Abs(AT(M, ROW, COLUMN)), ROW), COLUMN)),
        "rows": sp.Eq(INDUCED(M, sp.oo), Largest(Total(sp.Abs(AT(M, ROW, COLUMN)), COLUMN), ROW)),
        "exchange": sp.Eq(INDUCED(M, 1), INDUCED(FLIPPED(M), sp.oo)),
        "spectral": sp.Eq(INDUCED(M, 2), INDUCED(FLIPPED(M), 2)),
        "states": sp.Eq(INDUCED(D, Q), Largest(AT(D, J, J), J)),
    },
    cases=norms_cases,
)
def induced_norms(columns: sp.Eq, rows: sp.Eq, **_: sp.Basic) -> None:
    r"""Let $\lVert W \rVert_{q \to q} = \max_{v \ne 0} \lVert W v \rVert_q / \lVert v \rVert_q$. Then

    $$<<product>> .$$

    The induced norms are the largest column sum and the largest row sum of absolute values,

    $$<<columns>>, \qquad <<rows>> .$$

    So $<<exchange>>$, while $<<spectral>>$. A diagonal matrix of zeros and ones has norm 1, or 0 if all are
    zeros: $<<states>>$.
    """
    # The first line is the definition, for A and W v, then for W and v. The sums: |sum_u a_u| is s sum_u a_u
    # with s = 1 or -1, at most sum_u |a_u| term by term.
    for term in SIGN_BRANCHES:
        assert all((sp.Abs(term) - sign * term).is_nonnegative for sign in (1, -1))
    size = sp.Symbol("m", integer=True, positive=True)
    entry, slack = sp.IndexedBase("v", nonnegative=True), sp.IndexedBase("s", nonnegative=True)
    largest = sp.Symbol("S", nonnegative=True)
    # ||W v||_1 <= sum_u |v_u| (column sum)_u, each column sum is the largest one less some slack
    span = (COLUMN, 1, size)
    total, less = sp.Sum(entry[COLUMN], span), sp.Sum(entry[COLUMN] * (largest - slack[COLUMN]), span)
    assert sp.simplify((largest * total - less).expand() - sp.Sum(entry[COLUMN] * slack[COLUMN], span)) == 0
    # |(W v)_i| <= sum_u |W_iu| |v_u| with |v_u| = ||v||_inf - s_u
    weight = sp.IndexedBase("w", nonnegative=True)
    total, less = sp.Sum(weight[COLUMN], span), sp.Sum(weight[COLUMN] * (largest - slack[COLUMN]), span)
    assert sp.simplify((largest * total - less).expand() - sp.Sum(weight[COLUMN] * slack[COLUMN], span)) == 0
    for w in SIGN_BRANCHES:  # attained for the signs of the row; and a unit vector picks its column
        assert w * sp.sign(w) == sp.Abs(w)
    # row u of W^T is column u of W: the sums exchange their roles
    count = sp.Symbol("n", integer=True, positive=True)
    matrix = sp.MatrixSymbol("W", count, size)
    assert matrix.T[COLUMN, ROW] == matrix[ROW, COLUMN]
    entries = {AT(M, ROW, COLUMN): sp.Abs(matrix[ROW, COLUMN])}
    assert columns.rhs.body.body.subs(entries) == rows.rhs.body.body.subs(entries)
    # ||W v||^2 = v . W^T W v <= ||v|| ||W^T|| ||W v|| (lem-cauchy-schwarz): divide by ||v|| ||W v||
    image, vector, back = sp.symbols("Wv v WT", positive=True)
    assert sp.simplify((vector * back * image - image**2) / (vector * image) - (back - image / vector)) == 0
    for case in norms_cases():  # and this is what the code computes
        for w in (case[A], case[M]):
            assert all(induced_norm(w, q) == by_definition(w, sp.oo if q == inf else q) for q in (1, inf))
            assert abs(induced_norm(w.astype(float), 2) - float(by_definition(w, 2))) < 1e-9


@statement(
    "lem-3-1-repaired",
    kind="lemma",
    title="The product of norms, for every $q$",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-regions", "lem-induced-norms"),
    claims={"bound": chain(L_Q, sp.Le, over_ball(GRADIENT(PLACE)), sp.Le, READOUT(NET) * over_ball(PRODUCT))},
    cases=lemma_cases,
)
def lemma_repaired(bound: tuple[sp.Le, ...]) -> None:
    r"""Let $1 \le q \le \infty$, $\frac1p + \frac1q = 1$, and let $h = g_a - g_k$ be a ReLU network of any
    depth, with or without biases, $c = w_a - w_k$. On the closed ball $B = B_p(x, R)$, $R > 0$,

    $$<<bound>> .$$

    The norms of the matrices are those of $q$, not of $p$: column sums for $q = 1$. The same holds without a
    ball. Both maxima are over finitely many values.
    """
    # The first step: a region that meets the interior of B has a point there, whose pattern is its own; the
    # maximum in the middle also sees patterns at kinks. The second: with v_{j-1} = W_j D_j v_j and
    # ||v_j|| <= b_j, that is ||v_j|| = b_j - s, one more layer (lem-induced-norms) costs two factors.
    norm, active, before, slack = sp.symbols("W D b s", nonnegative=True)
    layer = sp.expand(layer_bound(norm, active, before) - layer_bound(norm, active, before - slack))
    assert layer.is_nonnegative
    norms, states, length = sp.symbols("W1:4"), sp.symbols("D1:4"), sp.Symbol("C", nonnegative=True)
    reached = length
    for w, d in zip(reversed(norms), reversed(states), strict=True):
        reached = layer_bound(w, d, reached)
    assert sp.expand(reached - length * sp.prod(w * d for w, d in zip(norms, states, strict=True))) == 0
    kinks = 0
    for net, ball in [*tight_cases(), *random_cases(seed=45, count=12)]:
        exact = {q: lipschitz_power(net, ball, q=q) for q in (1, 2)}
        squares = [norm_power(net.gradient(pattern), 2) for pattern in attained_patterns(net, ball)]
        assert exact[2] <= max(squares) <= layer_product(net, q=2) ** 2 * ROUNDING  # q = 2, rounded
        kinks += exact[1] < max(norm_power(net.gradient(p), 1) for p in attained_patterns(net, ball))
    assert kinks  # the middle term can exceed the constant


@statement(
    "lem-3-1",
    kind="lemma",
    title="GZZC Lemma 3.1, with the norm transposed for $q = 1$",
    source=PAPER,
    status="kernel proved, glue argued",
    uses=("lem-3-1-repaired", "lem-induced-norms", "err-transposed"),
    claims={"bound": sp.Le(L_Q, READOUT(NET) * over_ball(READ_TRANSPOSED))},
    cases=lemma_cases,
)
def lemma_3_1(bound: sp.Le) -> None:
    r"""In the words of the paper: "Let $\frac1p + \frac1q = 1$, then for any $x \in \mathbb{R}^n$, $k \in
    \{1, \dots, c\}$ and $q \in \{1, 2\}$, the local Lipschitz constant of function $g_{\hat y}(x) - g_k(x)$
    satisfies"

    $$L_{q,x}^k \le \lVert w_{\hat y} - w_k \rVert_q \sup_{x' \in B_p(x, R)}
      \prod_{j=1}^{d-1} \bigl( \lVert D_j(x') \rVert_p \lVert W_j \rVert_p \bigr).$$

    With the usual $\lVert W_j \rVert_\infty$, the largest row sum, this is false for $q = 1$
    ({prf:ref}`err-transposed`). True for every $q$ is, with $c = w_{\hat y} - w_k$,

    $$<<bound>>,$$

    which for $q = 2$ is what the paper says, as transposing does not change the spectral norm.
    """
    # ||W||_{q->q} = ||W^T||_{p->p}, entry by entry of the matrix; D is its own transpose, of norm 0 or 1
    rows, columns = sp.symbols("n m", integer=True, positive=True)
    u, i = sp.Symbol("u", integer=True), sp.Symbol("i", integer=True)
    w = sp.MatrixSymbol("W", rows, columns)
    column = sp.Sum(sp.Abs(w[i, u]), (i, 0, rows - 1))
    row_of_transpose = sp.Sum(sp.Abs(w.T[u, i]), (i, 0, rows - 1))
    assert column == row_of_transpose
    for net, ball in [*random_cases(seed=46, count=12), (SUM, None)]:  # q = 2, rounded
        assert float(lipschitz_power(net, ball, q=2)) <= layer_product(net, q=2) ** 2 * ROUNDING
