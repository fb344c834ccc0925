"""A stream's packets as HLS: a playlist and segments of fragmented MP4, in memory (RFC 8216, ISO/IEC 14496-12)."""

import asyncio
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import override

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from odyssey_mock.media.encoder import VideoPacket
from odyssey_mock.media.timeline import Size

MEDIA_TYPE = "application/vnd.apple.mpegurl"
INIT = "init.mp4"
VERSION = 7
"""Of the protocol: what fragmented MP4 takes (RFC 8216 section 7)."""

FIRST_SEGMENT_LIMIT = 10.0
"""Seconds that a playlist is held back while there is no segment to list."""

TIME_BASE = Fraction(1, 90_000)

_MUXER = {
    # Fragments without an index at the end, each cut where a key frame follows; `moov` once the first packet has told
    # what the stream is.
    "movflags": "empty_moov+delay_moov+default_base_moof+frag_keyframe+skip_trailer",
    "flush_packets": "1",
    "video_track_timescale": str(TIME_BASE.denominator),
}


class NoPlaylistError(Exception):
    """There is no playlist, and none will be; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One segment in a playlist.

    Attributes:
        number: counts the segments of a stream, from 0.
        seconds: how long it is.
        began: when its first frame was made, in seconds since the epoch.
    """

    number: int
    seconds: float
    began: float

    @property
    def name(self) -> str:
        """Name of its file."""
        return f"segment_{self.number}.mp4"


def write_playlist(entries: Sequence[Entry], *, target: int, is_over: bool, query: str) -> str:
    """Write a playlist.

    Args:
        entries: the segments that it lists, oldest first; one at least.
        target: whole seconds that none of the stream's segments is longer than, rounded (section 4.3.3.1).
        is_over: whether no segment will follow.
        query: what follows the name of each file, with its question mark; empty for none.
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
    """One segment, listed or kept.

    Attributes:
        slots: how long it is.
        playlist: slots of the longest playlist that has listed it.
        until: slot at whose end it is deleted; None while the playlist lists it.
    """

    entry: Entry
    data: bytes
    slots: int
    playlist: int = 0
    until: int | None = None


class HlsStream:
    """One stream's playlist and segments.

    It cuts at the first key frame at or after `segment_duration`, and asks for that key frame in time.

    Args:
        size: of every frame.
        fps: frames per second; a packet's `pts` counts in units of 1/fps.
        segment_duration: seconds of a segment.
        segments: how many the playlist of a live stream lists.
        started_at: when the stream began, in seconds since the epoch.
        want_keyframe: asks that the next frame be one.
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
        """Of the segment that is being made."""
        self._cut = 0
        """How many segments were made."""
        self._first: int | None = None
        self._began = 0
        self._last = 0
        """Slots: of the stream's first frame, of the segment's first frame, of the latest frame."""
        self._is_over = False
        self._ready = asyncio.Event()

    def push(self, packet: VideoPacket) -> None:
        """Take a frame's H.264 packet, whose `pts` grows; nothing is waited for."""
        slot = packet.pts or 0
        if self._is_over or (self._first is None and not packet.is_keyframe):
            return
        if self._first is None:
            self._first = self._began = slot
        is_cut = packet.is_keyframe and slot - self._began >= self._slots
        # With a key frame the fragment before it comes out, and the cut is between the two.
        self._take(self._muxer.mux(packet, slot - self._first))
        if is_cut:
            self._close_segment(slot)
        self._last = slot
        if slot + 1 - self._began >= self._slots:
            self._want_keyframe()

    def finish(self) -> None:
        """End the stream with what there is of its last segment; may be called twice."""
        if self._is_over:
            return
        self._is_over = True
        self._take(self._muxer.close())
        if self._first is not None:
            self._close_segment(self._last + 1)
        self._ready.set()

    def close(self) -> None:
        """Forget everything; whoever waits for a playlist is told that there is none."""
        self.finish()
        self._segments.clear()
        self._init = b""

    async def playlist(self, query: str) -> str:
        """Write the playlist; held back until there is a segment. `query` follows each name in it.

        Raises:
            NoPlaylistError: the stream has no frames, or none came in time.
        """
        try:
            async with asyncio.timeout(FIRST_SEGMENT_LIMIT):
                await self._ready.wait()
        except TimeoutError:
            raise NoPlaylistError(f"no segment was complete within {FIRST_SEGMENT_LIMIT:g} s") from None
        if not self._segments:
            raise NoPlaylistError("the stream has ended without a frame, or was forgotten")
        entries = [segment.entry for segment in self._segments[-self._listed :]]
        return write_playlist(entries, target=self._target, is_over=self._is_over, query=query)

    def file(self, name: str) -> bytes | None:
        """The initialization section or a segment; None where there is none of that name, or no longer."""
        if name == INIT:
            return self._init or None
        return next((segment.data for segment in self._segments if segment.entry.name == name), None)

    def _take(self, out: bytes) -> None:
        if not self._init and out:
            # What comes before the first fragment is the initialization section.
            at = _first_fragment(out)
            self._init, out = out[:at], out[at:]
        self._data += out

    def _close_segment(self, end: int) -> None:
        slots = end - self._began
        began = self._started_at + (self._began - (self._first or 0)) / self._fps
        self._segments.append(_Segment(Entry(self._cut, slots / self._fps, began), bytes(self._data), slots))
        # To the nearest second, a half up, as the RFC has it; `round` would take 2.5 to 2.
        self._target = max(self._target, (2 * slots + self._fps) // (2 * self._fps))
        self._delete_old(end)
        self._cut += 1
        self._began = end
        self._data.clear()
        self._ready.set()

    def _delete_old(self, end: int) -> None:
        """Take a segment off the playlist where it is full, and delete what was kept long enough.

        One that has left is kept for its own length and that of the longest playlist it was in (RFC 8216 section
        6.2.2). Lengths differ where the stream stalled, so it is slots that count, not segments.
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
    """Packets to fragments, as they are."""

    def __init__(self, size: Size, fps: int) -> None:
        self._fps = fps
        self._out = _Out()
        self._container: OutputContainer = av.open(self._out, "w", format="mp4", options=_MUXER)
        stream = self._container.add_mux_stream("h264", rate=fps, width=size.width, height=size.height)
        assert isinstance(stream, VideoStream)
        stream.time_base = TIME_BASE
        self._stream = stream

    def mux(self, packet: VideoPacket, slot: int) -> bytes:
        """Take a packet; return what has come out."""
        # Of its own: senders read the other at this moment.
        own = av.Packet(bytes(packet))
        own.stream = self._stream
        own.time_base = TIME_BASE
        own.pts = own.dts = slot * TIME_BASE.denominator // self._fps
        own.duration = TIME_BASE.denominator // self._fps
        own.is_keyframe = packet.is_keyframe
        self._container.mux(own)
        return self._out.take()

    def close(self) -> bytes:
        """End it; return what was left."""
        self._container.close()
        return self._out.take()


class _Out(io.RawIOBase):
    """A file that is taken away as it is written."""

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
    """Offset of the first `moof` box among the boxes of `data` (ISO/IEC 14496-12 section 4.2)."""
    at = 0
    while at + 8 <= len(data) and data[at + 4 : at + 8] != b"moof":
        at += max(8, int.from_bytes(data[at : at + 4]))
    return min(at, len(data))
