"""The registry of statements: every check passes, every dependency resolves, nothing rests on itself."""

import re
from dataclasses import replace

import pytest

from sparse_robust.proofs.registry import ancestors, registry, run
from sparse_robust.proofs.statement import REGISTERED

REGISTRY = registry()
PREFIX = {
    "theorem": "thm",
    "proposition": "prop",
    "lemma": "lem",
    "corollary": "cor",
    "definition": "def",
    "erratum": "err",
    "counterexample": "cex",
}


def test_the_registry_is_not_empty():
    assert {"theorem", "erratum", "counterexample"} <= {statement.kind for statement in REGISTRY.values()}


@pytest.mark.parametrize("label", REGISTRY)
def test_check_passes(label: str):
    assert run(label).error is None


@pytest.mark.parametrize("label", REGISTRY)
def test_dependencies_resolve_and_do_not_circle(label: str):
    assert {ancestor.label for ancestor in ancestors(label)} <= REGISTRY.keys() - {label}


@pytest.mark.parametrize("label", REGISTRY)
def test_label_tells_the_kind(label: str):
    assert re.fullmatch(PREFIX[REGISTRY[label].kind] + r"(-[a-z0-9]+)+", label)


@pytest.mark.parametrize("label", REGISTRY)
def test_the_statement_is_one_that_sphinx_can_print(label: str):
    """Balanced math, no heading, no nested directive that would close the environment."""
    text = REGISTRY[label].text
    assert text.count("$") % 2 == 0
    assert not re.search(r"^(#|:::)", text, flags=re.MULTILINE)
    assert REGISTRY[label].title.strip()
    assert REGISTRY[label].source.strip()


def test_a_broken_proof_is_reported(monkeypatch: pytest.MonkeyPatch):
    """The net itself: a check that fails comes back as an error, whatever it raised."""
    label = next(iter(REGISTRY))

    def broken(**formulas: object) -> None:
        raise ZeroDivisionError("a wrong step")

    monkeypatch.setitem(REGISTERED, label, replace(REGISTRY[label], proof=broken))
    assert run(label).error == "ZeroDivisionError: a wrong step"
