"""HTTP exchanges in traces: bodies, limits, streaming, errors."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from odyssey_client.trace import Recorder, TraceEvent
from odyssey_client.trace.client_trace import ClientTrace
from odyssey_client.trace.http_exchanges import RecordingTransport

URL = "http://service.example/simulations?limit=2"


class Service(httpx.AsyncBaseTransport):
    """A transport that returns the chunks of a body one by one."""

    def __init__(self, chunks: list[bytes | Exception], **headers: str) -> None:
        self.chunks = chunks
        self.headers = headers
        self.sent = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=self.headers, stream=Chunks(self))


class Chunks(httpx.AsyncByteStream):
    def __init__(self, service: Service) -> None:
        self.service = service

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.service.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            self.service.sent += 1
            yield chunk


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def only(recorder: Recorder) -> TraceEvent:
    (event,) = recorder.snapshot().events
    return event


async def ask(recorder: Recorder, service: httpx.AsyncBaseTransport, **request: Any) -> httpx.Response:
    transport = RecordingTransport(service, ClientTrace(recorder))
    return await transport.handle_async_request(httpx.Request("POST", URL, **request))


async def test_json_bodies_are_parsed(recorder: Recorder) -> None:
    service = Service([b'{"jobs": [', b"1]}"], **{"Content-Type": "application/json"})
    response = await ask(recorder, service, json={"prompt": "A cat"})
    pending = only(recorder)
    assert [chunk async for chunk in response.aiter_raw()] == [b'{"jobs": [', b"1]}"]
    event = only(recorder)
    data: Any = event.data

    assert pending.is_pending, "the body has not arrived"
    assert not event.is_pending
    assert (event.name, data["url"], data["status"]) == ("POST /simulations", URL, 200)
    assert data["request"]["body"] == {"prompt": "A cat"}
    assert data["response"] == {"headers": [["content-type", "application/json"]], "bytes": 13, "body": {"jobs": [1]}}


async def test_body_is_streamed_and_cut_in_recording(recorder: Recorder) -> None:
    service = Service([b"x" * 50_000] * 3, **{"Content-Type": "text/plain"})
    response = await ask(recorder, service)
    chunks = response.aiter_raw()
    await anext(chunks)
    assert service.sent == 1, "the transport must not read ahead"
    async for _ in chunks:
        pass
    data: Any = only(recorder).data

    assert data["response"]["body"] == "x" * 65_536
    assert data["response"]["bytes"] == 150_000


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "video/mp4"}, {}, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}],
    ids=["video", "no type", "compressed"],
)
async def test_binary_body_has_only_its_length(recorder: Recorder, headers: dict[str, str]) -> None:
    response = await ask(recorder, Service([b"\x00\x01" * 100], **headers))
    async for _ in response.aiter_raw():
        pass
    data: Any = only(recorder).data

    assert "body" not in data["response"]
    assert data["response"]["bytes"] == 200


async def test_bodies_count_toward_limit_of_recording() -> None:
    recorder = Recorder(limit_bytes=200_000)
    for _ in range(10):
        response = await ask(recorder, Service([b"x" * 60_000], **{"Content-Type": "text/plain"}))
        async for _ in response.aiter_raw():
            pass
    recording = recorder.snapshot()

    assert len(recording.events) == 3
    assert recording.dropped == {"http": 7}


async def test_unread_body_ends_with_the_response(recorder: Recorder) -> None:
    response = await ask(recorder, Service([b"x"] * 3))
    await response.aclose()

    assert not only(recorder).is_pending


async def test_broken_body_has_its_error(recorder: Recorder) -> None:
    response = await ask(recorder, Service([b"x", httpx.ReadError("the connection was lost")]))
    with pytest.raises(httpx.ReadError):
        async for _ in response.aiter_raw():
            pass

    assert only(recorder).error == "ReadError: the connection was lost"


async def test_error_status_is_an_error(recorder: Recorder) -> None:
    service = httpx.MockTransport(lambda _: httpx.Response(503, json={"detail": "busy"}))
    await ask(recorder, service)
    data: Any = only(recorder).data

    assert only(recorder).error == "status 503"
    assert data["response"]["body"] == {"detail": "busy"}


async def test_request_without_response_has_its_error(recorder: Recorder) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nothing listens there")

    with pytest.raises(httpx.ConnectError):
        await ask(recorder, httpx.MockTransport(refuse))

    assert only(recorder).error == "ConnectError: nothing listens there"


async def test_cancelled_request_ends(recorder: Recorder) -> None:
    async def hang(_: httpx.Request) -> httpx.Response:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("expected the request to wait until it is cancelled")

    task = asyncio.create_task(ask(recorder, httpx.MockTransport(hang)))
    await asyncio.sleep(0)  # noqa: TID251 - lets the task begin
    pending = only(recorder)
    task.cancel()
    await asyncio.wait({task})

    assert pending.is_pending
    assert only(recorder).error == "CancelledError"
