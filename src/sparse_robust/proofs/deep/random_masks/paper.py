"""Theorem 3.3 as printed, what it means, and the two theorems that make it true."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import cache
from itertools import combinations, product

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Every
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.mask_bounds import all_paths, norm_product_power
from sparse_robust.theory.mask_enumeration import Masks, all_masks, cut_off, expectation, kept_sums
from sparse_robust.theory.masks import eta, eta_star, xi
from sparse_robust.theory.networks import Pattern, ReluNet

from .cases import random_cases, tight_cases
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


PLACE = sp.Symbol("i", integer=True)
PATHS, MASKED_PATHS = sp.IndexedBase("v", real=True), sp.IndexedBase("v(M)", real=True)
PATH_VECTOR = sp.Symbol("v")
SLOPE = sp.IndexedBase("g", real=True)
GONE = sp.Symbol(r"1_{\text{cut off}}", real=True)
PRODUCT_ONE = ENTRIES(READOUT) * sp.Product(COLUMNS(WEIGHT[J]), (J, 1, DEPTH - 1))
PRODUCT_TWO = LENGTH(READOUT) * sp.Product(FROBENIUS(WEIGHT[J]), (J, 1, DEPTH - 1))


def path_case(net: ReluNet, masks: Masks, states: Pattern) -> Case:
    """Paths and gradient of a network, and paths under masks."""
    paths = all_paths(net)
    return {
        PLACE: range(len(paths)),
        DEPTH: len(net.widths),
        SLOPE: dict(enumerate(net.gradient(states))),
        PATHS: dict(enumerate(paths)),
        PATH_VECTOR: paths,
        MASKED_PATHS: dict(enumerate(all_paths(net.masked(masks)))),
        READOUT: net.readout,
        WEIGHT: dict(enumerate(net.weights, 1)),
        GONE: int(cut_off(masks)),
    }


def path_cases() -> list[Case]:
    """Random networks and tight ones, under masks and in patterns that need not be those of any point."""
    rng, cases = random.Random(79), []
    for case, _ in (*tight_cases(), *random_cases()):
        for masks in list(all_masks(case.shapes))[::31]:
            states = tuple(np.array(rng.choices((False, True), k=n)) for n in case.net.widths[1:])
            cases.append(path_case(case.net, masks, states))
        everything, awake = (
            tuple(np.ones(shape, dtype=bool) for shape in shapes)
            for shapes in (case.shapes, [(n,) for n in case.net.widths[1:]])
        )
        cases.append(path_case(case.net, everything, awake))
    return cases


@statement(
    "lem-all-paths",
    kind="lemma",
    title="All paths at once",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-triangle", "lem-cauchy-schwarz", "def-cut-off"),
    claims={
        "below": Every(sp.Le(sp.Abs(SLOPE[PLACE]), PATHS[PLACE]), PLACE),
        "one": sp.Le(ENTRIES(PATH_VECTOR), PRODUCT_ONE),
        "two": sp.Le(LENGTH(PATH_VECTOR), PRODUCT_TWO),
        "masked": Every(sp.Le(MASKED_PATHS[PLACE], PATHS[PLACE] * (1 - GONE)), PLACE),
    },
    cases=path_cases,
    loose=dict.fromkeys(
        ("below", "masked"), "equality, for positive weights, is not read inside 'for every'"
    ),
)
def all_paths_bound(one: sp.Le, two: sp.Le, **_: sp.Basic) -> None:
    r"""Let $v = |W'_1| \cdots |W'_{d-1}|\,|c|$, with absolute values entry by entry, and let
    $g = W'_1 D_1 \cdots W'_{d-1} D_{d-1}\, c$ for any diagonal matrices $D_j$ of zeros and ones. Then
    $<<below>>$,

    $$<<one>>, \qquad <<two>> .$$

    For the masked network, $<<masked>>$: masking lowers $v$, and both products, or leaves them, and
    $v(M) = 0$ if the network is cut off.
    """
    # One layer. |z_u| <= v_u says z_u = v_u - t with 0 <= t <= 2 v_u; a term of (W D z)_i against |W| v
    p, q, size = sp.symbols("p q a", nonnegative=True)
    reach, behind = (p + q) / 2, (p - q) / 2  # every number of size at most v_u, by its distances from +-v_u
    for w, active, sign in product((size, -size), (0, 1), (1, -1)):
        assert sp.expand(sp.Abs(w) * reach - sign * w * active * behind).is_nonnegative
    # Columns: 1^T |W| v = sum_u v_u (column sum)_u, each of which is the largest one less some slack
    n, u = sp.Symbol("m", integer=True, positive=True), sp.Symbol("u", integer=True)
    entry, slack = sp.IndexedBase("z", nonnegative=True), sp.IndexedBase("s", nonnegative=True)
    largest = sp.Symbol("S", nonnegative=True)
    excess = largest * sp.Sum(entry[u], (u, 1, n)) - sp.Sum(entry[u] * (largest - slack[u]), (u, 1, n))
    assert sp.simplify(excess.expand() - sp.Sum(entry[u] * slack[u], (u, 1, n))) == 0
    # Rows: ||W||_F^2 ||z||^2 - || |W| z ||^2 is Lagrange's sum of squares in every row; for 2 x 3 matrices
    weights, z = sp.Matrix(2, 3, sp.symbols("w1:7", nonnegative=True)), sp.Matrix(sp.symbols("z1:4"))
    squares = sum(
        (weights[i, u] * z[v] - weights[i, v] * z[u]) ** 2
        for i in range(2)
        for u, v in combinations(range(3), 2)
    )
    assert sp.expand(weights.norm() ** 2 * z.dot(z) - (weights * z).dot(weights * z) - squares) == 0
    assert (one.rhs, two.rhs) == (PRODUCT_ONE, PRODUCT_TWO)
    # Masks, in a 2-2-2 network: v(M) has one term for each path, with its two entries of the masks as factors
    # and nonnegative weights; so it grows in every entry, and vanishes where each path has an entry 0
    first, second = (sp.Matrix(2, 2, sp.symbols(f"{name}1:5", nonnegative=True)) for name in "ab")
    bits = [sp.Matrix(2, 2, sp.symbols(f"{name}1:5")) for name in "MN"]
    c = sp.Matrix(sp.symbols("c1:3", nonnegative=True))
    v = first.multiply_elementwise(bits[0]) * second.multiply_elementwise(bits[1]) * c
    for i in range(2):
        terms = sp.Poly(sp.expand(v[i]), *bits[0], *bits[1])
        routes = {bits[0][i, u] * bits[1][u, w] for u, w in product(range(2), repeat=2)}
        assert {
            sp.prod(x**k for x, k in zip(terms.gens, powers, strict=True)) for powers in terms.monoms()
        } == routes
        assert all(value.is_nonnegative for value in terms.coeffs())
    for case, _grid in random_cases():
        for masks in list(all_masks(case.shapes))[::15]:
            for q_ in (1, 2):  # the functions that the rest of the book calls
                whole, masked = (norm_product_power(net, q=q_) for net in (case.net, case.net.masked(masks)))
                assert norm_power(all_paths(case.net.masked(masks)), q_) <= masked <= whole


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
C_ONE = sp.Eq(CONSTANT[1], PRODUCT_ONE)
C_TWO = sp.Eq(CONSTANT[2], PRODUCT_TWO)


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
