"""An HTTP and WebSocket server for an ASGI application, based on uvicorn. It can stop at once, and go offline."""

import asyncio
import contextlib
import itertools
import json
import logging
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Iterator, MutableMapping
from types import TracebackType
from typing import Any, Self, cast, override

import h11
from h11._connection import DEFAULT_MAX_INCOMPLETE_EVENT_SIZE
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.exceptions import WebSocketException
from websockets.protocol import State

from odyssey_mock.core.network import Network, share
from odyssey_mock.core.redaction import get_logger
from odyssey_mock.http.gathering_transport import GatheringTransport
from odyssey_mock.http.request_targets import TargetingConnection
from odyssey_mock.http.sliced_reads import SlicingProtocol

GRACE = 0.25
"""Seconds that requests in progress may take to finish when the mock is closed."""
WS_MAX_SIZE = 64 << 20
"""Maximum size of a WebSocket message in bytes. It is large because clients can send images as base64."""
KEEP_ALIVE = 75
"""Seconds until the server closes an idle connection.

The time is longer than that of usual HTTP clients, so no client sends a request on a connection that the server closes.
"""

HEAD_LIMIT = 30.0
"""Maximum real seconds between the first and the last byte of a request's head; then the response is status 408.

A TLS handshake has the same limit, from the connection on; then the connection is closed.

Node.js and nginx wait 60 s. The limit is real time, because it protects the sockets of this process: a manual clock
would keep them open for ever, and `advance` would end requests of slow clients.
"""

logger = get_logger("odyssey_mock.http")
logger.setLevel(logging.WARNING)


class _ConnectionLogger(logging.LoggerAdapter[logging.Logger]):
    """The logger of one connection for uvicorn and websockets. It writes warnings and errors, without their values.

    The libraries log requests, header fields, frames and exceptions, all of which may contain tokens. Setting a level
    is not enough: applications that set all loggers to level DEBUG would get these records.
    """

    level = logging.WARNING
    """Read by uvicorn, which logs every request and frame at lower levels."""

    @override
    def isEnabledFor(self, level: int) -> bool:
        return level >= logging.WARNING and super().isEnabledFor(level)

    @override
    def log(self, level: int, msg: object, *args: object, **keywords: Any) -> None:  # Any: as in `logging`
        if not self.isEnabledFor(level):
            return
        error = sys.exc_info()[1] if keywords.get("exc_info") is True else keywords.get("exc_info")
        if isinstance(error, BaseException) and not isinstance(error, WebSocketException):
            self.logger.log(level, msg, *args, exc_info=error)  # an exception of the mock; its logger redacts it
        else:
            kind = f" ({type(error).__name__})" if isinstance(error, BaseException) else ""
            self.logger.log(level, "%s%s", msg, kind)


_connection_logger = _ConnectionLogger(logger)


EXTENSION = "odyssey_mock.connection"
"""Key of the `TcpConnection` in the `extensions` of a request's ASGI scope."""

READ_BYTES = 16 << 10
"""Maximum number of bytes that are read from a connection at once.

asyncio reads up to 256 KiB, and h11 and websockets parse them in one step. They may contain 43,000 chunks of one byte
or 131,072 empty frames, which take more than a second.
"""

UNREAD_BYTES = 256 << 10
"""Maximum number of bytes that a client may send on a WebSocket while it does not read what the mock has sent.

The mock answers each ping with a pong, in a buffer without a limit.
"""

NO_LINGER = struct.pack("ii", 1, 0)
"""`SO_LINGER` with a timeout of 0: closing the socket resets the connection."""

_numbers = itertools.count()


class TcpConnection:
    """The TCP connection of a request, which faults can cut or reset.

    Attributes:
        lost: future that is done once the connection is lost.
        is_spoilt: whether the server has closed or reset the connection, so that it sends no further response.
        is_ending: whether the server stops; a response that would never end must end now.
        on_ending: called once when `is_ending` becomes true.
        violation: how the client violated the WebSocket protocol, so that the server closed the socket; empty if not.
        number: a sequence number; later connections have greater numbers.
    """

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_spoilt = False
        self.is_ending = False
        self.on_ending: Callable[[], object] = lambda: None
        self.violation = ""
        self.number = next(_numbers)
        # Not checked with isinstance: transports of uvloop are no subclasses of `asyncio.Transport`.
        self._transport = cast("asyncio.Transport", transport)
        self._holders = 0

    @property
    def is_held(self) -> bool:
        """Whether the request is in a pause caused by a fault; if so, a stopping server cuts the connection at once."""
        return self._holders > 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make `is_held` true until the block ends. The whole request body must be received before the block begins."""
        self._holders += 1
        # uvicorn may have paused reading after a large body. It would then not detect the end of the connection.
        self._transport.resume_reading()
        try:
            yield
        finally:
            self._holders -= 1

    def end(self) -> None:
        """Note that the server stops, and call `on_ending`."""
        if not self.is_ending:
            self.is_ending = True
            self.on_ending()

    def reset(self) -> None:
        """Reset the connection (TCP RST). The client gets an error, even if it has not yet read all data."""
        tcp = self._transport.get_extra_info("socket")
        if tcp is not None and tcp.fileno() >= 0:  # the client may have closed the connection
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.abort()

    def cut(self) -> None:
        """Close the connection once buffered data is sent, even in the middle of a response."""
        self.is_spoilt = True
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once, without completing the response or sending a WebSocket close frame."""
        self.is_spoilt = True
        self._transport.abort()


def connection_of(scope: Scope) -> TcpConnection:
    """Return the TCP connection of a request."""
    connection: TcpConnection = scope["extensions"][EXTENSION]
    return connection


class _HttpProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, with the logger of the mock and without an access log.

    uvicorn's option `access_log=False` is not used, because it turns off the access logs of all servers in the process.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: passed on unchanged
        super().__init__(*args, **kwargs)
        self.logger = _connection_logger  # type: ignore[assignment]  # it has the methods that uvicorn calls
        self.access_log = False
        self.app = _Connected(self, self.app)
        self.conn = TargetingConnection(h11.SERVER, DEFAULT_MAX_INCOMPLETE_EVENT_SIZE)
        self._head_timer: asyncio.TimerHandle | None = None
        """Closes the connection if the head of the next request, or a body that is dropped, does not arrive in time."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        if hasattr(transport, "max_size"):  # an attribute of asyncio's transports; uvloop reads at most 64 KiB at once
            transport.max_size = READ_BYTES
        self._gathering = GatheringTransport(transport)
        self.connection = TcpConnection(self._gathering)
        super().connection_made(self._gathering)
        self._head_timer = self.loop.call_later(KEEP_ALIVE, self._head_overdue)

    def data_received(self, data: bytes) -> None:
        is_new = self.is_idle or self._drops_body
        super().data_received(data)
        if self._drops_body:
            # uvicorn has no time limit for the rest of such a body, once a part of it has arrived.
            self._head_timer = self._head_timer or self.loop.call_later(HEAD_LIMIT, self.transport.close)
        elif self.conn.their_state is not h11.IDLE:
            self._stop_head_timer()
        elif is_new or self._head_timer is None:
            self._stop_head_timer()
            self._head_timer = self.loop.call_later(HEAD_LIMIT, self._head_overdue)

    def on_response_complete(self) -> None:
        """Send the response at once, and prepare for the next request."""
        self._gathering.flush()
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Pass the connection to the WebSocket protocol, which writes each message as a whole."""
        self._gathering.flush()
        self.transport = self._gathering.wrapped
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Send status 400 for an invalid request, and close the connection.

        If the body is invalid, the application is already handling the request: its `receive` then returns
        `http.disconnect`, and what it sends is dropped. uvicorn alone would let the application respond too, and log a
        traceback because h11 cannot send a second response.
        """
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()  # a response was already sent, or has begun

    def shutdown(self) -> None:
        """End the connection after the response in progress, and ask a response without an end to end."""
        super().shutdown()
        self.connection.end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        super().connection_lost(exc)
        self.connection.lost.set_result(None)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_overdue(self) -> None:
        """Close the connection; first send status 408 if a part of a request was received."""
        self._head_timer = None
        if self.transport.is_closing():
            return
        if not self.is_idle:
            detail = f"expected a complete request head within {HEAD_LIMIT:g} s, got a part of one; send it again"
            body = json.dumps({"detail": detail}).encode()
            headers = [
                ("content-type", "application/json"),
                ("content-length", f"{len(body)}"),
                ("connection", "close"),
            ]
            response = h11.Response(status_code=408, headers=headers, reason=b"Request Timeout")
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        self.transport.close()

    @property
    def _drops_body(self) -> bool:
        """Whether the response is sent, and the rest of the request's body is received only to be dropped."""
        return self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY

    @property
    def is_idle(self) -> bool:
        """Whether the connection waits for a request, and no part of a request was received."""
        received, _ = self.conn.trailing_data  # the beginning of a request
        return self.conn.their_state is h11.IDLE and not received


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with the logger of the mock.

    The usual loggers of uvicorn and websockets would log the session token.
    """

    is_idle = False
    """A WebSocket connection never waits for a request."""

    _unread = 0
    """Number of bytes received since writing was paused, because the client does not read."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # Any: passed on unchanged
        super().__init__(*args, **kwargs)
        self.logger = _connection_logger  # type: ignore[assignment]  # it has the methods that uvicorn calls
        self.conn.logger = _connection_logger
        self.app = _Connected(self, self.app)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.connection = TcpConnection(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.connection.lost.set_result(None)

    def shutdown(self) -> None:
        """Close the socket with code 1012, unless it is closing: uvicorn would then raise an error.

        A socket with TLS stays in this state until the client has answered the end of TLS.
        """
        if self.handshake_complete and not self.close_sent and self.conn.state is not State.OPEN:
            self.stop_keepalive()
            self.transport.close()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        self._unread = 0
        super().pause_writing()

    def data_received(self, data: bytes) -> None:
        if not self.writable.is_set():
            self._unread += len(data)
            if self._unread > UNREAD_BYTES:
                logger.warning(
                    "a client sent more than %d bytes on a WebSocket without reading; its connection is closed",
                    UNREAD_BYTES,
                )
                self.connection.abort()
                return
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None and not self.transport.is_closing():
            self._reject_handshake()

    def _reject_handshake(self) -> None:
        """Answer a handshake that websockets rejects while it parses the request.

        uvicorn would send nothing and keep the connection, because websockets then reports no event. Examples are a
        request line above 8192 bytes, more than 128 headers, and a request with a body.
        """
        # Empty for a request that websockets cannot parse.
        prepared = b"".join(self.conn.data_to_send())
        text = f"Failed to open a WebSocket connection: {self.conn.handshake_exc}.\n"
        self.transport.write(prepared or self.conn.reject(400, text).serialize())
        self.transport.close()

    async def send(self, message: Any) -> None:  # Any: a message of ASGI, as in uvicorn
        """Send an ASGI message. A complete response that rejects the handshake completes it.

        uvicorn would otherwise log an error for each such response.
        """
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    def send_receive_event_to_app(self) -> None:
        """Pass a complete message to the application; close the socket if it is a text message that is not UTF-8.

        uvicorn would also close the socket, but write a traceback into the log.
        """
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError as error:
                self.frames = []
                self.conn.fail(1007, f"{error.reason} at byte {error.start}")
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """Close the socket of a client that violated the protocol, and note how."""
        if self.conn.close_sent is not None:
            self.connection.violation = f"{self.conn.close_sent}"
        super().handle_parser_exception()


class _Connected:
    """ASGI middleware that adds the `TcpConnection` to the scope of every request."""

    def __init__(self, protocol: _HttpProtocol | _WebSocketProtocol, app: ASGIApp) -> None:
        self._protocol = protocol
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = self._protocol.connection
        extensions: MutableMapping[str, Any] = scope.setdefault("extensions", {})  # Any: as in ASGI
        extensions[EXTENSION] = connection
        await self._app(scope, receive, send)
        if connection.is_spoilt:
            # If the app returned before the connection is lost, uvicorn would report a missing response.
            await asyncio.wait([connection.lost])


class HttpServer:
    """An HTTP and WebSocket server: uvicorn without its signal handlers, and without its task that runs every 100 ms.

    uvicorn uses this task for the `Date` header. In the mock, `app.py` sets this header from the mock's clock.
    """

    def __init__(
        self, app: ASGIApp, listener: socket.socket, network: Network, *, tls: ssl.SSLContext | None = None
    ) -> None:
        """Prepare a server that listens on `listener`, with TLS if `tls` is given."""
        self._app = app
        self._tls = tls
        self._network = network
        self._listener = listener
        self._reserved: socket.socket | None = None
        """A bound socket that does not listen, which reserves the address while the server is away."""
        self._changing = asyncio.Lock()
        self.is_stopping = False
        """Whether the server is closing or closed, so that `go_away` and `come_back` have no effect."""
        self._draining = 0
        """Number of running `drain` calls."""
        self._config = Config(
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
        self._state = ServerState()

    async def __aenter__(self) -> Self:
        self._config.load()
        await self._listen(self._listener)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, and close all connections as `drain` does."""
        async with self._changing:
            self.is_stopping = True
            self._server.close()
            if self._reserved is not None:
                self._reserved.close()
        await self.drain()
        if self._state.tasks:
            # Requests on connections that were accepted just before the server stopped listening.
            await self.drain()
        self._abort_handshakes()
        # Without `abort_clients`, clients that never complete the TLS handshake would delay the exit by `HEAD_LIMIT`.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                await self._server.wait_closed()

    async def drain(self, *, keep_idle: bool = False) -> None:
        """Close the connections. Requests in progress may finish within `GRACE` seconds, and are then cut off.

        The shutdown of uvicorn is not used: it polls every 100 ms, and waits for clients that do not disconnect.

        Args:
            keep_idle: whether HTTP connections without a request in progress stay open.
        """
        protocols = [each for each in self._protocols() if not (keep_idle and each.is_idle)]
        tasks = self._state.tasks
        if not (protocols or tasks):
            return
        self._draining += 1
        try:
            await self._close_connections(protocols, tasks)
        finally:
            self._draining -= 1

    @staticmethod
    async def _close_connections(
        protocols: "list[_HttpProtocol | _WebSocketProtocol]", tasks: "set[asyncio.Task[None]]"
    ) -> None:
        for protocol in protocols:
            if protocol.connection.is_held:
                protocol.connection.abort()
            else:
                protocol.shutdown()
        running = set(tasks)
        if running:
            await asyncio.wait(running, timeout=GRACE)
        for protocol in protocols:
            protocol.connection.abort()
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        if protocols:
            # A client must not send its next request on a connection that is about to be closed.
            await asyncio.wait([protocol.connection.lost for protocol in protocols])

    @property
    def is_idle(self) -> bool:
        """Whether the server is online, no request is in progress, and every connection waits for a request."""
        return not (self.is_away or self._state.tasks) and all(each.is_idle for each in self._protocols())

    @property
    def is_away(self) -> bool:
        """Whether the server is offline and can come back."""
        return self._reserved is not None

    async def go_away(self) -> None:
        """Stop listening and cut every connection; return once all connections are closed.

        Has no effect if the server is already offline.

        New connections are refused, but the address stays reserved. Handlers of requests in progress continue.
        """
        async with self._changing:
            if self.is_stopping or self._reserved is not None:
                return
            address = self._server.sockets[0].getsockname()
            self._server.close()
            self._reserved = self._network.reserve(self._listener, address)
            connections = [protocol.connection for protocol in self._protocols()]
        for connection in connections:
            connection.abort()
        self._abort_handshakes()
        if connections:
            await asyncio.wait([connection.lost for connection in connections])

    async def come_back(self) -> None:
        """Listen again on the same address. Has no effect if the server is not offline."""
        async with self._changing:
            if self.is_stopping or self._reserved is None:
                return
            listener, self._reserved = self._reserved, None
            share(listener, True)
            await self._listen(listener)

    async def _listen(self, listener: socket.socket) -> None:
        """Accept connections on `listener`. `startup` of uvicorn's `Server` has no setting for the TLS handshake."""
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol if self._tls is None else self._sliced_protocol,
            sock=listener,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else HEAD_LIMIT,
            backlog=self._config.backlog,
        )

    def _protocol(self) -> _HttpProtocol:
        return _HttpProtocol(config=self._config, server_state=self._state, app_state={})

    def _sliced_protocol(self) -> SlicingProtocol:
        """Create the protocol of a connection with TLS, whose transport has no `max_size`."""
        return SlicingProtocol(self._protocol(), READ_BYTES)

    def _abort_handshakes(self) -> None:
        """Close the connections whose TLS handshake is not complete, which have no protocol yet, and all others.

        Python 3.12 and uvloop have no call for it.
        """
        if hasattr(self._server, "abort_clients"):
            self._server.abort_clients()

    def _protocols(self) -> list[_HttpProtocol | _WebSocketProtocol]:
        connections = self._state.connections
        ours = [each for each in connections if isinstance(each, _HttpProtocol | _WebSocketProtocol)]
        return sorted(ours, key=lambda each: each.connection.number)  # uvicorn's set of connections has no order

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.is_away:
            # The connection was accepted while the server was going away.
            connection_of(scope).abort()
            return
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # `drain` has cut the connection and cancelled the request. uvicorn would log that as an error.
            if not self._draining:
                raise
