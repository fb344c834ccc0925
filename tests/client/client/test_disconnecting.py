"""`disconnect` while others use the client: what was begun before ends with it, what is begun meanwhile goes on."""

import asyncio

import pytest

from odyssey_client import ConnectionClosedError, Odyssey
from odyssey_client.system import SystemClock
from odyssey_mock import MockOdyssey

GOES_ON_S = 0.2
"""How long the service takes for an answer, while all else happens."""


class Leaving:
    """A client with a call that takes its time to clean up after itself, and a `disconnect` that waits for that."""

    def __init__(self, client: Odyssey) -> None:
        self.may_end = asyncio.Event()
        self._is_told = asyncio.Event()
        self._client = client
        self._call = asyncio.create_task(self._take_time())

    async def begin(self) -> asyncio.Task[None]:
        """Let the call wait, and disconnect; return once nothing but the call is waited for."""
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
async def test_a_call_that_is_begun_meanwhile_goes_on(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    slow = Leaving(odyssey_client)
    disconnecting = await slow.begin()
    listing = asyncio.create_task(odyssey_client.list_simulations())
    await odyssey_mock.wait_for("fault", "rest.simulations.list")
    slow.may_end.set()
    await disconnecting
    await slow.call_ended()
    assert (await listing).total == 0
    asked = [entry.name for entry in odyssey_mock.journal.find("rest")]
    assert asked == ["POST /auth/token", "GET /simulation-jobs"], "and its request was not made twice"


async def test_two_at_once_return_when_all_has_ended(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    slow = Leaving(odyssey_client)
    first = await slow.begin()
    second = asyncio.create_task(odyssey_client.disconnect())
    await turns()
    assert not second.done()
    slow.may_end.set()
    await asyncio.gather(first, second)
    await slow.call_ended()


async def test_cancelled_while_a_call_ends_it_leaves_no_task(odyssey_mock: MockOdyssey) -> None:
    client = Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url)
    await client.connect()  # which the service is told of a second later
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


async def test_credentials_that_are_asked_for_end_with_their_client(odyssey_mock: MockOdyssey) -> None:
    client = Odyssey(odyssey_mock.api_key, api_url=odyssey_mock.url)
    asking = asyncio.create_task(client.create_client_credentials())
    await odyssey_mock.wait_for("rest", "POST /auth/token")
    await client.disconnect()
    with pytest.raises(ConnectionClosedError, match=r"while create_client_credentials\(\) was under way"):
        await asking


def senders() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "odyssey telemetry"]


async def turns(number: int = 5) -> None:
    """Let the others run."""
    for _ in range(number):
        await SystemClock().sleep(0)
