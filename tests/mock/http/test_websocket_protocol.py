"""Tests of WebSocket handshakes and frames that violate RFC 6455: the mock answers, closes, and logs no traceback."""

import logging
import struct

import pytest

from odyssey_mock import MockOdyssey
from tests.support.raw import RawApi
from tests.support.raw_frames import frame, upgrade

CLOSE, TEXT, PING = 8, 1, 9


async def socket_url(mock: MockOdyssey) -> str:
    """Return the URL of the signaling socket of a new session, with a valid token."""
    async with RawApi(mock) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
    return f"{session['signalling_url']}/client/{session['session_id']}?token={token}"


@pytest.mark.parametrize(
    ("query", "headers", "body", "status"),
    [
        ("&x=" + "a" * 9000, (), b"", 414),
        ("", ("X-Long: " + "a" * 9000,), b"", 431),
        ("", tuple(f"X-{number}: a" for number in range(200)), b"", 431),
        ("", ("Content-Length: 5",), b"hello", 400),
        ("", ("Transfer-Encoding: chunked",), b"0\r\n\r\n", 400),
        ("", ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",), b"", 400),
        ("", ("Sec-WebSocket-Protocol: ,,,",), b"", 400),
    ],
    ids=["long target", "long header", "many headers", "body", "chunked body", "two keys", "empty subprotocols"],
)
async def test_invalid_handshake_is_rejected_at_once(
    odyssey_mock: MockOdyssey, query: str, headers: tuple[str, ...], body: bytes, status: int
) -> None:
    async with upgrade(await socket_url(odyssey_mock) + query, *headers, body=body) as connection:
        response = await connection.rest()
    assert response.split(b" ")[:2] == [b"HTTP/1.1", str(status).encode()]
    assert not odyssey_mock.journal.find("state", "socket")


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (frame(TEXT, b"\xff\xfe"), 1007),
        (frame(TEXT, b"{\xc3", fin=False) + frame(0, b"\x28}"), 1007),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, struct.pack("!H", 1005)), 1002),
        (frame(TEXT, b"{}", masked=False), 1002),
        (frame(TEXT, b"{}", rsv=4), 1002),
        (frame(3, b"{}"), 1002),
        (frame(0, b"{}"), 1002),
        (frame(TEXT, b"{}", fin=False) + frame(TEXT, b"{}"), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(TEXT, length=(64 << 20) + 1), 1009),
        (frame(TEXT, length=(1 << 63) - 1), 1009),
    ],
    ids=[
        "text is not UTF-8",
        "fragments are not UTF-8",
        "close reason is not UTF-8",
        "close with one byte",
        "reserved close code",
        "no mask",
        "reserved bit",
        "unknown opcode",
        "continuation without a beginning",
        "message within a message",
        "long ping",
        "fragmented ping",
        "above 64 MiB",
        "largest length",
    ],
)
async def test_invalid_frames_close_the_socket(
    odyssey_mock: MockOdyssey, caplog: pytest.LogCaptureFixture, frames: bytes, code: int
) -> None:
    async with upgrade(await socket_url(odyssey_mock)) as connection:
        assert (await connection.head()).startswith(b"HTTP/1.1 101 ")
        await odyssey_mock.wait_for("signaling", "offer")
        connection.writer.write(frames)
        received = await connection.rest()
    assert struct.pack("!H", code) in received[-130:], f"expected a close frame with {code}, got {received[-130:]!r}"
    closed = await odyssey_mock.wait_for("state", "socket", to="closed")
    assert (closed.data["code"], closed.data["by"]) == (code, "server")
    assert closed.why.startswith(f"the client violated the WebSocket protocol: {code} ")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_clean_close_has_no_cause(odyssey_mock: MockOdyssey) -> None:
    async with upgrade(await socket_url(odyssey_mock)) as connection:
        await connection.head()
        await odyssey_mock.wait_for("signaling", "offer")
        connection.writer.write(frame(CLOSE, struct.pack("!H", 1000)))
        await connection.rest()
    closed = await odyssey_mock.wait_for("state", "socket", to="closed")
    assert closed.data == {"to": "closed", "code": 1000, "by": "client"}
