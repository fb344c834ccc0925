"""Tests of invalid arguments in calls for simulations and recordings: an error is raised and no request is sent."""

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from odyssey_client import ImageError, Odyssey, OdysseyAuthError, OdysseyConfigError, ScriptError
from odyssey_mock import MockOdyssey

ENTRIES: list[dict[str, Any]] = [
    {"timestamp_ms": 0, "start": {"prompt": "A cat"}},
    {"timestamp_ms": 2000, "end": {}},
]


def asked(mock: MockOdyssey) -> list[str]:
    return [entry.name for entry in mock.journal.find("rest")]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.simulate(script=ENTRIES, portrait="yes"), "portrait must be a bool, got str"),
        (lambda c: c.simulate(script=ENTRIES, portrait=np.True_), r"portrait must be a bool, got numpy\.bool"),
        (lambda c: c.simulate(script=ENTRIES, bypass_prompt_expansion=1), "bypass_prompt_expansion must be a bool"),
        (lambda c: c.get_simulate_status(""), "job_id must be a non-empty string, got an empty string"),
        (lambda c: c.get_simulate_status(7), "job_id must be a non-empty string, got int"),
        (lambda c: c.get_simulate_status(".."), "job_id must be an id from the service"),
        (lambda c: c.cancel_simulation("\ud800"), "job_id must be an id from the service"),
        (lambda c: c.get_recording("x" * 2000), "stream_id must be an id from the service"),
        (lambda c: c.get_recording(None), "stream_id must be a non-empty string, got NoneType"),
        (lambda c: c.download_recording("", "cat.mp4"), "stream_id must be a non-empty string, got an empty string"),
        (lambda c: c.list_simulations(limit=0), "limit must be a whole number from 1 to 100, got 0"),
        (lambda c: c.list_simulations(limit=101), "limit must be a whole number from 1 to 100, got 101"),
        (lambda c: c.list_simulations(limit=True), "limit must be a whole number from 1 to 100, got True"),
        (lambda c: c.list_simulations(offset=-1), "offset must be a whole number from 0 to 9007199254740991, got -1"),
        (lambda c: c.list_simulations(offset=10**5000), "offset must be .*, got a very large number"),
        (lambda c: c.list_simulations(status="running"), "status must be one of pending, .*, got 'running'"),
        (lambda c: c.list_simulations(status=3), "status must be one of pending, .*, got 3"),
        (lambda c: c.list_simulations(active="yes"), "active must be a bool, got str"),
        (lambda c: c.list_stream_recordings(limit="5"), "limit must be a whole number from 1 to 100, got '5'"),
        (lambda c: c.list_stream_recordings(offset=1.0), "offset must be a whole number .*, got 1.0"),
        (lambda c: anext(c.iter_simulations(page_size=0)), "page_size must be a whole number from 1 to 100"),
        (lambda c: anext(c.iter_simulations(status="")), "status must be one of"),
        (lambda c: anext(c.iter_stream_recordings(page_size=None)), "page_size must be a whole number"),
        (lambda c: c.wait_for_simulation("job", poll_interval=0), "poll_interval must be a number of seconds above 0"),
        (lambda c: c.wait_for_simulation("job", poll_interval=None), "poll_interval must be .*, got None"),
        (lambda c: c.wait_for_simulation("job", timeout=-1), "timeout must be a number of seconds above 0 .*, got -1"),
        (lambda c: c.wait_for_simulation("job", timeout=float("nan")), "timeout must be .*, got nan"),
        (lambda c: c.wait_for_simulation("job", timeout=float("inf")), "timeout must be .*, got inf"),
        (lambda c: c.wait_for_simulation("job", timeout=10**400), "timeout must be .*, got a very large number"),
        (lambda c: c.wait_for_simulation("job", on_update="print"), "on_update must be a function or None, got str"),
    ],
)
async def test_invalid_argument_is_rejected_before_sending(
    call: Callable[[Any], Awaitable[object]], message: str, odyssey_mock: MockOdyssey, odyssey_client: Odyssey
) -> None:
    with pytest.raises(OdysseyConfigError, match=message):
        await call(odyssey_client)
    assert asked(odyssey_mock) == []


async def test_invalid_script_error_lists_every_fault(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    with pytest.raises(ScriptError) as caught:
        await odyssey_client.simulate(scripts=[ENTRIES, [{"timestamp_ms": 5, "interact": {}}]])
    assert {fault.path for fault in caught.value.faults} >= {
        "scripts[1][0].timestamp_ms",
        "scripts[1][0].interact.prompt",
    }
    with pytest.raises(ScriptError, match="exactly one of script, scripts, script_url"):
        await odyssey_client.simulate()
    with pytest.raises(ScriptError, match="exactly one of script, scripts, script_url"):
        await odyssey_client.simulate(script=ENTRIES, script_url="http://host/script.json")
    with pytest.raises((ScriptError, ImageError), match=r"(?i)image"):
        await odyssey_client.simulate(script=[{**ENTRIES[0], "start": {"prompt": "", "image": b"none"}}, ENTRIES[1]])
    assert asked(odyssey_mock) == []


async def test_keyless_client_cannot_make_rest_calls(odyssey_mock: MockOdyssey) -> None:
    async with Odyssey.keyless() as client:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: client.simulate(script=ENTRIES),
            lambda: client.get_simulate_status("job"),
            client.list_simulations,
            lambda: client.cancel_simulation("job"),
            lambda: client.wait_for_simulation("job"),
            lambda: anext(client.iter_simulations()),
            lambda: client.get_recording("stream"),
            client.list_stream_recordings,
            lambda: anext(client.iter_stream_recordings()),
        ]
        for call in calls:
            with pytest.raises(OdysseyConfigError, match="api_key is required"):
                await call()
    assert asked(odyssey_mock) == []


async def test_refused_key_raises_the_vendors_message(odyssey_mock: MockOdyssey) -> None:
    async with Odyssey("ody_invalid_key", api_url=odyssey_mock.url) as client:
        with pytest.raises(OdysseyAuthError, match=r"^Invalid API key$"):
            await client.simulate(script=ENTRIES)
