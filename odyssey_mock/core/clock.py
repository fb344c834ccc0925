"""The server's time: real, scaled, or moved by hand.

Every limit and expiry of the mock is a `Deadline` on a `Clock`, so that a test passes an hour in a millisecond. Media
is not: it is paced by the event loop's own time, and a clock that stands still does not stop the video.
"""

import asyncio
import heapq
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

type Callback = Callable[[], Awaitable[None] | None]
type Observer = Callable[["Deadline"], object]

MANUAL_START = 1_767_225_600.0
"""2026-01-01T00:00:00Z, where a manual clock begins unless told otherwise: the same in every run."""

MANUAL_END = 253_402_300_799.0
"""9999-12-31T23:59:59Z, beyond which neither HTTP nor ISO 8601 has a form for a date."""

NANOSECONDS = 1_000_000_000

SETTLING_TURNS = 20
"""Turns of the event loop that whoever was asleep gets before its deadline counts as done.

One takes it to the next thing it waits for; each further one, whoever it has woken in its turn.
"""


class Deadline(Protocol):
    """Something that will happen at an instant of the server's time."""

    @property
    def when(self) -> float:
        """Seconds since the epoch, on the clock that made it."""

    @property
    def name(self) -> str:
        """What is due, for people: the journal and `GET /_mock/clock` show it."""

    def cancel(self) -> None:
        """Not to happen any more; nothing where it already has."""


class Clock(Protocol):
    """Server time. An async context manager: leaving it cancels what is due, and waits for what has begun."""

    def time(self) -> float:
        """Seconds since the epoch."""

    def call_later(self, seconds: float, name: str, callback: Callback) -> Deadline:
        """Call `callback` once `seconds` have passed, and await what it returns.

        Raises:
            ValueError: `seconds` is negative or not a number.
        """

    @property
    def pending(self) -> Sequence[Deadline]:
        """The deadlines still to come, soonest first."""

    def observe(self, observer: Observer) -> None:
        """Call `observer` with every deadline that fires, just before its callback; with none that was cancelled."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


async def sleep(clock: Clock, seconds: float, name: str) -> None:
    """Wait until `seconds` have passed on `clock`, by a deadline of that name; being cancelled cancels it.

    A manual clock goes on, and `advance` returns, once the task that slept waits for something else, and those that it
    woke do: who sends right after its sleep has sent by then. What takes longer than that, such as the work of a
    thread, belongs into a callback of `call_later`, which is awaited to its end.

    Raises:
        ValueError: `seconds` is negative or not a number.
    """
    over = asyncio.get_running_loop().create_future()

    async def wake() -> None:
        if not over.done():
            over.set_result(None)
        for _ in range(SETTLING_TURNS):
            await asyncio.sleep(0)  # noqa: TID251 - lets others go on; no time passes

    deadline = clock.call_later(seconds, name, wake)
    try:
        await over
    finally:
        deadline.cancel()


@dataclass(slots=True, eq=False)
class _RealDeadline:
    when: float
    name: str
    forget: Callable[["_RealDeadline"], object]
    timer: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.forget(self)


class RealClock:
    """The event loop's time, from the present on, `speed` times as fast."""

    def __init__(self, speed: float = 1.0) -> None:
        if not (math.isfinite(speed) and speed > 0):
            raise ValueError(f"speed must be a number above 0, not {speed!r}")
        self.speed = speed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._epoch = 0.0
        self._origin = 0.0
        self._deadlines: dict[_RealDeadline, None] = {}  # in order; the values are nothing
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[Exception] = []
        self._observers: list[Observer] = []

    def time(self) -> float:
        return self._epoch + (self._running().time() - self._origin) * self.speed

    def call_later(self, seconds: float, name: str, callback: Callback) -> Deadline:
        loop = self._running()
        _check_span(seconds)
        deadline = _RealDeadline(self.time() + seconds, name, self._forget)
        self._deadlines[deadline] = None
        deadline.timer = loop.call_later(seconds / self.speed, self._fire, deadline, callback)
        return deadline

    @property
    def pending(self) -> Sequence[Deadline]:
        return sorted(self._deadlines, key=lambda deadline: deadline.when)

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._epoch = time.time()  # noqa: TID251 - this is the seam
        self._origin = self._loop.time()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raise the exceptions of callbacks as a group: they are defects, and nobody else would hear of them."""
        for deadline in list(self._deadlines):
            deadline.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        errors, self._errors = self._errors, []
        if errors:
            raise ExceptionGroup("deadlines failed", errors)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("this clock does not run yet: enter it first (async with clock: ...)")
        return self._loop

    def _forget(self, deadline: _RealDeadline) -> None:
        self._deadlines.pop(deadline, None)

    def _fire(self, deadline: _RealDeadline, callback: Callback) -> None:
        self._forget(deadline)
        for observer in self._observers:
            observer(deadline)
        task = self._running().create_task(_call(callback), name=f"deadline: {deadline.name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._errors.append(error)
            self._running().call_exception_handler(
                {"message": f"{task.get_name()} failed", "exception": error, "task": task}
            )


@dataclass(slots=True, eq=False)
class _ManualDeadline:
    due: int
    order: int
    name: str
    callback: Callback
    cancelled: bool = field(default=False)

    @property
    def when(self) -> float:
        return self.due / NANOSECONDS

    def cancel(self) -> None:
        self.cancelled = True
        # It stays in the heap until its time comes: not so what it would have called, and all that hangs on it.
        self.callback = _nothing

    def __lt__(self, other: "_ManualDeadline") -> bool:
        return (self.due, self.order) < (other.due, other.order)


class ManualClock:
    """Time that stands still until `advance` moves it.

    Counted in whole nanoseconds: advancing by 149.9 and by 0.1 reaches what is due after 150.
    """

    def __init__(self, start: float = MANUAL_START) -> None:
        self._now = round(start * NANOSECONDS)
        self._created = 0
        self._deadlines: list[_ManualDeadline] = []
        self._observers: list[Observer] = []
        self._lock = asyncio.Lock()
        self._advancing: asyncio.Task[object] | None = None

    def time(self) -> float:
        return self._now / NANOSECONDS

    def call_later(self, seconds: float, name: str, callback: Callback) -> Deadline:
        _check_span(seconds)
        self._created += 1
        deadline = _ManualDeadline(self._now + round(seconds * NANOSECONDS), self._created, name, callback)
        heapq.heappush(self._deadlines, deadline)
        return deadline

    @property
    def pending(self) -> Sequence[Deadline]:
        return sorted(deadline for deadline in self._deadlines if not deadline.cancelled)

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    @property
    def left(self) -> float:
        """Seconds that it can be advanced by: to the end of the year 9999."""
        return MANUAL_END - self.time()

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, and return once all that they brought about is done.

        Every deadline passed fires, in order of time and then of creation; so do those set meanwhile, where they fall
        within the span. The clock stands at a deadline's own instant while it fires, and what its callback returns is
        awaited before the next. Several calls at once take their turns.

        Raises:
            ValueError: `seconds` is negative, not a number, or more than is `left`.
            RuntimeError: it is called by a deadline that it is firing, for which it would wait for ever.
            ExceptionGroup: callbacks failed; the others were called all the same.
        """
        _check_span(seconds)
        if seconds > self.left:
            raise ValueError(f"seconds must be at most {self.left:.0f}, to the end of the year 9999, not {seconds!r}")
        if self._advancing is not None and self._advancing is asyncio.current_task():
            raise RuntimeError("advance() was called by a deadline that advance() is firing")
        async with self._lock:
            with self._turn():
                errors = await self._pass(self._now + round(seconds * NANOSECONDS))
        if errors:
            raise ExceptionGroup("deadlines failed", errors)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.clear()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self._advancing = asyncio.current_task()
        try:
            yield
        finally:
            self._advancing = None

    async def _pass(self, end: int) -> list[Exception]:
        errors: list[Exception] = []
        while self._deadlines and self._deadlines[0].due <= end:
            deadline = heapq.heappop(self._deadlines)
            if deadline.cancelled:
                continue
            self._now = deadline.due
            for observer in self._observers:
                observer(deadline)
            try:
                await _call(deadline.callback)
            except Exception as error:  # gathered here, raised by advance()
                error.add_note(f"in the deadline {deadline.name!r}")
                errors.append(error)
        self._now = end
        return errors


def _nothing() -> None:
    """What a cancelled deadline calls."""


def _call(callback: Callback) -> Coroutine[None, None, None]:
    async def run() -> None:
        result = callback()
        if result is not None:
            await result

    return run()


def _check_span(seconds: float) -> None:
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(f"seconds must be a number, 0 or more, not {seconds!r}")
