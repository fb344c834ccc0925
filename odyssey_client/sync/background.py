"""The event loop that runs all sync clients of a process, in a daemon thread.

The first call of a client starts the thread. A forked child process starts a loop of its own. When the process exits,
open clients are disconnected; the process waits at most `EXIT_LIMIT_S` seconds for this.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import sys
import threading
import warnings
import weakref
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from odyssey_client.errors import InvalidStateError
from odyssey_client.event_loop import async_library
from odyssey_client.redaction import get_logger

logger = get_logger("odyssey_client")

CANCEL_LIMIT_S = 5.0
"""Maximum seconds that a call waits for the cancellation of its coroutine after an interrupt, for example by Ctrl-C."""

EXIT_LIMIT_S = 5.0
"""Maximum seconds that an exiting process waits for its clients to disconnect."""

ABORT_LIMIT_S = 1.0
"""Maximum seconds that an exiting process then waits for the cancellation of remaining tasks, and for the thread."""


class Stoppable(Protocol):
    """An object, such as a recorder, whose `stop` must be awaited on the loop before the process ends."""

    async def stop(self) -> None: ...


class BackgroundLoop:
    """An event loop in a daemon thread. Other threads run coroutines on it and wait for the results."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stoppables: weakref.WeakSet[Stoppable] = weakref.WeakSet()
        self._is_exiting = False
        self._is_closed = False
        self._is_inherited = False
        # Reentrant: the garbage collector may run `__del__` methods, which call `soon`, at any time.
        self._lock = threading.RLock()
        self._thread = threading.Thread(target=self._serve, name="odyssey_client.sync", daemon=True)
        self._thread.start()

    def run[T](self, call: str, work: Callable[[], Awaitable[T]]) -> T:
        """Await ``work()`` on the loop and return its result. If the caller is interrupted, cancel ``work``.

        Args:
            call: The name of the method, for error messages.
            work: Returns the awaitable; called on the loop, in a copy of the caller's context.

        Raises:
            InvalidStateError: the caller is an event handler or async code, or this loop has ended.
        """
        self._check(call)
        pending = _PendingCall(call, work, may_end=lambda: not self._is_exiting)
        try:
            try:
                self.soon(pending.begin)
                pending.ended.wait()
            except BaseException:  # an interrupt; a signal handler may raise any exception
                self.soon(pending.cancel)
                pending.ended.wait(CANCEL_LIMIT_S)
                raise
            return pending.result()
        finally:
            del pending

    def call[T](self, call: str, function: Callable[[], T]) -> T:
        """Call ``function``, which must not block, on the loop, and return its result. Handlers may use this method.

        Raises:
            InvalidStateError: the caller is async code, or this loop has ended.
        """
        if self.is_current:
            return function()

        async def work() -> T:
            return function()

        return self.run(call, work)

    def soon(self, function: Callable[[], object]) -> None:
        """Call ``function`` on the loop, in a copy of the caller's context, without waiting for it.

        Do nothing if the loop has ended.
        """
        if self._is_inherited:
            return
        with self._lock:
            if not self._is_closed:
                self._loop.call_soon_threadsafe(function)

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        """Start ``work()`` as a task on the loop, without waiting for its end. If the task fails, log the exception."""
        self.soon(lambda: self._spawn(work))

    def stop_at_exit(self, stoppable: Stoppable) -> None:
        """Await ``stoppable.stop()`` when the process exits, unless ``stoppable`` was garbage collected before."""
        self.soon(lambda: self._stoppables.add(stoppable))

    @property
    def has_ended(self) -> bool:
        """Whether the loop can no longer be used: the process is exiting, or is a fork of the loop's process."""
        return self._is_inherited or self._is_exiting

    @property
    def is_current(self) -> bool:
        """Whether the caller runs in the loop's thread, as event handlers and callbacks do."""
        return threading.get_ident() == self._thread.ident

    def abandon(self) -> None:
        """Mark this loop as unusable in a forked child process, in which the loop's thread does not exist."""
        self._is_inherited = True

    def close(self, closers: list[Callable[[], Awaitable[None]]]) -> None:
        """Await ``closers`` on the loop, then end the remaining tasks, the loop and its thread. All waits have limits.

        From now on, calls in other threads never return: these threads are daemons, which end with the process. They
        would print errors if their calls returned.
        """
        self._is_exiting = True
        ended = threading.Event()

        async def wind_up() -> None:
            try:
                await self._wind_up(closers)
            finally:
                ended.set()

        self.start(wind_up)
        ended.wait(EXIT_LIMIT_S + 2 * ABORT_LIMIT_S)
        self.soon(self._loop.stop)
        self._thread.join(ABORT_LIMIT_S)
        with self._lock:
            self._is_closed = True
            if not self._thread.is_alive():
                self._loop.close()

    def _serve(self) -> None:
        while True:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # A handler or callback raised it, for example with sys.exit(). The task has stored it, so that the
                # call that waits for the task raises it. The loop continues for the others.
                continue
            return

    def _check(self, call: str) -> None:
        if self.is_current:
            raise InvalidStateError(
                "called_by_handler",
                f"{call}() was called by a handler or callback, which runs in the thread of the client's event loop "
                f"and would wait for itself. Read events() in your own thread instead, or make the handler async and "
                f"write: await asyncio.to_thread(...).",
            )
        check_caller(call)
        if self._is_inherited:
            raise InvalidStateError(
                "forked",
                f"{call}() was called in a forked child process, on an object that belongs to a connection of the "
                "parent process. Call connect() in the child, and use the objects of that connection.",
            )
        if self._is_exiting:
            if threading.current_thread() is not threading.main_thread():
                threading.Event().wait()  # this is a daemon thread: it ends with the process
            raise exiting(call)

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wind_up(self, closers: list[Callable[[], Awaitable[None]]]) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(_Inline())
        this = asyncio.current_task()
        for closer in (*closers, *(each.stop for each in list(self._stoppables))):
            self._spawn(closer)
        if ending := self._tasks - {this}:
            await asyncio.wait(ending, timeout=EXIT_LIMIT_S)
        if left := asyncio.all_tasks() - {this}:
            for task in left:
                task.cancel()
            await asyncio.wait(left, timeout=ABORT_LIMIT_S)
        async with asyncio.timeout(ABORT_LIMIT_S):
            await loop.shutdown_asyncgens()


class _PendingCall[T]:
    """A call that runs on the loop while the calling thread waits for its result."""

    def __init__(self, name: str, work: Callable[[], Awaitable[T]], *, may_end: Callable[[], bool]) -> None:
        """Create a call. If ``may_end()`` is False when ``work`` is done, the calling thread continues to wait."""
        self.ended = threading.Event()
        self._name = name
        self._work = work
        self._may_end = may_end
        self._task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._carry_out(), name=f"odyssey {self._name}")
        self._task.add_done_callback(self._finish)

    def cancel(self) -> None:
        if self._task is None:  # interrupted before `begin` was scheduled
            self.ended.set()
        else:
            self._task.cancel()

    def result(self) -> T:
        """Return the result of the call or raise its exception. This method can be called once.

        It drops the reference to the task, which would keep the exception and its traceback alive.
        """
        task, self._task = self._task, None
        if task is None:
            raise RuntimeError(f"{self._name}() has no result: it has not begun, or its result was already returned")
        try:
            return task.result()
        finally:
            del task

    async def _carry_out(self) -> T:
        return await self._work()

    def _finish(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # mark as retrieved: the caller may have been interrupted
        if self._may_end():
            self.ended.set()


class Owner(ABC):
    """Base class of the sync objects that own a connection: the client, and a spectator's connection.

    The connection is closed when the process exits, or when its owner is garbage collected. Readers of the connection,
    such as a `FrameReader`, refer to the owner, which therefore stays connected.
    """

    _is_registered = False

    def _register(self) -> None:
        """Register this object to be disconnected when the process exits. Constructors must call this last."""
        self._is_registered = True
        _process.owners.add(self)

    @abstractmethod
    def _closer(self) -> Callable[[], Awaitable[None]]:
        """Return a function that closes the connection. The function must not refer to this object."""

    @abstractmethod
    def _is_open(self) -> bool:
        """Return whether the connection is open, or is being opened."""

    @abstractmethod
    def _after_fork(self) -> None:
        """Detach this object from the connection of the parent process. Called in the child process after a fork.

        An object that can connect again calls `_register` again.
        """

    def __del__(self) -> None:
        if not self._is_registered:  # the constructor raised an exception, or the connection is another process's
            return
        description = repr(self) if self._is_open() else None
        if _process.loop is not None:
            _process.loop.start(self._closer())
        if description is not None:  # after the disconnecting, because the warning may raise an exception
            advice = "call disconnect(), or use it in a `with` block"
            warnings.warn(f"unclosed {description}; {advice}", ResourceWarning, 2, self)


class _Process:
    """The loop of this process and the owners of its connections."""

    def __init__(self) -> None:
        self.loop: BackgroundLoop | None = None
        self.owners: weakref.WeakSet[Owner] = weakref.WeakSet()
        self._inherited: list[object] = []
        """Objects of the parent process. A forked child keeps them open, because both processes share their sockets."""
        self._is_exiting = False
        self._lock = threading.Lock()

    def background(self, call: str) -> BackgroundLoop:
        """Return the background loop of this process; the first call starts the loop."""
        with self._lock:
            if self.loop is None:
                if self._is_exiting:
                    raise exiting(call)
                self.loop = BackgroundLoop()
            return self.loop

    def keep(self, inherited: object) -> None:
        """Keep an object of the parent process until this process ends."""
        self._inherited.append(inherited)

    def forget(self) -> None:
        """Abandon the loop and the connections of the parent process. Called in the child process after a fork."""
        self._lock = threading.Lock()  # another thread of the parent may have held the old one
        if self.loop is not None:
            self.loop.abandon()
            self._inherited.append(self.loop)
            self.loop = None
            owners, self.owners = list(self.owners), weakref.WeakSet()
            for owner in owners:
                owner._is_registered = False  # noqa: SLF001 - protected members of the base class
                owner._after_fork()  # noqa: SLF001

    def close(self) -> None:
        """Disconnect all owners and end the loop, because the process exits."""
        with self._lock:
            self._is_exiting = True
        if self.loop is not None:
            self.loop.close([owner._closer() for owner in list(self.owners)])  # noqa: SLF001 - as above


_process = _Process()
atexit.register(_process.close)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_process.forget)


def background(call: str) -> BackgroundLoop:
    """Return the background loop of this process for a call named ``call``; the first call starts the loop.

    Raises:
        InvalidStateError: the caller is async code, or the process is exiting.
    """
    if _process.loop is None:
        check_caller(call)
    return _process.background(call)


def keep_inherited(inherited: object) -> None:
    """Keep an object of the parent process alive in a forked child. Freeing it would close the parent's sockets."""
    _process.keep(inherited)


def is_exiting() -> bool:
    """Return whether the process is exiting and its clients are already disconnected."""
    return _process._is_exiting  # noqa: SLF001 - of this module


def check_caller(call: str) -> None:
    """Raise `InvalidStateError` if the caller runs in an event loop, except in a notebook."""
    library = async_library()
    if library is None or _is_notebook():
        return
    instead = (
        "In async code use odyssey_client.Odyssey, or call it in a thread: await asyncio.to_thread(...)."
        if library == "asyncio"
        else f"Call it in a thread: await {library}.to_thread.run_sync(...)."
    )
    raise InvalidStateError("running_event_loop", f"{call}() blocks the running event loop. {instead}")


def exiting(call: str) -> InvalidStateError:
    """Return the error for a call that is made after the exiting process has disconnected its clients."""
    return InvalidStateError(
        "exiting",
        f"{call}() was called while the process exits. Call it earlier: a function registered with atexit runs in time "
        "if it is registered after `import odyssey_client.sync`.",
    )


def _is_notebook() -> bool:
    """Return whether this process is a Jupyter kernel, whose event loop every cell blocks anyway."""
    kernel = sys.modules.get("ipykernel.kernelapp")
    return kernel is not None and bool(kernel.IPKernelApp.initialized())


async def _logged(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:  # nothing waits for the result
        logger.exception("closing a connection or a recording of odyssey_client.sync failed")


class _Inline(ThreadPoolExecutor):
    """An executor that runs each function at once in the calling thread. An exiting Python cannot start threads."""

    # The signature is that of the base class, which is generic over parameters.
    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # passed on to the caller
            future.set_exception(error)
        return future
