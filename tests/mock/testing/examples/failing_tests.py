"""Tests that fail on purpose, each in another way. Their traces show what happened."""

import asyncio

import pytest

from odyssey_client import AdvancedConfig, Odyssey
from odyssey_client.sync import Odyssey as SyncOdyssey
from odyssey_mock.sync import MockOdyssey
from odyssey_mock.testing import World


@pytest.mark.asyncio
async def test_assertion(odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    await odyssey_client.start_stream("A cat")
    applied = await odyssey_client.interact("Pet the cat")
    assert applied == "Pet the dog"


@pytest.mark.asyncio
@pytest.mark.odyssey(faults=[{"at": "stream.interact", "do": "silent"}])
async def test_hang(odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    await odyssey_client.start_stream("A cat")
    async with asyncio.timeout(1):
        await odyssey_client.interact("Pet the cat")


@pytest.mark.asyncio
@pytest.mark.odyssey(faults=[{"at": "rest.sessions.request", "do": "status", "status": 503}])
async def test_fault(odyssey_mock: MockOdyssey) -> None:
    once = AdvancedConfig(queue_timeout_s=0.5)
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, advanced=once) as client:
        await client.connect()


@pytest.mark.asyncio
@pytest.mark.odyssey(faults=[{"at": "stream.interact", "do": "silent"}])
async def test_lost_connection(odyssey_mock: MockOdyssey) -> None:
    never = AdvancedConfig(reconnect="off")
    async with Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url, advanced=never) as client:
        await client.connect()
        await client.start_stream("A cat")
        interacting = asyncio.create_task(client.interact("Pet the cat"))
        await odyssey_mock.aio.wait_for("channel", "update")
        await odyssey_mock.aio.go_away()
        await interacting


@pytest.fixture
def streaming(odyssey_sync_client: SyncOdyssey) -> SyncOdyssey:
    odyssey_sync_client.connect()
    odyssey_sync_client.interact("There is no stream yet")
    return odyssey_sync_client


def test_failing_fixture(streaming: SyncOdyssey) -> None:
    streaming.end_stream()


@pytest.mark.odyssey_sim(seeds=3)
async def test_simulated(odyssey_sim: World) -> None:
    client = odyssey_sim.client()
    await client.connect()
    await client.start_stream("A cat")
    odyssey_sim.wire.cut("client", "odyssey")
    await client.interact("Pet the cat")
