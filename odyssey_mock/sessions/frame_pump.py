"""The frame pump: makes frames at a constant rate and sends them to the host and the audience of a stream.

The host is the client of the session, which controls the stream. The audience is all viewers of its broadcast.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from odyssey_mock.faults.fault import Fault
from odyssey_mock.media.keyframes import GROUP_SECONDS, Keyframes
from odyssey_mock.media.timeline import Size, Timeline

if TYPE_CHECKING:
    from odyssey_mock.media.encoder import Codec, VideoPacket
    from odyssey_mock.media.frame_encoder import FrameEncoder, Made
    from odyssey_mock.rtc.packet_track import PacketTrack
    from odyssey_mock.sessions.idle_scenes import SceneMember

CONGESTED_STRIDE = 4
"""With messages that arrive late, one frame in this number is made: at 20 fps, enough for clients that watch for video.

The client of this project takes 5 seconds without a frame for the loss of the streamer.
"""

LATE = 0.005
"""Seconds after the beginning of its slot from which a frame is made in a thread, even if it takes little time.

The event loop is then so busy that it would become a bottleneck. Otherwise a switch to a thread and back would cost a
quarter of the CPU time of a frame.
"""


def frame_turns() -> asyncio.Semaphore:
    """Return a semaphore that the pumps of one server share: as many frames as processors are made at the same time.

    More threads would not make more frames. They would delay the event loop, which handles all messages, and occupy
    asyncio's default executor, in which streams are prepared.
    """
    return asyncio.Semaphore(os.cpu_count() or 1)


class Pacer:
    """Paces frames: divides the event loop's time into slots of 1/fps seconds. A late caller skips the missed slots.

    The current slot has the number `slot`.
    """

    def __init__(self, fps: int, slot: int = 0) -> None:
        self._fps = fps
        self._loop = asyncio.get_running_loop()
        self._own_origin = self._origin = self._loop.time() - slot / fps
        self._slot = slot
        self._waiting: asyncio.Future[bool] | None = None
        """The current wait: completes with True when its slot begins, and with False when `hurry` is called."""
        self._hurries = False
        """Whether `hurry` was called since the latest slot."""

    async def next(self, step: int = 1, *, prepare: Callable[[], Awaitable[None]] | None = None) -> int:
        """Wait until a slot begins, at least `step` after the latest one, and return its number.

        `prepare()` is awaited at the first call of `hurry`, and may delay the return.
        """
        self._slot = max(self._slot + step, math.floor(self._elapsed))
        if self._hurries or not await self._reach(self._slot):
            if prepare is not None:
                await prepare()
            await self._reach(self._slot - 1)
        self._hurries = False
        return self._slot

    def hurry(self) -> None:
        """End the current call of `next`, or the following call if none is running, one slot early.

        If its slot begins within the duration of one slot, the call returns at once.
        """
        if self._waiting is not None and not self._hurries:
            _settle(self._waiting, has_begun=False)
        self._hurries = True

    def follow(self, origin: float | None) -> None:
        """Begin the next slots at the times of other pacers, whose slot 0 began at `origin`; None: at its own times.

        The numbers of the slots do not change: `origin` is at most one slot before the pacer's own.
        """
        self._origin = self._own_origin if origin is None else origin

    async def _reach(self, slot: int) -> bool:
        """Wait until `slot` begins and return True, or return False at the first call of `hurry`."""
        self._waiting = self._loop.create_future()
        timer = self._loop.call_at(self._origin + slot / self._fps, _settle, self._waiting)
        try:
            return await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    @property
    def lateness(self) -> float:
        """The time since the current slot began, in seconds; negative before it."""
        return (self._elapsed - self._slot) / self._fps

    @property
    def _elapsed(self) -> float:
        """The time since the first slot, in slots."""
        return (self._loop.time() - self._origin) * self._fps


def _settle(waiting: asyncio.Future[bool], *, has_begun: bool = True) -> None:
    if not waiting.done():
        waiting.set_result(has_begun)


class FrameSink(Protocol):
    """The audience of one stream: all viewers except the host, which is the session's client.

    The methods run on the event loop and must not block.
    """

    @property
    def codecs(self) -> Collection[Codec]:
        """The codecs in which the audience needs the next frame."""

    def push(self, packets: Mapping[Codec, VideoPacket]) -> None:
        """Send the packets of one frame, by codec, to the audience.

        `packets` has a packet for each codec that was in `codecs` when the pump began to make the frame.
        """

    def end(self) -> None:
        """End the audience after the stream's last frame; may be called more than once."""


class EnterScene(Protocol):
    """Enters the shared scene of one timeline; see `IdleScenes.enter`."""

    def __call__(self, codec: Codec, slot: int, /, *, begin: bool) -> SceneMember | None: ...


@dataclass(eq=False, slots=True)
class StreamSource:
    """A timeline to be shown by a `FramePump`, with its encoder, audience and faults.

    Attributes:
        timeline: the timeline, of which no frame was made yet.
        encoder: an encoder for this timeline only, already prepared. The pump closes the encoder.
        audience: the sink of all viewers except the session's client. The pump calls its `end`.
        monitors: the sink of the peers with which the console shows the stream, as `audience`. It never changes the
            pace of the video.
        frame_fault: returns the fault of the next frame (point `peer.frame`), or None.
        enter_scene: enters the shared scene that looks like the timeline (`IdleScenes.enter`); None if the timeline is
            not shared. The frame indexes of a shared timeline are the numbers of the slots, and it has no sinks.
    """

    timeline: Timeline
    encoder: FrameEncoder
    audience: FrameSink | None = None
    monitors: FrameSink | None = None
    frame_fault: Callable[[], Fault | None] = lambda: None
    enter_scene: EnterScene | None = None

    @property
    def sinks(self) -> Sequence[FrameSink]:
        """The audience and the monitors, if there are any."""
        return [sink for sink in (self.audience, self.monitors) if sink is not None]


@dataclass(frozen=True, slots=True)
class Receiver:
    """The track and the codec of the video that the host (the session's client) receives.

    `is_congested()` returns whether messages reach the host late.
    """

    track: PacketTrack
    codec: Codec
    is_congested: Callable[[], bool]


class FramePump:
    """The video of one session: sends a timeline frame by frame to the host, and to the stream's audience, if any.

    `on_frame(timeline, index)` is called on the event loop after each frame. `turns` is that of `frame_turns`.
    `first_slot()` returns the number of the slot in which `run` begins. While no host is attached, frames are encoded
    only if the stream has an audience, but the frame index still advances. `show` may also be called while `run` is not
    running.
    """

    def __init__(
        self,
        source: StreamSource,
        keyframes: Keyframes,
        *,
        fps: int,
        now: Callable[[], float],
        on_frame: Callable[[Timeline, int], None],
        turns: asyncio.Semaphore,
        first_slot: Callable[[], int] = lambda: 0,
    ) -> None:
        self.next_index = 0
        self.has_begun = False
        """Whether `run` was called. Only `run` makes frames."""
        self._source = source
        self._keyframes = keyframes
        self._fps = fps
        self._now = now
        self._on_frame = on_frame
        self._turns = turns
        self._first_slot = first_slot
        self._receiver: Receiver | None = None
        self._pacer: Pacer | None = None
        self._is_in_thread = False
        """Whether a thread uses the encoder."""
        self._shown: int | None = None
        """Index of the frame that was sent last; None if none was sent since the source changed."""
        self._resized: Size | None = None
        """The size of the host's frames while a fault changes it."""
        self._member: SceneMember | None = None
        """The membership in a shared scene, from which the frames then come."""
        self._alone_since = 0
        """The slot of the latest frame that had to be encoded for this pump alone."""

    def attach(self, track: PacketTrack, codec: Codec, *, is_congested: Callable[[], bool] = lambda: False) -> None:
        """Send the host's video to `track`, starting with the next frame, which is a key frame.

        While `is_congested()` is true, only one frame in `CONGESTED_STRIDE` is made, so that messages arrive first.
        A stream with an audience keeps its frame rate.
        """
        self._receiver = Receiver(track, codec, is_congested)
        self._keyframes.want()

    def detach(self) -> None:
        """Stop sending to the host."""
        self._receiver = None

    def hurry(self) -> None:
        """Make the next frame early, because a client waits for it. The gain is at most the duration of one frame.

        The static part of the frame is drawn at once, in a thread. Has no effect with an encoder that takes no time, as
        in the simulated world.
        """
        if self._pacer is not None and not self._source.encoder.is_instant:
            self._pacer.hurry()

    def show(self, source: StreamSource) -> None:
        """Show another timeline from the next frame on."""
        self._leave_scene()
        former, self._source = self._source, source
        self.next_index, self._shown = 0, None
        self._keyframes.want()
        if not self._is_in_thread:
            _leave(former)

    async def run(self) -> None:
        """Make frames until cancelled, then close the current source."""
        # The first frame is made in slot 1, not 0. It is a large key frame; sending it right after the peer connects
        # would delay the opening of the data channels, for which clients wait. Once they are open, `hurry` is called.
        self._pacer = pacer = Pacer(self._fps, self._first_slot())
        self.has_begun = True
        try:
            while True:
                slot = await pacer.next(CONGESTED_STRIDE if self._is_congested else 1, prepare=self._prepare_next)
                fault = self._source.frame_fault() if self._receiver is not None else None
                if fault is not None and fault.do == "late":
                    for _ in range(round(fault.number("seconds") * self._fps)):
                        slot = await pacer.next()
                async with self._turns:
                    await self._send_next(slot, fault)
        finally:
            self.close()

    def close(self) -> None:
        """Close the current source. Call this only while `run` is not running."""
        self._leave_scene()
        _leave(self._source)

    async def _prepare_next(self) -> None:
        """Draw the static part of the next frame for the host, to its end even if the task is cancelled meanwhile."""
        source = self._source
        if self._receiver is None or source.enter_scene is not None:
            return  # no frame may be necessary, or it comes from a shared scene
        # The thread gets the prompts of this moment: the stream may end before the thread reads them.
        moment = source.timeline.at(self.next_index)
        await self._in_thread(source, partial(source.encoder.prepare, moment), lambda _: None)

    async def _in_thread[T](self, source: StreamSource, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Call `work`, which uses the encoder of `source`, in a thread, and `then` with its result on the event loop.

        Both are called even if the task is cancelled meanwhile. If `show` replaces the source in the meantime, the
        replaced source is closed afterwards.
        """
        working = asyncio.get_running_loop().run_in_executor(None, work)
        self._is_in_thread = True
        cancelled = await _done(working)
        self._is_in_thread = False
        try:
            then(working.result())
        finally:
            if source is not self._source:
                _leave(source)
        if cancelled:
            raise asyncio.CancelledError

    @property
    def _is_congested(self) -> bool:
        return self._receiver is not None and self._source.audience is None and self._receiver.is_congested()

    async def _send_next(self, slot: int, fault: Fault | None = None) -> None:
        """Make the next frame and send it, even if the task is cancelled meanwhile.

        `next_index` is increased before the frame is made.
        """
        source, index, receiver = self._source, self.next_index, self._receiver
        self.next_index += 1
        order = self._order(fault, source, index if source.enter_scene is None else slot, receiver)
        if not order.codecs and order.resized is None:
            self._leave_scene()
            self._on_frame(source.timeline, index)
            return
        keyframe = self._keyframes.take(slot)
        if not keyframe and fault is None and receiver is not None and not self._is_congested:
            if await self._send_shared(slot, source, receiver):
                self._on_frame(source.timeline, index)
                return
        else:
            self._leave_scene()
            self._alone_since = slot
        make = partial(self._make, source, order, slot, keyframe)

        def hand_over(made: Made) -> None:
            if source is self._source:
                self._shown = order.index
            self._hand_over(made, source, index, receiver)

        if self._is_quick(source, order):
            hand_over(make())
        else:
            await self._in_thread(source, make, hand_over)

    def _is_quick(self, source: StreamSource, order: _Order) -> bool:
        """Return whether to make a frame on the event loop instead of in a thread."""
        if source.encoder.is_instant or order.resized is not None:
            return source.encoder.is_instant
        return self._is_early and source.encoder.is_quick(order.index, order.codecs)

    @property
    def _is_early(self) -> bool:
        """Whether the event loop is idle enough to make a frame on it; see `LATE`."""
        return self._pacer is not None and self._pacer.lateness < LATE

    async def _send_shared(self, slot: int, source: StreamSource, receiver: Receiver) -> bool:
        """Send the frame of a shared scene; return False if the frame must be encoded for this pump alone."""
        if self._member is None and source.enter_scene is not None:
            needs_keyframe = slot - self._alone_since >= self._fps * GROUP_SECONDS
            self._member = source.enter_scene(receiver.codec, slot, begin=needs_keyframe)
            if self._member is not None:
                source.encoder.rest()
                self._follow(self._member.origin)
        if self._member is None:
            return False
        packets = await self._member.packets(slot, is_early=self._is_early)
        if source is not self._source:
            return True  # `show` has replaced the source, and the next frame shows the new one
        if packets is None:
            self._leave_scene()
            self._alone_since = slot
            return False
        self._shown = slot
        for packet in packets:
            if not receiver.track.push(packet):
                self._keyframes.lost()
        return True

    def _leave_scene(self) -> None:
        """Leave the shared scene, if any. The next frame that is encoded alone is a key frame."""
        if self._member is not None:
            self._member.leave()
            self._member = None
            self._follow(None)

    def _follow(self, origin: float | None) -> None:
        if self._pacer is not None:
            self._pacer.follow(origin)

    def _order(self, fault: Fault | None, source: StreamSource, index: int, receiver: Receiver | None) -> _Order:
        """Return what to encode for frame `index`; `fault` may change the frame, the codecs or the size."""
        if fault is not None and fault.do == "drop":
            return _Order(index, set())
        is_frozen = fault is not None and fault.do == "freeze"
        drawn = self._shown if is_frozen and self._shown is not None else index
        codecs = {codec for sink in source.sinks for codec in sink.codecs}
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
        for sink in source.sinks:
            sink.push(made.packets)
        self._on_frame(source.timeline, index)

    def _go_back_to_size(self) -> None:
        if self._resized is not None:
            self._resized = None
            self._keyframes.want()

    def _make(self, source: StreamSource, order: _Order, slot: int, keyframe: bool) -> Made:
        from odyssey_mock.media.stamp import FrameStamp  # noqa: PLC0415 - see `odyssey_mock.media`

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
    """What to encode next: frame `index` of the shown timeline, in each of `codecs`."""

    index: int
    codecs: Collection[Codec]
    resized: tuple[Codec, Size] | None = None
    """The host's codec and size, if a fault changes the size."""


async def _done(work: asyncio.Future[Any]) -> bool:
    """Wait until `work` is done, even if the caller is cancelled; return whether the caller was cancelled."""
    cancelled = False
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled


def _leave(source: StreamSource) -> None:
    """Close the encoder of a source that will not be shown any more, and end its audience."""
    source.encoder.close()
    for sink in source.sinks:
        sink.end()
