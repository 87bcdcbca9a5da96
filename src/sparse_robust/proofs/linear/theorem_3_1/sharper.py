"""Beyond Theorem 3.1: an equality between the two metrics, two lower bounds, and what maximises r_2."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.linear.populations import random_binary
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import Binary, FiniteLaw, dot, l1, l2_squared

from .paper import class_terms, mean_margin


def area(law: FiniteLaw, model: Binary) -> Fraction:
    """The area under eps -> r_inf(eps), summed exactly over the steps of the curve."""
    scale = l1(model.w)
    jumps = sorted({model.margin(a.label, a.x) / scale for a in law.atoms if model.correct(a.label, a.x)})
    total, left = Fraction(0), Fraction(0)
    for right in jumps:  # r_inf is constant on [left, right)
        total += (right - left) * model.r_inf(law, left)
        left = right
    assert model.r_inf(law, left) == 0  # the curve has reached zero
    return total


def cantelli(gap: sp.Expr, variance: sp.Expr) -> sp.Expr:
    """(m - a)^2 / (s^2 + (m - a)^2)."""
    return gap**2 / (variance + gap**2)


def cantelli_total(law: FiniteLaw, model: Binary, eps: Fraction) -> Fraction:
    """The lower bound of prop-cantelli, exactly."""
    level, total = eps * l1(model.w), Fraction(0)
    for mass, m, given in class_terms(law, model):
        if m > level:
            variance = given.expect(lambda y, x: model.margin(y, x) ** 2) - m * m
            total += mass * cantelli(m - level, variance)
    return total


def bounded(gap: sp.Expr, room: sp.Expr) -> sp.Expr:
    """(m - a) / (M - a)."""
    return gap / room


def next_direction(law: FiniteLaw, w: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """E(1[y w.x > 0] y x): (t/2)(mu_+ - mu_-) under the assumptions of Theorem 3.1."""
    model = Binary(w)
    return tuple(
        sum((a.mass * a.label * a.x[i] for a in law.atoms if model.correct(a.label, a.x)), Fraction(0))
        for i in range(len(w))
    )


@statement(
    "prop-area-identity",
    kind="proposition",
    title="One equality links both metrics to sparsity",
    source="this book",
    status="proved",
    uses=("lem-expectation", "lem-total-probability", "prop-r2-identity"),
)
def area_identity() -> None:
    r"""For every law with $\mathbb{E}\lvert w^T x\rvert < \infty$, every $w \ne 0$ and $b$, whatever the
    priors and the accuracies,

    $$\int_0^\infty r_\infty(\epsilon)\,\mathrm{d}\epsilon = \frac{r_2}{\kappa(w)},
      \qquad \kappa(w) = \frac{\lVert w \rVert_1}{\lVert w \rVert_2} .$$
    """
    eps = sp.Symbol("epsilon", nonnegative=True)
    scale, right = sp.symbols("l_1 m", positive=True)
    wrong = sp.Symbol("m", nonpositive=True)
    # one outcome with signed score m survives on 0 <= eps < m / ||w||_1: it contributes max(m, 0) / ||w||_1
    survives = sp.Piecewise((1, eps < right / scale), (0, True))
    assert sp.integrate(survives, (eps, 0, sp.oo)) == sp.Max(right, 0) / scale
    assert (wrong > eps * scale) == sp.false
    assert sp.Max(wrong, 0) == 0
    for law, model, _ in random_binary(seed=40):
        assert area(law, model) == model.r_2_times_norm(law) / l1(model.w)


@statement(
    "cor-rectangle",
    kind="corollary",
    title="The printed bound is a rectangle under a decreasing curve",
    source="this book",
    status="proved",
    uses=("lem-expectation", "prop-area-identity"),
)
def rectangle() -> None:
    r"""$r_\infty$ does not increase with $\epsilon$, hence for every $\epsilon > 0$

    $$\epsilon\, r_\infty(\epsilon) \le \int_0^\epsilon r_\infty(s)\,\mathrm{d}s
      \le \int_0^\infty r_\infty(s)\,\mathrm{d}s = \frac{r_2}{\kappa(w)},$$

    which is the bound of Theorem 3.1 once more. It cannot be improved by a constant factor: where
    $y f(x) = m$ is the same for all points, the left side is $\theta$ times the right side at
    $\epsilon = \theta m / \lVert w \rVert_1$, for every $\theta < 1$.
    """
    s, scale, gap = sp.symbols("s l_1 gap", positive=True)
    delta = sp.Symbol("delta", nonnegative=True)
    alive_later = (s + delta) * scale + gap  # the signed score of an outcome that survives s + delta
    assert (sp.expand(alive_later) - s * scale).is_positive  # survives s too
    for law, model, radius in random_binary(seed=41):
        assert radius * model.r_inf(law, radius) <= area(law, model)
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
)
def cantelli_bound() -> None:
    r"""Let $m_k$ and $s_k^2$ be mean and variance of $k f(x)$ given $y = \hat y = k$, and
    $a = \epsilon \lVert w \rVert_1$. Then

    $$r_\infty \ge \sum_{k :\, m_k > a} \pi_k t_k\, \frac{(m_k - a)^2}{s_k^2 + (m_k - a)^2} .$$
    """
    gap, variance = sp.symbols("g v", positive=True)  # g = m - a
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
    for law, model, eps in random_binary(seed=42):
        for radius in (eps, eps / 20):
            assert model.r_inf(law, radius) >= cantelli_total(law, model, radius)


@statement(
    "prop-bounded-support",
    kind="proposition",
    title="A lower bound for images",
    source="this book",
    status="proved",
    uses=("lem-expectation", "lem-total-probability"),
)
def bounded_support() -> None:
    r"""For $x \in [0, 1]^n$ let $M_k = \sum_i (k w_i)_+ + k b$, the largest value of $k f$ on the box. Then

    $$r_\infty \ge \sum_{k :\, m_k > a} \pi_k t_k\, \frac{m_k - a}{M_k - a},
      \qquad a = \epsilon \lVert w \rVert_1 .$$
    """
    level, gap = sp.symbols("a g", positive=True)  # M - a = g + slack, with M >= m > a
    r, slack, excess = sp.symbols("r slack e", nonnegative=True)
    top = level + gap + slack
    # X <= a + (M - a) 1[X > a]: below a trivially; above it because X <= M
    assert (level - (level - r)).is_nonnegative
    assert sp.expand(level + (top - level) - (top - excess)).is_nonnegative
    probability, mean = sp.symbols("P m", positive=True)
    solved = sp.solve(sp.Eq(mean, level + (top - level) * probability), probability)[0]
    assert sp.simplify(solved - bounded(mean - level, top - level)) == 0
    x, rest, size = sp.symbols("x rest size", nonnegative=True)  # rest = 1 - x
    assert sp.expand(size - size * x).subs(x, 1 - rest).expand().is_nonnegative  # k w_i = size >= 0
    assert (0 - (-size) * x).is_nonnegative  # k w_i = -size <= 0
    for law, model, eps in random_binary(seed=43):
        low = min(c for a in law.atoms for c in a.x)
        span = max(c for a in law.atoms for c in a.x) - low or Fraction(1)
        images = FiniteLaw.of((a.mass, a.label, [(c - low) / span for c in a.x]) for a in law.atoms)
        for radius in (eps / 10, eps / 100):
            drop, total = radius * l1(model.w), Fraction(0)
            for mass, m, given in class_terms(images, model):
                k = given.labels[0]
                largest = sum((max(k * w, Fraction(0)) for w in model.w), k * model.b)
                assert all(model.margin(a.label, a.x) <= largest for a in given.atoms)
                total += mass * bounded(m - drop, largest - drop) if m > drop else 0
            assert model.r_inf(images, radius) >= total


@statement("lem-cauchy-schwarz", kind="lemma", title="Cauchy-Schwarz", source="folklore", status="proved")
def cauchy_schwarz() -> None:
    r"""For all $u, v \in \mathbb{R}^n$ and every $n$,
    $(u^T v)^2 \le \lVert u \rVert_2^2\, \lVert v \rVert_2^2$.
    """
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
    assert sp.simplify(quadratic.subs(step, uv / vv) * vv - (uu * vv - uv**2)) == 0


@statement(
    "prop-r2-ascent",
    kind="proposition",
    title="What a maximiser of $r_2$ satisfies",
    source="this book",
    status="proved",
    uses=("lem-expectation", "lem-signed-margin", "prop-r2-identity", "lem-cauchy-schwarz"),
)
def r2_ascent() -> None:
    r"""Without bias let $w' = \mathbb{E}\bigl(1_{y = \hat y}\, y\,x\bigr)$, which is
    $\tfrac t2(\mu_{+1} - \mu_{-1})$ under the assumptions of Theorem 3.1. If $w' \ne 0$, then

    $$r_2(w) \le \lVert w' \rVert_2 \le r_2(w').$$

    So a maximiser of $r_2$ points along its own $\mu_{+1} - \mu_{-1}$, for otherwise the first inequality
    is strict. The converse fails ({prf:ref}`err-maximiser`).
    """
    size = sp.Symbol("size", nonnegative=True)
    for m in (size, -size):  # (m)_+ >= 1_A m for every event A, here A = {y = yhat(w)} and m = y w'.x
        assert all((sp.Max(m, 0) - indicator * m).is_nonnegative for indicator in (0, 1))
    for law, model, _ in random_binary(seed=44):
        start, ascended = Binary(model.w), next_direction(law, model.w)
        if any(ascended):
            # r_2(w) ||w|| = w.w' <= ||w|| ||w'||, and r_2(w') ||w'|| >= E 1_A y w'.x = ||w'||^2
            assert start.r_2_times_norm(law) == dot(start.w, ascended) == mean_margin(law, start)
            assert dot(start.w, ascended) ** 2 <= l2_squared(start.w) * l2_squared(ascended)
            assert Binary(ascended).r_2_times_norm(law) >= l2_squared(ascended)
