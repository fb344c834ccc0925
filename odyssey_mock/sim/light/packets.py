"""Video without pixels, on the mock's side: packets that say which frame they are, and that is all there is to them."""

import struct
from collections.abc import Collection, Mapping
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import cast

import av

from odyssey_mock.media.encoder import GROUP_SECONDS, Codec, VideoEncoder, VideoPacket
from odyssey_mock.media.frame_encoder import Made
from odyssey_mock.media.planes import NEUTRAL, planes_of
from odyssey_mock.media.stamp import FrameStamp
from odyssey_mock.media.timeline import Size, Timeline

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
        """What a muxer wants: a grey picture, the same for every frame; of HLS only the times are right."""
        key, next_one = _blank(self.size, self.codec, self.fps)
        return key if self.is_keyframe else next_one

    @property
    def time_base(self) -> Fraction:
        """Seconds of a slot."""
        return Fraction(1, self.fps)


class LightFootage:
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


def light_footage(timeline: Timeline, bitrate: int | None) -> LightFootage:  # noqa: ARG001 - nothing is encoded
    """Make the footage of a timeline: `MockOdyssey(footage=light_footage)`."""
    return LightFootage(timeline)


@lru_cache(maxsize=8)
def _blank(size: Size, codec: Codec, fps: int) -> tuple[bytes, bytes]:
    """A grey picture and one more like it, encoded."""
    frame = av.VideoFrame(size.width, size.height, "yuv420p")
    for plane in planes_of(frame):
        plane[:] = NEUTRAL
    encoder = VideoEncoder(codec, size, fps)
    try:
        return bytes(encoder.encode(frame, 0, keyframe=True)), bytes(encoder.encode(frame, 1))
    finally:
        encoder.close()
