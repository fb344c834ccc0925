"""Tests of settings in the control API: listing and changing them."""

from typing import Any

import httpx
import pytest

from odyssey_mock import AccountSettings, MockOdyssey, Settings
from odyssey_mock.accounts.accounts import account_id
from odyssey_mock.settings import SETTINGS

KEYS = {"ody_hush": AccountSettings(plan="unlimited", stream_duration=None)}
FAULTS = [{"at": "stream.start", "do": "silent", "match": {"account": "ody_hush"}}]


async def test_listing_has_every_setting(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/_mock/settings")).json()["settings"]
    assert listed.keys() == SETTINGS.keys()
    assert listed["fps"] == {
        "value": 20,
        "default": 20,
        "expected": "a whole number from 1 to 240",
        "changeable": True,
        "applies": "new sessions and jobs",
        "group": "Video",
        "description": "Frames per second.",
    }
    assert (listed["port"]["changeable"], listed["port"]["applies"]) == (False, None)
    assert listed["portrait_size"]["value"] == [704, 1280]


@pytest.mark.odyssey(keys=KEYS, faults=FAULTS)
async def test_listing_contains_no_key(http: httpx.AsyncClient) -> None:
    response = await http.get("/_mock/settings")
    assert "hush" not in response.text
    listed = response.json()["settings"]
    account = account_id("ody_hush")
    assert listed["keys"]["value"] == {account: {"plan": "unlimited", "stream_duration": None}}
    assert listed["faults"]["value"][0]["match"] == {"account": account}


async def test_change_shows_the_new_values(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    changes = {"portrait_size": [176, 320], "hls": False, "stream_duration": None, "regions": ["mars-1"]}
    response = await http.post("/_mock/settings", json=changes)
    assert (response.status_code, response.json()) == (
        200,
        {"settings": {**changes, "regions": [{"id": "mars-1", "latency": 0.0}]}},
    )
    assert odyssey_mock.settings.portrait_size == (176, 320)
    assert (await http.get("/_mock/settings")).json()["settings"]["portrait_size"]["value"] == [176, 320]
    odyssey_mock.expect("settings changed", kind="note")
    await http.post("/_mock/reset")
    assert odyssey_mock.settings == Settings()


async def test_plan_sets_all_other_limits(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    response = await http.post("/_mock/settings", json={"plan": "unlimited", "inactivity": 9})
    shown = response.json()["settings"]
    assert (shown["inactivity"], shown["stream_duration"], len(shown)) == (9, None, 6)
    assert odyssey_mock.settings == Settings().replace(plan="unlimited", inactivity=9)


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"streamers": 1, "fps": 0}, 422, "fps must be a whole number from 1 to 240, got 0"),
        ({"streamers": 1, "fsp": 1}, 422, "unknown setting 'fsp'; did you mean 'fps'?"),
        ({"streamers": 1, "plan": "golden"}, 422, "plan must be one of 'free', 'unlimited', got 'golden'"),
        ({"streamers": 1, "plan": 5}, 422, "plan must be one of 'free', 'unlimited', got 5"),
        ({"streamers": 1, "plan": None}, 422, "plan must be one of 'free', 'unlimited', got None"),
        ({"streamers": 1, "port": 1}, 409, "port cannot change while the mock runs"),
        ({"streamers": 1, "faults": []}, 409, "add and remove faults with `mock.faults` or `POST /_mock/faults`"),
        ({"streamers": 1, "inactivity": 10**400}, 422, "inactivity must be a number of seconds above 0"),
        ({"streamers": 1, "seed": 10**400}, 409, "seed cannot change"),
        ({"streamers": 1, "regions": [{"id": "a", "latency": 10**400}]}, 422, "regions must be a non-empty list"),
        ([1], 422, "Input should be an object with settings by name"),
        (None, 422, "Field required"),
    ],
)
async def test_invalid_change_has_no_effect(
    body: Any, status: int, message: str, http: httpx.AsyncClient, odyssey_mock: MockOdyssey
) -> None:
    response = await http.post("/_mock/settings", json=body)
    assert response.status_code == status
    assert message in response.text
    assert odyssey_mock.settings == Settings()
    odyssey_mock.expect_none("settings changed")


async def test_lone_surrogate_is_rejected(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    response = await http.post("/_mock/settings", content=r'{"regions": ["\ud800"]}')
    assert (response.status_code, odyssey_mock.settings) == (422, Settings())
    assert r"got [Region(id='\\ud800'" in response.text


@pytest.mark.parametrize("path", ["/_mock/settings", "/_mock/faults"])
async def test_name_that_stands_twice_is_rejected(path: str, http: httpx.AsyncClient) -> None:
    response = await http.post(path, content='{"streamers": 1, "streamers": 2}')
    assert response.status_code == 422
    assert "an object must have each name once, got 'streamers' twice" in response.text


async def test_body_that_is_not_json_is_rejected(http: httpx.AsyncClient) -> None:
    assert (await http.post("/_mock/settings", content="fps=10")).status_code == 422
