"""The time limit of a chaos run in pytest: an alarm that interrupts the test."""

import asyncio
import signal
import threading
import time
from collections.abc import Generator
from types import CodeType, CoroutineType, FrameType

import pytest
from _pytest.outcomes import OutcomeException

AGAIN = 5.0
"""Seconds between repeated alarms, while a test still runs after the first alarm."""

LIMIT = pytest.StashKey[float]()
"""Stash key of a test's time limit in seconds, for each of setup, call and teardown."""
EXCEEDED = pytest.StashKey[bool]()
"""Stash key: whether the test exceeded its time limit."""


class RunTimeLimitError(OutcomeException):
    """A run of a test exceeded its time limit.

    The class is not a subclass of `Exception`, so that `except Exception` in a test does not catch it. If the teardown
    of a fixture is interrupted, pytest still tears down the other fixtures.
    """


def is_available() -> bool:
    """Return whether a test can be interrupted here: this requires SIGALRM and the main thread."""
    return hasattr(signal, "SIGALRM") and threading.current_thread() is threading.main_thread()


class RunTimeLimits:
    """A pytest plugin that interrupts a test at the time limit in its stash (`LIMIT`).

    An async test on asyncio is cancelled first, so that it can clean up. If it still does not end, and for other tests,
    the alarm raises `RunTimeLimitError` in the main thread.
    """

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None]:
        yield from _limited(item)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        yield from _limited(item)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None]:
        yield from _limited(item)


def _limited(item: pytest.Item) -> Generator[None]:
    """Interrupt a phase (setup, call, teardown) at the time limit. Restore an alarm that another plugin has set."""
    limit = item.stash.get(LIMIT, None)
    if limit is None or not is_available():
        return (yield)
    code = getattr(getattr(item, "function", None), "__code__", None)

    def ring(_signum: int, _frame: FrameType | None) -> None:
        is_first = EXCEEDED not in item.stash
        item.stash[EXCEEDED] = True
        message = f"the test did not end within {limit:g} s"
        task = _task_of(code) if is_first and code is not None else None
        if task is None:
            raise RunTimeLimitError(message)
        # Canceling the task alone would not wake the loop.
        task.get_loop().call_soon_threadsafe(task.cancel, message)

    handler = signal.signal(signal.SIGALRM, ring)
    began = time.perf_counter()
    remaining, _ = signal.setitimer(signal.ITIMER_REAL, limit, AGAIN)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if remaining:
            # For example the alarm of pytest-timeout. If it is due already, the hook still gets time to end.
            signal.setitimer(signal.ITIMER_REAL, max(remaining - (time.perf_counter() - began), AGAIN))


def _task_of(code: CodeType) -> "asyncio.Task[object] | None":
    """Return the asyncio task that runs the test function with this code; None if there is none."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    for task in asyncio.all_tasks(loop):
        coroutine = task.get_coro()
        if isinstance(coroutine, CoroutineType) and coroutine.cr_code is code:
            return task
    return None
