"""Where the statement and the proof sketch of Theorem 3.3 fail: six gaps, each with an exact example."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np
import sympy as sp

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

from .cases import ALPHA, EXAMPLE, EXAMPLE_BALL, average, polynomial

HALF = Fraction(1, 2)

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


@statement(
    "cex-winner-depends-on-masks",
    kind="counterexample",
    title="G1: the predicted class depends on the masks",
    source="this book; paper, Theorem 3.3, " + '"c_2 and c_1 are two constants"',
    status="checked exactly on an example",
    uses=("lem-regions",),
)
def winner_depends() -> None:
    r"""One input, $W'_1 = (1, 1)$, last-layer columns $w_1 = (1, 0)$, $w_2 = (-10, 10)$, $w_3 = 0$, and
    $\alpha = \tfrac12$. At $x = 1$ the unmasked network predicts class 1; if just the first weight is masked
    it predicts class 2. For $k = 3$, on every ball around $x$ and on all of $\mathbb{R}$,

    $$\mathbb{E} L_1 = \mathbb{E} L_2 = 3 > \sqrt 2 = c_2 > 1 = c_1 ,$$

    so that (11) and (12) fail for every $\eta \ge 0$.
    """
    dense = exact_net([[[1, 1]]], LAST_COLUMNS[0])
    shapes = mask_shapes(dense)
    assert winner((np.ones((1, 2), dtype=bool),)) == 0
    assert winner((np.array([[False, True]]),)) == 1
    assert [norm_product_power(dense, q=q) for q in (1, 2)] == [1, 2]
    for ball in (None, around(1, radius="1/2")):  # one input, so that L_1 = L_2
        sums = kept_sums(shapes, partial(lipschitz_of_winner, ball=ball))
        mean = expectation(shapes, sums, [HALF])
        assert mean == 3 > 1
        assert mean**2 > 2


@statement(
    "cex-worst-point-depends-on-masks",
    kind="counterexample",
    title="G2: the worst point of the ball depends on the masks",
    source="this book; paper, proof sketch of Theorem 3.3, equation (13)",
    status="checked exactly on an example",
    uses=("lem-regions",),
)
def worst_point_depends() -> None:
    r"""The sketch fixes one $\hat x$ and speaks of probabilities over the masks. Let $h = \sigma(m x)$ be one
    unit with one weight $1$, $x = -1$ and $R = 2$. The unit is deactivated at $x$ with probability $1$, which
    as $\eta(\alpha; x)$ would give $\mathbb{E} L \le 0$; but on the ball $\mathbb{E} L_1 = 1 - \alpha$.
    """
    ball = around(-1, radius=2)
    assert sp.expand(polynomial(ONE_UNIT, lambda net: inactive(net, (-1,), 1, 0)) - 1) == 0
    assert sp.expand(polynomial(ONE_UNIT, lambda net: lipschitz_power(net, ball, q=1)) - (1 - ALPHA)) == 0


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
)
def equation_14() -> None:
    r"""Widths $1, 2, 2, 1$, $W'_1 = (1, 1)$, $W'_2 = \begin{pmatrix} 1 & -1 \\ -1 & 1 \end{pmatrix}$,
    $W'_3 = (1, 1)^T$, $x = 1$ and $\alpha = \tfrac12$. Each unit of layer 2 is deactivated with probability
    $\xi = \tfrac{13}{16}$, but seldom both: the unit of layer 3 is with probability

    $$\frac{209}{256} < \frac{841}{1024} = \prod_{u'} (\alpha + \xi - \alpha \xi) .$$

    With "cut off" in place of "deactivated", (14) holds here, $\tfrac{161}{256} > \tfrac{625}{1024}$.
    """
    deactivated = [
        average(ANTICORRELATED, partial(inactive, x=(1,), layer=layer, unit=unit), HALF)
        for layer, unit in ((2, 0), (2, 1), (3, 0))
    ]
    assert deactivated[:2] == [Fraction(13, 16)] * 2
    assert deactivated[2] == Fraction(209, 256)
    assert deactivated[2] < product_of_14(HALF, deactivated[:2]) == Fraction(841, 1024)
    shapes = mask_shapes(ANTICORRELATED)
    last = expectation(shapes, kept_sums(shapes, lambda m: int(cut_off(m))), [HALF] * 3)
    below = [eta_star((1, 2, 1), [HALF] * 2)] * 2
    assert last == Fraction(161, 256) > product_of_14(HALF, below) == Fraction(625, 1024)


def product_of_14(alpha: Fraction, xi: list[Fraction]) -> Fraction:
    """The right side of (14)."""
    value = Fraction(1)
    for each in xi:
        value *= alpha + each - alpha * each
    return value


@statement(
    "cex-deactivation-not-monotone",
    kind="counterexample",
    title="G4: the probability of being deactivated is not monotone",
    source="this book; paper, Theorem 3.3, " + '"function eta is monotonically increasing"',
    status="checked exactly on an example",
)
def not_monotone() -> None:
    r"""For one unit with weights $(1, -2)$ at $x = (1, 1)$ the probability of being deactivated is
    $1 - \alpha + \alpha^2$, which falls from $1$ at $\alpha = 0$ to $\tfrac34$ at $\alpha = \tfrac12$:
    masking the negative weight wakes the unit.
    """
    probability = polynomial(UNBALANCED, lambda net: inactive(net, (1, 1), 1, 0))
    assert sp.expand(probability - (1 - ALPHA + ALPHA**2)) == 0
    assert sp.solve(sp.diff(probability, ALPHA), ALPHA) == [sp.Rational(1, 2)]
    assert probability.subs(ALPHA, 0) == 1
    assert probability.subs(ALPHA, sp.Rational(1, 2)) == sp.Rational(3, 4)


@statement(
    "err-sparser-is-not-smaller",
    kind="erratum",
    title="G5: sparser need not mean a smaller Lipschitz constant",
    source='paper, after Theorem 3.3, "prone to get smaller if any weight matrix gets more sparse"',
    status="checked exactly on an example",
    uses=("lem-regions",),
)
def sparser_not_smaller() -> None:
    r"""Only the *bound* is monotone. For $h = \sigma(m_1 x) - \sigma(m_2 x)$,
    $\mathbb{E} L_1 = \mathbb{E} L_2 = 2 \alpha (1 - \alpha)$, which is $0$ for the dense network. Nor does it
    take such a cancellation: for $W'_1 = \begin{pmatrix} 3 & 1 \\ 3 & 1 \end{pmatrix}$,
    $W'_2 = \begin{pmatrix} -3 & -1 \\ 1 & 1 \end{pmatrix}$, $c = (2, 1)$ on the $l_\infty$ ball of radius
    $\tfrac14$ around $(1, 1)$ the dense network has $L_1 = 0$, but
    $\mathbb{E} L_1 = \tfrac{53361}{50000}$ at $\alpha = \tfrac3{10}$.
    """
    for q in (1, 2):  # one input: L_1 = L_2, and L_2 is 0 or 1, as is its square
        mean = polynomial(DIFFERENCE, partial(lipschitz_power, q=q))
        assert sp.expand(mean - 2 * ALPHA * (1 - ALPHA)) == 0
    ball = around(1, 1, radius="1/4")
    assert lipschitz_power(ASLEEP, ball, q=1) == 0
    mean = average(ASLEEP, lambda net: lipschitz_power(net, ball, q=1), Fraction(3, 10))
    assert mean == Fraction(53361, 50000)


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
)
def biases_wake() -> None:
    r"""The sketch says that $\prod_j \lVert D_j \rVert \ne 0$ iff $\lVert D_{d-1} \rVert \ne 0$. With biases,
    which the paper omits, that is false: for $h = \sigma(\sigma(-x) + 1)$ at $x = 1$, $D_1 = 0$, $D_2 = 1$.
    And a unit with a positive bias is active although all its weights are masked, so that (14) fails as well:
    here $D_2 = 1$ under every mask. What the repaired proof uses is true with biases, too: $h$ is constant if
    the network is cut off, which has probability $\eta^* = 2 \alpha - \alpha^2$.
    """
    first, second = BIASED.pattern(fractions([1]))
    assert (first.any(), second.any()) == (False, True)
    assert lipschitz_power(BIASED, around(1, radius="1/2"), q=1) == 0
    assert polynomial(BIASED, lambda net: inactive(net, (1,), 2, 0)) == 0 < product_of_14(HALF, [HALF])
    shapes = mask_shapes(BIASED)
    sums = kept_sums(shapes, lambda m: Fraction(cut_off(m)))
    assert mask_polynomial(shapes, sums, [ALPHA] * 2).as_expr() == sp.expand(2 * ALPHA - ALPHA**2)
    lipschitz = polynomial(BIASED, lambda net: lipschitz_power(net, q=1))
    assert sp.expand(lipschitz - (1 - eta_star((1, 1, 1), [ALPHA] * 2))) == 0  # L = 1 unless cut off


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
)
def row_sums() -> None:
    r"""If $\lVert W \rVert_{1,\infty}$ is read as the largest row sum, (12) is false. For
    $h = \sigma(x_1 + x_2)$, $W'_1 = (1, 1)^T$, that $c_1$ is $1$, but
    $\mathbb{E} L_1 = 2 (1 - \alpha)$, which exceeds $1 - \eta^* = 1 - \alpha^2$ for every $\alpha < 1$.
    Among the 256 masks of
    $W'_1 = \begin{pmatrix} 1 & -2 \\ 3 & 1 \end{pmatrix}$,
    $W'_2 = \begin{pmatrix} 2 & -1 \\ -1 & 3 \end{pmatrix}$, $c = (1, -2)$ the product of row sums stays below
    the global $L_1$ for two, and below the local one at $x = (1, 1)$, $R = \tfrac12$ for one.
    """
    mean = polynomial(TWO_INPUTS, lambda net: lipschitz_power(net, q=1))
    assert row_product(TWO_INPUTS) == 1
    assert sp.expand(mean - 2 * (1 - ALPHA)) == 0
    excess = mean - (1 - eta_star((2, 1), [ALPHA]))
    assert sp.expand(excess - (1 - ALPHA) ** 2) == 0
    masked = [EXAMPLE.masked(masks) for masks in all_masks(mask_shapes(EXAMPLE))]
    for ball, count in ((None, 2), (EXAMPLE_BALL, 1)):
        assert sum(lipschitz_power(net, ball, q=1) > row_product(net) for net in masked) == count


def row_product(net: ReluNet) -> Fraction:
    """||c||_1 prod_j (largest row sum of |W_j|)."""
    value = abs(net.readout).sum()
    for w in net.weights:
        value *= abs(w).sum(1).max()
    return value
