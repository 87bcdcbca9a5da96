"""FGS, DeepFool and C&W where the input has to stay in a box [l, h]^n: exact answers on linear models."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Every, Iff, Largest, Least, Total, chain, evaluate, operator
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import Vector, dot, l2_squared, minus, random_vector, vector

from .attacks import LABELS, fgs_step
from .norms import SIGN_BRANCHES
from .notation import (
    DELTA,
    ENTRY,
    EPS,
    INDEX,
    INNER,
    INSIDE,
    L2,
    LABEL,
    LINF,
    SCORE,
    SGN,
    STEP,
    B,
    F,
    U,
    V,
    W,
    X,
    Y,
    array,
    corners,
    fractions,
)

BoxedStep = Callable[[sp.Expr, sp.Expr, sp.Expr, sp.Expr, int, sp.Expr], sp.Expr]
"""(x_i, low, high, w_i, y, eps) -> coordinate of an l_infinity perturbation inside the box."""


def boxed_fgs_step(x: sp.Expr, low: sp.Expr, high: sp.Expr, w: sp.Expr, y: int, eps: sp.Expr) -> sp.Expr:
    """clip(x - eps y sgn(w), low, high) - x."""
    return sp.Min(sp.Max(x + fgs_step(w, y, eps), low), high) - x


def distances_to_faces() -> Iterator[tuple[sp.Expr, sp.Expr, sp.Expr]]:
    """(distance below, distance above, eps) in every order that the three can have."""
    a, r, s = sp.symbols("a r s", nonnegative=True)
    yield a + r, a + s, a  # eps is the smallest
    yield a, a + r + s, a + r
    yield a + r + s, a, a + r
    yield a, a + s, a + s + r
    yield a + s, a, a + s + r


def assert_lowest_in_box(step: BoxedStep) -> None:
    """``step`` lowers y w delta_i by |w_i| min(eps, room_i), the most that ball and box allow."""
    low = sp.Symbol("l", real=True)
    for below, above, eps in distances_to_faces():
        first, last = -sp.Min(eps, below), sp.Min(eps, above)  # the interval that ball and box leave
        for w in SIGN_BRANCHES:
            for y in LABELS:
                mine = sp.expand(step(low + below, low, low + below + above, w, y, eps))
                assert sp.expand(mine - first).is_nonnegative
                assert sp.expand(last - mine).is_nonnegative
                distance = below if sp.sign(y * w) == 1 else above
                assert sp.expand(y * w * mine + sp.Abs(w) * sp.Min(eps, distance)) == 0
                for end in (first, last):  # a linear function on an interval is lowest at one of its ends
                    assert sp.expand(y * w * (end - mine)).is_nonnegative


LOW, HIGH, G = (sp.Symbol(name, real=True) for name in "lhg")
FACE, TIME = sp.IndexedBase("d", real=True), sp.Symbol("t", real=True)


def _clip(v: np.ndarray, low: Any, high: Any) -> np.ndarray:
    ends = np.broadcast(v, low, high)
    return array(_smallest(_largest(c, lo), hi) for c, lo, hi in ends)


def _smallest(a: Any, b: Any) -> Any:
    return sp.Min(a, b) if isinstance(b, sp.Basic) else min(a, b)


def _largest(a: Any, b: Any) -> Any:
    return sp.Max(a, b) if isinstance(b, sp.Basic) else max(a, b)


CLIP = operator("Clip", r"\mathrm{{clip}}({0}, {1}, {2})", _clip, real=True)
ATTACKED = CLIP(X - EPS * Y * SGN(W), LOW, HIGH)
FEASIBLE = sp.And(LINF(DELTA) <= EPS, INSIDE(X + DELTA, LOW, HIGH))


def box_case(y: int, radius: str) -> Case:
    """The ends of what ball and box leave to each coordinate, and points outside of both; a weight of 0."""
    w, x, eps = fractions(2, -1, 0, -3), fractions("1/4", "1/3", "1/2", 1), Fraction(radius)
    bottom, top = Fraction(0), Fraction(1)
    ends = [(max(-eps, bottom - c), min(eps, top - c)) for c in x]
    candidates = [array(pick) for pick in product(*ends)]
    beyond = [Fraction(3, 2) * d for d in candidates] + corners(4, eps)
    faces = [(c - bottom if y * v > 0 else top - c) if v else Fraction(7) for c, v in zip(x, w, strict=True)]
    return {
        W: w, X: x, B: Fraction(1), Y: y, EPS: eps, LOW: bottom, HIGH: top, INDEX: range(4),
        FACE: dict(enumerate(faces)), DELTA: (*candidates, 0 * x, *beyond),
    }  # fmt: skip


@statement(
    "prop-fgs-box",
    kind="proposition",
    title="In the box, clipped FGS stays optimal",
    source="this book",
    status="proved",
    uses=("prop-fgs-binary-optimal",),
    hypotheses={"label": LABEL, "radius": EPS >= 0, "inside": INSIDE(X, LOW, HIGH)},
    claims={
        "below": Every(sp.Eq(FACE[INDEX], ENTRY(X, INDEX) - LOW), INDEX, Y * ENTRY(W, INDEX) > 0),
        "above": Every(sp.Eq(FACE[INDEX], HIGH - ENTRY(X, INDEX)), INDEX, Y * ENTRY(W, INDEX) < 0),
        "minimum": chain(
            Least(Y * (INNER(W, X + DELTA) + B), DELTA, FEASIBLE),
            sp.Eq, Y * SCORE - Total(sp.Abs(ENTRY(W, INDEX)) * sp.Min(EPS, FACE[INDEX]), INDEX),
            sp.Eq, Y * (INNER(W, CLIP(X - EPS * Y * SGN(W), LOW, HIGH)) + B),
        ),
    },
    cases=lambda: (box_case(y, eps) for y in LABELS for eps in ("0", "1/8", "1/2", "2")),
    without={
        "label": lambda: box_case(2, "1/8"),
        "radius": "for a negative radius there is no perturbation",
        "inside": "outside the box it holds wherever ball and box meet",
    },
)  # fmt: skip
def fgs_box(below: Every, above: Every, minimum: tuple[sp.Eq, ...]) -> None:
    r"""Let $<<inside>>$, $<<label>>$ and $<<radius>>$, and let $d_i$ be the distance to the face that the
    attack moves towards: $<<below>>$, and $<<above>>$. Then

    $$<<minimum>> :$$

    clipped FGS attains the minimum.
    """
    low, high, x, w, eps = sp.symbols("l h x_i w_i epsilon", real=True)
    for y in LABELS:  # the printed coordinate, less x_i, is the step that is derived
        one = {X: array([x]), W: array([w]), LOW: low, HIGH: high, EPS: eps, Y: y}
        (after,) = evaluate(ATTACKED, one)
        assert sp.expand(after - x - boxed_fgs_step(x, low, high, w, y, eps)) == 0
    assert minimum[1].rhs.has(ATTACKED)
    assert (below.body.lhs, above.body.lhs) == (FACE[INDEX],) * 2
    assert_lowest_in_box(boxed_fgs_step)


def clipped(a: sp.Expr, low: sp.Expr, high: sp.Expr) -> sp.Expr:
    """clip(a, low, high)."""
    return sp.Min(sp.Max(a, low), high)


def assert_clip_is_projection(clip: Callable[[sp.Expr, sp.Expr, sp.Expr], sp.Expr]) -> None:
    """clip(a) lies in [low, high], and (clip(a) - a) (d' - clip(a)) >= 0 for every d' in there."""
    low = sp.Symbol("l", real=True)
    s, t, r = sp.symbols("s t r", nonnegative=True)
    other, high = low + s, low + s + t  # every d' in the interval
    for a in (low - r, high + r):
        d = clip(a, low, high)
        assert sp.expand(d - low).is_nonnegative
        assert sp.expand(high - d).is_nonnegative
        assert sp.expand((d - a) * (other - d)).is_nonnegative
    inside = clip(low + s, low, high)  # a inside the interval stays where it is
    assert sp.expand(inside - (low + s)) == 0


def shortest_in_box(normal: Vector, gap: Fraction, low: Vector, high: Vector) -> Vector | None:
    """The shortest delta in [low, high] with normal.delta = gap, in rationals; None if there is none.

    normal.clip(t normal, low, high) is piecewise linear in t: find the piece by its breakpoints.
    """
    limit = [h if n > 0 else lo for n, lo, h in zip(normal, low, high, strict=True)]
    breaks = sorted({Fraction(0), *(b / n for n, b in zip(normal, limit, strict=True) if n)})

    def step(t: Fraction) -> Vector:
        return tuple(min(max(t * n, lo), h) for n, lo, h in zip(normal, low, high, strict=True))

    for left, right in pairwise(breaks):
        start, end = dot(normal, step(left)), dot(normal, step(right))
        if start <= gap <= end and start < end:
            return step(left + (right - left) * (gap - start) / (end - start))
    return None


LOW_OF, HIGH_OF = sp.IndexedBase("l", real=True), sp.IndexedBase("h", real=True)
INSIDE_BOX = operator(
    "InBox",
    r"{1} \le {0} \le {2}",
    lambda v, low, high: bool(np.all(low <= v) and np.all(v <= high)),
    base=sp.logic.boolalg.BooleanFunction,
)(DELTA, LOW, HIGH)
REACHES = sp.And(INNER(U, DELTA) >= G, INSIDE_BOX)
UP, DOWN = ENTRY(U, INDEX) * HIGH_OF[INDEX], ENTRY(U, INDEX) * LOW_OF[INDEX]


def shortest_case(level: str, shift: str = "0") -> Case:
    """The shortest step among the corners of the box, points between, and points outside."""
    u, gap = vector((2, -1, 0, 1)), Fraction(level)
    low, high = vector((Fraction(shift) - 1, -3, -1, -1)), vector((3, 1, 1, 1))
    found = shortest_in_box(u, gap, low, high) or tuple(gap * c / 6 for c in u)
    step = array(found)
    time = next(
        (s / c for s, c, lo, hi in zip(found, u, low, high, strict=True) if c and lo < s < hi), Fraction(3)
    )
    ends = [array(corner) for corner in product(*zip(low, high, strict=True))]
    far = array(hi if c > 0 else lo for c, lo, hi in zip(u, low, high, strict=True))
    between = [step + (far - step) * Fraction(1, k) for k in (2, 100)]
    return {
        U: array(u), G: gap, LOW: array(low), HIGH: array(high), STEP: step, TIME: time, INDEX: range(4),
        LOW_OF: dict(enumerate(low)), HIGH_OF: dict(enumerate(high)),
        DELTA: (step, *ends, *between, step / 2, 2 * step, 0 * step),
    }  # fmt: skip


@statement(
    "prop-l2-box",
    kind="proposition",
    title="The shortest step to a hyperplane inside the box",
    source="this book",
    status="kernel proved, glue argued",
    uses=("prop-l2-projection",),
    hypotheses={"level": G >= 0, "around": Every(sp.And(LOW_OF[INDEX] <= 0, HIGH_OF[INDEX] >= 0), INDEX)},
    claims={
        "clip": sp.Eq(STEP, CLIP(TIME * U, LOW, HIGH)),
        "reached": sp.Eq(INNER(U, STEP), G),
        "shortest": sp.Eq(L2(STEP), Least(L2(DELTA), DELTA, REACHES)),
        "most": sp.Eq(Largest(INNER(U, DELTA), DELTA, INSIDE_BOX), Total(sp.Max(UP, DOWN), INDEX)),
    },
    cases=lambda: (shortest_case(g) for g in ("0", "1", "5", "8", "10")),
    without={"level": lambda: shortest_case("-1"), "around": lambda: shortest_case("1", shift="4")},
)
def l2_box(clip: sp.Eq, reached: sp.Eq, shortest: sp.Eq, most: sp.Eq) -> None:
    r"""Let $u \ne 0$, $<<level>>$ and $<<around>>$. Among all $\delta$ in the box with $u^T \delta \ge g$ the
    shortest is $$<<clip>> \qquad\text{for the } t \ge 0 \text{ with } <<reached>>,$$ entry by entry:
    $$<<shortest>> .$$ As $t$ grows from 0, $u^T \delta^*$ grows from 0, concave and piecewise linear, to

    $$<<most>> ;$$

    if that is less than $g$, no such $\delta$ exists.
    """
    assert clip.rhs == CLIP(TIME * U, LOW, HIGH)
    assert shortest.rhs.args[2] == sp.And(reached.lhs.subs(STEP, DELTA) >= G, most.lhs.args[2])
    assert_clip_is_projection(clipped)
    # with d = delta(t): |d'|^2 - |d|^2 - 2t u.(d' - d) is, term by term, a square plus twice a term >= 0,
    # and u.(d' - d) >= g - g, so that |d'| >= |d|, with equality only for d' = d
    d, other, t, u = sp.symbols("d d' t u", real=True)
    excess = other**2 - d**2 - 2 * t * u * (other - d)
    assert sp.expand(excess - (other - d) ** 2 - 2 * (d - t * u) * (other - d)) == 0
    # u_i delta_i(t) rises with slope u_i^2 until delta_i meets its limit, and stays there
    up, width, before, after = sp.symbols("u r t_1 t_2", positive=True)
    low = sp.Symbol("l", nonpositive=True)
    assert sp.diff(up * before * up, before) == up**2
    assert sp.expand(up * clipped(up * before, low, up * before + width) - up**2 * before) == 0
    assert sp.expand(clipped(width + after, low, width) - width) == 0
    assert_shortest(shortest_in_box)


def assert_shortest(solve: Callable[[Vector, Fraction, Vector, Vector], Vector | None]) -> None:
    """``solve`` is feasible and none of many feasible points is shorter; it fails only where all must."""
    rng = random.Random(41)
    for _ in range(60):
        dimension = rng.randint(1, 5)
        normal, gap = random_vector(rng, dimension), Fraction(rng.randint(1, 60), rng.randint(1, 4))
        low = tuple(-abs(v) for v in random_vector(rng, dimension))
        high = tuple(abs(v) for v in random_vector(rng, dimension))
        most = sum((max(n * lo, n * h) for n, lo, h in zip(normal, low, high, strict=True)), Fraction(0))
        shortest = solve(normal, gap, low, high)
        if most < gap:
            assert shortest is None
            continue
        assert shortest is not None
        assert dot(normal, shortest) == gap
        assert all(lo <= v <= h for lo, v, h in zip(low, shortest, high, strict=True))
        best = tuple(h if n > 0 else lo for n, lo, h in zip(normal, low, high, strict=True))
        for share in (Fraction(1, 100), Fraction(1, 3), Fraction(1)):  # towards the far corner: feasible
            other = tuple(v + share * (b - v) for v, b in zip(shortest, best, strict=True))
            assert l2_squared(other) >= l2_squared(shortest)
        for i in range(dimension):  # along the boundary: feasible where it stays in the box
            for j in range(i):
                turn = [Fraction(0)] * dimension
                turn[i], turn[j] = normal[j] / 1000, -normal[i] / 1000
                for other in (minus(shortest, tuple(turn)), minus(shortest, tuple(-v for v in turn))):
                    if all(lo <= v <= h for lo, v, h in zip(low, other, high, strict=True)):
                        assert l2_squared(other) >= l2_squared(shortest)


HALF = sp.Rational(1, 2)
X_I, OMEGA_I = sp.Symbol("x_i", real=True), sp.Symbol(r"\omega_i", real=True)
BY_OMEGA = sp.Symbol(r"\frac{\partial F}{\partial \omega_i}", real=True)
BY_X = sp.Symbol(r"\frac{\partial F}{\partial x_i}", real=True)


def tanh_case(omega: sp.Expr) -> Case:
    """F(x) = x^3 on the box from -1 to 2, differentiated."""
    w = sp.Symbol("w", real=True)
    x = HALF + 3 * HALF * (sp.exp(2 * w) - 1) / (sp.exp(2 * w) + 1)
    at, slope = x.subs(w, omega), sp.diff(x**3, w).subs(w, omega)
    return {
        LOW: sp.Integer(-1), HIGH: sp.Integer(2), OMEGA_I: omega, X_I: at, BY_X: 3 * at**2, BY_OMEGA: slope
    }  # fmt: skip


@statement(
    "prop-cw-tanh",
    kind="proposition",
    title="The change of variables of C&W",
    source="Carlini and Wagner 2017, section V-B",
    status="proved",
    hypotheses={"box": LOW < HIGH},
    claims={
        "map": sp.Eq(X_I, LOW + sp.Mul(HALF, HIGH - LOW, 1 + sp.tanh(OMEGA_I))),
        "slope": sp.Eq(BY_OMEGA, sp.Mul(2, X_I - LOW, HIGH - X_I, 1 / (HIGH - LOW), BY_X)),
    },
    cases=lambda: (tanh_case(omega) for omega in (-sp.log(3), sp.Integer(0), sp.log(2))),
    without={"box": lambda: {**tanh_case(sp.log(2)), LOW: 2, HIGH: 2}},
)
def cw_tanh(map: sp.Eq, slope: sp.Eq) -> None:
    r"""Let $<<box>>$. $<<map>>$ maps $\mathbb{R}^n$ one to one onto the open box, and for every
    differentiable $F$

    $$<<slope>> .$$

    At an edge of the box the factor is 0 and $\omega_i = \pm\infty$: a descent that starts there never moves.
    """
    low, width = sp.Symbol("l", real=True), sp.Symbol("a", positive=True)  # half the width of the box
    box = {LOW: low, HIGH: low + 2 * width}
    w, u = sp.symbols("omega u", real=True)
    m = low + width
    a = width
    x = map.rhs.subs({**box, OMEGA_I: w})
    factor = sp.diff(x, w)
    assert sp.simplify(factor - (slope.rhs / BY_X).subs({**box, X_I: x})) == 0
    assert sp.simplify((factor / a - 1 / sp.cosh(w) ** 2).rewrite(sp.exp)) == 0  # positive: one to one
    assert (sp.limit(x, w, sp.oo), sp.limit(x, w, -sp.oo)) == (m + a, m - a)
    assert sp.limit(factor, w, sp.oo) == sp.limit(factor, w, -sp.oo) == 0
    assert sp.simplify(sp.tanh(sp.atanh(u)) - u) == 0
    assert sp.atanh(1) == sp.oo


def penalty_multiplier(f: sp.Expr, V: sp.Expr, c: sp.Expr) -> sp.Expr:
    """How far along -v the minimiser of the C&W objective lies."""
    return sp.Min(c / 2, f / V)


def assert_penalty_minimiser(multiplier: Callable[[sp.Expr, sp.Expr, sp.Expr], sp.Expr]) -> None:
    """-multiplier * v minimises |delta|^2 + c max(f + v.delta, 0): completing the square, term by term."""
    V, low = sp.symbols("V lambda", positive=True)
    more = sp.Symbol("s", nonnegative=True)
    v, d = sp.symbols("v d", real=True)
    for c, f, weight in (
        (2 * low, (low + more) * V, 2 * low),  # c/2 < f/V: the hinge never closes, its weight is c
        (2 * (low + more), low * V, 2 * low),  # c/2 > f/V: the hinge closes; weight 2 f/V <= c bounds it
    ):
        far = multiplier(f, V, c)
        hinge = sp.expand(f - far * V)
        assert hinge.is_nonnegative
        value = sp.expand(far**2 * V + c * hinge)
        # max(z, 0) >= (weight / c) z, so the objective is at least |d|^2 + weight (f + v.d), a square plus
        bound = weight * f - weight**2 * V / 4  # what is left of it once the squares are complete
        assert sp.expand(d**2 + weight * v * d - (d + weight * v / 2) ** 2 + weight**2 * v**2 / 4) == 0
        assert sp.expand(value - bound) == 0
        assert sp.expand(-far * v + weight * v / 2) == 0  # the squares vanish there and nowhere else


PENALTY = sp.Symbol("lambda", real=True)
OBJECTIVE = L2(DELTA) ** 2 + PENALTY * sp.Max(F + INNER(V, DELTA), 0)


def penalty_case(lead: int, weight: str, v: tuple[int, int] = (2, -1)) -> Case:
    """The minimiser among steps along -v of many lengths, and steps that are not along v."""
    normal, f, c = fractions(*v), Fraction(lead), Fraction(weight)
    square = normal @ normal or Fraction(1)
    step = -min(c / 2, f / square) * normal
    along = [-Fraction(k, 40) * normal for k in range(-20, 60)]
    others = [d for d in (*along, step + fractions(1, 2) / 50, step / 2) if any(d != step)]
    return {V: normal, F: f, PENALTY: c, STEP: step, DELTA: (step, *others)}


def penalties() -> Iterator[Case]:
    """Weights below, at and above the one from which on the boundary is reached."""
    return (penalty_case(lead, weight) for lead in (1, 3) for weight in ("1/10", "2/5", "1/2", "6/5", "5"))


@statement(
    "prop-cw-penalty",
    kind="proposition",
    title="On a binary linear classifier C&W's penalty is exact",
    source="this book",
    status="proved",
    uses=("prop-l2-projection",),
    hypotheses={"lead": F >= 0, "nonzero": sp.Ne(V, 0)},
    claims={
        "minimiser": sp.Eq(STEP, -sp.Min(PENALTY / 2, F / L2(V) ** 2) * V),
        "least": sp.Eq(OBJECTIVE.subs(DELTA, STEP), Least(OBJECTIVE, DELTA)),
        "only": Every(sp.Gt(OBJECTIVE, OBJECTIVE.subs(DELTA, STEP)), DELTA, sp.Ne(DELTA, STEP)),
        "exact": Iff(sp.Eq(F + INNER(V, STEP), 0), sp.Ge(PENALTY, 2 * F / L2(V) ** 2)),
    },
    cases=penalties,
    without={
        "lead": lambda: penalty_case(-3, "1/2"),
        "nonzero": lambda: penalty_case(3, "1/2", v=(0, 0)),
    },
)
def cw_penalty(minimiser: sp.Eq, least: sp.Eq, only: Every, exact: Iff) -> None:
    r"""Let $<<lead>>$ and $<<nonzero>>$. Over $\delta \in \mathbb{R}^n$ the objective of C&W
    has the one minimiser $$<<minimiser>> :$$

    $$<<least>>,$$ $$<<only>> .$$

    For a small weight $\lambda$ it stops short of the boundary; from a certain weight on it *is* the shortest
    step to the boundary, whatever the weight:

    $$<<exact>> .$$

    A confidence $\tau$ replaces $f(x)$ by $f(x) + \tau$ and so lengthens the step by
    $\tau / \lVert v \rVert_2$.
    """
    half, lead_, square = sp.symbols("half lead square", positive=True)
    printed = -(minimiser.rhs / V).subs({PENALTY: 2 * half, F: lead_, L2(V): sp.sqrt(square)})
    assert printed == penalty_multiplier(lead_, square, 2 * half)
    assert least.lhs == only.body.rhs
    assert exact.args[1].lhs == PENALTY
    assert_penalty_minimiser(penalty_multiplier)
    f, k, norm = sp.symbols("f k N", positive=True)
    assert sp.expand((f + k) / norm - f / norm - k / norm) == 0
