"""Starts a stream and waits for its first frame. As a script, it uses `ODYSSEY_API_URL` and `ODYSSEY_API_KEY`."""

import asyncio
import json
import os
from collections.abc import Sequence

from odyssey_client import Odyssey

LIMIT = 40.0
"""Timeout in seconds: more than the client's timeout for a connection."""


async def first_frame(url: str, key: str = "ody_client") -> Sequence[int]:
    """Return width and height of the first frame of a new stream."""
    async with asyncio.timeout(LIMIT), Odyssey(key, api_url=url) as client:
        video = await client.connect()
        await client.start_stream("A cat")
        frame = await anext(video.frames())
        return frame.width, frame.height


if __name__ == "__main__":
    print(json.dumps(asyncio.run(first_frame(os.environ["ODYSSEY_API_URL"], os.environ["ODYSSEY_API_KEY"]))))
