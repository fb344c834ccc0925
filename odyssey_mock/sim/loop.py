"""An asyncio event loop in virtual time, on which servers, clients and WebRTC peers run unmodified.

simloop's loop jumps from timer to timer and carries packets in memory. This module adds guarantees of asyncio that
simloop lacks:

- Callbacks run in the order in which they were scheduled.
- Asynchronous generators are closed.
- A server can listen on a socket that is already bound.
- Functions that run in an executor take virtual time.

simloop is young, so only this package uses it, and its version is pinned.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import sys
import weakref
from asyncio import events
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from typing import Any, ClassVar, TypeVarTuple, Unpack, override

from simloop import SimLoop, SimulationDeadlockError, SimulationFenceError
from simloop._policy import ReadyView

from odyssey_mock.sim.network_conditions import NetworkConditions

_Args = TypeVarTuple("_Args")

THREAD_WORK = (0.0, 0.004)
"""Minimum and maximum virtual seconds that a function in an executor takes.

Functions may end in any order, as in threads.
"""

LAST_WORDS = 60.0
"""Virtual seconds within which the cancelled tasks must finish when the loop ends."""
BUSY = 200_000
"""Maximum number of callbacks at the same virtual time. A run with more is considered endless.

Runs that end need far fewer.
"""
SWEPT_AFTER = 100
"""Minimum number of weak references after which those of collected objects are removed."""
PLACES = 3
"""Number of innermost functions that the message of an `EndlessError` names for each busy task."""

__all__ = ["EndlessError", "SimulatedLoop", "SimulationDeadlockError", "SimulationFenceError"]


class EndlessError(RuntimeError):
    """A run does not end: its time limit has passed, or callbacks keep running while no virtual time passes."""


class SimulatedLoop(SimLoop):
    """The event loop of one simulated run.

    Attributes:
        keeps_log: whether the loop records what it does, so that `trace_hash` returns a hash of it.
        network: the network between the hosts, and its faults.
        limit: virtual time in seconds at which the loop stops with an `EndlessError`; None: no limit.
    """

    keeps_log: ClassVar[bool] = True
    limit: float | None = None

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._policy = _InOrder()
        self._passed = 0
        """Number of callbacks that have run since virtual time last advanced."""
        self._live_tasks = _LiveObjects[asyncio.Task[Any]]()
        self._task_owners = self._live_tasks  # type: ignore[assignment]  # simloop only adds tasks to it
        self.network = NetworkConditions(self, keeps_log=self.keeps_log)
        self._net = self.network
        self._threads = random.Random(f"{seed}/threads")  # noqa: S311 - it must be repeatable
        self._free_at: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
        """For each executor, the virtual time at which it will have finished all submitted functions."""
        self._generators = _LiveObjects[AsyncGenerator[Any, Any]]()
        """Asynchronous generators that have started."""
        self._tasks_made = 0
        self.set_task_factory(self._make_task)

    def end(self) -> None:
        """Cancel all running tasks, let them finish, and close the loop."""
        self.allow(LAST_WORDS)
        self.take_failures()
        with suppress(Exception):  # errors in the cleanup do not change the outcome of the run
            while tasks := self.unfinished_tasks():
                for task in tasks:
                    task.cancel()
                self.run_until_complete(asyncio.wait(tasks))
            if closing := self._close_generators():
                self.run_until_complete(asyncio.wait(closing))
            self.network.end()
        self.close()

    @override
    def run_forever(self) -> None:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=self._generator_begins, finalizer=self._generator_is_forgotten)
        try:
            super().run_forever()
        finally:
            sys.set_asyncgen_hooks(*hooks)

    @override
    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[_Args]], Any], *args: *_Args
    ) -> asyncio.Future[Any]:
        """Run `func` on this loop after a short delay. If the returned future is cancelled first, `func` never runs.

        Work for one executor runs in the order in which it was submitted, as on a single thread.
        """
        self._check_closed()
        done: asyncio.Future[Any] = self.create_future()
        at = self._now + self._threads.uniform(*THREAD_WORK)
        if executor is not None:
            at = self._free_at[executor] = max(at, self._free_at.get(executor, 0.0))
        # A thread starts with an empty context; `asyncio.to_thread` copies the caller's context into it.
        self.call_later(at - self._now, _Work(func, args, done), context=contextvars.Context())
        return done

    @override
    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **kwargs: Any) -> Any:
        sock = kwargs.pop("sock", None)
        if sock is not None:
            host, port = sock.getsockname()
        return await super().create_server(protocol_factory, host, port, **kwargs)

    @override
    async def create_datagram_endpoint(
        self, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **kwargs: Any
    ) -> Any:
        # Options of real sockets, such as sharing an address, have no meaning here.
        for option in ("reuse_port", "allow_broadcast", "family", "proto", "flags"):
            kwargs.pop(option, None)
        return await super().create_datagram_endpoint(protocol_factory, local_addr, remote_addr, **kwargs)

    def take_failures(self) -> list[BaseException]:
        """Return the exceptions of callbacks, and of tasks that no code awaits. Each exception is returned only once.

        The result includes exceptions of failed tasks that have not been garbage-collected yet.
        """
        for task in self._live_tasks.alive():
            if task.done() and not task.cancelled() and getattr(task, "_log_traceback", False):
                error = task.exception()  # marks the exception as retrieved
                if error is not None:
                    self._unhandled.append(error)
        taken, self._unhandled = self._unhandled, []
        return taken

    def unfinished_tasks(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that have not ended, oldest first.

        `asyncio.all_tasks` visits the tasks of all earlier runs too, which are garbage that has not been collected.
        """
        return [task for task in self._live_tasks.alive() if not task.done()]

    def allow(self, seconds: float) -> None:
        """Set the limit to `seconds` of virtual time from now."""
        self.limit = self.time() + seconds
        self._passed = 0

    @override
    def time(self) -> float:
        return self._now  # all hosts have the same; simloop looks for an offset of the current host

    @override
    def _step(self) -> None:
        if not self._ready:
            self._advance_clock()
        self._passed += 1
        if self._passed > BUSY:
            raise self._busy_error()
        super()._step()

    def _busy_error(self) -> EndlessError:
        """Return the error for more than `BUSY` callbacks at the same virtual time."""
        return EndlessError(
            f"{BUSY:,} callbacks ran while no virtual time passed: a task is busy waiting, for example with "
            "`while not done: await asyncio.sleep(0)`. Time passes only when no task is ready. Ready now: "
            + "; ".join(_where(task) for task in self.unfinished_tasks() if _is_ready(task))
        )

    @override
    def _advance_clock(self) -> None:
        super()._advance_clock()
        self._time_passed()

    def _time_passed(self) -> None:
        self._passed = 0
        if self.limit is not None and self._now > self.limit:
            raise EndlessError(f"expected the run to end by second {self.limit:g} of virtual time, but it continues")

    def _generator_begins(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generators.add(generator)

    def _generator_is_forgotten(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self.is_closed():
            self.call_soon(self._close_generator, generator)

    def _close_generator(self, generator: AsyncGenerator[Any, Any]) -> asyncio.Task[None]:
        return self.create_task(_closing(generator))

    def _close_generators(self) -> list[asyncio.Task[None]]:
        return [self._close_generator(generator) for generator in self._generators.alive()]

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        self._tasks_made += 1
        return NumberedTask(self._tasks_made, coro, loop=loop, context=context)  # type: ignore[arg-type]  # typeshed has no generators


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash depends on the order of creation instead of its memory address.

    asyncio keeps tasks in sets and cancels them in the order of the set, which must be the same in every process.
    """

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **options: Any) -> None:
        self.number = number
        super().__init__(coro, name=f"task-{number:06}", **options)

    @override
    def __hash__(self) -> int:
        return self.number


class _LiveObjects[T]:
    """Weak references to the objects of a loop, oldest first. Those to collected objects stay until the next sweep.

    As a mapping from tasks to numbers, it takes the place of a `WeakKeyDictionary` of simloop, whose keys are hashed
    and compared by functions in Python.
    """

    def __init__(self) -> None:
        self._references: list[weakref.ref[T]] = []
        self._swept_at = SWEPT_AFTER

    def add(self, item: T) -> None:
        # References without a callback cost a third. Those to collected objects are removed many at a time.
        self._references.append(weakref.ref(item))
        if len(self._references) >= self._swept_at:
            self._references = [reference for reference in self._references if reference() is not None]
            self._swept_at = max(SWEPT_AFTER, 2 * len(self._references))

    def __setitem__(self, item: T, number: int) -> None:
        self.add(item)

    def alive(self) -> list[T]:
        """Return the objects that have not been garbage-collected, oldest first."""
        return [item for reference in self._references if (item := reference()) is not None]


class _Work:
    """A function that runs on the loop as if in a thread, and the future of its result."""

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], done: asyncio.Future[Any]) -> None:
        self._func = func
        self._args = args
        self._done = done
        self.__qualname__ = "work for a thread"

    def __call__(self) -> None:
        if self._done.cancelled():
            return
        loop = self._done.get_loop()
        # As in a thread, where no event loop runs.
        events._set_running_loop(None)  # noqa: SLF001 - intended for event loops
        try:
            result = self._func(*self._args)
        except Exception as error:  # as in an executor: the awaiting task receives it
            self._done.set_exception(error)
        else:
            self._done.set_result(result)
        finally:
            events._set_running_loop(loop)  # noqa: SLF001 - as above


class _InOrder:
    """A simloop policy that runs callbacks in the order in which they were scheduled, as users of asyncio expect."""

    diverged_at: int | None = None

    def choose(self, ready: Sequence[ReadyView]) -> int:  # noqa: ARG002 - simloop's signature
        return 0


async def _closing(generator: AsyncGenerator[Any, Any]) -> None:
    await generator.aclose()


def _is_ready(task: asyncio.Task[Any]) -> bool:
    return getattr(task, "_fut_waiter", None) is None


def _where(task: asyncio.Task[Any]) -> str:
    """Return a text with the name of a task and the functions in which it waits, the innermost last."""
    places, waiting = [], task.get_coro()
    while (frame := getattr(waiting, "cr_frame", None)) is not None:
        places.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}")
        waiting = getattr(waiting, "cr_await", None)
    return f"{task.get_name()} at {', '.join(places[-PLACES:])}"
