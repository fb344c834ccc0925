"""Tests of recordings, whose files can be requested from the end of a stream until the stream is forgotten."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from odyssey_mock import FrameStamp, MockOdyssey
from odyssey_mock.media.stamp import draw_stamp
from odyssey_mock.media.timeline import Timeline
from odyssey_mock.recordings.artifacts import ARTIFACTS
from odyssey_mock.recordings.recordings import NoArtifactError
from tests.support.ffprobe import probe
from tests.support.leftovers import nothing_left
from tests.support.recordings import SMALL, remembered, timeline

LIMIT = 10.0
"""Timeout of a test in seconds, much longer than a test needs."""

URL_FIELDS = ("video_url", "events_url", "thumbnail_url", "preview_url")
NAMES = tuple(ARTIFACTS)


def described(mock: MockOdyssey, stream_id: str) -> dict[str, Any]:
    return mock.recordings.describe(mock.streams[stream_id], "http://there")


def directory_of(mock: MockOdyssey) -> Path:
    directory = mock.recordings._store._directory._scratch
    assert directory is not None
    return directory.path


def files(mock: MockOdyssey) -> set[str]:
    return {path.name for path in directory_of(mock).iterdir()} - {".lock"}


async def test_ended_stream_has_all_files_and_duration(odyssey_mock: MockOdyssey) -> None:
    stream = remembered(odyssey_mock, timeline(30))
    recording = described(odyssey_mock, stream)
    assert list(recording) == ["stream_id", *URL_FIELDS, "frame_count", "duration_seconds"]
    assert (recording["stream_id"], recording["frame_count"], recording["duration_seconds"]) == (stream, 30, 1.5)
    for field, name in zip(URL_FIELDS, NAMES, strict=True):
        assert recording[field].startswith(f"http://there/artifacts/{stream}/{name}?expires=")


@pytest.mark.parametrize(
    ("shown", "fields", "left"),
    [
        (timeline(None), {"ended_at": None}, []),
        (timeline(30), {"ended_at": None}, []),
        (timeline(0), {}, ["events_url"]),
        (timeline(30), {"error": "the model is gone"}, ["events_url"]),
        (timeline(None), {"error": "the model is gone"}, ["events_url"]),
    ],
    ids=["running", "running, end known", "without frames", "failed", "failed, end unknown"],
)
async def test_stream_without_video_has_only_a_log(
    odyssey_mock: MockOdyssey, shown: Timeline, fields: dict[str, Any], left: list[str]
) -> None:
    stream = remembered(odyssey_mock, shown, **fields)
    recording = described(odyssey_mock, stream)
    assert [field for field in URL_FIELDS if recording[field] is not None] == left
    assert (recording["frame_count"], recording["duration_seconds"]) == (None, None)
    for field, name in zip(URL_FIELDS, NAMES, strict=True):
        if field in left:
            assert (await odyssey_mock.recordings.file(stream, name)).stat().st_size > 0
        else:
            with pytest.raises(
                NoArtifactError, match=r"still running|failed: the model is gone|before its first frame"
            ):
                await odyssey_mock.recordings.file(stream, name)


async def test_files_match_the_recordings_description(odyssey_mock: MockOdyssey) -> None:
    stream = remembered(odyssey_mock, timeline(100, [50]))
    paths = {name: await odyssey_mock.recordings.file(stream, name) for name in NAMES}
    assert {name: path.suffix for name, path in paths.items()} == {name: Path(name).suffix for name in NAMES}
    video, _ = probe(paths["video.mp4"])
    preview, _ = probe(paths["preview.mp4"])
    thumbnail, _ = probe(paths["thumbnail.jpg"])
    assert (int(video["nb_read_frames"]), video["duration"], video["width"]) == (100, "5.000000", SMALL.width)
    assert (int(preview["nb_read_frames"]), preview["width"]) == (80, SMALL.width // 2)
    assert (thumbnail["codec_name"], thumbnail["width"], thumbnail["height"]) == ("mjpeg", 88, 160)
    events = [json.loads(line) for line in paths["events.jsonl"].read_text().splitlines()]
    assert [(event["type"], event["timestamp_ms"]) for event in events] == [
        ("start", 0),
        ("interact", 2500),
        ("end", 5000),
    ]


async def test_file_is_rendered_once_on_first_request(
    odyssey_mock: MockOdyssey, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = remembered(odyssey_mock)
    described(odyssey_mock, stream)
    assert odyssey_mock.recordings._store._directory._scratch is None
    first = await odyssey_mock.recordings.file(stream, "thumbnail.jpg")
    assert files(odyssey_mock) == {f"{stream}-thumbnail.jpg"}
    written = first.stat().st_mtime_ns
    assert await odyssey_mock.recordings.file(stream, "thumbnail.jpg") == first
    assert first.stat().st_mtime_ns == written


@pytest.mark.parametrize(("stream", "artifact"), [("no-such-stream", "video.mp4"), (None, "video"), (None, "")])
async def test_unknown_stream_or_artifact_is_rejected(
    odyssey_mock: MockOdyssey, stream: str | None, artifact: str
) -> None:
    known = remembered(odyssey_mock)
    with pytest.raises(
        NoArtifactError, match=r"unknown stream 'no-such-stream'|expected one of video.mp4, events.jsonl"
    ):
        await odyssey_mock.recordings.file(stream or known, artifact)


@pytest.mark.odyssey(streams_limit=2)
async def test_files_are_deleted_with_their_stream(odyssey_mock: MockOdyssey) -> None:
    oldest, *_ = streams = [remembered(odyssey_mock) for _ in range(2)]
    for stream in streams:
        await odyssey_mock.recordings.file(stream, "events.jsonl")
    remembered(odyssey_mock)
    await odyssey_mock.recordings.settle()
    assert files(odyssey_mock) == {f"{streams[1]}-events.jsonl"}
    with pytest.raises(NoArtifactError):
        await odyssey_mock.recordings.file(oldest, "events.jsonl")


def long_one(mock: MockOdyssey) -> str:
    """Return the id of a stream that takes much longer to render than a test may run."""
    return remembered(mock, timeline(1_000_000))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Provide an event that is set once frame 60 is drawn; from then on, slow down the drawing of each frame."""
    event, never = threading.Event(), threading.Event()

    def draw(frame: av.VideoFrame, stamp: FrameStamp) -> None:
        draw_stamp(frame, stamp)
        if stamp.frame_index >= 60:
            event.set()
            never.wait(0.05)

    monkeypatch.setattr("odyssey_mock.media.film.draw_stamp", draw)
    return event


async def forget(mock: MockOdyssey) -> None:
    for stream in list(mock.streams):
        mock.backend.streams.forget(stream)
    await mock.recordings.settle()


@pytest.mark.parametrize("end", [forget, MockOdyssey.reset], ids=["forgotten", "reset"])
async def test_stream_forgotten_during_rendering_leaves_nothing(
    drawn: threading.Event, end: Callable[[MockOdyssey], Any]
) -> None:
    async with nothing_left(), MockOdyssey() as mock:
        asking = asyncio.create_task(mock.recordings.file(long_one(mock), "video.mp4"))
        assert await asyncio.to_thread(drawn.wait, LIMIT)
        assert files(mock) == {"1.part"}
        async with asyncio.timeout(LIMIT):
            await end(mock)
            with pytest.raises(NoArtifactError, match=r"dropped while its video\.mp4 was being written"):
                await asking
            assert files(mock) == set()


async def test_closing_mock_during_rendering_leaves_nothing(drawn: threading.Event) -> None:
    async with nothing_left():
        async with MockOdyssey() as mock:
            asking = asyncio.create_task(mock.recordings.file(long_one(mock), "video.mp4"))
            assert await asyncio.to_thread(drawn.wait, LIMIT)
            directory = directory_of(mock)
            leaving = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - leaving < LIMIT
        with pytest.raises(NoArtifactError):
            await asking
        assert not await asyncio.to_thread(directory.exists)
        with pytest.raises(RuntimeError, match="closed"):
            await mock.recordings.file(remembered(mock), "video.mp4")


async def test_exception_in_mock_block_deletes_files() -> None:
    async with nothing_left():
        mock = MockOdyssey()
        with pytest.raises(ZeroDivisionError):
            await fail_in(mock)
        assert not await asyncio.to_thread(directory_of(mock).exists)


async def fail_in(mock: MockOdyssey) -> None:
    async with mock:
        await mock.recordings.file(remembered(mock), "video.mp4")
        raise ZeroDivisionError
