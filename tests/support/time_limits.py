"""A pytest plugin that interrupts tests at their time limit. It replaces the signal handler of pytest-timeout.

pytest-timeout raises the exception of `pytest.fail` once. In an asyncio task, the task stores the exception, and the
test continues to hang. Hypothesis repeats the example that raised the exception, and hangs again. So this plugin
raises a `BaseException`, and raises it again every few seconds until the test has ended.
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
    """A test exceeded its time limit. It is a `BaseException`, so that `except Exception` does not catch it."""


class TimeLimits:
    """A pytest plugin that raises `TimeLimitError` at a test's time limit, and then every `again` seconds."""

    def __init__(self, again: float = 5.0) -> None:
        self._again = again
        self._at_it = False

    @pytest.hookimpl
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> bool | None:  # Any: its type is not public
        if settings.method != "signal" or threading.current_thread() is not threading.main_thread():
            return None  # without the signal, pytest-timeout uses its own method
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
        """Restart the timer after a failure, unless pytest has the option `--pdb`.

        pytest-timeout stops its timer after a failure. Without a timer, the teardown of the test could hang forever.
        """
        if isinstance(node, pytest.Item) and _SECONDS in node.stash and not node.config.getoption("usepdb"):
            self._set(node.stash[_SECONDS])

    # The alarm acts only inside these hooks: in other plugins, such as reports, it would end the whole run.

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
                raise TimeLimitError(
                    f"expected the test to end within {seconds:g} s, with setup and teardown, but it is still running"
                )

        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds, self._again)


def _show_where_all_wait() -> None:
    faulthandler.dump_traceback(file=2)  # standard error, even if `sys.stderr` is replaced
    loop = asyncio._get_running_loop()
    for task in () if loop is None else asyncio.all_tasks(loop):
        task.print_stack(file=sys.stderr)
