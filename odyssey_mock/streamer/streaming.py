"""Streams of one connection: what the client asks for, carried out on the pump, answered on `streamerToClient`."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from odyssey_mock.clock import Deadline
from odyssey_mock.media.encoders import Encoders
from odyssey_mock.media.picture import PictureError, kept
from odyssey_mock.media.scene import Renderer
from odyssey_mock.media.timeline import Size, Timeline
from odyssey_mock.recordings.streams import StreamRecord
from odyssey_mock.streamer.expansion import applied_prompt
from odyssey_mock.streamer.images import ImageRefusedError, decode_data_url
from odyssey_mock.streamer.keyframes import Keyframes
from odyssey_mock.streamer.messages import End, Start, StreamMessage, Update
from odyssey_mock.streamer.pump import FramePump, Showing
from odyssey_mock.streamer.stream import Action, Event, State, StreamMachine

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend
    from odyssey_mock.broadcast.broadcast import Broadcast

REASON_INVALID = "invalid_message"
"""`interactive_stream_error` for what is no message of the protocol."""

OVERDUE = ("session_timeout", "Stream ended: credit lease expired")
"""`reason` and `message` at the end of a stream's time (`protocol.md` section 4)."""

_REJECTIONS = {
    Action.REJECT_ALREADY_RUNNING: (
        "stream_already_active",
        "a stream is running in this connection; end it with interactive_stream_end before starting another",
    ),
    Action.REJECT_NO_STREAM: (
        "no_active_stream",
        "no stream is running in this connection; start one with interactive_stream_start first",
    ),
}
"""`reason` and `message` of what cannot be done now."""


@dataclass(slots=True)
class _Acknowledgement:
    """An update that is answered once frame `index` of its stream was sent."""

    index: int
    prompt: str


@dataclass(slots=True)
class _Running:
    """What belongs to the stream that is on."""

    record: StreamRecord
    bypass: bool
    showing: Showing
    broadcast: "Broadcast | None"
    limit: Deadline | None = None
    acknowledgements: deque[_Acknowledgement] = field(default_factory=deque)


class Streaming:
    """The shell of one `StreamMachine`.

    `send(text)` puts a message on `streamerToClient`; `on_overdue()` ends the connection, and returns once it is gone.
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
    ) -> None:
        self.machine = StreamMachine()
        self._backend = backend
        self._session_id = session_id
        self._account_id = account_id
        self._may_bypass = may_bypass
        self._keyframes = keyframes
        self._send = send
        self._on_overdue = on_overdue
        self._pump: FramePump | None = None
        self._running: _Running | None = None
        self._error = ("", "")
        """Reason and message of what broke the latest stream that broke."""

    @property
    def stream(self) -> StreamRecord | None:
        """The stream that is on, if one is."""
        return self._running.record if self._running is not None else None

    def use(self, pump: FramePump) -> None:
        """Show streams on `pump` from now on; one that was started before there was any, from its first frame."""
        self._pump = pump
        if self._running is not None:
            pump.show(self._running.showing)

    def idle(self, *, portrait: bool = True) -> Showing:
        """What is shown while no stream is on."""
        timeline = Timeline(tag=None, size=self._size(portrait), fps=self._backend.settings.fps)
        return Showing(timeline, self._encoders(timeline), Renderer(timeline))

    async def take(self, message: StreamMessage) -> None:
        """Carry out what the client asked for."""
        match message:
            case Start():
                await self._start(message)
            case Update():
                self._update(message)
            case End():
                self._act(self._advance(Event.END))

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
        while running.acknowledgements and running.acknowledgements[0].index <= index:
            acknowledgement = running.acknowledgements.popleft()
            self._say(
                "update_acknowledged", prompt=acknowledgement.prompt, _note={"frame_index": acknowledgement.index}
            )

    def broke(self, reason: str, message: str) -> None:
        """Let the stream that is on fail."""
        if self._running is not None:
            self._running.record.error = f"{reason}: {message}"
        self._error = (reason, message)
        self._act(self._advance(Event.BROKE))

    def gone(self) -> None:
        """The connection is over: close what is open, tell nobody."""
        self._act(self._advance(Event.GONE))

    async def _start(self, message: Start) -> None:
        if self.machine.state is not State.IDLE:
            self._act(self._advance(Event.START))
            return
        bypass = bool(message.bypass_vlm_expansion)
        if bypass and not self._may_bypass:
            self.refuse(
                "bypass_not_allowed",
                "bypass_vlm_expansion needs the expansion bypass privilege, which this account lacks; start without it",
            )
            return
        loop = asyncio.get_running_loop()
        size = self._size(message.portrait)
        image: bytes | None = None
        if message.input_image_base64 is not None:
            if not self._backend.settings.image_to_video:
                self.refuse(
                    "image_to_video_not_supported",
                    "this streamer's capabilities say image_to_video: false; start without an image",
                )
                return
            try:
                image = await loop.run_in_executor(None, self._image, message.input_image_base64, size)
            except (ImageRefusedError, PictureError) as refusal:
                self.refuse("invalid_image", str(refusal))
                return
        applied = applied_prompt(message.prompt, bypass=bypass)
        timeline = Timeline(
            tag=self._backend.entropy.number(16),
            size=size,
            fps=self._backend.settings.fps,
            prompt=applied,
            image=image,
        )
        renderer = Renderer(timeline)
        # Composing a scene takes tens of milliseconds: not on the loop, and not in the middle of the video either.
        await loop.run_in_executor(None, renderer.render, 0)
        record = StreamRecord(
            id=self._backend.entropy.uuid(),
            session_id=self._session_id,
            account_id=self._account_id,
            timeline=timeline,
            prompt=message.prompt,
            applied_prompt=applied,
            broadcast=message.broadcast,
            started_at=self._backend.clock.time(),
        )
        showing = Showing(timeline, self._encoders(timeline), renderer)
        broadcast = None
        if message.broadcast:
            broadcast = self._backend.broadcasts.open(record, showing.encoders, self._keyframes)
            showing.audience = broadcast
        self._running = _Running(record, bypass, showing, broadcast)
        self._backend.streams.remember(record)
        self._act(self._advance(Event.START))

    def _image(self, url: str, size: Size) -> bytes:
        """The bytes of a start's image that are remembered; decodes it, which takes up to seconds."""
        return kept(decode_data_url(url, self._backend.settings.max_image_bytes), size)

    def _update(self, message: Update) -> None:
        actions = self._advance(Event.UPDATE)
        if Action.APPLY in actions and self._running is not None:
            applied = applied_prompt(message.prompt, bypass=self._running.bypass)
            index = self._next_index
            self._running.record.timeline.interact(index, applied)
            self._running.acknowledgements.append(_Acknowledgement(index, applied))
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

    def _act(self, actions: tuple[Action, ...]) -> None:
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
                    self._say("stream_ended", _stream=stream_id)
                case Action.ANNOUNCE_ERROR:
                    self._say_error(*self._error, _stream=stream_id)
                case Action.ANNOUNCE_OVERDUE:
                    self._say_error(*OVERDUE, _stream=stream_id)
                case Action.REJECT_ALREADY_RUNNING | Action.REJECT_NO_STREAM:
                    self.refuse(*_REJECTIONS[action])
                case _:
                    pass

    def _announce(self, running: _Running) -> None:
        record = running.record
        settings = self._backend.settings
        running.limit = self._backend.clock.call_later(settings.stream_duration, "stream duration", self._overdue)
        self._say("stream_started", stream_id=record.id, applied_prompt=record.applied_prompt)
        if running.broadcast is not None:
            self._say(
                "broadcast_ready",
                webrtc_url=running.broadcast.webrtc_url,
                spectator_token=running.broadcast.token,
                broadcast_url=running.broadcast.hls_url,
            )

    async def _overdue(self) -> None:
        actions = self._advance(Event.OVERDUE)
        self._act(actions)
        if Action.HANG_UP in actions:
            await self._on_overdue()

    def _finish(self) -> None:
        running, self._running = self._running, None
        if running is None:
            return
        if running.limit is not None:
            running.limit.cancel()
        running.record.timeline.end(self._next_index)
        running.record.ended_at = self._backend.clock.time()
        size = running.record.timeline.size
        if self._pump is not None:
            self._pump.show(self.idle(portrait=size.height >= size.width))
        elif running.broadcast is not None:
            running.broadcast.end()

    @property
    def _next_index(self) -> int:
        """Of the frame that shows what is changed now."""
        return self._pump.next_index if self._pump is not None else 0

    def _size(self, portrait: bool) -> Size:
        settings = self._backend.settings
        return Size(*(settings.portrait_size if portrait else settings.landscape_size))

    def _encoders(self, timeline: Timeline) -> Encoders:
        return Encoders(timeline.size, timeline.fps, self._backend.settings.bitrate)

    def _say_error(self, reason: str, message: str, *, _stream: str | None = None) -> None:
        self._say("interactive_stream_error", reason=reason, message=message, _stream=_stream)

    def _say(
        self, kind: str, *, _stream: str | None = None, _note: Mapping[str, int] | None = None, **fields: str | None
    ) -> None:
        message = {"type": kind, **fields}
        self._backend.journal.record(
            "channel",
            kind,
            {"from": "server", "channel": "streamerToClient", "message": message, **(_note or {})},
            account=self._account_id,
            session=self._session_id,
            stream=_stream or (self.stream.id if self.stream is not None else None),
        )
        self._send(json.dumps(message))
