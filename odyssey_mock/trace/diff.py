"""Comparison of two traces: where two runs of a test diverge.

The begin and the end of a span are two steps. Each participant has a track for each lane, state machine, session and
HTTP path. Only the order within a track counts, because concurrent work may interleave differently in every run. Ids,
addresses, tokens and times are normalized.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from odyssey_client.models import JSON
from odyssey_client.trace import Lane, Trace, TraceEvent
from odyssey_mock.core.sequence_diagram import printable
from odyssey_mock.trace.participants import Participants
from odyssey_mock.trace.text import counted, details

COMPARED: frozenset[Lane] = frozenset(
    {"test", "call", "callback", "http", "signaling", "sdp", "channel", "state", "deadline", "fault", "clock"}
)
"""Lanes that are compared by default. Statistics, frames, log records and notes differ in every run, and the states of
peers while they are closed. The state machines have the effects of a lost peer."""
CONTEXT = 3
"""Number of events that are shown before and after the first difference."""
LISTED = 20
"""Maximum number of different events that are listed for each trace."""
SHOWN_LENGTH = 160
"""Maximum length of an event in a list, in characters."""

_CANDIDATES = frozenset({"candidate", "ice_candidate"})
"""Names of events about ICE candidates. Their number and order depend on the machine, so they are not compared."""
_VARYING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # UUID
    r"|\b(?=[a-f]*[0-9])[0-9a-f]{8,}\b"  # hash, or part of an id
    r"|\bey[\w-]+\.[\w-]+\.[\w-]*"  # JSON Web Token
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?"  # IPv4 address
    r"|\d{4}-\d\d-\d\d[T ][\d:.]+(?:Z|[+-]\d\d:\d\d)?"  # date
    r"|(?<=:)\d{4,5}\b"  # port
    r"|\d+\.\d+",  # duration
    re.IGNORECASE,
)
_VARYING_NAMES = re.compile(
    r"(?:^|_)(?:id|ids|at|time|timestamp|token|url|uri|key|session|stream|nonce|expires|duration|latency|elapsed|index"
    r"|sdp|seconds|frame|bytes|uptime)$",
    re.IGNORECASE,
)
"""Names of values that differ in every run."""

_BEGIN_VALUES = ("arguments", "message", "event", "from", "to", "do", "at", "state", "why", "code", "reason")
_END_VALUES = ("status", "error")
_ENDS = " ends"
"""Added to the name of a span at its end."""

type Key = tuple[str, str, str, str]
"""What is compared of a step: its participant, its lane, its name, and its other values as text."""
type Track = tuple[str, ...]
"""Steps whose order is compared: participant, lane, and what else distinguishes concurrent work."""


@dataclass(frozen=True, slots=True)
class Step:
    """An event, or the begin or the end of a span.

    Attributes:
        at: time on the axis of the trace.
        event: the event.
        key: what is compared.
        track: the steps with which the order is compared.
    """

    at: float
    event: TraceEvent
    key: Key
    track: Track


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two traces differ.

    Attributes:
        equal: for each trace, the number of its equal steps before the first difference.
        first: for each trace, the index of its step at the first difference; None if it has no further step on the
            track.
        track: the track of the first difference; None if no steps differ.
        before: for each trace, the index of the last equal step before the first difference; -1 if there is none.
        only: for each trace, the number of steps that the other does not have, by what is compared of them.
    """

    equal: int
    first: tuple[int | None, int | None]
    track: Track | None
    before: tuple[int, int]
    only: tuple[Counter[Key], Counter[Key]]


class Compared:
    """The steps of one trace that are compared, in the order of their times."""

    def __init__(self, trace: Trace, lanes: Collection[Lane] = ()) -> None:
        participants = Participants(trace.events)
        self.trace = trace
        self.steps = sorted(
            (
                step
                for event in trace.events
                if event.lane in (lanes or COMPARED) and (lanes or event.name not in _CANDIDATES)
                for step in _steps(event, participants)
            ),
            key=lambda step: step.at,
        )

    def tracks(self) -> Mapping[Track, Sequence[int]]:
        """Return the indexes of the steps of each track."""
        tracks: dict[Track, list[int]] = {}
        for index, step in enumerate(self.steps):
            tracks.setdefault(step.track, []).append(index)
        return tracks

    def keys(self) -> Counter[Key]:
        return Counter(step.key for step in self.steps)


def difference(first: Compared, second: Compared) -> Difference | None:
    """Find the first difference of two traces, in the order of their steps; return None if they are equal."""
    own, others = first.tracks(), second.tracks()
    ends: list[tuple[tuple[int, int], Track, tuple[int | None, int | None]]] = []
    equal: list[tuple[int, int]] = []
    for track in sorted({*own, *others}):
        mine, theirs = own.get(track, ()), others.get(track, ())
        same = _common_prefix([first.steps[each].key for each in mine], [second.steps[each].key for each in theirs])
        equal += zip(mine[:same], theirs[:same], strict=True)
        end = (mine[same] if same < len(mine) else None, theirs[same] if same < len(theirs) else None)
        positions = [index for index in end if index is not None]
        if positions:  # the times of two runs cannot be compared, because one may be slower
            ends.append(((min(positions), max(positions)), track, end))
    only = first.keys() - second.keys(), second.keys() - first.keys()
    if not ends:
        outcomes = [(each.trace.manifest.outcome, _failure(each.trace)) for each in (first, second)]
        same_outcome = outcomes[0] == outcomes[1]
        return None if same_outcome else Difference(len(equal), (None, None), None, (-1, -1), only)
    _, track, end = min(ends, key=lambda each: each[:2])
    side = 0 if end[0] is not None else 1
    before = [pair for pair in equal if pair[side] < (end[side] or 0)]
    last = max(before, key=lambda pair: pair[side], default=(-1, -1))
    return Difference(len(before), end, track, last, only)


def diff_text(first: Compared, second: Compared, found: Difference | None) -> Iterator[str]:
    """Yield the lines of a text that describes the difference of two traces."""
    for name, each in (("A", first), ("B", second)):
        manifest = each.trace.manifest
        outcome = "" if manifest.outcome == "none" else f": {manifest.outcome}"
        yield printable(f"{name}: {manifest.title}{outcome}, {counted(len(each.steps), 'step')} compared")
    if found is None:
        yield "equal"
        return
    if found.track is None:
        yield f"the outcomes differ; equal steps: {found.equal}"
        for name, each in (("A", first), ("B", second)):
            yield printable(f"  {name}: {each.trace.manifest.outcome} {_failure(each.trace)}".rstrip())
        return
    yield f"equal steps before the first difference: {found.equal}"
    yield ""
    yield printable(f"first difference: {found.track[0]}, lane {found.track[1]}")
    for name, each, index, before in zip("AB", (first, second), found.first, found.before, strict=True):
        yield f"  {name}:"
        yield from _context(each, index, before)
    yield ""
    yield from _summary(found)


def _context(compared: Compared, index: int | None, before: int) -> Iterator[str]:
    """Yield the steps around the first difference; without a step there, those around the last equal one."""
    steps = compared.steps
    start, rest = (before + 1, before + 1) if index is None else (index, index + 1)
    yield from (f"    {_line(step)}" for step in steps[max(0, start - CONTEXT) : start])
    yield "  > (nothing)" if index is None else f"  > {_line(steps[index])}"
    yield from (f"    {_line(step)}" for step in steps[rest : rest + CONTEXT])


def _line(step: Step) -> str:
    who, lane, name, _ = step.key
    event = step.event
    is_begin = event.is_span and not name.endswith(_ENDS)
    shown = {} if is_begin else details(event)
    values = "" if not shown else f" {json.dumps(shown, ensure_ascii=False, sort_keys=True)}"
    error = "" if event.error is None or is_begin else f" ! {event.error}"
    pending = ", which is pending at the end" if event.is_pending else ""
    shown_name = event.name + (_ENDS if name.endswith(_ENDS) and event.is_span else "")
    return _cut(printable(f"{step.at:10.3f}  {who}, {lane}: {shown_name}{pending}{values}{error}"))


def _summary(found: Difference) -> Iterator[str]:
    if not any(found.only):
        yield "both have the same steps, in a different order"
    for name, only in zip("AB", found.only, strict=True):
        if not only:
            continue
        yield f"only in {name} ({only.total()}):"
        for (who, lane, event, values), count in only.most_common(LISTED):
            shown = "" if values == "{}" else f" {values}"
            yield _cut(printable(f"  {count} x {who}, {lane}: {event}{shown}"))
        if len(only) > LISTED:
            yield f"  (and {counted(len(only) - LISTED, 'more kind')})"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 1] + "…"


def _failure(trace: Trace) -> str:
    failure = trace.manifest.failure
    if failure is None:
        return ""
    message = f": {_normalized_text(failure.message)}" if failure.message else ""
    return f"{failure.phase}: {failure.type}{message}"


def _common_prefix(first: Sequence[Key], second: Sequence[Key]) -> int:
    for index, (mine, theirs) in enumerate(zip(first, second, strict=False)):
        if mine != theirs:
            return index
    return min(len(first), len(second))


def _steps(event: TraceEvent, participants: Participants) -> Iterator[Step]:
    who, name = participants.of(event), _normalized_text(event.name)
    about = participants.other(event) if event.side == "server" else ""
    machine = event.data.get("machine")
    track: Track = (who, event.lane, about, machine if isinstance(machine, str) else "")
    if event.lane == "http":
        track += (name,)
    if not event.is_span:
        yield Step(event.at, event, (who, event.lane, name, _values(event, _BEGIN_VALUES, _END_VALUES)), track)
        return
    yield Step(event.at, event, (who, event.lane, name, _values(event, _BEGIN_VALUES)), track)
    if event.end is not None:
        ended = (who, event.lane, name + _ENDS, _values(event, _END_VALUES))
        yield Step(event.end, event, ended, (*track, name, _ENDS))


def _values(event: TraceEvent, *names: Sequence[str]) -> str:
    """Return the values with these names as text, without what differs in every run."""
    given: dict[str, JSON] = {**event.data, "error": event.error, "from": event.sender or event.data.get("from")}
    there = {name: _normalized(given[name]) for each in names for name in each if given.get(name) is not None}
    return json.dumps({} if event.lane == "log" else there, sort_keys=True, ensure_ascii=False)


def _normalized(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {
            name: "..." if _VARYING_NAMES.search(name) and not isinstance(item, dict | list) else _normalized(item)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_normalized(item) for item in value]
    if isinstance(value, str):
        return _normalized_text(value)
    return "..." if isinstance(value, float) else value


def _normalized_text(text: str) -> str:
    return _VARYING.sub("...", text)
