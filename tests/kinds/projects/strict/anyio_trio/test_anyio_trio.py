"""Async tests that anyio's plugin runs on trio. The sync client is called in a worker thread."""

import anyio.to_thread
import httpx
import pytest

from odyssey_client.sync import Odyssey
from odyssey_mock.sync import MockOdyssey

pytestmark = pytest.mark.anyio
KEYS: set[str] = set()


def pet_the_cat(client: Odyssey) -> str:
    client.connect()
    client.start_stream("A cat on a windowsill")
    applied = client.interact("Pet the cat")
    client.end_stream()
    return applied


async def test_prompt_is_applied(odyssey_mock: MockOdyssey, odyssey_sync_client: Odyssey) -> None:
    applied = await anyio.to_thread.run_sync(pet_the_cat, odyssey_sync_client)

    assert "Pet the cat" in applied
    ended = await odyssey_mock.aio.wait_for("channel", "stream_ended")
    assert ended in odyssey_mock.journal.entries


@pytest.mark.parametrize("time", ["first", "second"])
async def test_each_test_has_new_state(odyssey_mock: MockOdyssey, time: str) -> None:
    assert odyssey_mock.api_key not in KEYS
    assert odyssey_mock.journal.entries == ()
    KEYS.add(odyssey_mock.api_key)
    async with httpx.AsyncClient(base_url=odyssey_mock.url) as http:
        (await http.post("/auth/token", json={"api_key": odyssey_mock.api_key})).raise_for_status()


@pytest.mark.odyssey(clock="manual")
async def test_token_expires_after_an_hour(odyssey_mock: MockOdyssey) -> None:
    async with httpx.AsyncClient(base_url=odyssey_mock.url) as http:
        login = await http.post("/auth/token", json={"api_key": odyssey_mock.api_key})
        http.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        await odyssey_mock.aio.advance(3600)

        assert (await http.get("/simulation-jobs")).status_code == 401
