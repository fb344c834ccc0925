"""Video without pixels: packets that say which frame they are, and their way from a track of the mock to a client.

A frame is one datagram, which may be lost.
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
from odyssey_mock.media.encoder import GROUP_SECONDS, Codec, VideoEncoder, VideoPacket
from odyssey_mock.media.frame_encoder import Made
from odyssey_mock.media.planes import NEUTRAL, planes_of
from odyssey_mock.media.stamp import FrameStamp, draw_stamp
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.sim.light.link import DatagramKind, Link

BODY = struct.Struct("!BHIIQHHIH")
"""Of a packet: flags, stream tag, prompt revision, frame index, sent at; width, height; slot, slots a second."""

KEYFRAME, IN_STREAM = 1, 2
"""Flags."""


class LightPacket:
    """A packet of one frame.

    Attributes:
        pts: the slot it was made in, in units of `time_base`.
        is_keyframe: whether it would decode by itself.
        body: what is sent of it.
    """

    __slots__ = ("body", "codec", "fps", "is_keyframe", "pts", "size", "stamp")

    def __init__(self, stamp: FrameStamp, size: Size, codec: Codec, slot: int, fps: int, is_keyframe: bool) -> None:
        self.stamp = stamp
        self.size = size
        self.codec: Codec = codec
        self.pts = slot
        self.fps = fps
        self.is_keyframe = is_keyframe
        self.body = BODY.pack(
            (KEYFRAME if is_keyframe else 0) | (0 if stamp.stream_tag is None else IN_STREAM),
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
        """What a muxer wants: a gray picture, the same for every frame; of HLS only the times are right."""
        key, next_one = _blank(self.size, self.codec, self.fps)
        return key if self.is_keyframe else next_one

    @property
    def time_base(self) -> Fraction:
        """Seconds of a slot."""
        return Fraction(1, self.fps)


class LightFrameEncoder:
    """The packets of one timeline, without pixels."""

    is_instant = True

    def __init__(self, timeline: Timeline) -> None:
        self._size = timeline.size
        self._fps = timeline.fps
        self._group = max(1, round(timeline.fps * GROUP_SECONDS))
        self._frames: dict[Codec, int] = {}
        self._since: dict[tuple[Codec, Size], int] = {}
        """Packets since the last key frame, by what would be an encoder."""

    @property
    def frames(self) -> Mapping[Codec, int]:
        return MappingProxyType(self._frames)

    def prepare(self) -> None:
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

    def close(self) -> None:
        pass

    def _packet(self, stamp: FrameStamp, size: Size, codec: Codec, slot: int, keyframe: bool) -> VideoPacket:
        since = self._since.get((codec, size), self._group)
        is_keyframe = keyframe or since >= self._group
        self._since[codec, size] = 1 if is_keyframe else since + 1
        packet = LightPacket(stamp, size, codec, slot, self._fps, is_keyframe)
        return cast("VideoPacket", packet)  # it has of one what those who get it look at


def light_frame_encoder(timeline: Timeline, bitrate: int | None) -> LightFrameEncoder:  # noqa: ARG001 - nothing is encoded
    """Make the frame encoder of a timeline: `MockOdyssey(frame_encoder=light_frame_encoder)`."""
    return LightFrameEncoder(timeline)


@lru_cache(maxsize=8)
def _blank(size: Size, codec: Codec, fps: int) -> tuple[bytes, bytes]:
    """A gray picture and one more like it, encoded."""
    frame = av.VideoFrame(size.width, size.height, "yuv420p")
    for plane in planes_of(frame):
        plane[:] = NEUTRAL
    encoder = VideoEncoder(codec, size, fps)
    try:
        return bytes(encoder.encode(frame, 0, keyframe=True)), bytes(encoder.encode(frame, 1))
    finally:
        encoder.close()


_HEAD = struct.Struct("!BI")
"""Of a datagram: what it is, and the how manieth frame."""

SEQUENCE = struct.Struct("!I")
"""Of a message that says which frame was the last."""


class LightFrame:
    """A picture that is only drawn, gray with its stamp, when somebody looks at it; whatever `av.VideoFrame` can.

    Attributes:
        width: in pixels.
        height: in pixels.
        pts: the slot that it was made in.
    """

    __slots__ = ("_drawn", "_fps", "_values", "height", "pts", "width")

    def __init__(self, body: bytes) -> None:
        """`body`: that of its packet."""
        self._values = values = BODY.unpack(body)
        _, _, _, _, _, self.width, self.height, self.pts, self._fps = values
        self._drawn: av.VideoFrame | None = None

    def __repr__(self) -> str:
        return f"<LightFrame {self.width}x{self.height}, {self.stamp}>"

    def __getattr__(self, name: str) -> Any:  # Any: as av has it
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.drawn, name)

    @property
    def stamp(self) -> FrameStamp:
        """What `read_stamp` would read."""
        flags, tag, revision, index, sent_at_ms, *_ = self._values
        if not flags & IN_STREAM:
            return FrameStamp(None, index, None, sent_at_ms)
        return FrameStamp(tag, index, revision, sent_at_ms)

    @property
    def key_frame(self) -> bool:
        """Whether it came in a packet that would decode by itself."""
        return bool(self._values[0] & KEYFRAME)

    @property
    def time(self) -> float:
        """When it is to be shown, in seconds."""
        return float(self.pts / self._fps)

    @property
    def time_base(self) -> Fraction:
        """Seconds of a slot."""
        return Fraction(1, self._fps)

    @property
    def drawn(self) -> av.VideoFrame:
        """The picture; made when first asked for, then kept."""
        if self._drawn is None:
            self._drawn = frame = av.VideoFrame(self.width, self.height, "yuv420p")
            for plane in planes_of(frame):
                plane[:] = NEUTRAL
            draw_stamp(frame, self.stamp)
            frame.pts, frame.time_base = self.pts, self.time_base
        return self._drawn


def stamp_of(frame: VideoFrame) -> FrameStamp | None:
    """The stamp of a client's frame, for nothing; None where it is no light one."""
    shown: object = frame.to_av()
    return shown.stamp if isinstance(shown, LightFrame) else None


class FrameSender:
    """Sends what comes out of a track, until its end."""

    def __init__(self, link: Link, track: PacketTrack, ended: Callable[[], None]) -> None:
        """`ended()` is called after the last frame."""
        self._link = link
        self._track = track
        self._ended = ended
        self._sent = 0

    @property
    def last(self) -> bytes:
        """Which frame was the last, as the other is told."""
        return SEQUENCE.pack(self._sent)

    async def run(self) -> None:
        """Send every packet as one datagram."""
        show = self._link.show
        try:
            while True:
                # Whoever makes light peers makes light packets.
                packet = cast("LightPacket", await self._track.recv())
                self._sent += 1
                show(_HEAD.pack(DatagramKind.FRAME, self._sent) + packet.body)
        except MediaStreamError:
            self._ended()


class FrameReceiver:
    """Shows frames as they come, never one that is older than the last, and asks for a key frame when it needs one."""

    def __init__(self, link: Link, frame: Callable[[av.VideoFrame], None]) -> None:
        self._link = link
        self._frame = frame
        self._last = 0
        self._begun = False
        self._is_over = False

    def take(self, datagram: bytes) -> None:
        """Take a frame's datagram."""
        _, number = _HEAD.unpack_from(datagram)
        if number <= self._last or self._is_over:
            return
        frame = LightFrame(datagram[_HEAD.size :])
        is_next = number == self._last + 1
        self._last = number
        if not is_next or not (self._begun or frame.key_frame):
            # A decoder goes on after a loss, with what it has; before its first key frame it has nothing.
            self._link.lost_frame()
        self._begun = self._begun or frame.key_frame
        if self._begun:
            self._frame(cast("av.VideoFrame", frame))  # it is drawn into one when somebody needs that

    def after(self, last: bytes, then: Callable[[], None], late: float) -> None:
        """Do `then` once the frame of that number is here, or should be: within `late` seconds."""
        number = SEQUENCE.unpack(last)[0] if last else 0

        def end() -> None:
            self._is_over = True
            then()

        if number <= self._last:
            end()
        else:
            self._link.later(late, end)
