"""What the paper says around Theorem 3.1 and does not hold: each check fails if the paper were right."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.formulas import Case, Iff, Largest, chain, operator
from sparse_robust.proofs.foundations.notation import (
    COUNT,
    DELTA,
    EPS,
    INNER,
    L1,
    LINF,
    R_2,
    R_INF,
    B,
    W,
    X,
    array,
    corners,
    fractions,
)
from sparse_robust.proofs.linear.notation import KAPPA, T, binary_case
from sparse_robust.proofs.linear.populations import BinaryExample, random_binary, tight_binary
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import Binary, FiniteLaw, Vector, dot, l1, l2_squared, ratio, sign, vector

from .paper import class_terms
from .sharper import next_direction

PAPER_ACCURACY, PAPER_R_2, PAPER_EPS = Fraction("0.9917"), Fraction("2.0103"), Fraction("0.1")
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


DISTANCE, LIFTED = (
    sp.Symbol(r"\mathrm{dist}(x)", real=True),
    sp.Symbol(r"\widehat{\mathrm{dist}}(x)", real=True),
)
X_SECOND = sp.Symbol("x_-", real=True)
BOUND, LIFTED_BOUND = (
    sp.Symbol(rf"\text{{right side of (2) with }} {w}", real=True) for w in ("w", r"\hat w")
)


def biased_line() -> Iterator[Case]:
    """The classifier x + 1, two points, and the distance and the bound with w and with [w; b]."""
    model, point, eps = Binary(vector([1]), Fraction(1)), vector([1]), Fraction(3, 2)
    law = FiniteLaw.of([(1, 1, [1]), (1, -1, [-3])])
    numerator = sum((mass * m for mass, m, _ in class_terms(law, model)), Fraction(0))
    yield {
        W: model.w[0], B: model.b, X: point[0], X_SECOND: law.atoms[1].x[0], EPS: eps,
        DISTANCE: sp.sqrt(sp.Rational(true_distance(model, point))),
        LIFTED: sp.sqrt(sp.Rational(lifted_distance(model, point))),
        R_INF: model.r_inf(law, eps),
        BOUND: numerator / (eps * l1(model.w)),
        LIFTED_BOUND: numerator / (eps * (l1(model.w) + abs(model.b))),
    }  # fmt: skip


@statement(
    "err-bias",
    kind="erratum",
    title="A bias is not one more weight",
    source='paper, section 3.1, "all our theoretical results in the sequel apply directly to linear cases"',
    status="checked exactly on an example",
    claims={
        "example": chain(W, sp.Eq, B, sp.Eq, X, sp.Eq, 1),
        "true": sp.Eq(DISTANCE, 2),
        "lifted": sp.Eq(LIFTED, sp.sqrt(2)),
        "second": sp.Eq(X_SECOND, -3),
        "radius": sp.Eq(EPS, sp.Rational(3, 2)),
        "false": chain(LIFTED_BOUND, sp.Eq, sp.Rational(2, 3), sp.Lt, R_INF, sp.Eq, 1),
        "whole": sp.Eq(BOUND, sp.Rational(4, 3)),
    },
    cases=biased_line,
    loose={"false": "an example, which holds with something to spare"},
)
def bias(**claims: object) -> None:
    r"""The paper rewrites $w^T x + b$ as $\hat w^T [x; 1]$ with $\hat w = [w; b]$ and applies its results
    to $\hat w$. The constant coordinate cannot be perturbed, so distances come out too short: for $n = 1$
    and $<<example>>$ the distance to the boundary is $<<true>>$, while $\hat w$ gives $<<lifted>>$. The
    bound for $r_\infty$ becomes false: with $y = +1$ at $x$ and $y = -1$ at $<<second>>$, equally likely, and
    $<<radius>>$,

    $$<<false>> .$$

    With the original $w$ equation (2) holds as it stands, $<<whole>>$: $b$ cancels there
    ({prf:ref}`prop-r2-identity`).
    """


MINUS = [sp.Symbol(rf"r_{{2}}({w})", real=True) for w in ("e_1", "-e_1")]
PLUS = [sp.Symbol(rf"r_{{2}}({w})", nonnegative=True) for w in ("e_1", "-e_1")]
"""Under the second distribution."""


def two_laws() -> Iterator[Case]:
    """Both distributions, both directions."""
    east, west = Binary(vector([1, 0])), Binary(vector([-1, 0]))  # both norms are 1
    simple = FiniteLaw.of([(1, 1, [1, 0]), (1, -1, [-1, 0])])
    law = FiniteLaw.of([(1, k, [k * z, 0]) for k in (-1, 1) for z in (2, -1)])
    values = {symbol: model.r_2_times_norm(simple) for symbol, model in zip(MINUS, (east, west), strict=True)}
    for model in (east, west):
        for mass, _, _ in class_terms(law, model):
            second = {s: m.r_2_times_norm(law) for s, m in zip(PLUS, (east, west), strict=True)}
            yield {**values, **second, T: 2 * mass}


@statement(
    "err-maximiser",
    kind="erratum",
    title="What maximises $r_2$",
    source='paper, section 3.1, "It gets maximized iff w approaches mu_{+1} - mu_{-1} or mu_{-1} - mu_{+1}"',
    status="checked exactly on an example",
    claims={
        "minus": sp.Eq(MINUS[0], 1),
        "minus-too": sp.Eq(MINUS[1], 0),
        "accuracy": sp.Eq(T, sp.Rational(1, 2)),
        "plus": sp.Eq(PLUS[0], 1),
        "plus-too": sp.Eq(PLUS[1], sp.Rational(1, 2)),
    },
    cases=two_laws,
)
def maximiser(**claims: object) -> None:
    r"""That $r_2$ is maximised iff $w \to \pm(\mu_{+1} - \mu_{-1})$ is false in both signs, because $\mu_k$
    and $t$ depend on $w$. Minus: for $x = \pm e_1$ with $y = \pm 1$, $<<minus>>$ and $<<minus-too>>$.
    Plus: let $y\,x$ be $2 e_1$ or $-e_1$, equally likely and independent of $y$. Both $e_1$ and $-e_1$ have
    $<<accuracy>>$ on each class and point along their own $\mu_{+1} - \mu_{-1}$, yet $<<plus>>$ and
    $<<plus-too>>$. Only the converse holds ({prf:ref}`prop-r2-ascent`).
    """
    law = FiniteLaw.of([(1, k, [k * z, 0]) for k in (-1, 1) for z in (2, -1)])
    for w in (vector([1, 0]), vector([-1, 0])):
        low, high = class_terms(law, Binary(w))
        difference = tuple(p - q for p, q in zip(high[2].mean(), low[2].mean(), strict=True))
        assert dot(difference, w) ** 2 == l2_squared(difference) * l2_squared(w)
        assert dot(difference, w) > 0  # w points along its own mu_+ - mu_-
        assert tuple(d / 4 for d in difference) == next_direction(law, w)


LIMIT = sp.Symbol(
    rf"\lfloor ({float(PAPER_R_2)} / ({float(PAPER_EPS)} \cdot {float(PAPER_ACCURACY)}))^2 \rfloor", real=True
)
LEFT = sp.IndexedBase("n", integer=True)


def vacuous_cases() -> Iterator[Case]:
    """Random and tight distributions, where the bound is t and at other radii; the paper's numbers."""
    numbers = {
        LIMIT: int((PAPER_R_2 / (PAPER_EPS * PAPER_ACCURACY)) ** 2),
        LEFT: {m: left_after(PIXELS, m) for m in range(ROUNDS + 1)},
    }
    for law, model, eps in (*tight_binary(), *random_binary(seed=50, count=15)):
        level = model.r_2_times_norm(law) / (l1(model.w) * law.probability(model.correct))
        for radius in (eps, eps / 100, level):
            yield {**binary_case(BinaryExample(law, model, radius)), **numbers}


@statement(
    "err-vacuous",
    kind="erratum",
    title="The bound says nothing about the sparse models",
    source='paper, section 3.1, "a highly sparse w implies relatively robust classification results"',
    status="checked exactly on an example",
    uses=("prop-rinf-bound",),
    hypotheses={"right": T > 0},
    claims={
        "trivial": sp.Le(R_INF, T),
        "vacuous": Iff(sp.Ge(R_2 / (EPS * KAPPA), T), sp.Le(KAPPA, R_2 / (EPS * T))),
        "sparse": sp.Le(KAPPA**2, COUNT(W)),
        "limit": sp.Eq(LIMIT, 410),
        "left": sp.Eq(LEFT[2], 349),
    },
    cases=vacuous_cases,
    without={"right": "a classifier that is never right has $r_2 = 0$, and both sides are 0"},
)
def vacuous(**claims: object) -> None:
    r"""Trivially $<<trivial>>$, and the bound of Theorem 3.1 is at least $t$ exactly for small $\kappa$: with
    $<<right>>$, $$<<vacuous>> .$$ As $<<sparse>>$, it is vacuous for every $w$ with at most
    $(r_2 / (\epsilon t))^2$ nonzero weights. With the paper's dense 1-vs-7 values these are $<<limit>>$, and
    the number $n_m$ that pruning leaves after round $m$ is $<<left>>$ in round 2 of 16. As long as $r_2 / t$
    does not fall, the bound is vacuous from there on: it cannot show that sparsity helps.
    """
    largest = (PAPER_R_2 / (PAPER_EPS * PAPER_ACCURACY)) ** 2
    left = [left_after(PIXELS, m) for m in range(ROUNDS + 1)]
    assert [count <= largest for count in left] == [False, False] + [True] * (ROUNDS - 1)


GAP, PIXEL = DELTA, sp.Symbol(r"\hat w", real=True)


def pixel_case(gap: tuple[int, ...]) -> Case:
    """The pixel among other weights."""
    best = max(range(len(gap)), key=lambda i: abs(gap[i]))
    pixel = array(Fraction(sign(Fraction(d))) if i == best else Fraction(0) for i, d in enumerate(gap))
    others = [fractions(*gap), -pixel, pixel / 2, *corners(len(gap), Fraction(1)), 0 * pixel]
    return {GAP: fractions(*gap), PIXEL: pixel, W: (pixel, *others)}


@statement(
    "prop-single-pixel",
    kind="proposition",
    title="With frozen means, the bound prefers a single pixel",
    source="this book",
    status="proved",
    hypotheses={"nonzero": sp.Ne(GAP, 0)},
    claims={
        "largest": chain(
            Largest(INNER(W, GAP) / L1(W), W, sp.Ne(W, 0)),
            sp.Eq,
            LINF(GAP),
            sp.Eq,
            INNER(PIXEL, GAP),
        ),
        "pixel": chain(COUNT(PIXEL), sp.Eq, L1(PIXEL), sp.Eq, 1),
    },
    cases=lambda: (pixel_case(v) for v in ((2, -5, 1), (-3, 3), (0, 0, 4))),
    without={"nonzero": lambda: pixel_case((0, 0))},
)
def single_pixel(largest: tuple[sp.Eq, ...], pixel: tuple[sp.Eq, ...]) -> None:
    r"""Hold $t$ and $\delta = \mu_{+1} - \mu_{-1}$ fixed, $<<nonzero>>$. Then

    $$<<largest>> \qquad\text{with}\qquad <<pixel>>, $$

    $\hat w = \mathrm{sgn}(\delta_i)\, e_i$ for a largest $\lvert \delta_i \rvert$: the bound of Theorem 3.1
    is maximised by one pixel, as a "sparse solution" to the extreme.
    """
    assert largest[1].rhs.has(PIXEL)
    assert pixel[0].args == (COUNT(PIXEL), L1(PIXEL))
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


M_ROUNDS, RHO, N_WEIGHTS = (
    sp.Symbol("m", integer=True),
    sp.Symbol("rho", real=True),
    sp.Symbol("n", real=True),
)
LEFT_BY = {name: sp.Symbol(rf"n_{{\text{{{name}}}}}", real=True) for name in ("floor", "nearest", "up")}
TOGETHER = sp.Symbol(r"n_{\text{all}}", real=True)
ROUNDED = operator("Rounded", "{0}", lambda share: Fraction(round(share * 10_000), 10_000), real=True)
"""To hundredths of a per cent."""


class PERCENT(sp.Function):
    """A share that the page shows in per cent, with two decimals."""

    value = staticmethod(lambda share: share)

    def _latex(self, printer: object) -> str:
        return rf"{float(100 * self.args[0]):.2f}\,\%"


def final_numbers() -> Iterator[Case]:
    """What the three ways of rounding leave."""
    nearest, up = PIXELS, PIXELS
    for _ in range(ROUNDS):
        nearest, up = nearest - round(Fraction(nearest, 3)), up + -up // 3
    left = dict(zip(LEFT_BY.values(), (left_after(PIXELS, ROUNDS), nearest, up), strict=True))
    yield {
        M_ROUNDS: 16, RHO: Fraction(1, 3), N_WEIGHTS: PIXELS, **left,
        TOGETHER: left_after(CLASSES * PIXELS, ROUNDS),
    }  # fmt: skip


@statement(
    "err-final-sparsity",
    kind="erratum",
    title="99.74 % is a matter of rounding",
    source='paper, section 4.1, "the achieved final percentage of zero weights should be 99.74 %"',
    status="checked exactly on an example",
    claims={
        "rounds": sp.Eq(M_ROUNDS, ROUNDS),
        "rate": sp.Eq(RHO, sp.Rational(1, 3)),
        "limit": sp.Eq(ROUNDED(1 - (1 - RHO) ** M_ROUNDS), PERCENT(sp.Rational("0.9985"))),
        "weights": sp.Eq(N_WEIGHTS, PIXELS),
        "down": sp.Eq(LEFT_BY["floor"], 2),
        "printed": sp.Eq(ROUNDED(1 - LEFT_BY["floor"] / N_WEIGHTS), PERCENT(sp.Rational(PRINTED) / 100)),
        "nearest": sp.Eq(LEFT_BY["nearest"], 1),
        "up": sp.Eq(LEFT_BY["up"], 0),
        "together": sp.Eq(TOGETHER, 13),
        "share": sp.Eq(ROUNDED(1 - TOGETHER / (CLASSES * N_WEIGHTS)), PERCENT(sp.Rational("0.9983"))),
    },
    cases=final_numbers,
)
def final_sparsity(**claims: object) -> None:
    r"""The paper sets $<<rounds>>$ and $<<rate>>$, "so the achieved final percentage of zero weights should
    be $99.74\,\% \approx 1 - (1-\rho)^m$". But $<<limit>>$. For $<<weights>>$ weights, rounds that prune
    $\lfloor \text{remaining}/3 \rfloor$ leave $<<down>>$ of them, which is $<<printed>>$, as printed;
    rounding to the nearest integer leaves $<<nearest>>$, rounding up $<<up>>$. In the ten-class model the
    same rule gives the printed number only if each class's weights are pruned by themselves; on all of them
    together it leaves $<<together>>$, which is $<<share>>$.
    """
    apart = CLASSES * left_after(PIXELS, ROUNDS)
    assert percent(1 - Fraction(apart, CLASSES * PIXELS)) == PRINTED
