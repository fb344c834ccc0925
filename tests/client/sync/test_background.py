"""Tests of `BackgroundLoop`: results, errors, interrupted calls, contexts, and callers that must not block."""

import asyncio
import contextvars
import gc
import signal
import subprocess
import sys
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import anyio
import pytest
import sniffio
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client import InvalidStateError
from odyssey_client.sync.background import BackgroundLoop, background
from tests.support.forks import run_python

LIMIT_S = 20.0


@pytest.fixture
def loop() -> BackgroundLoop:
    return background("test")


class InterruptError(BaseException):
    """Raised in the main thread by a signal handler, like `KeyboardInterrupt`."""


async def forever() -> None:
    await asyncio.Event().wait()


@given(st.integers(), st.sampled_from([ValueError, TimeoutError, StopAsyncIteration, ZeroDivisionError, SystemExit]))
def test_results_and_errors_are_passed_on(value: int, kind: type[BaseException]) -> None:
    async def succeed() -> int:
        return value

    async def fail() -> None:
        raise kind(value)

    loop = background("test")
    assert loop.run("test", succeed) == value
    with pytest.raises(kind) as raised:
        loop.run("test", fail)
    assert raised.value.args == (value,)


def test_traceback_begins_in_the_callers_file(loop: BackgroundLoop) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        loop.run("test", fail)
    frames = traceback.extract_tb(raised.value.__traceback__)
    assert frames[0].filename == __file__
    assert frames[0].name == "test_traceback_begins_in_the_callers_file"
    assert frames[-1].name == "fail"


def test_threads_share_one_loop_and_wait_separately() -> None:
    meeting = asyncio.Barrier(5)

    async def meet() -> int:
        await meeting.wait()  # only if all five calls run at the same time
        return threading.get_ident()

    with ThreadPoolExecutor(5) as threads:
        waiting = [threads.submit(background("test").run, "test", meet) for _ in range(5)]
        (thread,) = {each.result(LIMIT_S) for each in waiting}
    assert thread != threading.get_ident()


def test_call_has_the_context_of_its_caller(loop: BackgroundLoop) -> None:
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("the caller's")

    async def read() -> str:
        value = variable.get()
        variable.set("another")
        return value

    assert loop.run("test", read) == "the caller's"
    assert variable.get() == "the caller's"


def test_exit_in_a_task_leaves_the_loop_running(loop: BackgroundLoop) -> None:
    async def leave() -> None:
        sys.exit(3)

    with pytest.raises(SystemExit, match="3"):
        loop.run("test", leave)
    assert loop.call("test", lambda: 7) == 7


def test_running_asyncio_loop_is_rejected(loop: BackgroundLoop) -> None:
    async def call() -> None:
        loop.run("connect", forever)

    with pytest.raises(
        InvalidStateError, match=r"connect\(\) blocks the running event loop. .*asyncio.to_thread"
    ) as it:
        asyncio.run(call())
    assert it.value.reason == "running_event_loop"


def test_loop_of_another_library_is_rejected(loop: BackgroundLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sniffio.thread_local, "name", "trio")  # as trio does while it runs a task
    with pytest.raises(InvalidStateError, match=r"await trio.to_thread.run_sync\("):
        loop.run("connect", forever)


def test_thread_of_a_running_loop_may_wait(loop: BackgroundLoop) -> None:
    async def work() -> int:
        return 7

    async def call() -> int:
        return await asyncio.to_thread(loop.run, "test", work)

    assert asyncio.run(call()) == 7
    assert anyio.run(call) == 7  # anyio sets a context variable, which `asyncio.to_thread` copies


NOTEBOOK = """
import asyncio, sys, types
from odyssey_client.sync.background import background

class IPKernelApp:
    @classmethod
    def initialized(cls):
        return {initialized}

sys.modules["ipykernel.kernelapp"] = types.SimpleNamespace(IPKernelApp=IPKernelApp)

async def cell():
    print(background("test").call("test", lambda: 7))

asyncio.run(cell())
"""


def in_kernel(*, initialized: bool) -> subprocess.CompletedProcess[str]:
    """Call a `BackgroundLoop` from a running event loop in a subprocess, as code in a notebook cell does.

    A fake module replaces ipykernel, which has thirty dependencies. `initialized` is the result of its
    `IPKernelApp.initialized()`: whether a kernel runs.
    """
    code = NOTEBOOK.format(initialized=initialized)
    return run_python("-W", "error", "-c", code, limit_s=LIMIT_S)


def test_cell_of_a_notebook_may_wait() -> None:
    done = in_kernel(initialized=True)
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_importing_ipykernel_makes_no_notebook() -> None:
    assert "blocks the running event loop" in in_kernel(initialized=False).stderr


def test_call_on_the_loops_own_thread_is_rejected(loop: BackgroundLoop) -> None:
    with pytest.raises(InvalidStateError, match=r"interact\(\) was called by a handler") as it:
        loop.call("test", lambda: loop.run("interact", forever))
    assert it.value.reason == "called_by_handler"


def test_call_that_does_not_wait_is_allowed_there(loop: BackgroundLoop) -> None:
    assert loop.call("outer", lambda: loop.call("inner", lambda: 7)) == 7


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Yield a function that raises `InterruptError` in the main thread."""

    def ring(signum: int, frame: FrameType | None) -> None:
        raise InterruptError

    before = signal.signal(signal.SIGUSR1, ring)
    try:
        yield lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_interrupted_call_is_cancelled_before_it_raises(loop: BackgroundLoop, interrupt: Callable[[], None]) -> None:
    seen = []

    async def work() -> None:
        interrupt()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.wait({asyncio.ensure_future(asyncio.to_thread(lambda: None))})  # cleanup takes time
            seen.append("cleaned")

    with pytest.raises(InterruptError):
        loop.run("test", work)
    assert seen == ["cleaned"]


def test_interrupted_call_waits_a_limited_time(
    loop: BackgroundLoop, interrupt: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odyssey_client.sync.background.CANCEL_LIMIT_S", 0.05)
    may_end = asyncio.Event()

    async def work() -> None:
        interrupt()
        try:
            await asyncio.Event().wait()
        finally:
            await may_end.wait()

    with pytest.raises(InterruptError):
        loop.run("test", work)
    loop.soon(may_end.set)


def test_error_of_a_call_keeps_nothing_alive(loop: BackgroundLoop) -> None:
    class Kept:
        async def fail(self) -> None:
            raise ZeroDivisionError

    kept = Kept()
    watched = weakref.ref(kept)
    gc.disable()
    try:
        with pytest.raises(ZeroDivisionError):
            loop.run("test", kept.fail)
        del kept
        loop.call("test", lambda: None)  # the loop has released the previous call
        assert watched() is None
    finally:
        gc.enable()


def test_exit_cancels_what_does_not_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_client.sync.background.EXIT_LIMIT_S", 0.05)
    cancelled = threading.Event()

    async def close() -> None:
        try:
            await forever()
        finally:
            cancelled.set()

    loop = BackgroundLoop()
    loop.close([close])
    assert cancelled.is_set()
    assert loop.has_ended
    assert not loop._thread.is_alive()


def test_exit_does_not_wait_for_blocking_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EXIT_LIMIT_S", "ABORT_LIMIT_S"):
        monkeypatch.setattr(f"odyssey_client.sync.background.{name}", 0.02)
    handler_ends = threading.Event()
    loop = BackgroundLoop()
    loop.soon(lambda: handler_ends.wait(LIMIT_S))
    loop.close([])
    assert loop._thread.is_alive()
    handler_ends.set()
    loop._thread.join(LIMIT_S)
    with asyncio.Runner(loop_factory=lambda: loop._loop) as runner:  # its end cancels the tasks, and closes the loop
        runner.get_loop()
