"""`DelayLine`, which delivers packets at given times of the event loop."""

import asyncio
import contextvars
import heapq
import itertools
from collections.abc import Callable

MOST = 20_000
"""Number of packets at which a delay line is full, so that datagrams take bounded memory: more than a minute of video.

A full line still accepts messages and control calls (`may_drop=False`), which nothing would repeat. Both directions of
a connection share a line. Only the longest delays can fill it: a packet waits up to 180 s, for the
queue, the delay and the jitter of a profile. The counts of `NetworkPath` do not include the packets that are then lost.
"""


class DelayLine:
    """Packets on their way. Each is delivered at its time, and packets of the same time in the order of `add`."""

    def __init__(self, context: contextvars.Context | None = None) -> None:
        """Create an empty line, which calls the functions of `add` in `context`."""
        self._context = context
        self._waiting: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def latest(self) -> float | None:
        """When the last packet is delivered; None if the line is empty."""
        return max((when for when, _, _ in self._waiting), default=None)

    def add(self, when: float, deliver: Callable[[], object], *, may_drop: bool = True) -> bool:
        """Call `deliver` at the time `when` of the event loop, at once if it has passed and no earlier packet waits.

        Return False if the line is full. `deliver` is then not called: the packet is lost. A full line accepts a packet
        with `may_drop=False`. An exception of `deliver` affects no other packet: `add` raises it if it calls `deliver`
        at once, the event loop reports it otherwise.
        """
        is_first = not self._waiting or when < self._waiting[0][0]
        if is_first and when <= asyncio.get_running_loop().time():
            deliver()
            return True
        if may_drop and len(self._waiting) >= MOST:
            return False
        heapq.heappush(self._waiting, (when, next(self._numbers), deliver))
        if is_first:
            self._start_timer()
        return True

    def clear(self) -> None:
        """Drop all packets."""
        self._waiting.clear()
        self._start_timer()

    def _deliver_due(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting and self._waiting[0][0] <= loop.time():
                _, _, deliver = heapq.heappop(self._waiting)
                deliver()
        finally:
            # `deliver` raises if aioice cannot parse a datagram. The packets behind it are still delivered.
            self._start_timer()

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._waiting[0][0], self._deliver_due, context=self._context)
