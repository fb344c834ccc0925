"""Async tests in a process whose event loop policy is uvloop's."""

import httpx
import pytest

from odyssey_client import Odyssey
from odyssey_mock.sync import MockOdyssey

KEYS: set[str] = set()


async def test_prompt_is_applied(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    await odyssey_client.connect()
    await odyssey_client.start_stream("A cat on a windowsill")
    applied = await odyssey_client.interact("Pet the cat")
    await odyssey_client.end_stream()

    assert "Pet the cat" in applied
    odyssey_mock.expect_in_order(["stream_started", "update_acknowledged", "stream_ended"])


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
