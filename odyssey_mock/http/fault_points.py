"""Routes that say where they are registered which fault point their requests pass, and what is done where one fires."""

from collections.abc import Awaitable, Callable, Mapping
from typing import override

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from odyssey_mock.core.clock import Clock
from odyssey_mock.faults.registry import Faults
from odyssey_mock.http.callers import Asked
from odyssey_mock.http.fault_responses import ACTIONS, Exchange

type Endpoint = Callable[[Request], Awaitable[Response]]
type WhoAsks = Callable[[Scope, bytes], Asked]
"""Works out of a request and its body who asks, and for what: one of the methods of `Callers`."""


class FaultGate:
    """Asks the list of faults about requests, and does what it says."""

    def __init__(self, faults: Faults, clock: Clock) -> None:
        self._faults = faults
        self._clock = clock

    def at(self, point: str, endpoint: Endpoint, who: WhoAsks) -> "FaultPoint":
        """Put a point of the catalog before an endpoint; `who` says what a fault there can be narrowed to."""
        return FaultPoint(point, endpoint, self, who)

    async def let_pass(self, passed: "FaultPoint", scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request be answered as usual, unless a fault fires."""
        if not self._faults.any_at(passed.point):
            return await passed.usual(scope, receive, send)
        # Whole, before anything fires: it may say whose it is, and what is done then begins in that very moment.
        body = await _read(receive)
        if body is None:
            return None
        receive = _Again(body, receive)
        asked = passed.who(scope, body)
        fault = self._faults.fire(
            passed.point, account=asked.account, session=asked.session, stream=asked.stream, **asked.more
        )
        if fault is None:
            return await passed.usual(scope, receive, send)
        known = {"account": asked.account, "session": asked.session, "stream": asked.stream, "fault": fault.do}
        scope.setdefault("state", {}).update(known)
        exchange = Exchange(passed.usual, self._clock, passed.point, scope, receive, send)
        return await ACTIONS[fault.do](exchange, fault)


class FaultPoint:
    """An endpoint behind a point of the catalog.

    Attributes:
        point: its name.
        who: who asks.
        usual: what answers where no fault fires. What the endpoint raises has become an answer there.
    """

    def __init__(self, point: str, endpoint: Endpoint, gate: FaultGate, who: WhoAsks) -> None:
        self.point = point
        self.who = who
        self.usual = request_response(endpoint)
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._gate.let_pass(self, scope, receive, send)


class ServiceRoute(Route):
    """A path of the service: for each of its methods an endpoint, most of them behind a fault point.

    HEAD is answered as GET is, and passes its point.

    Attributes:
        operations: by method.
        template: the path as the journal shows it.
    """

    def __init__(
        self, path: str, operations: Mapping[str, FaultPoint | Endpoint], *, template: str | None = None
    ) -> None:
        self.operations = operations
        self.template = template or path
        self._apps: Mapping[str, ASGIApp] = {
            method: operation if isinstance(operation, FaultPoint) else request_response(operation)
            for method, operation in operations.items()
        }
        super().__init__(path, _Operations(self._apps), methods=[*operations])

    @override
    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to this path; 405, with the methods that there are, where it has none of them."""
        allowed = sorted(self.methods or ())
        if scope["method"] not in allowed:
            raise self.not_allowed(scope["method"], ", ".join(allowed))
        await self.app(scope, receive, send)

    def not_allowed(self, method: str, allowed: str) -> Exception:  # noqa: ARG002 - others say which came
        """Make the error of a method that this path does not have."""
        return HTTPException(405, headers={"Allow": allowed})


class _Operations:
    """The endpoints of one path by method."""

    def __init__(self, apps: Mapping[str, ASGIApp]) -> None:
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        app = self._apps.get("GET" if method == "HEAD" else method)
        assert app is not None  # the route has seen to that
        await app(scope, receive, send)


async def _read(receive: Receive) -> bytes | None:
    """The body of a request; None where the client was gone before its end."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


class _Again:
    """Gives a body that was read already once more, then what comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}
