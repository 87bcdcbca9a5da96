"""Frozen descriptions of experiments; what one says is its address."""

import hashlib
import json
from dataclasses import dataclass, field, fields, is_dataclass, replace
from fractions import Fraction
from typing import Any, Literal

from sparse_robust.measurements import CLEAN, MEASUREMENTS, MetricName, Setting
from sparse_robust.models import NETWORKS, Network, NetworkName
from sparse_robust.pruning import Surgery
from sparse_robust.training import Training

Selection = Literal["magnitude", "random", "none"]


@dataclass(frozen=True)
class Attack:
    """One attack of a spec, or an estimate of what no attack can do, CLEVER.

    Attributes:
        name: as the paper calls it.
        options: by keyword, as sorted pairs (so that the value is hashable).
        examples: how many of the spec's test examples it is run on, the first ones; None for all.

    Raises:
        ValueError: if nothing of this name is measured; the message lists what is.
    """

    name: str
    options: tuple[tuple[str, float], ...] = ()
    examples: int | None = None

    def __post_init__(self) -> None:
        if self.name not in MEASUREMENTS:
            raise ValueError(f"no attack {self.name!r}; known: {', '.join(MEASUREMENTS)}")

    def names(self, setting: Setting) -> list[MetricName]:
        """Every number of one replica under it."""
        return MEASUREMENTS[self.name].names(setting)


@dataclass(frozen=True)
class Operations:
    """Dynamic network surgery on the dense references, instead of progressive pruning.

    Attributes:
        training: of the references during surgery and, with the masks as they are then, after it.
        surgeries: one for each round. Each starts from the dense references, on the same order of examples
            and by the same calendar, so that rounds differ in how deep they cut alone.
    """

    training: Training
    surgeries: tuple[Surgery, ...]


@dataclass(frozen=True)
class Spec:
    """Train, prune round by round, attack after every round.

    Attributes:
        model: which classifier.
        data: ``mnist``, or ``mnist-sample`` for the digits that the package carries; ``cifar-10``, or
            ``made-images`` for made-up images of its kind.
        classes: which digits, in the order of their class indices.
        dense: how the dense references are trained.
        retrain: how the survivors are trained after each pruning.
        rounds: m, prunings.
        fraction: rho, of the remaining weights, pruned in each round, as "1/3".
        attacks: in the order in which they are run.
        eps: l_infinity radius of FGS and rFGS, pixel units (paper, section 4.1).
        test_examples: how many test examples are attacked, the first ones; None for all.
        measure_every: measure after every so many rounds only, from round 0 on.
        weights: a published model (:data:`~sparse_robust.data.PUBLISHED_MODELS`) to take as it is after
            round 0, instead of training dense references; every seed has the same.
        surgery: operations that take the place of pruning and retraining, one for each round.
        dense_ends: keep the first and the last layer dense (paper, section 4.2, on CIFAR-10).
        narrow: divides the channels of the networks for images in colour, for tests.
        selection: which weights a round of pruning takes: the smallest; as many of each layer at random; or
            none. The latter two are controls: what the same training does without magnitude pruning.
    """

    model: NetworkName
    data: Literal["mnist", "mnist-sample", "cifar-10", "made-images"]
    classes: tuple[int, ...]
    dense: Training
    retrain: Training
    rounds: int
    fraction: str
    attacks: tuple[Attack, ...]
    eps: float = field(default=0.1)
    test_examples: int | None = field(default=None)
    measure_every: int = field(default=1)
    weights: str | None = field(default=None)
    surgery: Operations | None = field(default=None)
    dense_ends: bool = field(default=False)
    narrow: int = field(default=1)
    selection: Selection = field(default="magnitude")

    @property
    def rho(self) -> Fraction:
        """The fraction pruned per round, exactly."""
        return Fraction(self.fraction)

    @property
    def measured(self) -> range:
        """The rounds after which everything is measured."""
        return range(0, self.rounds + 1, self.measure_every)

    def training(self, round_: int) -> Training:
        """How the models of a round are trained."""
        if round_ == 0:
            return self.dense
        return self.retrain if self.surgery is None else self.surgery.training

    @property
    def one_by_one(self) -> bool:
        """Whether seeds are run one after another: networks so large that one fills the device."""
        return self.network.one_by_one

    @property
    def network(self) -> Network:
        """What is trained."""
        return NETWORKS[self.model]

    @property
    def setting(self) -> Setting:
        """What decides which numbers are measured."""
        return Setting(
            self.network,
            len(self.classes),
            self.eps,
            layers=len(self.surgery.surgeries[0].strengths) if self.surgery else 0,
            published=self.weights is not None,
        )

    @property
    def names(self) -> list[MetricName]:
        """Every (metric, attack) of one replica after one round."""
        return CLEAN.names(self.setting) + [n for attack in self.attacks for n in attack.names(self.setting)]

    @property
    def key(self) -> str:
        """The content address: 12 hexadecimal digits over every field that differs from its default.

        Leaving defaults out keeps old addresses valid when a field with a no-op default is added.
        """
        text = json.dumps(content(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def training_key(self) -> str:
        """The address of its checkpoints: specs that train alike share it, however they measure."""
        blank: dict[str, Any] = {
            f.name: f.default for f in fields(self) if f.name in ("eps", "test_examples", "measure_every")
        }
        return replace(self, rounds=0, attacks=(), **blank).key

    def checkpoint_key(self, round_: int) -> str:
        """The address of the checkpoints of a round; all ways of pruning share their dense references."""
        dense = replace(self, surgery=None, selection="magnitude")
        return (dense if round_ == 0 else self).training_key


def content(value: Any) -> Any:
    """A frozen value as plain JSON data, without fields that equal their defaults."""
    if is_dataclass(value):
        parts = ((f, getattr(value, f.name)) for f in fields(value))
        return {f.name: content(part) for f, part in parts if part != f.default}
    if isinstance(value, tuple):
        return [content(part) for part in value]
    return value
