"""Calls for recordings of live and simulated streams."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from pathlib import Path

from odyssey_client.client.arguments import check_id, check_limit, page_query
from odyssey_client.client.base import ClientBase
from odyssey_client.models import Recording, StreamRecordingsListResponse, StreamRecordingSummary
from odyssey_client.rest import recordings as rest
from odyssey_client.rest.downloads import Artifact, DownloadRequest, OnProgress, download
from odyssey_client.rest.paging import Page, walk
from odyssey_client.trace.calls import recorded


class RecordingCalls(ClientBase):
    """Calls that list and download recordings (protocol.md section 6). They need no live connection."""

    @recorded
    async def get_recording(self, stream_id: str) -> Recording:
        """Return the recording of a stream. Its URLs are newly signed and valid for about an hour.

        Raises:
            OdysseyConfigError: the id is invalid, or this client has no API key.
            OdysseyApiError: the account has no such stream (``recording_not_found``).
            OdysseyError: any other error.
        """
        check_id("stream_id", stream_id)
        async with self._begin("get_recording").step():
            return await rest.get_recording(self._transport, stream_id)

    @recorded
    async def list_stream_recordings(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> StreamRecordingsListResponse:
        """Return one page of the account's streams, newest first, including streams that are still running.

        Args:
            limit: Number of items at most, from 1 to 100; the service's default is 50.
            offset: Number of items to skip, starting with the newest.

        Raises:
            OdysseyConfigError: an argument is invalid, or this client has no API key.
            OdysseyError: any other error.
        """
        query = page_query(limit, offset)
        async with self._begin("list_stream_recordings").step():
            return await rest.list_recordings(self._transport, query)

    def iter_stream_recordings(self, *, page_size: int = 100) -> AsyncGenerator[StreamRecordingSummary, None]:
        """Iterate over the account's streams, newest first. Pages are requested as needed; each stream is yielded once.

        Streams that start during the iteration are left out and do not cause others to be skipped.

        Args:
            page_size: Items per request, from 1 to 100; 1 counts as 2, because consecutive pages overlap by one item.

        Raises:
            OdysseyConfigError: an argument is invalid, or this client has no API key.
            OdysseyError: any other error; raised by the iterator.
        """
        check_limit("page_size", page_size)
        call = self._begin("iter_stream_recordings")

        async def fetch(limit: int, offset: int) -> Page[StreamRecordingSummary]:
            async with call.step():
                page = await rest.list_recordings(self._transport, {"limit": limit, "offset": offset})
            return Page(page.recordings, page.limit, page.offset)

        return walk(fetch, lambda recording: recording.stream_id, page_size)

    @recorded
    async def download_recording(
        self,
        stream_id: str,
        path: str | os.PathLike[str],
        *,
        artifact: Artifact = "video",
        on_progress: OnProgress | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Download one file of a stream's recording; return its path. The file appears there only when it is complete.

        After a broken connection the download resumes where it stopped, with a new URL if the old one has expired. It
        fails when `AdvancedConfig.request_max_retries` retries in a row receive no new data, or after
        `AdvancedConfig.download_timeout_s` in all.

        Args:
            stream_id: Id of the stream.
            path: Path of the file to write, or an existing directory, in which the file is named after the stream.
            artifact: ``video``, ``preview`` (both MP4), ``thumbnail`` (JPEG) or ``events`` (JSON lines).
            on_progress: A sync or async function that is called with a `DownloadProgress` as bytes arrive, and at the
                end. An exception that it raises ends the download.
            overwrite: Whether an existing file may be replaced.

        Raises:
            OdysseyConfigError: an argument is invalid, or this client has no API key.
            OdysseyApiError: the account has no such stream (``recording_not_found``).
            DownloadTimeoutError: the download was not complete within `AdvancedConfig.download_timeout_s`.
            DownloadError: the recording has no such file, the download failed, or the file could not be written: it
                already exists (``file_exists``), the directory is missing, or the disk is full. The code is
                ``download_too_large`` if the file is larger than `AdvancedConfig.max_download_bytes`.
            OdysseyError: any other error.
        """
        check_id("stream_id", stream_id)
        request = DownloadRequest(stream_id, path, artifact, on_progress, overwrite)
        async with self._begin("download_recording").step():
            return await download(
                self._transport,
                request,
                lambda: rest.get_recording(self._transport, stream_id),
            )
