"""Downloads of recordings to files (protocol.md section 6). A failed download leaves no file."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from odyssey_client.errors import DownloadError, OdysseyConfigError, excerpt
from odyssey_client.models import Recording
from odyssey_client.rest.atomic_file import AtomicFile
from odyssey_client.rest.transport import Transport

type Artifact = Literal["video", "preview", "thumbnail", "events"]
"""A file of a recording: the full video, a short preview video, one image, or the log of events."""

type OnProgress = Callable[[DownloadProgress], object]
"""A callback that is called as bytes arrive, and awaited if it returns an awaitable."""

ENDINGS: Mapping[str, str] = {
    "video": ".mp4",
    "preview": "-preview.mp4",
    "thumbnail": ".jpg",
    "events": ".jsonl",
}
"""The suffix of each artifact's file name. In a directory, a file is named by its stream id and this suffix."""


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """The progress of a download.

    Attributes:
        received: The number of bytes received. It decreases only at the end, if the service has replaced the file with
            a shorter one.
        total: The size of the file; None while it is unknown.
    """

    received: int
    total: int | None


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """The arguments of one download. They are validated without access to the disk.

    Raises:
        OdysseyConfigError: an argument is invalid.
    """

    stream_id: str
    path: str | os.PathLike[str]
    artifact: str = "video"
    on_progress: OnProgress | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        _check("path", self.path, (str, os.PathLike), "a str or os.PathLike")
        _check("path", name := os.fspath(self.path), str, "a str or os.PathLike[str]")
        _check("overwrite", self.overwrite, bool, "True or False")
        if "\0" in name or not name or not _is_encodable(name):
            expected = "a non-empty path without null characters or lone surrogates"
            raise OdysseyConfigError(f"path must be {expected}, got {excerpt(repr(name), 200)}")
        _check("artifact", self.artifact, str, artifacts := f"one of {', '.join(ENDINGS)}")
        if self.artifact not in ENDINGS:
            raise OdysseyConfigError(f"artifact must be {artifacts}, got {excerpt(repr(self.artifact), 60)}")
        if self.on_progress is not None and not callable(self.on_progress):
            raise OdysseyConfigError(f"on_progress must be a function, got {type(self.on_progress).__name__}")

    @property
    def what(self) -> str:
        """A description of the file for messages."""
        return f"the {self.artifact} of stream {self.stream_id}"

    def url(self, recording: Recording) -> str:
        """Return the URL of the file.

        Raises:
            DownloadError: the recording has no such file.
        """
        url: str | None = getattr(recording, f"{self.artifact}_url")
        if url is None:
            raise DownloadError(
                f"Stream {self.stream_id} has no {self.artifact}: it is still running, it failed, or the service made "
                "no such file. Wait until the stream has ended; check with list_stream_recordings().",
                code="no_such_artifact",
            )
        return url

    def target(self) -> Path:
        """Return the path of the file. This method reads the disk: call it in a thread.

        Raises:
            DownloadError: the path ends with a slash, and that directory does not exist.
        """
        path = Path(self.path)
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises for a name that is too long or not accessible
            # The service chose the id. Slashes in it could place the file outside the directory.
            name = re.sub(r"[^A-Za-z0-9._-]", "_", self.stream_id).lstrip(".") or "_"
            return path / f"{name[:200]}{ENDINGS[self.artifact]}"
        if os.fspath(self.path).endswith((os.sep, "/")):
            raise DownloadError(f"Directory {path} does not exist. Create it first.", code="cannot_write")
        return path


async def download(transport: Transport, request: DownloadRequest, look_up: Callable[[], Awaitable[Recording]]) -> Path:
    """Download a file and return its path. An error or a cancellation leaves no partial file.

    If the process is killed, the next download to the same path deletes the partial file.

    Args:
        transport: The HTTP transport.
        request: The file to download and its destination.
        look_up: Fetches the recording, with fresh URLs.

    Raises:
        DownloadTimeoutError: the download took longer than ``AdvancedConfig.download_timeout_s``.
        DownloadError: the file could not be downloaded completely or could not be written.
        OdysseyError: ``look_up`` raised this error.
    """
    # Importing httpx takes 100 ms: import it with the first download.
    from odyssey_client.rest.resumable_download import Fetch  # noqa: PLC0415

    told: DownloadProgress | None = None

    async def report(received: int, total: int | None) -> None:
        nonlocal told
        progress = DownloadProgress(received, total)
        if request.on_progress is not None and progress != told:
            told = progress
            if inspect.isawaitable(answer := request.on_progress(progress)):
                await answer

    async def locate() -> str:
        return request.url(await look_up())

    async with _FileThread(request) as file:
        size = await Fetch(transport, file, what=request.what, locate=locate, report=report).run()
        await report(size, size)
        return await file.commit()


class _FileThread:
    """An `AtomicFile` whose blocking calls all run in one dedicated thread."""

    def __init__(self, request: DownloadRequest) -> None:
        self._request = request
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="odyssey-download")
        self._file: AtomicFile | None = None
        self._target = Path()

    async def __aenter__(self) -> Self:
        try:
            await self._run(self._open)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close()

    async def write(self, content: bytes) -> None:
        await self._run(lambda: self._opened().write(content))

    async def restart(self) -> None:
        await self._run(self._opened().restart)

    async def commit(self) -> Path:
        await self._run(self._opened().commit)
        return self._target

    async def _close(self) -> None:
        # Queue the removal before waiting, so that it runs even if the wait is cancelled.
        removed = asyncio.get_running_loop().run_in_executor(self._thread, self._remove)
        self._thread.shutdown(wait=False)
        await asyncio.shield(removed)

    def _open(self) -> None:
        self._target = self._request.target()
        self._file = AtomicFile(self._target, overwrite=self._request.overwrite)
        self._file.open()

    def _remove(self) -> None:
        if self._file is not None:
            self._file.close()

    def _opened(self) -> AtomicFile:
        if self._file is None:
            raise RuntimeError("the file is not open: call open() first")
        return self._file

    async def _run[T](self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _check(name: str, value: object, kind: type | tuple[type, ...], expected: str) -> None:
    if not isinstance(value, kind):
        raise OdysseyConfigError(f"{name} must be {expected}, got {type(value).__name__}")


def _is_encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True
