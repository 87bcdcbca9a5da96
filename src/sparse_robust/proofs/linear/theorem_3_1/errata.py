"""What the paper says around Theorem 3.1 and does not hold: each check fails if the paper were right."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.linear.populations import random_binary
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import Binary, FiniteLaw, Vector, dot, l1, l2_squared, ratio, sign, vector

from .paper import class_terms
from .sharper import next_direction

ACCURACY, R_2, EPS = Fraction("0.9917"), Fraction("2.0103"), Fraction("0.1")
"""The paper's dense 1-vs-7 model, section 4.1: accuracy, r_2 under DeepFool, and eps."""
PRINTED = "99.74"
"""The final percentage of zero weights that section 4.1 prints."""
PIXELS, CLASSES, ROUNDS = 784, 10, 16
"""Weights of one linear score on MNIST, its classes, and the m of section 4.1; there rho = 1/3."""


def lifted_distance(model: Binary, x: Vector) -> Fraction:
    """The squared distance that w_hat = [w; b] at [x; 1] gives: (w.x + b)^2 / (||w||^2 + b^2)."""
    return ratio(model.margin(1, x), (*model.w, model.b), "2")


def true_distance(model: Binary, x: Vector) -> Fraction:
    """The squared distance from x to {w.x + b = 0}: the constant coordinate cannot be attacked."""
    return ratio(model.margin(1, x), model.w, "2")


def left_after(weights: int, rounds: int) -> int:
    """Nonzero weights after ``rounds`` that each zero floor(remaining / 3)."""
    for _ in range(rounds):
        weights -= weights // 3
    return weights


def percent(value: Fraction) -> str:
    """Two decimals, as the paper prints percentages, rounded exactly."""
    hundredths = round(value * 10_000)
    return f"{hundredths // 100}.{hundredths % 100:02d}"


@statement(
    "err-bias",
    kind="erratum",
    title="A bias is not one more weight",
    source='paper, section 3.1, "all our theoretical results in the sequel apply directly to linear cases"',
    status="checked exactly on an example",
)
def bias() -> None:
    r"""The paper rewrites $w^T x + b$ as $\hat w^T [x; 1]$ with $\hat w = [w; b]$ and applies its results
    to $\hat w$. The constant coordinate cannot be perturbed, so distances come out too short: for $n = 1$
    and $w = b = x = 1$ the distance to the boundary is $2$, while $\hat w$ gives $\sqrt 2$. The bound for
    $r_\infty$ becomes false: with $y = +1$ at $x = 1$ and $y = -1$ at $x = -3$, equally likely,
    $r_\infty(3/2) = 1$, but with $\hat w$ the right side of (2) is $2/3$. With the original $w$ equation (2)
    holds as it stands, for $b$ cancels there ({prf:ref}`prop-r2-identity`).
    """
    model, x = Binary(vector([1]), Fraction(1)), vector([1])
    boundary = vector([-1])
    assert model.margin(1, boundary) == 0
    assert true_distance(model, x) == (x[0] - boundary[0]) ** 2 == 4
    assert lifted_distance(model, x) == 2 != true_distance(model, x)
    law = FiniteLaw.of([(1, 1, [1]), (1, -1, [-3])])
    eps = Fraction(3, 2)
    numerator = sum((mass * m for mass, m, _ in class_terms(law, model)), Fraction(0))
    lifted_bound = numerator / (eps * (l1(model.w) + abs(model.b)))
    assert law.probability(model.correct) == model.r_inf(law, eps) == 1
    assert lifted_bound == Fraction(2, 3) < model.r_inf(law, eps) <= numerator / (eps * l1(model.w))


@statement(
    "err-maximiser",
    kind="erratum",
    title="What maximises $r_2$",
    source='paper, section 3.1, "It gets maximized iff w approaches mu_{+1} - mu_{-1} or mu_{-1} - mu_{+1}"',
    status="checked exactly on an example",
)
def maximiser() -> None:
    r"""That $r_2$ is maximised iff $w \to \pm(\mu_{+1} - \mu_{-1})$ is false in both signs, because $\mu_k$
    and $t$ depend on $w$. Minus: for $x = \pm e_1$ with $y = \pm 1$, $r_2(e_1) = 1$ and $r_2(-e_1) = 0$.
    Plus: let $y\,x$ be $2 e_1$ or $-e_1$, equally likely and independent of $y$. Both $e_1$ and $-e_1$ have
    $t = 1/2$ on each class and point along their own $\mu_{+1} - \mu_{-1}$, yet $r_2(e_1) = 1$ and
    $r_2(-e_1) = 1/2$. Only the converse holds ({prf:ref}`prop-r2-ascent`).
    """
    east, west = vector([1, 0]), vector([-1, 0])
    simple = FiniteLaw.of([(1, 1, [1, 0]), (1, -1, [-1, 0])])
    assert (Binary(east).r_2_times_norm(simple), Binary(west).r_2_times_norm(simple)) == (1, 0)
    law = FiniteLaw.of([(1, k, [k * z, 0]) for k in (-1, 1) for z in (2, -1)])
    values = []
    for w in (east, west):
        model = Binary(w)
        low, high = class_terms(law, model)
        assert low[0] == high[0] == Fraction(1, 4)  # pi_k t_k = 1/2 x 1/2
        difference = tuple(p - q for p, q in zip(high[2].mean(), low[2].mean(), strict=True))
        assert dot(difference, w) ** 2 == l2_squared(difference) * l2_squared(w)
        assert dot(difference, w) > 0  # w points along its own mu_+ - mu_-
        assert tuple(d / 4 for d in difference) == next_direction(law, w)
        values.append(model.r_2_times_norm(law))  # both norms are 1
    assert values == [1, Fraction(1, 2)]


@statement(
    "err-vacuous",
    kind="erratum",
    title="The bound says nothing about the sparse models",
    source='paper, section 3.1, "a highly sparse w implies relatively robust classification results"',
    status="checked exactly on an example",
    uses=("prop-rinf-bound",),
)
def vacuous() -> None:
    r"""Trivially $r_\infty \le t$, and the bound of Theorem 3.1 is at least $t$ exactly when
    $\kappa(w) \le r_2 / (\epsilon t)$. As $\kappa(w)^2 \le \mathrm{nnz}(w)$, it is vacuous for every $w$ with
    at most $(r_2 / (\epsilon t))^2$ nonzero weights. With the paper's dense 1-vs-7 values $r_2 = 2.0103$,
    $\epsilon = 0.1$ and $t = 0.9917$ these are $410$, and pruning leaves $349$ after round 2 of 16. As
    long as $r_2 / t$ does not fall, the bound is vacuous from there on: it cannot show that sparsity helps.
    """
    largest = int((R_2 / (EPS * ACCURACY)) ** 2)
    assert largest == 410
    left = [left_after(PIXELS, m) for m in range(ROUNDS + 1)]
    assert left[:3] == [784, 523, 349]
    assert [count <= largest for count in left] == [False, False] + [True] * (ROUNDS - 1)
    for law, model, eps in random_binary(seed=50):
        accuracy = law.probability(model.correct)
        total = model.r_2_times_norm(law)
        assert model.r_inf(law, eps) <= accuracy
        nnz = sum(1 for w in model.w if w)
        assert l1(model.w) ** 2 <= nnz * l2_squared(model.w)  # kappa^2 <= nnz
        bound = total / (eps * l1(model.w))
        # bound >= t iff kappa <= r_2 / (eps t); the right side squared, so that it is rational
        kappa_squared = l1(model.w) ** 2 / l2_squared(model.w)
        r_2_squared = total**2 / l2_squared(model.w)
        assert (bound >= accuracy) == (kappa_squared <= r_2_squared / (eps * accuracy) ** 2)


@statement(
    "prop-single-pixel",
    kind="proposition",
    title="With frozen means, the bound prefers a single pixel",
    source="this book",
    status="proved",
)
def single_pixel() -> None:
    r"""Hold $t$ and $\delta = \mu_{+1} - \mu_{-1}$ fixed. For every $w \ne 0$,
    $w^T \delta / \lVert w \rVert_1 \le \lVert \delta \rVert_\infty$, with equality for
    $w = \mathrm{sgn}(\delta_i)\, e_i$, $i \in \arg\max_i \lvert \delta_i \rvert$: the bound of Theorem 3.1 is
    maximised by one pixel, as a "sparse solution" to the extreme.
    """
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    size, slack = sp.IndexedBase("a", nonnegative=True), sp.IndexedBase("s", nonnegative=True)
    top, m, d = sp.symbols("top m d", nonnegative=True)
    for w, delta in ((m, d), (m, -d), (-m, d), (-m, -d)):
        assert (sp.Abs(w) * sp.Abs(delta) - w * delta).is_nonnegative  # w_i delta_i <= |w_i| |delta_i|
    # a_i = |w_i| and |delta_i| = top - s_i, so that top ||w||_1 - sum_i |w_i| |delta_i| = sum_i a_i s_i >= 0
    gap = sp.Sum(size[i] * slack[i], (i, 1, n))
    left = top * sp.Sum(size[i], (i, 1, n)) - sp.Sum(size[i] * (top - slack[i]), (i, 1, n)).expand()
    assert sp.simplify(left - gap) == 0
    assert gap.is_nonnegative
    for _, model, _ in random_binary(seed=51):
        delta = model.w  # any nonzero vector
        best = max(range(len(delta)), key=lambda j: abs(delta[j]))
        pixel = tuple(Fraction(sign(delta[j])) if j == best else Fraction(0) for j in range(len(delta)))
        assert dot(pixel, delta) / l1(pixel) == max(map(abs, delta))


@statement(
    "err-final-sparsity",
    kind="erratum",
    title="99.74 % is a matter of rounding",
    source='paper, section 4.1, "the achieved final percentage of zero weights should be 99.74 %"',
    status="checked exactly on an example",
)
def final_sparsity() -> None:
    r"""The paper sets "$m = 16$, $\rho = 1/3$ so the achieved final percentage of zero weights should be
    $99.74\,\% \approx 1 - (1-\rho)^m$". But $1 - (2/3)^{16} = 99.85\,\%$. Rounds that prune
    $\lfloor \text{remaining}/3 \rfloor$ of 784 weights leave exactly 2 of them, which is the printed
    $99.74\,\%$; rounding to the nearest integer leaves 1, rounding up leaves 0. In the ten-class model the
    same rule gives $99.74\,\%$ only if each class's 784 weights are pruned by themselves; on all 7840
    together it leaves 13, which is $99.83\,\%$.
    """
    keep = Fraction(2, 3) ** ROUNDS
    assert percent(1 - keep) == "99.85" != PRINTED
    assert left_after(PIXELS, ROUNDS) == 2
    assert percent(1 - Fraction(2, PIXELS)) == PRINTED
    nearest, up = PIXELS, PIXELS
    for _ in range(ROUNDS):
        nearest -= round(Fraction(nearest, 3))
        up -= -(-up // 3)
    assert (nearest, up) == (1, 0)
    together, apart = left_after(CLASSES * PIXELS, ROUNDS), CLASSES * left_after(PIXELS, ROUNDS)
    assert (together, apart) == (13, 20)
    assert percent(1 - Fraction(together, CLASSES * PIXELS)) == "99.83" != PRINTED
    assert percent(1 - Fraction(apart, CLASSES * PIXELS)) == PRINTED
