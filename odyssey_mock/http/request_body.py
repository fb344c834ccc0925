"""The body of a request: its limit, and what happens to a body that was not read.

The fault point of a route or its endpoint reads the body, once. The journal shows what was read. A request is
authorized before its body is read.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from odyssey_mock.core.excerpts import excerpt
from odyssey_mock.core.strict_json import JSON, read_json
from odyssey_mock.http.raw_headers import header

BODY_LIMIT = 64 << 10
"""Maximum bytes of a request body, unless the route declares another limit. Usual requests have less than 1 KiB."""

IN_THREAD = 64 << 10
"""A body of more bytes is parsed in a thread, because it may take longer than the time between two video frames."""

LINGER = 1.0
"""Seconds in which the rest of a body that was not read is received and dropped, before the connection is closed.

If the server closed the connection at once, the client could lose the response (RFC 9112 section 9.6).
"""

PAUSE_LIMIT = 30.0
"""Maximum real seconds between two parts of a body. nginx waits 60 s; Node.js waits 300 s for the whole request.

The limit is real time, because it protects the sockets of this process: a manual clock would keep them open for ever.
"""

TIME_LIMIT = 300.0
"""Maximum real seconds that the server waits for the parts of one body, so that a trickle of bytes also ends."""

DROPPED = 64 << 10
"""An unread body of at most this many bytes is received and dropped, and its connection stays open."""

_KEY = "body"
"""Key of the `RequestBody` in the `state` of a request's ASGI scope."""


class SlowBodyError(Exception):
    """The client did not send the whole body of its request within the time limits."""


@dataclass(frozen=True, slots=True)
class _NotJson:
    error: ValueError


class RequestBody:
    """The body of one request, which is read at most once.

    Attributes:
        limit: maximum number of bytes.
    """

    def __init__(self, scope: Scope, receive: Receive, limit: int, too_large: Callable[[int, str], Exception]) -> None:
        """Wrap `receive`. `too_large(limit, got)` creates the error for a body that is larger than `limit`."""
        self.limit = limit
        length = header(scope["headers"], b"content-length") or ""
        self._declared = int(length) if length.isdecimal() else 0
        self._receive = receive
        self._too_large = too_large
        self._received = bytearray()
        self._is_complete = False
        self._waited = 0.0
        """Seconds spent waiting for parts of the body."""
        self._parsed: dict[bool, JSON | _NotJson] = {}
        """The result of parsing, by the value of `unique`."""

    def close(self) -> None:
        """End the reading of the body, at the end of its request.

        `receive` is a method of uvicorn's request cycle, which refers to the scope, and so to this body. Without
        `close`, they would be a reference cycle.
        """
        self._receive = _disconnected

    async def read(self) -> bytearray:
        """Receive the whole body and return it; a further call returns the same bytes. Do not change them.

        Raises:
            Exception: the error of `too_large`. A body with a `Content-Length` above the limit is not received at all.
            ClientDisconnect: the client disconnected before the body was complete.
            SlowBodyError: a time limit has passed.
        """
        if not await self.begin(self.limit):
            got = self._declared if self._declared > self.limit else "more"
            self._received.clear()
            raise self._too_large(self.limit, f"{got}")
        return self._received

    async def begin(self, limit: int) -> bool:
        """Receive the body until it is complete or larger than `limit`, and return whether it is complete.

        Nothing is received if its `Content-Length` is above `limit`.

        Raises:
            ClientDisconnect: the client disconnected before.
            SlowBodyError: a time limit has passed.
        """
        while not self._is_complete and max(self._declared, len(self._received)) <= limit:
            message = await self._part()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._received += message.get("body", b"")
            self._is_complete = not message.get("more_body", False)
        return self._is_complete and len(self._received) <= limit

    async def _part(self) -> Message:
        """Receive the next part.

        Raises:
            SlowBodyError: a time limit has passed.
        """
        now = asyncio.get_running_loop().time
        begun = now()
        try:
            async with asyncio.timeout(min(PAUSE_LIMIT, TIME_LIMIT - self._waited)):
                return await self._receive()
        except TimeoutError as error:
            raise SlowBodyError(
                f"expected the rest of the body within {PAUSE_LIMIT:g} s of its last part, and all of it within "
                f"{TIME_LIMIT:g} s; got {len(self._received)} bytes. Send the request again"
            ) from error
        finally:
            self._waited += now() - begun

    async def json(self, *, unique: bool = False) -> JSON:
        """Receive the body, and parse it as JSON once; for `unique`, see `read_json`.

        Raises:
            ValueError: the body is not JSON.
            Exception: see `read`.
        """
        body = await self.read()
        if unique not in self._parsed:
            self._parsed[unique] = await self.process(partial(_parse, unique=unique), body)
        parsed = self._parsed[unique]
        if isinstance(parsed, _NotJson):
            raise parsed.error
        return parsed

    async def process[V, T](self, function: Callable[[V], T], value: V, *, in_thread: int = IN_THREAD) -> T:
        """Return `function(value)`. It is called in a thread if the body has more than `in_thread` bytes.

        There, it does not delay other requests.

        The call in a thread continues even if the request is cancelled. The limits of bodies and of `read_json` bound
        its time.
        """
        if len(self._received) > in_thread:
            return await asyncio.to_thread(function, value)
        return function(value)

    @property
    def received(self) -> bytearray:
        """What was received of the body."""
        return self._received

    def shown(self) -> JSON:
        """Return the body for the journal, shortened; None if it was not read or is not JSON."""
        if not self._received or not self._is_complete:
            return None
        if not self._parsed and len(self._received) > IN_THREAD:
            return {"omitted": f"{len(self._received)} bytes that were not parsed"}
        parsed = next(iter(self._parsed.values())) if self._parsed else _parse(self._received)
        return None if isinstance(parsed, _NotJson) else excerpt(self._received, parsed)

    def shown_later(self) -> Callable[[], JSON]:
        """Return a function that returns the same as `shown`. It keeps nothing in memory but the bytes of the body."""
        if not self._received or not self._is_complete:
            return _nothing
        return partial(_shown, bytes(self._received), unique=next(iter(self._parsed), False))


async def _disconnected() -> Message:
    return {"type": "http.disconnect"}


def _shown(received: bytes, *, unique: bool) -> JSON:
    parsed = _parse(received, unique=unique)
    return None if isinstance(parsed, _NotJson) else excerpt(received, parsed)


def body_of(connection: HTTPConnection | Scope) -> RequestBody:
    """Return the body of a request to a `ServiceRoute`."""
    scope = connection.scope if isinstance(connection, HTTPConnection) else connection
    return cast("RequestBody", scope["state"][_KEY])


def known_body_of(scope: Scope) -> RequestBody | None:
    """Return the body of a request; None if no route has the path of the request."""
    return cast("RequestBody | None", scope.get("state", {}).get(_KEY))


def set_body(scope: Scope, body: RequestBody) -> None:
    """Make `body` the body of a request."""
    scope.setdefault("state", {})[_KEY] = body


def _nothing() -> None:
    return None


def _parse(body: bytes | bytearray, *, unique: bool = False) -> JSON | _NotJson:
    try:
        return read_json(body, unique=unique)
    except ValueError as error:
        return _NotJson(error)


class UnreadBodies:
    """ASGI middleware that closes the connection after a response to a request whose body was not completely read.

    Small bodies are received and dropped instead. Without this middleware, uvicorn would receive and drop the rest of a
    body of any size, for any time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"] if scope["type"] == "http" else ()
        length = header(headers, b"content-length") or ""
        is_small = not (length.isdecimal() and int(length) > DROPPED)
        if is_small and header(headers, b"transfer-encoding") is None:
            await self._app(scope, receive, send)
            return
        is_complete = closes = False

        async def heard() -> Message:
            nonlocal is_complete
            message = await receive()
            is_complete = is_complete or not message.get("more_body", False)
            return message

        async def said(message: Message) -> None:
            nonlocal closes
            if message["type"] == "http.response.start" and not is_complete:
                closes = True
                message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            if not closes or message["type"] != "http.response.body" or message.get("more_body", False):
                await send(message)
                return
            # The client gets the whole response now. The end of the response, which closes the connection, comes later.
            await send({**message, "more_body": True})
            await drop_rest()
            await send({"type": "http.response.body"})

        async def drop_rest() -> None:
            try:
                async with asyncio.timeout(LINGER):
                    while not is_complete:
                        await heard()
            except TimeoutError:
                return  # the connection is closed now

        await self._app(scope, heard, said)
