"""Async tests that run the mock in their own event loop, which is a loop of uvloop."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import httpx
import pytest
import pytest_asyncio

from odyssey_client import AdvancedConfig, BroadcastInfo, Odyssey
from odyssey_mock import MockOdyssey

pytestmark = pytest.mark.asyncio
LARGE = b"x" * 2**20
"""A request body that is larger than the buffers of the server, which pauses reading until a request handler reads."""


@pytest_asyncio.fixture
async def mock() -> AsyncIterator[MockOdyssey]:
    async with MockOdyssey(portrait_size=(176, 320)) as mock:
        yield mock


@pytest_asyncio.fixture
async def http(mock: MockOdyssey) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=mock.url) as http:
        yield http


async def test_mock_answers_requests(http: httpx.AsyncClient) -> None:
    assert (await http.get("/_mock/state")).status_code == 200


async def test_prompt_is_applied(mock: MockOdyssey) -> None:
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        await client.connect()
        await client.start_stream("A cat on a windowsill")
        applied = await client.interact("Pet the cat")
        await client.end_stream()

    assert "Pet the cat" in applied
    mock.expect_in_order(["stream_started", "update_acknowledged", "stream_ended"])


async def test_spectator_gets_frames(mock: MockOdyssey) -> None:
    ready: asyncio.Future[BroadcastInfo] = asyncio.get_running_loop().create_future()
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        await client.connect(on_broadcast_ready=ready.set_result)
        await client.start_stream("A floating alien temple", broadcast=True)
        info = await ready
        async with await Odyssey.connect_to_stream(info.webrtc_url, info.spectator_token) as spectator:
            frame = await anext(spectator.frames())

    assert (frame.width, frame.height) == (176, 320)


@pytest.mark.parametrize(("fault", "expected"), [("reset", httpx.ReadError), ("truncate", httpx.RemoteProtocolError)])
async def test_fault_breaks_connection(
    mock: MockOdyssey, http: httpx.AsyncClient, fault: Literal["reset", "truncate"], expected: type[Exception]
) -> None:
    mock.faults.add(at="rest.auth.token", do=fault)
    with pytest.raises(expected):
        await http.post("/auth/token", json={"api_key": mock.api_key})


async def test_server_notices_client_that_gives_up(mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    token = (await http.post("/auth/token", json={"api_key": mock.api_key})).json()["access_token"]
    mock.faults.add(at="rest.simulations.create", do="no_answer")
    with pytest.raises(httpx.ReadTimeout):
        await http.post("/simulation-jobs", content=LARGE, headers={"Authorization": f"Bearer {token}"}, timeout=0.2)

    assert (await mock.wait_for("rest", "POST /simulation-jobs")).data["status"] is None


async def test_connection_is_resumed_after_outage(mock: MockOdyssey) -> None:
    settings = AdvancedConfig(initial_retry_delay_ms=10, telemetry=False)
    statuses: asyncio.Queue[str] = asyncio.Queue()
    async with Odyssey(mock.api_key, api_url=mock.url, advanced=settings) as client:
        await client.connect(on_status_change=statuses.put_nowait)
        await mock.go_away()
        while await statuses.get() != "reconnecting":
            pass
        await mock.come_back()
        while await statuses.get() != "connected":
            pass


async def test_silent_peer_counts_as_lost() -> None:
    settings = AdvancedConfig(initial_retry_delay_ms=10, telemetry=False, peer_timeout_s=1)
    statuses: asyncio.Queue[str] = asyncio.Queue()
    async with (
        MockOdyssey(clock="manual", portrait_size=(176, 320)) as mock,
        Odyssey(mock.api_key, api_url=mock.url, advanced=settings) as client,
    ):
        mock.faults.add(at="peer.connected", do="freeze", seconds=1, times=1)
        await client.connect(on_status_change=statuses.put_nowait)
        await mock.advance(1)
        while await statuses.get() != "reconnecting":
            pass
        while await statuses.get() != "connected":
            pass


async def test_closing_mock_ends_requests_in_progress() -> None:
    async with httpx.AsyncClient() as http:
        async with MockOdyssey() as mock:
            mock.faults.add(at="rest.auth.token", do="no_answer")
            waiting = asyncio.create_task(http.post(f"{mock.url}/auth/token", json={"api_key": mock.api_key}))
            await mock.wait_for("fault", "rest.auth.token")
        with pytest.raises(httpx.RemoteProtocolError):
            await waiting
