"""Tests that uvicorn, Starlette, httpx and websockets run unmodified in the simulated world."""

from collections.abc import AsyncGenerator

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError

from odyssey_mock.sim.world import CLIENT, World
from tests.support.simulated_worlds import HOST, complete, of, play_nothing, wait


async def says(request: Request) -> JSONResponse:
    body = await request.body()
    assert request.client is not None
    return JSONResponse({"bytes": len(body), "client": request.client.host})


async def drips(_: Request) -> StreamingResponse:
    async def drops() -> AsyncGenerator[bytes, None]:
        for _ in range(3):
            yield b"drop"
            await wait(10)

    return StreamingResponse(drops())


class Application:
    """A Starlette application that uvicorn serves on its own simulated host.

    As a context manager it starts the server and returns an HTTP client for it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        world.wire.host(HOST)
        routes = [Route("/", says, methods=["POST"]), Route("/drips", drips)]
        config = uvicorn.Config(
            Starlette(routes=routes), host="0.0.0.0", port=80, lifespan="on", log_config=None, ws="none"
        )
        self._server = uvicorn.Server(config)
        self._server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # exists in older versions

    async def __aenter__(self) -> httpx.AsyncClient:
        self._task = self._world.spawn(HOST, self._server._serve())
        while not self._server.started:
            await wait(0.1)
        self._client = httpx.AsyncClient(base_url=f"http://{HOST}", transport=httpx.AsyncHTTPTransport())
        return self._client

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        self._server.should_exit = True
        await self._task


def test_uvicorn_starlette_and_httpx_run_unmodified() -> None:
    async def scenario(world: World) -> float:
        world.wire.set_defaults(latency=(0.01, 0.05))
        async with Application(world) as client:
            for size in (0, 10, 1_000_000):
                answer = await client.post("/", content=bytes(size))
                assert answer.json() == {"bytes": size, "client": world.wire.address(CLIENT)}
            began = world.now()
            async with client.stream("GET", "/drips", timeout=60) as stream:
                assert [chunk async for chunk in stream.aiter_bytes()] == [b"drop"] * 3
            return world.now() - began

    went = complete(scenario)
    assert went.result == pytest.approx(30, abs=0.5)
    assert went.left == ()


def test_httpx_timeouts_use_virtual_time() -> None:
    async def scenario(world: World) -> None:
        async with Application(world) as client:
            await client.post("/")
            world.wire.cut(HOST, CLIENT)
            began = world.now()
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/", timeout=25)
            assert world.now() - began == pytest.approx(25)
            with pytest.raises(httpx.ConnectTimeout):
                await client.post("/", timeout=25)
            world.wire.heal()
            assert (await client.post("/")).status_code == 200
            world.wire.reset(CLIENT, HOST)
            status = (await client.post("/")).status_code
            assert status == 200, f"expected 200 over a new connection after the reset, got {status}"

    play_nothing(scenario)


def test_websockets_runs_unmodified() -> None:
    async def scenario(world: World) -> None:
        world.wire.host(HOST)

        async def echo(socket: ServerConnection) -> None:
            async for message in socket:
                await socket.send(message)

        world.wire.set_defaults(latency=(0.01, 0.05))
        server = await world.spawn(HOST, of(serve(echo, "0.0.0.0", 80, ping_interval=20, ping_timeout=20)))
        async with connect(f"ws://{HOST}", ping_interval=None) as socket:
            for size in (0, 1, 200_000):
                await socket.send(bytes(size))
                assert await socket.recv() == bytes(size)
            await wait(1000)  # pings are acknowledged
            world.wire.cut(CLIENT, HOST)
            await wait(100)  # pings are not acknowledged any more
            world.wire.heal()
            with pytest.raises(ConnectionClosedError):
                await socket.recv()
        server.close()
        await server.wait_closed()

    play_nothing(scenario)
