"""Where the statement and the proof sketch of Theorem 3.3 fail: six gaps, each with an exact example."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np
import sympy as sp

from sparse_robust.proofs.deep.written import ALPHA, NET, SIGMA, at_points, column, matrix, row
from sparse_robust.proofs.formulas import Case, chain
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.lipschitz import lipschitz_power
from sparse_robust.theory.mask_bounds import norm_product_power
from sparse_robust.theory.mask_enumeration import (
    Masks,
    all_masks,
    cut_off,
    expectation,
    kept_sums,
    mask_polynomial,
    mask_shapes,
)
from sparse_robust.theory.masks import eta_star
from sparse_robust.theory.networks import ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball

from .cases import EXAMPLE, EXAMPLE_BALL, average
from .cases import polynomial as mean_in_alpha
from .notation import CONSTANT, ETA_STAR, MEAN_L, READOUT, WEIGHT

HALF, LEVEL = Fraction(1, 2), sp.Rational(1, 2)
FALSE_BY_FAR = "a counterexample: one number is larger than another, by whatever it is"
W_1, W_2, W_3 = sp.symbols("w_1 w_2 w_3")

LAST_COLUMNS = ((1, 0), (-10, 10), (0, 0))
"""G1: w_1, w_2, w_3 behind two hidden units that both see the one input with weight 1."""
ONE_UNIT = exact_net([[[1]]], [1])
"""G2: h(x) = s(x)."""
ANTICORRELATED = exact_net([[[1, 1]], [[1, -1], [-1, 1]], [[1], [1]]], [1])
"""G3: widths 1, 2, 2, 1."""
UNBALANCED = exact_net([[[1], [-2]]], [1])
"""G4: h(x) = s(x_1 - 2 x_2)."""
DIFFERENCE = exact_net([[[1, 1]]], [1, -1])
"""G5: h(x) = s(x) - s(x)."""
ASLEEP = exact_net([[[3, 1], [3, 1]], [[-3, -1], [1, 1]]], [2, 1])
"""G5: both last units are inactive near (1, 1)."""
BIASED = exact_net([[[-1]], [[1]]], [1], [[0], [1]])
"""G6: h(x) = s(s(-x) + 1)."""
TWO_INPUTS = exact_net([[[1], [1]]], [1])
"""h(x) = s(x_1 + x_2), the example on row and column sums."""


def around(*centre: object, radius: object) -> Ball:
    """The l_inf ball."""
    return Ball(fractions(centre), Fraction(str(radius)))


def inactive(net: ReluNet, x: tuple[int, ...], layer: int, unit: int) -> bool:
    """Whether a unit is deactivated at x, D_layer(x)[unit, unit] = 0."""
    return not net.pattern(fractions(x))[layer - 1][unit]


def winner(masks: Masks) -> int:
    """G1: the class yhat (from 0) that the masked network predicts at x = 1."""
    hidden = masks[0][0]
    scores = [sum(w * open_ for w, open_ in zip(column, hidden, strict=True)) for column in LAST_COLUMNS]
    return scores.index(max(scores))


def lipschitz_of_winner(masks: Masks, ball: Ball | None = None) -> Fraction:
    """G1: L_1 of g_yhat - g_3 of the masked network, where w_3 = 0."""
    net = exact_net([[[1, 1]]], LAST_COLUMNS[winner(masks)])
    return Fraction(lipschitz_power(net.masked(masks), ball, q=1))


def winner_case(ball: Ball | None) -> Case:
    """The example of G1 on a ball; with one input, L_1 = L_2."""
    dense = exact_net([[[1, 1]]], LAST_COLUMNS[0])
    shapes = mask_shapes(dense)
    mean = expectation(shapes, kept_sums(shapes, partial(lipschitz_of_winner, ball=ball)), [HALF])
    columns = {symbol: fractions(w) for symbol, w in zip((W_1, W_2, W_3), LAST_COLUMNS, strict=True)}
    return {
        WEIGHT: {1: dense.weights[0]},
        **columns,
        ALPHA: HALF,
        WINNER: winner((np.ones((1, 2), dtype=bool),)) + 1,
        WINNER_MASKED: winner((np.array([[False, True]]),)) + 1,
        MEAN_L: {1: mean, 2: mean},
        CONSTANT: {1: norm_product_power(dense, q=1), 2: sp.sqrt(norm_product_power(dense, q=2))},
    }


WINNER, WINNER_MASKED = sp.symbols(r"\hat{y} \hat{y}'")


@statement(
    "cex-winner-depends-on-masks",
    kind="counterexample",
    title="G1: the predicted class depends on the masks",
    source="this book; paper, Theorem 3.3, " + '"c_2 and c_1 are two constants"',
    status="checked exactly on an example",
    uses=("lem-regions", "lem-induced-norms"),
    claims={
        "weights": sp.Eq(WEIGHT[1], matrix([[1, 1]])),
        "w_1": sp.Eq(W_1, row(LAST_COLUMNS[0])),
        "w_2": sp.Eq(W_2, row(LAST_COLUMNS[1])),
        "w_3": sp.Eq(W_3, row(LAST_COLUMNS[2])),
        "half": sp.Eq(ALPHA, LEVEL),
        "before": sp.Eq(WINNER, 1),
        "after": sp.Eq(WINNER_MASKED, 2),
        "means": chain(MEAN_L[1], sp.Eq, MEAN_L[2], sp.Eq, 3),
        "c_2": chain(MEAN_L[2], sp.Gt, CONSTANT[2], sp.Eq, sp.sqrt(2)),
        "c_1": chain(MEAN_L[1], sp.Gt, CONSTANT[1], sp.Eq, 1),
    },
    loose={"c_2": FALSE_BY_FAR, "c_1": FALSE_BY_FAR},
    cases=lambda: [winner_case(ball) for ball in (None, around(1, radius="1/2"))],
)
def winner_depends(**_: sp.Basic) -> None:
    r"""One input, $<<weights>>$, last-layer columns $<<w_1>>$, $<<w_2>>$ and $<<w_3>>$, and $<<half>>$. At
    $x = 1$ the unmasked network predicts class $<<before>>$; if just the first weight is masked it predicts
    class $<<after>>$. For $k = 3$, on every ball around $x$ and on all of $\mathbb{R}$,

    $$<<means>>, \qquad <<c_2>>, \qquad <<c_1>>,$$

    so that (11) and (12) fail for every $\eta \ge 0$.
    """


ASLEEP_AT_X = sp.Symbol(r"\Pr(D_1(x) = 0)")
RADIUS, X = sp.symbols("R x")


def worst_point_case() -> Case:
    """What one unit does at x and on the ball."""
    ball = around(-1, radius=2)
    return {
        X: ball.centre[0],
        RADIUS: ball.radius,
        ALPHA: ALPHA,
        ASLEEP_AT_X: mean_in_alpha(ONE_UNIT, lambda net: inactive(net, (-1,), 1, 0)),
        MEAN_L: {1: mean_in_alpha(ONE_UNIT, lambda net: lipschitz_power(net, ball, q=1))},
    }


@statement(
    "cex-worst-point-depends-on-masks",
    kind="counterexample",
    title="G2: the worst point of the ball depends on the masks",
    source="this book; paper, proof sketch of Theorem 3.3, equation (13)",
    status="checked exactly on an example",
    uses=("lem-regions",),
    claims={
        "x": sp.Eq(X, -1),
        "radius": sp.Eq(RADIUS, 2),
        "asleep": sp.Eq(ASLEEP_AT_X, 1),
        "mean": sp.Eq(MEAN_L[1], 1 - ALPHA),
    },
    cases=lambda: [worst_point_case()],
)
def worst_point_depends(**_: sp.Basic) -> None:
    r"""The sketch fixes one $\hat x$ and speaks of probabilities over the masks. Let $h = \sigma(m x)$ be one
    unit with one weight $1$, $<<x>>$ and $<<radius>>$. The unit is deactivated at $x$ whatever the mask is,
    $<<asleep>>$, which as $\eta(\alpha; x)$ would give $\mathbb{E} L \le 0$; but on the ball $<<mean>>$.
    """


XI_TWO, ZETA = sp.symbols(r"\xi \zeta", real=True)
XI_THREE, ZETA_THREE = sp.symbols(r"\xi_3 \zeta_3", real=True)
UNIT_BELOW = sp.Symbol("u'")


def product_of_14(alpha: Fraction, xi: list[Fraction]) -> Fraction:
    """The right side of (14)."""
    value = Fraction(1)
    for each in xi:
        value *= alpha + each - alpha * each
    return value


def equation_14_case() -> Case:
    """Both readings of (14): deactivated at x = 1, and cut off."""
    one, other, last = (
        average(ANTICORRELATED, partial(inactive, x=(1,), layer=layer, unit=unit), HALF)
        for layer, unit in ((2, 0), (2, 1), (3, 0))
    )
    assert one == other
    shapes = mask_shapes(ANTICORRELATED)
    gone = expectation(shapes, kept_sums(shapes, lambda m: int(cut_off(m))), [HALF] * 3)
    below = eta_star((1, 2, 1), [HALF] * 2)
    return {
        WEIGHT: dict(enumerate(ANTICORRELATED.weights, 1)),
        ALPHA: HALF,
        XI_TWO: one,
        XI_THREE: last,
        ZETA: below,
        ZETA_THREE: gone,
        PRODUCT_14: product_of_14(HALF, [one, other]),
        PRODUCT_CUT: product_of_14(HALF, [below] * 2),
    }


PRODUCT_14 = sp.Symbol(r"\prod_{u'} (\alpha + \xi - \alpha \xi)", real=True)
PRODUCT_CUT = sp.Symbol(r"\prod_{u'} (\alpha + \zeta - \alpha \zeta)", real=True)


@statement(
    "cex-equation-14",
    kind="counterexample",
    title="G3: inequality (14) is false for deactivation probabilities",
    source="this book; paper, proof sketch of Theorem 3.3, equation (14)",
    status="checked exactly on an example",
    uses=(
        "def-cut-off",
        "prop-percolation",
    ),
    claims={
        "W_1": sp.Eq(WEIGHT[1], matrix([[1, 1]])),
        "W_2": sp.Eq(WEIGHT[2], matrix([[1, -1], [-1, 1]])),
        "W_3": sp.Eq(WEIGHT[3], column([1, 1])),
        "half": sp.Eq(ALPHA, LEVEL),
        "xi": sp.Eq(XI_TWO, sp.Rational(13, 16)),
        "less": chain(XI_THREE, sp.Lt, PRODUCT_14),
        "values": sp.Eq(XI_THREE, sp.Rational(209, 256)),
        "product": sp.Eq(PRODUCT_14, sp.Rational(841, 1024)),
        "more": chain(ZETA_THREE, sp.Ge, PRODUCT_CUT),
        "zetas": sp.Eq(ZETA_THREE, sp.Rational(161, 256)),
        "cut": sp.Eq(PRODUCT_CUT, sp.Rational(625, 1024)),
    },
    loose={"less": FALSE_BY_FAR, "more": FALSE_BY_FAR},
    cases=lambda: [equation_14_case()],
)
def equation_14(**_: sp.Basic) -> None:
    r"""Widths $1, 2, 2, 1$, $<<W_1>>$, $<<W_2>>$, $<<W_3>>$, $x = 1$ and $<<half>>$. Each unit of layer 2 is
    deactivated with probability $<<xi>>$, but seldom both: the unit of layer 3 is with probability $\xi_3$,

    $$<<less>>, \qquad <<values>>, \qquad <<product>> .$$

    With "cut off" in place of "deactivated" and $\zeta$ in place of $\xi$, (14) holds here: $<<more>>$, as
    $<<zetas>>$ and $<<cut>>$.
    """


ASLEEP_PROBABILITY = sp.Symbol(r"\Pr(D_1(x) = 0)", real=True)
AT_HALF = sp.Symbol(r"\Pr(D_1(x) = 0)|_{\alpha = 1/2}", real=True)


def not_monotone_cases() -> list[Case]:
    """The formula for h at points, and the probability at x = (1, 1)."""
    probability = mean_in_alpha(UNBALANCED, lambda net: inactive(net, (1, 1), 1, 0))
    facts = {ALPHA: ALPHA, ASLEEP_PROBABILITY: probability, AT_HALF: probability.subs(ALPHA, LEVEL)}
    return [{**facts, **place} for place in at_points(UNBALANCED, [(3, 1), (1, 1), (-1, -2)])]


X_1, X_2 = sp.symbols("x_1 x_2")


@statement(
    "cex-deactivation-not-monotone",
    kind="counterexample",
    title="G4: the probability of being deactivated is not monotone",
    source="this book; paper, Theorem 3.3, " + '"function eta is monotonically increasing"',
    status="checked exactly on an example",
    claims={
        "h": sp.Eq(NET, SIGMA(X_1 - 2 * X_2)),
        "chance": sp.Eq(ASLEEP_PROBABILITY, 1 - ALPHA + ALPHA**2),
        "least": sp.Eq(AT_HALF, sp.Rational(3, 4)),
    },
    cases=not_monotone_cases,
)
def not_monotone(chance: sp.Eq, least: sp.Eq, **_: sp.Basic) -> None:
    r"""For one unit, $<<h>>$, at $x = (1, 1)$ the probability of being deactivated is $<<chance>>$. It falls
    from $1$ at $\alpha = 0$ to its least value, $<<least>>$: masking the negative weight wakes the unit.
    """
    assert sp.solve(sp.diff(chance.rhs, ALPHA), ALPHA) == [LEVEL]
    assert chance.rhs.subs(ALPHA, 0) == 1
    assert chance.rhs.subs(ALPHA, LEVEL) == least.rhs < 1


DENSE_L, MEAN_AT = sp.Symbol(r"L_1^{\mathrm{dense}}", real=True), sp.Symbol(r"\mathbb{E} L_1'", real=True)
ALPHA_SMALL = sp.Symbol(r"\alpha'", real=True)


def sparser_case() -> Case:
    """Both examples of G5; with one input, L_1 = L_2, and L_2 is 0 or 1, as is its square."""
    ball, small = around(1, 1, radius="1/4"), Fraction(3, 10)
    return {
        ALPHA: ALPHA,
        MEAN_L: {q: mean_in_alpha(DIFFERENCE, partial(lipschitz_power, q=q)) for q in (1, 2)},
        WEIGHT: dict(enumerate(ASLEEP.weights, 1)),
        READOUT: ASLEEP.readout,
        RADIUS: ball.radius,
        DENSE_L: lipschitz_power(ASLEEP, ball, q=1),
        ALPHA_SMALL: small,
        MEAN_AT: average(ASLEEP, lambda net: lipschitz_power(net, ball, q=1), small),
    }


@statement(
    "err-sparser-is-not-smaller",
    kind="erratum",
    title="G5: sparser need not mean a smaller Lipschitz constant",
    source='paper, after Theorem 3.3, "prone to get smaller if any weight matrix gets more sparse"',
    status="checked exactly on an example",
    uses=("lem-regions",),
    claims={
        "two": chain(MEAN_L[1], sp.Eq, MEAN_L[2], sp.Eq, 2 * ALPHA * (1 - ALPHA)),
        "W_1": sp.Eq(WEIGHT[1], matrix([[3, 1], [3, 1]])),
        "W_2": sp.Eq(WEIGHT[2], matrix([[-3, -1], [1, 1]])),
        "c": sp.Eq(READOUT, row([2, 1])),
        "radius": sp.Eq(RADIUS, sp.Rational(1, 4)),
        "dense": sp.Eq(DENSE_L, 0),
        "small": sp.Eq(ALPHA_SMALL, sp.Rational(3, 10)),
        "mean": sp.Eq(MEAN_AT, sp.Rational(53361, 50000)),
    },
    cases=lambda: [sparser_case()],
)
def sparser_not_smaller(two: tuple[sp.Eq, ...], **_: sp.Basic) -> None:
    r"""Only the *bound* is monotone. For $h = \sigma(m_1 x) - \sigma(m_2 x)$, $<<two>>$, which is $0$ for the
    dense network. Nor does it take such a cancellation: for $<<W_1>>$, $<<W_2>>$, $<<c>>$ on the $l_\infty$
    ball with $<<radius>>$ around $(1, 1)$ the dense network has $<<dense>>$, but the mean at $<<small>>$ is
    $<<mean>>$.
    """
    assert two[1].rhs.subs(ALPHA, 0) == 0


STATES = sp.IndexedBase("D")
ASLEEP_SECOND = sp.Symbol(r"\Pr(D_2 = 0)", real=True)


def biased_cases() -> list[Case]:
    """The states at 1, the probabilities over masks, and the formula for h at points."""
    first, second = BIASED.pattern(fractions([1]))
    shapes = mask_shapes(BIASED)
    gone = mask_polynomial(shapes, kept_sums(shapes, lambda m: Fraction(cut_off(m))), [ALPHA] * 2)
    facts = {
        STATES: {1: int(first[0]), 2: int(second[0])},
        ALPHA: ALPHA,
        ASLEEP_SECOND: mean_in_alpha(BIASED, lambda net: inactive(net, (1,), 2, 0)),
        ETA_STAR: gone.as_expr(),
    }
    return [{**facts, **place} for place in at_points(BIASED, [-2, Fraction(1, 2), 1])]


@statement(
    "cex-biases-wake-units",
    kind="counterexample",
    title="G6: with biases the last layer does not decide",
    source='this book; paper, proof sketch of Theorem 3.3, "is fulfilled iff"',
    status="checked exactly on an example",
    uses=(
        "def-cut-off",
        "lem-regions",
        "prop-percolation",
    ),
    claims={
        "h": sp.Eq(NET, SIGMA(SIGMA(-X) + 1)),
        "D_1": sp.Eq(STATES[1], 0),
        "D_2": sp.Eq(STATES[2], 1),
        "never": sp.Eq(ASLEEP_SECOND, 0),
        "eta": sp.Eq(ETA_STAR, 2 * ALPHA - ALPHA**2),
    },
    cases=biased_cases,
)
def biases_wake(never: sp.Eq, eta: sp.Eq, **_: sp.Basic) -> None:
    r"""The sketch says that $\prod_j \lVert D_j \rVert \ne 0$ iff $\lVert D_{d-1} \rVert \ne 0$. With biases,
    which the paper omits, that is false: for $<<h>>$ at $x = 1$, $<<D_1>>$ and $<<D_2>>$. And a unit with a
    positive bias is active although all its weights are masked, so that (14) fails as well: here
    $<<never>>$ over the masks. What the repaired proof uses is true with biases, too: $h$ is constant if the
    network is cut off, which has probability $<<eta>>$.
    """
    assert lipschitz_power(BIASED, around(1, radius="1/2"), q=1) == 0
    assert never.rhs < product_of_14(HALF, [HALF])
    lipschitz = mean_in_alpha(BIASED, lambda net: lipschitz_power(net, q=1))
    assert sp.expand(lipschitz - (1 - eta.rhs)) == 0  # L = 1 unless cut off
    assert sp.expand(eta_star((1, 1, 1), [ALPHA] * 2) - eta.rhs) == 0


ROWS = sp.Symbol("c_1", real=True)
TOO_SMALL = sp.IndexedBase("N")
NAMED = dict(zip(("W_1", "W_2"), EXAMPLE.weights, strict=True))


def row_cases() -> list[Case]:
    """The two-input example with its mean, and how many masks of the 2-2-2 network break the reading."""
    masked = [EXAMPLE.masked(masks) for masks in all_masks(mask_shapes(EXAMPLE))]
    counts = [
        sum(lipschitz_power(net, ball, q=1) > row_product(net) for net in masked)
        for ball in (None, EXAMPLE_BALL)
    ]
    facts = {
        ROWS: row_product(TWO_INPUTS),
        ALPHA: ALPHA,
        WEIGHT: dict(enumerate(EXAMPLE.weights, 1)),
        READOUT: EXAMPLE.readout,
        MEAN_L: {1: mean_in_alpha(TWO_INPUTS, lambda net: lipschitz_power(net, q=1))},
        ETA_STAR: eta_star((2, 1), [ALPHA]),
        TOO_SMALL: {1: counts[0], 2: counts[1]},
    }
    return [{**facts, **place} for place in at_points(TWO_INPUTS, [(3, 1), (1, -2), (1, 1)])]


@statement(
    "cex-row-sums",
    kind="counterexample",
    title="The constant of Theorem 3.3 needs column sums",
    source="this book; paper, Theorem 3.3, the constant " + "$c_1$",
    status="checked exactly on an example",
    uses=(
        "lem-regions",
        "prop-percolation",
    ),
    claims={
        "h": sp.Eq(NET, SIGMA(X_1 + X_2)),
        "c_1": sp.Eq(ROWS, 1),
        "mean": sp.Eq(MEAN_L[1], 2 * (1 - ALPHA)),
        "eta": sp.Eq(1 - ETA_STAR, 1 - ALPHA**2),
        "W_1": sp.Eq(WEIGHT[1], matrix(NAMED["W_1"])),
        "W_2": sp.Eq(WEIGHT[2], matrix(NAMED["W_2"])),
        "c": sp.Eq(READOUT, row(EXAMPLE.readout)),
        "global": sp.Eq(TOO_SMALL[1], 2),
        "local": sp.Eq(TOO_SMALL[2], 1),
    },
    cases=row_cases,
)
def row_sums(mean: sp.Eq, eta: sp.Eq, **_: sp.Basic) -> None:
    r"""If $\lVert W \rVert_{1,\infty}$ is read as the largest row sum, (12) is false. For $<<h>>$ that
    constant is $<<c_1>>$, but $<<mean>>$, which exceeds $<<eta>>$ for every $\alpha < 1$. Among the 256 masks
    of $<<W_1>>$, $<<W_2>>$, $<<c>>$ the product of row sums stays below the global $L_1$ for $<<global>>$
    masks, and below the local one at $x = (1, 1)$, $R = \tfrac12$ for $<<local>>$.
    """
    assert sp.expand(mean.rhs - eta.rhs - (1 - ALPHA) ** 2) == 0


def row_product(net: ReluNet) -> Fraction:
    """||c||_1 prod_j (largest row sum of |W_j|)."""
    value = abs(net.readout).sum()
    for w in net.weights:
        value *= abs(w).sum(1).max()
    return value
