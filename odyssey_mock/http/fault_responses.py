"""The fault actions of HTTP requests: for each action, the function that carries it out."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from odyssey_mock.core.clock import Clock
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault
from odyssey_mock.http.pacing import Pace
from odyssey_mock.http.uvicorn_server import TcpConnection, connection_of

TICKS = 20
"""Maximum number of chunks per second in a slow response."""

BODILESS = frozenset({204, 304})
"""Statuses whose responses have no body (RFC 9110 section 6.4.1)."""

_BROADCAST = ("whep.offer", "whep.candidates", "whep.leave", "hls.")
"""Prefixes of the fault points whose errors have the form of the vendor's media server (`protocol.md` section 5)."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request for which a fault fires, the app that would handle it, and the ASGI `send` to the client."""

    app: ASGIApp
    clock: Clock
    point: str
    scope: Scope
    receive: Receive
    send: Send

    @property
    def connection(self) -> TcpConnection:
        """The TCP connection of the request."""
        return connection_of(self.scope)

    async def usual(self, send: Send | None = None) -> None:
        """Handle the request as without a fault. Pass the response to `send`, by default to the client."""
        await self.app(self.scope, self.receive, send or self.send)

    async def answer(self, response: Response) -> None:
        """Send `response` to the client."""
        await response(self.scope, self.receive, self.send)


async def _status(exchange: Exchange, fault: Fault) -> None:
    status, detail, retry_after = (fault.parameters[name] for name in ("status", "detail", "retry_after"))
    assert isinstance(status, int)
    detail = f"{_phrase(status)}: injected fault" if detail is None else detail
    body: JSON = {"status": "error", "error": detail} if exchange.point.startswith(_BROADCAST) else {"detail": detail}
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 section 11.6.1
    await exchange.answer(Response(json.dumps(body), status, headers, media_type="application/json"))


async def _delay(exchange: Exchange, fault: Fault) -> None:
    with Pace(exchange.clock, exchange.connection, f"fault: a late answer at {exchange.point}") as pace:
        await pace.pause(fault.number("seconds"))
        if not exchange.connection.lost.done():
            await exchange.usual()


async def _no_answer(exchange: Exchange, _fault: Fault) -> None:
    with exchange.connection.held():
        await exchange.connection.lost


async def _reset(exchange: Exchange, _fault: Fault) -> None:
    exchange.connection.reset()


async def _truncate(exchange: Exchange, _fault: Fault) -> None:
    """Close the connection in the middle of the response body, or without any response if it would have no body."""
    head: Message = {}
    left = 0

    async def cut(message: Message) -> None:
        nonlocal head, left
        if message["type"] == "http.response.start":
            length = int(Headers(raw=message["headers"]).get("content-length", "0"))
            if length > 0 and exchange.scope["method"] != "HEAD":
                left = length // 2
                await exchange.send(message)
        elif left > 0:
            body = message.get("body", b"")[:left]
            left -= len(body)
            await exchange.send({"type": "http.response.body", "body": body, "more_body": True})

    await exchange.usual(cut)
    exchange.connection.cut()


async def _not_json(exchange: Exchange, fault: Fault) -> None:
    await _replace_body(exchange, fault.text("body").encode())


async def _wrong_shape(exchange: Exchange, fault: Fault) -> None:
    await _replace_body(exchange, json.dumps(fault.parameters["body"]).encode())


async def _replace_body(exchange: Exchange, body: bytes) -> None:
    """Respond with the usual status and headers, but with another body.

    If the usual status allows no body, the status is 200.
    """

    async def replaced(message: Message) -> None:
        if message["type"] != "http.response.start":
            return
        headers = MutableHeaders(raw=list(message["headers"]))
        headers["Content-Length"] = str(len(body))
        headers["Content-Type"] = "application/json"
        status = 200 if message["status"] in BODILESS else message["status"]
        await exchange.send({"type": "http.response.start", "status": status, "headers": headers.raw})
        await exchange.send({"type": "http.response.body", "body": body, "more_body": False})

    await exchange.usual(replaced)


async def _slow(exchange: Exchange, fault: Fault) -> None:
    rate = fault.number("bytes_per_second")
    piece = max(1, int(rate / TICKS))
    begun, sent = exchange.clock.time(), 0
    with Pace(exchange.clock, exchange.connection, f"fault: a slow answer at {exchange.point}") as pace:

        async def slowly(message: Message) -> None:
            nonlocal sent
            is_sent = message["type"] == "http.response.body" and exchange.scope["method"] != "HEAD"
            body = message.get("body", b"") if is_sent else b""
            for start in range(0, len(body), piece):
                part = body[start : start + piece]
                sent += len(part)
                await pace.until(begun + sent / rate)
                if exchange.connection.lost.done():
                    return
                await exchange.send({"type": "http.response.body", "body": part, "more_body": True})
            await exchange.send({**message, "body": b""} if body else message)

        await exchange.usual(slowly)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


ACTIONS: Mapping[str, Callable[[Exchange, Fault], Awaitable[None]]] = MappingProxyType(
    {
        "status": _status,
        "delay": _delay,
        "no_answer": _no_answer,
        "reset": _reset,
        "truncate": _truncate,
        "not_json": _not_json,
        "wrong_shape": _wrong_shape,
        "slow": _slow,
    }
)
"""The functions that carry out fault actions, by name. They are called once the whole request body was received."""
