"""Tests of `assert_frames`: its checks, the accepted types of frames, and its failure messages."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from odyssey_client import Odyssey, VideoFrame
from odyssey_mock import ExpectationError, FrameStamp, MockOdyssey, assert_frames
from odyssey_mock.assertions.frames import Frame
from odyssey_mock.media.planes import planes_of
from odyssey_mock.media.stamp import draw_stamp

SENT_AT_MS = 1_790_000_000_000
TAG = 7


def stamp(number: int, *, interaction: int = 0, tag: int = TAG) -> FrameStamp:
    return FrameStamp(tag, number, interaction, SENT_AT_MS + 50 * number)


def idle(number: int) -> FrameStamp:
    return FrameStamp(None, number, None, SENT_AT_MS)


def stamps(*numbers: int) -> list[FrameStamp]:
    return [stamp(number) for number in numbers]


def drawn(number: int, width: int = 704, height: int = 1280) -> av.VideoFrame:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in planes_of(frame):
        plane[:] = 120
    draw_stamp(frame, stamp(number))
    return frame


@dataclass
class Decoded:
    """A frame type of another library, with the pixels in its attribute `data`."""

    data: NDArray[np.uint8]


def rgb(number: int, width: int = 704, height: int = 1280) -> NDArray[np.uint8]:
    return drawn(number, width, height).to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def failure(frames: Sequence[Frame], **checks: object) -> str:
    with pytest.raises(ExpectationError) as error:
        assert_frames(frames, **checks)  # type: ignore[arg-type]  # each test passes valid keywords
    return str(error.value)


def test_frames_of_all_kinds_are_read() -> None:
    frames: list[Frame] = [
        rgb(0),
        drawn(1).to_ndarray(format="gray").astype(np.uint8, copy=False),
        drawn(2),
        VideoFrame(drawn(3), 0.0),
        Decoded(rgb(4)),
        Image.fromarray(rgb(5)),
        stamp(6),
        (rgb(7), 1.5),
    ]
    assert assert_frames(frames, count=8) == stamps(*range(8))
    assert assert_frames(iter(frames)) == stamps(*range(8))
    assert assert_frames(np.stack([rgb(0), rgb(1)])) == stamps(0, 1)


def test_missing_repeated_and_reordered_frames_are_shown() -> None:
    assert failure(stamps(3, 4, 7, 7, 6, 20, 21)) == (
        "checks of 7 frames (numbers 3 to 21, stream tag 7) failed:\n"
        "  contiguous: expected consecutive frame numbers, got 4 breaks\n"
        "    frame 4 -> 7: 1 frame missing (5), at frames[2]\n"
        "    frame 7 -> 7: repeated, at frames[3]\n"
        "    frame 7 -> 6: out of order, at frames[4]\n"
        "    and 1 more"
    )
    assert "frame 6 -> 20: 13 frames missing (7 to 19), at frames[1]" in failure(stamps(6, 20))
    assert "frame 6 -> 20: 12 frames missing (7 to 19), at frames[2]" in failure(stamps(9, 6, 20))
    assert "missing" not in failure(stamps(1, 3, 2, 4))
    assert_frames(stamps(3, 4, 7, 7, 6, 20, 21), contiguous=False)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6))
def test_only_consecutive_numbers_are_contiguous(numbers: list[int]) -> None:
    if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        assert_frames(stamps(*numbers))
    else:
        assert "contiguous: expected consecutive frame numbers, got" in failure(stamps(*numbers))


def test_last_frame_must_show_the_interaction() -> None:
    frames = [stamp(0), stamp(1), stamp(2, interaction=1), stamp(3, interaction=1)]
    assert_frames(frames, after_interact=1)
    assert failure(frames, after_interact=2) == (
        "checks of 4 frames (numbers 0 to 3, stream tag 7) failed:\n"
        "  after_interact: expected the last frame to show interaction 2 or later, got interaction 1 since frame 2"
    )
    assert failure(frames[:2], after_interact=1).endswith(
        "expected the last frame to show interaction 1 or later, got only the prompt of the start in every frame"
    )


def received(*ages_ms: float) -> Iterator[tuple[FrameStamp, float]]:
    for number, age in enumerate(ages_ms):
        frame = stamp(number)
        yield frame, (frame.sent_at_ms + age) / 1000


def test_oldest_frames_are_shown() -> None:
    assert_frames(received(40, 200, 0), max_age_ms=200.5)
    assert failure([*received(40, 300, 20, 512, 250, 41, 210)], max_age_ms=200) == (
        "checks of 7 frames (numbers 0 to 6, stream tag 7) failed:\n"
        "  max_age_ms: expected an age of at most 200 ms, got more in 4 of 7 frames, median age of all frames 210 ms\n"
        "    frame 3: 512 ms, at frames[3]\n"
        "    frame 1: 300 ms, at frames[1]\n"
        "    frame 4: 250 ms, at frames[4]\n"
        "    and 1 more"
    )


@pytest.mark.parametrize("age", [-5.0, 3_600_000.0])
def test_different_clocks_are_explained(age: float) -> None:
    assert failure([*received(10, age)], max_age_ms=200).endswith(
        'for a mock with clock="manual" or speed, pass pairs (frame, mock.clock.time())'
    )


def test_client_frame_knows_when_it_arrived() -> None:
    frame = VideoFrame(drawn(0), 0.0, SENT_AT_MS / 1000 + 0.3)
    assert_frames([frame], max_age_ms=301)
    assert "frame 0: 300 ms" in failure([frame], max_age_ms=200)


def test_age_needs_a_time_of_reception() -> None:
    with pytest.raises(ValueError, match=r"frames\[1\] has none; pass pairs, .*: \(frame, mock\.clock\.time\(\)\)$"):
        assert_frames([*received(10), stamp(1)], max_age_ms=200)


def test_frames_of_another_size_are_shown() -> None:
    assert_frames([drawn(0), rgb(1)], size=(704, 1280))
    assert failure([drawn(0), drawn(1, 1280, 704)], size=(704, 1280)) == (
        "checks of 2 frames (numbers 0 to 1, stream tag 7) failed:\n"
        "  size: expected 704x1280, got another size in 1 of 2 frames\n"
        "    frame 1: 1280x704, at frames[1]"
    )
    with pytest.raises(ValueError, match=r"^size needs frames with pixels, got a FrameStamp as frames\[0\]$"):
        assert_frames(stamps(0), size=(704, 1280))


def test_number_of_frames_is_checked() -> None:
    assert_frames(stamps(0, 1, 2), count=3, min_count=2)
    assert failure(stamps(0, 1, 2), count=4).endswith("count: expected 4 frames, got 3")
    assert failure(stamps(0), min_count=4).endswith("min_count: expected at least 4 frames, got 1")


def test_all_failed_checks_are_shown_together() -> None:
    message = failure([stamp(0), stamp(2)], count=3, after_interact=1)
    assert [line.strip().partition(":")[0] for line in message.splitlines()[1:]] == [
        "count",
        "contiguous",
        "frame 0 -> 2",
        "after_interact",
    ]


def test_message_of_a_bad_stream_stays_short() -> None:
    frames = [(frame, 0.0) if frame.frame_index % 3 else (None, 0.0) for frame in stamps(*range(0, 300, 2))]
    message = failure(frames, after_interact=4, max_age_ms=1, count=2)
    assert len(message.splitlines()) <= 15


def test_idle_frames_around_the_stream_are_ignored() -> None:
    frames = [idle(8), idle(9), *stamps(0, 1, 2), idle(0)]
    assert assert_frames(frames, count=3) == stamps(0, 1, 2)
    assert failure([stamp(0), idle(0), idle(1), stamp(1)]) == (
        "checks of 2 frames (numbers 0 to 1, stream tag 7) failed:\n"
        "  stream: expected only frames of the stream between its first and its last one, got 2 other frames; "
        "the first is frames[1], which shows the idle scene"
    )


def test_one_of_several_streams_can_be_selected() -> None:
    frames = [*stamps(0, 1), stamp(0, tag=8), stamp(1, tag=8)]
    assert [each.stream_tag for each in assert_frames(frames, stream=8)] == [8, 8]
    assert failure(frames) == (
        "expected frames of one stream, got stream tags 7 (2 frames), 8 (2 frames); "
        "to check one of them, pass stream=mock.streams[stream_id]"
    )
    assert failure(frames, stream=9).startswith(
        "expected frames of the stream with tag 9, got 4 frames of stream tags 7, 8;"
    )


def test_absence_of_stream_frames_is_explained() -> None:
    assert failure([]).startswith("expected frames, got none; was the reader created before the frames were sent?")
    assert failure([idle(0), idle(1)]).startswith(
        "expected frames of a stream, got 2 frames of the idle scene, which the mock shows outside streams; start"
    )
    assert failure([np.zeros((1280, 704, 3), np.uint8)]).startswith(
        "expected frames with the stamps of the mock, got 1 frame without a readable stamp; "
    )


@pytest.mark.odyssey(overlay="none", portrait_size=(176, 320))
async def test_missing_stamps_are_explained_by_the_overlay(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    stream = await odyssey_client.connect()
    stream_id = await odyssey_client.start_stream("A cat")
    async with asyncio.timeout(20):
        frames = [await anext(stream.frames())]
    with pytest.raises(ExpectationError) as failed:
        assert_frames(frames, stream=odyssey_mock.streams[stream_id])
    assert str(failed.value) == (
        f'expected frames with stamps, but stream {stream_id} has none because of the setting overlay="none"; '
        'use overlay="stamp" or overlay="full"'
    )
    # Without the stream, the reason is not known.
    assert 'a mock with the setting overlay="none" draws none' in failure(frames)


def test_unreadable_frames_are_shown_once() -> None:
    blank = np.zeros((1280, 704, 3), np.uint8)
    assert failure([rgb(0), blank, rgb(2), None]) == (
        "checks of 2 frames (numbers 0 to 2, stream tag 7) failed:\n"
        "  stamps: expected a readable stamp on every frame, got none on frames[1], frames[3]"
    )
    assert failure([*[None] * 6, stamp(0)]).endswith("got none on frames[0], frames[1], frames[2] and 3 more")


@pytest.mark.parametrize("checks", [{"after_interact": 0}, {"count": 0}, {"min_count": True}, {"max_age_ms": 0}])
def test_invalid_limits_are_rejected(checks: dict[str, int]) -> None:
    (name,) = checks
    with pytest.raises(ValueError, match=rf"^{name} must be a "):
        assert_frames(stamps(0), **checks)  # type: ignore[arg-type]  # invalid on purpose


def test_id_of_a_stream_is_rejected() -> None:
    with pytest.raises(TypeError, match=r"^stream must be mock\.streams\[stream_id\] or a stream tag, got 'st_1'$"):
        assert_frames(stamps(0), stream="st_1")  # type: ignore[arg-type]  # invalid on purpose


@pytest.mark.parametrize("make", [lambda: drawn(0), lambda: rgb(0), lambda: Image.fromarray(rgb(0)), lambda: 7])
def test_single_frame_is_rejected(make: Callable[[], object]) -> None:
    with pytest.raises(
        TypeError, match=r"^expected an iterable of frames, got .*; collect the frames first: frames = "
    ):
        assert_frames(make())  # type: ignore[arg-type]  # invalid on purpose


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        ("picture.png", r"^frames\[1\]: expected an array, a VideoFrame, an image or a FrameStamp, got 'picture.png'$"),
        ((stamp(1), "now"), r"^frames\[1\]: expected a pair \(frame, seconds since the epoch\), got \(FrameStamp"),
        (np.zeros((1280, 704, 3)), r"^frames\[1\]: expected a numpy array of uint8, got float64"),
    ],
)
def test_other_objects_are_rejected(frame: object, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        assert_frames([stamp(0), frame])  # type: ignore[list-item]  # invalid on purpose


async def test_frames_of_a_live_stream_pass(odyssey_mock: MockOdyssey, odyssey_client: Odyssey) -> None:
    stream = await odyssey_client.connect()
    reader = stream.frames(buffer=256)
    stream_id = await odyssey_client.start_stream("A cat")
    await odyssey_client.interact("Pet the cat")
    frames: list[VideoFrame] = []
    async with asyncio.timeout(20):
        async for frame in reader:
            frames.append(frame)
            if len(frames) >= 20 and assert_frames(frames)[-1].prompt_revision == 1:
                break
    # A generous limit: the machine that runs the tests may be busy.
    assert_frames(frames, after_interact=1, max_age_ms=10_000, stream=odyssey_mock.streams[stream_id], size=(704, 1280))
