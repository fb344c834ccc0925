"""Tests of the overview in the control API."""

from importlib.metadata import version

import httpx
import pytest

from odyssey_mock import AccountSettings, MockOdyssey
from odyssey_mock.core.clock import MANUAL_START
from tests.support.tls_contexts import NO_CERTIFICATES


@pytest.mark.odyssey(clock="manual", seed=7)
async def test_overview_describes_the_mock(authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await authorized.post("/sessions/request", json={})
    odyssey_mock.faults.add(at="stream.start", do="silent")
    shown = (await authorized.get("/_mock/overview")).json()
    entries = len(odyssey_mock.journal.entries)
    clock = shown.pop("clock")

    assert shown == {
        "url": odyssey_mock.url,
        "listening_url": odyssey_mock.listening_url,
        "api_key": odyssey_mock.api_key,
        "version": version("odyssey-testkit"),
        "plan": "free",
        "limits": {
            "concurrent_sessions": 5,
            "monthly_hours": None,
            "queued_simulations": 10,
            "connection_duration": 3600.0,
            "inactivity": 40.0,
            "stream_duration": 150.0,
        },
        "seed": 7,
        "began_at": MANUAL_START,
        "counts": {
            "sessions": 1,
            "streams": 0,
            "ended_streams": 0,
            "broadcasts": 0,
            "jobs": 0,
            "faults": 1,
            "journal_entries": entries,
        },
    }
    assert clock == (await authorized.get("/_mock/clock")).json()


async def test_plan_is_the_one_with_these_limits(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    plans = []
    for changes in ({"plan": "unlimited"}, {"inactivity": 41}, {"plan": "free"}):
        await http.post("/_mock/settings", json=changes)
        plans.append((await http.get("/_mock/overview")).json()["plan"])
    assert plans == ["unlimited", "custom", "free"]


async def test_key_is_one_of_the_settings() -> None:
    async with (
        MockOdyssey(keys={"ody_first": AccountSettings(), "ody_second": AccountSettings()}) as mock,
        httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES) as http,
    ):
        assert (await http.get("/_mock/overview")).json()["api_key"] == "ody_first"


@pytest.mark.parametrize("path", ["overview", "accounts"])
async def test_browsers_do_not_store_keys(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(f"/_mock/{path}")).headers["Cache-Control"] == "no-store"


async def test_key_of_a_client_is_not_shown(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await http.post("/auth/token", json={"api_key": "ody_could_be_a_real_key"})
    assert "real_key" not in (await http.get("/_mock/overview")).text


async def test_url_is_that_of_the_request() -> None:
    async with (
        MockOdyssey(host="0.0.0.0") as mock,
        httpx.AsyncClient(
            headers={"Authorization": f"Bearer {mock.control_token}"}, trust_env=False, verify=NO_CERTIFICATES
        ) as http,
    ):
        url = mock.listening_url.replace("0.0.0.0", "127.0.0.1")
        assert (await http.get(f"{url}/_mock/overview")).json()["url"] == url
