"""Our client and the mock, once cold and once warm; prints the seconds each took to connect. Run by test_offline.py."""

import asyncio
import json
import time

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
        cold = await session(mock)
        warm = await session(mock)
    print(json.dumps({"cold_s": cold, "warm_s": warm}))


asyncio.run(main())
