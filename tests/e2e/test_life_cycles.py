"""Two hundred connections in one process, and nothing is left of them."""

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey, Settings

CYCLES = 200
WARM_UP = 50
"""Cycles after which caches, thread pools and the allocator's arenas are about as large as they get."""
NOISE = 40_000
"""Bytes that a cycle may seem to keep. One decoded frame of this size is 84,000, one peer with its history far more."""

SMALL = Settings(portrait_size=(176, 320), landscape_size=(320, 176), journal_limit=100)


async def life_cycle(mock: MockOdyssey) -> None:
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        stream = await client.connect()
        await client.start_stream("A cat")
        await client.interact("It looks out")
        await anext(aiter(stream))
        await client.end_stream()


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """What there is of tasks, threads and sockets after the block is what there was before it."""
    process = psutil.Process()
    tasks, threads, sockets = asyncio.all_tasks(), set(threading.enumerate()), len(process.net_connections("all"))
    yield
    pools = {each for each in threading.enumerate() if each.name.startswith("asyncio_")}
    assert asyncio.all_tasks() <= tasks
    assert set(threading.enumerate()) - pools <= threads
    assert len(process.net_connections("all")) <= sockets


async def test_200_life_cycles_leave_no_task_thread_socket_or_peer_and_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peers: weakref.WeakSet[RTCPeerConnection] = weakref.WeakSet()
    make = RTCPeerConnection.__init__

    def remember(peer: RTCPeerConnection, configuration: RTCConfiguration | None = None) -> None:
        peers.add(peer)
        make(peer, configuration)

    monkeypatch.setattr(RTCPeerConnection, "__init__", remember)
    memory = psutil.Process().memory_info
    async with nothing_left():
        async with MockOdyssey(SMALL) as mock:
            for _ in range(WARM_UP):
                await life_cycle(mock)
            gc.collect()
            before = memory().rss
            for _ in range(CYCLES):
                await life_cycle(mock)
            gc.collect()
            after = memory().rss
            assert not mock.sessions
            assert len(mock.streams) == WARM_UP + CYCLES
        gc.collect()
        assert len(peers) == 0
    assert (after - before) / CYCLES < NOISE


async def test_connecting_cut_short_at_any_moment_leaves_nothing_either() -> None:
    async with MockOdyssey() as mock:
        await life_cycle(mock)
    async with nothing_left(), MockOdyssey() as mock:
        for delay in [number * 0.006 for number in range(25)]:
            client = Odyssey(mock.api_key, api_url=mock.url)
            connecting = asyncio.create_task(client.connect())
            await asyncio.wait([connecting], timeout=delay)
            connecting.cancel()
            await asyncio.wait([connecting])
            await client.disconnect()
