"""Tests of telemetry: batches, background sending, private data, and failures."""

import asyncio
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.config import AdvancedConfig, ClientConfig
from odyssey_client.rest import telemetry as module
from odyssey_client.rest.telemetry import Telemetry
from odyssey_client.rest.transport import Transport
from odyssey_client.system import SystemClock, SystemEntropy, SystemNetwork
from odyssey_client.version import client_version

from .conftest import API_KEY, Answer, MakeTransport, Service, VirtualClock

TELEMETRY = "POST /telemetry"


@pytest.fixture(autouse=True)
def accepted(service: Service) -> None:
    service.script[TELEMETRY] = Answer(204, b"")


async def test_event_has_name_time_client_and_session(service: Service, transport: Transport) -> None:
    telemetry = Telemetry(transport)
    telemetry.record("connected", session_id="s-1", duration_ms=140, codec="H264")
    await telemetry.aclose()
    assert service.calls(TELEMETRY)[0].body == {
        "events": [
            {
                "name": "connected",
                "timestamp_ms": 1_800_000_000_000,
                "client": "odyssey-testkit",
                "client_version": client_version(),
                "session_id": "s-1",
                "duration_ms": 140,
                "codec": "H264",
            }
        ]
    }


async def test_events_are_sent_in_batches_in_background(
    service: Service, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHER_S", 0.01)
    telemetry = Telemetry(transport)
    for number in range(51):
        telemetry.record("step", number=number)
    await service.until_asked(TELEMETRY, 2)
    assert [len(asked.body["events"]) for asked in service.calls(TELEMETRY)] == [50, 1]
    await telemetry.aclose()


async def test_disabled_telemetry_sends_nothing(service: Service, make: MakeTransport) -> None:
    telemetry = Telemetry(make(telemetry=False))
    telemetry.record("connected")
    await telemetry.aclose()
    assert service.asked == []


async def test_telemetry_never_requests_token(service: Service, transport: Transport) -> None:
    telemetry = Telemetry(transport)
    telemetry.record("failed")
    await telemetry.aclose()
    assert [asked.call for asked in service.asked] == [TELEMETRY]


async def test_private_or_invalid_fields_are_not_sent(service: Service, transport: Transport) -> None:
    telemetry = Telemetry(transport)
    telemetry.record(
        "event",
        prompt="a cat on a roof",
        image="data:image/png;base64,AAAA",
        key=API_KEY,
        url="wss://host/x?token=a.b.c",
        infinite=float("inf"),
        nan=float("nan"),
        nothing=None,
        name_of_state="connected",
        yes=True,
    )
    await telemetry.aclose()
    event = service.calls(TELEMETRY)[0].body["events"][0]
    assert set(event) == {"name", "timestamp_ms", "client", "client_version", "name_of_state", "yes"}


async def test_failure_is_logged_at_debug_level(
    service: Service, transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "odyssey_client")
    service.script[TELEMETRY] = Answer(500, {"detail": "no room"})
    telemetry = Telemetry(transport)
    telemetry.record("connected")
    await telemetry.aclose()
    assert "telemetry: could not send 1 events: POST /telemetry: HTTP 500 Internal Server Error: no room" in caplog.text


async def test_full_queue_drops_oldest_events(service: Service, transport: Transport) -> None:
    telemetry = Telemetry(transport)
    for number in range(module.QUEUE_LIMIT + 10):
        telemetry.record("step", number=number)
    await telemetry.aclose()
    sent = [event["number"] for asked in service.calls(TELEMETRY) for event in asked.body["events"]]
    assert sent == list(range(10, module.QUEUE_LIMIT + 10))


async def test_close_does_not_wait_for_hanging_service(
    service: Service, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FLUSH_LIMIT_S", 0.05)
    service.script[TELEMETRY] = Answer(until=asyncio.Event())
    telemetry = Telemetry(transport)
    telemetry.record("connected")
    clock = SystemClock()
    started = clock.monotonic()
    await telemetry.aclose()
    assert clock.monotonic() - started < 0.5
    assert not senders()


async def test_cancelled_close_leaves_no_task(service: Service, transport: Transport) -> None:
    service.script[TELEMETRY] = Answer(until=asyncio.Event())
    telemetry = Telemetry(transport)
    telemetry.record("connected")
    closing = asyncio.create_task(telemetry.aclose())
    await service.until_asked(TELEMETRY)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert not senders()


async def test_telemetry_can_be_used_after_close(service: Service, transport: Transport) -> None:
    telemetry = Telemetry(transport)
    for name in ("first", "second"):
        telemetry.record(name)
        await telemetry.aclose()
    assert [asked.body["events"][0]["name"] for asked in service.calls(TELEMETRY)] == ["first", "second"]


def senders() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "odyssey telemetry"]


def no_loop_telemetry() -> Telemetry:
    config = ClientConfig(API_KEY, "http://127.0.0.1:9", AdvancedConfig())
    return Telemetry(Transport(config, clock=VirtualClock(), entropy=SystemEntropy(), network=SystemNetwork()))


@given(
    st.text(),
    st.none() | st.text(),
    st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.floats() | st.text()),
)
def test_record_never_raises(name: str, session_id: str | None, fields: dict[str, bool | float | str | None]) -> None:
    for taken in ("self", "name", "session_id"):
        fields.pop(taken, None)
    no_loop_telemetry().record(name, session_id=session_id, **fields)
