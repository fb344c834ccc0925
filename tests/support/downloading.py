"""Helpers for tests of recording downloads from a `FileServer`."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from odyssey_client.errors import DownloadError
from odyssey_client.models import Recording
from odyssey_client.rest.downloads import DownloadRequest, download
from odyssey_client.rest.transport import Transport
from tests.support.file_server import FILE, FileServer

SIZE = len(FILE)
STREAM = "stream-1"


class LookUp:
    """A fake of the call that requests a recording. Each call returns a recording with the next URL of `urls`.

    After the last URL, every call returns the last URL.
    """

    def __init__(self, *urls: str | None) -> None:
        self.urls = list(urls)
        self.calls = 0

    async def __call__(self) -> Recording:
        self.calls += 1
        url = self.urls.pop(0) if len(self.urls) > 1 else self.urls[0]
        return Recording(STREAM, url, None, None, None, None, None)


class Downloads:
    """Downloads recordings with the HTTP transport `transport`."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def fetch(self, request: DownloadRequest, look_up: Callable[[], Awaitable[Recording]]) -> Path:
        return await download(self.transport, request, look_up)


def request(path: Path, **wishes: object) -> DownloadRequest:
    return DownloadRequest(STREAM, path, **wishes)  # type: ignore[arg-type]  # some are invalid on purpose


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def fetched(downloads: Downloads, server: FileServer, tmp_path: Path) -> bytes:
    path = await downloads.fetch(request(tmp_path / "cat.mp4"), LookUp(server.url))
    assert path == tmp_path / "cat.mp4"
    assert names(tmp_path) == ["cat.mp4"]
    return path.read_bytes()


async def refused(downloads: Downloads, server: FileServer, tmp_path: Path) -> DownloadError:
    with pytest.raises(DownloadError) as caught:
        await downloads.fetch(request(tmp_path / "cat.mp4"), LookUp(server.url))
    assert names(tmp_path) == []
    return caught.value
