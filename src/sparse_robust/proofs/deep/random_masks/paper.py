"""Theorem 3.3 as printed, what it means, and the two theorems that make it true."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache

import numpy as np
import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.mask_bounds import all_paths, norm_product_power
from sparse_robust.theory.mask_enumeration import all_masks, cut_off, expectation, kept_sums
from sparse_robust.theory.masks import eta, eta_star, xi

from .cases import random_cases
from .notation import (
    ALPHA_OF,
    COLUMNS,
    CONSTANT,
    DEPTH,
    ENTRIES,
    ETA,
    ETA_LAST,
    ETA_RECURSION,
    ETA_STAR,
    FROBENIUS,
    LENGTH,
    MEAN_L,
    READOUT,
    WEIGHT,
    WIDTH,
    XI,
    J,
    Q,
    mask_cases,
)
from .percolation import SHAPES, pair_sizes

PAPER = "paper, Theorem 3.3, equations (11) and (12)"


@statement(
    "lem-all-paths",
    kind="lemma",
    title="All paths at once",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-triangle", "lem-cauchy-schwarz", "def-cut-off"),
)
def all_paths_bound() -> None:
    r"""Let $v = |W_1| \cdots |W_{d-1}|\,|c|$, with absolute values entry by entry. Whatever the patterns are,

    $$\bigl|W_1 D_1 \cdots W_{d-1} D_{d-1}\, c\bigr| \le v \ \text{ in every coordinate},$$

    $$\lVert v \rVert_1 \le \lVert c \rVert_1 \prod_j \max_u \sum_{u'} |W_j[u', u]|, \qquad
      \lVert v \rVert_2 \le \lVert c \rVert_2 \prod_j \lVert W_j \rVert_F .$$

    Masking weights lowers every one of these quantities or leaves it, and $v = 0$ if the network is cut off.
    """
    w, z = sp.symbols("w z", real=True)
    for active in (0, 1):  # one term of one layer: |W[i, u] D[u] z[u]| <= |W[i, u]| |z[u]|
        assert (sp.Abs(w) * sp.Abs(z) - sp.Abs(w * active * z)).simplify().is_nonnegative
    # ||  |W| z ||_1 = sum_u z_u (column sum)_u, and each column sum is the largest one less some slack
    size, u = sp.Symbol("m", integer=True, positive=True), sp.Symbol("u", integer=True)
    entry, slack = sp.IndexedBase("z", nonnegative=True), sp.IndexedBase("s", nonnegative=True)
    largest = sp.Symbol("S", nonnegative=True)
    excess = largest * sp.Sum(entry[u], (u, 1, size)) - sp.Sum(entry[u] * (largest - slack[u]), (u, 1, size))
    assert sp.simplify(excess.expand() - sp.Sum(entry[u] * slack[u], (u, 1, size))) == 0
    # || |W| z ||_2^2: Cauchy and Schwarz in each row i, then sum over the rows
    i = sp.Symbol("i", integer=True)
    row, deficit = sp.IndexedBase("R", nonnegative=True), sp.IndexedBase("d", nonnegative=True)
    length = sp.Symbol("Z", nonnegative=True)  # ||z||_2^2
    total = sp.Sum(row[i] * length - deficit[i], (i, 1, size)).expand()
    assert sp.simplify(total - length * sp.Sum(row[i], (i, 1, size)) + sp.Sum(deficit[i], (i, 1, size))) == 0
    # cut off: a term of v_u' is |W[u', u] M[u', u]| v_u, and either factor vanishes all the way down
    below, mask = sp.symbols("v M", nonnegative=True)
    assert (sp.Abs(w) * mask * below).subs(mask, 0) == (sp.Abs(w) * mask * below).subs(below, 0) == 0
    rng = random.Random(79)
    for case, _ in random_cases():
        for masks in list(all_masks(case.shapes))[::7]:
            masked = case.net.masked(masks)
            paths, states = (
                all_paths(masked),
                [np.array(rng.choices((False, True), k=n)) for n in masked.widths[1:]],
            )
            assert (abs(masked.gradient(tuple(states))) <= paths).all()
            assert (paths <= all_paths(case.net)).all()
            assert not (cut_off(masks) and paths.any())
            for q in (1, 2):
                product = norm_product_power(masked, q=q)
                assert norm_power(paths, q) <= product <= norm_product_power(case.net, q=q)


@cache
def cut_off_sums(widths: tuple[int, ...]) -> dict[tuple[int, ...], Fraction]:
    """How many masks of each size cut a network of these widths off."""
    return kept_sums(pair_sizes(widths), lambda masks: Fraction(cut_off(masks)))


def bounded_where_connected(bound: sp.Le, cut_off_probability: sp.Symbol) -> None:
    """E L <= c (1 - p), from L = 0 with probability p and L <= c otherwise: the derivation of A and A+."""
    dead, c, slack = sp.symbols("dead c s", nonnegative=True)
    assert isinstance(bound, sp.Le)
    assert bound.lhs == MEAN_L[Q]
    alive_mean = (1 - dead) * (c - slack)  # 0 where cut off, c - slack on average elsewhere
    gap = bound.rhs.subs({CONSTANT[Q]: c, cut_off_probability: dead}) - alive_mean
    assert sp.expand(gap - (1 - dead) * slack) == 0


RECURSION_BOUND = sp.Le(MEAN_L[Q], CONSTANT[Q] * (1 - ETA))
C_ONE = sp.Eq(CONSTANT[1], ENTRIES(READOUT) * sp.Product(COLUMNS(WEIGHT[J]), (J, 1, DEPTH - 1)))
C_TWO = sp.Eq(CONSTANT[2], LENGTH(READOUT) * sp.Product(FROBENIUS(WEIGHT[J]), (J, 1, DEPTH - 1)))


@statement(
    "thm-a-recursion",
    kind="theorem",
    title="Theorem A: the repaired Theorem 3.3",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-regions", "lem-all-paths", "lem-harris", "def-cut-off"),
    claims={
        "recursion": ETA_RECURSION,
        "last": ETA_LAST,
        "bound": RECURSION_BOUND,
        "c_1": C_ONE,
        "c_2": C_TWO,
    },
    cases=mask_cases,
)
def theorem_a(recursion: sp.Eq, last: sp.Eq, bound: sp.Le, c_1: sp.Eq, c_2: sp.Eq) -> None:
    r"""Fix two classes $a \ne k$ and let $h = g_a - g_k$ be a ReLU network, with or without biases, whose
    weights are $W'_j \circ M_j$, with all entries of the masks independent and $0$ with probability
    $\alpha_j$. Let $\xi_0 = 0$ and, for $j = 1, \dots, d - 1$,

    $$<<recursion>>, \qquad <<last>> .$$

    On every ball, and on all of $\mathbb{R}^n$, for $q \in \{1, 2\}$,

    $$<<bound>>,$$

    with $c = w_a - w_k$ and

    $$<<c_1>>, \qquad <<c_2>> .$$
    """
    alpha, below = sp.symbols("alpha xi", nonnegative=True)
    # A_u' = "the weight from u' is masked, or u' is cut off": two independent events
    neither = (1 - alpha) * (1 - below)
    # Harris: Pr(all A_u') >= prod Pr(A_u'), the same probability for all n_{j-1} of them
    n, u = sp.Symbol("n", integer=True, positive=True), sp.Symbol("u", integer=True)
    by_harris = sp.Product(sp.expand(1 - neither), (u, 1, n)).doit()
    printed = recursion.rhs.subs({ALPHA_OF[J]: alpha, XI[J - 1]: below, WIDTH[J - 1]: n})
    assert sp.simplify(printed - by_harris) == 0
    all_units = sp.Product(below, (u, 1, n)).doit()  # once more, over the units of the last layer
    assert last.rhs.subs({XI[DEPTH - 1]: below, WIDTH[DEPTH - 1]: n}) == all_units
    bounded_where_connected(bound, ETA)
    for widths in SHAPES:  # a unit of layer j is cut off with probability at least xi_j, on a grid of alpha
        for depth in range(2, len(widths) + 1):
            lone = (*widths[: depth - 1], 1)
            sums = cut_off_sums(lone)
            for tenth in range(11):
                alphas = [Fraction(tenth, 10)] * (depth - 1)
                assert expectation(pair_sizes(lone), sums, alphas) >= xi(lone, alphas)[-1]


@statement(
    "thm-a-plus",
    kind="theorem",
    title="Theorem A⁺: with the true probability",
    source="this book",
    status="kernel proved, glue argued",
    uses=(
        "lem-expectation",
        "lem-regions",
        "lem-all-paths",
        "def-cut-off",
        "prop-percolation",
        "thm-a-recursion",
    ),
    claims={"bound": sp.Le(MEAN_L[Q], CONSTANT[Q] * (1 - ETA_STAR))},
    cases=mask_cases,
)
def theorem_a_plus(bound: sp.Le) -> None:
    r"""In the setting of {prf:ref}`thm-a-recursion`, for $q \in \{1, 2\}$,

    $$<<bound>>,$$

    with the $\eta^*$ of {prf:ref}`prop-percolation`.
    """
    bounded_where_connected(bound, ETA_STAR)
    for case, grid in random_cases():
        for alphas in grid:
            assert case.mean(alphas).cut_off == eta_star(case.net.widths, alphas)


@statement(
    "thm-3-3",
    kind="theorem",
    title="GZZC Theorem 3.3, false as printed, true with two repairs",
    source=PAPER,
    status="kernel proved, glue argued",
    uses=("thm-a-recursion", "prop-eta-monotone", "cex-winner-depends-on-masks", "cex-row-sums"),
    claims={
        "two": RECURSION_BOUND.subs(Q, 2),
        "one": RECURSION_BOUND.subs(Q, 1),
        "c_2": C_TWO,
        "c_1": C_ONE,
    },
    cases=mask_cases,
)
def theorem_3_3(two: sp.Le, one: sp.Le, c_2: sp.Eq, c_1: sp.Eq) -> None:
    r"""Let the weight matrix be represented as $W_j = W'_j \circ M_j$, in which $\{M_j[u, v]\}$ are
    independent Bernoulli $B(1, 1 - \alpha_j)$ random variables and $0 \notin \{W'_j[u, v]\}$, for
    $j \in \{1, \dots, d-1\}$. Then for any $x \in \mathbb{R}^n$ and every class $k$, it holds that

    $$<<two>> \qquad\text{and}\qquad <<one>>,$$

    in which function $\eta$ is monotonically increasing w.r.t. each $\alpha_j$, and, with
    $c = w_{\hat y} - w_k$,

    $$<<c_2>> \qquad\text{and}\qquad <<c_1>>$$

    are two constants. (The paper writes $\eta(\alpha_1, \dots, \alpha_{d-1}; x)$ and
    $\lVert W'_j \rVert_{1, \infty}$. False as it stands. True if $\hat y$ is replaced by a class fixed before
    the masks are drawn, {prf:ref}`cex-winner-depends-on-masks`, and $\lVert \cdot \rVert_{1,\infty}$ is the
    largest column sum of absolute values, {prf:ref}`cex-row-sums`, as it is written here; with the $\eta$ of
    {prf:ref}`thm-a-recursion`, which does not depend on $x$.)
    """
    bounded_where_connected(two.subs({MEAN_L[2]: MEAN_L[Q], CONSTANT[2]: CONSTANT[Q]}), ETA)
    bounded_where_connected(one.subs({MEAN_L[1]: MEAN_L[Q], CONSTANT[1]: CONSTANT[Q]}), ETA)
    for case, grid in random_cases():
        for alphas in grid:
            for j, alpha in enumerate(alphas):
                sparser = [*alphas[:j], (1 + alpha) / 2, *alphas[j + 1 :]]
                assert eta(case.net.widths, alphas) <= eta(case.net.widths, sparser)
