"""Theorems B, C and F: bounds that say something at every sparsity, and what none of them implies."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import partial

import sympy as sp

from sparse_robust.proofs.deep.written import ALPHA, matrix, polynomial, row
from sparse_robust.proofs.formulas import Case, chain
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

from .cases import EXAMPLE, EXAMPLE_BALL, AllMasks, random_cases, random_net
from .cases import polynomial as mean_in_alpha
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


GLOBAL, LOCAL = sp.symbols(r"\mathbb{E}L_1^{\mathbb{R}^2} \mathbb{E}L_1^{B}", real=True)
AT_HALF = {ALPHA: sp.Rational(1, 2)}
VALUES = sp.symbols(
    r"\mathbb{E}L_1^{\mathbb{R}^2}|_{1/2} \mathbb{E}L_1^{B}|_{1/2} b_{B} b_{A^+} b_{A}", real=True
)
"""Both means and the bounds of Theorems B, A+ and A, at one half."""
A = ALPHA
WHOLE_MEAN = 23 - 34 * A - 12 * A**2 + 16 * A**3 + 60 * A**4 - 102 * A**5 + 62 * A**6 - 12 * A**7 - A**8
NEAR_MEAN = 9 + 9 * A - 76 * A**2 + 102 * A**3 - 61 * A**4 + 21 * A**5 - 4 * A**6


def all_masks_case() -> Case:
    """Both means as polynomials, the dense constants, and five values at one half."""
    half = [Fraction(1, 2)] * 2
    means = [
        mean_in_alpha(EXAMPLE, partial(lipschitz_power, ball=ball, q=1)) for ball in (None, EXAMPLE_BALL)
    ]
    return {
        WEIGHT: dict(enumerate(EXAMPLE.weights, 1)),
        READOUT: EXAMPLE.readout,
        ALPHA: ALPHA,
        GLOBAL: means[0],
        LOCAL: means[1],
        PATH_NORM: path_norm(EXAMPLE),
        CONSTANT: {1: norm_product_power(EXAMPLE, q=1)},
        ETA_STAR: eta_star((2, 2, 2), [ALPHA] * 2),
        VALUES[0]: means[0].subs(AT_HALF),
        VALUES[1]: means[1].subs(AT_HALF),
        VALUES[2]: path_norm_bound(EXAMPLE, half),
        VALUES[3]: norm_product_power(EXAMPLE, q=1) * (1 - eta_star((2, 2, 2), half)),
        VALUES[4]: norm_product_power(EXAMPLE, q=1) * (1 - eta((2, 2, 2), half)),
    }


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
    claims={
        "W_1": sp.Eq(WEIGHT[1], matrix([[1, -2], [3, 1]])),
        "W_2": sp.Eq(WEIGHT[2], matrix([[2, -1], [-1, 3]])),
        "c": sp.Eq(READOUT, row([1, -2])),
        "global": sp.Eq(GLOBAL, polynomial(WHOLE_MEAN, per_line=5)),
        "local": sp.Eq(LOCAL, polynomial(NEAR_MEAN, per_line=5)),
        "path_norm": sp.Eq(PATH_NORM, 37),
        "c_1": sp.Eq(CONSTANT[1], 48),
        "cut_off": sp.Eq(1 - ETA_STAR, (1 - A**2) ** 2 * (1 + 2 * A**2 - A**4)),
        "v_1": sp.Eq(VALUES[0], sp.Rational(1647, 256)),
        "v_2": sp.Eq(VALUES[1], sp.Rational(129, 32)),
        "v_3": sp.Eq(VALUES[2], sp.Rational(37, 4)),
        "v_4": sp.Eq(VALUES[3], sp.Rational(621, 16)),
        "v_5": sp.Eq(VALUES[4], sp.Rational(10413, 256)),
    },
    cases=lambda: [all_masks_case()],
)
def all_masks_example(**_: sp.Basic) -> None:
    r"""Let $<<W_1>>$, $<<W_2>>$, $<<c>>$ and $\alpha_1 = \alpha_2 = \alpha$. For the Lipschitz constant on
    $\mathbb{R}^2$, and on the $l_\infty$ ball $B$ of radius $\tfrac12$ around $(1, 1)$,

    $$<<global>>,$$

    $$<<local>> .$$

    The second one *grows* at $\alpha = 0$. The bounds are $\mathrm{PN}\, (1 - \alpha)^2$ with $<<path_norm>>$
    (Theorem B), and $c_1 (1 - \eta^*)$ with $<<c_1>>$ and $<<cut_off>>$ (Theorem A⁺). At
    $\alpha = \tfrac12$ the means are $<<v_1>>$ and $<<v_2>>$, and the bounds of Theorems B and A⁺ are
    $<<v_3>>$ and $<<v_4>>$; with the recursion's $\eta$, $<<v_5>>$.
    """
    assert sp.diff(NEAR_MEAN, ALPHA).subs(ALPHA, 0) > 0


MEAN_MARGIN, DENSE_MARGIN = sp.symbols(r"\mathbb{E}h(x) h_{\mathrm{dense}}(x)", real=True)
DENSE_CONSTANT = sp.Symbol(r"L_1^{\mathrm{dense}}", real=True)


def positive_case(net: ReluNet, ball: Ball, alphas: list[Fraction]) -> Case:
    """Means over all masks of a network with positive weights, and the dense values."""
    shapes, depth = mask_shapes(net), len(net.widths)
    return {
        DEPTH: depth,
        ALPHA_OF: dict(zip(range(1, depth), alphas, strict=True)),
        MEAN_MARGIN: expectation(shapes, kept_sums(shapes, partial(margin_under, net, ball.centre)), alphas),
        DENSE_MARGIN: net(ball.centre),
        MEAN_L: {1: AllMasks(net, ball).mean(alphas).l_1},
        DENSE_CONSTANT: lipschitz_power(net, ball, q=1),
        SIGNS: all((w >= 0).all() for w in (*net.weights, net.readout)),
        INSIDE: bool((ball.centre >= ball.radius).all()),
    }


SIGNS, INSIDE = sp.Symbol(r"W'_j, c \ge 0"), sp.Symbol(r"B \subset \mathbb{R}^n_{\ge 0}")


def positive_cases() -> list[Case]:
    """Random networks with the signs of their weights removed."""
    rng, cases = random.Random(75), []
    for widths in ((2, 2, 2), (3, 2), (1, 2, 1, 2)):
        drawn = random_net(rng, widths)
        net = ReluNet(tuple(abs(w) for w in drawn.weights), abs(drawn.readout))
        x = fractions([rng.randint(1, 5) for _ in range(widths[0])])
        alphas = [Fraction(rng.randint(1, 3), 4) for _ in widths[1:]]
        case = positive_case(net, Ball(x, Fraction(1)), alphas)
        margin, lipschitz = positive_means(net, alphas, x)
        assert (margin, lipschitz) == (case[MEAN_MARGIN], case[MEAN_L][1])  # what the chapters call
        cases.append(case)
    return cases


def of_both_signs() -> Case:
    """The 2-2-2 network of the tables, on a ball in the positive orthant."""
    return positive_case(EXAMPLE, EXAMPLE_BALL, [Fraction(1, 2)] * 2)


def over_the_border() -> Case:
    """Positive weights on a ball that reaches negative inputs."""
    return positive_case(POSITIVE, Ball(fractions([1, -1]), Fraction(1, 2)), [Fraction(1, 2)] * 2)


@statement(
    "thm-f-positive",
    kind="theorem",
    title="Theorem F: margin and Lipschitz constant shrink alike",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-regions", "lem-all-paths", "thm-b-path-norm"),
    hypotheses={"signs": SIGNS, "inside": INSIDE},
    without={"signs": of_both_signs, "inside": over_the_border},
    claims={
        "margin": sp.Eq(MEAN_MARGIN, KEPT * DENSE_MARGIN),
        "constant": sp.Eq(MEAN_L[1], KEPT * DENSE_CONSTANT),
    },
    cases=positive_cases,
)
def theorem_f(margin: sp.Eq, constant: sp.Eq) -> None:
    r"""Let $<<signs>>$ entry by entry, without biases, and let the ball lie in the positive orthant,
    $<<inside>>$. Then

    $$<<margin>>, \qquad <<constant>> :$$

    the ratio of expected margin and expected Lipschitz constant does not depend on the sparsity.
    """
    # every preactivation is a sum of nonnegative terms, so that the ReLU changes nothing and h is linear on
    # the ball, with the gradient v of lem-all-paths; L_1 is the path norm, and Theorem B gives the means
    w, v, a, b = (sp.symbols(f"{name}1:3", nonnegative=True) for name in "wvab")
    x, bits, c = sp.symbols("x", nonnegative=True), sp.symbols("M1:3 N1:3"), sp.Symbol("c", nonnegative=True)
    hidden = [sp.Max(w_u * x, 0) for w_u in w]
    assert hidden == [w_u * x for w_u in w]  # one input, two units, one unit behind them
    output = c * sp.Max(sum(v_u * z for v_u, z in zip(v, hidden, strict=True)), 0)
    masked = {p: p * bit for p, bit in zip((*w, *v), bits, strict=True)}
    output = sp.expand(output.subs(masked, simultaneous=True).subs(dict(zip(bits, (*a, *b), strict=True))))
    one, two = sp.symbols("alpha_1 alpha_2")
    means = {**dict.fromkeys(a, 1 - one), **dict.fromkeys(b, 1 - two)}  # multilinear in the entries of masks
    assert all(sp.degree(output, bit) == 1 for bit in (*a, *b))
    kept = (1 - one) * (1 - two)
    dense = output.subs(dict.fromkeys((*a, *b), 1))
    for value, whole in ((output, dense), (sp.diff(output, x), sp.diff(dense, x))):
        assert sp.expand(value.subs(means) - kept * whole) == 0
    assert margin.rhs / DENSE_MARGIN == constant.rhs / DENSE_CONSTANT == KEPT


MEAN_GAMMA, GAMMA_HALF, RADIUS = sp.symbols(r"\mathbb{E}\gamma \mathbb{E}\gamma|_{\alpha=1/2} R", real=True)


def larger_gamma_case() -> Case:
    """Margin, constant and certificate of the positive network over its masks."""
    x = fractions([1, 1])
    ball = Ball(x, Fraction(1))
    mean = mean_in_alpha(POSITIVE, lambda net: certificate(net, x, ball))
    return {
        WEIGHT: dict(enumerate(POSITIVE.weights, 1)),
        READOUT: POSITIVE.readout,
        RADIUS: ball.radius,
        ALPHA: ALPHA,
        MEAN_MARGIN: mean_in_alpha(POSITIVE, lambda net: net(x)),
        MEAN_L: {1: mean_in_alpha(POSITIVE, lambda net: lipschitz_power(net, ball, q=1))},
        MEAN_GAMMA: mean,
        ETA_STAR: eta_star((2, 2, 2), [ALPHA] * 2),
        GAMMA_HALF: mean.subs(AT_HALF),
    }


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
    claims={
        "W_1": sp.Eq(WEIGHT[1], matrix([[1, 2], [3, 1]])),
        "W_2": sp.Eq(WEIGHT[2], matrix([[2, 1], [1, 3]])),
        "c": sp.Eq(READOUT, row([1, 2])),
        "radius": sp.Eq(RADIUS, 1),
        "means": chain(MEAN_MARGIN, sp.Eq, MEAN_L[1], sp.Eq, 37 * (1 - ALPHA) ** 2),
        "gamma": sp.Eq(MEAN_GAMMA, 1 - ETA_STAR),
        "half": sp.Eq(GAMMA_HALF, sp.Rational(207, 256)),
    },
    cases=lambda: [larger_gamma_case()],
)
def larger_gamma(**_: sp.Basic) -> None:
    r"""Theorem 3.3 bounds $L$ alone, and $\gamma$ is a margin divided by $L$. For $<<W_1>>$, $<<W_2>>$,
    $<<c>>$ and the $l_\infty$ ball with $<<radius>>$ around $x = (1, 1)$, margin and Lipschitz constant have
    the same mean,

    $$<<means>> .$$

    They are even equal under each of the 256 masks: $\gamma = 1$ whatever is pruned, until the network is cut
    off and certifies nothing. So $<<gamma>>$, which *falls* in $\alpha$, from $1$ to $0$: $<<half>>$.
    """
    x = fractions([1, 1])
    ball = Ball(x, Fraction(1))
    for masks in all_masks(mask_shapes(POSITIVE)):
        masked = POSITIVE.masked(masks)
        assert masked(x) == lipschitz_power(masked, ball, q=1)
    mean = 1 - eta_star((2, 2, 2), [ALPHA] * 2)
    assert [mean.subs(ALPHA, a) for a in (0, 1)] == [1, 0]


def margin_under(net: ReluNet, x: Array, masks: Masks) -> Fraction:
    """h(x) of the masked network."""
    return Fraction(net.masked(masks)(x))


def certificate(net: ReluNet, x: Array, ball: Ball) -> Fraction:
    """gamma = min(h(x) / L_1, R), the certified l_inf radius at x; 0 without a margin."""
    margin = net(x)
    return min(margin / lipschitz_power(net, ball, q=1), ball.radius) if margin > 0 else Fraction(0)
