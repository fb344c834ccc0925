"""One session of `odyssey_client` with default settings, as a command for `odyssey-mock chaos`.

It does the same as `browser/chaos_session.py` with the official client: it ends with an error message as soon as a
call raises, and has no timeout of its own. The last line of the output is the call in progress, or the error.
"""

import asyncio
import sys

from odyssey_client import MediaStream, Odyssey, OdysseyError

FRAMES = 15
"""Number of frames to watch after the start and after the interaction."""


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
    sys.exit("the video ended")


if __name__ == "__main__":
    asyncio.run(main())
