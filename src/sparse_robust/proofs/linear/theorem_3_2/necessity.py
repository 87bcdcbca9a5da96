"""Neither assumption of Theorem 3.2 can be dropped, nor (I) be read too generously: exact counterexamples."""

from __future__ import annotations

from fractions import Fraction

from sparse_robust.proofs.linear.populations import UNCONDITIONAL_ONE, WITHOUT_ONE, WITHOUT_TWO, Example
from sparse_robust.proofs.statement import statement
from sparse_robust.theory.laws import FiniteLaw

from .attack import assumption_one, corrected, survivors
from .evaluation import class_terms, printed

THIRD, SIXTH = Fraction(1, 3), Fraction(1, 6)


def bound(example: Example) -> Fraction:
    """The right half of (6)."""
    low, high = printed(example.law, example.model, "1")
    assert low == high
    return low / example.eps


def r_inf(example: Example) -> Fraction:
    """The accuracy under FGS."""
    return example.model.r_inf(example.law, example.eps)


def accuracies(example: Example) -> list[Fraction]:
    """Pr(yhat = k | y = k), after checking that the priors are equal."""
    c, law = len(example.model.rows), example.law
    assert all(sum(a.mass for a in law.atoms if a.label == k) == Fraction(1, c) for k in range(c))
    return [c * mass for _, mass, _ in class_terms(law, example.model)]


@statement(
    "cex-assumption-one",
    kind="counterexample",
    title="Assumption (I) cannot be dropped",
    source="this book",
    status="checked exactly on an example",
    uses=("prop-cross-entropy-gradient",),
)
def without_one() -> None:
    r"""In $\mathbb{R}^2$ let $c = 3$, $W = \begin{pmatrix} 0 & -2 & 1 \\ 0 & 1 & -10 \end{pmatrix}$ (column
    $k$ is $w_k$), $\epsilon = 3$, and mass $1/3$ each on class 1 at $(6, 2)$, class 2 at $(-1, 1)/10$ and
    class 3 at $(0, -1)/10$. All three points are classified correctly, $t = 1$, so that
    (II) holds. FGS leaves the first
    one in its class, although the weak step of (I) would not, and

    $$r_\infty = \frac13 > \frac{323}{1125} = \text{right half of (6)}.$$
    """
    example = WITHOUT_ONE
    assert accuracies(example) == [1, 1, 1]
    assert corrected(example.law, example.model, example.eps) == 0
    assert survivors(example.law, example.model, example.eps) == [1, 0, 0]
    assert survivors(example.law, example.model, example.eps, weak=True) == [0, 0, 0]
    assert not assumption_one(example.law, example.model, example.eps)
    assert r_inf(example) == THIRD
    assert bound(example) == Fraction(323, 1125) < r_inf(example)


@statement(
    "cex-assumption-two",
    kind="counterexample",
    title="Assumption (II) cannot be dropped",
    source="this book",
    status="checked exactly on an example",
    uses=("prop-cross-entropy-gradient",),
)
def without_two() -> None:
    r"""Let $W = \tfrac1{600} \begin{pmatrix} 0 & -3 & 0 \\ 0 & 4 & -100 \end{pmatrix}$, $\epsilon = 5$,
    $r = (1, \tfrac12)/100$ and mass $1/6$ each on class 1 at $(7, 6)$ and $r$, class 2 at $(-1, 1)/100$
    and $r$, class 3 at $(0, -1)/100$ and $(5, 5)$. Then $t = 1/2$ in each class and (I) holds, but FGS
    carries the misclassified point $(7, 6)$ into its class, and

    $$r_\infty = \frac16 > \frac{949}{1138500} = \text{right half of (6)}.$$
    """
    example = WITHOUT_TWO
    assert accuracies(example) == [Fraction(1, 2)] * 3
    assert assumption_one(example.law, example.model, example.eps)
    assert corrected(example.law, example.model, example.eps) == SIXTH
    assert r_inf(example) == SIXTH
    assert bound(example) == Fraction(949, 1138500) < r_inf(example)


@statement(
    "cex-assumption-one-unconditional",
    kind="counterexample",
    title="Assumption (I) must be read among the correctly classified points",
    source="this book",
    status="checked exactly on an example",
    uses=("prop-cross-entropy-gradient",),
)
def unconditional_one() -> None:
    r"""The paper's wording of (I), "higher per-class success rates", can also be read over all points of a
    class. Then (6) fails even with (II). Let
    $W = \begin{pmatrix} -3 & -4 & 3 \\ -4 & -4 & 1 \end{pmatrix}$, $\epsilon = 1$ and mass $1/6$ each on
    class 1 at $(\tfrac32, -\tfrac52)$ and $(-\tfrac12, -4)$, class 2 at $(-1, 0)/100$ and $(-4, 6)$, class 3
    at $(0, 1)/100$ and $(-6, -6)$. Then $t = 1/2$ in each class, FGS corrects nothing and succeeds on exactly
    as many points of each class as the weak step, which takes the first point out of its class and brings
    the second one in; and

    $$r_\infty = \frac16 > \frac{636}{7475} = \text{right half of (6)}.$$
    """
    example = UNCONDITIONAL_ONE
    model, law, eps = example.model, example.law, example.eps
    assert accuracies(example) == [Fraction(1, 2)] * 3
    assert corrected(law, model, eps) == 0
    for k in law.labels:
        in_class = FiniteLaw.of((a.mass, k, a.x) for a in law.atoms if a.label == k)
        fgs = in_class.probability(lambda y, x: model.correct(y, model.attacked(y, x, eps)))
        weak = in_class.probability(lambda y, x: model.correct(y, model.weakly_attacked(y, x, eps)))
        assert fgs == weak
    assert not assumption_one(law, model, eps)
    assert r_inf(example) == SIXTH
    assert bound(example) == Fraction(636, 7475) < r_inf(example)
