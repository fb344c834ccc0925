"""HTTP and WebSocket for an ASGI application: uvicorn, silent, and gone as soon as it is left."""

import asyncio
import logging
import socket
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

GRACE = 0.25
"""Seconds that requests under way may take to finish when the mock is left."""
WS_MAX_SIZE = 64 << 20
"""Bytes of one WebSocket message: images come over the socket, as base64."""
KEEP_ALIVE = 75
"""Seconds an idle connection is kept: longer than clients keep theirs, so that none is closed under a new request."""

logger = logging.getLogger("odyssey_mock.http")
logger.setLevel(logging.WARNING)


class _HttpProtocol(H11Protocol):
    """HTTP/1.1, silent: uvicorn's loggers are the whole process's, `access_log=False` would silence them for all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: passed on as they come
        super().__init__(*args, **kwargs)
        self.logger = logger
        self.access_log = False


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket, silent: what uvicorn and websockets log of one has the session token in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: passed on as they come
        super().__init__(*args, **kwargs)
        self.logger = logger
        self.conn.logger = logger


class HttpServer:
    """uvicorn without its main loop, which ticks every 100 ms, and without its hand on signals.

    Of that loop the only thing needed here would be the `Date` header, and `app.py` sets that from the server's clock.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._app = app
        self._listener = listener
        self._is_stopping = False
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
        for server in self._server.servers:
            server.close()
        for connection in list(state.connections):
            connection.shutdown()
        self._is_stopping = True
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=GRACE)
        for connection in list(state.connections):
            connection.transport.abort()
        for task in list(state.tasks):
            task.cancel()
        if state.tasks:
            await asyncio.wait(state.tasks)
        for server in self._server.servers:
            await server.wait_closed()

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # uvicorn would log the cancellation as an error of the application. The connection is cut, nobody waits.
            if not self._is_stopping:
                raise
