"""The distance to a linear boundary in every norm, for two classes and for many."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Literal

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Every, Least, Total, chain
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import (
    Multiclass,
    Vector,
    dot,
    l1,
    l2_squared,
    random_vector,
    ratio,
    sign,
    vector,
)

from .norms import SIGN_BRANCHES, assert_steepest, dual_exponent, steepest
from .notation import (
    B_OF,
    DELTA,
    DUAL,
    ENTRY,
    FINITE_DUAL,
    INDEX,
    INNER,
    L2,
    NEXT,
    NORM,
    SCORED,
    STEP,
    W_OF,
    B,
    E,
    F,
    P,
    Q,
    V,
    W,
    X,
    Y,
    array,
    corners,
    fractions,
    p_norm,
)


def projection(w: sp.Expr, f: sp.Expr, norm_squared: sp.Expr) -> sp.Expr:
    """Coordinate of the shortest l_2 step from score f to the boundary, -f w / ||w||_2^2."""
    return -f * w / norm_squared


def assert_projection(step: Callable[[sp.Expr, sp.Expr, sp.Expr], sp.Expr]) -> None:
    """``step`` reaches the boundary, and by Pythagoras every other point of it is farther."""
    w, d = sp.symbols("w d", real=True, nonzero=True)
    f, V = sp.symbols("f V", positive=True)  # V = ||w||_2^2
    mine = step(w, f, V)
    share = sp.simplify(w * mine / w**2)  # w.step = share * V, summed over the coordinates
    assert not share.has(w), "the step is not a multiple of w"
    assert sp.expand(f + share * V) == 0, "the step does not reach the boundary"
    # another point of it is step + d with w.d = 0, and the cross terms 2 step_i d_i sum to a multiple of w.d
    cross = sp.expand((mine + d) ** 2 - mine**2 - d**2)
    assert not sp.simplify(cross / (w * d)).has(w, d)


def distance_case(p: sp.Expr, w: np.ndarray, x: np.ndarray, bias: int) -> Case:
    """The step to the boundary, among shorter and longer ones, and shorter ones in other directions."""
    q = dual_exponent(p)
    score = w @ x + bias
    norm = p_norm(w, q) if any(w) else sp.Integer(1)
    size = norm ** (q - 1)
    step = array(-score / norm * steepest(sp.sympify(v), q) / size for v in w)
    inside = [Fraction(999, 1000) * step, step / 2, -step / 2, 0 * step, step[::-1] / 3]
    return {P: p, Q: q, W: w, X: x, B: bias, F: score, STEP: step, DELTA: (*inside, step, 2 * step)}


def distance_cases() -> Iterator[Case]:
    """Three exponents, a weight that is zero, points near and far."""
    for p, w in ((sp.oo, (2, -3, 0)), (sp.Integer(2), (3, -4, 0)), (sp.Integer(3), (4, -9, 0))):
        yield distance_case(p, fractions(*w), fractions(1, "-1/2", 7), 2)
        yield distance_case(p, fractions(*w), fractions(0, 0, 1), 1)


@statement(
    "prop-distance",
    kind="proposition",
    title="The distance to a hyperplane, in every norm",
    source="Mangasarian 1999; with p = 2 and p = infinity, paper, section 3.1",
    status="proved",
    uses=("prop-dual-norm",),
    hypotheses={"nonzero": sp.Ne(W, 0), "positive": F >= 0, "finite": FINITE_DUAL, "dual": DUAL},
    claims={
        "score": SCORED,
        "safe": Every(INNER(W, X + DELTA) + B > 0, DELTA, NORM(DELTA, P) < F / NORM(W, Q)),
        "length": sp.Eq(NORM(STEP, P), F / NORM(W, Q)),
        "reached": sp.Eq(INNER(W, X + STEP) + B, 0),
    },
    cases=distance_cases,
    without={
        "nonzero": lambda: distance_case(sp.oo, fractions(0, 0), fractions(1, 1), 1),
        "positive": lambda: distance_case(sp.oo, fractions(1, -1), fractions(0, 0), -3),
        "finite": "for p = 1 it is true as well: change one coordinate of largest weight",
        "dual": lambda: {**distance_case(sp.Integer(2), fractions(3, -4), fractions(1, 1), 6), Q: 3},
    },
)
def distance(score: sp.Eq, safe: Every, length: sp.Eq, reached: sp.Eq) -> None:
    r"""Let $<<dual>>$ with $<<finite>>$, $<<nonzero>>$ and
    $<<score>>$ with $<<positive>>$. Then

    $$<<safe>>,$$

    and there is a $\delta^*$ with $$<<length>> \qquad\text{and}\qquad <<reached>> .$$ So the $l_p$ distance
    from $x$ to the boundary is this quotient.
    """
    assert safe.args[2] == (NORM(DELTA, P) < length.rhs)
    assert reached.lhs == safe.body.lhs.subs(DELTA, STEP) == score.rhs.subs(X, X + STEP)
    f, W, s = sp.symbols("f W s", positive=True)  # W = ||w||_q
    slack = sp.Symbol("r", nonnegative=True)
    radius = f / W
    change = slack - W * (radius - s)  # w.delta for ||delta||_p = radius - s, by Hölder
    assert sp.expand(f + change).is_positive
    # and the steepest step of length radius changes f by -radius W (prop-dual-norm for -w): coordinate by
    # coordinate for p = infinity and, with the sums of assert_steepest, for 1 < p < infinity
    assert sp.expand(f - radius * W) == 0
    for w in SIGN_BRANCHES:
        assert sp.expand(w * (-radius * sp.sign(w)) + radius * sp.Abs(w)) == 0
    assert_steepest(lambda u, q: -steepest(-u, q))


ZETA = sp.Symbol("zeta", real=True)
MINOR = ENTRY(W, INDEX) * ENTRY(V, NEXT) - ENTRY(W, NEXT) * ENTRY(V, INDEX)


def projection_case(w: np.ndarray, x: np.ndarray, bias: int, v: np.ndarray | None = None) -> Case:
    """The projection on the boundary, displacements along it and away from it, another vector."""
    score, square = w @ x + bias, w @ w or Fraction(1)
    step = array(projection(c, score, square) for c in w)
    along = array([w[1], -w[0], *([0] * (len(w) - 2))])
    return {
        W: w, X: x, B: bias, F: score, STEP: step, DELTA: (along, -3 * along, 0 * along, w, x),
        ZETA: Fraction(1, 50), V: x if v is None else v, INDEX: range(len(w)), NEXT: range(len(w)),
    }  # fmt: skip


def projection_cases() -> Iterator[Case]:
    """Scores of either sign and zero; a vector that is a multiple of w."""
    w = fractions(3, -4, 0)
    yield projection_case(w, fractions(1, "-1/2", 7), 2)
    yield projection_case(w, fractions(-2, 3, 1), 1)
    yield projection_case(w, fractions(4, 3, 0), 0, v=-2 * w)
    yield projection_case(fractions(1, 2), fractions("1/3", 1), -1)


@statement(
    "prop-l2-projection",
    kind="proposition",
    title="DeepFool's step is the orthogonal projection",
    source="paper, section 3.1; Moosavi-Dezfooli et al. 2016",
    status="proved",
    hypotheses={"nonzero": sp.Ne(W, 0)},
    claims={
        "score": SCORED,
        "step": sp.Eq(STEP, -F * W / L2(W) ** 2),
        "reached": sp.Eq(INNER(W, X + STEP) + B, 0),
        "length": sp.Eq(L2(STEP), sp.Abs(F) / L2(W)),
        "only": Every(
            sp.Eq(L2(STEP + DELTA) ** 2, L2(STEP) ** 2 + L2(DELTA) ** 2),
            DELTA,
            sp.Eq(INNER(W, X + STEP + DELTA) + B, 0),
        ),
        "lagrange": chain(
            L2(W) ** 2 * L2(V) ** 2 - INNER(W, V) ** 2,
            sp.Eq,
            Total(Total(MINOR**2, INDEX, INDEX < NEXT), NEXT),
            sp.Ge,
            0,
        ),
        "overshoot": sp.Eq(INNER(W, X + (1 + ZETA) * STEP) + B, -ZETA * F),
    },
    cases=projection_cases,
    without={"nonzero": lambda: projection_case(fractions(0, 0), fractions(1, 1), 1)},
    loose={"lagrange": "it is 0 where v is a multiple of w, and attained nowhere else"},
)
def l2_projection(
    score: sp.Eq,
    step: sp.Eq,
    reached: sp.Eq,
    length: sp.Eq,
    only: Every,
    lagrange: tuple[sp.Basic, ...],
    overshoot: sp.Eq,
) -> None:
    r"""Let $<<nonzero>>$ and $<<score>>$. The step $<<step>>$ ends on the boundary, $<<reached>>$, has
    the length $<<length>>$ and is the only shortest one that does:

    $$<<only>> .$$

    Equivalently, Cauchy and Schwarz's inequality is a sum of squares,

    $$<<lagrange>> .$$

    With an overshoot $\zeta$ the score is $<<overshoot>>$: a tie at $\zeta = 0$.
    """
    norm, weight = sp.symbols("N w_i", positive=True)
    coordinate = step.rhs.subs({L2(W): norm, W: weight})
    assert sp.simplify(coordinate - projection(weight, F, norm**2)) == 0
    assert score.rhs.subs(X, X + STEP) == reached.lhs == overshoot.lhs.subs(ZETA, 0)
    assert length.lhs == L2(STEP)
    assert only.args[2].lhs == reached.lhs.subs(STEP, STEP + DELTA)
    assert [type(relation) for relation in lagrange] == [sp.Eq, sp.Ge]
    assert_projection(projection)
    # Lagrange's identity, every n: half the double sum over all i, j; each monomial is a term in i times
    # a term in j, so its double sum is a product of two of A = sum w^2, B = sum delta^2, C = sum w delta
    wi, wj, di, dj = sp.symbols("w_i w_j delta_i delta_j", real=True)
    A, B, C = sp.symbols("A B C", real=True)
    single = {wi**2: A, di**2: B, wi * di: C, wj**2: A, dj**2: B, wj * dj: C}
    double = sp.Integer(0)
    for monomial in sp.Add.make_args(sp.expand((wi * dj - wj * di) ** 2)):
        number, factors = monomial.as_coeff_Mul()
        in_i, in_j = factors.as_independent(wj, dj)
        double += number * single[in_i] * single[in_j]
    assert sp.expand(double / 2 - (A * B - C**2)) == 0
    f, eta = sp.symbols("f eta", real=True)
    assert sp.expand(f + (1 + eta) * (-f)) == -eta * f


NORMAL = W_OF[Y] - W_OF[E]
RIVAL = sp.Ne(E, Y)


def LEAD(x: sp.Expr) -> sp.Expr:  # noqa: N802 (a formula, like the constants)
    """How far class y is ahead of class e at x."""
    return INNER(NORMAL, x) + B_OF[Y] - B_OF[E]


NEAREST = Least(LEAD(X) / NORM(NORMAL, Q), E, sp.And(RIVAL, sp.Ne(NORMAL, 0)))


def winner_case(model: Multiclass, x: Vector, y: int, p: sp.Expr) -> Case:
    """The step to the nearest boundary in l_2 or l_inf, shorter steps of every kind, and a longer one."""
    gaps = [(v, dot(v, x) + beta) for v, beta in model.rivals(y) if any(v)]
    dual: Literal["1", "2"] = "1" if p == sp.oo else "2"
    v, gap = min(gaps, key=lambda pair: ratio(pair[1], pair[0], dual))
    step = array(-gap / l1(v) * sign(c) if p == sp.oo else -gap * c / l2_squared(v) for c in v)
    nearly = Fraction(999, 1000)
    shorter = corners(len(x), nearly * abs(gap) / l1(v)) if p == sp.oo else [nearly * step, -step / 2]
    return {
        P: p, Q: dual_exponent(p), X: array(x), Y: y, E: range(len(model.rows)), STEP: step,
        W_OF: {k: array(row) for k, row in enumerate(model.rows)},
        B_OF: {k: model.bias(k) for k in range(len(model.rows))},
        DELTA: (*shorter, step, 2 * step),
    }  # fmt: skip


def winners() -> Iterator[Case]:
    """Random classifiers with biases and points, in both norms."""
    rng = random.Random(40)
    for _ in range(12):
        model, x, y = random_winner(rng)
        yield from (winner_case(model, x, y, p) for p in (sp.Integer(2), sp.oo))


def loser() -> Case:
    """A point at which another class is ahead."""
    model = Multiclass((vector([1]), vector([-1])))
    return winner_case(model, vector([-1]), 0, sp.oo)


@statement(
    "prop-distance-classes",
    kind="proposition",
    title="The distance to the decision boundary of a linear classifier with many classes",
    source="paper, equation (5) and the choice of e below it",
    status="kernel proved, glue argued",
    uses=("prop-distance",),
    hypotheses={"wins": Every(LEAD(X) >= 0, E, RIVAL), "finite": FINITE_DUAL, "dual": DUAL},
    claims={
        "safe": Every(Least(LEAD(X + DELTA), E, RIVAL) > 0, DELTA, NORM(DELTA, P) < NEAREST),
        "length": sp.Eq(NORM(STEP, P), NEAREST),
        "reached": sp.Eq(Least(LEAD(X + STEP), E, RIVAL), 0),
    },
    cases=winners,
    without={
        "wins": loser,
        "finite": "for p = 1 it is true as well, as prop-distance is",
        "dual": lambda: {
            **winner_case(Multiclass((vector([3, 4]), vector([0, 0]))), vector([1, 1]), 0, sp.Integer(2)),
            Q: sp.Integer(3),
        },
    },
)
def distance_classes(safe: Every, length: sp.Eq, reached: sp.Eq) -> None:
    r"""Let no class be ahead of $y$ at $x$: $<<wins>>$; and let $<<dual>>$ with $<<finite>>$. Then

    $$<<safe>>,$$

    and there is a $\delta^*$ with $$<<length>> \qquad\text{and}\qquad <<reached>> .$$ So the $l_p$ distance
    to the nearest point where class $y$ does not win is this minimum. DeepFool takes the minimising $e$ for
    $p = 2$, so that on a linear classifier its first step is exact.
    """
    assert safe.args[2] == (NORM(DELTA, P) < length.rhs)
    assert reached.lhs == safe.body.lhs.subs(DELTA, STEP)
    # gap_e = (R + s_e) ||v_e||_q, R the minimum; a step of length R - t costs (R - t) ||v_e||_q at most
    R, V, t = sp.symbols("R V t", positive=True)
    s = sp.Symbol("s", nonnegative=True)
    assert sp.expand((R + s) * V - (R - t) * V).is_positive  # so no rival catches up within R
    assert sp.expand((R + s) * V - R * V).subs(s, 0) == 0  # and the nearest, s = 0, does at R (prop-distance)


def random_winner(rng: random.Random) -> tuple[Multiclass, Vector, int]:
    """A random linear classifier with biases, a point, and the class that wins there, in rationals."""
    while True:
        classes, dimension = rng.randint(2, 5), rng.randint(1, 4)
        rows = tuple(random_vector(rng, dimension) for _ in range(classes))
        model, x = Multiclass(rows, random_vector(rng, classes)), random_vector(rng, dimension)
        winner = max(range(classes), key=model.scores(x).__getitem__)
        if model.correct(winner, x) and any(any(v) for v, _ in model.rivals(winner)):
            return model, x, winner
