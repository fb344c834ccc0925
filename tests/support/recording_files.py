"""Functions that create and describe the MP4 files of recordings, finished or not."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av

from odyssey_client import MediaStream
from odyssey_client.media.frames import VideoFrame
from odyssey_client.media.recording_file import RecordingFile
from tests.support.pictures import fill, picture


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
    """Create the hidden file that remains if a process is killed while it records; return the path of the file."""
    file = recording(target, times_ms)
    part = file._opened().path
    left = part.with_name(part.name.replace("-0-", f"-{number}-", 1))
    shutil.copyfile(part, left)
    file.discard()
    return left


THREE_SECONDS = [index * 50.0 for index in range(60)]
"""Times in milliseconds of the frames of 3 s of video: three fragments, of which the last is not on disk."""


async def record(path: Path) -> None:
    """Record one frame."""
    stream = MediaStream()
    async with stream.record(path):
        fill(stream, 1)
