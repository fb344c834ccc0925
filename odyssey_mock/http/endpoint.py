"""The addresses of a server: a TCP port for HTTP and WebSocket, and a UDP port for STUN."""

import asyncio
import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Protocol, Self

from starlette.types import ASGIApp, Receive, Scope, Send

from odyssey_mock.core.network import ListenError
from odyssey_mock.core.udp_ports import PortRange
from odyssey_mock.core.url_parts import Authority, BaseUrl, is_loopback
from odyssey_mock.http.uvicorn_server import HttpServer
from odyssey_mock.rtc.protocols import MockNetwork
from odyssey_mock.rtc.stun import StunResponder

_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a key of this mapping
"""For each address that means all interfaces: the host in the URL of a server that listens on it."""

_OTHER_PORTS = "Set another range (udp_ports, --udp-ports); ports below 1024 may need the rights of root"


class Serving(Protocol):
    """The HTTP server of one mock, which can go offline and come back."""

    @property
    def is_away(self) -> bool:
        """Whether the server is offline and can come back."""

    @property
    def is_stopping(self) -> bool:
        """Whether the mock is closing or closed, so that `go_away` and `come_back` have no effect."""

    async def go_away(self) -> None:
        """Stop listening and cut every connection; see `HttpServer.go_away`."""

    async def come_back(self) -> None:
        """Listen again on the same address. Has no effect if the server is not offline."""


class Endpoint(Protocol):
    """The addresses of a mock, at which it serves HTTP and STUN."""

    @property
    def base_url(self) -> str:
        """The HTTP URL, without a trailing slash."""

    @property
    def stun_port(self) -> int:
        """The UDP port of the mock's STUN server, which listens on the same address as HTTP."""

    @property
    def is_loopback(self) -> bool:
        """Whether it listens only on a loopback address, which other machines cannot reach."""

    def accepts(self, address: str) -> bool:
        """Return whether a connection to an address of this machine arrives here."""

    def serve(self, app: ASGIApp) -> AbstractAsyncContextManager[Serving]:
        """Return an async context manager that passes HTTP and WebSocket requests to `app` during its block."""


class OwnEndpoint:
    """The endpoint of one mock. An async context manager: its ports are open during the block."""

    def __init__(
        self,
        network: MockNetwork,
        host: str,
        port: int,
        udp_ports: PortRange | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare an endpoint on `host` and TCP port `port`; port 0 picks a free port. With `tls`, it serves https.

        STUN listens on the first free port of `udp_ports`; None picks any free port.
        """
        self._network = network
        self._host = host
        self._port = port
        self._udp_ports = udp_ports
        self._tls = tls

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as resources:
            self._listener = self._network.listen(self._host, self._port)
            resources.callback(self._listener.close)
            stun, responder = await self._listen_for_stun()
            resources.push_async_callback(responder.close)
            reachable = _LOOPBACK_OF.get(self._host, self._host)
            address, port = self._listener.getsockname()[:2]
            self.base_url = str(BaseUrl("http" if self._tls is None else "https", Authority.of(reachable, port)))
            self._address = str(address)
            self._accepts_ipv4 = _accepts_ipv4(self._listener)
            self.is_loopback = is_loopback(self._address)
            self.stun_port: int = stun.get_extra_info("sockname")[1]
            self._resources = resources.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.__aexit__(kind, error, trace)

    async def _listen_for_stun(self) -> tuple[asyncio.DatagramTransport, StunResponder]:
        if self._udp_ports is None:
            return await self._network.datagrams(StunResponder, self._host, 0)
        for port in range(self._udp_ports.first, self._udp_ports.last + 1):
            try:
                return await self._network.datagrams(StunResponder, self._host, port)
            except ListenError as error:
                if error.errno != errno.EADDRINUSE:
                    reason = os.strerror(error.errno or 0)
                    raise ListenError(
                        error.errno, f"cannot listen on {self._host} UDP port {port}: {reason}. {_OTHER_PORTS}"
                    ) from error
        raise ListenError(
            errno.EADDRINUSE,
            f"cannot listen on {self._host}: all UDP ports of the range {self._udp_ports} are in use. {_OTHER_PORTS}",
        )

    def accepts(self, address: str) -> bool:
        """Return whether a connection to an address of this machine arrives here."""
        own, other = (ipaddress.ip_address(each.partition("%")[0]) for each in (self._address, address))
        if own.is_unspecified:
            return own.version == other.version or (own.version == 6 and self._accepts_ipv4)
        return own == other

    def serve(self, app: ASGIApp) -> HttpServer:
        """Return an HTTP server for `app`: an async context manager that listens on the address during its block."""
        return HttpServer(app, self._listener, self._network, tls=self._tls)


def _accepts_ipv4(listener: socket.socket) -> bool:
    """Return whether a socket that listens on all IPv6 addresses accepts connections to IPv4 addresses too."""
    if listener.family is not socket.AF_INET6:
        return True
    return not listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


class SharedEndpoint:
    """An endpoint that several mocks use one after the other. An async context manager, like `OwnEndpoint`.

    Its ports stay open between the mocks, so that all mocks have the same address.
    """

    def __init__(self, network: MockNetwork, host: str, port: int, around: Callable[[ASGIApp], ASGIApp]) -> None:
        """Prepare an endpoint. `around(app)` returns an ASGI application, which receives all requests.

        That application can pass requests to `app`. `app` passes them to the running mock, and responds with status
        503 if no mock is running.
        """
        self._own = OwnEndpoint(network, host, port)
        self._app = around(self._pass_on)
        self._turn: _Turn | None = None

    @property
    def base_url(self) -> str:
        """The HTTP URL, without a trailing slash."""
        return self._own.base_url

    @property
    def stun_port(self) -> int:
        """The UDP port of the mock's STUN server, which listens on the same address as HTTP."""
        return self._own.stun_port

    @property
    def is_loopback(self) -> bool:
        """Whether it listens only on a loopback address, which other machines cannot reach."""
        return self._own.is_loopback

    def accepts(self, address: str) -> bool:
        """Return whether a connection to an address of this machine arrives here."""
        return self._own.accepts(address)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as resources:
            await resources.enter_async_context(self._own)
            self._http = await resources.enter_async_context(self._own.serve(self._app))
            self._resources = resources.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.__aexit__(kind, error, trace)

    def serve(self, app: ASGIApp) -> "_Turn":
        """Return an async context manager that passes requests to `app` during its block.

        Entering the context manager raises `RuntimeError` while the endpoint serves another mock.
        """
        return _Turn(app, self._http, self)

    def release(self) -> bool:
        """End the period of the running mock if this needs no wait; return whether it has ended.

        It needs no wait if no request is in progress and every connection waits for a request. Other threads may call
        this method while the event loop of the endpoint is idle.
        """
        if self._turn is None or not self._http.is_idle:
            return False
        self._turn.is_stopping = True
        self._turn = None
        return True

    def give_to(self, turn: "_Turn | None") -> None:
        """Pass all later requests to `turn.app`; if `turn` is None, respond to them with status 503.

        Raises:
            RuntimeError: the endpoint already passes requests to another mock.
        """
        if turn is not None and self._turn is not None:
            raise RuntimeError(f"expected {self.base_url} to serve no mock yet, got a running one; close it first")
        self._turn = turn

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._turn is not None:
            await self._turn.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1013, "reason": "no mock is running"})
        else:
            body = b'{"detail":"no mock is running at this address"}'
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 503, "headers": headers})
            await send({"type": "http.response.body", "body": body})


class _Turn:
    """The period in which a shared endpoint passes its requests to the app of one mock."""

    def __init__(self, app: ASGIApp, http: HttpServer, endpoint: SharedEndpoint) -> None:
        self.app = app
        self.is_stopping = False
        self._http = http
        self._endpoint = endpoint

    @property
    def is_away(self) -> bool:
        """Whether the server is offline and can come back."""
        return not self.is_stopping and self._http.is_away

    async def go_away(self) -> None:
        """Stop listening and cut every connection."""
        if not self.is_stopping:
            await self._http.go_away()

    async def come_back(self) -> None:
        """Listen again on the same address."""
        if not self.is_stopping:
            await self._http.come_back()

    async def __aenter__(self) -> Self:
        self._endpoint.give_to(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let requests in progress finish, and close their connections.

        Idle connections stay open: a client with a connection pool need not connect again for the next mock.
        """
        if self.is_stopping:
            return  # already ended by `release`
        self.is_stopping = True
        self._endpoint.give_to(None)
        await self._http.come_back()
        await self._http.drain(keep_idle=True)
