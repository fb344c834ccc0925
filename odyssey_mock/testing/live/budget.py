"""The budget of stream seconds of one process."""

import threading
from collections.abc import Callable, Sequence
from typing import NoReturn

_ENOUGH_S = 0.01
"""Seconds that count as nothing left. A timer of asyncio may fire this much early."""


class StreamBudget:
    """Seconds of live streams and simulations that this process may use. It may be used from any thread.

    A stream is any object that identifies it.

    Attributes:
        seconds: the size of the budget.
        exhausted: a sentence that says that nothing is left, and how to have more.
        denials: how many starts were denied, and how many streams were ended, because nothing was left.
    """

    def __init__(
        self, seconds: float, exhausted: str, *, deny: Callable[[str], NoReturn], now: Callable[[], float]
    ) -> None:
        """Create an unused budget.

        Args:
            seconds: the size of the budget.
            exhausted: a sentence that says that nothing is left.
            deny: raises the exception of a test that asks for more than what is left; its argument is the reason.
            now: returns the time in seconds, from any start.
        """
        self.seconds = seconds
        self.exhausted = exhausted
        self.denials = 0
        self._deny = deny
        self._now = now
        self._ended = 0.0
        """Seconds of streams that have ended, and of simulations."""
        self._begun: dict[object, float] = {}
        """When each running stream began."""
        self._denied: set[object] = set()
        """The running streams that `overdue` has returned."""
        self._lock = threading.RLock()

    @property
    def used(self) -> float:
        """Seconds used so far, also by streams that are running."""
        with self._lock:
            now = self._now()
            return self._ended + sum(now - began for began in self._begun.values())

    @property
    def left(self) -> float:
        """Seconds that are left; 0 if more were used than the budget has."""
        left = self.seconds - self.used
        return left if left > _ENOUGH_S else 0.0

    def require_left(self) -> None:
        """Deny the start of a stream if nothing is left."""
        if self.left == 0:
            self.denials += 1
            self._deny(self.exhausted)

    def take(self, seconds: float) -> None:
        """Use the seconds of a simulation. Deny it if fewer are left."""
        with self._lock:
            left = self.left
            if seconds <= left:
                self._ended += seconds
                return
        self.denials += 1
        self._deny(f"a simulation of {seconds:g} s needs more than what is left ({left:.1f} s): {self.exhausted}")

    def give_back(self, seconds: float) -> None:
        """Return the seconds of a simulation that was not created."""
        with self._lock:
            self._ended -= seconds

    def begin(self, stream: object, *, at: float | None = None) -> float:
        """Count a stream from now on, or from the time ``at``.

        Return the seconds after which nothing will be left, if all running streams continue.
        """
        with self._lock:
            self._begun.setdefault(stream, self._now() if at is None else at)
            return self.seconds_until_used_up()

    def end(self, stream: object) -> float:
        """Stop counting a stream, if it is counted; return the time."""
        with self._lock:
            now = self._now()
            began = self._begun.pop(stream, None)
            self._denied.discard(stream)
            if began is not None:
                self._ended += now - began
            return now

    def seconds_until_used_up(self) -> float:
        """Return the seconds after which nothing will be left, if all running streams continue."""
        with self._lock:
            return self.left / max(1, len(self._begun))

    def overdue(self) -> Sequence[object]:
        """Return the running streams if nothing is left, each only once. Each of them counts as a denial."""
        with self._lock:
            if self.left > 0:
                return ()
            found = tuple(stream for stream in self._begun if stream not in self._denied)
            self.denials += len(found)
            self._denied.update(found)
            return found
