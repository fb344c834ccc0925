"""Tests of downloads over real sockets: requests, progress, and files on disk."""

import asyncio
import logging
from collections import Counter
from pathlib import Path

import pytest

from odyssey_client.errors import DownloadError, OdysseyConfigError
from odyssey_client.models import Recording
from odyssey_client.rest.downloads import DownloadProgress, DownloadRequest
from tests.support.downloading import SIZE, STREAM, Downloads, LookUp, fetched, names, request
from tests.support.file_server import FILE, FileServer, Turn, file_server

from .conftest import API_KEY, MakeTransport, VirtualClock

# Successful downloads.


async def test_downloaded_file_equals_served_file(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    assert await fetched(downloads, server, tmp_path) == FILE
    (asked,) = server.asked
    assert asked["accept-encoding"] == "identity"
    assert "range" not in asked


async def test_credentials_and_signature_are_not_leaked(
    downloads: Downloads,
    server: FileServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    server.plan = [Turn(cut=100_000)]
    await fetched(downloads, server, tmp_path)
    assert all({"authorization", "cookie"}.isdisjoint(asked) for asked in server.asked)
    assert all(API_KEY not in value for asked in server.asked for value in asked.values())
    assert "s3cret" not in caplog.text


async def test_empty_file_is_downloaded(make: MakeTransport, tmp_path: Path) -> None:
    told: list[DownloadProgress] = []
    async with file_server(b"") as server:
        downloads = Downloads(make())
        path = await downloads.fetch(request(tmp_path / "none", on_progress=told.append), LookUp(server.url))
    assert path.read_bytes() == b""
    assert told == [DownloadProgress(0, 0)]


@pytest.mark.parametrize("turn", [Turn(chunked=True), Turn(headers={"Content-Length": None})])
async def test_file_without_content_length_is_complete(
    turn: Turn, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    server.plan = [turn]
    assert await fetched(downloads, server, tmp_path) == FILE


@pytest.mark.parametrize(
    ("artifact", "name"),
    [
        ("video", "stream-1.mp4"),
        ("preview", "stream-1-preview.mp4"),
        ("thumbnail", "stream-1.jpg"),
        ("events", "stream-1.jsonl"),
    ],
)
async def test_file_in_directory_has_stream_name(
    artifact: str, name: str, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    async def look_up() -> Recording:
        urls = dict.fromkeys(("video_url", "events_url", "thumbnail_url", "preview_url"), "http://127.0.0.1:1/")
        return Recording(STREAM, **urls | {f"{artifact}_url": server.url}, frame_count=1, duration_seconds=1.0)

    path = await downloads.fetch(request(tmp_path, artifact=artifact), look_up)
    assert path == tmp_path / name
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(
    ("stream_id", "name"),
    [
        ("../../etc/passwd", "_.._etc_passwd.mp4"),
        ("a/b\\c:d", "a_b_c_d.mp4"),
        ("..", "_.mp4"),
        ("ü" * 300, "_" * 200 + ".mp4"),
        (".hidden", "hidden.mp4"),
    ],
)
async def test_stream_id_cannot_escape_directory(
    stream_id: str, name: str, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    path = await downloads.fetch(DownloadRequest(stream_id, tmp_path), LookUp(server.url))
    assert path == tmp_path / name
    assert names(tmp_path) == [name]


# Progress.


async def test_progress_grows_to_full_size(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    told: list[DownloadProgress] = []
    server.plan = [Turn(cut=200_000), Turn(ignore_range=True, cut=100_000), Turn(cut=50_000)]
    await downloads.fetch(request(tmp_path / "cat.mp4", on_progress=told.append), LookUp(server.url))
    received = [progress.received for progress in told]
    assert received == sorted(set(received))
    assert {progress.total for progress in told} == {SIZE}
    assert told[-1] == DownloadProgress(SIZE, SIZE)


async def test_last_progress_has_size(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    told: list[DownloadProgress] = []
    server.plan = [Turn(chunked=True)]
    await downloads.fetch(request(tmp_path / "cat.mp4", on_progress=told.append), LookUp(server.url))
    assert {progress.total for progress in told[:-1]} == {None}
    assert told[-1] == DownloadProgress(SIZE, SIZE)


async def test_tiny_chunks_leave_turns_for_other_tasks(
    downloads: Downloads, server: FileServer, tmp_path: Path, clock: VirtualClock
) -> None:
    turns = 0
    turn_of_chunk: list[int] = []

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await clock.sleep(0)
            turns += 1

    chunks = b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"
    server.plan = [Turn(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)]
    counting = asyncio.create_task(count_turns())
    try:
        await downloads.fetch(
            request(tmp_path / "cat.mp4", on_progress=lambda _: turn_of_chunk.append(turns)), LookUp(server.url)
        )
    finally:
        counting.cancel()
    assert max(Counter(turn_of_chunk).values()) <= 64


async def test_async_progress_callback_is_awaited(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    told: list[int] = []

    async def on_progress(progress: DownloadProgress) -> None:
        await asyncio.wait([asyncio.ensure_future(asyncio.to_thread(told.append, progress.received))])

    await downloads.fetch(request(tmp_path / "cat.mp4", on_progress=on_progress), LookUp(server.url))
    assert told[-1] == SIZE


async def test_exception_of_progress_callback_is_raised(
    downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    def on_progress(progress: DownloadProgress) -> None:
        raise LookupError("the callback failed")

    with pytest.raises(LookupError, match="the callback failed"):
        await downloads.fetch(request(tmp_path / "cat.mp4", on_progress=on_progress), LookUp(server.url))
    assert names(tmp_path) == []
    assert len(server.asked) == 1


# Files on disk.


async def test_invalid_path_is_rejected_before_any_request(
    downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    (tmp_path / "cat.mp4").write_bytes(b"mine")
    look_up = LookUp(server.url)
    for path, expected in [
        ("cat.mp4", "already exists"),
        ("missing/cat.mp4", "No such file or directory"),
        ("é" * 200, "File name too long. Choose a shorter name"),
    ]:
        with pytest.raises(DownloadError, match=expected):
            await downloads.fetch(request(tmp_path / path), look_up)
    with pytest.raises(DownloadError, match=r"Directory .*missing does not exist\. Create it first"):
        await downloads.fetch(DownloadRequest(STREAM, f"{tmp_path}/missing/"), look_up)
    assert (look_up.calls, server.asked) == (0, [])
    assert names(tmp_path) == ["cat.mp4"]


async def test_overwrite_replaces_existing_file(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "cat.mp4").write_bytes(b"old")
    await downloads.fetch(request(tmp_path / "cat.mp4", overwrite=True), LookUp(server.url))
    assert (tmp_path / "cat.mp4").read_bytes() == FILE


async def test_failed_download_keeps_existing_file(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "cat.mp4").write_bytes(b"old")
    server.plan = [Turn(cut=100_000), Turn(status=404)]
    with pytest.raises(DownloadError):
        await downloads.fetch(request(tmp_path / "cat.mp4", overwrite=True), LookUp(server.url))
    assert (tmp_path / "cat.mp4").read_bytes() == b"old"
    assert names(tmp_path) == ["cat.mp4"]


async def test_second_download_to_same_path_fails(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    both = await asyncio.gather(
        *(downloads.fetch(request(tmp_path / "cat.mp4"), LookUp(server.url)) for _ in range(2)), return_exceptions=True
    )
    (lost,) = [result for result in both if isinstance(result, BaseException)]
    assert isinstance(lost, DownloadError)
    assert "already exists" in str(lost)
    assert (tmp_path / "cat.mp4").read_bytes() == FILE
    assert names(tmp_path) == ["cat.mp4"]


# Cancellation.


async def test_cancelled_download_leaves_no_file(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    server.plan = [Turn(stall=100_000)]
    download = asyncio.create_task(downloads.fetch(request(tmp_path / "cat.mp4"), LookUp(server.url)))
    await server.stalled.wait()
    assert len(names(tmp_path)) == 1
    download.cancel()
    with pytest.raises(asyncio.CancelledError):
        await download
    assert names(tmp_path) == []


# Arguments.


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"path": None}, r"path must be a str or os\.PathLike, got NoneType"),
        ({"path": b"bytes"}, r"path must be a str or os\.PathLike, got bytes"),
        ({"path": ""}, "a non-empty path"),
        ({"path": "a\0b"}, "without null characters"),
        ({"path": "a\ud800b"}, "lone surrogates"),
        ({"artifact": "film"}, "artifact must be one of video, preview, thumbnail, events, got 'film'"),
        ({"artifact": None}, "artifact must be one of"),
        ({"artifact": ["video"]}, "artifact must be one of .*, got list"),
        ({"overwrite": 1}, "overwrite must be True or False, got int"),
        ({"on_progress": 1}, "on_progress must be a function, got int"),
    ],
)
def test_invalid_argument_is_named_in_error(wishes: dict[str, object], expected: str) -> None:
    with pytest.raises(OdysseyConfigError, match=expected):
        DownloadRequest(**{"stream_id": STREAM, "path": "cat.mp4"} | wishes)  # type: ignore[arg-type]  # invalid on purpose
