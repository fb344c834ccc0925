"""Tests of the effects of faults of streams, broadcasts, frames, recordings and jobs on the official JavaScript client.

The tests describe what the client does, even where it hangs. They do not judge whether this is correct.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from odyssey_mock import MockOdyssey
from tests.contract.browser.official_client import PENDING, SECONDS, OfficialClient, Outcome

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.odyssey(clock="manual", portrait_size=(176, 320), landscape_size=(320, 176)),
]

SOON = 1.0
"""Seconds on the mock's clock after which a fault acts, so that the stream can start first."""

type Script = Sequence[Mapping[str, object]]

SCRIPT: Script = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 1000, "end": {}}]
"""A simulation script that produces one second of video."""


# Errors


async def test_stream_start_error_rejects_start_stream(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.start", do="error", reason="quota_exceeded", message="No hours are left", times=1)
    await official.connect(mock.api_key)
    refusal = await official.refusal("startStream", {"prompt": "A cat"})
    assert refusal == "Stream error: quota_exceeded - No hours are left"
    assert await official.told_since_connected() == [["stream_error", "quota_exceeded", "No hours are left"]]
    assert await official.start_stream("A cat") in mock.streams, (
        "expected startStream() to start a stream over the same connection, got an id that no stream has"
    )


async def test_interaction_error_keeps_the_stream_running(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.interact", do="error", reason="moderation_failed", message="Not that", times=1)
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    refusal = await official.refusal("interact", {"prompt": "Something else"})
    assert refusal == "Stream error: moderation_failed - Not that"
    applied = await official.interact("Pet it")
    assert await official.told(after="stream_started") == [
        ["stream_error", "moderation_failed", "Not that"],
        ["interact_acknowledged", applied],
    ]


async def test_model_crash_ends_the_stream(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.running", do="error", reason="model_crash", message="Gone", seconds=SOON, times=1)
    await official.connect(mock.api_key)
    broken = await official.start_stream("A cat")
    await mock.advance(SOON)
    await official.happened("stream_ended")
    assert await official.told(after="stream_started") == [
        ["stream_error", "model_crash", "Gone"],
        ["stream_ended"],
    ]
    await official.frame_showing(None)
    assert mock.streams[broken].error == "model_crash: Gone"
    assert await official.start_stream("Another cat") != broken, (
        "expected startStream() to start another stream over the same connection, got the id of the crashed stream"
    )


async def test_stream_ended_by_service_is_reported(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.running", do="end", seconds=SOON)
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    await mock.advance(SOON)
    await official.happened("stream_ended")
    assert await official.told(after="stream_started") == [["stream_ended"]]


# Missing, late and invalid replies


async def test_unacknowledged_interaction_hangs_although_applied(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.interact", do="silent", times=1)
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    first = await official.begin("interact", "Pet it")
    await official.frame_showing(1)
    assert "Feed it" in await official.interact("Feed it")
    assert await first.outcome() == PENDING, (
        "expected the first interact() to stay pending without a reply, but its promise settled"
    )
    assert len(await official.events("interact_acknowledged")) == 1


async def test_unacknowledged_end_hangs_even_after_disconnect(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.end", do="silent")
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    ending = await official.begin("endStream")
    await official.frame_showing(None)
    await official.disconnect()
    await official.happened("disconnected")
    assert await ending.outcome() == PENDING


async def test_end_error_is_reported_and_end_stream_hangs(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.end", do="error", reason="internal", message="Not now")
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    ending = await official.begin("endStream")
    await official.happened("stream_error")
    assert await ending.outcome() == PENDING
    assert await official.told(after="stream_started") == [["stream_error", "internal", "Not now"]]


async def test_interact_waits_for_late_acknowledgment(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.interact", do="late", seconds=20)
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    interacting = await official.begin("interact", "Pet it")
    await official.frame_showing(1)
    assert await interacting.outcome() == PENDING
    await mock.advance(20)
    assert (await interacting.settled()).state == "resolved"


async def test_invalid_start_reply_is_a_nonfatal_error(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.start", do="not_json")
    await official.connect(mock.api_key)
    starting = await official.begin("startStream", {"prompt": "A cat"})
    await official.happened("error")
    ((message, fatal),) = await official.events("error")
    assert "JSON" in str(message)
    assert not fatal
    await official.frame_showing(0)
    assert await starting.outcome() == PENDING, (
        "expected startStream() to stay pending although the stream runs, but its promise settled"
    )


async def test_start_reply_without_fields_resolves_without_id(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.start", do="missing_fields")
    await official.connect(mock.api_key)
    starting = await official.begin("startStream", {"prompt": "A cat"})
    assert await starting.settled() == Outcome("resolved", None)
    assert await official.events("stream_started") == [[None]]


async def test_duplicate_start_reply_is_reported_twice(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.start", do="twice")
    await official.connect(mock.api_key)
    stream_id = await official.start_stream("A cat")
    await official.interact("Pet it")
    assert await official.events("stream_started") == [[stream_id], [stream_id]]


# Broadcasts


async def test_broadcast_without_url_is_a_stream_error(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.broadcast", do="missing_fields")
    await official.connect(mock.api_key)
    assert await official.start_broadcast("A temple") in mock.streams
    await official.happened("stream_error")
    ((reason, message),) = await official.events("stream_error")
    assert reason == "broadcast_error"
    assert "missing playback URL" in str(message)
    assert await official.events("broadcast_ready") == []


async def test_spectator_connects_after_rejected_offer(
    official: OfficialClient, spectator: OfficialClient, mock: MockOdyssey
) -> None:
    mock.faults.add(at="whep.offer", do="status", status=503, times=1)
    await official.connect(mock.api_key)
    live = mock.broadcasts[await official.start_broadcast("A temple")]
    assert await spectator.watch(live.webrtc_url, live.token) == "WHEP connection failed: 503"
    assert await spectator.watch(live.webrtc_url, live.token) is None
    await spectator.frame_showing(0)


# Frames and files


async def test_frozen_frames_keep_arriving_unchanged(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    await official.frame_showing(0)
    mock.faults.add(at="peer.frame", do="freeze")
    await mock.wait_for("fault", "peer.frame")
    assert await official.interact("Pet it"), "expected interact() to return the applied prompt, got an empty result"
    first = await official.frame_showing(0)
    async with asyncio.timeout(SECONDS):
        # The browser first shows the frames that it has buffered.
        while (second := await official.frame_showing(0)).stamp != first.stamp:
            first = second
    assert second.media_time > first.media_time


async def test_resized_frame_is_shown_in_its_size(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    assert (await official.frame_showing(0)).size == (176, 320)
    fault = mock.faults.add(at="peer.frame", do="resize", width=240, height=160)
    await official.frame_sized((240, 160))
    mock.faults.remove(fault.id)
    mock.expect("peer.frame", kind="fault", do="resize")
    await official.frame_sized((176, 320))


@pytest.mark.parametrize("do", [{"do": "status", "status": 403}, {"do": "truncate"}, {"do": "reset"}])
async def test_failed_artifact_download_rejects_the_video(
    official: OfficialClient, mock: MockOdyssey, do: dict[str, str | int]
) -> None:
    await official.connect(mock.api_key)
    stream_id = await official.start_stream("A cat")
    await official.frame_showing(0)
    await official.end_stream()
    url = (await official.call("getRecording", stream_id))["video_url"]
    fault = mock.faults.add({"at": "artifact", **do, "match": {"artifact": "video.mp4"}})
    loading = await official.begin("load", url)
    assert (await loading.settled()).state == "rejected"
    mock.expect("artifact", kind="fault", do=do["do"])

    mock.faults.remove(fault.id)
    film = await official.load(url)
    assert (film["width"], film["height"]) == (176, 320)


# Jobs


async def test_failed_job_reports_its_error_message(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="job.processing", do="fail", message="The worker ran out of memory")
    status = await simulated(official, mock, SCRIPT)
    assert (status["status"], status["error_message"]) == ("failed", "The worker ran out of memory")


async def test_failed_script_does_not_stop_the_batch(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add({"at": "job.script", "do": "fail", "message": "Not that one", "match": {"script_index": 0}})
    status = await simulated(official, mock, SCRIPT, SCRIPT)
    assert status["status"] == "failed"
    assert "1 of 2 streams failed: script 0: Not that one" in status["error_message"]
    failed, other = sorted(status["streams"], key=lambda stream: stream["script_index"])
    assert failed["video_url"] is None
    assert (await official.load(other["video_url"]))["duration"] == 1


async def test_job_is_retried_after_worker_is_lost(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="job.processing", do="lose_worker", times=1)
    status = await simulated(official, mock, SCRIPT)
    assert (status["status"], status["retry_count"]) == ("completed", 1)


async def test_stalled_job_can_be_cancelled(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="job.dispatched", do="stall")
    status = await simulated(official, mock, SCRIPT)
    assert status["status"] == "dispatched"
    await official.call("cancelSimulation", status["job_id"])
    assert (await official.call("getSimulateStatus", status["job_id"]))["status"] == "cancelled"


async def simulated(official: OfficialClient, mock: MockOdyssey, *scripts: Script) -> dict[str, Any]:
    """Submit a simulation job, and advance the mock's clock by 60 s, which ends the job; return the job's status."""
    await official.use(mock.api_key)
    job = await official.call("simulate", {"scripts": scripts, "portrait": True})
    await mock.advance(60)
    status: dict[str, Any] = await official.call("getSimulateStatus", job["job_id"])
    return status


# Prompt markers, which need no fault


async def test_error_marker_in_prompt_causes_the_error(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    refusal = await official.refusal("startStream", {"prompt": "A cat [error:moderation_failed]"})
    assert refusal is not None
    assert refusal.startswith("Stream error: moderation_failed - ")
    await official.start_stream("A cat")
    assert await official.refusal("interact", {"prompt": "[error:lease_denied]"})
    assert [reason for reason, _ in await official.events("stream_error")] == ["moderation_failed", "lease_denied"]


async def test_slow_marker_in_prompt_delays_the_reply(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    starting = await official.begin("startStream", {"prompt": "A cat [slow:5000]"})
    await official.frame_showing(0)
    assert await starting.outcome() == PENDING
    await mock.advance(5)
    assert (await starting.settled()).state == "resolved"


async def test_stall_marker_starts_stream_without_reply(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    starting = await official.begin("startStream", {"prompt": "A cat [stall]"})
    await official.frame_showing(0)
    assert "Pet it" in await official.interact("Pet it")
    assert await starting.outcome() == PENDING
    assert await official.events("stream_started") == []
