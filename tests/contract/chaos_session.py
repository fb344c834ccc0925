"""A command for `odyssey-mock chaos`: one session of `odyssey_client` with default settings.

The command exits with an error message as soon as a call of the client raises. It has no timeout. The last line of its
output is the call in progress, or the error. `browser/chaos_session.py` makes the same calls of the official client.
"""

import asyncio
import sys

from odyssey_client import MediaStream, Odyssey, OdysseyError

FRAMES = 15
"""Number of frames to receive after `start_stream` and after `interact`."""


async def main() -> None:
    client = Odyssey()
    step = begin("connect")
    try:
        stream = await client.connect()
        step = begin("start_stream")
        await client.start_stream("A harbor")
        step = begin("frames after start_stream")
        await watch(stream)
        step = begin("interact")
        await client.interact("Snow falls")
        step = begin("frames after interact")
        await watch(stream)
        step = begin("end_stream")
        await client.end_stream()
    except OdysseyError as error:
        sys.exit(f"{step}: {type(error).__name__}({error.code})")
    finally:
        begin("disconnect")
        await client.disconnect()


def begin(step: str) -> str:
    print(step, flush=True)
    return step


async def watch(stream: MediaStream) -> None:
    seen = 0
    async for _ in stream.frames():
        seen += 1
        if seen == FRAMES:
            return
    sys.exit(f"expected {FRAMES} frames, got {seen} before the video ended")


if __name__ == "__main__":
    asyncio.run(main())
