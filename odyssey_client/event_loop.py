"""Checks of the event loop in which a call runs. A call in the wrong event loop would wait forever."""

from __future__ import annotations

import asyncio
from contextlib import suppress

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

    If ``loop`` is None, do nothing.
    """
    if loop is not None and loop is not require_loop(call):
        raise InvalidStateError(
            "other_event_loop",
            f"{call}() was called in another event loop than the one in which the connection was opened. Make all "
            "calls of a connection in one loop. With pytest-asyncio, set the same loop_scope for the test and its "
            "fixtures.",
        )
