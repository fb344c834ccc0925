"""Video without pixels, on the client's side, and its way there: one datagram a frame, which may be lost."""

import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any, cast

import av
from aiortc.mediastreams import MediaStreamError

from odyssey_client import VideoFrame
from odyssey_mock.media.planes import NEUTRAL, planes_of
from odyssey_mock.media.stamp import FrameStamp, draw_stamp
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.sim.light.link import Link
from odyssey_mock.sim.light.messages import Mark
from odyssey_mock.sim.light.packets import BODY, IN_STREAM, KEYFRAME, LightPacket

_HEAD = struct.Struct("!BI")
"""Of a datagram: what it is, and the how manieth frame."""

SEQUENCE = struct.Struct("!I")
"""Of a message that says which frame was the last."""


class LightFrame:
    """A picture that is only drawn, grey with its stamp, when somebody looks at it; whatever `av.VideoFrame` can.

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
                show(_HEAD.pack(Mark.FRAME, self._sent) + packet.body)
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
