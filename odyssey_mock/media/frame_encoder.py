"""Frame encoders, which turn a timeline into video packets: the protocol `FrameEncoder`, and `DrawnFrameEncoder`."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

import av

from odyssey_mock.media.encoder import Codec, VideoPacket
from odyssey_mock.media.encoders import Encoders
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, draw_stamp
from odyssey_mock.media.timeline import Moment, Size, Timeline


@dataclass(frozen=True, slots=True)
class Made:
    """One encoded frame, with its packets by codec."""

    packets: Mapping[Codec, VideoPacket]
    resized: VideoPacket | None = None
    """The packet of the frame in another size, if another size was requested."""


class CountsFrames(Protocol):
    """An object that counts encoded frames."""

    @property
    def frames(self) -> Mapping[Codec, int]:
        """Number of frames encoded so far, by codec; also available after the last frame."""


class FrameEncoder(CountsFrames, Protocol):
    """Encodes the frames of one timeline as video packets. Not thread-safe: one call at a time."""

    @property
    def is_instant(self) -> bool:
        """Whether calls of `make` are so fast that they need no separate thread."""

    def is_quick(self, index: int, codecs: Collection[Codec]) -> bool:
        """Return whether `make` would take at most about 2 ms for frame `index` in `codecs`, without `resized`."""

    def prepare(self, moment: Moment) -> None:
        """Draw the static part of all frames with the prompts of `moment`, so that `make` takes less time.

        Raises:
            PictureError: the timeline's start image cannot be decoded.
        """

    def make(
        self,
        stamp: FrameStamp,
        slot: int,
        codecs: Collection[Codec],
        *,
        keyframe: bool,
        resized: tuple[Codec, Size] | None = None,
    ) -> Made:
        """Return the frame that `stamp` identifies, encoded in each of `codecs`.

        The stamp is drawn on the frame unless the look of the timeline has none.

        `slot`, the number of a period of 1/fps seconds, becomes the `pts` of the packets and must increase with each
        call. If `resized` is given, the frame is also encoded in that codec and size. The first packet in each codec
        and size is a key frame.

        Raises:
            EncoderError: `slot` is not above the previous one, or libav did not return exactly one packet.
        """

    def rest(self) -> None:
        """Free the encoders until the next call of `make`, whose packets will be key frames."""

    def close(self) -> None:
        """Free the encoders. A second call has no effect."""


_QUICK_CODECS: frozenset[Codec] = frozenset({"h264"})
"""The codecs of which every frame is encoded quickly: a key frame in VP8 takes 10 ms."""

_QUICK_PIXELS = 704 * 1280

type MakeFrameEncoder = Callable[[Timeline, int | None], FrameEncoder]
"""A function that creates the frame encoder of a timeline, for a bitrate in bits per second (None: default)."""


class DrawnFrameEncoder:
    """A frame encoder that draws each frame with a renderer and encodes it."""

    is_instant = False

    def __init__(self, renderer: Renderer, encoders: Encoders, fps: int) -> None:
        self._renderer = renderer
        self._encoders = encoders
        self._fps = fps
        self._others: Encoders | None = None
        """Encoders for another size, while one is requested."""

    @property
    def frames(self) -> Mapping[Codec, int]:
        return self._encoders.frames

    def is_quick(self, index: int, codecs: Collection[Codec]) -> bool:
        size = self._encoders.size
        return (
            self._renderer.is_synthetic
            and set(codecs) <= _QUICK_CODECS
            and self._encoders.are_open(codecs)
            and size.width * size.height <= _QUICK_PIXELS
            and self._renderer.has_painted(index)
        )

    def prepare(self, moment: Moment) -> None:
        self._renderer.paint(moment)

    def make(
        self,
        stamp: FrameStamp,
        slot: int,
        codecs: Collection[Codec],
        *,
        keyframe: bool,
        resized: tuple[Codec, Size] | None = None,
    ) -> Made:
        frame = self._renderer.render(stamp.frame_index)
        self._go_over_to(resized[1] if resized is not None else None)
        packet = None
        if resized is not None and self._others is not None:
            codec, size = resized
            other = frame.reformat(width=size.width, height=size.height)
            self._stamp(other, stamp)
            packet = self._others.encode(other, slot, {codec}, keyframe=keyframe)[codec]
        self._stamp(frame, stamp)
        return Made(self._encoders.encode(frame, slot, codecs, keyframe=keyframe), packet)

    def _stamp(self, frame: av.VideoFrame, stamp: FrameStamp) -> None:
        if self._renderer.has_stamp:
            draw_stamp(frame, stamp)

    def rest(self) -> None:
        self._encoders.rest()
        self._go_over_to(None)

    def close(self) -> None:
        self._encoders.close()
        self._go_over_to(None)

    def _go_over_to(self, size: Size | None) -> None:
        if self._others is not None and self._others.size != size:
            self._others.close()
            self._others = None
        if self._others is None and size is not None:
            self._others = Encoders(size, self._fps, None)


def drawn(timeline: Timeline, bitrate: int | None) -> DrawnFrameEncoder:
    """Return a frame encoder that draws and encodes the frames of `timeline`."""
    return DrawnFrameEncoder(Renderer(timeline), Encoders(timeline.size, timeline.fps, bitrate), timeline.fps)
