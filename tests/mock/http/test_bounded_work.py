"""Tests that no request and no message makes the mock's event loop compute for long.

The mock runs in its background thread. A watchdog measures the CPU time of each callback of its event loop.
"""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from odyssey_mock.sync import MockOdyssey
from odyssey_mock.sync.server_thread import ServerThread
from tests.support.bad_inputs import BAD_MESSAGES, BAD_REQUESTS, BODIES, CHANNEL_MESSAGES, BadRequest
from tests.support.loop_watchdog import SlowCallbackError, again_if_slow, loop_watchdog
from tests.support.raw import Message, RawPeer, raw_socket, receive
from tests.support.tls_contexts import NO_CERTIFICATES

WAIT = 30.0
"""Timeout in seconds for a response."""

ROUTES = (
    ("POST /auth/token", 64 << 10),
    ("POST /sessions/request", 64 << 10),
    ("POST /sessions/token", 64 << 10),
    ("POST /telemetry", 60 << 10),
    ("POST /telemetry", 1 << 20),
    ("POST /simulation-jobs", 2 << 20),
    ("POST /_mock/faults", 64 << 10),
    ("POST /_mock/settings", 64 << 10),
    ("POST /_mock/clock/advance", 64 << 10),
)
"""Routes with a body in JSON, and the size of the bodies to send."""


@pytest.fixture(scope="module")
def mock() -> Iterator[MockOdyssey]:
    with MockOdyssey(plan="unlimited") as running:
        yield running


@pytest.fixture(scope="module")
def token(mock: MockOdyssey) -> str:
    answer = httpx.post(
        f"{mock.url}/auth/token", json={"api_key": mock.api_key}, trust_env=False, verify=NO_CERTIFICATES
    )
    return str(answer.json()["access_token"])


@contextmanager
def responsive(what: str) -> Iterator[None]:
    """Assert that no callback of the mock's event loop computes for long during the block."""
    with loop_watchdog(server_thread()) as watchdog:
        yield
        server_thread()  # wait for the end of the callback that sent the response
    watchdog.assert_responsive(what)


def server_thread() -> int:
    """Return the identifier of the thread in which the mock runs, once its current callback has ended."""
    return ServerThread.shared().call(threading.get_ident)


def session_of(mock: MockOdyssey, token: str) -> tuple[Message, str]:
    """Request a session; return the response and a session token."""
    with httpx.Client(
        base_url=mock.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, verify=NO_CERTIFICATES
    ) as http:
        session: Message = http.post("/sessions/request", json={}).json()
        answer = http.post("/sessions/token", json={"session_id": session["session_id"]})
        return session, str(answer.json()["session_token"])


def send(mock: MockOdyssey, request: BadRequest, token: str) -> int:
    """Send a request on a connection of its own; return the status of the response."""
    port = int(mock.url.rpartition(":")[2])
    fields = [("Host", f"127.0.0.1:{port}"), ("Authorization", f"Bearer {token}"), *request.headers]
    fields.append(("Transfer-Encoding", "chunked") if request.chunk else ("Content-Length", f"{len(request.body)}"))
    head = f"{request.method} {request.path} HTTP/1.1\r\n" + "".join(f"{name}: {text}\r\n" for name, text in fields)
    body = request.body
    if request.chunk:
        pieces = (body[at : at + request.chunk] for at in range(0, len(body), request.chunk))
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), WAIT) as connection:
        connection.sendall(head.encode() + b"\r\n" + body)
        received = connection.makefile("rb").readline()
    return int(received.split()[1])


@pytest.mark.parametrize(("route", "size"), ROUTES)
@again_if_slow
def test_no_body_blocks_the_event_loop(mock: MockOdyssey, token: str, route: str, size: int) -> None:
    method, path = route.split()
    for name, make in BODIES.items():
        request = BadRequest(method, path, make(size))
        with responsive(name):
            status = send(mock, request, token)
        assert status in {200, 202, 404, 413, 422}, f"expected a refusal of {name}, got status {status}"


@pytest.mark.parametrize("name", BAD_REQUESTS)
@again_if_slow
def test_no_request_blocks_the_event_loop(mock: MockOdyssey, token: str, name: str) -> None:
    request = BAD_REQUESTS[name]()
    with responsive(name):
        status = send(mock, request, token)
    assert 200 <= status < 500, f"expected a response other than a server error, got status {status}"


@again_if_slow
async def test_no_socket_message_blocks_the_event_loop(mock: MockOdyssey, token: str) -> None:
    for name, make in BAD_MESSAGES.items():
        messages = make()
        session, session_token = session_of(mock, token)
        async with raw_socket(session, session_token) as connection:
            await receive(connection)
            with responsive(name):
                for message in messages:
                    await connection.send(message)
                # The mock handles messages in order: it has handled all of them when it closes the socket.
                await connection.send('{"type":"client_disconnecting"}')
                async with asyncio.timeout(WAIT):
                    await connection.wait_closed()


@again_if_slow
async def test_no_channel_message_blocks_the_event_loop(mock: MockOdyssey, token: str) -> None:
    session, session_token = session_of(mock, token)
    async with raw_socket(session, session_token) as connection, RawPeer(connection) as peer:
        peer.say({"type": "interactive_stream_start", "prompt": "A cat"})
        assert (await peer.hear())["type"] == "stream_started"
        for name, make in CHANNEL_MESSAGES.items():
            messages = make()
            with responsive(name):
                for message in messages:
                    peer.say(message)
                for _ in messages:
                    await peer.hear()


def test_watchdog_reports_long_computation(mock: MockOdyssey) -> None:
    with pytest.raises(SlowCallbackError, match="CPU time each for a long sum"), responsive("a long sum"):
        ServerThread.shared().call(lambda: sum(range(40_000_000)))
