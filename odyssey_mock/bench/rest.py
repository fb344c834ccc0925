"""`bench rest`: the CPU time of a response of the mock, compared with that of a bare Starlette route.

Both applications run on uvicorn in the event loop of the benchmark. The bare routes parse the same bodies, and return
the same JSON. `rest` is a whole request of an httpx client, as a test sends it. The other rows have a client that only
writes prepared bytes: they show what the mock adds, such as authorization, faults and the journal.
"""

import asyncio
import contextlib
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import override
from urllib.parse import urlsplit

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from odyssey_client.models import JSON
from odyssey_mock.bench.rows import Row
from odyssey_mock.server import MockOdyssey

TARGET = 1.2
SERVER_TARGET = 3.0
"""The mock's part of a response took 2.7 times that of the bare route when this benchmark was written."""
ROUNDS, REQUESTS = 20, 100
QUICK_ROUNDS, QUICK_REQUESTS = 8, 60
"""Number of rounds, and of the requests to each application in a round."""
LIMIT = 60.0
"""Timeout in seconds of the requests of one round."""
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The context of clients that only send requests over HTTP: httpx does not load the certificates of the system."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that both applications can answer.

    Attributes:
        name: its name in the results.
        method: HTTP method.
        path: path of the route.
        answer: JSON of the response.
        body: JSON of the request; None for no body.
        token: access token; empty for none.
    """

    name: str
    method: str
    path: str
    answer: JSON
    body: JSON = None
    token: str = ""

    def encoded(self, host: str) -> bytes:
        """Return the bytes of the request."""
        content = b"" if self.body is None else json.dumps(self.body).encode()
        head = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}", "Accept: */*"]
        if self.token:
            head.append(f"Authorization: Bearer {self.token}")
        if content:
            head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        return "\r\n".join([*head, "", ""]).encode() + content


async def run(*, quick: bool = False) -> list[Row]:
    """Compare the CPU time of the responses, measured in turns."""
    rounds, count = (QUICK_ROUNDS, QUICK_REQUESTS) if quick else (ROUNDS, REQUESTS)
    async with MockOdyssey() as mock:
        async with httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http:
            credentials: JSON = {"api_key": mock.api_key}
            granted = (await http.post("/auth/token", json=credentials)).raise_for_status().json()
            token = granted["access_token"]
            listed = (
                (await http.get("/regions", headers={"Authorization": f"Bearer {token}"})).raise_for_status().json()
            )
        exchanges = [
            Exchange("regions", "GET", "/regions", listed, token=token),
            Exchange("token", "POST", "/auth/token", granted, body=credentials),
        ]
        async with _bare_server(exchanges) as bare_url:
            whole = await _whole_requests(exchanges[0], mock.url, bare_url, rounds, count)
            return [whole, *[await _responses(each, mock.url, bare_url, rounds, count) for each in exchanges]]


async def _whole_requests(exchange: Exchange, url: str, bare_url: str, rounds: int, count: int) -> Row:
    """Compare requests of httpx."""
    headers = {"Authorization": f"Bearer {exchange.token}"}
    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES, headers=headers) as client:

        async def request(base: str) -> None:
            (await client.request(exchange.method, base + exchange.path)).raise_for_status()

        ours, bare = await _in_turns(partial(request, url), partial(request, bare_url), rounds, count)
    return Row("rest", ours, bare, "ms of CPU", TARGET)


async def _responses(exchange: Exchange, url: str, bare_url: str, rounds: int, count: int) -> Row:
    """Compare responses to prepared requests."""
    async with _connected(url) as client, _connected(bare_url) as bare_client:
        ours, bare = await _in_turns(
            partial(client.send, exchange.encoded(urlsplit(url).netloc)),
            partial(bare_client.send, exchange.encoded(urlsplit(bare_url).netloc)),
            rounds,
            count,
        )
    return Row(f"rest, {exchange.name}", ours, bare, "ms of CPU", SERVER_TARGET)


async def _in_turns(
    ours: Callable[[], Awaitable[None]], bare: Callable[[], Awaitable[None]], rounds: int, count: int
) -> tuple[list[float], list[float]]:
    """Send `count` requests of each kind in each round; return the CPU milliseconds of one request, for each round."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for of_side, request in zip(times, (ours, bare), strict=True):
            began = time.process_time()
            async with asyncio.timeout(LIMIT):
                for _ in range(count):
                    await request()
            of_side.append((time.process_time() - began) * 1000 / count)
    # The first round also creates routes and fills caches.
    return times[0][1:], times[1][1:]


class _Connection(asyncio.Protocol):
    """A connection of a client that does as little work as possible."""

    def __init__(self) -> None:
        self._received = b""
        self._answered: asyncio.Future[None] | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        if self._answered is None or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]):
            return
        if head.startswith(b"HTTP/1.1 200 "):
            self._answered.set_result(None)
        else:
            self._answered.set_exception(RuntimeError(f"expected a response with status 200, got {head[:40]!r}"))

    def send(self, request: bytes) -> asyncio.Future[None]:
        """Send a request; return a future that is done when the response has arrived."""
        self._received = b""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answered

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[_Connection]:
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, address.hostname, address.port)
    try:
        yield connection
    finally:
        connection.close()


class _BareServer(uvicorn.Server):
    """uvicorn without its signal handlers, which would replace those of the command."""

    @override
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # a generator in uvicorn
        return contextlib.nullcontext()


@asynccontextmanager
async def _bare_server(exchanges: Sequence[Exchange]) -> AsyncIterator[str]:
    """Serve a bare Starlette application with a route for each exchange; yield its URL."""

    def route(exchange: Exchange) -> Route:
        async def respond(request: Request) -> JSONResponse:
            if request.method == "POST":
                await request.json()
            return JSONResponse(exchange.answer)

        return Route(exchange.path, respond, methods=[exchange.method])

    app = Starlette(routes=[route(each) for each in exchanges])
    # asyncio sets TCP_NODELAY only if the protocol is stated. Without it, each response takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = _BareServer(uvicorn.Config(app, http="h11", lifespan="off", log_level="warning", access_log=False))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            # Until uvicorn accepts connections, they wait in the queue of the listening socket.
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            async with asyncio.timeout(LIMIT):
                await serving
