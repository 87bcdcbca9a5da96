"""Requests to end that wait until it is safe: an interrupt, and SIGTERM."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Deferred:
    """Whether a signal has come, and what it would have done.

    Attributes:
        number: of the first signal that waits; None if none does.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before = {
            number: handler
            for number in (signal.SIGINT, signal.SIGTERM)
            # what is ignored stays so; None is a handler that was not set from Python
            if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
        }

    def defer(self) -> None:
        """Let signals wait from now on, but for the second one: who asks twice does not want to wait."""
        for number in self._before:
            signal.signal(number, self._wait)

    def _wait(self, number: int, frame: object) -> None:
        if self.number is None:
            self.number = number
        else:
            self.deliver()

    def deliver(self) -> None:
        """Let the signal that waits, if there is one, do what it would have done; none waits any more."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        waits, self.number = self.number, None
        if waits is not None:
            signal.raise_signal(waits)


@contextmanager
def deferred() -> Iterator[Deferred]:
    """While open, signals wait for :meth:`Deferred.deliver`, at the latest until the end.

    In other threads than the main one, which alone gets signals, nothing changes.
    """
    waiting = Deferred()
    if threading.current_thread() is not threading.main_thread():
        yield waiting
        return
    waiting.defer()
    try:
        yield waiting
    finally:
        waiting.deliver()
