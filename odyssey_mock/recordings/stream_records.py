"""Records of live and simulated streams, each with the stream's event log, account and times."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from odyssey_mock.core.ended_order import EndedOrder
from odyssey_mock.core.state_store import NO_STATE, AnyText, Bytes, RecordKind, StateStore
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.media.look import Look
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.settings import Fonts, Overlay, StartImageFit

INTERRUPTED = "the server was stopped while the stream was running"
"""The error of a stream that was running when the process of the mock ended."""


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
        """Return the stream's entry in the response to `GET /_mock/state`; `frames` is null until the stream ends."""
        return {
            "stream_id": self.id,
            "session_id": self.session_id,
            "account": self.account_id,
            "prompt": self.prompt,
            "applied_prompt": self.applied_prompt,
            "current_prompt": self.timeline.changes[-1].prompt,
            "interactions": len(self.timeline.changes) - 1,
            "fps": self.timeline.fps,
            "frames": self.timeline.frames,
            "width": self.timeline.size.width,
            "height": self.timeline.size.height,
            "broadcast": self.broadcast,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class _SavedStream:
    """The saved record of a stream, with its timeline. Its key is the stream's id."""

    account_id: str
    prompt: AnyText
    applied_prompt: AnyText
    started_at: float
    ended_at: float | None
    session_id: str | None
    broadcast: bool
    error: AnyText | None
    recording_delay: float
    tag: int | None
    width: int
    height: int
    fps: int
    image: Bytes | None
    image_fit: StartImageFit
    overlay: Overlay
    fonts: Fonts
    changes: Sequence[tuple[int, AnyText]]
    """The prompts of the timeline, each with the index of the first frame that shows it."""
    frames: int | None


_STREAMS = RecordKind("stream", _SavedStream)

RECORDS_BYTES = 256 << 20
"""Maximum memory of the images and prompts of ended streams: 90 streams with the largest images, or 1000 without."""


class StreamStore:
    """The records of all running streams and of the latest ended streams, at most `limit` in total."""

    def __init__(self, limit: int, state: StateStore = NO_STATE) -> None:
        """Create a store of at most `limit` records. Records of running streams are kept even above `limit`.

        The store has the streams in `state`. Those that were running have failed.
        """
        self._limit = limit
        self._state = state
        self._on_ended: list[Callable[[StreamRecord], None]] = []
        self._on_forgotten: list[Callable[[str], None]] = []
        self._records: dict[str, StreamRecord] = {}
        self._running: dict[str, StreamRecord] = {}
        self._by_account: dict[str, dict[str, StreamRecord]] = {}
        self._order = EndedOrder()
        for stream_id, saved in state.load(_STREAMS).items():
            self._add(_restored(stream_id, saved))
        self.interrupted = tuple(self._running.values())
        """The records of the streams that were running when the earlier process ended."""
        for record in self.interrupted:
            record.ended_at = max(record.started_at, state.stopped_at or 0.0)
            record.error = INTERRUPTED
            self.save(record)

    @property
    def records(self) -> Mapping[str, StreamRecord]:
        """All records by stream id, oldest first."""
        return MappingProxyType(self._records)

    @property
    def running(self) -> Mapping[str, StreamRecord]:
        """The records of the running streams by stream id, oldest first."""
        return MappingProxyType(self._running)

    def count_of(self, account_id: str) -> int:
        """Return the number of streams of an account."""
        return len(self._by_account.get(account_id, ()))

    def newest_first(self, account_id: str | None = None) -> Iterator[StreamRecord]:
        """Iterate over the records of an account, or over all records, from the newest to the oldest."""
        return reversed((self._records if account_id is None else self._by_account.get(account_id, {})).values())

    def on_ended(self, callback: Callable[[StreamRecord], None]) -> None:
        """Call `callback(record)` when a stream has ended: when its record, with the time of its end, is saved."""
        self._on_ended.append(callback)

    def on_forgotten(self, callback: Callable[[str], None]) -> None:
        """Call `callback(stream_id)` before each record is dropped."""
        self._on_forgotten.append(callback)

    def drop_observers(self) -> None:
        """Call none of the callbacks of `on_ended` and `on_forgotten` any longer."""
        self._on_ended.clear()
        self._on_forgotten.clear()

    def remember(self, record: StreamRecord) -> None:
        """Add `record`; above the limit or `RECORDS_BYTES`, drop the oldest records of ended streams."""
        self._add(record)
        self._state.save(_STREAMS, record.id, partial(_saved, record))
        while (oldest := self._order.oldest) is not None and (
            len(self._records) > self._limit or self._order.bytes > RECORDS_BYTES
        ):
            self.forget(oldest)

    def save(self, record: StreamRecord) -> None:
        """Save the record of a stream in its current form. Call this when the stream has ended."""
        if record.ended_at is not None and self._running.pop(record.id, None) is not None:
            self._end(record)
        self._state.save(_STREAMS, record.id, partial(_saved, record))

    def forget(self, stream_id: str) -> None:
        """Drop the record of a stream; an unknown id has no effect."""
        record = self._records.get(stream_id)
        if record is None:
            return
        for callback in self._on_forgotten:
            callback(stream_id)
        del self._records[stream_id]
        self._running.pop(stream_id, None)
        self._order.drop(stream_id)
        of_account = self._by_account[record.account_id]
        del of_account[stream_id]
        if not of_account:
            del self._by_account[record.account_id]
        self._state.delete(_STREAMS, stream_id)

    def _add(self, record: StreamRecord) -> None:
        self._records[record.id] = record
        self._by_account.setdefault(record.account_id, {})[record.id] = record
        self._order.begin(record.id)
        if record.ended_at is None:
            self._running[record.id] = record
        else:
            self._end(record)

    def _end(self, record: StreamRecord) -> None:
        self._order.end(record.id, _memory(record.timeline))
        for callback in self._on_ended:
            callback(record)

    def clear(self) -> None:
        """Drop all records."""
        for stream_id in list(self._records):
            self.forget(stream_id)


def _saved(record: StreamRecord) -> _SavedStream:
    timeline = record.timeline
    return _SavedStream(
        account_id=record.account_id,
        prompt=record.prompt,
        applied_prompt=record.applied_prompt,
        started_at=record.started_at,
        ended_at=record.ended_at,
        session_id=record.session_id,
        broadcast=record.broadcast,
        error=record.error,
        recording_delay=record.recording_delay,
        tag=timeline.tag,
        width=timeline.size.width,
        height=timeline.size.height,
        fps=timeline.fps,
        image=timeline.image,
        image_fit=timeline.image_fit,
        overlay=timeline.look.overlay,
        fonts=timeline.look.fonts,
        changes=tuple((change.index, change.prompt) for change in timeline.changes),
        frames=timeline.frames,
    )


def _restored(stream_id: str, saved: _SavedStream) -> StreamRecord:
    (_, prompt), *interactions = saved.changes
    timeline = Timeline(
        tag=saved.tag,
        size=Size(saved.width, saved.height),
        fps=saved.fps,
        prompt=prompt,
        image=saved.image,
        image_fit=saved.image_fit,
        look=Look(saved.overlay, saved.fonts),
    )
    for index, text in interactions:
        timeline.interact(index, text)
    if saved.frames is not None:
        timeline.end(saved.frames)
    return StreamRecord(
        id=stream_id,
        account_id=saved.account_id,
        timeline=timeline,
        prompt=saved.prompt,
        applied_prompt=saved.applied_prompt,
        started_at=saved.started_at,
        began=0.0,
        ended_at=saved.ended_at,
        session_id=saved.session_id,
        broadcast=saved.broadcast,
        error=saved.error,
        recording_delay=saved.recording_delay,
    )


def _memory(timeline: Timeline) -> int:
    return len(timeline.image or b"") + sum(len(change.prompt) for change in timeline.changes)
