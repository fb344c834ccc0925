"""Frames at a steady pace: render, stamp, encode once, hand to whoever watches."""

import asyncio
import logging
import math
from collections.abc import Callable

from odyssey_mock.media.encoder import Codec, VideoEncoder, VideoPacket
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, draw_stamp
from odyssey_mock.media.timeline import Timeline
from odyssey_mock.rtc.packets import PacketTrack

logger = logging.getLogger(__name__)


class Pacer:
    """Slots of 1/fps seconds on the event loop's time; a late caller skips slots instead of catching up."""

    def __init__(self, fps: int) -> None:
        self._fps = fps
        self._loop = asyncio.get_running_loop()
        self._origin = self._loop.time()
        self._slot = 0

    async def next(self) -> int:
        """Wait for the next slot's instant; return its number, which only grows."""
        elapsed = (self._loop.time() - self._origin) * self._fps
        self._slot = max(self._slot + 1, math.floor(elapsed))
        reached: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_at(self._origin + self._slot / self._fps, _settle, reached)
        try:
            await reached
        finally:
            timer.cancel()
        return self._slot


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class FramePump:
    """One connection's video: shows a timeline frame by frame, on every track that was added.

    `on_frame(timeline, index)` is called on the event loop once that frame was handed to the tracks.
    """

    def __init__(
        self,
        timeline: Timeline,
        *,
        codec: Codec,
        fps: int,
        bitrate: int | None,
        now: Callable[[], float],
        on_frame: Callable[[Timeline, int], None],
    ) -> None:
        self.next_index = 0
        self._codec: Codec = codec
        self._fps = fps
        self._bitrate = bitrate
        self._now = now
        self._on_frame = on_frame
        self._tracks: list[PacketTrack] = []
        self._keyframe_wanted = True
        self._encoder: VideoEncoder | None = None
        self._timeline = timeline
        self._renderer = Renderer(timeline)

    def add_track(self, track: PacketTrack) -> None:
        """Send frames to `track` too, from a key frame on."""
        self._tracks.append(track)
        self._keyframe_wanted = True

    def show(self, timeline: Timeline, renderer: Renderer | None = None) -> None:
        """Go over to `timeline`, whose frame 0 is the next to be made; `renderer` where one was made ahead."""
        self._timeline = timeline
        self._renderer = renderer or Renderer(timeline)
        self.next_index = 0
        self._keyframe_wanted = True

    def request_keyframe(self) -> None:
        """Make the next frame decodable by itself (answers PLI and FIR, RFC 4585 and 5104)."""
        self._keyframe_wanted = True

    async def run(self) -> None:
        """Make frames until cancelled."""
        # The first slot is 1: what is sent at the very moment of connection, and a key frame is much, stands in the way
        # of the data channels that open then, and it is those that clients wait for.
        pacer = Pacer(self._fps)
        try:
            while True:
                await self._send_next(await pacer.next())
        finally:
            if self._encoder is not None:
                self._encoder.close()
                self._encoder = None

    async def _send_next(self, slot: int) -> None:
        """Make the next frame and hand it to the tracks; to the end, even when cancelled.

        A frame that was begun is one of its stream, whose end counts it (`next_index`), and the encoder belongs to the
        thread that is using it.
        """
        timeline, renderer, index = self._timeline, self._renderer, self.next_index
        self.next_index += 1
        keyframe, self._keyframe_wanted = self._keyframe_wanted, False
        making = asyncio.get_running_loop().run_in_executor(None, self._make, renderer, timeline, index, slot, keyframe)
        try:
            await asyncio.shield(making)
        except asyncio.CancelledError:
            await asyncio.wait([making])
            self._hand_over(making.result(), timeline, index)
            raise
        self._hand_over(making.result(), timeline, index)

    def _hand_over(self, packet: VideoPacket, timeline: Timeline, index: int) -> None:
        taken = [track.offer(packet) for track in self._tracks]
        if not all(taken):
            self.request_keyframe()
        self._on_frame(timeline, index)

    def _make(self, renderer: Renderer, timeline: Timeline, index: int, slot: int, keyframe: bool) -> VideoPacket:
        frame = renderer.render(index)
        revision = None if timeline.tag is None else timeline.at(index).revision
        draw_stamp(
            frame,
            FrameStamp(
                stream_tag=timeline.tag, frame_index=index, prompt_revision=revision, sent_at_ms=int(self._now() * 1000)
            ),
        )
        if self._encoder is None or self._encoder.size != timeline.size:
            if self._encoder is not None:
                self._encoder.close()
            self._encoder = VideoEncoder(self._codec, timeline.size, self._fps, self._bitrate)
        return self._encoder.encode(frame, slot, keyframe=keyframe)
