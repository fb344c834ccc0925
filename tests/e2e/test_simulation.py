"""Tests of a simulation's video: which prompt each frame shows, and the metadata of the recording."""

from pathlib import Path

import av
import pytest

from odyssey_client import Odyssey
from odyssey_mock import MockOdyssey, read_stamp
from tests.support.ffprobe import probe

MOUNTAIN = [
    {"timestamp_ms": 0, "start": {"prompt": "A serene mountain landscape"}},
    {"timestamp_ms": 5000, "interact": {"prompt": "Clouds roll across the sky"}},
    {"timestamp_ms": 10000, "interact": {"prompt": "The sun begins to set"}},
    {"timestamp_ms": 15000, "end": {}},
]
"""The simulation script in the example "Basic Workflow" of the vendor's documentation."""


@pytest.mark.odyssey(clock="manual", landscape_size=(320, 176))
async def test_video_changes_at_the_frames_of_the_script(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path
) -> None:
    job = await odyssey_client.simulate(script=MOUNTAIN, portrait=False)
    await odyssey_mock.advance(60)
    ended = await odyssey_client.wait_for_simulation(job.job_id, timeout=5)
    (stream,) = ended.streams
    film = await odyssey_client.download_recording(stream.stream_id, tmp_path / "mountain.mp4")

    assert (stream.frame_count, stream.duration_seconds) == (300, 15.0)
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        times = float(container.duration or 0) / av.time_base
    assert {frame.shape for frame in frames} == {(176, 320, 3)}
    assert times == 15.0
    stamps = [read_stamp(frame) for frame in frames]
    tag = odyssey_mock.streams[stream.stream_id].timeline.tag
    assert [(stamp.stream_tag, stamp.frame_index, stamp.prompt_revision) for stamp in stamps if stamp is not None] == [
        (tag, index, index // 100) for index in range(300)
    ]


@pytest.mark.odyssey(clock="manual")
@pytest.mark.parametrize(("portrait", "size"), [(True, (704, 1280)), (False, (1280, 704))])
async def test_recording_metadata_matches_ffprobe(
    odyssey_mock: MockOdyssey, odyssey_client: Odyssey, tmp_path: Path, portrait: bool, size: tuple[int, int]
) -> None:
    script = [{"timestamp_ms": 0, "start": {"prompt": "A cat"}}, {"timestamp_ms": 1234, "end": {}}]
    job = await odyssey_client.simulate(script=script, portrait=portrait)
    await odyssey_mock.advance(60)
    (stream,) = (await odyssey_client.wait_for_simulation(job.job_id, timeout=5)).streams
    recording = await odyssey_client.get_recording(stream.stream_id)
    (summary,) = (await odyssey_client.list_stream_recordings()).recordings
    film = await odyssey_client.download_recording(stream.stream_id, tmp_path / "cat.mp4")

    said, _ = probe(film)
    assert recording.frame_count == stream.frame_count == int(said["nb_read_frames"]) == 25
    assert recording.duration_seconds == summary.duration_seconds == float(said["duration"]) == 1.25
    assert (summary.width, summary.height) == (said["width"], said["height"]) == size
    assert (said["codec_name"], said["pix_fmt"], said["avg_frame_rate"]) == ("h264", "yuv420p", "20/1")
