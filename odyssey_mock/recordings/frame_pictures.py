"""`FramePictures`, which draws thumbnails of the frames of live streams while they run, and of all ended streams."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from odyssey_mock.core.picklable_error import PicklableError
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore

if TYPE_CHECKING:
    from odyssey_mock.media.scene import Renderer

RENDERERS = 4
"""Maximum number of streams whose renderers are kept. A renderer has a few megabytes, and takes 50 ms to prepare."""

WAITING = 64
"""Maximum number of thumbnails that wait. They are drawn one after the other, so that they do not delay the video."""


class NoFrameError(PicklableError):
    """The stream is unknown, or has no such frame yet. The message states which."""


class TooManyPicturesError(PicklableError):
    """`WAITING` thumbnails wait already."""


class FramePictures:
    """Draws thumbnails in a thread, one after the other.

    `frames_made(record)` returns how many frames of a running stream were made.
    """

    def __init__(self, streams: StreamStore, frames_made: Callable[[StreamRecord], int]) -> None:
        self._streams = streams
        self._frames_made = frames_made
        self._renderers: OrderedDict[str, Renderer] = OrderedDict()
        """The renderers of streams by id, the latest used last."""
        self._turn = asyncio.Lock()
        self._waiting = 0
        streams.on_forgotten(self._forget)

    async def jpeg(self, stream_id: str, index: int, side: int) -> bytes:
        """Return frame `index` of a stream as JPEG, without its stamp. Its longest side has `side` pixels.

        Raises:
            NoFrameError: the stream is unknown, or has no such frame yet.
            TooManyPicturesError: `WAITING` thumbnails wait already.
        """
        from odyssey_mock.media.picture import PictureError  # noqa: PLC0415 - see `odyssey_mock.media`

        self.check(stream_id, index)
        if self._waiting >= WAITING:
            raise TooManyPicturesError(f"expected at most {WAITING} frames to be drawn at a time, got another one")
        self._waiting += 1
        try:
            async with self._turn:
                record = self.check(stream_id, index)  # it may have been forgotten in the meantime
                renderer = self._renderer(record)
                drawing = asyncio.get_running_loop().run_in_executor(None, _draw, renderer, index, side)
                try:
                    return await asyncio.shield(drawing)
                except asyncio.CancelledError:
                    await asyncio.wait([drawing])  # the thread uses the renderer
                    raise
                except PictureError as error:
                    raise NoFrameError(f"the start image of stream {stream_id} cannot be decoded: {error}") from error
        finally:
            self._waiting -= 1

    def check(self, stream_id: str, index: int) -> StreamRecord:
        """Return the record of a stream that has frame `index`.

        Raises:
            NoFrameError: the stream is unknown, or has no such frame yet.
        """
        record = self._streams.records.get(stream_id)
        if record is None:
            raise NoFrameError(f"no stream {stream_id[:64]!r}; GET /_mock/state lists the streams")
        frames = record.timeline.frames
        made = self._frames_made(record) if frames is None else frames
        if not 0 <= index < made:
            raise NoFrameError(f"expected a frame below {made}, which the stream {stream_id} has so far, got {index}")
        return record

    def _forget(self, stream_id: str) -> None:
        self._renderers.pop(stream_id, None)

    def _renderer(self, record: StreamRecord) -> Renderer:
        from odyssey_mock.media.scene import Renderer  # noqa: PLC0415 - see `odyssey_mock.media`

        renderer = self._renderers.pop(record.id, None) or Renderer(record.timeline)
        self._renderers[record.id] = renderer
        while len(self._renderers) > RENDERERS:
            self._renderers.popitem(last=False)
        return renderer


def _draw(renderer: Renderer, index: int, side: int) -> bytes:
    from odyssey_mock.media.thumbnail import thumbnail_of  # noqa: PLC0415 - see `odyssey_mock.media`

    return thumbnail_of(renderer.render(index), side).jpeg
