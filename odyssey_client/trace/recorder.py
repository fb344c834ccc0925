"""Recording of events in memory, until they are written to a trace file."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from odyssey_client.models import JSON
from odyssey_client.trace.events import Lane, Side, Source, TraceEvent

LIMIT_BYTES = 50 << 20
"""Default limit of a recording, in bytes of JSON text and images. More than an hour of one live session."""
_EVENT_BYTES = 200
"""Approximate size of an event in bytes, apart from its data."""
_DEPTH = 12
"""Depth of JSON to which `_size` counts."""
_OWN_PACKAGES = frozenset({"odyssey_client", "odyssey_mock", "asyncio", "concurrent", "contextlib", "threading"})
"""Packages whose frames `calling_line` skips."""
_UNMADE = 8
"""Number of events that are created only when the recording is read. Each may keep a video frame of 1.4 MB."""
_FRAMES = 40
"""Maximum number of stack frames that `calling_line` skips."""

type Data = Mapping[str, JSON] | Callable[[], Mapping[str, JSON]]
"""Data of an event, or a function that returns it. The recorder calls the function when the recording is read."""

type Make = Callable[[], TraceEvent | None]
"""A function that returns an event; None if it cannot be created."""

type Late = Callable[[float], Iterable[TraceEvent]]
"""A function that returns events when the recording is read.

Its argument is the start of the time axis, by the clock of the recorder (`Recorder.clock`).
"""


@dataclass(frozen=True, slots=True)
class Recording:
    """The events of a recorder at one moment, in order of their times.

    Attributes:
        began_at: The start of the time axis, in seconds since the epoch.
        duration: Seconds from the start of the time axis to this moment.
        events: The events.
        dropped: Number of events that were dropped because of the limit, by lane.
    """

    began_at: float
    duration: float
    events: tuple[TraceEvent, ...]
    dropped: Mapping[Lane, int] = field(default_factory=dict)

    def with_events(self, events: Iterable[TraceEvent], dropped: Mapping[Lane, int] | None = None) -> Recording:
        """Return this recording with further events, whose times are on the same axis.

        ``dropped`` has the number of those that are missing because of a limit.
        """
        merged = sorted((*self.events, *events), key=lambda event: event.at)
        counts = Counter(self.dropped) + Counter(dropped or {})
        return replace(self, events=tuple(merged), dropped=counts)


class Span:
    """An event that has begun. Call `end` once; later calls have no effect."""

    __slots__ = ("_data", "_event", "_kept", "_recorder")

    def __init__(self, recorder: Recorder, event: TraceEvent, data: Data) -> None:
        self._recorder = recorder
        self._event = event
        self._data = data
        self._kept: _Kept | None = None
        """The entry of the recorder; None after `Recorder.clear`, or if it was dropped because of the limit."""

    def end(self, *, error: str | None = None, data: Data | None = None, size: int | None = None) -> None:
        """End the span. ``data`` replaces the data with which it began; ``size`` is as in `Recorder.add`."""
        self._recorder._end(self, error, data, size)  # noqa: SLF001 - one class in two parts

    def update(self, data: Data) -> None:
        """Replace the data of the span, for example by what it is waiting for."""
        if self._event.is_pending:
            self._data = data


class _Kept:
    """A recorded event; spans change until they end."""

    __slots__ = ("data", "event", "size", "span")

    def __init__(self, event: TraceEvent, data: Data, size: int, span: Span | None) -> None:
        self.event, self.data, self.size, self.span = event, data, size, span

    def forget(self) -> None:
        """Separate the entry from its span, which is no longer recorded."""
        if self.span is not None:
            self.span._kept = None  # noqa: SLF001 - as in Span

    def complete(self) -> TraceEvent:
        event = self.event if self.span is None else self.span._event  # noqa: SLF001 - as in Span
        data = self.data if self.span is None else self.span._data  # noqa: SLF001
        return replace(event, data=data() if callable(data) else data)


class Recorder:
    """Events in memory, of a limited size. It may be used from any thread.

    When the limit is reached, the lane with the most bytes loses its oldest event. Data that is passed to the recorder
    must not change afterward.
    """

    def __init__(
        self,
        *,
        limit_bytes: int = LIMIT_BYTES,
        now: Callable[[], float] = time.monotonic,  # noqa: TID251 - traces show the time of the machine
        began_at: float | None = None,
        samples_statistics: bool = True,
        samples_frames: bool = True,
    ) -> None:
        """Begin a recording.

        Args:
            limit_bytes: Limit of the recording, in bytes of JSON text and images.
            now: Returns the time in seconds, from any start.
            began_at: The time now in seconds since the epoch; None to use the time of the machine.
            samples_statistics: Whether to record the statistics of peers, which takes timers. They would change the
                course of a simulated run.
            samples_frames: Whether to record thumbnails of received frames. Frames of light simulated peers have no
                picture.
        """
        self.samples_statistics = samples_statistics
        self.samples_frames = samples_frames
        self._limit = limit_bytes
        self._now = now
        # Reentrant: the garbage collector may run at any time, and asyncio then logs errors of forgotten tasks, which
        # are recorded.
        self._lock = threading.RLock()
        self._late: dict[object, Late] = {}
        self._unmade: deque[Make] = deque()
        self.generation = -1
        """Number of calls of `clear`."""
        self._begin(began_at)

    def _begin(self, began_at: float | None) -> None:
        self.began_at = time.time() if began_at is None else began_at  # noqa: TID251 - as above
        self._began = self._now()
        self._lanes: dict[Lane, deque[_Kept]] = {}
        self._bytes: dict[Lane, int] = {}
        self._total = 0
        self._dropped: dict[Lane, int] = {}
        self._actors = 0
        self.generation += 1

    def now(self) -> float:
        """Return the present time, in seconds on the time axis of the recording."""
        return self._now() - self._began

    def clock(self) -> float:
        """Return the present time by the clock of the recorder, which `clear` does not change."""
        return self._now()

    def new_actor(self) -> str:
        """Return a name for a further client: ``client 1``, ``client 2`` and so on."""
        with self._lock:
            self._actors += 1
            return f"client {self._actors}"

    def clear(self, began_at: float | None = None) -> None:
        """Remove all events, and start the time axis and the names of clients again.

        Spans that are pending are forgotten.
        """
        with self._lock:
            for kept in self._all():
                kept.forget()
            self._unmade.clear()
            self._late.clear()
            self._begin(began_at)

    def add_unmade(self, make: Make) -> None:
        """Record the event that ``make`` returns. It is called when the recording is read, or has many such events.

        A recording that is cleared before saves the cost of creating the event.
        """
        with self._lock:
            self._unmade.append(make)
            excess = self._unmade.popleft() if len(self._unmade) > _UNMADE else None
        if excess is not None:
            self._make(excess)

    def _make(self, make: Make) -> None:
        if (event := make()) is not None:
            self._keep(_Kept(event, event.data, _bytes(event, event.data, None), None))

    def add_late(self, key: object, late: Late) -> None:
        """Call ``late`` each time the recording is read, for events that still change.

        `remove_late` and `clear` end this.
        """
        with self._lock:
            self._late[key] = late

    def remove_late(self, key: object) -> None:
        """No longer call the function that was added as ``key``; do nothing if there is none."""
        with self._lock:
            self._late.pop(key, None)

    def add(
        self,
        lane: Lane,
        name: str,
        data: Data | None = None,
        *,
        at: float | None = None,
        side: Side = "client",
        actor: str | None = None,
        session: str | None = None,
        stream: str | None = None,
        sender: Literal["client", "server"] | None = None,
        error: str | None = None,
        source: Source | None = None,
        image: bytes | None = None,
        size: int | None = None,
    ) -> None:
        """Record an event. The arguments are the fields of `TraceEvent`.

        Args:
            lane: The kind of event.
            name: Short description.
            data: Further values.
            at: The time on the axis; None for now.
            side: Who records the event.
            actor: The client.
            session: Id of the session.
            stream: Id of the stream.
            sender: Who sent a message.
            error: What went wrong.
            source: The line of the caller.
            image: A thumbnail as JPEG.
            size: Approximate size of ``data`` as JSON; needed if ``data`` is a function.
        """
        at = self.now() if at is None else at
        event = TraceEvent(at, lane, side, name, {}, False, None, actor, session, stream, sender, error, source, image)
        self._keep(_Kept(event, data or {}, _bytes(event, data, size), None))

    def begin(
        self,
        lane: Lane,
        name: str,
        data: Data | None = None,
        *,
        side: Side = "client",
        actor: str | None = None,
        session: str | None = None,
        stream: str | None = None,
        source: Source | None = None,
        size: int | None = None,
    ) -> Span:
        """Record the beginning of a span; end it with `Span.end`. The arguments are those of `add`."""
        event = TraceEvent(self.now(), lane, side, name, {}, True, None, actor, session, stream, None, None, source)
        span = Span(self, event, data or {})
        span._kept = kept = _Kept(event, {}, _bytes(event, data, size), span)  # noqa: SLF001 - as in Span
        self._keep(kept)
        return span

    def snapshot(self) -> Recording:
        """Return the events so far."""
        while True:
            try:
                unmade = self._unmade.popleft()
            except IndexError:
                break
            self._make(unmade)
        with self._lock:
            kept = self._all()
            dropped, duration, late = dict(self._dropped), self.now(), list(self._late.values())
            began = self._began
        found = [*(each.complete() for each in kept), *(event for each in late for event in each(began))]
        events = sorted(found, key=lambda event: event.at)
        return Recording(self.began_at, duration, tuple(events), dropped)

    def _all(self) -> list[_Kept]:
        """Return all entries. Copies, because a log record of the garbage collector may add one to a lane."""
        return [kept for lane in list(self._lanes.values()) for kept in list(lane)]

    def _keep(self, kept: _Kept) -> None:
        lane = kept.event.lane
        with self._lock:
            self._lanes.setdefault(lane, deque()).append(kept)
            self._bytes[lane] = self._bytes.get(lane, 0) + kept.size
            self._total += kept.size
            self._drop_excess(kept.size)

    def _drop_excess(self, newest: int) -> None:
        """Drop events until the limit is kept, or only the event of ``newest`` bytes is left."""
        while self._total > self._limit and self._total > newest:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        lane = max(list(self._bytes), key=lambda each: self._bytes[each])
        oldest = self._lanes[lane].popleft()
        self._bytes[lane] -= oldest.size
        self._total -= oldest.size
        self._dropped[lane] = self._dropped.get(lane, 0) + 1
        oldest.forget()

    def _end(self, span: Span, error: str | None, data: Data | None, size: int | None) -> None:
        with self._lock:
            if span._event.end is not None:  # noqa: SLF001 - as in Span
                return
            span._event = event = replace(span._event, end=self.now(), error=error)  # noqa: SLF001
            if data is None:
                return
            span._data = data  # noqa: SLF001
            if (kept := span._kept) is not None:  # noqa: SLF001
                grown = _bytes(event, data, size) - kept.size
                kept.size += grown
                self._bytes[event.lane] += grown
                self._total += grown
                self._drop_excess(kept.size)


def calling_line() -> Source | None:
    """Return the line that called into this project's packages: the innermost frame outside of them."""
    frame = sys._getframe(1)  # noqa: SLF001 - the inspect module is too slow for each call
    for _ in range(_FRAMES):
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package not in _OWN_PACKAGES:
            code = frame.f_code
            return Source(short_path(code.co_filename), frame.f_lineno, code.co_name)
        if frame.f_back is None:
            break
        frame = frame.f_back
    return None


def short_path(path: str) -> str:
    """Return a path as traces contain it: relative to the working directory if it is below it."""
    try:
        return _short_path(path, os.getcwd())  # noqa: PTH109 - pathlib takes ten times as long
    except OSError:  # the working directory was deleted
        return path


@lru_cache(maxsize=256)
def _short_path(path: str, directory: str) -> str:
    try:
        return Path(path).relative_to(directory).as_posix()
    except ValueError:
        return path


def _bytes(event: TraceEvent, data: Data | None, size: int | None) -> int:
    if size is None:
        size = 0 if data is None or callable(data) else _size(data, _DEPTH)
    return _EVENT_BYTES + len(event.name) + size + len(event.image or b"")


def _size(value: object, depth: int) -> int:
    """Return about how many characters ``value`` has as JSON."""
    if isinstance(value, str):
        return len(value) + 3
    if depth == 0:
        return 8
    if isinstance(value, Mapping):
        return sum(len(key) + 4 + _size(item, depth - 1) for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(_size(item, depth - 1) for item in value)
    return 8
