"""`bench sessions`: the CPU time of a live session, compared with a plain aiortc track that has its own encoder.

The benchmark counts the CPU time of this process, which runs the mock and the plain tracks. The clients run in another
process (`session_clients.py`). Sessions and tracks have 704x1280 pixels and 20 frames per second. Plain tracks send
prerendered frames, and aiortc encodes them with its default encoder.

On Linux, the benchmark also determines how many sessions one processor can serve. It binds this process to one
processor and the clients to the others. Then it adds sessions until fewer than `ON_TIME` of the frames are on time.
"""

import os
import statistics
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from odyssey_mock.bench.arrivals import FPS
from odyssey_mock.bench.plain_sender import plain_sender
from odyssey_mock.bench.rows import Row
from odyssey_mock.bench.session_clients import ClientProcess, client_process
from odyssey_mock.media.keyframes import GROUP_SECONDS
from odyssey_mock.server import MockOdyssey

STREAMING_TARGET, IDLE_TARGET = 0.33, 0.05
CAPACITY_TARGET = 0.4
SESSIONS, QUICK_SESSIONS = 4, 2
ROUNDS, WINDOW = 3, 4.0
QUICK_ROUNDS, QUICK_WINDOW = 1, 0.8
"""Number of alternating measurements, and the length of each measurement in seconds."""
SETTLING = 0.4
"""Seconds before each measurement, in which the work of connecting and the first large frames are done."""
SHARING = GROUP_SECONDS + 0.3
"""Seconds until idle sessions have entered a shared scene (`odyssey_mock/sessions/idle_scenes.py`)."""
ON_TIME = 0.99
"""The share of frames that must be on time for a processor to serve the sessions."""
CAPACITY_WINDOW = 2.0
CAPACITY_START = 0.6
"""The share of the expected capacity with which the search begins."""
CAPACITY_STEP = 1 / 12
"""The share of the sessions by which the search increases their number."""
MOST_SESSIONS = 400


async def run(*, quick: bool = False) -> list[Row]:
    """Compare the CPU time per session of the mock with that of plain tracks, measured alternately."""
    measured = _Measured()
    rounds, window, count = (QUICK_ROUNDS, QUICK_WINDOW, QUICK_SESSIONS) if quick else (ROUNDS, WINDOW, SESSIONS)
    processors = _processors()
    async with client_process(processors[1:]) as clients, _mock() as mock:
        for _ in range(rounds):
            await clients.join(mock.url, mock.api_key, count)
            await clients.watch(SHARING)
            measured.idle.append(await _cpu(clients, window))
            await clients.start()
            measured.streaming.append(await _cpu(clients, window))
            await clients.leave()
            async with plain_sender() as answer:
                await clients.join_plain(answer, count)
                measured.plain.append(await _cpu(clients, window))
                await clients.leave()
        rows = measured.rows()
        if not quick and len(processors) > 1:
            rows.append(await _capacity_row(clients, mock, measured, processors[0]))
    return rows


class _Measured:
    """The CPU times of one session, in milliseconds per second of video."""

    def __init__(self) -> None:
        self.idle: list[float] = []
        self.streaming: list[float] = []
        self.plain: list[float] = []

    def rows(self) -> list[Row]:
        unit = "ms of CPU per second of video"
        return [
            Row("sessions, streaming", self.streaming, self.plain, unit, STREAMING_TARGET),
            Row("sessions, idle", self.idle, self.plain, unit, IDLE_TARGET),
        ]


def _mock() -> MockOdyssey:
    return MockOdyssey(hls=False, streamers=MOST_SESSIONS, concurrent_sessions=None)


async def _cpu(clients: ClientProcess, window: float) -> float:
    """Return the CPU time of this process for one second of the video of one session, in milliseconds.

    It is measured while the clients watch for `window` seconds. The frames that arrive are counted, because a sender on
    a busy machine skips some.
    """
    await clients.watch(SETTLING)
    spent = time.process_time()
    watched = await clients.watch(window)
    return (time.process_time() - spent) * 1000 / (watched.frames / FPS)


async def _capacity_row(clients: ClientProcess, mock: MockOdyssey, measured: _Measured, processor: int) -> Row:
    """Compare the sessions that one processor serves, as the share of the processor that each of them needs."""

    async def join(count: int) -> None:
        await clients.join(mock.url, mock.api_key, count)
        await clients.start()

    with _bound({processor}):
        ours = await _capacity(clients, join, statistics.median(measured.streaming))
        async with plain_sender() as answer:
            plain = await _capacity(clients, partial(clients.join_plain, answer), statistics.median(measured.plain))
    note = f"{ours} and {plain} sessions per processor"
    return Row("sessions per processor", [1000 / ours], [1000 / plain], "ms per session", CAPACITY_TARGET, note)


async def _capacity(clients: ClientProcess, join: Callable[[int], Awaitable[None]], each: float) -> int:
    """Return the number of sessions with which at least `ON_TIME` of the frames are on time, at least 1.

    `each`: the CPU time of one session, in milliseconds per second of video, from which the number is estimated.
    """
    served, count = 1, 0
    more = max(1, int(CAPACITY_START * 1000 / each))
    while count < MOST_SESSIONS:
        await join(more)
        count += more
        await clients.watch(SETTLING)
        if (await clients.watch(CAPACITY_WINDOW)).on_time < ON_TIME:
            break
        served, more = count, max(1, int(count * CAPACITY_STEP))
    await clients.leave()
    return served


def _processors() -> list[int]:
    """Return the processors of this process; none if the system cannot bind threads to processors."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextmanager
def _bound(processors: Collection[int]) -> Iterator[None]:
    """Bind all threads of this process to some processors during the block."""
    former = os.sched_getaffinity(0)
    _bind(processors)
    try:
        yield
    finally:
        _bind(former)


def _bind(processors: Collection[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), processors)
