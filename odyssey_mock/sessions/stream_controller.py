"""Streams of one connection: what the client asks for, carried out on the pump, answered on `streamerToClient`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from odyssey_mock.faults.fault import Fault
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.media.timeline import Timeline
from odyssey_mock.prompts.expansion import applied_prompt
from odyssey_mock.prompts.markers import markers_of
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.sessions.channel_sender import NORMAL_REPLY, OVERDUE, REJECTIONS, ChannelSender, ReplyMode
from odyssey_mock.sessions.frame_pump import FramePump, StreamSource
from odyssey_mock.sessions.messages import End, Start, StreamMessage, Update
from odyssey_mock.sessions.running_stream import Acknowledgement, RunningStream
from odyssey_mock.sessions.stream_machine import Action, Event, State, StreamMachine
from odyssey_mock.sessions.stream_setup import ASKED_FOR, StartRefusedError, footage_of, prepared, size_of

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend
    from odyssey_mock.broadcasts.broadcast import Broadcast

_POINTS: Mapping[type[StreamMessage], str] = {Start: "stream.start", Update: "stream.interact", End: "stream.end"}
"""Where faults are asked for each message."""


class StreamController:
    """The shell of one `StreamMachine`.

    `send(text)` puts a message on `streamerToClient`; `on_overdue()` ends the connection, and returns once it is gone;
    `on_ended()` is called when a stream has ended, however that was.
    `take` is called for one message at a time; `frame_made` comes from the pump.
    """

    def __init__(
        self,
        backend: "Backend",
        *,
        session_id: str,
        account_id: str,
        may_bypass: bool,
        keyframes: Keyframes,
        send: Callable[[str], None],
        on_overdue: Callable[[], Awaitable[None]],
        on_ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.machine = StreamMachine()
        self._backend = backend
        self._session_id = session_id
        self._account_id = account_id
        self._may_bypass = may_bypass
        self._keyframes = keyframes
        self._replies = ChannelSender(backend, session_id=session_id, account_id=account_id, send=send)
        self._on_overdue = on_overdue
        self._on_ended = on_ended
        self._pump: FramePump | None = None
        self._running: RunningStream | None = None
        self._error = ("", "")
        """Reason and message of what broke the latest stream that broke."""

    @property
    def stream(self) -> StreamRecord | None:
        """The stream that is on, if one is."""
        return self._running.record if self._running is not None else None

    @property
    def _is_over(self) -> bool:
        return self.machine.state is State.CLOSED

    def use(self, pump: FramePump) -> None:
        """Show streams on `pump` from now on; one that was started before there was any, from its first frame."""
        self._pump = pump
        if self._running is not None:
            pump.show(self._running.showing)

    def idle(self, *, portrait: bool = True) -> StreamSource:
        """What is shown while no stream is on."""
        size = size_of(self._backend, portrait=portrait)
        timeline = Timeline(tag=None, size=size, fps=self._backend.settings.fps)
        return StreamSource(timeline, footage_of(self._backend, timeline))

    async def take(self, message: StreamMessage) -> None:
        """Carry out what the client asked for, or let it fail as somebody wanted."""
        fault = self._fault(_POINTS[type(message)], None if isinstance(message, End) else message.prompt)
        if fault is not None and fault.do == "error":
            self.refuse(fault.text("reason"), fault.text("message"))
            return
        match message:
            case Start():
                await self._start(message, fault)
            case Update():
                self._update(message, fault)
            case End():
                self._act(self._advance(Event.END), ReplyMode.of(fault))

    def refuse(self, reason: str, message: str) -> None:
        """Tell the client that something it sent had no effect; the connection goes on."""
        self._say_error(reason, message)

    def frame_made(self, timeline: Timeline, index: int) -> None:
        """Answer what waited for frame `index` of `timeline`."""
        running = self._running
        if running is None or timeline is not running.record.timeline:
            return
        if self.machine.state is State.STARTING:
            self._act(self._advance(Event.FIRST_FRAME))
        if self._running is not running:
            return  # it has ended with its first frame: nothing is acknowledged any more
        for acknowledgement in running.due(index):
            self._say(
                "update_acknowledged",
                {"prompt": acknowledgement.prompt},
                manner=acknowledgement.manner,
                note={"frame_index": acknowledgement.index},
            )

    def frame_fault(self) -> Fault | None:
        """What is to go wrong with the next frame."""
        return self._fault("peer.frame")

    def broke(self, reason: str, message: str) -> None:
        """Let the stream that is on fail."""
        if self._running is not None:
            self._running.record.error = f"{reason}: {message}"
        self._error = (reason, message)
        self._act(self._advance(Event.BROKE))

    def gone(self) -> None:
        """The connection is over: close what is open, tell nobody."""
        self._act(self._advance(Event.GONE))
        self._replies.close()

    async def _start(self, message: Start, fault: Fault | None) -> None:
        if self.machine.state is not State.IDLE:
            self._act(self._advance(Event.START))
            return
        trial = markers_of(message.prompt)
        if trial.error is not None:
            self.refuse(trial.error, ASKED_FOR)
            return
        try:
            record, showing = await prepared(
                self._backend,
                message,
                session_id=self._session_id,
                account_id=self._account_id,
                may_bypass=self._may_bypass,
            )
        except StartRefusedError as refusal:
            self.refuse(refusal.reason, refusal.message)
            return
        if self._is_over:
            return  # before all was made
        broadcast = None
        if message.broadcast:
            broadcast = self._backend.broadcasts.open(record, showing.footage, self._keyframes)
            showing.audience = broadcast
        bypass = bool(message.bypass_vlm_expansion)
        self._running = RunningStream(record, bypass, showing, broadcast, ReplyMode.of(fault, trial))
        self._backend.streams.remember(record)
        self._act(self._advance(Event.START))

    def _update(self, message: Update, fault: Fault | None) -> None:
        trial = markers_of(message.prompt)
        if trial.error is not None and self._running is not None:
            self.refuse(trial.error, ASKED_FOR)
            return
        actions = self._advance(Event.UPDATE)
        if Action.APPLY in actions and self._running is not None:
            applied = applied_prompt(message.prompt, bypass=self._running.bypass)
            index = self._next_index
            self._running.record.timeline.interact(index, applied)
            self._running.acknowledgements.append(Acknowledgement(index, applied, ReplyMode.of(fault, trial)))
        self._act(actions)

    def _advance(self, event: Event) -> tuple[Action, ...]:
        before = self.machine.state
        actions = self.machine.handle(event)
        if self.machine.state is not before or actions:
            stream = self.stream
            self._backend.journal.record(
                "state",
                "stream",
                {"from": before, "to": self.machine.state, "event": event},
                account=self._account_id,
                session=self._session_id,
                stream=stream.id if stream is not None else None,
            )
        return actions

    def _act(self, actions: tuple[Action, ...], manner: ReplyMode = NORMAL_REPLY) -> None:
        """Carry `actions` out; `manner`: how the end of a stream is told."""
        stream_id = self.stream.id if self.stream is not None else None
        for action in actions:
            match action:
                case Action.BEGIN if self._running is not None and self._pump is not None:
                    self._pump.show(self._running.showing)
                case Action.ANNOUNCE if self._running is not None:
                    self._announce(self._running)
                case Action.FINISH:
                    self._finish()
                case Action.ANNOUNCE_END:
                    self._say("stream_ended", {}, stream=stream_id, manner=manner)
                case Action.ANNOUNCE_ERROR:
                    self._say_error(*self._error, stream=stream_id)
                case Action.ANNOUNCE_OVERDUE:
                    self._say_error(*OVERDUE, stream=stream_id)
                case Action.REJECT_ALREADY_RUNNING | Action.REJECT_NO_STREAM:
                    self.refuse(*REJECTIONS[action])
                case _:
                    pass

    def _announce(self, running: RunningStream) -> None:
        record = running.record
        later = self._backend.clock.call_later
        longest = self._backend.accounts.limits_of(self._account_id).stream_duration
        if longest is not None:
            running.deadlines.append(later(longest, "stream duration", self._overdue))
        started = {"stream_id": record.id, "applied_prompt": record.applied_prompt}
        self._say("stream_started", started, manner=running.manner)
        if running.broadcast is not None:
            self._announce_broadcast(running.broadcast)
        trouble = self._fault("stream.running")
        if trouble is not None and trouble.number("seconds"):
            name = f"fault: {trouble.at} {trouble.do}"
            running.deadlines.append(later(trouble.number("seconds"), name, lambda: self._trouble(trouble)))
        elif trouble is not None:
            self._trouble(trouble)

    def _announce_broadcast(self, broadcast: "Broadcast") -> None:
        fault = self._fault("stream.broadcast")
        how = {"spectator_token": broadcast.token, "broadcast_url": broadcast.hls_url}
        if fault is not None and fault.do == "missing_fields":
            self._say("broadcast_ready", how)
        else:
            self._say("broadcast_ready", {"webrtc_url": broadcast.webrtc_url, **how}, manner=ReplyMode.of(fault))

    def _trouble(self, fault: Fault) -> None:
        """Let the stream that is on fail, or end, unasked."""
        if fault.do == "error":
            self.broke(fault.text("reason"), fault.text("message"))
        else:
            self._act(self._advance(Event.END))

    async def _overdue(self) -> None:
        actions = self._advance(Event.OVERDUE)
        self._act(actions)
        if Action.HANG_UP in actions:
            await self._on_overdue()

    def _finish(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        self._replies.forget_late()
        running.end(self._next_index, self._backend.clock.time())
        size = running.record.timeline.size
        if self._pump is not None:
            self._pump.show(self.idle(portrait=size.height >= size.width))
        elif running.broadcast is not None:
            running.broadcast.end()
        self._on_ended()

    def _fault(self, point: str, prompt: str | None = None) -> Fault | None:
        """What is to fail at `point`; `prompt`: the one that came, where it is not that of the stream that is on."""
        stream = self.stream
        return self._backend.faults.fire(
            point,
            account=self._account_id,
            session=self._session_id,
            stream=stream.id if stream is not None else None,
            prompt=stream.prompt if prompt is None and stream is not None else prompt,
        )

    @property
    def _next_index(self) -> int:
        """Of the frame that shows what is changed now."""
        return self._pump.next_index if self._pump is not None else 0

    def _say_error(self, reason: str, message: str, *, stream: str | None = None) -> None:
        self._say("interactive_stream_error", {"reason": reason, "message": message}, stream=stream)

    def _say(
        self,
        kind: str,
        fields: Mapping[str, str | None],
        *,
        stream: str | None = None,
        manner: ReplyMode = NORMAL_REPLY,
        note: Mapping[str, int] | None = None,
    ) -> None:
        running = self.stream.id if self.stream is not None else None
        self._replies.say(kind, fields, stream=stream or running, manner=manner, note=note)
