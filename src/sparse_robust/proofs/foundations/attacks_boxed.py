"""FGS, DeepFool and C&W where the input has to stay in a box [l, h]^n: exact answers on linear models."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise

import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import Vector, dot, l2_squared, minus, random_vector

from .attacks import LABELS, fgs_step
from .norms import SIGN_BRANCHES

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


@statement(
    "prop-fgs-box",
    kind="proposition",
    title="In the box, clipped FGS stays optimal",
    source="this book",
    status="proved",
    uses=("prop-fgs-binary-optimal",),
)
def fgs_box() -> None:
    r"""Let $f(x) = w^T x + b$, $x \in [l, h]^n$, and let $d_i$ be $x_i - l$ where $y w_i > 0$ and
    $h - x_i$ where $y w_i < 0$. Then

    $$\min_{\substack{\lVert \delta \rVert_\infty \le \epsilon \\ x + \delta \in [l, h]^n}} y f(x + \delta)
      = y f(x) - \sum_i \lvert w_i \rvert \min(\epsilon, d_i) ,$$

    attained by $\delta = \mathrm{clip}(x - \epsilon\, y\, \mathrm{sgn}(w), l, h) - x$.
    """
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


@statement(
    "prop-l2-box",
    kind="proposition",
    title="The shortest step to a hyperplane inside the box",
    source="this book",
    status="kernel proved, glue argued",
    uses=("prop-l2-projection",),
)
def l2_box() -> None:
    r"""Let $u \ne 0$, $g > 0$ and $l_i \le 0 \le h_i$. Among all $\delta$ with $u^T \delta \ge g$ and
    $l_i \le \delta_i \le h_i$ the shortest is

    $$\delta_i(t) = \mathrm{clip}(t u_i, l_i, h_i)$$

    for the $t > 0$ with $u^T \delta(t) = g$. As $t$ grows from 0, $u^T \delta(t)$ grows from 0, concave and
    piecewise linear, to $\sum_i u_i (h_i 1_{u_i > 0} + l_i 1_{u_i < 0})$; if that is less than $g$, no such
    $\delta$ exists.
    """
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


@statement(
    "prop-cw-tanh",
    kind="proposition",
    title="The change of variables of C&W",
    source="Carlini and Wagner 2017, section V-B",
    status="proved",
)
def cw_tanh() -> None:
    r"""With centre $m$ and half-width $a$ of the box, $x_i = m + a \tanh(\omega_i)$ maps $\mathbb{R}^n$
    one to one onto the open box, and for every differentiable $F$

    $$\frac{\partial F}{\partial \omega_i} = a \left(1 - \Bigl(\frac{x_i - m}{a}\Bigr)^2\right)
      \frac{\partial F}{\partial x_i} .$$

    At an edge of the box the factor is 0 and $\omega_i = \pm\infty$: a descent that starts there never moves.
    """
    w, m, u = sp.symbols("omega m u", real=True)
    a = sp.Symbol("a", positive=True)
    x = m + a * sp.tanh(w)
    factor = sp.diff(x, w)
    assert sp.simplify(factor - a * (1 - ((x - m) / a) ** 2)) == 0
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


@statement(
    "prop-cw-penalty",
    kind="proposition",
    title="On a binary linear classifier C&W's penalty is exact",
    source="this book",
    status="proved",
    uses=("prop-l2-projection",),
)
def cw_penalty() -> None:
    r"""Let $f > 0$ and $v \ne 0$. Over $\delta \in \mathbb{R}^n$ the objective
    $\lVert \delta \rVert_2^2 + c \max(f + v^T \delta, 0)$ has the one minimiser

    $$\delta^*_c = -\min\Bigl(\frac{c}{2}, \frac{f}{\lVert v \rVert_2^2}\Bigr)\, v .$$

    Below $c^* = 2 f / \lVert v \rVert_2^2$ it stops short of the boundary; from $c^*$ on it *is* the shortest
    step to the boundary, whatever $c$. A confidence $k$ replaces $f$ by $f + k$ and so lengthens the step
    by $k / \lVert v \rVert_2$.
    """
    assert_penalty_minimiser(penalty_multiplier)
    f, k, norm = sp.symbols("f k N", positive=True)
    assert sp.expand((f + k) / norm - f / norm - k / norm) == 0
