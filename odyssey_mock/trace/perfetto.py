"""A trace in the Trace Event Format (JSON), which ui.perfetto.dev and speedscope open.

Each participant is a process, and each lane a thread. The slices of a thread must be nested, so spans that overlap get
further threads of the same lane.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from odyssey_client.models import JSON
from odyssey_client.trace import Trace, TraceEvent
from odyssey_client.trace.events import LANES
from odyssey_mock.trace.participants import Participants, is_message, pairs

COUNTERS = (
    "framesPerSecond",
    "framesDecoded",
    "framesDropped",
    "framesEncoded",
    "freezeCount",
    "bytesReceived",
    "bytesSent",
    "packetsLost",
    "jitter",
    "roundTripTime",
    "currentRoundTripTime",
    "availableOutgoingBitrate",
)
"""Names of W3C statistics that become counters."""

_MICROSECONDS = 1_000_000
_FOREVER = 1 << 62
"""End of a slice that never ended, in microseconds."""
_MESSAGE_DURATION = 1
"""Duration of a message in microseconds. Only slices can have flow arrows, so a message is a short slice."""


def trace_events(trace: Trace) -> dict[str, JSON]:
    """Return the trace as a document of the Trace Event Format.

    Spans are complete events (``X``); spans without an end only begin (``B``). Messages are slices of 1 us, with flow
    arrows from the sender's record to the receiver's. Other events are instants (``i``), and statistics are counters
    (``C``). Times are microseconds on the time axis of the trace.
    """
    events = _Events(trace)
    return {
        "traceEvents": [*events.metadata(), *events.drawn()],
        "displayTimeUnit": "ms",
        "otherData": {
            "title": trace.manifest.title,
            "outcome": trace.manifest.outcome,
            "began_at": trace.manifest.began_at,
            "time": trace.manifest.time,
            **{f"version of {name}": version for name, version in trace.manifest.recorded_by.items()},
        },
    }


@dataclass(slots=True)
class _Thread:
    """A row of one lane: the slices on it that have not ended, the innermost last."""

    number: int
    ends: list[int] = field(default_factory=list)

    def takes(self, start: int, end: int) -> bool:
        """Return whether a slice can begin here: after all slices that ended, and within the one that has not."""
        while self.ends and self.ends[-1] <= start:
            self.ends.pop()
        return not self.ends or end <= self.ends[-1]


class _Events:
    """Converts the events, and numbers processes and threads."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._participants = Participants(trace.events)
        recorded = {self._participants.of(event) for event in trace.events}
        names = [name for name in self._participants.columns if name in recorded]
        self._processes = {name: number for number, name in enumerate(names, 1)}
        self._threads: dict[tuple[str, str], list[_Thread]] = {}

    def drawn(self) -> Iterator[JSON]:
        """Yield the events in order of their times; of slices that begin at the same time, the longest is first."""
        events = self._trace.events
        arrows = pairs(events)
        ends = {**{sent: ("s", sent) for sent in arrows}, **{got: ("f", sent) for sent, got in arrows.items()}}
        self._place()
        for index in sorted(range(len(events)), key=lambda index: (_start(events[index]), -_end(events[index]))):
            event = events[index]
            if event.lane == "stats":
                yield from self._counters(event)
                continue
            yield self._event(event, index)
            if index in ends and _end(event) > _start(event):
                phase, number = ends[index]
                yield {
                    **self._address(event, index),
                    "ph": phase,
                    "id": number,
                    "name": event.name,
                    "cat": event.lane,
                    "ts": _start(event),
                    **({"bp": "e"} if phase == "f" else {}),
                }
        yield from self._failure()

    def metadata(self) -> Iterator[JSON]:
        """Yield the names and the order of processes and threads."""
        if not self._threads:
            self._place()
        for name, number in self._processes.items():
            at: dict[str, JSON] = {"ph": "M", "pid": number, "tid": 0, "ts": 0}
            yield {**at, "name": "process_name", "args": {"name": name}}
            yield {**at, "name": "process_sort_index", "args": {"sort_index": number}}
        for (who, lane), threads in self._threads.items():
            for count, thread in enumerate(threads, 1):
                at = {"ph": "M", "pid": self._processes[who], "tid": thread.number, "ts": 0}
                yield {**at, "name": "thread_name", "args": {"name": lane if count == 1 else f"{lane} {count}"}}
                yield {**at, "name": "thread_sort_index", "args": {"sort_index": thread.number}}

    def _place(self) -> None:
        """Choose the thread of every event."""
        if self._threads:
            return
        self._thread_of: dict[int, int] = {}
        events = self._trace.events
        for index in sorted(range(len(events)), key=lambda index: (_start(events[index]), -_end(events[index]))):
            event = events[index]
            if event.lane != "stats":
                self._thread_of[index] = self._thread(event)

    def _thread(self, event: TraceEvent) -> int:
        threads = self._threads.setdefault((self._participants.of(event), event.lane), [])
        start, end = _start(event), _end(event)
        for thread in threads:
            if thread.takes(start, end):
                break
        else:
            thread = _Thread((LANES.index(event.lane) + 1) * 1000 + len(threads))
            threads.append(thread)
        if end > start:
            thread.ends.append(end)
        return thread.number

    def _address(self, event: TraceEvent, index: int) -> dict[str, JSON]:
        return {"pid": self._processes[self._participants.of(event)], "tid": self._thread_of[index]}

    def _event(self, event: TraceEvent, index: int) -> JSON:
        start, end = _start(event), _end(event)
        common: dict[str, JSON] = {
            **self._address(event, index),
            "name": event.name,
            "cat": event.lane if event.error is None else f"{event.lane},error",
            "ts": start,
            "args": _arguments(event),
        }
        if event.is_pending:
            return {**common, "ph": "B"}
        if end > start or event.is_span:
            return {**common, "ph": "X", "dur": end - start}
        return {**common, "ph": "i", "s": "p" if event.lane in {"fault", "clock"} else "t"}

    def _counters(self, event: TraceEvent) -> Iterator[JSON]:
        reports = event.data.get("reports")
        for key, report in reports.items() if isinstance(reports, dict) else ():
            if not isinstance(report, dict):
                continue
            for name in COUNTERS:
                value = report.get(name)
                if isinstance(value, int | float) and not isinstance(value, bool):
                    yield {
                        "ph": "C",
                        "pid": self._processes[self._participants.of(event)],
                        "tid": 0,
                        "name": f"{report.get('type', 'statistics')} {key} {name}",
                        "ts": _start(event),
                        "args": {name: value},
                    }

    def _failure(self) -> Iterator[JSON]:
        failure, manifest = self._trace.manifest.failure, self._trace.manifest
        if failure is not None and self._processes:
            yield {
                "ph": "i",
                "s": "g",
                "pid": 1,
                "tid": 0,
                "name": f"failure in {failure.phase}: {failure.type}",
                "cat": "error",
                "ts": max([_microseconds(manifest.duration), *map(_start, self._trace.events)]),
                "args": failure.to_json(),
            }


def _arguments(event: TraceEvent) -> dict[str, JSON]:
    named: Sequence[tuple[str, JSON]] = (
        ("session", event.session),
        ("stream", event.stream),
        ("from", event.sender),
        ("error", event.error),
        ("source", None if event.source is None else event.source.to_json()),
    )
    return {**{name: value for name, value in named if value is not None}, **event.data}


def _start(event: TraceEvent) -> int:
    return _microseconds(event.at)


def _end(event: TraceEvent) -> int:
    if event.is_pending:
        return _FOREVER
    shortest = _start(event) + (_MESSAGE_DURATION if is_message(event) or event.lane == "http" else 0)
    return max(shortest, _microseconds(event.end or 0.0)) if event.is_span else shortest


def _microseconds(seconds: float) -> int:
    return max(0, round(seconds * _MICROSECONDS))
