"""Tests of the client's system clock, entropy and network, of log levels, and of the default platform."""

import asyncio
import ipaddress
import logging
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from odyssey_client import Odyssey
from odyssey_client.platform import Network, Platform
from odyssey_client.system import (
    SystemClock,
    SystemEntropy,
    SystemNetwork,
    default_platform,
    platform_by_default,
    wrap_system_network,
)
from odyssey_client.trace import default_recorder, record_by_default

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def test_clock_limits_blocks_and_measures_time() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    with pytest.raises(TimeoutError):
        async with clock.timeout(0.01):
            await asyncio.Event().wait()
    async with clock.timeout(None):
        await clock.sleep(0)
    assert clock.monotonic() - before >= 0.009
    assert clock.time() > 1.7e9


def test_entropy_gives_uuids_and_numbers_in_range() -> None:
    entropy = SystemEntropy()
    assert uuid.UUID(entropy.uuid()).version == 4
    assert all(1 <= entropy.uniform(1, 2) <= 2 for _ in range(100))


def test_ice_addresses_of_this_machine_are_valid() -> None:
    assert all(ipaddress.ip_address(address) for address in SystemNetwork().ice_addresses())


async def test_websocket_sends_large_messages_and_logs_no_token(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    caplog.set_level(logging.DEBUG, logger="odyssey_client")
    seen: list[str] = []

    async def echo(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(connection.request.path)
        async for message in connection:
            await connection.send(f"{len(message)} characters")

    async with serve(echo, "127.0.0.1", 0, max_size=2**26) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with SystemNetwork().websocket(f"ws://127.0.0.1:{port}/client/s?token=s3cret.jwt") as connection:
            await connection.send("x" * (17 * 2**20))
            assert await connection.recv() == "17825792 characters"
    assert seen == ["/client/s?token=s3cret.jwt"]
    assert "> GET /client/s HTTP/1.1" in caplog.text
    assert "> TEXT [17825792 bytes]" in caplog.text
    assert "s3cret" not in caplog.text


async def test_refused_websocket_raises_error_with_http_status() -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response:
        return Response(403, "Forbidden", Headers())

    async def never(connection: ServerConnection) -> None:
        raise AssertionError("expected the server to reject the WebSocket with status 403, but it opened")

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(Exception, match="HTTP 403"):
            async with SystemNetwork().websocket(f"ws://127.0.0.1:{port}/"):
                pass


def test_importing_client_modules_loads_no_heavy_library() -> None:
    ours = ["config", "errors", "models", "system", "media.image", "rest.regions", "rest.sessions", "rest.telemetry"]
    heavy = ["aiortc", "av", "numpy", "PIL", "httpx", "websockets", "ifaddr", "pillow_heif"]
    imports = "; ".join(f"import odyssey_client.{module}" for module in ours)
    code = f"{imports}; import sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def unrecorded() -> Iterator[None]:
    """Prevent that the pytest plugin records the clients of the test, whose networks it would wrap."""
    before = default_recorder()
    record_by_default(None)
    yield
    record_by_default(before)


@pytest.mark.usefixtures("unrecorded")
async def test_clients_in_a_block_use_its_default_platform() -> None:
    mine = Platform(SystemClock(), SystemEntropy(), SystemNetwork())
    other = SystemClock()

    async def deep_inside() -> Odyssey:
        return Odyssey("ody_key")

    with platform_by_default(lambda: mine):
        task = asyncio.create_task(deep_inside())
        with platform_by_default(lambda: mine._replace(clock=other)):
            assert default_platform().clock is other
        given = Odyssey("ody_key", clock=other)
    within = await task
    assert (within._clock, within._entropy, within._network) == mine
    assert (given._clock, given._entropy, given._network) == (other, mine.entropy, mine.network)
    assert Odyssey("ody_key")._network is not mine.network


@pytest.mark.usefixtures("unrecorded")
def test_networks_of_all_threads_are_wrapped() -> None:
    wrapped: list[Network] = []

    def wrap(network: Network) -> Network:
        wrapped.append(network)
        return mine

    mine, own = SystemNetwork(), SystemNetwork()
    wrap_system_network(wrap)
    try:
        with ThreadPoolExecutor(1) as threads:
            in_thread = threads.submit(Odyssey, "ody_key").result()
        given = Odyssey("ody_key", network=own)
    finally:
        wrap_system_network(None)

    assert in_thread._network is mine
    assert given._network is own
    assert Odyssey("ody_key")._network is not mine
    assert {type(each) for each in wrapped} == {SystemNetwork}
