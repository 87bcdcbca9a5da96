"""Theorem 3.3 as printed, what it means, and the two theorems that make it true."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.laws import sqrt_bounds
from sparse_robust.theory.mask_bounds import all_paths, norm_product_power
from sparse_robust.theory.mask_enumeration import all_masks, cut_off, kept_sums, mask_polynomial
from sparse_robust.theory.masks import eta, eta_star, xi
from sparse_robust.theory.networks import ReluNet

from .cases import AllMasks, random_cases
from .percolation import SHAPES, pair_sizes, recursion

PAPER = "paper, Theorem 3.3, equations (11) and (12)"


def printed_constant(net: ReluNet) -> tuple[Fraction, Fraction]:
    """c_1, and c_2 rounded up."""
    return norm_product_power(net, q=1), sqrt_bounds(norm_product_power(net, q=2))[1]


def assert_bounded(case: AllMasks, alphas: list[Fraction], probability: Fraction) -> None:
    """E L_1 <= c_1 (1 - probability) and E L_2 <= c_2 (1 - probability)."""
    c_1, c_2 = printed_constant(case.net)
    mean = case.mean(alphas)
    assert mean.l_1 <= c_1 * (1 - probability)
    assert mean.l_2 <= c_2 * (1 - probability)


@statement(
    "lem-all-paths",
    kind="lemma",
    title="All paths at once",
    source="this book",
    status="proved",
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


@statement(
    "thm-a-recursion",
    kind="theorem",
    title="Theorem A: the repaired Theorem 3.3",
    source="this book",
    status="proved",
    uses=("lem-regions", "lem-all-paths", "lem-harris"),
)
def theorem_a() -> None:
    r"""Fix two classes $a \ne k$ and let $h = g_a - g_k$ be a ReLU network, with or without biases, whose
    weights are $W'_j \circ M_j$, with all entries of the masks independent and $0$ with probability
    $\alpha_j$. Let
    $\xi_0 = 0$, $\xi_j = (\alpha_j + (1 - \alpha_j)\, \xi_{j-1})^{n_{j-1}}$ and
    $\eta = \xi_{d-1}^{n_{d-1}}$. On every ball, and on all of $\mathbb{R}^n$,

    $$\mathbb{E} L_q \le c_q\, (1 - \eta), \qquad q \in \{1, 2\},$$

    with $c_1 = \lVert c \rVert_1 \prod_j \max_u \sum_{u'} |W'_j[u', u]|$,
    $c_2 = \lVert c \rVert_2 \prod_j \lVert W'_j \rVert_F$ and $c = w_a - w_k$.
    """
    alpha, below = sp.symbols("alpha xi", nonnegative=True)
    # A_u' = "the weight from u' is masked, or u' is cut off": two independent events
    neither = (1 - alpha) * (1 - below)
    assert sp.expand(1 - neither - recursion(alpha, below, 1)) == 0
    # Harris: Pr(all A_u') >= prod Pr(A_u'), the same probability for all n_{j-1} of them
    n, u = sp.Symbol("n", integer=True, positive=True), sp.Symbol("u", integer=True)
    assert sp.Product(recursion(alpha, below, 1), (u, 1, n)).doit() == recursion(alpha, below, n)
    for widths in SHAPES:  # a unit of layer j is cut off with probability at least xi_j, on a grid of alpha
        for depth in range(2, len(widths) + 1):
            lone = (*widths[: depth - 1], 1)
            shapes = pair_sizes(lone)
            sums = kept_sums(shapes, lambda m: Fraction(cut_off(m)))
            symbol = sp.Symbol("alpha")
            truth = mask_polynomial(shapes, sums, [symbol] * (depth - 1))
            for tenth in range(11):
                value = Fraction(tenth, 10)
                exact = truth.eval(sp.Rational(tenth, 10))
                assert exact >= xi(lone, [value] * (depth - 1))[-1]
    for case, grid in random_cases():
        for alphas in grid:
            assert_bounded(case, alphas, eta(case.net.widths, alphas))


@statement(
    "thm-a-plus",
    kind="theorem",
    title="Theorem A⁺: with the true probability",
    source="this book",
    status="proved",
    uses=("lem-regions", "lem-all-paths", "prop-percolation"),
)
def theorem_a_plus() -> None:
    r"""In the setting of {prf:ref}`thm-a-recursion`, $\mathbb{E} L_q \le c_q\, (1 - \eta^*)$ for
    $q \in \{1, 2\}$, with $\eta^*$ from {prf:ref}`prop-percolation`.
    """
    dead, c, slack = sp.symbols("dead c s", nonnegative=True)
    # L = 0 with probability eta*, and L = c - slack otherwise
    alive_mean = (1 - dead) * (c - slack)
    assert sp.expand(c * (1 - dead) - alive_mean - (1 - dead) * slack) == 0
    for case, grid in random_cases():
        for alphas in grid:
            probability = eta_star(case.net.widths, alphas)
            assert case.mean(alphas).cut_off == probability
            assert_bounded(case, alphas, probability)


@statement(
    "thm-3-3",
    kind="theorem",
    title="The paper's Theorem 3.3, false as printed, true with two repairs",
    source=PAPER,
    status="proved",
    uses=("thm-a-recursion", "prop-eta-monotone", "cex-winner-depends-on-masks", "cex-row-sums"),
)
def theorem_3_3() -> None:
    r"""Let the weight matrix be represented as $W_j = W'_j \circ M_j$, in which $\{M_j[u, v]\}$ are
    independent Bernoulli $B(1, 1 - \alpha_j)$ random variables and $0 \notin \{W'_j[u, v]\}$, for
    $j \in \{1, \dots, d-1\}$. Then for any $x \in \mathbb{R}^n$ and $k \in \{1, \dots, c\}$, it holds that

    $$\mathbb{E}_{M_1, \dots, M_{d-1}}(L_{2,x}^k) \le c_2 \cdot (1 - \eta(\alpha_1, \dots, \alpha_{d-1}; x))
      \quad\text{and}$$

    $$\mathbb{E}_{M_1, \dots, M_{d-1}}(L_{1,x}^k) \le c_1 \cdot (1 - \eta(\alpha_1, \dots, \alpha_{d-1}; x)),
      $$

    in which function $\eta$ is monotonically increasing w.r.t. each $\alpha_j$,
    $c_2 = \lVert w_{\hat y} - w_k \rVert_2 \prod_j \lVert W'_j \rVert_F$ and
    $c_1 = \lVert w_{\hat y} - w_k \rVert_1 \prod_j \lVert W'_j \rVert_{1,\infty}$ are two constants.
    (False as it stands. True if $\hat y$ is replaced by a class fixed before the masks are drawn,
    {prf:ref}`cex-winner-depends-on-masks`, and $\lVert \cdot \rVert_{1,\infty}$ is the largest column sum of
    absolute values, {prf:ref}`cex-row-sums`; with the $\eta$ of {prf:ref}`thm-a-recursion`, which does not
    depend on $x$.)
    """
    for case, grid in random_cases():
        for alphas in grid:
            assert_bounded(case, alphas, eta(case.net.widths, alphas))
            for j, alpha in enumerate(alphas):
                sparser = [*alphas[:j], (1 + alpha) / 2, *alphas[j + 1 :]]
                assert eta(case.net.widths, alphas) <= eta(case.net.widths, sparser)


__all__ = ["assert_bounded", "printed_constant"]
