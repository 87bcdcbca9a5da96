"""Theorems B, C and F: bounds that say something at every sparsity, and what none of them implies."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import partial

import sympy as sp

from sparse_robust.proofs.formulas import chain
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.mask_bounds import (
    gradient_second_moment,
    norm_product_power,
    path_norm,
    path_norm_bound,
    path_norm_variance,
    positive_means,
)
from sparse_robust.theory.mask_enumeration import Masks, all_masks, expectation, kept_sums, mask_shapes
from sparse_robust.theory.masks import eta, eta_star
from sparse_robust.theory.networks import Array, ReluNet, fractions
from sparse_robust.theory.regions import Ball

from .cases import ALPHA, EXAMPLE, EXAMPLE_BALL, AllMasks, polynomial, random_cases, random_net
from .notation import (
    ALPHA_OF,
    CONSTANT,
    DEPTH,
    DIAGONAL,
    ETA_STAR,
    KEPT,
    MEAN_L,
    MEAN_OUTER,
    MEAN_PATH_NORM,
    MOMENT,
    OUTER,
    PATH_NORM,
    READOUT,
    SANDWICH,
    TOTAL,
    TRACE,
    VARIANCE,
    WEIGHT,
    J,
    mask_cases,
)

POSITIVE = ReluNet(tuple(abs(w) for w in EXAMPLE.weights), abs(EXAMPLE.readout))
"""The 2-2-2 network of the tables with the signs of all weights removed."""


def mean_of_bit(alpha: sp.Expr) -> sp.Expr:
    """E M for an entry of a mask; as M^2 = M, also E M^2."""
    return 1 - alpha


def mean_of_pair(alpha: sp.Expr, same: bool) -> sp.Expr:
    """E(M[u, v] M[u', v']), the two entries being one and the same, or not; the recursion of Theorem C."""
    return (1 - alpha) ** 2 + (alpha * (1 - alpha) if same else 0)


@statement(
    "thm-b-path-norm",
    kind="theorem",
    title="Theorem B: the path norm",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-regions", "lem-all-paths", "cor-both-norms"),
    claims={
        "mean": sp.Eq(MEAN_PATH_NORM, KEPT * PATH_NORM),
        "bound": chain(MEAN_L[2], sp.Le, MEAN_L[1], sp.Le, KEPT * PATH_NORM, sp.Le, CONSTANT[1] * KEPT),
    },
    cases=mask_cases,
)
def theorem_b(mean: sp.Eq, bound: tuple[sp.Le, ...]) -> None:
    r"""In the setting of {prf:ref}`thm-a-recursion` let
    $\mathrm{PN} = 1^T |W'_1| \cdots |W'_{d-1}|\, |c|$, and $\mathrm{PN}(M)$ the same of the masked network.
    Then

    $$<<mean>>,$$

    $$<<bound>> .$$
    """
    # v_{j-1} = (|W'_j| * M_j) v_j with M_j and v_j independent: a term has mean |W'| (1 - alpha_j) E v
    alpha = sp.Symbol("alpha", nonnegative=True)
    size, u = sp.Symbol("m", integer=True, positive=True), sp.Symbol("u", integer=True)
    entry, below = sp.IndexedBase("w", nonnegative=True), sp.IndexedBase("v", nonnegative=True)
    terms = sp.Sum(entry[u] * mean_of_bit(alpha) * below[u], (u, 1, size))
    factor = KEPT.function.subs(ALPHA_OF[J], alpha)
    assert sp.simplify(terms - factor * sp.Sum(entry[u] * below[u], (u, 1, size))) == 0
    assert mean.rhs == KEPT * PATH_NORM
    assert bound[1].rhs == mean.rhs


SECOND_BOUND = sp.sqrt(TRACE(MOMENT[0]) * (1 - ETA_STAR))


@statement(
    "thm-c-second-moment",
    kind="theorem",
    title="Theorem C: second moments",
    source="this book",
    status="kernel proved, glue argued",
    uses=(
        "lem-expectation",
        "lem-regions",
        "lem-all-paths",
        "lem-second-moment",
        "prop-percolation",
        "thm-a-recursion",
        "thm-b-path-norm",
    ),
    claims={
        "last": sp.Eq(MOMENT[DEPTH - 1], OUTER(READOUT)),
        "recursion": sp.Eq(
            MOMENT[J - 1],
            (1 - ALPHA_OF[J]) ** 2 * SANDWICH(WEIGHT[J], MOMENT[J])
            + ALPHA_OF[J] * (1 - ALPHA_OF[J]) * DIAGONAL(WEIGHT[J], MOMENT[J]),
        ),
        "exact": sp.Eq(MOMENT[0], MEAN_OUTER),
        "bound": chain(MEAN_L[2], sp.Le, SECOND_BOUND, sp.Le, CONSTANT[2] * sp.sqrt((1 - ETA_STAR) * KEPT)),
        "variance": sp.Eq(VARIANCE, TOTAL(MOMENT[0]) - (KEPT * PATH_NORM) ** 2),
    },
    cases=mask_cases,
)
def theorem_c(last: sp.Eq, recursion: sp.Eq, exact: sp.Eq, bound: tuple[sp.Le, ...], variance: sp.Eq) -> None:
    r"""In the setting of {prf:ref}`thm-a-recursion` let $<<last>>$ and, squaring entries, for
    $j = d - 1, \dots, 1$

    $$<<recursion>> .$$

    Then $<<exact>>$, for the vector $v$ of {prf:ref}`lem-all-paths` of the masked network, and

    $$<<bound>> .$$

    The variance of the masked path norm is

    $$<<variance>> .$$
    """
    alpha = sp.Symbol("alpha", nonnegative=True)
    same, other = mean_of_pair(alpha, same=True), mean_of_pair(alpha, same=False)
    assert sp.expand(same - mean_of_bit(alpha)) == 0
    assert sp.expand(other - mean_of_bit(alpha) ** 2) == 0
    # so the mean of sum_v sum_v' w[u, v] w[u', v'] M M' S[v, v'] is (1 - alpha)^2 (|W| S |W|^T)[u, u'], and
    # where u = u' the terms v = v' add alpha (1 - alpha) w[u, v]^2 S[v, v]
    sandwich, diagonal = SANDWICH(WEIGHT[J], MOMENT[J]), DIAGONAL(WEIGHT[J], MOMENT[J])
    printed = sp.expand(recursion.rhs.subs(ALPHA_OF[J], alpha))
    assert sp.expand(printed - other * sandwich - (same - other) * diagonal) == 0
    # tr S_0 = E ||v||_2^2 is at most E(prod ||W'_j * M_j||_F^2) ||c||_2^2 = prod (1 - alpha_j) c_2^2, the
    # layers being independent; the first inequality is that of lem-second-moment with Pr(L > 0) <= 1 - eta*
    assert bound[0].rhs ** 2 == TRACE(MOMENT[0]) * (1 - ETA_STAR)
    c, kept = sp.symbols("c kept", nonnegative=True)
    squared = (bound[1].rhs ** 2).subs({CONSTANT[2]: c, KEPT: kept})
    assert sp.expand(squared - c**2 * kept * (1 - ETA_STAR)) == 0
    for case, grid in random_cases():
        for alphas in grid:  # the functions that the chapters call are the exact values
            over = case.mean(alphas)
            assert over.paths_squared == gradient_second_moment(case.net, alphas)
            assert over.path_norm_squared - over.path_norm**2 == path_norm_variance(case.net, alphas)
            assert over.path_norm == path_norm_bound(case.net, alphas)


@statement(
    "prop-all-masks-example",
    kind="proposition",
    title="All 256 masks of one network",
    source="this book",
    status="checked exactly on an example",
    uses=(
        "lem-regions",
        "prop-percolation",
        "thm-b-path-norm",
    ),
)
def all_masks_example() -> None:
    r"""Let $W'_1 = \begin{pmatrix} 1 & -2 \\ 3 & 1 \end{pmatrix}$,
    $W'_2 = \begin{pmatrix} 2 & -1 \\ -1 & 3 \end{pmatrix}$, $c = (1, -2)$ and $\alpha_1 = \alpha_2 = \alpha$.
    For the Lipschitz constant on $\mathbb{R}^2$, and on the $l_\infty$ ball of radius $\tfrac12$ around
    $(1, 1)$,

    $$\begin{aligned}
    \mathbb{E} L_1 = {} & 23 - 34 \alpha - 12 \alpha^2 + 16 \alpha^3 + 60 \alpha^4 \\
      & - 102 \alpha^5 + 62 \alpha^6 - 12 \alpha^7 - \alpha^8, \\
    \mathbb{E} L_1 = {} & 9 + 9 \alpha - 76 \alpha^2 + 102 \alpha^3 \\
      & - 61 \alpha^4 + 21 \alpha^5 - 4 \alpha^6 .
    \end{aligned}$$

    The second one *grows* at $\alpha = 0$. The bounds are $37 (1 - \alpha)^2$ (Theorem B) and
    $48 (1 - \eta^*) = 48 (1 - \alpha^2)^2 (1 + 2 \alpha^2 - \alpha^4)$ (Theorem A⁺). At
    $\alpha = \tfrac12$ the five numbers are $\tfrac{1647}{256}$, $\tfrac{129}{32}$, $\tfrac{37}4$,
    $\tfrac{621}{16}$, and $\tfrac{10413}{256}$ with the recursion's $\eta$.
    """
    a = ALPHA
    whole = 23 - 34 * a - 12 * a**2 + 16 * a**3 + 60 * a**4 - 102 * a**5 + 62 * a**6 - 12 * a**7 - a**8
    near = 9 + 9 * a - 76 * a**2 + 102 * a**3 - 61 * a**4 + 21 * a**5 - 4 * a**6
    half = [Fraction(1, 2)] * 2
    for ball, claimed in ((None, whole), (EXAMPLE_BALL, near)):
        assert sp.expand(polynomial(EXAMPLE, partial(lipschitz_power, ball=ball, q=1)) - claimed) == 0
    assert sp.diff(near, a).subs(a, 0) > 0
    assert sp.expand(48 * (1 - eta_star((2, 2, 2), [a, a]) - (1 - a**2) ** 2 * (1 + 2 * a**2 - a**4))) == 0
    assert (norm_product_power(EXAMPLE, q=1), path_norm(EXAMPLE)) == (48, 37)
    assert whole.subs(a, sp.Rational(1, 2)) == sp.Rational(1647, 256)
    assert near.subs(a, sp.Rational(1, 2)) == sp.Rational(129, 32)
    assert path_norm_bound(EXAMPLE, half) == Fraction(37, 4)
    assert 48 * (1 - eta_star((2, 2, 2), half)) == Fraction(621, 16)
    assert 48 * (1 - eta((2, 2, 2), half)) == Fraction(10413, 256)


@statement(
    "thm-f-positive",
    kind="theorem",
    title="Theorem F: margin and Lipschitz constant shrink alike",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-regions", "lem-all-paths", "thm-b-path-norm"),
)
def theorem_f() -> None:
    r"""Let $W'_j, c \ge 0$ entry by entry, without biases, and let the ball lie in the positive orthant. Then

    $$\mathbb{E} h(x) = \prod_j (1 - \alpha_j)\; h_{\mathrm{dense}}(x), \qquad
      \mathbb{E} L_1 = \prod_j (1 - \alpha_j)\; L_1^{\mathrm{dense}} :$$

    the ratio of expected margin and expected Lipschitz constant does not depend on the sparsity.
    """
    # every preactivation is a sum of nonnegative terms, so that the ReLU changes nothing and h is linear on
    # the ball, with the gradient v of lem-all-paths; L_1 is the path norm, and Theorem B gives the means
    z = sp.Symbol("z", nonnegative=True)
    assert sp.Max(z, 0) == z
    rng = random.Random(75)
    for widths in ((2, 2, 2), (3, 2), (1, 2, 1, 2)):
        drawn = random_net(rng, widths)
        net = ReluNet(tuple(abs(w) for w in drawn.weights), abs(drawn.readout))
        x = fractions([rng.randint(1, 5) for _ in range(widths[0])])
        ball = Ball(x, Fraction(1))
        shapes, alphas = mask_shapes(net), [Fraction(1, 3)] * (len(widths) - 1)
        margin, lipschitz = positive_means(net, alphas, x)
        margins = kept_sums(shapes, partial(margin_under, net, x))
        assert margin == expectation(shapes, margins, alphas)
        assert lipschitz == AllMasks(net, ball).mean(alphas).l_1
        assert margin / lipschitz == net(x) / lipschitz_power(net, ball, q=1)


@statement(
    "err-larger-gamma",
    kind="erratum",
    title="A smaller Lipschitz constant is not a larger certificate",
    source='paper, after Theorem 3.3, "an appropriately higher weight sparsity implies a larger gamma"',
    status="checked exactly on an example",
    uses=(
        "lem-regions",
        "prop-percolation",
    ),
)
def larger_gamma() -> None:
    r"""Theorem 3.3 bounds $L$ alone, and $\gamma$ is a margin divided by $L$. For
    $W'_1 = \begin{pmatrix} 1 & 2 \\ 3 & 1 \end{pmatrix}$,
    $W'_2 = \begin{pmatrix} 2 & 1 \\ 1 & 3 \end{pmatrix}$, $c = (1, 2)$ and the $l_\infty$ ball of radius $1$
    around $x = (1, 1)$, margin and Lipschitz constant have the same mean, $37 (1 - \alpha)^2$, which is
    $\tfrac{37}4$ at $\alpha = \tfrac12$. They are even equal under each of the 256 masks: $\gamma = 1$
    whatever is pruned, until the network is cut off and certifies nothing. So the mean certificate is
    $1 - \eta^*$, which *falls* in $\alpha$: it is $\tfrac{207}{256}$ at $\alpha = \tfrac12$.
    """
    x = fractions([1, 1])
    ball = Ball(x, Fraction(1))
    for masks in all_masks(mask_shapes(POSITIVE)):
        masked = POSITIVE.masked(masks)
        assert masked(x) == lipschitz_power(masked, ball, q=1)
    margin = polynomial(POSITIVE, lambda net: net(x))
    assert sp.expand(margin - 37 * (1 - ALPHA) ** 2) == 0
    mean = polynomial(POSITIVE, lambda net: certificate(net, x, ball))
    assert sp.expand(mean - (1 - eta_star((2, 2, 2), [ALPHA] * 2))) == 0
    assert [mean.subs(ALPHA, a) for a in (0, sp.Rational(1, 2), 1)] == [1, sp.Rational(207, 256), 0]


def margin_under(net: ReluNet, x: Array, masks: Masks) -> Fraction:
    """h(x) of the masked network."""
    return Fraction(net.masked(masks)(x))


def certificate(net: ReluNet, x: Array, ball: Ball) -> Fraction:
    """gamma = min(h(x) / L_1, R), the certified l_inf radius at x; 0 without a margin."""
    margin = net(x)
    return min(margin / lipschitz_power(net, ball, q=1), ball.radius) if margin > 0 else Fraction(0)
