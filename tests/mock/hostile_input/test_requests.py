"""Property tests: any bytes as HTTP request, any tokens and any changes of signed URLs."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from odyssey_mock import MockOdyssey
from odyssey_mock.settings import Settings
from tests.support.hostile import examples, mutated, unharmed
from tests.support.raw import LIMIT, RawApi
from tests.support.raw_frames import UPGRADE

REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
SCRIPT = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 100, "end": {}}]
STATUS = re.compile(rb"HTTP/1\.1 ([1-5]\d\d) ")


@dataclass(frozen=True)
class Service:
    """A mock with an account, a session, and the recording of a stream."""

    mock: MockOdyssey
    http: httpx.AsyncClient
    access_token: str
    socket: str
    """The path and query of the signaling socket of a session, with a valid token."""
    events: str
    """The path and query of the presigned URL of the recording's events."""

    async def statuses(self, request: bytes) -> list[int]:
        """Send bytes on a new connection, and return the statuses of the responses.

        An incomplete request has no response. To recognize this without a timeout, two other requests are sent
        meanwhile. Then the mock has handled the bytes, and the connection is closed.
        """
        parts = urlsplit(self.mock.url)
        assert parts.hostname is not None
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(request)
            for _ in range(2):
                await self.http.get("/_mock/health")
            writer.write_eof()
            async with asyncio.timeout(LIMIT):
                received = await reader.read()
        except ConnectionError:
            return []
        finally:
            writer.close()
        return [int(status) for status in STATUS.findall(received)]

    async def status(self, request: bytes) -> int:
        """Send a valid request on a new connection, and return the status of its response."""
        parts = urlsplit(self.mock.url)
        assert parts.hostname is not None
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(request)
        async with asyncio.timeout(LIMIT):
            head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return int(head.split(b" ")[1])

    async def is_usable(self) -> bool:
        """Whether the mock answers a valid request with the access token."""
        response = await self.http.get("/regions", headers={"Authorization": f"Bearer {self.access_token}"})
        return response.status_code == 200


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    at_once = Settings(simulation_dispatch_delay=0, simulation_start_delay=0, simulation_pace=0)
    async with MockOdyssey(at_once, plan="unlimited") as mock, RawApi(mock) as api:
        request = {"script": SCRIPT, "portrait": True, "output_video": True}
        job = (await api.http.post("/simulation-jobs", json=request)).json()["job_id"]
        await mock.wait_for("state", "simulation", to="completed", job=job)
        stream = (await api.http.get(f"/simulation-jobs/{job}")).json()["streams"][0]
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
        yield Service(
            mock,
            api.http,
            api.http.headers["Authorization"].removeprefix("Bearer "),
            f"{urlsplit(session['signalling_url']).path}/client/{session['session_id']}?token={token}",
            stream["events_url"].removeprefix(mock.url),
        )


def request_of(method: str, target: str, *headers: str, body: str = "") -> bytes:
    """Return an HTTP request with a `Host`, and with a `Content-Length` if it has a body."""
    length = [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *length, *headers, "", body)).encode()


def valid_requests(service: Service) -> Mapping[str, bytes]:
    """Return requests to different kinds of routes."""
    token = f"Authorization: Bearer {service.access_token}"
    return {
        "token": request_of("POST", "/auth/token", body=json.dumps({"api_key": service.mock.api_key})),
        "list": request_of("GET", "/simulation-jobs?status=completed&active=false&limit=5&offset=0", token),
        "session": request_of("POST", "/sessions/request", token, body='{"region_latencies": {"us-east-1": 4.5}}'),
        "chunked": request_of("POST", "/telemetry", "Transfer-Encoding: chunked") + b'e\r\n{"events": []}\r\n0\r\n\r\n',
        "file": request_of("GET", service.events, "Range: bytes=0-9,20-", "If-Range: *", "If-None-Match: *"),
        "preflight": request_of(
            "OPTIONS",
            "/broadcast/x/whep",
            "Origin: http://a.example",
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: x",
        ),
        "socket": request_of("GET", service.socket, *UPGRADE),
        "journal": request_of("GET", "/_mock/journal?kind=rest&since=0&limit=2&why=1&format=text"),
        "proxy": request_of("GET", "/openapi.json", "X-Forwarded-Host: a.example", 'Forwarded: for="[::1]";host=b'),
        "spectator": request_of("POST", "/broadcast/x/whep?token=x", "Content-Type: application/sdp", body="v=0"),
    }


@given(st.data())
@settings(REUSED, max_examples=examples(60))
async def test_any_bytes_get_no_server_error(
    service: Service, caplog: pytest.LogCaptureFixture, data: st.DataObject
) -> None:
    requests = valid_requests(service)
    valid = requests[data.draw(st.sampled_from(sorted(requests)))]
    sent = data.draw(mutated(valid) | st.binary(max_size=200))
    with unharmed(service.mock, caplog):
        statuses = await service.statuses(sent)
        assert await service.is_usable()
    assert max(statuses, default=200) < 500, f"expected no status above 499, got {statuses}"


@pytest.mark.parametrize(
    "sent",
    [
        b"*POST /telemetry HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\n0\r\n\r\n",
    ],
)
async def test_requests_that_caused_errors(service: Service, caplog: pytest.LogCaptureFixture, sent: bytes) -> None:
    with unharmed(service.mock, caplog):
        assert max(await service.statuses(sent)) < 500
        assert await service.is_usable()


async def test_unchanged_requests_are_answered(service: Service) -> None:
    statuses = {name: await service.status(sent) for name, sent in valid_requests(service).items()}
    assert statuses == {
        "token": 200,
        "list": 200,
        "session": 200,
        "chunked": 202,
        "file": 304,
        "preflight": 200,
        "socket": 101,
        "journal": 200,
        "proxy": 200,
        "spectator": 404,
    }


header_values = st.binary(max_size=60).map(lambda value: re.sub(rb"[\x00\r\n]", b"", value))


@given(header_values, st.booleans())
@settings(REUSED, max_examples=examples(20))
@example(b"Bearer", False)
@example(b"Bearer " + b"a" * 20_000, False)
@example("Bearer \u00fc".encode(), False)
async def test_any_other_access_token_is_rejected(
    service: Service, caplog: pytest.LogCaptureFixture, value: bytes, is_bearer: bool
) -> None:
    sent = b"GET /regions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: " + b"Bearer " * is_bearer + value
    with unharmed(service.mock, caplog):
        statuses = await service.statuses(sent + b"\r\n\r\n")
    # h11 rejects control characters.
    assert statuses in ([401], [400]), f"expected status 401 or 400, got {statuses}"


@given(st.data())
@settings(REUSED, max_examples=examples(25))
async def test_changed_url_of_a_file_is_rejected(
    service: Service, caplog: pytest.LogCaptureFixture, data: st.DataObject
) -> None:
    target = data.draw(mutated(service.events.encode(), most=2))
    with unharmed(service.mock, caplog):
        statuses = await service.statuses(b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    is_changed = target.partition(b"#")[0] != service.events.encode()
    if b"\r" not in target and b"\n" not in target and is_changed:
        assert not {200, 206} & set(statuses), f"expected a rejection, got {statuses}"
