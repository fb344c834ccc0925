"""Tests of the recordings of all accounts in the control API."""

import json

import httpx
import pytest

from odyssey_mock import MockOdyssey
from odyssey_mock.core.clock import MANUAL_START
from tests.support.recordings import remembered, timeline

pytestmark = pytest.mark.odyssey(clock="manual", portrait_size=(176, 320))

FILES = ["video.mp4", "events.jsonl", "thumbnail.jpg", "preview.mp4"]


async def test_list_has_ended_streams_of_all_accounts(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    first = remembered(odyssey_mock, timeline(30))
    other = remembered(odyssey_mock, timeline(10), key="ody_another")
    remembered(odyssey_mock, timeline(None), ended_at=None)
    failed = remembered(odyssey_mock, timeline(30), error="the model is gone")
    page = (await http.get("/_mock/recordings")).json()

    assert [each["stream_id"] for each in page["recordings"]] == [failed, other, first]
    assert [each["files"] for each in page["recordings"]] == [["events.jsonl"], FILES, FILES]
    assert (page["total"], page["limit"], page["offset"]) == (3, 50, 0)
    assert page["recordings"][2] == {
        **odyssey_mock.streams[first].snapshot(),
        "frame_count": 30,
        "duration_seconds": 1.5,
        "files": FILES,
        "why_unavailable": None,
    }
    second = (await http.get("/_mock/recordings", params={"limit": 1, "offset": 1})).json()
    assert ([each["stream_id"] for each in second["recordings"]], second["total"]) == ([other], 3)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "offset=-1", "limit=x", "page=1"])
async def test_invalid_query_is_422(http: httpx.AsyncClient, query: str) -> None:
    assert (await http.get(f"/_mock/recordings?{query}")).status_code == 422


async def test_stream_has_its_interactions_with_times(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    stream = remembered(odyssey_mock, timeline(30, [10, 25]))
    shown = (await http.get(f"/_mock/recordings/{stream}")).json()

    assert (shown["prompt"], shown["started_at"], shown["width"]) == ("A snowy city at night", MANUAL_START, 176)
    assert shown["events"] == [
        {"timestamp_ms": 0, "type": "start", "prompt": "A snowy city at night"},
        {"timestamp_ms": 500, "type": "interact", "prompt": "Lantern number 1 goes up"},
        {"timestamp_ms": 1250, "type": "interact", "prompt": "Lantern number 2 goes up"},
        {"timestamp_ms": 1500, "type": "end"},
    ]
    log = (await http.get(f"/_mock/recordings/{stream}/events.jsonl")).text
    assert [json.loads(line) for line in log.splitlines()] == shown["events"]


async def test_files_can_be_read_in_parts(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    path = f"/_mock/recordings/{remembered(odyssey_mock, timeline(5))}/video.mp4"
    whole = await http.get(path)
    part = await http.get(path, headers={"Range": "bytes=4-7"})
    known = await http.get(path, headers={"If-None-Match": whole.headers["ETag"]})
    beyond = await http.get(path, headers={"Range": f"bytes={len(whole.content)}-"})

    assert (whole.status_code, whole.headers["Content-Type"], whole.content[4:8]) == (200, "video/mp4", b"ftyp")
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["Content-Range"] == f"bytes 4-7/{len(whole.content)}"
    assert (known.status_code, beyond.status_code) == (304, 416)


async def test_missing_recordings_are_404_with_the_reason(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    running = remembered(odyssey_mock, timeline(None), ended_at=None)
    ended = remembered(odyssey_mock)
    for path, reason in (
        ("no-such-stream", "Unknown stream"),
        (running, "still running"),
        (f"{running}/video.mp4", "it is still running"),
        ("no-such-stream/video.mp4", "unknown stream"),
        (f"{ended}/other.mp4", "expected one of video.mp4"),
    ):
        response = await http.get(f"/_mock/recordings/{path}")
        assert response.status_code == 404, path
        assert reason in response.json()["detail"]


@pytest.mark.odyssey(latency="slow")
async def test_console_sees_recordings_before_their_account(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    stream = remembered(odyssey_mock, timeline(5), recording_delay=20.0)
    shown = (await http.get(f"/_mock/recordings/{stream}")).json()
    assert "of which 20.0 s are left" in shown["why_unavailable"]
    assert (await http.get(f"/_mock/recordings/{stream}/thumbnail.jpg")).status_code == 200


async def test_prompts_contain_no_secrets(http: httpx.AsyncClient, odyssey_mock: MockOdyssey) -> None:
    secret = "ody_a_key_in_a_prompt"
    await http.post("/auth/token", json={"api_key": secret})
    stream = remembered(odyssey_mock)
    odyssey_mock.streams[stream].prompt = f"A cat with {secret} \ud800"
    shown = (await http.get(f"/_mock/recordings/{stream}")).json()
    assert shown["prompt"] == "A cat with ody_... \ud800"
