"""Tests of downloads from presigned URLs: whole files and ranges."""

import asyncio
import email
import threading
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message

from odyssey_mock import MockOdyssey
from odyssey_mock.http.app import Service
from odyssey_mock.media.stamp import draw_stamp
from odyssey_mock.recordings.artifacts import ARTIFACTS
from tests.support.leftovers import nothing_left
from tests.support.recordings import remembered, timeline, url_of
from tests.support.tls_contexts import NO_CERTIFICATES

LIMIT = 10.0
"""Timeout in seconds, much longer than any step takes."""

NAMES = tuple(ARTIFACTS)
ROUTE = "/artifacts/{stream_id}/{artifact}"


@pytest.fixture
def stream(odyssey_mock: MockOdyssey) -> str:
    return remembered(odyssey_mock, timeline(30))


@pytest_asyncio.fixture
async def video(odyssey_mock: MockOdyssey, stream: str) -> str:
    return url_of(odyssey_mock, stream)


@pytest_asyncio.fixture
async def content(odyssey_mock: MockOdyssey, stream: str) -> bytes:
    path = await odyssey_mock.recordings.file(stream, "video.mp4")
    return await asyncio.to_thread(path.read_bytes)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("video.mp4", "video/mp4"),
        ("preview.mp4", "video/mp4"),
        ("thumbnail.jpg", "image/jpeg"),
        ("events.jsonl", "application/jsonl"),
    ],
)
async def test_presigned_url_returns_the_file(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, stream: str, name: str, kind: str
) -> None:
    answer = await http.get(url_of(odyssey_mock, stream, name), headers={"Authorization": "Bearer nonsense"})
    path = await odyssey_mock.recordings.file(stream, name)
    assert answer.status_code == 200
    assert answer.content == await asyncio.to_thread(path.read_bytes)
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert "Content-Disposition" not in answer.headers


async def test_head_has_the_headers_of_get(http: httpx.AsyncClient, video: str) -> None:
    head, answer = await http.head(video, headers={"Range": "bytes=0-9"}), await http.get(video)
    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(answer.headers)


async def test_same_content_has_the_same_etag() -> None:
    tags = set()
    for _ in range(2):
        async with MockOdyssey() as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
            stream = remembered(mock, started_at=1_790_000_000.0)
            tags.add((await http.head(url_of(mock, stream))).headers["ETag"])
            assert (await http.head(url_of(mock, stream, "preview.mp4"))).headers["ETag"] not in tags
    assert len(tags) == 1


@given(first=st.integers(0, 40_000), last=st.integers(0, 40_000), suffix=st.integers(1, 40_000))
@settings(max_examples=20)
def test_range_returns_that_slice_of_the_file(first: int, last: int, suffix: int) -> None:
    async def check() -> None:
        async with MockOdyssey() as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
            stream = remembered(mock, timeline(2))
            whole = (await http.get(url_of(mock, stream))).content
            size = len(whole)
            low, high = sorted((first % size, last % size))
            for value, part in [
                (f"{low}-{high}", slice(low, high + 1)),
                (f"{low}-", slice(low, None)),
                (f"-{suffix}", slice(max(0, size - suffix), None)),
            ]:
                answer = await http.get(url_of(mock, stream), headers={"Range": f"bytes={value}"})
                assert answer.status_code == 206
                assert answer.content == whole[part]
                begin, end, _ = part.indices(size)
                assert answer.headers["Content-Range"] == f"bytes {begin}-{end - 1}/{size}"
                assert answer.headers["Content-Length"] == str(end - begin)

    asyncio.run(check())


async def test_several_ranges_return_several_parts(http: httpx.AsyncClient, video: str, content: bytes) -> None:
    answer = await http.get(video, headers={"Range": "bytes=0-3,-5,100-199"})
    assert answer.status_code == 206
    assert answer.headers["Content-Length"] == str(len(answer.content))
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    parts: list[Any] = list(email.message_from_bytes(head + answer.content).get_payload())
    size = len(content)
    assert [(part["Content-Range"], part["Content-Type"]) for part in parts] == [
        (f"bytes 0-3/{size}", "video/mp4"),
        (f"bytes {size - 5}-{size - 1}/{size}", "video/mp4"),
        (f"bytes 100-199/{size}", "video/mp4"),
    ]
    for piece in (content[:4], content[-5:], content[100:200]):
        assert b"\r\n\r\n" + piece + b"\r\n--" in answer.content


async def test_range_beyond_the_end_is_416(http: httpx.AsyncClient, video: str, content: bytes) -> None:
    answer = await http.get(video, headers={"Range": f"bytes={len(content)}-"})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["Content-Range"] == f"bytes */{len(content)}"


async def test_invalid_range_header_returns_whole_file(http: httpx.AsyncClient, video: str, content: bytes) -> None:
    for value in ("bytes=9-0", "lines=1-2", "nonsense"):
        answer = await http.get(video, headers={"Range": value})
        assert (answer.status_code, answer.content) == (200, content)


async def test_if_range_resumes_only_the_same_file(http: httpx.AsyncClient, video: str, content: bytes) -> None:
    tag = (await http.head(video)).headers["ETag"]
    same = await http.get(video, headers={"Range": "bytes=9-", "If-Range": tag})
    other = await http.get(video, headers={"Range": "bytes=9-", "If-Range": '"another"'})
    assert (same.status_code, same.content) == (206, content[9:])
    assert (other.status_code, other.content) == (200, content)


async def test_request_with_known_etag_is_304(http: httpx.AsyncClient, video: str) -> None:
    first = await http.get(video)
    again = await http.get(video, headers={"If-None-Match": first.headers["ETag"], "Range": "bytes=0-9"})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert first.headers["Cache-Control"] == "private, no-cache", (
        f"expected Cache-Control to require revalidation, got {first.headers['Cache-Control']!r}"
    )


async def test_if_match_of_another_file_is_412() -> None:
    async with MockOdyssey() as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        answer = await http.get(url_of(mock, remembered(mock)), headers={"If-Match": '"another"'})
        assert answer.status_code == 412
        assert '"another"' not in answer.json()["detail"]


async def test_other_origins_can_read_download_headers(http: httpx.AsyncClient, video: str) -> None:
    answer = await http.get(video, headers={"Range": "bytes=0-9", "Origin": "https://app.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Content-Range", "Accept-Ranges", "ETag", "Content-Length"} <= set(exposed)
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    asked = {**preflight, "Access-Control-Request-Headers": "range, if-range"}
    assert (await http.options(video, headers=asked)).status_code == 200


async def test_journal_has_downloads_without_their_content(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, stream: str
) -> None:
    for name in NAMES:
        await http.get(url_of(odyssey_mock, stream, name))
    account = odyssey_mock.streams[stream].account_id
    entries = odyssey_mock.journal.find("rest", f"GET {ROUTE}", account=account, stream=stream)
    assert [(entry.data["status"], entry.data["response"]) for entry in entries] == [(200, None)] * len(NAMES)


async def test_url_of_forgotten_stream_is_404(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, stream: str, video: str
) -> None:
    assert (await http.get(video)).status_code == 200
    odyssey_mock.backend.streams.forget(stream)
    answer = await http.get(video)
    assert answer.status_code == 404
    assert "its record was dropped" in answer.json()["detail"]


async def test_download_completes_after_its_stream_is_forgotten(
    odyssey_mock: MockOdyssey, stream: str, video: str, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odyssey_mock.http.stored_files.CHUNK", 1000)
    path = await odyssey_mock.recordings.file(stream, "video.mp4")
    received = bytearray()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            odyssey_mock.backend.streams.forget(stream)
        received.extend(message.get("body", b""))

    async def receive() -> Message:
        return {"type": "http.request"}

    url = urlsplit(video)
    target = {"path": url.path, "raw_path": url.path.encode(), "query_string": url.query.encode()}
    await Service(odyssey_mock.backend, odyssey_mock.go_away)(
        {"type": "http", "method": "GET", "headers": [], **target}, receive, send
    )
    assert received == content
    await odyssey_mock.recordings.settle()
    assert not await asyncio.to_thread(path.exists)


@pytest.mark.parametrize("ranges", [{}, {"Range": "bytes=0-9"}, {"Range": "bytes=0-1,4-5"}])
async def test_file_deleted_before_the_response_is_404(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, stream: str, video: str, ranges: dict[str, str]
) -> None:
    path = await odyssey_mock.recordings.file(stream, "video.mp4")
    await asyncio.to_thread(path.unlink)
    answer = await http.get(video, headers=ranges)
    assert answer.status_code == 404
    assert answer.json()["detail"] == f"Artifact not found: {path.name} was deleted before it was sent"


@pytest_asyncio.fixture
async def drawn(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[threading.Event]:
    """Provide an event that is set once a frame has been drawn."""
    event = threading.Event()

    def draw(*arguments: Any) -> None:
        draw_stamp(*arguments)
        event.set()

    monkeypatch.setattr("odyssey_mock.media.film.draw_stamp", draw)
    yield event


async def test_waiting_request_of_forgotten_stream_is_404(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, drawn: threading.Event
) -> None:
    asking = asyncio.create_task(http.get(url_of(odyssey_mock, remembered(odyssey_mock, timeline(1_000_000)))))
    assert await asyncio.to_thread(drawn.wait, LIMIT)
    async with asyncio.timeout(LIMIT):
        await odyssey_mock.reset()
        assert (await asking).status_code == 404


async def test_disconnect_does_not_cancel_rendering_for_others(
    odyssey_mock: MockOdyssey, http: httpx.AsyncClient, drawn: threading.Event
) -> None:
    url = url_of(odyssey_mock, remembered(odyssey_mock, timeline(200)))
    asking = asyncio.create_task(http.get(url))
    assert await asyncio.to_thread(drawn.wait, LIMIT)
    asking.cancel()
    await asyncio.wait([asking])
    assert (await http.get(url)).status_code == 200


async def test_exit_during_rendering_is_fast(
    drawn: threading.Event,
) -> None:
    loop = asyncio.get_running_loop()
    async with nothing_left(), httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        async with MockOdyssey() as mock:
            asking = asyncio.create_task(http.get(url_of(mock, remembered(mock, timeline(1_000_000)))))
            assert await asyncio.to_thread(drawn.wait, LIMIT)
            began = loop.time()
        assert loop.time() - began < 5
        with pytest.raises(httpx.TransportError):
            await asking


async def test_failed_rendering_is_500_and_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with MockOdyssey() as mock, httpx.AsyncClient(trust_env=False, verify=NO_CERTIFICATES) as http:
        url = url_of(mock, remembered(mock))

        def broken(*_: object) -> None:
            raise OSError("no space left on device")

        with monkeypatch.context() as broke:
            broke.setattr("odyssey_mock.media.film.draw_stamp", broken)
            assert (await http.get(url)).status_code == 500
        assert (await http.get(url)).status_code == 200
