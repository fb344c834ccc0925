"""`Film`, which writes the files of a stream that has ended: video, preview and thumbnail (`protocol.md` section 6).

The files depend only on the timeline of the stream, so the same stream always gives the same bytes.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from PIL import Image

from odyssey_mock.media.encoder import COLOUR_BT601
from odyssey_mock.media.keyframes import GROUP_SECONDS
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, draw_stamp
from odyssey_mock.media.timeline import Timeline, TimelineError

type Checkpoint = Callable[[], None]
"""A function that is called before each frame. If it raises an exception, the file stays incomplete."""

PREVIEW_SECONDS = 4
"""Maximum length of a preview in seconds."""

TICKS = 1000
"""Time units per frame in an MP4 file. With this value, every length is a whole number of units at any frame rate."""

_ENCODER = {"preset": "veryfast", "crf": "21"}
_JPEG_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Film:
    """Writes the files of one stream, to paths that the caller chooses.

    Attributes:
        timeline: the timeline of the stream, which has ended and has at least one frame.
        started_at: when the stream started, in seconds since the epoch. The stamp of frame n contains the time
            `started_at` + n / fps.

    Raises:
        TimelineError: the stream has not ended, or has no frames.
    """

    timeline: Timeline
    started_at: float

    def __post_init__(self) -> None:
        if not self.timeline.frames:
            got = "a running stream" if self.timeline.frames is None else "a stream without frames"
            raise TimelineError(f"expected a stream that has ended and has frames, got {got}")

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.timeline.frames or 0

    def write_video(self, path: Path, checkpoint: Checkpoint) -> None:
        """Write all frames as MP4 (H.264 High, yuv420p) at a constant frame rate, with the file's index at the front.

        Raises:
            PictureError: the timeline's start image cannot be decoded.
        """
        self._encode(path, range(self.frames), self._full_size, checkpoint)

    def write_preview(self, path: Path, checkpoint: Checkpoint) -> None:
        """Write the first `PREVIEW_SECONDS` of the video as MP4, at half the width and height.

        Raises:
            PictureError: the timeline's start image cannot be decoded.
        """
        first = range(min(self.frames, PREVIEW_SECONDS * self.timeline.fps))
        self._encode(path, first, self._half_size, checkpoint)

    def write_thumbnail(self, path: Path, checkpoint: Checkpoint) -> None:
        """Write the middle frame as JPEG, at half the width and height.

        Raises:
            PictureError: the timeline's start image cannot be decoded.
        """
        checkpoint()
        middle = self._frame(Renderer(self.timeline), self.frames // 2)
        pixels = middle.reformat(*self._half_size, format="rgb24", interpolation="AREA").to_ndarray()
        Image.fromarray(pixels).save(path, "JPEG", quality=_JPEG_QUALITY)

    @property
    def _full_size(self) -> tuple[int, int]:
        return self.timeline.size.width, self.timeline.size.height

    @property
    def _half_size(self) -> tuple[int, int]:
        """Half the width and height of the frames, each rounded down to an even number, as 4:2:0 requires."""
        width, height = self._full_size
        return width // 4 * 2, height // 4 * 2

    def _frame(self, renderer: Renderer, index: int) -> av.VideoFrame:
        """Render frame `index`, and draw its stamp unless the look of the stream has no stamps."""
        frame = renderer.render(index)
        if not renderer.has_stamp:
            return frame
        stamp = FrameStamp(
            stream_tag=self.timeline.tag,
            frame_index=index,
            prompt_revision=self.timeline.at(index).revision,
            sent_at_ms=round(self.started_at * 1000) + index * 1000 // self.timeline.fps,
        )
        draw_stamp(frame, stamp)
        return frame

    def _encode(self, path: Path, indexes: Iterable[int], size: tuple[int, int], checkpoint: Checkpoint) -> None:
        renderer = Renderer(self.timeline)

        def frames() -> Iterator[av.VideoFrame]:
            for index in indexes:
                checkpoint()
                frame = self._frame(renderer, index)
                yield frame if size == self._full_size else frame.reformat(*size, interpolation="AREA")

        write_mp4(path, frames(), size=size, fps=self.timeline.fps)


def write_mp4(path: Path, frames: Iterable[av.VideoFrame], *, size: tuple[int, int], fps: int) -> None:
    """Write frames of the given width and height as MP4 (H.264 High, yuv420p), with the file's index at the front."""
    timescale = str(fps * TICKS)
    options = {"movflags": "+faststart", "movie_timescale": timescale, "video_track_timescale": timescale}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=fps, options=_ENCODER)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, fps)
        context.gop_size = max(1, round(fps * GROUP_SECONDS))
        # No B-frames, so that the first frame is shown at time 0 without an edit list.
        context.max_b_frames = 0
        # One thread: the bytes do not depend on the number of cores, and other cores remain free for live video.
        context.thread_count = 1
        context.colorspace = context.color_primaries = context.color_trc = COLOUR_BT601
        for index, frame in enumerate(frames):
            frame.pts = index
            frame.time_base = context.time_base
            container.mux(context.encode(frame))
        container.mux(context.encode(None))
