"""Two Gaussian classes along the path of magnitude pruning, and the best direction with a given budget.

The setting is that of `gaussian.py`, the classifier that of `pruning.py`: w = m_S.
"""

from itertools import combinations, groupby, pairwise

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Every, chain, operator
from sparse_robust.proofs.foundations.notation import written
from sparse_robust.proofs.statement import statement

from .gaussian import vanishes
from .notation import (
    CDF,
    EPS,
    MEANS,
    NORM_1,
    NORM_2,
    R_2,
    R_INF,
    SIGMA,
    A,
    G,
    M,
    W,
    cdf,
    exact,
    expectation_above,
    gaussian_case,
    metrics,
    norm_1,
    norm_2,
    phi,
    r_2_of,
    soft,
)
from .pruning import D

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
DROPPED = sp.Symbol("a", real=True)
T, T_AFTER = sp.Symbol("t", real=True), sp.Symbol("t'", real=True)
A_AFTER, R_2_AFTER = sp.Symbol("A'", real=True), sp.Symbol("r_{2}'", real=True)
KAPPA = sp.Symbol(r"\kappa(w)", real=True)
BOUND, BOUND_AFTER = sp.Symbol(r"\text{bound}", real=True), sp.Symbol(r"\text{bound}'", real=True)


def path_case(means: tuple[object, ...]) -> Case:
    """Both metrics, the accuracy and the printed bound before and after the last weight is dropped."""
    m, sigma, eps = exact(*means), sp.Integer(2), sp.Rational(1, 2)
    rest = np.array([*m[:-1], sp.Integer(0)], dtype=object)

    def values(w: np.ndarray) -> tuple[sp.Expr, ...]:
        r_2, _ = metrics(w, m, sigma, eps)
        signal = w @ m / norm_2(w)
        share = expectation_above(sp.Integer(0))[1].subs({A: signal, SIGMA: sigma})
        return signal, r_2, share, r_2 * norm_2(w) / (eps * norm_1(w))

    before, after = values(m), values(rest)
    return {
        M: m, SIGMA: sigma, EPS: eps, DROPPED: abs(m[-1]), INDEX: range(1, len(m) + 1), SIZE_LIST: m,
        **dict(zip((A, R_2, T, BOUND), before, strict=True)),
        **dict(zip((A_AFTER, R_2_AFTER, T_AFTER, BOUND_AFTER), after, strict=True)),
    }  # fmt: skip


@statement(
    "prop-gaussian-path-l2",
    kind="proposition",
    title="Pruning always costs $l_2$ robustness and accuracy",
    source="this book",
    status="proved",
    uses=("prop-gaussian-l2",),
    hypotheses={"nonzero": sp.Ne(DROPPED, 0)},
    claims={
        "signal": sp.Eq(A, NORM_2(M)),
        "less": sp.Lt(A_AFTER, A),
        "r-2": sp.Lt(R_2_AFTER, R_2),
        "accuracy": sp.Lt(T_AFTER, T),
    },
    cases=lambda: [path_case(means) for means in ((3, 2, "1/2"), (1, 5), (-2, 2))],
    without={"nonzero": lambda: path_case((3, 0))},
    loose=dict.fromkeys(("less", "r-2", "accuracy"), "a weight of any size may go"),
)
def path_l2(signal: sp.Eq, less: sp.Lt, **losses: sp.Lt) -> None:
    r"""For $w = m$ the signal is $<<signal>>$, and so for $w = m_S$ with $m_S$ in place of $m$. Dropping a
    weight with $<<nonzero>>$ lowers it, $<<less>>$, and with it $r_2 = g(A)$ and the accuracy $t$,

    $$<<r-2>> \qquad\text{and}\qquad <<accuracy>>,$$

    whatever $m$, $\sigma$ and $S$.
    """
    assert (signal.lhs, less.rhs) == (A, A)
    a, rest = sp.symbols("a rest", positive=True)  # rest = D'^2
    assert (
        sp.simplify((rest + a**2) / sp.sqrt(rest + a**2) - sp.sqrt(rest + a**2)) == 0
    )  # w.m / ||w|| = ||m_S||
    assert (sp.sqrt(rest + a**2) ** 2 - sp.sqrt(rest) ** 2).is_positive  # so A falls; g and Phi increase


def vacuous_case(w: np.ndarray) -> Case:
    """A direction, its accuracy and its ratio of norms; one of them has r_inf = 1/2 exactly."""
    case = gaussian_case(w, MEANS, sp.Integer(2), sp.Integer(1))
    signal = w @ MEANS / norm_2(w)
    share = expectation_above(sp.Integer(0))[1].subs({A: signal, SIGMA: case[SIGMA]})
    return {**case, A: signal, T: share, KAPPA: norm_1(w) / norm_2(w)}


@statement(
    "prop-gaussian-vacuous",
    kind="proposition",
    title="The printed bound says nothing about a classifier better than a coin",
    source="paper, Theorem 3.1, equation (2)",
    status="proved",
    uses=("prop-gaussian-l2", "prop-gaussian-linf"),
    hypotheses={"half": sp.Ge(R_INF, sp.Rational(1, 2))},
    claims={
        "kappa": sp.Eq(KAPPA, NORM_1(W) / NORM_2(W)),
        "vacuous": chain(R_2 / (EPS * KAPPA), sp.Gt, T * A / (EPS * KAPPA), sp.Ge, T),
    },
    cases=lambda: [vacuous_case(w) for w in (MEANS, exact(0, 1, 0), exact(0, 1, -2), exact(2, -1, 2))],
    without={"half": lambda: vacuous_case(exact(0, 1, -9))},
    loose={"vacuous": "the first step loses the mean distance that the noise adds"},
)
def vacuous(kappa: sp.Eq, vacuous: tuple[sp.Basic, ...]) -> None:
    r"""Whenever $<<half>>$, the bound that Theorem 3.1 prints for $r_\infty$ exceeds the trivial bound $t$:
    with $<<kappa>>$ it is

    $$<<vacuous>> .$$
    """
    assert [type(relation) for relation in vacuous] == [sp.StrictGreaterThan, sp.GreaterThan]
    assert kappa.lhs == KAPPA
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
    hypotheses={
        "nonzero": sp.Ne(DROPPED, 0),
        "smallest": Every(sp.Le(DROPPED, _SIZE(SIZE_LIST, INDEX)), INDEX),
    },
    claims={
        "bound": sp.Eq(BOUND, G(NORM_2(M), SIGMA) * NORM_2(M) / (EPS * NORM_1(M))),
        "rises": sp.Gt(BOUND_AFTER, BOUND),
    },
    cases=lambda: [path_case(means) for means in ((3, 2, "1/2"), (5, 1), (-2, 2))],
    without={"nonzero": lambda: path_case((3, 0)), "smallest": lambda: path_case(("1/2", 10))},
    loose={"rises": "a weight of any size may go"},
)
def path_bound(bound: sp.Eq, rises: sp.Gt) -> None:
    r"""For $w = m$ the bound that Theorem 3.1 prints is

    $$<<bound>>,$$

    and so for $w = m_S$ with $m_S$ in place of $m$. Let $a$ be a smallest weight, $<<smallest>>$ and
    $<<nonzero>>$. Dropping it strictly raises $g(D)/D$, where $D$ is the $l_2$ norm, and does not lower
    $D^2/\|m_S\|_1$: $$<<rises>> .$$ So the bound rises strictly along the whole path of magnitude pruning,
    whatever $m$, $\sigma$ and $\epsilon$: past the peak of $r_\infty$ it moves the wrong way.
    """
    assert bound.rhs.has(G(NORM_2(M), SIGMA))
    assert rises.args == (BOUND_AFTER, BOUND)
    slope = sp.diff(r_2_of(D) / D, D)
    assert vanishes(slope + SIGMA * phi(D / SIGMA) / D**2)
    assert (SIGMA * phi(D / SIGMA) / D**2).is_positive  # and D falls: prop-gaussian-path-l2
    a, one_norm, square = sp.symbols("a l q", positive=True)
    change = (square - a**2) / (one_norm - a) - square / one_norm
    assert sp.simplify(change - a * (square - a * one_norm) / (one_norm * (one_norm - a))) == 0
    e = sp.Symbol("e", nonnegative=True)  # q - a l is the sum of |m_i| (|m_i| - a), |m_i| = a + e
    assert sp.expand((a + e) * e).is_nonnegative


ENTRIES, NUMBERS, RUNS, PEAKS = (
    sp.Symbol(rf"\text{{{name}}}", real=True) for name in ("entries", "numbers", "runs", "peaks")
)


def two_peaks_case() -> Case:
    """The sign of each change of z^2, which orders as z > 0 does, along the path."""
    sizes, numbers = exact("1/2", "8/5", 10), (20, 100, 1)
    weights = [size for size, number in zip(sizes, numbers, strict=True) for _ in range(number)]
    squares = []
    for dropped in range(len(weights)):
        kept = weights[dropped:]
        signal, norm2 = sum(q * (q - 1) for q in kept), sum(q * q for q in kept)
        assert signal > 0
        squares.append(signal**2 / norm2)
    rises = [after > before for before, after in pairwise(squares)]
    runs = [len(list(run)) for _, run in groupby(rises)]
    left = [len(weights) - i for i in range(len(squares)) if _is_peak(squares, i)]
    return {
        EPS: sp.Integer(1),
        ENTRIES: sizes,
        NUMBERS: exact(*numbers),
        RUNS: exact(*runs),
        PEAKS: exact(*left),
    }


def _is_peak(values: list[sp.Expr], i: int) -> bool:
    return all(values[i] > values[j] for j in (i - 1, i + 1) if 0 <= j < len(values))


@statement(
    "cex-gaussian-two-peaks",
    kind="counterexample",
    title="Pruning can help, harm, and help again",
    source="this book",
    status="checked exactly on an example",
    uses=("prop-gaussian-linf",),
    claims={
        "radius": sp.Eq(EPS, 1),
        "sizes": sp.Eq(ENTRIES, written("1/2", "8/5", 10)),
        "numbers": sp.Eq(NUMBERS, written(20, 100, 1)),
        "runs": sp.Eq(RUNS, written(20, 84, 16)),
        "peaks": sp.Eq(PEAKS, written(101, 1)),
    },
    cases=lambda: [two_peaks_case()],
)
def two_peaks(**claims: object) -> None:
    r"""With $<<radius>>$ let $m$ have entries $<<sizes>>$, so many of each: $<<numbers>>$. Pruned smallest
    first, $r_\infty$ rises, falls and rises again for $<<runs>>$ steps: it peaks twice, with
    $<<peaks>>$ weights left.
    """


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
