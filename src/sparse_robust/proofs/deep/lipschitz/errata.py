"""Where Lemma 3.1 as printed fails, what its formula says at kinks, and activation sparsity that counts."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product
from math import inf

import numpy as np
import sympy as sp

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
)
def transposed() -> None:
    r"""Let $h = \sigma(x_1 + \dots + x_n)$, $W_1 = (1, \dots, 1)^T$, $c = 1$, at $x = (1, \dots, 1)$ with
    $R = \frac12$. Its gradient is $(1, \dots, 1)$ and $L_1 = n$. But $\lVert D_1 \rVert_\infty = 1$ and
    $\lVert W_1 \rVert_\infty = 1$, the largest row sum, so that the right side of (10) is 1: it is too small
    by a factor of $n$. The largest column sum is $n$.
    """
    for n in range(1, 4):
        net, ball = wide_sum(n), Ball(fractions([1] * n), Fraction(1, 2))
        assert lipschitz_power(net, ball, q=1) == layer_product(net, q=1) == n
        assert literal_product(net) == 1
    assert literal_product(SUM) < lipschitz_power(SUM, q=1)


@statement(
    "cex-kinks",
    kind="counterexample",
    title="At kinks the formula of the gradient is not the gradient",
    source="this book; the paper's gloss on gradients is about differentiable functions",
    status="checked exactly on an example",
    uses=("lem-regions",),
)
def kinks() -> None:
    r"""The middle term of {prf:ref}`lem-3-1-repaired` takes $D_j(x')$ at *every* $x'$ of the ball and can
    exceed $L_q$. Let $h = 2 \sigma(x_1 + x_2) - \sigma(x_1) + \sigma(-x_1)$. Both last units are inactive
    where $x_1 = 0$; at $(0, 1)$ the formula gives $(2, 2)$ with $\lVert \cdot \rVert_1 = 4$. But
    $-\sigma(x_1) + \sigma(-x_1) = -x_1$: near $(0, 1)$ the gradient is $(1, 2)$, and $L_1 = 3$, on the ball
    of radius $\frac12$ around $(0, 1)$ and on all of $\mathbb{R}^2$. So the supremum of the formula over all
    points need not be the best constant, and what automatic differentiation returns at a kink need not be a
    gradient. The best constant is the maximum over the full-dimensional regions that meet the open ball.
    (The paper says that its constant is a largest norm of gradients "for differentiable" functions, which is
    right; a ReLU network is not one of them.)
    """
    kink = fractions([0, 1])
    assert list(KINK.gradient(KINK.pattern(kink))) == [2, 2]
    middle = max(norm_power(KINK.gradient(p), 1) for p in attained_patterns(KINK, Ball(kink, Fraction(1, 2))))
    assert middle == 4
    for ball in (None, Ball(kink, Fraction(1, 2))):
        assert lipschitz_power(KINK, ball, q=1) == 3 < norm_power(fractions([2, 2]), 1)
    for x in ((Fraction(1, 9), Fraction(8, 9)), (Fraction(-1, 9), Fraction(1))):
        assert list(KINK.gradient(KINK.pattern(fractions(x)))) == [1, 2]


@statement(
    "err-activation-sparsity",
    kind="erratum",
    title="$\\lVert D_j \\rVert$ sees no activation sparsity",
    source="paper, the remarks behind Theorem 3.3",
    status="checked exactly on an example",
    uses=("lem-3-1-repaired", "lem-regions"),
)
def activation_sparsity() -> None:
    r"""In every norm $\lVert D_j \rVert_{q \to q} = 1$, unless $D_j = 0$: one active unit counts as much as
    all of them. So (10) is the product of norms over all layers as soon as one point of the ball leaves
    no layer silent. "Similar conclusions if $a_j$ gets more sparse" do not follow from it. Let $h =
    \sigma(x) + 50 \sigma(-x) + 50 \sigma(-x)$ at $x = 1$, $R = \frac12$: one of three units is active on
    the ball, $L_1 = 1$, and (10) is $101 \cdot 3$ with column and row sums exchanged, $101 \cdot 1$ in
    the right order.
    """
    for states in ([0, 0, 1], [0, 1, 1], [1, 1, 1], [0, 0, 0]):
        diagonal = fractions(np.diag(states))
        assert abs(diagonal).sum(0).max() == abs(diagonal).sum(1).max() == max(states)
    ball = Ball(fractions([1]), Fraction(1, 2))
    assert [int(s) for s in SLEEPERS.pattern(ball.centre)[0]] == [1, 0, 0]
    assert lipschitz_power(SLEEPERS, ball, q=1) == 1
    assert layer_product(SLEEPERS, q=1) == 101
    assert literal_product(SLEEPERS) == 101 * 3


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
