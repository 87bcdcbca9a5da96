"""Two Gaussian classes: why sparsity helps against l_inf attacks and not against l_2 attacks.

The setting of every statement: y is -1 or +1 with probability 1/2 each, x | y ~ N(y m, sigma^2 I) in R^n,
sigma > 0, eps > 0, the classifier is sgn(w.x) with w != 0, inputs are not confined to a box. Write
A = w.m / ||w||_2 for the signal, z = (w.m - eps ||w||_1) / ||w||_2 for the robust signal.
"""

import sympy as sp

from sparse_robust.proofs.statement import statement

SIGMA, EPS = sp.symbols("sigma epsilon", positive=True)
A = sp.Symbol("A", real=True)


def phi(x: sp.Expr) -> sp.Expr:
    """The standard normal density."""
    return sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi)


def cdf(x: sp.Expr) -> sp.Expr:
    """The standard normal distribution function."""
    return (1 + sp.erf(x / sp.sqrt(2))) / 2


def r_2_of(signal: sp.Expr) -> sp.Expr:
    """g(A) = A Phi(A / sigma) + sigma phi(A / sigma)."""
    return signal * cdf(signal / SIGMA) + SIGMA * phi(signal / SIGMA)


def vanishes(expression: sp.Expr) -> bool:
    """Whether the computer algebra system reduces the expression to zero."""
    return sp.simplify(sp.expand(expression.rewrite(sp.erf))) == 0


@statement(
    "lem-gaussian-score",
    kind="lemma",
    title="The score is Gaussian",
    source="this book",
    status="proved",
)
def score() -> None:
    r"""The signed distance $y\,w^T x / \|w\|_2$ of an input to the boundary is distributed as
    $N(A, \sigma^2)$ with the signal $A = w^T m / \|w\|_2$, for either label. Hence the accuracy is
    $t = \Phi(A / \sigma)$ on both classes.
    """
    s, w, m, x, z = sp.symbols("s w m x z", real=True)
    for y in (-1, 1):  # one coordinate's moment generating function; independence multiplies them
        density = phi((x - y * m) / SIGMA) / SIGMA
        moment = sp.integrate(sp.exp(s * y * w * x) * density, (x, -sp.oo, sp.oo))
        assert sp.simplify(sp.log(moment).expand(force=True) - (s * w * m + s**2 * w**2 * SIGMA**2 / 2)) == 0
    # the exponents add up to s w.m + s^2 sigma^2 ||w||^2 / 2, which is that of N(w.m, sigma^2 ||w||^2)
    assert vanishes(sp.integrate(phi(z), (z, -A / SIGMA, sp.oo)) - cdf(A / SIGMA))


@statement(
    "prop-gaussian-l2",
    kind="proposition",
    title="The $l_2$ metric in closed form",
    source="this book",
    status="proved",
    uses=("lem-gaussian-score",),
)
def l2_closed_form() -> None:
    r"""$r_2 = g(A)$ with $g(A) = A\,\Phi(A/\sigma) + \sigma\,\varphi(A/\sigma)$, and
    $g'(A) = \Phi(A/\sigma) > 0$: the metric depends on $w$ through the signal alone, and grows strictly with
    it. Moreover $g(A) - g(-A) = A$.
    """
    z, u = sp.symbols("z u", real=True)
    assert vanishes(sp.integrate((A + SIGMA * z) * phi(z), (z, -A / SIGMA, sp.oo)) - r_2_of(A))
    assert vanishes(sp.diff(r_2_of(A), A) - cdf(A / SIGMA))
    assert sp.limit(cdf(u), u, -sp.oo) == 0  # with a positive derivative, so Phi > 0
    assert vanishes(sp.diff(cdf(u), u) - phi(u))
    assert phi(u).is_positive
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


@statement(
    "thm-gaussian-dense",
    kind="theorem",
    title="Against $l_2$ attacks the dense direction is the only best one",
    source="this book; compare the paper's remark after Theorem 3.1",
    status="proved",
    uses=("prop-gaussian-l2", "lem-gaussian-cauchy"),
)
def dense_is_best() -> None:
    r"""Let $m \ne 0$. Then $r_2 \le g(\|m\|_2)$ with equality iff $w = c\,m$ with $c > 0$, and
    $r_2 \ge g(-\|m\|_2)$ with equality iff $w = c\,m$ with $c < 0$. The best $w$ has a zero exactly where $m$
    has one: pruning anything else loses $r_2$.
    """
    length, c = sp.symbols("l c", positive=True)
    for sign in (
        1,
        -1,
    ):  # w = sign c m has signal sign ||m||, the ends of the range that Cauchy and Schwarz give
        w_m, w_norm = sign * c * length**2, c * length
        assert sp.simplify(w_m / w_norm - sign * length) == 0
    l2_closed_form()  # g is strictly increasing, so the ends of the range of A are the ends of that of r_2
    cauchy()


@statement(
    "cex-gaussian-fixed-point",
    kind="counterexample",
    title="The worst direction satisfies the paper's condition for the best",
    source="paper, remark after Theorem 3.1",
    status="proved",
    uses=("thm-gaussian-dense",),
)
def fixed_point() -> None:
    r"""The conditional means of Theorem 3.1 are $\mu_{\pm 1} = \pm\bigl(m + \sigma\lambda\,w/\|w\|_2\bigr)$
    with $\lambda = \varphi(A/\sigma)/\Phi(A/\sigma)$, so $\mu_{+1} - \mu_{-1}$ moves with $w$. At $w = -m$ it
    is a positive multiple of $w$, the condition under which the paper says that $r_2$ is maximal; there $r_2$
    is minimal.
    """
    z, length = sp.Symbol("z", real=True), sp.Symbol("l", positive=True)
    # along w, the mean of the score given that it is positive is A + sigma lambda; across w it is untouched
    conditional = r_2_of(A) / cdf(A / SIGMA)
    slope = phi(A / SIGMA) / cdf(A / SIGMA)
    assert vanishes(sp.simplify(conditional - (A + SIGMA * slope)))
    # w = -m: along w the mean of class +1 is -||m|| + sigma lambda = g(-||m||) / Phi(-||m|| / sigma),
    # and g(-||m||) > 0, because what it integrates is positive beyond z = ||m|| / sigma
    integrand = (-length + SIGMA * z) * phi(z)
    beyond = sp.Symbol("h", positive=True)
    assert sp.expand(integrand.subs(z, length / SIGMA + beyond)).simplify().is_positive


@statement(
    "prop-gaussian-linf",
    kind="proposition",
    title="The $l_\\infty$ metric in closed form",
    source="this book",
    status="proved",
    uses=("lem-gaussian-score",),
)
def linf_closed_form() -> None:
    r"""Under the strongest attack of radius $\epsilon$, $r_\infty = \Phi(z/\sigma)$ with
    $z = (w^T m - \epsilon\|w\|_1)/\|w\|_2$.
    """
    size, step = sp.symbols("p delta", real=True)
    p = sp.Symbol("p", positive=True)
    for sign in (1, -1):  # w_i = sign p: over |delta| <= eps, w_i delta is least at delta = -eps sign
        gap = (sign * p * step + EPS * p).subs(step, sign * size)
        assert sp.expand(gap - p * (size + EPS)) == 0  # so w_i delta >= -eps |w_i|, and equality is attained
    z, u = sp.symbols("z u", real=True)  # given that the score exceeds eps ||w||_1 / ||w||_2 = u
    tail = sp.integrate(phi(z), (z, (u - A) / SIGMA, sp.oo))
    assert vanishes(tail - cdf((A - u) / SIGMA))


@statement(
    "thm-gaussian-soft",
    kind="theorem",
    title="Against $l_\\infty$ attacks the best direction is exactly sparse",
    source="this book",
    status="proved",
    uses=("prop-gaussian-linf", "lem-gaussian-cauchy"),
)
def soft_is_best() -> None:
    r"""Let $\epsilon < \|m\|_\infty$ and $s = \mathrm{soft}_\epsilon(m)$, that is
    $s_i = \mathrm{sgn}(m_i)(|m_i| - \epsilon)_+$. Then $r_\infty \le \Phi(\|s\|_2/\sigma)$, with equality iff
    $w = c\,s$ with $c > 0$: zero exactly where $|m_i| \le \epsilon$.
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
    cauchy()  # sum |w_i| |s_i| <= ||w|| ||s||, equality iff |w| = c |s|: then w_i = 0 wherever |m_i| <= eps
    for sign in (1, -1):  # at w = s the robust score is ||s||^2: s_i m_i - eps |s_i| = s_i^2 for each i
        m_i, s_i = sign * (EPS + d), sign * d
        assert sp.expand(s_i * m_i - EPS * d - s_i**2) == 0


@statement(
    "prop-gaussian-saddle",
    kind="proposition",
    title="The same solution from the attacker's side",
    source="this book",
    status="proved",
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
    soft_is_best()  # the maximum of the left-hand side is ||s||_2, the minimum of the right-hand side too


@statement(
    "prop-gaussian-weak",
    kind="proposition",
    title="When the attack exceeds every mean",
    source="this book",
    status="proved",
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
    uses=("prop-gaussian-saddle", "lem-gaussian-score"),
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
    score()  # and sgn(s.x) has accuracy Phi(||s|| / sigma) there
