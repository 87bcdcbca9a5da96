"""Which claims a module of proofs registers, and edits and wrong steps that must turn their checks red."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from types import ModuleType

import pytest
import sympy as sp

from sparse_robust.proofs import registry as claims
from sparse_robust.proofs.formulas import Claim, Every, Iff
from sparse_robust.proofs.statement import Statement

WrongStep = tuple[str, object, str, object]
"""The label of a claim; where its check looks a step up, under which name; and the wrong variant."""


def labels_of(*modules: ModuleType) -> list[str]:
    """The labels that these proof modules register, in the order of the book."""
    names = {module.__name__ for module in modules}
    return [c.label for c in claims.registry().values() if c.proof.__module__ in names]


def turns_red(steps: Sequence[WrongStep]) -> Callable[..., None]:
    """The test, one case for each wrong step, that the check of its claim then fails."""

    @pytest.mark.parametrize(
        ("label", "where", "name", "mutant"),
        steps,
        ids=[f"{label}-{name}-{i}" for i, (label, _, name, _) in enumerate(steps)],
    )
    def test(label: str, where: object, name: str, mutant: object, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(where, name, mutant)
        assert claims.run(label).error is not None

    return test


FLIPPED = {sp.Le: sp.Ge, sp.Ge: sp.Le, sp.Lt: sp.Gt, sp.Gt: sp.Lt, sp.Ne: sp.Eq}
SOFTENED = {sp.Gt: sp.Ge, sp.Ge: sp.Gt, sp.Lt: sp.Le, sp.Le: sp.Lt}
FACTORS = (sp.Rational(4, 5), sp.Rational(5, 4))
"""The first makes a bound false where it is attained, the second is attained nowhere."""


def edits(relation: sp.Basic) -> Iterator[tuple[str, sp.Basic]]:
    """A relation with one thing wrong: a factor, the direction, an event's strictness, a constant inside."""
    if isinstance(relation, Every):
        body, index, condition = relation.args
        for what, wrong in edits(body):
            yield what, Every(wrong, index, condition)
        if condition.func in SOFTENED:
            yield "range softened", Every(body, index, SOFTENED[condition.func](*condition.args))
        return
    if isinstance(relation, Iff):
        for number, side in enumerate(relation.args):
            ways = list(edits(side))
            if side.func in SOFTENED:
                ways.append(("softened", SOFTENED[side.func](*side.args)))
            for what, wrong in ways:
                sides = [*relation.args[:number], wrong, *relation.args[number + 1 :]]
                yield f"side {number} {what}", Iff(*sides)
        return
    if isinstance(relation, sp.Implies):
        premise, conclusion = relation.args
        for what, wrong in edits(conclusion):
            yield what, sp.Implies(premise, wrong)
        parts = sorted(sp.And.make_args(premise), key=sp.srepr)
        for part in parts:
            others = [other for other in parts if other != part]
            yield f"without {part}", sp.Implies(sp.And(*others), conclusion)
            if part.func not in SOFTENED:
                continue  # a predicate
            factor = {sp.Le: FACTORS[1], sp.Ge: FACTORS[0]}.get(part.func)
            wider = (
                SOFTENED[part.func](*part.args) if factor is None else part.func(part.lhs, factor * part.rhs)
            )
            yield f"{part} widened", sp.Implies(sp.And(*others, wider), conclusion)
        return
    left, right = relation.args
    if not isinstance(relation, sp.Rel):
        return  # a predicate
    small = isinstance(relation, sp.Le | sp.Lt | sp.Eq)
    for factor in (
        FACTORS if 0 not in (left, right) and not isinstance(relation, sp.Ne) else ()
    ):  # 0 times .8 is 0
        larger = (left, factor * right) if small else (factor * left, right)
        yield f"times {float(factor)}", relation.func(*larger)
    if not isinstance(relation, sp.Eq):
        yield "flipped", FLIPPED[relation.func](left, right)
    events = {part for side in relation.args for part in side.atoms(sp.Gt, sp.Ge, sp.Lt, sp.Le)}
    for event in sorted(events, key=sp.srepr):  # in an order that every process shares
        softened = relation.xreplace({event: SOFTENED[event.func](*event.args)})
        if event.args[1] != 0 and softened != sp.true:  # t_k > 0 says where a mean exists
            yield f"{event.func.__name__} softened", softened
    powers = {part for side in relation.args for part in side.atoms(sp.Pow)}
    for power in sorted(powers, key=sp.srepr):
        yield f"exponent of {power.base}", relation.xreplace({power: power.base ** (2 * power.exp)})


def softened(hypothesis: sp.Basic) -> sp.Basic | None:
    """A strict inequality with equality allowed, None for other hypotheses."""
    if isinstance(hypothesis, Every):
        inside = softened(hypothesis.body)
        return None if inside is None else Every(inside, *hypothesis.args[1:])
    strict = isinstance(hypothesis, sp.Gt | sp.Lt) and sp.oo not in hypothesis.args
    return SOFTENED[hypothesis.func](*hypothesis.args) if strict else None


def widened(hypothesis: sp.Basic) -> sp.Basic | None:
    """An inequality with another constant, None for other hypotheses and for those that compare with 0."""
    bounds = isinstance(hypothesis, sp.Le | sp.Lt | sp.Ge | sp.Gt)
    if not bounds or 0 in hypothesis.args or sp.oo in hypothesis.args:
        return None
    factor = FACTORS[1] if isinstance(hypothesis, sp.Le | sp.Lt) else FACTORS[0]
    return hypothesis.func(hypothesis.lhs, factor * hypothesis.rhs)


HARMLESS = {
    ("cex-fgs-multiclass", "classes widened"),  # 12/5 classes are three
    ("prop-gaussian-vacuous", "half widened"),  # the first step is loose, by the mean distance of the noise
    ("prop-sampling-blind", "steep widened"),  # 3 is a convenience, 3/2 the least that keeps the strip inside
    ("prop-rinf-two-assumptions", "radius with equality"),  # at radius 0 the bound is infinite
    ("thm-3-2", "radius with equality"),
    ("cex-winner-depends-on-masks", "w_3 0: times 0.8"),  # it is the zero vector
    ("cex-winner-depends-on-masks", "w_3 0: times 1.25"),
    ("prop-honest-interval", "above with equality"),  # there tau, another hypothesis, is not defined
    ("lem-empirical-bernstein", "coverage 0: exponent of \\delta"),  # the interval is wider
    ("prop-bounded-support", "bound 0: StrictGreaterThan softened"),  # a term that is added is 0
    ("prop-cw-penalty", "only 0: times 1.25"),  # strict, and approached by no other step
}
"""Edits that leave a statement true."""


EXAMPLES = ("counterexample", "erratum")
"""Kinds of statements in which one number exceeds another by far: a factor leaves that true."""


def remembered(statement: Statement) -> Statement:
    """The statement with cases that are computed once, for all its edits."""
    if statement.cases is None:
        return statement
    make = statement.cases
    return replace(statement, cases=cache(lambda: list(make())))


def edited(statement: Statement) -> Iterator[tuple[str, Statement]]:
    """The statement with one relation edited, or one hypothesis that is needed dropped."""
    for name, claim in statement.claims.items():
        loose = name in statement.loose  # then a larger constant is as true
        example = statement.loose.get(name, "").startswith("an example")  # then any near it
        chain: tuple[sp.Basic, ...] = claim if isinstance(claim, tuple) else (claim,)
        for number, relation in enumerate(chain):
            for what, wrong in edits(relation):
                strict = isinstance(relation, sp.Lt | sp.Gt) and statement.kind in EXAMPLES
                if loose and (what == "times 1.25" or (strict and what.startswith("times"))):
                    continue
                if example and what != "flipped" and not isinstance(relation, sp.Eq):
                    continue
                changed = (*chain[:number], wrong, *chain[number + 1 :])
                whole: Claim = changed if isinstance(claim, tuple) else wrong
                yield f"{name} {number}: {what}", replace(statement, claims={**statement.claims, name: whole})
    for name in statement.hypotheses:
        if not isinstance(statement.without[name], str):
            kept = {other: formula for other, formula in statement.hypotheses.items() if other != name}
            prose = statement.prose.replace(f"<<{name}>>", "")
            yield f"without {name}", replace(statement, hypotheses=kept, prose=prose)
        hypothesis = statement.hypotheses[name]
        wider = widened(hypothesis)
        if wider is not None and not isinstance(statement.without[name], str):
            relaxed = {**statement.hypotheses, name: wider}
            yield f"{name} widened", replace(statement, hypotheses=relaxed)
        softer = softened(hypothesis)
        if softer is not None and not isinstance(statement.without[name], str):
            relaxed = {**statement.hypotheses, name: softer}
            yield f"{name} with equality", replace(statement, hypotheses=relaxed)


def refuses_edits(labels: Sequence[str]) -> Callable[..., None]:
    """The test, one case for each edit of what these statements print, that the check then fails."""
    cases = [
        (claims.get(label), what, wrong)
        for label in labels
        for what, wrong in edited(remembered(claims.get(label)))
        if (label, what) not in HARMLESS
    ]

    @pytest.mark.parametrize(
        "wrong", [wrong for *_, wrong in cases], ids=[f"{s.label}, {what}" for s, what, _ in cases]
    )
    def test(wrong: Statement) -> None:
        with pytest.raises((AssertionError, ValueError, TypeError)):  # a root of a negative has no order
            wrong.check()

    return test
