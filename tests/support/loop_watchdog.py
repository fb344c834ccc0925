"""A measurement of how long the callbacks of an event loop run, in CPU time.

A callback that runs for long blocks every other task of its loop. Wall time on a shared machine depends on the other
processes, so the watchdog measures the CPU time of the thread. They also influence that, by their use of caches and
cores. They only add time: a test with `again_if_slow` fails if none of its measurements is within the limit.
"""

import asyncio
import gc
import inspect
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, cast

LIMIT_S = 0.1
"""CPU time in seconds that one callback may take, on a machine that takes `REFERENCE_S` for the reference work."""

REFERENCE_S = 0.012
"""CPU time in seconds that `reference_work` takes on the machine of the developers, when it is idle."""

TRACED = 8
"""Multiple of a limit for code that runs under a tracer, such as coverage.py, which takes time at each line."""

ATTEMPTS = 3
"""How often `again_if_slow` measures at most."""


class SlowCallbackError(AssertionError):
    """A callback of an event loop took longer than the limit."""


@dataclass
class LoopWatchdog:
    """The callback that ran longest.

    Attributes:
        longest: its CPU time, in seconds.
        callback: its description; empty if no callback ran.
        limit: `LIMIT_S` for the speed of the machine directly after that callback, if it took longer than `LIMIT_S`.
            The speed of a virtual machine may double from one moment to the next.
    """

    longest: float = 0.0
    callback: str = ""
    limit: float = LIMIT_S

    def assert_responsive(self, what: str = "this test") -> None:
        """Check that no callback took longer than `LIMIT_S` (see `allowed`).

        Raises:
            SlowCallbackError: a callback took longer; ``what`` names the cause.
        """
        if self.longest <= LIMIT_S:
            return
        limit = max(self.limit, allowed(LIMIT_S))
        if self.longest > limit:
            raise SlowCallbackError(
                f"expected callbacks of the event loop that take at most {limit:g} s of CPU time each for {what}, "
                f"got {self.longest:.3f} s in {self.callback}"
            )


def again_if_slow[**P, R](test: Callable[P, R]) -> Callable[P, R]:
    """Run a test again if it raises `SlowCallbackError`, at most `ATTEMPTS` times in all.

    A callback that is slow only once in a process, for example because it imports a module, is not found. The output
    of the test has the errors of its earlier runs.
    """
    if inspect.iscoroutinefunction(test):
        run = cast("Callable[P, Awaitable[Any]]", test)  # Any: the result of the test is passed on

        @wraps(test)
        async def repeated_async(*args: P.args, **kwargs: P.kwargs) -> Any:  # Any: as above
            for _ in range(ATTEMPTS - 1):
                try:
                    return await run(*args, **kwargs)
                except SlowCallbackError as slow:
                    print(slow)
            return await run(*args, **kwargs)

        return cast("Callable[P, R]", repeated_async)

    @wraps(test)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(ATTEMPTS - 1):
            try:
                return test(*args, **kwargs)
            except SlowCallbackError as slow:
                print(slow)
        return test(*args, **kwargs)

    return repeated


def allowed(limit: float) -> float:
    """Return ``limit`` for the speed of this machine at this moment.

    The same work takes up to twice the CPU time while other processes use the same caches and cores. ``limit`` is
    multiplied by the ratio of the time of `reference_work` to `REFERENCE_S`, and by `TRACED` if a tracer is active in
    this thread.
    """
    if sys.gettrace() is not None:
        return limit * TRACED
    return limit * max(1.0, max(reference_work() for _ in range(5)) / REFERENCE_S)


def reference_work() -> float:
    """Handle some thousand names, as a parser of headers does, and return the CPU time in seconds."""
    began = time.thread_time()
    seen: dict[bytes, int] = {}
    for number in range(40_000):
        name = b"Header-%d" % (number % 100)
        seen[name.lower()] = seen.get(name, 0) + len(name.decode())
    return time.thread_time() - began


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
            if took > LIMIT_S:
                watchdog.limit = allowed(LIMIT_S)

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
