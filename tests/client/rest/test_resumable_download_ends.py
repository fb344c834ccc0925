"""Tests of failed downloads, the time limit, expired URLs and redirects."""

import asyncio
import re
from pathlib import Path

import pytest

from odyssey_client.errors import DownloadError, DownloadTimeoutError, OdysseyApiError, ServiceUnreachableError
from odyssey_client.models import Recording
from odyssey_client.system import SystemClock
from tests.support.downloading import SIZE, Downloads, LookUp, fetched, names, refused, request
from tests.support.file_server import FILE, FileServer, Turn
from tests.support.tls_server import certified, tls_server

from .conftest import MakeTransport, VirtualClock

EXPIRED = (400, 401, 403, 410)
"""Statuses of a store for an expired URL. Google Cloud Storage sends 400 (`ExpiredToken`)."""

# Failures.


async def test_retries_without_progress_end_download(
    make: MakeTransport, server: FileServer, tmp_path: Path, clock: VirtualClock
) -> None:
    server.plan = [Turn(cut=100_000), Turn(cut=1), *[Turn(refuse=True)] * 5]
    error = await refused(Downloads(make(request_max_retries=2)), server, tmp_path)
    assert f"received 100001 of {SIZE} bytes, and 2 retries received no more" in str(error)
    assert isinstance(error.__cause__, ServiceUnreachableError)
    assert (error.code, error.retryable) == ("download_interrupted", True)
    assert len(server.asked) == 4
    assert len(clock.slept) == 3


async def test_progress_resets_retry_count(make: MakeTransport, server: FileServer, tmp_path: Path) -> None:
    server.plan = [turn for step in range(1, 20) for turn in (Turn(cut=step * 100), Turn(refuse=True))]
    assert await fetched(Downloads(make(request_max_retries=2)), server, tmp_path) == FILE


async def test_repeated_bytes_do_not_reset_retries(make: MakeTransport, server: FileServer, tmp_path: Path) -> None:
    server.etag = None
    server.plan = [Turn(cut=100_000)] * 10
    await refused(Downloads(make(request_max_retries=3)), server, tmp_path)
    assert len(server.asked) == 4


async def test_first_break_without_retries_is_final(make: MakeTransport, server: FileServer, tmp_path: Path) -> None:
    server.plan = [Turn(cut=100_000)]
    error = await refused(Downloads(make(request_max_retries=0)), server, tmp_path)
    assert f"received 100000 of {SIZE} bytes. Last error: " in str(error)


async def test_retry_waits_for_retry_after_header(
    downloads: Downloads, server: FileServer, tmp_path: Path, clock: VirtualClock
) -> None:
    server.plan = [Turn(status=503, headers={"Retry-After": "17"}), Turn(status=429, headers={"Retry-After": "18"})]
    assert await fetched(downloads, server, tmp_path) == FILE
    assert clock.slept == [17, 18]


@pytest.mark.parametrize("status", [204, 206, 400, 401, 404, 410, 500])
async def test_error_names_status_without_signature(
    status: int, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    server.plan = [Turn(status=status)]
    error = await refused(downloads, server, tmp_path)
    assert str(error).startswith("Could not download the video of stream stream-1: GET http://127.0.0.1:")
    assert f"HTTP {status}" in str(error)
    assert error.status == status
    assert "s3cret" not in str(error)
    assert len(server.asked) == 1


@pytest.mark.parametrize("raw", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n"])
async def test_invalid_http_response_is_retried(
    raw: bytes, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    server.plan = [Turn(raw=raw)]
    assert await fetched(downloads, server, tmp_path) == FILE


async def test_unreachable_host_is_reported_without_signature(downloads: Downloads, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="received 0 bytes, and 3 retries received no more") as caught:
        await downloads.fetch(request(tmp_path / "cat.mp4"), LookUp("http://127.0.0.1:1/video?signature=s3cret"))
    assert "http://127.0.0.1:1/video got no answer" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert names(tmp_path) == []


async def test_untrusted_certificate_ends_download(downloads: Downloads, tmp_path: Path, clock: VirtualClock) -> None:
    films = tmp_path / "films"
    films.mkdir()
    expected = "the certificate of the server is not valid"
    with tls_server(certified(tmp_path, "127.0.0.1")) as server, pytest.raises(DownloadError, match=expected) as caught:
        await downloads.fetch(request(films / "cat.mp4"), LookUp(f"https://127.0.0.1:{server.port}/video"))
    assert (caught.value.retryable, clock.slept, server.accepted) == (False, [], 1)
    assert names(films) == []


# Time limit.


async def overdue(downloads: Downloads, server: FileServer, tmp_path: Path) -> DownloadTimeoutError:
    error = await refused(downloads, server, tmp_path)
    assert isinstance(error, DownloadTimeoutError)
    assert isinstance(error, TimeoutError)
    assert (error.code, error.retryable) == ("download_timeout", True)
    return error


async def test_dripping_download_ends_at_time_limit(make: MakeTransport, server: FileServer, tmp_path: Path) -> None:
    server.plan = [Turn(drip=0.02)]
    downloads = Downloads(make(clock=SystemClock(), download_timeout_s=0.5))
    error = await overdue(downloads, server, tmp_path)
    assert re.search(rf"took longer than 0\.5 s: received [1-9]\d* of {SIZE} bytes", str(error))
    assert "AdvancedConfig(download_timeout_s=...)" in str(error)
    assert len(server.asked) == 1


async def test_time_limit_covers_all_attempts(make: MakeTransport, server: FileServer, tmp_path: Path) -> None:
    server.plan = [Turn(cut=1)] * 10_000  # every attempt receives one more byte
    downloads = Downloads(make(clock=SystemClock(), download_timeout_s=0.5, initial_retry_delay_ms=1))
    await overdue(downloads, server, tmp_path)
    assert len(server.asked) > 1


async def test_retry_after_the_time_limit_is_not_awaited(
    make: MakeTransport, server: FileServer, tmp_path: Path, clock: VirtualClock
) -> None:
    server.plan = [Turn(status=503, headers={"Retry-After": "50"})]
    await overdue(Downloads(make(download_timeout_s=40)), server, tmp_path)
    assert clock.slept == []


async def test_time_limit_covers_the_request_for_the_url(make: MakeTransport, tmp_path: Path) -> None:
    async def look_up() -> Recording:
        await asyncio.Event().wait()
        raise AssertionError(
            "expected the download to cancel the request for the URL at its time limit, but the request continued"
        )

    downloads = Downloads(make(clock=SystemClock(), download_timeout_s=0.05))
    with pytest.raises(DownloadTimeoutError, match="received 0 bytes"):
        await downloads.fetch(request(tmp_path / "cat.mp4"), look_up)
    assert names(tmp_path) == []


# URLs.


@pytest.mark.parametrize("status", EXPIRED)
async def test_download_continues_with_renewed_url(
    status: int, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    look_up = LookUp(server.url, f"{server.url}-2", f"{server.url}-3")
    server.plan = [Turn(cut=100_000), Turn(status=status), Turn(cut=100_000), Turn(status=status)]
    path = await downloads.fetch(request(tmp_path / "cat.mp4"), look_up)
    assert path.read_bytes() == FILE
    assert look_up.calls == 3
    assert [asked["path"].rpartition("=")[2] for asked in server.asked] == [
        "s3cret",
        "s3cret",
        "s3cret-2",
        "s3cret-2",
        "s3cret-3",
    ]
    assert server.ranges[2] == "bytes=100000-"


@pytest.mark.parametrize("status", EXPIRED)
async def test_rejected_renewed_url_ends_download(
    status: int, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    look_up = LookUp(server.url)
    server.plan = [Turn(cut=100_000), Turn(status=status), Turn(status=status)]
    with pytest.raises(DownloadError, match=f"HTTP {status} ") as caught:
        await downloads.fetch(request(tmp_path / "cat.mp4"), look_up)
    assert (caught.value.status, look_up.calls, len(server.asked)) == (status, 2, 3)
    assert names(tmp_path) == []


@pytest.mark.parametrize("status", EXPIRED)
async def test_rejected_first_url_ends_download(
    status: int, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    server.plan = [Turn(status=status)]
    assert (await refused(downloads, server, tmp_path)).status == status
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", EXPIRED)
@pytest.mark.parametrize("failure", [Turn(refuse=True), Turn(status=503)], ids=["no response", "503"])
async def test_url_that_expires_before_first_byte_is_renewed(
    failure: Turn, status: int, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    look_up = LookUp(server.url, f"{server.url}-2")
    server.plan = [failure, Turn(status=status)]
    path = await downloads.fetch(request(tmp_path / "cat.mp4"), look_up)
    assert path.read_bytes() == FILE
    assert (look_up.calls, len(server.asked)) == (2, 3)


@pytest.mark.parametrize("status", EXPIRED)
async def test_expired_url_behind_redirect_is_renewed(
    status: int, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    look_up = LookUp(server.url, f"{server.url}-2")
    moved = Turn(status=307, headers={"Location": "/stored"})
    server.plan = [moved, Turn(cut=100_000), moved, Turn(status=status)]
    path = await downloads.fetch(request(tmp_path / "cat.mp4"), look_up)
    assert path.read_bytes() == FILE
    assert server.asked[-1]["path"].endswith("s3cret-2")
    assert server.ranges[-1] == "bytes=100000-"


async def test_missing_file_is_not_requested_with_new_url(
    downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    look_up = LookUp(server.url)
    server.plan = [Turn(cut=100_000), Turn(status=404)]
    with pytest.raises(DownloadError, match="HTTP 404 Not Found"):
        await downloads.fetch(request(tmp_path / "cat.mp4"), look_up)
    assert (look_up.calls, len(server.asked)) == (1, 2)


async def test_lookup_error_is_raised_unchanged(downloads: Downloads, tmp_path: Path) -> None:
    async def look_up() -> Recording:
        raise OdysseyApiError("no such stream", status=404)

    with pytest.raises(OdysseyApiError, match="no such stream"):
        await downloads.fetch(request(tmp_path / "cat.mp4"), look_up)
    assert names(tmp_path) == []


async def test_recording_without_file_raises_error(downloads: Downloads, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="Stream stream-1 has no video: it is still running") as caught:
        await downloads.fetch(request(tmp_path / "cat.mp4"), LookUp(None))
    assert caught.value.code == "no_such_artifact"
    assert names(tmp_path) == []


async def test_relative_redirects_are_followed(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    server.plan = [Turn(status=307, headers={"Location": "/other?x=1"}), Turn(status=302, headers={"Location": "b"})]
    assert await fetched(downloads, server, tmp_path) == FILE
    assert [asked["path"] for asked in server.asked][1:] == ["/other?x=1", "/b"]


async def test_endless_redirects_are_rejected(downloads: Downloads, server: FileServer, tmp_path: Path) -> None:
    server.plan = [Turn(status=301, headers={"Location": "/again?signature=s3cret"})] * 10
    error = await refused(downloads, server, tmp_path)
    assert "expected at most 5 redirects, got more" in str(error)
    assert "s3cret" not in str(error)
    assert len(server.asked) == 6


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://[::1"])
async def test_redirect_to_other_scheme_is_rejected(
    location: str, downloads: Downloads, server: FileServer, tmp_path: Path
) -> None:
    server.plan = [Turn(status=302, headers={"Location": location})]
    assert "expected an http or https URL" in str(await refused(downloads, server, tmp_path))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "", "http://", "http://[", "/artifacts/x"])
async def test_invalid_url_is_rejected(url: str, downloads: Downloads, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="expected an http or https URL"):
        await downloads.fetch(request(tmp_path / "cat.mp4"), LookUp(url))
    assert names(tmp_path) == []


# Limits on what a hostile service sends.


@pytest.mark.parametrize(
    ("turn", "got"),
    [
        (Turn(), f"{SIZE} bytes"),
        (Turn(chunked=True), "more"),
        (Turn(headers={"Content-Length": None}, cut=SIZE), "more"),
    ],
    ids=["declared", "chunked", "until the connection closes"],
)
async def test_file_above_the_size_limit_is_refused(
    turn: Turn, got: str, make: MakeTransport, server: FileServer, tmp_path: Path
) -> None:
    server.plan = [turn]
    error = await refused(Downloads(make(max_download_bytes=SIZE - 1)), server, tmp_path)
    assert str(error) == (
        f"Could not download the video of stream stream-1: expected at most {SIZE - 1} bytes, got {got}. "
        "To download larger files, raise AdvancedConfig(max_download_bytes=...)."
    )
    assert (error.code, error.retryable) == ("download_too_large", False)


async def test_file_of_the_maximum_size_is_downloaded(make: MakeTransport, server: FileServer, tmp_path: Path) -> None:
    assert await fetched(Downloads(make(max_download_bytes=SIZE)), server, tmp_path) == FILE


async def test_file_in_endless_parts_is_refused(
    make: MakeTransport, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odyssey_client.rest.resumable_download.MAX_PARTS", 20)
    server.plan = [Turn(cut=100), *[Turn(at_most=1)] * 100]
    error = await refused(Downloads(make()), server, tmp_path)
    assert "expected at most 20 parts, got more" in str(error)
    assert len(server.asked) == 21
