"""Tests of request targets in absolute form, and of the time limits of requests, over raw sockets."""

import asyncio
from urllib.parse import urlsplit

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock import MockOdyssey
from odyssey_mock.http.request_targets import in_origin_form
from tests.support.raw import LIMIT, RawApi

pytestmark = pytest.mark.off_contract("invalid requests, and requests as clients send them to proxies")


async def ask(mock: MockOdyssey, request: str) -> tuple[int, str]:
    """Send a request over a new connection; return the status and the rest of the response."""
    address = urlsplit(mock.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request.replace("\n", "\r\n").encode("latin-1"))
        async with asyncio.timeout(LIMIT):
            head = await reader.readuntil(b"\r\n\r\n")
            found = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(found[0].split(b":")[1])) if found and "HEAD" not in request else b""
        return int(head.split(b" ")[1]), (head + body).decode()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("target", "host", "url"),
    [
        ("http://testserver:81/config", "ignored.example", "stun:testserver:"),
        ("HTTP://testserver/config?x=1", "ignored.example", "stun:testserver:"),
        ("ws://testserver/config", "ignored.example", "stun:testserver:"),
        ("http://user:password@testserver/config", "ignored.example", "stun:testserver:"),
        ("/config", "testserver", "stun:testserver:"),
        ("/c%6Fnfig", "testserver:81", "stun:testserver:"),
    ],
)
async def test_target_may_be_absolute(odyssey_mock: MockOdyssey, target: str, host: str, url: str) -> None:
    status, response = await ask(odyssey_mock, f"GET {target} HTTP/1.1\nHost: {host}\n\n")
    assert (status, url in response) == (200, True), f"expected status 200 and {url}, got: {response}"


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET http://testserver HTTP/1.1", 404),
        ("GET http:///config HTTP/1.1", 400),
        ("GET ftp://testserver/config HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 204),
        ("OPTIONS http://testserver HTTP/1.1", 204),
        ("GET * HTTP/1.1", 404),
        ("CONNECT testserver:80 HTTP/1.1", 404),
        ("GET //config HTTP/1.1", 404),
        ("GET /../config HTTP/1.1", 404),
        ("GET /%ff%00 HTTP/1.1", 404),
        ("HEAD /config HTTP/1.1", 200),
        ("HEAD http://testserver/config HTTP/1.1", 200),
    ],
)
async def test_unusual_targets_have_documented_statuses(
    odyssey_mock: MockOdyssey, request_line: str, status: int
) -> None:
    assert (await ask(odyssey_mock, f"{request_line}\nHost: testserver\n\n"))[0] == status


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET /config HTTP/1.0\n\n", 200),
        ("GET /config HTTP/1.1\n\n", 400),
        ("GET /config HTTP/1.1\nHost: one\nHost: two\n\n", 400),
        ("GET http://testserver/config HTTP/1.0\n\n", 200),
    ],
)
async def test_host_header_is_required_once(odyssey_mock: MockOdyssey, request_text: str, status: int) -> None:
    assert (await ask(odyssey_mock, request_text))[0] == status


async def test_websocket_target_may_be_absolute(odyssey_mock: MockOdyssey) -> None:
    async with RawApi(odyssey_mock) as api:
        session = await api.request_session()
        url = f"{session['signalling_url']}/client/{session['session_id']}"
        token = await api.token_for(session["session_id"])
        lines = f"GET {url}?token={token} HTTP/1.1\nHost: x\nUpgrade: websocket\nConnection: Upgrade\n"
        key = "Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n"
        assert (await ask(odyssey_mock, lines + key))[0] == 101


@given(st.binary(max_size=12), st.sampled_from([b"GET", b"OPTIONS"]))
def test_target_in_origin_form_is_stable(rest: bytes, method: bytes) -> None:
    try:
        request = h11.Request(method=method, target=b"http://h" + rest, headers=[("host", "x")])
        once = in_origin_form(request)
    except (h11.LocalProtocolError, h11.RemoteProtocolError):
        return
    if once is not request:
        assert once.target == b"*" or once.target.startswith(b"/")
        assert [name for name, _ in once.headers] == [b"host"]
    assert in_origin_form(once).target == once.target


async def test_half_sent_head_is_answered_with_408(odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.http.uvicorn_server.HEAD_LIMIT", 0.1)
    status, response = await ask(odyssey_mock, "GET /config HTTP/1.1\nHost: x\nX-Half")
    assert status == 408
    assert "expected a complete request head within 0.1 s" in response


async def test_half_sent_head_of_next_request_gets_408(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odyssey_mock.http.uvicorn_server.HEAD_LIMIT", 0.1)
    address = urlsplit(odyssey_mock.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    async with asyncio.timeout(LIMIT):
        writer.write(b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\nGET /config HTTP/1.1\r\nHos")
        first = await reader.readuntil(b'"Not Found"}')
        writer.write(b"t: x")
        second = await reader.read()
    assert [received.split(b" ")[1] for received in (first, second)] == [b"404", b"408"]
    writer.close()
    await writer.wait_closed()


async def test_head_limit_does_not_end_complete_requests(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odyssey_mock.http.uvicorn_server.HEAD_LIMIT", 0.1)
    odyssey_mock.faults.add(at="signaling.config", do="delay", seconds=0.3)
    assert (await ask(odyssey_mock, "GET /signaling/s/config HTTP/1.1\nHost: x\n\n"))[0] == 200


async def test_connection_without_request_is_closed(odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.http.uvicorn_server.KEEP_ALIVE", 0.1)
    with pytest.raises(asyncio.IncompleteReadError) as closed:
        await ask(odyssey_mock, "")
    assert closed.value.partial == b"", "expected no response on a connection without a request"


async def test_half_sent_unread_body_ends_the_connection(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response does not need the body. A part of the body that arrives later must not keep the connection open."""
    monkeypatch.setattr("odyssey_mock.http.uvicorn_server.HEAD_LIMIT", 0.1)
    address = urlsplit(odyssey_mock.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    async with asyncio.timeout(LIMIT):
        writer.write(b"POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        response = await reader.readuntil(b'"Not Found"}')
        writer.write(b"x")
        assert await reader.read() == b""
    assert response.startswith(b"HTTP/1.1 404 ")
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("limit", ["PAUSE_LIMIT", "TIME_LIMIT"])
@pytest.mark.parametrize("length", ["Content-Length: 50\n\n{", "Transfer-Encoding: chunked\n\n1\n{"])
async def test_half_sent_body_is_answered_with_408(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch, limit: str, length: str
) -> None:
    monkeypatch.setattr(f"odyssey_mock.http.request_body.{limit}", 0.1)
    status, response = await ask(odyssey_mock, f"POST /auth/token HTTP/1.1\nHost: x\n{length}")
    assert status == 408
    assert "expected the rest of the body within" in response
    assert odyssey_mock.journal.find("rest", "POST /auth/token")[0].data["status"] == 408
