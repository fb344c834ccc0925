"""`NetworkPath`, the machine that decides when the packets of one direction are delivered, and which are lost.

It has no clock and sends nothing. Whether the n-th packet of a kind is lost depends only on the seed and on n, but not
on its size, its time or the traffic of other kinds. The same seed therefore loses the same packets.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.impairment.profile import TRAFFIC, Impairment, TrafficKind

HEADERS = 28
"""Bytes of the headers of IPv4 and UDP, which are sent with every datagram."""

RETRANSMISSION = 0.2
"""Minimum seconds until TCP sends a lost segment again: the minimum of Linux. The time doubles with each repetition."""
REPETITIONS = 6
"""Maximum number of repetitions of a message on a reliable connection. They take 12.6 s, if there is no delay."""

REMEMBERED = 1000
"""Maximum number of lost packets of each kind whose numbers are remembered, so that memory has a bound."""

_FOUR_NUMBERS = struct.Struct(">4Q")


@dataclass(slots=True)
class PacketCounts:
    """The packets of one kind.

    Attributes:
        packets: how many packets were sent.
        lost: how many of them were lost by chance. A message of a reliable connection, which arrives late, counts once.
        dropped: how many of them were lost because the queue was full.
        silenced: how many of them were lost because of a silence.
        lost_numbers: the numbers, from 1, of the first packets that were lost by chance, `REMEMBERED` at most.
    """

    packets: int = 0
    lost: int = 0
    dropped: int = 0
    silenced: int = 0
    lost_numbers: list[int] = field(default_factory=list)

    def note_loss(self) -> None:
        """Count the latest packet as lost by chance."""
        self.lost += 1
        if len(self.lost_numbers) < REMEMBERED:
            self.lost_numbers.append(self.packets)

    def to_data(self) -> dict[str, JSON]:
        """Return the counts as a JSON object."""
        counts: dict[str, JSON] = {"packets": self.packets, "lost": self.lost, "dropped": self.dropped}
        return {**counts, "silenced": self.silenced, "lost_numbers": [*self.lost_numbers]}


class NetworkPath:
    """One direction of one client's network.

    Attributes:
        impairment: what the network does to packets.
        counts: the packets so far, by kind.
    """

    def __init__(self, impairment: Impairment, seed: str) -> None:
        self.impairment = impairment
        self.counts: Mapping[TrafficKind, PacketCounts] = {kind: PacketCounts() for kind in TRAFFIC}
        self._seed = seed
        self._numbers = dict.fromkeys(TRAFFIC, 0)
        """The number of random decisions of each kind so far."""
        self._in_burst = False
        """Whether the latest media packet was lost in a burst."""
        self._free_at = 0.0
        """When the link has sent all packets that wait for it."""
        self._latest_datagram = 0.0
        """When the latest datagram is delivered that was not reordered."""
        self._latest_messages = dict.fromkeys(TRAFFIC, 0.0)
        """When the latest message of each kind is delivered. It holds up those behind it, but no datagrams."""

    def datagram(self, kind: TrafficKind, size: int, now: float, elapsed: float) -> tuple[float, ...]:
        """Return the times at which the copies of a datagram are delivered; none if it is lost.

        Args:
            kind: what the datagram carries.
            size: its length in bytes, without headers.
            now: the time at which it is sent, which never decreases.
            elapsed: seconds since the beginning of the impairment, for silences.
        """
        counts, limits = self.counts[kind], self.impairment
        counts.packets += 1
        loss, jitter, reorder, duplicate = self._draw(kind)
        is_lost = self._loses(kind, loss)
        if limits.silence_left(elapsed):
            counts.silenced += 1
            return ()
        if is_lost:
            counts.note_loss()
            return ()
        sent = self._sent(size + HEADERS, now, may_drop=True)
        if sent is None:
            counts.dropped += 1
            return ()
        due = sent
        if reorder >= limits.reorder:
            due = self._latest_datagram = max(self._latest_datagram, sent + self._delay(jitter))
        return (due, due) if duplicate < limits.duplicate else (due,)

    def message(self, kind: TrafficKind, size: int, now: float) -> float:
        """Return when a message of a reliable connection is delivered, such as a WebSocket on TCP.

        The message arrives once, and after the earlier messages of its kind. A loss delays it, because TCP sends it
        again. A message that is sent during a silence waits for its end, before it is passed to this method.
        """
        counts = self.counts[kind]
        counts.packets += 1
        late, pause = 0.0, RETRANSMISSION + 2 * self.impairment.delay
        loss, jitter, _, _ = self._draw(kind)
        for _ in range(REPETITIONS):
            if not self._loses(kind, loss):
                break
            late, pause = late + pause, 2 * pause
            loss, _, _, _ = self._draw(kind)
        if late:
            counts.note_loss()
        sent = self._sent(size, now, may_drop=False)
        assert sent is not None, "expected a message that waits for the link, got a dropped one"
        due = self._latest_messages[kind] = max(self._latest_messages[kind], sent + late + self._delay(jitter))
        return due

    def to_data(self) -> dict[str, JSON]:
        """Return the counts of all kinds of packets that were sent, as a JSON object."""
        return {kind: counts.to_data() for kind, counts in self.counts.items() if counts.packets}

    def _draw(self, kind: TrafficKind) -> tuple[float, ...]:
        """Return four random numbers, at least 0 and below 1, for one packet: loss, jitter, reordering, duplication."""
        self._numbers[kind] += 1
        digest = hashlib.sha256(f"{self._seed}/{kind}/{self._numbers[kind]}".encode()).digest()
        return tuple((number >> 11) * 2**-53 for number in _FOUR_NUMBERS.unpack(digest))

    def _loses(self, kind: TrafficKind, chance: float) -> bool:
        limits = self.impairment
        if kind != "media" or limits.loss_burst is None or limits.loss >= 1:
            return chance < limits.loss
        # The simple Gilbert model: a bad state in which every packet is lost, and which lasts `loss_burst` packets.
        ends = 1 / limits.loss_burst
        begins = ends * limits.loss / (1 - limits.loss)
        self._in_burst = chance >= ends if self._in_burst else chance < begins
        return self._in_burst

    def _sent(self, size: int, now: float, *, may_drop: bool) -> float | None:
        """Return when the link has sent `size` bytes; None if its queue is full."""
        limits = self.impairment
        if limits.rate is None:
            return now
        begins = max(now, self._free_at)
        if may_drop and begins - now > limits.queue:
            return None
        self._free_at = begins + size * 8 / limits.rate
        return self._free_at

    def _delay(self, chance: float) -> float:
        limits = self.impairment
        return max(0.0, limits.delay + (2 * chance - 1) * limits.jitter)
