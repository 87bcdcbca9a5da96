"""Lemma 3.1: induced norms and what transposing does, the lemma repaired, and the lemma as the paper has
it."""

from __future__ import annotations

import random
from math import inf

import sympy as sp

from sparse_robust.proofs.formulas import Case, chain
from sparse_robust.proofs.foundations.norms import SIGN_BRANCHES
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.kinks import attained_patterns
from sparse_robust.theory.lipschitz import induced_norm, layer_product, lipschitz_power
from sparse_robust.theory.networks import fractions

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


@statement(
    "lem-induced-norms",
    kind="lemma",
    title="Induced norms, and what transposing does",
    source="folklore",
    status="kernel proved, glue argued",
    uses=("lem-cauchy-schwarz",),
)
def induced_norms() -> None:
    r"""Let $\lVert W \rVert_{q \to q} = \max_{v \ne 0} \lVert W v \rVert_q / \lVert v \rVert_q$. Then
    $\lVert A W v \rVert_q \le \lVert A \rVert_{q \to q} \lVert W \rVert_{q \to q} \lVert v \rVert_q$.

    $\lVert W \rVert_{1 \to 1}$ is the largest column sum of absolute values,
    $\lVert W \rVert_{\infty \to \infty}$ the largest row sum. So $\lVert W \rVert_{1 \to 1} = \lVert W^T
    \rVert_{\infty \to \infty}$, while $\lVert W \rVert_{2 \to 2} = \lVert W^T \rVert_{2 \to 2}$. A diagonal
    matrix of zeros and ones has norm 1, or 0 if all are zeros.
    """
    # Submultiplicative: ||W v|| = ||W|| ||v|| - s by the definition, ||A (W v)|| = ||A|| ||W v|| - t
    outer, inner, length = sp.symbols("A W v", nonnegative=True)
    s, t = sp.symbols("s t", nonnegative=True)
    twice = outer * (inner * length - s) - t
    assert sp.expand(layer_bound(outer, inner, length) - twice).is_nonnegative
    size, u, i = (
        sp.Symbol("m", integer=True, positive=True),
        sp.Symbol("u", integer=True),
        sp.Symbol("i", integer=True),
    )
    entry, slack = sp.IndexedBase("v", nonnegative=True), sp.IndexedBase("s", nonnegative=True)
    largest = sp.Symbol("S", nonnegative=True)
    # |sum_u a_u| is s sum_u a_u with s = 1 or -1, at most sum_u |a_u| term by term. So
    for term in SIGN_BRANCHES:
        assert all((sp.Abs(term) - sign * term).is_nonnegative for sign in (1, -1))
    # ||W v||_1 <= sum_u |v_u| (column sum)_u, each column sum is the largest one less some slack
    gap = largest * sp.Sum(entry[u], (u, 1, size)) - sp.Sum(entry[u] * (largest - slack[u]), (u, 1, size))
    assert sp.simplify(gap.expand() - sp.Sum(entry[u] * slack[u], (u, 1, size))) == 0
    # |(W v)_i| <= sum_u |W_iu| |v_u| with |v_u| = ||v||_inf - s_u
    weight = sp.IndexedBase("w", nonnegative=True)
    row = largest * sp.Sum(weight[u], (u, 1, size)) - sp.Sum(weight[u] * (largest - slack[u]), (u, 1, size))
    assert sp.simplify(row.expand() - sp.Sum(weight[u] * slack[u], (u, 1, size))) == 0
    for w in SIGN_BRANCHES:  # attained for the signs of the row; and a unit vector picks its column
        assert w * sp.sign(w) == sp.Abs(w)
    rows = sp.Symbol("n", integer=True, positive=True)
    matrix = sp.MatrixSymbol("W", rows, size)
    assert matrix.T[u, i] == matrix[i, u]  # row u of W^T is column u of W
    # ||W v||^2 = v . W^T W v <= ||v|| ||W^T|| ||W v||: divide by ||v|| ||W v||
    image, vector, back = sp.symbols("Wv v WT", positive=True)
    assert sp.simplify((vector * back * image - image**2) / (vector * image) - (back - image / vector)) == 0
    rng = random.Random(44)
    for _ in range(20):
        w = fractions([[rng.randint(-4, 4) for _ in range(3)] for _ in range(2)])
        for q, dual in ((1, inf), (inf, 1)):
            assert induced_norm(w, q) == induced_norm(w.T, dual)
            v = fractions([rng.randint(-4, 4) for _ in range(3)])
            assert norm_power(w @ v, q) <= induced_norm(w, q) * norm_power(v, q)
        columns, sums = abs(w).sum(0), abs(w).sum(1)
        unit = fractions([int(k == columns.argmax()) for k in range(3)])
        assert norm_power(w @ unit, 1) == induced_norm(w, 1)  # both are attained
        signs = fractions([1 if k >= 0 else -1 for k in w[sums.argmax()]])
        assert norm_power(w @ signs, inf) == induced_norm(w, inf)
        assert abs(induced_norm(w, 2) - induced_norm(w.T, 2)) < 1e-9


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
