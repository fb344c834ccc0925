"""`LateMessages`, which delays a client's messages by the latency profile, and keeps their order."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from odyssey_mock import latency
from odyssey_mock.core.clock import Clock, Deadline
from odyssey_mock.sessions.messages import Answer, ClientMessage, End, IceCandidate, Start, Update
from odyssey_mock.settings import LatencyProfile

_POINTS: Mapping[type[ClientMessage], str] = MappingProxyType(
    {
        Answer: "signaling.answer",
        IceCandidate: "signaling.candidate",
        Start: "stream.start",
        Update: "stream.interact",
        End: "stream.end",
    }
)
"""The latency point of each type of message that is delayed, or that waits for an earlier message."""


@dataclass(eq=False, slots=True)
class LateMessage:
    """A received message whose handling the latency profile delays."""

    message: ClientMessage
    due: float
    """The time of `Clock.monotonic` at which it is handled."""
    size: int = 0
    """Length of the received data in characters."""
    handled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the message was handled or discarded."""
    deadline: Deadline | None = None


class LateMessages:
    """The messages of one connection that are not due yet, in the order in which they were received.

    `deliver(late)` is called when a message is due. The receiver calls `done(late)` when it has handled the message;
    `Clock.advance` waits for this call.
    """

    def __init__(self, profile: LatencyProfile, clock: Clock, deliver: Callable[[LateMessage], object]) -> None:
        self._profile = profile
        self._clock = clock
        self._deliver = deliver
        self._waiting: deque[LateMessage] = deque()
        self._delivered: set[LateMessage] = set()
        self._is_closed = False

    def take(self, message: ClientMessage, size: int = 0) -> bool:
        """Delay the message of `size` characters, or return False if it must be handled at once.

        `client_disconnecting` and `keepalive` are never delayed. Other messages never overtake each other.
        """
        point = _POINTS.get(type(message))
        if self._profile == "instant" or point is None or self._is_closed:
            return False
        now = self._clock.monotonic()
        due = now + latency.seconds(self._profile, point)
        if self._waiting:
            due = max(due, self._waiting[-1].due)
        elif due <= now and not self._delivered:
            return False
        late = LateMessage(message, due, size)
        self._waiting.append(late)
        late.deadline = self._clock.call_later(max(0.0, due - now), f"latency: {point}", self._due)
        return True

    @property
    def has_stream_message(self) -> bool:
        """Whether a message about a stream was received and is not handled yet."""
        return any(isinstance(late.message, Start | Update | End) for late in (*self._waiting, *self._delivered))

    def done(self, late: LateMessage) -> None:
        """Note that a delivered message was handled or discarded."""
        self._delivered.discard(late)
        late.handled.set()

    def close(self) -> None:
        """Discard all messages. Later calls of `take` return False."""
        self._is_closed = True
        for late in self._waiting:
            if late.deadline is not None:
                late.deadline.cancel()
        self._waiting.clear()
        for late in tuple(self._delivered):
            self.done(late)

    async def _due(self) -> None:
        if not self._waiting:
            return  # with a real clock, `close` may come between the timer and this callback
        late = self._waiting.popleft()  # the earliest, also if deadlines of the same time fire in another order
        self._delivered.add(late)
        self._deliver(late)
        await late.handled.wait()
