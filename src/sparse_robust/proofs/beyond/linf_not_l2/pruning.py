"""Two Gaussian classes: how far magnitude pruning may go before it harms the l_inf robustness.

The setting is that of `gaussian.py`. The classifier carries the class mean on a support S, w = m_S: what is
left of the dense optimum when its small weights are pruned and nothing is retrained. Write D = ||m_S||_2,
N = D^2 - eps ||m_S||_1, z = N / D, and drop one more weight, of magnitude a < D; primes mark the result.
"""

from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Every, operator
from sparse_robust.proofs.statement import statement

from .gaussian import vanishes
from .notation import CDF, EPS, SIGMA, A, cdf, exact, metrics, norm_2, phi, r_2_of, soft

D, T = sp.symbols("D T", positive=True)  # T = tan(theta / 2), in (0, 1)
N = sp.Symbol("N", real=True)
DROPPED, KEPT = 2 * D * T / (1 + T**2), D * (1 - T**2) / (1 + T**2)  # a = D sin(theta), D' = D cos(theta)
BELOW_ONE = {
    T: sp.Symbol("k", positive=True) / (1 + sp.Symbol("k", positive=True))
}  # makes 0 < T < 1 explicit


WEIGHT, AFTER, NORM_AFTER = (
    sp.Symbol("a", positive=True),
    sp.Symbol("N'", real=True),
    sp.Symbol("D'", positive=True),
)


def dropped_case(means: tuple[object, ...], eps: object) -> Case:
    """N, D and a, before and after the last of these means is dropped."""
    m, radius = exact(*means), sp.Rational(str(eps))
    rest = m[:-1]

    def robust(v: np.ndarray) -> sp.Expr:
        return sum(x**2 - radius * abs(x) for x in v)

    return {
        D: norm_2(m),
        N: robust(m),
        AFTER: robust(rest),
        NORM_AFTER: norm_2(rest),
        WEIGHT: abs(m[-1]),
        EPS: radius,
    }


def phase_case(means: tuple[object, ...]) -> Case:
    """The robust signal before and after the last of these means is dropped, and the half angle."""
    case = dropped_case(means, 1)
    half = case[WEIGHT] / (case[D] + case[NORM_AFTER])
    return {**case, Z: case[N] / case[D], Z_AFTER: case[AFTER] / case[NORM_AFTER], HALF: half}


Z, Z_AFTER, HALF = sp.symbols("z z' t", real=True)
GAIN = WEIGHT / NORM_AFTER * (EPS - WEIGHT + Z * HALF)


@statement(
    "thm-gaussian-phase",
    kind="theorem",
    title="What dropping one weight gains",
    source="this book",
    status="proved",
    uses=("prop-gaussian-linf",),
    claims={"gain": sp.Eq(Z_AFTER - Z, GAIN)},
    cases=lambda: [phase_case(means) for means in ((3, 4), (12, 5), ("1/2", "1/3"), (3, 2, "3/2"))],
)
def gain(gain: sp.Eq) -> None:
    r"""Let $w = m_S$ and drop a weight with $|m_i| = a$, $0 < a < D = \|m_S\|_2$. With $\sin\theta = a/D$,
    $D' = D\cos\theta$ and $t = \tan\frac\theta2$ the robust signal changes by exactly

    $$<<gain>> .$$

    So dropping it raises $r_\infty$ iff $a - \epsilon < z\tan(\theta/2)$, whatever the sign of $z$.
    """
    assert sp.simplify(DROPPED**2 + KEPT**2 - D**2) == 0  # D'^2 = D^2 - a^2
    assert sp.simplify(T - DROPPED / (D + KEPT)) == 0  # T is tan(theta / 2)
    after = N + DROPPED * (EPS - DROPPED)  # N' = N - a^2 + eps a
    named = {WEIGHT: DROPPED, NORM_AFTER: KEPT, Z: N / D, Z_AFTER: after / KEPT, HALF: T}
    assert sp.simplify((gain.lhs - gain.rhs).subs(named)) == 0
    assert sp.simplify((DROPPED / KEPT).subs(BELOW_ONE)).is_positive


@statement(
    "cor-gaussian-boundary",
    kind="corollary",
    title="The phase boundary",
    source="this book",
    status="proved",
    uses=("thm-gaussian-phase",),
)
def boundary() -> None:
    r"""Let $\nu = z/D = 1 - \epsilon\|m_S\|_1/\|m_S\|_2^2 < 1$ be the part of the signal that survives the
    attack. Dropping the weight raises $r_\infty$ iff

    $$\frac{a}{\epsilon} < \frac{1}{1 - \nu/(1 + \sqrt{1 - (a/D)^2})},$$

    which for a weight that is small beside $D$ is the curve $a/\epsilon = 2/(2 - \nu)$.
    """
    a, nu, c = sp.symbols("a nu c", real=True)
    # tan(theta / 2) = sin(theta) / (1 + cos(theta)), z = nu D, a = D sin(theta): it is nu a / (1 + c)
    assert sp.simplify(T - (DROPPED / D) / (1 + KEPT / D)) == 0
    assert sp.simplify((EPS - a + nu * a / (1 + c)) - (EPS - a * (1 - nu / (1 + c)))) == 0
    slack, cosine = sp.symbols("s c", positive=True)  # nu = 1 - slack: the divisor is positive
    assert sp.simplify((1 - (1 - slack) / (1 + cosine)) - (cosine + slack) / (1 + cosine)) == 0
    assert sp.simplify(1 / (1 - nu / 2) - 2 / (2 - nu)) == 0


POLYNOMIAL = D**2 * (2 * N * (EPS - WEIGHT) + WEIGHT * (EPS - WEIGHT) ** 2) + N**2 * WEIGHT


def dropped_cases() -> list[Case]:
    """Weights below the radius, between it and its double, above, and of either sign of N."""
    triples = ((3, 2, "1/2"), (3, 2, "3/2"), (4, -3, 2), ("1/2", "13/10"), ("1/2", "1/3"))
    return [dropped_case(triple, 1) for triple in triples]


@statement(
    "cor-gaussian-cubic",
    kind="corollary",
    title="The boundary as a polynomial",
    source="this book",
    status="proved",
    uses=("thm-gaussian-phase",),
    claims={
        "after": sp.Eq(AFTER, N + WEIGHT * (EPS - WEIGHT)),
        "gain": sp.Eq(AFTER**2 * D**2 - N**2 * NORM_AFTER**2, WEIGHT * POLYNOMIAL),
    },
    cases=dropped_cases,
)
def cubic(after: sp.Eq, gain: sp.Eq) -> None:
    r"""Let $N = D^2 - \epsilon\|m_S\|_1$, so $z = N/D$, and primes mark what is left. Then $<<after>>$ and

    $$<<gain>> .$$

    If $N > 0$ and $N' > 0$, dropping the weight raises $r_\infty$ iff the right side is positive. Both
    signs are positive when $N > 0$ and the weight is a smallest one.
    """
    squares = {NORM_AFTER: sp.sqrt(D**2 - WEIGHT**2), AFTER: after.rhs}
    # N' / D' > N / D > 0 iff N'^2 D^2 > N^2 D'^2
    assert sp.expand((gain.lhs - gain.rhs).subs(squares)) == 0
    # a smallest: if a <= eps, N' - N = a (eps - a) >= 0; if not, all others exceed eps too, q = eps + d + e:
    d, e = sp.symbols("d e", nonnegative=True)
    assert (WEIGHT * (EPS - WEIGHT)).subs(EPS, WEIGHT + d).expand().is_nonnegative
    q = EPS + d + e
    assert sp.expand(q**2 - EPS * q).is_nonnegative  # each adds this to N'; d > 0 makes it positive
    assert sp.expand((q**2 - EPS * q).subs(d, sp.Symbol("b", positive=True))).is_positive


@statement(
    "cex-gaussian-cubic",
    kind="counterexample",
    title="The polynomial needs both signs",
    source="this book",
    status="checked exactly on an example",
    uses=("cor-gaussian-cubic",),
)
def cubic_needs_signs() -> None:
    r"""For $m = (1.3, 0.5)$ and $\epsilon = 1$, dropping the first weight lowers $r_\infty$ although $N > 0$
    and the polynomial of {prf:ref}`cor-gaussian-cubic` is positive: here $N' < 0$.
    """
    a, rest, eps = sp.Rational(13, 10), sp.Rational(1, 2), sp.Integer(1)
    d2 = a**2 + rest**2
    n = d2 - eps * (a + rest)
    after = n + a * (eps - a)
    assert n > 0 > after
    assert d2 * (2 * n * (eps - a) + a * (eps - a) ** 2) + n**2 * a > 0
    assert after / rest < n / sp.sqrt(d2)


@statement(
    "thm-gaussian-factor-two",
    kind="theorem",
    title="Below $\\epsilon$ always, above $2\\epsilon$ never",
    source="this book",
    status="kernel proved, glue argued",
    uses=("thm-gaussian-phase",),
)
def factor_two() -> None:
    r"""Let $w = m_S$ and $0 < a < D$. (i) If $z > 0$ and $a \le \epsilon$, dropping the weight raises
    $r_\infty$. (ii) If $a \ge 2\epsilon$, dropping it lowers $r_\infty$. (iii) Neither constant can be
    improved. So a support that is best among all supports, if its $z > 0$, contains every
    $|m_i| \ge 2\epsilon$ and no $m_i$ with $0 < |m_i| \le \epsilon$.
    """
    d, z, h, b = sp.symbols("d z h b", positive=True)
    assert (d + z * T).is_positive  # (i): eps - a = d >= 0, and z tan(theta / 2) > 0 alone suffices
    # (ii) The other weights have l_1 norm at least their l_2 norm D', so z <= D - eps (a + D') / D.
    z_most = D - EPS * (DROPPED + KEPT) / D
    most = EPS - DROPPED + z_most * T
    size = {D: (2 * EPS + h) * (1 + T**2) / (2 * T)}  # a = 2 eps + h
    in_parts = -EPS * T * (1 - T) * (1 + T) ** 2 / (1 + T**2) - h * (1 - T**2) / 2
    assert sp.simplify((most.subs(size) - in_parts).subs(BELOW_ONE)) == 0
    for part in (in_parts.subs(h, 0), in_parts - in_parts.subs(h, 0)):
        assert sp.factor(-part.subs(BELOW_ONE)).is_positive
    # (iii) beside a huge weight b, dropping a = 2 eps - d helps: N'^2 D^2 - N^2 D'^2 > 0 for large b
    a = 2 * EPS - d
    square = (b - EPS) ** 2 * (a**2 + b**2) - (b**2 + a**2 - EPS * (a + b)) ** 2
    polynomial = sp.Poly(sp.expand(square), b)
    assert polynomial.degree() == 2
    assert sp.expand(polynomial.LC() - a * d) == 0  # a d > 0 while d < 2 eps
    # and of two equal weights a = eps + d, dropping one hurts: (a - eps) against sqrt(2) (a - eps)
    a = EPS + d
    assert sp.simplify((a**2 - EPS * a) / a - d) == 0
    assert sp.simplify((2 * a**2 - 2 * EPS * a) / (sp.sqrt(2) * a) - sp.sqrt(2) * d) == 0


@statement(
    "prop-gaussian-path-l2",
    kind="proposition",
    title="Pruning always costs $l_2$ robustness and accuracy",
    source="this book",
    status="proved",
    uses=("prop-gaussian-l2",),
)
def path_l2() -> None:
    r"""For $w = m_S$ the signal is $A = \|m_S\|_2$. Dropping any nonzero weight strictly lowers $A$, hence
    $r_2 = g(A)$ and the accuracy $t = \Phi(A/\sigma)$, whatever $m$, $\sigma$ and $S$.
    """
    a, rest = sp.symbols("a rest", positive=True)  # rest = D'^2
    assert (
        sp.simplify((rest + a**2) / sp.sqrt(rest + a**2) - sp.sqrt(rest + a**2)) == 0
    )  # w.m / ||w|| = ||m_S||
    assert (sp.sqrt(rest + a**2) ** 2 - sp.sqrt(rest) ** 2).is_positive  # so A falls; g and Phi increase


@statement(
    "prop-gaussian-vacuous",
    kind="proposition",
    title="The printed bound says nothing about a classifier better than a coin",
    source="paper, Theorem 3.1, equation (2)",
    status="proved",
    uses=("prop-gaussian-l2", "prop-gaussian-linf"),
)
def vacuous() -> None:
    r"""Whenever $r_\infty \ge 1/2$, the bound that Theorem 3.1 prints for $r_\infty$ exceeds the trivial
    bound $t$: with $\kappa = \|w\|_1/\|w\|_2$ it is $g(A)/(\epsilon\kappa) > t\,A/(\epsilon\kappa) \ge t$.
    """
    assert vanishes(r_2_of(A) - A * cdf(A / SIGMA) - SIGMA * phi(A / SIGMA))
    assert (SIGMA * phi(A / SIGMA)).is_positive
    kappa, surplus = sp.Symbol("kappa", positive=True), sp.Symbol("h", nonnegative=True)
    # r_inf >= 1/2 iff z = A - eps kappa >= 0; write A = eps kappa + h
    assert cdf(sp.Integer(0)) == sp.Rational(1, 2)
    assert sp.simplify((EPS * kappa + surplus) / (EPS * kappa) - 1).is_nonnegative


@statement(
    "prop-gaussian-path-bound",
    kind="proposition",
    title="Meanwhile the printed bound rises, all the way",
    source="paper, Theorem 3.1, equation (2)",
    status="proved",
    uses=("prop-gaussian-l2", "prop-gaussian-path-l2"),
)
def path_bound() -> None:
    r"""For $w = m_S$, with $D = \|m_S\|_2$, the bound that Theorem 3.1 prints is
    $\frac{1}{\epsilon}\cdot\frac{g(D)}{D}\cdot\frac{D^2}{\|m_S\|_1}$. Dropping a smallest nonzero weight
    strictly raises $g(D)/D$ and does not lower $D^2/\|m_S\|_1$. So the bound rises strictly along the whole
    path of magnitude pruning, whatever $m$, $\sigma$ and $\epsilon$: past the peak of $r_\infty$ it moves
    the wrong way.
    """
    slope = sp.diff(r_2_of(D) / D, D)
    assert vanishes(slope + SIGMA * phi(D / SIGMA) / D**2)
    assert (SIGMA * phi(D / SIGMA) / D**2).is_positive  # and D falls: prop-gaussian-path-l2
    a, one_norm, square = sp.symbols("a l q", positive=True)
    change = (square - a**2) / (one_norm - a) - square / one_norm
    assert sp.simplify(change - a * (square - a * one_norm) / (one_norm * (one_norm - a))) == 0
    e = sp.Symbol("e", nonnegative=True)  # q - a l is the sum of |m_i| (|m_i| - a), |m_i| = a + e
    assert sp.expand((a + e) * e).is_nonnegative


@statement(
    "cex-gaussian-two-peaks",
    kind="counterexample",
    title="Pruning can help, harm, and help again",
    source="this book",
    status="checked exactly on an example",
    uses=("prop-gaussian-linf",),
)
def two_peaks() -> None:
    r"""With $\epsilon = 1$ and $m$ made of one entry 10, a hundred entries 1.6 and twenty entries 0.5, pruned
    smallest first, $r_\infty$ rises for the first 20 steps, falls for the next 84, and rises for the last 16:
    it peaks with 101 weights left and again with one.
    """
    weights = [Fraction(1, 2)] * 20 + [Fraction(8, 5)] * 100 + [Fraction(10)]
    squares = []
    for dropped in range(len(weights)):
        kept = weights[dropped:]
        signal, norm2 = sum(q * (q - 1) for q in kept), sum(q * q for q in kept)
        assert signal > 0  # so that z^2 orders as z does
        squares.append(signal**2 / norm2)
    rises = [after > before for before, after in pairwise(squares)]
    assert rises == [True] * 20 + [False] * 84 + [True] * 16


INDEX, COUNT = sp.Symbol("i", integer=True), sp.Symbol("k", integer=True, positive=True)
BEST_K = sp.Symbol(r"r_\infty^{(k)}", real=True)
_SIZE = operator("Size", r"|m_{{{1}}}|", lambda sizes, i: abs(sizes[int(i) - 1]), real=True, nonnegative=True)
_SQUARE = operator(
    "SquaredExcess",
    r"\left({0} - {1}\right)_+^2",
    lambda a, eps: sp.Max(a - eps, 0) ** 2,
    real=True,
    nonnegative=True,
)
SIZE_LIST = sp.Symbol("m")


def numbered(sizes: tuple[str, ...], count: int) -> Case:
    """Means in this order, and the best r_inf of all directions with this many weights: over all supports."""
    means, eps, sigma = exact(*sizes), sp.Integer(1), sp.Integer(2)
    values = []
    for support in combinations(range(len(means)), count):
        kept = np.array([soft(means, eps)[i] if i in support else sp.Integer(0) for i in range(len(means))])
        if any(kept):
            values.append(metrics(kept, means, sigma, eps)[1])
    return {
        SIZE_LIST: means,
        INDEX: range(1, len(means)),
        COUNT: count,
        EPS: eps,
        SIGMA: sigma,
        BEST_K: max(values, key=sp.N),
    }


def budget_cases() -> list[Case]:
    """Means numbered by size, with ties and with one below the radius, for every budget."""
    return [numbered(sizes, k) for sizes in (("5", "3", "3", "1/2"), ("4", "2", "3/2")) for k in (1, 2, 3)]


@statement(
    "prop-gaussian-budget",
    kind="proposition",
    title="The best direction with $k$ weights",
    source="this book",
    status="kernel proved, glue argued",
    uses=("thm-gaussian-soft",),
    hypotheses={
        "order": Every(sp.Ge(_SIZE(SIZE_LIST, INDEX), _SIZE(SIZE_LIST, INDEX + 1)), INDEX),
        "weak": sp.Lt(EPS, _SIZE(SIZE_LIST, 1)),
    },
    without={
        "order": lambda: numbered(("2", "3", "5"), 1),
        "weak": "then no direction is better than a coin, whatever the budget (prop-gaussian-weak)",
    },
    claims={
        "best": sp.Eq(
            BEST_K,
            CDF(sp.sqrt(sp.Sum(_SQUARE(_SIZE(SIZE_LIST, INDEX), EPS), (INDEX, 1, COUNT))) / SIGMA),
        )
    },
    cases=budget_cases,
)
def budget(best: sp.Eq) -> None:
    r"""Number the coordinates so that $<<order>>$, and let $<<weak>>$. Among all $w$ with at most $k$
    nonzeros the largest $r_\infty$ is

    $$<<best>> ,$$

    that of $\mathrm{soft}_\epsilon(m)$ on the first $k$ coordinates. With the best weights, pruning costs
    nothing down to $k = \#\{i : |m_i| > \epsilon\}$ and strictly costs $r_\infty$ below.
    """
    low, rise = sp.symbols("l r", positive=True)
    # thm-gaussian-soft on a support S gives ||s_S||; exchanging s_j > s_i, or adding s_j > 0, raises it
    assert sp.expand((low + rise) ** 2 - low**2).is_positive
    assert ((low**2 + rise**2) - low**2).is_positive
    # and (|m| - eps)_+ does not decrease with |m|, so that the largest s_i are those of the largest |m_i|
    assert sp.Max(low + rise, 0) - sp.Max(low, 0) == rise
    assert sp.Max(-low, 0) == 0
