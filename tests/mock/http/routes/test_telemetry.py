"""Tests of `POST /telemetry`, which accepts any body and never fails."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.http.request_body import RequestBody

EVENTS = [{"name": "connected", "ms": 110}, {"event": "stream_started"}, {"type": "x"}, {"ms": 1}]


async def test_events_are_stored_and_recorded_by_name(authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    answer = await authorized.post("/telemetry", json={"events": EVENTS})
    assert answer.status_code == 202
    assert list(odyssey_mock.telemetry) == EVENTS
    entries = odyssey_mock.journal.find("telemetry")
    assert [entry.name for entry in entries] == ["connected", "stream_started", "x", "event"]
    assert entries[0].data == {"event": EVENTS[0]}
    assert entries[0].account == odyssey_mock.journal.find("rest", "POST /auth/token")[0].account


@pytest.mark.parametrize("size", [100, 100_000])
async def test_secrets_are_masked_in_events_and_entries(
    authorized: httpx.AsyncClient, odyssey_mock: MockOdyssey, size: int
) -> None:
    token = authorized.headers["Authorization"].removeprefix("Bearer ")
    url = "http://a/?token=s3cret"
    event = {"name": f"GET {url}", "url": url, "ody_0123456789abcdef": 1, "text": "x" * size, token: token}
    await authorized.post("/telemetry", json={"events": [event]})
    masked = {
        "name": "GET http://a/?token=***",
        "url": "http://a/?token=***",
        "ody_...": 1,
        "text": "x" * size,
        "***": "***",
    }
    assert list(odyssey_mock.telemetry) == [masked]
    (entry,) = odyssey_mock.journal.find("telemetry")
    assert (entry.name, entry.data) == ("GET http://a/?token=***", {"event": masked})


async def test_reset_drops_events_that_arrived_before(
    http: httpx.AsyncClient, odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_masking, is_reset = asyncio.Event(), asyncio.Event()

    async def process(
        body: RequestBody, function: Callable[[object], object], value: object, *, in_thread: int = 0
    ) -> object:
        result = function(value)
        if isinstance(value, list):
            is_masking.set()
            await is_reset.wait()
        return result

    monkeypatch.setattr(RequestBody, "process", process)
    sending = asyncio.create_task(http.post("/telemetry", json={"events": EVENTS}))
    await is_masking.wait()
    await odyssey_mock.reset()
    is_reset.set()
    assert (await sending).json() == {"accepted": 4}
    assert list(odyssey_mock.telemetry) == []
    assert odyssey_mock.journal.find("telemetry") == []


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer made-up"}])
async def test_telemetry_needs_no_token(
    http: httpx.AsyncClient, odyssey_mock: MockOdyssey, headers: dict[str, str]
) -> None:
    assert (await http.post("/telemetry", json={"events": EVENTS}, headers=headers)).status_code == 202
    assert odyssey_mock.journal.find("telemetry")[0].account is None


@pytest.mark.parametrize("size", [100, 100_000])
async def test_fault_acts_on_requests_without_token(
    http: httpx.AsyncClient, odyssey_mock: MockOdyssey, size: int
) -> None:
    odyssey_mock.faults.add(at="rest.telemetry", do="status", status=503)
    body = {"events": [{"name": "a", "text": "x" * size}]}
    assert (await http.post("/telemetry", json=body)).status_code == 503


@pytest.mark.off_contract("invalid bodies")
@pytest.mark.parametrize(
    ("body", "kept", "why"),
    [
        (b"", 0, "0 bytes that are not JSON"),
        (b"{", 0, "1 bytes that are not JSON"),
        (b"[]", 0, "a JSON list without a list of events"),
        (b'{"events": {}}', 0, "a JSON dict without a list of events"),
        (b'{"events": [{}, 7, "x"]}', 1, "2 of 3 events that are not objects"),
        (
            b'{"events": [%b7]}' % (b"{}," * 1_200),
            1_000,
            "1 of 1201 events that are not objects; 200 events above the limit of 1000",
        ),
        (
            b'{"events": [%b7]}' % (b"{}," * 10_000),
            0,
            "a body with 20002 commas and opening brackets; the limit is 20000",
        ),
    ],
)
async def test_invalid_telemetry_is_accepted_and_noted(
    http: httpx.AsyncClient, odyssey_mock: MockOdyssey, body: bytes, kept: int, why: str
) -> None:
    answer = await http.post("/telemetry", content=body)
    assert (answer.status_code, answer.json()) == (202, {"accepted": kept})
    assert len(odyssey_mock.telemetry) == kept
    (note,) = odyssey_mock.journal.find("note", "telemetry refused")
    assert note.data["got"] == why


@pytest.mark.odyssey(journal_limit=3)
async def test_only_the_latest_events_are_kept(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    await http.post("/telemetry", json={"events": [{"n": n} for n in range(5)]})
    assert list(odyssey_mock.telemetry) == [{"n": 2}, {"n": 3}, {"n": 4}]


@pytest.mark.odyssey(journal_bytes=10_000)
async def test_events_and_entries_are_bounded_in_bytes(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    for number in range(10):
        await http.post("/telemetry", json={"events": [{"n": number, "text": "x" * 2000}]})
    assert [event["n"] for event in odyssey_mock.telemetry] == [6, 7, 8, 9]
    shown = (await http.get("/_mock/journal")).json()
    assert [entry["kind"] for entry in shown["entries"]] == ["rest", "telemetry", "rest"]
    assert shown["dropped"] == shown["entries"][0]["index"] == odyssey_mock.journal.dropped == 17
