"""What ends a test that has used up its time: pytest-timeout counts it, and this takes the place of its alarm.

The alarm of pytest-timeout goes off once, as `pytest.fail`. A task of asyncio keeps that to itself, and Hypothesis
takes it for a failing example, which it plays again; both then hang for good. So this one is no failure that anybody
knows of, and goes off again until the test has ended.
"""

import asyncio
import faulthandler
import signal
import sys
import threading
from collections.abc import Generator
from types import FrameType
from typing import Any

import pytest

_SECONDS = pytest.StashKey[float]()


class TimeLimitError(BaseException):
    """A test has used up its time: no `Exception`, so that nobody takes it for a failure to be dealt with."""


class TimeLimits:
    """A plugin: the alarm goes off again, as long as the test has not ended, every `again` seconds."""

    def __init__(self, again: float = 5.0) -> None:
        self._again = again
        self._at_it = False

    @pytest.hookimpl
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> bool | None:  # Any: its type is not public
        if settings.method != "signal" or threading.current_thread() is not threading.main_thread():
            return None  # where there is no such signal, pytest-timeout does what it can
        item.stash[_SECONDS] = settings.timeout
        self._set(settings.timeout)
        return True

    @pytest.hookimpl
    def pytest_timeout_cancel_timer(self, item: pytest.Item) -> bool | None:
        if _SECONDS not in item.stash:
            return None
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_exception_interact(self, node: pytest.Item | pytest.Collector) -> None:
        """Here pytest-timeout leaves off counting, for debuggers; what tidies up after the failure could then hang."""
        if isinstance(node, pytest.Item) and _SECONDS in node.stash and not node.config.getoption("usepdb"):
            self._set(node.stash[_SECONDS])

    # Within the work of other plugins, such as reports, an alarm would end all the run.

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_setup(self) -> Generator[None]:
        yield from self._interruptible()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self) -> Generator[None]:
        yield from self._interruptible()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_teardown(self) -> Generator[None]:
        yield from self._interruptible()

    def _interruptible(self) -> Generator[None]:
        self._at_it = True
        try:
            yield
        finally:
            self._at_it = False

    def _set(self, seconds: float) -> None:
        def ring(signum: int, frame: FrameType | None) -> None:
            __tracebackhide__ = True
            if self._at_it:
                _show_where_all_wait()
                raise TimeLimitError(f"the test was to end within {seconds:g} s, setting up and tidying up included")

        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds, self._again)


def _show_where_all_wait() -> None:
    faulthandler.dump_traceback(file=2)  # the standard error, whatever `sys.stderr` is at the moment
    loop = asyncio._get_running_loop()
    for task in () if loop is None else asyncio.all_tasks(loop):
        task.print_stack(file=sys.stderr)
