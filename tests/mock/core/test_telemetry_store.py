"""Tests of the store of telemetry events: its bounds, and copies."""

import sys

import pytest

from odyssey_mock.core.telemetry_store import TelemetryStore

EVENT = '{"name":"connected","ms":110}'
MEMORY = sys.getsizeof(EVENT) + 50
"""Memory of the event in the store, in bytes."""


def test_events_are_kept_in_order_until_cleared() -> None:
    store = TelemetryStore(5, 10_000)
    store.append(EVENT)
    store.append('{"text":"é","nested":{"list":[1,null]}}')
    assert store.events == ({"name": "connected", "ms": 110}, {"text": "é", "nested": {"list": [1, None]}})
    assert len(store) == 2
    store.clear()
    assert ([*store.events], len(store), store.dropped) == ([], 0, 0)


def test_events_above_the_number_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="odyssey_mock")
    store = TelemetryStore(2, 10_000)
    for number in range(5):
        store.append(f'{{"n":{number}}}')
    assert (store.events, store.dropped) == (({"n": 3}, {"n": 4}), 3)
    assert "the telemetry events" in caplog.text
    store.clear()
    assert store.dropped == 0


@pytest.mark.parametrize(("max_bytes", "kept"), [(3 * MEMORY, 3), (3 * MEMORY - 1, 2)])
def test_events_above_the_memory_are_dropped(max_bytes: int, kept: int) -> None:
    store = TelemetryStore(10, max_bytes)
    for _ in range(5):
        store.append(EVENT)
    assert (len(store), store.dropped) == (kept, 5 - kept)


def test_returned_events_are_copies() -> None:
    store = TelemetryStore(5, 10_000)
    store.append('{"list":[1]}')
    store.events[0]["list"].append(2)
    assert store.events == ({"list": [1]},)
