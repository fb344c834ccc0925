"""Tests of requests that pause on a manual clock, for example for a delay or a slow response.

When a pause is over, `advance` waits at most `SETTLE_LIMIT` seconds until the request pauses again or ends.
"""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from odyssey_mock.core.clock import MANUAL_START, ManualClock
from odyssey_mock.http import pacing
from odyssey_mock.http.pacing import SETTLE_LIMIT, Pace
from odyssey_mock.http.uvicorn_server import TcpConnection
from tests.support.raw import LIMIT


class _Protocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connection = TcpConnection(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.lost.set_result(None)


@pytest_asyncio.fixture
async def connection() -> AsyncIterator[TcpConnection]:
    ours, theirs = socket.socketpair()
    with theirs:
        transport, protocol = await asyncio.get_running_loop().create_connection(_Protocol, sock=ours)
        yield protocol.connection
        transport.close()
        await protocol.connection.lost


async def test_clock_waits_for_the_next_pause(
    connection: TcpConnection,
) -> None:
    clock, times = ManualClock(), list[float]()
    begun = clock.time()

    async def request() -> None:
        with Pace(clock, connection, "a pause") as pace:
            for _ in range(100):
                await pace.pause(0.25)
                await asyncio.to_thread(lambda: None)
                times.append(clock.time() - begun)

    running = asyncio.create_task(request())
    await asyncio.wait([running], timeout=0)
    async with asyncio.timeout(SETTLE_LIMIT):
        await clock.advance(30)
    assert times == [0.25 * number for number in range(1, 101)]
    await running


async def test_connection_is_marked_held_only_while_pausing(connection: TcpConnection) -> None:
    clock, held = ManualClock(), [connection.is_held]
    with Pace(clock, connection, "a pause") as pace:
        pausing = asyncio.create_task(pace.pause(1))
        await asyncio.wait([pausing], timeout=0)
        held.append(connection.is_held)
        await clock.advance(0.5)
        assert not pausing.done()
        advancing = asyncio.create_task(clock.advance(0.5))
        await pausing
        held.append(connection.is_held)
    await advancing
    assert held == [False, True, False]


@pytest.mark.parametrize("start", [MANUAL_START, MANUAL_START + 0.1, 1e9 / 3])
@pytest.mark.parametrize("rate", [3, 7, 20, 30])
async def test_pauses_tolerate_float_rounding(connection: TcpConnection, start: float, rate: int) -> None:
    clock, passed = ManualClock(start), 0

    async def request() -> None:
        nonlocal passed
        with Pace(clock, connection, "a pause") as pace:
            for number in range(1, 10 * rate + 1):
                await pace.until(start + number / rate)
                passed = number

    running = asyncio.create_task(request())
    await asyncio.wait([running], timeout=0)
    for second in range(1, 11):
        await clock.advance(1)
        assert passed == second * rate
    await running


async def test_pause_until_past_instant_ends_at_once(connection: TcpConnection) -> None:
    clock = ManualClock()
    with Pace(clock, connection, "a pause") as pace:
        for instant in (clock.time(), clock.time() - 1):
            await asyncio.wait_for(pace.until(instant), LIMIT)
        connection.abort()
        await connection.lost
        await asyncio.wait_for(pace.until(clock.time() + 1), LIMIT)


async def test_pause_ends_with_its_connection(connection: TcpConnection) -> None:
    clock = ManualClock()
    with Pace(clock, connection, "a pause") as pace:
        pausing = asyncio.create_task(pace.pause(1))
        await asyncio.wait([pausing], timeout=0)
        connection.abort()
        await asyncio.wait_for(pausing, LIMIT)
    assert (connection.is_held, clock.pending) == (False, [])


async def test_cancelled_pause_leaves_no_deadline(connection: TcpConnection) -> None:
    clock = ManualClock()
    with Pace(clock, connection, "a pause") as pace:
        pausing = asyncio.create_task(pace.pause(1))
        await asyncio.wait([pausing], timeout=0)
        pausing.cancel()
        await asyncio.wait([pausing])
    assert (connection.is_held, clock.pending) == (False, [])


async def test_stuck_request_delays_the_clock_briefly(
    connection: TcpConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "SETTLE_LIMIT", 0.05)
    clock, stuck = ManualClock(), asyncio.Event()

    async def request() -> None:
        with Pace(clock, connection, "a pause") as pace:
            await pace.pause(1)
            await stuck.wait()

    running = asyncio.create_task(request())
    await asyncio.wait([running], timeout=0)
    async with asyncio.timeout(LIMIT):
        await clock.advance(2)
    assert not running.done()
    stuck.set()
    await running
