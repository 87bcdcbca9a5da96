"""Which claims a module of proofs registers, and edits and wrong steps that must turn their checks red."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType

import pytest
import sympy as sp

from sparse_robust.proofs import registry as claims
from sparse_robust.proofs.statement import Claim, Statement

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


FLIPPED = {sp.Le: sp.Ge, sp.Ge: sp.Le, sp.Lt: sp.Gt, sp.Gt: sp.Lt}
SOFTENED = {sp.Gt: sp.Ge, sp.Ge: sp.Gt, sp.Lt: sp.Le, sp.Le: sp.Lt}
FACTOR = sp.Rational(4, 5)


def edits(relation: sp.Basic) -> Iterator[tuple[str, sp.Basic]]:
    """A relation with one thing wrong: a factor, the direction, an event's strictness, a constant inside."""
    left, right = relation.args
    if isinstance(relation, sp.Eq):
        yield "times .8", sp.Eq(left, FACTOR * right)
    else:
        small = isinstance(relation, sp.Le | sp.Lt)
        larger = (left, FACTOR * right) if small else (FACTOR * left, right)
        yield "times .8", relation.func(*larger)
        yield "flipped", FLIPPED[relation.func](left, right)
    events = {part for side in relation.args for part in side.atoms(sp.Gt, sp.Ge, sp.Lt, sp.Le)}
    for event in sorted(events, key=sp.srepr):  # in an order that every process shares
        softened = relation.xreplace({event: SOFTENED[event.func](*event.args)})
        if event.args[1] != 0 and softened != sp.true:  # t_k > 0 says where a mean exists
            yield f"{event.func.__name__} softened", softened
    powers = {part for side in relation.args for part in side.atoms(sp.Pow)}
    for power in sorted(powers, key=sp.srepr):
        yield f"exponent of {power.base}", relation.xreplace({power: power.base ** (2 * power.exp)})


def edited(statement: Statement) -> Iterator[tuple[str, Statement]]:
    """The statement with one relation edited, or one hypothesis that is needed dropped."""
    for name, claim in statement.claims.items():
        chain: tuple[sp.Basic, ...] = claim if isinstance(claim, tuple) else (claim,)
        for number, relation in enumerate(chain):
            for what, wrong in edits(relation):
                changed = (*chain[:number], wrong, *chain[number + 1 :])
                whole: Claim = changed if isinstance(claim, tuple) else wrong
                yield f"{name} {number}: {what}", replace(statement, claims={**statement.claims, name: whole})
    for name in statement.hypotheses:
        if not isinstance(statement.without[name], str):
            kept = {other: formula for other, formula in statement.hypotheses.items() if other != name}
            prose = statement.prose.replace(f"<<{name}>>", "")
            yield f"without {name}", replace(statement, hypotheses=kept, prose=prose)


def refuses_edits(labels: Sequence[str]) -> Callable[..., None]:
    """The test, one case for each edit of what these statements print, that the check then fails."""
    cases = [(claims.get(label), *case) for label in labels for case in edited(claims.get(label))]

    @pytest.mark.parametrize(
        "wrong", [wrong for *_, wrong in cases], ids=[f"{s.label}, {what}" for s, what, _ in cases]
    )
    def test(wrong: Statement) -> None:
        with pytest.raises((AssertionError, ValueError)):
            wrong.check()

    return test
