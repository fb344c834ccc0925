"""HLS output of a stream: a playlist and fragmented MP4 segments, kept in memory (RFC 8216, ISO/IEC 14496-12)."""

from __future__ import annotations

import asyncio
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, override

from odyssey_mock.media.timeline import Size

if TYPE_CHECKING:
    from av.container import OutputContainer

    from odyssey_mock.media.encoder import VideoPacket

MEDIA_TYPE = "application/vnd.apple.mpegurl"
INIT = "init.mp4"
VERSION = 7
"""HLS protocol version: fragmented MP4 requires 7 (RFC 8216 section 7)."""

FIRST_SEGMENT_LIMIT = 10.0
"""Seconds that a playlist request waits for the first segment."""

TIME_BASE = Fraction(1, 90_000)

_MUXER = {
    # Start a fragment at each key frame, write no index at the end, and write `moov` only after the first packet, which
    # contains the stream's parameters.
    "movflags": "empty_moov+delay_moov+default_base_moof+frag_keyframe+skip_trailer",
    "flush_packets": "1",
    "video_track_timescale": str(TIME_BASE.denominator),
}


class NoPlaylistError(Exception):
    """The stream has no HLS playlist; the message states the reason."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One segment in a playlist.

    Attributes:
        number: the index of the segment in its stream, from 0.
        seconds: the duration.
        began: when the segment's first frame was made, in seconds since the epoch.
    """

    number: int
    seconds: float
    began: float

    @property
    def name(self) -> str:
        """The file name of the segment."""
        return f"segment_{self.number}.mp4"


def write_playlist(entries: Sequence[Entry], *, target: int, is_over: bool, query: str) -> str:
    """Return the text of a playlist.

    Args:
        entries: the segments to list, oldest first; at least one.
        target: the maximum segment duration of the stream in whole seconds, `EXT-X-TARGETDURATION`.
        is_over: whether the stream has ended, so that no segment will follow.
        query: the query string to append to each file name, including its question mark; empty for none.
    """
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{target}",
        f"#EXT-X-MEDIA-SEQUENCE:{entries[0].number}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        f'#EXT-X-MAP:URI="{INIT}{query}"',
    ]
    for entry in entries:
        began = datetime.fromtimestamp(entry.began, UTC).isoformat(timespec="milliseconds")
        lines += [
            f"#EXT-X-PROGRAM-DATE-TIME:{began.replace('+00:00', 'Z')}",
            f"#EXTINF:{entry.seconds:.5f},",
            entry.name + query,
        ]
    return "\n".join([*lines, *(["#EXT-X-ENDLIST"] if is_over else []), ""])


@dataclass(slots=True)
class _Segment:
    """A complete segment that spectators can fetch. Times are counted in slots; a slot is 1/fps seconds.

    Attributes:
        slots: the duration of the segment in slots.
        playlist: the duration in slots of the longest playlist that has listed the segment.
        until: the slot in which the segment is deleted; None while the playlist lists it.
    """

    entry: Entry
    data: bytes
    slots: int
    playlist: int = 0
    until: int | None = None


class HlsStream:
    """The HLS playlist and segments of one stream.

    A segment ends at the first key frame after at least `segment_duration` seconds. `push` calls `want_keyframe` when a
    segment is that long.

    Args:
        size: the size of every frame.
        fps: frames per second; a packet's `pts` counts in units of 1/fps.
        segment_duration: the duration of a segment in seconds.
        segments: how many segments the playlist of a live stream lists.
        started_at: when the stream started, in seconds since the epoch.
        want_keyframe: called to request that the next frame is a key frame.
    """

    def __init__(
        self,
        size: Size,
        fps: int,
        *,
        segment_duration: float,
        segments: int,
        started_at: float,
        want_keyframe: Callable[[], None],
    ) -> None:
        self._fps = fps
        self._slots = max(1, round(segment_duration * fps))
        self._listed = segments
        self._started_at = started_at
        self._want_keyframe = want_keyframe
        self._target = max(1, math.ceil(segment_duration))
        self._segments: list[_Segment] = []
        self._muxer = _Muxer(size, fps)
        self._init = b""
        self._data = bytearray()
        """The data of the current segment."""
        self._cut = 0
        """Number of segments completed so far, including deleted ones."""
        self._first: int | None = None
        self._began = 0
        self._last = 0
        """Slot of the latest frame. `_first` is the slot of the stream's first frame, `_began` of the segment's."""
        self._is_over = False
        self._ready = asyncio.Event()

    def push(self, packet: VideoPacket) -> None:
        """Add a frame's H.264 packet without blocking. Its `pts` must be greater than that of the previous packet."""
        slot = packet.pts or 0
        if self._is_over or (self._first is None and not packet.is_keyframe):
            return
        if self._first is None:
            self._first = self._began = slot
        is_cut = packet.is_keyframe and slot - self._began >= self._slots
        # Muxing a key frame completes the previous fragment; the segment ends between the two.
        self._take(self._muxer.mux(packet, slot - self._first))
        if is_cut:
            self._close_segment(slot)
        self._last = slot
        if slot + 1 - self._began >= self._slots:
            self._want_keyframe()

    def finish(self) -> None:
        """End the stream; its last segment may be shorter than the others. A second call does nothing."""
        if self._is_over:
            return
        self._is_over = True
        self._take(self._muxer.close())
        if self._first is not None:
            self._close_segment(self._last + 1)
        self._ready.set()

    def close(self) -> None:
        """Delete playlist and segments. Calls of `playlist` that wait, and later calls, raise `NoPlaylistError`."""
        self.finish()
        self._segments.clear()
        self._init = b""

    async def playlist(self, query: str) -> str:
        """Wait for the first segment and return the playlist, with `query` appended to each file name.

        Raises:
            NoPlaylistError: no segment was complete within `FIRST_SEGMENT_LIMIT`, the stream ended without a frame, or
                the playlist was deleted.
        """
        try:
            async with asyncio.timeout(FIRST_SEGMENT_LIMIT):
                await self._ready.wait()
        except TimeoutError:
            raise NoPlaylistError(f"no segment was complete within {FIRST_SEGMENT_LIMIT:g} s") from None
        if not self._segments:
            raise NoPlaylistError("the stream has ended without a frame, or its playlist was deleted")
        entries = [segment.entry for segment in self._segments[-self._listed :]]
        return write_playlist(entries, target=self._target, is_over=self._is_over, query=query)

    def file(self, name: str) -> bytes | None:
        """Return the initialization section or a segment by file name; None for an unknown name or deleted segment."""
        if name == INIT:
            return self._init or None
        return next((segment.data for segment in self._segments if segment.entry.name == name), None)

    def _take(self, out: bytes) -> None:
        if not self._init and out:
            # Everything before the first fragment is the initialization section.
            at = _first_fragment(out)
            self._init, out = out[:at], out[at:]
        self._data += out

    def _close_segment(self, end: int) -> None:
        slots = end - self._began
        began = self._started_at + (self._began - (self._first or 0)) / self._fps
        self._segments.append(_Segment(Entry(self._cut, slots / self._fps, began), bytes(self._data), slots))
        # To the nearest second, halves up, as the RFC requires; `round` would give 2 for 2.5.
        self._target = max(self._target, (2 * slots + self._fps) // (2 * self._fps))
        self._delete_old(end)
        self._cut += 1
        self._began = end
        self._data.clear()
        self._ready.set()

    def _delete_old(self, end: int) -> None:
        """Remove the oldest segment from a full playlist, and delete segments that were removed long enough ago.

        A removed segment can be fetched for its own duration plus that of the longest playlist that listed it (RFC 8216
        section 6.2.2). Durations are counted in slots of 1/fps seconds, because a stream that stalls has fewer
        frames than slots. `end` is the slot at which the latest segment ends.
        """
        if len(self._segments) > self._listed:
            left = self._segments[-self._listed - 1]
            left.until = end + left.slots + left.playlist
        listed = self._segments[-self._listed :]
        length = sum(segment.slots for segment in listed)
        for segment in listed:
            segment.playlist = max(segment.playlist, length)
        self._segments = [each for each in self._segments if each.until is None or each.until > end]


class _Muxer:
    """Muxes packets into MP4 fragments without encoding them again."""

    def __init__(self, size: Size, fps: int) -> None:
        import av  # noqa: PLC0415 - see `odyssey_mock.media`
        from av.video.stream import VideoStream  # noqa: PLC0415

        self._fps = fps
        self._out = _Out()
        self._container: OutputContainer = av.open(self._out, "w", format="mp4", options=_MUXER)
        stream = self._container.add_mux_stream("h264", rate=fps, width=size.width, height=size.height)
        assert isinstance(stream, VideoStream)
        stream.time_base = TIME_BASE
        self._stream = stream

    def mux(self, packet: VideoPacket, slot: int) -> bytes:
        """Add a packet; return the MP4 data that the muxer has completed since the last call, which may be empty."""
        from av import Packet  # noqa: PLC0415 - see `odyssey_mock.media`

        # Copy the packet, because senders may be reading the original.
        own = Packet(bytes(packet))
        own.stream = self._stream
        own.time_base = TIME_BASE
        own.pts = own.dts = slot * TIME_BASE.denominator // self._fps
        own.duration = TIME_BASE.denominator // self._fps
        own.is_keyframe = packet.is_keyframe
        self._container.mux(own)
        return self._out.take()

    def close(self) -> bytes:
        """Close the container; return the remaining MP4 data."""
        self._container.close()
        return self._out.take()


class _Out(io.RawIOBase):
    """An output file in memory; `take` returns and removes all bytes that the file contains."""

    def __init__(self) -> None:
        self._data = bytearray()

    @override
    def writable(self) -> bool:
        return True

    @override
    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._data += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._data)
        self._data.clear()
        return taken


def _first_fragment(data: bytes) -> int:
    """Return the offset of the first `moof` box (ISO/IEC 14496-12) in `data`; the length of `data` if it has none."""
    at = 0
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"moof":
        at += max(8, int.from_bytes(data[at : at + 4]))
    return min(at, len(data))
