"""The two metrics; the gradients that FGS follows; FGS and rFGS on linear models without a box."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import (
    OUTCOMES,
    Case,
    Every,
    Iff,
    Least,
    Mean,
    Pr,
    Total,
    chain,
    indicator,
    operator,
)
from sparse_robust.proofs.linear.notation import Y_FGS
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import Atom, Binary, FiniteLaw, Multiclass, sign, vector

from .norms import SIGN_BRANCHES
from .notation import (
    COUNT,
    DELTA,
    EPS,
    INNER,
    L1,
    L2,
    LABEL,
    LINF,
    R_2,
    R_INF,
    SCORE,
    SGN,
    W_OF,
    X_FGS,
    Y_HAT,
    B,
    C,
    E,
    F,
    K,
    W,
    X,
    Y,
    array,
    corners,
    fractions,
)

LABELS = (-1, 1)
RADIUS = sp.Symbol("epsilon", positive=True)

LinfStep = Callable[[sp.Expr, int, sp.Expr], sp.Expr]
"""(w_i, y, eps) -> coordinate of an l_infinity perturbation."""


def fgs_step(w: sp.Expr, y: int, eps: sp.Expr) -> sp.Expr:
    """The paper's FGS perturbation of a binary linear model, -eps y sgn(w)."""
    return -eps * y * sp.sign(w)


def assert_lowest(step: LinfStep) -> None:
    """``step`` is feasible and makes every summand of y w.delta as small as |delta_i| <= eps allows."""
    for w in SIGN_BRANCHES:
        for y in LABELS:
            mine = step(w, y, RADIUS)
            assert (RADIUS - sp.Abs(mine)).is_nonnegative, "the step leaves the ball"
            for end in (-RADIUS, RADIUS):  # a linear function on an interval is lowest at one of its ends
                assert sp.expand(y * w * (end - mine)).is_nonnegative, "an end of the interval is lower"


X_NEAR = sp.Symbol(r"\tilde x", real=True)


def four_points() -> Iterator[Case]:
    """Four points, two of them misclassified, at radii 0 and 6/7, where a third one becomes a tie."""
    law = FiniteLaw.of([(1, 1, (3, 1)), (1, 1, (1, -1)), (1, -1, (-2, 0)), (1, -1, (5, 5))])
    model = Binary(vector((3, 4)))

    def outcome(a: Atom, eps: Fraction) -> Case:
        score = model.margin(1, a.x)
        near = tuple(x - score * w / 25 for x, w in zip(a.x, model.w, strict=True))
        after = model.margin(1, model.attacked(a.label, a.x, eps))
        return {X: array(a.x), X_NEAR: array(near), Y: a.label, Y_HAT: sign(score), Y_FGS: sign(after)}

    for eps, survivors in ((Fraction(0), Fraction(1, 2)), (Fraction(6, 7), Fraction(1, 4))):
        outcomes = [(a.mass, outcome(a, eps)) for a in law.atoms]
        yield {R_INF: survivors, R_2: (Fraction(13, 5) + Fraction(6, 5)) / 4, OUTCOMES: outcomes}


@statement(
    "def-metrics",
    kind="definition",
    title="The two metrics",
    source="paper, section 3.1, equations (1) and (5)",
    status="checked exactly on an example",
    claims={
        "r_inf": sp.Eq(R_INF, Mean(indicator(sp.Eq(Y, Y_FGS)))),
        "r_2": sp.Eq(R_2, Mean(indicator(sp.Eq(Y, Y_HAT)) * L2(X_NEAR - X))),
    },
    cases=four_points,
)
def metrics(r_inf: sp.Eq, r_2: sp.Eq) -> None:
    r"""Let $\hat y$ be the class that a classifier predicts at $x$, let an $l_\infty$ attack of radius
    $\epsilon$ turn $x$ into $\check x$, with the prediction $\hat y(\check x)$, and an $l_2$ attack turn it
    into $\tilde x$. Then

    $$<<r_inf>>, \qquad <<r_2>> .$$

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


SOFTMAX, LOSS, GRADIENT = sp.IndexedBase("p", positive=True), F, sp.Symbol(r"\nabla f(x)", real=True)
GAP, SLOPE = sp.Symbol("s(x)", real=True), sp.Symbol(r"\nabla s(x)", real=True)


def softmax_case(rows: list[list[int]], biases: list[int], y: int) -> Case:
    """Softmax, cross-entropy and log-gap at x = 0, and their gradients by differentiation."""
    x = sp.symbols(f"x:{len(rows[0])}", real=True)
    scores = [sum(map(sp.Mul, row, x), sp.Integer(b)) for row, b in zip(rows, biases, strict=True)]
    others = sum(sp.exp(z) for k, z in enumerate(scores) if k != y)
    loss, gap = sp.log(others + sp.exp(scores[y])) - scores[y], sp.log(others) - scores[y]
    origin = dict.fromkeys(x, 0)
    total = sum(map(sp.exp, scores))
    return {
        E: range(len(rows)),
        K: range(len(rows)),
        C: len(rows),
        Y: y,
        W_OF: {k: array(map(Fraction, row)) for k, row in enumerate(rows)},
        SOFTMAX: {k: (sp.exp(z) / total).subs(origin) for k, z in enumerate(scores)},
        LOSS: loss.subs(origin),
        GAP: gap.subs(origin),
        GRADIENT: array(sp.diff(loss, xi).subs(origin) for xi in x),
        SLOPE: array(sp.diff(gap, xi).subs(origin) for xi in x),
    }


@statement(
    "prop-cross-entropy-gradient",
    kind="proposition",
    title="The gradient of the cross-entropy of a linear classifier",
    source="paper, section 3.1 (used without proof)",
    status="proved",
    claims={
        "loss": chain(LOSS, sp.Eq, -sp.log(SOFTMAX[Y]), sp.Eq, sp.log(1 + sp.exp(GAP))),
        "gradient": chain(
            GRADIENT, sp.Eq, -(W_OF[Y] - Total(SOFTMAX[K] * W_OF[K], K)),
            sp.Eq, Total(SOFTMAX[K] * (W_OF[K] - W_OF[Y]), K, sp.Ne(K, Y)),
        ),
        "multiple": sp.Eq(GRADIENT, SLOPE / (1 + sp.exp(-GAP))),
    },
    cases=lambda: (softmax_case([[1, -2], [3, 0], [0, 5]], [0, 1, 0], y) for y in range(3)),
)  # fmt: skip
def cross_entropy_gradient(loss: tuple[sp.Eq, ...], gradient: tuple[sp.Eq, ...], multiple: sp.Eq) -> None:
    r"""For every number of classes $c$ and inputs $n$, with $z_k = w_k^T x + b_k$,
    $p = \mathrm{softmax}(z)$ and $s(x) = \log \sum_{k \ne y} e^{z_k} - z_y$, the cross-entropy is

    $$<<loss>>, \qquad\text{and}\qquad <<gradient>> .$$

    Moreover $<<multiple>>$, a positive multiple: both have the same signs, however small $1 - p_y$.
    """
    stated = gradient[0].rhs.replace(Total, lambda body, index, _: sp.Sum(body, (index, 1, C)))
    c, k, y = C, K, sp.Symbol("y", integer=True, positive=True)
    w, r = W_OF, sp.IndexedBase("r", real=True)
    t = sp.Symbol("t", real=True)  # any one coordinate of x; r_k is the rest of the score z_k

    def z(j: sp.Expr) -> sp.Expr:
        return w[j] * t + r[j]

    total = sp.Sum(sp.exp(z(k)), (k, 1, c))
    entropy = sp.log(total) - z(y)
    weights = {sp.Sum(SOFTMAX[k] * w[k], (k, 1, c)): sp.Sum(sp.exp(z(k)) * w[k], (k, 1, c)) / total, Y: y}
    assert sp.simplify(sp.diff(entropy, t) - stated.subs(weights)) == 0
    # the second form: sum_k p_k = 1, and the term of k = y vanishes
    p, wk, wy = sp.symbols("p w_k w_y", real=True)
    assert sp.expand(p * wk - p * wy - p * (wk - wy)) == 0
    assert (w[k] - w[y]).subs(k, y) == 0
    m = sp.Function("m", real=True)(t)
    factor = sp.diff(sp.log(1 + sp.exp(m)), t) / sp.diff(m, t)
    assert sp.simplify(factor - (multiple.rhs / SLOPE).subs(GAP, m)) == 0
    assert (1 / (1 + sp.exp(-sp.Symbol("m", real=True)))).is_positive
    rest, own = sp.symbols("E z_y", positive=True)  # E = sum of exp(z_k) over k != y
    f, lead = sp.log(rest + sp.exp(own)) - own, sp.log(rest) - own
    assert sp.simplify(sp.exp(f) - sp.exp(loss[1].rhs.subs(GAP, lead))) == 0


ENTROPY, GRADIENT_ENTROPY = sp.Symbol(r"\ell(x)", real=True), sp.Symbol(r"\nabla \ell(x)", real=True)


def softplus_case(y: int, at: list[int]) -> Case:
    """The cross-entropy of the logits -f/2 and f/2 at a point; for y = 2 there is no logit, and f is it."""
    w, bias, eps = (2, -1, 0), 1, Fraction(1, 4)
    x = sp.symbols("x:3", real=True)
    f = sum(map(sp.Mul, w, x), sp.Integer(bias))
    logits = {-1: -f / 2, 1: f / 2}
    loss = sp.log(sum(map(sp.exp, logits.values()))) - logits.get(y, f)
    here = dict(zip(x, at, strict=True))
    gradient = [sp.diff(loss, xi).subs(here) for xi in x]
    return {
        W: fractions(*w), X: fractions(*at), B: bias, Y: y, EPS: eps, F: f.subs(here),
        ENTROPY: sp.log(sp.expand(sp.exp(loss.subs(here)))), GRADIENT_ENTROPY: array(gradient),
        X_FGS: array(xi + eps * sp.sign(g) for xi, g in zip(at, gradient, strict=True)),
    }  # fmt: skip


@statement(
    "prop-binary-gradient",
    kind="proposition",
    title="The gradient of the softplus loss",
    source="paper, section 3.1",
    status="proved",
    hypotheses={"label": LABEL},
    claims={
        "score": sp.Eq(F, SCORE),
        "loss": sp.Eq(ENTROPY, sp.log(1 + sp.exp(-Y * F))),
        "gradient": sp.Eq(GRADIENT_ENTROPY, -Y * W / (1 + sp.exp(Y * F))),
        "step": sp.Eq(X_FGS, X - EPS * Y * SGN(W)),
    },
    cases=lambda: (softplus_case(y, x) for y in LABELS for x in ([0, 0, 1], [1, -1, 0])),
    without={"label": lambda: softplus_case(2, [1, -1, 0])},
)
def binary_gradient(score: sp.Eq, loss: sp.Eq, gradient: sp.Eq, step: sp.Eq) -> None:
    r"""For $<<score>>$ and a label with $<<label>>$ the cross-entropy $\ell$ of the logits $(-f/2, +f/2)$
    is $<<loss>>$. Its gradient $<<gradient>>$ has the signs of $-y\,w$ at every $x$: FGS is $<<step>>$.
    """
    t, r = sp.symbols("t r", real=True)
    for w in SIGN_BRANCHES:
        for y in LABELS:
            f = w * t + r
            softplus = loss.rhs.subs({F: f, Y: y})
            logits = {-1: -f / 2, 1: f / 2}
            entropy = sp.log(sum(map(sp.exp, logits.values()))) - logits[y]
            assert sp.simplify(sp.exp(entropy) - sp.exp(softplus)) == 0
            slope = gradient.rhs.subs({F: f, Y: y, W: w})
            assert sp.simplify(sp.diff(softplus, t) - slope) == 0
            assert sp.sign(slope) == sp.sign(-y * w)


def cube_case(y: int, bias: int, eps: int) -> Case:
    """The corners of the cube, its centre and points outside; scores at, above and below the level 6."""
    w, x = fractions(2, -1, 0), fractions(1, 1, 5)
    step = array(-eps * y * sign(c) for c in w)
    steps = (*corners(3, Fraction(eps)), 0 * w, *corners(3, Fraction(eps + 1)))
    return {W: w, X: x, B: bias, Y: y, EPS: Fraction(eps), DELTA: steps, X_FGS: x + step}


@statement(
    "prop-fgs-binary-optimal",
    kind="proposition",
    title="FGS is an optimal attack on a binary linear classifier",
    source="paper, section 3.1",
    status="proved",
    uses=("prop-dual-norm", "prop-binary-gradient"),
    hypotheses={"label": LABEL, "radius": EPS >= 0},
    claims={
        "minimum": chain(
            Least(Y * (INNER(W, X + DELTA) + B), DELTA, LINF(DELTA) <= EPS),
            sp.Eq, Y * SCORE - EPS * L1(W), sp.Eq, Y * (INNER(W, X_FGS) + B),
        ),
        "survives": Iff(
            Every(Y * (INNER(W, X + DELTA) + B) > 0, DELTA, LINF(DELTA) <= EPS),
            sp.Gt(Y * SCORE, EPS * L1(W)),
        ),
    },
    cases=lambda: (cube_case(y, bias, eps) for y in LABELS for bias in (4, -4, 7, -7, 1) for eps in (0, 2)),
    without={"label": lambda: cube_case(2, 4, 2), "radius": "for a negative radius there is no perturbation"},
)  # fmt: skip
def fgs_binary_optimal(minimum: tuple[sp.Eq, ...], survives: Iff) -> None:
    r"""Let $<<label>>$ and $<<radius>>$. Then

    $$<<minimum>> :$$

    no $l_\infty$ attack of radius $\epsilon$ lowers $r_\infty$ below that of FGS. So an example survives
    every attack if and only if FGS fails:

    $$<<survives>> .$$
    """
    cost = Y * SCORE - minimum[1].lhs
    assert survives.args[1] == sp.Gt(Y * SCORE, cost)
    assert_lowest(fgs_step)
    assert cost == EPS * L1(W)
    for w in SIGN_BRANCHES:
        for y in LABELS:
            assert sp.expand(y * w * fgs_step(w, y, RADIUS) + RADIUS * sp.Abs(w)) == 0


SCORE_OF = sp.IndexedBase("z", real=True)


def _winner(x: Fraction, scores: Callable[[Fraction], Sequence[Fraction]]) -> int:
    values = list(scores(x))
    return 1 + max(range(len(values)), key=values.__getitem__)


def several_classes(c: int, at: object) -> Case:
    """The scores at a point, and the decisions at 0 and at both ends of the interval."""
    rows = ((0,), (-10,), *[(1,)] * (c - 2))
    model = Multiclass(tuple(map(vector, rows)), vector((0, -4, *["-1/2"] * (c - 2))))
    eps, x = Fraction(9, 20), Fraction(str(at))
    (fgs,) = model.attacked(0, vector((0,)), eps)
    decisions = {PREDICTED(p): _winner(z, lambda t: model.scores((t,))) for p, z in (
        (sp.Integer(0), Fraction(0)), (X_FGS, fgs), (-EPS, -eps),
    )}  # fmt: skip
    return {C: c, X: x, EPS: eps, X_FGS: fgs, SCORE_OF: dict(enumerate(model.scores((x,)), 1)), **decisions}


PREDICTED = operator("Predicted", r"\hat y({0})", lambda point: point, real=True)
"""The class at a point; a case says which."""


@statement(
    "cex-fgs-multiclass",
    kind="counterexample",
    title="With three classes or more FGS is not optimal",
    source="this book; against a reading of paper, section 3.1",
    status="kernel proved, glue argued",
    uses=("prop-cross-entropy-gradient",),
    hypotheses={"classes": C >= 3},
    claims={
        "radius": sp.Eq(EPS, sp.Rational(9, 20)),
        "own": sp.Eq(SCORE_OF[1], 0),
        "second": sp.Eq(SCORE_OF[2], -10 * X - 4),
        "others": sp.Eq(SCORE_OF[C], X - sp.Rational(1, 2)),
        "before": sp.Eq(PREDICTED(0), 1),
        "fgs": sp.Eq(X_FGS, EPS),
        "stays": sp.Eq(PREDICTED(X_FGS), 1),
        "flips": sp.Ne(PREDICTED(-EPS), 1),
    },
    cases=lambda: (several_classes(c, x) for c in range(3, 7) for x in (0, "1/3", -1)),
    without={"classes": lambda: several_classes(2, "1/3")},
)
def fgs_multiclass_not_optimal(
    radius: sp.Eq, own: sp.Eq, second: sp.Eq, others: sp.Eq, **decisions: sp.Basic
) -> None:
    r"""For every number of classes with $<<classes>>$ there are a linear classifier, an input and a radius
    for which FGS leaves the class as it is and another perturbation changes it. On the line let $<<own>>$,
    $<<second>>$ and $z_3 = \dots = z_c$ with $<<others>>$. At $x = 0$ the class is $<<before>>$. With
    $<<radius>>$ FGS goes to $<<fgs>>$, where $<<stays>>$; but $<<flips>>$.
    """
    # FGS goes to the right for every c = 3 + k, because many weak rivals outweigh the near one
    k = sp.Symbol("k", nonnegative=True)
    at = {X: 0, C: 3 + k}
    slopes = (others.rhs.diff(X), second.rhs.diff(X))
    gradient = sp.expand(
        (1 + k) * slopes[0] * sp.exp(others.rhs.subs(at)) + slopes[1] * sp.exp(second.rhs.subs(at))
    )
    assert (own.rhs, radius.lhs) == (0, EPS)
    assert gradient.subs(k, 0).is_positive
    assert sp.diff(gradient, k).is_positive


ALPHA, S = sp.Symbol("alpha", real=True), sp.Symbol("s", real=True)
X_RFGS, MEAN_RFGS = X_FGS, sp.Symbol(r"\mathbb{E}\,\check x", real=True)
WORST = Y * SCORE - EPS * L1(W)


def random_step_case(y: int, signs: tuple[int, ...], step: str) -> Case:
    """One draw of the signs, and all draws as outcomes; one of the three weights is zero."""
    w, x, eps, alpha = fractions(2, -1, 0), fractions(1, 3, 5), Fraction(2), Fraction(step)

    def moved(s: np.ndarray) -> np.ndarray:
        return x + alpha * s - (eps - alpha) * y * array(map(sign, w))

    draws = corners(3, 1)
    return {
        W: w, X: x, B: 1, Y: y, EPS: eps, ALPHA: alpha, S: array(signs), X_RFGS: moved(array(signs)),
        MEAN_RFGS: sum(map(moved, draws)) / Fraction(8),
        OUTCOMES: [(Fraction(1, 8), {S: s, X_RFGS: moved(s)}) for s in draws],
    }  # fmt: skip


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
    hypotheses={"label": LABEL, "step": ALPHA >= 0},
    claims={
        "moved": sp.Eq(X_RFGS, X + ALPHA * S - (EPS - ALPHA) * Y * SGN(W)),
        "margin": chain(
            Y * (INNER(W, X_RFGS) + B), sp.Eq, WORST + ALPHA * (L1(W) + Y * INNER(W, S)), sp.Ge, WORST
        ),
        "often": sp.Eq(Pr(sp.Eq(Y * (INNER(W, X_RFGS) + B), WORST)), 2 ** (-COUNT(W))),
        "mean": sp.Eq(Mean(Y * (INNER(W, X_RFGS) + B)), Y * SCORE - (EPS - ALPHA) * L1(W)),
        "variance": sp.Eq(Mean(INNER(W, X_RFGS - MEAN_RFGS) ** 2), ALPHA**2 * L2(W) ** 2),
    },
    cases=lambda: (random_step_case(y, s, "1/2") for y in LABELS for s in ((1, 1, 1), (-1, 1, -1))),
    without={
        "label": lambda: random_step_case(2, (-1, 1, 1), "1/2"),
        "step": lambda: random_step_case(1, (1, -1, 1), "-1/2"),
    },
)
def rfgs(moved: sp.Eq, margin: tuple[sp.Basic, ...], often: sp.Eq, mean: sp.Eq, variance: sp.Eq) -> None:
    r"""Let rFGS take the step $\alpha s$, $s \in \{-1, 1\}^n$ uniform, $<<step>>$, and then FGS with radius
    $\epsilon - \alpha$: without a box, $<<moved>>$. For a label with $<<label>>$

    $$<<margin>>,$$

    which is the least that FGS leaves. It is that with probability
    $$<<often>> .$$ The mean is $$<<mean>>,$$ and with the mean input
    $\mathbb{E}\,\check x$ the variance is $$<<variance>> .$$
    """
    assert (often.lhs.args[0].lhs, mean.lhs.args[0]) == (margin[0].lhs,) * 2
    assert variance.lhs.args[0].has(X_RFGS)
    alpha = sp.Symbol("alpha", positive=True)
    for w in SIGN_BRANCHES:
        for y in LABELS:
            change = {s: y * w * (alpha * s + fgs_step(w, y, RADIUS - alpha)) for s in LABELS}  # one summand
            excess = {s: sp.expand(change[s] + RADIUS * sp.Abs(w)) for s in LABELS}
            for s in LABELS:
                assert sp.expand(excess[s] - alpha * sp.Abs(w) * (1 + y * s * sp.sign(w))) == 0
                assert excess[s].is_nonnegative
            # where w_i != 0 just one of the two signs costs the attack nothing: probability 1/2
            assert sum(e == 0 for e in excess.values()) == (2 if w == 0 else 1)
            middle = sum(change.values()) / 2
            assert sp.expand(middle + (RADIUS - alpha) * sp.Abs(w)) == 0
            assert sp.expand(sum((v - middle) ** 2 for v in change.values()) / 2 - alpha**2 * w**2) == 0
