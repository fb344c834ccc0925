"""Checks of the event loop in which a call runs, threads for work that would block it, and a wait for its end.

A call in the wrong event loop would wait forever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import sniffio

from odyssey_client.errors import InvalidStateError


def async_library() -> str | None:
    """Return the library whose event loop runs in this thread, such as asyncio or trio; None if there is no loop."""
    if current_loop() is not None:
        return "asyncio"
    # `sniffio.current_async_library` also reads a context variable, which `asyncio.to_thread` copies to its thread.
    return sniffio.thread_local.name


def current_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running event loop of asyncio; None if there is none."""
    with suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None


def require_loop(call: str) -> asyncio.AbstractEventLoop:
    """Return the running event loop of asyncio.

    Raises:
        InvalidStateError: the caller does not run on asyncio, but for example on trio.
    """
    loop = current_loop()
    if loop is not None:
        return loop
    library = async_library()
    how = "with trio.to_thread.run_sync" if library == "trio" else "in a thread"
    raise InvalidStateError(
        "not_asyncio",
        f"{call}() requires an event loop of asyncio, got {library or 'none'}. Use odyssey_client.sync.Odyssey, and "
        f"call it {how}.",
    )


def require_same_loop(call: str, loop: asyncio.AbstractEventLoop | None) -> None:
    """Raise `InvalidStateError` if ``loop``, in which the connection was opened, is not the running event loop.

    If ``loop`` is None, any event loop of asyncio is accepted.
    """
    if require_loop(call) is not loop and loop is not None:
        raise InvalidStateError(
            "other_event_loop",
            f"{call}() was called in another event loop than the one in which the connection was opened. Make all "
            "calls of a connection in one loop. With pytest-asyncio, set the same loop_scope for the test and its "
            "fixtures.",
        )


def require_only_loop(call: str, loops: Iterable[asyncio.AbstractEventLoop]) -> None:
    """Raise `InvalidStateError` if the running event loop is not the only one that is using the client.

    ``loops`` are the event loops in which calls of the client are in progress. Those that no longer run are ignored.
    """
    here = require_loop(call)
    if any(loop is not here and loop.is_running() for loop in loops):
        raise InvalidStateError(
            "other_event_loop",
            f"{call}() was called while the event loop of another thread is using the client. Create a client for each "
            "event loop, or use odyssey_client.sync.Odyssey, which any number of threads can share.",
        )


async def in_thread[T](work: Callable[[], T]) -> T:
    """Run ``work`` in a new thread and return its result.

    Unlike the threads of `asyncio.to_thread`, this thread ends afterward.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="odyssey-client")
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, work)
    finally:
        thread.shutdown(wait=False)


async def ended(work: asyncio.Future[Any]) -> bool:  # Any: the caller reads the result
    """Wait until ``work`` is done, even if the caller is cancelled; return whether the caller was cancelled."""
    is_cancelled = False
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            is_cancelled = True
    return is_cancelled
