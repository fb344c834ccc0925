"""HTTP and WebSocket for an ASGI application: uvicorn, silent, and gone as soon as it is left, or told to go away."""

import asyncio
import itertools
import logging
import socket
import struct
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from odyssey_mock.core.network import Network, share

GRACE = 0.25
"""Seconds that requests under way may take to finish when the mock is left."""
WS_MAX_SIZE = 64 << 20
"""Bytes of one WebSocket message: images come over the socket, as base64."""
KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than clients keep theirs, so that none is closed under a new request."""

logger = logging.getLogger("odyssey_mock.http")
logger.setLevel(logging.WARNING)


EXTENSION = "odyssey_mock.connection"
"""Where the scope of a request has its `TcpConnection` (ASGI, `extensions`)."""

NO_LINGER = struct.pack("ii", 1, 0)
"""`SO_LINGER`, on, for no time: closing resets."""

_numbers = itertools.count()


class TcpConnection:
    """The TCP connection below a request: to be spoilt, and to be watched.

    Attributes:
        lost: has a result once the connection is no more.
        is_spoilt: whether it was cut or reset from here, so that no answer is to be expected.
        number: greater than those of connections that came before it.
    """

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_spoilt = False
        self.number = next(_numbers)
        self._transport = transport
        self._holders = 0

    @property
    def is_held(self) -> bool:
        """Whether its request waits on purpose: whoever stops the server need not wait for that."""
        return self._holders > 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait on purpose in this block; the request's body has come whole."""
        self._holders += 1
        # After a large body it may be paused, and then its end would not be noticed.
        self._transport.resume_reading()
        try:
            yield
        finally:
            self._holders -= 1

    def reset(self) -> None:
        """Reset it (RFC 9293 section 3.10.5): the client reads neither what was sent nor an end."""
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.abort()

    def cut(self) -> None:
        """Close it once what was sent is out, whatever was promised to follow."""
        self.is_spoilt = True
        self._transport.close()

    def abort(self) -> None:
        """Close it at once, without a word of HTTP or WebSocket."""
        self.is_spoilt = True
        self._transport.abort()


def connection_of(scope: Scope) -> TcpConnection:
    """Find the connection that a request came on."""
    connection: TcpConnection = scope["extensions"][EXTENSION]
    return connection


class _HttpProtocol(H11Protocol):
    """HTTP/1.1, silent: uvicorn's loggers are the whole process's, `access_log=False` would silence them for all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: passed on as they come
        super().__init__(*args, **kwargs)
        self.logger = logger
        self.access_log = False
        self.app = _Connected(self, self.app)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        self.connection = TcpConnection(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.connection.lost.set_result(None)


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket, silent: what uvicorn and websockets log of one has the session token in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: passed on as they come
        super().__init__(*args, **kwargs)
        self.logger = logger
        self.conn.logger = logger
        self.app = _Connected(self, self.app)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connection = TcpConnection(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.connection.lost.set_result(None)


class _Connected:
    """Gives every request its `TcpConnection`."""

    def __init__(self, protocol: _HttpProtocol | _WebSocketProtocol, app: ASGIApp) -> None:
        self._protocol = protocol
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = self._protocol.connection
        extensions: MutableMapping[str, Any] = scope.setdefault("extensions", {})  # Any: as ASGI has them
        extensions[EXTENSION] = connection
        await self._app(scope, receive, send)
        if connection.is_spoilt:
            # Before that uvicorn would miss an answer, and complain.
            await asyncio.wait([connection.lost])


class HttpServer:
    """uvicorn without its main loop, which ticks every 100 ms, and without its hand on signals.

    Of that loop the only thing needed here would be the `Date` header, and `app.py` sets that from the server's clock.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket, network: Network) -> None:
        self._app = app
        self._network = network
        self._listener = listener
        self._reserved: socket.socket | None = None
        """While it is away: a socket that has the address, so that nobody else takes it, and does not listen."""
        self._changing = asyncio.Lock()
        self.is_stopping = False
        """Whether it is being left, or was: it neither goes away nor comes back any more."""
        self._server = Server(
            Config(
                self._call,
                interface="asgi3",
                http=_HttpProtocol,
                ws=_WebSocketProtocol,
                ws_max_size=WS_MAX_SIZE,
                ws_per_message_deflate=False,
                lifespan="off",
                log_config=None,
                proxy_headers=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE,
            )
        )

    async def __aenter__(self) -> Self:
        config = self._server.config
        config.load()
        self._server.lifespan = config.lifespan_class(config)
        await self._server.startup(sockets=[self._listener])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let requests under way finish within `GRACE`, and end the rest.

        uvicorn's own shutdown waits in steps of 100 ms, and for ever for a client that does not go away.
        """
        state = self._server.server_state
        async with self._changing:
            self.is_stopping = True
            self._stop_listening()
            if self._reserved is not None:
                self._reserved.close()
        for protocol in self._protocols():
            if protocol.connection.is_held:
                protocol.connection.abort()
            else:
                protocol.shutdown()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=GRACE)
        for protocol in self._protocols():
            protocol.connection.abort()
        for task in list(state.tasks):
            task.cancel()
        if state.tasks:
            await asyncio.wait(state.tasks)
        for server in self._server.servers:
            await server.wait_closed()

    @property
    def is_away(self) -> bool:
        """Whether it does not listen, for the time being."""
        return self._reserved is not None

    async def go_away(self) -> None:
        """Stop listening and cut every connection; returns once there is none. Nothing where it is away already.

        Connecting is refused from now on, though the address stays its own. What requests have set off goes on.
        """
        async with self._changing:
            if self.is_stopping or self._reserved is not None:
                return
            (server,) = self._server.servers
            address = server.sockets[0].getsockname()
            self._stop_listening()
            self._reserved = self._network.reserve(self._listener, address)
            connections = [protocol.connection for protocol in self._protocols()]
        for connection in connections:
            connection.abort()
        if connections:
            await asyncio.wait([connection.lost for connection in connections])

    async def come_back(self) -> None:
        """Listen again, at the same address. Nothing where it is not away."""
        async with self._changing:
            if self.is_stopping or self._reserved is None:
                return
            listener, self._reserved = self._reserved, None
            share(listener, True)
            await self._server.startup(sockets=[listener])

    def _stop_listening(self) -> None:
        for server in self._server.servers:
            server.close()

    def _protocols(self) -> list[_HttpProtocol | _WebSocketProtocol]:
        connections = self._server.server_state.connections
        ours = [each for each in connections if isinstance(each, _HttpProtocol | _WebSocketProtocol)]
        return sorted(ours, key=lambda each: each.connection.number)  # uvicorn has them in a set

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.is_away:
            # Taken on in the very moment of going away.
            connection_of(scope).abort()
            return
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # uvicorn would log the cancellation as an error of the application. The connection is cut, nobody waits.
            if not self.is_stopping:
                raise
