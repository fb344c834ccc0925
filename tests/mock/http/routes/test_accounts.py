"""Tests of the accounts in the control API: which keys are shown, and how; limits and usage."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from odyssey_mock import AccountSettings, MockOdyssey
from odyssey_mock.accounts.accounts import SEEN_KEPT, account_id, masked_key
from tests.support.raw import RawApi
from tests.support.recordings import remembered, timeline
from tests.support.simulations import submit
from tests.support.tls_contexts import NO_CERTIFICATES

FREE = {
    "concurrent_sessions": 5,
    "monthly_hours": None,
    "queued_simulations": 10,
    "connection_duration": 3600.0,
    "inactivity": 40.0,
    "stream_duration": 150.0,
}
UNUSED = {"sessions": 0, "hours": 0.0, "queued_simulations": 0}


async def listed(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    accounts: list[dict[str, Any]] = (await http.get("/_mock/accounts")).raise_for_status().json()["accounts"]
    return accounts


async def log_in(http: httpx.AsyncClient, key: str) -> int:
    return (await http.post("/auth/token", json={"api_key": key})).status_code


async def test_own_key_is_listed_before_its_use(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    assert await listed(http) == [
        {
            "id": account_id(odyssey_mock.api_key),
            "key": odyssey_mock.api_key,
            "own": True,
            "plan": "free",
            "limits": FREE,
            "usage": UNUSED,
        }
    ]


async def test_keys_of_settings_are_shown_in_full() -> None:
    keys = {"ody_anna": AccountSettings(plan="unlimited"), "ody_berta": AccountSettings(stream_duration=30)}
    async with (
        MockOdyssey(keys=keys) as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        added = mock.add_account(plan="free")
        shown = await listed(http)
    assert [(each["key"], each["own"], each["plan"]) for each in shown] == [
        ("ody_anna", True, "unlimited"),
        ("ody_berta", True, "custom"),
        (added.api_key, True, "free"),
    ]
    assert shown[1]["limits"] == {**FREE, "stream_duration": 30}


async def test_keys_of_clients_are_masked(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    keys = ["ody_production_key_0123456789abcdef", "ody_short_key", "ody_suspended"]
    for key in keys:
        await log_in(http, key)
    answer = await http.get("/_mock/accounts")
    assert [(each["id"], each["key"], each["own"]) for each in answer.json()["accounts"][1:]] == [
        (account_id("ody_suspended"), "ody_suspended", False),
        (account_id("ody_short_key"), "ody_***", False),
        (account_id("ody_production_key_0123456789abcdef"), "ody_***cdef", False),
    ]
    assert "0123456789" not in answer.text
    assert odyssey_mock.api_key in answer.text


async def test_rejected_keys_are_not_listed(http: httpx.AsyncClient) -> None:
    for key in ("no-key", "ody_", "ody_x y z w"):
        assert await log_in(http, key) == 422
    assert len(await listed(http)) == 1


async def test_usage_counts_sessions_hours_and_jobs() -> None:
    async with MockOdyssey(clock="manual", simulation_workers=0) as mock, RawApi(mock) as api:
        await api.http.post("/sessions/request", json={})
        await submit(api.http)
        remembered(mock, timeline(), session_id="a-session", ended_at=mock.clock.time() + 1800)
        remembered(mock, timeline(), key="ody_other_client", session_id="b", ended_at=mock.clock.time() + 3600)
        usage = [(each["own"], each["usage"]) for each in await listed(api.http)]
    assert usage == [
        (True, {"sessions": 1, "hours": 0.5, "queued_simulations": 1}),
        (False, {"sessions": 0, "hours": 1.0, "queued_simulations": 0}),
    ]


async def test_reset_forgets_the_keys_of_clients(http: httpx.AsyncClient) -> None:
    await log_in(http, "ody_a_client")
    assert len(await listed(http)) == 2
    await http.post("/_mock/reset")
    assert len(await listed(http)) == 1


async def test_number_of_listed_clients_is_bounded(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    accounts = odyssey_mock.backend.accounts
    for number in range(SEEN_KEPT + 5):
        accounts.authenticate(f"ody_client_{number}")
    accounts.authenticate("ody_client_7")
    known = accounts.known(odyssey_mock.api_key)
    assert len(known) == 1 + SEEN_KEPT
    assert [each.id for each in known[1:3]] == [account_id("ody_client_7"), account_id(f"ody_client_{SEEN_KEPT + 4}")]
    assert known[-1].id == account_id("ody_client_5")


async def test_client_of_an_earlier_process_is_listed(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"clock": "manual", "state_dir": str(tmp_path / "state")}
    async with (
        MockOdyssey(**settings) as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        await log_in(http, "ody_a_client_of_the_first_process")
    async with (
        MockOdyssey(**settings) as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        shown = await listed(http)
    assert [(each["id"], each["key"]) for each in shown[1:]] == [
        (account_id("ody_a_client_of_the_first_process"), "ody_***")
    ]


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("ody_suspended", "ody_suspended"),
        ("ody_suspended_by_me", "ody_suspended***"),
        ("ody_" + "x" * 19, "ody_***"),
        ("ody_" + "x" * 16 + "tail", "ody_***tail"),
    ],
)
def test_masked_key_shows_little(key: str, shown: str) -> None:
    assert masked_key(key) == shown
