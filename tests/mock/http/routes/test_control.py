"""Tests of the control API, which inspects and controls a mock from outside its process."""

import json
from collections.abc import Mapping
from importlib.metadata import version

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.core.journal import Entry, Kind
from odyssey_mock.core.strict_json import JSON

manual = pytest.mark.odyssey(clock="manual")


async def test_health_has_version_and_url(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    answer = await http.get("/_mock/health")
    assert answer.json() == {"status": "ok", "version": version("odyssey-testkit"), "url": odyssey_mock.url}


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
    assert await found(limit=2) == [1, 2]
    assert await found(kind="note", limit=10**30) == [1, 2]


async def test_journal_query_with_a_limit_stops_early(
    http: httpx.AsyncClient, odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(100):
        odyssey_mock.journal.record("note", "x", n=number)
    compared = list[int]()
    matches = Entry.matches

    def compare(entry: Entry, kind: Kind | None, name: str | None, where: Mapping[str, JSON]) -> bool:
        compared.append(entry.index)
        return matches(entry, kind, name, where)

    monkeypatch.setattr(Entry, "matches", compare)
    answer = await http.get("/_mock/journal", params={"name": "x", "limit": 2})

    assert [entry["data"]["n"] for entry in answer.json()["entries"]] == [98, 99]
    assert compared == [99, 98]


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
