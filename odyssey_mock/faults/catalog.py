"""What can be made to fail, and how: every point that asks for faults, and every action it knows.

`POINTS` is the whole of it: validation, the control API, the fault matrix and the documentation are made from it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from odyssey_mock.core.strict_json import JSON

LONGEST = 86_400.0
"""Seconds that a fault may wait, at most: a day."""
MOST = 10**9
"""The greatest whole number that a fault may name."""
DEEPEST = 100
"""How deep JSON may be nested in a fault."""
CLOSE_REASON = 123
"""Bytes of the reason of a close frame, at most (RFC 6455 section 5.5)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an action.

    Attributes:
        expected: what it must be, for people.
        holds: whether a value is that.
        default: what it is where it is not given; a required one has none.
        required: whether it must be given.
    """

    expected: str
    holds: Callable[[Any], bool]  # Any: whatever somebody wrote there
    default: JSON = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class FaultAction:
    """One way to fail.

    Attributes:
        means: what it does, for people.
        parameters: what it takes, by name.
    """

    means: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Point:
    """One place that asks for faults.

    Attributes:
        means: the moment it asks in, for people.
        actions: what can be done there, by name.
        matches: what a fault may be narrowed to there, beside `account`.
    """

    means: str
    actions: Mapping[str, FaultAction]
    matches: frozenset[str] = frozenset()


type _Holds = Callable[[Any], bool]


def _number(least: float, most: float) -> _Holds:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _whole(least: int, most: int = MOST) -> _Holds:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _text(least: int = 0, most: float = math.inf) -> _Holds:
    """A text that UTF-8 can hold, of so many bytes there."""

    def holds(value: object) -> bool:
        try:
            return isinstance(value, str) and least <= len(value.encode()) <= most
        except UnicodeEncodeError:
            return False

    return holds


def _is_json(value: object, depth: int = 0) -> bool:
    """Whether it is JSON as `json` reads it, its texts whatever they are."""
    match value:
        case None | bool() | str():
            return True
        case int() | float():
            return abs(value) < math.inf
        case list():
            return depth < DEEPEST and all(_is_json(each, depth + 1) for each in value)
        case dict():
            keys_are_texts = all(isinstance(key, str) for key in value)
            return keys_are_texts and depth < DEEPEST and all(_is_json(each, depth + 1) for each in value.values())
        case _:
            return False


def _close_code(value: object) -> bool:
    """Whether a server may send it (RFC 6455 section 7.4)."""
    return _whole(1000, 4999)(value) and value not in {1004, 1005, 1006, 1015}


_PIXELS: _Holds = lambda value: _whole(160, 4096)(value) and value % 2 == 0  # noqa: E731 - a rule among rules

_WAIT = Parameter("seconds, 0 to 86400, on the server's clock", _number(0, LONGEST), required=True)
_AFTER = Parameter("seconds, 0 to 86400, on the server's clock", _number(0, LONGEST), default=0.0)
_REASON = Parameter("a text", _text(), required=True)
_MESSAGE = Parameter("a text", _text(), default="a fault that was asked for")

_STATUS = FaultAction(
    "answers that status",
    {
        "status": Parameter("an HTTP status, 400 to 599", _whole(400, 599), required=True),
        "detail": Parameter(f"JSON, at most {DEEPEST} deep, for `detail` of the body", _is_json),
        "retry_after": Parameter(
            f"whole seconds, 0 to {MOST}, or null", lambda value: value is None or _whole(0)(value)
        ),
    },
)
_DELAY = FaultAction("takes it up that much later, and answers as usual", {"seconds": _WAIT})
_HTTP: Mapping[str, FaultAction] = {
    "status": _STATUS,
    "delay": _DELAY,
    "no_answer": FaultAction("takes the request and never answers"),
    "reset": FaultAction("resets the connection (TCP RST) instead of answering"),
    "truncate": FaultAction("begins the usual answer, and cuts the connection in the middle of its body"),
}
_HTTP_JSON: Mapping[str, FaultAction] = {
    **_HTTP,
    "not_json": FaultAction(
        "answers with the usual status and a body that is no JSON",
        {"body": Parameter("a text", _text(), default="<html>Bad gateway</html>")},
    ),
    "wrong_shape": FaultAction(
        "answers with the usual status and JSON of another shape",
        {"body": Parameter(f"JSON, at most {DEEPEST} deep", _is_json, default=[])},
    ),
}
_HTTP_FILE: Mapping[str, FaultAction] = {
    **_HTTP,
    "slow": FaultAction(
        "sends the usual answer slowly",
        {"bytes_per_second": Parameter(f"a whole number, 1 to {MOST}", _whole(1), required=True)},
    ),
}

_CLOSE = FaultAction(
    "closes the socket",
    {
        "code": Parameter("a WebSocket close code that can be sent, 1000 to 4999", _close_code, default=1011),
        "reason": Parameter(f"a text of at most {CLOSE_REASON} bytes in UTF-8", _text(0, CLOSE_REASON), ""),
        "seconds": _AFTER,
    },
)
_SOCKET: Mapping[str, FaultAction] = {
    "close": _CLOSE,
    "error": FaultAction("sends an `error` of that reason", {"reason": _REASON, "seconds": _AFTER}),
    "not_json": FaultAction("sends a text that is no JSON", {"seconds": _AFTER}),
    "not_object": FaultAction("sends valid JSON that is no object", {"seconds": _AFTER}),
    "binary": FaultAction("sends a binary message", {"seconds": _AFTER}),
    "unknown_type": FaultAction("sends a message of a type nobody knows", {"seconds": _AFTER}),
}

_REPLY: Mapping[str, FaultAction] = {
    "error": FaultAction(
        "refuses it with an `interactive_stream_error`, and does nothing else",
        {"reason": _REASON, "message": _MESSAGE},
    ),
    "silent": FaultAction("carries it out and never says so"),
    "late": FaultAction("carries it out and says so that much later", {"seconds": _WAIT}),
    "twice": FaultAction("carries it out and says so twice"),
    "not_json": FaultAction("carries it out and says so in a text that is no JSON"),
    "missing_fields": FaultAction("carries it out and says so without the fields of the message"),
}
# `stream_ended` has no fields that could be missing.
_END = {name: action for name, action in _REPLY.items() if name != "missing_fields"}
_OUT_OF_ORDER: Mapping[str, FaultAction] = {
    "wrong_order": FaultAction("carries it out and says so after the next message, whichever that is"),
}

_JOB: Mapping[str, FaultAction] = {
    "fail": FaultAction("fails the job with that message", {"message": _MESSAGE}),
    "stall": FaultAction("leaves the job where it is for ever; it can still be cancelled"),
    "lose_worker": FaultAction(
        "loses the worker: the job goes back to the queue, or fails when its retries are used up"
    ),
}

_SESSION = frozenset({"session"})
_STREAM = frozenset({"session", "stream", "prompt"})


def _file(means: str, *matches: str) -> Point:
    return Point(means, _HTTP_FILE, frozenset(matches))


def _json(means: str, *matches: str) -> Point:
    return Point(means, _HTTP_JSON, frozenset(matches))


POINTS: Mapping[str, Point] = MappingProxyType(
    {
        "rest.auth.token": _json("`POST /auth/token`"),
        "rest.regions.list": _json("`GET /regions`"),
        "rest.regions.ping": _json("the `ping_url` of a region"),
        "rest.sessions.request": _json("`POST /sessions/request`"),
        "rest.sessions.token": _json("`POST /sessions/token`", "session"),
        "rest.simulations.create": _json("`POST /simulation-jobs`"),
        "rest.simulations.get": _json("`GET /simulation-jobs/{job_id}`", "job"),
        "rest.simulations.list": _json("`GET /simulation-jobs`"),
        "rest.simulations.cancel": _json("`DELETE /simulation-jobs/{job_id}`", "job"),
        "rest.recordings.get": _json("`GET /recordings/{stream_id}`", "stream"),
        "rest.recordings.list": _json("`GET /stream-recordings`"),
        "rest.telemetry": _json("`POST /telemetry`"),
        "signaling.config": _json("`GET {signalling_url}/config`"),
        "signaling.upgrade": Point(
            "the WebSocket asks to be opened",
            {
                "refuse": FaultAction(
                    "answers the upgrade with that HTTP status",
                    {"status": Parameter("an HTTP status, 400 to 599", _whole(400, 599), default=403)},
                ),
                "delay": FaultAction("opens it that much later", {"seconds": _WAIT}),
                "no_answer": FaultAction("never answers the upgrade"),
            },
            _SESSION,
        ),
        "signaling.offer": Point(
            "the offer is about to be sent; what is no offer is sent in its place",
            {
                **_SOCKET,
                "delay": FaultAction("sends it that much later", {"seconds": _WAIT}),
                "silent": FaultAction("never sends it"),
                "twice": FaultAction("sends it twice"),
                "broken_sdp": FaultAction("sends an offer whose SDP nobody can use"),
                "missing_fields": FaultAction("sends an offer without its `sdp`"),
            },
            _SESSION,
        ),
        "signaling.answer": Point(
            "the client's answer has come, and is about to be applied; this is done in its place",
            {**_SOCKET, "ignore": FaultAction("never applies it")},
            _SESSION,
        ),
        "signaling.connected": Point("the peer connection is up", _SOCKET, _SESSION),
        "peer.ice": Point(
            "candidates are exchanged", {"never": FaultAction("answers no connectivity check")}, _SESSION
        ),
        "peer.dtls": Point(
            "DTLS is about to begin",
            {"fail": FaultAction("offers another certificate's fingerprint than its own")},
            _SESSION,
        ),
        "peer.connected": Point(
            "the peer connection is up",
            {
                "vanish": FaultAction(
                    "says and hears nothing any more, on the peer connection alone", {"seconds": _AFTER}
                ),
                "freeze": FaultAction("hangs: neither peer nor socket says anything any more", {"seconds": _AFTER}),
                "close": FaultAction("closes the peer connection and leaves the socket open", {"seconds": _AFTER}),
                "end_track": FaultAction("ends the video track and leaves all else", {"seconds": _AFTER}),
                "close_channels": FaultAction("closes both data channels and leaves all else", {"seconds": _AFTER}),
            },
            _SESSION,
        ),
        "peer.channels": Point(
            "the data channels are about to be opened", {"never": FaultAction("never opens them")}, _SESSION
        ),
        "peer.frame": Point(
            "a frame is about to be sent (each counts for `after` and `times`)",
            {
                "freeze": FaultAction("sends the frame before it once more"),
                "drop": FaultAction("does not send it"),
                "late": FaultAction(
                    "sends it, and those behind it, that much later",
                    {"seconds": Parameter("seconds of real time, 0 to 60", _number(0, 60), required=True)},
                ),
                "resize": FaultAction(
                    "sends it in that size, to the host alone",
                    {
                        "width": Parameter("pixels, even, 160 to 4096", _PIXELS, required=True),
                        "height": Parameter("pixels, even, 160 to 4096", _PIXELS, required=True),
                    },
                ),
            },
            _STREAM,
        ),
        "stream.start": Point("`interactive_stream_start` has come", {**_REPLY, **_OUT_OF_ORDER}, _STREAM),
        "stream.interact": Point("`update` has come", {**_REPLY, **_OUT_OF_ORDER}, _STREAM),
        "stream.end": Point("`interactive_stream_end` has come", _END, _STREAM),
        "stream.running": Point(
            "a stream was announced",
            {
                "error": FaultAction(
                    "breaks the stream: an `interactive_stream_error` that nobody asked for, then `stream_ended`",
                    {"reason": _REASON, "message": _MESSAGE, "seconds": _AFTER},
                ),
                "end": FaultAction("ends the stream unasked: `stream_ended` alone", {"seconds": _AFTER}),
            },
            _STREAM,
        ),
        "stream.broadcast": Point(
            "`broadcast_ready` is about to be sent",
            {
                "missing_fields": FaultAction("sends it without its `webrtc_url`"),
                "silent": FaultAction("never sends it"),
                "late": FaultAction("sends it that much later", {"seconds": _WAIT}),
            },
            _STREAM,
        ),
        "whep.config": _json("`GET /config` at the origin of `webrtc_url`"),
        "whep.offer": Point("a spectator's WHEP `POST`", _HTTP, frozenset({"stream"})),
        "whep.candidates": Point("a spectator's WHEP `PATCH`", _HTTP, frozenset({"stream"})),
        "whep.leave": Point("a spectator's WHEP `DELETE`", _HTTP, frozenset({"stream"})),
        "hls.playlist": _file("an HLS playlist is asked for", "stream"),
        "hls.segment": _file("an HLS segment is asked for", "stream"),
        "job.pending": Point("a worker is about to take the job", _JOB, frozenset({"job"})),
        "job.dispatched": Point("the job is about to be processed", _JOB, frozenset({"job"})),
        "job.processing": Point("the job's last script has run", _JOB, frozenset({"job"})),
        "job.script": Point(
            "a script of a job is about to begin",
            {"fail": FaultAction("fails that script with that message; the others go on", {"message": _MESSAGE})},
            frozenset({"job", "script_index", "prompt"}),
        ),
        "artifact": _file("a file of a recording is asked for", "stream", "artifact"),
        "server": Point(
            "anything is asked for over HTTP or WebSocket",
            {
                "away": FaultAction(
                    "stops listening, cuts every connection and peer, and comes back after that", {"seconds": _WAIT}
                )
            },
        ),
    }
)
"""Every point, by name. A name that ends in `.*` stands for all that begin so."""

WHERE: Mapping[str, Parameter] = MappingProxyType(
    {
        "account": Parameter("an API key or an account id", _text()),
        "session": Parameter("a session id", _text()),
        "stream": Parameter("a stream id", _text()),
        "prompt": Parameter("a part of a prompt", _text(1)),
        "job": Parameter("a job id", _text()),
        "script_index": Parameter("a whole number, 0 or more", _whole(0)),
        "artifact": Parameter("the name of a file, such as video.mp4", _text()),
    }
)
"""What a fault can be narrowed to, by `match`."""


def points_of(at: str) -> Sequence[str]:
    """List the points that `at` names: itself, or with `.*` at its end all below; empty where there are none."""
    if at.endswith(".*"):
        return [name for name in POINTS if name.startswith(at[:-1])]
    return [at] if at in POINTS else []
