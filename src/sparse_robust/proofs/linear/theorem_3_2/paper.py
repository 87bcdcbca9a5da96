"""Theorem 3.2 step by step, and 3.2+: many classes, any dual norm, and when FGS obeys the printed bound."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import (
    Dual,
    FiniteLaw,
    Multiclass,
    dot,
    l1,
    l2_squared,
    random_law,
    random_vector,
    ratio,
    sqrt_bounds,
)

SUPPLEMENT = "this book (the paper's supplement is not at hand)"
DUALS: tuple[Dual, ...] = ("1", "2", "inf")


def random_cases(
    seed: int, count: int = 25, classes: int = 0
) -> Iterator[tuple[FiniteLaw, Multiclass, Fraction]]:
    """Random (law, classifier with biases, eps) in exact rationals; every class has a correct point."""
    rng = random.Random(seed)
    while count:
        c, dimension = classes or rng.randint(2, 4), rng.randint(2, 3)
        model = Multiclass(
            tuple(random_vector(rng, dimension) for _ in range(c)),
            tuple(Fraction(rng.randint(-4, 4), 2) for _ in range(c)),
        )
        law = random_law(rng, labels=range(c), dimension=dimension, atoms=rng.randint(3 * c, 5 * c))
        if {a.label for a in law.atoms if model.correct(a.label, a.x)} == set(range(c)):
            count -= 1
            yield law, model, Fraction(rng.randint(1, 30), 10)


def class_terms(law: FiniteLaw, model: Multiclass) -> list[tuple[int, Fraction, FiniteLaw]]:
    """(k, pi_k t_k, the law given y = yhat = k) for each k that is ever correct."""
    masses = [(k, law.probability(model.correct_as(k))) for k in law.labels]
    return [(k, mass, law.given(model.correct_as(k))) for k, mass in masses if mass]


def quotient(
    score: Fraction, v: tuple[Fraction, ...], dual: Dual, digits: int = 50
) -> tuple[Fraction, Fraction]:
    """Rational bounds for score / ||v||, exact where the norm is rational."""
    if dual != "2":
        return (ratio(score, v, dual),) * 2
    low, high = sqrt_bounds(l2_squared(v), digits)
    return min(score / low, score / high), max(score / low, score / high)


def expected_radius(law: FiniteLaw, model: Multiclass, dual: Dual) -> tuple[Fraction, Fraction]:
    """E 1[y = yhat] min_e (v_e.x + beta_e) / ||v_e||, which is r_2 for the Euclidean norm: lower, upper."""
    low = high = Fraction(0)
    for a in law.atoms:
        if model.correct(a.label, a.x):
            bounds = [quotient(dot(v, a.x) + beta, v, dual) for v, beta in model.rivals(a.label)]
            low, high = low + a.mass * min(b[0] for b in bounds), high + a.mass * min(b[1] for b in bounds)
    return low, high


def printed(law: FiniteLaw, model: Multiclass, dual: Dual) -> tuple[Fraction, Fraction]:
    """sum_k pi_k t_k ((w_k - wbar).mu_k + b_k - bbar) / ||w_k - wbar||: lower, upper."""
    low = high = Fraction(0)
    for k, mass, given in class_terms(law, model):
        v, beta = model.centred(k)
        bounds = quotient(dot(v, given.mean()) + beta, v, dual)
        low, high = low + mass * bounds[0], high + mass * bounds[1]
    return low, high


def sharper(law: FiniteLaw, model: Multiclass, dual: Dual) -> tuple[Fraction, Fraction]:
    """sum_k pi_k t_k min_e (v_e.mu_k + beta_e) / ||v_e||: lower, upper."""
    low = high = Fraction(0)
    for k, mass, given in class_terms(law, model):
        bounds = [quotient(dot(v, given.mean()) + beta, v, dual) for v, beta in model.rivals(k)]
        low, high = low + mass * min(b[0] for b in bounds), high + mass * min(b[1] for b in bounds)
    return low, high


def mediant(scores: sp.Expr, norms: sp.Expr) -> sp.Expr:
    """sum a_e / sum b_e."""
    return scores / norms


@statement(
    "lem-averaging",
    kind="lemma",
    title="Against the average is the average against each",
    source=SUPPLEMENT,
    status="proved",
)
def averaging() -> None:
    r"""For every $c$ and $k$, with $v_e = w_k - w_e$ and $\bar w = \tfrac1c \sum_e w_e$,
    $w_k - \bar w = \tfrac1c \sum_{e \ne k} v_e$, and so for the biases.
    """
    c, k = sp.Symbol("c", integer=True, positive=True), sp.Symbol("k", integer=True)
    e = sp.Symbol("e", integer=True)
    w = sp.IndexedBase("w", real=True)  # one coordinate of the weights; or the biases
    mean = sp.Sum(w[e], (e, 1, c)) / c
    assert sp.simplify(sp.Sum(w[k] - w[e], (e, 1, c)).expand().doit() / c - (w[k] - mean)) == 0
    assert (w[k] - w[e]).subs(e, k) == 0  # so that the term e = k may be left out
    for _, model, _ in random_cases(seed=60):
        size = len(model.rows)
        for label in range(size):
            average, offset = model.centred(label)
            rivals = model.rivals(label)
            assert average == tuple(
                sum(column) / size for column in zip(*(v for v, _ in rivals), strict=True)
            )
            assert offset == sum(beta for _, beta in rivals) / size


@statement("lem-mediant", kind="lemma", title="The mediant inequality", source="folklore", status="proved")
def mediant_inequality() -> None:
    r"""For $a_e \in \mathbb{R}$ and $b_e > 0$, any number of them,
    $\min_e a_e / b_e \le \sum_e a_e \big/ \sum_e b_e$, with equality iff all $a_e / b_e$ are equal.
    """
    c, e = sp.Symbol("c", integer=True, positive=True), sp.Symbol("e", integer=True)
    b, excess = sp.IndexedBase("b", positive=True), sp.IndexedBase("s", nonnegative=True)
    least = sp.Symbol("m", real=True)
    # a_e = m b_e + s_e with s_e >= 0, where m is the least ratio
    norms, surplus = sp.Sum(b[e], (e, 1, c)), sp.Sum(excess[e], (e, 1, c))
    total = sp.Sum(least * b[e] + excess[e], (e, 1, c)).expand()
    assert sp.simplify(total - least * norms - surplus) == 0
    n, s = sp.Symbol("N", positive=True), sp.Symbol("S", nonnegative=True)
    gap = sp.expand(mediant(least * n + s, n) - least)
    assert gap.is_nonnegative
    assert sp.solve(gap, s) == [0]  # equality iff every excess is 0
    assert surplus.is_nonnegative


@statement(
    "lem-triangle",
    kind="lemma",
    title="The triangle inequality",
    source="folklore",
    status="proved",
    uses=("lem-cauchy-schwarz",),
)
def triangle() -> None:
    r"""$\lVert \sum_e v_e \rVert \le \sum_e \lVert v_e \rVert$ for finitely many vectors; here for the norms
    $l_1$, $l_2$ and $l_\infty$ on $\mathbb{R}^n$, every $n$.
    """
    nu, nv, dot_uv, slack = sp.symbols("nu nv u.v slack", nonnegative=True)
    # two vectors, l_2: (||u|| + ||v||)^2 - ||u + v||^2 = 2 (||u|| ||v|| - u.v), and u.v <= ||u|| ||v||
    gap = sp.expand((nu + nv) ** 2 - (nu**2 + 2 * dot_uv + nv**2))
    assert sp.simplify(gap - 2 * (nu * nv - dot_uv)) == 0
    assert sp.expand(gap.subs(dot_uv, nu * nv - slack)).is_nonnegative
    # l_1 and l_inf: coordinate by coordinate |p + q| <= |p| + |q|, in the four cases of sign
    p, q = sp.symbols("p q", nonnegative=True)
    for a, b in ((p, q), (p, -q), (-p, q), (-p, -q)):
        same = sp.expand((sp.Abs(a) + sp.Abs(b)) ** 2 - (a + b) ** 2)
        assert same.is_nonnegative
    # more vectors by induction; three, as an instance, exactly
    rng = random.Random(61)
    for _ in range(30):
        vectors = [random_vector(rng, 3) for _ in range(3)]
        total = tuple(sum(column, Fraction(0)) for column in zip(*vectors, strict=True))
        assert l1(total) <= sum(map(l1, vectors))
        assert max(map(abs, total)) <= sum(max(map(abs, v)) for v in vectors)
        assert l2_squared(total) <= sum(sqrt_bounds(l2_squared(v))[1] for v in vectors) ** 2


@statement(
    "prop-pointwise-margin",
    kind="proposition",
    title="Point by point: the nearest boundary is nearer than the average one",
    source="this book",
    status="proved",
    uses=("lem-averaging", "lem-mediant", "lem-triangle"),
)
def pointwise_margin() -> None:
    r"""Let $y = \hat y = k$ and $\beta_e = b_k - b_e$. In every norm,

    $$\min_{e \ne k} \frac{v_e^T x + \beta_e}{\lVert v_e \rVert}
      \le \frac{\sum_{e \ne k} (v_e^T x + \beta_e)}{\sum_{e \ne k} \lVert v_e \rVert}
      \le \frac{(w_k - \bar w)^T x + b_k - \bar b}{\lVert w_k - \bar w \rVert} .$$

    The first step holds for every $x$; the second needs that the numerator is not negative.
    """
    c, norm = sp.symbols("c N", positive=True)
    score, slack = sp.symbols("S d", nonnegative=True)
    # N = ||sum v_e|| and sum ||v_e|| = N + d by the triangle inequality; 1/c cancels
    average = (score / c) / (norm / c)
    assert sp.factor(average - mediant(score, norm + slack)).is_nonnegative
    for law, model, _ in random_cases(seed=62):
        for a in law.atoms:
            if not model.correct(a.label, a.x):
                continue
            for dual in DUALS:
                nearest = min(ratio(dot(v, a.x) + beta, v, dual) for v, beta in model.rivals(a.label))
                v, beta = model.centred(a.label)
                assert nearest <= ratio(dot(v, a.x) + beta, v, dual)


@statement(
    "thm-3-2-plus",
    kind="theorem",
    title="Theorem 3.2⁺",
    source="this book",
    status="proved",
    uses=("lem-expectation", "prop-distance-classes", "prop-pointwise-margin"),
)
def theorem_3_2_plus() -> None:
    r"""For every law with $\mathbb{E}\lVert x \rVert < \infty$, all priors $\pi_k$ and accuracies $t_k$, with
    biases and $\beta_e = b_k - b_e$,

    $$r_2 = \mathbb{E}\Bigl(1_{y = \hat y} \min_{e \ne y} \frac{v_e^T x + \beta_e}{\lVert v_e \rVert_2}\Bigr)
      \le \sum_k \pi_k t_k \min_{e \ne k} \frac{v_e^T \mu_k + \beta_e}{\lVert v_e \rVert_2}
      \le \sum_k \pi_k t_k \frac{(w_k - \bar w)^T \mu_k + b_k - \bar b}{\lVert w_k - \bar w \rVert_2} .$$

    The same holds in every norm; no assumption on the attack is made. A quotient $s/0$ with $s > 0$, which
    biases make possible, is $\infty$: that boundary does not exist.
    """
    x, r = sp.Symbol("x", real=True), sp.Symbol("r", nonnegative=True)
    for first, second in ((x, x + r), (x + r, x)):  # E min <= min E, as min is at most either argument
        assert (first - (first + second - sp.Abs(first - second)) / 2).is_nonnegative
    for law, model, _ in random_cases(seed=63):
        for dual in DUALS:
            assert expected_radius(law, model, dual)[0] <= sharper(law, model, dual)[1]
            assert sharper(law, model, dual)[0] <= printed(law, model, dual)[1]


@statement(
    "cor-3-2-r2",
    kind="corollary",
    title="The $r_2$ half of Theorem 3.2 needs neither (I) nor (II)",
    source="this book; paper, Theorem 3.2, equation (6), left",
    status="proved",
    uses=("thm-3-2-plus",),
)
def r2_half() -> None:
    r"""If $P_y(k) = 1/c$ and $\Pr(\hat y = k \mid y = k) = t$ for every class, then

    $$r_2 \le \frac tc \sum_{k=1}^c \min_{e \ne k} \frac{v_e^T \mu_k + \beta_e}{\lVert v_e \rVert_2}
      \le \frac tc \sum_{k=1}^c \frac{(w_k - \bar w)^T \mu_k + b_k - \bar b}{\lVert w_k - \bar w \rVert_2},$$

    whatever FGS does. With $b = 0$ the outer inequality is the left half of (6).
    """
    for law, model, _ in random_cases(seed=64):
        wrong = {a.label for a in law.atoms if not model.correct(a.label, a.x)}
        c, t = len(model.rows), Fraction(3, 4) if wrong == set(law.labels) else Fraction(1)
        fair = law.balanced(model.correct, t)
        terms = class_terms(fair, model)
        assert [mass for _, mass, _ in terms] == [t / c] * c
        assert expected_radius(fair, model, "2")[0] <= sharper(fair, model, "2")[1]
        assert sharper(fair, model, "2")[0] <= printed(fair, model, "2")[1]


@statement(
    "cor-two-classes",
    kind="corollary",
    title="Two classes: equality, and Theorem 3.1 again",
    source="this book",
    status="proved",
    uses=("thm-3-2-plus",),
)
def two_classes() -> None:
    r"""For $c = 2$ both inequalities of Theorem 3.2⁺ are equalities, and with $w = w_1 - w_2$,
    $b = b_1 - b_2$ they are the identity for $r_2$ of {prf:ref}`prop-r2-identity`.
    """
    score, norm = sp.Symbol("S", nonnegative=True), sp.Symbol("N", positive=True)
    assert sp.simplify((score / 2) / (norm / 2) - score / norm) == 0  # w_k - wbar = v_e / 2: one rival
    for law, model, _ in random_cases(seed=65, classes=2):
        for dual in (DUALS[0], DUALS[2]):  # these norms are rational, so the equality is exact
            assert expected_radius(law, model, dual) == sharper(law, model, dual) == printed(law, model, dual)
        ends = [end for f in (expected_radius, sharper, printed) for end in f(law, model, "2")]
        assert max(ends) - min(ends) < Fraction(1, 10**40)
