"""Tests of faulty responses byte by byte, and of clients or mocks that disconnect before a response is complete."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx
import pytest
import pytest_asyncio

from odyssey_mock import MockOdyssey
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.http.fault_responses import TICKS
from tests.support.http_points import token_of
from tests.support.leftovers import nothing_left
from tests.support.raw import LIMIT
from tests.support.tls_contexts import NO_CERTIFICATES

BIG = {"events": [{"name": "x" * (1 << 19)}]}
"""A request body larger than the part that the server reads in advance."""


@pytest_asyncio.fixture
async def mock() -> AsyncIterator[MockOdyssey]:
    async with MockOdyssey(clock="manual") as running:
        yield running


@pytest_asyncio.fixture
async def http(mock: MockOdyssey) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=mock.url, trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES) as client:
        yield client


@asynccontextmanager
async def asking(mock: MockOdyssey, text: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a TCP connection to the mock and send `text`, with CRLF line ends; yield the reader and the writer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(mock.url.rpartition(":")[2]))
    try:
        writer.write(text.replace("\n", "\r\n").encode())
        await writer.drain()
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


CONFIG = "GET /config HTTP/1.1\nHost: x\n\n"
PLAYLIST = "/broadcast/x/hls/index.m3u8"
"""Path of the playlist of an unknown broadcast; without a fault, the response is a 404."""
GET_PLAYLIST = f"GET {PLAYLIST} HTTP/1.1\nHost: x\n\n"


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({"status": 404}, {"detail": "Not Found: injected fault"}),
        ({"status": 499}, {"detail": "Status 499: injected fault"}),
        ({"status": 400, "detail": "no"}, {"detail": "no"}),
        ({"status": 422, "detail": [{"loc": ["body"]}]}, {"detail": [{"loc": ["body"]}]}),
        ({"status": 429, "detail": {"error": "RATE_LIMITED"}}, {"detail": {"error": "RATE_LIMITED"}}),
        ({"status": 400, "detail": "half a pair: \ud800"}, {"detail": "half a pair: \ud800"}),
    ],
)
async def test_status_response_has_the_given_detail(
    mock: MockOdyssey, http: httpx.AsyncClient, given: dict[str, JSON], body: JSON
) -> None:
    mock.faults.add({"at": "rest.regions.ping", "do": "status", **given})
    answer = await http.get("/ping/us-east-1")
    assert (answer.status_code, answer.json()) == (given["status"], body)
    assert "retry-after" not in answer.headers


async def test_key_with_lone_surrogate_reaches_its_route(mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    mock.faults.add(at="rest.auth.token", do="reset", match={"account": "ody_somebody"})
    answer = await http.post("/auth/token", content=rb'{"api_key": "\ud800"}')
    assert answer.status_code == 422


async def test_exception_in_a_fault_action_is_500(
    mock: MockOdyssey, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise LookupError("raised by the test")

    monkeypatch.setattr("odyssey_mock.http.fault_points.ACTIONS", {"reset": fails})
    mock.faults.add(at="whep.config", do="reset")
    answer = await http.get("/config")
    assert answer.json()["detail"].startswith("unexpected LookupError in the mock")
    mock.expect("defect", kind="note", at="http /config")
    assert mock.expect("GET /config", kind="rest").data["status"] == 500


async def test_status_401_names_its_scheme(mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    mock.faults.add(at="rest.regions.ping", do="status", status=401)
    assert (await http.get("/ping/us-east-1")).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("do", ["status", "not_json", "wrong_shape"])
async def test_other_origins_can_read_faulty_responses(mock: MockOdyssey, http: httpx.AsyncClient, do: str) -> None:
    parameters = {"status": 503, "retry_after": 0} if do == "status" else {}
    mock.faults.add({"at": "rest.regions.ping", "do": do, **parameters})
    answer = await http.get("/ping/us-east-1", headers={"Origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert answer.headers["date"] == "Thu, 01 Jan 2026 00:00:00 GMT"


async def test_head_request_with_fault_has_no_body(mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    mock.faults.add(at="whep.config", do="not_json", body="no", times=1)
    spoilt = await http.head("/config")
    assert (spoilt.status_code, spoilt.headers["content-length"], spoilt.content) == (200, "2", b"")
    mock.faults.add(at="hls.playlist", do="slow", bytes_per_second=1, times=1)
    assert (await http.head(PLAYLIST)).status_code == 404
    mock.faults.add(at="whep.config", do="truncate", times=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await http.head("/config")


async def test_reset_fault_is_a_tcp_reset(mock: MockOdyssey) -> None:
    mock.faults.add(at="whep.config", do="reset")
    async with asking(mock, CONFIG) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), LIMIT)


async def test_truncated_response_has_half_its_body(mock: MockOdyssey) -> None:
    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        whole = (await http.get(f"{mock.url}/config", headers={"Host": "x"})).content
    mock.faults.add(at="whep.config", do="truncate")
    async with asking(mock, CONFIG) as (reader, _):
        head, _, body = (await asyncio.wait_for(reader.read(), LIMIT)).partition(b"\r\n\r\n")
    assert f"content-length: {len(whole)}" in head.decode().lower()
    assert body == whole[: len(whole) // 2]
    (entry,) = mock.journal.find("rest", fault="truncate")
    assert entry.data["status"] == 200


@pytest.mark.parametrize("rate", [1, 7, 20, 1000])
async def test_slow_response_follows_the_clock(mock: MockOdyssey, rate: int) -> None:
    mock.faults.add(at="hls.playlist", do="slow", bytes_per_second=rate)
    async with asking(mock, GET_PLAYLIST) as (reader, _):
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        received = b""
        for step in range(1, 2 * length // rate + 3):
            await mock.advance(0.5)
            due = min(length, step * rate / 2)
            piece = max(1, rate // TICKS)
            while len(received) < due - piece:
                received += await asyncio.wait_for(reader.read(length), LIMIT)
            # Wait briefly, to receive data that was sent too early.
            with contextlib.suppress(TimeoutError):
                received += await asyncio.wait_for(reader.read(length), 0.005)
            assert due - piece <= len(received) <= due
    assert len(received) == length
    assert mock.journal.find("rest", fault="slow")[0].data["status"] == 404


@pytest.mark.parametrize("do", ["delay", "no_answer", "slow"])
@pytest.mark.parametrize("how", ["closes", "resets"])
async def test_disconnect_ends_a_waiting_request_at_once(mock: MockOdyssey, do: str, how: str) -> None:
    parameters: Mapping[str, JSON] = {"delay": {"seconds": 60}, "slow": {"bytes_per_second": 1}, "no_answer": {}}[do]
    mock.faults.add({"at": "hls.playlist", "do": do, **parameters})
    async with asking(mock, GET_PLAYLIST) as (_, writer):
        await mock.wait_for("fault", "hls.playlist")
        if how == "resets":
            connected = writer.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()
    entry = await mock.wait_for("rest", "GET /broadcast/{stream_id}/hls/{file}")
    assert (entry.data["fault"], entry.data["status"]) == (do, 404 if do == "slow" else None)
    assert not [deadline for deadline in mock.clock.pending if deadline.name.startswith("fault")]


async def test_delayed_request_of_lost_client_has_no_effect(mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    token = (await http.post("/auth/token", json={"api_key": mock.api_key})).json()["access_token"]
    http.headers["Authorization"] = f"Bearer {token}"
    mock.faults.add(at="rest.sessions.request", do="delay", seconds=60)
    request = asyncio.create_task(http.post("/sessions/request", json={}))
    await mock.wait_for("fault", "rest.sessions.request")
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    await mock.wait_for("rest", "POST /sessions/request", status=None)
    await mock.advance(120)
    assert not mock.sessions


async def test_disconnect_is_noticed_after_a_large_body(mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    request = await big_delayed_request(mock, http)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    await mock.wait_for("rest", "POST /telemetry", status=None)


async def test_delayed_request_keeps_its_whole_body(mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    request = await big_delayed_request(mock, http)
    await mock.advance(60)
    assert (await request).json() == {"accepted": 1}


async def big_delayed_request(mock: MockOdyssey, http: httpx.AsyncClient) -> asyncio.Task[httpx.Response]:
    """Send the request with the body `BIG`, and return its task once a fault delays it by a minute."""
    mock.faults.add(at="rest.telemetry", do="delay", seconds=60)
    headers = {"Authorization": f"Bearer {await token_of(mock, http)}"}
    request = asyncio.create_task(http.post("/telemetry", json=BIG, headers=headers))
    await mock.wait_for("fault", "rest.telemetry")
    return request


async def test_large_body_without_token_is_not_delayed(mock: MockOdyssey, http: httpx.AsyncClient) -> None:
    mock.faults.add(at="rest.simulations.create", do="delay", seconds=60)
    async with asking(mock, f"POST /simulation-jobs HTTP/1.1\nHost: x\nContent-Length: {60 << 20}\n\n") as (reader, _):
        assert await reader.readline() == b"HTTP/1.1 401 Unauthorized\r\n"
    assert not mock.journal.find("fault")


@pytest.mark.parametrize("point", ["rest.auth.token", "rest.telemetry"])
@pytest.mark.parametrize("do", ["status", "not_json", "delay"])
async def test_incomplete_body_ends_with_its_client(mock: MockOdyssey, point: str, do: str) -> None:
    given: Mapping[str, JSON] = {"status": {"status": 503}, "delay": {"seconds": 1}, "not_json": {}}[do]
    mock.faults.add({"at": point, "do": do, **given})
    path = {"rest.auth.token": "/auth/token", "rest.telemetry": "/telemetry"}[point]
    async with asking(mock, f"POST {path} HTTP/1.1\nHost: x\nContent-Length: 100\n\n{{"):
        pass
    entry = await mock.wait_for("rest", f"POST {path}")
    assert entry.data["status"] is None
    assert not mock.journal.find("note", "defect")


@pytest.mark.parametrize("do", ["delay", "no_answer", "slow"])
async def test_exit_does_not_wait_for_delayed_requests(do: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.http.uvicorn_server.GRACE", LIMIT)
    parameters: Mapping[str, JSON] = {"delay": {"seconds": 60}, "slow": {"bytes_per_second": 1}, "no_answer": {}}[do]
    async with nothing_left(), httpx.AsyncClient(trust_env=False, timeout=LIMIT, verify=NO_CERTIFICATES) as http:
        async with MockOdyssey(clock="manual") as mock:
            mock.faults.add({"at": "hls.playlist", "do": do, **parameters})
            request = asyncio.create_task(http.get(mock.url + PLAYLIST))
            await mock.wait_for("fault", "hls.playlist")
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < LIMIT / 4
        with pytest.raises(httpx.TransportError):
            await request


@pytest.mark.parametrize("do", ["reset", "truncate", "no_answer"])
async def test_faulty_responses_are_not_logged(
    mock: MockOdyssey, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture, do: str
) -> None:
    mock.faults.add({"at": "whep.config", "do": do})
    with pytest.raises(httpx.TransportError):
        await http.get("/config", timeout=0.1 if do == "no_answer" else LIMIT)
    await mock.wait_for("rest", "GET /config")
    assert [record.getMessage() for record in caplog.records if record.name.startswith("odyssey")] == []


async def test_delay_works_on_a_real_clock() -> None:
    async with MockOdyssey(speed=100.0) as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        mock.faults.add(at="whep.config", do="delay", seconds=10)
        began = asyncio.get_running_loop().time()
        assert (await http.get(f"{mock.url}/config")).status_code == 200
        assert asyncio.get_running_loop().time() - began >= 0.1
