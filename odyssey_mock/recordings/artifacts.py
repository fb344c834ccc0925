"""The artifacts (files) of a recording, and which of them a stream has (`protocol.md` section 6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.recordings.stream_records import StreamRecord

if TYPE_CHECKING:
    from odyssey_mock.media.film import Checkpoint, Film

type Writer = Callable[[StreamRecord, Path, Checkpoint], None]
"""Writes the artifact of a stream to a path; called in a thread."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One kind of artifact, such as the video: its name, its media type, and the function that writes it."""

    name: str
    """The name of the artifact in URLs, such as `video.mp4`."""
    field: str
    """The field of a `Recording` that contains the URL."""
    media_type: str
    write: Writer
    shows_frames: bool
    """Whether the artifact is made from frames; if so, only streams with a video have it."""


def _video(record: StreamRecord, path: Path, checkpoint: Checkpoint) -> None:
    _film(record).write_video(path, checkpoint)


def _events(record: StreamRecord, path: Path, _checkpoint: Checkpoint) -> None:
    path.write_text(event_log(record), "ascii", newline="\n")


def _thumbnail(record: StreamRecord, path: Path, checkpoint: Checkpoint) -> None:
    _film(record).write_thumbnail(path, checkpoint)


def _preview(record: StreamRecord, path: Path, checkpoint: Checkpoint) -> None:
    _film(record).write_preview(path, checkpoint)


def _film(record: StreamRecord) -> Film:
    from odyssey_mock.media.film import Film  # noqa: PLC0415 - see `odyssey_mock.media`

    return Film(record.timeline, record.started_at)


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
"""All artifacts by name, in the order of a `Recording`'s fields."""


def left_by(record: StreamRecord) -> Sequence[Artifact]:
    """Return the artifacts that exist for a stream.

    A running stream has no artifacts. An ended stream without a video has only the event log.
    """
    if record.ended_at is None:
        return ()
    return [each for each in ARTIFACTS.values() if not each.shows_frames or record.frame_count is not None]


def event_log(record: StreamRecord) -> str:
    """Return the event log of an ended stream: JSON lines, one for each event, in order.

    `odyssey_mock/contract/recording-event.schema.json` describes one line. The log contains prompts as applied. The
    time of an event is the time of the first frame that shows the event.
    """
    # ASCII, because a prompt may contain lone surrogates: JSON can escape them, but UTF-8 cannot encode them.
    return "".join(json.dumps(event) + "\n" for event in logged_events(record))


def logged_events(record: StreamRecord) -> Iterator[dict[str, JSON]]:
    """Yield the events of an ended stream, as `event_log` has them."""
    timeline = record.timeline
    for change in timeline.changes:
        kind = "interact" if change.revision else "start"
        yield {"timestamp_ms": _milliseconds(record, change.index), "type": kind, "prompt": change.prompt}
    # If the stream failed before its end was set, the time of the failure is that of the latest event.
    last = timeline.changes[-1].index if timeline.frames is None else timeline.frames
    if record.error is None:
        yield {"timestamp_ms": _milliseconds(record, last), "type": "end"}
    else:
        yield {"timestamp_ms": _milliseconds(record, last), "type": "error", "message": record.error}


def _milliseconds(record: StreamRecord, index: int) -> int:
    """Return the time of frame `index` in milliseconds, rounded down.

    An action with this timestamp in a simulation script applies from the same frame on.
    """
    return index * 1000 // record.timeline.fps
