"""The packets of one timeline: what a stream is made into, frame by frame, for whoever watches it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from odyssey_mock.media.encoder import Codec, VideoPacket
from odyssey_mock.media.encoders import Encoders
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, draw_stamp
from odyssey_mock.media.timeline import Size, Timeline


@dataclass(frozen=True, slots=True)
class Made:
    """One frame, encoded."""

    packets: Mapping[Codec, VideoPacket]
    resized: VideoPacket | None = None
    """The one in another size, where that was asked for."""


class CountsFrames(Protocol):
    """What can say how much was encoded."""

    @property
    def frames(self) -> Mapping[Codec, int]:
        """How many frames were encoded in each codec; still there at the end."""


class FrameEncoder(CountsFrames, Protocol):
    """The packets of one timeline. Not thread-safe: one call at a time."""

    @property
    def is_instant(self) -> bool:
        """Whether its calls cost next to nothing, so that none needs a thread of its own."""

    def prepare(self) -> None:
        """Make ahead what the first frame needs.

        Raises:
            PictureError: the timeline's image cannot be shown.
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
        """Make the frame that `stamp` names, with the stamp on it, as number `slot` (growing) in each of `codecs`.

        `resized`: make it once more, in that codec and size. A codec or a size that is new begins with a key frame.

        Raises:
            EncoderError: as `VideoEncoder.encode` does.
        """

    def close(self) -> None:
        """Free what encodes; may be called twice."""


type MakeFrameEncoder = Callable[[Timeline, int | None], FrameEncoder]
"""Makes the frame encoder of a timeline, at so many bits a second (None: the codec's default)."""


class DrawnFrameEncoder:
    """Frames drawn by a renderer, and encoded: what everybody can see."""

    is_instant = False

    def __init__(self, renderer: Renderer, encoders: Encoders, fps: int) -> None:
        self._renderer = renderer
        self._encoders = encoders
        self._fps = fps
        self._others: Encoders | None = None
        """Of another size, while that is asked for."""

    @property
    def frames(self) -> Mapping[Codec, int]:
        return self._encoders.frames

    def prepare(self) -> None:
        # Composing a scene takes tens of milliseconds, and is then kept.
        self._renderer.render(0)

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
            draw_stamp(other, stamp)
            packet = self._others.encode(other, slot, {codec}, keyframe=keyframe)[codec]
        draw_stamp(frame, stamp)
        return Made(self._encoders.encode(frame, slot, codecs, keyframe=keyframe), packet)

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
    """Draw and encode a timeline."""
    return DrawnFrameEncoder(Renderer(timeline), Encoders(timeline.size, timeline.fps, bitrate), timeline.fps)
