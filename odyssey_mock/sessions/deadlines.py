"""What is due to happen to a session, each at most once at a time."""

from collections.abc import Awaitable, Callable

from odyssey_mock.core.clock import Clock, Deadline
from odyssey_mock.sessions.session_machine import Event

_NAMES = {
    Event.DANGLING: "dangling session",
    Event.CONNECTION_OVERDUE: "connection duration",
    Event.INACTIVE: "inactivity",
    Event.GRACE_OVER: "session grace",
}
"""What the journal and `GET /_mock/clock` call each."""


class Deadlines:
    """The deadlines of one session on the server's clock; `due(event)` is called, and awaited, when one has come."""

    def __init__(self, clock: Clock, due: Callable[[Event], Awaitable[None]]) -> None:
        self._clock = clock
        self._due = due
        self._armed: dict[Event, Deadline] = {}

    def arm(self, event: Event, seconds: float | None) -> None:
        """Let `event` happen in so many seconds, and not when it was due before; None for never."""
        self.disarm(event)
        if seconds is not None:
            self._armed[event] = self._clock.call_later(seconds, _NAMES[event], lambda: self._due(event))

    def disarm(self, event: Event) -> None:
        """Let `event` not happen."""
        deadline = self._armed.pop(event, None)
        if deadline is not None:
            deadline.cancel()

    def disarm_all(self) -> None:
        """Let nothing happen."""
        for event in tuple(self._armed):
            self.disarm(event)
