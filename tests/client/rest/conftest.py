"""Fixtures for tests of the REST calls: a fake service with scripted responses, and HTTP transports that use it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import h11
import pytest

from odyssey_client.config import AdvancedConfig, ClientConfig
from odyssey_client.rest.transport import Transport
from odyssey_client.system import SystemClock, SystemEntropy, SystemNetwork
from tests.support.downloading import Downloads
from tests.support.file_server import FileServer, file_server

API_KEY = "ody_conftest_key"


@dataclass
class Asked:
    """A request that the fake service has received."""

    call: str
    headers: dict[str, str]
    body: Any


@dataclass
class Answer:
    """A response of the fake service.

    If ``until`` is set, the service waits for this event before it responds. If ``raw`` is set, the service sends these
    bytes instead of an HTTP response, and closes the connection.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    until: asyncio.Event | None = None
    raw: bytes | None = None


type Script = Answer | list[Answer] | Callable[[Asked], Awaitable[Answer]]


class Service:
    """A fake HTTP service with a script for each call. A call is a method and a path, such as ``POST /auth/token``.

    A script is one answer, a list of answers, or an async function that returns the answer to a request. The last
    answer of a list is repeated.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.got = asyncio.Event()
        self.url = ""
        self.connections = 0
        self.opened = 0
        self.script: dict[str, Script] = {
            "POST /auth/token": Answer(body={"access_token": "access-1", "token_type": "bearer", "expires_in": 3600}),
        }

    def calls(self, call: str | None = None) -> list[Asked]:
        return [asked for asked in self.asked if call in {None, asked.call}]

    def change(self, call: str, change: dict[str, Any]) -> None:
        """Add the fields of ``change`` to the JSON body of the scripted answer to ``call``, or replace them there."""
        right = self.script[call]
        assert isinstance(right, Answer)
        self.script[call] = Answer(body={**right.body, **change})

    async def until_asked(self, call: str, times: int = 1) -> None:
        async with asyncio.timeout(5):
            while len(self.calls(call)) < times:
                self.got.clear()
                await self.got.wait()

    async def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        self.got.set()
        script = self.script.get(asked.call, Answer(404, {"detail": "Not Found"}))
        if callable(script):
            return await script(asked)
        if isinstance(script, list):
            return script.pop(0) if len(script) > 1 else script[0]
        return script

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.opened += 1
        try:
            with contextlib.suppress(ConnectionError):
                await self._serve(reader, writer)
        finally:
            self.connections -= 1
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        while True:
            asked = await self._read(http, reader)
            if asked is None:
                return
            answer = await self.answer(asked)
            if answer.until is not None and not await _happens(answer.until, reader):
                return
            if answer.raw is not None:
                writer.write(answer.raw)
                await writer.drain()
                return
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
            for event in (
                h11.Response(status_code=answer.status, headers=list(headers.items())),
                h11.Data(body),
                h11.EndOfMessage(),
            ):
                writer.write(http.send(event) or b"")
            await writer.drain()
            http.start_next_cycle()

    async def _read(self, http: h11.Connection, reader: asyncio.StreamReader) -> Asked | None:
        request, body = None, b""
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                headers = {name.decode().lower(): value.decode() for name, value in request.headers}
                call = f"{request.method.decode()} {request.target.decode()}"
                return Asked(call, headers, json.loads(body) if body else None)
            else:
                return None


async def _happens(event: asyncio.Event, reader: asyncio.StreamReader) -> bool:
    """Wait until ``event`` is set, or until the client disconnects or sends data. Return whether ``event`` is set."""
    waiters = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(reader.read(1))]
    _, pending = await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    for waiter in pending:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    return event.is_set()


class VirtualClock:
    """A clock whose `sleep` returns at once and advances the clock.

    `timeout` uses real time, because the sockets are real.
    """

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.slept: list[float] = []
        self._real = SystemClock()

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await self._real.sleep(0)

    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        return self._real.timeout(seconds)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """Run and yield a fake service. Assert at the end that the client has no open connection and no running task."""
    before = asyncio.all_tasks()
    service = Service()
    async with await asyncio.start_server(service.serve, "127.0.0.1", 0) as server:
        service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield service
    assert service.connections == 0
    assert not {task for task in asyncio.all_tasks() - before if task.get_name().startswith("odyssey")}


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


type MakeTransport = Callable[..., Transport]


@pytest.fixture
async def make(service: Service, clock: VirtualClock) -> AsyncIterator[MakeTransport]:
    """Yield a function that creates HTTP transports for the fake service. They are closed at the end.

    The function accepts an API key, a URL, a clock and the fields of `AdvancedConfig` as keyword arguments.
    """
    made: list[Transport] = []

    def make(
        *, api_key: str | None = API_KEY, api_url: str | None = None, clock: Any = clock, **advanced: Any
    ) -> Transport:
        config = ClientConfig(api_key, api_url or service.url, AdvancedConfig(**advanced))
        made.append(Transport(config, clock=clock, entropy=SystemEntropy(), network=SystemNetwork()))
        return made[-1]

    yield make
    for transport in made:
        await transport.aclose()


@pytest.fixture
def transport(make: MakeTransport) -> Transport:
    return make()


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    """Run an HTTP server that serves a single file."""
    async with file_server() as server:
        yield server


@pytest.fixture
def downloads(server: FileServer, make: MakeTransport) -> Downloads:
    """Return a `Downloads` with a new HTTP transport."""
    return Downloads(make())
