"""Tests of the network that counts streams and simulations, with the mock of the test as the service."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from PIL import Image

from odyssey_client import ConnectionStatus, Odyssey, OdysseyError, Script, StatusChanged
from odyssey_client.connection.signaling import end_session
from odyssey_client.platform import Network
from odyssey_client.system import SystemClock, SystemNetwork
from odyssey_mock import MockOdyssey
from odyssey_mock.testing.live.budget import StreamBudget
from odyssey_mock.testing.live.metered_network import Meter, seconds_of_job
from tests.support.stream_budget import Denied, Time, deny

IMAGE = Image.new("RGB", (64, 64))
CHECK_S = 0.01
"""Seconds between two checks of the budget, so that tests need not wait."""
LIMIT_S = 20.0
"""Timeout in seconds for the end of a connection, or until it is restored."""


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def meter(odyssey_mock: MockOdyssey, time: Time) -> Meter:
    budget = StreamBudget(100, "nothing is left", deny=deny, now=lambda: time.now)
    return Meter(budget, odyssey_mock.url, check_s=CHECK_S)


async def until_disconnected(client: Odyssey) -> None:
    async with asyncio.timeout(LIMIT_S):
        statuses = [event.status async for event in client.events() if isinstance(event, StatusChanged)]
    assert statuses == ["disconnected"]


@pytest_asyncio.fixture
async def client(odyssey_mock: MockOdyssey, meter: Meter) -> AsyncIterator[Odyssey]:
    network: Network = meter.wrap(SystemNetwork())
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, network=network) as client:
        yield client


async def test_stream_is_counted_from_start_to_end(client: Odyssey, meter: Meter, time: Time) -> None:
    await client.connect()
    time.now += 1
    await client.start_stream("A cat")
    time.now += 2
    await client.interact("Pet the cat")
    time.now += 3
    await client.end_stream()
    time.now += 4

    assert meter.budget.used == 5


async def test_stream_is_counted_while_its_connection_is_restored(
    client: Odyssey, odyssey_mock: MockOdyssey, meter: Meter, time: Time
) -> None:
    await client.connect()
    await client.start_stream("A cat")
    session = client.current_session_id
    assert session is not None
    events = client.events()

    async def happened(status: ConnectionStatus) -> None:
        async with asyncio.timeout(LIMIT_S):
            while getattr(await anext(events), "status", None) is not status:
                continue

    time.now += 1
    await odyssey_mock.sessions[session].close_socket(1011)
    await happened(ConnectionStatus.RECONNECTING)
    time.now += 2
    await happened(ConnectionStatus.CONNECTED)
    time.now += 3
    await client.end_stream()
    time.now += 4

    assert client.current_session_id == session
    assert meter.budget.used == 6


async def test_stream_is_counted_until_the_client_disconnects(client: Odyssey, meter: Meter, time: Time) -> None:
    await client.connect()
    await client.start_stream("A cat")
    time.now += 1
    await client.disconnect()
    time.now += 2
    await client.connect()
    time.now += 3

    assert meter.budget.used == 1


async def test_stream_with_an_image_is_counted_and_denied(
    client: Odyssey, odyssey_mock: MockOdyssey, meter: Meter, time: Time
) -> None:
    await client.connect()
    await client.start_stream("A cat", image=IMAGE)
    time.now += 1
    assert meter.budget.used == 1
    await client.end_stream()

    meter.budget.take(99)
    with pytest.raises(Denied, match="nothing is left"):
        await client.start_stream("A dog", image=IMAGE)
    assert len(odyssey_mock.streams) == 1


async def test_refused_start_is_not_counted_on(
    client: Odyssey, odyssey_mock: MockOdyssey, meter: Meter, time: Time
) -> None:
    odyssey_mock.faults.add(at="stream.start", do="error", reason="moderation", message="Refused")
    await client.connect()
    with pytest.raises(OdysseyError):
        await client.start_stream("A cat")
    time.now += 1

    assert meter.budget.used == 0


async def test_used_budget_ends_all_streams(
    client: Odyssey, odyssey_mock: MockOdyssey, meter: Meter, time: Time
) -> None:
    network: Network = meter.wrap(SystemNetwork())
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, network=network) as other:
        sessions = []
        for each in (client, other):
            await each.connect()
            await each.start_stream("A cat")
            sessions.append(each.current_session_id)
        time.now += 49
        meter.end_overdue()
        assert meter.budget.denials == 0

        time.now += 1
        await asyncio.gather(until_disconnected(client), until_disconnected(other))
        for session in sessions:
            await odyssey_mock.wait_for("state", "session", session=session, to="closed")

    assert meter.budget.denials == 2
    assert meter.budget.used == 100


async def test_simulation_uses_time_of_a_running_stream(client: Odyssey, meter: Meter, time: Time) -> None:
    await client.connect()
    await client.start_stream("A cat")
    time.now += 5
    await client.simulate(script=Script().start("A dog").wait(85).end())
    time.now += 10

    await until_disconnected(client)
    assert meter.budget.used == 100


async def test_another_stream_uses_time_of_a_running_stream(
    client: Odyssey, odyssey_mock: MockOdyssey, meter: Meter, time: Time
) -> None:
    network: Network = meter.wrap(SystemNetwork())
    await client.connect()
    await client.start_stream("A cat")
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, network=network) as other:
        await other.connect()
        await other.start_stream("A dog")
        time.now += 10
    assert meter.budget.used == 20
    time.now += 80

    await until_disconnected(client)
    assert meter.budget.used == 100


async def test_end_of_another_session_leaves_the_stream_running(
    client: Odyssey, odyssey_mock: MockOdyssey, meter: Meter, time: Time
) -> None:
    network: Network = meter.wrap(SystemNetwork())
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, network=network) as live:
        await live.connect()
        await live.start_stream("A cat")
        assert await end_session(await client.create_client_credentials(), network, SystemClock())
        time.now += 60
        assert meter.budget.used == 60
        assert meter.connections == {network}

        time.now += 40
        await until_disconnected(live)


async def test_client_that_precedes_the_service_is_counted(odyssey_mock: MockOdyssey, time: Time) -> None:
    meter = Meter(StreamBudget(100, "nothing is left", deny=deny, now=lambda: time.now))
    network: Network = meter.wrap(SystemNetwork())
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, network=network) as client:
        meter.set_service(odyssey_mock.url)
        await client.connect()
        await client.start_stream("A cat")
        time.now += 1
        assert meter.budget.used == 1


async def test_simulation_without_response_is_counted(client: Odyssey, odyssey_mock: MockOdyssey, meter: Meter) -> None:
    odyssey_mock.faults.add(at="rest.simulations.create", do="reset", times=1)
    with pytest.raises(OdysseyError):
        await client.simulate(script=Script().start("A cat").wait(4).end())
    assert meter.budget.used == 4


async def test_refused_simulation_is_given_back(client: Odyssey, odyssey_mock: MockOdyssey, meter: Meter) -> None:
    odyssey_mock.faults.add(at="rest.simulations.create", do="status", status=503, times=1)
    script = Script().start("A cat").wait(4).end()
    with pytest.raises(OdysseyError):
        await client.simulate(script=script)
    assert meter.budget.used == 0

    await client.simulate(script=script)
    assert meter.budget.used == 4


async def test_client_of_another_service_is_not_counted(odyssey_mock: MockOdyssey, time: Time) -> None:
    budget = StreamBudget(1, "nothing is left", deny=deny, now=lambda: time.now)
    meter = Meter(budget, f"{odyssey_mock.url}0")
    network = meter.wrap(SystemNetwork())
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, network=network) as client:
        await client.simulate(script=Script().start("A cat").wait(4).end())
        await client.connect()
        await client.start_stream("A cat")
        time.now += 1
        assert meter.connections == frozenset()

    assert budget.used == 0


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"script": [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 2500, "end": {}}]}, 2.5),
        ({"scripts": [[{"timestamp_ms": 1000, "end": {}}], [{"timestamp_ms": 2000, "end": {}}]]}, 3),
        ({"script": [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}]}, 0),
        ({"script_url": "https://example.com/script.json"}, 0),
        ({"script": [{"timestamp_ms": "soon", "end": {}}]}, 0),
        ({"scripts": 5}, 0),
        ([], 0),
    ],
)
def test_length_of_job_is_that_of_scripts(body: object, seconds: float) -> None:
    assert seconds_of_job(json.dumps(body).encode()) == seconds


def test_length_of_invalid_json_is_zero() -> None:
    assert seconds_of_job(b"{") == 0
