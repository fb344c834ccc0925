"""A task that is done when the peer of a stream has closed the connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def closing_of_peer(reader: asyncio.StreamReader) -> AsyncIterator[asyncio.Task[bytes]]:
    """Yield a task that is done when the peer has closed or reset the connection.

    At the end of the block, the result of the task is retrieved. asyncio would otherwise log a reset connection when it
    deletes the task, which may be during a later test.
    """
    closing = asyncio.create_task(reader.read())
    try:
        yield closing
    finally:
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
