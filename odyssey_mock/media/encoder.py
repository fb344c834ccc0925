"""Frames to packets that every receiver of a stream shares: H.264 or VP8, one packet a frame, at once.

Packets are sent as they are by a track whose sender only packetises, so nobody can ask the encoder for more or fewer
bits later on: groups of pictures are short, and whoever joins or loses a packet gets a key frame by `keyframe=True`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
from av.video.frame import PictureType
from av.video.stream import VideoStream

from odyssey_mock.media.timeline import Size

type Codec = Literal["h264", "vp8"]

# An alias is only evaluated by type checkers: to them av.Packet is generic, at run time it is not.
type VideoPacket = av.Packet[VideoStream]

DEFAULT_BITRATE = 1_000_000
"""Bits per second: 46 dB PSNR and better over our scenes in both codecs; 14 px text is still legible at 450,000."""

GROUP_SECONDS = 2.0
"""Between two key frames that nobody asked for."""

COLOUR_BT601 = 6
"""SMPTE 170M, the matrix of ITU-R BT.601, as H.264 and libav number it; VP8 knows no other."""


class EncoderError(RuntimeError):
    """A frame was given that this encoder cannot take, or libav did not give the one packet it promised."""


@dataclass(frozen=True, slots=True)
class _Recipe:
    library: str
    bitrate: int
    options: Mapping[str, str]
    profile: str | None = None


_RECIPES: Mapping[Codec, _Recipe] = {
    "h264": _Recipe(
        library="libx264",
        bitrate=DEFAULT_BITRATE,
        # Constrained Baseline at level 3.1 is what profile-level-id=42e01f promises in aiortc's and browsers' SDP. It
        # allows 3,600 macroblocks a frame, of which 704x1280 has 3,520.
        profile="Baseline",
        options={
            "preset": "ultrafast",
            "tune": "zerolatency",
            "level": "3.1",
            "forced-idr": "1",
            "x264-params": "repeat-headers=1:annexb=1:sliced-threads=0:scenecut=0",
        },
    ),
    "vp8": _Recipe(
        library="libvpx",
        bitrate=DEFAULT_BITRATE,
        options={
            "deadline": "realtime",
            # Negative is a fixed speed; a positive one follows the machine's load, and no two runs give the same bytes.
            "cpu-used": "-8",
            "lag-in-frames": "0",
            "error-resilient": "default",
            "auto-alt-ref": "0",
            "static-thresh": "100",
        },
    ),
}


class VideoEncoder:
    """The encoder of one stream in one codec. Not thread-safe: call it from one thread at a time.

    Args:
        codec: "h264" (Constrained Baseline, level 3.1, Annex B) or "vp8".
        size: of every frame.
        fps: frames per second.
        bitrate: bits per second that it may use, averaged over a second; None: the codec's default.

    Raises:
        ValueError: no frames per second or no bits.
    """

    def __init__(self, codec: Codec, size: Size, fps: int, bitrate: int | None = None) -> None:
        recipe = _RECIPES[codec]
        bitrate = recipe.bitrate if bitrate is None else bitrate
        if fps < 1 or bitrate < 1:
            raise ValueError(f"expected at least 1 frame and 1 bit per second, got fps={fps}, bitrate={bitrate}")
        self.codec: Codec = codec
        self.size = size
        self.time_base = Fraction(1, fps)
        self.frames = 0
        """How many it has encoded."""
        self._last_index: int | None = None
        context = av.CodecContext.create(recipe.library, "w")
        if not isinstance(context, av.VideoCodecContext):
            raise EncoderError(f"expected a video encoder, got {recipe.library}")
        context.width, context.height = size.width, size.height
        context.pix_fmt = "yuv420p"
        context.time_base = self.time_base
        context.framerate = Fraction(fps)
        context.bit_rate = context.max_bit_rate = bitrate
        context.rc_buffer_size = bitrate
        context.gop_size = max(1, round(fps * GROUP_SECONDS))
        context.max_b_frames = 0
        # One thread: frames of many streams are encoded side by side, and its own threads would add a frame of delay.
        context.thread_count = 1
        context.colorspace = context.color_primaries = context.color_trc = COLOUR_BT601
        context.options = dict(recipe.options)
        if recipe.profile is not None:
            context.profile = recipe.profile
        self._context: av.VideoCodecContext | None = context

    def encode(self, frame: av.VideoFrame, index: int, *, keyframe: bool = False) -> VideoPacket:
        """Encode `frame` as number `index` (growing; a gap is time that passed).

        With `keyframe` it will decode by itself. Sets the frame's `pts`, `time_base` and `pict_type`, so one frame must
        not be in two encoders at the same time; the pixels stay as they are.

        Returns:
            One packet with `pts` = `index` in units of 1/fps: an access unit in Annex B (H.264; a key frame carries SPS
            and PPS) or a VP8 frame.

        Raises:
            EncoderError: another size or pixel format, an index that does not grow, or a closed encoder.
        """
        if self._context is None:
            raise EncoderError("expected an open encoder, got a closed one; make a new VideoEncoder")
        if (frame.width, frame.height, frame.format.name) != (self.size.width, self.size.height, "yuv420p"):
            raise EncoderError(
                f"expected a yuv420p frame of {self.size}, got {frame.format.name} of {frame.width}x{frame.height}; "
                "make a new VideoEncoder when the size changes"
            )
        if self._last_index is not None and index <= self._last_index:
            raise EncoderError(f"expected an index above {self._last_index}, got {index}")
        frame.pts = index
        frame.time_base = self.time_base
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        packets = self._context.encode(frame)
        if len(packets) != 1:
            raise EncoderError(f"expected one packet for frame {index}, got {len(packets)} from {self.codec}")
        self._last_index = index
        self.frames += 1
        return packets[0]

    def close(self) -> None:
        """Free the encoder; may be called twice."""
        self._context = None
