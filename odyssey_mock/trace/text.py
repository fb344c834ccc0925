"""A trace as text: a sequence diagram, the failure, and the calls that were pending."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from odyssey_client.models import JSON
from odyssey_client.trace import Lane, Source, Trace, TraceEvent
from odyssey_mock.core.sequence_diagram import WIDTH, DiagramEvent, diagram, printable
from odyssey_mock.trace.participants import SERVER, Participants, copies, is_message, pairs

NOT_DRAWN: frozenset[Lane] = frozenset({"stats", "frame"})
"""Lanes that are drawn only if they are asked for: they have many events that say little in text."""
SHOWN_FIELDS = ("prompt", "status", "code", "event", "do", "reason", "message", "why", "level")
"""Fields of an event, or of its message, that are shown after its name."""
SHOWN_LENGTH = 120
"""Maximum length of the value of such a field in characters."""
CONTEXT = 2
"""Number of source lines that are shown before and after the failing line."""
MESSAGE_LINES = 40
"""Maximum number of lines of the failure's message that are shown."""
_CANCELLED = "CancelledError"
"""Beginning of the error of a call that was cancelled."""
_WORLD = ""
"""A participant without a column, for events that concern all: the diagram draws them across all columns."""


class SessionFilterError(ValueError):
    """No session, or more than one, begins with the given text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which events of a trace are shown.

    Attributes:
        last: seconds at the end of the trace; None for all.
        lanes: the lanes; empty for all except `NOT_DRAWN`.
        session: beginning of a session's id; None for all sessions. Events that belong to no session are shown too.
    """

    last: float | None = None
    lanes: Collection[Lane] = ()
    session: str | None = None

    def of(self, trace: Trace) -> list[TraceEvent]:
        """Return the selected events.

        Raises:
            SessionFilterError: no session, or more than one, begins with `session`.
        """
        start = None if self.last is None else trace.manifest.duration - self.last
        session = None if self.session is None else _session(trace.events, self.session)
        return [
            event
            for event in trace.events
            if (start is None or max(event.at, event.end or event.at) >= start)
            and (event.lane in self.lanes if self.lanes else event.lane not in NOT_DRAWN)
            and (session is None or event.session in {None, session})
        ]


def trace_text(trace: Trace, selection: Selection | None = None, *, width: int = WIDTH) -> Iterator[str]:
    """Yield the lines of a text that describes a trace. Control characters are escaped.

    Raises:
        SessionFilterError: no session, or more than one, begins with the selected text.
    """
    selection = selection or Selection()
    events = selection.of(trace)
    yield from _head(trace)
    yield ""
    start = None if selection.last is None else trace.manifest.duration - selection.last
    drawn = diagram_of(events, since=start, width=width)
    yield drawn or "no events"
    if trace.manifest.failure is not None:
        yield ""
        yield from _failure(trace)
    pending = list(pending_calls(events, trace.manifest.duration))
    if pending:
        yield ""
        yield "pending when the recording ended:"
        yield from (f"  {line}" for line in pending)


def pending_calls(events: Sequence[TraceEvent], at: float) -> Iterator[str]:
    """Yield a line for each call, request and handler that had not ended at a time, and for each cancelled call.

    A call that a time limit has cancelled explains a failure as much as one that is still pending.
    """
    participants = Participants(events)
    for event in events:
        if not event.is_span or event.lane == "test" or event.at > at:
            continue
        if event.end is None or event.end > at:
            yield _pending(event, participants, at)
        elif event.lane == "call" and (event.error or "").startswith(_CANCELLED):
            yield f"{_pending(event, participants, event.end)}; it was cancelled"


def diagram_of(
    events: Sequence[TraceEvent], *, since: float | None = None, until: float | None = None, width: int = WIDTH
) -> str:
    """Draw events as a sequence diagram with one column for the test, each client and each server.

    A message that both sides recorded is one arrow, at the time when it was sent.

    Args:
        events: the events, in the order of their times.
        since: rows before this time are left out, such as the beginning of a span.
        until: rows after this time are left out, such as the end of a span.
        width: maximum number of characters in a row.
    """
    participants = Participants(events)
    repeated = {*pairs(events).values(), *copies(events)}
    rows = [row for index, event in enumerate(events) if index not in repeated for row in _rows(event, participants)]
    rows.sort(key=lambda row: row.at)
    shown = [row for row in rows if (since is None or row.at >= since) and (until is None or row.at <= until)]
    drawn = {name for row in shown for name in (row.who, row.to)}
    return diagram(shown, [name for name in participants.columns if name in drawn] or [SERVER], width=width)


def label(event: TraceEvent) -> str:
    """Return the name of an event as the diagram shows it."""
    match event.lane:
        case "signaling" | "channel" | "http" | "test" | "call" | "state":
            return event.name
        case "log":
            return f"{event.name} {event.data.get('logger', '')}"
        case _:
            return event.name if event.name.startswith(event.lane) else f"{event.lane} {event.name}"


def details(event: TraceEvent) -> Mapping[str, JSON]:
    """Return the values of an event that are shown after its name."""
    message = event.data.get("message")
    data = message if isinstance(message, dict) else event.data
    return {
        name: value if isinstance(value, int) else value[:SHOWN_LENGTH]
        for name in SHOWN_FIELDS
        if isinstance(value := data.get(name), str | int)
    }


def place(source: Source) -> str:
    """Return a line of code as `file:line in function`."""
    return f"{source.file}:{source.line}" + (f" in {source.function}" if source.function else "")


def counted(count: int, noun: str) -> str:
    """Return a number of things, such as `1 event` or `2 events`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _rows(event: TraceEvent, participants: Participants) -> Iterator[DiagramEvent]:
    who = participants.of(event)
    error = "" if event.error is None else f" ! {event.error}"
    if is_message(event):
        sender, receiver = participants.ends(event)
        yield DiagramEvent(event.at, sender, event.name + error, receiver, details(event))
    elif event.lane == "http":
        client, server = (
            (who, participants.other(event)) if event.side != "server" else (participants.other(event), who)
        )
        yield DiagramEvent(event.at, client, event.name, server, None if event.is_span else details(event))
        if event.end is not None:
            status = event.data.get("status")
            answer = error.removeprefix(" ! ") or str("no response" if status is None else status)
            yield DiagramEvent(event.end, server, answer, client)
    elif event.is_span:
        yield DiagramEvent(event.at, who, f"{label(event)} ...", details=_arguments(event))
        if event.end is not None:
            yield DiagramEvent(event.end, who, f"{label(event)}{error or ': done'}", details=_result(event))
    else:
        who = _WORLD if event.lane == "clock" else who
        yield DiagramEvent(event.at, who, label(event) + error, details=_own_details(event))


def _own_details(event: TraceEvent) -> Mapping[str, JSON]:
    if event.lane == "clock":
        return {name: event.data[name] for name in ("from", "to") if name in event.data}
    return {} if event.lane in {"sdp", "peer"} else details(event)


def _arguments(event: TraceEvent) -> Mapping[str, JSON]:
    arguments = event.data.get("arguments")
    shown = arguments if isinstance(arguments, dict) else {}
    return {name: _short(value) for name, value in shown.items()}


def _result(event: TraceEvent) -> Mapping[str, JSON]:
    result = event.data.get("result")
    return {} if result is None or event.error is not None else {"result": _short(result)}


def _short(value: JSON) -> JSON:
    if isinstance(value, str):
        return value[:SHOWN_LENGTH]
    if isinstance(value, dict) and isinstance(value.get("type"), str):  # an object, such as a stream or an image
        return value["type"]
    return value if value is None or isinstance(value, int | float) else f"{type(value).__name__} of {len(value)}"


def _session(events: Sequence[TraceEvent], beginning: str) -> str:
    sessions = sorted({event.session for event in events if event.session is not None})
    found = [session for session in sessions if session.startswith(beginning)]
    if len(found) != 1:
        known = ", ".join(map(printable, sessions)) or "none"
        raise SessionFilterError(
            f"expected the beginning of one session's id, got {beginning!r}, with which {len(found)} begin; "
            f"sessions of the trace: {known}"
        )
    return found[0]


def _head(trace: Trace) -> Iterator[str]:
    manifest = trace.manifest
    outcome = "" if manifest.outcome == "none" else f": {manifest.outcome}"
    seconds = "virtual seconds" if manifest.time == "virtual" else "s"
    events = counted(len(trace.events), "event")
    yield printable(f"{manifest.title}{outcome}, {manifest.duration:.3f} {seconds}, {events}")
    facts = {
        "recorded by": ", ".join(f"{name} {version}" for name, version in manifest.recorded_by.items()),
        "seed": manifest.seed,
        "commit": manifest.commit,
        "command": manifest.command,
        "dropped": ", ".join(f"{count} of {lane}" for lane, count in manifest.dropped.items()),
    }
    yield from (printable(f"{name}: {value}") for name, value in facts.items() if value not in {None, ""})


def _failure(trace: Trace) -> Iterator[str]:
    failure = trace.manifest.failure
    assert failure is not None, "expected a failure, because the caller checked it, got None"
    where = "" if failure.source is None else f", at {place(failure.source)}"
    yield printable(f"failure in {failure.phase}{where}:")
    if failure.source is not None:
        yield from _source_lines(trace, failure.source)
    lines = failure.message.splitlines() or [""]
    yield printable(f"  {failure.type}: {lines[0]}" if failure.message else f"  {failure.type}")
    yield from (printable(f"    {line}") for line in lines[1:MESSAGE_LINES])
    if len(lines) > MESSAGE_LINES:
        yield f"    (and {counted(len(lines) - MESSAGE_LINES, 'more line')})"


def _source_lines(trace: Trace, source: Source) -> Iterator[str]:
    for each in trace.sources:
        if each.file != source.file:
            continue
        lines = each.text.splitlines()
        for number in range(source.line - CONTEXT, source.line + CONTEXT + 1):
            if 0 <= number - each.first_line < len(lines):
                mark = ">" if number == source.line else " "
                yield printable(f"  {mark} {number:5}  {lines[number - each.first_line]}".rstrip())
        return


def _pending(event: TraceEvent, participants: Participants, duration: float) -> str:
    waiting = event.data.get("waiting_for")
    what = f", waiting for {waiting}" if isinstance(waiting, str) else ""
    where = "" if event.source is None else f", called at {place(event.source)}"
    since = f"since {event.at:.3f} ({max(0.0, duration - event.at):.3f} s)"
    return printable(f"{participants.of(event)}: {event.name}, {since}{what}{where}")
