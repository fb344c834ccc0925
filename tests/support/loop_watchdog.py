"""A measurement of how long the callbacks of an event loop run, in CPU time.

A callback that runs for long blocks every other task of its loop. Wall time on a shared machine depends on the other
processes, so the watchdog measures the CPU time of the thread.
"""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LIMIT_S = 0.1
"""CPU time in seconds that one callback may take."""

TRACED = 8
"""Multiple of a limit for code that runs under a tracer, such as coverage.py, which takes time at each line."""


@dataclass
class LoopWatchdog:
    """The callback that ran longest.

    Attributes:
        longest: its CPU time, in seconds.
        callback: its description; empty if no callback ran.
    """

    longest: float = 0.0
    callback: str = ""

    def assert_responsive(self, limit: float = LIMIT_S) -> None:
        """Assert that no callback took longer than ``limit`` seconds of CPU time (see `allowed`)."""
        limit = allowed(limit)
        assert self.longest <= limit, (
            f"expected callbacks of the event loop that take at most {limit:g} s of CPU time each, "
            f"got {self.longest:.3f} s in {self.callback}"
        )


def allowed(limit: float) -> float:
    """Return ``limit``, or `TRACED` times ``limit`` if a tracer is active in this thread."""
    return limit if sys.gettrace() is None else limit * TRACED


@contextmanager
def loop_watchdog(thread: int | None = None) -> Iterator[LoopWatchdog]:
    """Measure every callback that event loops run in a thread during the `with` block.

    `thread` is the identifier of the thread (`threading.get_ident`); None is the current thread.

    Garbage collection is off in the block. A collection may start in any callback, and would examine the heap of the
    whole test process.
    """
    current = threading.get_ident()
    watchdog, watched, run = LoopWatchdog(), thread or current, asyncio.Handle._run
    started = time.thread_time()

    def note(callback: str) -> None:
        took = time.thread_time() - started
        if took > watchdog.longest:
            watchdog.longest, watchdog.callback = took, callback

    def measured(handle: asyncio.Handle) -> None:
        nonlocal started
        if threading.get_ident() != watched:
            run(handle)
            return
        started = time.thread_time()
        run(handle)
        note(repr(handle))

    gc.disable()
    asyncio.Handle._run = measured  # type: ignore[method-assign, assignment]
    try:
        yield watchdog
    finally:
        asyncio.Handle._run = run  # type: ignore[method-assign]
        gc.enable()
        if watched == current:
            note("the callback that ended the measurement")
