"""REST calls for recordings (protocol.md sections 2 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from odyssey_client.models import Recording, StreamRecordingsListResponse, StreamRecordingSummary
from odyssey_client.redaction import remember_url
from odyssey_client.rest.fields import Fields
from odyssey_client.rest.retries import retrying
from odyssey_client.rest.transport import Transport

_RECORDINGS = "/recordings"
_LIST = "/stream-recordings"
_URLS = ("video_url", "events_url", "thumbnail_url", "preview_url")


async def get_recording(transport: Transport, stream_id: str) -> Recording:
    """Request the recording of a stream; its URLs are newly signed. Transient errors are retried.

    Raises:
        OdysseyApiError: the account has no such stream (404, ``recording_not_found``).
        OdysseyError: the call failed for another reason.
    """
    path, route = f"{_RECORDINGS}/{quote(stream_id, safe='')}", f"GET {_RECORDINGS}/{{stream_id}}"
    answer = await retrying(
        lambda: transport.request("GET", path, route=route, names={"stream_id": stream_id}),
        transport.retries,
        transport.clock,
    )
    return read_recording(Fields(answer, route))


async def list_recordings(transport: Transport, query: Mapping[str, str | int | bool]) -> StreamRecordingsListResponse:
    """Request one page of recordings. Transient errors are retried.

    Raises:
        OdysseyError: the call failed.
    """
    answer = await retrying(lambda: transport.request("GET", _LIST, params=query), transport.retries, transport.clock)
    fields = Fields(answer, f"GET {_LIST}")
    return StreamRecordingsListResponse(
        recordings=tuple(_read_summary(recording) for recording in fields.objects("recordings")),
        total=fields.count("total"),
        limit=fields.count("limit"),
        offset=fields.count("offset"),
    )


def read_recording(fields: Fields) -> Recording:
    """Parse the fields that recordings and streams of simulations share.

    Raises:
        UnexpectedResponseError: a field is missing or invalid.
    """
    urls = {name: fields.optional(fields.text, name) for name in _URLS}
    for url in urls.values():
        remember_url(url)
    return Recording(
        stream_id=fields.text("stream_id"),
        **urls,
        frame_count=fields.optional(fields.count, "frame_count"),
        duration_seconds=fields.optional(fields.number, "duration_seconds"),
    )


def _read_summary(fields: Fields) -> StreamRecordingSummary:
    return StreamRecordingSummary(
        stream_id=fields.text("stream_id"),
        width=fields.count("width"),
        height=fields.count("height"),
        started_at=fields.text("started_at"),
        ended_at=fields.optional(fields.text, "ended_at"),
        duration_seconds=fields.optional(fields.number, "duration_seconds"),
    )
