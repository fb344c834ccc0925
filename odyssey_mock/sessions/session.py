"""The shell of a session: its streams and its video, and one line to the client at a time (`protocol.md` section 3).

Everything that happens on a line, whoever caused it, goes through one inbox and is dealt with one at a time: so the
order on the wire is the order of effects, and `SessionMachine` alone says what each thing means. What it wants done to
the session itself, `SessionState` has done before the client is told. What outlives a line, which is the stream with
its video, runs in the task of the first socket, to the end of the session::

    socket 1: serve -> Line -> lost      (held)      video runs on -> end of the session
    socket 2:                       serve -> Line -> ...
"""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from odyssey_mock.recordings.stream_records import StreamRecord
from odyssey_mock.rtc.peer_connection import DescriptionError
from odyssey_mock.sessions.channel_sender import REASON_INVALID
from odyssey_mock.sessions.client_connection import (
    INTERNAL_ERROR,
    NORMAL_CLOSURE,
    POLICY_VIOLATION,
    ClientConnection,
    InboxItem,
    Socket,
)
from odyssey_mock.sessions.messages import Answer, ClientDisconnecting, IceCandidate, KeepAlive, MessageError
from odyssey_mock.sessions.session_machine import Action, Event, State
from odyssey_mock.sessions.session_state import SessionState

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend

_REASONS = {
    Action.REPORT_UNREACHABLE: "streamer_not_available",
    Action.REPORT_OVERDUE: "duration_limit_reached",
    Action.REPORT_SHUT_DOWN: "streamer_disconnected",
}
"""`reason` of the signaling `error` for each."""

_REPORTS = frozenset({*_REASONS, Action.REPORT_BAD_ANSWER})
"""What is said in an `error`."""

_FAULTY = frozenset({Action.REPORT_BAD_ANSWER, Action.REPORT_UNREACHABLE})
"""What closes the socket as after an error."""


class Session:
    """One session from request to release."""

    def __init__(
        self,
        backend: "Backend",
        *,
        id: str,  # noqa: A002 - the protocol's name
        account_id: str,
        may_bypass: bool,
        streamer_id: str,
        region: str,
        on_released: Callable[["Session"], None],
        on_gone: Callable[["Session"], None],
    ) -> None:
        self.id = id
        self.account_id = account_id
        self.streamer_id = streamer_id
        self.region = region
        self.created_at = backend.clock.time()
        self._backend = backend
        self._on_gone = on_gone
        self._line: ClientConnection | None = None
        self._serving = 0
        """Sockets that are dealt with, or whose task carries the video."""
        self._idle = asyncio.Event()
        self._idle.set()
        self._standing = SessionState(
            backend,
            session_id=id,
            account_id=account_id,
            may_bypass=may_bypass,
            due=self._due,
            on_released=lambda: on_released(self),
        )

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._standing.state

    @property
    def stream(self) -> StreamRecord | None:
        """The stream that is on, if one is."""
        return self._standing.show.streaming.stream

    @property
    def is_served(self) -> bool:
        """Whether a socket is open, or anything of one still closing."""
        return self._serving > 0

    async def serve(self, socket: Socket, *, channel_delay: float) -> None:
        """Deal with a client's socket from its opening to its end; the first that comes up also carries the video.

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

    async def _serve(self, socket: Socket, channel_delay: float) -> None:
        while self.state in {State.WAITING, State.HELD} and self._line is not None:
            # The client lost its socket and is back before the former one's peer is closed.
            await self._line.gone.wait()
        actions = self._standing.happen(Event.SOCKET_OPENED)
        if Action.REFUSE_SOCKET in actions:
            await self._refuse(socket)
            return
        try:
            self._line = line = ClientConnection(
                self._backend,
                socket,
                where={"account": self.account_id, "session": self.id},
                channel_delay=channel_delay,
                on_keyframe_wanted=self._standing.show.keyframes.lost,
            )
        except BaseException:
            # No peer could be made (out of file descriptors, say): the slot is free all the same.
            self._standing.happen(Event.SHUT_DOWN)
            raise
        if self.state is State.SIGNALING:
            self._standing.show.use(line)
        async with asyncio.TaskGroup() as line.lasting:
            await self._converse(line, actions)
            if self._standing.show.is_carried_by(line.lasting):
                await self._carry_on()

    async def _converse(self, line: ClientConnection, actions: tuple[Action, ...]) -> None:
        """Live with one line, to its end."""
        try:
            async with line, asyncio.TaskGroup() as line.tasks:
                try:
                    line.run(line.read())
                    await self._carry_out(actions, line)
                    while not line.hung_up:
                        await self._take(await line.inbox.get(), line)
                finally:
                    # Cancelled, or a defect: the machine is told, so that the slot is free whatever happens.
                    if not line.hung_up:
                        line.hang_up(INTERNAL_ERROR)
                        self._standing.happen(Event.SHUT_DOWN)
        finally:
            self._line = None
            line.gone.set()

    async def _carry_on(self) -> None:
        """Carry the video, for whichever line there is, until the session is over."""
        try:
            await self._standing.released.wait()
        finally:
            if self._line is not None and not self._line.hung_up:
                self._line.inbox.put_nowait(Event.SHUT_DOWN)
            else:
                self._standing.happen(Event.SHUT_DOWN)

    def break_stream(self, reason: str, message: str) -> None:
        """Let the stream that is on fail, as when the model crashes: `interactive_stream_error`, then `stream_ended`.

        Raises:
            RuntimeError: no stream is on.
        """
        if self.stream is None:
            raise RuntimeError(f"expected a stream to break, the session {self.id} has none now; start one first")
        self._standing.show.streaming.broke(reason, message)

    def vanish(self) -> None:
        """Let its peer say and hear nothing any more, as when a cable is cut; nothing where there is none."""
        if self._line is not None:
            self._line.peer.vanish()

    async def unused(self) -> None:
        """The tokens made for the session have expired: it is over, unless somebody has come."""
        await self._due(Event.UNUSED)

    async def shut_down(self) -> None:
        """End the session from the server's side; returns once nothing of it is left."""
        while self.is_served:
            if (line := self._line) is not None:
                line.inbox.put_nowait(Event.SHUT_DOWN)
                await line.gone.wait()
            else:
                self._standing.happen(Event.SHUT_DOWN)
                await self._idle.wait()
        # Never served, or its socket was being closed, so that nobody read the inbox any more.
        self._standing.happen(Event.SHUT_DOWN)

    async def _take(self, item: InboxItem, line: ClientConnection) -> None:
        if isinstance(item, Event):
            await self._happened(item, line)
            return
        if isinstance(item, tuple):
            await self._carry_out(item, line)
            return
        try:
            message = line.understood(item, self.stream.id if self.stream is not None else None)
        except MessageError as error:
            self._standing.show.streaming.refuse(REASON_INVALID, str(error))
            return
        match message:
            case Answer(sdp=sdp):
                line.answer = sdp
                await self._happened(Event.ANSWERED, line)
            case IceCandidate():
                try:
                    await line.peer.add_candidate(message.candidate or "", message.sdpMid, message.sdpMLineIndex)
                except DescriptionError as error:
                    self._standing.show.streaming.refuse(REASON_INVALID, f"ice_candidate: {error}")
            case ClientDisconnecting():
                await self._happened(Event.CLIENT_LEFT, line)
            case KeepAlive():
                pass  # of no activity: clients send it as long as they live
            case _:
                self._standing.touch()
                await self._standing.show.streaming.take(message)

    async def _happened(self, event: Event, line: ClientConnection) -> None:
        """Let `event` happen on `line`, which is open."""
        await self._carry_out(self._standing.happen(event), line)

    async def _due(self, event: Event) -> None:
        """Let `event` happen now, by the clock; returns once nothing is left of what it ends."""
        if event is Event.INACTIVE and self.stream is not None:
            return  # due again after the stream
        actions = self._standing.happen(event)
        if not actions:
            return  # something else has just happened, and there is nothing to end
        if self._line is not None and not self._line.hung_up:
            self._line.inbox.put_nowait(actions)
        await self._idle.wait()

    async def _carry_out(self, actions: tuple[Action, ...], line: ClientConnection) -> None:
        """Do to `line` what is to be done to it."""
        for action in actions:
            match action:
                case Action.SEND_OFFER:
                    await line.offer()
                case Action.APPLY_ANSWER:
                    await self._apply_answer(line)
                case Action.REFUSE_ANSWER:
                    why = "answer: the offer was answered already; send one answer an offer"
                    self._standing.show.streaming.refuse(REASON_INVALID, why)
                case Action.START_VIDEO:
                    self._standing.show.start(line)
                case Action.RESUME_VIDEO:
                    self._standing.show.resume(line)
                case Action.OPEN_CHANNELS:
                    line.open_channels()
                case report if report in _REPORTS:
                    await line.send({"type": "error", "reason": _REASONS.get(report, line.fault)})
                case Action.DRAIN:
                    await line.peer.drain()
                case Action.DROP_LINE | Action.HANG_UP:
                    faulty = action is Action.DROP_LINE or _FAULTY & set(actions)
                    line.hang_up(INTERNAL_ERROR if faulty else NORMAL_CLOSURE)
                case _:
                    pass  # done to the session

    async def _apply_answer(self, line: ClientConnection) -> None:
        try:
            await line.apply_answer()
        except DescriptionError as error:
            line.fault = str(error)
            await self._happened(Event.DESCRIPTION_REFUSED, line)

    async def _refuse(self, socket: Socket) -> None:
        why = (
            "this session is over; request a new one"
            if self.state is State.CLOSED
            else "this session has a socket already; close that one, or request another session"
        )
        message = {"type": "error", "reason": why}
        where = {"account": self.account_id, "session": self.id}
        self._backend.journal.record("signaling", "error", {"from": "server", "message": message}, **where)
        await socket.send(json.dumps(message))
        await socket.close(POLICY_VIOLATION)
