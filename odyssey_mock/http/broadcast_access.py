"""Authorization of requests, and 405 responses, for the routes of WHEP and HLS (`protocol.md` section 5)."""

from collections.abc import Mapping
from typing import override

from starlette.requests import Request

from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.http.errors import BroadcastError
from odyssey_mock.http.fault_points import ServiceRoute


class BroadcastRoute(ServiceRoute):
    """A route of WHEP or HLS. Its responses to unsupported methods and large bodies are `BroadcastError`s."""

    @override
    def not_allowed(self, method: str, allowed: str) -> Exception:
        return BroadcastError(405, f"expected one of {allowed}, got {method[:20]}", {"Allow": allowed})

    @override
    def too_large(self, limit: int, got: str) -> Exception:
        return BroadcastError(413, f"expected a body of at most {limit} bytes, got {got}")


def broadcast_of(request: Request, broadcasts: Mapping[str, Broadcast]) -> Broadcast:
    """Return the broadcast named in the path, and set its account, session and stream for the journal entry.

    Raises:
        BroadcastError: 404, no such broadcast exists.
    """
    stream_id: str = request.path_params["stream_id"]
    broadcast = broadcasts.get(stream_id)
    if broadcast is None:
        raise BroadcastError(404, f"no broadcast of stream {stream_id[:64]!r}: it has ended or never existed")
    request.state.account = broadcast.account_id
    request.state.session = broadcast.session_id
    request.state.stream = stream_id
    return broadcast


def authorize(request: Request, broadcast: Broadcast) -> None:
    """Check the spectator token, in the query or as a bearer token (RFC 6750).

    Raises:
        BroadcastError: 401, the token is missing or invalid.
    """
    token = request.query_params.get("token")
    if token is None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        token = bearer.strip() if scheme.lower() == "bearer" else ""
    if not broadcast.accepts(token):
        got = "an invalid token" if token else "none"
        raise BroadcastError(
            401,
            f"expected the spectator_token of broadcast_ready, as ?token= or bearer token, got {got}",
            {"WWW-Authenticate": "Bearer"},
        )


def authorized_broadcast_of(request: Request, broadcasts: Mapping[str, Broadcast]) -> Broadcast:
    """Return the broadcast named in the path, after checking the spectator token.

    Raises:
        BroadcastError: 404, no such broadcast exists; 401, the token is missing or invalid.
    """
    broadcast = broadcast_of(request, broadcasts)
    authorize(request, broadcast)
    return broadcast
