"""Frames at a steady pace: render, stamp, encode once a codec, hand to whoever watches."""

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from odyssey_mock.media.encoder import Codec, VideoPacket
from odyssey_mock.media.encoders import Encoders
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.stamp import FrameStamp, draw_stamp
from odyssey_mock.media.timeline import Timeline
from odyssey_mock.rtc.packets import PacketTrack
from odyssey_mock.streamer.keyframes import Keyframes


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


class Audience(Protocol):
    """Whoever watches one stream besides its host. Called on the event loop; nobody may make the host wait."""

    @property
    def codecs(self) -> Collection[Codec]:
        """What the next frame is to be encoded in, for somebody of it."""

    def offer(self, packets: Mapping[Codec, VideoPacket]) -> None:
        """Take the packets of one frame: at least those of `codecs`, as they were when it was begun."""

    def end(self) -> None:
        """The stream's last frame was offered. It may be said more than once."""


@dataclass(eq=False, slots=True)
class Showing:
    """What a pump shows: a timeline, and what belongs to its being shown.

    Attributes:
        timeline: its frame 0 is the next to be made.
        encoders: of this timeline and no other; the pump closes them.
        renderer: made ahead, where that takes time.
        audience: who watches it besides the host; told of its end by the pump.
    """

    timeline: Timeline
    encoders: Encoders
    renderer: Renderer
    audience: Audience | None = None


class FramePump:
    """One connection's video: shows a timeline frame by frame, to the host and to the audience that a stream may have.

    `on_frame(timeline, index)` is called on the event loop once that frame was handed to the track.
    """

    def __init__(
        self,
        showing: Showing,
        track: PacketTrack,
        keyframes: Keyframes,
        *,
        codec: Codec,
        fps: int,
        now: Callable[[], float],
        on_frame: Callable[[Timeline, int], None],
    ) -> None:
        self.next_index = 0
        self._showing = showing
        self._track = track
        self._keyframes = keyframes
        self._codec: Codec = codec
        self._fps = fps
        self._now = now
        self._on_frame = on_frame
        self._making = False

    def show(self, showing: Showing) -> None:
        """Go over to another timeline from the next frame on."""
        former, self._showing = self._showing, showing
        self.next_index = 0
        self._keyframes.want()
        if not self._making:
            _leave(former)

    async def run(self) -> None:
        """Make frames until cancelled; what is shown then ends with it."""
        # The first slot is 1: what is sent at the very moment of connection, and a key frame is much, stands in the way
        # of the data channels that open then, and it is those that clients wait for.
        pacer = Pacer(self._fps)
        try:
            while True:
                await self._send_next(await pacer.next())
        finally:
            _leave(self._showing)

    async def _send_next(self, slot: int) -> None:
        """Make the next frame and hand it over; to the end, even when cancelled.

        A frame that was begun is one of its stream, whose end counts it (`next_index`), and the encoders belong to the
        thread that is using them.
        """
        showing, index = self._showing, self.next_index
        self.next_index += 1
        codecs = {self._codec, *(showing.audience.codecs if showing.audience is not None else ())}
        keyframe = self._keyframes.take(slot)
        making = asyncio.get_running_loop().run_in_executor(None, self._make, showing, index, slot, codecs, keyframe)
        self._making = True
        cancelled = await _done(making)
        self._making = False
        try:
            self._hand_over(making.result(), showing, index)
        finally:
            if showing is not self._showing:
                _leave(showing)
        if cancelled:
            raise asyncio.CancelledError

    def _hand_over(self, packets: Mapping[Codec, VideoPacket], showing: Showing, index: int) -> None:
        if not self._track.offer(packets[self._codec]):
            self._keyframes.lost()
        if showing.audience is not None:
            showing.audience.offer(packets)
        self._on_frame(showing.timeline, index)

    def _make(
        self, showing: Showing, index: int, slot: int, codecs: Collection[Codec], keyframe: bool
    ) -> Mapping[Codec, VideoPacket]:
        timeline = showing.timeline
        frame = showing.renderer.render(index)
        revision = None if timeline.tag is None else timeline.at(index).revision
        draw_stamp(
            frame,
            FrameStamp(
                stream_tag=timeline.tag, frame_index=index, prompt_revision=revision, sent_at_ms=int(self._now() * 1000)
            ),
        )
        return showing.encoders.encode(frame, slot, codecs, keyframe=keyframe)


async def _done(work: asyncio.Future[Mapping[Codec, VideoPacket]]) -> bool:
    """Wait for `work` to its end, however often cancelled; tell whether that was so."""
    cancelled = False
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


def _leave(showing: Showing) -> None:
    """Show it no more: no frame of it will follow."""
    showing.encoders.close()
    if showing.audience is not None:
        showing.audience.end()
