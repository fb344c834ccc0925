"""Tests of HLS segments: their start and duration, their contents, and how long they are kept."""

import asyncio
import io
from fractions import Fraction

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey_mock import FrameStamp, read_stamp
from odyssey_mock.broadcasts import hls as hls_module
from odyssey_mock.broadcasts.hls import HlsStream, NoPlaylistError
from odyssey_mock.media.encoder import VideoEncoder, VideoPacket
from odyssey_mock.media.stamp import draw_stamp
from odyssey_mock.media.timeline import Size
from tests.support.hls import DELTA, KEY, RENDERER, SIZE, STARTED, Streamed, encoded, read_playlist
from tests.support.raw import LIMIT


@given(
    fps=st.sampled_from([1, 7, 20, 60]),
    slots=st.integers(1, 40),
    frames=st.integers(1, 200),
    segments=st.integers(1, 200),
)
@settings(max_examples=50)
def test_segments_have_the_configured_duration(fps: int, slots: int, frames: int, segments: int) -> None:
    async def run() -> None:
        stream = Streamed(fps, slots / fps, 200)
        stream.push_all(range(frames))
        stream.hls.finish()
        lengths = [round(segment.seconds * fps) for segment in (await stream.playlist()).segments]
        whole, rest = divmod(frames, slots)
        assert lengths == [slots] * whole + [rest] * (rest > 0)

    asyncio.run(run())


async def test_key_frame_is_requested_one_frame_ahead() -> None:
    stream = Streamed(fps=20, segment_duration=0.5)
    asked = []
    for slot in range(40):
        stream.push(slot)
        asked += [slot] if stream.wanted else []
    assert asked == [9, 19, 29, 39]


async def test_stall_raises_the_target_duration() -> None:
    stream = Streamed(fps=20)
    stream.push_all(range(20))
    stream.push_all([20, 69, 70])
    playlist = await stream.playlist()
    assert [segment.seconds for segment in playlist.segments] == [1, Fraction(5, 2)]
    assert playlist.target == 3, (
        f"expected a target duration of 3 s, the longest segment (2.5 s) rounded; got {playlist.target} s"
    )


async def test_long_segment_is_kept_after_leaving_the_playlist() -> None:
    stream = Streamed(fps=1, segments=2)
    stream.push_all([0, 10, *range(11, 33)])
    # Segment 0 lasts 10 s and leaves the playlist at 12 s. The longest playlist that listed it lasted 11 s, so it is
    # deleted 10 + 11 s after it left.
    assert stream.hls.file("segment_0.mp4")
    stream.push(33)
    assert stream.hls.file("segment_0.mp4") is None


async def test_number_of_kept_segments_is_bounded() -> None:
    stream = Streamed(fps=20, segment_duration=0.1, segments=3)
    most = 0
    for slot in range(2000):
        stream.push(slot)
        most = max(most, len(stream.hls._segments))
    assert most == 7, f"expected at most 7 stored segments, 3 in the playlist and 4 removed from it; got {most}"
    size = len(KEY) + len(DELTA)
    assert sum(len(segment.data) for segment in stream.hls._segments) < 7 * (size + 500)


async def test_playlist_waits_for_the_first_segment() -> None:
    stream = Streamed(segment_duration=0.1)
    waiting = asyncio.create_task(stream.hls.playlist("?token=x"))
    stream.push_all(range(2))
    await asyncio.wait([waiting], timeout=0)
    assert not waiting.done()
    stream.push(2)
    async with asyncio.timeout(LIMIT):
        assert [each.uri for each in read_playlist(await waiting).segments] == ["segment_0.mp4?token=x"]


async def test_waiting_for_the_first_segment_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hls_module.FIRST_SEGMENT_LIMIT == 10
    monkeypatch.setattr(hls_module, "FIRST_SEGMENT_LIMIT", 0.01)
    stream = Streamed()
    stream.push(0)
    async with asyncio.timeout(LIMIT):
        with pytest.raises(NoPlaylistError, match=r"no segment was complete within 0\.01 s"):
            await stream.hls.playlist("")


@pytest.mark.parametrize("end", ["finish", "close"])
async def test_pending_playlist_fails_when_stream_ends_early(end: str) -> None:
    stream = Streamed()
    if end == "close":
        stream.push(0)
    waiting = asyncio.create_task(stream.hls.playlist(""))
    await asyncio.wait([waiting], timeout=0)
    getattr(stream.hls, end)()
    async with asyncio.timeout(LIMIT):
        with pytest.raises(NoPlaylistError, match="without a frame, or its playlist was deleted"):
            await waiting


async def test_closed_stream_has_no_files() -> None:
    stream = Streamed(segment_duration=0.1)
    stream.push_all(range(10))
    stream.hls.close()
    stream.hls.close()
    assert stream.hls.file("init.mp4") is None
    assert stream.hls.file("segment_0.mp4") is None
    with pytest.raises(NoPlaylistError):
        await stream.hls.playlist("")


async def test_finish_is_final_and_idempotent() -> None:
    stream = Streamed()
    stream.push_all(range(25))
    stream.hls.finish()
    ended = await stream.hls.playlist("")
    stream.hls.finish()
    stream.push(25, keyframe=True)
    stream.push(60, keyframe=True)
    assert await stream.hls.playlist("") == ended
    assert [len(stream.packets(f"segment_{number}.mp4")) for number in range(2)] == [20, 5]


async def test_stream_of_one_frame_is_one_segment() -> None:
    stream = Streamed()
    stream.push(0)
    stream.hls.finish()
    playlist = await stream.playlist()
    assert ([segment.seconds for segment in playlist.segments], playlist.is_over) == ([Fraction(1, 20)], True)
    assert stream.packets("segment_0.mp4") == [(0, True)]


async def test_first_segment_begins_with_a_key_frame() -> None:
    stream = Streamed(segment_duration=0.1, wanted=False)
    stream.push(0)
    stream.push(1)
    assert not stream.wanted, "expected no key-frame request before the first segment, got one"
    stream.push(2, keyframe=True)
    stream.hls.finish()
    assert stream.packets("segment_0.mp4") == [(0, True)]
    assert (await stream.playlist()).segments[0].began == STARTED


def test_muxing_does_not_modify_the_packets() -> None:
    stream = Streamed(segment_duration=0.1)

    def looks(packet: VideoPacket) -> tuple[object, ...]:
        return (
            bytes(packet), packet.pts, packet.dts, packet.duration, packet.time_base, packet.is_keyframe,
            packet.stream_index, packet.buffer_ptr,
        )  # fmt: skip

    for packet in encoded(12):
        before = looks(packet)
        stream.hls.push(packet)
        assert looks(packet) == before
    stream.hls.finish()


@given(
    frames=st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=40),
    segment_duration=st.sampled_from([0.1, 0.25, 0.5]),
)
@settings(max_examples=15)
def test_each_segment_can_be_decoded_alone(frames: list[tuple[int, bool]], segment_duration: float) -> None:
    asked, slot = [True], 0
    stream = HlsStream(
        SIZE, 20, segment_duration=segment_duration, segments=200, started_at=STARTED,
        want_keyframe=lambda: asked.append(True),
    )  # fmt: skip
    encoder = VideoEncoder("h264", SIZE, 20)
    for index, (gap, keyframe) in enumerate(frames):
        slot += gap
        frame = RENDERER.render(index)
        draw_stamp(frame, FrameStamp(stream_tag=1, frame_index=index, prompt_revision=0, sent_at_ms=slot))
        stream.push(encoder.encode(frame, slot, keyframe=keyframe or bool(asked)))
        asked.clear()
    stream.finish()
    playlist = read_playlist(asyncio.run(stream.playlist("")))
    init, read = stream.file("init.mp4") or b"", []
    for segment in playlist.segments:
        with av.open(io.BytesIO(init + (stream.file(segment.name) or b"")), "r") as container:
            decoded = list(container.decode(video=0))
        assert decoded[0].key_frame
        read += [read_stamp(frame.to_ndarray(format="gray")) for frame in decoded]
    assert [stamp and stamp.frame_index for stamp in read] == list(range(len(frames)))


@pytest.mark.parametrize("size", [SIZE, Size(704, 1280), Size(1280, 704)], ids=str)
def test_initialization_section_has_profile_and_size(size: Size) -> None:
    stream = Streamed(segment_duration=0.1, size=size)
    for packet in encoded(3, size):
        stream.hls.push(packet)
    stream.hls.finish()
    init = stream.hls.file("init.mp4") or b""
    assert init[4:8] == b"ftyp"
    assert b"moof" not in init
    # ISO/IEC 14496-15 section 5.3.3.1: version, profile, constraints, level: avc1.42C01F, which is Constrained Baseline
    # at level 3.1.
    at = init.index(b"avcC") + 4
    assert init[at : at + 4].hex() == "0142c01f"
    with av.open(io.BytesIO(init + (stream.hls.file("segment_0.mp4") or b"")), "r") as container:
        video = container.streams.video[0]
        assert (video.codec_context.profile, video.width, video.height) == (
            "Constrained Baseline", size.width, size.height,
        )  # fmt: skip
