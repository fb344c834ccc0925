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
from odyssey_mock.impairment.presets import NETWORK_PRESETS
from odyssey_mock.impairment.presets import profile_error as network_profile_error

LONGEST = 86_400.0
"""Maximum delay of a fault in seconds: one day."""
MOST = 10**9
"""Maximum value of a whole number in the description of a fault."""
DEEPEST = 100
"""Maximum nesting depth of JSON values in the description of a fault."""
CLOSE_REASON = 123
"""Maximum length of a close frame's reason in bytes (RFC 6455 section 5.5)."""


@dataclass(frozen=True, slots=True)
class Values:
    """The valid values of a parameter.

    Attributes:
        schema: JSON Schema of the values, for forms. It permits every valid value. It also permits some invalid values
            of texts, whose length in bytes JSON Schema cannot limit, and of JSON that is nested too deeply.
        hold: function that returns whether a value is valid.
        explain: function that returns what is wrong with an invalid value; None if that is obvious from the value.
    """

    schema: Mapping[str, JSON]
    hold: Callable[[Any], bool]  # Any: the value has not been validated yet
    explain: Callable[[Any], Exception | None] = lambda _: None  # Any: as above


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an action.

    Attributes:
        expected: text that describes valid values, for messages and documentation.
        values: the valid values.
        default: the value if an optional parameter is not given.
        required: whether the parameter must be given.
    """

    expected: str
    values: Values
    default: JSON = None
    required: bool = False

    def holds(self, value: object) -> bool:
        """Return whether `value` is valid."""
        return self.values.hold(value)

    def explanation(self, value: object) -> str:
        """Return what is wrong with the invalid `value`; an empty text if that is obvious from the value."""
        error = self.values.explain(value)
        return "" if error is None else str(error)


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
        events: names of trace events of the point: the request, message or transition that a fault there changes or
            follows.
    """

    means: str
    actions: Mapping[str, FaultAction]
    matches: frozenset[str] = frozenset()
    events: tuple[str, ...] = ()


def number(least: float, most: float, *, above: float | None = None) -> Values:
    """Return the numbers from `least` to `most`; with `above`, only those that are greater than it."""
    schema: dict[str, JSON] = {"type": "number", "minimum": least, "maximum": most}
    if above is not None:
        schema["exclusiveMinimum"] = above

    def hold(value: object) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        return least <= value <= most and (above is None or value > above)

    return Values(schema, hold)


def whole(least: int, most: int | None = MOST, *, step: int = 1) -> Values:
    """Return the whole numbers from `least` to `most` that `step` divides; None is no maximum."""
    schema: dict[str, JSON] = {"type": "integer", "minimum": least}
    if most is not None:
        schema["maximum"] = most
    if step != 1:
        schema["multipleOf"] = step

    def hold(value: object) -> bool:
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return least <= value and (most is None or value <= most) and value % step == 0

    return Values(schema, hold)


def or_null(values: Values) -> Values:
    """Return `values` and null."""
    schema: dict[str, JSON] = {"anyOf": [values.schema, {"type": "null"}]}
    return Values(schema, lambda value: value is None or values.hold(value))


def text(least: int = 0, most: int | None = None) -> Values:
    """Return the strings of `least` to `most` bytes in UTF-8; None is no maximum."""
    schema: dict[str, JSON] = {"type": "string"}
    if least:
        schema["minLength"] = 1
    if most is not None:
        schema["maxLength"] = most

    def hold(value: object) -> bool:
        try:
            return isinstance(value, str) and least <= len(value.encode()) <= (math.inf if most is None else most)
        except UnicodeEncodeError:
            return False

    return Values(schema, hold)


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


_NETWORK_PROFILES = Values(
    # Without a type, so that a form accepts a name as well as an object in JSON.
    {"anyOf": [{"enum": [*NETWORK_PRESETS]}, {"type": "object"}]},
    lambda value: value is not None and network_profile_error(value) is None,
    lambda value: network_profile_error(value) if isinstance(value, Mapping) else None,
)
_NOT_SENT = (1004, 1005, 1006, 1015)
"""Close codes that no endpoint may send (RFC 6455 section 7.4)."""
_CODES = whole(1000, 4999)
_CLOSE_CODE = Values(
    {**_CODES.schema, "not": {"enum": [*_NOT_SENT]}}, lambda value: _CODES.hold(value) and value not in _NOT_SENT
)
_STATUSES = whole(400, 599)
_SECONDS = number(0, LONGEST)
_PIXELS = whole(160, 4096, step=2)
_ANY_JSON = Values({}, _is_json)
_BOOLEAN = Values({"type": "boolean"}, lambda value: isinstance(value, bool))

_WAIT = Parameter("a number of seconds, 0 to 86400, on the server's clock", _SECONDS, required=True)
_AFTER = Parameter("a number of seconds, 0 to 86400, on the server's clock", _SECONDS, default=0.0)
_REASON = Parameter("a string", text(), required=True)
_MESSAGE = Parameter("a string", text(), default="injected fault")

_STATUS = FaultAction(
    "responds with the given status",
    {
        "status": Parameter("an HTTP status, 400 to 599", _STATUSES, required=True),
        "detail": Parameter(f"JSON, nested at most {DEEPEST} deep, for `detail` in the body", _ANY_JSON),
        "retry_after": Parameter(f"a whole number of seconds, 0 to {MOST}, or null", or_null(whole(0))),
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
        {"body": Parameter("a string", text(), default="<html>Bad gateway</html>")},
    ),
    "wrong_shape": FaultAction(
        "responds with the usual status and JSON of an unexpected shape",
        {"body": Parameter(f"JSON, nested at most {DEEPEST} deep", _ANY_JSON, default=[])},
    ),
}
_HTTP_FILE: Mapping[str, FaultAction] = {
    **_HTTP,
    "slow": FaultAction(
        "sends the usual response at the given rate",
        {"bytes_per_second": Parameter(f"a whole number, 1 to {MOST}", whole(1), required=True)},
    ),
}

_CLOSE = FaultAction(
    "closes the signaling socket",
    {
        "code": Parameter("a WebSocket close code that can be sent, 1000 to 4999", _CLOSE_CODE, default=1011),
        "reason": Parameter(f"a string of at most {CLOSE_REASON} bytes in UTF-8", text(0, CLOSE_REASON), ""),
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
            "ends_stream": Parameter("true or false", _BOOLEAN, default=False),
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
_HLS = "GET /broadcast/{stream_id}/hls/{file}"


def _file(means: str, event: str, *matches: str) -> Point:
    return Point(means, _HTTP_FILE, frozenset(matches), (event,))


def _json(event: str, *matches: str, means: str = "") -> Point:
    return Point(means or f"`{event}`", _HTTP_JSON, frozenset(matches), (event,))


def _spectator(method: str, path: str) -> Point:
    event = f"{method} /broadcast/{{stream_id}}{path}"
    return Point(f"a spectator's WHEP `{method}`", _HTTP, frozenset({"stream"}), (event,))


POINTS: Mapping[str, Point] = MappingProxyType(
    {
        "rest.auth.token": _json("POST /auth/token"),
        "rest.regions.list": _json("GET /regions"),
        "rest.regions.ping": _json("GET /ping/{region}", means="the `ping_url` of a region"),
        "rest.sessions.request": _json("POST /sessions/request"),
        "rest.sessions.token": _json("POST /sessions/token", "session"),
        "rest.simulations.create": _json("POST /simulation-jobs"),
        "rest.simulations.get": _json("GET /simulation-jobs/{job_id}", "job"),
        "rest.simulations.list": _json("GET /simulation-jobs"),
        "rest.simulations.cancel": _json("DELETE /simulation-jobs/{job_id}", "job"),
        "rest.recordings.get": _json("GET /recordings/{stream_id}", "stream"),
        "rest.recordings.list": _json("GET /stream-recordings"),
        "rest.telemetry": _json("POST /telemetry"),
        "signaling.config": _json("GET /signaling/{streamer_id}/config", means="`GET {signalling_url}/config`"),
        "signaling.upgrade": Point(
            "the WebSocket upgrade of a client",
            {
                "refuse": FaultAction(
                    "rejects the upgrade with the given HTTP status",
                    {"status": Parameter("an HTTP status, 400 to 599", _STATUSES, default=403)},
                ),
                "delay": FaultAction("accepts the upgrade after the given delay", {"seconds": _WAIT}),
                "no_answer": FaultAction("never responds to the upgrade"),
            },
            _SESSION,
            ("socket open",),
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
            ("offer",),
        ),
        "signaling.answer": Point(
            "the client's answer was received; with any action, the server does not apply the answer",
            {**_SOCKET, "ignore": FaultAction("never applies the answer")},
            _SESSION,
            ("answer",),
        ),
        "signaling.connected": Point("the peer connection is connected", _SOCKET, _SESSION),
        "peer.ice": Point(
            "ICE candidates are exchanged",
            {"never": FaultAction("never responds to connectivity checks")},
            _SESSION,
            ("ice_candidate",),
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
                "impair": FaultAction(
                    "impairs the network of the client, instead of the setting `network_profile`, for `duration` "
                    "seconds or until the connection ends",
                    {
                        "network_profile": Parameter(
                            f"the name of a preset ({', '.join(NETWORK_PRESETS)}), or an object with `loss`, `delay`, "
                            "`rate` and so on, as in the setting",
                            _NETWORK_PROFILES,
                            required=True,
                        ),
                        "duration": Parameter(
                            "a number of seconds, 0 to 86400, on the server's clock, or null", or_null(_SECONDS)
                        ),
                        "seconds": _AFTER,
                    },
                ),
            },
            _SESSION,
            ("session connecting -> connected",),
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
                    {"seconds": Parameter("a number of real seconds, 0 to 60", number(0, 60), required=True)},
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
        "stream.start": Point(
            "`interactive_stream_start` was received",
            {**_REPLY, **_OUT_OF_ORDER},
            _STREAM,
            ("interactive_stream_start",),
        ),
        "stream.interact": Point(
            "`update` was received",
            {**_INTERACT, **_OUT_OF_ORDER},
            _STREAM,
            ("update", "update_acknowledged", "interactive_stream_error"),
        ),
        "stream.end": Point(
            "`interactive_stream_end` was received", _END, _STREAM, ("interactive_stream_end", "stream_ended")
        ),
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
            ("stream_started", "stream starting -> running"),
        ),
        "stream.broadcast": Point(
            "`broadcast_ready` is about to be sent",
            {
                "missing_fields": FaultAction("sends `broadcast_ready` without `webrtc_url`"),
                "silent": FaultAction("never sends `broadcast_ready`"),
                "late": FaultAction("sends `broadcast_ready` after the given delay", {"seconds": _WAIT}),
            },
            _STREAM,
            ("broadcast_ready",),
        ),
        "whep.config": _json("GET /config", means="`GET /config` at the origin of `webrtc_url`"),
        "whep.offer": _spectator("POST", "/whep"),
        "whep.candidates": _spectator("PATCH", "/whep/{resource}"),
        "whep.leave": _spectator("DELETE", "/whep/{resource}"),
        "hls.playlist": _file("a request for an HLS playlist", _HLS, "stream"),
        "hls.segment": _file("a request for an HLS segment", _HLS, "stream"),
        "job.pending": Point(
            "a worker is about to take the job", _JOB, frozenset({"job"}), ("simulation pending -> dispatched",)
        ),
        "job.dispatched": Point(
            "the job is about to be processed", _JOB, frozenset({"job"}), ("simulation dispatched -> processing",)
        ),
        "job.processing": Point(
            "the job's last script has run", _JOB, frozenset({"job"}), ("simulation processing -> completed",)
        ),
        "job.script": Point(
            "a script of a job is about to begin",
            {
                "fail": FaultAction(
                    "fails the script with the given message; other scripts continue", {"message": _MESSAGE}
                )
            },
            frozenset({"job", "script_index", "prompt"}),
        ),
        "artifact": _file(
            "a request for a file of a recording", "GET /artifacts/{stream_id}/{artifact}", "stream", "artifact"
        ),
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
        "account": Parameter("an API key or an account id", text()),
        "session": Parameter("a session id", text()),
        "stream": Parameter("a stream id", text()),
        "prompt": Parameter("a non-empty part of a prompt", text(1)),
        "job": Parameter("a job id", text()),
        "script_index": Parameter("a whole number, 0 or more", whole(0)),
        "artifact": Parameter("the name of a file, such as video.mp4", text()),
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
