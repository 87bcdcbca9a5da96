"""Stages of training that were cut short: their state is stored now and then, and they go on from there."""

import time
from collections.abc import Mapping

from torch import Tensor

from sparse_robust.training import Snapshot, State

from .checkpoints import Checkpoint, TrainingStage
from .machine import Program
from .signals import Deferred
from .store import Store

KEEP_EVERY = 180.0
"""Seconds between two stored states of a training; no number depends on it."""


class Keeper:
    """Stores the state of one stage of training every so many seconds, and when a signal asks to end.

    Attributes:
        earlier: seconds that the stage had taken when it was cut short.
    """

    def __init__(
        self, store: Store, of: TrainingStage, program: Program, every: float, signals: Deferred
    ) -> None:
        """Nothing is stored before ``every`` seconds have passed."""
        self.store, self.of, self.program, self.every, self.signals = store, of, program, every, signals
        self.earlier, self._start, self._stored = 0.0, time.monotonic(), time.monotonic()

    def find(self, like: Mapping[str, Tensor]) -> State | None:
        """Where the stage was cut short, if that is stored; ``like`` has its names, shapes and types."""
        found = self.store.find_unfinished(self.of, like, self.program)
        if found is None:
            return None
        assert found.steps is not None
        self.earlier = found.seconds or 0.0
        return State(found.steps, found.tensors)

    def __call__(self, steps: int, state: Snapshot) -> None:
        """Between two steps: store the state if it is time; then a signal that waits may end the training."""
        now = time.monotonic()
        asked = self.signals.number is not None
        if asked or now - self._stored >= self.every:
            seconds = self.earlier + now - self._start
            self.store.save_unfinished(self.of, Checkpoint(state(), seconds, self.program, steps))
            self._stored = time.monotonic()
        if asked:
            self.signals.deliver()
