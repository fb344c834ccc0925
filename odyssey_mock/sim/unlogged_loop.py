"""The event loop of runs whose log is not needed, without the cost of the log."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, ClassVar, TypeVarTuple, override

from simloop._trace import EventKind, TraceRecorder

from odyssey_mock.sim.loop import BUSY, SimulatedLoop

_Args = TypeVarTuple("_Args")


class UnloggedLoop(SimulatedLoop):
    """A `SimulatedLoop` that records nothing. It runs the same callbacks, in the same order and at the same times.

    It is separate code for callbacks and timers, because simloop spends most of their time on the trace.
    """

    keeps_log: ClassVar[bool] = False

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._recorder = _NoTrace()
        # simloop's own code only tests whether `_ready` and `_timers` are empty.
        self._ready: deque[tuple[asyncio.Handle, object]] = deque()  # type: ignore[assignment]
        """Handles and their callbacks. As with simloop, a callback lives until its turn, also if it is cancelled."""
        self._timers: list[tuple[float, int, asyncio.TimerHandle, object]] = []  # type: ignore[assignment]
        """Timers by time, then by order of creation, with their callbacks."""
        del self._ready_views  # a view of the list that `_ready` replaces; only policies use it

    @override
    def call_soon(
        self,
        callback: Callable[[*_Args], object],
        *args: *_Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        if self._closed:
            self._check_closed()  # raises the error
        handle = _Handle(callback, args, self, context)
        self._ready.append((handle, callback))
        return handle

    @override
    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Args], object],
        *args: *_Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self._call_at(self._now + delay, callback, args, context)

    @override
    def call_at(
        self,
        when: float,
        callback: Callable[[*_Args], object],
        *args: *_Args,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self._call_at(when, callback, args, context)

    @override
    def _call_at_true(
        self,
        when: float,
        shown: float,
        callback: Callable[[*_Args], object],
        args: tuple[*_Args],
        context: contextvars.Context | None,
    ) -> asyncio.TimerHandle:
        return self._call_at(when, callback, args, context)  # all hosts show the same time, so `shown` is `when`

    def _call_at(
        self, when: float, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> asyncio.TimerHandle:
        if self._closed:
            self._check_closed()  # raises the error
        timer = _Timer(when, callback, args, self, context)
        self._next_seq = number = self._next_seq + 1
        heappush(self._timers, (when, number, timer, callback))
        return timer

    @override
    def _step(self) -> None:
        """Run all callbacks that are ready, or only one while simloop cancels the task of a run that was stopped."""
        ready = self._ready
        if not ready:
            self._advance_clock()
        while True:
            self._passed += 1
            if self._passed > BUSY:
                raise self._busy_error()
            handle, _ = ready.popleft()
            if not handle._cancelled:  # noqa: SLF001 - intended for event loops
                handle._run()  # noqa: SLF001 - as above
            if not ready or self._stopping or not self._running:
                return

    @override
    def _advance_clock(self) -> None:
        # Callbacks are released in the same places as in simloop, because a finalizer may look at the time.
        timers = self._timers
        while timers and timers[0][2]._cancelled:  # noqa: SLF001 - as above
            _, _, timer, _ = heappop(timers)
        if not timers:
            super()._advance_clock()  # raises the error
        self._now = now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= now:
            _, _, timer, callback = heappop(timers)
            if not timer._cancelled:  # noqa: SLF001 - as above
                self._ready.append((timer, callback))
        self._time_passed()


class _Handle(asyncio.Handle):
    """A handle of a loop that has no debug mode."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class _Timer(asyncio.TimerHandle):
    """The handle of a timer of a loop that has no debug mode."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._scheduled = False
        self._when = when

    @override
    def cancel(self) -> None:
        self._cancelled = True
        self._callback = None  # type: ignore[assignment]  # as in asyncio
        self._args = None  # type: ignore[assignment]  # as above


class _NoTrace(TraceRecorder):
    @override
    def record(self, kind: EventKind, when: float, seq: int, label: str, host: str = "") -> None:
        pass
