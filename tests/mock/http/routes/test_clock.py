"""Tests of the clock in the control API: its time and deadlines, advancing, pause and speed."""

from typing import Any

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.core.clock import MANUAL_START

manual = pytest.mark.odyssey(clock="manual")


@manual
async def test_clock_shows_pending_deadlines(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.clock.call_later(150, "stream limit", lambda: None)
    assert (await http.get("/_mock/clock")).json() == {
        "kind": "manual",
        "speed": None,
        "paused": False,
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


@manual
async def test_next_advances_to_the_earliest_deadline(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.clock.call_later(150.1, "stream limit", lambda: None)
    odyssey_mock.clock.call_later(40, "inactivity", lambda: None)
    reached = [(await http.post("/_mock/clock/next")).json() for _ in range(3)]
    assert [(each["reached"], each["time"] - MANUAL_START) for each in reached] == [
        ("inactivity", 40),
        ("stream limit", pytest.approx(150.1)),
        (None, pytest.approx(150.1)),
    ]
    assert reached[-1]["deadlines"] == []


async def test_paused_clock_stands_still_until_resumed(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    paused = (await http.post("/_mock/clock/pause")).json()
    odyssey_mock.clock.call_later(0.001, "soon", lambda: None)
    still = (await http.get("/_mock/clock")).json()
    assert (paused["kind"], paused["speed"], paused["paused"]) == ("real", 1, True)
    assert still == {**paused, "deadlines": [{"name": "soon", "in_seconds": 0.001}]}

    resumed = (await http.post("/_mock/clock/resume")).json()
    await odyssey_mock.wait_for("deadline", "soon")
    assert resumed["paused"] is False


async def test_paused_clock_can_be_advanced(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    fired: list[str] = []
    before = (await http.post("/_mock/clock/pause")).json()["time"]
    odyssey_mock.clock.call_later(150, "limit", lambda: fired.append("limit"))
    for seconds in (0.1, 0.1, 0.1, 149.7):
        assert fired == []
        after = (await http.post("/_mock/clock/advance", json={"seconds": seconds})).json()
    assert (after["time"] - before, after["paused"], fired) == (pytest.approx(150, abs=1e-5), True, ["limit"])


async def test_speed_moves_pending_deadlines(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.clock.call_later(3600, "in an hour", lambda: None)
    shown = (await http.put("/_mock/clock/speed", json={"speed": 100_000})).json()
    assert (shown["kind"], shown["speed"]) == ("scaled", 100_000)
    await odyssey_mock.wait_for("deadline", "in an hour")
    assert (await http.put("/_mock/clock/speed", json={"speed": 1})).json()["kind"] == "real"


async def test_journal_records_changes_of_the_pace(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    for _ in range(2):  # the second time, nothing changes
        await http.post("/_mock/clock/pause")
    await http.put("/_mock/clock/speed", json={"speed": 2})
    await http.post("/_mock/clock/resume")
    notes = [(entry.name, dict(entry.data)) for entry in odyssey_mock.journal.find("note")]
    assert notes == [
        ("clock paused", {"speed": 1}),
        ("clock speed changed", {"speed": 2}),
        ("clock resumed", {"speed": 2}),
    ]


@manual
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("POST", "pause", None), ("POST", "resume", None), ("PUT", "speed", {"speed": 2})],
)
async def test_manual_clock_has_no_pace(http: httpx.AsyncClient, method: str, path: str, body: Any) -> None:
    response = await http.request(method, f"/_mock/clock/{path}", json=body)
    assert response.status_code == 409
    assert response.json()["detail"].startswith("expected a real clock, got a manual clock, which stands still")


@pytest.mark.parametrize(
    "body",
    [{}, {"speed": 0}, {"speed": -1}, {"speed": 1_000_001}, {"speed": "2"}, {"speed": None}, {"speed": True}, {"x": 1}],
)
async def test_invalid_speed_is_422(http: httpx.AsyncClient, body: Any) -> None:
    assert (await http.put("/_mock/clock/speed", json=body)).status_code == 422
    assert (await http.get("/_mock/clock")).json()["speed"] == 1


async def test_paused_mock_cannot_go_away_over_http(http: httpx.AsyncClient) -> None:
    """Nothing could end the outage: the clock stands still, and no request reaches the mock."""
    await http.post("/_mock/clock/pause")
    response = await http.post("/_mock/server/away", json={"seconds": 1})
    assert (response.status_code, "POST /_mock/clock/resume" in response.json()["detail"]) == (409, True)


@manual
async def test_next_deadline_beyond_the_year_9999_is_409(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await odyssey_mock.advance(odyssey_mock.clock.left)
    odyssey_mock.clock.call_later(60, "limit", lambda: None)
    answer = await http.post("/_mock/clock/next")
    assert (answer.status_code, "the clock ends with the year 9999" in answer.json()["detail"]) == (409, True)


async def test_mock_answers_after_the_year_9999(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    odyssey_mock.clock.pause()
    await odyssey_mock.advance(odyssey_mock.clock.left)
    odyssey_mock.clock.resume()
    shown = await http.get("/_mock/clock")
    assert (shown.status_code, shown.json()["iso"]) == (200, "9999-12-31T23:59:59+00:00")
    assert shown.headers["date"] == "Fri, 31 Dec 9999 23:59:59 GMT"


@pytest.mark.odyssey(speed=2)
async def test_reset_restores_the_pace(http: httpx.AsyncClient) -> None:
    before = (await http.put("/_mock/clock/speed", json={"speed": 50})).json()
    await http.post("/_mock/clock/pause")
    assert (await http.post("/_mock/reset")).status_code == 200
    after = (await http.get("/_mock/clock")).json()
    assert (after["speed"], after["paused"]) == (2, False)
    assert after["time"] >= before["time"]
    assert (await http.get("/_mock/journal")).json()["entries"] == []
