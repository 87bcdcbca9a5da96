"""Whoever calls code that rests on a lemma lists that lemma: ``uses`` is complete as far as code tells."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from sparse_robust.proofs import registry as claims
from sparse_robust.proofs.formulas import Mean
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
    "lipschitz_power": frozenset({"lem-regions"}),
    "regions": frozenset({"lem-cover", "lem-regions"}),
    "distance": frozenset({"lem-cover"}),
    "all_paths": frozenset({"lem-all-paths"}),
    "path_norm_bound": frozenset({"thm-b-path-norm"}),
    "gradient_second_moment": frozenset({"thm-c-second-moment"}),
    "path_norm_variance": frozenset({"thm-c-second-moment"}),
    "eta_star": frozenset({"prop-percolation"}),
    "log_eta_star": frozenset({"prop-percolation"}),
    "lone_path_sum": frozenset({"thm-sparse-limit", "prop-path-alone"}),
    "sparse_enclosure": frozenset({"thm-sparse-limit"}),
    "positive_means": frozenset({"thm-f-positive"}),
    "induced_norm": frozenset({"lem-induced-norms"}),
    "layer_product": frozenset({"lem-induced-norms"}),
    "unit_states": frozenset({"lem-interval"}),
    "preactivation_bounds": frozenset({"lem-interval"}),
    "backward_bounds": frozenset({"prop-interval-gradient"}),
    "live_net": frozenset({"prop-live-units"}),
    "network_certificate": frozenset({"prop-best-radius", "prop-bisection"}),
    "best_certificate": frozenset({"prop-best-radius", "prop-bisection"}),
    "cut_off": frozenset({"def-cut-off"}),
    "bernstein_bound": frozenset({"thm-d-bernstein"}),
    "energy_bound": frozenset({"thm-e-magnitude"}),
    "expectation_above": frozenset({"lem-gaussian-score", "lem-densities"}),
    "r_2_of": frozenset({"prop-gaussian-l2"}),
}
"""By a function's or method's name, the lemmas of which one justifies it."""

REGISTRY = claims.registry()
SETTLED = ("checked exactly on an example", "cited")
"""Statuses under which a mean is a finite sum that the check writes out, or is none of its business."""
ABOUT_MEANS = {"lem-expectation", "lem-densities"}


def names(code: types.CodeType) -> Iterator[str]:
    """All global and attribute names in a code object and in those nested in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from names(constant)


def reached(function: Any, seen: set[Any]) -> Iterator[tuple[str, object]]:
    """(name, object) for all that a function names, directly or through helpers of the proofs."""
    if function in seen:
        return
    seen.add(function)
    for name in names(function.__code__):
        value = function.__globals__.get(name)
        yield name, value
        value = inspect.unwrap(value) if callable(value) else value
        if isinstance(value, types.FunctionType) and value.__module__.startswith("sparse_robust.proofs"):
            yield from reached(value, seen)


def unlisted(statement: Statement) -> list[str]:
    """What a derivation, or an example's case, names and neither statement nor ancestors account for."""
    listed = {statement.label, *(c.label for c in claims.ancestors(statement.label))}
    owners = {id(claim): c.label for c in REGISTRY.values() for claim in c.claims.values()}
    missing = []
    roots: list[Any] = [statement.proof]
    if statement.kind in ("counterexample", "erratum") and statement.cases is not None:
        roots.append(statement.cases)  # other statements share cases that hold more than they speak of
    named = chain.from_iterable(reached(inspect.unwrap(root), set()) for root in roots)
    own = {id(formula) for formula in (*statement.hypotheses.values(), *statement.claims.values())}
    for name, value in named:
        if id(value) in own:
            continue
        alternatives = {owners[id(value)]} if id(value) in owners else OWNERS.get(name, frozenset())
        if alternatives and not alternatives & listed:
            missing.append(f"{name}: {' or '.join(sorted(alternatives))}")
    return missing


@pytest.mark.parametrize("label", REGISTRY)
def test_uses_lists_what_the_check_calls(label: str) -> None:
    assert unlisted(REGISTRY[label]) == []


def speaks_of_means(statement: Statement) -> bool:
    """Whether an expectation or a probability stands in its formulas or in its prose."""
    formulas = [*statement.hypotheses.values(), *statement.claims.values()]
    relations = [r for f in formulas for r in (f if isinstance(f, tuple) else (f,))]
    return any(r.has(Mean) for r in relations) or bool(re.search(r"\\mathbb\{E\}|\\Pr\b", statement.prose))


@pytest.mark.parametrize("label", [label for label, c in REGISTRY.items() if c.status not in SETTLED])
def test_what_speaks_of_means_rests_on_what_is_used_about_them(label: str) -> None:
    if speaks_of_means(REGISTRY[label]):
        assert ABOUT_MEANS & {label, *(c.label for c in claims.ancestors(label))}


def test_statuses_that_claim_generality_have_something_to_derive() -> None:
    """A check that never touches the computer algebra system proves nothing for all values."""
    for label, c in REGISTRY.items():
        if c.status in ("proved", "kernel proved, glue argued"):
            modules = {getattr(value, "__name__", "") for _, value in reached(c.proof, set())}
            assert "sympy" in modules, label


def test_a_lemma_that_is_not_listed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Statement(**{**vars(REGISTRY["prop-rinf-bound"]), "uses": ()})
    monkeypatch.setattr(claims, "registry", lambda: {**REGISTRY, bare.label: bare})
    assert "by_markov: lem-markov" in unlisted(bare)
    assert any(theorem_3_1.SURVIVORS is claim for claim in REGISTRY["lem-total-probability"].claims.values())
    assert "SURVIVORS: lem-total-probability" in unlisted(bare)
