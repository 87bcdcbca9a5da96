"""Where Lemma 3.1 as printed fails, what its formula says at kinks, and activation sparsity that counts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from math import inf
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.deep.written import NET as VALUE
from sparse_robust.proofs.deep.written import POINT, SIGMA, at_points, row
from sparse_robust.proofs.formulas import Case, Every, Total, chain, evaluate, holds, operator
from sparse_robust.proofs.foundations.norms import NEGATIVE, POSITIVE, SIGN_BRANCHES
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


UNIT_U, STATE = sp.Symbol("u", integer=True), sp.Symbol("s", real=True)
WEIGHT_U, LOWEST, ACTIVATION, HIGHEST = (sp.IndexedBase(name, real=True) for name in ("w", "l", "a", "r"))
POSITIVE_PART, NEGATIVE_PART = sp.Max(WEIGHT_U[UNIT_U], 0), sp.Min(WEIGHT_U[UNIT_U], 0)


def interval_case(weights: Sequence[Any], ends: Sequence[tuple[Any, Any, Any]], state: Any = 1) -> Case:
    """Weights, (lower end, value, upper end) of every unit, and a state for all of them."""
    low, value, high = (dict(enumerate(column)) for column in zip(*ends, strict=True))
    named = {WEIGHT_U: dict(enumerate(weights)), LOWEST: low, ACTIVATION: value, HIGHEST: high}
    return {**named, UNIT_U: range(len(ends)), STATE: state}


def interval_cases() -> list[Case]:
    """Both ends attained, on the left of 0, around it and on the right of it; and random values inside."""
    rng, cases = random.Random(47), list[Case]()
    for state in (0, 1):
        for middle in (-3, 0, 3):
            left, right = (middle - 1, middle - 1, middle + 1), (middle - 1, middle + 1, middle + 1)
            cases += [interval_case((2, -3), ends, state) for ends in ((left, right), (right, left))]
        for _ in range(6):
            drawn = [sorted(Fraction(rng.randint(-9, 9), 2) for _ in range(3)) for _ in range(3)]
            weights = [rng.randint(-3, 3) for _ in drawn]
            cases.append(interval_case(weights, [(low, a, high) for low, a, high in drawn], state))
    return cases


@statement(
    "lem-interval",
    kind="lemma",
    title="Interval arithmetic through a layer",
    source="folklore",
    status="proved",
    hypotheses={
        "between": Every(
            sp.And(LOWEST[UNIT_U] <= ACTIVATION[UNIT_U], ACTIVATION[UNIT_U] <= HIGHEST[UNIT_U]), UNIT_U
        ),
        "state": sp.Eq(STATE**2, STATE),
    },
    without={
        "between": lambda: interval_case((2, -3), [(0, 5, 1), (0, 0, 1)]),
        "state": lambda: interval_case((2, -3), [(0, 1, 1), (0, 0, 1)], 2),
    },
    claims={
        "sums": chain(
            Total(POSITIVE_PART * LOWEST[UNIT_U] + NEGATIVE_PART * HIGHEST[UNIT_U], UNIT_U),
            sp.Le,
            Total(WEIGHT_U[UNIT_U] * ACTIVATION[UNIT_U], UNIT_U),
            sp.Le,
            Total(POSITIVE_PART * HIGHEST[UNIT_U] + NEGATIVE_PART * LOWEST[UNIT_U], UNIT_U),
        ),
        "low": Every(sp.Le(sp.Min(LOWEST[UNIT_U], 0), STATE * ACTIVATION[UNIT_U]), UNIT_U),
        "high": Every(sp.Le(STATE * ACTIVATION[UNIT_U], sp.Max(HIGHEST[UNIT_U], 0)), UNIT_U),
    },
    cases=interval_cases,
)
def interval_layer(sums: tuple[sp.Le, ...], low: Every, high: Every) -> None:
    r"""Let $<<between>>$. Then

    $$<<sums>>,$$

    and for a state $s \in \{0, 1\}$, $<<state>>$: $<<low>>$, and $<<high>>$.
    """
    below, above = sp.symbols("s r", nonnegative=True)  # a - l and r - a
    others = {POSITIVE: sp.Symbol("v", positive=True), NEGATIVE: sp.Symbol("v", negative=True)}
    for a in SIGN_BRANCHES:
        ends = {LOWEST[UNIT_U]: a - below, HIGHEST[UNIT_U]: a + above}
        for weight in SIGN_BRANCHES:  # both sides are sums over units: it is enough to take one
            one = interval_case([weight.subs(others)], [(a - below, a, a + above)])
            assert all(holds(part, one) for part in sums)
        least, most = low.body.lhs.subs(ends), high.body.rhs.subs(ends)
        for state in (0, 1):  # s a is at least 0 or at least l, and an extremum with 0 is beyond both
            assert sp.Min(least, state * (a - below)) == least
            assert sp.Max(most, state * (a + above)) == most
            assert (state * a - state * (a - below)).expand().is_nonnegative
            assert (state * (a + above) - state * a).expand().is_nonnegative
    for case in interval_cases():  # and this is what the code computes
        low_end, high_end, w = (
            np.array(list(case[base].values()), dtype=object) for base in (LOWEST, HIGHEST, WEIGHT_U)
        )
        computed = product_interval((low_end, high_end), w[:, None])
        assert [end[0] for end in computed] == [evaluate(sums[0].lhs, case), evaluate(sums[1].rhs, case)]
        either, sure = np.ones(len(w), dtype=bool), np.zeros(len(w), dtype=bool)
        low_end, high_end = switched((low_end, high_end), either, sure)
        for u in case[UNIT_U]:
            assert low_end[u] == evaluate(low.body.lhs.subs(UNIT_U, u), case)
            assert high_end[u] == evaluate(high.body.rhs.subs(UNIT_U, u), case)
    rng = random.Random(47)
    for net, ball in random_cases(seed=47, count=9):
        bounds = preactivation_bounds(net, ball)
        for _ in range(10):
            x = random_point(rng, ball)
            for (lowest, highest), z in zip(bounds, net.preactivations(x), strict=True):
                assert (lowest <= z).all()
                assert (z <= highest).all()


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
