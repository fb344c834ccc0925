"""A script that connects the client to a mock twice, and prints the duration of `connect` in seconds each time.

test_offline.py runs it in a network namespace without internet access.
"""

import asyncio
import json
import time

import aiortc  # noqa: F401 - otherwise its import adds half a second to the first connect, with or without a network

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey

FRAMES = 5


async def session(mock: MockOdyssey) -> float:
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        began = time.perf_counter()
        stream = await client.connect()
        took = time.perf_counter() - began
        await client.start_stream("A cat")
        seen = 0
        async for _ in stream:
            seen += 1
            if seen == FRAMES:
                break
        await client.end_stream()
        return took


async def main() -> None:
    async with asyncio.timeout(60), MockOdyssey() as mock:
        took = [await session(mock) for _ in range(2)]
    print(json.dumps({"connect_s": took}))


asyncio.run(main())
