"""The r_inf half of Theorem 3.2: FGS under (I) and (II), and the optimal attack without them."""

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
from sparse_robust.proofs.foundations.attacks import GRADIENT, SOFTMAX, softmax_case
from sparse_robust.proofs.foundations.norms import SIGN_BRANCHES
from sparse_robust.proofs.foundations.notation import (
    B_OF,
    EPS,
    INNER,
    L1,
    L2,
    R_2,
    R_INF,
    SGN,
    W_OF,
    Y_HAT,
    C,
    K,
    X,
    Y,
    array,
)
from sparse_robust.proofs.linear.notation import (
    ACCURACY,
    B_BAR,
    EQUAL_ACCURACY,
    MU,
    QUOTIENT,
    R_STAR,
    RIGHT,
    W_BAR,
    X_WEAK,
    Y_FGS,
    Y_WEAK,
    T,
    at_mean,
    conditioned,
    linear,
    multiclass_case,
    plain,
)
from sparse_robust.proofs.linear.populations import (
    WITHOUT_ONE,
    WITHOUT_TWO,
    Example,
    random_multiclass,
    tight_multiclass,
)
from sparse_robust.proofs.linear.theorem_3_1.paper import EVERY_FINITE, by_markov
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import FiniteLaw, Multiclass, dot, l1, sign, vector

from .evaluation import class_terms
from .paper import (
    BALANCED,
    FAIR,
    FINITE,
    POINTWISE,
    R2_HALF,
    average_lead,
    fair,
    from_average,
    least_of_means,
    mixture,
    nearest,
    two_classes_case,
    unequal_accuracies,
    unequal_priors,
)

FGS_BEATS_WEAK = Every(Pr(sp.Eq(Y_FGS, K), RIGHT) <= Pr(sp.Eq(Y_WEAK, K), RIGHT), K, ACCURACY[K] > 0)
"""(I), given y = yhat = k: in no class does FGS leave more survivors than the weak step."""
NO_CORRECTION = sp.Eq(Pr(sp.And(sp.Ne(Y_HAT, Y), sp.Eq(Y_FGS, Y))), 0)
"""(II): FGS turns no misclassification into the right class."""
TWO_ASSUMPTIONS = sp.Le(R_INF, mixture(from_average(MU[K], L1, EPS)))
OWN_RADIUS = indicator(sp.Eq(Y, Y_HAT)) * nearest(X, L1).xreplace({K: Y})
OPTIMAL = chain(
    R_STAR, sp.Eq, Pr(sp.And(sp.Eq(Y, Y_HAT), nearest(X, L1).xreplace({K: Y}) > EPS)),
    sp.Le, mixture(nearest(MU[K], L1)) / EPS, sp.Le, mixture(from_average(MU[K], L1)) / EPS,
)  # fmt: skip
AREA = sp.Symbol(r"\int_0^\infty r_\infty^*(\epsilon)\,\mathrm{d}\epsilon", real=True)


def unbiased(norm: type[sp.Function], scale: sp.Expr | int = 1) -> sp.Expr:
    """A term of (6), which has no biases."""
    return QUOTIENT(INNER(W_OF[K] - W_BAR, MU[K]), scale * norm(W_OF[K] - W_BAR))


def survivors(law: FiniteLaw, model: Multiclass, eps: Fraction, *, weak: bool = False) -> list[Fraction]:
    """Pr(attacked prediction = k | y = yhat = k) for each class, for FGS or for the weak step of (I)."""
    attack = model.weakly_attacked if weak else model.attacked
    return [
        given.probability(lambda y, x: model.correct(y, attack(y, x, eps)))
        for _, _, given in class_terms(law, model)
    ]


def assumption_one(law: FiniteLaw, model: Multiclass, eps: Fraction) -> bool:
    """(I), given y = yhat = k: in no class does FGS leave more survivors than the weak step."""
    pairs = zip(survivors(law, model, eps), survivors(law, model, eps, weak=True), strict=True)
    return all(fgs <= weak for fgs, weak in pairs)


def corrected(law: FiniteLaw, model: Multiclass, eps: Fraction) -> Fraction:
    """Pr(FGS turns a misclassification into the right class); assumption (II) says it is 0."""
    return law.probability(
        lambda y, x: not model.correct(y, x) and model.correct(y, model.attacked(y, x, eps))
    )


def optimal_r_inf(law: FiniteLaw, model: Multiclass, eps: Fraction) -> Fraction:
    """The accuracy when each example meets its worst perturbation: the best step against each rival."""

    def survives(y: int, x: tuple[Fraction, ...]) -> bool:
        steps = (tuple(xi - eps * sign(vi) for xi, vi in zip(x, v, strict=True)) for v, _ in model.rivals(y))
        return model.correct(y, x) and all(model.correct(y, moved) for moved in steps)

    return law.probability(survives)


def weak_cost(k: sp.Expr = K) -> sp.Expr:
    """What the weak step takes from the lead over the average."""
    return EPS * L1(W_OF[k] - W_BAR)


def attacked_population(seed: int) -> Iterator[Case]:
    """Random and tight distributions at two radii, as they are and without the points that FGS corrects."""
    yield two_classes_case((1, 0, [1]), (1, 1, [-1]), eps="0")
    for example in (WITHOUT_ONE, WITHOUT_TWO, *tight_multiclass(), *random_multiclass(seed, 6)):
        for eps in (example.eps, example.eps / 10):
            model = example.model
            yield multiclass_case(Example(example.law, model, eps))
            kept = [a for a in example.law.atoms if not _corrects(model, a.label, a.x, eps)]
            if kept:
                law = FiniteLaw.of((a.mass, a.label, a.x) for a in kept)
                yield multiclass_case(Example(law, model, eps))


def softmax_at_origin(biases: list[int], y: int) -> Case:
    """Three classes at x = 0, where the scores are the biases."""
    case = softmax_case([[1, -2], [3, 0], [0, 5]], biases, y)
    return {**case, W_BAR: sum(case[W_OF].values()) * Fraction(1, 3)}


@statement(
    "prop-uniform-softmax",
    kind="proposition",
    title="The weak step of (I) is FGS for an undecided softmax",
    source="this book",
    status="proved",
    uses=("prop-cross-entropy-gradient",),
    hypotheses={"undecided": Every(sp.Eq(SOFTMAX[K], 1 / C), K)},
    claims={
        "gradient": sp.Eq(GRADIENT, -(W_OF[Y] - Total(SOFTMAX[K] * W_OF[K], K))),
        "uniform": sp.Eq(GRADIENT, -(W_OF[Y] - W_BAR)),
    },
    cases=lambda: (softmax_at_origin([0, 0, 0], y) for y in range(3)),
    without={"undecided": lambda: softmax_at_origin([1, 0, 0], 0)},
)
def uniform_softmax(gradient: sp.Eq, uniform: sp.Eq) -> None:
    r"""With the softmax $p$ of the scores the gradient of the cross-entropy is $<<gradient>>$. If
    $<<undecided>>$, it is $<<uniform>>$, so that FGS steps along $-\epsilon\,\mathrm{sgn}(w_y - \bar w)$.
    A single step of FGS is the weak step wherever all scores agree.
    """
    level = gradient.rhs.replace(Total, lambda body, k, _: sp.Sum(body.subs(SOFTMAX[K], 1 / C), (k, 1, C)))
    mean = sp.Sum(W_OF[K], (K, 1, C)) / C
    assert sp.simplify(level.doit() - uniform.rhs.subs(W_BAR, mean)) == 0


@statement(
    "lem-weak-survivors",
    kind="lemma",
    title="Who survives the weak step",
    source="this book",
    status="proved",
    uses=("lem-averaging", "lem-fgs-margin"),
    hypotheses={"survives": sp.Eq(Y_WEAK, K)},
    claims={"step": sp.Eq(X_WEAK, X - EPS * SGN(W_OF[K] - W_BAR)), "score": average_lead(X) > weak_cost()},
    cases=lambda: attacked_points(71),
    without={"survives": lambda: next(c for c in attacked_points(71) if c[Y_WEAK] != c[K])},
)
def weak_survivors(step: sp.Eq, score: sp.Gt) -> None:
    r"""If $x'$ with $<<step>>$ is still in class $k$, $<<survives>>$, then $<<score>>$."""
    # at x' class k leads over every other by m_e > 0, so over the average by their mean (lem-averaging)
    e = sp.Symbol("e", integer=True)
    ahead = sp.IndexedBase("m", positive=True)
    assert (sp.Sum(ahead[e], (e, 1, C)) / C).is_positive
    # and the step takes eps ||w_k - wbar||_1 from that lead: a sum over coordinates, of which one is enough
    x, b, b_bar, eps = sp.symbols("x b bbar epsilon", real=True)
    for u in SIGN_BRANCHES:
        one = {
            K: 0,
            W_OF: {0: array([u])},
            W_BAR: array([0]),
            B_OF: {0: b},
            B_BAR: b_bar,
            EPS: eps,
            X: array([x]),
        }
        moved = {**one, X_WEAK: evaluate(step.rhs, one)}
        assert holds(sp.Eq(average_lead(X_WEAK), score.lhs - score.rhs), moved)
    assert isinstance(score, sp.Gt)


def attacked_points(seed: int) -> Iterator[Case]:
    """Every point, with its label as k, at radii that it survives and others."""
    for case in attacked_population(seed):
        for _, outcome in case[OUTCOMES]:
            yield {**case, **outcome, K: outcome[Y]}


@statement(
    "prop-rinf-two-assumptions",
    kind="proposition",
    title="The $r_\\infty$ half of GZZC Theorem 3.2 under (I) and (II)",
    source="this book; paper, Theorem 3.2, equation (6), right",
    status="kernel proved, glue argued",
    uses=(
        "def-metrics",
        "lem-expectation",
        "lem-markov",
        "lem-averaging",
        "lem-weak-survivors",
        "prop-cross-entropy-gradient",
    ),
    hypotheses={"one": FGS_BEATS_WEAK, "two": NO_CORRECTION, "radius": EPS > 0, "finite": FINITE},
    claims={"bound": TWO_ASSUMPTIONS},
    cases=lambda: attacked_population(72),
    without={
        "one": lambda: multiclass_case(WITHOUT_ONE),
        "two": lambda: multiclass_case(WITHOUT_TWO),
        "radius": lambda: two_classes_case((1, 0, [1]), (1, 1, [-1]), eps="-1/2"),
        "finite": EVERY_FINITE,
    },
)
def rinf_two_assumptions(bound: sp.Le) -> None:
    r"""Let $\hat y(\check x)$ be the prediction after FGS, and $\hat y(x')$ that after the weak step
    $x' = x - \epsilon\,\mathrm{sgn}(w_y - \bar w)$. Assume $<<radius>>$, $<<finite>>$ and

    - (I) in no class does FGS leave more of the correctly classified points than the weak step:
      $<<one>>$;
    - (II) FGS corrects no misclassification: $<<two>>$.

    Then for all priors and accuracies, with biases, $$<<bound>> .$$
    """
    survives = indicator(sp.Eq(Y_FGS, Y))  # r_inf is its mean
    corrected_now = indicator(sp.And(sp.Ne(Y_HAT, Y), sp.Eq(Y_FGS, Y)))  # whose mean is 0 by (II)
    split = sp.Eq(survives, indicator(sp.Eq(Y, Y_HAT)) * survives + corrected_now)
    assert all(holds(split, {Y: 0, Y_HAT: before, Y_FGS: after}) for before in (0, 1) for after in (0, 1))
    assert sp.Eq(Pr(corrected_now.args[0]), 0) == NO_CORRECTION
    fgs = conditioned(indicator(RIGHT) * indicator(sp.Eq(Y_FGS, K)))  # class by class
    weak = fgs.subs(*FGS_BEATS_WEAK.body.args)  # no fewer, by (I)
    leading = weak.subs(sp.Eq(Y_WEAK, K), average_lead(X) > weak_cost())  # lem-weak-survivors
    markov = at_mean(by_markov(leading))  # given y = yhat = k the lead over the average is positive
    assert linear(markov) == linear(plain(bound.rhs.body))
    assert isinstance(bound, sp.Le)
    assert bound.lhs == R_INF


def fair_population(seed: int) -> Iterator[Case]:
    """The same, with equal priors and accuracies and no biases, at two radii and at 0."""
    yield two_classes_case((1, 0, [1]), (1, 1, [-1]), eps="0")
    for example in (WITHOUT_ONE, WITHOUT_TWO, *tight_multiclass(), *random_multiclass(seed, 8)):
        for eps in (example.eps, example.eps / 10):
            model = Multiclass(example.model.rows)
            kept = [a for a in example.law.atoms if not _corrects(model, a.label, a.x, eps)]
            for atoms in (example.law.atoms, kept):
                law = FiniteLaw.of((a.mass, a.label, a.x) for a in atoms)
                if (balanced := fair(Example(law, model, eps), Fraction(4, 5))) is not None:
                    yield multiclass_case(balanced)


def biased_case() -> Case:
    """Three classes on a line with biases, where r_2 = 1 and the bound without them is 2/3."""
    model = Multiclass(tuple(vector([w]) for w in (-1, 0, 2)), vector((3, 2, -3)))
    law = FiniteLaw.of([(1, k, [x]) for k, x in enumerate((0, 2, 4))])
    return multiclass_case(Example(law, model, Fraction(1, 100)))


@statement(
    "thm-3-2",
    kind="theorem",
    title="GZZC Theorem 3.2: the sparsity and robustness of multi-class linear classifiers",
    source="paper, Theorem 3.2, equation (6)",
    status="kernel proved, glue argued",
    uses=("cor-3-2-r2", "prop-rinf-two-assumptions"),
    hypotheses={
        "balanced": BALANCED,
        "accuracy": EQUAL_ACCURACY,
        "one": FGS_BEATS_WEAK,
        "two": NO_CORRECTION,
        "unbiased": Every(sp.Eq(B_OF[K], 0), K),
        "some": T > 0,
        "radius": EPS > 0,
        "finite": FINITE,
    },
    claims={
        "r_2": sp.Le(R_2, T / C * Total(unbiased(L2), K)),
        "r_inf": sp.Le(R_INF, T / C * Total(unbiased(L1, EPS), K)),
    },
    cases=lambda: fair_population(73),
    without={
        "balanced": unequal_priors,
        "accuracy": unequal_accuracies,
        "one": lambda: multiclass_case(WITHOUT_ONE),
        "two": lambda: multiclass_case(WITHOUT_TWO),
        "unbiased": biased_case,
        "some": lambda: two_classes_case((1, 0, [-1]), (1, 1, [1]), eps="1/2"),
        "radius": lambda: two_classes_case((1, 0, [1]), (1, 1, [-1]), eps="-1/2"),
        "finite": EVERY_FINITE,
    },
)
def theorem_3_2(r_2: sp.Le, r_inf: sp.Le) -> None:
    r"""Suppose that $P_y(k) = \pi_k$ with $<<balanced>>$, and an obtained linear classifier achieves the same
    expected accuracy on different classes, $<<accuracy>>$, then we have

    $$<<r_2>> \qquad\text{and}\qquad <<r_inf>>$$

    under two additional assumptions: (I) FGS achieves higher per-class success rates than a weaker
    perturbation like $-\epsilon \cdot \mathrm{sgn}(w_y - \bar w)$, $<<one>>$; (II) the FGS perturbation does
    not correct misclassifications, $<<two>>$.

    (As the paper means it and we read it: $<<unbiased>>$, $<<some>>$, $<<radius>>$, $<<finite>>$, and (I)
    among the points of each class that are classified correctly.)
    """
    for claim, general in ((r_2, R2_HALF[1].rhs), (r_inf, Total(TWO_ASSUMPTIONS.rhs.body.subs(FAIR), K))):
        assert isinstance(claim, sp.Le)
        body = general.replace(Total, lambda term, index, _: term)  # one term, with its factor t / c
        stated = claim.rhs.replace(Total, lambda term, index, _: term)
        assert linear(plain(stated)) == linear(plain(body).subs({B_OF[K]: 0, B_BAR: 0}))
    assert (r_2.lhs, r_inf.lhs) == (R2_HALF[0].lhs, TWO_ASSUMPTIONS.lhs)


def optimal_population(seed: int) -> Iterator[Case]:
    """Random and tight distributions at two radii, with the accuracy under the best attack and its area."""
    yield {**two_classes_case((1, 0, [1]), (1, 1, [-1]), eps="0"), R_STAR: Fraction(1), AREA: Fraction(1)}
    for example in (WITHOUT_ONE, WITHOUT_TWO, *tight_multiclass(), *random_multiclass(seed, 6)):
        for eps in (example.eps, example.eps / 8):
            law, model = example.law, example.model
            yield {
                **multiclass_case(Example(law, model, eps)),
                R_STAR: optimal_r_inf(law, model, eps),
                AREA: optimal_area(law, model),
            }


@statement(
    "prop-rinf-optimal",
    kind="proposition",
    title="Under the optimal attack neither (I) nor (II) is needed",
    source="this book",
    status="kernel proved, glue argued",
    uses=("lem-expectation", "lem-markov", "prop-distance-classes", "prop-pointwise-margin"),
    hypotheses={"radius": EPS > 0, "finite": FINITE},
    claims={"bounds": OPTIMAL, "area": sp.Eq(AREA, Mean(OWN_RADIUS))},
    cases=lambda: optimal_population(74),
    without={
        "radius": lambda: {
            **two_classes_case((1, 0, [1]), (1, 1, [-1]), eps="-1/2"), R_STAR: Fraction(1), AREA: Fraction(1)
        },
        "finite": EVERY_FINITE,
    },
)  # fmt: skip
def rinf_optimal(bounds: tuple[sp.Basic, ...], area: sp.Eq) -> None:
    r"""Let $r_\infty^*$ be the accuracy when each example meets the worst perturbation with
    $\lVert \Delta \rVert_\infty \le \epsilon$. If $<<radius>>$ and $<<finite>>$, then for all priors and
    accuracies, with biases,

    $$<<bounds>> ;$$

    the last is the right half of (6). Moreover, $$<<area>> .$$
    """
    _, survival, sharp, printed = sides(bounds)
    # no rival is reached iff each lead exceeds its largest drop, eps ||v_e||_1 (prop-distance-classes)
    eps, score, norm = sp.symbols("epsilon S N", positive=True)
    assert sp.solve(score - eps * norm, eps) == [score / norm]
    radius = nearest(X, L1)
    assert survival == Pr(sp.And(sp.Eq(Y, Y_HAT), (radius > EPS).xreplace({K: Y})))
    by_class = conditioned(indicator(RIGHT) * indicator(radius > EPS))
    smaller = least_of_means(by_markov(by_class))
    assert linear(smaller) == linear(plain(sharp * Total(1, K)).replace(Total, lambda body, k, _: body))
    assert [type(relation) for relation in bounds] == [sp.Eq, sp.Le, sp.Le]
    outer = [side.replace(L2, L1).subs(X, MU[K]) for side in (sides(POINTWISE)[0], sides(POINTWISE)[2])]
    assert [total * EPS for total in (sharp, printed)] == [mixture(side) for side in outer]
    # the area: an example of radius r survives on [0, r)
    r, at = sp.Symbol("r", positive=True), sp.Symbol("s", nonnegative=True)
    assert sp.integrate(sp.Piecewise((1, at < r), (0, True)), (at, 0, sp.oo)) == r
    assert area.rhs == Mean(OWN_RADIUS)


def optimal_area(law: FiniteLaw, model: Multiclass) -> Fraction:
    """The area under eps -> r_inf*(eps), summed exactly over the steps of the curve."""
    right = [a for a in law.atoms if model.correct(a.label, a.x)]
    jumps = sorted(
        {min((dot(v, a.x) + beta) / l1(v) for v, beta in model.rivals(a.label) if any(v)) for a in right}
    )
    swept = left = Fraction(0)
    for jump in jumps:
        swept, left = swept + (jump - left) * optimal_r_inf(law, model, left), jump
    assert optimal_r_inf(law, model, left) == 0, "the curve has not reached zero"
    return swept


def _corrects(model: Multiclass, y: int, x: tuple[Fraction, ...], eps: Fraction) -> bool:
    return not model.correct(y, x) and model.correct(y, model.attacked(y, x, eps))
