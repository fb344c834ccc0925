"""Opens 100 connections in sequence and prints how much memory each one retains. test_life_cycles.py runs it.

It is a script for a separate process, because earlier tests would change the memory use of the test process.
"""

import asyncio
import ctypes
import gc
import json
import weakref
from unittest.mock import patch

import psutil
from aiortc import RTCConfiguration, RTCPeerConnection

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey, Settings
from tests.support.leftovers import nothing_left

CYCLES = 100
WARM_UP = 30
"""Cycles until caches, thread pools and the allocator's arenas have reached about their full size."""

SMALL = Settings(portrait_size=(176, 320), landscape_size=(320, 176), journal_limit=100)

_made: list[int] = []
_alive: weakref.WeakSet[RTCPeerConnection] = weakref.WeakSet()
_make = RTCPeerConnection.__init__


def _make_and_remember(peer: RTCPeerConnection, configuration: RTCConfiguration | None = None) -> None:
    _made.append(id(peer))
    _alive.add(peer)
    _make(peer, configuration)


async def life_cycle(mock: MockOdyssey) -> None:
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        stream = await client.connect()
        await client.start_stream("A cat")
        await client.interact("It looks out")
        await anext(aiter(stream))
        await client.end_stream()


async def objects_after_reset(mock: MockOdyssey) -> int:
    """Reset the mock, which discards its streams and its journal; then return the number of Python objects."""
    await mock.reset()
    gc.collect()
    return len(gc.get_objects())


def memory() -> int:
    """Return the resident memory of this process in bytes, after a garbage collection.

    With glibc, the function first returns freed memory to the system. On other systems, freed memory still counts.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return int(psutil.Process().memory_info().rss)


async def measure() -> None:
    async with nothing_left():
        async with MockOdyssey(SMALL) as mock:
            for _ in range(WARM_UP):
                await life_cycle(mock)
            objects, size = await objects_after_reset(mock), memory()
            for _ in range(CYCLES):
                await life_cycle(mock)
            assert not mock.sessions, "expected no open sessions"
            assert len(mock.streams) == CYCLES
            objects, size = await objects_after_reset(mock) - objects, memory() - size
        gc.collect()
        assert len(_made) == 2 * (WARM_UP + CYCLES)
        assert len(_alive) == 0
    print(json.dumps({"objects_per_cycle": objects / CYCLES, "bytes_per_cycle": size / CYCLES}))


async def main() -> None:
    with patch.object(RTCPeerConnection, "__init__", _make_and_remember):
        await measure()


if __name__ == "__main__":
    asyncio.run(main())
