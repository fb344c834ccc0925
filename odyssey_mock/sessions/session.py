"""One session: its streams, their video, and at most one connection to the client at a time.

See `protocol.md` section 3. All messages and events of a connection go through one inbox and are handled one by one, in
the order in which they arrived. `SessionMachine` decides what each event does. `SessionLifecycle` first carries out the
effects on the session itself, then `Session` carries out the effects on the connection. The stream and its video
outlive a connection: they run in the task of the first socket until the session ends::

    socket 1: serve -> ClientConnection -> lost      (held)      video continues -> end of the session
    socket 2:                                   serve -> ClientConnection -> ...
"""

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Protocol, assert_never

from odyssey_mock.core.clock import Clock, Deadline, deadlines_json
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.shortages import refusal_of
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.rtc.remote_description import DescriptionError
from odyssey_mock.sessions.client_connection import ClientConnection, Connect, Instruction
from odyssey_mock.sessions.errors import SessionStateError
from odyssey_mock.sessions.messages import (
    Answer,
    ClientDisconnecting,
    ClientMessage,
    End,
    IceCandidate,
    InteractiveStreamError,
    KeepAlive,
    MessageError,
    SignalingError,
    Start,
    Update,
    encode,
)
from odyssey_mock.sessions.session_identity import SessionIdentity
from odyssey_mock.sessions.session_lifecycle import MakeVideo, SessionLifecycle
from odyssey_mock.sessions.session_machine import SessionEffect, SessionEvent, SessionState
from odyssey_mock.sessions.signaling_socket import (
    INTERNAL_ERROR,
    NORMAL_CLOSURE,
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    SignalingSocket,
    check_close_frame,
)
from odyssey_mock.settings import Settings

REASON_INVALID = "invalid_message"
"""Reason of the `interactive_stream_error` for an invalid message."""

_FAULTY = frozenset({SessionEffect.REPORT_BAD_ANSWER, SessionEffect.REPORT_UNREACHABLE})
"""Effects after which the socket is closed with `INTERNAL_ERROR`."""

_SOCKET_ENDS = frozenset({SessionEvent.SOCKET_CLOSED, SessionEvent.SOCKET_LOST})
"""Events that a fault of the mock may have caused instead of the client."""


class Session:
    """One session, from its request to the release of its streamer."""

    def __init__(
        self,
        identity: SessionIdentity,
        *,
        settings: Settings,
        clock: Clock,
        journal: Journal,
        connect: Connect,
        make_video: MakeVideo,
        on_released: Callable[["Session"], None],
        on_gone: Callable[["Session"], None],
    ) -> None:
        self.id = identity.id
        self.account_id = identity.account_id
        self.streamer_id = identity.streamer_id
        self.region = identity.region
        self._identity = identity
        self.created_at = clock.time()
        self._journal = journal
        self._connect = connect
        self._on_gone = on_gone
        self._connection: ClientConnection | None = None
        self._is_taking = False
        """Whether a message about a stream is being handled; the preparation of a stream can take seconds."""
        self._serving = 0
        """Number of running `serve` calls: sockets that are open or closing, or whose task runs the video."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._lifecycle = SessionLifecycle(
            identity,
            settings=settings,
            clock=clock,
            journal=journal,
            make_video=make_video,
            due=self._due,
            on_released=lambda: on_released(self),
        )

    @property
    def state(self) -> SessionState:
        """The state of the session's state machine."""
        return self._lifecycle.state

    @property
    def stream(self) -> StreamRecord | None:
        """The running stream, or None."""
        return self._lifecycle.video.controller.stream

    @property
    def frames_made(self) -> int:
        """Number of frames of the running stream that were made so far; 0 if no stream is running."""
        return self._lifecycle.video.controller.pump.next_index if self.stream is not None else 0

    @property
    def is_over(self) -> bool:
        """Whether no client can use the session anymore; a stale session still occupies its streamer."""
        return self.state in {SessionState.STALE, SessionState.CLOSED}

    @property
    def has_socket(self) -> bool:
        """Whether a client's signaling socket is open."""
        return self._connection is not None and not self._connection.hung_up

    @property
    def is_served(self) -> bool:
        """Whether a signaling socket of the session is open or still closing."""
        return self._serving > 0

    async def serve(self, socket: SignalingSocket, *, channel_delay: float) -> None:
        """Serve a client's socket until it is closed.

        The call in which the client first connects also runs the video, and returns only when the session is over.

        `channel_delay`: seconds between the peer's connection and the opening of the data channels.
        """
        self._serving += 1
        self._idle.clear()
        try:
            await self._serve(socket, channel_delay)
        finally:
            self._serving -= 1
            if not self._serving:
                self._idle.set()
                self._on_gone(self)

    async def _serve(self, socket: SignalingSocket, channel_delay: float) -> None:
        while self.state in {SessionState.WAITING, SessionState.HELD} and self._connection is not None:
            # The client lost its socket and has opened another one; the peer of the lost connection is still open.
            await self._connection.gone.wait()
        effects = self._lifecycle.handle(SessionEvent.SOCKET_OPENED)
        if SessionEffect.REFUSE_SOCKET in effects:
            await self._refuse(socket)
            return
        try:
            self._connection = connection = self._connect(
                socket,
                self._identity,
                channel_delay=channel_delay,
                current_stream=lambda: self._lifecycle.video.controller.stream_id,
                on_keyframe_wanted=self._lifecycle.video.keyframes.lost,
            )
        except BaseException:
            # The peer could not be created, for example because no file descriptors are left. Free the streamer.
            self._lifecycle.handle(SessionEvent.SHUT_DOWN)
            raise
        if self.state is SessionState.SIGNALING:
            self._lifecycle.video.use(connection)
        async with asyncio.TaskGroup() as connection.lasting:
            await self._converse(connection, effects)
            if self._lifecycle.video.is_carried_by(connection.lasting):
                await self._carry_on()

    async def _converse(self, connection: ClientConnection, effects: tuple[SessionEffect, ...]) -> None:
        """Handle the events of one connection until `hang_up` is called."""
        try:
            async with connection, asyncio.TaskGroup() as connection.tasks:
                try:
                    connection.run(connection.read())
                    await self._carry_out(effects, connection)
                    while not connection.hung_up:
                        item = await connection.receive()
                        if not connection.hung_up:  # `abandon` hangs up at any time
                            await self._take(item, connection)
                except OSError as error:
                    # The sockets of the peer could not be opened. The journal gets the reason, the client only that
                    # no streamer is available; it may connect again.
                    if (refusal := refusal_of(error)) is not None and not connection.hung_up:
                        await connection.send(SignalingError("streamer_not_available"), why=refusal)
                        connection.hang_up(TRY_AGAIN_LATER, refusal)
                        self._lifecycle.handle(SessionEvent.SHUT_DOWN)
                    raise
                finally:
                    # After a cancellation or a bug, end the session, so that its streamer becomes free.
                    if not connection.hung_up:
                        connection.hang_up(INTERNAL_ERROR)
                        self._lifecycle.handle(SessionEvent.SHUT_DOWN)
        finally:
            self._connection = None
            connection.gone.set()

    async def _carry_on(self) -> None:
        """Keep the video's task group open until the session is over, even while no client is connected."""
        try:
            await self._lifecycle.released.wait()
        finally:
            if self._connection is not None and not self._connection.hung_up:
                self._connection.instruct(SessionEvent.SHUT_DOWN)
            else:
                self._lifecycle.handle(SessionEvent.SHUT_DOWN)

    def snapshot(self, now: float, token_expiry: Deadline | None) -> dict[str, JSON]:
        """Return the session as `GET /_mock/state` shows it, with the seconds until its deadlines at the time `now`.

        `token_expiry`: the deadline of the session's latest token; it counts only while no client has connected.
        """
        controller = self._lifecycle.video.controller
        deadlines = [*self._lifecycle.deadlines, *controller.deadlines]
        if token_expiry is not None and self.state is SessionState.WAITING:
            deadlines.append(token_expiry)
        left = sorted((each for each in deadlines if each.when > now), key=lambda each: each.when)
        return {
            "session_id": self.id,
            "account": self.account_id,
            "state": self.state.value,
            "streamer_id": self.streamer_id,
            "region": self.region,
            "created_at": self.created_at,
            "has_socket": self.has_socket,
            "stream_id": controller.stream_id,
            "stream_state": controller.machine.state.value,
            "deadlines": deadlines_json(left, now),
        }

    async def statistics(self) -> dict[str, dict[str, JSON]]:
        """Return the statistics of the connection to the client: reports by id, as in the W3C's webrtc-stats.

        The result is empty without a connection.
        """
        return {} if self._connection is None else await self._connection.peer.statistics()

    def break_stream(self, reason: str, message: str) -> None:
        """Fail the running stream as if the model had crashed: send `interactive_stream_error`, then `stream_ended`.

        Raises:
            SessionStateError: no stream is running.
        """
        self._require_stream()
        self._lifecycle.video.controller.broke(
            InteractiveStreamError(reason, message), "Session.break_stream was called"
        )

    def interact(self, prompt: str) -> str:
        """Change the picture of the running stream as an interaction of the client does; return the applied prompt.

        The real service has no such thing. The client gets no message, because an `update_acknowledged` would look
        like the reply to an interaction of its own that is still on its way. Viewers and the recording show the change.
        Faults and prompt markers do not apply.

        Raises:
            SessionStateError: no stream is running.
        """
        self._require_stream()
        return self._lifecycle.video.controller.interact(prompt, "Session.interact was called")

    def end_stream(self) -> None:
        """End the running stream as the service can do: send `stream_ended`. The session continues.

        Raises:
            SessionStateError: no stream is running.
        """
        self._require_stream()
        self._lifecycle.video.controller.end("Session.end_stream was called")

    async def close_socket(self, code: int = INTERNAL_ERROR, reason: str = "") -> None:
        """Close the client's signaling socket with a WebSocket close code, and return once the close frame is sent.

        A session whose client has connected is then held for `session_grace` seconds, or ends if the code is 1000 or
        1001. Before a client has connected, the session waits for another socket.

        Args:
            code: the close code, such as 1011 or 4000.
            reason: the reason, at most 123 bytes in UTF-8.

        Raises:
            CloseFrameError: no endpoint may send the code, or the reason is too long.
            SessionStateError: no signaling socket of the session is open.
        """
        check_close_frame(code, reason)
        await self._open_connection().close_socket("Session.close_socket", code, reason)

    def _require_stream(self) -> None:
        if self.stream is None:
            raise SessionStateError(f"session {self.id}: expected a running stream, got none; start a stream first")

    def _open_connection(self) -> ClientConnection:
        if self._connection is None or self._connection.hung_up:
            raise SessionStateError(
                f"session {self.id}: expected an open signaling socket, got none; connect a client first"
            )
        return self._connection

    def abandon(self) -> None:
        """Leave the session as a closed browser tab does: the socket closes without `client_disconnecting`.

        A session whose client has connected ends, or becomes stale if `stale_session` is above 0. Before a client has
        connected, the session waits for another socket. The client's socket is closed with 1000, and the mock ignores
        all messages that it has received and not yet handled.

        Raises:
            SessionStateError: no signaling socket of the session is open.
        """
        connection = self._open_connection()
        if SessionEffect.HANG_UP in self._lifecycle.handle(SessionEvent.SOCKET_CLOSED):
            connection.hang_up(NORMAL_CLOSURE, self._lifecycle.why)

    def vanish(self) -> None:
        """Make the peer stop sending and receiving, as if a cable were cut. Has no effect without a connection."""
        if self._connection is not None:
            self._connection.peer.vanish()

    def issued_token(self, lifetime: float) -> None:
        """Note that a token was issued for the session, valid for `lifetime` seconds."""
        self._lifecycle.issued_token(lifetime)

    async def unused(self) -> None:
        """Handle the expiry of all session tokens: end the session, unless a client has connected."""
        await self._due(SessionEvent.UNUSED)

    async def shut_down(self) -> None:
        """End the session from the server's side; return once it is completely closed."""
        while self.is_served:
            if (connection := self._connection) is not None:
                connection.instruct(SessionEvent.SHUT_DOWN)
                await connection.gone.wait()
            else:
                self._lifecycle.handle(SessionEvent.SHUT_DOWN)
                await self._idle.wait()
        # No socket was served, or it was already closing and the event in its inbox was not read.
        self._lifecycle.handle(SessionEvent.SHUT_DOWN)

    async def _take(self, item: Instruction | ClientMessage | MessageError, connection: ClientConnection) -> None:
        match item:
            case SessionEvent():
                await self._handle(item, connection)
            case tuple():
                await self._carry_out(item, connection)
            case MessageError():
                self._refuse_message(str(item))
            case Answer(sdp=sdp):
                connection.answer = sdp
                await self._handle(SessionEvent.ANSWERED, connection)
            case IceCandidate():
                try:
                    await connection.peer.add_candidate(item.candidate or "", item.sdpMid, item.sdpMLineIndex)
                except DescriptionError as error:
                    self._refuse_message(f"ice_candidate: {error}")
            case ClientDisconnecting():
                await self._handle(SessionEvent.CLIENT_LEFT, connection)
            case KeepAlive():
                pass  # does not count as activity: clients send `keepalive` periodically
            case Start() | Update() | End():
                self._lifecycle.touch()
                self._is_taking = True
                try:
                    await self._lifecycle.video.controller.take(item)
                finally:
                    self._is_taking = False
            case _ as unreachable:
                assert_never(unreachable)

    async def _handle(self, event: SessionEvent, connection: ClientConnection) -> None:
        """Handle an event of `connection`; ignore it if `abandon` has hung up meanwhile."""
        if not connection.hung_up:
            by_fault = connection.socket_fault if event in _SOCKET_ENDS else ""
            await self._carry_out(self._lifecycle.handle(event, by_fault), connection)

    async def _due(self, event: SessionEvent) -> None:
        """Handle the event of an expired deadline; return once the sockets that the event closes are closed."""
        if event is SessionEvent.INACTIVE and self.stream is not None:
            return  # no timeout during a stream; `touch` restarts it when the stream ends
        if event is SessionEvent.INACTIVE and self._has_stream_message:
            self._lifecycle.touch()
            return
        effects = self._lifecycle.handle(event)
        if not effects:
            return  # too late: the session is already over or connected
        if self._connection is not None and not self._connection.hung_up:
            self._connection.instruct(effects)
        await self._idle.wait()

    @property
    def _has_stream_message(self) -> bool:
        """Whether the client has sent a message about a stream that is not handled yet."""
        return self._is_taking or (self._connection is not None and self._connection.has_late_stream_message)

    async def _carry_out(  # noqa: PLR0912 - one case for each effect
        self, effects: tuple[SessionEffect, ...], connection: ClientConnection
    ) -> None:
        """Carry out the effects on `connection`, in order."""
        for effect in effects:
            match effect:
                case SessionEffect.SEND_OFFER:
                    await connection.send_offer()
                case SessionEffect.APPLY_ANSWER:
                    await self._apply_answer(connection)
                case SessionEffect.REFUSE_ANSWER:
                    self._refuse_message("answer: the offer was already answered; send one answer per offer")
                case SessionEffect.START_VIDEO:
                    self._lifecycle.video.start(connection)
                case SessionEffect.RESUME_VIDEO:
                    self._lifecycle.video.resume(connection)
                case SessionEffect.OPEN_CHANNELS:
                    connection.open_channels(partial(self._lifecycle.video.hurry, connection))
                case SessionEffect.REPORT_BAD_ANSWER:
                    await connection.send(SignalingError(connection.fault), why=connection.fault)
                case SessionEffect.REPORT_UNREACHABLE:
                    await connection.send(SignalingError("streamer_not_available"), why=self._lifecycle.why)
                case SessionEffect.REPORT_OVERDUE:
                    await connection.send(SignalingError("duration_limit_reached"), why=self._lifecycle.why)
                case SessionEffect.REPORT_SHUT_DOWN:
                    await connection.send(SignalingError("streamer_disconnected"), why=self._lifecycle.why)
                case SessionEffect.DRAIN:
                    await connection.peer.drain()
                case SessionEffect.DROP_CONNECTION:
                    connection.hang_up(INTERNAL_ERROR, self._lifecycle.why)
                case SessionEffect.HANG_UP:
                    code = INTERNAL_ERROR if _FAULTY & set(effects) else NORMAL_CLOSURE
                    connection.hang_up(code, self._lifecycle.why)
                case SessionEffect.REFUSE_SOCKET:
                    pass  # `_serve` closes that socket, which is not the socket of `connection`
                case (
                    SessionEffect.ARM_LIMIT
                    | SessionEffect.ARM_INACTIVITY
                    | SessionEffect.DISARM_INACTIVITY
                    | SessionEffect.ARM_GRACE
                    | SessionEffect.DISARM_GRACE
                    | SessionEffect.ARM_STALE
                    | SessionEffect.END_STREAM
                    | SessionEffect.DISARM
                    | SessionEffect.RELEASE
                ):
                    pass  # `SessionLifecycle` has carried these out
                case _ as unreachable:
                    assert_never(unreachable)

    async def _apply_answer(self, connection: ClientConnection) -> None:
        try:
            await connection.apply_answer()
        except DescriptionError as error:
            connection.fault = str(error)
            await self._handle(SessionEvent.DESCRIPTION_REFUSED, connection)

    def _refuse_message(self, why: str) -> None:
        self._lifecycle.video.controller.refuse(InteractiveStreamError(REASON_INVALID, why))

    async def _refuse(self, socket: SignalingSocket) -> None:
        why = (
            "this session is over; request a new one"
            if self.is_over
            else "this session already has a socket; close it, or request another session"
        )
        message = encode(SignalingError(why))
        data: dict[str, JSON] = {"from": "server", "message": message, "why": why}
        self._journal.record("signaling", "error", data, **self._identity.where)
        await socket.send(json.dumps(message))
        await socket.close(POLICY_VIOLATION, why=why)


class MakeSession(Protocol):
    """Factory of sessions."""

    def __call__(
        self,
        identity: SessionIdentity,
        *,
        on_released: Callable[[Session], None],
        on_gone: Callable[[Session], None],
    ) -> Session:
        """Create a session; the parameters are those of `Session`."""
