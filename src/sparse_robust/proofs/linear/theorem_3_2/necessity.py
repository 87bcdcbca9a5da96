"""Neither assumption of Theorem 3.2 can be dropped, nor (I) be read too generously: exact counterexamples."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import sympy as sp

from sparse_robust.proofs.formulas import Case, Every, Pr, chain, evaluate
from sparse_robust.proofs.foundations.notation import EPS, R_INF, K, Y, array, matrix, written
from sparse_robust.proofs.linear.notation import ACCURACY, Y_FGS, Y_WEAK, multiclass_case
from sparse_robust.proofs.linear.populations import UNCONDITIONAL_ONE, WITHOUT_ONE, WITHOUT_TWO, Example
from sparse_robust.proofs.statement import REGISTERED, statement

from .attack import FGS_BEATS_WEAK, NO_CORRECTION, assumption_one, survivors
from .evaluation import printed
from .paper import BALANCED


def bound(example: Example) -> Fraction:
    """The right half of (6)."""
    low, high = printed(example.law, example.model, "1")
    assert low == high
    return low / example.eps


def r_inf(example: Example) -> Fraction:
    """The accuracy under FGS."""
    return example.model.r_inf(example.law, example.eps)


WEIGHTS, POINT = sp.Symbol("W", real=True), sp.IndexedBase("x", real=True)
RIGHT_HALF = sp.Symbol(r"\text{right half of (6)}", real=True)


def example_case(example: Example) -> Case:
    """The distribution, with its weights and points as the page lists them, class by class."""
    case = multiclass_case(example)
    points = sorted(example.law.atoms, key=lambda a: a.label)
    r_inf = REGISTERED["thm-3-2"].claims["r_inf"]
    assert isinstance(r_inf, sp.Rel)
    return {
        **case,
        WEIGHTS: np.array(example.model.rows, dtype=object).T,
        POINT: {i: array(a.x) for i, a in enumerate(points, 1)},
        RIGHT_HALF: evaluate(r_inf.rhs, case),
    }


@statement(
    "cex-assumption-one",
    kind="counterexample",
    title="Assumption (I) cannot be dropped",
    source="this book",
    status="checked exactly on an example",
    uses=("prop-cross-entropy-gradient",),
    claims={
        "weights": sp.Eq(WEIGHTS, matrix((0, -2, 1), (0, 1, -10))),
        "radius": sp.Eq(EPS, 3),
        "first": sp.Eq(POINT[1], written(6, 2)),
        "second": sp.Eq(POINT[2], written("-1/10", "1/10")),
        "third": sp.Eq(POINT[3], written(0, "-1/10")),
        "two": NO_CORRECTION,
        "balanced": BALANCED,
        "accuracy": Every(sp.Eq(ACCURACY[K], 1), K),
        "r-inf": sp.Eq(R_INF, sp.Rational(1, 3)),
        "exceeds": chain(R_INF, sp.Gt, RIGHT_HALF, sp.Eq, sp.Rational(323, 1125)),
    },
    cases=lambda: [example_case(WITHOUT_ONE)],
    loose={"exceeds": "an example, which holds with something to spare"},
)
def without_one(**claims: object) -> None:
    r"""In $\mathbb{R}^2$ let $<<weights>>$ (column $k$ is $w_k$), $<<radius>>$, and mass $1/3$ each on
    class 1 at $<<first>>$, class 2 at $<<second>>$ and class 3 at $<<third>>$: $<<balanced>>$. All three
    points are classified correctly, $<<accuracy>>$, so that (II) holds: $<<two>>$. FGS leaves the first one
    in its class, although the weak step of (I) would not, and

    $$<<r-inf>> \qquad\text{but}\qquad <<exceeds>> .$$
    """
    example = WITHOUT_ONE
    assert survivors(example.law, example.model, example.eps) == [1, 0, 0]
    assert survivors(example.law, example.model, example.eps, weak=True) == [0, 0, 0]
    assert not assumption_one(example.law, example.model, example.eps)


@statement(
    "cex-assumption-two",
    kind="counterexample",
    title="Assumption (II) cannot be dropped",
    source="this book",
    status="checked exactly on an example",
    uses=("prop-cross-entropy-gradient",),
    hypotheses={"one": FGS_BEATS_WEAK},
    without={"one": "this example has it, to show that (II) is needed besides"},
    claims={
        "weights": sp.Eq(WEIGHTS, matrix((0, "-1/200", 0), (0, "1/150", "-1/6"))),
        "radius": sp.Eq(EPS, 5),
        "point-1": sp.Eq(POINT[1], written(7, 6)),
        "point-2": sp.Eq(POINT[2], written("1/100", "1/200")),
        "point-3": sp.Eq(POINT[3], written("-1/100", "1/100")),
        "point-4": sp.Eq(POINT[4], written("1/100", "1/200")),
        "point-5": sp.Eq(POINT[5], written(0, "-1/100")),
        "point-6": sp.Eq(POINT[6], written(5, 5)),
        "balanced": BALANCED,
        "accuracy": Every(sp.Eq(ACCURACY[K], sp.Rational(1, 2)), K),
        "corrected": sp.Eq(NO_CORRECTION.lhs, sp.Rational(1, 6)),
        "r-inf": sp.Eq(R_INF, sp.Rational(1, 6)),
        "exceeds": chain(R_INF, sp.Gt, RIGHT_HALF, sp.Eq, sp.Rational(949, 1138500)),
    },
    cases=lambda: [example_case(WITHOUT_TWO)],
    loose={"exceeds": "an example, which holds with something to spare"},
)
def without_two(**claims: object) -> None:
    r"""Let $<<weights>>$, $<<radius>>$ and mass $1/6$ each on class 1 at $<<point-1>>$ and $<<point-2>>$,
    class 2 at $<<point-3>>$ and $<<point-4>>$, class 3 at $<<point-5>>$ and $<<point-6>>$: $<<balanced>>$.
    Then $<<accuracy>>$, and (I) holds: $<<one>>$. But FGS carries the misclassified $x_1$ into its class,
    $<<corrected>>$, and

    $$<<r-inf>> \qquad\text{but}\qquad <<exceeds>> .$$
    """


@statement(
    "cex-assumption-one-unconditional",
    kind="counterexample",
    title="Assumption (I) must be read among the correctly classified points",
    source="this book",
    status="checked exactly on an example",
    uses=("prop-cross-entropy-gradient",),
    claims={
        "weights": sp.Eq(WEIGHTS, matrix((-3, -4, 3), (-4, -4, 1))),
        "radius": sp.Eq(EPS, 1),
        "point-1": sp.Eq(POINT[1], written("3/2", "-5/2")),
        "point-2": sp.Eq(POINT[2], written("-1/2", -4)),
        "point-3": sp.Eq(POINT[3], written("-1/100", 0)),
        "point-4": sp.Eq(POINT[4], written(-4, 6)),
        "point-5": sp.Eq(POINT[5], written(0, "1/100")),
        "point-6": sp.Eq(POINT[6], written(-6, -6)),
        "balanced": BALANCED,
        "accuracy": Every(sp.Eq(ACCURACY[K], sp.Rational(1, 2)), K),
        "two": NO_CORRECTION,
        "alike": Every(sp.Eq(Pr(sp.Eq(Y_FGS, K), sp.Eq(Y, K)), Pr(sp.Eq(Y_WEAK, K), sp.Eq(Y, K))), K),
        "r-inf": sp.Eq(R_INF, sp.Rational(1, 6)),
        "exceeds": chain(R_INF, sp.Gt, RIGHT_HALF, sp.Eq, sp.Rational(636, 7475)),
    },
    cases=lambda: [example_case(UNCONDITIONAL_ONE)],
    loose={"exceeds": "an example, which holds with something to spare"},
)
def unconditional_one(**claims: object) -> None:
    r"""The paper's wording of (I), "higher per-class success rates", can also be read over all points of a
    class. Then (6) fails even with (II), $<<two>>$. Let $<<weights>>$, $<<radius>>$ and mass $1/6$ each on
    class 1 at $<<point-1>>$ and $<<point-2>>$, class 2 at $<<point-3>>$ and $<<point-4>>$, class 3 at
    $<<point-5>>$ and $<<point-6>>$: $<<balanced>>$. Then $<<accuracy>>$, and FGS succeeds on exactly as many
    points of each class as the weak step, $<<alike>>$. The weak step takes the first point out of its class
    and brings the second one in; and

    $$<<r-inf>> \qquad\text{but}\qquad <<exceeds>> .$$
    """
    example = UNCONDITIONAL_ONE
    assert not assumption_one(example.law, example.model, example.eps)
