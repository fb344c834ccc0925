"""Which point of the catalogue a request passes, and what a fault there can be narrowed to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from odyssey_mock.accounts.accounts import account_id
from odyssey_mock.accounts.session_tokens import TokenError
from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.http.errors import ApiError
from odyssey_mock.http.routes.hls import PLAYLIST

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend

POINT_OF: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("POST", "/auth/token"): "rest.auth.token",
        ("GET", "/regions"): "rest.regions.list",
        ("GET", "/ping/{region}"): "rest.regions.ping",
        ("POST", "/sessions/request"): "rest.sessions.request",
        ("POST", "/sessions/token"): "rest.sessions.token",
        ("POST", "/simulation-jobs"): "rest.simulations.create",
        ("GET", "/simulation-jobs/{job_id}"): "rest.simulations.get",
        ("GET", "/simulation-jobs"): "rest.simulations.list",
        ("DELETE", "/simulation-jobs/{job_id}"): "rest.simulations.cancel",
        ("GET", "/recordings/{stream_id}"): "rest.recordings.get",
        ("GET", "/stream-recordings"): "rest.recordings.list",
        ("POST", "/telemetry"): "rest.telemetry",
        ("GET", "/signaling/{streamer_id}/config"): "signaling.config",
        ("GET", "/config"): "whep.config",
        ("POST", "/broadcast/{stream_id}/whep"): "whep.offer",
        ("PATCH", "/broadcast/{stream_id}/whep/{resource}"): "whep.candidates",
        ("DELETE", "/broadcast/{stream_id}/whep/{resource}"): "whep.leave",
        ("GET", "/broadcast/{stream_id}/hls/{file}"): "hls.segment",
        ("GET", "/artifacts/{stream_id}/{artifact}"): "artifact",
    }
)
"""The point of each request of the service, by method and path template. HEAD passes that of GET."""

_SPECIAL: Mapping[tuple[str, str], str] = MappingProxyType({("hls.segment", PLAYLIST): "hls.playlist"})
"""Where one point's template has a file that is another one's."""

TOLD_IN_BODY: Mapping[str, str] = MappingProxyType({"rest.auth.token": "api_key", "rest.sessions.token": "session_id"})
"""Where the body says who asks, or for which session: in which of its fields."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is known of a request before its route deals with it."""

    account: str | None = None
    session: str | None = None
    stream: str | None = None
    more: Mapping[str, JSON] = MappingProxyType({})
    """What else a fault may match: `job`, `artifact`."""


def point_of(scope: Scope, routes: Iterable[BaseRoute]) -> str | None:
    """Find the point that a request passes, and note its route and the fields of its path in `scope`, as routing does.

    None where there is none: for what is no route of the service, and for the control API.
    """
    for route in routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            if not isinstance(route, Route):
                return None
            scope["route"] = route
            scope.update(found)
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            point = POINT_OF.get((method, route.path))
            return _SPECIAL.get((point or "", scope["path_params"].get("file", "")), point)
    return None


def asked(backend: "Backend", point: str, scope: Scope, body: bytes) -> Asked:
    """Work out who asks, and for what."""
    fields: Mapping[str, str] = scope["path_params"]
    more: dict[str, JSON] = {
        name: fields[field] for name, field in (("job", "job_id"), ("artifact", "artifact")) if field in fields
    }
    stream_id = fields.get("stream_id")
    match point, _told(point, body):
        case "rest.auth.token", key:
            return Asked(account=None if key is None else account_id(key))
        case "rest.sessions.token", session_id:
            return Asked(account=caller(backend, scope), session=session_id)
        case "signaling.config", _:
            held = backend.sessions.sessions.values()
            session = next((each for each in held if each.streamer_id == fields["streamer_id"]), None)
            return Asked() if session is None else Asked(account=session.account_id, session=session.id)
        case _ if point.startswith("rest."):
            return Asked(account=caller(backend, scope), stream=stream_id, more=more)
    record = backend.streams.records.get(stream_id or "")
    if record is None:
        return Asked(stream=stream_id, more=more)
    return Asked(account=record.account_id, session=record.session_id, stream=stream_id, more=more)


def caller(backend: "Backend", scope: Scope) -> str | None:
    """The account whose access token a request carries, or whose session token an upgrade."""
    connection = HTTPConnection(scope)
    try:
        if scope["type"] == "websocket":
            return backend.tokens.verify(connection.query_params.get("token", "")).account
        return backend.accounts.holder_of(connection.headers.get("authorization", "").partition(" ")[2].strip()).id
    except (ApiError, TokenError):
        return None


def _told(point: str, body: bytes) -> str | None:
    """What the body of a request says in its field of `TOLD_IN_BODY`; None where that is no text."""
    if point not in TOLD_IN_BODY:
        return None
    try:
        fields = read_json(body)
    except (ValueError, RecursionError):
        return None
    value = fields.get(TOLD_IN_BODY[point]) if isinstance(fields, dict) else None
    return value if isinstance(value, str) else None
