"""Tests of `disconnect` during other calls: it ends running calls, but not those that begin later."""

import asyncio

import pytest

from odyssey_client import ConnectionClosedError, Odyssey
from odyssey_client.system import SystemClock
from odyssey_mock import MockOdyssey

pytestmark = pytest.mark.odyssey(portrait_size=(176, 320))

GOES_ON_S = 0.2
"""Delay of the service's response in seconds, so that the call is still waiting when `disconnect` returns."""


class Leaving:
    """A waiting call whose cleanup lasts until the test sets `may_end`. Until then, `disconnect` does not return."""

    def __init__(self, client: Odyssey) -> None:
        self.may_end = asyncio.Event()
        self._is_told = asyncio.Event()
        self._client = client
        self._call = asyncio.create_task(self._take_time())

    async def begin(self) -> asyncio.Task[None]:
        """Start the call, then `disconnect`; return the task of `disconnect` when it waits for the call's cleanup."""
        await turns()
        leaving = asyncio.create_task(self._client.disconnect())
        await self._is_told.wait()
        await turns()
        assert not leaving.done()
        return leaving

    async def call_ended(self) -> None:
        with pytest.raises(ConnectionClosedError):
            await self._call

    async def _take_time(self) -> None:
        async with self._client._begin("simulate").step():
            try:
                await asyncio.Event().wait()
            finally:
                self._is_told.set()
                await self.may_end.wait()


@pytest.mark.odyssey(faults=[{"at": "rest.simulations.list", "do": "delay", "seconds": GOES_ON_S}])
async def test_call_begun_while_disconnecting_continues(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    slow = Leaving(odyssey_client)
    disconnecting = await slow.begin()
    listing = asyncio.create_task(odyssey_client.list_simulations())
    await odyssey_mock.wait_for("fault", "rest.simulations.list")
    slow.may_end.set()
    await disconnecting
    await slow.call_ended()
    assert (await listing).total == 0
    asked = [entry.name for entry in odyssey_mock.journal.find("rest")]
    assert asked == ["POST /auth/token", "GET /simulation-jobs"], (
        f"expected one request for a token and one for the list of jobs, got {asked}"
    )


async def test_concurrent_disconnects_wait_for_every_call(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    slow = Leaving(odyssey_client)
    first = await slow.begin()
    second = asyncio.create_task(odyssey_client.disconnect())
    await turns()
    assert not second.done()
    slow.may_end.set()
    await asyncio.gather(first, second)
    await slow.call_ended()


async def test_cancelled_disconnect_leaves_no_telemetry_task(odyssey_mock: MockOdyssey) -> None:
    client = Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url)
    await client.connect()  # starts a telemetry task, which sends after a second
    assert senders()
    slow = Leaving(client)
    disconnecting = await slow.begin()
    disconnecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await disconnecting
    assert not senders()
    slow.may_end.set()
    await slow.call_ended()
    assert client.current_status == "disconnected"


async def test_disconnect_ends_pending_request_for_credentials(odyssey_mock: MockOdyssey) -> None:
    client = Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url)
    asking = asyncio.create_task(client.create_client_credentials())
    await odyssey_mock.wait_for("rest", "POST /auth/token")
    await client.disconnect()
    with pytest.raises(ConnectionClosedError, match=r"while create_client_credentials\(\) was under way"):
        await asking


def senders() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "odyssey telemetry"]


async def turns(number: int = 5) -> None:
    """Let other tasks run for `number` iterations of the event loop."""
    for _ in range(number):
        await SystemClock().sleep(0)
