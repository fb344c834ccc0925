"""The background thread in which all mocks of a process run, with an event loop of its own."""

import asyncio
import atexit
import os
import select
import selectors
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, cast, override

import sniffio
from anyio import to_thread

CANCEL_LIMIT = 5.0
"""Maximum seconds that the thread waits for its cancelled tasks before it ends."""
STOP_LIMIT = 10.0
"""Maximum seconds that `ServerThread.stop` waits for the end of the thread."""


class _WatchedSelector(selectors.DefaultSelector):
    """A selector that other threads can ask whether its event loop is idle."""

    _waits = False
    """Whether `select` waits for events, because the event loop has no callback to run."""

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._waits = timeout is None or timeout > 0
        try:
            return super().select(timeout)
        finally:
            self._waits = False

    @property
    def is_idle(self) -> bool:
        """Whether `select` waits, and no event has occurred. Known only on Linux; elsewhere the value is False."""
        if sys.platform != "linux" or not self._waits:
            return False
        events = select.poll()
        events.register(self.fileno(), select.POLLIN)  # an epoll object is readable if it has an event to report
        return not events.poll(0)


class ServerThread:
    """A daemon thread with an event loop. Other threads run functions and coroutines in it.

    Attributes:
        loop: the event loop of the thread.
    """

    _shared: ClassVar["ServerThread | None"] = None
    _starting: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        """Start the thread; return once its event loop runs."""
        self._pid = os.getpid()
        self._waited_for: set[Future[Any]] = set()
        self._is_over = False
        """Whether the thread has stopped running calls. Set before the futures of unfinished calls get an exception."""
        self._thread = threading.Thread(target=self._run, name="odyssey_mock server", daemon=True)
        self._is_stopped = False
        self._selector = _WatchedSelector()
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._started = started
        self._thread.start()
        self.loop = started.result()

    @classmethod
    def shared(cls) -> "ServerThread":
        """Return the thread of this process; start it on first use. It is stopped when the process exits."""
        with cls._starting:
            if cls._shared is None or cls._shared.is_gone:
                cls._shared = cls()
                atexit.register(cls._shared.stop)
            return cls._shared

    @property
    def is_gone(self) -> bool:
        """Whether the thread can no longer be used: it has ended, or this process is a fork of its process."""
        return self._is_stopped or self._pid != os.getpid()

    @property
    def is_idle(self) -> bool:
        """Whether the thread has nothing to do: no call, no data and no connection waits for its event loop.

        The thread then does nothing until the next event. Timers of the event loop are not considered. False if this
        cannot be known, as on other systems than Linux.
        """
        return not self.is_gone and self._selector.is_idle

    def call[T](self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:  # Any: arguments of `function`
        """Call a function in the thread; return its result or raise its exception.

        The caller blocks until the function returns, even in an event loop. The function must therefore not wait.

        Raises:
            RuntimeError: the thread has ended, or this process is a fork of the process in which it runs.
        """
        __tracebackhide__ = True
        if threading.get_ident() == self._thread.ident:
            return function(*args, **kwargs)
        self._require()
        done: Future[_Outcome[T]] = Future()
        self._note(done)
        self.loop.call_soon_threadsafe(_settle, done, partial(function, *args, **kwargs))
        return done.result().unwrap()

    def run[T](self, what: str, start: Callable[[], Coroutine[Any, Any, T]]) -> T:  # Any: as in typeshed
        """Run a coroutine in the thread, and block until it has finished; return its result or raise its exception.

        If the wait is interrupted, for example by `KeyboardInterrupt`, the coroutine is cancelled.

        Args:
            what: the call, without ``mock.``, for the error message: ``advance(...)``.
            start: creates the coroutine; called in the event loop of the thread.

        Raises:
            RuntimeError: the caller runs in an event loop, which would be blocked; or the thread cannot be used, as
                for `call`.
        """
        __tracebackhide__ = True
        library = _running_library()
        if library is not None:
            raise RuntimeError(
                f"mock.{what} blocks, and would block the event loop that runs here ({library}); "
                f"write `await mock.aio.{what}` instead"
            )
        return self.execute(start)

    def execute[T](self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:  # Any: as in typeshed
        """Run a coroutine like `run`, even if this blocks an event loop of the caller.

        Raises:
            RuntimeError: the thread cannot be used, as for `call`.
        """
        __tracebackhide__ = True
        return self.submit(start).result()

    def submit[T](self, start: Callable[[], Coroutine[Any, Any, T]]) -> "Submitted[T]":  # Any: as in typeshed
        """Start a coroutine, and return at once. Coroutines start in the order in which a thread submits them.

        Raises:
            RuntimeError: the thread cannot be used, as for `call`.
        """
        __tracebackhide__ = True
        self._require()
        future: Future[_Outcome[T]] = Future()
        self._note(future)
        self.loop.call_soon_threadsafe(self._start, start, future)
        return Submitted(future)

    async def wait[T](self, start: Callable[[], Coroutine[Any, Any, T]]) -> T:  # Any: as in typeshed
        """Run a coroutine in the thread, and wait for it in the caller's event loop: asyncio or trio.

        If the caller is cancelled, the coroutine is cancelled too.

        Raises:
            RuntimeError: the thread cannot be used, as for `call`.
        """
        __tracebackhide__ = True
        future = self.submit(start).future
        try:
            if _running_library() == "asyncio":
                outcome = await asyncio.wrap_future(future)
            else:
                outcome = await to_thread.run_sync(future.result, abandon_on_cancel=True)
        finally:
            future.cancel()
        return outcome.unwrap()

    def stop(self) -> None:
        """Cancel the tasks of mocks that still run, end the thread, and wait for its end.

        May be called more than once.
        """
        if self.is_gone:
            return
        self._is_stopped = True
        self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_LIMIT)

    def _start[T](
        self, start: Callable[[], Coroutine[Any, Any, T]], future: "Future[_Outcome[T]]"
    ) -> None:  # Any: as above
        """Start a coroutine eagerly. If it does not wait, it ends without another iteration of the event loop."""
        if future.cancelled():
            return
        task = asyncio.Task(_outcome(start), loop=self.loop, eager_start=True)

        def cancel(ended: "Future[_Outcome[T]]") -> None:
            if ended.cancelled():
                self.loop.call_soon_threadsafe(task.cancel)

        def settle(ended: "asyncio.Task[_Outcome[T]]") -> None:
            if not ended.cancelled():
                if future.set_running_or_notify_cancel():
                    future.set_result(ended.result())
            elif not self._is_stopped:  # else `_run` fails the future
                future.cancel()

        if task.done():
            settle(task)
        else:
            future.add_done_callback(cancel)
            task.add_done_callback(settle)

    def _note(self, future: "Future[Any]") -> None:  # Any: futures of any result
        """Record the future of an unfinished call, so that the call fails when the thread ends."""
        self._waited_for.add(future)
        future.add_done_callback(self._waited_for.discard)
        if self._is_over:
            self._fail(future)

    @staticmethod
    def _fail(future: "Future[Any]") -> None:  # Any: as above
        if not future.done():
            future.set_exception(RuntimeError("the server thread has ended before the call was finished"))

    def _require(self) -> None:
        if self._pid != os.getpid():
            raise RuntimeError(
                "this process was forked from the one that runs the mock; use the mock over HTTP here (mock.url), "
                "or call its methods in the parent process"
            )
        if self._is_stopped:
            raise RuntimeError("the server thread has ended, because the process exits")

    def _run(self) -> None:
        # The loop of asyncio itself, even if the program has set another one, such as uvloop.
        # `asyncio.Runner` would start a thread to shut down the executor, which Python refuses while the process exits.
        loop = asyncio.SelectorEventLoop(self._selector)
        try:
            loop.run_until_complete(self._serve())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            self._is_stopped = self._is_over = True
            loop.close()
            for future in tuple(self._waited_for):
                self._fail(future)

    async def _serve(self) -> None:
        self._stopping = asyncio.Event()
        self._started.set_result(asyncio.get_running_loop())
        await self._stopping.wait()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CANCEL_LIMIT)


@dataclass(frozen=True, slots=True)
class _Outcome[T]:
    """The result or the exception of a call. A `Future` would add its own frames to the traceback of the exception."""

    result: T | None = None
    error: BaseException | None = None

    def unwrap(self) -> T:
        """Return the result, or raise the exception."""
        __tracebackhide__ = True
        if self.error is not None:
            raise self.error
        return cast("T", self.result)


class Submitted[T]:
    """A coroutine that was submitted to the server thread, and its future result."""

    def __init__(self, future: "Future[_Outcome[T]]") -> None:
        self.future = future

    def result(self) -> T:
        """Block until the coroutine has finished; return its result or raise its exception.

        If the wait is interrupted, for example by `KeyboardInterrupt`, the coroutine is cancelled.
        """
        __tracebackhide__ = True
        try:
            outcome = self.future.result()
        finally:
            self.future.cancel()  # has no effect on a future that is done
        return outcome.unwrap()


def _settle[T](done: Future[_Outcome[T]], function: Callable[[], T]) -> None:
    __tracebackhide__ = True
    try:
        outcome = _Outcome(function())
    except BaseException as error:
        outcome = _Outcome(error=error)
    done.set_result(outcome)


async def _outcome[T](start: Callable[[], Coroutine[Any, Any, T]]) -> _Outcome[T]:
    __tracebackhide__ = True
    try:
        return _Outcome(await start())
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        return _Outcome(error=error)


def _after_fork() -> None:
    ServerThread._starting = threading.Lock()  # noqa: SLF001 - another thread of the parent may have held it


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)


def _running_library() -> str | None:
    """Return the async library whose event loop runs in this thread, such as ``asyncio``; None without a loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        # `sniffio.current_async_library` also reads a context variable, which `asyncio.to_thread` copies to its thread.
        return sniffio.thread_local.name
    return "asyncio"
