"""Sync tests, without an event loop."""

import httpx
import pytest

from odyssey_client.sync import Odyssey
from odyssey_mock.sync import MockOdyssey

KEYS: set[str] = set()


def test_prompt_is_applied(odyssey_mock: MockOdyssey, odyssey_sync_client: Odyssey) -> None:
    odyssey_sync_client.connect()
    odyssey_sync_client.start_stream("A cat on a windowsill")
    applied = odyssey_sync_client.interact("Pet the cat")
    odyssey_sync_client.end_stream()

    assert "Pet the cat" in applied
    odyssey_mock.expect_in_order(["stream_started", "update_acknowledged", "stream_ended"])


@pytest.mark.parametrize("time", ["first", "second"])
def test_each_test_has_new_state(odyssey_mock: MockOdyssey, time: str) -> None:
    assert odyssey_mock.api_key not in KEYS
    assert odyssey_mock.journal.entries == ()
    KEYS.add(odyssey_mock.api_key)
    httpx.post(f"{odyssey_mock.url}/auth/token", json={"api_key": odyssey_mock.api_key}).raise_for_status()


@pytest.mark.odyssey(clock="manual")
def test_token_expires_after_an_hour(odyssey_mock: MockOdyssey) -> None:
    login = httpx.post(f"{odyssey_mock.url}/auth/token", json={"api_key": odyssey_mock.api_key})
    headers = {"Authorization": f"Bearer {login.json()['access_token']}"}
    odyssey_mock.advance(3600)

    assert httpx.get(f"{odyssey_mock.url}/simulation-jobs", headers=headers).status_code == 401
