"""`assert_frames`, which checks the frames that a test received by the stamps that the mock drew into them.

::

    frames = [await anext(reader) for _ in range(40)]
    assert_frames(frames, after_interact=1, max_age_ms=200)

A failure lists every check that failed, with the frames nearest to the expected ones.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Protocol, cast

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from odyssey_mock.assertions.failures import ExpectationError
from odyssey_mock.media.stamp import FrameStamp, read_stamp
from odyssey_mock.recordings.stream_records import StreamRecord

EXAMPLES = 3
"""Maximum number of frames that a message shows for each failed check; the others are only counted."""
LISTED_NUMBERS = 4
"""Maximum number of consecutive missing frames whose numbers a message lists one by one instead of as a range."""
PLAUSIBLE_MS = 60_000
"""Maximum plausible age of a frame in milliseconds.

A greater or a negative age suggests that the time of reception is not from the mock's clock.
"""
_ROUNDING_MS = 1.0
"""Tolerance in milliseconds for negative ages, because the time in a stamp is rounded to whole milliseconds."""

_IDLE = "the idle scene, which the mock shows outside streams"


class HasData(Protocol):
    """A frame with its pixels in `data`, such as `odyssey_client.VideoFrame`.

    If the frame also has `luma`, its stamp is read from `luma`. If it has `received_at`, `max_age_ms` is checked with
    that time.
    """

    @property
    def data(self) -> NDArray[np.uint8]:
        """The pixels in red, green and blue, shape (height, width, 3)."""
        ...


type Picture = NDArray[np.uint8] | HasData | av.VideoFrame | Image.Image | FrameStamp | None
"""A frame: a uint8 array as for `read_stamp`, an object with such an array in `data`, a PyAV frame or a PIL image.

A test that does not keep its frames can pass the results of `read_stamp` instead: a `FrameStamp` for each frame, or
None for a frame without a readable stamp.
"""
type Frame = Picture | tuple[Picture, float]
"""A frame, or a frame and the time at which it was received, in seconds since the epoch on the mock's clock."""


def assert_frames(
    frames: Iterable[Frame],
    *,
    contiguous: bool = True,
    after_interact: int | None = None,
    max_age_ms: float | None = None,
    stream: StreamRecord | int | None = None,
    size: tuple[int, int] | None = None,
    count: int | None = None,
    min_count: int | None = None,
) -> Sequence[FrameStamp]:
    """Assert that a test received the frames of one stream as the mock sent them, and return their stamps.

    Every frame must have a readable stamp. Frames of the idle scene, which the mock sends outside streams, are ignored
    before the stream's first frame and after its last frame.

    Args:
        frames: the frames in the order in which they were received.
        contiguous: no frame is missing, repeated or out of order. The first frame may have any number.
        after_interact: the last frame shows interaction number `after_interact` of the stream, counted from 1, or a
            later interaction. Earlier frames may still show an earlier prompt.
        max_age_ms: the maximum time in milliseconds from the creation of a frame to its reception. Frames of
            `odyssey_client` have the time of reception; pass other frames as pairs `(frame, mock.clock.time())`.
        stream: the stream, `mock.streams[stream_id]`, or its `FrameStamp.stream_tag`; frames of other streams before
            and after this stream are ignored. By default, all frames must belong to the same stream.
        size: the width and height of every frame.
        count: the exact number of frames.
        min_count: the minimum number of frames.

    Raises:
        ExpectationError: a check failed, or there is no frame of the stream.
        ValueError: an argument is invalid, a frame has no time of reception for `max_age_ms`, or no pixels for `size`.
        TypeError: `frames` is not an iterable of frames, or `stream` is neither a stream record nor a stream tag.
    """
    __tracebackhide__ = True
    _check_arguments(after_interact, max_age_ms, count, min_count)
    _check_stream(stream)
    received = _read_all(frames)
    if isinstance(stream, StreamRecord) and not stream.timeline.look.has_stamp:
        raise ExpectationError(
            f"expected frames with stamps, but stream {stream.id} has none because of the setting overlay="
            f'"{stream.timeline.look.overlay}"; use overlay="stamp" or overlay="full"'
        )
    tag = stream.timeline.tag if isinstance(stream, StreamRecord) else stream
    ours = _of_one_stream(received, tag)
    _check_usable(ours, max_age_ms, size)
    first, last = ours[0], ours[-1]
    failures = [
        failure
        for failure in (
            _count(ours, count, min_count),
            _unreadable(received),
            _foreign(received[first.position : last.position + 1], ours),
            _breaks(ours) if contiguous else None,
            _interactions(ours, after_interact) if after_interact is not None else None,
            _ages(ours, max_age_ms) if max_age_ms is not None else None,
            _sizes(ours, size) if size is not None else None,
        )
        if failure is not None
    ]
    if failures:
        numbers = f"numbers {first.stamp.frame_index} to {last.stamp.frame_index}, stream tag {first.stamp.stream_tag}"
        raise ExpectationError("\n  ".join([f"checks of {_frames(len(ours))} ({numbers}) failed:", *failures]))
    return [frame.stamp for frame in ours]


@dataclass(frozen=True, slots=True)
class _Received:
    """A received frame: its position in `frames`, its stamp, its size, and its time of reception, each if known."""

    position: int
    stamp: FrameStamp | None
    size: tuple[int, int] | None
    received_at: float | None


@dataclass(frozen=True, slots=True)
class _Ours:
    """A received frame that belongs to the checked stream."""

    position: int
    stamp: FrameStamp
    size: tuple[int, int] | None
    received_at: float | None
    unreadable_before: int
    """Number of frames without a readable stamp since the previous frame of the stream."""

    @property
    def number(self) -> int:
        return self.stamp.frame_index

    @property
    def interaction(self) -> int:
        return self.stamp.prompt_revision or 0

    def age_ms(self) -> float:
        assert self.received_at is not None  # `_check_usable` has checked it
        return self.received_at * 1000 - self.stamp.sent_at_ms


def _check_arguments(
    after_interact: int | None, max_age_ms: float | None, count: int | None, min_count: int | None
) -> None:
    __tracebackhide__ = True
    # As objects: untyped callers can pass anything.
    whole: Mapping[str, object] = {"after_interact": after_interact, "count": count, "min_count": min_count}
    for name, value in whole.items():
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise ValueError(f"{name} must be a whole number, 1 or more, got {value!r}")
    if max_age_ms is not None and not max_age_ms > 0:
        raise ValueError(f"max_age_ms must be a number of milliseconds above 0, got {max_age_ms!r}")


def _check_stream(stream: object) -> None:
    __tracebackhide__ = True
    if stream is not None and not isinstance(stream, StreamRecord | int):
        raise TypeError(f"stream must be mock.streams[stream_id] or a stream tag, got {stream!r}")


def _read_all(frames: object) -> list[_Received]:
    __tracebackhide__ = True
    if not isinstance(frames, Iterable) or (isinstance(frames, np.ndarray) and frames.ndim < 4):
        collect = "; collect the frames first: frames = [await anext(reader) for _ in range(20)]"
        raise TypeError(f"expected an iterable of frames, got {type(frames).__name__}{collect}")
    received = [_read(position, frame) for position, frame in enumerate(frames)]
    if not received:
        raise ExpectationError(
            "expected frames, got none; was the reader created before the frames were sent? "
            "For example: reader = stream.frames(); frames = [await anext(reader) for _ in range(20)]"
        )
    return received


def _read(position: int, frame: Frame) -> _Received:
    __tracebackhide__ = True
    received_at: float | None
    match frame:
        case (picture, int() | float() as received_at):
            pass
        case tuple():
            raise TypeError(f"frames[{position}]: expected a pair (frame, seconds since the epoch), got {frame!r}")
        case picture:
            received_at = getattr(picture, "received_at", None)
    match picture:
        case None | FrameStamp():
            return _Received(position, picture, None, received_at)
        case np.ndarray():
            pixels = picture
        case av.VideoFrame():
            pixels = cast("NDArray[np.uint8]", picture.to_ndarray(format="gray"))
        case Image.Image():
            pixels = np.asarray(picture.convert("RGB"))
        case _:
            # `luma` first: `VideoFrame.data` converts the frame to RGB, which takes milliseconds.
            luma: NDArray[np.uint8] | None = getattr(picture, "luma", None)
            data: NDArray[np.uint8] | None = getattr(picture, "data", None) if luma is None else luma
            if data is None:
                raise TypeError(
                    f"frames[{position}]: expected an array, a VideoFrame, an image or a FrameStamp, got {picture!r}"
                )
            pixels = data
    try:
        stamp = read_stamp(pixels)
    except (TypeError, ValueError) as error:
        raise type(error)(f"frames[{position}]: {error}") from None
    return _Received(position, stamp, (pixels.shape[1], pixels.shape[0]), received_at)


def _of_one_stream(received: Sequence[_Received], tag: int | None) -> list[_Ours]:
    """Return the frames of the stream with this tag. If `tag` is None, all frames must show the same stream."""
    __tracebackhide__ = True
    stamps = [frame.stamp for frame in received if frame.stamp is not None]
    if not stamps:
        raise ExpectationError(
            f"expected frames with the stamps of the mock, got {_frames(len(received))} without a readable stamp; "
            'a mock with the setting overlay="none" draws none, frames of other sources have none, '
            "and cropping or rotating a frame removes it"
        )
    shown = Counter(stamp.stream_tag for stamp in stamps)
    tags = [each for each in shown if each is not None]
    if tag is None and len(tags) > 1:
        listed = ", ".join(f"{each} ({_frames(shown[each])})" for each in tags)
        raise ExpectationError(
            f"expected frames of one stream, got stream tags {listed}; "
            "to check one of them, pass stream=mock.streams[stream_id]"
        )
    if tag is None and tags:
        tag = tags[0]
    if tag is None or tag not in shown:
        wanted = "a stream" if tag is None else f"the stream with tag {tag}"
        others = f"stream tags {', '.join(map(str, tags))}" if tags else _IDLE
        raise ExpectationError(
            f"expected frames of {wanted}, got {_frames(len(received))} of {others}; "
            "start the stream before collecting frames, and collect until its frames arrive"
        )
    ours: list[_Ours] = []
    unreadable = 0
    for frame in received:
        if frame.stamp is None:
            unreadable += 1
        elif frame.stamp.stream_tag == tag:
            ours.append(_Ours(frame.position, frame.stamp, frame.size, frame.received_at, unreadable))
            unreadable = 0
    return ours


def _check_usable(ours: Sequence[_Ours], max_age_ms: float | None, size: tuple[int, int] | None) -> None:
    __tracebackhide__ = True
    for frame in ours:
        if max_age_ms is not None and frame.received_at is None:
            raise ValueError(
                f"max_age_ms needs the time at which each frame was received, but frames[{frame.position}] has none; "
                "pass pairs, made on reception: (frame, mock.clock.time())"
            )
        if size is not None and frame.size is None:
            raise ValueError(f"size needs frames with pixels, got a FrameStamp as frames[{frame.position}]")


def _count(ours: Sequence[_Ours], count: int | None, min_count: int | None) -> str | None:
    if count is not None and len(ours) != count:
        return f"count: expected {_frames(count)}, got {len(ours)}"
    if min_count is not None and len(ours) < min_count:
        return f"min_count: expected at least {_frames(min_count)}, got {len(ours)}"
    return None


def _unreadable(received: Sequence[_Received]) -> str | None:
    places = [f"frames[{frame.position}]" for frame in received if frame.stamp is None]
    if not places:
        return None
    more = f" and {len(places) - EXAMPLES} more" if len(places) > EXAMPLES else ""
    return f"stamps: expected a readable stamp on every frame, got none on {', '.join(places[:EXAMPLES])}{more}"


def _foreign(between: Sequence[_Received], ours: Sequence[_Ours]) -> str | None:
    """Describe frames of the idle scene or of another stream between the first and the last frame of the stream."""
    tag = ours[0].stamp.stream_tag
    others = [frame for frame in between if frame.stamp is not None and frame.stamp.stream_tag != tag]
    if not others:
        return None
    first = others[0]
    assert first.stamp is not None  # selected above
    shows = "the idle scene" if first.stamp.stream_tag is None else f"stream tag {first.stamp.stream_tag}"
    return (
        f"stream: expected only frames of the stream between its first and its last one, "
        f"got {_plural(len(others), 'other frame')}; the first is frames[{first.position}], which shows {shows}"
    )


def _breaks(ours: Sequence[_Ours]) -> str | None:
    numbers = sorted({frame.number for frame in ours})
    breaks = [
        f"frame {before.number} -> {after.number}: {told}, at frames[{after.position}]"
        for before, after in pairwise(ours)
        if (told := _break(before, after, numbers)) is not None
    ]
    return _listed(f"contiguous: expected consecutive frame numbers, got {_plural(len(breaks), 'break')}", breaks)


def _break(before: _Ours, after: _Ours, received: Sequence[int]) -> str | None:
    """Describe why the frame `after` is not the next frame after `before`; return None if it is the next frame.

    `received` is the sorted list of the numbers of all received frames.
    """
    step = after.number - before.number
    if step == 0:
        return "repeated"
    if step < 0:
        return "out of order"
    missing = step - 1
    if missing <= after.unreadable_before:
        return None  # the frames in between arrived, but their stamps are unreadable, which is reported on its own
    numbers = range(before.number + 1, after.number)
    elsewhere = received[bisect_right(received, before.number) : bisect_left(received, after.number)]
    if len(elsewhere) == missing:
        return "out of order"
    named = f"{numbers[0]} to {numbers[-1]}"
    if missing <= LISTED_NUMBERS:
        named = ", ".join(str(number) for number in numbers if number not in elsewhere)
    return f"{_frames(missing - len(elsewhere))} missing ({named})"


def _interactions(ours: Sequence[_Ours], expected: int) -> str | None:
    last = ours[-1].interaction
    if last >= expected:
        return None
    since = next(frame.number for frame in ours if frame.interaction == last)
    everywhere = since == ours[0].number
    where = "in every frame" if everywhere else f"since frame {since}"
    got = "only the prompt of the start" if last == 0 else f"interaction {last}"
    return f"after_interact: expected the last frame to show interaction {expected} or later, got {got} {where}"


def _ages(ours: Sequence[_Ours], limit: float) -> str | None:
    ages = {frame.position: frame.age_ms() for frame in ours}
    early, late = min(ages.values()), max(ages.values())
    if early < -_ROUNDING_MS or late > PLAUSIBLE_MS:
        return (
            f"max_age_ms: expected the time of reception on the mock's clock, got ages from {early:.0f} to {late:.0f} "
            'ms; for a mock with clock="manual" or speed, pass pairs (frame, mock.clock.time())'
        )
    older = sorted((frame for frame in ours if frame.age_ms() > limit), key=_Ours.age_ms, reverse=True)
    heading = (
        f"max_age_ms: expected an age of at most {limit:g} ms, got more in {len(older)} of {_frames(len(ours))}, "
        f"median age of all frames {median(ages.values()):.0f} ms"
    )
    return _listed(
        heading, [f"frame {each.number}: {each.age_ms():.0f} ms, at frames[{each.position}]" for each in older]
    )


def _sizes(ours: Sequence[_Ours], expected: tuple[int, int]) -> str | None:
    others = [frame for frame in ours if frame.size != tuple(expected)]
    lines = [f"frame {each.number}: {_size(each.size)}, at frames[{each.position}]" for each in others]
    return _listed(
        f"size: expected {_size(expected)}, got another size in {len(others)} of {_frames(len(ours))}", lines
    )


def _listed(heading: str, examples: Sequence[str]) -> str | None:
    """Format a failed check with the frames that failed it; return None if no frame failed."""
    if not examples:
        return None
    return "\n    ".join([heading, *_first(examples)])


def _first(examples: Sequence[str]) -> Iterator[str]:
    yield from examples[:EXAMPLES]
    if len(examples) > EXAMPLES:
        yield f"and {len(examples) - EXAMPLES} more"


def _size(size: tuple[int, int] | None) -> str:
    return "unknown" if size is None else f"{size[0]}x{size[1]}"


def _frames(count: int) -> str:
    return _plural(count, "frame")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
