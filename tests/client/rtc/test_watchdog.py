"""Noticing that no frame comes: as soon as the limit is over, and not a moment sooner for a process that was busy."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager

from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.rtc.watchdog import VideoWatchdog
from odyssey_client.system import SystemClock

SECOND_LOOK = 0.2
"""Seconds in which frames that wait in the event loop may still come."""


class SteppedClock:
    """Time that passes by sleeping, with things that happen at their times; ``lag`` is how late a busy loop wakes."""

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
def test_it_is_noticed_when_the_limit_has_passed_since_the_last_frame_that_came_in_time(
    frames: list[float], limit: float
) -> None:
    last = 0.0
    for frame in sorted(frames):
        if frame > last + limit + SECOND_LOOK:
            break
        last = max(last, frame)
    at = asyncio.run(noticed_at(SteppedClock(frames), limit))
    assert abs(at - (last + limit + SECOND_LOOK)) < 1e-6


async def test_it_counts_from_now_on_where_the_last_frame_was_long_ago() -> None:
    """As it was before a connection was lost, and tried for many times."""
    clock = SteppedClock([])
    clock.watchdog = VideoWatchdog(clock, 5.0)
    clock.now = 100.0
    await clock.watchdog.too_long()
    assert clock.now == 100.0 + 5.0 + SECOND_LOOK


async def test_frames_that_only_waited_to_be_read_are_no_silence() -> None:
    """The loop was held up for longer than the limit: timers are due before sockets have been read."""
    loop, watchdog = asyncio.get_running_loop(), VideoWatchdog(SystemClock(), 0.1)
    noticing = asyncio.create_task(watchdog.too_long())
    await asyncio.wait({noticing}, timeout=0.01)
    time.sleep(0.3)  # noqa: ASYNC251, TID251 - the very thing to be tested
    loop.call_later(0.05, watchdog.on_frame)
    beating = loop.create_task(beat(watchdog, 8))
    done, _ = await asyncio.wait({noticing, beating}, return_when=asyncio.FIRST_COMPLETED)
    assert done == {beating}
    await noticing


async def beat(watchdog: VideoWatchdog, times: int) -> None:
    for _ in range(times):
        await SystemClock().sleep(0.05)
        watchdog.on_frame()


def test_a_loop_that_is_always_late_is_given_up_on_in_the_end() -> None:
    clock = SteppedClock([], lag=1.0)
    assert asyncio.run(noticed_at(clock, 5.0)) < 5.0 + 1.0 + 5 * (SECOND_LOOK + 1.0) + 1e-6
