"""GZZC Theorem 3.1 step by step: two metrics of a binary linear classifier, and the norms of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.formulas import (
    OUTCOMES,
    Case,
    Every,
    Mean,
    Pr,
    Total,
    chain,
    evaluate,
    holds,
    indicator,
    sides,
)
from sparse_robust.proofs.foundations.norms import SIGN_BRANCHES
from sparse_robust.proofs.foundations.notation import (
    EPS,
    INNER,
    L1,
    L2,
    R_2,
    R_INF,
    SGN,
    X_FGS,
    Y_HAT,
    B,
    K,
    W,
    X,
    Y,
    array,
)
from sparse_robust.proofs.linear.notation import (
    ACCURACY,
    EQUAL_ACCURACY,
    KAPPA,
    MU,
    PRIOR,
    RIGHT,
    A,
    F,
    T,
    Z,
    at_mean,
    binary_case,
    conditioned,
    linear,
    pointwise,
)
from sparse_robust.proofs.linear.populations import BINARY, BinaryExample, random_binary, tight_binary
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import Binary, FiniteLaw, dot, vector

PAPER = "paper, section 3.1, "
HALF = sp.Rational(1, 2)

SCORE = INNER(W, X) + B
LEVEL = EPS * L1(W)
"""What the attack costs: a margin above it survives."""
MEAN_MARGIN = Total(PRIOR[K] * ACCURACY[K] * K * (INNER(W, MU[K]) + B), K, ACCURACY[K] > 0)
"""r_2 ||w||_2, and the bound for eps ||w||_1 r_inf at once."""

FINITE, NONZERO = Mean(sp.Abs(INNER(W, X))) < sp.oo, sp.Ne(W, 0)
POSITIVE_RADIUS = EPS > 0
BALANCED = Every(sp.Eq(PRIOR[K], HALF), K)
SIGNED_MARGIN = chain(
    indicator(sp.Eq(Y, Y_HAT)) * sp.Abs(F), sp.Eq, sp.Max(Y * F, 0), sp.Eq, Total(indicator(RIGHT) * K * F, K)
)
SURVIVORS = chain(
    R_INF, sp.Eq, Pr(Y * SCORE > LEVEL),
    sp.Eq, Total(PRIOR[K] * ACCURACY[K] * Pr(K * SCORE > LEVEL, RIGHT), K, ACCURACY[K] > 0),
)  # fmt: skip
MARKOV = chain(Pr(Z > A), sp.Le, Pr(Z >= A), sp.Le, Mean(Z) / A)
R2_IDENTITY = chain(R_2, sp.Eq, Mean(sp.Max(Y * SCORE, 0)) / L2(W), sp.Eq, MEAN_MARGIN / L2(W))
RINF_BOUND = chain(R_INF, sp.Le, MEAN_MARGIN / LEVEL, sp.Eq, R_2 / (EPS * KAPPA))

EVERY_FINITE = "it holds for every finite distribution, and the cases are finite"


def population(seed: int) -> Iterator[Case]:
    """Random and tight distributions, as cases."""
    for example in (*tight_binary(), *random_binary(seed, 20)):
        yield binary_case(example)


def case_of(*outcomes: tuple[int, int, list[object]], w: list[int], eps: str, b: int = 0) -> Case:
    """The case of a distribution given by (mass, label, point)."""
    model = Binary(vector(w), Fraction(b))
    return binary_case(BinaryExample(FiniteLaw.of(outcomes), model, Fraction(eps)))


def zero_weights() -> Case:
    """w = 0: there is no boundary to be far from."""
    return case_of((1, 1, [2]), (1, -1, [-1]), w=[0], eps="1")


def zero_radius() -> Case:
    """eps = 0: no attack."""
    return case_of((1, 1, [2]), (1, -1, [-1]), w=[1], eps="0")


def class_terms(law: FiniteLaw, model: Binary) -> list[tuple[Fraction, Fraction, FiniteLaw]]:
    """(pi_k t_k, m_k = k (w.mu_k + b), the law given y = yhat = k) for each k that is ever correct."""
    terms = []
    for k in BINARY:
        mass = law.probability(model.correct_as(k))
        if mass:
            given = law.given(model.correct_as(k))
            terms.append((mass, k * (dot(model.w, given.mean()) + model.b), given))
    return terms


def mean_margin(law: FiniteLaw, model: Binary) -> Fraction:
    """sum_k pi_k t_k k (w.mu_k + b): r_2 ||w||_2 and the bound eps ||w||_1 r_inf at once."""
    return sum((mass * m for mass, m, _ in class_terms(law, model)), Fraction(0))


def attacked_points() -> Iterator[Case]:
    """Every point of every distribution, attacked."""
    for case in population(31):
        for _, outcome in case[OUTCOMES]:
            yield {**case, **outcome}


def label_two() -> Case:
    """y = 2 is no label: the step is twice as long, the margin falls four times as far."""
    return {W: array([3]), B: 0, EPS: 1, X: array([5]), Y: 2, X_FGS: array([3])}


@statement(
    "lem-fgs-margin",
    kind="lemma",
    title="What the fast gradient sign step costs",
    source=PAPER + "the substitution that leads to equation (3)",
    status="proved",
    hypotheses={"label": sp.Eq(Y**2, 1)},
    claims={
        "step": sp.Eq(X_FGS, X - EPS * Y * SGN(W)),
        "margin": sp.Eq(Y * (INNER(W, X_FGS) + B), Y * SCORE - LEVEL),
    },
    cases=attacked_points,
    without={"label": label_two},
)
def fgs_margin(step: sp.Eq, margin: sp.Eq) -> None:
    r"""For every $n$, $w, x \in \mathbb{R}^n$, $b \in \mathbb{R}$, every label with $<<label>>$ and the
    step $<<step>>$,

    $$<<margin>> .$$
    """
    x, eps, b = sp.symbols("x epsilon b", real=True)
    for w in SIGN_BRANCHES:  # both sides are y b and a sum over the coordinates: it is enough to take one
        for y in BINARY:
            one = {W: array([w]), X: array([x]), EPS: eps, B: b, Y: y}
            assert holds(margin, {**one, X_FGS: evaluate(step.rhs, one)})


def scores() -> Iterator[Case]:
    """Scores of every sign, with either label."""
    for f in map(Fraction, ("-2", "-1/3", "0", "1/7", "3")):
        for y in BINARY:
            yield {F: f, Y: y, Y_HAT: (f > 0) - (f < 0), K: BINARY}


@statement(
    "lem-signed-margin",
    kind="lemma",
    title="The absolute value opens where the prediction is right",
    source=PAPER + "equation (4)",
    status="proved",
    hypotheses={"label": sp.Eq(Y**2, 1), "prediction": sp.Eq(Y_HAT, sp.sign(F))},
    claims={"split": SIGNED_MARGIN},
    cases=scores,
    without={
        "label": lambda: {F: Fraction(1), Y: 2, Y_HAT: 1, K: BINARY},
        "prediction": lambda: {F: Fraction(1), Y: 1, Y_HAT: -1, K: BINARY},
    },
)
def signed_margin(split: tuple[sp.Eq, ...]) -> None:
    r"""For a label with $<<label>>$ and every real score $f$ with prediction $<<prediction>>$,

    $$<<split>> .$$
    """
    for y in BINARY:
        for f in SIGN_BRANCHES:
            assert holds(split, {F: f, Y: y, Y_HAT: sp.sign(f), K: BINARY})


@statement(
    "lem-total-probability",
    kind="lemma",
    title="GZZC equation (3): who survives the attack",
    source=PAPER + "equation (3)",
    status="proved",
    uses=("def-metrics", "lem-expectation", "lem-fgs-margin"),
    hypotheses={"radius": EPS >= 0},
    claims={"survivors": SURVIVORS},
    cases=lambda: population(32),
    without={"radius": lambda: case_of((1, 1, [2]), (1, -1, [1]), w=[1], eps="-2")},
)
def total_probability(survivors: tuple[sp.Eq, ...]) -> None:
    r"""Let $\pi_k = \Pr(y = k)$, $t_k = \Pr(\hat y = k \mid y = k)$ and $<<radius>>$. Only points that
    were classified correctly survive the attack, and

    $$<<survivors>>,$$

    where the sum is over the classes that are ever classified correctly.
    """
    # the margin after the attack is y f - eps ||w||_1, so that the first side is the second by definition
    event, split = survivors[0].rhs.args[0], survivors[1].rhs
    assert event == (Y * SCORE > LEVEL)
    # point by point: 1[y f > a] = sum_k 1[y = yhat = k] 1[k f > a] for a >= 0 and every real y f
    per_class = indicator(RIGHT) * indicator(K * SCORE > LEVEL)
    a, s, r = (
        sp.Symbol("a", nonnegative=True),
        sp.Symbol("s", positive=True),
        sp.Symbol("r", nonnegative=True),
    )
    whole = sp.Eq(indicator(event), Total(per_class, K)).subs({SCORE: F, LEVEL: A})
    for y in BINARY:
        assert holds(whole, {A: a, F: y * (a + s), Y: y, Y_HAT: y, K: BINARY})
        for y_hat in (-1, 0, 1):
            assert holds(whole, {A: a, F: y * (a - r), Y: y, Y_HAT: y_hat, K: BINARY})
    assert split == Total(conditioned(per_class), K, ACCURACY[K] > 0)


def levels() -> Iterator[Case]:
    """Nonnegative variables: a point mass, at the level and just above it; the level hit, missed, spread."""
    for outcomes in (((1, "1"),), ((1, "1001/1000"),), ((1, "0"), (2, "1"), (1, "5")), ((1, "1/2"),)):
        total = sum(mass for mass, _ in outcomes)
        yield {A: Fraction(1), OUTCOMES: [(Fraction(m, total), {Z: Fraction(z)}) for m, z in outcomes]}


def both_signs() -> Case:
    """A variable of mean 1/10 that exceeds 5 with probability 1/10."""
    return {A: Fraction(5), OUTCOMES: [(Fraction(9, 10), {Z: -1}), (Fraction(1, 10), {Z: 10})]}


@statement(
    "lem-markov",
    kind="lemma",
    title="Markov's inequality",
    source="folklore",
    status="proved",
    uses=("lem-expectation",),
    hypotheses={"sign": sp.Eq(Pr(Z >= 0), 1), "level": A > 0},
    claims={"markov": MARKOV},
    cases=levels,
    without={
        "sign": both_signs,
        "level": lambda: {A: Fraction(0), OUTCOMES: [(Fraction(1), {Z: Fraction(1)})]},
    },
)
def markov(markov: tuple[sp.Le, ...]) -> None:
    r"""If $<<sign>>$ and $<<level>>$, then $<<markov>>$."""
    a, s, r = sp.symbols("a s r", positive=True)
    below = a / (1 + r)  # every number of (0, a)
    for relation in markov:
        for z in (a + s, a, below, sp.Integer(0)):
            assert holds(pointwise(relation), {A: a, Z: z})


def by_markov(formula: sp.Expr) -> sp.Expr:
    """Every probability Pr(X > a | ...) replaced by E(X | ...) / a, which is no smaller where X >= 0 < a."""

    def bound(event: sp.Gt, given: sp.Basic) -> sp.Expr:
        variable, level = event.args
        return MARKOV[-1].rhs.subs({Mean(Z): Mean(variable, given), A: level})

    return formula.replace(Pr, bound)


@statement(
    "prop-r2-identity",
    kind="proposition",
    title="The identity for $r_2$, with priors and bias",
    source="this book; with equal priors and accuracies " + PAPER + "Theorem 3.1",
    status="proved",
    uses=("def-metrics", "lem-expectation", "lem-signed-margin", "prop-l2-projection"),
    hypotheses={"finite": FINITE, "nonzero": NONZERO},
    claims={"identity": R2_IDENTITY},
    cases=lambda: population(33),
    without={"finite": EVERY_FINITE, "nonzero": zero_weights},
)
def r2_identity(identity: tuple[sp.Eq, ...]) -> None:
    r"""If $<<finite>>$ and $<<nonzero>>$, then for every $b$, all priors $\pi_k$ and accuracies $t_k$

    $$<<identity>> .$$

    A class that is never classified correctly contributes nothing.
    """
    # by definition r_2 is the mean of 1[y = yhat] |f| / ||w||_2, as that is the distance to the boundary
    distance, positive_part, by_class = (side.subs(F, SCORE) for side in sides(SIGNED_MARGIN))
    assert distance == indicator(sp.Eq(Y, Y_HAT)) * sp.Abs(SCORE)
    assert identity[0].rhs == Mean(positive_part) / L2(W)
    per_class = linear(at_mean(conditioned(by_class.body)))
    assert sp.expand(per_class - linear(MEAN_MARGIN.body)) == 0
    assert identity[1].rhs == MEAN_MARGIN / L2(W)


@statement(
    "prop-rinf-bound",
    kind="proposition",
    title=r"The bound for $r_\infty$, with priors and bias",
    source="this book; with equal priors and accuracies " + PAPER + "Theorem 3.1",
    status="proved",
    uses=("lem-expectation", "lem-total-probability", "lem-markov", "prop-r2-identity"),
    hypotheses={"finite": FINITE, "nonzero": NONZERO, "radius": POSITIVE_RADIUS},
    claims={"kappa": sp.Eq(KAPPA, L1(W) / L2(W)), "bound": RINF_BOUND},
    cases=lambda: population(34),
    without={"finite": EVERY_FINITE, "nonzero": zero_weights, "radius": zero_radius},
)
def rinf_bound(kappa: sp.Eq, bound: tuple[sp.Basic, ...]) -> None:
    r"""If $<<finite>>$, $<<nonzero>>$ and $<<radius>>$, then for every $b$, all priors and accuracies, with
    $<<kappa>>$,

    $$<<bound>> .$$
    """
    assert isinstance(bound[0], sp.Le)
    assert bound[0].lhs == SURVIVORS[0].lhs
    survivors = SURVIVORS[1].rhs.body  # of class k, where k f > 0: Markov with a = eps ||w||_1 > 0
    per_class = linear(at_mean(by_markov(survivors)))
    assert sp.expand(per_class - linear(MEAN_MARGIN.body) / LEVEL) == 0
    assert bound[0].rhs == MEAN_MARGIN / LEVEL
    by_r_2 = bound[1].rhs.subs({R_2: R2_IDENTITY[1].rhs, KAPPA: kappa.rhs})
    assert sp.simplify(bound[1].lhs - by_r_2) == 0


def balanced_population() -> Iterator[Case]:
    """The same distributions, reweighted to equal priors and equal accuracies, without bias."""
    for example in (*tight_binary(), *random_binary(35, 30)):
        model = Binary(example.model.w)
        right = {a.label for a in example.law.atoms if model.correct(a.label, a.x)}
        wrong = {a.label for a in example.law.atoms if not model.correct(a.label, a.x)}
        if right == set(BINARY):
            accuracy = Fraction(2, 3) if wrong == right else Fraction(1)
            law = example.law.balanced(model.correct, accuracy)
            yield binary_case(BinaryExample(law, model, example.eps))


@statement(
    "thm-3-1",
    kind="theorem",
    title="GZZC Theorem 3.1: the sparsity and robustness of binary linear classifiers",
    source="paper, Theorem 3.1, equation (2)",
    status="proved",
    uses=("prop-r2-identity", "prop-rinf-bound"),
    hypotheses={
        "balanced": BALANCED,
        "accuracy": EQUAL_ACCURACY,
        "some": T > 0,
        "finite": FINITE,
        "nonzero": NONZERO,
        "radius": POSITIVE_RADIUS,
    },
    claims={
        "r_2": sp.Eq(R_2, T / 2 * INNER(W, MU[1] - MU[-1]) / L2(W)),
        "r_inf": sp.Le(R_INF, T / 2 * INNER(W, MU[1] - MU[-1]) / (EPS * L1(W))),
    },
    cases=balanced_population,
    without={
        "balanced": lambda: case_of((3, 1, [4]), (1, -1, [-1]), w=[1], eps="1/2"),
        "accuracy": lambda: case_of((2, 1, [1]), (1, -1, [-5]), (1, -1, [3]), w=[1], eps="1/2"),
        "some": lambda: case_of((1, 1, [-1]), (1, -1, [1]), w=[1], eps="1/2"),
        "finite": EVERY_FINITE,
        "nonzero": "a classifier with w = 0 is never right, so that t > 0 excludes it",
        "radius": zero_radius,
    },
)
def theorem_3_1(r_2: sp.Eq, r_inf: sp.Le) -> None:
    r"""Suppose that $P_y(k) = \pi_k$ with $<<balanced>>$, and an obtained linear classifier achieves the same
    expected accuracy on different classes, $<<accuracy>>$, then we have

    $$<<r_2>> \qquad\text{and}\qquad <<r_inf>> .$$

    (Not stated there, and needed: $<<some>>$, $<<finite>>$, $<<nonzero>>$ and $<<radius>>$.)
    """
    fair = {PRIOR[K]: HALF, ACCURACY[K]: T}
    two_terms = MEAN_MARGIN.body.subs(fair)
    both = linear(Total(two_terms, K).written_out(BINARY))
    assert not both.has(B), "the bias cancels"
    assert isinstance(r_inf, sp.Le)
    assert (r_2.lhs, r_inf.lhs) == (R_2, R_INF)
    assert sp.expand(linear(r_2.rhs) - both / L2(W)) == 0
    assert sp.expand(linear(r_inf.rhs) - both / LEVEL) == 0
