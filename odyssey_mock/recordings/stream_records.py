"""The streams that a mock remembers, live and simulated: each one's event log, whose it is and when it was on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.media.timeline import Timeline


@dataclass(slots=True)
class StreamRecord:
    """One stream as the mock remembers it. Times are seconds since the epoch."""

    id: str
    account_id: str
    timeline: Timeline
    prompt: str
    applied_prompt: str
    started_at: float
    ended_at: float | None = None
    """None while it is on."""
    session_id: str | None = None
    """The session that it was streamed in; None for a simulation's."""
    broadcast: bool = False
    error: str | None = None
    """Why it failed, where it did: such a stream has no frames to show."""

    @property
    def frame_count(self) -> int | None:
        """How many frames its film has; None where there is none: it is on, has failed, or ended before its first."""
        if self.ended_at is None or self.error is not None:
            return None
        return self.timeline.frames or None

    @property
    def duration_seconds(self) -> float | None:
        """How long its film is; None where there is none."""
        return None if self.frame_count is None else self.frame_count / self.timeline.fps

    def snapshot(self) -> dict[str, JSON]:
        """What `GET /_mock/state` shows of it."""
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
    """The streams that are on, and the latest of those that have ended."""

    def __init__(self, limit: int) -> None:
        """`limit`: how many are remembered; those that are on always are."""
        self._limit = limit
        self._records: dict[str, StreamRecord] = {}
        self._on_forgotten: list[Callable[[str], None]] = []

    @property
    def records(self) -> Mapping[str, StreamRecord]:
        """By id, oldest first."""
        return MappingProxyType(self._records)

    def on_forgotten(self, callback: Callable[[str], None]) -> None:
        """Call `callback(stream_id)` for each stream that is forgotten from now on, while it is still in `records`."""
        self._on_forgotten.append(callback)

    def remember(self, record: StreamRecord) -> None:
        """Keep `record`, and forget the oldest of those that have ended where there are too many."""
        self._records[record.id] = record
        ended = [each.id for each in self._records.values() if each.ended_at is not None]
        for stream_id in ended[: max(0, len(self._records) - self._limit)]:
            self.forget(stream_id)

    def forget(self, stream_id: str) -> None:
        """Keep a stream no longer; nothing where it is not known."""
        if stream_id in self._records:
            for callback in self._on_forgotten:
                callback(stream_id)
            del self._records[stream_id]

    def clear(self) -> None:
        """Forget all of them."""
        for stream_id in list(self._records):
            self.forget(stream_id)
