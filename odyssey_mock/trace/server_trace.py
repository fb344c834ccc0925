"""Recording of a running mock for a trace: journal, peers with their statistics, clock, and thumbnails of streams."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

from odyssey_client.models import JSON
from odyssey_client.trace import Lane, Recorder, Recording, TraceEvent
from odyssey_client.trace.recorder import LIMIT_BYTES
from odyssey_mock.core.journal import Entry
from odyssey_mock.core.redaction import Secrets, get_logger
from odyssey_mock.journal_events import event_of, lane_of
from odyssey_mock.media.picture import PictureError
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.thumbnail import thumbnail_of
from odyssey_mock.media.timeline import Timeline
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.rtc.protocols import StreamerPeer
from odyssey_mock.server import MockOdyssey
from odyssey_mock.sessions.session_identity import SessionIdentity

logger = get_logger(__name__)

SAMPLED_EVERY = 0.5
"""Seconds between two records of the statistics of a peer."""
THUMBNAILS = 600
"""Maximum number of thumbnails of one stream. Each takes about 2 ms to draw, and 5 kB."""
STREAMS = 100
"""Maximum number of streams with thumbnails: the latest ones."""
_OVER = frozenset({"closed", "failed"})


@dataclass(slots=True)
class _Shown:
    """The frames of one stream, on the time axis of the trace.

    Attributes:
        began: when the first frame was shown.
        ended: when the stream ended; None while it runs.
        changes: times and frame indexes of acknowledged interactions.
    """

    session: str | None
    timeline: Timeline
    began: float
    ended: float | None = None
    changes: list[tuple[float, int]] = field(default_factory=list)


class ServerTrace:
    """Records a mock while it runs; an async context manager, to be entered after the mock.

    ::

        async with MockOdyssey() as mock, ServerTrace(mock, recorder) as trace:
            ...
        write_trace("run.odytrace", trace.recording(), ...)
    """

    def __init__(self, mock: MockOdyssey, recorder: Recorder) -> None:
        self._mock = mock
        self.recorder = recorder
        self._peers: dict[StreamerPeer, SessionIdentity] = {}
        self._entries: deque[tuple[float, Entry]] = deque()
        """The entries of the journal with their times on the axis. They are converted when the recording is read."""
        self._bytes = 0
        self._dropped: Counter[Lane] = Counter()
        self.is_running = False
        """Whether the mock is running."""
        self._sampling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._mock.journal.observe(self._record)
        self._mock.clock.observe_advances(self._record_advance)
        self._mock.backend.session_factory.peer_observers.append(self._watch)
        self.is_running = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.is_running = False
        self._mock.backend.session_factory.peer_observers.remove(self._watch)
        if self._sampling is not None:
            self._sampling.cancel()
            with suppress(asyncio.CancelledError):
                await self._sampling
            self._sampling = None

    @property
    def secrets(self) -> Secrets:
        """The secrets of the mock."""
        return self._mock.journal.secrets

    @property
    def has_recorded(self) -> bool:
        """Whether the journal of the mock has an entry since the start, or since `clear`."""
        return bool(self._entries)

    def clear(self) -> None:
        """Forget the entries of the journal, as the recorder forgets its events in `Recorder.clear`."""
        self._entries, self._bytes, self._dropped = deque(), 0, Counter()

    def recording(self, recording: Recording | None = None) -> Recording:
        """Return what was recorded, with drawn thumbnails of the streams that have no received ones.

        This method blocks. It may be called in any thread.

        Args:
            recording: the recording to complete; by default that of the recorder.
        """
        recording = recording or self.recorder.snapshot()
        entries = tuple(self._entries)
        events = [_trace_event(entry, at) for at, entry in entries]
        received = {event.stream for event in recording.events if event.lane == "frame"}
        shown = _shown(events, self._mock.streams)
        drawn = [
            event
            for stream, frames in list(shown.items())[-STREAMS:]
            if stream not in received
            for event in _thumbnails(stream, frames, recording.duration)
        ]
        return recording.with_events((*events, *drawn), self._dropped)

    def _record(self, entry: Entry) -> None:
        self._entries.append((self.recorder.now(), entry))
        self._bytes += entry.memory
        while self._bytes > LIMIT_BYTES and len(self._entries) > 1:
            _, oldest = self._entries.popleft()
            self._bytes -= oldest.memory
            self._dropped[lane_of(oldest)] += 1

    def _record_advance(self, before: float, after: float) -> None:
        self.recorder.add(
            "clock", f"clock advanced by {after - before:g} s", {"from": before, "to": after}, side="server"
        )

    # Peers.

    def _watch(self, peer: StreamerPeer, identity: SessionIdentity) -> None:
        self._peers[peer] = identity

        def changed(transport: str, state: str) -> None:
            self.recorder.add(
                "peer",
                f"{transport} {state}",
                {"transport": transport, "state": state},
                side="server",
                session=identity.id,
                error=f"the {transport} transport failed" if state == "failed" else None,
            )
            if transport == "connection" and state in _OVER:
                self._peers.pop(peer, None)

        peer.observe(changed)
        if self.recorder.samples_statistics and (self._sampling is None or self._sampling.done()):
            self._sampling = asyncio.get_running_loop().create_task(self._sample(), name="statistics of a trace")

    async def _sample(self) -> None:
        while self._peers:
            await asyncio.sleep(SAMPLED_EVERY)  # noqa: TID251 - statistics are those of the machine's time
            for peer, identity in list(self._peers.items()):
                reports = await peer.statistics()
                if reports:
                    data: dict[str, JSON] = {"reports": cast("JSON", reports)}
                    self.recorder.add("stats", "statistics", data, side="server", session=identity.id)


def _trace_event(entry: Entry, at: float) -> TraceEvent:
    event = event_of(entry)
    return TraceEvent(
        at=at,
        lane=event.lane,
        side="server",
        name=event.name,
        data=cast("Mapping[str, JSON]", event.data),
        session=event.session,
        stream=event.stream,
        sender=event.sender,
        error=event.error,
    )


def _shown(events: Iterable[TraceEvent], streams: Mapping[str, StreamRecord]) -> Mapping[str, _Shown]:
    """Return the streams that have begun, and when their frames were shown."""
    shown: dict[str, _Shown] = {}
    for event in events:
        stream = event.stream
        if stream is None:
            continue
        if event.data.get("machine") == "stream" and event.data.get("event") == "first_frame":
            record = streams.get(stream)
            if record is not None:
                shown[stream] = _Shown(event.session, record.timeline, event.at)
        elif stream in shown and event.data.get("machine") == "stream" and event.data.get("to") != "running":
            shown[stream].ended = shown[stream].ended or event.at
        elif stream in shown and isinstance(index := event.data.get("frame_index"), int):
            shown[stream].changes.append((event.at, index))
    return shown


def _thumbnails(stream: str, shown: _Shown, now: float) -> Iterator[TraceEvent]:
    """Yield thumbnails of a stream, drawn as its frames were, in order of their times."""
    wanted = _wanted(shown, now)
    try:
        renderer = Renderer(shown.timeline)
        for index, (at, taken) in wanted.items():
            thumbnail = thumbnail_of(renderer.render(index))
            yield TraceEvent(
                at,
                "frame",
                "server",
                f"frame {index}",
                {"frame": index, "width": thumbnail.width, "height": thumbnail.height, "taken": taken, "stamp": None},
                session=shown.session,
                stream=stream,
                image=thumbnail.jpeg,
            )
    except PictureError as error:
        logger.warning("the stream %s has no thumbnails in the trace: %s", stream, error)


def _wanted(shown: _Shown, now: float) -> Mapping[int, tuple[float, str]]:
    """Return the frames to draw: their indexes, in order, with the time at which each was shown, and the reason."""
    fps, end = shown.timeline.fps, now if shown.ended is None else shown.ended
    frames = shown.timeline.frames
    last = max(0, (int((end - shown.began) * fps) if frames is None else frames) - 1)
    seconds = ((second * fps, shown.began + second, "second") for second in range(int(last / fps) + 1))
    changes: Iterable[tuple[int, float, str]] = ((index, at, "interact") for at, index in shown.changes)
    wanted: dict[int, tuple[float, str]] = {}
    for index, at, taken in (*seconds, (last, end, "last"), *changes):
        if index <= last:
            wanted[index] = (min(at, end), taken)
    wanted[0] = (shown.began, "first")
    return dict(sorted(wanted.items())[:THUMBNAILS])
