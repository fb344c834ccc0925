"""A sample application. For each line of standard input, it opens a session and sends the line as a prompt."""

import asyncio
import sys

from odyssey_client import Odyssey


async def apply(prompt: str) -> str:
    async with Odyssey() as client:
        await client.connect()
        await client.start_stream("A cat on a windowsill")
        applied = await client.interact(prompt)
        await client.end_stream()
        return applied


if __name__ == "__main__":
    for line in sys.stdin:
        print(asyncio.run(apply(line.strip())), flush=True)
