"""Tests of the measurement of region latencies."""

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.errors import UnexpectedResponseError
from odyssey_client.rest import regions
from odyssey_client.rest.regions import measure
from odyssey_client.rest.transport import Transport
from odyssey_client.system import SystemClock

from .conftest import Answer, MakeTransport, Service


@pytest.fixture
def quick(make: MakeTransport) -> Transport:
    """Return an HTTP transport with the system clock and a timeout of 0.3 s for pings."""
    return make(clock=SystemClock(), region_ping_timeout_s=0.3)


def offer(service: Service, **urls: str) -> None:
    listed = [{"id": name, "ping_url": url} for name, url in urls.items()]
    service.script["GET /regions"] = Answer(body={"regions": listed})


async def test_regions_are_pinged_in_parallel(service: Service, quick: Transport) -> None:
    together = asyncio.Event()

    async def pong(asked: Any) -> Answer:
        if sum(asked.call.startswith("GET /ping") for asked in service.asked) == 3:
            together.set()
        await together.wait()
        return Answer(204, b"")

    offer(service, eu=f"{service.url}/ping/eu", us=f"{service.url}/ping/us", asia=f"{service.url}/ping/asia")
    for name in ("eu", "us", "asia"):
        service.script[f"GET /ping/{name}"] = pong
    latencies = await measure(quick)
    assert list(latencies) == ["eu", "us", "asia"]
    assert all(0 < latency < 300 for latency in latencies.values())


async def test_unreachable_regions_count_as_9999_ms(service: Service, quick: Transport) -> None:
    service.script |= {"GET /ok": Answer(200), "GET /silent": Answer(until=asyncio.Event()), "GET /broken": Answer(500)}
    offer(
        service,
        ok=f"{service.url}/ok",
        silent=f"{service.url}/silent",
        broken=f"{service.url}/broken",
        refused="http://127.0.0.1:9/",
        nowhere="http://" + "a" * 70 + ".localhost/",
    )
    latencies = await measure(quick)
    assert latencies.pop("ok") < 300
    assert set(latencies.values()) == {9999.0}
    assert set(latencies) == {"silent", "broken", "refused", "nowhere"}


async def test_missing_region_list_times_out(service: Service, make: MakeTransport) -> None:
    service.script["GET /regions"] = Answer(until=asyncio.Event())
    clock = SystemClock()
    started = clock.monotonic()
    assert await measure(make(clock=clock, region_ping_timeout_s=0.05)) == {}
    assert clock.monotonic() - started < 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500, {"detail": "x"}),
        Answer(401, {"detail": "x"}),
        Answer(200, b"<html>"),
        Answer(200, []),
        Answer(200, {"regions": {}}),
        Answer(200, {"regions": ["eu"]}),
        Answer(200, {"regions": [{"id": "eu"}]}),
        Answer(200, {"regions": [{"id": 1, "ping_url": "http://127.0.0.1/"}]}),
        Answer(200, {"regions": [{"id": "eu", "ping_url": "file:///etc/passwd"}]}),
        Answer(200, {"regions": [{"id": "eu", "ping_url": "http://127.0.0.1:99999/"}]}),
        Answer(200, {"regions": [{"id": "eu", "ping_url": "http://[::1/"}]}),
        Answer(200, {"regions": []}),
        Answer(raw=b""),
    ],
)
async def test_invalid_region_list_gives_no_latencies(answer: Answer, service: Service, quick: Transport) -> None:
    service.script["GET /regions"] = answer
    assert await measure(quick) == {}


async def test_client_without_key_has_no_regions(make: MakeTransport) -> None:
    assert await measure(make(api_key=None)) == {}


async def test_cancelled_measurement_leaves_no_ping_task(service: Service, quick: Transport) -> None:
    offer(service, silent=f"{service.url}/silent")
    service.script["GET /silent"] = Answer(until=asyncio.Event())
    measuring = asyncio.create_task(measure(quick))
    await service.until_asked("GET /silent")
    measuring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await measuring


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["regions", "id", "ping_url"]) | st.text(), inner)
        ),
        max_leaves=8,
    )
)
def test_any_json_gives_regions_or_error(answer: Any) -> None:
    with contextlib.suppress(UnexpectedResponseError):
        assert all(url.startswith("http") for url in regions._read(answer).values())


async def test_number_of_regions_and_pings_is_limited(
    service: Service, quick: Transport, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = most = 0
    full = asyncio.Event()

    async def ping(_: str) -> bool:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if at_once == regions.PINGS_AT_ONCE:
            asyncio.get_running_loop().call_soon(full.set)  # after the first step of every task that was created
        await full.wait()
        at_once -= 1
        return True

    monkeypatch.setattr(quick, "ping", ping)
    offer(service, **{f"region-{number}": f"{service.url}/ping/{number}" for number in range(1000)})
    with caplog.at_level("WARNING"):
        latencies = await measure(quick)
    assert list(latencies) == [f"region-{number}" for number in range(regions.MAX_REGIONS)]
    assert max(latencies.values()) < regions.NO_ANSWER_MS
    assert most == regions.PINGS_AT_ONCE
    assert [record.message for record in caplog.records] == [
        "GET /regions lists more than 100 regions; ignoring the others"
    ]
