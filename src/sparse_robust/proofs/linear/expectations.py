"""What all statements about means rest on, cited from any text on measure."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from sparse_robust.proofs.formulas import OUTCOMES, Case, Mean, Pr, indicator
from sparse_robust.proofs.statement import statement

LEFT, RIGHT_VALUE, EVENT = sp.Symbol("U", real=True), sp.Symbol("V", real=True), sp.Symbol("A")
FACTOR, OTHER_FACTOR = sp.symbols("a b", real=True)
AREA = sp.Symbol(r"\int_0^\infty g_s \,\mathrm{d}s", nonnegative=True)
MEAN_OUTSIDE = sp.Symbol(r"\int_0^\infty \mathbb{E}\,g_s \,\mathrm{d}s", nonnegative=True)


def means_case(*outcomes: tuple[str, int, int, int], factors: tuple[int, int] = (2, -3)) -> Case:
    """Outcomes (probability, U, V, whether A happens), with the triangle g_s = max(V - s, 0)."""
    s = sp.Symbol("s", nonnegative=True)
    triangles = {v: sp.Piecewise((v - s, s < v), (0, True)) for _, _, v, _ in outcomes}
    mean = sum(sp.Rational(p) * triangles[v] for p, _, v, _ in outcomes)
    named = [(p, {LEFT: u, RIGHT_VALUE: v, EVENT: e}, triangles[v]) for p, u, v, e in outcomes]
    return {
        OUTCOMES: [(Fraction(p), {**c, AREA: sp.integrate(g, (s, 0, sp.oo))}) for p, c, g in named],
        FACTOR: factors[0],
        OTHER_FACTOR: factors[1],
        MEAN_OUTSIDE: sp.integrate(mean, (s, 0, sp.oo)),
    }


def means_cases() -> list[Case]:
    """Equal variables and different ones; events that are certain and that are not."""
    return [
        means_case(("1/2", 1, 1, 1), ("1/2", 3, 3, 0)),
        means_case(("1/3", -1, 2, 1), ("2/3", 4, 4, 1)),
        means_case(("1/4", 0, 0, 0), ("1/4", -2, 1, 1), ("1/2", 1, 5, 1), factors=(1, 1)),
    ]


@statement(
    "lem-expectation",
    kind="lemma",
    title="What is used about expectations",
    source="any text on measure, for example Billingsley, Probability and Measure",
    status="cited",
    hypotheses={"below": sp.Eq(Pr(LEFT <= RIGHT_VALUE), 1), "possible": sp.Gt(Pr(EVENT), 0)},
    without={
        "below": lambda: means_case(("1/2", 5, 1, 1), ("1/2", 0, 1, 1)),
        "possible": lambda: means_case(("1", 1, 1, 0)),
    },
    claims={
        "linear": sp.Eq(
            Mean(FACTOR * LEFT + OTHER_FACTOR * RIGHT_VALUE),
            FACTOR * Mean(LEFT) + OTHER_FACTOR * Mean(RIGHT_VALUE),
        ),
        "monotone": sp.Le(Mean(LEFT), Mean(RIGHT_VALUE)),
        "given": sp.Eq(Mean(indicator(EVENT) * LEFT), Pr(EVENT) * Mean(LEFT, EVENT)),
        "tonelli": sp.Eq(MEAN_OUTSIDE, Mean(AREA)),
    },
    cases=means_cases,
)
def expectation(linear: sp.Eq, **_: sp.Basic) -> None:
    r"""Expectation is linear and, for $<<below>>$, monotone:

    $$<<linear>>, \qquad <<monotone>> .$$

    For $<<possible>>$, $<<given>>$. For $g \ge 0$ it may be exchanged with an integral (Tonelli),

    $$<<tonelli>> .$$

    For a finite distribution, a test set for instance, these are facts about finite sums, and the check
    proves linearity and monotonicity for sums of every length.
    """
    n, i = sp.Symbol("n", integer=True, positive=True), sp.Symbol("i", integer=True)
    p, gap = (sp.IndexedBase(s, nonnegative=True) for s in ("p", "g"))
    values = {LEFT: sp.IndexedBase("x", real=True)[i], RIGHT_VALUE: sp.IndexedBase("y", real=True)[i]}

    def sums(formula: sp.Expr) -> sp.Expr:
        return formula.replace(Mean, lambda body, given: sp.Sum(p[i] * body.subs(values), (i, 1, n)))

    assert sp.simplify(sums(linear.lhs).expand() - sums(linear.rhs)) == 0
    assert sp.Sum(p[i] * gap[i], (i, 1, n)).is_nonnegative  # E(V - U) >= 0 where V - U = g >= 0 pointwise
