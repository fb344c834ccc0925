"""Frames at a steady pace: stamped, made into packets once a codec, pushed to the host and to the audience."""

import asyncio
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from odyssey_mock.faults.fault import Fault
from odyssey_mock.media.encoder import Codec, VideoPacket
from odyssey_mock.media.frame_encoder import FrameEncoder, Made
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.media.stamp import FrameStamp
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.rtc.packet_track import PacketTrack


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


class FrameSink(Protocol):
    """The audience of one stream, besides its host. Called on the event loop; it may not make the host wait."""

    @property
    def codecs(self) -> Collection[Codec]:
        """What the next frame is to be encoded in for the audience."""

    def push(self, packets: Mapping[Codec, VideoPacket]) -> None:
        """Take the packets of one frame: at least those of `codecs`, as they were when it was begun."""

    def end(self) -> None:
        """Take note that the stream's last frame was pushed; may be called more than once."""


@dataclass(eq=False, slots=True)
class StreamSource:
    """What a pump shows: a timeline, and what belongs to its being shown.

    Attributes:
        timeline: its frame 0 is the next to be made.
        encoder: of this timeline and no other, prepared where that takes time; the pump closes it.
        audience: who watches it besides the host; the pump ends it.
        frame_fault: tells what is to go wrong with its next frame (`peer.frame`).
    """

    timeline: Timeline
    encoder: FrameEncoder
    audience: FrameSink | None = None
    frame_fault: Callable[[], Fault | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where the host's packets go, and what they are to be encoded in."""

    track: PacketTrack
    codec: Codec


class FramePump:
    """One session's video: shows a timeline frame by frame, to the host and to the audience that a stream may have.

    `on_frame(timeline, index)` is called on the event loop once that frame was handed over. While there is no host,
    time passes all the same: frames are made for the audience alone, and counted. Without `run` nothing is made, but
    `show` takes effect.
    """

    def __init__(
        self,
        source: StreamSource,
        keyframes: Keyframes,
        *,
        fps: int,
        now: Callable[[], float],
        on_frame: Callable[[Timeline, int], None],
    ) -> None:
        self.next_index = 0
        self.has_begun = False
        """Whether `run` was called: before that no frame was made."""
        self._source = source
        self._keyframes = keyframes
        self._fps = fps
        self._now = now
        self._on_frame = on_frame
        self._receiver: Receiver | None = None
        self._making = False
        self._shown = 0
        """Index of the frame that was sent last."""
        self._resized: Size | None = None
        """Of the host's frames alone, while a fault wants them in another size."""

    def attach(self, track: PacketTrack, codec: Codec) -> None:
        """Send to the host on `track` from the next frame on, which is a key frame."""
        self._receiver = Receiver(track, codec)
        self._keyframes.want()

    def detach(self) -> None:
        """Send to no host any more."""
        self._receiver = None

    def show(self, source: StreamSource) -> None:
        """Go over to another timeline from the next frame on."""
        former, self._source = self._source, source
        self.next_index = self._shown = 0
        self._keyframes.want()
        if not self._making:
            _leave(former)

    async def run(self) -> None:
        """Make frames until cancelled; what is shown then ends with it."""
        # The first slot is 1: what is sent at the very moment of connection, and a key frame is much, stands in the way
        # of the data channels that open then, and it is those that clients wait for.
        pacer = Pacer(self._fps)
        self.has_begun = True
        try:
            while True:
                slot = await pacer.next()
                fault = self._source.frame_fault() if self._receiver is not None else None
                if fault is not None and fault.do == "late":
                    for _ in range(round(fault.number("seconds") * self._fps)):
                        slot = await pacer.next()
                await self._send_next(slot, fault)
        finally:
            self.close()

    def close(self) -> None:
        """End what is shown; for a pump that does not run."""
        _leave(self._source)

    async def _send_next(self, slot: int, fault: Fault | None = None) -> None:
        """Make the next frame and hand it over; to the end, even when cancelled.

        A frame that was begun is one of its stream, whose end counts it (`next_index`), and the encoders belong to the
        thread that is using them.
        """
        source, index, receiver = self._source, self.next_index, self._receiver
        self.next_index += 1
        order = self._order(fault, source, index, receiver)
        if not order.codecs and order.resized is None:
            self._on_frame(source.timeline, index)
            return
        keyframe = self._keyframes.take(slot)
        if source.encoder.is_instant:
            self._shown = order.index
            self._hand_over(self._make(source, order, slot, keyframe), source, index, receiver)
            return
        making = asyncio.get_running_loop().run_in_executor(None, self._make, source, order, slot, keyframe)
        self._making = True
        cancelled = await _done(making)
        self._making = False
        try:
            if source is self._source:
                self._shown = order.index
            self._hand_over(making.result(), source, index, receiver)
        finally:
            if source is not self._source:
                _leave(source)
        if cancelled:
            raise asyncio.CancelledError

    def _order(self, fault: Fault | None, source: StreamSource, index: int, receiver: Receiver | None) -> "_Order":
        """What is to be made as frame `index`."""
        if fault is not None and fault.do == "drop":
            return _Order(index, set())
        drawn = self._shown if fault is not None and fault.do == "freeze" else index
        codecs = set(source.audience.codecs) if source.audience is not None else set()
        if receiver is None:
            return _Order(drawn, codecs)
        if fault is None or fault.do != "resize":
            self._go_back_to_size()
            return _Order(drawn, {*codecs, receiver.codec})
        size = Size(int(fault.number("width")), int(fault.number("height")))
        if self._resized != size:
            self._go_back_to_size()
            self._resized = size
        return _Order(drawn, codecs, (receiver.codec, size))

    def _hand_over(self, made: Made, source: StreamSource, index: int, receiver: Receiver | None) -> None:
        if receiver is not None:
            packet = made.packets[receiver.codec] if made.resized is None else made.resized
            if not receiver.track.push(packet):
                self._keyframes.lost()
        if source.audience is not None:
            source.audience.push(made.packets)
        self._on_frame(source.timeline, index)

    def _go_back_to_size(self) -> None:
        if self._resized is not None:
            self._resized = None
            self._keyframes.want()

    def _make(self, source: StreamSource, order: "_Order", slot: int, keyframe: bool) -> Made:
        timeline = source.timeline
        revision = None if timeline.tag is None else timeline.at(order.index).revision
        stamp = FrameStamp(
            stream_tag=timeline.tag,
            frame_index=order.index,
            prompt_revision=revision,
            sent_at_ms=int(self._now() * 1000),
        )
        return source.encoder.make(stamp, slot, order.codecs, keyframe=keyframe, resized=order.resized)


@dataclass(frozen=True, slots=True)
class _Order:
    """One frame to be made: frame `index` of what is shown, in each of `codecs`."""

    index: int
    codecs: Collection[Codec]
    resized: tuple[Codec, Size] | None = None
    """Where the host is to have it in another size: its codec, and that size."""


async def _done(work: asyncio.Future[Made]) -> bool:
    """Wait for `work` to its end, however often cancelled; tell whether that was so."""
    cancelled = False
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


def _leave(source: StreamSource) -> None:
    """Show it no more: no frame of it will follow."""
    source.encoder.close()
    if source.audience is not None:
        source.audience.end()
