"""The r_inf half of Theorem 3.2: FGS under (I) and (II), and the optimal attack without them."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.linear.notation import A, Z
from sparse_robust.proofs.linear.theorem_3_1.paper import MARKOV
from sparse_robust.proofs.statement import Mean, statement
from sparse_robust.theory.laws import FiniteLaw, Multiclass, dot, l1, sign

from .paper import class_terms, printed, random_cases, sharper


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


@statement(
    "prop-uniform-softmax",
    kind="proposition",
    title="The weak step of (I) is FGS for an undecided softmax",
    source="this book",
    status="proved",
    uses=("prop-cross-entropy-gradient",),
)
def uniform_softmax() -> None:
    r"""The gradient of the cross-entropy at $x$ is $-(w_y - \sum_e p_e w_e)$, where $p$ is the softmax of the
    scores. For $p_e = 1/c$ it is $-(w_y - \bar w)$, so that FGS steps along
    $-\epsilon\,\mathrm{sgn}(w_y - \bar w)$. A single step of FGS is the weak step wherever all scores agree.
    """
    c, e, y = (sp.Symbol(s, integer=True, positive=True) for s in ("c", "e", "y"))
    w, p = sp.IndexedBase("w", real=True), sp.IndexedBase("p", positive=True)
    gradient = -(w[y] - sp.Sum(p[e] * w[e], (e, 1, c)))
    uniform = gradient.replace(lambda term: isinstance(term, sp.Indexed) and term.base == p, lambda _: 1 / c)
    assert sp.simplify(uniform + w[y] - sp.Sum(w[e], (e, 1, c)) / c) == 0
    for law, model, eps in random_cases(seed=70, count=10):
        level = Multiclass(model.rows)
        origin = tuple(Fraction(0) for _ in model.rows[0])  # all scores agree at 0 without biases
        for k in law.labels:
            assert level.attacked(k, origin, eps) == level.weakly_attacked(k, origin, eps)


@statement(
    "lem-weak-survivors",
    kind="lemma",
    title="Who survives the weak step",
    source="this book",
    status="proved",
    uses=("lem-averaging", "lem-fgs-margin"),
)
def weak_survivors() -> None:
    r"""If $x' = x - \epsilon\,\mathrm{sgn}(w_k - \bar w)$ is still in class $k$, then
    $(w_k - \bar w)^T x + b_k - \bar b > \epsilon \lVert w_k - \bar w \rVert_1$.
    """
    c, e = (sp.Symbol(s, integer=True, positive=True) for s in ("c", "e"))
    left = sp.IndexedBase("m", nonnegative=True)  # v_e.x' + beta_e, positive for e != k and 0 for e = k
    assert (sp.Sum(left[e], (e, 1, c)) / c).is_nonnegative  # (w_k - wbar).x' + b_k - bbar, by averaging
    count = 0
    for law, model, eps in random_cases(seed=71):
        for a in law.atoms:
            v, beta = model.centred(a.label)
            score, moved = dot(v, a.x) + beta, model.weakly_attacked(a.label, a.x, eps)
            assert dot(v, moved) + beta == score - eps * l1(v)  # Hölder's equality case
            if model.correct(a.label, moved):
                count += 1
                assert score > eps * l1(v)
    assert count > 20  # the premise does occur


@statement(
    "prop-rinf-two-assumptions",
    kind="proposition",
    title="The $r_\\infty$ half of Theorem 3.2 under (I) and (II)",
    source="this book; paper, Theorem 3.2, equation (6), right",
    status="proved",
    uses=("lem-expectation", "lem-markov", "lem-weak-survivors"),
)
def rinf_two_assumptions() -> None:
    r"""Assume, for a given $\epsilon > 0$, (I) in the form that for each $k$, among the points with
    $y = \hat y = k$, FGS leaves at most as many in class $k$ as the weak step
    $-\epsilon\,\mathrm{sgn}(w_k - \bar w)$; and (II), that FGS corrects no misclassification. Then, for all
    priors and with biases,

    $$r_\infty \le \sum_k \pi_k t_k
      \frac{(w_k - \bar w)^T \mu_k + b_k - \bar b}{\epsilon \lVert w_k - \bar w \rVert_1} .$$
    """
    mean, level = sp.symbols("M a", positive=True)
    assert MARKOV[-1].rhs.subs({Mean(Z): mean, A: level}) == mean / level  # with a = eps ||w_k - wbar||_1
    count = 0
    for law, model, eps in random_cases(seed=72, count=25):
        for radius in (eps, eps / 10):
            kept = law.given(lambda y, x: not _corrects(model, y, x, radius))  # noqa: B023 (used at once)
            assert corrected(kept, model, radius) == 0
            if assumption_one(kept, model, radius):
                count += model.r_inf(kept, radius) > 0
                terms = zip(class_terms(kept, model), survivors(kept, model, radius), strict=True)
                assert model.r_inf(kept, radius) == sum((mass * p for (_, mass, _), p in terms), Fraction(0))
                assert model.r_inf(kept, radius) <= printed(kept, model, "1")[1] / radius
    assert count > 20  # the premises do occur, with survivors


@statement(
    "thm-3-2",
    kind="theorem",
    title="The paper's Theorem 3.2: the sparsity and robustness of multi-class linear classifiers",
    source="paper, Theorem 3.2, equation (6)",
    status="proved",
    uses=("cor-3-2-r2", "prop-rinf-two-assumptions"),
)
def theorem_3_2() -> None:
    r"""Suppose that $P_y(k) = 1/c$ for $k \in \{1, \dots, c\}$, and an obtained linear classifier
    achieves the same expected accuracy $t$ on different classes, then we have

    $$r_2 \le \frac tc \sum_{k=1}^c \frac{(w_k - \bar w)^T \mu_k}{\lVert w_k - \bar w \rVert_2}
      \qquad\text{and}\qquad
      r_\infty \le \frac tc \sum_{k=1}^c
      \frac{(w_k - \bar w)^T \mu_k}{\epsilon \lVert w_k - \bar w \rVert_1}$$

    under two additional assumptions: (I) FGS achieves higher per-class success rates than a weaker
    perturbation like $-\epsilon \cdot \mathrm{sgn}(w_y - \bar w)$, (II) the FGS perturbation does not correct
    misclassifications. (Without bias, and with (I) read among the points of each class that are
    classified correctly.)
    """
    count = 0
    for law, with_bias, eps in random_cases(seed=73, count=40):
        model = Multiclass(with_bias.rows)
        kept = [a for a in law.atoms if not _corrects(model, a.label, a.x, eps)]
        right = {a.label for a in kept if model.correct(a.label, a.x)}
        wrong = {a.label for a in kept if not model.correct(a.label, a.x)}
        if right != set(law.labels):
            continue
        t = Fraction(4, 5) if wrong == right else Fraction(1)
        fair = FiniteLaw.of((a.mass, a.label, a.x) for a in kept).balanced(model.correct, t)
        if assumption_one(fair, model, eps):
            count += 1
            bound = Fraction(0)
            for k, _, given in class_terms(fair, model):
                v, _ = model.centred(k)
                bound += t / len(model.rows) * dot(v, given.mean()) / (eps * l1(v))
            assert model.r_inf(fair, eps) <= bound
    assert count > 10


@statement(
    "prop-rinf-optimal",
    kind="proposition",
    title="Under the optimal attack neither (I) nor (II) is needed",
    source="this book",
    status="proved",
    uses=("lem-expectation", "lem-markov", "prop-distance-classes", "thm-3-2-plus"),
)
def rinf_optimal() -> None:
    r"""Let $r_\infty^*$ be the accuracy when each example meets the worst perturbation with
    $\lVert \Delta \rVert_\infty \le \epsilon$. For every law, all priors and accuracies, and with biases,

    $$r_\infty^* = \Pr\Bigl(y = \hat y,\;
        \min_{e \ne y} \frac{v_e^T x + \beta_e}{\lVert v_e \rVert_1} > \epsilon\Bigr)
      \le \frac1\epsilon \sum_k \pi_k t_k \min_{e \ne k} \frac{v_e^T \mu_k + \beta_e}{\lVert v_e \rVert_1},$$

    which is at most the right half of (6), and
    $\int_0^\infty r_\infty^*(\epsilon)\,\mathrm{d}\epsilon
     = \mathbb{E}\bigl(1_{y = \hat y} \min_{e \ne y} (v_e^T x + \beta_e) / \lVert v_e \rVert_1\bigr)$.
    """
    eps, score, norm = sp.symbols("epsilon S N", positive=True)
    # one rival can be reached iff its score, less the largest drop eps ||v_e||_1, is not positive
    assert sp.solve(score - eps * norm, eps) == [score / norm]
    for law, model, radius in random_cases(seed=74):
        radii = {
            a: min((dot(v, a.x) + beta) / l1(v) for v, beta in model.rivals(a.label))
            for a in law.atoms
            if model.correct(a.label, a.x)
        }
        area = sum((a.mass * r for a, r in radii.items()), Fraction(0))
        left, swept = Fraction(0), Fraction(0)
        for jump in sorted(set(radii.values())):
            swept, left = swept + (jump - left) * optimal_r_inf(law, model, left), jump
        assert swept == area
        for size in (radius, radius / 8):
            exact = optimal_r_inf(law, model, size)
            assert exact == sum((a.mass for a, r in radii.items() if r > size), Fraction(0))
            assert exact <= sharper(law, model, "1")[1] / size
            assert sharper(law, model, "1")[0] <= printed(law, model, "1")[1]


def _corrects(model: Multiclass, y: int, x: tuple[Fraction, ...], eps: Fraction) -> bool:
    return not model.correct(y, x) and model.correct(y, model.attacked(y, x, eps))
