"""Tests of reads in slices, with a transport in memory, and of a server with TLS."""

import asyncio
import json
import ssl
import threading
from pathlib import Path
from typing import override

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey_mock import MockOdyssey as AsyncMockOdyssey
from odyssey_mock.http.sliced_reads import SlicingProtocol
from odyssey_mock.http.uvicorn_server import READ_BYTES
from odyssey_mock.sync import MockOdyssey
from odyssey_mock.sync.server_thread import ServerThread
from tests.support.loop_watchdog import again_if_slow, loop_watchdog

SIZE = 4
WAIT = 30.0


class Wire(asyncio.Transport):
    """A transport that only notes whether it reads, and how often it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = True
        self.closed = 0

    @override
    def pause_reading(self) -> None:
        self.reads = False

    @override
    def resume_reading(self) -> None:
        self.reads = True

    @override
    def close(self) -> None:
        self.closed += 1

    @override
    def is_closing(self) -> bool:
        return self.closed > 0

    @override
    def abort(self) -> None: ...


class Inner(asyncio.Protocol):
    """A protocol that notes what it receives.

    It pauses after `pauses_at` slices, closes the connection after `closes_at`, or lets `successor` take over.
    """

    def __init__(self, *, pauses_at: int = -1, closes_at: int = -1, successor: "Inner | None" = None) -> None:
        self.received: list[bytes | str] = []
        """The slices, and the end of the connection."""
        self._pauses_at = pauses_at
        self._closes_at = closes_at
        self._successor = successor

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        if len(self.received) == self._pauses_at:
            self.transport.pause_reading()
        if len(self.received) == self._closes_at:
            self.transport.close()
        if self._successor is not None:
            self._successor.connection_made(self.transport)
            self.transport.set_protocol(self._successor)

    @override
    def eof_received(self) -> None:
        self.received.append("end")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.received.append("lost" if exc is None else f"lost: {exc}")


def connected(inner: Inner) -> tuple[SlicingProtocol, Wire]:
    protocol, wire = SlicingProtocol(inner, SIZE), Wire()
    protocol.connection_made(wire)
    return protocol, wire


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)  # noqa: TID251 - lets callbacks run; no time passes


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_everything_arrives_in_order_in_slices(reads: list[bytes]) -> None:
    async def passed_on() -> None:
        inner = Inner()
        protocol, wire = connected(inner)
        for data in reads:
            assert wire.reads
            protocol.data_received(data)
            await turns()
        slices = [each for each in inner.received if isinstance(each, bytes)]
        assert b"".join(slices) == b"".join(reads)
        assert all(0 < len(each) <= SIZE for each in slices)
        assert wire.reads

    asyncio.run(passed_on())


async def test_nothing_is_read_while_slices_wait() -> None:
    inner = Inner()
    protocol, wire = connected(inner)
    protocol.data_received(b"0123456789")
    assert (inner.received, wire.reads) == ([b"0123"], False)
    await turns()
    assert (inner.received, wire.reads) == ([b"0123", b"4567", b"89"], True)


async def test_paused_protocol_receives_nothing() -> None:
    inner = Inner(pauses_at=2)
    protocol, wire = connected(inner)
    protocol.data_received(b"0123456789")
    await turns()
    assert (inner.received, wire.reads, inner.transport.is_reading()) == ([b"0123", b"4567"], False, False)
    inner.transport.resume_reading()
    await turns()
    assert (inner.received[2:], wire.reads, inner.transport.is_reading()) == ([b"89"], True, True)


async def test_rest_goes_to_the_next_protocol() -> None:
    successor = Inner()
    inner = Inner(successor=successor)
    protocol, _ = connected(inner)
    protocol.data_received(b"0123456789")
    await turns()
    assert (inner.received, successor.received) == ([b"0123"], [b"4567", b"89"])
    assert inner.transport.get_protocol() is successor


async def test_rest_arrives_before_the_end_of_the_connection() -> None:
    inner = Inner()
    protocol, _ = connected(inner)
    protocol.data_received(b"0123456789")
    protocol.eof_received()
    protocol.connection_lost(None)
    assert inner.received == [b"0123"]
    await turns()
    assert inner.received == [b"0123", b"4567", b"89", "end", "lost"]


async def test_end_without_waiting_slices_arrives_at_once() -> None:
    inner = Inner()
    protocol, _ = connected(inner)
    protocol.data_received(b"0123")
    protocol.eof_received()
    protocol.connection_lost(None)
    assert inner.received == [b"0123", "end", "lost"]


async def test_failed_connection_drops_the_rest() -> None:
    inner = Inner()
    protocol, _ = connected(inner)
    protocol.data_received(b"0123456789")
    protocol.connection_lost(ConnectionResetError("reset"))
    await turns()
    assert inner.received == [b"0123", "lost: reset"]


@pytest.mark.parametrize("pauses_at", [1, 2])
async def test_lost_connection_drops_the_rest_when_paused(pauses_at: int) -> None:
    inner = Inner(pauses_at=pauses_at)
    protocol, _ = connected(inner)
    protocol.data_received(b"0123456789")
    protocol.eof_received()
    protocol.connection_lost(None)
    await turns()
    assert inner.received == [*[b"0123", b"4567"][:pauses_at], "end", "lost"]


@pytest.mark.parametrize("is_lost", [False, True], ids=["connected", "lost"])
async def test_closing_protocol_receives_no_rest(*, is_lost: bool) -> None:
    inner = Inner(closes_at=2)
    protocol, _ = connected(inner)
    protocol.data_received(b"0123456789")
    if is_lost:
        protocol.connection_lost(None)
    await turns()
    protocol.data_received(b"later")
    await turns()
    assert inner.received == [b"0123", b"4567", *(["lost"] if is_lost else [])]


async def test_transport_is_closed_once() -> None:
    inner = Inner()
    _, wire = connected(inner)
    inner.transport.close()
    inner.transport.close()
    assert wire.closed == 1


async def test_request_before_the_end_of_tls_is_handled(tmp_path: Path) -> None:
    body = json.dumps({"events": [*[{"event": "x" * 2000}] * 9, {"event": "last"}]})
    chunks = "".join(f"1\r\n{each}\r\n" for each in body) + "0\r\n\r\n"
    head = "POST /telemetry HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with AsyncMockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock:
        context = ssl.create_default_context(cafile=mock.root_certificate)
        _, writer = await asyncio.open_connection("127.0.0.1", int(mock.url.rpartition(":")[2]), ssl=context)
        # The mock, in the same event loop, reads all of this at once.
        writer.write((head + chunks).encode())
        writer.close()
        await mock.wait_for("telemetry", "last", WAIT)


@pytest.mark.parametrize("is_tls", [False, True], ids=["TCP", "TLS"])
def test_invalid_request_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, *, is_tls: bool) -> None:
    with MockOdyssey(tls=is_tls, tls_dir=str(tmp_path) if is_tls else None) as mock:
        context = ssl.create_default_context(cafile=mock.root_certificate) if is_tls else None

        async def send() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(mock.url.rpartition(":")[2]), ssl=context)
            writer.write(b"no request\r\n\r\n" * READ_BYTES)
            line = await reader.readline()
            writer.transport.abort()
            return line

        assert asyncio.run(asyncio.wait_for(send(), WAIT)) == b"HTTP/1.1 400 Bad Request\r\n"
    assert caplog.messages == ["Invalid HTTP request received."]


@again_if_slow
def test_chunks_over_tls_do_not_block_the_loop(tmp_path: Path) -> None:
    body = b"1\r\nx\r\n" * 50_000 + b"0\r\n\r\n"
    head = b"POST /telemetry HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    with MockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock:
        context = ssl.create_default_context(cafile=mock.root_certificate)

        async def send() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(mock.url.rpartition(":")[2]), ssl=context)
            writer.write(head + body)
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return line

        with loop_watchdog(ServerThread.shared().call(threading.get_ident)) as watchdog:
            answer = asyncio.run(asyncio.wait_for(send(), WAIT))
            ServerThread.shared().call(threading.get_ident)
    watchdog.assert_responsive("chunks of one byte over TLS")
    assert answer == b"HTTP/1.1 202 Accepted\r\n"


def test_large_body_arrives_whole_over_tls(tmp_path: Path) -> None:
    body = {"script": [{"type": "start", "prompt": "x" * 20 * READ_BYTES}]}
    with MockOdyssey(tls=True, tls_dir=str(tmp_path)) as mock:
        context = ssl.create_default_context(cafile=mock.root_certificate)
        with httpx.Client(base_url=mock.url, verify=context, trust_env=False, timeout=WAIT) as http:
            answer = http.post("/_mock/scripts/validate", content=json.dumps(body))
            assert answer.status_code == 200
            assert http.get("/_mock/health").status_code == 200
