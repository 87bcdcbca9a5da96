"""Norms, dual norms and the distance to a linear boundary: the mathematics behind every linear attack.

Statements about sums over n coordinates are proved coordinate by coordinate, for every n at once: a sum
of nonnegative terms is nonnegative, and zero only if every term is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import product

import sympy as sp

from sparse_robust.proofs.formulas import Case
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import (
    Multiclass,
    Vector,
    dot,
    l1,
    l2_squared,
    minus,
    random_vector,
    ratio,
    sign,
)

Step = Callable[[sp.Expr, sp.Expr], sp.Expr]

POSITIVE, NEGATIVE = sp.Symbol("w", positive=True), sp.Symbol("w", negative=True)
SIGN_BRANCHES: tuple[sp.Expr, ...] = (POSITIVE, sp.Integer(0), NEGATIVE)
"""Every real number, as three symbols whose sign sympy knows."""


def young_gap(a: sp.Expr, b: sp.Expr, p: sp.Expr) -> sp.Expr:
    """a^p / p + b^q / q - a b with 1/p + 1/q = 1."""
    q = p / (p - 1)
    return a**p / p + b**q / q - a * b


def steepest(u: sp.Expr, q: sp.Expr) -> sp.Expr:
    """Coordinate of the steepest direction, sgn(u) |u|^(q-1), not yet scaled to the length wanted."""
    return sp.sign(u) * sp.Abs(u) ** (q - 1)


def projection(w: sp.Expr, f: sp.Expr, norm_squared: sp.Expr) -> sp.Expr:
    """Coordinate of the shortest l_2 step from score f to the boundary, -f w / ||w||_2^2."""
    return -f * w / norm_squared


def assert_steepest(step: Step) -> None:
    """``step`` has the length asked for and gains eps ||u||_q, whatever 1 < p < infinity."""
    p = 1 + sp.Symbol("s", positive=True)
    q = p / (p - 1)
    eps, total = sp.symbols("epsilon S", positive=True)  # total = sum_i |u_i|^q
    for u in (sp.Symbol("u", positive=True), sp.Symbol("u", negative=True)):
        scaled = eps * step(u, q) / total ** ((q - 1) / q)
        # the term of ||v||_p^p is the term of total times a common factor, so that the sum is eps^p
        term = sp.Abs(scaled) ** p / (eps**p * sp.Abs(u) ** q / total)
        assert sp.simplify(sp.expand_log(sp.log(term), force=True)) == 0
        # so is the term of u.v, with factor eps total^(1/q) / total
        gain = u * scaled / (sp.Abs(u) ** q * eps * total ** (1 / q) / total)
        assert sp.simplify(gain) == 1


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


SIDE_A, SIDE_B, POWER_P, POWER_Q = sp.symbols("a b p q", real=True)


def young_case(a: int, b: int, p: int, q: sp.Rational) -> Case:
    """Two numbers and two exponents."""
    return {SIDE_A: sp.Integer(a), SIDE_B: sp.Integer(b), POWER_P: sp.Integer(p), POWER_Q: q}


def young_cases() -> Iterator[Case]:
    """Numbers with a^p = b^q and others, for dual exponents."""
    for p in (2, 3, 4):
        for a, b in ((1, 1), (2, 2 ** (p - 1)), (3, 1), (1, 5)):
            yield young_case(a, b, p, sp.Rational(p, p - 1))


@statement(
    "lem-young",
    kind="lemma",
    title="Young's inequality",
    source="folklore",
    status="proved",
    hypotheses={
        "positive": sp.And(SIDE_A > 0, SIDE_B > 0),
        "above": sp.And(POWER_P > 0, POWER_Q > 0),
        "dual": sp.Eq(1 / POWER_P + 1 / POWER_Q, 1),
    },
    claims={"young": SIDE_A * SIDE_B <= SIDE_A**POWER_P / POWER_P + SIDE_B**POWER_Q / POWER_Q},
    cases=young_cases,
    without={
        "positive": lambda: young_case(-3, 1, 3, sp.Rational(3, 2)),
        "above": lambda: young_case(2, 2, -1, sp.Rational(1, 2)),
        "dual": lambda: young_case(1, 1, 2, sp.Integer(3)),
    },
)
def young(young: sp.Le) -> None:
    r"""If $<<positive>>$, $<<above>>$ and $<<dual>>$, then $<<young>>$, with equality only where
    $a^p = b^q$.
    """
    a, b, s = sp.symbols("a b s", positive=True)  # p = 1 + s is every p above 1
    gap = young_gap(a, b, 1 + s)
    named = {SIDE_A: a, SIDE_B: b, POWER_P: 1 + s, POWER_Q: (1 + s) / s}
    assert sp.simplify((young.rhs - young.lhs).subs(named) - gap) == 0
    assert isinstance(young, sp.Le)
    lowest = b ** (1 / s)
    assert sp.simplify(sp.diff(gap, a, 2)).is_positive  # strictly convex in a, so that
    assert sp.simplify(sp.diff(gap, a).subs(a, lowest)) == 0  # its one stationary point is the minimum,
    assert sp.simplify(gap.subs(a, lowest)) == 0  # which is zero
    p = 1 + s
    assert sp.simplify(lowest**p - b ** (p / (p - 1))) == 0  # and lies where a^p = b^q


@statement(
    "lem-hoelder",
    kind="lemma",
    title="Hölder's inequality and its equality cases",
    source="folklore",
    status="proved",
    uses=("lem-young",),
)
def hoelder() -> None:
    r"""For every $n$, $u, v \in \mathbb{R}^n$, $1 \le p \le \infty$ and $\frac1p + \frac1q = 1$,

    $$\lvert u^T v \rvert \le \lVert u \rVert_q \, \lVert v \rVert_p .$$

    For $p = \infty$ and $u \ne 0$, $u^T v = \lVert u \rVert_1 \lVert v \rVert_\infty$ holds if and only if
    $v_i = \lVert v \rVert_\infty \,\mathrm{sgn}(u_i)$ wherever $u_i \ne 0$; for $1 < p < \infty$ and
    $v \ne 0$, $u^T v = \lVert u \rVert_q \lVert v \rVert_p$ if and only if $v$ is a multiple, at least 0
    and possibly infinite, of $\mathrm{sgn}(u_i) \lvert u_i \rvert^{q-1}$.
    """
    # p = infinity (and p = 1, with u and v exchanged): with |v_i| <= M, the terms of M ||u||_1 - u.v
    M, s = sp.symbols("M s", nonnegative=True)
    for u in SIGN_BRANCHES:
        nearest = M - s if u is POSITIVE else -M + s  # v_i, by its distance s from M sgn(u_i)
        excess = sp.expand(M * sp.Abs(u) - u * nearest)
        assert excess.is_nonnegative
        assert excess == sp.expand(sp.Abs(u) * s)  # zero only if u_i = 0 or s = 0
    # 1 < p < infinity: Young's gaps for a = |v_i| / V and b = |u_i| / U, V = ||v||_p and U = ||u||_q, at
    # least 0 each (and for a = 0 or b = 0 too), add up to 1 - sum_i |u_i v_i| / (U V), for every n
    p = 1 + sp.Symbol("s", positive=True)
    q = p / (p - 1)
    a, b, U, V = sp.symbols("a b U V", positive=True)
    sums = {a**p: V**p, b**q: U**q, a * b: sp.Symbol("S", nonnegative=True)}  # over all coordinates
    added = sp.Integer(0)
    for term in map(sp.expand_power_base, sp.Add.make_args(young_gap(a / V, b / U, p))):
        (power,) = (power for power in sums if not sp.simplify(term / power).has(a, b))
        added += sp.simplify(term / power) * sums[power]
    assert sp.simplify(added - (1 - sums[a * b] / (U * V))) == 0
    assert young_gap(sp.Integer(0), b, p) == b**q / q
    assert young_gap(a, sp.Integer(0), p) == a**p / p
    assert sp.simplify(young_gap(b ** (q - 1), b, p)) == 0  # a = b^(q-1) is the equality case


@statement(
    "prop-dual-norm",
    kind="proposition",
    title="The steepest step, and the dual norm",
    source="folklore",
    status="proved",
    uses=("lem-hoelder",),
)
def dual_norm() -> None:
    r"""For $u \ne 0$, $\epsilon > 0$ and $1 < p \le \infty$,

    $$\max_{\lVert v \rVert_p \le \epsilon} u^T v = \epsilon \lVert u \rVert_q ,
      \qquad\text{attained at}\qquad
      v_i = \epsilon\, \frac{\mathrm{sgn}(u_i)\lvert u_i \rvert^{q-1}}{\lVert u \rVert_q^{q-1}} :$$

    $v = \epsilon\,\mathrm{sgn}(u)$ for $p = \infty$ and $v = \epsilon u / \lVert u \rVert_2$ for $p = 2$.
    """
    assert_steepest(steepest)
    eps = sp.Symbol("epsilon", positive=True)
    for u in SIGN_BRANCHES:
        assert sp.expand(u * eps * sp.sign(u) - eps * sp.Abs(u)) == 0  # p = infinity, q = 1
    u = sp.Symbol("u", real=True, nonzero=True)
    assert sp.simplify(steepest(u, sp.Integer(1)) - sp.sign(u)) == 0
    assert sp.simplify(steepest(u, sp.Integer(2)) - u) == 0


@statement(
    "prop-distance",
    kind="proposition",
    title="The distance to a hyperplane, in every norm",
    source="Mangasarian 1999; with p = 2 and p = infinity, paper, section 3.1",
    status="proved",
    uses=("prop-dual-norm",),
)
def distance() -> None:
    r"""Let $f(x) = w^T x + b$ with $w \ne 0$, $f(x) > 0$ and $1 < p \le \infty$. Then $f(x + \delta) > 0$
    for every $\delta$ with $\lVert \delta \rVert_p < f(x) / \lVert w \rVert_q$, and $f(x + \delta) = 0$
    for one of that length: the $l_p$ distance from $x$ to the boundary is $f(x) / \lVert w \rVert_q$.
    """
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


@statement(
    "prop-l2-projection",
    kind="proposition",
    title="DeepFool's step is the orthogonal projection",
    source="paper, section 3.1; Moosavi-Dezfooli et al. 2016",
    status="proved",
)
def l2_projection() -> None:
    r"""For $f(x) = w^T x + b$, $w \ne 0$, the step $\tilde\delta = -f(x)\, w / \lVert w \rVert_2^2$ reaches
    $f(x + \tilde\delta) = 0$, has length $\lvert f(x) \rvert / \lVert w \rVert_2$ and is the only shortest
    one: if $f(x + \tilde\delta + d) = 0$ then
    $\lVert \tilde\delta + d \rVert_2^2 = \lVert \tilde\delta \rVert_2^2 + \lVert d \rVert_2^2$.
    Equivalently, Cauchy and Schwarz's inequality is a sum of squares,

    $$\lVert w \rVert_2^2 \lVert \delta \rVert_2^2 - (w^T \delta)^2
      = \sum_{i < j} (w_i \delta_j - w_j \delta_i)^2 \ge 0 .$$

    With an overshoot $\eta$, $f(x + (1 + \eta) \tilde\delta) = -\eta f(x)$: a tie at $\eta = 0$.
    """
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


@statement(
    "prop-distance-classes",
    kind="proposition",
    title="The distance to the decision boundary of a linear classifier with many classes",
    source="paper, equation (5) and the choice of e below it",
    status="kernel proved, glue argued",
    uses=("prop-distance",),
)
def distance_classes() -> None:
    r"""Let $z_k(x) = w_k^T x + b_k$, let class $y$ win at $x$, $z_y(x) > z_e(x)$ for all $e \ne y$, and
    $v_e = w_y - w_e$. The $l_p$ distance, $1 < p \le \infty$, from $x$ to the nearest point where class $y$
    does not win is

    $$\min_{e \ne y,\; v_e \ne 0} \frac{z_y(x) - z_e(x)}{\lVert v_e \rVert_q} .$$

    DeepFool takes the minimising $e$ for $p = 2$, so that on a linear classifier its first step is exact.
    """
    # gap_e = (R + s_e) ||v_e||_q, R the minimum; a step of length R - t costs (R - t) ||v_e||_q at most
    R, V, t = sp.symbols("R V t", positive=True)
    s = sp.Symbol("s", nonnegative=True)
    assert sp.expand((R + s) * V - (R - t) * V).is_positive  # so no rival catches up within R
    assert sp.expand((R + s) * V - R * V).subs(s, 0) == 0  # and the nearest, s = 0, does at R (prop-distance)
    rng = random.Random(40)
    for _ in range(40):
        model, x, y = random_winner(rng)
        gaps = [(v, dot(v, x) + beta) for v, beta in model.rivals(y) if any(v)]
        v, gap = min(gaps, key=lambda pair: ratio(pair[1], pair[0], "2"))
        landed = minus(x, tuple(gap * vi / l2_squared(v) for vi in v))
        ahead = [dot(u, landed) + beta for u, beta in model.rivals(y)]
        assert min(ahead) == 0  # DeepFool's one step: level with the nearest rival, behind none
        v, gap = min(gaps, key=lambda pair: ratio(pair[1], pair[0], "1"))
        radius = gap / l1(v)
        assert not model.correct(y, minus(x, tuple(radius * sign(vi) for vi in v)))
        for corner in product((-1, 1), repeat=len(x)):  # a linear score is lowest at a corner of the cube
            inside = tuple(xi + radius * Fraction(999, 1000) * ci for xi, ci in zip(x, corner, strict=True))
            assert model.correct(y, inside)


def random_winner(rng: random.Random) -> tuple[Multiclass, Vector, int]:
    """A random linear classifier with biases, a point, and the class that wins there, in rationals."""
    while True:
        classes, dimension = rng.randint(2, 5), rng.randint(1, 4)
        rows = tuple(random_vector(rng, dimension) for _ in range(classes))
        model, x = Multiclass(rows, random_vector(rng, classes)), random_vector(rng, dimension)
        winner = max(range(classes), key=model.scores(x).__getitem__)
        if model.correct(winner, x) and any(any(v) for v, _ in model.rivals(winner)):
            return model, x, winner
