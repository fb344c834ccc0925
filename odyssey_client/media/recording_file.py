"""The MP4 file of a recording: fragmented while it is written, plain when it is complete, recovered after a failure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.filter import Graph
from av.video.stream import VideoStream

from odyssey_client.file_replacement import file_to_replace, protect
from odyssey_client.media.frames import VideoFrame
from odyssey_client.media.recovery import COPY, RECORDING, keep, recover_target
from odyssey_client.partial_file import PartialFile
from odyssey_client.redaction import get_logger

TIME_BASE = Fraction(1, 90_000)
"""The RTP clock of video (RFC 6184 section 8.2.1)."""

FRAGMENT_S = 1
"""Seconds of video in a fragment. A process that is killed loses at most the frames of one fragment."""

_CODEC_OPTIONS = {"preset": "veryfast", "tune": "zerolatency", "crf": "20"}
_FRAGMENTED = {
    # Nothing is written before the first fragment is complete, so a file without a frame is empty. If FFmpeg wrote a
    # trailer, it would report no error of the last fragment.
    "movflags": "delay_moov+default_base_moof+skip_trailer",
    "frag_duration": str(FRAGMENT_S * 1_000_000),
    "flush_packets": "1",
}
_PLAIN = {"movflags": "faststart"}

logger = get_logger("odyssey_client")


class RecordingFile:
    """Writes frames to a file that gets its name when it is complete. All methods must run in the same thread.

    Attributes:
        frames: The number of frames in the file.
    """

    def __init__(self, path: Path) -> None:
        self.frames = 0
        self._target = path
        self._part: PartialFile | None = None
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._fit = _Fit()
        self._first_ms = 0.0
        self._last_pts = -1

    def open(self) -> None:
        """Create the hidden file, so that errors are raised at once; call `commit` or `discard` afterward."""
        with self._named():
            self._target = file_to_replace(self._target)
            self._part = PartialFile.create(self._target, RECORDING)
            protect(self._part.path, self._target)

    def recover(self) -> None:
        """Rename the hidden files that killed processes left for this path; delete those without a complete second."""
        recover_target(self._target)

    def write(self, frame: VideoFrame) -> None:
        """Append a frame. After an error, the file is closed, and the frames written earlier are kept (see `_kept`).

        Raises:
            OSError: the frame cannot be encoded or written.
        """
        with self._kept():
            if self._container is None or self._stream is None:
                self._container = av.open(str(self._opened().path), "w", format="mp4", options=_FRAGMENTED)
                self._stream = self._container.add_stream("libx264", options=_CODEC_OPTIONS)
                self._stream.width = frame.width + frame.width % 2
                self._stream.height = frame.height + frame.height % 2
                self._stream.pix_fmt = "yuv420p"
                self._stream.time_base = self._stream.codec_context.time_base = TIME_BASE
                self._first_ms = frame.timestamp_ms
            picture = self._fit.fit(frame.to_av(), self._stream.width, self._stream.height)
            # MP4 requires increasing timestamps; two RTP packets may have the same one.
            pts = max(self._last_pts + 1, round((frame.timestamp_ms - self._first_ms) * 90))
            picture.pts, picture.time_base, self._last_pts = pts, TIME_BASE, pts
            self._container.mux(self._stream.encode(picture))
        self.frames += 1

    def commit(self) -> None:
        """Finish the file and give it its final name; delete it if it has no frames.

        Raises:
            OSError: the file cannot be written or moved. Its frames are kept (see `_kept`).
        """
        with self._kept():
            if self._container is not None and self._stream is not None:
                self._container.mux(self._stream.encode(None))
                container, self._container = self._container, None
                container.close()
                self._publish(self._opened())
        self._remove()

    def discard(self) -> None:
        """Delete the hidden file, if there is one."""
        if self._part is not None:
            self.frames = 0
            self._remove()

    def _publish(self, fragmented: PartialFile) -> None:
        """Give the final name to a plain copy of the file; if the copy cannot be written, to the file itself."""
        copy: PartialFile | None = None
        try:
            try:
                copy = PartialFile.create(self._target, COPY)
                protect(copy.path, self._target)
                _copy_as_plain(fragmented.path, copy.path)
            except (OSError, av.FFmpegError) as error:
                logger.warning(
                    "%s: stays a fragmented MP4 file, because no other can be written: %s", self._target, error
                )
                fragmented.replace(self._target)
            else:
                copy.replace(self._target)
        finally:
            if copy is not None:
                copy.delete()

    def _remove(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            self._close()
            part.delete()

    def _close(self) -> None:
        """Close the container, which writes its last frames. Errors of this write are ignored."""
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(OSError, av.FFmpegError):
                container.close()

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """If the block raises an error, keep the recorded video under another name and add this name to the error."""
        try:
            yield
        except BaseException as error:
            path = self._keep()
            if path is not None:
                logger.warning("%s: recording failed; the video recorded before is in %s", self._target, path)
            if not isinstance(error, OSError | av.FFmpegError):
                raise
            kept = "" if path is None else f"; the video recorded before is in {path}"
            raise OSError(error.errno, f"{error.strerror}{kept}", str(self._target)) from error

    def _keep(self) -> Path | None:
        self.frames = 0
        part, self._part = self._part, None
        if part is None:
            return None
        self._close()
        return keep(part, self._target)

    def _opened(self) -> PartialFile:
        if self._part is None:
            raise RuntimeError("the file is not open: call open() first")
        return self._part

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Convert errors of the system and of FFmpeg to an `OSError` that names the final file."""
        try:
            yield
        except (OSError, av.FFmpegError) as error:
            raise OSError(error.errno, error.strerror, str(self._target)) from error


def _copy_as_plain(fragmented: Path, plain: Path) -> None:
    """Copy the video to an MP4 file with its index before its frames. The video is not encoded again."""
    with av.open(str(fragmented)) as source, av.open(str(plain), "w", format="mp4", options=_PLAIN) as result:
        video = source.streams.video[0]
        stream = result.add_stream_from_template(video)
        stream.time_base = video.time_base
        for packet in source.demux(video):
            if packet.dts is not None:  # the last packet only marks the end
                packet.stream = stream
                result.mux(packet)


class _Fit:
    """Scales frames to a given size without distortion; black bars fill the rest."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._sizes: tuple[int, ...] = ()

    def fit(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        """Return a new frame of ``width`` x ``height``; ``frame`` stays unchanged."""
        sizes = (frame.width, frame.height, width, height)
        if self._graph is None or sizes != self._sizes:
            self._graph, self._sizes = _graph(frame, width, height), sizes
        self._graph.push(frame)
        picture = self._graph.pull()
        if not isinstance(picture, av.VideoFrame):
            raise TypeError(f"expected a video frame from the scaler, got {type(picture).__name__}")
        return picture


def _graph(frame: av.VideoFrame, width: int, height: int) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TIME_BASE)
    scale = graph.add("scale", f"{width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2")
    pad = graph.add("pad", f"{width}:{height}:(ow-iw)/2:(oh-ih)/2")
    shape = graph.add("format", "yuv420p")
    sink = graph.add("buffersink")
    graph.link_nodes(source, scale, pad, shape, sink).configure()
    return graph
