"""The kinds of files that a stream leaves, and which of them a stream has (`protocol.md` section 6)."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.media.film import Checkpoint, Film
from odyssey_mock.recordings.stream_records import StreamRecord

type Writer = Callable[[StreamRecord, Path, Checkpoint], None]
"""Writes the file of a stream to a path; called in a thread."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One kind of file."""

    name: str
    """Its name in URLs."""
    field: str
    """The field of a `Recording` that has its URL."""
    media_type: str
    write: Writer
    shows_frames: bool
    """Whether a stream has it only if it has a film."""


def _video(record: StreamRecord, path: Path, checkpoint: Checkpoint) -> None:
    Film(record.timeline, record.started_at).write_video(path, checkpoint)


def _events(record: StreamRecord, path: Path, _checkpoint: Checkpoint) -> None:
    path.write_text(event_log(record), "ascii", newline="\n")


def _thumbnail(record: StreamRecord, path: Path, checkpoint: Checkpoint) -> None:
    Film(record.timeline, record.started_at).write_thumbnail(path, checkpoint)


def _preview(record: StreamRecord, path: Path, checkpoint: Checkpoint) -> None:
    Film(record.timeline, record.started_at).write_preview(path, checkpoint)


ARTIFACTS: Mapping[str, Artifact] = MappingProxyType(
    {
        artifact.name: artifact
        for artifact in (
            Artifact("video.mp4", "video_url", "video/mp4", _video, shows_frames=True),
            Artifact("events.jsonl", "events_url", "application/jsonl", _events, shows_frames=False),
            Artifact("thumbnail.jpg", "thumbnail_url", "image/jpeg", _thumbnail, shows_frames=True),
            Artifact("preview.mp4", "preview_url", "video/mp4", _preview, shows_frames=True),
        )
    }
)
"""By name, in the order of a `Recording`'s fields."""


def left_by(record: StreamRecord) -> Sequence[Artifact]:
    """List the files that a stream leaves: none while it is on, and none with frames where it has no film."""
    if record.ended_at is None:
        return ()
    return [each for each in ARTIFACTS.values() if not each.shows_frames or record.frame_count is not None]


def event_log(record: StreamRecord) -> str:
    """Write what happened in a stream that has ended as JSON lines, one for each event, in order.

    `fixtures/contract/recording-event.schema.json` has one line.

    Prompts stand as they were applied; times are those of the frames that show the events.
    """
    # In ASCII: a prompt may have lone surrogates in it, which JSON can escape and UTF-8 cannot encode.
    return "".join(json.dumps(event) + "\n" for event in _logged_events(record))


def _logged_events(record: StreamRecord) -> Iterator[dict[str, JSON]]:
    timeline = record.timeline
    for change in timeline.changes:
        kind = "interact" if change.revision else "start"
        yield {"timestamp_ms": _milliseconds(record, change.index), "type": kind, "prompt": change.prompt}
    # One that failed before its end was known did so in its latest event.
    last = timeline.changes[-1].index if timeline.frames is None else timeline.frames
    if record.error is None:
        yield {"timestamp_ms": _milliseconds(record, last), "type": "end"}
    else:
        yield {"timestamp_ms": _milliseconds(record, last), "type": "error", "message": record.error}


def _milliseconds(record: StreamRecord, index: int) -> int:
    """Time of a frame, rounded down: the first frame that is not before it is again this one."""
    return index * 1000 // record.timeline.fps
