"""The mock's faults of streams, broadcasts, frames and recordings, as the official JavaScript client meets them.

What it does is measured, not demanded: where it hangs, the fault has still reached it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from odyssey_mock import MockOdyssey
from tests.contract.browser.official_client import PENDING, SECONDS, OfficialClient, Outcome

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("browser"),
    pytest.mark.odyssey(clock="manual", portrait_size=(176, 320), landscape_size=(320, 176)),
]

SOON = 1.0
"""Seconds on the mock's clock until a fault that is to come once the stream is on."""

type Script = Sequence[Mapping[str, object]]

SCRIPT: Script = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 1000, "end": {}}]
"""A second of video."""


# Refused, or broken


async def test_a_start_refused_rejects_and_is_told(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.start", do="error", reason="quota_exceeded", message="No hours are left", times=1)
    await official.connect(mock.api_key)
    refusal = await official.refusal("startStream", {"prompt": "A cat"})
    assert refusal == "Stream error: quota_exceeded - No hours are left"
    assert await official.told(after="connected") == [["stream_error", "quota_exceeded", "No hours are left"]]
    assert await official.start_stream("A cat") in mock.streams, "the connection goes on"


async def test_an_interaction_refused_rejects_and_the_stream_goes_on(
    official: OfficialClient, mock: MockOdyssey
) -> None:
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


async def test_a_model_that_crashes_is_told_unasked(official: OfficialClient, mock: MockOdyssey) -> None:
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
    assert await official.start_stream("Another cat") != broken, "the connection goes on"


async def test_a_stream_that_ends_unasked(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.running", do="end", seconds=SOON)
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    await mock.advance(SOON)
    await official.happened("stream_ended")
    assert await official.told(after="stream_started") == [["stream_ended"]]


# Answered badly, or not at all


async def test_an_interaction_never_acknowledged_hangs_though_it_is_seen(
    official: OfficialClient, mock: MockOdyssey
) -> None:
    mock.faults.add(at="stream.interact", do="silent", times=1)
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    first = await official.begin("interact", "Pet it")
    await official.frame_showing(1)
    assert "Feed it" in await official.interact("Feed it")
    assert await first.outcome() == PENDING, "its answer would have come before the second's"
    assert len(await official.events("interact_acknowledged")) == 1


async def test_an_end_never_acknowledged_hangs_beyond_disconnecting(
    official: OfficialClient, mock: MockOdyssey
) -> None:
    mock.faults.add(at="stream.end", do="silent")
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    ending = await official.begin("endStream")
    await official.frame_showing(None)
    await official.disconnect()
    await official.happened("disconnected")
    assert await ending.outcome() == PENDING


async def test_an_end_refused_is_told_and_hangs(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.end", do="error", reason="internal", message="Not now")
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    ending = await official.begin("endStream")
    await official.happened("stream_error")
    assert await ending.outcome() == PENDING
    assert await official.told(after="stream_started") == [["stream_error", "internal", "Not now"]]


async def test_an_acknowledgement_is_late_on_the_mocks_clock(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.interact", do="late", seconds=20)
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    interacting = await official.begin("interact", "Pet it")
    await official.frame_showing(1)
    assert await interacting.outcome() == PENDING
    await mock.advance(20)
    assert (await interacting.settled()).state == "resolved"


async def test_an_announcement_that_is_no_json_is_an_error_that_is_not_fatal(
    official: OfficialClient, mock: MockOdyssey
) -> None:
    mock.faults.add(at="stream.start", do="not_json")
    await official.connect(mock.api_key)
    starting = await official.begin("startStream", {"prompt": "A cat"})
    await official.happened("error")
    ((message, fatal),) = await official.events("error")
    assert "JSON" in str(message)
    assert not fatal
    await official.frame_showing(0)
    assert await starting.outcome() == PENDING, "the stream is on, and its start hangs"


async def test_an_announcement_without_its_fields_is_a_stream_without_an_id(
    official: OfficialClient, mock: MockOdyssey
) -> None:
    mock.faults.add(at="stream.start", do="missing_fields")
    await official.connect(mock.api_key)
    starting = await official.begin("startStream", {"prompt": "A cat"})
    assert await starting.settled() == Outcome("resolved", None)
    assert await official.events("stream_started") == [[None]]


async def test_an_announcement_that_comes_twice_is_told_twice(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.start", do="twice")
    await official.connect(mock.api_key)
    stream_id = await official.start_stream("A cat")
    await official.interact("Pet it")
    assert await official.events("stream_started") == [[stream_id], [stream_id]]


# Broadcasts


async def test_a_broadcast_without_its_url_is_a_stream_error(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="stream.broadcast", do="missing_fields")
    await official.connect(mock.api_key)
    assert await official.start_broadcast("A temple") in mock.streams
    await official.happened("stream_error")
    ((reason, message),) = await official.events("stream_error")
    assert reason == "broadcast_error"
    assert "missing playback URL" in str(message)
    assert await official.events("broadcast_ready") == []


async def test_a_spectator_is_refused_and_then_let_in(
    official: OfficialClient, spectator: OfficialClient, mock: MockOdyssey
) -> None:
    mock.faults.add(at="whep.offer", do="status", status=503, times=1)
    await official.connect(mock.api_key)
    live = mock.broadcasts[await official.start_broadcast("A temple")]
    assert await spectator.watch(live.webrtc_url, live.token) == "WHEP connection failed: 503"
    assert await spectator.watch(live.webrtc_url, live.token) is None
    await spectator.frame_showing(0)


# Frames and files


async def test_frames_that_freeze_come_on_and_show_the_same(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    await official.frame_showing(0)
    mock.faults.add(at="peer.frame", do="freeze")
    await mock.wait_for("fault", "peer.frame")
    assert await official.interact("Pet it"), "it is carried out, and not seen"
    first = await official.frame_showing(0)
    async with asyncio.timeout(SECONDS):
        # The browser had some frames before, and shows them first.
        while (second := await official.frame_showing(0)).stamp != first.stamp:
            first = second
    assert second.media_time > first.media_time


async def test_a_frame_of_another_size_is_shown_in_it(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    await official.start_stream("A cat")
    assert (await official.frame_showing(0)).size == (176, 320)
    fault = mock.faults.add(at="peer.frame", do="resize", width=240, height=160)
    await official.frame_sized((240, 160))
    mock.faults.remove(fault.id)
    mock.expect("peer.frame", kind="fault", do="resize")
    await official.frame_sized((176, 320))


@pytest.mark.parametrize("do", [{"do": "status", "status": 403}, {"do": "truncate"}, {"do": "reset"}])
async def test_a_film_that_does_not_come(official: OfficialClient, mock: MockOdyssey, do: dict[str, str | int]) -> None:
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


async def test_a_job_that_fails_says_why(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="job.processing", do="fail", message="The worker ran out of memory")
    status = await simulated(official, mock, SCRIPT)
    assert (status["status"], status["error_message"]) == ("failed", "The worker ran out of memory")


async def test_one_script_of_a_batch_fails_and_the_others_go_on(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add({"at": "job.script", "do": "fail", "message": "Not that one", "match": {"script_index": 0}})
    status = await simulated(official, mock, SCRIPT, SCRIPT)
    assert status["status"] == "failed"
    assert "1 of 2 streams failed: script 0: Not that one" in status["error_message"]
    failed, other = sorted(status["streams"], key=lambda stream: stream["script_index"])
    assert failed["video_url"] is None
    assert (await official.load(other["video_url"]))["duration"] == 1


async def test_a_job_whose_worker_is_lost_is_taken_up_by_another(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="job.processing", do="lose_worker", times=1)
    status = await simulated(official, mock, SCRIPT)
    assert (status["status"], status["retry_count"]) == ("completed", 1)


async def test_a_job_that_stalls_can_be_cancelled(official: OfficialClient, mock: MockOdyssey) -> None:
    mock.faults.add(at="job.dispatched", do="stall")
    status = await simulated(official, mock, SCRIPT)
    assert status["status"] == "dispatched"
    await official.call("cancelSimulation", status["job_id"])
    assert (await official.call("getSimulateStatus", status["job_id"]))["status"] == "cancelled"


async def simulated(official: OfficialClient, mock: MockOdyssey, *scripts: Script) -> dict[str, Any]:
    """Submit a job, let more than enough time pass, and ask what has become of it."""
    await official.use(mock.api_key)
    job = await official.call("simulate", {"scripts": scripts, "portrait": True})
    await mock.advance(60)
    status: dict[str, Any] = await official.call("getSimulateStatus", job["job_id"])
    return status


# Test prompts, which need no fault


async def test_a_prompt_that_asks_for_an_error_gets_it(official: OfficialClient, mock: MockOdyssey) -> None:
    await official.connect(mock.api_key)
    refusal = await official.refusal("startStream", {"prompt": "A cat [error:moderation_failed]"})
    assert refusal is not None
    assert refusal.startswith("Stream error: moderation_failed - ")
    await official.start_stream("A cat")
    assert await official.refusal("interact", {"prompt": "[error:lease_denied]"})
    assert [reason for reason, _ in await official.events("stream_error")] == ["moderation_failed", "lease_denied"]


async def test_a_prompt_that_asks_for_time_gets_it_on_the_mocks_clock(
    official: OfficialClient, mock: MockOdyssey
) -> None:
    await official.connect(mock.api_key)
    starting = await official.begin("startStream", {"prompt": "A cat [slow:5000]"})
    await official.frame_showing(0)
    assert await starting.outcome() == PENDING
    await mock.advance(5)
    assert (await starting.settled()).state == "resolved"


async def test_a_prompt_that_stalls_is_carried_out_and_never_acknowledged(
    official: OfficialClient, mock: MockOdyssey
) -> None:
    await official.connect(mock.api_key)
    starting = await official.begin("startStream", {"prompt": "A cat [stall]"})
    await official.frame_showing(0)
    assert "Pet it" in await official.interact("Pet it")
    assert await starting.outcome() == PENDING
    assert await official.events("stream_started") == []
