"""Two Gaussian classes under l_inf attacks: the best direction is a soft threshold, exactly sparse.

The setting is that of `gaussian.py`.
"""

from itertools import product

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Largest, Least, chain
from sparse_robust.proofs.statement import statement

from .gaussian import vanishes
from .notation import (
    CDF,
    CLIP,
    EPS,
    INNER,
    MEANS,
    NORM_2,
    NORM_INF,
    R_INF,
    ROBUST_SIGNAL,
    SIGMA,
    SOFT,
    A,
    M,
    W,
    cdf,
    clip,
    exact,
    expectation_above,
    gaussian_case,
    gaussian_cases,
    norm_2,
    phi,
    soft,
)


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


DELTA, STEP = sp.Symbol("delta", real=True), sp.Symbol(r"\delta^\star", real=True)
BALL = NORM_INF(DELTA) <= EPS


def saddle_case(radius: str) -> Case:
    """The corners of the ball and the best move, and unit vectors that point in several directions."""
    means, eps = exact(3, 1, "-1/2"), sp.Rational(radius)
    step = -clip(means, eps)
    corners = [eps * np.array(signs, dtype=object) for signs in product((-1, 1), repeat=3)]
    directions = [soft(means, eps), means, -means, exact(1, 0, 0), exact(1, 2, 2)]
    units = [v / norm_2(v) for v in directions if any(v)]
    return {M: means, EPS: eps, STEP: step, DELTA: (step, *corners, 2 * step, step / 2), W: units}


@statement(
    "prop-gaussian-saddle",
    kind="proposition",
    title="The same solution from the attacker's side",
    source="this book",
    status="kernel proved, glue argued",
    uses=("thm-gaussian-soft",),
    hypotheses={"weak": sp.Le(EPS, NORM_INF(M))},
    claims={
        "saddle": chain(
            Largest(Least(INNER(W, M + DELTA), DELTA, BALL), W, sp.Eq(NORM_2(W), 1)),
            sp.Eq, Least(NORM_2(M + DELTA), DELTA, BALL), sp.Eq, NORM_2(SOFT(M, EPS)),
        ),
        "move": sp.Eq(STEP, -CLIP(M, EPS)),
        "shifted": sp.Eq(M + STEP, SOFT(M, EPS)),
    },
    cases=lambda: [saddle_case("1"), saddle_case("1/4"), saddle_case("3")],
    without={"weak": lambda: saddle_case("13/4")},
)  # fmt: skip
def saddle(saddle: tuple[sp.Eq, ...], move: sp.Eq, shifted: sp.Eq) -> None:
    r"""For $<<weak>>$

    $$<<saddle>> .$$

    The attacker's best move $<<move>>$ shifts both class means towards each other, $<<shifted>>$, and the
    best defence is the matched filter for the shifted means. The optimality conditions hold:
    $m_i - \epsilon\,\mathrm{sgn}(s_i) = s_i$ where $s_i \ne 0$, and $|m_i| \le \epsilon$ where $s_i = 0$.
    """
    assert saddle[1].rhs == NORM_2(shifted.rhs)
    assert move.lhs == STEP
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


def strong_cases() -> list[Case]:
    """Radii equal to the largest mean and above; dense, sparse, single and reversed directions."""
    directions = (exact(0, 1, 0), MEANS, exact(0, -1, 0), exact(2, -1, 2), exact(1, 0, 0))
    return [
        gaussian_case(w, MEANS, sp.Integer(2), eps)
        for w in directions
        for eps in (sp.Integer(4), sp.Integer(5))
    ]


@statement(
    "prop-gaussian-weak",
    kind="proposition",
    title="When the attack exceeds every mean",
    source="this book",
    status="kernel proved, glue argued",
    uses=("prop-gaussian-linf", "lem-gaussian-integrals"),
    hypotheses={"strong": sp.Ge(EPS, NORM_INF(M))},
    claims={
        "soft": sp.Eq(SOFT(M, EPS), 0),
        "best": chain(R_INF, sp.Le, CDF((NORM_INF(M) - EPS) / SIGMA), sp.Le, sp.Rational(1, 2)),
    },
    cases=strong_cases,
    without={"strong": lambda: gaussian_case(MEANS, MEANS, sp.Integer(2), sp.Rational(7, 2))},
)
def weak_signal(soft: sp.Eq, best: tuple[sp.Le, ...]) -> None:
    r"""If $<<strong>>$, then $<<soft>>$, and for every $w$

    $$<<best>> .$$

    A single weight on a largest coordinate attains the first bound, the sparsest $w$ of all; it is a half
    only where the radius is the largest mean.
    """
    n = sp.Symbol("n", integer=True, positive=True)
    i, j = sp.symbols("i j", integer=True)
    size = sp.IndexedBase("a", nonnegative=True)  # the magnitudes |w_i|
    # (1) ||w||_1^2 = sum_i sum_j a_i a_j is ||w||_2^2 = sum_i a_i^2 and the terms of j != i, which are >= 0
    double = sp.Sum(size[i] * size[j], (j, 1, n), (i, 1, n))
    assert double.is_nonnegative
    assert (size[i] * size[j]).subs(j, i) == size[i] ** 2
    # (2) with |m_i| = M - s, M the largest, each term w_i m_i - eps |w_i| is at most -(eps - M) |w_i|
    p, s, largest, excess = sp.symbols("p s M g", nonnegative=True)
    for aligned in (1, -1):  # w_i m_i is |w_i| |m_i| or its negative; in the latter case |m_i| = r >= 0
        magnitude = largest - s if aligned == 1 else s
        term = aligned * p * magnitude - (largest + excess) * p
        assert sp.expand(-excess * p - term).is_nonnegative
    # so z <= -(eps - M) ||w||_1 / ||w||_2 <= -(eps - M); a single aligned weight on a largest mean attains it
    single = (p * largest - (largest + excess) * p) / p
    claimed = best[0].rhs.args[0].subs({NORM_INF(M): largest, EPS: largest + excess}) * SIGMA
    assert sp.expand(single - claimed) == 0
    assert sp.expand(cdf(sp.Integer(0)) - best[1].rhs) == 0  # and Phi increases


ANY = sp.Symbol(r"r_\infty(\hat y)", real=True)


@statement(
    "cor-gaussian-all",
    kind="corollary",
    title="No classifier does better, linear or not",
    source="compare Bhagoji, Cullina and Mittal (2019); Dobriban et al. (2020)",
    status="argued",
    uses=("lem-densities", "prop-gaussian-saddle", "lem-gaussian-score"),
    claims={"bound": sp.Le(ANY, CDF(NORM_2(SOFT(M, EPS)) / SIGMA))},
    cases=lambda: [{**case, ANY: case[R_INF]} for case in gaussian_cases()],
)
def all_classifiers(bound: sp.Le) -> None:
    r"""Every measurable classifier has

    $$<<bound>>$$

    against attacks of radius $\epsilon$. For $\epsilon < \|m\|_\infty$ the sparse linear classifier of
    {prf:ref}`thm-gaussian-soft` attains it.
    """
    assert isinstance(bound, sp.Le)
    # The attacker who always adds y delta* turns the two classes into N(+s, sigma^2 I) and N(-s, sigma^2 I).
    # Telling these apart, the likelihood ratio is best (Neyman and Pearson); it is the sign of s.x:
    s, x = sp.symbols("s x", real=True)
    log_ratio = sp.expand_log(sp.log(phi((x - s) / SIGMA) / phi((x + s) / SIGMA)), force=True)
    assert sp.simplify(log_ratio - 2 * s * x / SIGMA**2) == 0
    # and by lem-gaussian-score sgn(s.x) has accuracy Phi(||s|| / sigma) there
