"""Which claims a module of proofs registers, and wrong steps that must turn their checks red."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType

import pytest

from sparse_robust.proofs import registry as claims

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
