"""What WHEP and HLS share: who may watch, what is refused, and how that is said (`protocol.md` section 5)."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.http.errors import backend_of

type Endpoint = Callable[[Request], Awaitable[Response]]


class BroadcastError(Exception):
    """An answer other than the one asked for, in the form that the vendor's media server has for it."""

    def __init__(self, status: int, error: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {error}")
        self.status = status
        self.error = error
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The answer."""
        return JSONResponse({"status": "error", "error": self.error}, self.status, self.headers)


class Methods:
    """An endpoint by methods. What is refused is a `BroadcastError`, another method among it (405)."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await self._endpoint(request.method)(request)
        except BroadcastError as error:
            response = error.response()
        await response(scope, receive, send)

    def _endpoint(self, method: str) -> Endpoint:
        endpoint = self._endpoints.get(method)
        if endpoint is None:
            allowed = ", ".join(sorted(self._endpoints))
            raise BroadcastError(405, f"expected one of {allowed}, came {method[:20]}", {"Allow": allowed})
        return endpoint


def broadcast_of(request: Request) -> Broadcast:
    """Find the broadcast that the request's path names, live or lingering, and name its stream in the journal.

    Raises:
        BroadcastError: 404, there is none.
    """
    stream_id: str = request.path_params["stream_id"]
    broadcast = backend_of(request).broadcasts.get(stream_id)
    if broadcast is None:
        raise BroadcastError(404, f"no broadcast of a stream {stream_id[:64]!r}: it has ended, or never was")
    request.state.account = broadcast.account_id
    request.state.session = broadcast.session_id
    request.state.stream = stream_id
    return broadcast


def authorize(request: Request, broadcast: Broadcast) -> None:
    """Let those pass who have its token: in the query, or as a bearer token (RFC 6750).

    Raises:
        BroadcastError: 401, the token is missing or wrong.
    """
    token = request.query_params.get("token")
    if token is None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        token = bearer.strip() if scheme.lower() == "bearer" else ""
    if not broadcast.accepts(token):
        came = "another one" if token else "none"
        raise BroadcastError(
            401,
            f"expected the spectator_token of broadcast_ready, as ?token= or bearer token, came {came}",
            {"WWW-Authenticate": "Bearer"},
        )


def authorized_broadcast_of(request: Request) -> Broadcast:
    """Find it as `broadcast_of` does, live or lingering, for those whom `authorize` lets pass.

    Raises:
        BroadcastError: 404, there is none; 401, the token is missing or wrong.
    """
    broadcast = broadcast_of(request)
    authorize(request, broadcast)
    return broadcast
