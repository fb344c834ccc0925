"""A script that starts a stream at the URL in `ODYSSEY_API_URL`, and prints the size of its first frame."""

import asyncio
import json

from odyssey_client import Odyssey

LIMIT = 30.0
"""Timeout in seconds, on a busy machine."""


async def main() -> None:
    async with asyncio.timeout(LIMIT), Odyssey() as client:
        video = await client.connect()
        await client.start_stream("A cat")
        frame = await anext(video.frames())
        print(json.dumps([frame.width, frame.height]))


asyncio.run(main())
