"""Thumbnails of the video: which frames are recorded, and their JPEGs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Literal

from odyssey_client.models import JSON
from odyssey_client.trace.client_trace import ClientTrace, harmless
from odyssey_client.trace.events import TraceEvent

if TYPE_CHECKING:  # as in platform.py
    from av import VideoFrame

LONGEST_SIDE = 160
"""Longest side of a thumbnail, in pixels."""
QSCALE = 6
"""Quality of the JPEGs, from 1 (best) to 31: about 3 kB for a thumbnail, as with quality 60 of libjpeg."""
_FF_QP2LAMBDA = 118
"""Factor of FFmpeg between the two units of the quality."""
INTERVAL_S = 1.0
"""Seconds between two thumbnails of one stream."""

type Taken = Literal["first", "second", "interact", "fault", "last"]
"""Why a frame was taken: ``second`` is one of those at regular intervals."""


class FrameSampler:
    """Selects frames of one peer: the first, one per second, those that `take_next` asks for, and the last."""

    def __init__(self, trace: ClientTrace) -> None:
        self._trace = trace
        self._next: Taken | None = "fault" if trace.is_restoring else "first"
        self._count = 0
        self._newest: tuple[float, VideoFrame] | None = None
        """The newest frame and its time by the clock of the recorder, unless it was taken."""
        self._taken_at = 0.0
        self._generation = trace.recorder.generation

    def before(self, deliver: Callable[[VideoFrame], None]) -> Callable[[VideoFrame], None]:
        """Return a function that looks at each frame and then passes it to ``deliver``."""
        if not self._trace.recorder.samples_frames:
            return deliver

        def take(frame: VideoFrame) -> None:
            self._look(frame)
            deliver(frame)

        return take

    def take_next(self, why: Taken) -> None:
        """Take the next frame that arrives, also if it is taken for an earlier reason."""
        self._next = self._next or why

    def close(self) -> None:
        """Record the last frame. No more frames arrive."""
        recorder = self._trace.recorder
        recorder.remove_late(self)
        if (newest := self._newest) is not None and newest[0] >= recorder.clock() - recorder.now():
            self._add("last", newest[1], newest[0])
        self._newest = None

    def _look(self, frame: VideoFrame) -> None:
        recorder = self._trace.recorder
        now = recorder.clock()
        if self._generation != recorder.generation:
            self._generation, self._next = recorder.generation, "first"
            recorder.add_late(self, self._last)
        elif self._count == 0:
            recorder.add_late(self, self._last)
        self._count += 1
        why = self._next or ("second" if now - self._taken_at >= INTERVAL_S else None)
        if why is None:
            self._newest = now, frame
            return
        self._newest, self._next, self._taken_at = None, None, now
        self._add(why, frame, now)

    def _add(self, why: Taken, frame: VideoFrame, at: float) -> None:
        recorder = self._trace.recorder
        self._trace.recorder.add_unmade(self._event(why, frame, at - recorder.clock() + recorder.now()))

    def _last(self, began: float) -> Iterable[TraceEvent]:
        newest = self._newest
        if newest is None or newest[0] < began:
            return []
        event = self._event("last", newest[1], newest[0] - began)()
        return [] if event is None else [event]

    def _event(self, why: Taken, frame: VideoFrame, at: float) -> Callable[[], TraceEvent | None]:
        """Return a function that creates the event of a frame."""
        actor, session, stream = self._trace.actor, self._trace.session, self._trace.stream
        number = self._count - 1

        def make() -> TraceEvent | None:
            if (made := harmless("a frame", lambda: thumbnail(frame), None)) is None:
                return None
            image, shown = made
            data = {**shown, "frame": number, "taken": why}
            return TraceEvent(
                at, "frame", "client", why, data, actor=actor, session=session, stream=stream, image=image
            )

        return make


def thumbnail(frame: VideoFrame) -> tuple[bytes, dict[str, JSON]]:
    """Return a thumbnail of a frame as JPEG, and the data of its event: width, height and stamp."""
    from av import CodecContext  # noqa: PLC0415 - slow to import, as is numpy
    from av import VideoFrame as Decoded  # noqa: PLC0415
    from av.video.reformatter import VideoReformatter  # noqa: PLC0415

    from odyssey_client.media import frames  # noqa: PLC0415
    from odyssey_client.media.stamp import read_stamp  # noqa: PLC0415

    scale = LONGEST_SIDE / max(frame.width, frame.height, LONGEST_SIDE)
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    # Frames of PyAV share their reformatter with other users of the frame, perhaps in another thread. Other
    # implementations of frames have no reformatter.
    given: object = frame
    reformat = partial(VideoReformatter().reformat, given) if isinstance(given, Decoded) else frame.reformat
    small = reformat(width, height, "yuvj420p", interpolation="AREA")
    small.pts = None
    # FFmpeg's encoder takes less time than Pillow, and av is loaded already.
    encoder = CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 1000)
    encoder.thread_count = 1
    encoder.options = {"flags": "+qscale", "global_quality": str(QSCALE * _FF_QP2LAMBDA)}
    image = b"".join(bytes(packet) for packet in (*encoder.encode(small), *encoder.encode(None)))
    stamp = read_stamp(frames.VideoFrame(frame, 0.0).luma)
    shown: JSON = None if stamp is None else dict(asdict(stamp))
    return image, {"width": width, "height": height, "stamp": shown}
