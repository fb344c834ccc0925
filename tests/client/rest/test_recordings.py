"""Tests of the REST calls for recordings: requests, responses and errors."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from odyssey_client.errors import OdysseyApiError, OdysseyError, UnexpectedResponseError
from odyssey_client.models import Recording, StreamRecordingsListResponse, StreamRecordingSummary
from odyssey_client.rest.recordings import get_recording, list_recordings
from odyssey_client.rest.transport import Transport

from .conftest import Answer, Service, VirtualClock

LIST = "GET /stream-recordings"
GET = "GET /recordings/s-1"

RECORDING: dict[str, Any] = {
    "stream_id": "s-1",
    "video_url": "https://host/video.mp4?signature=1",
    "events_url": "https://host/events.jsonl?signature=1",
    "thumbnail_url": "https://host/thumbnail.jpg?signature=1",
    "preview_url": "https://host/preview.mp4?signature=1",
    "frame_count": 180,
    "duration_seconds": 9.0,
}
SUMMARY: dict[str, Any] = {
    "stream_id": "s-1",
    "width": 704,
    "height": 1280,
    "started_at": "2026-01-31T12:00:00Z",
    "ended_at": "2026-01-31T12:00:09Z",
    "duration_seconds": 9.0,
}
LIVE = {**SUMMARY, "stream_id": "s-2", "ended_at": None, "duration_seconds": None}

CALLS: dict[str, Callable[[Transport], Awaitable[object]]] = {
    LIST: lambda transport: list_recordings(transport, {}),
    GET: lambda transport: get_recording(transport, "s-1"),
}


@pytest.fixture(autouse=True)
def recordings(service: Service) -> None:
    service.script[GET] = Answer(body=RECORDING)
    service.script[LIST] = Answer(body={"recordings": [LIVE, SUMMARY], "total": 2, "limit": 50, "offset": 0})


async def test_recording_has_its_urls(transport: Transport) -> None:
    assert await get_recording(transport, "s-1") == Recording(**RECORDING)


async def test_recording_of_running_stream_has_empty_fields(service: Service, transport: Transport) -> None:
    service.script[GET] = Answer(body={**dict.fromkeys(RECORDING), "stream_id": "s-1"})
    assert await get_recording(transport, "s-1") == Recording("s-1", None, None, None, None, None, None)


async def test_page_of_recordings_is_requested_and_read(service: Service, transport: Transport) -> None:
    service.script[f"{LIST}?limit=2&offset=4"] = Answer(body={"recordings": [], "total": 2, "limit": 2, "offset": 4})
    assert await list_recordings(transport, {"limit": 2, "offset": 4}) == StreamRecordingsListResponse((), 2, 2, 4)
    page = await list_recordings(transport, {})
    assert page.recordings == (StreamRecordingSummary(**LIVE), StreamRecordingSummary(**SUMMARY))


async def test_stream_id_is_quoted_as_one_path_segment(service: Service, transport: Transport) -> None:
    service.script["GET /recordings/a%2Fb%3F%23%20%C3%A9"] = Answer(body=RECORDING)
    assert (await get_recording(transport, "a/b?# é")).stream_id == "s-1"


async def test_missing_recording_error_gives_advice(service: Service, transport: Transport) -> None:
    service.script[GET] = Answer(404, {"detail": "Recording not found"}, {"X-Request-Id": "r-1"})
    with pytest.raises(OdysseyApiError, match=r"no recording of stream s-1\. .* list_stream_recordings\(\)") as caught:
        await get_recording(transport, "s-1")
    error = caught.value
    assert (error.code, error.status, error.detail, error.request_id) == (
        "recording_not_found",
        404,
        "Recording not found",
        "r-1",
    )


@pytest.mark.parametrize(
    ("call", "change", "path"),
    [
        (GET, {"stream_id": None}, "stream_id"),
        (GET, {"video_url": 5}, "video_url"),
        (GET, {"frame_count": -1}, "frame_count"),
        (GET, {"frame_count": 1.5}, "frame_count"),
        (GET, {"duration_seconds": "9 s"}, "duration_seconds"),
        (LIST, {"recordings": {}}, "recordings"),
        (LIST, {"recordings": [SUMMARY, {**SUMMARY, "width": None}]}, "recordings[1].width"),
        (LIST, {"recordings": [{**SUMMARY, "started_at": ""}]}, "recordings[0].started_at"),
        (LIST, {"total": True}, "total"),
    ],
)
async def test_invalid_response_names_field(
    call: str, change: dict[str, Any], path: str, service: Service, transport: Transport
) -> None:
    service.change(call, change)
    with pytest.raises(UnexpectedResponseError, match="Unexpected response to GET /") as caught:
        await CALLS[call](transport)
    assert caught.value.path == path


async def test_whole_number_may_have_decimal_point(service: Service, transport: Transport) -> None:
    service.script[GET] = Answer(body={**RECORDING, "frame_count": 180.0})
    frames = (await get_recording(transport, "s-1")).frame_count
    assert (frames, type(frames)) == (180, int)


@pytest.mark.parametrize("call", [LIST, GET])
async def test_get_and_list_are_retried(call: str, service: Service, transport: Transport, clock: VirtualClock) -> None:
    right = service.script[call]
    assert isinstance(right, Answer)
    service.script[call] = [Answer(503, {"detail": "x"}), Answer(raw=b""), Answer(502, b""), right]
    await CALLS[call](transport)
    assert (len(service.calls(call)), len(clock.slept)) == (4, 3)
    service.script[call] = Answer(404 if call == GET else 422, {"detail": "x"})
    with pytest.raises(OdysseyError):
        await CALLS[call](transport)
    assert len(service.calls(call)) == 5
