"""The HTTP exchanges and WebSocket messages of a trace as an HTTP archive (HAR 1.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from odyssey_client.models import JSON
from odyssey_client.trace import Trace, TraceEvent
from odyssey_mock.trace.participants import Participants, copies, pairs
from odyssey_mock.trace.wall_time import utc_time

_NO_STATUS = 0
"""Status of an exchange without a response, as browsers write it."""
_SWITCHING_PROTOCOLS = 101
_UNKNOWN = -1
"""Size of something whose size is unknown."""
_TEXT_FRAME = 1
"""Opcode of a text message in WebSocket."""
_HOST = "odyssey.invalid"
"""Host of requests whose host the trace does not have, such as those that only the server recorded."""


def http_archive(trace: Trace) -> dict[str, JSON]:
    """Return the trace as an HTTP archive.

    Each HTTP exchange is an entry: as the client recorded it, or else as the server did. An exchange without a response
    has the status 0. The signaling of each client is an entry with the status 101, whose messages are in
    ``_webSocketMessages``, as in Chromium's archives.
    """
    events, began_at = trace.events, trace.manifest.began_at
    doubled = set(pairs(events).values())
    entries = [
        _exchange(event, began_at)
        for index, event in enumerate(events)
        if event.lane == "http" and index not in doubled
    ]
    entries += _sockets(events, began_at)
    entries.sort(key=lambda entry: str(entry["startedDateTime"]))
    version = trace.manifest.recorded_by.get("odyssey_client", "unknown")
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "odyssey-testkit", "version": version},
            "pages": [],
            "entries": list(entries),
            "comment": trace.manifest.title,
        }
    }


def _exchange(event: TraceEvent, began_at: float) -> dict[str, JSON]:
    data = event.data
    method, _, path = event.name.partition(" ")
    url = _absolute(_text(data, "url") or path, "https")
    duration = 0.0 if event.end is None else _milliseconds(event.end - event.at)
    status = data.get("status")
    entry = _entry(
        event,
        began_at,
        duration=duration,
        request=_request(_text(data, "method") or method, url, data.get("request"), data.get("query")),
        response=_response(status if isinstance(status, int) else _NO_STATUS, data.get("response")),
    )
    if event.error is not None:
        entry["_error"] = event.error
    elif event.is_pending:
        entry["_error"] = "pending when the recording ended"
    return entry


def _sockets(events: Sequence[TraceEvent], began_at: float) -> Iterator[dict[str, JSON]]:
    """Yield an entry for the signaling of each session: as the client recorded it, or else as the server did."""
    participants, repeated = Participants(events), copies(events)
    sockets: dict[tuple[str, str | None], list[TraceEvent]] = {}
    for index, event in enumerate(events):
        if event.lane in {"signaling", "sdp"} and event.side != "test" and index not in repeated:
            who = participants.of(event) if event.side != "server" else participants.other(event)
            sockets.setdefault((who, event.session), []).append(event)
    for recorded in sockets.values():
        side = "client" if any(event.side == "client" for event in recorded) else "server"
        own = [event for event in recorded if event.side == side]
        url = next((text for event in own if (text := _text(event.data, "url"))), "/")
        entry = _entry(
            own[0],
            began_at,
            duration=_milliseconds(own[-1].at - own[0].at),
            request=_request("GET", _absolute(url, "wss"), None, None),
            response=_response(_SWITCHING_PROTOCOLS, None),
        )
        entry["_resourceType"] = "websocket"
        entry["_webSocketMessages"] = [
            {
                "type": "send" if event.sender == "client" else "receive",
                "time": began_at + event.at,
                "opcode": _TEXT_FRAME,
                "data": json.dumps(message, ensure_ascii=False),
            }
            for event in own
            if event.sender is not None and (message := _signaled(event)) is not None
        ]
        yield entry


def _signaled(event: TraceEvent) -> JSON:
    """Return the message of an event; None for the opening and the end of a socket."""
    if event.lane == "signaling" or "message" in event.data:
        return event.data.get("message")
    return {"type": event.name, **{name: event.data[name] for name in ("sdp", "candidate") if name in event.data}}


def _entry(event: TraceEvent, began_at: float, *, duration: float, request: JSON, response: JSON) -> dict[str, JSON]:
    entry: dict[str, JSON] = {
        "startedDateTime": utc_time(began_at + event.at),
        "time": duration,
        "request": request,
        "response": response,
        "cache": {},
        "timings": {"send": 0, "wait": duration, "receive": 0},
    }
    if event.session is not None:
        entry["_session"] = event.session
    if event.actor is not None:
        entry["_actor"] = event.actor
    return entry


def _request(method: str, url: str, message: object, query: object) -> dict[str, JSON]:
    text, size, headers = _message(message)
    pairs_of_query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    if not pairs_of_query and isinstance(query, Mapping):
        pairs_of_query = [(str(name), str(value)) for name, value in query.items()]
    request: dict[str, JSON] = {
        "method": method,
        "url": url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": list(headers),
        "queryString": [{"name": name, "value": value} for name, value in pairs_of_query],
        "headersSize": _UNKNOWN,
        "bodySize": size,
    }
    if text is not None:
        request["postData"] = {"mimeType": _type(headers), "text": text}
    return request


def _response(status: int, message: object) -> dict[str, JSON]:
    text, size, headers = _message(message)
    content: dict[str, JSON] = {"size": max(size, 0), "mimeType": _type(headers)}
    if text is not None:
        content["text"] = text
    return {
        "status": status,
        "statusText": _reason(status),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": list(headers),
        "content": content,
        "redirectURL": next((str(each["value"]) for each in headers if str(each["name"]).lower() == "location"), ""),
        "headersSize": _UNKNOWN,
        "bodySize": size,
    }


def _message(message: object) -> tuple[str | None, int, list[dict[str, JSON]]]:
    """Return the body as text, its size in bytes and the headers of a recorded request or response."""
    if not isinstance(message, Mapping):
        return None, _UNKNOWN, []
    body, size, given = message.get("body"), message.get("bytes"), message.get("headers")
    text = body if body is None or isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    if not isinstance(size, int):
        size = _UNKNOWN if text is None else len(text.encode(errors="replace"))
    headers: list[dict[str, JSON]] = [
        {"name": str(each[0]), "value": str(each[1])}
        for each in (given if isinstance(given, Sequence) and not isinstance(given, str) else ())
        if isinstance(each, Sequence) and len(each) == 2
    ]
    return text, size, headers


def _type(headers: Sequence[Mapping[str, JSON]]) -> str:
    named = (str(each["value"]) for each in headers if str(each["name"]).lower() == "content-type")
    return next(named, "application/json" if not headers else "")


def _reason(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""


def _milliseconds(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 3)


def _absolute(url: str, scheme: str) -> str:
    """Return an absolute URL. The server records only paths."""
    return url if urlsplit(url).scheme else f"{scheme}://{_HOST}/{url.removeprefix('/')}"


def _text(data: Mapping[str, JSON], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""
