"""Comparison of two traces: where two runs of a test diverge.

Each participant has a track for each lane. Only the order within a track counts, because concurrent work may interleave
differently in every run. Ids, addresses, tokens and times are normalized.
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
from odyssey_mock.trace.text import details

COMPARED: frozenset[Lane] = frozenset(
    {"test", "call", "callback", "http", "signaling", "sdp", "peer", "channel", "state", "deadline", "fault", "clock"}
)
"""Lanes that are compared by default. Statistics, frames, log records and notes differ in every run."""
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

type Key = tuple[str, str, str, str]
"""What is compared of an event: its participant, its lane, its name, and its other values as text."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two traces differ.

    Attributes:
        equal: number of equal events before the first difference.
        first: index of the first different event in each trace, among its compared events; None if the trace has
            no further event on that track.
        track: participant and lane of the first difference; None if no events differ.
        only: for each trace, the number of events that the other does not have, by what is compared of them.
    """

    equal: int
    first: tuple[int | None, int | None]
    track: tuple[str, str] | None
    only: tuple[Counter[Key], Counter[Key]]


class Compared:
    """The events of one trace that are compared, and what is compared of each."""

    def __init__(self, trace: Trace, lanes: Collection[Lane] = ()) -> None:
        participants = Participants(trace.events)
        self.trace = trace
        self.events = [
            event
            for event in trace.events
            if event.lane in (lanes or COMPARED) and not (event.name in _CANDIDATES and not lanes)
        ]
        self.keys = [_key(event, participants) for event in self.events]

    def tracks(self) -> Mapping[tuple[str, str], Sequence[int]]:
        """Return the indexes of the events of each participant in each lane."""
        tracks: dict[tuple[str, str], list[int]] = {}
        for index, key in enumerate(self.keys):
            tracks.setdefault(key[:2], []).append(index)
        return tracks


def difference(first: Compared, second: Compared) -> Difference | None:
    """Find the first difference of two traces, in the order of their events; return None if they are equal."""
    own, others = first.tracks(), second.tracks()
    ends: list[tuple[int, tuple[str, str], tuple[int | None, int | None]]] = []
    equal: list[tuple[int, int]] = []
    for track in sorted({*own, *others}):
        mine, theirs = own.get(track, ()), others.get(track, ())
        same = _common_prefix([first.keys[each] for each in mine], [second.keys[each] for each in theirs])
        equal += zip(mine[:same], theirs[:same], strict=True)
        end = (mine[same] if same < len(mine) else None, theirs[same] if same < len(theirs) else None)
        positions = [index for index in end if index is not None]
        if positions:  # the times of two runs cannot be compared, because one may be slower
            ends.append((min(positions), track, end))
    only = Counter(first.keys) - Counter(second.keys), Counter(second.keys) - Counter(first.keys)
    if not ends:
        outcomes = [(each.trace.manifest.outcome, _failure(each.trace)) for each in (first, second)]
        return None if outcomes[0] == outcomes[1] else Difference(len(equal), (None, None), None, only)
    _, track, end = min(ends, key=lambda each: each[:2])
    before = sum(
        mine < end[0] if end[0] is not None else end[1] is not None and theirs < end[1] for mine, theirs in equal
    )
    return Difference(before, end, track, only)


def diff_text(first: Compared, second: Compared, found: Difference | None) -> Iterator[str]:
    """Yield the lines of a text that describes the difference of two traces."""
    for name, each in (("A", first), ("B", second)):
        manifest = each.trace.manifest
        outcome = "" if manifest.outcome == "none" else f": {manifest.outcome}"
        yield printable(f"{name}: {manifest.title}{outcome}, {len(each.events)} events compared")
    if found is None:
        yield "equal"
        return
    if found.track is None:
        yield f"all {found.equal} events are equal; the outcomes differ"
        for name, each in (("A", first), ("B", second)):
            yield printable(f"  {name}: {each.trace.manifest.outcome} {_failure(each.trace)}".rstrip())
        return
    yield f"{found.equal} equal events before the first difference"
    yield ""
    yield printable(f"first difference: {found.track[0]}, lane {found.track[1]}")
    for name, each, index in (("A", first, found.first[0]), ("B", second, found.first[1])):
        yield from _context(name, each, index, found.track)
    yield ""
    yield from _summary(found)


def _context(name: str, compared: Compared, index: int | None, track: tuple[str, str]) -> Iterator[str]:
    """Yield the events around the first difference. Without an event there, yield the last ones of its track."""
    yield f"  {name}:"
    if index is None:
        last = [each for each, key in enumerate(compared.keys) if key[:2] == track]
        yield from (f"    {_line(compared, each)}" for each in last[-CONTEXT:])
        yield "  > (no further event)"
        return
    for each in range(max(0, index - CONTEXT), min(len(compared.events), index + CONTEXT + 1)):
        yield f"  {'>' if each == index else ' '} {_line(compared, each)}"


def _line(compared: Compared, index: int) -> str:
    event, key = compared.events[index], compared.keys[index]
    shown = details(event)
    values = "" if not shown else f" {json.dumps(shown, ensure_ascii=False, sort_keys=True)}"
    error = "" if event.error is None else f" ! {event.error}"
    pending = ", pending" if event.is_pending else ""
    return _cut(printable(f"{event.at:10.3f}  {key[0]}, {event.lane}: {event.name}{pending}{values}{error}"))


def _summary(found: Difference) -> Iterator[str]:
    if not any(found.only):
        yield "both have the same events, in a different order"
    for name, only in zip("AB", found.only, strict=True):
        if not only:
            continue
        yield f"only in {name} ({only.total()}):"
        for (who, lane, event, values), count in only.most_common(LISTED):
            shown = "" if values == "{}" else f" {values}"
            yield _cut(printable(f"  {count} x {who}, {lane}: {event}{shown}"))
        if len(only) > LISTED:
            yield f"  (and {len(only) - LISTED} more kinds)"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 1] + "…"


def _failure(trace: Trace) -> str:
    failure = trace.manifest.failure
    return "" if failure is None else f"{failure.phase}: {failure.type}: {_normalized_text(failure.message)}"


def _common_prefix(first: Sequence[Key], second: Sequence[Key]) -> int:
    for index, (mine, theirs) in enumerate(zip(first, second, strict=False)):
        if mine != theirs:
            return index
    return min(len(first), len(second))


def _key(event: TraceEvent, participants: Participants) -> Key:
    values: dict[str, JSON] = {"error": event.error, "from": event.sender}
    if event.is_pending:
        values["pending"] = True
    for name in ("status", "arguments", "message", "event", "from", "to", "do", "at", "state", "why", "code", "reason"):
        if name in event.data and event.lane not in {"sdp", "log"}:
            values.setdefault(name, event.data[name])
    there = {name: _normalized(value) for name, value in values.items() if value is not None}
    text = json.dumps(there, sort_keys=True, ensure_ascii=False)
    return participants.of(event), event.lane, _normalized_text(event.name), text


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
