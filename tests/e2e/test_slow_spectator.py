"""Tests that the host and a second spectator receive video without delay while one spectator's process is stopped."""

import asyncio
import signal
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from odyssey_client import BroadcastInfo, MediaStream, Odyssey, connect_to_stream
from odyssey_mock import FrameStamp, MockOdyssey, read_stamp
from tests.support.raw import LIMIT

STOPPED = 5.0
"""Seconds for which SIGSTOP stops the process of one spectator."""

type Seen = list[tuple[FrameStamp, float]]
"""Received frames: the stamp of each frame, and its time of arrival in seconds on the mock's clock."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="requires SIGSTOP")


async def collect(mock: MockOdyssey, stream: MediaStream, into: Seen) -> None:
    async for frame in stream.frames(buffer=512):
        stamp = read_stamp(frame.luma)
        assert stamp is not None
        into.append((stamp, mock.clock.time()))


def pauses(seen: Seen) -> list[int]:
    """Return the milliseconds between the times at which the mock sent consecutive frames."""
    return [later.sent_at_ms - earlier.sent_at_ms for (earlier, _), (later, _) in pairwise(seen)]


def delay(seen: Seen) -> float:
    """Return the median latency in milliseconds, from sending a frame to reading it."""
    return statistics.median(got * 1000 - stamp.sent_at_ms for stamp, got in seen)


async def passed(seconds: float) -> None:
    over = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, over.set_result, None)
    await over


@asynccontextmanager
async def spectator_process(info: BroadcastInfo) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.spectator_process",
        info.webrtc_url,
        info.spectator_token,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def index_of_next_frame(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    async with asyncio.timeout(LIMIT):
        return int(await process.stdout.readline())


@pytest.mark.odyssey(portrait_size=(352, 640))
async def test_stopped_spectator_delays_no_other_client(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
    stream = await odyssey_client.connect(on_broadcast_ready=ready.set_result)
    await odyssey_client.start_stream("A temple", broadcast=True)
    info = await ready
    host: Seen = []
    other: Seen = []
    async with (
        spectator_process(info) as stopped,
        await connect_to_stream(info.webrtc_url, info.spectator_token) as spectator,
        asyncio.TaskGroup() as tasks,
    ):
        reading = [
            tasks.create_task(collect(odyssey_mock, stream, host)),
            tasks.create_task(collect(odyssey_mock, spectator.stream, other)),
        ]
        for _ in range(10):
            await index_of_next_frame(stopped)
        host.clear()
        await passed(STOPPED)
        before = host.copy()

        host.clear()
        other.clear()
        stopped.send_signal(signal.SIGSTOP)
        await passed(STOPPED)
        during, beside = host.copy(), other.copy()
        stopped.send_signal(signal.SIGCONT)

        now = during[-1][0].frame_index
        while await index_of_next_frame(stopped) <= now:
            pass
        for task in reading:
            task.cancel()

    for seen in (during, beside):
        indexes = [stamp.frame_index for stamp, _ in seen]
        assert indexes == list(range(indexes[0], indexes[-1] + 1)), (
            f"expected consecutive frame indexes, without a missing frame, got {indexes}"
        )
        # Compare with the five seconds before the spectator was stopped.
        assert len(seen) > 0.8 * len(before)
    assert statistics.median(pauses(during)) == pytest.approx(statistics.median(pauses(before)), abs=5)
    assert delay(during) < delay(before) + 50
