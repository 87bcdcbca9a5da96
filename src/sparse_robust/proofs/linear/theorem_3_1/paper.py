"""Theorem 3.1 step by step: the two metrics of a binary linear classifier and the norms of its weights.

Every step is a claim of its own. A pointwise step is proved symbolically; where a step speaks about
expectations it is, in addition, run on random finite laws in exact rational arithmetic.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import Binary, FiniteLaw, dot, l1, l2_squared, random_law, random_vector

PAPER = "paper, section 3.1, "
BINARY = (-1, 1)


def random_cases(seed: int, count: int = 40) -> Iterator[tuple[FiniteLaw, Binary, Fraction]]:
    """Random (law, classifier with bias, eps) in exact rationals; both classes have a correct point."""
    rng = random.Random(seed)
    while count:
        dimension = rng.randint(1, 4)
        law = random_law(rng, labels=BINARY, dimension=dimension, atoms=rng.randint(4, 9))
        model = Binary(random_vector(rng, dimension), Fraction(rng.randint(-6, 6), 2))
        right = {a.label for a in law.atoms if model.correct(a.label, a.x)}
        if l1(model.w) and right == set(BINARY):
            count -= 1
            yield law, model, Fraction(rng.randint(1, 40), 10)


def class_terms(law: FiniteLaw, model: Binary) -> list[tuple[Fraction, Fraction, FiniteLaw]]:
    """(pi_k t_k, m_k = k (w.mu_k + b), the law given y = yhat = k) for each k that is ever correct."""
    terms = []
    for k in BINARY:
        mass = law.probability(model.correct_as(k))
        if mass:
            given = law.given(model.correct_as(k))
            terms.append((mass, k * (dot(model.w, given.mean()) + model.b), given))
    return terms


def markov_bound(mean: sp.Expr, level: sp.Expr) -> sp.Expr:
    """E X / a."""
    return mean / level


def mean_margin(law: FiniteLaw, model: Binary) -> Fraction:
    """sum_k pi_k t_k k (w.mu_k + b): r_2 ||w||_2 and the bound eps ||w||_1 r_inf at once."""
    return sum((mass * m for mass, m, _ in class_terms(law, model)), Fraction(0))


@statement(
    "lem-expectation",
    kind="lemma",
    title="What is used about expectations",
    source="any text on measure, for example Billingsley, Probability and Measure",
    status="cited",
)
def expectation() -> None:
    r"""Expectation is linear and monotone, $\mathbb{E}(1_A X) = \Pr(A)\,\mathbb{E}(X \mid A)$ for
    $\Pr(A) > 0$, and for $g \ge 0$ it may be exchanged with an integral (Tonelli),
    $\int_0^\infty \mathbb{E}\,g_s \,\mathrm{d}s = \mathbb{E}\int_0^\infty g_s\,\mathrm{d}s$.

    For a finite law, a test set for instance, these are facts about finite sums, and the check proves
    linearity and monotonicity for sums of every length.
    """
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    p, gap = (sp.IndexedBase(s, nonnegative=True) for s in ("p", "g"))
    x, y = (sp.IndexedBase(s, real=True) for s in ("x", "y"))
    a, b = sp.symbols("a b", real=True)

    def mean(outcome: sp.Expr) -> sp.Expr:
        return sp.Sum(p[i] * outcome, (i, 1, n))

    linear = mean(a * x[i] + b * y[i]).expand() - a * mean(x[i]) - b * mean(y[i])
    assert sp.simplify(linear) == 0
    assert mean(gap[i]).is_nonnegative  # E(Y - X) >= 0 where Y - X = g >= 0 pointwise
    for law, model, _ in random_cases(seed=30):
        direct = sum(a.mass * model.margin(a.label, a.x) for a in law.atoms if model.correct(a.label, a.x))
        assert direct == law.probability(model.correct) * law.given(model.correct).expect(model.margin)


@statement(
    "lem-fgs-margin",
    kind="lemma",
    title="What the fast gradient sign step costs",
    source=PAPER + "the substitution that leads to equation (3)",
    status="proved",
)
def fgs_margin() -> None:
    r"""For every $n$, $w, x \in \mathbb{R}^n$, $b \in \mathbb{R}$, $y = \pm 1$ and
    $\check x = x - \epsilon y\,\mathrm{sgn}(w)$,

    $$y\,(w^T \check x + b) = y\,(w^T x + b) - \epsilon \lVert w \rVert_1 .$$
    """
    x, eps = sp.symbols("x epsilon", real=True)
    for w in (sp.Symbol("w", positive=True), sp.Integer(0), sp.Symbol("w", negative=True)):
        for y in BINARY:  # one summand of the inner product; the sum over coordinates is term by term
            attacked = x - eps * y * sp.sign(w)
            assert sp.expand(y * w * attacked - (y * w * x - eps * sp.Abs(w))) == 0
    for law, model, radius in random_cases(seed=31):
        for a in law.atoms:
            after = model.margin(a.label, model.attacked(a.label, a.x, radius))
            assert after == model.margin(a.label, a.x) - radius * l1(model.w)


@statement(
    "lem-signed-margin",
    kind="lemma",
    title="The absolute value opens where the prediction is right",
    source=PAPER + "equation (4)",
    status="proved",
)
def signed_margin() -> None:
    r"""For $y = \pm 1$ and every real score $f$ with prediction $\hat y = \mathrm{sgn}(f)$,

    $$1_{y = \hat y}\,\lvert f \rvert = (y f)_+ = \sum_{k = \pm 1} 1_{y = k}\,1_{k f > 0}\; k f .$$
    """
    for y in BINARY:
        for f in (sp.Symbol("f", positive=True), sp.Integer(0), sp.Symbol("f", negative=True)):
            left = sp.Abs(f) if sp.sign(f) == y else sp.Integer(0)
            middle = sp.Max(y * f, 0)
            right = sum(k * f for k in BINARY if y == k and (k * f).is_positive)
            assert left == middle == right


@statement(
    "lem-total-probability",
    kind="lemma",
    title="Equation (3): who survives the attack",
    source=PAPER + "equation (3)",
    status="proved",
    uses=("def-metrics", "lem-expectation", "lem-fgs-margin"),
)
def total_probability() -> None:
    r"""Let $f(x) = w^T x + b$, $a = \epsilon \lVert w \rVert_1 \ge 0$, $\pi_k = \Pr(y = k)$ and
    $t_k = \Pr(\hat y = k \mid y = k)$. Only points that were classified correctly survive, and

    $$r_\infty = \Pr(y f(x) > a) = \sum_{k = \pm 1} \pi_k t_k \Pr\bigl(k f(x) > a \mid y = \hat y = k\bigr).$$
    """
    a, s = sp.Symbol("a", nonnegative=True), sp.Symbol("s", positive=True)
    r = sp.Symbol("r", nonnegative=True)
    for y in BINARY:
        for score in (a + s, a - r):  # y f above a, and y f at most a: all real scores
            f = y * score
            survives = sp.Piecewise((1, y * f > a), (0, True))
            split = sum(
                sp.Piecewise((1, k * f > 0), (0, True)) * sp.Piecewise((1, k * f > a), (0, True))
                for k in BINARY
                if y == k
            )
            assert sp.simplify(survives - split) == 0
    for law, model, eps in random_cases(seed=32):
        survives = model.margin_above(eps * l1(model.w))
        parts = (mass * given.probability(survives) for mass, _, given in class_terms(law, model))
        assert model.r_inf(law, eps) == sum(parts, Fraction(0))


@statement("lem-markov", kind="lemma", title="Markov's inequality", source="folklore", status="proved",
       uses=("lem-expectation",))  # fmt: skip
def markov() -> None:
    r"""For $X \ge 0$ and $a > 0$, $\Pr(X > a) \le \Pr(X \ge a) \le \mathbb{E}X / a$."""
    x, a = sp.Symbol("X", nonnegative=True), sp.Symbol("a", positive=True)
    s, r = sp.symbols("s r", nonnegative=True)
    above = markov_bound(x, a) - 1  # where X >= a the indicator is 1: write X = a + s
    below = markov_bound(x, a)  # elsewhere it is 0
    assert sp.expand(above.subs(x, a + s)).is_nonnegative
    assert below.is_nonnegative
    assert sp.expand(markov_bound(a, a) - 1) == 0, "attained by a point mass at a"
    assert sp.Piecewise((1, x >= a), (0, True)).subs(x, a + s) == 1
    assert (a + r >= a) == sp.true


@statement(
    "prop-r2-identity",
    kind="proposition",
    title="The identity for $r_2$, with priors and bias",
    source="this book; with equal priors and accuracies " + PAPER + "Theorem 3.1",
    status="proved",
    uses=("def-metrics", "lem-expectation", "lem-signed-margin", "prop-l2-projection"),
)
def r2_identity() -> None:
    r"""For every law with $\mathbb{E}\lvert w^T x \rvert < \infty$, every $w \ne 0$ and every $b$, with
    $d(x, \tilde x) = \lvert w^T x + b \rvert / \lVert w \rVert_2$,

    $$r_2 = \frac{\mathbb{E}\,\bigl(y\,(w^T x + b)\bigr)_+}{\lVert w \rVert_2}
          = \sum_{k = \pm 1} \pi_k t_k\, \frac{k\,(w^T \mu_k + b)}{\lVert w \rVert_2},$$

    where a class that is never classified correctly ($t_k = 0$) contributes nothing.
    """
    for law, model, _ in random_cases(seed=33):
        definition = model.r_2_times_norm(law)
        assert definition == sum(a.mass * max(model.margin(a.label, a.x), Fraction(0)) for a in law.atoms)
        assert definition == mean_margin(law, model)
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    w, mu = sp.IndexedBase("w", real=True), sp.IndexedBase("mu", real=True)
    pi, t, b, k = sp.symbols("pi t b k", real=True)
    # E(1 k (w.x + b)) = pi t k (w.mu + b): linearity coordinate by coordinate, in every dimension
    by_coordinates = sp.Sum(w[i] * (pi * t * mu[i]), (i, 1, n)) * k + pi * t * k * b
    assert sp.simplify(by_coordinates - pi * t * k * (sp.Sum(w[i] * mu[i], (i, 1, n)) + b)) == 0


@statement(
    "prop-rinf-bound",
    kind="proposition",
    title="The bound for $r_\\infty$, with priors and bias",
    source="this book; with equal priors and accuracies " + PAPER + "Theorem 3.1",
    status="proved",
    uses=("lem-total-probability", "lem-markov", "prop-r2-identity"),
)
def rinf_bound() -> None:
    r"""For every law with $\mathbb{E}\lvert w^T x \rvert < \infty$, every $w \ne 0$, $b$ and
    $\epsilon > 0$, with $\kappa(w) = \lVert w \rVert_1 / \lVert w \rVert_2$,

    $$r_\infty \le \sum_{k = \pm 1} \pi_k t_k\, \frac{k\,(w^T \mu_k + b)}{\epsilon \lVert w \rVert_1}
      = \frac{r_2}{\epsilon\,\kappa(w)} .$$
    """
    mass, mean, a = sp.symbols("pi_t m a", positive=True)
    assert sp.expand(mass * markov_bound(mean, a) - mass * mean / a) == 0  # Markov, weighted by pi_k t_k
    total, eps, one, two = sp.symbols("E epsilon l_1 l_2", positive=True)
    assert sp.simplify(total / (eps * one) - (total / two) / (eps * (one / two))) == 0  # = r_2 / (eps kappa)
    for law, model, radius in random_cases(seed=34):
        assert model.r_inf(law, radius) <= mean_margin(law, model) / (radius * l1(model.w))


@statement(
    "thm-3-1",
    kind="theorem",
    title="The paper's Theorem 3.1: the sparsity and robustness of binary linear classifiers",
    source="paper, Theorem 3.1, equation (2)",
    status="proved",
    uses=("prop-r2-identity", "prop-rinf-bound"),
)
def theorem_3_1() -> None:
    r"""Suppose that $P_y(k) = 1/2$ for $k = \pm 1$, and an obtained linear classifier achieves the same
    expected accuracy $t$ on different classes, then we have

    $$r_2 = \frac{t}{2} \cdot \frac{w^T (\mu_{+1} - \mu_{-1})}{\lVert w \rVert_2}
      \qquad\text{and}\qquad
      r_\infty \le \frac{t}{2} \cdot \frac{w^T (\mu_{+1} - \mu_{-1})}{\epsilon \lVert w \rVert_1} .$$
    """
    t, b = sp.symbols("t b", real=True)
    plus, minus = sp.symbols("w.mu_+ w.mu_-", real=True)
    general = sum(sp.Rational(1, 2) * t * k * (score + b) for k, score in ((1, plus), (-1, minus)))
    assert sp.expand(general - t / 2 * (plus - minus)) == 0  # the bias cancels
    for law, model, eps in random_cases(seed=35):
        wrong = {a.label for a in law.atoms if not model.correct(a.label, a.x)}
        accuracy = Fraction(2, 3) if wrong == set(BINARY) else Fraction(1)
        fair = law.balanced(model.correct, accuracy)
        low, high = (given.mean() for _, _, given in class_terms(fair, model))
        printed = accuracy / 2 * (dot(model.w, high) - dot(model.w, low))
        assert model.r_2_times_norm(fair) == printed
        assert model.r_inf(fair, eps) <= printed / (eps * l1(model.w))
        assert l2_squared(model.w) > 0
