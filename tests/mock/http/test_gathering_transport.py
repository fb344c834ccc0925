"""`GatheringTransport`: what is written together is sent together, in order, and at the latest with the next turn."""

import asyncio
from asyncio.selector_events import _SelectorSocketTransport  # type: ignore[attr-defined]  # has no public name
from typing import Any, override

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.http.gathering_transport import GATHERED_BYTES, GatheringTransport
from tests.support.tls_contexts import NO_CERTIFICATES


class Recorder(asyncio.Transport):
    """A transport that records the calls which send data or end the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[object] = []

    @override
    def write(self, data: Any) -> None:  # Any: as in asyncio
        self.calls.append(bytes(data))

    @override
    def close(self) -> None:
        self.calls.append("close")

    @override
    def abort(self) -> None:
        self.calls.append("abort")


async def test_writes_of_one_turn_are_sent_together() -> None:
    recorder = Recorder()
    transport = GatheringTransport(recorder)
    for part in (b"head ", b"", b"body"):
        transport.write(part)
    assert recorder.calls == []
    await _turn()
    assert recorder.calls == [b"head body"]
    transport.write(b"next")
    await _turn()
    assert recorder.calls == [b"head body", b"next"]


async def test_flush_sends_at_once_and_only_once() -> None:
    recorder = Recorder()
    transport = GatheringTransport(recorder)
    transport.write(b"head ")
    transport.write(b"body")
    transport.flush()
    assert recorder.calls == [b"head body"]
    transport.flush()
    await _turn()
    assert recorder.calls == [b"head body"]


async def test_close_sends_held_data_and_abort_drops_it() -> None:
    closed, aborted = Recorder(), Recorder()
    for recorder in (closed, aborted):
        transport = GatheringTransport(recorder)
        transport.write(b"head")
        if recorder is closed:
            transport.close()
        else:
            transport.abort()
    await _turn()
    assert (closed.calls, aborted.calls) == ([b"head", "close"], ["abort"])


async def test_large_writes_are_not_held() -> None:
    recorder = Recorder()
    transport = GatheringTransport(recorder)
    transport.write(b"head")
    transport.write(b"x" * GATHERED_BYTES)
    assert recorder.calls == [b"head" + b"x" * GATHERED_BYTES]
    transport.write(b"rest")
    assert len(recorder.calls) == 1
    transport.flush()
    assert recorder.calls[1:] == [b"rest"]


async def test_response_is_written_to_the_socket_once(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    write = _SelectorSocketTransport.write

    def recording(transport: Any, data: Any) -> None:  # Any: as in asyncio
        if bytes(data).startswith(b"HTTP/1.1 ") or written:
            written.append(bytes(data))
        write(transport, data)

    async with httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        monkeypatch.setattr(_SelectorSocketTransport, "write", recording)
        response = await http.get(f"{odyssey_mock.url}/regions")
        monkeypatch.undo()
    assert response.status_code == 401
    assert len(written) == 1, f"expected one write with head and body, got {written}"
    assert written[0].endswith(response.content)


async def _turn() -> None:
    """Wait until the callbacks that are already scheduled have run."""
    turned = asyncio.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    await turned.wait()
