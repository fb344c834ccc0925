"""A script that opens and closes 100 connections one after another, and prints the memory that each one leaks.

test_life_cycles.py runs it in a separate process, because other tests change the memory use of the test process.
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
"""Number of connections before the measurement. They fill caches, thread pools and the allocator's arenas."""

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
    """Reset the mock, which discards its streams and its journal. Then return the number of objects in this process."""
    await mock.reset()
    gc.collect()
    return len(gc.get_objects())


def memory() -> int:
    """Return the resident memory of this process in bytes, after a garbage collection.

    With glibc, the function first releases freed memory to the system. With other C libraries, the result may include
    freed memory.
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
            assert not mock.sessions, f"expected no open sessions after the last connection, got {list(mock.sessions)}"
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
