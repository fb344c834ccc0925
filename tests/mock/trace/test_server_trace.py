"""Recording of a running mock: journal, peers, clock, and thumbnails."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from odyssey_client import Odyssey
from odyssey_client.trace import Recorder, Recording, TraceEvent, read_trace, write_trace
from odyssey_client.trace.events import Lane, Manifest
from odyssey_mock import MockOdyssey
from odyssey_mock.media.thumbnail import THUMBNAIL_SIDE
from odyssey_mock.trace.run_information import redaction
from odyssey_mock.trace.server_trace import ServerTrace


def in_lane(recording: Recording, *lanes: Lane) -> Sequence[TraceEvent]:
    return [event for event in recording.events if event.lane in lanes]


def names(events: Sequence[TraceEvent]) -> list[str]:
    return [event.name for event in events]


async def test_live_session_is_recorded_in_order() -> None:
    recorder = Recorder()
    async with (
        MockOdyssey() as mock,
        ServerTrace(mock, recorder) as trace,
        Odyssey(mock.api_key, api_url=mock.url) as client,
    ):
        await client.connect()
        await client.start_stream("A cat")
        await client.interact("Pet the cat")
        await mock.advance(5)
        await client.end_stream()
    recording = trace.recording()

    assert [each for each in names(in_lane(recording, "state")) if each.startswith("session")] == [
        "session waiting -> signaling",
        "session signaling -> connecting",
        "session connecting -> connected",
        "session connected -> closed",
    ]
    assert names(in_lane(recording, "channel")) == [
        "interactive_stream_start",
        "stream_started",
        "update",
        "update_acknowledged",
        "interactive_stream_end",
        "stream_ended",
    ]
    assert names(in_lane(recording, "sdp")) == ["offer", "answer"]
    peers = names(in_lane(recording, "peer"))
    assert peers.index("ice checking") < peers.index("ice completed") < peers.index("dtls connected")
    assert peers[-1] in {"connection closed", "dtls closed"}
    (advanced,) = in_lane(recording, "clock")
    assert float(str(advanced.data["to"])) - float(str(advanced.data["from"])) >= 5
    assert [event.at for event in recording.events] == sorted(event.at for event in recording.events)


async def test_statistics_have_the_names_of_the_standard() -> None:
    recorder = Recorder()
    async with (
        MockOdyssey() as mock,
        ServerTrace(mock, recorder),
        Odyssey(mock.api_key, api_url=mock.url) as client,
    ):
        media = await client.connect()
        async for _ in media.frames():
            if in_lane(recorder.snapshot(), "stats"):
                break
    (first, *_) = in_lane(recorder.snapshot(), "stats")
    reports = first.data["reports"]
    assert isinstance(reports, dict)
    by_type = {str(report["type"]): report for report in reports.values() if isinstance(report, dict)}

    assert {"outbound-rtp", "transport"} <= by_type.keys()
    assert {"ssrc", "kind", "packetsSent", "bytesSent", "timestamp"} <= by_type["outbound-rtp"].keys()
    assert by_type["transport"]["dtlsState"] == "connected"


async def test_thumbnails_show_begin_interactions_and_end() -> None:
    recorder = Recorder()
    async with (
        MockOdyssey() as mock,
        ServerTrace(mock, recorder) as trace,
        Odyssey(mock.api_key, api_url=mock.url) as client,
    ):
        await client.connect()
        stream = await client.start_stream("A cat", portrait=False)
        await client.interact("Pet the cat")
        await client.end_stream()
    frames = in_lane(trace.recording(), "frame")

    assert frames[0].data["taken"] == "first"
    assert {event.stream for event in frames} == {stream}
    assert "interact" in [event.data["taken"] for event in frames]
    for event in frames:
        with Image.open(io.BytesIO(event.image or b"")) as image:
            assert image.format == "JPEG"
            assert max(image.size) == image.size[0] == THUMBNAIL_SIDE


async def test_streams_with_received_frames_have_no_drawn_ones() -> None:
    recorder = Recorder()
    async with (
        MockOdyssey() as mock,
        ServerTrace(mock, recorder) as trace,
        Odyssey(mock.api_key, api_url=mock.url) as client,
    ):
        await client.connect()
        stream = await client.start_stream("A cat")
    recorder.add("frame", "frame 0", {}, stream=stream, image=b"JPEG")

    assert [event.image for event in in_lane(trace.recording(), "frame")] == [b"JPEG"]


async def test_fault_is_recorded_with_its_cause() -> None:
    async with MockOdyssey() as mock, ServerTrace(mock, Recorder()) as trace:
        mock.faults.add(at="rest.auth.token", do="status", status=503, times=1)
        async with Odyssey(mock.api_key, api_url=mock.url) as client:
            await client.connect()
    recording = trace.recording()
    (fault,) = in_lane(recording, "fault")
    (refused,) = [event for event in in_lane(recording, "http") if event.error is not None]

    assert (fault.name, fault.data["do"]) == ("rest.auth.token", "status")
    assert refused.name == "POST /auth/token"
    assert str(refused.error).startswith("status 503")


async def test_secrets_of_the_mock_are_not_written(tmp_path: Path) -> None:
    recorder = Recorder()
    async with MockOdyssey() as mock, ServerTrace(mock, recorder) as trace:
        recorder.add("log", "WARNING", {"message": f"the key is {mock.api_key}"})
        manifest = Manifest(title=f"a run with {mock.api_key}", began_at=0, duration=0)
        write_trace(tmp_path / "a.odytrace", trace.recording(), manifest, redact=redaction([mock.journal.secrets]))
        key = mock.api_key

    with read_trace(tmp_path / "a.odytrace") as written:
        assert key not in repr((written.manifest, written.events))
        assert written.manifest.title.startswith("a run with ")


async def test_mock_is_not_recorded_after_the_block() -> None:
    recorder = Recorder()
    async with MockOdyssey() as mock:
        async with ServerTrace(mock, recorder):
            pass
        async with Odyssey(mock.api_key, api_url=mock.url) as client:
            await client.connect()

    assert in_lane(recorder.snapshot(), "peer", "stats") == []


async def test_oldest_entries_are_dropped_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey_mock.trace.server_trace.LIMIT_BYTES", 5000)
    async with MockOdyssey() as mock, ServerTrace(mock, Recorder()) as trace:
        for number in range(30):
            mock.journal.record("note", f"note {number:02}", text="x" * 200)
        recording = trace.recording()
    kept = names(recording.events)

    assert kept == [f"note {number:02}" for number in range(30 - len(kept), 30)]
    assert recording.dropped == {"note": 30 - len(kept)}
    assert 5 < len(kept) < 15
