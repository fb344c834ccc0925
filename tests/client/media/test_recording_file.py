"""Tests of the file of a recording: its form while it is written and when it is complete, and its recovery."""

import asyncio
import errno
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odyssey_client import MediaStream
from odyssey_client.media import recording_file
from odyssey_client.media.frames import VideoFrame
from odyssey_client.media.recorder import check_target
from odyssey_client.media.recording_file import TIME_BASE, RecordingFile
from odyssey_mock import MockOdyssey
from tests.support.ffprobe import probe
from tests.support.pictures import fill, picture

LIMIT = 60.0
"""Timeout in seconds for the start of another process, which usually takes a second."""


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def boxes(path: Path) -> list[str]:
    """Return the types of the boxes at the top level of an MP4 file, in order (ISO/IEC 14496-12)."""
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        found.append(content[at + 4 : at + 8].decode())
        at += int.from_bytes(content[at : at + 4])
    return found


def description(path: Path) -> dict[str, Any]:
    """Return all packets of an MP4 file, and what its header says about them."""
    with av.open(str(path)) as container:
        (stream,) = container.streams
        packets = [
            (each.pts, each.dts, each.duration, each.is_keyframe, bytes(each))
            for each in container.demux(stream)
            if each.size
        ]
        return {
            "packets": packets,
            "start": stream.start_time,
            "duration": stream.duration,
            "frames": stream.frames,
            "time base": stream.time_base,
            "length": container.duration,
        }


def frame(index: int, time_ms: float) -> VideoFrame:
    return VideoFrame(picture(index), time_ms)


def recording(path: Path, times_ms: Sequence[float]) -> RecordingFile:
    """Return an unfinished recording with a frame for each of the times."""
    file = RecordingFile(path)
    file.open()
    for index, time_ms in enumerate(times_ms):
        file.write(frame(index, time_ms))
    return file


def hidden(directory: Path) -> Path:
    """Return the path of the only hidden file."""
    (path,) = directory.glob(".odyssey-*")
    return path


def leave(target: Path, times_ms: Sequence[float], number: int = 7) -> Path:
    """Create the hidden file that a process leaves which is killed while it records; return its path."""
    file = recording(target, times_ms)
    part = file._opened().path
    left = part.with_name(f"{part.name.rpartition('-')[0]}-{number}.part")
    shutil.copyfile(part, left)
    file.discard()
    return left


THREE_SECONDS = [index * 50.0 for index in range(60)]


def encoded_directly(path: Path, times_ms: Sequence[float]) -> None:
    """Encode the frames of `recording` to a plain MP4 file in one step."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", options={"preset": "veryfast", "tune": "zerolatency", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        last = -1
        for index, time_ms in enumerate(times_ms):
            shown = picture(index)
            last = max(last + 1, round((time_ms - times_ms[0]) * 90))
            shown.pts, shown.time_base = last, TIME_BASE
            container.mux(stream.encode(shown))
        container.mux(stream.encode(None))


GAPS_MS = st.lists(st.sampled_from([0.0, 1.0, 33.3, 50.0, 999.9, 1000.0, 2500.0, 100_000.0]), max_size=40)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gaps_ms=GAPS_MS)
def test_finished_file_equals_directly_encoded_one(gaps_ms: list[float], tmp_path: Path) -> None:
    times_ms = [7.0]
    for gap in gaps_ms:
        times_ms.append(times_ms[-1] + gap)
    recording(tmp_path / "recorded.mp4", times_ms).commit()
    encoded_directly(tmp_path / "direct.mp4", times_ms)
    assert description(tmp_path / "recorded.mp4") == description(tmp_path / "direct.mp4")
    assert names(tmp_path) == ["direct.mp4", "recorded.mp4"]


def test_finished_file_is_plain_with_index_first(tmp_path: Path) -> None:
    recording(tmp_path / "a.mp4", THREE_SECONDS).commit()
    assert [box for box in boxes(tmp_path / "a.mp4") if box != "free"] == ["ftyp", "moov", "mdat"]
    stream, form = probe(tmp_path / "a.mp4")
    assert (stream["nb_read_frames"], stream["nb_frames"], stream["start_time"]) == ("60", "60", "0.000000")
    assert float(form["duration"]) == pytest.approx(3.0, abs=0.02)


@pytest.mark.parametrize(("frames", "on_disk"), [(20, 0), (21, 20), (60, 40)])
def test_each_second_of_video_is_on_disk(frames: int, on_disk: int, tmp_path: Path) -> None:
    file = recording(tmp_path / "a.mp4", THREE_SECONDS[:frames])
    part = hidden(tmp_path)
    if on_disk:
        assert len(description(part)["packets"]) == on_disk
        stream, _ = probe(part)
        assert (stream["nb_read_frames"], stream["start_time"]) == (str(on_disk), "0.000000")
    else:
        assert part.stat().st_size == 0
    file.discard()


def test_fragmented_file_is_kept_if_copying_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Path, plain: Path) -> None:
        plain.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(recording_file, "_copy_as_plain", fail)
    file = recording(tmp_path / "a.mp4", THREE_SECONDS)
    file.commit()
    assert (names(tmp_path), file.frames) == (["a.mp4"], 60)
    assert len(description(tmp_path / "a.mp4")["packets"]) == 60
    assert "a.mp4: stays a fragmented MP4 file" in caplog.text
    assert "No space left on device" in caplog.text


async def record(path: Path) -> None:
    """Record one frame."""
    stream = MediaStream()
    async with stream.record(path):
        fill(stream, 1)


async def test_leftover_is_recovered_by_next_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = tmp_path / "a.mp4"
    left = leave(target, THREE_SECONDS)
    content = left.read_bytes()
    await record(target)
    assert names(tmp_path) == ["a-recovered.mp4", "a.mp4"]
    assert (tmp_path / "a-recovered.mp4").read_bytes() == content
    assert len(description(tmp_path / "a-recovered.mp4")["packets"]) == 40
    assert str(tmp_path / "a-recovered.mp4") in caplog.text


async def test_recovery_replaces_no_file(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    taken = tmp_path / "a-recovered.mp4"
    taken.write_bytes(b"mine")
    (tmp_path / "a-recovered-2.mp4").symlink_to("nowhere")
    for number in (5, 6):
        leave(target, THREE_SECONDS, number)
    await record(target)
    assert taken.read_bytes() == b"mine"
    assert names(tmp_path) == [
        "a-recovered-2.mp4",
        "a-recovered-3.mp4",
        "a-recovered-4.mp4",
        "a-recovered.mp4",
        "a.mp4",
    ]


async def test_leftovers_without_frames_are_deleted(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    leave(target, THREE_SECONDS[:20])
    copy = leave(target, THREE_SECONDS, 8)
    copy.rename(copy.with_name(copy.name.replace("recording", "copy")))
    await record(target)
    assert names(tmp_path) == ["a.mp4"]


async def test_leftovers_of_other_targets_stay(tmp_path: Path) -> None:
    left = leave(tmp_path / "b.mp4", THREE_SECONDS)
    await record(tmp_path / "a.mp4")
    assert names(tmp_path) == [left.name, "a.mp4"]


async def test_leftover_is_found_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    leave(tmp_path / "films" / "a.mp4", THREE_SECONDS)
    (tmp_path / "link.mp4").symlink_to(tmp_path / "films" / "a.mp4")
    await record(tmp_path / "link.mp4")
    assert names(tmp_path / "films") == ["a-recovered.mp4", "a.mp4"]


async def test_running_recording_to_same_path_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    running = recording(target, THREE_SECONDS)
    await record(target)
    assert len(description(target)["packets"]) == 1
    running.commit()
    assert names(tmp_path) == ["a.mp4"]
    assert len(description(target)["packets"]) == 60


def test_checking_target_recovers_nothing(tmp_path: Path) -> None:
    left = leave(tmp_path / "a.mp4", THREE_SECONDS)
    check_target(tmp_path / "a.mp4")
    assert names(tmp_path) == [left.name]


async def test_unmovable_leftover_does_not_prevent_recording(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = tmp_path / f"{'x' * 248}.mp4"  # a name in which `-recovered` finds no room
    left = leave(target, THREE_SECONDS)
    await record(target)
    assert names(tmp_path) == [left.name, target.name]
    assert "cannot be moved" in caplog.text


KILLED = """
import asyncio, sys
from odyssey_client import Odyssey

async def main(url, key, path):
    async with Odyssey(key, api_url=url) as client:
        stream = await client.connect()
        async with stream.record(path) as recorder:
            async for _ in stream:
                if recorder.frames_recorded > 25:
                    print("recording", flush=True)
                    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_recording_of_killed_process_is_playable(odyssey_mock: MockOdyssey, tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        KILLED,
        odyssey_mock.url,
        odyssey_mock.api_key,
        str(target),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(LIMIT):
            assert await child.stdout.readline() == b"recording\n"
    finally:
        child.kill()
        await child.wait()
    left = hidden(tmp_path)
    seen, _ = await asyncio.to_thread(probe, left)
    frames = int(seen["nb_read_frames"])
    assert (len(description(left)["packets"]), seen["start_time"]) == (frames, "0.000000")
    assert frames >= 15, f"expected the frames of the first second (20 at most), got {frames}"
    await record(target)
    assert names(tmp_path) == ["a-recovered.mp4", "a.mp4"]
    recovered, _ = await asyncio.to_thread(probe, tmp_path / "a-recovered.mp4")
    assert recovered["nb_read_frames"] == str(frames)
