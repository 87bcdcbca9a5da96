"""Frozen descriptions of experiments; what one says is its address."""

import hashlib
import json
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from typing import Any, Literal

from sparse_robust.training import Training

AttackName = Literal["FGS", "rFGS", "DeepFool", "C&W"]


@dataclass(frozen=True)
class Attack:
    """One attack and its options, by keyword, as sorted pairs (so that the value is hashable)."""

    name: AttackName
    options: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Spec:
    """Train, prune round by round, attack after every round.

    Attributes:
        model: which classifier; ``linear`` is the only one so far.
        data: ``mnist``, or ``mnist-sample`` for the digits that the package carries.
        classes: which digits, in the order of their class indices.
        dense: how the dense references are trained.
        retrain: how the survivors are trained after each pruning.
        rounds: m, prunings.
        fraction: rho, of the remaining weights, pruned in each round, as "1/3".
        attacks: in the order in which they are run.
        eps: l_infinity radius of FGS and rFGS, pixel units (paper, section 4.1).
        test_examples: how many test examples are attacked, the first ones; None for all.
    """

    model: Literal["linear"]
    data: Literal["mnist", "mnist-sample"]
    classes: tuple[int, ...]
    dense: Training
    retrain: Training
    rounds: int
    fraction: str
    attacks: tuple[Attack, ...]
    eps: float = field(default=0.1)
    test_examples: int | None = field(default=None)

    @property
    def rho(self) -> Fraction:
        """The fraction pruned per round, exactly."""
        return Fraction(self.fraction)

    @property
    def key(self) -> str:
        """The content address: 12 hexadecimal digits over every field that differs from its default.

        Leaving defaults out keeps old addresses valid when a field with a no-op default is added.
        """
        text = json.dumps(content(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def content(value: Any) -> Any:
    """A frozen value as plain JSON data, without fields that equal their defaults."""
    if is_dataclass(value):
        parts = ((f, getattr(value, f.name)) for f in fields(value))
        return {f.name: content(part) for f, part in parts if part != f.default}
    if isinstance(value, tuple):
        return [content(part) for part in value]
    return value
