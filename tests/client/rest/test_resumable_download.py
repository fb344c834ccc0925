"""Tests of downloads over connections that break: the result is the complete file or no file."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_client.errors import DownloadError
from odyssey_client.rest.downloads import DownloadProgress
from odyssey_client.rest.resumable_download import BUFFER_BYTES
from odyssey_client.rest.transport import Transport
from tests.support.downloading import SIZE, Downloads, LookUp, fetched, names, refused, request
from tests.support.file_server import FILE, FileServer, Turn, file_server

from .conftest import MakeTransport, VirtualClock


async def test_download_resumes_after_lost_connection(
    downloads: Downloads, server: FileServer, tmp_path: Path, clock: VirtualClock
) -> None:
    server.plan = [Turn(cut=100_000), Turn(cut=50_000)]
    assert await fetched(downloads, server, tmp_path) == FILE
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert server.asked[1]["if-range"] == '"v1"'
    assert len(clock.slept) == 2


async def test_download_resumes_after_stall(make: MakeTransport, server: FileServer, tmp_path: Path) -> None:
    server.plan = [Turn(stall=100_000)]
    downloads = Downloads(make(request_timeout_s=0.2))
    assert await fetched(downloads, server, tmp_path) == FILE
    assert server.ranges == [None, "bytes=100000-"]


async def test_broken_chunked_response_is_resumed(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    server.plan = [Turn(cut=100_000, chunked=True), Turn()]
    assert await fetched(downloads, server, tmp_path) == FILE
    assert server.ranges == [None, "bytes=100000-"]


async def test_break_after_last_byte_completes_download(
    downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    server.plan = [Turn(cut=SIZE, chunked=True)]  # without the final chunk
    assert await fetched(downloads, server, tmp_path) == FILE
    assert server.ranges == [None, f"bytes={SIZE}-"]


async def test_next_part_is_requested_without_delay(
    downloads: Downloads, server: FileServer, tmp_path: Path, clock: VirtualClock
) -> None:
    server.plan = [Turn(cut=100_000), *[Turn(at_most=90_000)] * 2]
    assert await fetched(downloads, server, tmp_path) == FILE
    assert server.ranges == [None, "bytes=100000-", "bytes=190000-", "bytes=280000-"]
    assert len(clock.slept) == 1


@pytest.mark.parametrize("etag", ['W/"v1"', None], ids=["weak ETag", "no ETag"])
async def test_download_restarts_without_strong_validator(
    etag: str | None, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    server.etag = etag
    server.plan = [Turn(cut=100_000)]
    assert await fetched(downloads, server, tmp_path) == FILE
    assert server.ranges == [None, None]


async def test_last_modified_date_works_for_if_range(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    dates = {"Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT", "Date": "Sat, 21 Nov 2026 11:00:00 GMT"}
    server.etag = None
    server.plan = [Turn(cut=100_000, headers=dates)]
    assert await fetched(downloads, server, tmp_path) == FILE
    assert server.asked[1]["if-range"] == dates["Last-Modified"]


async def test_changed_file_is_downloaded_again(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    async def change(progress: DownloadProgress) -> None:
        server.content, server.etag = FILE[::-1][:200_000], '"v2"'

    server.plan = [Turn(cut=250_000)]
    await downloads.fetch(request(tmp_path / "cat.mp4", on_progress=change), LookUp(server.url))
    assert (tmp_path / "cat.mp4").read_bytes() == FILE[::-1][:200_000]


async def test_shortened_file_is_downloaded_again(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    server.plan = [Turn(cut=100_000), Turn(status=416, headers={"Content-Range": "bytes */50"})]
    assert await fetched(downloads, server, tmp_path) == FILE
    assert server.ranges == [None, "bytes=100000-", None]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Content-Range": f"bytes 0-{SIZE - 1}/{SIZE}"}, "Content-Range that starts at byte 100000"),
        ({"Content-Range": None}, "Content-Range that starts at byte 100000"),
        (
            {"Content-Range": f"bytes 100000-{SIZE - 1}/{SIZE + 1}"},
            f"a file of {SIZE} bytes as in the earlier response",
        ),
        ({"ETag": '"v2"'}, "another ETag"),
    ],
)
async def test_unrequested_part_is_rejected(
    headers: dict[str, str | None], expected: str, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    server.plan = [Turn(cut=100_000), Turn(headers=headers)]
    error = await refused(downloads, server, tmp_path)
    assert expected in str(error)
    assert len(server.asked) == 2


async def test_more_bytes_than_announced_are_rejected(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    server.plan = [Turn(cut=100_000), Turn(chunked=True, extra=b"more")]
    assert f"expected {SIZE} bytes, as stated in the headers, got more" in str(
        await refused(downloads, server, tmp_path)
    )


async def test_encoded_body_is_rejected(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    server.plan = [Turn(headers={"Content-Encoding": "gzip"})]
    assert "expected Content-Encoding identity, got 'gzip'" in str(await refused(downloads, server, tmp_path))


async def test_large_file_is_written_while_it_arrives(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    server.content = FILE * 20
    on_disk: list[int] = []

    def on_progress(progress: DownloadProgress) -> None:
        (part,) = tmp_path.iterdir()
        on_disk.append(part.stat().st_size)
        assert progress.received - on_disk[-1] < BUFFER_BYTES

    server.plan = [Turn(cut=BUFFER_BYTES * 5 // 2)]
    await downloads.fetch(request(tmp_path / "cat.mp4", on_progress=on_progress), LookUp(server.url))
    assert (tmp_path / "cat.mp4").read_bytes() == server.content
    assert len(set(on_disk)) > 4


# Random failures.

TURNS = st.builds(
    Turn,
    cut=st.none() | st.integers(0, 3000),
    status=st.sampled_from([None, None, None, None, 503, 502, 404, 403, 416, 206]),
    ignore_range=st.booleans(),
    chunked=st.booleans(),
    refuse=st.sampled_from([False, False, False, True]),
    at_most=st.none() | st.integers(1, 2000),
    extra=st.sampled_from([b"", b"", b"", b"more"]),
    headers=st.sampled_from(
        [
            {},
            {},
            {},
            {"ETag": '"v2"'},
            {"ETag": None},
            {"Content-Range": "bytes 0-9/10"},
            {"Content-Length": None},
            {"Content-Encoding": "br"},
        ]
    ),
)


def tells_the_truth(turn: Turn) -> bool:
    """Return whether the response states its correct length and has no extra bytes.

    Only then can the client detect truncation.
    """
    return "Content-Length" not in turn.headers and not turn.extra


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(TURNS.filter(tells_the_truth), max_size=6), size=st.integers(0, 3000))
async def test_download_is_complete_or_leaves_no_file(
    plan: list[Turn], size: int, make: MakeTransport, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("films")
    told: list[int] = []

    def on_progress(progress: DownloadProgress) -> None:
        told.append(progress.received)

    content = FILE[:size]
    transport: Transport = make(request_max_retries=2, request_timeout_s=5)
    async with file_server(content, *plan) as server:
        downloads = Downloads(transport)
        try:
            await downloads.fetch(request(directory / "cat.mp4", on_progress=on_progress), LookUp(server.url))
        except DownloadError:
            assert names(directory) == []
        else:
            assert names(directory) == ["cat.mp4"]
            assert (directory / "cat.mp4").read_bytes() == content
            assert told[-1] == size
        assert told == sorted(told)
        await transport.aclose()
