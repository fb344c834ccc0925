"""Conversion of journal entries to events of a trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

from odyssey_client.models import JSON
from odyssey_client.trace import Lane, TraceEvent
from odyssey_mock.core.journal import Entry, Kind
from odyssey_mock.sessions.session_machine import SessionEvent
from odyssey_mock.sessions.stream_machine import StreamEvent
from odyssey_mock.simulations.job_machine import JobEvent

_LANES: Mapping[Kind, Lane] = {
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


def lane_of(entry: Entry) -> Lane:
    """Return the lane of a journal entry."""
    is_description = entry.kind == "signaling" and entry.name in _DESCRIPTIONS
    return "sdp" if is_description else _LANES[entry.kind]


def event_of(entry: Entry, at: float) -> TraceEvent:
    """Return a journal entry as an event.

    Args:
        entry: the entry.
        at: the time of the entry on the time axis of the trace. The entry has the time of the mock's clock, which is
            part of the data (`server_time`).
    """
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
    return TraceEvent(
        at=at,
        lane=lane_of(entry),
        side="server",
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
