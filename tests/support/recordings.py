"""Functions that create records of ended streams without streaming, and functions that read recordings."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from odyssey_mock import FrameStamp, MockOdyssey, read_stamp
from odyssey_mock.backend import Backend
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.recordings.artifacts import ARTIFACTS
from odyssey_mock.recordings.stream_records import StreamRecord

SMALL = Size(176, 320)
"""The smallest frame size at which a stamp is readable after encoding. One second of video is rendered in 10 ms."""


def timeline(frames: int | None = 10, changes: Sequence[int] = (), *, size: Size = SMALL, fps: int = 20) -> Timeline:
    """Return a timeline of `frames` frames (None: it has not ended), with interactions at the frames `changes`."""
    made = Timeline(tag=7, size=size, fps=fps, prompt="A snowy city at night")
    for revision, index in enumerate(changes, 1):
        made.interact(index, f"Lantern number {revision} goes up")
    if frames is not None:
        made.end(frames)
    return made


def record(account_id: str, shown: Timeline | None = None, **fields: Any) -> StreamRecord:  # Any: fields of the record
    """Return a record of a stream, which by default has ended. `fields` replace the default values."""
    shown = shown or timeline()
    start = shown.changes[0].prompt
    known: dict[str, Any] = {"id": "a-stream", "started_at": 1_790_000_000.0, "began": 0.0, "ended_at": 1_790_000_001.0}
    return StreamRecord(account_id=account_id, timeline=shown, prompt=start, applied_prompt=start, **known | fields)


def remembered(mock: MockOdyssey, shown: Timeline | None = None, *, key: str | None = None, **fields: Any) -> str:
    """Add an ended stream to the account of the API key `key`, by default the mock's key; return the stream's id."""
    return remembered_by(mock.backend, mock.backend.accounts.authenticate(key or mock.api_key).id, shown, **fields)


def remembered_by(backend: Backend, account_id: str, shown: Timeline | None = None, **fields: Any) -> str:
    """Add an ended stream to an account; return the stream's id."""
    now = backend.clock.time()
    known = {"id": backend.entropy.uuid(), "started_at": now, "began": backend.clock.monotonic(), "ended_at": now}
    made = record(account_id, shown, **known | fields)
    backend.streams.remember(made)
    return made.id


def url_of(mock: MockOdyssey, stream: str, name: str = "video.mp4") -> str:
    """Return a presigned URL of one file of a stream."""
    return str(mock.recordings.describe(mock.streams[stream], mock.url)[ARTIFACTS[name].field])


def decoded(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of a recording as RGB arrays."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def stamps(path: Path) -> list[FrameStamp | None]:
    """Return the stamp of each frame of a recording, or None for an unreadable stamp."""
    return [read_stamp(picture) for picture in decoded(path)]
