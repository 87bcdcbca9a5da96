"""The two metrics; the gradients that FGS follows; FGS and rFGS on linear models without a box."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import Binary, FiniteLaw, Multiclass, minus, vector

from .norms import SIGN_BRANCHES

LABELS = (-1, 1)
EPS = sp.Symbol("epsilon", positive=True)

LinfStep = Callable[[sp.Expr, int, sp.Expr], sp.Expr]
"""(w_i, y, eps) -> coordinate of an l_infinity perturbation."""


def fgs_step(w: sp.Expr, y: int, eps: sp.Expr) -> sp.Expr:
    """The paper's FGS perturbation of a binary linear model, -eps y sgn(w)."""
    return -eps * y * sp.sign(w)


def assert_lowest(step: LinfStep) -> None:
    """``step`` is feasible and makes every summand of y w.delta as small as |delta_i| <= eps allows."""
    for w in SIGN_BRANCHES:
        for y in LABELS:
            mine = step(w, y, EPS)
            assert (EPS - sp.Abs(mine)).is_nonnegative, "the step leaves the ball"
            for end in (-EPS, EPS):  # a linear function on an interval is lowest at one of its ends
                assert sp.expand(y * w * (end - mine)).is_nonnegative, "an end of the interval is lower"


@statement(
    "def-metrics",
    kind="definition",
    title="The two metrics",
    source="paper, section 3.1, equations (1) and (5)",
    status="checked exactly on an example",
)
def metrics() -> None:
    r"""Let $\hat y(x)$ be the class that a classifier predicts at $x$, let an $l_\infty$ attack of radius
    $\epsilon$ turn $x$ into $\check x$ and an $l_2$ attack turn it into $\tilde x$. Then

    $$r_\infty := \mathbb{E}\bigl(1_{y = \hat y(\check x)}\bigr), \qquad
      r_2 := \mathbb{E}\bigl(1_{y = \hat y(x)} \cdot \lVert \tilde x - x \rVert_2\bigr) .$$

    Conventions of this book: the mean is over the whole test set, so that an example misclassified
    from the start counts 0 in both; a tie is a misclassification in every theorem; where an $l_2$ attack on a
    correctly classified example fails, the distance is $\infty$, and so is $r_2$.
    """
    law = FiniteLaw.of([(1, 1, (3, 1)), (1, 1, (1, -1)), (1, -1, (-2, 0)), (1, -1, (5, 5))])
    model = Binary(vector((3, 4)))
    assert law.probability(model.correct) == Fraction(1, 2)  # (1, -1) and (5, 5) are misclassified
    assert model.r_inf(law, Fraction(0)) == law.probability(model.correct)  # r_inf at eps = 0 is accuracy
    assert model.r_inf(law, Fraction(6, 7)) == Fraction(1, 4)  # (-2, 0): score 6 = eps ||w||_1 is a tie
    assert model.r_2_times_norm(law) / 5 == (Fraction(13, 5) + Fraction(6, 5)) / 4  # over all four points


@statement(
    "prop-cross-entropy-gradient",
    kind="proposition",
    title="The gradient of the cross-entropy of a linear classifier",
    source="paper, section 3.1 (used without proof)",
    status="proved",
)
def cross_entropy_gradient() -> None:
    r"""For every number of classes $c$ and inputs $n$, with $z_k = w_k^T x + b_k$,
    $p = \mathrm{softmax}(z)$ and $f(x) = -\log p_y$,

    $$\nabla f = -\Bigl(w_y - \sum_{k} p_k w_k\Bigr) = \sum_{k \ne y} p_k\,(w_k - w_y) .$$

    With $m(x) = \log \sum_{k \ne y} e^{z_k} - z_y$, moreover, $f = \log(1 + e^m)$, and $\nabla f$ is a
    positive multiple of $\nabla m$: both have the same signs, however small $1 - p_y$.
    """
    c = sp.Symbol("c", integer=True, positive=True)
    k, y = sp.Symbol("k", integer=True), sp.Symbol("y", integer=True, positive=True)
    w, r = sp.IndexedBase("w", real=True), sp.IndexedBase("r", real=True)
    t = sp.Symbol("t", real=True)  # any one coordinate of x; r_k is the rest of the score z_k

    def z(j: sp.Expr) -> sp.Expr:
        return w[j] * t + r[j]

    total = sp.Sum(sp.exp(z(k)), (k, 1, c))
    loss = sp.log(total) - z(y)
    mean = sp.Sum(sp.exp(z(k)) * w[k], (k, 1, c)) / total
    assert sp.simplify(sp.diff(loss, t) + (w[y] - mean)) == 0
    # the second form: sum_k p_k = 1, and the term of k = y vanishes
    p, wk, wy = sp.symbols("p w_k w_y", real=True)
    assert sp.expand(p * wk - p * wy - p * (wk - wy)) == 0
    assert (w[k] - w[y]).subs(k, y) == 0
    m = sp.Function("m", real=True)(t)
    factor = sp.diff(sp.log(1 + sp.exp(m)), t) / sp.diff(m, t)
    assert sp.simplify(factor - 1 / (1 + sp.exp(-m))) == 0
    assert (1 / (1 + sp.exp(-sp.Symbol("m", real=True)))).is_positive
    rest, own = sp.symbols("E z_y", positive=True)  # E = sum of exp(z_k) over k != y
    f, lead = sp.log(rest + sp.exp(own)) - own, sp.log(rest) - own
    assert sp.simplify(sp.exp(f) - (1 + sp.exp(lead))) == 0


@statement(
    "prop-binary-gradient",
    kind="proposition",
    title="The gradient of the softplus loss",
    source="paper, section 3.1",
    status="proved",
)
def binary_gradient() -> None:
    r"""For $f(x) = w^T x + b$ and $y = \pm 1$ the loss $\log(1 + e^{-y f(x)})$ is the cross-entropy of
    the logits $(-f/2, +f/2)$, and its gradient $-y\,w / (1 + e^{y f(x)})$ has the signs of $-y\,w$ at
    every $x$: FGS is $\check x = x - \epsilon\, y\, \mathrm{sgn}(w)$.
    """
    t, r = sp.symbols("t r", real=True)
    for w in SIGN_BRANCHES:
        for y in LABELS:
            f = w * t + r
            loss = sp.log(1 + sp.exp(-y * f))
            logits = {-1: -f / 2, 1: f / 2}
            entropy = sp.log(sum(map(sp.exp, logits.values()))) - logits[y]
            assert sp.simplify(sp.exp(entropy) - sp.exp(loss)) == 0
            assert sp.simplify(sp.diff(loss, t) - (-y * w / (1 + sp.exp(y * f)))) == 0
            assert sp.sign(-y * w / (1 + sp.exp(y * f))) == sp.sign(-y * w)


@statement(
    "prop-fgs-binary-optimal",
    kind="proposition",
    title="FGS is an optimal attack on a binary linear classifier",
    source="paper, section 3.1",
    status="proved",
    uses=("prop-dual-norm", "prop-binary-gradient"),
)
def fgs_binary_optimal() -> None:
    r"""For $f(x) = w^T x + b$, $y = \pm 1$ and every $\epsilon > 0$,

    $$\min_{\lVert \delta \rVert_\infty \le \epsilon} y f(x + \delta)
      = y f(x) - \epsilon \lVert w \rVert_1 ,$$

    attained by FGS. So no $l_\infty$ attack of radius $\epsilon$ lowers $r_\infty$ below that of FGS, and
    an example survives if and only if $y f(x) > \epsilon \lVert w \rVert_1$.
    """
    assert_lowest(fgs_step)
    for w in SIGN_BRANCHES:
        for y in LABELS:
            assert sp.expand(y * w * fgs_step(w, y, EPS) + EPS * sp.Abs(w)) == 0


@statement(
    "cex-fgs-multiclass",
    kind="counterexample",
    title="With three classes or more FGS is not optimal",
    source="this book; against a reading of paper, section 3.1",
    status="kernel proved, glue argued",
    uses=("prop-cross-entropy-gradient",),
)
def fgs_multiclass_not_optimal() -> None:
    r"""For every $c \ge 3$ there are a linear classifier with $c$ classes, an input and an $\epsilon$ such
    that FGS leaves the class as it is and another perturbation of the same radius changes it: $n = 1$,
    $x = 0$, $y = 1$, $\epsilon = \frac{9}{20}$ and scores $z_1 = 0$, $z_2 = -10x - 4$,
    $z_3 = \dots = z_c = x - \frac12$.
    """
    # FGS goes to the right for every c = 3 + k, because many weak rivals outweigh the near one
    k = sp.Symbol("k", nonnegative=True)
    gradient = sp.expand((1 + k) * sp.exp(-sp.Rational(1, 2)) - 10 * sp.exp(-4))
    assert gradient.subs(k, 0).is_positive
    assert sp.diff(gradient, k).is_positive
    for c in range(3, 7):
        rows = ((0,), (-10,), *[(1,)] * (c - 2))
        model = Multiclass(tuple(map(vector, rows)), vector((0, -4, *["-1/2"] * (c - 2))))
        x, eps = vector((0,)), Fraction(9, 20)
        assert model.correct(0, x)
        assert model.attacked(0, x, eps) == (eps,)
        assert model.correct(0, model.attacked(0, x, eps))  # FGS fails
        assert not model.correct(0, minus(x, (eps,)))  # the opposite step of the same length succeeds


@statement(
    "prop-rfgs",
    kind="proposition",
    title="On a binary linear classifier the random step of rFGS only helps the defender",
    source="this book",
    status="kernel proved, glue argued",
    uses=(
        "prop-fgs-binary-optimal",
        "lem-expectation",
    ),
)
def rfgs() -> None:
    r"""Let rFGS take the step $\alpha s$, $s \in \{-1, 1\}^n$ uniform, $0 < \alpha \le \epsilon$,
    and then FGS with radius $\epsilon - \alpha$. For $f(x) = w^T x + b$, without a box,

    $$y f(\check x) = y f(x) - \epsilon \lVert w \rVert_1
        + \alpha \sum_i \lvert w_i \rvert\,\bigl(1 + y\, s_i\, \mathrm{sgn}(w_i)\bigr) ,$$

    never less than under FGS, equal to it with probability $2^{-\lVert w \rVert_0}$, with mean
    $y f(x) - (\epsilon - \alpha) \lVert w \rVert_1$ and variance $\alpha^2 \lVert w \rVert_2^2$.
    """
    alpha = sp.Symbol("alpha", positive=True)
    for w in SIGN_BRANCHES:
        for y in LABELS:
            change = {s: y * w * (alpha * s + fgs_step(w, y, EPS - alpha)) for s in LABELS}  # one summand
            excess = {s: sp.expand(change[s] + EPS * sp.Abs(w)) for s in LABELS}
            for s in LABELS:
                assert sp.expand(excess[s] - alpha * sp.Abs(w) * (1 + y * s * sp.sign(w))) == 0
                assert excess[s].is_nonnegative
            # where w_i != 0 just one of the two signs costs the attack nothing: probability 1/2
            assert sum(e == 0 for e in excess.values()) == (2 if w == 0 else 1)
            mean = sum(change.values()) / 2
            assert sp.expand(mean + (EPS - alpha) * sp.Abs(w)) == 0
            assert sp.expand(sum((v - mean) ** 2 for v in change.values()) / 2 - alpha**2 * w**2) == 0
