"""The gradient inside a region, and a network along a segment, which meets finitely many kinks.

No theorem of analysis is cited on the way from gradients to Lipschitz constants, here and in what follows.
"""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from math import inf

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Total, evaluate, operator
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.intervals import norm_power
from sparse_robust.theory.networks import Array, ReluNet, exact_net, fractions

from .cases import (
    KINK,
    PLACE,
    SUM,
    UNIT,
    LipschitzSetting,
    Place,
    breakpoints,
    crossing,
    random_cases,
    random_point,
)


def backward(w: sp.MatrixExpr, active: sp.MatrixExpr, v: sp.MatrixExpr) -> sp.MatrixExpr:
    """One layer of the gradient, from the activations behind it to those before it."""
    return w * active * v


STEP = Fraction(1, 10**6)
GRADIENT = sp.Symbol(r"\nabla h", real=True)
MATRICES = operator(
    "Matrices", r"W_1 D_1 W_2 D_2 \cdots W_{{d-1}} D_{{d-1}}\, c", lambda place: matrix_product(place)
)


def matrix_product(place: Place) -> Array:
    """The product of the matrices, [n_0]."""
    v = place.setting.net.readout
    for w, active in zip(reversed(place.setting.net.weights), reversed(place.pattern), strict=True):
        v = w @ np.diag(active.astype(int)) @ v
    return np.asarray(v)


def gradient_cases() -> list[Case]:
    """Exact difference quotients, at points whose neighbours have the same states."""
    rng, cases = random.Random(41), list[Case]()
    for net, ball in [(SUM, UNIT), *random_cases(seed=41, count=12)]:
        x = random_point(rng, ball)
        near = [x + STEP * unit for unit in fractions(np.eye(len(x), dtype=int))]
        states = net.pattern(x)
        if all(all(map(np.array_equal, net.pattern(y), states)) for y in near):
            quotients = fractions([(net(y) - net(x)) / STEP for y in near])
            cases.append({GRADIENT: quotients, PLACE: Place(LipschitzSetting(net, 1), states)})
    return cases


@statement(
    "lem-gradient",
    kind="lemma",
    title="The gradient inside a region",
    source="paper, section 3.2, behind equation (9)",
    status="proved",
    claims={"product": sp.Eq(GRADIENT, MATRICES(PLACE))},
    cases=gradient_cases,
)
def gradient_formula(product: sp.Eq) -> None:
    r"""Where no unit changes its state, $h$ is affine, and for any widths and depth its gradient is

    $$<<product>>, \qquad c = w_a - w_k .$$

    Biases do not enter.
    """
    rows, columns = sp.symbols("n_0 n_1", integer=True, positive=True)
    w, active = sp.MatrixSymbol("W", rows, columns), sp.MatrixSymbol("D", columns, columns)
    shift, v = sp.MatrixSymbol("b", columns, 1), sp.MatrixSymbol("v", columns, 1)
    before = sp.MatrixSymbol("a", rows, 1)
    # Induction from the output down: if dh/da_j = v, the activations of layer j are D (W^T a + b), so that
    h = v.T * active * (w.T * before + shift)
    below = h.diff(before).doit()
    assert below == backward(w, active.T, v)
    diagonal = sp.DiagMatrix(sp.MatrixSymbol("s", columns, 1))
    assert diagonal.T.doit() == diagonal
    cases = gradient_cases()
    assert len(cases) > 8
    for case in cases:  # and this is what the code computes
        place = case[PLACE]
        assert (evaluate(product.rhs, case) == place.setting.net.gradient(place.pattern)).all()


PIECE, LAYER, DEPTH, PIECES = sp.symbols("i j d m", integer=True)
TIME, WIDTH = sp.IndexedBase("t", real=True), sp.IndexedBase("n", real=True)
SLOPES = sp.IndexedBase(r"\delta", real=True)
START, END = sp.Symbol("h(x)", real=True), sp.Symbol("h(y)", real=True)
STEEPEST = sp.Symbol(r"\max_i \lVert g_i \rVert_q", real=True)
LENGTH = sp.Symbol(r"\lVert y - x \rVert_p", real=True)


def segment_case(net: ReluNet, x: Array, y: Array, q: float, p: float) -> Case:
    """The pieces of a segment, the slopes of h on them, and both of its ends."""
    cuts = breakpoints(net, x, y)
    middles = [x + (s + e) / 2 * (y - x) for s, e in pairwise(cuts)]
    gradients = [net.gradient(net.pattern(z)) for z in middles]
    return {
        PIECE: range(len(gradients)),
        PIECES: len(gradients),
        LAYER: 0,
        DEPTH: len(net.widths),
        WIDTH: dict(enumerate(net.widths)),
        TIME: dict(enumerate(cuts)),
        SLOPES: {i: g @ (y - x) for i, g in enumerate(gradients)},
        START: net(x),
        END: net(y),
        STEEPEST: max(norm_power(g, q) for g in gradients),
        LENGTH: norm_power(y - x, p),
    }


def segment_cases() -> list[Case]:
    """Random segments, segments through and along kinks, and one without a kink."""
    rng = random.Random(42)
    unit = exact_net([[[1]]], [1])
    ends = [
        (KINK, fractions([0, -1]), fractions([0, 2])),
        (SUM, fractions([1, -1]), fractions([-2, 2])),
        (unit, fractions([-1]), fractions([1])),
        (unit, fractions([1]), fractions([2])),
    ]
    for net, ball in random_cases(seed=42, count=12):
        ends.append((net, random_point(rng, ball), random_point(rng, ball)))
    return [segment_case(net, x, y, q, p) for net, x, y in ends for q, p in ((1, inf), (inf, 1))]


@statement(
    "lem-segment",
    kind="lemma",
    title="Along a segment",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-gradient", "lem-hoelder"),
    claims={
        "pieces": sp.Le(PIECES, sp.Product(WIDTH[LAYER] + 1, (LAYER, 1, DEPTH - 1))),
        "increment": sp.Eq(END - START, Total((TIME[PIECE + 1] - TIME[PIECE]) * SLOPES[PIECE], PIECE)),
        "bound": sp.Le(sp.Abs(END - START), STEEPEST * LENGTH),
    },
    cases=segment_cases,
)
def segment(increment: sp.Eq, **_: sp.Basic) -> None:
    r"""Every segment $x + t (y - x)$, $0 \le t \le 1$, has breakpoints $0 = t_0 < \dots < t_m = 1$,
    $<<pieces>>$, between which every preactivation is affine and either has no zero or is zero throughout.
    With $g_i = W_1 D_1 \cdots W_{d-1} D_{d-1} c$ formed with the states between $t_i$ and $t_{i+1}$, and
    $\delta_i = g_i^T (y - x)$,

    $$<<increment>> .$$

    So $<<bound>>$, for biases of any size, and $h$ is Lipschitz, hence continuous.
    """
    # Induction over layers. Between two cuts the activations before a layer are affine in t: alpha + t beta
    t = sp.Symbol("t", real=True)
    rows, columns = sp.symbols("n_0 n_1", integer=True, positive=True)
    w, active = sp.MatrixSymbol("W", rows, columns), sp.MatrixSymbol("D", columns, columns)
    alpha, beta = sp.MatrixSymbol("alpha", rows, 1), sp.MatrixSymbol("beta", rows, 1)
    shift, v = sp.MatrixSymbol("b", columns, 1), sp.MatrixSymbol("v", columns, 1)
    before = w.T * (alpha + t * beta) + shift
    assert before.diff(t).doit() == w.T * beta
    # so each preactivation is an affine function of t with, unless it is constant, exactly one zero
    start, end, a, b = sp.symbols("s e a b", real=True)
    affine = a + (b - a) * (t - start) / (end - start)
    assert [sp.simplify(root - crossing(start, end, a, b)) for root in sp.solve(affine, t)] == [0]
    p, q, length = sp.symbols("p q l", positive=True)
    for low, high in ((-p, q), (p, -q)):  # opposite signs at the ends: the zero is between them
        where = crossing(start, start + length, low, high) - start
        assert sp.simplify(where / length).is_positive
        assert sp.simplify(1 - where / length).is_positive
    # Cut there. Where an affine function has no zero inside, its values are mixtures of ends of one sign
    lam, mu = sp.symbols("lambda mu", nonnegative=True)
    first, last = sp.symbols("a_0 a_1", nonnegative=True)
    mixture = lam * first + mu * last
    assert sp.Max(mixture, 0) == mixture  # sigma leaves it as it is,
    assert sp.Max(-mixture, 0) == 0  # or makes it 0: the activations are affine again, with slope D W^T beta
    forward = (active * w.T * beta).T * v
    assert forward.doit() == (beta.T * backward(w, active.T, v)).doit()  # c^T (slopes) = g_i^T (y - x)
    # h is continuous: the increments add up, and a weighted mean is at most its largest term
    m, i = sp.Symbol("m", integer=True, positive=True), sp.Symbol("i", integer=True)
    h = sp.Function("h")
    assert sp.simplify(sp.Sum(h(i + 1) - h(i), (i, 0, m - 1)).doit() - (h(m) - h(0))) == 0
    share, slack = sp.IndexedBase("tau", nonnegative=True), sp.IndexedBase("s", nonnegative=True)
    most = sp.Symbol("M", nonnegative=True)  # every term is M - s_i, by Hoelder
    mean = sp.Sum(share[i] * (most - slack[i]), (i, 0, m - 1)).expand()
    shortfall = most * sp.Sum(share[i], (i, 0, m - 1)) - mean
    assert sp.simplify(shortfall - sp.Sum(share[i] * slack[i], (i, 0, m - 1))) == 0
    for net, ball in random_cases(seed=42, count=6):  # the states are the same all over a piece
        x, y = ball.centre, ball.centre + ball.radius
        for s, e in pairwise(breakpoints(net, x, y)):
            third, middle = (
                net.pattern(x + (s + (e - s) * f) * (y - x)) for f in (Fraction(1, 3), Fraction(1, 2))
            )
            assert all(map(np.array_equal, third, middle))
    assert increment.rhs.body == (TIME[PIECE + 1] - TIME[PIECE]) * SLOPES[PIECE]
