"""The impaired network of a link between two light peers, in place of the real datagrams of WebRTC."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable

from odyssey_mock.impairment.delay_line import DelayLine
from odyssey_mock.impairment.profile import Direction, TrafficKind
from odyssey_mock.rtc.protocols import DatagramNetwork

RETRANSMISSION = 1.0
"""Seconds after which a lost message is sent again: the minimum of SCTP (RFC 9260 section 16)."""


class ImpairedLink:
    """What passes through the impaired network of a light peer of the mock.

    Attributes:
        network: decides when datagrams are delivered.
    """

    def __init__(self, network: DatagramNetwork) -> None:
        self.network = network
        self._line = DelayLine(contextvars.copy_context())
        self.sent = MessageQueue(self, "to_client")
        self.received = MessageQueue(self, "from_client")

    def datagram(self, direction: Direction, kind: TrafficKind, size: int, deliver: Callable[[], object]) -> None:
        """Call `deliver` once for each copy of a datagram that the network delivers, at its time.

        Datagrams that find the line full are lost.
        """
        for when in self.deliveries(direction, kind, size):
            self._line.add(when, deliver)

    def deliveries(self, direction: Direction, kind: TrafficKind, size: int) -> list[float]:
        """Return when the copies of a datagram that is sent now are delivered."""
        return [*self.network.deliveries(direction, kind, size, asyncio.get_running_loop().time())]

    def later(self, when: float, call: Callable[[], object]) -> None:
        """Call `call` at the time `when` of the event loop, however many datagrams are on their way."""
        self._line.add(when, call, may_drop=False)

    def close(self) -> None:
        """Deliver the messages that wait to be sent, and drop all other packets."""
        self._line.clear()
        self.sent.flush()


class MessageQueue:
    """The messages of the data channels in one direction. The network delays them, and they stay in order (SCTP).

    The event loop reports an exception with which the delivery of a message fails. The other messages are delivered.
    """

    def __init__(self, link: ImpairedLink, direction: Direction) -> None:
        self._link = link
        self._direction: Direction = direction
        self._unsent: deque[tuple[int, Callable[[], object]]] = deque()
        self._undelivered: deque[Callable[[], object]] = deque()
        self._latest = 0.0
        self._waits = False

    def add(self, size: int, deliver: Callable[[], object]) -> None:
        """Call `deliver` when a message of `size` bytes arrives."""
        self._unsent.append((size, deliver))
        if not self._waits:
            self._send()

    def flush(self) -> None:
        """Deliver all messages now."""
        self._undelivered.extend(deliver for _, deliver in self._unsent)
        self._unsent.clear()
        while self._undelivered:
            self._deliver()

    def _send(self) -> None:
        self._waits = False
        while self._unsent:
            size, deliver = self._unsent[0]
            delivered = self._link.deliveries(self._direction, "data_channels", size)
            if not delivered:
                self._waits = True
                self._link.later(asyncio.get_running_loop().time() + RETRANSMISSION, self._send)
                return
            self._unsent.popleft()
            self._undelivered.append(deliver)
            self._latest = max(self._latest, delivered[0])
            self._link.later(self._latest, self._deliver)

    def _deliver(self) -> None:
        if not self._undelivered:
            return  # `flush` has delivered the message
        deliver = self._undelivered.popleft()
        try:
            deliver()
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a message of a light peer failed", "exception": error}
            )
