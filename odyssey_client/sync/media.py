"""The video of a sync connection: `MediaStream`, its readers, and recording to a file."""

from __future__ import annotations

import weakref
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, override

from odyssey_client.media.frames import FrameReader as AsyncFrameReader
from odyssey_client.media.frames import VideoFrame
from odyssey_client.media.stream import DEFAULT_BUFFER
from odyssey_client.media.stream import MediaStream as AsyncMediaStream
from odyssey_client.sync.background import BackgroundLoop, Owner, background
from odyssey_client.sync.readers import Reader, check_timeout

if TYPE_CHECKING:
    from odyssey_client.media.recorder import Recorder as AsyncRecorder


class FrameReader(Reader[VideoFrame]):
    """An iterator over the frames that arrive after its creation: ``for frame in reader``.

    After the connection has ended, the reader still returns the buffered frames. Then the iteration stops, or raises
    the fatal error that ended the connection.
    """

    _noun = "frame"

    def __init__(self, reader: AsyncFrameReader, loop: BackgroundLoop, timeout_s: float | None, source: object) -> None:
        """Wrap the async ``reader``; called by `MediaStream.frames`."""
        super().__init__(reader, loop, timeout_s, source)
        self._reader = reader

    @override
    def close(self) -> None:
        """End the reader as if the video had ended; buffered frames can still be read."""
        super().close()

    @override
    async def _receive(self) -> VideoFrame | None:
        return await anext(self._reader, None)


class VideoOwner(Owner):
    """Base class of the objects that own a connection with video: the client, and a spectator's connection."""

    _stream: weakref.ref[MediaStream] | None = None
    """Weak reference to the latest `MediaStream`. The `MediaStream` refers to this object and keeps it connected."""

    def _to_sync(self, stream: AsyncMediaStream) -> MediaStream:
        """Return the sync `MediaStream` for ``stream``: the existing object if there is one, otherwise a new one."""
        known = None if self._stream is None else self._stream()
        if known is None or not known.is_form_of(stream):
            known = MediaStream(stream, background("connect"), self)
            self._stream = weakref.ref(known)
        return known


class MediaStream:
    """The video of one connection. ``for frame in stream`` iterates over the frames from now on."""

    def __init__(self, stream: AsyncMediaStream, loop: BackgroundLoop, owner: object) -> None:
        """Wrap the async ``stream``. The reference to ``owner``, the client or spectator, keeps the connection open."""
        self._stream = stream
        self._loop = loop
        self._owner = owner

    def is_form_of(self, stream: AsyncMediaStream) -> bool:
        """Return whether this object is the sync form of ``stream``."""
        return self._stream is stream

    @property
    def latest_frame(self) -> VideoFrame | None:
        """The newest frame; None before the first frame. It stays available after the end of the connection."""
        return self._stream.latest_frame

    @property
    def frames_received(self) -> int:
        """The number of frames received since the connection began."""
        return self._stream.frames_received

    @property
    def ended(self) -> bool:
        """Whether the connection is over; no more frames will arrive."""
        return self._stream.ended

    def frames(self, *, buffer: int = DEFAULT_BUFFER, timeout_s: float | None = None) -> FrameReader:
        """Return a reader of the frames that arrive from now on, with its own buffer.

        Args:
            buffer: How many frames the reader may lag behind before the oldest are dropped; 1 to always get the newest.
            timeout_s: Seconds to wait for each frame; None for no limit. When the limit is reached, the reader raises
                `OperationTimeoutError`, and can still be used.

        Raises:
            OdysseyConfigError: ``buffer`` is not an integer of 1 or more.
        """
        check_timeout(timeout_s)
        reader = self._loop.call("frames", lambda: self._stream.frames(buffer=buffer))
        return FrameReader(reader, self._loop, timeout_s, self)

    def __iter__(self) -> FrameReader:
        return self.frames()

    def record(self, path: str | Path) -> Recorder:
        """Return a recorder (MP4, H.264). Use ``with stream.record("a.mp4"):``, or its `start` and `stop`."""
        return Recorder(self._stream.record(path), self._loop, self)

    def __repr__(self) -> str:
        return repr(self._stream)


class Recorder:
    """A context manager that records the video until its block or the connection ends.

    The video has the size of the first recorded frame, rounded up to even numbers: H.264 in YUV 4:2:0 requires them.
    Frames of another size are scaled to fit, with black bars.

    While recording, the client appends each second of video to a hidden file in the same directory, as fragmented MP4.
    When recording stops, it writes this video to a plain MP4 file, without encoding it again. The plain file gets the
    final name. It replaces an existing file and takes over its permissions; symbolic links are followed. If the plain
    file cannot be written, the fragmented file gets the final name. If no frame was recorded, the hidden file is
    deleted.

    If recording fails, for example because the disk is full, the video recorded until then is kept. An existing file at
    the path stays unchanged. For ``a.mp4``, the kept video gets the name ``a-recovered.mp4``, or ``a-recovered-2.mp4``
    if that exists, and so on. The error that `stop` raises contains the name.

    If the process is killed while it records, the hidden file stays, and is playable up to its last complete second.
    The next recording to the same path renames it in the same way, and `odyssey_client.recover_recordings` does so for
    all recordings in a directory. The hidden file of a process that is still recording is left alone.
    """

    def __init__(self, recorder: AsyncRecorder, loop: BackgroundLoop, source: object) -> None:
        """Wrap the async ``recorder``; called by `MediaStream.record`."""
        self.path = recorder.path
        self._recorder = recorder
        self._loop = loop
        self._source = source

    @property
    def frames_recorded(self) -> int:
        """The number of frames in the file."""
        return self._recorder.frames_recorded

    @property
    def has_failed(self) -> bool:
        """Whether recording ended because the file could not be written; `stop` raises the reason."""
        return self._recorder.has_failed

    @property
    def frames_dropped(self) -> int:
        """The number of frames dropped because the encoder was too slow."""
        return self._recorder.frames_dropped

    def start(self) -> None:
        """Start recording with the next frame.

        Raises:
            OSError: the file cannot be written; for example, the directory does not exist or is not writable.
            RuntimeError: this recorder was already started.
        """
        self._loop.run("start", self._recorder.start)
        self._loop.stop_at_exit(self._recorder)

    def stop(self) -> None:
        """Stop, write the buffered frames, and close the file; may be called more than once.

        If the call is interrupted, for example by a timeout, the file is still finished in the background. Another call
        waits until it is finished.

        Raises:
            OSError: the file could not be written. The error contains the path of the video recorded until then.
        """
        self._loop.run("stop", self._recorder.stop)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
