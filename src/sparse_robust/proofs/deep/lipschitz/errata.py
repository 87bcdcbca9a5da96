"""Where Lemma 3.1 as printed fails, what its formula says at kinks, and activation sparsity that counts."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product
from math import inf

import numpy as np
import sympy as sp

from sparse_robust.proofs.deep.written import NET as VALUE
from sparse_robust.proofs.deep.written import POINT, SIGMA, at_points, row
from sparse_robust.proofs.formulas import Case, chain, operator
from sparse_robust.proofs.foundations.norms import SIGN_BRANCHES
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.intervals import (
    live_net,
    norm_power,
    preactivation_bounds,
    product_interval,
    switched,
    unit_states,
)
from sparse_robust.theory.kinks import attained_patterns
from sparse_robust.theory.lipschitz import induced_norm, layer_product, lipschitz_power, literal_product
from sparse_robust.theory.mask_bounds import norm_product_power
from sparse_robust.theory.networks import ReluNet, exact_net, fractions
from sparse_robust.theory.regions import Ball

from .cases import (
    DEPTH,
    KINK,
    L_Q,
    NET,
    ONE,
    READOUT,
    SUM,
    UNIT,
    WEIGHTS,
    J,
    LipschitzSetting,
    random_cases,
    random_point,
)
from .paper import PAPER

SLEEPERS = exact_net([[[1, -1, -1]]], [1, 50, 50])
"""h = s(x) + 100 s(-x), the second term as two units."""


LIVE = sp.Symbol(r"\bar h")
"""The network without the units that are known to sleep, in a case."""
LIVE_READOUT = operator(
    "LiveReadoutNorm",
    r"\lVert \bar D_{{d-1}} c \rVert_q",
    lambda live: norm_power(live.net.readout, live.q),
    real=True,
    nonnegative=True,
)
LIVE_WEIGHTS = operator(
    "LiveWeightsNorm",
    r"\lVert \bar D_{{{1}-1}} W_{1} \bar D_{1} \rVert_{{q \to q}}",
    lambda live, j: induced_norm(live.net.weights[int(j) - 1], live.q),
    real=True,
    nonnegative=True,
)


def wide_sum(inputs: int) -> ReluNet:
    """h = s(x_1 + ... + x_n)."""
    return exact_net([[[1]] * inputs], [1])


INPUTS = sp.Symbol("n", integer=True)
LOCAL_L, ROWS, COLUMN_SUMS = (
    sp.Symbol(name, real=True) for name in ("L_1", r"\lVert W_1 \rVert_\infty", r"\max_u \sum_i |W_1[i, u]|")
)
STATES_NORM = sp.Symbol(r"\lVert D_1 \rVert_\infty", real=True)


def transposed_cases() -> list[Case]:
    """The sum of up to three inputs; c = 1, so that products of norms are norms of W_1."""
    cases: list[Case] = []
    for n in range(1, 4):
        net, ball = wide_sum(n), Ball(fractions([1] * n), Fraction(1, 2))
        cases.append(
            {
                INPUTS: n,
                LOCAL_L: lipschitz_power(net, ball, q=1),
                STATES_NORM: int(net.pattern(ball.centre)[0].any()),
                ROWS: literal_product(net),
                COLUMN_SUMS: layer_product(net, q=1),
            }
        )
    return cases


@statement(
    "err-transposed",
    kind="erratum",
    title="For $q = 1$ the matrix norms are transposed",
    source=PAPER,
    status="checked exactly on an example",
    uses=(
        "lem-regions",
        "lem-induced-norms",
    ),
    claims={
        "constant": sp.Eq(LOCAL_L, INPUTS),
        "states": sp.Eq(STATES_NORM, 1),
        "rows": sp.Eq(ROWS, 1),
        "columns": sp.Eq(COLUMN_SUMS, INPUTS),
    },
    cases=transposed_cases,
)
def transposed(**_: sp.Basic) -> None:
    r"""Let $h = \sigma(x_1 + \dots + x_n)$, $W_1 = (1, \dots, 1)^T$, $c = 1$, at $x = (1, \dots, 1)$ with
    $R = \frac12$. Its gradient is $(1, \dots, 1)$ and $<<constant>>$. But $<<states>>$ and $<<rows>>$, the
    largest row sum, so that the right side of (10) is 1: it is too small by a factor of $n$. The largest
    column sum is right, $<<columns>>$.
    """
    assert literal_product(SUM) < lipschitz_power(SUM, q=1)


FORMULA, NEARBY = sp.Symbol("g"), sp.Symbol(r"\nabla h")
SIZE, LARGEST = (
    sp.Symbol(name, real=True) for name in (r"\lVert g \rVert_1", r"\max_{x' \in B} \lVert g(x') \rVert_1")
)
X_1, X_2 = sp.symbols("x_1 x_2")


def kink_cases() -> list[Case]:
    """The formula at (0, 1), the gradient next to it, the constants on the ball and on the plane."""
    kink = fractions([0, 1])
    ball = Ball(kink, Fraction(1, 2))
    formula = KINK.gradient(KINK.pattern(kink))
    middle = max(norm_power(KINK.gradient(p), 1) for p in attained_patterns(KINK, ball))
    places = at_points(KINK, [(Fraction(1, 9), Fraction(8, 9)), (Fraction(-1, 9), Fraction(1))])
    cases: list[Case] = []
    for place, domain in zip(places, (None, ball), strict=True):
        x = fractions([place[X_1], place[X_2]])
        cases.append(
            {
                **place,
                FORMULA: formula,
                SIZE: norm_power(formula, 1),
                NEARBY: KINK.gradient(KINK.pattern(x)),
                LARGEST: middle,
                LOCAL_L: lipschitz_power(KINK, domain, q=1),
            }
        )
    return cases


@statement(
    "cex-kinks",
    kind="counterexample",
    title="At kinks the formula of the gradient is not the gradient",
    source="this book; the paper's gloss on gradients is about differentiable functions",
    status="checked exactly on an example",
    uses=("lem-regions",),
    claims={
        "h": sp.Eq(VALUE, 2 * SIGMA(X_1 + X_2) - SIGMA(X_1) + SIGMA(-X_1)),
        "formula": sp.Eq(FORMULA, row((2, 2))),
        "size": sp.Eq(SIZE, 4),
        "nearby": sp.Eq(NEARBY, row((1, 2))),
        "constant": sp.Eq(LOCAL_L, 3),
        "middle": chain(LARGEST, sp.Eq, 4),
        "more": sp.Gt(LARGEST, LOCAL_L),
    },
    loose={"more": "a counterexample"},
    cases=kink_cases,
)
def kinks(**_: sp.Basic) -> None:
    r"""The middle term of {prf:ref}`lem-3-1-repaired` takes $D_j(x')$ at *every* $x'$ of the ball and can
    exceed $L_q$. Let

    $$<<h>> .$$

    Both last units are inactive where $x_1 = 0$; at $(0, 1)$ the formula gives $<<formula>>$ with $<<size>>$.
    But $-\sigma(x_1) + \sigma(-x_1) = -x_1$: near $(0, 1)$ the gradient is $<<nearby>>$, and
    $<<constant>>$, on the ball of radius $\frac12$ around $(0, 1)$ and on all of $\mathbb{R}^2$, while
    $<<middle>>$: $<<more>>$. So the supremum of the formula over all points need not be the best constant,
    and what automatic differentiation returns at a kink need not be a gradient. The best constant is the
    maximum over the full-dimensional regions that meet the open ball. (The paper says that its constant is a
    largest norm of gradients "for differentiable" functions, which is right; a ReLU network is not one of
    them.)
    """


AWAKE, LITERAL, REPAIRED = (
    sp.Symbol(name, real=True)
    for name in (r"\sum_u D_1[u, u]", r"b_{\mathrm{rows}}", r"b_{\mathrm{columns}}")
)


def sleeper_cases() -> list[Case]:
    """One active unit of three; the two products; the formula for h at points."""
    ball = Ball(fractions([1]), Fraction(1, 2))
    facts = {
        AWAKE: int(SLEEPERS.pattern(ball.centre)[0].sum()),
        LOCAL_L: lipschitz_power(SLEEPERS, ball, q=1),
        LITERAL: literal_product(SLEEPERS),
        REPAIRED: layer_product(SLEEPERS, q=1),
    }
    return [{**facts, **place} for place in at_points(SLEEPERS, [1, -1, Fraction(1, 2)])]


@statement(
    "err-activation-sparsity",
    kind="erratum",
    title="$\\lVert D_j \\rVert$ sees no activation sparsity",
    source="paper, the remarks behind Theorem 3.3",
    status="checked exactly on an example",
    uses=("lem-3-1-repaired", "lem-regions"),
    claims={
        "h": sp.Eq(VALUE, SIGMA(POINT) + 100 * SIGMA(-POINT)),
        "awake": sp.Eq(AWAKE, 1),
        "constant": sp.Eq(LOCAL_L, 1),
        "literal": sp.Eq(LITERAL, 303),
        "repaired": sp.Eq(REPAIRED, 101),
    },
    cases=sleeper_cases,
)
def activation_sparsity(**_: sp.Basic) -> None:
    r"""In every norm $\lVert D_j \rVert_{q \to q} = 1$, unless $D_j = 0$: one active unit counts as much as
    all of them. So (10) is the product of norms over all layers as soon as one point of the ball leaves
    no layer silent. "Similar conclusions if $a_j$ gets more sparse" do not follow from it. Let $<<h>>$, the
    second term as two units of weight $50$, at $x = 1$, $R = \frac12$: one of the three units is active on
    the ball, $<<awake>>$, and $<<constant>>$. The bound is $<<literal>>$ as printed, with row sums, and
    $<<repaired>>$ in the right order, with column sums.
    """
    for states in ([0, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 0]):
        diagonal = fractions(np.diag(states))
        assert abs(diagonal).sum(0).max() == abs(diagonal).sum(1).max() == max(states)


@statement(
    "lem-interval",
    kind="lemma",
    title="Interval arithmetic through a layer",
    source="folklore",
    status="proved",
)
def interval_layer() -> None:
    r"""Let $l_u \le a_u \le r_u$ for every unit $u$, and $w^+ = \max(w, 0)$, $w^- = \min(w, 0)$. Then

    $$\sum_u (w_u^+ l_u + w_u^- r_u) \le \sum_u w_u a_u \le \sum_u (w_u^+ r_u + w_u^- l_u),$$

    and with $D \in \{0, 1\}$: $D a$ lies between $\min(l, 0)$ and $\max(r, 0)$.
    """
    below, above = sp.symbols("s r", nonnegative=True)  # a - l and r - a
    a = sp.Symbol("a", real=True)
    for w in (sp.Symbol("w", positive=True), sp.Integer(0), sp.Symbol("w", negative=True)):
        ends = product_interval((np.array([a - below]), np.array([a + above])), np.array([[w]]))
        assert sp.expand(w * a - ends[0][0]).is_nonnegative
        assert sp.expand(ends[1][0] - w * a).is_nonnegative
    for value in SIGN_BRANCHES:
        for state in (0, 1):
            low, high = sp.Min(value - below, 0), sp.Max(value + above, 0)
            assert low == sp.Min(low, state * value) or sp.expand(state * value - low).is_nonnegative
            assert high == sp.Max(high, state * value) or sp.expand(high - state * value).is_nonnegative
    for left, right in product(range(-2, 3), repeat=2):  # and this is what the code computes
        ends = switched((np.array([left]), np.array([right])), np.array([True]), np.array([False]))
        assert (ends[0][0], ends[1][0]) == (min(left, 0), max(right, 0))
    rng = random.Random(47)
    for net, ball in random_cases(seed=47, count=9):
        bounds = preactivation_bounds(net, ball)
        for _ in range(10):
            x = random_point(rng, ball)
            for (low, high), z in zip(bounds, net.preactivations(x), strict=True):
                assert (low <= z).all()
                assert (z <= high).all()


def live_case(net: ReluNet, ball: Ball, q: float) -> Case:
    """What the product of norms through live units is about."""
    whole, live = LipschitzSetting(net, q), LipschitzSetting(live_net(net, unit_states(net, ball)), q)
    constant = Fraction(lipschitz_power(net, ball, q=q))
    return {L_Q: constant, NET: whole, LIVE: live, DEPTH: len(net.weights) + 1}


def live_cases() -> list[Case]:
    """Random networks, one on which half of the units sleep, and one on which both bounds are attained."""
    near = Ball(fractions([1]), Fraction(1, 2))
    nets = [(SLEEPERS, near), (ONE, near), (SUM, UNIT), *random_cases(seed=48, count=12)]
    return [live_case(net, ball, q) for net, ball in nets for q in (1, inf)]


@statement(
    "prop-live-units",
    kind="proposition",
    title="Activation sparsity that counts",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-interval", "lem-induced-norms", "lem-regions"),
    claims={
        "bound": chain(
            L_Q,
            sp.Le,
            LIVE_READOUT(LIVE) * sp.Product(LIVE_WEIGHTS(LIVE, J), (J, 1, DEPTH - 1)),
            sp.Le,
            READOUT(NET) * sp.Product(WEIGHTS(NET, J), (J, 1, DEPTH - 1)),
        )
    },
    cases=live_cases,
)
def live_units(bound: tuple[sp.Le, ...]) -> None:
    r"""Let $\bar D_j$ be the diagonal matrix with entry 0 for every unit of layer $j$ whose preactivation is
    known, say by interval arithmetic, to be nowhere positive on the ball, and 1 otherwise. Let
    $\bar D_0 = I$. Then for every $q$

    $$<<bound>> .$$

    A unit that sleeps on the whole ball makes the matrices smaller. A unit that sleeps at $x$ only does not.
    """
    for uniform, state in ((1, 0), (1, 1), (0, 0)):  # D <= Dbar, entry by entry: D = Dbar D Dbar
        assert state == uniform * state * uniform
    # put into the gradient of two layers: W_1 D_1 W_2 D_2 c is a product of the bounded matrices
    n = sp.symbols("n_0:3", integer=True, positive=True)
    w_1, w_2 = sp.MatrixSymbol("W_1", n[0], n[1]), sp.MatrixSymbol("W_2", n[1], n[2])
    d_1, d_2 = sp.MatrixSymbol("D_1", n[1], n[1]), sp.MatrixSymbol("D_2", n[2], n[2])
    bar_1, bar_2 = sp.MatrixSymbol("B_1", n[1], n[1]), sp.MatrixSymbol("B_2", n[2], n[2])
    c = sp.MatrixSymbol("c", n[2], 1)
    gradient = w_1 * (bar_1 * d_1 * bar_1) * w_2 * (bar_2 * d_2 * bar_2) * c
    assert gradient.doit() == ((w_1 * bar_1) * d_1 * (bar_1 * w_2 * bar_2) * d_2 * (bar_2 * c)).doit()
    # lem-induced-norms: ||D|| <= 1 and ||Dbar W Dbar|| <= ||Dbar|| ||W|| ||Dbar||, with norms 1 - s
    norm, s, t = sp.symbols("W s t", nonnegative=True)
    below_one = {s: 1 / (1 + sp.Symbol("r", nonnegative=True)), t: 1 / (1 + sp.Symbol("u", nonnegative=True))}
    assert sp.factor((norm - s * norm * t).subs(below_one)).is_nonnegative
    slept = 0
    for net, ball in random_cases(seed=48, count=24):
        states = unit_states(net, ball)
        live = live_net(net, states)
        slept += sum(int((~layer).sum()) for layer in states.live)
        for q in (1, 2):
            assert lipschitz_power(net, ball, q=q) == lipschitz_power(live, ball, q=q)
            assert norm_product_power(live, q=q) <= norm_product_power(net, q=q)
        assert (
            float(lipschitz_power(net, ball, q=2)) <= layer_product(live, q=2) ** 2 + 1e-9
        )  # q = 2, rounded
        assert layer_product(live, q=2) <= layer_product(net, q=2) + 1e-9
    assert slept > 0
