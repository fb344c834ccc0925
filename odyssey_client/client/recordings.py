"""The calls for recordings, which every stream leaves, live or simulated."""

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


class RecordingCalls(ClientBase):
    """Finding and getting recordings (protocol.md section 6). None of it needs a connection."""

    async def get_recording(self, stream_id: str) -> Recording:
        """Return what a stream left behind, with URLs signed just now; they are good for about an hour.

        Raises:
            OdysseyConfigError: the id cannot be one, or this client has no API key.
            OdysseyApiError: the account has no such stream (``recording_not_found``).
            OdysseyError: anything else that went wrong, by class.
        """
        check_id("stream_id", stream_id)
        async with self._begin("get_recording").step():
            return await rest.get_recording(self._transport, stream_id)

    async def list_stream_recordings(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> StreamRecordingsListResponse:
        """Return one page of the account's streams, newest first; those that are still on among them.

        Args:
            limit: How many at most, from 1 to 100; the service's default is 50.
            offset: How many to leave out, from the newest on.

        Raises:
            OdysseyConfigError: an argument cannot be used, or this client has no API key.
            OdysseyError: anything else that went wrong, by class.
        """
        query = page_query(limit, offset)
        async with self._begin("list_stream_recordings").step():
            return await rest.list_recordings(self._transport, query)

    def iter_stream_recordings(self, *, page_size: int = 100) -> AsyncGenerator[StreamRecordingSummary, None]:
        """Go through the account's streams, newest first, page by page, each stream once.

        Streams that begin meanwhile are left out, and hide none of the others.

        Args:
            page_size: How many to ask for at a time, from 1 to 100; pages overlap, so 2 at least are asked for.

        Raises:
            OdysseyConfigError: an argument cannot be used, or this client has no API key.
            OdysseyError: anything else that went wrong, by class; from the iterator.
        """
        check_limit("page_size", page_size)
        call = self._begin("iter_stream_recordings")

        async def fetch(limit: int, offset: int) -> Page[StreamRecordingSummary]:
            async with call.step():
                page = await rest.list_recordings(self._transport, {"limit": limit, "offset": offset})
            return Page(page.recordings, page.limit, page.offset)

        return walk(fetch, lambda recording: recording.stream_id, page_size)

    async def download_recording(
        self,
        stream_id: str,
        path: str | os.PathLike[str],
        *,
        artifact: Artifact = "video",
        on_progress: OnProgress | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Download a file that a stream left behind; return its path. It has its name only when it is whole.

        After a broken connection it goes on where it was, with a new URL if the old one has expired;
        `AdvancedConfig.request_max_retries` tries in a row that bring nothing end it.

        Args:
            stream_id: The stream.
            path: The file; or a directory, where it is named after the stream.
            artifact: ``video``, ``preview`` (both MP4), ``thumbnail`` (JPEG) or ``events`` (JSON lines).
            on_progress: A function, sync or async, that is called as bytes come in, and in the end with all of them.
                What it raises ends the download.
            overwrite: Whether a file that is there may be replaced.

        Raises:
            OdysseyConfigError: an argument cannot be used, or this client has no API key.
            OdysseyApiError: the account has no such stream (``recording_not_found``).
            DownloadError: there is no such file, it could not be had whole, or not be written: there is one already
                (``file_exists``), the directory is missing, the disk is full.
            OdysseyError: anything else that went wrong, by class.
        """
        check_id("stream_id", stream_id)
        request = DownloadRequest(stream_id, path, artifact, on_progress, overwrite)
        async with self._begin("download_recording").step():
            return await download(
                self._transport,
                request,
                lambda: rest.get_recording(self._transport, stream_id),
                unique=self._entropy.uuid(),
            )
