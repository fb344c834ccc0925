"""Video without pixels: packets that identify a frame, and their transport from a track of the mock to a client.

Each frame is sent as one datagram, which may be lost.
"""

import struct
from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

import av
from aiortc.mediastreams import MediaStreamError

from odyssey_client import VideoFrame
from odyssey_mock.media.encoder import Codec, VideoEncoder, VideoPacket
from odyssey_mock.media.frame_encoder import Made
from odyssey_mock.media.keyframes import GROUP_SECONDS
from odyssey_mock.media.planes import NEUTRAL, planes_of
from odyssey_mock.media.stamp import FrameStamp, draw_stamp
from odyssey_mock.media.timeline import Moment, Size, Timeline
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.sim.light.link import DatagramKind, Link

BODY = struct.Struct("!BHIIQHHIH")
"""Body of a packet: flags, stream tag, prompt revision, frame index, time sent, width, height, slot, frame rate."""

KEYFRAME, IN_STREAM, UNSTAMPED = 1, 2, 4
"""Flags in the body of a packet."""


class LightPacket:
    """A packet that identifies one frame.

    Attributes:
        pts: presentation time as a number of slots; `time_base` is the duration of a slot.
        is_keyframe: whether it represents a key frame.
        body: the bytes that are sent.
    """

    __slots__ = ("body", "codec", "fps", "is_keyframe", "pts", "size", "stamp")

    def __init__(
        self,
        stamp: FrameStamp,
        size: Size,
        codec: Codec,
        slot: int,
        fps: int,
        is_keyframe: bool,
        *,
        has_stamp: bool = True,
    ) -> None:
        self.stamp = stamp
        self.size = size
        self.codec: Codec = codec
        self.pts = slot
        self.fps = fps
        self.is_keyframe = is_keyframe
        self.body = BODY.pack(
            (KEYFRAME if is_keyframe else 0)
            | (0 if stamp.stream_tag is None else IN_STREAM)
            | (0 if has_stamp else UNSTAMPED),
            stamp.stream_tag or 0,
            stamp.prompt_revision or 0,
            stamp.frame_index,
            stamp.sent_at_ms,
            size.width,
            size.height,
            slot,
            fps,
        )

    def __repr__(self) -> str:
        return f"<LightPacket {self.stamp} in {self.codec}, {self.size}{', key' if self.is_keyframe else ''}>"

    def __bytes__(self) -> bytes:
        """Return an encoded gray frame, because muxers need encoded frames. Light HLS video is therefore gray."""
        key, next_one = _blank(self.size, self.codec, self.fps)
        return key if self.is_keyframe else next_one

    @property
    def time_base(self) -> Fraction:
        """Duration of a slot in seconds."""
        return Fraction(1, self.fps)


class LightFrameEncoder:
    """A frame encoder that makes a light packet for each frame of a timeline."""

    is_instant = True

    def __init__(self, timeline: Timeline) -> None:
        self._size = timeline.size
        self._fps = timeline.fps
        self._has_stamp = timeline.look.has_stamp
        self._group = max(1, round(timeline.fps * GROUP_SECONDS))
        self._frames: dict[Codec, int] = {}
        self._since: dict[tuple[Codec, Size], int] = {}
        """Number of packets since the last key frame, for each codec and size."""

    @property
    def frames(self) -> Mapping[Codec, int]:
        return MappingProxyType(self._frames)

    def is_quick(self, index: int, codecs: Collection[Codec]) -> bool:  # noqa: ARG002 - nothing is encoded
        return True

    def prepare(self, moment: Moment) -> None:
        pass

    def make(
        self,
        stamp: FrameStamp,
        slot: int,
        codecs: Collection[Codec],
        *,
        keyframe: bool,
        resized: tuple[Codec, Size] | None = None,
    ) -> Made:
        packets: dict[Codec, VideoPacket] = {}
        for codec in codecs:
            self._frames[codec] = self._frames.get(codec, 0) + 1
            packets[codec] = self._packet(stamp, self._size, codec, slot, keyframe)
        if resized is None:
            return Made(packets)
        codec, size = resized
        return Made(packets, self._packet(stamp, size, codec, slot, keyframe))

    def rest(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _packet(self, stamp: FrameStamp, size: Size, codec: Codec, slot: int, keyframe: bool) -> VideoPacket:
        since = self._since.get((codec, size), self._group)
        is_keyframe = keyframe or since >= self._group
        self._since[codec, size] = 1 if is_keyframe else since + 1
        packet = LightPacket(stamp, size, codec, slot, self._fps, is_keyframe, has_stamp=self._has_stamp)
        return cast("VideoPacket", packet)  # it has all attributes of VideoPacket that are used


def light_frame_encoder(timeline: Timeline, bitrate: int | None) -> LightFrameEncoder:  # noqa: ARG001 - nothing is encoded
    """Create a light frame encoder for a timeline. To use it: `MockOdyssey(frame_encoder=light_frame_encoder)`."""
    return LightFrameEncoder(timeline)


@lru_cache(maxsize=8)
def _blank(size: Size, codec: Codec, fps: int) -> tuple[bytes, bytes]:
    """Return an encoded gray key frame, and an encoded gray frame that follows it."""
    frame = av.VideoFrame(size.width, size.height, "yuv420p")
    for plane in planes_of(frame):
        plane[:] = NEUTRAL
    encoder = VideoEncoder(codec, size, fps)
    try:
        return bytes(encoder.encode(frame, 0, keyframe=True)), bytes(encoder.encode(frame, 1))
    finally:
        encoder.close()


_HEAD = struct.Struct("!BI")
"""Header of a datagram: kind and number of the frame."""

SEQUENCE = struct.Struct("!I")
"""Format of a message's payload that contains the number of the last frame."""


class LightFrame:
    """A gray frame, usually with a stamp. It has all attributes of `av.VideoFrame`.

    The frame is drawn only when an attribute or method is used that this class does not define.

    Attributes:
        width: width in pixels.
        height: height in pixels.
        pts: presentation time as a number of slots; `time_base` is the duration of a slot.
    """

    __slots__ = ("_drawn", "_fps", "_values", "height", "pts", "width")

    def __init__(self, body: bytes) -> None:
        """Create the frame that a `LightPacket` identifies, from the `body` of the packet."""
        self._values = values = BODY.unpack(body)
        _, _, _, _, _, self.width, self.height, self.pts, self._fps = values
        self._drawn: av.VideoFrame | None = None

    def __repr__(self) -> str:
        return f"<LightFrame {self.width}x{self.height}, {self.stamp}>"

    def __getattr__(self, name: str) -> Any:  # Any: an attribute of av.VideoFrame
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.drawn, name)

    @property
    def stamp(self) -> FrameStamp | None:
        """The stamp that `read_stamp` would read from the drawn frame."""
        flags, tag, revision, index, sent_at_ms, *_ = self._values
        if flags & UNSTAMPED:
            return None
        if not flags & IN_STREAM:
            return FrameStamp(None, index, None, sent_at_ms)
        return FrameStamp(tag, index, revision, sent_at_ms)

    @property
    def key_frame(self) -> bool:
        """Whether the packet of this frame represents a key frame."""
        return bool(self._values[0] & KEYFRAME)

    @property
    def time(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts / self._fps)

    @property
    def time_base(self) -> Fraction:
        """Duration of a slot in seconds."""
        return Fraction(1, self._fps)

    @property
    def drawn(self) -> av.VideoFrame:
        """The drawn frame; created on first use, then kept."""
        if self._drawn is None:
            self._drawn = frame = av.VideoFrame(self.width, self.height, "yuv420p")
            for plane in planes_of(frame):
                plane[:] = NEUTRAL
            if (stamp := self.stamp) is not None:
                draw_stamp(frame, stamp)
            frame.pts, frame.time_base = self.pts, self.time_base
        return self._drawn


def stamp_of(frame: VideoFrame) -> FrameStamp | None:
    """Return the stamp of a client's frame without drawing the frame; None if it is not a `LightFrame`, or has none."""
    shown: object = frame.to_av()
    return shown.stamp if isinstance(shown, LightFrame) else None


class FrameSender:
    """Sends the packets of a mock's video track over a `Link`, until the track ends."""

    def __init__(self, link: Link, track: PacketTrack, ended: Callable[[], None]) -> None:
        """Create a sender for the packets of `track`. `run` sends them over `link`, then calls `ended`."""
        self._link = link
        self._track = track
        self._ended = ended
        self._sent = 0

    @property
    def last(self) -> bytes:
        """Number of the last frame sent, encoded as the payload of a message."""
        return SEQUENCE.pack(self._sent)

    async def run(self) -> None:
        """Send each packet as one datagram, until the track ends."""
        show = self._link.show
        try:
            while True:
                # Networks with light peers are used with light packets only.
                packet = cast("LightPacket", await self._track.recv())
                self._sent += 1
                show(_HEAD.pack(DatagramKind.FRAME, self._sent) + packet.body)
        except MediaStreamError:
            self._ended()


class FrameReceiver:
    """Delivers frames as they arrive, skips frames older than the last one, and requests key frames when needed."""

    def __init__(self, link: Link, frame: Callable[[av.VideoFrame], None]) -> None:
        self._link = link
        self._frame = frame
        self._last = 0
        self._begun = False
        self._is_over = False

    def take(self, datagram: bytes) -> None:
        """Handle the datagram of a frame."""
        _, number = _HEAD.unpack_from(datagram)
        if number <= self._last or self._is_over:
            return
        frame = LightFrame(datagram[_HEAD.size :])
        is_next = number == self._last + 1
        self._last = number
        if not is_next or not (self._begun or frame.key_frame):
            # Request a key frame. A decoder continues after a loss, but delivers nothing before its first key frame.
            self._link.lost_frame()
        self._begun = self._begun or frame.key_frame
        if self._begun:
            self._frame(cast("av.VideoFrame", frame))  # LightFrame draws a real frame when one is needed

    def after(self, last: bytes, then: Callable[[], None], late: float) -> None:
        """Call `then` at once if the last frame has arrived, otherwise after `late` seconds. Ignore later frames.

        `last`: the number of the last frame as the payload of a message; empty if no frame was sent.
        """
        number = SEQUENCE.unpack(last)[0] if last else 0

        def end() -> None:
            self._is_over = True
            then()

        if number <= self._last:
            end()
        else:
            self._link.later(late, end)
