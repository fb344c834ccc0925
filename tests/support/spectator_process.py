"""A script that watches a broadcast and prints the index of each frame. test_slow_spectator.py runs it."""

import asyncio
import sys

from odyssey_client import connect_to_stream
from odyssey_mock import read_stamp


async def main(webrtc_url: str, token: str) -> None:
    async with await connect_to_stream(webrtc_url, token) as spectator:
        async for frame in spectator.frames(buffer=512):
            stamp = read_stamp(frame.luma)
            print("none" if stamp is None else stamp.frame_index, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
