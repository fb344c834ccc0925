"""`StreamController`, which handles a client's messages about streams, shows the streams, and sends the replies."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import assert_never

from odyssey_mock.broadcasts.broadcast import Broadcast
from odyssey_mock.broadcasts.monitors import Monitors
from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.core.clock import Clock, Deadline
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault
from odyssey_mock.faults.registry import Faults
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.media.timeline import Timeline
from odyssey_mock.prompts.expansion import applied_prompt
from odyssey_mock.prompts.markers import MODERATED, PromptMarkers, markers_of
from odyssey_mock.recordings.stream_records import StreamRecord, StreamStore
from odyssey_mock.sessions.channel_sender import NORMAL_REPLY, ChannelSender, ReplyMode
from odyssey_mock.sessions.frame_pump import FramePump, StreamSource
from odyssey_mock.sessions.messages import (
    BroadcastReady,
    End,
    InteractiveStreamError,
    Start,
    StreamEnded,
    StreamMessage,
    StreamReply,
    StreamStarted,
    Update,
    UpdateAcknowledged,
)
from odyssey_mock.sessions.session_identity import SessionIdentity
from odyssey_mock.sessions.stream_machine import StreamEffect, StreamEvent, StreamMachine, StreamState
from odyssey_mock.sessions.stream_setup import StartRefusedError, StreamSetup
from odyssey_mock.settings import EndWithoutStream

OVERDUE = InteractiveStreamError("session_timeout", "Stream ended: credit lease expired")
"""Message that is sent when a stream reaches its maximum duration (`protocol.md` section 4)."""

ALREADY_RUNNING = InteractiveStreamError(
    "stream_already_active",
    "a stream is running in this connection; end it with interactive_stream_end before starting another",
)
NO_STREAM = InteractiveStreamError(
    "no_active_stream",
    "no stream is running in this connection; start one with interactive_stream_start first",
)

MODERATION = InteractiveStreamError(MODERATED, "Failed to run content moderation")
"""The message of content moderation, as users of the real service report it (`protocol.md` section 4)."""

ASKED_FOR = "the prompt asks for this error ([error:...])"
"""Text of the field `message` if a prompt marker causes the error (`protocol.md` section 10)."""

_POINTS: Mapping[type[StreamMessage], str] = {Start: "stream.start", Update: "stream.interact", End: "stream.end"}
"""The fault point of each type of message."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A pending acknowledgment of a prompt update, to be sent after frame `index` of the stream."""

    index: int
    prompt: str
    mode: ReplyMode = NORMAL_REPLY


@dataclass(slots=True)
class RunningStream:
    """The running stream, with its pending deadlines and acknowledgments."""

    record: StreamRecord
    bypass: bool
    source: StreamSource
    broadcast: Broadcast | None
    mode: ReplyMode = NORMAL_REPLY
    """How the reply to the start message is sent."""
    deadlines: list[Deadline] = field(default_factory=list)
    """Deadlines to cancel when the stream ends."""
    acknowledgements: deque[Acknowledgement] = field(default_factory=deque)

    def due(self, index: int) -> Iterator[Acknowledgement]:
        """Remove and yield the acknowledgments that are due after frame `index`, oldest first."""
        while self.acknowledgements and self.acknowledgements[0].index <= index:
            yield self.acknowledgements.popleft()

    def end(self, next_index: int, now: float) -> None:
        """End the stream and cancel its deadlines.

        `next_index` is one after the index of its last frame, and `now` the value of `Clock.monotonic`.
        """
        for deadline in self.deadlines:
            deadline.cancel()
        self.record.timeline.end(next_index)
        self.record.ended_at = self.record.time_at(now)


_NO_ERROR = InteractiveStreamError("", "")


@dataclass(frozen=True, slots=True)
class _Cause:
    """Details of an event that are needed to carry out its effects."""

    mode: ReplyMode = NORMAL_REPLY
    """How the reply is sent."""
    prompt: str = ""
    """The prompt of an update, as received."""
    error: InteractiveStreamError = _NO_ERROR
    """The error that broke the stream."""
    why: str = ""
    """The cause of the event, for the journal; empty if the client asked for it."""
    by_client: bool = True
    """Whether the client sent the update, so that it gets an acknowledgment."""


_NOTHING = _Cause()


class StreamController:
    """Carries out the effects of a session's `StreamMachine`, and owns the `FramePump` that makes and sends the video.

    `transmit(text)` sends a message on `streamerToClient`. `client_url()` returns the URL at which the client reaches
    the mock. `on_overdue()` ends the connection, and returns once the connection is closed. `on_ended()` is called
    whenever a stream has ended. The session calls `take` for one message at a time. The pump calls `frame_made` after
    each frame.
    """

    def __init__(
        self,
        identity: SessionIdentity,
        *,
        clock: Clock,
        journal: Journal,
        faults: Faults,
        streams: StreamStore,
        broadcasts: Broadcasts,
        monitors: Monitors,
        setup: StreamSetup,
        keyframes: Keyframes,
        end_without_stream: EndWithoutStream,
        broadcast_delay: float = 0.0,
        transmit: Callable[[str], None],
        client_url: Callable[[], str],
        on_overdue: Callable[[], Awaitable[None]],
        on_ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.machine = StreamMachine()
        self._identity = identity
        self._clock = clock
        self._journal = journal
        self._faults = faults
        self._streams = streams
        self._broadcasts = broadcasts
        self._monitors = monitors
        self._setup = setup
        self._keyframes = keyframes
        self._end_without_stream = end_without_stream
        self._client_url = client_url
        self._broadcast_delay = broadcast_delay
        self._sender = ChannelSender(identity, clock=clock, journal=journal, transmit=transmit)
        self._on_overdue = on_overdue
        self._on_ended = on_ended
        self._running: RunningStream | None = None
        idle = setup.idle(identity)
        self.pump = FramePump(
            idle,
            keyframes,
            fps=idle.timeline.fps,
            now=clock.time,
            on_frame=self.frame_made,
            turns=setup.frame_turns,
            first_slot=partial(setup.idle_scenes.slot, idle.timeline.fps),
        )

    @property
    def stream(self) -> StreamRecord | None:
        """The running stream, or None."""
        return self._running.record if self._running is not None else None

    @property
    def stream_id(self) -> str | None:
        """The id of the running stream, or None."""
        return self._running.record.id if self._running is not None else None

    @property
    def deadlines(self) -> Sequence[Deadline]:
        """The deadlines of the running stream; those in the past have fired."""
        return () if self._running is None else tuple(self._running.deadlines)

    @property
    def _is_over(self) -> bool:
        return self.machine.state is StreamState.CLOSED

    async def take(self, message: StreamMessage) -> None:
        """Handle a client's message, or apply the fault that fires for the message."""
        fault = self._fault(_POINTS[type(message)], None if isinstance(message, End) else message.prompt)
        if fault is not None and fault.do == "error":
            error = InteractiveStreamError(fault.text("reason"), fault.text("message"))
            ends_stream = fault.parameters.get("ends_stream") is True
            self._reject(error, f"{fault.label} rejects the message", ends_stream=ends_stream)
            return
        if fault is not None and fault.do == "lost":
            return
        match message:
            case Start():
                await self._start(message, fault)
            case Update():
                self._update(message, fault)
            case End():
                self._handle(StreamEvent.END, _Cause(ReplyMode.of(fault)))

    def refuse(self, error: InteractiveStreamError, why: str = "") -> None:
        """Tell the client that its message was rejected; the connection continues.

        `why`: the cause for the journal; by default the text of the error.
        """
        self._send(error, why=why)

    def frame_made(self, timeline: Timeline, index: int) -> None:
        """Send the replies that are due after frame `index` of `timeline`."""
        running = self._running
        if running is None or timeline is not running.record.timeline:
            return
        if self.machine.state is StreamState.STARTING:
            self._handle(StreamEvent.FIRST_FRAME)
        if self._running is not running:
            return  # the stream ended with its first frame: no updates are acknowledged
        for acknowledgement in running.due(index):
            self._send(
                UpdateAcknowledged(acknowledgement.prompt),
                mode=acknowledgement.mode,
                note={"frame_index": acknowledgement.index},
            )

    def broke(self, error: InteractiveStreamError, why: str = "") -> None:
        """Fail the running stream, and send `error` to the client; `why` is the cause, as in `refuse`."""
        if self._running is not None:
            self._running.record.error = f"{error.reason}: {error.message}"
        self._handle(StreamEvent.BROKE, _Cause(error=error, why=why))

    def interact(self, prompt: str, why: str) -> str:
        """Show `prompt` as an update of the client does, without a message to the client. Return the applied prompt.

        A stream must be running. `why`: the cause, for the journal.
        """
        self._handle(StreamEvent.UPDATE, _Cause(prompt=prompt, why=why, by_client=False))
        change = self._current.record.timeline.changes[-1]
        self._journal.record(
            "note",
            "prompt changed by the mock",
            stream=self.stream_id,
            **self._identity.where,
            prompt=prompt,
            applied_prompt=change.prompt,
            frame_index=change.index,
            why=why,
        )
        return change.prompt

    def end(self, why: str) -> None:
        """End the running stream from the server's side, and tell the client; `why` is the cause, for the journal."""
        self._handle(StreamEvent.END, _Cause(why=why))

    def gone(self, why: str = "") -> None:
        """End the stream without a message to the client, because the connection is over.

        `why`: the cause, for the journal.
        """
        self._handle(StreamEvent.GONE, _Cause(why=why))
        self._sender.close()

    async def _start(self, message: Start, fault: Fault | None) -> None:
        if self.machine.state is not StreamState.IDLE:
            self._handle(StreamEvent.START)
            return
        markers = markers_of(message.prompt)
        error = _rejection(markers)
        if error is not None:
            self.refuse(error, _marker(markers))
            return
        try:
            record, source = await self._setup.prepare(message, self._identity)
        except StartRefusedError as refusal:
            self.refuse(refusal.reply, refusal.why)
            return
        if self._is_over:
            return  # the connection ended while the stream was prepared
        broadcast = None
        if message.broadcast:
            broadcast = self._broadcasts.open(record, source.encoder, self._keyframes)
            source.audience = broadcast
        source.monitors = self._monitors.open(record, source.encoder, self._keyframes)
        bypass = bool(message.bypass_vlm_expansion)
        self._running = RunningStream(record, bypass, source, broadcast, ReplyMode.of(fault, markers))
        self._streams.remember(record)
        self._handle(StreamEvent.START)

    def _update(self, message: Update, fault: Fault | None) -> None:
        markers = markers_of(message.prompt)
        error = _rejection(markers)
        if error is not None and self._running is not None:
            self._reject(error, _marker(markers), ends_stream=markers.ends_stream)
            return
        self._handle(StreamEvent.UPDATE, _Cause(ReplyMode.of(fault, markers), message.prompt))

    def _reject(self, error: InteractiveStreamError, why: str, *, ends_stream: bool) -> None:
        """Reject a message. The running stream, if any, continues or ends."""
        if ends_stream and self._running is not None:
            self.broke(error, why)
        else:
            self.refuse(error, why)

    def _handle(self, event: StreamEvent, cause: _Cause = _NOTHING) -> tuple[StreamEffect, ...]:
        """Handle an event, carry out its effects, and return them."""
        before = self.machine.state
        effects = self.machine.handle(event)
        stream_id = self.stream_id
        if self.machine.state is not before or effects:
            data: dict[str, JSON] = {"from": before, "to": self.machine.state, "event": event}
            if cause.why and self.machine.state is not before:
                data["why"] = cause.why
            self._journal.record("state", "stream", data, stream=stream_id, **self._identity.where)
        for effect in effects:
            self._carry_out(effect, cause, stream_id)
        return effects

    def _carry_out(self, effect: StreamEffect, cause: _Cause, stream_id: str | None) -> None:
        """Carry out one effect; `stream_id` is the id of the stream that was running when the event happened."""
        match effect:
            case StreamEffect.BEGIN:
                self.pump.show(self._current.source)
                self.pump.hurry()
            case StreamEffect.ANNOUNCE:
                self._announce(self._current)
            case StreamEffect.APPLY:
                self._apply(self._current, cause)
            case StreamEffect.FINISH:
                self._finish(self._current)
            case StreamEffect.ANNOUNCE_END:
                self._send(StreamEnded(), stream=stream_id, mode=cause.mode, why=cause.why)
            case StreamEffect.ANNOUNCE_ERROR:
                self._send(cause.error, stream=stream_id, why=cause.why)
            case StreamEffect.ANNOUNCE_OVERDUE:
                self._send(OVERDUE, stream=stream_id, why=cause.why)
            case StreamEffect.REJECT_ALREADY_RUNNING:
                self.refuse(ALREADY_RUNNING, f"the client sent another start while stream {stream_id} was running")
            case StreamEffect.REJECT_NO_STREAM:
                self.refuse(NO_STREAM, "the client sent an update while no stream was running")
            case StreamEffect.REPLY_TO_NEEDLESS_END:
                self._reply_to_needless_end(cause)
            case StreamEffect.HANG_UP:
                pass  # `_overdue` carries this out, because it can await
            case _ as unreachable:
                assert_never(unreachable)

    @property
    def _current(self) -> RunningStream:
        """The running stream, for effects that require a running stream.

        Raises:
            RuntimeError: no stream is running, which is a bug in `StreamMachine`.
        """
        if self._running is None:
            raise RuntimeError(f"expected a running stream in state {self.machine.state}, got none")
        return self._running

    def _announce(self, running: RunningStream) -> None:
        record = running.record
        later = self._clock.call_later
        longest = self._identity.limits.stream_duration
        if longest is not None:
            running.deadlines.append(later(longest, "stream duration", self._overdue))
        self._send(StreamStarted(record.id, record.applied_prompt), mode=running.mode)
        if running.broadcast is not None:
            fault = self._fault("stream.broadcast")
            on_air = running.broadcast
            base_url = self._client_url()
            ready = BroadcastReady(on_air.webrtc_url_at(base_url), on_air.token, on_air.hls_url_at(base_url))
            self._send(ready, mode=ReplyMode.of(fault).later(self._broadcast_delay))
        trouble = self._fault("stream.running")
        if trouble is not None and trouble.number("seconds"):
            name = f"fault: {trouble.at} {trouble.do}"
            running.deadlines.append(later(trouble.number("seconds"), name, lambda: self._trouble(trouble)))
        elif trouble is not None:
            self._trouble(trouble)

    def _trouble(self, fault: Fault) -> None:
        """Make the running stream fail or end, as the fault requires."""
        if fault.do == "error":
            error = InteractiveStreamError(fault.text("reason"), fault.text("message"))
            self.broke(error, f"{fault.label} fails the running stream")
        else:
            self._handle(StreamEvent.END, _Cause(why=f"{fault.label} ends the running stream"))

    async def _overdue(self) -> None:
        limit = f"{self._identity.limits.stream_duration:g} s"
        overdue = _Cause(why=f"the stream has run for {limit} (setting `stream_duration`)")
        if StreamEffect.HANG_UP in self._handle(StreamEvent.OVERDUE, overdue):
            await self._on_overdue()

    def _apply(self, running: RunningStream, cause: _Cause) -> None:
        applied = applied_prompt(cause.prompt, bypass=running.bypass)
        index = self.pump.next_index  # the first frame that shows the change
        running.record.timeline.interact(index, applied)
        if cause.by_client:
            running.acknowledgements.append(Acknowledgement(index, applied, cause.mode))
        self.pump.hurry()

    def _reply_to_needless_end(self, cause: _Cause) -> None:
        why = "no stream is running: end a stream only after stream_started, and only once"
        self._journal.record("note", "end without a stream", **self._identity.where, why=why)
        match self._end_without_stream:
            case "silent":
                pass
            case "ended":
                self._send(StreamEnded(), mode=cause.mode)
            case "error":
                self.refuse(NO_STREAM, why)

    def _finish(self, running: RunningStream) -> None:
        self._running = None
        self._sender.cancel_late()
        running.end(self.pump.next_index, self._clock.monotonic())
        self._streams.save(running.record)
        size = running.record.timeline.size
        # Video starts in portrait; after a stream it keeps the stream's orientation.
        portrait = size.height >= size.width or not self.pump.has_begun
        self.pump.show(self._setup.idle(self._identity, portrait=portrait))
        self._on_ended()

    def _fault(self, point: str, prompt: str | None = None) -> Fault | None:
        """Return the fault that fires at `point`; `prompt` defaults to the prompt of the running stream."""
        stream = self.stream
        return self._faults.fire(
            point,
            **self._identity.where,
            stream=self.stream_id,
            prompt=stream.prompt if prompt is None and stream is not None else prompt,
        )

    def _send(
        self,
        message: StreamReply,
        *,
        stream: str | None = None,
        mode: ReplyMode = NORMAL_REPLY,
        note: Mapping[str, JSON] | None = None,
        why: str = "",
    ) -> None:
        if isinstance(message, InteractiveStreamError):
            why = why or message.message
        if why:
            note = {**(note or {}), "why": why}
        self._sender.send(message, stream=stream or self.stream_id, mode=mode, note=note)


def _marker(markers: PromptMarkers) -> str:
    """Return a text that names the marker that rejects a prompt, for the journal."""
    if markers.error is not None:
        return f"the prompt contains the marker [error:{markers.error}]"
    return f"the prompt contains the marker {'[moderated:end]' if markers.ends_stream else '[moderated]'}"


def _rejection(markers: PromptMarkers) -> InteractiveStreamError | None:
    """Return the error with which a prompt with these markers is rejected, or None."""
    if markers.error is not None:
        return InteractiveStreamError(markers.error, ASKED_FOR)
    return MODERATION if markers.moderated else None
