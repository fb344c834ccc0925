"""Video encoders: each frame becomes one H.264 or VP8 packet, without delay, for all receivers of a stream.

All receivers get the same packets, so the encoder does not adapt its bitrate to any of them. Key frames are frequent,
and `keyframe=True` requests one for a receiver that joins or loses a packet.

H.264 starts with a constant quality, because this takes two thirds of the CPU time of rate control, and the scenes need
less than half of the default bitrate. Rate control begins when the video needs more bits than the maximum bitrate
allows, for example with a start image that is full of details.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
from av.video.frame import PictureType
from av.video.stream import VideoStream

from odyssey_mock.media.keyframes import GROUP_SECONDS
from odyssey_mock.media.timeline import Size

type Codec = Literal["h264", "vp8"]

# An alias is only evaluated by type checkers: to them av.Packet is generic, at run time it is not.
type VideoPacket = av.Packet[VideoStream]

DEFAULT_BITRATE = 1_000_000
"""Default maximum of bits per second. With rate control, text of 14 px is still legible at 450,000."""

QUANTIZER = 26
"""The quantization parameter of H.264 at constant quality, at which scenes reach at least 46 dB PSNR."""

COLOUR_BT601 = 6
"""The number of the color matrix SMPTE 170M (ITU-R BT.601) in H.264 and libav. VP8 supports no other matrix."""


class EncoderError(RuntimeError):
    """The encoder cannot encode the given frame, or libav did not return exactly one packet for it."""


@dataclass(frozen=True, slots=True)
class _Recipe:
    library: str
    options: Mapping[str, str]
    constant_quality: Mapping[str, str] | None = None
    """Further options, with which the library encodes without rate control; None if rate control costs nothing."""
    profile: str | None = None


_RECIPES: Mapping[Codec, _Recipe] = {
    "h264": _Recipe(
        library="libx264",
        # profile-level-id=42e01f, in the SDP of aiortc and browsers, means Constrained Baseline, level 3.1. This level
        # allows 3,600 macroblocks per frame; 704x1280 has 3,520.
        profile="Baseline",
        options={
            "preset": "ultrafast",
            "tune": "zerolatency",
            "level": "3.1",
            "forced-idr": "1",
            # `stitchable`: SPS and PPS do not depend on the rate control, so they stay the same when it begins.
            "x264-params": "repeat-headers=1:annexb=1:sliced-threads=0:scenecut=0:stitchable=1",
        },
        constant_quality={"qp": str(QUANTIZER)},
    ),
    "vp8": _Recipe(
        library="libvpx",
        options={
            "deadline": "realtime",
            # A negative value is a fixed speed. A positive one adapts to the machine's load, so the bytes would vary.
            "cpu-used": "-16",
            "lag-in-frames": "0",
            "error-resilient": "default",
            "auto-alt-ref": "0",
            "static-thresh": "1000",
            # Without a minimum, the encoder refines still parts of the scene until they use the whole bitrate.
            "qmin": "14",
        },
    ),
}


class VideoEncoder:
    """An encoder of one stream in one codec. Not thread-safe: use it from one thread at a time.

    Args:
        codec: "h264" (Constrained Baseline, level 3.1, Annex B) or "vp8".
        size: size of every frame.
        fps: frames per second.
        bitrate: maximum bits per second, averaged over a second; None: `DEFAULT_BITRATE`.

    Raises:
        ValueError: `fps` or `bitrate` is less than 1.
    """

    def __init__(self, codec: Codec, size: Size, fps: int, bitrate: int | None = None) -> None:
        bitrate = DEFAULT_BITRATE if bitrate is None else bitrate
        if fps < 1 or bitrate < 1:
            raise ValueError(f"expected at least 1 frame and 1 bit per second, got fps={fps}, bitrate={bitrate}")
        self.codec: Codec = codec
        self.size = size
        self.time_base = Fraction(1, fps)
        self.frames = 0
        """Number of frames encoded so far."""
        self._fps = fps
        self._bitrate = bitrate
        self._last_index: int | None = None
        self._has_rate_control = _RECIPES[codec].constant_quality is None
        self._bits = 0.0
        """Content of a leaky bucket, which loses `bitrate` bits per second; used without rate control."""
        self._context: av.VideoCodecContext | None = self._open()

    def _open(self) -> av.VideoCodecContext:
        recipe = _RECIPES[self.codec]
        context = av.CodecContext.create(recipe.library, "w")
        if not isinstance(context, av.VideoCodecContext):
            raise EncoderError(f"expected {recipe.library} to be a video encoder, got {type(context).__name__}")
        context.width, context.height = self.size.width, self.size.height
        context.pix_fmt = "yuv420p"
        context.time_base = self.time_base
        context.framerate = Fraction(self._fps)
        context.gop_size = max(1, round(self._fps * GROUP_SECONDS))
        context.max_b_frames = 0
        # One thread: streams are already encoded in parallel, and threads of the encoder would add a frame of delay.
        context.thread_count = 1
        context.colorspace = context.color_primaries = context.color_trc = COLOUR_BT601
        context.options = dict(recipe.options)
        if self._has_rate_control:
            context.bit_rate = context.max_bit_rate = context.rc_buffer_size = self._bitrate
        elif recipe.constant_quality is not None:
            context.options = {**recipe.options, **recipe.constant_quality}
        if recipe.profile is not None:
            context.profile = recipe.profile
        return context

    def encode(self, frame: av.VideoFrame, index: int, *, keyframe: bool = False) -> VideoPacket:
        """Encode `frame` as frame `index` of the stream. Skipped indexes appear as a pause in the video.

        `index` must be greater than that of the previous frame. If `keyframe` is true, the packet is a key frame, which
        can be decoded without earlier packets. Encoding sets `pts`, `time_base` and `pict_type` of the frame, so two
        encoders must not encode the same frame at the same time. The pixels do not change.

        Returns:
            One packet with `pts` = `index` in units of 1/fps: an access unit in Annex B (H.264; a key frame carries SPS
            and PPS) or a VP8 frame.

        Raises:
            EncoderError: the frame has another size or pixel format, `index` is not above the last one, the encoder is
                closed, or libav did not return exactly one packet.
        """
        if self._context is None:
            raise EncoderError("expected an open encoder, got a closed one; create a new VideoEncoder")
        if (frame.width, frame.height, frame.format.name) != (self.size.width, self.size.height, "yuv420p"):
            raise EncoderError(
                f"expected a yuv420p frame of {self.size}, got {frame.format.name} of {frame.width}x{frame.height}; "
                "make a new VideoEncoder when the size changes"
            )
        if self._last_index is not None and index <= self._last_index:
            raise EncoderError(f"expected a frame index above {self._last_index}, got {index}")
        packet = self._encoded(self._context, frame, index, keyframe=keyframe)
        if not self._has_rate_control and self._exceeds_bitrate(packet, index):
            self._has_rate_control = True
            self._context = self._open()
            packet = self._encoded(self._context, frame, index, keyframe=True)
        self._last_index = index
        self.frames += 1
        return packet

    def _encoded(
        self, context: av.VideoCodecContext, frame: av.VideoFrame, index: int, *, keyframe: bool
    ) -> VideoPacket:
        frame.pts = index
        frame.time_base = self.time_base
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        packets = context.encode(frame)
        if len(packets) != 1:
            raise EncoderError(f"expected one packet for frame {index}, got {len(packets)} from {self.codec}")
        return packets[0]

    def _exceeds_bitrate(self, packet: VideoPacket, index: int) -> bool:
        """Return whether the bucket overflows with `packet`: it holds the bits of one second."""
        elapsed = 0 if self._last_index is None else index - self._last_index
        self._bits = max(0.0, self._bits - elapsed * self._bitrate / self._fps) + 8 * packet.size
        return self._bits > self._bitrate

    def close(self) -> None:
        """Free the encoder. A second call has no effect."""
        self._context = None
