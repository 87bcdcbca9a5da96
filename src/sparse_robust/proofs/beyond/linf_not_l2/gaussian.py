"""Two Gaussian classes: why sparsity helps against l_inf attacks and not against l_2 attacks.

The setting of every statement: y is -1 or +1 with probability 1/2 each, x | y ~ N(y m, sigma^2 I) in R^n,
sigma > 0, eps > 0, the classifier is sgn(w.x) with w != 0, inputs are not confined to a box. Write
A = w.m / ||w||_2 for the signal, z = (w.m - eps ||w||_1) / ||w||_2 for the robust signal.
"""

import sympy as sp

from sparse_robust.proofs.formulas import Case, chain
from sparse_robust.proofs.statement import statement

from .notation import (
    CDF,
    EPS,
    NORM_2,
    NORM_INF,
    PHI,
    R_2,
    R_INF,
    ROBUST_SIGNAL,
    SIGMA,
    SIGNAL,
    SOFT,
    A,
    G,
    M,
    W,
    antiderivatives,
    cdf,
    expectation_above,
    gaussian_cases,
    norm_2,
    phi,
    r_2_of,
)


def vanishes(expression: sp.Expr) -> bool:
    """Whether the computer algebra system reduces the expression to zero."""
    return sp.simplify(sp.expand(expression.rewrite(sp.erf))) == 0


@statement(
    "lem-densities",
    kind="lemma",
    title="What is used about densities",
    source="any text on probability, for example Billingsley, Probability and Measure",
    status="cited",
    uses=("lem-expectation",),
)
def densities() -> None:
    r"""For a real $X$ with density $f$: $\mathbb{E}\,g(X) = \int g f$ for $g \ge 0$; $aX + b$, $a \ne 0$,
    has the density $f((x - b)/a)/|a|$; and for independent $X$ and $Y$ with densities $f$ and $g$, $X + Y$
    has the density $\int f(x)\,g(\cdot - x)\,\mathrm{d}x$, and $\mathbb{E}(1_{X > 0}\,Y) = \Pr(X >
    0)\,\mathbb{E}\,Y$.
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


@statement(
    "lem-gaussian-score",
    kind="lemma",
    title="The score is Gaussian",
    source="this book",
    status="proved",
    uses=("lem-densities", "lem-gaussian-integrals"),
)
def score() -> None:
    r"""The signed distance $y\,w^T x / \|w\|_2$ of an input to the boundary is distributed as
    $N(A, \sigma^2)$ with the signal $A = w^T m / \|w\|_2$, for either label. Hence the accuracy is
    $t = \Phi(A / \sigma)$ on both classes.
    """
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
    assert vanishes(expectation_above(sp.Integer(0))[1] - cdf(A / SIGMA))


@statement(
    "lem-gaussian-integrals",
    kind="lemma",
    title="Two integrals",
    source="folklore",
    status="proved",
)
def integrals() -> None:
    r"""$A\,\Phi(z) - \sigma\varphi(z)$ and $\Phi(z)$ are antiderivatives of $(A + \sigma z)\,\varphi(z)$
    and of $\varphi(z)$. At $-\infty$ both are 0, at $+\infty$ they are $A$ and 1. Moreover $0 < \Phi < 1$,
    and $\Phi$ increases.
    """
    z = sp.Symbol("z", real=True)
    for whole, part, end in zip(((A + SIGMA * z) * phi(z), phi(z)), antiderivatives(z), (A, 1), strict=True):
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


@statement(
    "lem-gaussian-cauchy",
    kind="lemma",
    title="Cauchy and Schwarz, with the case of equality",
    source="folklore",
    status="proved",
)
def cauchy() -> None:
    r"""For $w \ne 0$, $\bigl\|m - \tfrac{w^T m}{\|w\|_2^2}\,w\bigr\|_2^2 = \|m\|_2^2 - (w^T m)^2/\|w\|_2^2$.
    Hence $|w^T m| \le \|w\|_2\|m\|_2$, with equality iff $m$ is a multiple of $w$.
    """
    n = sp.Symbol("n", integer=True, positive=True)
    w, m = sp.MatrixSymbol("w", n, 1), sp.MatrixSymbol("m", n, 1)
    c, wm, ww, mm = sp.symbols("c wm ww mm", real=True)
    square = ((m - c * w).T * (m - c * w)).expand().doit().expand()
    assert square == m.T * m - c * m.T * w - c * w.T * m + c**2 * w.T * w
    in_products = mm - 2 * c * wm + c**2 * ww
    assert sp.expand(in_products.subs(c, wm / ww) - (mm - wm**2 / ww)) == 0


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


@statement(
    "prop-gaussian-linf",
    kind="proposition",
    title="The $l_\\infty$ metric in closed form",
    source="this book",
    status="proved",
    uses=(
        "def-metrics",
        "lem-densities",
        "lem-gaussian-integrals",
        "lem-gaussian-score",
        "prop-fgs-binary-optimal",
    ),
    claims={"value": sp.Eq(R_INF, CDF(ROBUST_SIGNAL / SIGMA))},
    cases=gaussian_cases,
)
def linf_closed_form(value: sp.Eq) -> None:
    r"""Under the strongest attack of radius $\epsilon$,

    $$<<value>>, \qquad\text{that is } \Phi(z/\sigma) \text{ with the robust signal } z .$$
    """
    size, step = sp.symbols("p delta", real=True)
    p = sp.Symbol("p", positive=True)
    for sign in (1, -1):  # w_i = sign p: over |delta| <= eps, w_i delta is least at delta = -eps sign
        gap = (sign * p * step + EPS * p).subs(step, sign * size)
        assert sp.expand(gap - p * (size + EPS)) == 0  # so w_i delta >= -eps |w_i|, and equality is attained
    toll = sp.Symbol("u", real=True)  # an input survives iff its score exceeds eps ||w||_1 / ||w||_2 = u
    assert vanishes(expectation_above(toll)[1] - cdf((A - toll) / SIGMA))


@statement(
    "thm-gaussian-soft",
    kind="theorem",
    title="Against $l_\\infty$ attacks the best direction is exactly sparse",
    source="this book",
    status="kernel proved, glue argued",
    uses=("prop-gaussian-linf", "lem-gaussian-cauchy"),
    hypotheses={"weak": sp.Lt(EPS, NORM_INF(M))},
    without={"weak": "the bound then holds as well, but no direction attains it (prop-gaussian-weak)"},
    claims={"best": sp.Le(R_INF, CDF(NORM_2(SOFT(M, EPS)) / SIGMA))},
    cases=gaussian_cases,
)
def soft_is_best(best: sp.Le) -> None:
    r"""Let $<<weak>>$ and $s = \mathrm{soft}_\epsilon(m)$, that is
    $s_i = \mathrm{sgn}(m_i)(|m_i| - \epsilon)_+$. Then

    $$<<best>> ,$$

    with equality iff $w = c\,s$ with $c > 0$: zero exactly where $|m_i| \le \epsilon$.
    """
    p, d = sp.symbols("p d", positive=True)  # p = |w_i|; d is the distance of |m_i| from eps
    for excess in (d, -d, sp.Integer(0)):
        for aligned in (True, False):  # is w_i m_i = |w_i| |m_i|, or its negative? (|m_i| = eps + excess)
            gain = p * (EPS + excess) * (1 if aligned else -1) - EPS * p
            bound = p * sp.Max(excess, 0)
            gap = sp.expand(bound - gain)
            if aligned:  # equality unless |m_i| < eps
                assert gap == (p * d if excess == -d else 0)
            elif excess == -d:  # here |m_i| = eps - d >= 0
                q = sp.Symbol("q", nonnegative=True)
                assert sp.expand(gap.subs(d, EPS - q) - p * (EPS + q)) == 0
            else:
                assert gap.is_positive
    # by lem-gaussian-cauchy sum |w_i| |s_i| <= ||w|| ||s||, equality iff |w| = c |s|: then w_i = 0 wherever
    # |m_i| <= eps
    for sign in (1, -1):  # at w = s the robust score is ||s||^2: s_i m_i - eps |s_i| = s_i^2 for each i
        m_i, s_i = sign * (EPS + d), sign * d
        assert sp.expand(s_i * m_i - EPS * d - s_i**2) == 0


@statement(
    "prop-gaussian-saddle",
    kind="proposition",
    title="The same solution from the attacker's side",
    source="this book",
    status="kernel proved, glue argued",
    uses=("thm-gaussian-soft",),
)
def saddle() -> None:
    r"""For $\epsilon < \|m\|_\infty$, with $\|\delta\|_\infty \le \epsilon$ throughout,

    $$\max_{\|w\|_2 = 1}\ \min_\delta\ w^T(m + \delta) = \min_\delta\ \|m + \delta\|_2 .$$

    The attacker's best move shifts both class means by
    $\delta^\star_i = -\mathrm{clip}(m_i, -\epsilon, \epsilon)$ towards each other,
    $m + \delta^\star = \mathrm{soft}_\epsilon(m)$, and the best defence is the matched filter for the shifted
    means. The optimality conditions hold: $m_i - \epsilon\,\mathrm{sgn}(s_i) = s_i$ where $s_i \ne 0$, and
    $|m_i| \le \epsilon$ where $s_i = 0$.
    """
    d, h = sp.symbols("d h", nonnegative=True)
    q = sp.Symbol("q", nonnegative=True)
    for sign in (1, -1):
        # |m_i| = eps + d: every feasible m_i + delta_i = sign (d + h), h >= 0, is no nearer to 0 than s_i
        m_i, delta = sign * (EPS + d), -sign * EPS
        assert sp.expand(m_i + delta - sign * d) == 0
        assert sp.expand((d + h) ** 2 - d**2).is_nonnegative
        # the subgradient of m w_i - eps |w_i| at w_i = s_i != 0 is m_i - eps sign, which is s_i
        assert sp.expand(m_i - EPS * sign - sign * d) == 0
    # |m_i| = q <= eps: delta_i = -m_i is feasible, gives 0, and 0 lies in [m_i - eps, m_i + eps]
    assert sp.expand((q - EPS) * (q + EPS)).subs(EPS, q + d).expand().is_nonpositive
    # the maximum of the left-hand side is ||s||_2 by thm-gaussian-soft, the minimum of the right-hand side
    # too


@statement(
    "prop-gaussian-weak",
    kind="proposition",
    title="When the attack exceeds every mean",
    source="this book",
    status="kernel proved, glue argued",
    uses=("prop-gaussian-linf",),
)
def weak_signal() -> None:
    r"""If $\epsilon \ge \|m\|_\infty$ then $\mathrm{soft}_\epsilon(m) = 0$ and over all $w$ the maximum is
    $r_\infty = \Phi((\|m\|_\infty - \epsilon)/\sigma) \le 1/2$, not $\Phi(0) = 1/2$ unless
    $\epsilon = \|m\|_\infty$. A single weight on a largest coordinate attains it: the sparsest $w$ of all.
    """
    g, p, u, q = sp.symbols("g p u q", nonnegative=True)
    # |w_i| (|m_i| - eps) <= -g |w_i| with g = eps - max |m_i|, and ||w||_1 >= ||w||_2 by induction:
    assert sp.expand((u + p) ** 2 - (q**2 + p**2) - (u**2 - q**2) - 2 * u * p) == 0  # append a weight p
    assert (2 * u * p).is_nonnegative
    peak = EPS - g  # one weight, of the sign of its mean
    assert sp.expand(p * peak - EPS * p + g * p) == 0
    assert cdf(sp.Integer(0)) == sp.Rational(1, 2)


@statement(
    "cor-gaussian-all",
    kind="corollary",
    title="No classifier does better, linear or not",
    source="compare Bhagoji, Cullina and Mittal (2019); Dobriban et al. (2020)",
    status="argued",
    uses=("lem-densities", "prop-gaussian-saddle", "lem-gaussian-score"),
)
def all_classifiers() -> None:
    r"""Every measurable classifier has $r_\infty \le \Phi(\|\mathrm{soft}_\epsilon(m)\|_2/\sigma)$ against
    attacks of radius $\epsilon$. For $\epsilon < \|m\|_\infty$ the sparse linear classifier of
    {prf:ref}`thm-gaussian-soft` attains it.
    """
    # The attacker who always adds y delta* turns the two classes into N(+s, sigma^2 I) and N(-s, sigma^2 I).
    # Telling these apart, the likelihood ratio is best (Neyman and Pearson); it is the sign of s.x:
    s, x = sp.symbols("s x", real=True)
    log_ratio = sp.expand_log(sp.log(phi((x - s) / SIGMA) / phi((x + s) / SIGMA)), force=True)
    assert sp.simplify(log_ratio - 2 * s * x / SIGMA**2) == 0
    # and by lem-gaussian-score sgn(s.x) has accuracy Phi(||s|| / sigma) there
