"""Noticing that video has stopped though nobody said so: a sender that is frozen or cut off.

Frames flow as long as a connection lasts (protocol.md section 4), and ICE alone would take 30 s to notice.
"""

from __future__ import annotations

from odyssey_client.platform import Clock

SECOND_LOOK_S = 0.2
"""Seconds that frames get which may be waiting in the event loop: a process that was busy, or suspended, for longer
than the limit finds its timers due before it has read its sockets."""

LOOKS = 5
"""How often is looked again where the loop is too busy even for that."""


class VideoWatchdog:
    """How long no frame has come."""

    def __init__(self, clock: Clock, limit: float) -> None:
        self._clock = clock
        self._limit = limit
        self._frames = 0
        self._last = clock.monotonic()

    def on_frame(self) -> None:
        """Note that a frame has come, now."""
        self._frames += 1
        self._last = self._clock.monotonic()

    async def too_long(self) -> None:
        """Return once no frame has come for the limit, from now on or from the last one."""
        self._last = max(self._last, self._clock.monotonic())
        while True:
            left = self._last + self._limit - self._clock.monotonic()
            if left > 0:
                await self._clock.sleep(left)
            elif not await self._is_late():
                return

    async def _is_late(self) -> bool:
        """Whether a frame has only been waiting to be read."""
        seen = self._frames
        for _ in range(LOOKS):
            began = self._clock.monotonic()
            await self._clock.sleep(SECOND_LOOK_S)
            if self._frames != seen:
                return True
            if self._clock.monotonic() - began < 2 * SECOND_LOOK_S:
                return False
        return False
