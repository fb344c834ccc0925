"""Routes with fault points, and the check for faults before each request."""

from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from typing import override

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from odyssey_mock import latency
from odyssey_mock.core.clock import Clock
from odyssey_mock.current_settings import CurrentSettings
from odyssey_mock.faults.registry import Faults
from odyssey_mock.http.callers import Asked
from odyssey_mock.http.errors import ApiError, ErrorResponses, note_cause
from odyssey_mock.http.fault_responses import ACTIONS, Exchange
from odyssey_mock.http.pacing import Pace
from odyssey_mock.http.request_body import BODY_LIMIT, RequestBody, body_of, set_body
from odyssey_mock.http.uvicorn_server import connection_of

_SAFE = frozenset({"GET", "HEAD"})
"""Methods of the service whose requests change nothing (RFC 9110 section 9.2.1)."""

type Endpoint = Callable[[Request], Awaitable[Response]]
type WhoAsks = Callable[[Scope, bytes | bytearray], Asked]
"""A method of `Callers`, which returns the values of a request that `match` of a fault can test."""


class FaultGate:
    """Delays each request by the latency profile, and carries out the fault that fires for the request.

    If no fault fires, the endpoint handles the request.
    """

    def __init__(self, faults: Faults, clock: Clock, settings: CurrentSettings, errors: ErrorResponses) -> None:
        self._faults = faults
        self._clock = clock
        self._settings = settings
        self.errors = errors
        """Creates the responses to the errors of the endpoints."""

    def at(self, point: str, endpoint: Endpoint, who: WhoAsks, *, is_open: bool = False) -> "FaultPoint":
        """Return `endpoint` behind the fault point `point`; `who` returns the values that `match` can test.

        `is_open`: whether the endpoint also reads the bodies of requests without an account.
        """
        return FaultPoint(point, endpoint, self, who, is_open=is_open)

    async def let_pass(self, passed: "FaultPoint", scope: Scope, receive: Receive, send: Send) -> None:
        """Wait for the latency of the fault point `passed`, then carry out the fault that fires there.

        If no fault fires, handle the request as usual.
        """
        seconds = latency.seconds(self._settings.now.latency, passed.point)
        has_faults = self._faults.any_at(passed.point)
        if not has_faults:
            self._faults.skip(passed.point)
            if not seconds:
                return await passed.usual(scope, receive, send)
        # Read the whole body first: `who` may need it, and a delay begins when the request is complete.
        try:
            body = await _body(passed, scope)
        except ClientDisconnect:
            return None
        if body is None:
            return await passed.usual(scope, receive, send)
        if not seconds:
            return await self._fire(passed, body, scope, receive, send)
        connection = connection_of(scope)
        with Pace(self._clock, connection, f"latency: {passed.point}") as pace:
            await pace.pause(seconds)
            if connection.lost.done() and (connection.is_spoilt or scope["method"] in _SAFE):
                # Other requests take effect even if the client has disconnected, as in a real service.
                return None
            if not has_faults:
                return await passed.usual(scope, receive, send)
        return await self._fire(passed, body, scope, receive, send)

    async def _fire(
        self, passed: "FaultPoint", body: bytes | bytearray, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Carry out the fault that fires for a request with this body, or handle the request as usual."""
        asked = passed.who(scope, body)
        fault = self._faults.fire(
            passed.point, account=asked.account, session=asked.session, stream=asked.stream, **asked.more
        )
        if fault is None:
            return await passed.usual(scope, receive, send)
        known = {"account": asked.account, "session": asked.session, "stream": asked.stream, "fault": fault.do}
        scope.setdefault("state", {}).update(known)
        note_cause(scope, f"{fault.label} acts on this request")
        exchange = Exchange(passed.usual, self._clock, passed.point, scope, receive, send)
        return await ACTIONS[fault.do](exchange, fault)


class FaultPoint:
    """An endpoint behind a fault point.

    Attributes:
        point: the name of the fault point.
        who: function that returns the values of a request that `match` of a fault can test.
        is_open: whether the endpoint also reads the bodies of requests without an account.
    """

    def __init__(self, point: str, endpoint: Endpoint, gate: FaultGate, who: WhoAsks, *, is_open: bool) -> None:
        self.point = point
        self.who = who
        self.is_open = is_open
        self._endpoint = endpoint
        self._gate = gate

    async def usual(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the request as if no fault fires: send the response of the endpoint, or the response to its error."""
        request = Request(scope, receive)
        try:
            response = await self._endpoint(request)
        except Exception as error:
            answer = self._gate.errors.response_to(request, error)
            if answer is None:
                raise
            response = answer
        await response(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate.let_pass(self, scope, receive, send)


class ServiceRoute(Route):
    """A path of the service, with one endpoint for each HTTP method. Most endpoints are behind a fault point.

    HEAD requests use the endpoint and the fault point of GET.

    Attributes:
        operations: the endpoints by method.
        template: the path as shown in the journal.
        body_limit: maximum bytes of the body of a request.
    """

    def __init__(
        self,
        path: str,
        operations: Mapping[str, FaultPoint | Endpoint],
        *,
        template: str | None = None,
        body_limit: int = BODY_LIMIT,
    ) -> None:
        self.operations = operations
        self.template = template or path
        self.body_limit = body_limit
        # Every test has a new mock with new routes, and parsing a path takes most of the time to create its route.
        vars(self).update(vars(_parsed(path, tuple(operations))))
        self.app = self.endpoint = _Operations(operations)

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request to this path. An unsupported method gets a 405 with the allowed methods."""
        allowed = self.methods or ()
        if scope["method"] not in allowed:
            raise self.not_allowed(scope["method"], ", ".join(sorted(allowed)))
        body = RequestBody(scope, receive, self.body_limit, self.too_large)
        set_body(scope, body)
        try:
            await self.app(scope, receive, send)
        finally:
            body.close()

    def not_allowed(self, method: str, allowed: str) -> Exception:  # noqa: ARG002 - subclasses use it
        """Create the error for an unsupported method."""
        return HTTPException(405, headers={"Allow": allowed})

    def too_large(self, limit: int, got: str) -> Exception:
        """Create the error for a body of more than `limit` bytes."""
        return ApiError(413, f"expected a body of at most {limit} bytes, got {got}")


@cache
def _parsed(path: str, methods: tuple[str, ...]) -> Route:
    """Return a route of Starlette with the pattern of `path`; it has no endpoint."""
    return Route(path, _Operations({}), methods=methods)


class _Operations:
    """Dispatches requests of one path to endpoints by method."""

    def __init__(self, operations: Mapping[str, FaultPoint | Endpoint]) -> None:
        self._operations = operations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        operation = self._operations["GET" if method == "HEAD" else method]  # the route has checked the method
        if isinstance(operation, FaultPoint):
            return await operation(scope, receive, send)
        response = await operation(Request(scope, receive))
        return await response(scope, receive, send)


async def _body(passed: FaultPoint, scope: Scope) -> bytearray | None:
    """Return the body of a request; None if it is large, and the account of the request is unknown.

    Most endpoints refuse such a request without reading its body, which must not wait in memory until then.
    """
    body = body_of(scope)
    is_refused = body.limit > BODY_LIMIT and not passed.is_open and passed.who(scope, b"").account is None
    if is_refused and not await body.begin(BODY_LIMIT):
        return None
    return await body.read()
