"""A check for leaked tasks, threads and open files."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psutil

SETTLING_S = 1.0


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Assert that all tasks, threads and file descriptors created in the `with` block are gone after it.

    File descriptors include sockets. Threads of the event loop's executor are ignored, because the loop reuses them.
    Resources may close late, so the check waits up to `SETTLING_S` seconds.
    """
    process = psutil.Process()
    tasks, threads, files = asyncio.all_tasks(), set(threading.enumerate()), process.num_fds()
    yield

    def left() -> tuple[set[asyncio.Task[object]], set[threading.Thread], int]:
        pool = {thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")}
        return asyncio.all_tasks() - tasks, set(threading.enumerate()) - pool - threads, process.num_fds() - files

    def is_clean() -> bool:
        more_tasks, more_threads, more_files = left()
        return not more_tasks and not more_threads and more_files <= 0

    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLING_S):
            while not is_clean():  # noqa: ASYNC110 - threads and sockets send no event when they end
                await asyncio.sleep(0.01)  # noqa: TID251 - they end in real time
    assert is_clean(), (
        "expected no leaked tasks, threads and file descriptors, "
        f"got (tasks, threads, number of descriptors): {left()}; connections: {process.net_connections('all')}"
    )
