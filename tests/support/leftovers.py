"""What a piece of work leaves behind in its process."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """What there is of tasks, threads and open files after the block is what there was before it.

    An open file is whatever has a descriptor, sockets above all. The threads of the loop's executor stay: they are few
    and taken again.
    """
    process = psutil.Process()
    tasks, threads, files = asyncio.all_tasks(), set(threading.enumerate()), process.num_fds()
    yield
    pool = {thread for thread in threading.enumerate() if thread.name.startswith("asyncio_")}
    assert asyncio.all_tasks() <= tasks
    assert set(threading.enumerate()) - pool <= threads
    assert process.num_fds() <= files, process.net_connections("all")
