"""Tests of the video encoder: each frame becomes one packet, which aiortc can send and which decodes without delay."""

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder, h264_depayload
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_mock.media.encoder import Codec, EncoderError, VideoEncoder, VideoPacket
from odyssey_mock.media.planes import planes_of
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, draw_stamp, read_stamp
from odyssey_mock.media.timeline import Size, Timeline

PORTRAIT, LANDSCAPE, SMALL = Size(704, 1280), Size(1280, 704), Size(176, 320)
CODECS: list[Codec] = ["h264", "vp8"]
NAL_SLICE, NAL_IDR, NAL_SEI, NAL_SPS, NAL_PPS = 1, 5, 6, 7, 8


@pytest.fixture(scope="module", params=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    chosen: Codec = request.param
    return chosen


class Stream:
    """A source of rendered frames, each of which is stamped with its index."""

    def __init__(self, size: Size = SMALL) -> None:
        self._renderer = Renderer(Timeline(tag=7, size=size, prompt="A snowy city at night"))

    def frame(self, index: int) -> av.VideoFrame:
        frame = self._renderer.render(index)
        draw_stamp(frame, self.stamp(index))
        return frame

    @staticmethod
    def stamp(index: int) -> FrameStamp:
        return FrameStamp(stream_tag=7, frame_index=index, prompt_revision=0, sent_at_ms=1_790_000_000_000 + 50 * index)


class Receiver:
    """A receiver that gets each frame as RTP payloads, joins them and decodes the frame."""

    def __init__(self, codec: Codec) -> None:
        context = av.CodecContext.create("h264" if codec == "h264" else "libvpx", "r")
        assert isinstance(context, av.VideoCodecContext)
        self._context = context
        self._pack = H264Encoder().pack if codec == "h264" else Vp8Encoder().pack
        self._depayload = h264_depayload if codec == "h264" else vp8_depayload

    def receive(self, packet: VideoPacket) -> list[av.VideoFrame]:
        payloads, _ = self._pack(packet)
        longest = max(map(len, payloads))
        assert longest <= 1300, f"expected RTP payloads of at most 1300 bytes, got one of {longest} bytes"
        return self._context.decode(av.Packet(b"".join(map(self._depayload, payloads))))


def encoded(encoder: VideoEncoder, stream: Stream, count: int) -> list[VideoPacket]:
    return [encoder.encode(stream.frame(index), index) for index in range(count)]


def nal_types(packet: VideoPacket) -> list[int]:
    return [unit[0] & 0x1F for unit in H264Encoder._split_bitstream(bytes(packet))]


@pytest.mark.parametrize("size", [PORTRAIT, LANDSCAPE, SMALL], ids=str)
def test_each_packet_decodes_to_its_frame_without_delay(codec: Codec, size: Size) -> None:
    encoder, stream, receiver = VideoEncoder(codec, size, 20), Stream(size), Receiver(codec)
    for index in range(8):
        (decoded,) = receiver.receive(encoder.encode(stream.frame(index), index))
        assert (decoded.width, decoded.height) == (size.width, size.height)
        assert read_stamp(decoded.to_ndarray(format="rgb24").astype(np.uint8, copy=False)) == stream.stamp(index)


def test_decoded_frame_resembles_the_original(codec: Codec) -> None:
    encoder, stream, receiver = VideoEncoder(codec, PORTRAIT, 20), Stream(PORTRAIT), Receiver(codec)
    for index in range(30):
        frame = stream.frame(index)
        (decoded,) = receiver.receive(encoder.encode(frame, index))
    error = planes_of(decoded).y.astype(float) - planes_of(frame).y
    psnr = 10 * np.log10(255**2 / (error**2).mean())
    assert psnr > 40, f"expected a PSNR of more than 40 dB for the decoded frame, got {psnr:.1f} dB"


def test_packet_time_is_the_frame_index(codec: Codec) -> None:
    encoder, stream = VideoEncoder(codec, SMALL, 25), Stream()
    for index in (0, 1, 5, 6):
        packet = encoder.encode(stream.frame(index), index)
        unit = packet.time_base
        assert (packet.pts, unit.numerator, unit.denominator) == (index, 1, 25)


def test_aiortc_converts_time_to_90_khz(codec: Codec) -> None:
    encoder, stream = VideoEncoder(codec, SMALL, 20), Stream()
    packer = H264Encoder() if codec == "h264" else Vp8Encoder()
    assert [packer.pack(packet)[1] for packet in encoded(encoder, stream, 3)] == [0, 4500, 9000]


def test_key_frames_are_two_seconds_apart(codec: Codec) -> None:
    packets = encoded(VideoEncoder(codec, SMALL, 20), Stream(), 85)
    assert [packet.pts for packet in packets if packet.is_keyframe] == [0, 40, 80]


@given(wanted=st.sets(st.integers(1, 19), max_size=5))
@settings(max_examples=10)
def test_key_frames_are_made_exactly_on_request(codec: Codec, wanted: set[int]) -> None:
    encoder, stream = VideoEncoder(codec, SMALL, 20), Stream()
    packets = [encoder.encode(stream.frame(index), index, keyframe=index in wanted) for index in range(20)]
    assert {packet.pts for packet in packets if packet.is_keyframe} == {0} | wanted


def test_late_receiver_decodes_from_a_key_frame_on(codec: Codec) -> None:
    encoder, stream = VideoEncoder(codec, SMALL, 20), Stream()
    encoded(encoder, stream, 7)
    late = Receiver(codec)
    for index in range(7, 12):
        (decoded,) = late.receive(encoder.encode(stream.frame(index), index, keyframe=index == 7))
        assert read_stamp(decoded.to_ndarray(format="rgb24").astype(np.uint8, copy=False)) == stream.stamp(index)


def test_same_frames_give_the_same_bytes(codec: Codec) -> None:
    one, other = (encoded(VideoEncoder(codec, SMALL, 20), Stream(), 12) for _ in range(2))
    assert [bytes(packet) for packet in one] == [bytes(packet) for packet in other]


def test_encoder_keeps_its_bitrate(codec: Codec) -> None:
    rates = {}
    for bitrate in (300_000, None):
        packets = encoded(VideoEncoder(codec, PORTRAIT, 20, bitrate), Stream(PORTRAIT), 40)
        rates[bitrate] = sum(packet.size for packet in packets) * 8 / 2
    assert rates[300_000] < 400_000
    assert 400_000 < rates[None] < 1_300_000


def test_video_without_movement_needs_few_bits(codec: Codec) -> None:
    stream, encoder = Stream(PORTRAIT), VideoEncoder(codec, PORTRAIT, 20)
    frame = stream.frame(0)
    sizes = [encoder.encode(frame, index).size for index in range(40)]
    assert max(sizes[20:]) < 1000


@pytest.mark.parametrize("still", [0, 5])
def test_h264_that_exceeds_its_bitrate_gets_rate_control(still: int) -> None:
    """Frames full of noise follow `still` frames of a scene; decoders and HLS need the same SPS and PPS throughout."""
    encoder, stream, receiver = VideoEncoder("h264", SMALL, 20, 300_000), Stream(), Receiver("h264")
    noise = np.random.default_rng(1).integers(16, 236, (20, SMALL.height - 16, SMALL.width), np.uint8)
    packets: list[VideoPacket] = []
    for index in range(still + len(noise)):
        frame = stream.frame(index)
        if index >= still:
            planes_of(frame).y[16:] = noise[index - still]
        packets.append(encoder.encode(frame, index))
        assert len(receiver.receive(packets[-1])) == 1
    assert encoder.frames == len(packets)
    keys = [packet for packet in packets if packet.is_keyframe]
    assert [packet.pts for packet in keys] == ([0, still] if still else [0])
    headers = [
        [unit for unit in H264Encoder._split_bitstream(bytes(packet)) if unit[0] & 0x1F in {NAL_SPS, NAL_PPS}]
        for packet in keys
    ]
    assert all(each == headers[0] for each in headers)
    controlled = packets[keys[-1].pts or 0 :]
    rate = sum(packet.size for packet in controlled) * 8 * 20 / len(controlled)
    assert rate < 600_000, f"expected rate control, got {rate:,.0f} bits per second"


def test_encoding_does_not_change_the_pixels(codec: Codec) -> None:
    frame = Stream().frame(0)
    before = [plane.copy() for plane in planes_of(frame)]
    VideoEncoder(codec, SMALL, 20).encode(frame, 0)
    assert all(map(np.array_equal, before, planes_of(frame)))


@pytest.mark.parametrize(
    ("frame", "got"),
    [
        (av.VideoFrame(704, 1280, "yuv420p"), "yuv420p of 704x1280"),
        (av.VideoFrame(176, 320, "rgb24"), "rgb24 of 176x320"),
    ],
    ids=["size", "format"],
)
def test_encoder_continues_after_a_rejected_frame(codec: Codec, frame: av.VideoFrame, got: str) -> None:
    encoder, stream = VideoEncoder(codec, SMALL, 20), Stream()
    encoder.encode(stream.frame(0), 0)
    with pytest.raises(EncoderError, match=f"expected a yuv420p frame of 176x320, got {got}"):
        encoder.encode(frame, 1)
    assert encoder.encode(stream.frame(1), 1).pts == 1


@pytest.mark.parametrize("index", [4, 3, -1])
def test_index_that_does_not_grow_is_rejected(codec: Codec, index: int) -> None:
    encoder, stream = VideoEncoder(codec, SMALL, 20), Stream()
    encoder.encode(stream.frame(4), 4)
    with pytest.raises(EncoderError, match=f"above 4, got {index}"):
        encoder.encode(stream.frame(5), index)
    assert encoder.encode(stream.frame(5), 5).pts == 5


def test_closed_encoder_rejects_frames(codec: Codec) -> None:
    encoder, stream = VideoEncoder(codec, SMALL, 20), Stream()
    encoder.encode(stream.frame(0), 0)
    encoder.close()
    encoder.close()
    with pytest.raises(EncoderError, match="closed"):
        encoder.encode(stream.frame(1), 1)


@pytest.mark.parametrize(("fps", "bitrate"), [(0, None), (20, 0), (-1, 100)])
def test_fps_or_bitrate_below_one_is_rejected(codec: Codec, fps: int, bitrate: int | None) -> None:
    with pytest.raises(ValueError, match="at least 1 frame and 1 bit"):
        VideoEncoder(codec, SMALL, fps, bitrate)


def test_h264_packets_have_profile_level_and_headers() -> None:
    encoder, stream = VideoEncoder("h264", PORTRAIT, 20), Stream(PORTRAIT)
    packets = [encoder.encode(stream.frame(index), index, keyframe=index == 3) for index in range(5)]
    for packet in packets:
        expected = [NAL_SPS, NAL_PPS, NAL_IDR] if packet.is_keyframe else [NAL_SLICE]
        assert [kind for kind in nal_types(packet) if kind != NAL_SEI] == expected
    sps = next(H264Encoder._split_bitstream(bytes(packets[3])))
    profile, constraints, level = sps[1:4]
    assert (profile, constraints & 0xC0, level) == (0x42, 0xC0, 0x1F)
