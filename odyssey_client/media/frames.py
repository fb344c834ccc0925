"""Frames of a video, and a reader's own bounded buffer of them.

aiortc decodes. A reader that is slower than the video loses the oldest frames of its buffer, and can see how many.

A frame is turned into RGB when somebody asks for it, not before: at 704x1280 that costs a millisecond or more. This
module imports neither numpy nor av, so that `import odyssey_client` does not.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, Self, cast

if TYPE_CHECKING:
    import av
    import numpy as np
    from numpy.typing import NDArray


class VideoFrame:
    """One picture of the video."""

    def __init__(self, frame: av.VideoFrame, timestamp_ms: float) -> None:
        self._frame = frame
        self._timestamp_ms = timestamp_ms

    @property
    def width(self) -> int:
        """In pixels."""
        return self._frame.width

    @property
    def height(self) -> int:
        """In pixels."""
        return self._frame.height

    @property
    def timestamp_ms(self) -> float:
        """When it is to be shown, in milliseconds from the connection's first frame (the sender's RTP clock).

        Where the connection was lost and came back, the gap is as long as it really was.
        """
        return self._timestamp_ms

    @cached_property
    def data(self) -> NDArray[np.uint8]:
        """The picture in RGB, shape ``(height, width, 3)``; made when first asked for, then kept."""
        return self.to_ndarray("rgb24")

    @property
    def luma(self) -> NDArray[np.uint8]:
        """The brightness of each pixel, shape ``(height, width)``, 16 for black to 235 for white (ITU-R BT.601).

        A view into the decoded picture where it is planar YUV, as aiortc's are, and so nearly free.
        """
        import numpy  # noqa: PLC0415 - see the top of this module

        if not self._frame.format.name.startswith(("yuv4", "nv12", "gray")):
            return self.to_ndarray("gray")
        plane = self._frame.planes[0]
        rows = numpy.frombuffer(plane, numpy.uint8).reshape(-1, plane.line_size)
        return rows[: self.height, : self.width]

    def to_ndarray(self, pixel_format: str = "rgb24") -> NDArray[np.uint8]:
        """The picture in any of FFmpeg's pixel formats, such as ``bgr24`` or ``gray``; a new array each time."""
        return cast("NDArray[np.uint8]", self._frame.to_ndarray(format=pixel_format))

    def to_av(self) -> av.VideoFrame:
        """The decoded frame as PyAV has it. It is shared with every other reader: do not change it."""
        return self._frame

    def __repr__(self) -> str:
        return f"VideoFrame({self.width}x{self.height}, {self.timestamp_ms:.0f} ms)"


class FrameReader(AsyncIterator[VideoFrame]):
    """One reader's frames, from the moment it was made: ``async for frame in reader``.

    Ends when the connection does, after what is still buffered: quietly, or with the fatal error that ended it.
    """

    def __init__(self, buffer: int) -> None:
        self.dropped = 0
        """How many frames this reader was too slow for."""
        self._frames: deque[VideoFrame] = deque(maxlen=buffer)
        self._ended = False
        self._error: BaseException | None = None
        self._wake = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> VideoFrame:
        while not self._frames:
            if self._ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._frames.popleft()

    def close(self) -> None:
        """End the reader, as if the video had ended; frames that are buffered can still be read."""
        self.end(None)

    def push(self, frame: VideoFrame) -> None:
        if self._ended:
            return
        if len(self._frames) == self._frames.maxlen:
            self.dropped += 1
        self._frames.append(frame)
        self._wake.set()

    def end(self, error: BaseException | None) -> None:
        if not self._ended:
            self._ended, self._error = True, error
            self._wake.set()


class FrameSource(Protocol):
    """What frames are read from: a `MediaStream`."""

    def frames(self, *, buffer: int) -> FrameReader:
        """Read the frames from now on, with a buffer of one's own of ``buffer`` frames."""
        ...
