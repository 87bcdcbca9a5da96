"""Beyond Theorem 3.1: an equality between the two metrics, two lower bounds, and what maximises r_2."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import sympy as sp

from sparse_robust.proofs.formulas import Case, Mean, Pr, Total, chain, holds, indicator, operator
from sparse_robust.proofs.foundations.notation import (
    EPS,
    INNER,
    L1,
    L2,
    R_2,
    R_INF,
    Y_HAT,
    B,
    K,
    W,
    X,
    Y,
    array,
)
from sparse_robust.proofs.linear.notation import ACCURACY, KAPPA, PRIOR, A, Z, binary_case
from sparse_robust.proofs.linear.populations import BinaryExample, random_binary, tight_binary
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import Binary, FiniteLaw, Vector, l1, random_vector

from .paper import (
    EVERY_FINITE,
    FINITE,
    LEVEL,
    NONZERO,
    R2_IDENTITY,
    SCORE,
    class_terms,
    zero_weights,
)


def area(law: FiniteLaw, model: Binary, end: Fraction | None = None) -> Fraction:
    """The area under s -> r_inf(s), up to ``end`` or all of it, summed exactly over the steps."""
    scale = l1(model.w)
    jumps = sorted({model.margin(a.label, a.x) / scale for a in law.atoms if model.correct(a.label, a.x)})
    total, left = Fraction(0), Fraction(0)
    for jump in jumps:  # r_inf is constant on [left, jump)
        right = jump if end is None else min(jump, end)
        total += (right - left) * model.r_inf(law, left)
        left = right
    assert end is not None or model.r_inf(law, left) == 0  # the curve has reached zero
    return total


def cantelli(gap: sp.Expr, variance: sp.Expr) -> sp.Expr:
    """(m - a)^2 / (s^2 + (m - a)^2)."""
    return gap**2 / (variance + gap**2)


def bounded(gap: sp.Expr, width: sp.Expr) -> sp.Expr:
    """(m - a) / (M - a)."""
    return gap / width


M_OF, TOP_OF = sp.IndexedBase("m", real=True), sp.IndexedBase("M", real=True)
VARIANCE_OF = sp.IndexedBase("s^2", nonnegative=True)
GAP, VARIANCE = sp.Symbol("g", positive=True), sp.Symbol("v", nonnegative=True)  # m_k - a, s_k^2
IN_BOX = operator("InBox", r"{0} \in [0, 1]^n", lambda x: all(0 <= xi <= 1 for xi in x))
CANTELLI = sp.Ge(R_INF, Total(PRIOR[K] * ACCURACY[K] * cantelli(M_OF[K] - A, VARIANCE_OF[K]), K, M_OF[K] > A))
BOUNDED = sp.Ge(R_INF, Total(PRIOR[K] * ACCURACY[K] * bounded(M_OF[K] - A, TOP_OF[K] - A), K, M_OF[K] > A))


def moment_case(example: BinaryExample) -> Case:
    """Mean and variance of the margin of each class, and the most that it can be on the unit box."""
    law, model, eps = example
    terms = {given.labels[0]: (m, given) for _, m, given in class_terms(law, model)}
    squares = {k: given.expect(lambda y, x: model.margin(y, x) ** 2) for k, (_, given) in terms.items()}
    return {
        **binary_case(example),
        A: eps * l1(model.w),
        M_OF: {k: m for k, (m, _) in terms.items()},
        VARIANCE_OF: {k: squares[k] - m * m for k, (m, _) in terms.items()},
        TOP_OF: {k: sum((max(k * w, Fraction(0)) for w in model.w), k * model.b) for k in terms},
    }


def moments(seed: int) -> Iterator[Case]:
    """Random distributions and tight ones, at two radii."""
    for law, model, eps in (*tight_binary(), *random_binary(seed)):
        for radius in (eps, eps / 20):
            yield moment_case(BinaryExample(law, model, radius))


def images(seed: int) -> Iterator[Case]:
    """The same moved into the unit box; and points in those corners where the margin is largest."""
    for law, model, eps in random_binary(seed):
        low = min(c for a in law.atoms for c in a.x)
        span = max(c for a in law.atoms for c in a.x) - low or Fraction(1)
        moved = FiniteLaw.of((a.mass, a.label, [(c - low) / span for c in a.x]) for a in law.atoms)
        if {a.label for a in moved.atoms if model.correct(a.label, a.x)} == {-1, 1}:
            for radius in (eps / 10, eps / 100):
                yield moment_case(BinaryExample(moved, model, radius))
    corners = FiniteLaw.of([(1, 1, [1, 0]), (2, -1, [0, 1])])
    yield moment_case(BinaryExample(corners, Binary((Fraction(2), Fraction(-1))), Fraction(1, 4)))


def outside_the_box() -> Case:
    """A margin ten times as large as any on the box."""
    law = FiniteLaw.of([(1, 1, [10]), (1, -1, ["-1/10"])])
    return moment_case(BinaryExample(law, Binary((Fraction(1),)), Fraction(1, 2)))


def next_direction(law: FiniteLaw, w: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """E(1[y w.x > 0] y x): (t/2)(mu_+ - mu_-) under the assumptions of Theorem 3.1."""
    model = Binary(w)
    return tuple(
        sum((a.mass * a.label * a.x[i] for a in law.atoms if model.correct(a.label, a.x)), Fraction(0))
        for i in range(len(w))
    )


AREA = sp.Symbol(r"\int_0^\infty r_\infty(s)\,\mathrm{d}s", real=True)
PART = sp.Symbol(r"\int_0^\epsilon r_\infty(s)\,\mathrm{d}s", real=True)


def areas(seed: int) -> Iterator[Case]:
    """Random distributions and tight ones, with the areas under the curve of r_inf."""
    for example in (*tight_binary(), *random_binary(seed, 15)):
        law, model, eps = example
        yield {**binary_case(example), AREA: area(law, model), PART: area(law, model, eps)}


@statement(
    "prop-area-identity",
    kind="proposition",
    title="One equality links both metrics to sparsity",
    source="this book",
    status="proved",
    uses=("lem-expectation", "lem-total-probability", "prop-r2-identity"),
    hypotheses={"finite": FINITE, "nonzero": NONZERO},
    claims={"kappa": sp.Eq(KAPPA, L1(W) / L2(W)), "area": sp.Eq(AREA, R_2 / KAPPA)},
    cases=lambda: areas(40),
    without={"finite": EVERY_FINITE, "nonzero": zero_weights},
)
def area_identity(kappa: sp.Eq, area: sp.Eq) -> None:
    r"""If $<<finite>>$ and $<<nonzero>>$, then for every $b$, whatever the priors and the accuracies, with
    $<<kappa>>$,

    $$<<area>> .$$
    """
    # the printed side, times ||w||_1, is E(y f)_+, as r_2 ||w||_2 is by prop-r2-identity
    stated = area.rhs.subs(KAPPA, kappa.rhs).subs(R_2, R2_IDENTITY[0].rhs)
    assert stated == Mean(sp.Max(Y * SCORE, 0)) / L1(W)
    eps = sp.Symbol("epsilon", nonnegative=True)
    scale, right = sp.symbols("l_1 m", positive=True)
    wrong = sp.Symbol("m", nonpositive=True)
    # one outcome with signed score m survives on 0 <= eps < m / ||w||_1: it contributes max(m, 0) / ||w||_1
    survives = sp.Piecewise((1, eps < right / scale), (0, True))
    assert sp.integrate(survives, (eps, 0, sp.oo)) == sp.Max(right, 0) / scale
    assert (wrong > eps * scale) == sp.false
    assert sp.Max(wrong, 0) == 0


@statement(
    "cor-rectangle",
    kind="corollary",
    title="The printed bound is a rectangle under a decreasing curve",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "prop-area-identity"),
    hypotheses={"radius": EPS >= 0},
    claims={"areas": chain(EPS * R_INF, sp.Le, PART, sp.Le, AREA, sp.Eq, R_2 / KAPPA)},
    cases=lambda: areas(41),
    without={"radius": "for a negative radius there is no attack"},
)
def rectangle(areas: tuple[sp.Basic, ...]) -> None:
    r"""$r_\infty$ does not increase with $\epsilon$, hence for $<<radius>>$

    $$<<areas>>,$$

    which is the bound of Theorem 3.1 once more. It cannot be improved by a constant factor: where
    $y f(x) = m$ is the same for all points, the left side is $\theta$ times the right side at
    $\epsilon = \theta m / \lVert w \rVert_1$, for every $\theta < 1$.
    """
    assert [type(relation) for relation in areas] == [sp.Le, sp.Le, sp.Eq]
    s, scale, gap = sp.symbols("s l_1 gap", positive=True)
    delta = sp.Symbol("delta", nonnegative=True)
    alive_later = (s + delta) * scale + gap  # the signed score of an outcome that survives s + delta
    assert (sp.expand(alive_later) - s * scale).is_positive  # survives s too
    model = Binary((Fraction(2), Fraction(-1)))
    tight = FiniteLaw.of([(2, 1, [3, 1]), (1, 1, [1, -3]), (1, -1, [-2, 1])])
    assert {model.margin(a.label, a.x) for a in tight.atoms} == {Fraction(5)}
    for theta in (Fraction(1, 2), Fraction(999, 1000)):
        radius = theta * 5 / l1(model.w)
        assert radius * model.r_inf(tight, radius) == theta * area(tight, model)


@statement(
    "prop-cantelli",
    kind="proposition",
    title="A lower bound from two moments",
    source="this book, by Cantelli's inequality",
    status="proved",
    uses=("lem-expectation", "lem-total-probability"),
    claims={"level": sp.Eq(A, LEVEL), "bound": CANTELLI},
    cases=lambda: moments(42),
)
def cantelli_bound(level: sp.Eq, bound: sp.Ge) -> None:
    r"""Let $m_k$ and $s_k^2$ be mean and variance of $k f(x)$ given $y = \hat y = k$, and $<<level>>$. Then

    $$<<bound>> .$$
    """
    term = bound.rhs.body.subs({M_OF[K]: A + GAP, VARIANCE_OF[K]: VARIANCE})
    assert term == PRIOR[K] * ACCURACY[K] * cantelli(GAP, VARIANCE)
    gap, variance = GAP, VARIANCE
    shift = variance / gap
    z, r = sp.Symbol("Z", real=True), sp.Symbol("r", nonnegative=True)  # Z = X - m
    # 1[X <= a] <= q(X) := ((Z - shift) / (g + shift))^2, for on X <= a we may write Z = -g - r
    q = ((z - shift) / (gap + shift)) ** 2
    assert sp.factor(sp.expand(q.subs(z, -gap - r) - 1)).is_nonnegative
    assert q.is_nonnegative
    mean_q = (variance + shift**2) / (gap + shift) ** 2  # E Z = 0 and E Z^2 = v
    second = sp.expand(q).coeff(z, 2) * variance + sp.expand(q).coeff(z, 0)
    assert sp.simplify(second - mean_q) == 0
    assert sp.simplify(1 - mean_q - cantelli(gap, variance)) == 0


@statement(
    "prop-bounded-support",
    kind="proposition",
    title="A lower bound for images",
    source="this book",
    status="proved",
    uses=("lem-expectation", "lem-total-probability"),
    hypotheses={"box": sp.Eq(Pr(IN_BOX(X)), 1)},
    claims={"level": sp.Eq(A, LEVEL), "bound": BOUNDED},
    cases=lambda: images(43),
    without={"box": outside_the_box},
)
def bounded_support(level: sp.Eq, bound: sp.Ge) -> None:
    r"""Let $<<box>>$, and let $M_k = \sum_i (k w_i)_+ + k b$, the largest value of $k f$ on the box. Then,
    with $<<level>>$,

    $$<<bound>> .$$
    """
    stated = bound.rhs.body.subs({M_OF[K]: A + GAP})
    assert stated == PRIOR[K] * ACCURACY[K] * bounded(GAP, TOP_OF[K] - A)
    least, gap = sp.symbols("a g", positive=True)  # M - a = g + slack, with M >= m > a
    r, slack, excess = sp.symbols("r slack e", nonnegative=True)
    top = least + gap + slack
    highest = sp.Symbol("M", real=True)
    above = A + (highest - A) * indicator(Z > A) >= Z  # X is at most a, or at most M
    assert holds(above, {A: least, Z: least - r, highest: top})
    assert holds(above, {A: least, Z: least + gap, highest: least + gap + excess})
    probability, mean = sp.symbols("P m", positive=True)
    solved = sp.solve(sp.Eq(mean, least + (top - least) * probability), probability)[0]
    assert sp.simplify(solved - bounded(mean - least, top - least)) == 0
    x, rest, size = sp.symbols("x rest size", nonnegative=True)  # rest = 1 - x
    assert sp.expand(size - size * x).subs(x, 1 - rest).expand().is_nonnegative  # k w_i = size >= 0
    assert (0 - (-size) * x).is_nonnegative  # k w_i = -size <= 0


U, V = sp.symbols("u v", real=True)


def vectors() -> Iterator[Case]:
    """Parallel, opposite and random vectors, and zero."""
    rng = random.Random(45)
    pairs: list[tuple[Any, ...]] = [([1, 2, 0], [-2, -4, 0]), ([1, 1], [3, 3]), ([0, 0], [1, 2])]
    drawn = [tuple(random_vector(rng, 3) for _ in range(2)) for _ in range(10)]
    for u, v in [*pairs, *drawn]:
        yield {U: array(map(Fraction, u)), V: array(map(Fraction, v))}


@statement(
    "lem-cauchy-schwarz",
    kind="lemma",
    title="Cauchy-Schwarz",
    source="folklore",
    status="proved",
    claims={"bound": INNER(U, V) ** 2 <= L2(U) ** 2 * L2(V) ** 2},
    cases=vectors,
)
def cauchy_schwarz(bound: sp.Le) -> None:
    r"""For all $u, v \in \mathbb{R}^n$ and every $n$, $<<bound>>$."""
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    u, v = sp.IndexedBase("u", real=True), sp.IndexedBase("v", real=True)
    step = sp.Symbol("lambda", real=True)

    def total(summand: sp.Expr) -> sp.Expr:
        return sp.Sum(summand, (i, 1, n))

    square = total((u[i] - step * v[i]) ** 2)
    assert square.is_nonnegative
    uu, uv, vv = sp.Symbol("uu"), sp.Symbol("uv"), sp.Symbol("vv", positive=True)
    quadratic = uu - 2 * step * uv + step**2 * vv
    named = {uu: total(u[i] ** 2), uv: total(u[i] * v[i]), vv: total(v[i] ** 2)}
    assert sp.simplify(square.expand() - quadratic.subs(named)) == 0
    # at step = u.v / v.v the square, times v.v, is the difference of the two sides (v = 0 is trivial)
    printed = (bound.rhs - bound.lhs).subs({L2(U): sp.sqrt(uu), L2(V): sp.sqrt(vv), INNER(U, V): uv})
    assert sp.simplify(quadratic.subs(step, uv / vv) * vv - printed) == 0
    assert isinstance(bound, sp.Le)


NEXT_W, NEXT_R_2 = sp.Symbol("w'", real=True), sp.Symbol("r_{2}(w')", real=True)


def ascent_case(law: FiniteLaw, w: Vector, bias: Fraction = Fraction(0)) -> Case:
    """One step of the ascent."""
    ascended = next_direction(law, w)
    model = Binary(ascended)
    r_2 = model.r_2_times_norm(law) / L2.value(ascended) if any(ascended) else sp.Integer(0)
    case = binary_case(BinaryExample(law, Binary(w, bias), Fraction(1)))
    return {**case, NEXT_W: array(ascended), NEXT_R_2: r_2}


def ascents(seed: int) -> Iterator[Case]:
    """Random distributions, constant margins, and a maximiser."""
    for law, model, _ in (*tight_binary(), *random_binary(seed, 15)):
        yield ascent_case(law, model.w)
    yield ascent_case(FiniteLaw.of([(1, 1, [1, 0]), (1, -1, [-1, 0])]), (Fraction(1), Fraction(0)))


@statement(
    "prop-r2-ascent",
    kind="proposition",
    title="What a maximiser of $r_2$ satisfies",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-signed-margin", "prop-r2-identity", "lem-cauchy-schwarz"),
    hypotheses={"unbiased": sp.Eq(B, 0), "moved": sp.Ne(NEXT_W, 0)},
    claims={
        "next": sp.Eq(NEXT_W, Mean(indicator(sp.Eq(Y, Y_HAT)) * Y * X)),
        "ascent": chain(R_2, sp.Le, L2(NEXT_W), sp.Le, NEXT_R_2),
    },
    cases=lambda: ascents(44),
    without={
        "unbiased": lambda: ascent_case(
            FiniteLaw.of([(1, 1, [1]), (1, -1, [1])]), (Fraction(1),), Fraction(9)
        ),
        "moved": "if $w' = 0$, no input is classified correctly but for the origin, and $r_2 = 0$",
    },
)
def r2_ascent(next: sp.Eq, ascent: tuple[sp.Le, ...]) -> None:
    r"""Without bias, $<<unbiased>>$, let $<<next>>$, which is $\tfrac t2(\mu_{+1} - \mu_{-1})$ under the
    assumptions of Theorem 3.1. If $<<moved>>$, then

    $$<<ascent>> .$$

    So a maximiser of $r_2$ points along its own $\mu_{+1} - \mu_{-1}$, for otherwise the first inequality
    is strict. The converse fails ({prf:ref}`err-maximiser`).
    """
    assert ascent[0].rhs == L2(next.lhs)
    # r_2(w) ||w|| = w.w' <= ||w|| ||w'||, and r_2(w') ||w'|| >= E 1_A y w'.x = ||w'||^2
    length, norm, slack = sp.symbols("w' w s", positive=True)
    assert sp.expand(length - (norm * length - slack) / norm).is_positive
    assert sp.simplify(length**2 / length - length) == 0
    size = sp.Symbol("size", nonnegative=True)
    for m in (size, -size):  # (m)_+ >= 1_A m for every event A, here A = {y = yhat(w)} and m = y w'.x
        assert all((sp.Max(m, 0) - indicator * m).is_nonnegative for indicator in (0, 1))
