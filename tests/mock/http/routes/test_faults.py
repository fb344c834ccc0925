"""Tests of faults and outages in the control API."""

import asyncio
import json

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.accounts.accounts import account_id
from odyssey_mock.faults.catalog import POINTS
from tests.support.raw import LIMIT
from tests.support.tls_contexts import NO_CERTIFICATES

RESET = {"at": "rest.regions.list", "do": "reset"}
PING = {"at": "rest.regions.ping", "do": "status", "status": 503, "times": 1}


async def test_posted_fault_fires_and_is_counted(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    answer = await http.post("/_mock/faults", json=RESET)
    assert answer.status_code == 201
    (added,) = answer.json()["faults"]
    assert added == {
        "id": "fault-1",
        **RESET,
        "times": None,
        "after": 0,
        "probability": 1.0,
        "match": {},
        "reached": 0,
        "passed": 0,
        "fired": 0,
        "spent": False,
        "why_not": "rest.regions.list was not reached since the fault was added",
    }
    with pytest.raises(httpx.ReadError):
        await http.get("/regions")
    assert (await http.get("/_mock/faults")).json() == {
        "faults": [{**added, "reached": 1, "passed": 1, "fired": 1, "why_not": None}]
    }
    assert [each.fired for each in odyssey_mock.faults] == [1]
    assert len(odyssey_mock.journal.find("rest")) == 1


async def test_post_adds_all_faults_or_none(http: httpx.AsyncClient) -> None:
    assert (await http.post("/_mock/faults", json=[RESET, {"at": "nope"}])).status_code == 422
    assert (await http.get("/_mock/faults")).json() == {"faults": []}
    answer = await http.post("/_mock/faults", json=[RESET, PING])
    assert [each["at"] for each in answer.json()["faults"]] == [RESET["at"], PING["at"]]
    assert (await http.post("/_mock/faults", json=[])).json() == {"faults": []}


REST = {"at": "rest.regions.list", "do": "delay"}


@pytest.mark.parametrize(
    ("body", "loc", "says"),
    [
        ({"at": "rest.regions.lists", "do": "reset"}, ["at"], ["did you mean 'rest.regions.list'?", *POINTS]),
        ({"at": "signaling.*", "do": "close"}, ["at"], ["no action in common"]),
        (
            {"at": "rest.regions.list", "do": "refuse"},
            ["do"],
            ["unknown action", *POINTS["rest.regions.list"].actions],
        ),
        ({**REST, "second": 1}, ["second"], ["'second'", "seconds, times, after"]),
        (REST, ["seconds"], ["requires `seconds`"]),
        ({**REST, "seconds": -1}, ["seconds"], ["must be a number of seconds"]),
        ({**REST, "seconds": 1, "times": 0}, ["times"], ["above 0"]),
        ({**REST, "seconds": 1, "match": 7}, ["match"], ["must be an object with account"]),
        ({**REST, "seconds": 1, "match": {"job": "x"}}, ["match", "job"], ["unknown `match` condition"]),
        ({**REST, "seconds": 1, "match": {"account": 7}}, ["match", "account"], ["an API key or an account id"]),
        (7, [], ["must be an object"]),
        ([[]], [0], ["must be an object"]),
        ([{**REST, "seconds": 1}, REST], [1, "seconds"], ["requires `seconds`"]),
    ],
)
async def test_invalid_fault_is_422_with_its_place(
    http: httpx.AsyncClient, body: object, loc: list[str | int], says: list[str]
) -> None:
    answer = await http.post("/_mock/faults", json=body)
    assert answer.status_code == 422
    (detail,) = answer.json()["detail"]
    assert (detail["loc"], detail["type"]) == (["body", *loc], "value_error")
    for part in says:
        assert part in detail["msg"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
async def test_invalid_json_is_422(http: httpx.AsyncClient, body: bytes) -> None:
    assert (await http.post("/_mock/faults", content=body)).status_code == 422


async def test_accepted_fault_can_be_shown(http: httpx.AsyncClient) -> None:
    fault = {"at": "rest.regions.list", "do": "wrong_shape", "body": ["\ud800"]}
    assert (await http.post("/_mock/faults", content=json.dumps(fault))).status_code == 201
    assert (await http.get("/_mock/faults")).json()["faults"][0]["body"] == ["\ud800"]


async def test_posted_key_is_never_shown(http: httpx.AsyncClient) -> None:
    posted = await http.post("/_mock/faults", json={**RESET, "match": {"account": "ody_somebody"}})
    shown = await http.get("/_mock/faults")
    for answer in (posted, shown):
        assert "ody_somebody" not in answer.text
        assert answer.json()["faults"][0]["match"] == {"account": account_id("ody_somebody")}


async def test_delete_removes_one_or_all_faults(http: httpx.AsyncClient) -> None:
    await http.post("/_mock/faults", json=[RESET, PING, RESET])
    assert (await http.delete("/_mock/faults/fault-1")).status_code == 204
    again = await http.delete("/_mock/faults/fault-1")
    assert (again.status_code, again.json()["detail"]) == (
        404,
        "Unknown fault 'fault-1'; GET /_mock/faults lists all faults",
    )
    assert [each["id"] for each in (await http.get("/_mock/faults")).json()["faults"]] == ["fault-2", "fault-3"]
    assert (await http.delete("/_mock/faults")).status_code == 204
    assert (await http.get("/_mock/faults")).json() == {"faults": []}


@pytest.mark.odyssey(faults=[PING])
async def test_reset_restores_faults_of_the_settings(http: httpx.AsyncClient) -> None:
    await http.post("/_mock/faults", json=RESET)
    await http.post("/_mock/reset")
    assert [each["at"] for each in (await http.get("/_mock/faults")).json()["faults"]] == [PING["at"]]


async def test_catalog_is_sufficient_to_make_every_fault(http: httpx.AsyncClient) -> None:
    catalog = (await http.get("/_mock/faults/catalog")).json()
    assert set(catalog["points"]) == set(POINTS)
    examples = {
        "status": 500,
        "seconds": 1,
        "bytes_per_second": 9,
        "reason": "x",
        "width": 320,
        "height": 640,
        "network_profile": "tunnel",
    }
    described = [
        {
            "at": at,
            "do": do,
            **{name: examples[name] for name, each in action["parameters"].items() if each["required"]},
            "match": {name: 0 if name == "script_index" else "x" for name in point["match"]},
        }
        for at, point in catalog["points"].items()
        for do, action in point["actions"].items()
    ]
    assert (await http.post("/_mock/faults", json=described)).status_code == 201
    assert set(catalog["parameters"]) == {"times", "after", "probability"}
    assert catalog["points"]["rest.auth.token"]["actions"]["status"]["parameters"]["status"] == {
        "expected": "an HTTP status, 400 to 599",
        "required": True,
        "default": None,
        "schema": {"type": "integer", "minimum": 400, "maximum": 599},
    }
    assert catalog["points"]["stream.interact"]["events"] == [
        "update",
        "update_acknowledged",
        "interactive_stream_error",
    ]
    json.dumps(catalog, allow_nan=False)


async def test_presets_of_the_catalog_can_be_added(http: httpx.AsyncClient) -> None:
    presets = (await http.get("/_mock/faults/catalog")).json()["presets"]
    assert [preset["name"] for preset in presets][:2] == ["Bad network", "Lost connection"]
    for preset in presets:
        answer = await http.post("/_mock/faults", json=preset["faults"])
        assert answer.status_code == 201, f"expected a valid preset {preset['name']}, got {answer.text}"


@pytest.mark.odyssey(speed=1000.0)
async def test_server_goes_away_and_comes_back(odyssey_mock: MockOdyssey) -> None:
    async with httpx.AsyncClient(base_url=odyssey_mock.url, trust_env=False, verify=NO_CERTIFICATES) as http:
        answer = await http.post("/_mock/server/away", json={"seconds": 100})
        assert (answer.status_code, answer.json()) == (202, {"status": "going away", "seconds": 100})
        await odyssey_mock.wait_for("state", "server", to="away")
        with pytest.raises(httpx.TransportError):
            await http.get("/_mock/health")
        await odyssey_mock.wait_for("state", "server", LIMIT, to="up")
        assert (await http.get("/_mock/health")).status_code == 200


@pytest.mark.odyssey(clock="manual")
async def test_going_away_with_a_manual_clock_is_409(http: httpx.AsyncClient) -> None:
    answer = await http.post("/_mock/server/away", json={"seconds": 1})
    assert answer.status_code == 409
    assert "mock.come_back()" in answer.json()["detail"]
    assert (await http.get("/_mock/health")).status_code == 200


@pytest.mark.parametrize("body", [{}, {"seconds": -1}, {"seconds": 86_401}, {"seconds": "soon"}, {"minutes": 1}])
async def test_invalid_outage_time_is_422(http: httpx.AsyncClient, body: object) -> None:
    assert (await http.post("/_mock/server/away", json=body)).status_code == 422


async def test_mock_can_be_closed_right_after_going_away() -> None:
    async with (
        httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http,
        asyncio.timeout(LIMIT),
        MockOdyssey() as mock,
    ):
        assert (await http.post(f"{mock.url}/_mock/server/away", json={"seconds": 3600})).status_code == 202
