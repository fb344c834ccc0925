"""Faults of HTTP: what becomes of a request at whose point a fault fires."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from odyssey_mock.http.fault_points import asked, caller, point_of
from odyssey_mock.http.fault_responses import ACTIONS, Exchange
from odyssey_mock.http.outage import Outage

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend


class FaultMiddleware:
    """Asks the list of faults about every request, and does what it says."""

    def __init__(self, app: ASGIApp, backend: "Backend", routes: Sequence[BaseRoute], spared: str) -> None:
        """`spared`: how the paths begin that no fault hits."""
        self._app = app
        self._backend = backend
        self._routes = routes
        self._spared = spared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        faults = self._backend.faults
        if len(faults) == 0 or scope["path"].startswith(self._spared):
            return await self._app(scope, receive, send)
        away = faults.fire("server", account=caller(self._backend, scope))
        if away is not None:
            presence: Outage = scope["app"].state.away
            # This request's connection is one of those that are cut.
            return await presence.go(away.number("seconds"))
        point = point_of(scope, self._routes) if scope["type"] == "http" else None
        if point is None or not faults.any_at(point):
            return await self._app(scope, receive, send)
        # Whole, before anything fires: it may say whose it is, and what is done then begins in that very moment.
        body = await _read(receive)
        if body is None:
            return None
        return await self._pass(point, body, scope, _Again(body, receive), send)

    async def _pass(self, point: str, body: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        known = asked(self._backend, point, scope, body)
        fault = self._backend.faults.fire(
            point, account=known.account, session=known.session, stream=known.stream, **known.more
        )
        if fault is None:
            return await self._app(scope, receive, send)
        scope["state"] |= {"account": known.account, "session": known.session, "stream": known.stream}
        scope["state"]["fault"] = fault.do
        return await ACTIONS[fault.do](Exchange(self._app, self._backend.clock, point, scope, receive, send), fault)


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
