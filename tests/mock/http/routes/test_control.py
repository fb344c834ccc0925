"""Tests of the control API, which inspects and controls a mock from outside its process."""

import json
from importlib.metadata import version

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.core.clock import MANUAL_START

manual = pytest.mark.odyssey(clock="manual")


async def test_health_has_version_and_url(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    answer = await http.get("/_mock/health")
    assert answer.json() == {"status": "ok", "version": version("odyssey-testkit"), "url": odyssey_mock.url}


@manual
async def test_clock_shows_pending_deadlines(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.clock.call_later(150, "stream limit", lambda: None)
    assert (await http.get("/_mock/clock")).json() == {
        "kind": "manual",
        "speed": None,
        "time": MANUAL_START,
        "iso": "2026-01-01T00:00:00+00:00",
        "deadlines": [{"name": "stream limit", "in_seconds": 150.0}],
    }


@manual
async def test_advance_responds_after_due_callbacks(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    fired: list[float] = []
    odyssey_mock.clock.call_later(1, "x", lambda: fired.append(odyssey_mock.clock.time()))
    answer = await http.post("/_mock/clock/advance", json={"seconds": 1.5})
    assert fired == [MANUAL_START + 1]
    assert (answer.json()["time"], answer.json()["deadlines"]) == (MANUAL_START + 1.5, [])


async def test_real_clock_jumps_forward(http: httpx.AsyncClient) -> None:
    before = (await http.get("/_mock/clock")).json()
    after = (await http.post("/_mock/clock/advance", json={"seconds": 3600})).json()
    assert after["kind"] == "real"
    assert 3600 <= after["time"] - before["time"] < 3700


@pytest.mark.odyssey(speed=100)
async def test_scaled_clock_shows_its_speed(http: httpx.AsyncClient) -> None:
    clock = (await http.get("/_mock/clock")).json()
    assert (clock["kind"], clock["speed"]) == ("scaled", 100)
    response = await http.post("/_mock/clock/advance", json={"seconds": 3600})
    assert response.json()["kind"] == "scaled"
    assert response.json()["time"] >= clock["time"] + 3600


@manual
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"seconds": -1},
        {"seconds": "soon"},
        {"seconds": None},
        {"seconds": True},
        {"seconds": "1"},
        {"seconds": 1e12},
        {"seconds": 1e300},
        {"minutes": 1},
    ],
)
async def test_invalid_advance_is_422(http: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert (await http.post("/_mock/clock/advance", json=body)).status_code == 422
    assert (await http.get("/_mock/clock")).json()["time"] == MANUAL_START


async def test_state_shows_sessions_and_streams(authorized: httpx.AsyncClient) -> None:
    session_id = (await authorized.post("/sessions/request", json={})).json()["session_id"]
    state = (await authorized.get("/_mock/state")).json()
    assert [session["session_id"] for session in state["sessions"]] == [session_id]
    assert (state["streams"], state["telemetry"], state["clock"]["kind"]) == ([], 0, "real")


async def test_reset_clears_sessions_journal_and_telemetry(
    authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey
) -> None:
    session_id = (await authorized.post("/sessions/request", json={})).json()["session_id"]
    await authorized.post("/telemetry", json={"events": [{"name": "x"}]})
    assert (await authorized.post("/_mock/reset")).json() == {"status": "reset"}
    assert session_id not in odyssey_mock.sessions
    assert (odyssey_mock.telemetry, odyssey_mock.journal.entries) == ((), ())
    assert (await authorized.get("/regions")).status_code == 401
    again = await authorized.post("/auth/token", json={"api_key": odyssey_mock.api_key})
    assert again.status_code == 200


async def test_journal_query_filters_entries(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await http.get("/ping/us-east-1")
    odyssey_mock.journal.record("note", "x", account="acct_1", n=1)
    odyssey_mock.journal.record("note", "x", account="acct_2", n=2)

    async def found(**query: str | int) -> list[int]:
        answer = (await http.get("/_mock/journal", params=query)).json()
        assert answer["next"] == 3
        return [entry["index"] for entry in answer["entries"]]

    assert await found() == [0, 1, 2]
    assert await found(kind="note") == [1, 2]
    assert await found(name="GET /ping/{region}") == [0]
    assert await found(account="acct_2") == [2]
    assert await found(since=1, limit=1) == [2]
    assert await found(limit=0) == []


async def test_journal_can_be_read_as_json_lines(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.journal.record("note", "ä", n=1)
    answer = await http.get("/_mock/journal", params={"format": "jsonl"})
    assert answer.headers["content-type"].startswith("application/jsonl")
    assert [json.loads(line)["name"] for line in answer.text.splitlines()] == ["ä"]


async def test_journal_can_be_read_as_text(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.journal.record("note", "quiet")
    await http.get("/ping/nowhere")
    answer = await http.get("/_mock/journal", params={"format": "text", "why": "1"})
    assert answer.headers["content-type"].startswith("text/plain")
    (line,) = answer.text.splitlines()
    assert line.split(maxsplit=8)[2:] == [
        "-",
        "rest",
        "GET",
        "/ping/{region}",
        "404",
        "Region",
        "not found; GET /regions lists the regions",
    ]


@pytest.mark.parametrize("query", [{"kind": "rumour"}, {"since": "-1"}, {"limit": "all"}, {"names": "x"}])
async def test_invalid_journal_query_is_422(http: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await http.get("/_mock/journal", params=query)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", *query]


async def test_control_api_is_not_recorded(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    for path in ("health", "state", "clock", "journal", "nothing"):
        await http.get(f"/_mock/{path}")
    assert odyssey_mock.journal.entries == ()
