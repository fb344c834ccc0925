"""Tests of `VideoWatchdog`, which fires when no frame has arrived for a given time, but not early in a busy process."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager

from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.rtc.watchdog import VideoWatchdog
from odyssey_client.system import SystemClock

SECOND_LOOK = 0.2
"""Seconds for which the watchdog waits, after its limit, for frames that have arrived but are not read yet."""


class SteppedClock:
    """A fake clock that only `sleep` advances. `sleep` reports frames to the watchdog at the times in ``frames``.

    Each sleep lasts ``lag`` seconds longer than requested, as in a busy process.
    """

    def __init__(self, frames: list[float], lag: float = 0.0) -> None:
        self.now = 0.0
        self.watchdog: VideoWatchdog | None = None
        self._frames = sorted(frames)
        self._lag = lag

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        while self._frames and self._frames[0] <= until:
            self.now = self._frames.pop(0)
            assert self.watchdog is not None
            self.watchdog.on_frame()
        self.now = until + self._lag

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        raise NotImplementedError


async def noticed_at(clock: SteppedClock, limit: float) -> float:
    clock.watchdog = VideoWatchdog(clock, limit)
    await clock.watchdog.too_long()
    return clock.now


@given(frames=st.lists(st.floats(0, 20)), limit=st.floats(0.5, 10))
def test_watchdog_fires_when_limit_passes_after_last_frame(frames: list[float], limit: float) -> None:
    last = 0.0
    for frame in sorted(frames):
        if frame > last + limit + SECOND_LOOK:
            break
        last = max(last, frame)
    at = asyncio.run(noticed_at(SteppedClock(frames), limit))
    assert abs(at - (last + limit + SECOND_LOOK)) < 1e-6


async def test_limit_counts_from_call_after_old_frame() -> None:
    """If the last frame is older than the call of `too_long`, the limit counts from the call.

    This is the case, for example, after many reconnect attempts.
    """
    clock = SteppedClock([])
    clock.watchdog = VideoWatchdog(clock, 5.0)
    clock.now = 100.0
    await clock.watchdog.too_long()
    assert clock.now == 100.0 + 5.0 + SECOND_LOOK


async def test_unread_frames_do_not_trigger_the_watchdog() -> None:
    """Frames that arrive while the event loop is blocked prevent the watchdog from firing.

    When the event loop continues, timers fire before sockets are read. So the watchdog waits a little for unread
    frames.
    """
    loop, watchdog = asyncio.get_running_loop(), VideoWatchdog(SystemClock(), 0.1)
    noticing = asyncio.create_task(watchdog.too_long())
    await asyncio.wait({noticing}, timeout=0.01)
    time.sleep(0.3)  # noqa: ASYNC251, TID251 - blocking the loop is the test
    loop.call_later(0.05, watchdog.on_frame)
    beating = loop.create_task(beat(watchdog, 8))
    done, _ = await asyncio.wait({noticing, beating}, return_when=asyncio.FIRST_COMPLETED)
    assert done == {beating}
    await noticing


async def beat(watchdog: VideoWatchdog, times: int) -> None:
    for _ in range(times):
        await SystemClock().sleep(0.05)
        watchdog.on_frame()


def test_watchdog_fires_even_if_loop_is_always_late() -> None:
    clock = SteppedClock([], lag=1.0)
    assert asyncio.run(noticed_at(clock, 5.0)) < 5.0 + 1.0 + 5 * (SECOND_LOOK + 1.0) + 1e-6
