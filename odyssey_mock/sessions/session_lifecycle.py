"""The parts of a session that outlive its connections: state, deadlines and video."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, assert_never

from odyssey_mock import latency
from odyssey_mock.broadcasts.monitors import Monitors
from odyssey_mock.broadcasts.registry import Broadcasts
from odyssey_mock.core.clock import Clock, Deadline
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.registry import Faults
from odyssey_mock.media.keyframes import Keyframes
from odyssey_mock.recordings.stream_records import StreamStore
from odyssey_mock.sessions.client_connection import ClientConnection
from odyssey_mock.sessions.session_identity import SessionIdentity
from odyssey_mock.sessions.session_machine import SessionEffect, SessionEvent, SessionMachine, SessionState
from odyssey_mock.sessions.stream_controller import StreamController
from odyssey_mock.sessions.stream_setup import StreamSetup
from odyssey_mock.settings import Settings

_DEADLINE_NAMES = {
    SessionEvent.DANGLING: "dangling session",
    SessionEvent.CONNECTION_OVERDUE: "connection duration",
    SessionEvent.INACTIVE: "inactivity",
    SessionEvent.GRACE_OVER: "session grace",
    SessionEvent.STALE_OVER: "stale session",
}
"""The name of each event's deadline in the journal and in `GET /_mock/clock`."""

_ABANDONED: Mapping[SessionEvent, SessionEvent] = MappingProxyType(
    {
        SessionEvent.PEER_CLOSED: SessionEvent.PEER_ABANDONED,
        SessionEvent.SOCKET_CLOSED: SessionEvent.SOCKET_ABANDONED,
    }
)
"""The events that replace a clean close without `client_disconnecting`, if `stale_session` is above 0."""

_WHY: Mapping[SessionEvent, str] = MappingProxyType(
    {
        SessionEvent.DESCRIPTION_REFUSED: "the SDP answer of the client cannot be used",
        SessionEvent.PEER_CLOSED: "the client closed its peer connection",
        SessionEvent.PEER_ABANDONED: "the client closed its peer connection, and has not sent client_disconnecting "
        "(setting `stale_session`: {stale_session:g} s)",
        SessionEvent.PEER_LOST: "the peer connection failed",
        SessionEvent.SOCKET_CLOSED: "the client closed its socket with 1000 or 1001 and without client_disconnecting",
        SessionEvent.SOCKET_ABANDONED: "the client closed its socket without client_disconnecting (setting "
        "`stale_session`: {stale_session:g} s); call disconnect() when the page is left",
        SessionEvent.SOCKET_LOST: "the socket broke, or was closed with a code other than 1000 and 1001",
        SessionEvent.STREAM_OVERDUE: "a stream has run for {stream_duration:g} s (setting `stream_duration`)",
        SessionEvent.CONNECTION_OVERDUE: "the connection has lasted {connection_duration:g} s (setting "
        "`connection_duration`)",
        SessionEvent.INACTIVE: "for {inactivity:g} s no stream ran, and the client sent no message about one (setting "
        "`inactivity`)",
        SessionEvent.DANGLING: "no peer connected within {dangling_session:g} s (setting `dangling_session`)"
        "{and_latency}",
        SessionEvent.UNUSED: "all tokens of the session expired before a client connected; the latest was issued for "
        "{session_token_lifetime:g} s (setting `session_token_lifetime`)",
        SessionEvent.GRACE_OVER: "the lost client did not return within {session_grace:g} s (setting `session_grace`)"
        "{and_latency}",
        SessionEvent.STALE_OVER: "the session was stale for {stale_session:g} s (setting `stale_session`)",
        SessionEvent.SHUT_DOWN: "the mock was stopped or reset, or ended the session",
    }
)
"""The causes of state changes, for the journal, formatted with the settings and the limits of the account."""


def _and_latency(delay: float) -> str:
    """Return the end of a text about a time limit: the `delay` in seconds that the latency profile adds to the limit.

    The result is empty if the profile adds none.
    """
    return f" and {delay:g} s for the delays of a connect (setting `latency`)" if delay else ""


class SessionVideo:
    """The streams and the video of a session, which continue while the client is disconnected.

    Messages for the data channel are queued while the client is disconnected, and sent when the client returns.
    `StreamController` describes the callbacks `on_overdue()` and `on_ended()`.
    """

    def __init__(
        self,
        identity: SessionIdentity,
        *,
        settings: Settings,
        clock: Clock,
        journal: Journal,
        faults: Faults,
        streams: StreamStore,
        broadcasts: Broadcasts,
        monitors: Monitors,
        setup: StreamSetup,
        on_overdue: Callable[[], Awaitable[None]],
        on_ended: Callable[[], None],
    ) -> None:
        self.keyframes = Keyframes(round(settings.keyframe_gap * settings.fps))
        self.controller = StreamController(
            identity,
            clock=clock,
            journal=journal,
            faults=faults,
            streams=streams,
            broadcasts=broadcasts,
            monitors=monitors,
            setup=setup,
            keyframes=self.keyframes,
            end_without_stream=settings.end_without_stream,
            broadcast_delay=latency.seconds(settings.latency, "stream.broadcast"),
            transmit=self._transmit,
            client_url=lambda: self._client_url,
            on_overdue=on_overdue,
            on_ended=on_ended,
        )
        self._video: asyncio.Task[None] | None = None
        self._carrier: asyncio.TaskGroup | None = None
        self._connection: ClientConnection | None = None
        self._backlog: list[str] = []
        self._client_url = ""
        """The URL at which the client reaches the mock, from its latest connection."""

    def is_carried_by(self, tasks: asyncio.TaskGroup) -> bool:
        """Return whether the video runs in the task group `tasks`."""
        return self._carrier is tasks

    def use(self, connection: ClientConnection) -> None:
        """Send messages on `connection` from now on. Its peer queues them until the data channel opens."""
        self._connection = connection
        self._client_url = connection.socket.base_url

    def start(self, connection: ClientConnection) -> None:
        """Start the video on `connection`, whose SDP answer was applied; the video may outlive the connection."""
        self._carrier = connection.lasting
        self._video = connection.lasting.create_task(self.controller.pump.run())
        self.resume(connection)

    def resume(self, connection: ClientConnection) -> None:
        """Continue the video on `connection`, whose SDP answer was applied, and send the queued messages."""
        if connection.codec is None or self._video is None:
            raise RuntimeError("cannot send video: the client's SDP answer was not applied, or `start` was not called")
        peer = connection.peer
        self.controller.pump.attach(connection.track, connection.codec, is_congested=lambda: peer.is_congested)
        self.use(connection)
        backlog, self._backlog = self._backlog, []
        for text in backlog:
            connection.peer.send(text)

    def hurry(self, connection: ClientConnection) -> None:
        """Send the first frame on `connection` now, because it can no longer delay the opening of the data channels."""
        if connection is self._connection and not connection.track.has_begun:
            self.controller.pump.hurry()

    def leave(self) -> None:
        """Continue the video without a client; queue messages until the client returns.

        The queue begins with the messages that the lost connection has not delivered.
        """
        if self._connection is not None:
            self._backlog[:0] = self._connection.peer.undelivered()
        self._connection = None
        self.controller.pump.detach()

    def end(self, why: str) -> None:
        """End the stream, for the cause `why`. End the video as soon as its last frame is made."""
        self.controller.gone(why)
        if self._video is not None:
            self._video.cancel()
        else:
            self.controller.pump.close()

    def _transmit(self, text: str) -> None:
        if self._connection is None:
            self._backlog.append(text)
        else:
            self._connection.peer.send(text)


class MakeVideo(Protocol):
    """Factory of a session's video."""

    def __call__(
        self, identity: SessionIdentity, *, on_overdue: Callable[[], Awaitable[None]], on_ended: Callable[[], None]
    ) -> SessionVideo:
        """Create the video; the parameters are those of `SessionVideo`."""


class SessionLifecycle:
    """The state, deadlines and video of a session. Its methods are synchronous.

    When an event's deadline expires, `due(event)` is called and awaited. When the session is over, `on_released()` is
    called.
    """

    def __init__(
        self,
        identity: SessionIdentity,
        *,
        settings: Settings,
        clock: Clock,
        journal: Journal,
        make_video: MakeVideo,
        due: Callable[[SessionEvent], Awaitable[None]],
        on_released: Callable[[], None],
    ) -> None:
        self.released = asyncio.Event()
        """Set once the session is over."""
        self._identity = identity
        self.why = ""
        """The cause of the latest state change, for the journal; empty if no fault caused it and `_WHY` has none."""
        # A client that connects to the session, or returns to it, has the usual time in every latency profile.
        delay = latency.connecting(settings.latency)
        self._grace = settings.session_grace + delay if settings.session_grace else 0.0
        self._stale = settings.stale_session
        self._values = vars(settings) | vars(identity.limits) | {"and_latency": _and_latency(delay)}
        self._journal = journal
        self._make_video = make_video
        self._due = due
        self._on_released = on_released
        self._machine = SessionMachine()
        self.video = self._new_video()
        self._deadlines = _Deadlines(clock, due)
        self._deadlines.arm(SessionEvent.DANGLING, settings.dangling_session + delay)

    @property
    def state(self) -> SessionState:
        """The state of the session's state machine."""
        return self._machine.state

    @property
    def deadlines(self) -> Sequence[Deadline]:
        """The deadlines that were set for the session; those in the past have fired.

        The inactivity timeout is left out during a stream, because it then has no effect.
        """
        is_streaming = self.video.controller.stream is not None
        return [
            each
            for event, each in self._deadlines.armed.items()
            if not (is_streaming and event is SessionEvent.INACTIVE)
        ]

    def issued_token(self, lifetime: float) -> None:
        """Note that a token was issued for the session, valid for `lifetime` seconds."""
        self._values["session_token_lifetime"] = lifetime

    def handle(self, event: SessionEvent, by_fault: str = "") -> tuple[SessionEffect, ...]:
        """Handle an event: carry out its effects on the session at once, and return all its effects.

        The streamer of an ended session is therefore free before the client is notified.

        `by_fault`: a text about the fault that caused the event; empty if no fault caused it. If a fault closed the
        connection, the session does not become stale, because the client has not left.
        """
        if self._stale and not by_fault:
            event = _ABANDONED.get(event, event)
        before = self._machine.state
        effects = self._machine.handle(event)
        if self._machine.state is not before:
            data: dict[str, JSON] = {"from": before, "to": self._machine.state, "event": event}
            self.why = by_fault or (_WHY[event].format_map(self._values) if event in _WHY else "")
            if self.why:
                data["why"] = self.why
            self._journal.record("state", "session", data, **self._identity.where)
        for effect in effects:
            self._carry_out(effect)
        return effects

    def touch(self) -> None:
        """Restart the inactivity timeout: the client has sent a stream message, or a stream has ended."""
        if self.state is SessionState.CONNECTED:
            self._deadlines.arm(SessionEvent.INACTIVE, self._identity.limits.inactivity)

    def _carry_out(self, effect: SessionEffect) -> None:  # noqa: PLR0912 - one case for each effect
        match effect:
            case SessionEffect.ARM_LIMIT:
                self._deadlines.arm(SessionEvent.CONNECTION_OVERDUE, self._identity.limits.connection_duration)
            case SessionEffect.ARM_INACTIVITY:
                self.touch()
            case SessionEffect.DISARM_INACTIVITY:
                self._deadlines.disarm(SessionEvent.INACTIVE)
            case SessionEffect.ARM_GRACE:
                self._deadlines.arm(SessionEvent.GRACE_OVER, self._grace)
            case SessionEffect.DISARM_GRACE:
                self._deadlines.disarm(SessionEvent.GRACE_OVER)
            case SessionEffect.ARM_STALE:
                self._deadlines.arm(SessionEvent.STALE_OVER, self._stale)
            case SessionEffect.DISARM:
                self._deadlines.disarm_all()
            case SessionEffect.DROP_CONNECTION:
                self.video.leave()
                if not self._grace:
                    self.handle(SessionEvent.GRACE_OVER)
            case SessionEffect.END_STREAM:
                self.video.end(self.why)
            case SessionEffect.HANG_UP:
                self.video.end(self.why)
                if self.state is SessionState.WAITING:
                    self.video = self._new_video()
            case SessionEffect.RELEASE:
                self.released.set()
                self._on_released()
            case (
                SessionEffect.SEND_OFFER
                | SessionEffect.APPLY_ANSWER
                | SessionEffect.REFUSE_ANSWER
                | SessionEffect.REFUSE_SOCKET
                | SessionEffect.START_VIDEO
                | SessionEffect.RESUME_VIDEO
                | SessionEffect.OPEN_CHANNELS
                | SessionEffect.REPORT_BAD_ANSWER
                | SessionEffect.REPORT_UNREACHABLE
                | SessionEffect.REPORT_OVERDUE
                | SessionEffect.REPORT_SHUT_DOWN
                | SessionEffect.DRAIN
            ):
                pass  # `Session` carries these out on the connection
            case _ as unreachable:
                assert_never(unreachable)

    def _new_video(self) -> SessionVideo:
        return self._make_video(
            self._identity, on_overdue=lambda: self._due(SessionEvent.STREAM_OVERDUE), on_ended=self.touch
        )


class _Deadlines:
    """The deadlines of one session on the server's clock, at most one for each event."""

    def __init__(self, clock: Clock, due: Callable[[SessionEvent], Awaitable[None]]) -> None:
        self._clock = clock
        self._due = due
        self._armed: dict[SessionEvent, Deadline] = {}

    @property
    def armed(self) -> Mapping[SessionEvent, Deadline]:
        """The deadlines by event, including those that have fired."""
        return MappingProxyType(self._armed)

    def arm(self, event: SessionEvent, seconds: float | None) -> None:
        """Set or replace the deadline of `event`, `seconds` from now; None removes it."""
        self.disarm(event)
        if seconds is not None:
            self._armed[event] = self._clock.call_later(seconds, _DEADLINE_NAMES[event], lambda: self._due(event))

    def disarm(self, event: SessionEvent) -> None:
        """Remove the deadline of `event`."""
        deadline = self._armed.pop(event, None)
        if deadline is not None:
            deadline.cancel()

    def disarm_all(self) -> None:
        """Remove all deadlines."""
        for event in tuple(self._armed):
            self.disarm(event)
