"""Detection of video that has stopped on an open connection, because the sender hangs or is cut off.

Frames arrive as long as a connection lasts (protocol.md section 4). ICE alone would take 30 s to detect the loss.
"""

from __future__ import annotations

from odyssey_client.platform import Clock

SECOND_LOOK_S = 0.2
"""Seconds to wait for frames that have arrived but were not read yet.

After a process was busy or suspended for longer than the watchdog's limit, timers fire before the sockets are read.
"""

LOOKS = 5
"""Maximum number of waits of `SECOND_LOOK_S`. A wait is repeated if the busy event loop ended it too late."""


class VideoWatchdog:
    """Detects that no frame has arrived for ``limit`` seconds."""

    def __init__(self, clock: Clock, limit: float) -> None:
        self._clock = clock
        self._limit = limit
        self._frames = 0
        self._last = clock.monotonic()

    def on_frame(self) -> None:
        """Record that a frame has arrived now."""
        self._frames += 1
        self._last = self._clock.monotonic()

    async def too_long(self) -> None:
        """Return once no frame has arrived for ``limit`` seconds, counted from this call and from each later frame."""
        self._last = max(self._last, self._clock.monotonic())
        while True:
            left = self._last + self._limit - self._clock.monotonic()
            if left > 0:
                await self._clock.sleep(left)
            elif not await self._is_late():
                return

    async def _is_late(self) -> bool:
        """Wait for frames that have arrived but were not read yet; return whether a frame was read."""
        seen = self._frames
        for _ in range(LOOKS):
            began = self._clock.monotonic()
            await self._clock.sleep(SECOND_LOOK_S)
            if self._frames != seen:
                return True
            if self._clock.monotonic() - began < 2 * SECOND_LOOK_S:
                return False
        return False
