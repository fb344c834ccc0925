"""Records of live and simulated streams, each with the stream's event log, account and times."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.media.timeline import Timeline


@dataclass(slots=True)
class StreamRecord:
    """The record of one stream. Times are seconds since the epoch, except `began`."""

    id: str
    account_id: str
    timeline: Timeline
    prompt: str
    applied_prompt: str
    started_at: float
    began: float
    """`Clock.monotonic` when the stream started."""
    ended_at: float | None = None
    """`started_at` plus the time that the stream ran; None while the stream is running."""
    session_id: str | None = None
    """The session of a live stream; None for a simulated one."""
    broadcast: bool = False
    error: str | None = None
    """Why the stream failed; None if it has not failed. A failed stream has no video."""
    recording_delay: float = 0.0
    """Seconds from the end of the stream until clients can get its recording."""

    def time_at(self, now: float) -> float:
        """Return the time of the stream when `Clock.monotonic` is `now`.

        It differs from the server's time if the server's clock has jumped since the stream started.
        """
        return self.started_at + (now - self.began)

    @property
    def frame_count(self) -> int | None:
        """Number of frames of the video; None if the stream is running, has failed, or ended before its first frame."""
        if self.ended_at is None or self.error is not None:
            return None
        return self.timeline.frames or None

    @property
    def duration_seconds(self) -> float | None:
        """The length of the video in seconds; None if there is no video."""
        return None if self.frame_count is None else self.frame_count / self.timeline.fps

    def snapshot(self) -> dict[str, JSON]:
        """Return the stream's entry in the response to `GET /_mock/state`."""
        return {
            "stream_id": self.id,
            "session_id": self.session_id,
            "account": self.account_id,
            "prompt": self.prompt,
            "applied_prompt": self.applied_prompt,
            "width": self.timeline.size.width,
            "height": self.timeline.size.height,
            "broadcast": self.broadcast,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
        }


class StreamStore:
    """The records of all running streams and of the latest ended streams, at most `limit` in total."""

    def __init__(self, limit: int) -> None:
        """Create an empty store of at most `limit` records. Records of running streams are kept even above `limit`."""
        self._limit = limit
        self._records: dict[str, StreamRecord] = {}
        self._on_forgotten: list[Callable[[str], None]] = []

    @property
    def records(self) -> Mapping[str, StreamRecord]:
        """All records by stream id, oldest first."""
        return MappingProxyType(self._records)

    def on_forgotten(self, callback: Callable[[str], None]) -> None:
        """Call `callback(stream_id)` before each record is dropped."""
        self._on_forgotten.append(callback)

    def remember(self, record: StreamRecord) -> None:
        """Add `record`; above the limit, drop the oldest records of ended streams."""
        self._records[record.id] = record
        ended = [each.id for each in self._records.values() if each.ended_at is not None]
        for stream_id in ended[: max(0, len(self._records) - self._limit)]:
            self.forget(stream_id)

    def forget(self, stream_id: str) -> None:
        """Drop the record of a stream; an unknown id has no effect."""
        if stream_id in self._records:
            for callback in self._on_forgotten:
                callback(stream_id)
            del self._records[stream_id]

    def clear(self) -> None:
        """Drop all records."""
        for stream_id in list(self._records):
            self.forget(stream_id)
