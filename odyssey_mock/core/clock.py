"""Clocks of the server: real, scaled or manual.

Every time limit and expiry of the mock is a `Deadline` on a `Clock`, so a test can let an hour pass in a millisecond.
The event loop paces the video, so the video continues while a manual or paused clock stands still.
"""

import asyncio
import heapq
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, Self

type Callback = Callable[[], Awaitable[None] | None]
type Observer = Callable[["Deadline"], object]
type AdvanceObserver = Callable[[float, float], object]
type PaceChange = Literal["paused", "resumed", "speed changed"]
type PaceObserver = Callable[[PaceChange], object]

MANUAL_START = 1_767_225_600.0
"""2026-01-01T00:00:00Z, the default start of a manual clock, in seconds since the epoch."""

LAST_INSTANT = 253_402_300_799.0
"""9999-12-31T23:59:59Z, the latest date that HTTP and ISO 8601 can represent, in seconds since the epoch."""

FASTEST = 1_000_000.0
"""The greatest speed of a clock. A year then passes in half a minute, and the year 9999 is three days away."""

NANOSECONDS = 1_000_000_000

GRAIN = 1e-6
"""Seconds after the end of an advance up to which the deadlines of a real clock fire too, because floats round.

The seconds of several calls would otherwise not add up to those of a deadline, while the clock is paused.
"""

SETTLING_TURNS = 20
"""Number of event loop iterations after `sleep` wakes a task, before `Clock.advance` continues.

The first iteration runs the task to its next `await`. Each further iteration runs the tasks that the previous one woke.
"""


class ClockKindError(RuntimeError):
    """The kind of the clock does not permit the call. The message states why, and what to do."""


class ClockEndError(ValueError):
    """The clock would be advanced beyond its end, the year 9999. The message states how many seconds are left."""


class Deadline(Protocol):
    """A callback scheduled for an instant of the server's time."""

    @property
    def when(self) -> float:
        """The time at which the callback is called, in seconds since the epoch, on the clock of the deadline."""

    @property
    def name(self) -> str:
        """The description of the deadline in the journal and in `GET /_mock/clock`."""

    def cancel(self) -> None:
        """Cancel the callback. Has no effect if the callback was called already."""


def deadlines_json(deadlines: Iterable[Deadline], now: float) -> list[dict[str, str | float]]:
    """Return pending deadlines as the control API shows them, with the seconds that are left at the time `now`."""
    return [{"name": each.name, "in_seconds": round(each.when - now, 6)} for each in deadlines]


class Clock(Protocol):
    """The server's clock.

    An async context manager: on exit it cancels pending deadlines, ends running callbacks and drops all observers. It
    may be entered again.
    """

    def time(self) -> float:
        """Return the time in seconds since the epoch, at most that of the end of the year 9999."""

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary start, to measure durations.

        The result includes the seconds that `advance` has added. A change of the date affects only `time`.
        """

    def call_later(self, seconds: float, name: str, callback: Callback) -> Deadline:
        """Schedule `callback` to be called in `seconds` of this clock's time, and return the deadline.

        If the callback returns an awaitable, the clock awaits it.

        Raises:
            ValueError: `seconds` is negative or not a number.
        """

    @property
    def pending(self) -> Sequence[Deadline]:
        """The pending deadlines, earliest first."""

    @property
    def speed(self) -> float | None:
        """Seconds of this clock per real second while it is not paused; None if it moves only by `advance`."""

    @property
    def is_paused(self) -> bool:
        """Whether the clock stands still because of `pause`."""

    def pause(self) -> None:
        """Let the clock stand still until `resume`. Deadlines fire only during `advance`; the video continues.

        Raises:
            ClockKindError: the clock never moves by itself.
        """

    def resume(self) -> None:
        """Let a paused clock continue at its speed. Has no effect if the clock is not paused.

        Raises:
            ClockKindError: the clock never moves by itself.
        """

    def set_speed(self, speed: float) -> None:
        """Let the clock run `speed` times as fast as real time. Pending deadlines fire earlier or later accordingly.

        A paused clock stays paused, and has this speed from `resume` on.

        Raises:
            ValueError: `speed` is 0 or less, not a number, or greater than 1,000,000.
            ClockKindError: the clock never moves by itself.
        """

    def observe_pace(self, observer: PaceObserver) -> None:
        """Call `observer` after each `pause`, `resume` and `set_speed` that changed something."""

    def observe(self, observer: Observer) -> None:
        """Call `observer` with every deadline that fires, just before its callback. Cancelled deadlines do not fire."""

    def observe_advances(self, observer: AdvanceObserver) -> None:
        """Call `observer(before, after)` with the times of the clock before and after each call of `advance`."""

    @property
    def left(self) -> float:
        """Seconds by which the clock can still be advanced, to the end of the year 9999."""

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once, and return when the callbacks of all deadlines in this time have finished.

        Deadlines fire in order of time, and in order of creation if their times are equal. Callbacks can add deadlines
        that fire in the same call. During a callback, the clock shows the time of its deadline; the next deadline fires
        when the callback has finished. Concurrent calls run one after the other.

        Raises:
            ValueError: `seconds` is negative or not a number.
            ClockEndError: `seconds` is greater than `left`.
            RuntimeError: a callback of a deadline called `advance`, which would be a deadlock.
            ExceptionGroup: at least one callback failed. All other callbacks were called.
        """

    async def advance_to_next(self) -> Deadline | None:
        """Advance to the earliest pending deadline, as `advance` does; return it, or None if no deadline is pending.

        Other deadlines at the same time fire too.

        Raises:
            ClockEndError: the deadline is more than `left` seconds away.
            RuntimeError: a callback of a deadline called `advance_to_next`, which would be a deadlock.
            ExceptionGroup: at least one callback failed. All other callbacks were called.
        """

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


async def sleep(clock: Clock, seconds: float, name: str) -> None:
    """Wait until `seconds` have passed on `clock`, using a deadline called `name`.

    When the sleep ends, `Clock.advance` lets the calling task run until it waits again, and also the tasks that
    this task wakes. A message that the task sends right after its sleep has therefore been sent when `advance`
    returns. Put longer work, such as a wait for a thread, in a callback of `call_later`, which
    `advance` awaits to its end. Cancelling the task removes the deadline.

    Raises:
        ValueError: `seconds` is negative or not a number.
    """
    over = asyncio.get_running_loop().create_future()

    async def wake() -> None:
        if not over.done():
            over.set_result(None)
        for _ in range(SETTLING_TURNS):
            await asyncio.sleep(0)  # noqa: TID251 - lets other tasks run; no time passes

    deadline = clock.call_later(seconds, name, wake)
    try:
        await over
    finally:
        deadline.cancel()


class _Advances:
    """A lock that makes concurrent calls of `advance` of one clock run one after the other."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._running: asyncio.Task[object] | None = None
        self.observers: list[AdvanceObserver] = []

    @asynccontextmanager
    async def by(
        self, seconds: Callable[[], float], left: Callable[[], float], time: Callable[[], float]
    ) -> AsyncIterator[list[Exception]]:
        """Wait until earlier calls have finished, and yield a list to which the block adds exceptions of callbacks.

        At the end of the block, the exceptions in the list are raised as a group.

        Raises:
            ClockEndError: `seconds()` is greater than `left()` after earlier calls.
            RuntimeError: a callback that an earlier call awaits has called `advance`.
            ExceptionGroup: the list is not empty.
        """
        if self._running is not None and self._running is asyncio.current_task():
            raise RuntimeError(
                "the clock must not be advanced from a deadline's callback, because the running advance() awaits it"
            )
        errors: list[Exception] = []
        async with self._lock:
            if (wanted := seconds()) > (most := left()):
                raise ClockEndError(
                    f"seconds must be at most {most:.0f}, because the clock ends with the year 9999; got {wanted!r}"
                )
            self._running = asyncio.current_task()
            before = time()
            try:
                yield errors
            finally:
                self._running = None
                for observer in self.observers:
                    observer(before, time())
        if errors:
            raise ExceptionGroup("callbacks of deadlines failed", errors)


async def _await_callback(deadline: Deadline, callback: Callback, errors: list[Exception]) -> None:
    """Call the callback of a deadline, and await it; append its exception to `errors`, which `advance` raises."""
    task = asyncio.current_task()
    try:
        await _call(callback)
    except asyncio.CancelledError as cancelled:
        if task is not None and task.cancelling():
            raise
        error: Exception = RuntimeError("the callback awaited something that was cancelled")
        error.__cause__ = cancelled
    except Exception as failure:
        error = failure
    else:
        return
    error.add_note(f"in the deadline {deadline.name!r}")
    errors.append(error)


class _Sortable(Protocol):
    def __lt__(self, other: Any, /) -> bool: ...  # Any: another deadline of the same clock


class _Deadlines[Each: _Sortable]:
    """The pending deadlines of a clock. Each call takes the same time with many of them, or logarithmically more.

    Iteration yields them in order of creation.
    """

    def __init__(self) -> None:
        self._pending: dict[Each, None] = {}
        self._heap: list[Each] = []
        """The pending deadlines and some that were removed, as a heap."""

    def __iter__(self) -> Iterator[Each]:
        return iter(self._pending)

    def add(self, deadline: Each) -> None:
        self._pending[deadline] = None
        heapq.heappush(self._heap, deadline)

    def remove(self, deadline: Each) -> None:
        """Remove a deadline; has no effect if it is not pending."""
        self._pending.pop(deadline, None)
        if len(self._heap) > 2 * len(self._pending) + 16:
            self._heap = [*self._pending]
            heapq.heapify(self._heap)

    def clear(self) -> None:
        self._pending.clear()
        self._heap.clear()

    @property
    def earliest(self) -> Each | None:
        while self._heap and self._heap[0] not in self._pending:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None


@dataclass(slots=True, eq=False)
class _RealDeadline:
    when: float
    due: float
    """The time of `RealClock.monotonic` at which the callback is called. Unlike `when`, it has no date to round."""
    order: int
    name: str
    callback: Callback
    forget: Callable[["_RealDeadline"], object]
    timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """Stop the timer."""
        if self.timer is not None:
            self.timer.cancel()

    def cancel(self) -> None:
        self.stop()
        self.forget(self)
        self.callback = _nothing  # the heap may keep the deadline for a while, but not what its callback refers to

    def __lt__(self, other: "_RealDeadline") -> bool:
        return (self.due, self.order) < (other.due, other.order)


class RealClock:
    """A clock that starts at the current time and runs `speed` times as fast as the event loop's clock.

    `advance` makes the clock jump forward; afterwards, the clock continues at the same speed, or stays paused.
    """

    def __init__(self, speed: float = 1.0) -> None:
        _check_speed(speed)
        self._pace_lock = threading.Lock()
        """Held while the next four attributes are read together or changed, because other threads read the time."""
        self._speed = speed
        self._is_paused = False
        self._origin = 0.0
        """The time of the event loop at the latest change of the pace."""
        self._advanced = 0.0
        """Seconds that had passed at the latest change of the pace, and those of `advance` since then."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._epoch = 0.0
        self._created = 0
        self._deadlines: _Deadlines[_RealDeadline] = _Deadlines()
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[Exception] = []
        self._observers: list[Observer] = []
        self._pace_observers: list[PaceObserver] = []
        self._advances = _Advances()
        self._fires = True
        """Whether deadlines fire by themselves: not while `advance` runs."""

    def time(self) -> float:
        return min(self._epoch + self.monotonic(), LAST_INSTANT)

    def monotonic(self) -> float:
        loop = self._running()
        with self._pace_lock:
            return self._passed_at(loop.time())  # a change of the pace also reads the time of the loop within the lock

    def _passed_at(self, now: float) -> float:
        """Return the seconds that have passed at `now`, a time of the event loop."""
        return self._advanced if self._is_paused else (now - self._origin) * self._speed + self._advanced

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def is_paused(self) -> bool:
        return self._is_paused

    def pause(self) -> None:
        self._change_pace("paused", self._speed, is_paused=True)

    def resume(self) -> None:
        self._change_pace("resumed", self._speed, is_paused=False)

    def set_speed(self, speed: float) -> None:
        __tracebackhide__ = True
        _check_speed(speed)
        self._change_pace("speed changed", speed, is_paused=self._is_paused)

    def _change_pace(self, change: PaceChange, speed: float, *, is_paused: bool) -> None:
        if (speed, is_paused) == (self._speed, self._is_paused):
            return
        with self._pace_lock:
            if self._loop is not None:
                # The time continues from the present one.
                now = self._loop.time()
                self._advanced, self._origin = self._passed_at(now), now
            self._speed, self._is_paused = speed, is_paused
        if self._fires:
            self._restart_timers()
        for observer in self._pace_observers:
            observer(change)

    def call_later(self, seconds: float, name: str, callback: Callback) -> Deadline:
        loop = self._running()
        _check_span(seconds)
        self._created += 1
        deadline = _RealDeadline(
            self.time() + seconds, self.monotonic() + seconds, self._created, name, callback, self._deadlines.remove
        )
        self._deadlines.add(deadline)
        if self._fires and not self._is_paused:
            deadline.timer = loop.call_later(seconds / self._speed, self._fire, deadline)
        return deadline

    @property
    def pending(self) -> Sequence[Deadline]:
        return sorted(self._deadlines)

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def observe_advances(self, observer: AdvanceObserver) -> None:
        self._advances.observers.append(observer)

    def observe_pace(self, observer: PaceObserver) -> None:
        self._pace_observers.append(observer)

    @property
    def left(self) -> float:
        return LAST_INSTANT - self.time()

    async def advance(self, seconds: float) -> None:
        __tracebackhide__ = True
        _check_span(seconds)
        async with self._advances.by(lambda: seconds, lambda: self.left, self.time) as errors:
            with self._timers_stopped():
                await self._pass(self.monotonic() + seconds, errors)

    async def advance_to_next(self) -> Deadline | None:
        __tracebackhide__ = True

        def seconds() -> float:
            earliest = self._deadlines.earliest
            return 0.0 if earliest is None else earliest.due - self.monotonic()

        async with self._advances.by(seconds, lambda: self.left, self.time) as errors:
            earliest = self._deadlines.earliest
            if earliest is not None:
                with self._timers_stopped():
                    await self._pass(earliest.due, errors)
            return earliest

    async def _pass(self, end: float, errors: list[Exception]) -> None:
        """Fire all deadlines up to `end`, a time of `monotonic`."""
        while (deadline := self._deadlines.earliest) is not None and deadline.due <= end + GRAIN:
            self._take(deadline)
            self._jump(deadline.due)
            for observer in self._observers:
                observer(deadline)
            await _await_callback(deadline, deadline.callback, errors)
        self._jump(end)

    @contextmanager
    def _timers_stopped(self) -> Iterator[None]:
        """Stop the timers of all deadlines until the block ends, so that only `advance` calls their callbacks."""
        self._fires = False
        for deadline in self._deadlines:
            deadline.stop()
        try:
            yield
        finally:
            self._fires = True
            self._restart_timers()

    def _restart_timers(self) -> None:
        """Start the timers of all deadlines again, for the present time and pace of the clock."""
        for deadline in self._deadlines:
            deadline.stop()
        if self._loop is None or self._is_paused:
            return
        now, begun = self.monotonic(), self._loop.time()
        for deadline in sorted(self._deadlines):
            seconds = max(0.0, deadline.due - now) / self._speed
            deadline.timer = self._loop.call_at(begun + seconds, self._fire, deadline)

    def _jump(self, instant: float) -> None:
        """Move the clock forward to a time of `monotonic`; do nothing if the clock is already past it."""
        now = self._running().time()
        with self._pace_lock:
            self._advanced += max(0.0, instant - self._passed_at(now))

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._epoch = time.time()  # noqa: TID251 - the clock itself
        self._origin = self._loop.time()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel all deadlines and running callbacks, and raise the exceptions of callbacks as a group.

        These exceptions are bugs of the callbacks, and would otherwise not be reported.
        """
        for deadline in list(self._deadlines):
            deadline.cancel()
        for task in self._tasks:
            task.cancel()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for observers in (self._observers, self._pace_observers, self._advances.observers):
                observers.clear()
        errors, self._errors = self._errors, []
        if errors:
            raise ExceptionGroup("callbacks of deadlines failed", errors)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the clock is not running; enter it first: async with clock: ...")
        return self._loop

    def _take(self, deadline: _RealDeadline) -> None:
        """Remove a deadline whose callback is about to be called."""
        deadline.stop()
        self._deadlines.remove(deadline)

    def _fire(self, deadline: _RealDeadline) -> None:
        """Call the callback of a deadline, after those of all earlier deadlines."""
        for each in [*self._earlier_than(deadline), deadline]:
            self._take(each)
            self._begin(each)

    def _earlier_than(self, deadline: _RealDeadline) -> Sequence[_RealDeadline]:
        """Remove and return the pending deadlines that fire before another one, in order.

        The event loop calls timers in order only if their times differ by more than the rounding errors.
        """
        earlier: list[_RealDeadline] = []
        while (earliest := self._deadlines.earliest) is not None and earliest < deadline:
            self._deadlines.remove(earliest)
            earlier.append(earliest)
        return earlier

    def _begin(self, deadline: _RealDeadline) -> None:
        for observer in self._observers:
            observer(deadline)
        task = self._running().create_task(_call(deadline.callback), name=f"deadline: {deadline.name}")
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
    forget: Callable[["_ManualDeadline"], object]

    @property
    def when(self) -> float:
        return self.due / NANOSECONDS

    def cancel(self) -> None:
        self.forget(self)
        self.callback = _nothing  # as for `_RealDeadline`

    def __lt__(self, other: "_ManualDeadline") -> bool:
        return (self.due, self.order) < (other.due, other.order)


class ManualClock:
    """A clock that moves only when `advance` is called.

    It counts whole nanoseconds, so advancing by 149.9 and then by 0.1 reaches a deadline after 150 seconds.
    """

    def __init__(self, start: float = MANUAL_START) -> None:
        self._now = round(start * NANOSECONDS)
        self._created = 0
        self._deadlines: _Deadlines[_ManualDeadline] = _Deadlines()
        self._observers: list[Observer] = []
        self._advances = _Advances()

    def time(self) -> float:
        return self._now / NANOSECONDS

    def monotonic(self) -> float:
        return self.time()

    def call_later(self, seconds: float, name: str, callback: Callback) -> Deadline:
        _check_span(seconds)
        self._created += 1
        due = self._now + round(seconds * NANOSECONDS)
        deadline = _ManualDeadline(due, self._created, name, callback, self._deadlines.remove)
        self._deadlines.add(deadline)
        return deadline

    @property
    def pending(self) -> Sequence[Deadline]:
        return sorted(self._deadlines)

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def observe_advances(self, observer: AdvanceObserver) -> None:
        self._advances.observers.append(observer)

    def observe_pace(self, observer: PaceObserver) -> None:
        """Do nothing: the pace of a manual clock never changes."""

    @property
    def speed(self) -> None:
        return None

    @property
    def is_paused(self) -> bool:
        return False

    def pause(self) -> None:
        raise ClockKindError(_STANDS_STILL)

    def resume(self) -> None:
        raise ClockKindError(_STANDS_STILL)

    def set_speed(self, speed: float) -> None:
        __tracebackhide__ = True
        _check_speed(speed)
        raise ClockKindError(_STANDS_STILL)

    @property
    def left(self) -> float:
        return LAST_INSTANT - self.time()

    async def advance(self, seconds: float) -> None:
        __tracebackhide__ = True
        _check_span(seconds)
        async with self._advances.by(lambda: seconds, lambda: self.left, self.time) as errors:
            await self._pass(self._now + round(seconds * NANOSECONDS), errors)

    async def advance_to_next(self) -> Deadline | None:
        __tracebackhide__ = True

        def seconds() -> float:
            earliest = self._deadlines.earliest
            return 0.0 if earliest is None else (earliest.due - self._now) / NANOSECONDS

        async with self._advances.by(seconds, lambda: self.left, self.time) as errors:
            earliest = self._deadlines.earliest
            if earliest is not None:
                await self._pass(earliest.due, errors)
            return earliest

    async def _pass(self, end: int, errors: list[Exception]) -> None:
        """Fire all deadlines up to `end`, a time in nanoseconds."""
        while (deadline := self._deadlines.earliest) is not None and deadline.due <= end:
            self._deadlines.remove(deadline)
            self._now = deadline.due
            for observer in self._observers:
                observer(deadline)
            await _await_callback(deadline, deadline.callback, errors)
        self._now = end

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.clear()
        for observers in (self._observers, self._advances.observers):
            observers.clear()


_STANDS_STILL = (
    "expected a real clock, got a manual clock, which stands still and moves only when it is advanced; start the mock "
    "with clock='real' for a clock that has a speed and can be paused"
)


def _nothing() -> None:
    """Do nothing. Replaces the callback of a cancelled deadline."""


def _call(callback: Callback) -> Coroutine[None, None, None]:
    async def run() -> None:
        result = callback()
        if result is not None:
            await result

    return run()


def _check_speed(speed: float) -> None:
    __tracebackhide__ = True
    if not 0 < speed <= FASTEST:
        raise ValueError(f"speed must be a number above 0, and at most {FASTEST:.0f}, got {speed!r}")


def _check_span(seconds: float) -> None:
    __tracebackhide__ = True
    if not 0 <= seconds <= sys.float_info.max:
        raise ValueError(f"seconds must be a number, 0 or more, got {seconds!r}")
