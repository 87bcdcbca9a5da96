"""Two Gaussian classes: why sparsity helps against l_inf attacks and not against l_2 attacks.

The setting of every statement: y is -1 or +1 with probability 1/2 each, x | y ~ N(y m, sigma^2 I) in R^n,
sigma > 0, eps > 0, the classifier is sgn(w.x) with w != 0, inputs are not confined to a box. Write
A = w.m / ||w||_2 for the signal, z = (w.m - eps ||w||_1) / ||w||_2 for the robust signal.
"""

import sympy as sp

from sparse_robust.proofs.formulas import Case, Iff, chain, latex, operator
from sparse_robust.proofs.statement import statement

from .notation import (
    CDF,
    INNER,
    NORM_2,
    PHI,
    R_2,
    SIGMA,
    SIGNAL,
    A,
    G,
    M,
    W,
    antiderivatives,
    cdf,
    exact,
    expectation_above,
    gaussian_cases,
    norm_2,
    phi,
    r_2_of,
)


def vanishes(expression: sp.Expr) -> bool:
    """Whether the computer algebra system reduces the expression to zero."""
    return sp.simplify(sp.expand(expression.rewrite(sp.erf))) == 0


DENSITY_OF, PLACE = sp.Symbol("f"), sp.Symbol("x", real=True)
SCALE, SHIFT = sp.Symbol("a", real=True), sp.Symbol("b", real=True)
DENSITY = operator("Density", "f({1})", lambda law, x: law(x), real=True, nonnegative=True)
STRETCHED = sp.Symbol("f_{aX + b}(x)", nonnegative=True)
MEAN_G, INTEGRAL_G = sp.Symbol(r"\mathbb{E}\,g(X)", real=True), sp.Symbol(r"\int g f", real=True)
SUM_DENSITY = sp.Symbol("f_{X + Y}(x)", nonnegative=True)
CONVOLUTION = sp.Symbol(r"\int f(t)\,f_Y(x - t)\,\mathrm{d}t", nonnegative=True)
SPLIT, CHANCE = sp.Symbol(r"\mathbb{E}(1_{X > 0}\,Y)", real=True), sp.Symbol(r"\Pr(X > 0)", nonnegative=True)
MEAN_Y = sp.Symbol(r"\mathbb{E}\,Y", real=True)


def wedge(x: sp.Expr) -> sp.Expr:
    """The density 2 (1 + x) / 9 of X on [-1, 2], whose distribution function is (1 + x)^2 / 9."""
    return 2 * (1 + x) / 9 if -1 <= x <= 2 else sp.Integer(0)


def densities_case(scale: sp.Rational, shift: sp.Rational, x: sp.Rational) -> Case:
    """X with this density and Y uniform on [0, 1]; everything on the left from distribution functions."""
    t, s = sp.symbols("t s", positive=True)
    inner = t * scale + shift  # where aX + b is for X = t
    at = (x - shift) / scale if scale else sp.Integer(0)
    slope = sp.diff((1 + t) ** 2 / 9, t).subs(t, at) / sp.diff(inner, t) if scale else sp.Integer(0)
    # Pr(X + Y <= x) = E Pr(X <= x - Y | Y), for 0 <= x <= 2
    total = sp.integrate((1 + x - t) ** 2 / 9, (t, 0, 1))
    y, z = sp.symbols("y z", real=True)
    shifted = sp.diff(sp.integrate((1 + z - y) ** 2 / 9, (y, 0, 1)), z).subs(z, x)
    assert 0 <= total <= 1
    # E g(X) for g(t) = (1 + t)^2 is the integral of Pr(g(X) > s) = 1 - s / 9
    return {
        DENSITY_OF: wedge,
        SCALE: scale,
        SHIFT: shift,
        PLACE: x,
        STRETCHED: abs(slope),
        MEAN_G: sp.integrate(1 - s / 9, (s, 0, 9)),
        INTEGRAL_G: sp.integrate((1 + z) ** 2 * 2 * (1 + z) / 9, (z, -1, 2)),
        SUM_DENSITY: shifted,
        CONVOLUTION: sp.integrate(2 * (1 + z) / 9, (z, x - 1, x)),
        SPLIT: sp.integrate(sp.integrate(y * 2 * (1 + z) / 9, (z, 0, 2)), (y, 0, 1)),
        CHANCE: 1 - sp.Rational(1, 9),
        MEAN_Y: sp.Rational(1, 2),
    }


def densities_cases() -> list[Case]:
    """Stretched and turned round, at two places."""
    parts = ((2, 1, 1), (-1, 0, "1/2"), ("3/2", -1, 2))
    return [densities_case(*map(sp.Rational, part)) for part in parts]


@statement(
    "lem-densities",
    kind="lemma",
    title="What is used about densities",
    source="any text on probability, for example Billingsley, Probability and Measure",
    status="cited",
    uses=("lem-expectation",),
    hypotheses={"nonzero": sp.Ne(SCALE, 0)},
    without={"nonzero": lambda: densities_case(sp.Integer(0), sp.Integer(1), sp.Integer(1))},
    claims={
        "mean": sp.Eq(MEAN_G, INTEGRAL_G),
        "scaled": sp.Eq(STRETCHED, DENSITY(DENSITY_OF, (PLACE - SHIFT) / SCALE) / sp.Abs(SCALE)),
        "sum": sp.Eq(SUM_DENSITY, CONVOLUTION),
        "split": sp.Eq(SPLIT, CHANCE * MEAN_Y),
    },
    cases=densities_cases,
)
def densities(**_: sp.Basic) -> None:
    r"""For a real $X$ with density $f$ and $g \ge 0$, $<<mean>>$. For $<<nonzero>>$, the density of $aX + b$
    is

    $$<<scaled>> .$$

    For $Y$ independent of $X$, with density $f_Y$,

    $$<<sum>>, \qquad <<split>> .$$
    """
    x, low, size = sp.Symbol("x", real=True), sp.Symbol("l", real=True), sp.Symbol("a", positive=True)
    # two instances: a uniform variable that is stretched and moved still has all its mass,
    assert sp.simplify(sp.integrate(1 / size, (x, low, low + size))) == 1
    # and two that are added have the tent for a density
    tent = sp.Piecewise((x, x < 1), (2 - x, True))
    assert sp.integrate(tent, (x, 0, 2)) == 1


def square_completed(x: sp.Expr, z: sp.Expr, u: sp.Expr, v: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """x^2 / u^2 + (z - x)^2 / v^2 as a square in x and one in z alone, of variance u^2 + v^2."""
    both = u**2 + v**2
    return (x - z * u**2 / both) ** 2 * both / (u**2 * v**2), z**2 / both


ACCURACY = sp.Symbol("t", real=True)


def scored() -> list[Case]:
    """Several directions, with their signal and the share of positive scores."""
    cases: list[Case] = []
    for case in gaussian_cases():
        signal = case[W] @ case[M] / norm_2(case[W])
        share = expectation_above(sp.Integer(0))[1].subs({A: signal, SIGMA: case[SIGMA]})
        cases.append({**case, A: signal, ACCURACY: sp.expand(share)})
    return cases


@statement(
    "lem-gaussian-score",
    kind="lemma",
    title="The score is Gaussian",
    source="this book",
    status="proved",
    uses=("lem-densities", "lem-gaussian-integrals"),
    claims={"signal": sp.Eq(A, SIGNAL), "accuracy": sp.Eq(ACCURACY, CDF(A / SIGMA))},
    cases=scored,
)
def score(signal: sp.Eq, accuracy: sp.Eq) -> None:
    r"""The signed distance $y\,w^T x / \|w\|_2$ of an input to the boundary is distributed as
    $N(A, \sigma^2)$ with the signal $<<signal>>$, for either label. Hence the accuracy on both classes is
    $<<accuracy>>$.
    """
    assert signal.lhs == A
    stated = accuracy.rhs.replace(CDF, cdf)
    x, z = sp.symbols("x z", real=True)
    u, v = sp.symbols("u v", positive=True)
    # y w_i x_i has mean w_i m_i and deviation sigma |w_i|, for y = -1 too: the density is even around its
    # mean
    assert sp.simplify(phi(x) - phi(-x)) == 0
    # centred, two independent Gaussians add to one: complete the square in the convolution, then integrate
    in_x, in_z = square_completed(x, z, u, v)
    assert sp.simplify(x**2 / u**2 + (z - x) ** 2 / v**2 - in_x - in_z) == 0
    width = u * v / sp.sqrt(u**2 + v**2)
    assert sp.simplify(in_x - ((x - z * u**2 / (u**2 + v**2)) / width) ** 2) == 0
    # phi has integral 1, so that exp of minus half the square in x has integral width sqrt(2 pi)
    convolved = sp.exp(-in_z / 2) * width * sp.sqrt(2 * sp.pi) / (2 * sp.pi * u * v)
    total = sp.sqrt(u**2 + v**2)
    assert sp.simplify(convolved - phi(z / total) / total) == 0
    # by induction over the coordinates the variance is sigma^2 sum w_i^2; divide by ||w||
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    w = sp.IndexedBase("w", real=True)
    variance = sp.Sum(SIGMA**2 * w[i] ** 2, (i, 1, n)) / sp.Sum(w[i] ** 2, (i, 1, n))
    assert sp.simplify(variance - SIGMA**2) == 0
    assert vanishes(expectation_above(sp.Integer(0))[1] - stated)


Z = sp.Symbol("z", real=True)
ANTIDERIVATIVES = (A * CDF(Z) - SIGMA * PHI(Z), CDF(Z))
SLOPES = [sp.Symbol(rf"\frac{{d}}{{dz}}\left({latex(part)}\right)", real=True) for part in ANTIDERIVATIVES]
LIMITS = [
    [
        sp.Symbol(rf"\lim_{{z \to {end}}} \left({latex(part)}\right)", real=True)
        for end in (r"-\infty", r"\infty")
    ]
    for part in ANTIDERIVATIVES
]


def slopes() -> list[Case]:
    """The derivatives at three places, and the limits."""
    numbers = {A: sp.Integer(3), SIGMA: sp.Integer(2)}
    parts = [part.subs(numbers) for part in antiderivatives(Z)]
    ends = {
        symbol: sp.limit(part, Z, end)
        for part, pair in zip(parts, LIMITS, strict=True)
        for symbol, end in zip(pair, (-sp.oo, sp.oo), strict=True)
    }
    derivatives = {s: sp.diff(part, Z) for s, part in zip(SLOPES, parts, strict=True)}
    return [
        {**numbers, **ends, Z: at, **{s: slope.subs(Z, at) for s, slope in derivatives.items()}}
        for at in map(sp.Integer, (-2, 0, 1))
    ]


@statement(
    "lem-gaussian-integrals",
    kind="lemma",
    title="Two integrals",
    source="folklore",
    status="proved",
    claims={
        "mean": sp.Eq(SLOPES[0], (A + SIGMA * Z) * PHI(Z)),
        "share": sp.Eq(SLOPES[1], PHI(Z)),
        "bottom": chain(LIMITS[0][0], sp.Eq, LIMITS[1][0], sp.Eq, 0),
        "top": sp.Eq(LIMITS[0][1], A),
        "one": sp.Eq(LIMITS[1][1], 1),
        "between": chain(0, sp.Lt, CDF(Z), sp.Lt, 1),
    },
    cases=slopes,
    loose={"between": "it tends to both ends and reaches neither"},
)
def integrals(
    mean: sp.Eq, share: sp.Eq, bottom: tuple[sp.Eq, ...], top: sp.Eq, one: sp.Eq, between: tuple[sp.Lt, ...]
) -> None:
    r"""Two antiderivatives: $$<<mean>>, \qquad <<share>> .$$ Their limits are $$<<bottom>>, \qquad <<top>>,
    \qquad <<one>> .$$ Moreover $<<between>>$, and $\Phi$ increases.
    """
    z = sp.Symbol("z", real=True)
    stated = [claim.rhs.replace(PHI, phi) for claim in (mean, share)]
    for whole, part, end in zip(stated, antiderivatives(z), (top.rhs, one.rhs), strict=True):
        assert sp.simplify(sp.diff(part, z) - whole) == 0
        assert sp.limit(part, z, -sp.oo) == 0
        assert sp.limit(part, z, sp.oo) == end
    assert phi(z).is_positive  # Phi' > 0, from 0 to 1


@statement(
    "prop-gaussian-l2",
    kind="proposition",
    title="The $l_2$ metric in closed form",
    source="this book",
    status="proved",
    uses=(
        "def-metrics",
        "prop-l2-projection",
        "lem-densities",
        "lem-gaussian-score",
        "lem-gaussian-integrals",
    ),
    claims={"value": sp.Eq(R_2, A * CDF(A / SIGMA) + SIGMA * PHI(A / SIGMA)), "signal": sp.Eq(A, SIGNAL)},
    cases=lambda: [{**case, A: case[W] @ case[M] / norm_2(case[W])} for case in gaussian_cases()],
)
def l2_closed_form(value: sp.Eq, signal: sp.Eq) -> None:
    r"""$<<value>> =: g(A)$ with the signal $<<signal>>$, and $g'(A) = \Phi(A/\sigma) > 0$: the metric
    depends on $w$ through the signal alone, and grows strictly with it. Moreover $g(A) - g(-A) = A$.
    """
    claimed = value.rhs.replace(CDF, cdf).replace(PHI, phi)
    assert vanishes(expectation_above(sp.Integer(0))[0] - claimed)  # E (S)_+, the score S = A + sigma Z
    assert vanishes(claimed - r_2_of(A))
    assert vanishes(sp.diff(r_2_of(A), A) - cdf(A / SIGMA))
    assert vanishes(r_2_of(A) - r_2_of(-A) - A)


ALONG = INNER(W, M) / NORM_2(W) ** 2 * W
"""The part of m along w."""


@statement(
    "lem-gaussian-cauchy",
    kind="lemma",
    title="Cauchy and Schwarz, with the case of equality",
    source="folklore",
    status="proved",
    hypotheses={"nonzero": sp.Ne(W, 0)},
    claims={
        "square": sp.Eq(NORM_2(M - ALONG) ** 2, NORM_2(M) ** 2 - INNER(W, M) ** 2 / NORM_2(W) ** 2),
        "bound": sp.Le(sp.Abs(INNER(W, M)), NORM_2(W) * NORM_2(M)),
        "equality": Iff(sp.Eq(sp.Abs(INNER(W, M)), NORM_2(W) * NORM_2(M)), sp.Eq(M, ALONG)),
    },
    cases=gaussian_cases,
    without={"nonzero": lambda: {W: exact(0, 0), M: exact(1, 2)}},
)
def cauchy(square: sp.Eq, bound: sp.Le, equality: Iff) -> None:
    r"""For $<<nonzero>>$,

    $$<<square>> .$$

    Hence $<<bound>>$, and the two are equal only if $m$ is a multiple of $w$: $$<<equality>> .$$
    """
    assert isinstance(bound, sp.Le)
    assert equality.args[0].args == bound.args
    n = sp.Symbol("n", integer=True, positive=True)
    w, m = sp.MatrixSymbol("w", n, 1), sp.MatrixSymbol("m", n, 1)
    c, wm, ww, mm = sp.symbols("c wm ww mm", real=True)
    product = ((m - c * w).T * (m - c * w)).expand().doit().expand()
    assert product == m.T * m - c * m.T * w - c * w.T * m + c**2 * w.T * w
    in_products = mm - 2 * c * wm + c**2 * ww
    stated = square.rhs.subs({NORM_2(M): sp.sqrt(mm), NORM_2(W): sp.sqrt(ww), INNER(W, M): wm})
    assert sp.simplify(in_products.subs(c, wm / ww) - stated) == 0


LENGTH = NORM_2(M)


@statement(
    "thm-gaussian-dense",
    kind="theorem",
    title="Against $l_2$ attacks the dense direction is the only best one",
    source="this book; compare the paper's remark after Theorem 3.1",
    status="kernel proved, glue argued",
    uses=("prop-gaussian-l2", "lem-gaussian-cauchy"),
    claims={"ends": chain(G(-LENGTH, SIGMA), sp.Le, R_2, sp.Le, G(LENGTH, SIGMA))},
    cases=gaussian_cases,
)
def dense_is_best(ends: tuple[sp.Le, ...]) -> None:
    r"""Let $m \ne 0$. Then $<<ends>>$, with $g$ from {prf:ref}`prop-gaussian-l2`. Equality on the right
    holds iff $w = c\,m$ with $c > 0$, on the left iff $w = c\,m$ with $c < 0$. The best $w$ has a zero
    exactly where $m$ has one: pruning anything else loses $r_2$.
    """
    length, c = sp.symbols("l c", positive=True)
    for sign, end in ((1, ends[1].rhs), (-1, ends[0].lhs)):
        w_m, w_norm = (
            sign * c * length**2,
            c * length,
        )  # w = sign c m has signal sign ||m||, an end of the range
        assert sp.simplify(w_m / w_norm - sign * length) == 0  # that Cauchy and Schwarz give; and g increases
        assert end == G(sign * LENGTH, SIGMA)


MEAN_I, M_I, W_I = sp.symbols(r"\mu_i m_i w_i", real=True)
LAMBDA = sp.Symbol("lambda", positive=True)
CONDITIONAL = M_I + SIGMA * LAMBDA * W_I / NORM_2(W)
"""Coordinate i of the mean of the inputs of class +1 that are classified correctly."""


def conditional_mean(w: sp.Expr, m: sp.Expr, signal: sp.Expr, norm: sp.Expr) -> sp.Expr:
    """The same from the definition: along w the mean of the positive scores, across w untouched."""
    mean, share = expectation_above(sp.Integer(0))
    along = (mean / share).subs(A, signal)
    unit = w / norm
    return unit * along + (m - signal * unit)


def conditional_cases() -> list[Case]:
    """Each coordinate of the reversed direction and of a crooked one."""
    cases: list[Case] = []
    for case in gaussian_cases()[1::3]:
        norm = norm_2(case[W])
        signal = case[W] @ case[M] / norm
        ratio = phi(signal / case[SIGMA]) / cdf(signal / case[SIGMA])
        for w, m in zip(case[W], case[M], strict=True):
            mean = conditional_mean(w, m, signal, norm).subs(SIGMA, case[SIGMA])
            cases.append({**case, W_I: w, M_I: m, MEAN_I: mean, LAMBDA: ratio})
    return cases


@statement(
    "cex-gaussian-fixed-point",
    kind="counterexample",
    title="The worst direction satisfies the paper's condition for the best",
    source="paper, remark after Theorem 3.1",
    status="kernel proved, glue argued",
    uses=("thm-gaussian-dense", "lem-densities", "lem-gaussian-integrals", "lem-gaussian-score"),
    claims={"mean": sp.Eq(MEAN_I, CONDITIONAL)},
    cases=conditional_cases,
)
def fixed_point(mean: sp.Eq) -> None:
    r"""The conditional mean $\mu_{+1}$ of Theorem 3.1 has the coordinates $<<mean>>$, with
    $\lambda = \varphi(A/\sigma)/\Phi(A/\sigma)$, and $\mu_{-1} = -\mu_{+1}$, so $\mu_{+1} - \mu_{-1}$ moves
    with $w$. At $w = -m$ it is a positive multiple of $w$, the condition under which the paper says that
    $r_2$ is maximal; there $r_2$ is minimal.
    """
    norm = sp.Symbol("l", positive=True)
    slope = phi(A / SIGMA) / cdf(A / SIGMA)
    claimed = mean.rhs.subs({NORM_2(W): norm, LAMBDA: slope})
    assert vanishes(sp.simplify(claimed - conditional_mean(W_I, M_I, A, norm)))
    # w = -m, ||m|| = l: mu = (-1 + sigma lambda / l) w, a positive multiple of w iff sigma lambda > l, that
    # is g(-l) > 0; and g > 0, since g tends to 0 at minus infinity and g' > 0
    multiple = sp.simplify(claimed.subs({M_I: -W_I, A: -norm}) / W_I)
    assert vanishes(multiple * norm * cdf(-norm / SIGMA) - r_2_of(-norm))
    assert sp.limit(r_2_of(A).subs(SIGMA, 1), A, -sp.oo) == 0
