"""The catalog of faults: all fault points, and the actions of each point.

Validation, the control API, the Hypothesis strategy and the table in `protocol.md` are generated from `POINTS`. A test
checks that the fault matrix (`tests/matrix/`) has a cell for every action that affects `odyssey_client`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from odyssey_mock.core.strict_json import JSON

LONGEST = 86_400.0
"""Maximum delay of a fault in seconds: one day."""
MOST = 10**9
"""Maximum value of a whole number in the description of a fault."""
DEEPEST = 100
"""Maximum nesting depth of JSON values in the description of a fault."""
CLOSE_REASON = 123
"""Maximum length of a close frame's reason in bytes (RFC 6455 section 5.5)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an action.

    Attributes:
        expected: text that describes valid values, for messages and documentation.
        holds: function that returns whether a value is valid.
        default: the value if an optional parameter is not given.
        required: whether the parameter must be given.
    """

    expected: str
    holds: Callable[[Any], bool]  # Any: the value has not been validated yet
    default: JSON = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class FaultAction:
    """One kind of failure that a fault can cause.

    Attributes:
        means: text that describes what the server does, for documentation.
        parameters: the parameters of the action, by name.
    """

    means: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Point:
    """A fault point: a step of the server at which a fault can fire.

    Attributes:
        means: text that describes when the point is reached, for documentation.
        actions: the actions that are possible at this point, by name.
        matches: the `match` conditions that are possible at this point, in addition to `account`.
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
    """Return a function that checks whether a value is a string of `least` to `most` bytes in UTF-8."""

    def holds(value: object) -> bool:
        try:
            return isinstance(value, str) and least <= len(value.encode()) <= most
        except UnicodeEncodeError:
            return False

    return holds


def _is_json(value: object, depth: int = 0) -> bool:
    """Return whether `value` is JSON with finite numbers, nested at most `DEEPEST` deep.

    Every string is valid, also one with lone surrogates.
    """
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
    """Return whether a server may send `value` as a close code (RFC 6455 section 7.4)."""
    return _whole(1000, 4999)(value) and value not in {1004, 1005, 1006, 1015}


_PIXELS: _Holds = lambda value: _whole(160, 4096)(value) and value % 2 == 0  # noqa: E731 - like the functions above

_WAIT = Parameter("a number of seconds, 0 to 86400, on the server's clock", _number(0, LONGEST), required=True)
_AFTER = Parameter("a number of seconds, 0 to 86400, on the server's clock", _number(0, LONGEST), default=0.0)
_REASON = Parameter("a string", _text(), required=True)
_MESSAGE = Parameter("a string", _text(), default="injected fault")

_STATUS = FaultAction(
    "responds with the given status",
    {
        "status": Parameter("an HTTP status, 400 to 599", _whole(400, 599), required=True),
        "detail": Parameter(f"JSON, nested at most {DEEPEST} deep, for `detail` in the body", _is_json),
        "retry_after": Parameter(
            f"a whole number of seconds, 0 to {MOST}, or null", lambda value: value is None or _whole(0)(value)
        ),
    },
)
_DELAY = FaultAction("handles the request after the given delay", {"seconds": _WAIT})
_HTTP: Mapping[str, FaultAction] = {
    "status": _STATUS,
    "delay": _DELAY,
    "no_answer": FaultAction("receives the request and never responds"),
    "reset": FaultAction("resets the connection (TCP RST) instead of responding"),
    "truncate": FaultAction("closes the connection in the middle of the response body"),
}
_HTTP_JSON: Mapping[str, FaultAction] = {
    **_HTTP,
    "not_json": FaultAction(
        "responds with the usual status and a body that is not JSON",
        {"body": Parameter("a string", _text(), default="<html>Bad gateway</html>")},
    ),
    "wrong_shape": FaultAction(
        "responds with the usual status and JSON of an unexpected shape",
        {"body": Parameter(f"JSON, nested at most {DEEPEST} deep", _is_json, default=[])},
    ),
}
_HTTP_FILE: Mapping[str, FaultAction] = {
    **_HTTP,
    "slow": FaultAction(
        "sends the usual response at the given rate",
        {"bytes_per_second": Parameter(f"a whole number, 1 to {MOST}", _whole(1), required=True)},
    ),
}

_CLOSE = FaultAction(
    "closes the signaling socket",
    {
        "code": Parameter("a WebSocket close code that can be sent, 1000 to 4999", _close_code, default=1011),
        "reason": Parameter(f"a string of at most {CLOSE_REASON} bytes in UTF-8", _text(0, CLOSE_REASON), ""),
        "seconds": _AFTER,
    },
)
_SOCKET: Mapping[str, FaultAction] = {
    "close": _CLOSE,
    "error": FaultAction("sends an `error` with the given reason", {"reason": _REASON, "seconds": _AFTER}),
    "not_json": FaultAction("sends a text message that is not JSON", {"seconds": _AFTER}),
    "not_object": FaultAction("sends valid JSON that is not an object", {"seconds": _AFTER}),
    "binary": FaultAction("sends a binary message", {"seconds": _AFTER}),
    "unknown_type": FaultAction("sends a message of an unknown type", {"seconds": _AFTER}),
}

_REPLY: Mapping[str, FaultAction] = {
    "error": FaultAction(
        "rejects the message with an `interactive_stream_error`, without any effect on the stream",
        {"reason": _REASON, "message": _MESSAGE},
    ),
    "lost": FaultAction("ignores the message, as if it was lost on its way: it has no effect and no reply"),
    "silent": FaultAction("executes the message and never replies"),
    "late": FaultAction("executes the message and replies after the given delay", {"seconds": _WAIT}),
    "twice": FaultAction("executes the message and replies twice"),
    "not_json": FaultAction("executes the message and replies with text that is not JSON"),
    "missing_fields": FaultAction("executes the message and replies without the fields of the reply"),
}
# `stream_ended` has no fields that could be missing.
_END = {name: action for name, action in _REPLY.items() if name != "missing_fields"}
_INTERACT: Mapping[str, FaultAction] = {
    **_REPLY,
    "error": FaultAction(
        "rejects the message with an `interactive_stream_error`, without any effect; with `ends_stream`, the stream "
        "fails: `stream_ended` follows",
        {
            "reason": _REASON,
            "message": _MESSAGE,
            "ends_stream": Parameter("true or false", lambda value: isinstance(value, bool), default=False),
        },
    ),
}
_OUT_OF_ORDER: Mapping[str, FaultAction] = {
    "wrong_order": FaultAction("executes the message and sends the reply after the next message"),
}

_JOB: Mapping[str, FaultAction] = {
    "fail": FaultAction("fails the job with the given message", {"message": _MESSAGE}),
    "stall": FaultAction("leaves the job in its state forever; clients can still cancel the job"),
    "lose_worker": FaultAction("loses the worker: the job returns to the queue, or fails if its retries are used up"),
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
            "the WebSocket upgrade of a client",
            {
                "refuse": FaultAction(
                    "rejects the upgrade with the given HTTP status",
                    {"status": Parameter("an HTTP status, 400 to 599", _whole(400, 599), default=403)},
                ),
                "delay": FaultAction("accepts the upgrade after the given delay", {"seconds": _WAIT}),
                "no_answer": FaultAction("never responds to the upgrade"),
            },
            _SESSION,
        ),
        "signaling.offer": Point(
            "the offer is about to be sent; actions that send another message send it instead of the offer",
            {
                **_SOCKET,
                "delay": FaultAction("sends the offer after the given delay", {"seconds": _WAIT}),
                "silent": FaultAction("never sends the offer"),
                "twice": FaultAction("sends the offer twice"),
                "broken_sdp": FaultAction("sends an offer with unusable SDP"),
                "missing_fields": FaultAction("sends an offer without its `sdp`"),
            },
            _SESSION,
        ),
        "signaling.answer": Point(
            "the client's answer was received; with any action, the server does not apply the answer",
            {**_SOCKET, "ignore": FaultAction("never applies the answer")},
            _SESSION,
        ),
        "signaling.connected": Point("the peer connection is connected", _SOCKET, _SESSION),
        "peer.ice": Point(
            "ICE candidates are exchanged", {"never": FaultAction("never responds to connectivity checks")}, _SESSION
        ),
        "peer.dtls": Point(
            "the DTLS handshake is about to begin",
            {"fail": FaultAction("offers the fingerprint of a different certificate")},
            _SESSION,
        ),
        "peer.connected": Point(
            "the peer connection is connected",
            {
                "vanish": FaultAction(
                    "stops sending and receiving on the peer connection; the signaling socket keeps working",
                    {"seconds": _AFTER},
                ),
                "freeze": FaultAction(
                    "sends and receives nothing on the peer connection and the signaling socket", {"seconds": _AFTER}
                ),
                "close": FaultAction(
                    "closes the peer connection and leaves the signaling socket open", {"seconds": _AFTER}
                ),
                "end_track": FaultAction("ends the video track only", {"seconds": _AFTER}),
                "close_channels": FaultAction("closes both data channels only", {"seconds": _AFTER}),
            },
            _SESSION,
        ),
        "peer.channels": Point(
            "the data channels are about to be opened",
            {
                "never": FaultAction("never opens the data channels"),
                "delay": FaultAction("opens the data channels after the given delay", {"seconds": _WAIT}),
            },
            _SESSION,
        ),
        "peer.frame": Point(
            "a frame is about to be sent (each frame counts for `after` and `times`)",
            {
                "freeze": FaultAction("sends the previous frame again instead of the frame"),
                "drop": FaultAction("does not send the frame"),
                "late": FaultAction(
                    "delays the frame and all later frames by the given time",
                    {"seconds": Parameter("a number of real seconds, 0 to 60", _number(0, 60), required=True)},
                ),
                "resize": FaultAction(
                    "sends the frame in the given size to the host; spectators get the usual size",
                    {
                        "width": Parameter("an even number of pixels, 160 to 4096", _PIXELS, required=True),
                        "height": Parameter("an even number of pixels, 160 to 4096", _PIXELS, required=True),
                    },
                ),
            },
            _STREAM,
        ),
        "stream.start": Point("`interactive_stream_start` was received", {**_REPLY, **_OUT_OF_ORDER}, _STREAM),
        "stream.interact": Point("`update` was received", {**_INTERACT, **_OUT_OF_ORDER}, _STREAM),
        "stream.end": Point("`interactive_stream_end` was received", _END, _STREAM),
        "stream.running": Point(
            "the stream has started",
            {
                "error": FaultAction(
                    "fails the stream: sends `interactive_stream_error`, then `stream_ended`",
                    {"reason": _REASON, "message": _MESSAGE, "seconds": _AFTER},
                ),
                "end": FaultAction("ends the stream: sends `stream_ended` only", {"seconds": _AFTER}),
            },
            _STREAM,
        ),
        "stream.broadcast": Point(
            "`broadcast_ready` is about to be sent",
            {
                "missing_fields": FaultAction("sends `broadcast_ready` without `webrtc_url`"),
                "silent": FaultAction("never sends `broadcast_ready`"),
                "late": FaultAction("sends `broadcast_ready` after the given delay", {"seconds": _WAIT}),
            },
            _STREAM,
        ),
        "whep.config": _json("`GET /config` at the origin of `webrtc_url`"),
        "whep.offer": Point("a spectator's WHEP `POST`", _HTTP, frozenset({"stream"})),
        "whep.candidates": Point("a spectator's WHEP `PATCH`", _HTTP, frozenset({"stream"})),
        "whep.leave": Point("a spectator's WHEP `DELETE`", _HTTP, frozenset({"stream"})),
        "hls.playlist": _file("a request for an HLS playlist", "stream"),
        "hls.segment": _file("a request for an HLS segment", "stream"),
        "job.pending": Point("a worker is about to take the job", _JOB, frozenset({"job"})),
        "job.dispatched": Point("the job is about to be processed", _JOB, frozenset({"job"})),
        "job.processing": Point("the job's last script has run", _JOB, frozenset({"job"})),
        "job.script": Point(
            "a script of a job is about to begin",
            {
                "fail": FaultAction(
                    "fails the script with the given message; other scripts continue", {"message": _MESSAGE}
                )
            },
            frozenset({"job", "script_index", "prompt"}),
        ),
        "artifact": _file("a request for a file of a recording", "stream", "artifact"),
        "server": Point(
            "any HTTP request or WebSocket upgrade",
            {
                "away": FaultAction(
                    "stops listening and cuts all connections and peers; listens again after the given time",
                    {"seconds": _WAIT},
                )
            },
        ),
    }
)
"""All fault points, by name."""

WHERE: Mapping[str, Parameter] = MappingProxyType(
    {
        "account": Parameter("an API key or an account id", _text()),
        "session": Parameter("a session id", _text()),
        "stream": Parameter("a stream id", _text()),
        "prompt": Parameter("a non-empty part of a prompt", _text(1)),
        "job": Parameter("a job id", _text()),
        "script_index": Parameter("a whole number, 0 or more", _whole(0)),
        "artifact": Parameter("the name of a file, such as video.mp4", _text()),
    }
)
"""All conditions that `match` of a fault can have, by name."""


def points_of(at: str) -> Sequence[str]:
    """Return the names of the fault points that `at` selects: one point, or a group of points if `at` ends in `.*`.

    The result is empty if `at` is neither a point nor a group.
    """
    if at.endswith(".*"):
        return [name for name in POINTS if name.startswith(at[:-1])]
    return [at] if at in POINTS else []
