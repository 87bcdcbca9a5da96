"""Theorem 3.2 step by step, and 3.2+: many classes, any dual norm, and r_2 without any assumption."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.formulas import (
    OUTCOMES,
    Case,
    Every,
    Least,
    Mean,
    Total,
    chain,
    holds,
    indicator,
    sides,
)
from sparse_robust.proofs.foundations.norms import SIGN_BRANCHES
from sparse_robust.proofs.foundations.notation import (
    B_OF,
    INNER,
    L1,
    L2,
    LINF,
    R_2,
    W_OF,
    Y_HAT,
    B,
    C,
    E,
    K,
    W,
    X,
    Y,
    array,
)
from sparse_robust.proofs.linear.notation import (
    ACCURACY,
    B_BAR,
    EQUAL_ACCURACY,
    MU,
    PRIOR,
    QUOTIENT,
    RIGHT,
    W_BAR,
    F,
    T,
    at_mean,
    conditioned,
    linear,
    multiclass_case,
    plain,
)
from sparse_robust.proofs.linear.populations import WITHOUT_ONE, Example, random_multiclass, tight_multiclass
from sparse_robust.proofs.linear.theorem_3_1.paper import EVERY_FINITE, MEAN_MARGIN
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import (
    Dual,
    FiniteLaw,
    Multiclass,
    random_vector,
    vector,
)

SUPPLEMENT = "this book (the paper's supplement is not at hand)"
DUALS: tuple[Dual, ...] = ("1", "2", "inf")
NORMS = (L1, L2, LINF)

OTHERS = sp.Ne(E, K)
V = W_OF[K] - W_OF[E]
BALANCED = Every(sp.Eq(PRIOR[K], 1 / C), K)
FINITE = Mean(L2(X)) < sp.oo
FAIR = {PRIOR[K]: 1 / C, ACCURACY[K]: T}
NONNEGATIVE = sp.Symbol("r", nonnegative=True)


def lead(x: sp.Expr) -> sp.Expr:
    """v_e.x + beta_e: how far class k is ahead of class e at x."""
    return INNER(V, x) + B_OF[K] - B_OF[E]


def average_lead(x: sp.Expr) -> sp.Expr:
    """(w_k - wbar).x + b_k - bbar: how far class k is ahead of the average score."""
    return INNER(W_OF[K] - W_BAR, x) + B_OF[K] - B_BAR


def nearest(x: sp.Expr, norm: type[sp.Function], scale: sp.Expr | int = 1) -> sp.Expr:
    """The least distance from x to the boundary with another class, as the dual norm measures it."""
    return Least(QUOTIENT(lead(x), scale * norm(V)), E, OTHERS)


def from_average(x: sp.Expr, norm: type[sp.Function], scale: sp.Expr | int = 1) -> sp.Expr:
    """The distance to the boundary with the average classifier."""
    return QUOTIENT(average_lead(x), scale * norm(W_OF[K] - W_BAR))


def mixture(term: sp.Expr) -> sp.Expr:
    """sum_k pi_k t_k term, over the classes that are ever classified correctly."""
    return Total(PRIOR[K] * ACCURACY[K] * term, K, ACCURACY[K] > 0)


AVERAGE = sp.Eq(W_BAR, Total(W_OF[E], E) / C)
AVERAGING = sp.Eq(W_OF[K] - W_BAR, Total(V, E, OTHERS) / C)
SCORE_OF, SIZE_OF = sp.IndexedBase("a", real=True), sp.IndexedBase("s", real=True)
MEDIANT = sp.Le(Least(SCORE_OF[E] / SIZE_OF[E], E), Total(SCORE_OF[E], E) / Total(SIZE_OF[E], E))
POINTWISE = chain(
    nearest(X, L2), sp.Le, Total(lead(X), E, OTHERS) / Total(L2(V), E, OTHERS), sp.Le, from_average(X, L2)
)
RADIUS = Mean(indicator(sp.Eq(Y, Y_HAT)) * nearest(X, L2).xreplace({K: Y}))
PLUS = chain(R_2, sp.Eq, RADIUS, sp.Le, mixture(nearest(MU[K], L2)), sp.Le, mixture(from_average(MU[K], L2)))
R2_HALF = chain(
    R_2, sp.Le, T / C * Total(nearest(MU[K], L2), K), sp.Le, T / C * Total(from_average(MU[K], L2), K)
)


def population(seed: int) -> Iterator[Case]:
    """Random and tight distributions, as cases."""
    for example in (*tight_multiclass(), *random_multiclass(seed, 6)):
        yield multiclass_case(example)


def points(seed: int) -> Iterator[Case]:
    """Every point, with its label as k."""
    for case in population(seed):
        for _, outcome in case[OUTCOMES]:
            yield {**case, **outcome, K: outcome[Y]}


def fair(example: Example, accuracy: Fraction = Fraction(3, 4)) -> Example | None:
    """The same points with equal priors and accuracies and no biases; None if a class is never right."""
    model = Multiclass(example.model.rows)
    law = example.law
    right = {a.label for a in law.atoms if model.correct(a.label, a.x)}
    wrong = {a.label for a in law.atoms if not model.correct(a.label, a.x)}
    if right != set(range(len(model.rows))):
        return None
    balanced = law.balanced(model.correct, accuracy if wrong == right else Fraction(1))
    return Example(balanced, model, example.eps)


@statement(
    "lem-averaging",
    kind="lemma",
    title="Against the average is the average against each",
    source=SUPPLEMENT,
    status="proved",
    claims={"mean": AVERAGE, "weights": AVERAGING},
    cases=lambda: points(60),
)
def averaging(mean: sp.Eq, weights: sp.Eq) -> None:
    r"""For every $c$ and $k$, with $<<mean>>$,

    $$<<weights>>,$$

    and so for the biases.
    """
    total = symbolic(Total(V, E), C)  # the term e = k is zero, so that it may be left out
    assert V.subs(E, K) == 0
    assert weights == sp.Eq(W_OF[K] - W_BAR, Total(V, E, OTHERS) / C)
    gap = W_OF[K] - symbolic(mean.rhs, C) - total / C
    assert sp.simplify(gap) == 0


def symbolic(formula: sp.Expr, size: sp.Expr) -> sp.Expr:
    """Sums over an index written as sympy's sums from 1 to a symbolic size, split into their terms."""
    opened = formula.replace(Total, lambda body, index, condition: sp.Sum(body, (index, 1, size)))
    return sp.expand(opened.expand().doit())


def quotients() -> Iterator[Case]:
    """Quotients all equal, one smaller, of either sign; a size of 0, which the hypothesis excludes."""
    scores = ((1, 2), (1, 4), (-3, 1, 0), (-2, -4), (1, 1))
    sizes = ((1, 2), (1, 2), (2, 1, 5), (1, 2), (0, 1))
    for a, b in zip(scores, sizes, strict=True):
        yield {
            E: tuple(range(len(a))),
            SCORE_OF: dict(enumerate(map(Fraction, a))),
            SIZE_OF: dict(enumerate(map(Fraction, b))),
        }


@statement(
    "lem-mediant",
    kind="lemma",
    title="The mediant inequality",
    source="folklore",
    status="proved",
    hypotheses={"sizes": Every(SIZE_OF[E] > 0, E)},
    claims={"mediant": MEDIANT},
    cases=quotients,
    without={"sizes": lambda: {E: (0, 1), SCORE_OF: {0: 1, 1: 0}, SIZE_OF: {0: 1, 1: -2}}},
)
def mediant_inequality(mediant: sp.Le) -> None:
    r"""If $<<sizes>>$, then $<<mediant>>$, with equality iff all the quotients are equal."""
    excess, least = sp.IndexedBase("r", nonnegative=True), sp.Symbol("m", real=True)
    # a_e = m s_e + r_e with r_e >= 0, where m is the least quotient
    written = mediant.rhs.subs(SCORE_OF[E], least * SIZE_OF[E] + excess[E])
    surplus, sizes = symbolic(Total(excess[E], E), C), symbolic(Total(SIZE_OF[E], E), C)
    gap = symbolic(written * Total(SIZE_OF[E], E), C) - least * sizes
    assert isinstance(mediant, sp.Le)
    assert mediant.lhs == Least(SCORE_OF[E] / SIZE_OF[E], E)
    assert sp.simplify(gap - surplus) == 0
    assert surplus.is_nonnegative  # a sum of terms >= 0, which is 0 iff every term is


def bundles() -> Iterator[Case]:
    """Three vectors: parallel ones, where equality holds, opposite ones and random ones."""
    rng = random.Random(61)
    parallel = [vector(v) for v in ([1, 2, 0], [2, 4, 0], [0, 0, 0])]
    opposite = [vector(v) for v in ([1, -1, 2], [-1, 1, -2], [3, 0, 1])]
    for vectors in (parallel, opposite, *([random_vector(rng, 3) for _ in range(3)] for _ in range(10))):
        yield {E: (0, 1, 2), W_OF: dict(enumerate(map(array, vectors)))}


@statement(
    "lem-triangle",
    kind="lemma",
    title="The triangle inequality",
    source="folklore",
    status="proved",
    uses=("lem-cauchy-schwarz",),
    claims={
        name: sp.Le(norm(Total(W_OF[E], E)), Total(norm(W_OF[E]), E))
        for name, norm in (("one", L1), ("two", L2), ("largest", LINF))
    },
    cases=bundles,
)
def triangle(one: sp.Le, two: sp.Le, largest: sp.Le) -> None:
    r"""For finitely many vectors of $\mathbb{R}^n$, every $n$, $<<one>>$, $<<two>>$ and $<<largest>>$."""
    # l_1 and l_inf: in each coordinate |sum_e a_e| is s sum_e a_e with s = 1 or -1, and |a_e| >= s a_e
    for entry in SIGN_BRANCHES:
        assert all((sp.Abs(entry) - s * entry).is_nonnegative for s in (1, -1))
    # l_1: add up over the coordinates; l_inf: each |a_e| is the norm of its vector less some slack
    norm, slack = sp.IndexedBase("n", nonnegative=True), sp.IndexedBase("s", nonnegative=True)
    whole = sp.Sum(norm[E], (E, 1, C))
    gap = whole - sp.Sum(norm[E] - slack[E], (E, 1, C)).expand()
    assert sp.simplify(gap - sp.Sum(slack[E], (E, 1, C))) == 0
    assert sp.Sum(slack[E], (E, 1, C)).is_nonnegative
    # l_2: with u = sum_e w_e and U = ||u||, U^2 = sum_e w_e.u, and w_e.u = n_e U - s_e by Cauchy and Schwarz
    length = sp.Symbol("U", positive=True)
    square = sp.Sum(norm[E] * length - slack[E], (E, 1, C)).expand()
    assert sp.simplify(whole - square / length - sp.Sum(slack[E], (E, 1, C)) / length) == 0
    assert [claim.lhs.func for claim in (one, two, largest)] == list(NORMS)


def origin() -> Case:
    """A misclassified point whose average lead is negative, where the second step fails in l_inf only."""
    example = Example(
        FiniteLaw.of([(1, 0, [-1, -1])]),
        Multiclass((vector([0, 0]), vector([-1, 0]), vector([0, -1]))),
        Fraction(1),
    )
    ((_, outcome),) = multiclass_case(example)[OUTCOMES]
    return {**multiclass_case(example), **outcome, K: 0}


@statement(
    "prop-pointwise-margin",
    kind="proposition",
    title="Point by point: the nearest boundary is nearer than the average one",
    source="this book",
    status="proved",
    uses=("lem-averaging", "lem-mediant", "lem-triangle"),
    hypotheses={"right": RIGHT},
    claims={"steps": POINTWISE},
    cases=lambda: points(62),
    without={"right": origin},
)
def pointwise_margin(steps: tuple[sp.Le, ...]) -> None:
    r"""If $<<right>>$, then

    $$<<steps>>,$$

    and so in every other norm. The first step holds for every $x$; the second needs that the numerator
    is not negative.
    """
    nearest_one, mediant, average = sides(steps)
    ratios = {SCORE_OF[E]: lead(X), SIZE_OF[E]: L2(V)}
    assert [plain(nearest_one).body, mediant] == [  # the lemma, over the rivals e != k
        MEDIANT.lhs.body.subs(ratios),
        MEDIANT.rhs.subs(ratios).replace(Total, lambda body, index, _: Total(body, index, OTHERS)),
    ]
    # sum v_e = c (w_k - wbar), and by the triangle inequality sum ||v_e|| = ||sum v_e|| + d with d >= 0
    score, slack = sp.symbols("S d", nonnegative=True)
    norm = sp.Symbol("N", positive=True)
    sums = {Total(lead(X), E, OTHERS): score, Total(L2(V), E, OTHERS): norm + slack}
    averages = {average_lead(X): score / C, L2(W_OF[K] - W_BAR): norm / C}
    step = steps[1].func(mediant.subs(sums), plain(average).subs(averages))
    assert holds(step, {symbol: symbol for symbol in step.free_symbols})


def least_of_means(formula: sp.Expr) -> sp.Expr:
    """Every E(min_e q_e | A) replaced by min_e E(q_e | A), which is no smaller, and is taken at the mean."""

    def exchanged(body: sp.Expr, given: sp.Basic) -> sp.Expr:
        return Least(at_mean(Mean(plain(body.body), given)), *body.args[1:])

    return formula.replace(Mean, exchanged)


@statement(
    "thm-3-2-plus",
    kind="theorem",
    title="Theorem 3.2⁺: a sharper bound, without assumptions on the attack",
    source="this book",
    status="kernel proved, glue argued",
    uses=("def-metrics", "lem-expectation", "prop-distance-classes", "prop-pointwise-margin"),
    hypotheses={"finite": FINITE},
    claims={"bounds": PLUS},
    cases=lambda: population(63),
    without={"finite": EVERY_FINITE},
)
def theorem_3_2_plus(bounds: tuple[sp.Basic, ...]) -> None:
    r"""If $<<finite>>$, then for all priors $\pi_k$ and accuracies $t_k$, with biases,

    $$<<bounds>> .$$

    The same holds in every norm; no assumption on the attack is made. A quotient $s/0$ with $s > 0$, which
    biases make possible, is $\infty$: that boundary does not exist. A class that is never classified
    correctly contributes nothing.
    """
    _, radius, sharp, printed = sides(bounds)
    assert [type(relation) for relation in bounds] == [sp.Eq, sp.Le, sp.Le]
    # the distance of prop-distance-classes, where the prediction is right: split by the label
    assert radius == Mean(indicator(sp.Eq(Y, Y_HAT)) * nearest(X, L2).xreplace({K: Y}))
    by_class = conditioned(indicator(RIGHT) * nearest(X, L2))
    # min_e q_e is at most each q_e, so that E(min_e q_e | A) <= min_e E(q_e | A) by monotonicity
    for first, second in ((F, F + NONNEGATIVE), (F + NONNEGATIVE, F)):
        least = (first + second - sp.Abs(first - second)) / 2
        assert (first - least).is_nonnegative
    assert linear(least_of_means(by_class)) == linear(plain(sharp.body))
    # prop-pointwise-margin at mu_k, where every lead is a mean of positive numbers
    outer = [side.subs(X, MU[K]) for side in (sides(POINTWISE)[0], sides(POINTWISE)[2])]
    assert [total.body for total in (sharp, printed)] == [PRIOR[K] * ACCURACY[K] * side for side in outer]


def fair_population(seed: int) -> Iterator[Case]:
    """The same distributions with equal priors and accuracies, without biases."""
    for example in (*tight_multiclass(), *random_multiclass(seed, 6)):
        if (balanced := fair(example)) is not None:
            yield multiclass_case(balanced)


def two_classes_case(*outcomes: tuple[int, int, list[object]], eps: str = "1/2") -> Case:
    """Classes 0 and 1 by the sign of x_1, where all bounds are equalities for each class."""
    model = Multiclass((vector([1]), vector([-1])))
    return multiclass_case(Example(FiniteLaw.of(outcomes), model, Fraction(eps)))


def unequal_priors() -> Case:
    """The far class is three times as frequent."""
    return two_classes_case((3, 0, [9]), (1, 1, [-1]))


def unequal_accuracies() -> Case:
    """The far class is always right, the near one half the time."""
    return two_classes_case((2, 0, [9]), (1, 1, [-1]), (1, 1, [1]))


@statement(
    "cor-3-2-r2",
    kind="corollary",
    title="The $r_2$ half of GZZC Theorem 3.2 needs neither (I) nor (II)",
    source="this book; paper, Theorem 3.2, equation (6), left",
    status="kernel proved, glue argued",
    uses=("thm-3-2-plus",),
    hypotheses={"balanced": BALANCED, "accuracy": EQUAL_ACCURACY, "some": T > 0, "finite": FINITE},
    claims={"bounds": R2_HALF},
    cases=lambda: fair_population(64),
    without={
        "balanced": unequal_priors,
        "accuracy": unequal_accuracies,
        "some": lambda: two_classes_case((1, 0, [-1]), (1, 1, [1])),
        "finite": EVERY_FINITE,
    },
)
def r2_half(bounds: tuple[sp.Le, ...]) -> None:
    r"""If $<<balanced>>$ and $<<accuracy>>$, with $<<some>>$ and $<<finite>>$, then

    $$<<bounds>>,$$

    whatever FGS does. With $b = 0$ the outer inequality is the left half of (6).
    """
    general = [PLUS[0].lhs, *(total.body.subs(FAIR) for total in sides(PLUS)[2:])]
    printed = [bounds[0].lhs, *(side / (T / C) for side in sides(bounds)[1:])]
    assert general[1:] == [T / C * total.body for total in printed[1:]]
    assert general[0] == printed[0]
    assert all(isinstance(relation, sp.Le) for relation in bounds)


def two_class_population() -> Iterator[Case]:
    """Two classes, biases, every kind of point."""
    for example in random_multiclass(65, 6, classes=2):
        yield multiclass_case(example)


@statement(
    "cor-two-classes",
    kind="corollary",
    title="Two classes: equality, and GZZC Theorem 3.1 again",
    source="this book",
    status="proved",
    uses=("thm-3-2-plus", "prop-r2-identity"),
    hypotheses={"two": sp.Eq(C, 2), "finite": FINITE},
    claims={"equal": chain(R_2, sp.Eq, mixture(nearest(MU[K], L2)), sp.Eq, mixture(from_average(MU[K], L2)))},
    cases=two_class_population,
    without={"two": lambda: multiclass_case(WITHOUT_ONE), "finite": EVERY_FINITE},
)
def two_classes(equal: tuple[sp.Eq, ...]) -> None:
    r"""For $<<two>>$ and $<<finite>>$ both inequalities of Theorem 3.2⁺ are equalities,

    $$<<equal>>,$$

    and with $w = w_1 - w_2$, $b = b_1 - b_2$ they are the identity for $r_2$ of {prf:ref}`prop-r2-identity`.
    """
    # one rival: the minimum is over one quotient; and w_k - wbar = v_e / 2, so that 1/2 cancels
    nearest_one, average = (plain(total.body) for total in sides(equal)[1:])
    only = nearest_one.replace(Least, lambda quotient, index, condition: quotient)
    means = {W_BAR: (W_OF[K] + W_OF[E]) / 2, B_BAR: (B_OF[K] + B_OF[E]) / 2}
    halved = average.subs(means).replace(L2, lambda v: L2(sp.expand(2 * v)) / 2)
    assert sp.expand(linear(only) - linear(halved)) == 0
    # class 1 against class 2 is k = 1, class 2 against class 1 is k = -1: v_e = k w and beta_e = k b
    signed = {W_OF[K]: K * W + W_OF[E], B_OF[K]: K * B + B_OF[E]}
    binary = only.subs(signed).subs(L2(K * W), L2(W))
    for k in (-1, 1):
        assert sp.expand(linear(binary.subs(K, k)) - linear((MEAN_MARGIN.body / L2(W)).subs(K, k))) == 0
