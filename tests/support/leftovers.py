"""What a piece of work leaves behind in its process."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psutil

SETTLING_S = 1.0


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """What there is of tasks, threads and open files after the block is what there was before it.

    An open file is whatever has a descriptor, sockets above all. The threads of the loop's executor stay: they are few
    and taken again. What is being closed is gone a moment later: that long is waited, up to `SETTLING_S`.
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
            while not is_clean():  # noqa: ASYNC110 - threads and sockets tell nobody when they are gone
                await asyncio.sleep(0.01)  # noqa: TID251 - real time, which they take
    assert is_clean(), f"left behind: {left()}, {process.net_connections('all')}"
