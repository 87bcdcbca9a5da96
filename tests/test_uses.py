"""Whoever calls code that rests on a lemma lists that lemma: ``uses`` is complete as far as code tells."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest

from sparse_robust.proofs import registry as claims
from sparse_robust.proofs.linear.theorem_3_1 import paper as theorem_3_1
from sparse_robust.proofs.statement import Statement

OWNERS: dict[str, frozenset[str]] = {
    "at_mean": frozenset({"lem-expectation"}),
    "by_markov": frozenset({"lem-markov"}),
    "conditioned": frozenset({"lem-expectation"}),
    "least_of_means": frozenset({"lem-expectation"}),
    "pointwise": frozenset({"lem-expectation"}),
    "expected_radius": frozenset({"prop-distance-classes"}),
    "optimal_r_inf": frozenset({"prop-distance-classes"}),
    "attacked": frozenset({"prop-cross-entropy-gradient", "prop-binary-gradient", "lem-fgs-margin"}),
}
"""By a function's or method's name, the lemmas of which one justifies it."""

REGISTRY = claims.registry()
LINEAR = [label for label, c in REGISTRY.items() if ".linear." in c.proof.__module__]


def names(code: types.CodeType) -> Iterator[str]:
    """All global and attribute names in a code object and in those nested in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names(constant)


def reached(function: Any, seen: set[Any]) -> Iterator[tuple[str, object]]:
    """(name, object) for all that a derivation names, directly or through helpers of the proofs."""
    if function in seen:
        return
    seen.add(function)
    for name in names(function.__code__):
        value = function.__globals__.get(name)
        yield name, value
        if isinstance(value, types.FunctionType) and value.__module__.startswith("sparse_robust.proofs"):
            yield from reached(value, seen)


def unlisted(statement: Statement) -> list[str]:
    """What the derivation names and neither the statement nor what it rests on accounts for."""
    listed = {statement.label, *(c.label for c in claims.ancestors(statement.label))}
    owners = {id(claim): c.label for c in REGISTRY.values() for claim in c.claims.values()}
    missing = []
    for name, value in reached(statement.proof, set()):
        alternatives = {owners[id(value)]} if id(value) in owners else OWNERS.get(name, frozenset())
        if alternatives and not alternatives & listed:
            missing.append(f"{name}: {' or '.join(sorted(alternatives))}")
    return missing


@pytest.mark.parametrize("label", LINEAR)
def test_uses_lists_what_the_check_calls(label: str) -> None:
    assert unlisted(REGISTRY[label]) == []


def test_a_lemma_that_is_not_listed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Statement(**{**vars(REGISTRY["prop-rinf-bound"]), "uses": ()})
    monkeypatch.setattr(claims, "registry", lambda: {**REGISTRY, bare.label: bare})
    assert "by_markov: lem-markov" in unlisted(bare)
    assert any(theorem_3_1.SURVIVORS is claim for claim in REGISTRY["lem-total-probability"].claims.values())
    assert "SURVIVORS: lem-total-probability" in unlisted(bare)
