"""A strict parser of HLS media playlists (RFC 8216 section 4), and an `HlsStream` to which tests push frames."""

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import cast

import av

from odyssey_mock.broadcasts.hls import HlsStream
from odyssey_mock.media.encoder import VideoEncoder, VideoPacket
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.timeline import Size, Timeline

_HEAD = re.compile(
    r"#EXTM3U\n"
    r"#EXT-X-VERSION:7\n"
    r"#EXT-X-TARGETDURATION:(?P<target>\d+)\n"
    r"#EXT-X-MEDIA-SEQUENCE:(?P<sequence>\d+)\n"
    r"#EXT-X-INDEPENDENT-SEGMENTS\n"
    r'#EXT-X-MAP:URI="(?P<init>[^"\n]+)"\n'
)
_SEGMENT = re.compile(
    r"#EXT-X-PROGRAM-DATE-TIME:(?P<began>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)\n"
    r"#EXTINF:(?P<seconds>\d+\.\d+),\n"
    r"(?P<uri>[^#\n][^\n]*)\n"
)
_END = "#EXT-X-ENDLIST\n"


@dataclass(frozen=True)
class Listed:
    """One segment of a media playlist. `began` is its program date-time in seconds since the epoch."""

    uri: str
    seconds: Fraction
    began: float

    @property
    def name(self) -> str:
        return self.uri.partition("?")[0]


@dataclass(frozen=True)
class Playlist:
    target: int
    sequence: int
    init: str
    segments: tuple[Listed, ...]
    is_over: bool

    @property
    def uris(self) -> list[str]:
        """All URIs of the playlist: the initialization section, then the segments."""
        return [self.init, *(segment.uri for segment in self.segments)]


def read_playlist(text: str) -> Playlist:
    """Parse a media playlist. Fail the test if it has other lines than the mock writes, or in another order."""
    head = _HEAD.match(text)
    assert head is not None, f"expected a playlist that begins with the mock's header lines, got:\n{text}"
    at, segments = head.end(), []
    while found := _SEGMENT.match(text, at):
        began = datetime.fromisoformat(found["began"]).timestamp()
        segments.append(Listed(found["uri"], Fraction(found["seconds"]), began))
        at = found.end()
    assert text[at:] in {"", _END}, (
        f"expected nothing or {_END!r} after the segments, got {text[at:]!r} at the end of:\n{text}"
    )
    return Playlist(int(head["target"]), int(head["sequence"]), head["init"], tuple(segments), text[at:] == _END)


SIZE = Size(176, 320)
STARTED = 1_000_000_000.0
RENDERER = Renderer(Timeline(tag=1, size=SIZE, prompt="A cat"))


def encoded(frames: int, size: Size = SIZE) -> list[VideoPacket]:
    """Return the first `frames` frames of a test video in H.264. Only the first frame is a key frame."""
    encoder = VideoEncoder("h264", size, 20)
    renderer = RENDERER if size == SIZE else Renderer(Timeline(tag=1, size=size, prompt="A cat"))
    return [encoder.encode(renderer.render(index), index, keyframe=index == 0) for index in range(frames)]


KEY, DELTA = (bytes(packet) for packet in encoded(2))


def packet_of(slot: int, *, keyframe: bool) -> VideoPacket:
    """Return an H.264 packet with the timestamp `slot`, in frames, and the content of a key frame or a delta frame."""
    packet = cast("VideoPacket", av.Packet(KEY if keyframe else DELTA))
    packet.pts = packet.dts = slot
    packet.is_keyframe = keyframe
    return packet


@dataclass(eq=False)
class Streamed:
    """An `HlsStream` to which a test pushes frames. After the stream requests a key frame, the next frame is one."""

    fps: int = 20
    segment_duration: float = 1.0
    segments: int = 7
    size: Size = SIZE
    slots: list[int] = field(default_factory=list)
    wanted: bool = True

    def __post_init__(self) -> None:
        self.hls = HlsStream(
            self.size,
            self.fps,
            segment_duration=self.segment_duration,
            segments=self.segments,
            started_at=STARTED,
            want_keyframe=lambda: setattr(self, "wanted", True),
        )

    def push(self, slot: int, *, keyframe: bool = False) -> None:
        self.slots.append(slot)
        keyframe, self.wanted = keyframe or self.wanted, False
        self.hls.push(packet_of(slot, keyframe=keyframe))

    def push_all(self, slots: Iterable[int]) -> None:
        for slot in slots:
            self.push(slot)

    async def playlist(self) -> Playlist:
        return read_playlist(await self.hls.playlist(""))

    def packets(self, name: str) -> list[tuple[int, bool]]:
        """Return (timestamp, whether it is a key frame) for each packet in the segment `name`.

        Timestamps are in frames since the start of the stream. The function reads only the initialization section and
        this segment.
        """
        init, data = self.hls.file("init.mp4"), self.hls.file(name)
        assert init is not None
        assert data is not None
        with av.open(io.BytesIO(init + data), "r") as container:
            return [
                (round(packet.pts * packet.time_base * self.fps), packet.is_keyframe)
                for packet in container.demux(video=0)
                if packet.pts is not None and packet.time_base is not None
            ]
