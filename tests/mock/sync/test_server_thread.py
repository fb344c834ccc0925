"""Tests of `ServerThread`, which runs calls in a background thread: results, exceptions, and the end of the thread."""

import asyncio
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from functools import partial

import anyio
import pytest

from odyssey_mock.sync.server_thread import ServerThread
from tests.support.polling import wait_until


@pytest.fixture
def server() -> Iterator[ServerThread]:
    server = ServerThread()
    yield server
    server.stop()


async def endless() -> None:
    await asyncio.Event().wait()


def test_functions_run_in_the_thread(server: ServerThread) -> None:
    assert server.call(threading.current_thread).name == "odyssey_mock server"
    assert server.call(server.call, threading.get_ident) != threading.get_ident()


def test_exceptions_reach_the_caller(server: ServerThread) -> None:
    with pytest.raises(ZeroDivisionError):
        server.call(lambda: 1 // 0)

    async def fails() -> None:
        raise KeyError("raised by the test")

    with pytest.raises(KeyError, match="raised by the test"):
        server.run("fails()", fails)


def test_thread_of_a_running_loop_may_wait(server: ServerThread) -> None:
    async def work() -> int:
        return 7

    async def call() -> int:
        return await asyncio.to_thread(server.run, "work()", work)

    assert asyncio.run(call()) == 7
    assert anyio.run(call) == 7  # anyio sets a context variable, which `asyncio.to_thread` copies


def test_cancelled_work_of_a_call_ends_the_call(server: ServerThread) -> None:
    async def awaits_cancelled_task() -> None:
        task = asyncio.ensure_future(endless())
        task.cancel()
        await task

    with pytest.raises(CancelledError):
        server.execute(awaits_cancelled_task)


def test_submitted_coroutines_start_in_order(server: ServerThread) -> None:
    proceed = threading.Event()
    started: list[int] = []

    async def start(number: int) -> int:
        started.append(number)
        await asyncio.to_thread(proceed.wait)
        return number

    submitted = [server.submit(partial(start, number)) for number in range(5)]
    assert server.call(started.copy) == [0, 1, 2, 3, 4]
    proceed.set()
    assert [each.result() for each in submitted] == [0, 1, 2, 3, 4]


async def test_async_callers_wait_without_blocking(server: ServerThread) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def returns() -> str:
        loop.call_soon_threadsafe(begun.set)
        return "result"

    waiting = asyncio.ensure_future(server.wait(returns))
    await begun.wait()
    assert await waiting == "result"


async def test_async_caller_must_not_block(server: ServerThread) -> None:
    with pytest.raises(RuntimeError, match=r"event loop that runs here \(asyncio\); write `await mock\.aio\.x\(\)`"):
        server.run("x()", endless)


def test_stopping_ends_the_waits_of_other_threads(server: ServerThread) -> None:
    errors: list[str] = []
    begun = threading.Event()

    async def waits() -> None:
        begun.set()
        await endless()

    def wait() -> None:
        try:
            server.run("waits()", waits)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    assert begun.wait(10)
    server.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert errors == ["the server thread has ended before the call was finished"]


# The thread may die before it starts the coroutine of `server.execute`, which then is never awaited.
@pytest.mark.filterwarnings("ignore:coroutine '_outcome' was never awaited")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_thread_that_dies_fails_its_callers() -> None:
    server = ServerThread()

    def dies() -> None:
        raise SystemExit

    def fails() -> None:
        server.loop.call_soon(dies)

    server.call(fails)
    with pytest.raises((RuntimeError, CancelledError)):
        server.execute(endless)
    server._thread.join(10)
    with pytest.raises(RuntimeError, match="the server thread has ended"):
        server.call(dies)


def test_stopped_thread_is_replaced() -> None:
    class Other(ServerThread):
        """A subclass with a shared thread of its own, so that the test does not stop the thread of other tests."""

    first = Other.shared()
    assert Other.shared() is first
    first.stop()
    first.stop()
    assert first.is_gone
    second = Other.shared()
    assert second is not first
    assert second.call(lambda: "works") == "works"
    second.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="whether the thread is idle is only known on Linux")
def test_thread_is_idle_until_an_event_occurs(server: ServerThread) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        reached, release = threading.Event(), threading.Event()

        def busy() -> None:
            reached.set()
            while not release.is_set():
                pass

        server.call(server.loop.add_reader, theirs.fileno(), busy)
        wait_until(lambda: server.is_idle)
        ours.send(b"a")
        assert not server.is_idle, "expected unread data to count, even before the thread has noticed it"
        assert reached.wait(10)
        assert not server.is_idle, "expected a running callback to count"
        server.loop.call_soon_threadsafe(server.loop.remove_reader, theirs.fileno())
        release.set()
        wait_until(lambda: server.is_idle)
    server.stop()
    assert not server.is_idle
