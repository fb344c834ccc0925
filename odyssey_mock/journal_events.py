"""Conversion of journal entries to trace events, for trace files and for `GET /_mock/events`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from odyssey_mock.core.journal import Entry, Kind
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.sessions.session_machine import SessionEvent
from odyssey_mock.sessions.stream_machine import StreamEvent
from odyssey_mock.simulations.job_machine import JobEvent

type JournalLane = Literal["http", "signaling", "sdp", "channel", "state", "deadline", "peer", "fault", "note"]
"""The lanes of a trace in which entries of the journal are."""

_LANES: Mapping[Kind, JournalLane] = {
    "rest": "http",
    "signaling": "signaling",
    "channel": "channel",
    "state": "state",
    "deadline": "deadline",
    "telemetry": "note",
    "peer": "peer",
    "fault": "fault",
    "note": "note",
}
_DESCRIPTIONS = frozenset({"offer", "answer", "ice_candidate"})
"""Types of signaling messages that are in the lane `sdp`."""
_ERROR_STATUS = 400
_ERROR_MESSAGES = frozenset({"error", "interactive_stream_error"})
"""Types of messages by which the service reports an error."""
_ERROR_EVENTS = frozenset[str](
    {
        SessionEvent.DESCRIPTION_REFUSED,
        SessionEvent.PEER_LOST,
        SessionEvent.SOCKET_LOST,
        SessionEvent.DANGLING,
        SessionEvent.GRACE_OVER,
        StreamEvent.BROKE,
        JobEvent.STREAMS_FAILED,
        JobEvent.SCRIPT_REFUSED,
        JobEvent.BROKE,
        JobEvent.WORKER_LOST,
        JobEvent.WORKER_GIVEN_UP,
        JobEvent.WORKER_LOST_EARLY,
        JobEvent.WORKER_GIVEN_UP_EARLY,
        JobEvent.MADE_TO_FAIL,
    }
)
"""Events of state machines that are failures."""
_ERROR_NOTES = frozenset({"defect", "message refused", "reply withheld", "end without a stream"})
"""Notes about something that went wrong."""
_SHOWN_ERROR = 200
"""Maximum length of an error in characters; the data of the event has the whole text."""


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """A journal entry as an event of a trace. docs/reference/trace.md describes the values.

    Attributes:
        lane: the kind of event.
        name: the name of the entry; for a change of a state, the machine with both states.
        data: the data of the entry, in the form that its lane has, with `server_time` and `index`.
        session: the id of the session; None if unknown.
        stream: the id of the stream; None if unknown.
        sender: who sent a message; None if the entry is no message.
        error: what went wrong, in one sentence; None if nothing did.
    """

    lane: JournalLane
    name: str
    data: Mapping[str, JSON]
    session: str | None
    stream: str | None
    sender: Literal["client", "server"] | None
    error: str | None

    def to_json(self, number: int, at: float) -> dict[str, JSON]:
        """Return the event as a line of `events.jsonl`, with a `number` that is unique in the trace.

        `at`: seconds on the time axis of the trace.
        """
        optional = (("session", self.session), ("stream", self.stream), ("from", self.sender), ("error", self.error))
        return {
            "i": number,
            "t": round(at, 6),
            "lane": self.lane,
            "side": "server",
            "name": self.name,
            **{key: text for key, text in optional if text is not None},
            "data": self.data,
        }


def lane_of(entry: Entry) -> JournalLane:
    """Return the lane of a journal entry."""
    is_description = entry.kind == "signaling" and entry.name in _DESCRIPTIONS
    return "sdp" if is_description else _LANES[entry.kind]


def event_of(entry: Entry) -> JournalEvent:
    """Return a journal entry as an event. Its time on the mock's clock is part of the data (`server_time`)."""
    data: dict[str, Any] = {**entry.data, "server_time": entry.time, "index": entry.index}
    name = entry.name
    match entry.kind:
        case "rest":
            data = _exchange(data)
        case "signaling":
            message = data.get("message")
            if lane_of(entry) == "sdp" and isinstance(message, dict):
                data = {**message, **data}
                del data["message"]
        case "state":
            before, after = data.get("from"), data.get("to")
            data["machine"] = name
            name = f"{name} {after}" if before is None else f"{name} {before} -> {after}"
        case _:
            pass
    return JournalEvent(
        lane=lane_of(entry),
        name=name,
        data=cast("Mapping[str, JSON]", data),
        session=entry.session,
        stream=entry.stream,
        sender=_sender(entry, data),
        error=_error(entry, data),
    )


def _sender(entry: Entry, data: Mapping[str, Any]) -> Literal["client", "server"] | None:
    if entry.kind not in {"signaling", "channel"}:
        return None
    match data.get("from"):
        case "client":
            return "client"
        case "server":
            return "server"
        case _:
            return None


def _exchange(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data of a request as that of the lane `http`."""
    own = {"method", "path", "query", "request", "response", "status", "route"}
    return {
        "method": data.get("method"),
        "url": data.get("path"),
        "query": data.get("query"),
        "route": data.get("route"),
        "status": data.get("status"),
        "request": {"headers": [], "body": data.get("request")},
        "response": {"headers": [], "body": data.get("response")},
        **{name: value for name, value in data.items() if name not in own},
    }


def _error(entry: Entry, data: Mapping[str, Any]) -> str | None:
    """Return what went wrong, in one sentence; None if nothing did."""
    why = entry.why
    match entry.kind:
        case "rest":
            status = data.get("status")
            if isinstance(status, int) and status < _ERROR_STATUS:
                return None
            text = "no response" if status is None else f"status {status}"
        case "fault":
            return None
        case "note":
            if entry.name not in _ERROR_NOTES:
                return None
            text = entry.name
        case "state":
            event = data.get("event")
            if not isinstance(event, str) or event not in _ERROR_EVENTS:
                return None
            text = event.replace("_", " ")
        case "signaling" | "channel":
            if entry.name not in _ERROR_MESSAGES:
                return None
            message = data.get("message")
            reason = message.get("message") or message.get("reason") if isinstance(message, dict) else None
            text = reason if isinstance(reason, str) else entry.name
        case _:
            return None
    return f"{text}: {why}"[:_SHOWN_ERROR] if why and why != text else text[:_SHOWN_ERROR]
