"""Tests of the measurement of region latencies."""

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager
from typing import Any, override

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_client.errors import ServiceUnreachableError, UnexpectedResponseError
from odyssey_client.rest import regions
from odyssey_client.rest.regions import measure
from odyssey_client.rest.transport import Transport
from odyssey_client.system import SystemClock

from .conftest import Answer, MakeTransport, Service, VirtualClock


@pytest.fixture
def patient(make: MakeTransport) -> Transport:
    """Return an HTTP transport with the system clock and a timeout of 10 s for pings, which no test waits for."""
    return make(clock=SystemClock(), region_ping_timeout_s=10)


def offer(service: Service, **urls: str) -> None:
    listed = [{"id": name, "ping_url": url} for name, url in urls.items()]
    service.script["GET /regions"] = Answer(body={"regions": listed})


async def test_regions_are_pinged_in_parallel(service: Service, patient: Transport) -> None:
    together = asyncio.Event()

    async def pong(asked: Any) -> Answer:
        if sum(asked.call.startswith("GET /ping") for asked in service.asked) == 3:
            together.set()
        await together.wait()
        return Answer(204, b"")

    offer(service, eu=f"{service.url}/ping/eu", us=f"{service.url}/ping/us", asia=f"{service.url}/ping/asia")
    for name in ("eu", "us", "asia"):
        service.script[f"GET /ping/{name}"] = pong
    latencies = await measure(patient)
    assert list(latencies) == ["eu", "us", "asia"]
    assert all(0 < latency < 9999 for latency in latencies.values())


async def test_unreachable_regions_count_as_9999_ms(service: Service, make: MakeTransport) -> None:
    service.script |= {"GET /ok": Answer(200), "GET /silent": Answer(until=asyncio.Event()), "GET /broken": Answer(500)}
    offer(
        service,
        ok=f"{service.url}/ok",
        silent=f"{service.url}/silent",
        broken=f"{service.url}/broken",
        refused="http://127.0.0.1:9/",
        nowhere="http://" + "a" * 70 + ".localhost/",
    )
    latencies = await measure(make(clock=SystemClock(), region_ping_timeout_s=0.5))
    assert latencies.pop("ok") < 500
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
async def test_invalid_region_list_gives_no_latencies(answer: Answer, service: Service, patient: Transport) -> None:
    service.script["GET /regions"] = answer
    assert await measure(patient) == {}


async def test_client_without_key_has_no_regions(make: MakeTransport) -> None:
    assert await measure(make(api_key=None)) == {}


async def test_cancelled_measurement_leaves_no_ping_task(service: Service, patient: Transport) -> None:
    offer(service, silent=f"{service.url}/silent")
    service.script["GET /silent"] = Answer(until=asyncio.Event())
    measuring = asyncio.create_task(measure(patient))
    await service.until_asked("GET /silent")
    assert "odyssey pings" in {task.get_name() for task in asyncio.all_tasks()}
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
    service: Service, patient: Transport, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = most = 0
    full = asyncio.Event()

    async def ping(_: str) -> bool:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if at_once == 25:
            asyncio.get_running_loop().call_soon(full.set)  # after the first step of every task that was created
        await full.wait()
        at_once -= 1
        return True

    monkeypatch.setattr(patient, "ping", ping)
    offer(service, **{f"region-{number}": f"{service.url}/ping/{number}" for number in range(1000)})
    with caplog.at_level("WARNING"):
        latencies = await measure(patient)
    assert list(latencies) == [f"region-{number}" for number in range(100)]
    assert max(latencies.values()) < 9999
    assert most == 25
    assert [record.message for record in caplog.records] == [
        "GET /regions lists more than 100 regions; ignoring the others"
    ]


class SlowClock(VirtualClock):
    """A clock on which each ping takes `ping_s` seconds."""

    def __init__(self, ping_s: float) -> None:
        super().__init__()
        self.limits: list[float | None] = []
        self._ping_s = ping_s

    async def ping(self, _: str) -> bool:
        self.now += self._ping_s
        return True

    @override
    def timeout(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        self.limits.append(seconds)
        return super().timeout(seconds)


@pytest.mark.parametrize(("ping_s", "latency"), [(0.025, 25.0), (9.998, 9998.0), (20.0, 9999.0)])
async def test_latency_is_the_time_of_the_ping(
    ping_s: float, latency: float, service: Service, make: MakeTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SlowClock(ping_s)
    transport = make(clock=clock, region_ping_timeout_s=30)
    monkeypatch.setattr(transport, "ping", clock.ping)
    offer(service, eu="http://a/")
    assert await measure(transport) == {"eu": pytest.approx(latency, abs=0.01)}
    assert clock.limits[0] == 45
    assert clock.limits[-1] == 30


@pytest.mark.parametrize(
    ("url", "is_valid"),
    [
        ("http://a/", True),
        ("https://a:1/", True),
        ("HTTPS://a", True),
        ("http://a:0/", False),
        ("http://a:-1/", False),
        ("http:///ping", False),
        ("ftp://a/", False),
    ],
)
def test_ping_url_is_an_http_url(url: str, is_valid: bool) -> None:
    answer: Any = {"regions": [{"id": "eu", "ping_url": url}]}
    if is_valid:
        assert regions._read(answer) == {"eu": url}
        return
    with pytest.raises(UnexpectedResponseError, match="ping_url must be an HTTP URL"):
        regions._read(answer)


async def test_log_states_why_latencies_are_missing(
    service: Service, make: MakeTransport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "odyssey_client")
    service.script["GET /regions"] = Answer(200, {"regions": {}})
    assert await measure(make()) == {}
    assert caplog.messages[-1].startswith(
        "connecting without region latencies: Unexpected response to GET /regions: regions must be an array"
    )
    service.script["GET /regions"] = Answer(until=asyncio.Event())
    assert await measure(make(region_ping_timeout_s=0.02)) == {}
    assert caplog.messages[-1] == "GET /regions and the pings took over 0.03 s; regions received: 0"


async def test_log_states_why_a_ping_failed(
    service: Service, patient: Transport, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = {"http://a/": TimeoutError(), "http://b/": ServiceUnreachableError("the host is unknown")}

    async def ping(url: str) -> bool:
        raise failures[url]

    monkeypatch.setattr(patient, "ping", ping)
    offer(service, **{"e" * 100: "http://a/", "u" * 101: "http://b/"})
    with caplog.at_level("DEBUG", "odyssey_client"):
        assert set((await measure(patient)).values()) == {9999.0}
    assert caplog.messages[-2:] == [
        f"region {'e' * 100} did not respond to the ping: timed out",
        f"region {'u' * 99}… did not respond to the ping: the host is unknown",
    ]


async def test_hundred_regions_are_measured_without_warning(
    service: Service, patient: Transport, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ping(_: str) -> bool:
        return True

    monkeypatch.setattr(patient, "ping", ping)
    offer(service, **{f"region-{number}": "http://a/" for number in range(100)})
    assert len(await measure(patient)) == 100
    assert [each for each in caplog.records if each.levelname == "WARNING"] == []
