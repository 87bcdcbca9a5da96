"""The machinery of statements: what is printed is what is checked, and an edit of either turns it red."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp

from sparse_robust.proofs.formulas import (
    OUTCOMES,
    Case,
    Every,
    Least,
    Mean,
    Pr,
    Total,
    chain,
    evaluate,
    holds,
    latex,
    operator,
)
from sparse_robust.proofs.statement import REGISTERED, Statement, statement

A, X, K = sp.symbols("a X k")
P = sp.IndexedBase("p")
MARKOV = chain(Pr(X > A), sp.Le, Pr(X >= A), sp.Le, Mean(X) / A)


def mass(*outcomes: tuple[str, int], level: int = 1) -> Case:
    return {A: Fraction(level), OUTCOMES: [(Fraction(p), {X: Fraction(x)}) for p, x in outcomes]}


def cases() -> Iterator[Case]:
    yield mass(("1/2", 0), ("1/4", 1), ("1/4", 5))
    yield {**mass(("1", 1)), A: Fraction(999, 1000)}


def example() -> Statement:
    return Statement(
        label="lem-example",
        kind="lemma",
        title="Markov",
        prose="If $<<level>>$ and $<<sign>>$: $<<markov>>$",
        source="folklore",
        status="argued",
        uses=(),
        proof=lambda markov: None,
        hypotheses={"level": A > 0, "sign": sp.Eq(Pr(X >= 0), 1)},
        claims={"markov": MARKOV},
        cases=cases,
        without={
            "level": lambda: mass(("1", 1), level=0),
            "sign": lambda: mass(("9/10", -1), ("1/10", 10), level=5),
        },
    )


def test_the_text_is_made_from_the_formulas() -> None:
    assert example().text == (
        r"If $a > 0$ and $\Pr\left(X \geq 0\right) = 1$: "
        r"$\Pr\left(X > a\right) \leq \Pr\left(X \geq a\right) \leq \frac{\mathbb{E}\left(X\right)}{a}$"
    )
    assert "2 a" in replace(example(), claims={"markov": chain(Pr(X > A), sp.Le, 2 * A)}).text


def test_the_example_passes_and_each_edit_of_what_is_printed_turns_it_red() -> None:
    example().check()
    first, second = MARKOV
    edits = [
        (first, second.func(second.lhs, second.rhs * Fraction(4, 5))),
        (first, sp.Ge(*second.args)),
        (sp.Eq(*first.args), second),
        (first, second.func(second.lhs, 2 * second.rhs)),  # not attained
    ]
    for edit in edits:
        with pytest.raises(AssertionError):
            replace(example(), claims={"markov": edit}).check()


@pytest.mark.parametrize("name", ["level", "sign"])
def test_a_hypothesis_dropped_turns_it_red(name: str) -> None:
    left = {key: formula for key, formula in example().hypotheses.items() if key != name}
    with pytest.raises(AssertionError, match="fails in"):
        replace(example(), hypotheses=left, prose="$<<markov>>$").check()


def test_an_idle_hypothesis_is_an_error() -> None:
    idle = {**example().hypotheses, "idle": A < 100}
    with pytest.raises(AssertionError, match="say why idle"):
        replace(example(), hypotheses=idle).check()
    cases_without = {**example().without, "idle": lambda: mass(("1", 1), level=200)}
    with pytest.raises(AssertionError, match="idle is not needed"):
        replace(example(), hypotheses=idle, without=cases_without).check()
    excused = {**example().without, "idle": "for brevity"}
    replace(example(), hypotheses=idle, without=excused).check()


def test_a_hypothesis_that_no_case_meets_is_an_error() -> None:
    with pytest.raises(AssertionError, match="no case meets"):
        replace(example(), hypotheses={"never": A < 0}, prose="$<<markov>>$").check()


def test_a_loose_bound_needs_a_reason() -> None:
    loose = {"markov": chain(Pr(X > A), sp.Le, Pr(X >= A), sp.Le, 3 * Mean(X) / A)}
    with pytest.raises(AssertionError, match="never attained"):
        replace(example(), claims=loose).check()
    replace(example(), claims=loose, loose={"markov": "three is generous"}).check()


@pytest.mark.parametrize(
    ("bound", "generous"),
    [
        (Every(sp.Le(P[K], X), K, K >= 2), Every(sp.Le(P[K], 2 * X), K, K >= 2)),
        (sp.Implies(X >= A, sp.Le(P[2], X)), sp.Implies(X >= A, sp.Le(P[2], 2 * X))),
        (sp.Le(P[2], X), sp.Implies(X >= 2 * A, sp.Le(P[2], X))),  # only where the premise is false
    ],
)
def test_a_bound_inside_has_to_be_attained_too(bound: sp.Basic, generous: sp.Basic) -> None:
    case: Case = {K: (1, 2), P: {1: 9, 2: Fraction(1, 3)}, X: Fraction(1, 3), A: Fraction(1, 3)}
    plain = replace(example(), hypotheses={}, without={}, prose="$<<bound>>$", cases=lambda: [case])
    replace(plain, claims={"bound": bound}, proof=lambda bound: None).check()
    with pytest.raises(AssertionError, match="never attained"):
        replace(plain, claims={"bound": generous}, proof=lambda bound: None).check()


def test_evaluation_is_exact() -> None:
    norm = operator("Euclid", r"\lVert {0} \rVert", lambda v: sp.sqrt(sp.Rational(v @ v)))
    dot = operator("Scalar", "{a}^T {b}", lambda u, v: u @ v)
    u, v = sp.symbols("u v")
    case = {
        u: np.array([Fraction(1), Fraction(1)], dtype=object),
        v: np.array([Fraction(1, 3), 0], dtype=object),
    }
    assert evaluate(norm(u), case) == sp.sqrt(2)
    assert evaluate(dot(u, u - v) / 2, case) == Fraction(5, 6)
    assert latex(dot(u, u - v) / norm(u)) == r"\frac{u^T \left(u - v\right)}{\lVert u \rVert}"
    assert latex(1 / norm(u) ** 2) == r"\frac{1}{\lVert u \rVert^{2}}"
    assert latex(dot(u, v) ** 3) == r"\left(u^T v\right)^{3}"
    assert holds(sp.Eq(u - v, u - v, evaluate=False), case)
    with pytest.raises(KeyError, match="no value"):
        evaluate(u + sp.Symbol("w"), case)


def test_bound_variables() -> None:
    case = {K: (1, 2, 3), P: {1: Fraction(1, 2), 2: Fraction(1, 3), 3: Fraction(1, 6)}, A: 2}
    assert evaluate(Total(P[K], K), case) == 1
    assert evaluate(Total(P[K], K, sp.Ne(K, A)), case) == Fraction(2, 3)
    assert evaluate(Least(P[K], K), case) == Fraction(1, 6)
    assert evaluate(sp.Sum(P[K] * K, (K, 1, 3)), case) == Fraction(5, 3)
    assert holds(Every(P[K] > 0, K), case)
    assert not holds(Every(P[K] > Fraction(1, 3), K), case)
    assert Total(P[K], K).written_out((1, 2)) == P[1] + P[2]
    assert Total(P[K], K).subs(K, 1) == Total(P[K], K)
    assert latex(Least(P[K], K, sp.Ne(K, A))) == r"\min_{k \neq a} {p}_{k}"
    assert latex(Total(P[K] + A, K, P[K] > 0)) == r"\sum_{k :\, {p}_{k} > 0} \left({p}_{k} + a\right)"


def test_conditioning_on_what_never_happens_is_not_true() -> None:
    case = mass(("1", 1))
    assert evaluate(Pr(X > 0, X >= 1), case) == 1
    assert not holds(sp.Eq(Mean(X, X > 1), 0), case)


def test_symbolic_values_make_a_proof() -> None:
    s, r = sp.symbols("s r", positive=True)
    assert holds(X >= A, {X: r + s, A: r})
    assert not holds(X < A, {X: r + s, A: r})
    with pytest.raises(ValueError, match="cannot decide"):
        holds(X <= A, {X: r, A: s})


def test_registration_refuses_formulas_that_are_not_quoted() -> None:
    def check(bound: sp.Basic) -> None:
        """Nothing is said."""

    with pytest.raises(ValueError, match=r"quoted but not given, or given but not quoted: \['bound'\]"):
        statement(
            "lem-mute", kind="lemma", title="Mute", source="nowhere", status="argued", claims={"bound": A < 1}
        )(check)
    assert "lem-mute" not in REGISTERED


def test_a_chain_shares_its_sides() -> None:
    with pytest.raises(ValueError, match="do not share a side"):
        latex((X <= A, X <= K))
