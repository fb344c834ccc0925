"""The shell of a session: one socket, one peer, one inbox (`protocol.md` section 3).

Everything that happens to a session, whoever caused it, goes through one inbox and is dealt with one at a time: so
the order on the wire is the order of effects, and `SessionMachine` alone says what each thing means.
"""

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from odyssey_mock.journal import JSON
from odyssey_mock.recordings.streams import StreamRecord
from odyssey_mock.rtc.connection import DescriptionError
from odyssey_mock.streamer.line import INTERNAL_ERROR, NORMAL_CLOSURE, POLICY_VIOLATION, Happening, Line, Socket
from odyssey_mock.streamer.messages import (
    DATA_CHANNEL,
    SIGNALING,
    Answer,
    ClientDisconnecting,
    ClientMessage,
    IceCandidate,
    KeepAlive,
    MessageError,
    decode,
)
from odyssey_mock.streamer.session import Action, Event, SessionMachine, State
from odyssey_mock.streamer.streaming import REASON_INVALID

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend

_REASONS = {
    Action.REPORT_UNREACHABLE: "streamer_not_available",
    Action.REPORT_SHUT_DOWN: "streamer_disconnected",
}
"""`reason` of the signaling `error` for each."""

IMAGE_SHOWN = 64
"""Characters of an image's data URL that the journal keeps."""


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
        self.machine = SessionMachine()
        self._backend = backend
        self._may_bypass = may_bypass
        self._on_released = on_released
        self._on_gone = on_gone
        self._line: Line | None = None
        self._dangling = backend.clock.call_later(backend.settings.dangling_session, "dangling session", self._dangled)

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self.machine.state

    @property
    def stream(self) -> StreamRecord | None:
        """The stream that is on, if one is."""
        return self._line.streaming.stream if self._line is not None else None

    @property
    def is_served(self) -> bool:
        """Whether a socket is open, or a peer or socket of it still closing."""
        return self._line is not None

    async def serve(self, socket: Socket, *, channel_delay: float) -> None:
        """Deal with a client's socket from its opening to its end.

        `channel_delay`: seconds between the peer's connection and the opening of the data channels.
        """
        while self.state is State.WAITING and self._line is not None:
            # The client lost its socket and is back before the former one's peer is closed.
            await self._line.gone.wait()
        actions = self._advance(Event.SOCKET_OPENED)
        if Action.REFUSE_SOCKET in actions:
            why = (
                "this session is over; request a new one"
                if self.state is State.CLOSED
                else "this session has a socket already; close that one, or request another session"
            )
            await self._report(socket, why)
            await socket.close(POLICY_VIOLATION)
            return
        try:
            self._line = line = Line(
                self._backend,
                socket,
                session_id=self.id,
                account_id=self.account_id,
                may_bypass=self._may_bypass,
                channel_delay=channel_delay,
            )
        except BaseException:
            # No peer could be made (out of file descriptors, say): the slot is free all the same.
            self._settle(self._advance(Event.SHUT_DOWN))
            raise
        try:
            async with line, asyncio.TaskGroup() as tasks:
                try:
                    line.run(line.read(), tasks)
                    await self._carry_out(actions, line, tasks)
                    while not line.hung_up:
                        await self._take(await line.inbox.get(), line, tasks)
                finally:
                    # Cancelled, or a defect: the machine is told, so that the slot is free whatever happens.
                    if not line.hung_up:
                        line.hang_up(INTERNAL_ERROR)
                        self._settle(self._advance(Event.SHUT_DOWN))
        finally:
            self._line = None
            self._on_gone(self)
            line.gone.set()

    def break_stream(self, reason: str, message: str) -> None:
        """Let the stream that is on fail, as when the model crashes: `interactive_stream_error`, then `stream_ended`.

        Raises:
            RuntimeError: no stream is on.
        """
        if self._line is None or self.stream is None:
            raise RuntimeError(f"expected a stream to break, the session {self.id} has none now; start one first")
        self._line.streaming.broke(reason, message)

    async def shut_down(self) -> None:
        """End the session from the server's side; returns once nothing of it is left."""
        while (line := self._line) is not None:
            line.inbox.put_nowait(Event.SHUT_DOWN)
            await line.gone.wait()
        # Never served, or its socket was being closed, so that nobody read the inbox any more.
        self._settle(self._advance(Event.SHUT_DOWN))

    async def _take(self, item: Happening, line: Line, tasks: asyncio.TaskGroup) -> None:
        if isinstance(item, Event):
            item = self._advance(item)
        if isinstance(item, tuple):
            await self._carry_out(item, line, tasks)
            return
        dialect = SIGNALING if item.channel == SIGNALING.channel else DATA_CHANNEL
        try:
            payload = decode(item.channel, item.data)
            self._journal_said(item.channel, payload)
            message: ClientMessage = dialect.parse(payload)
        except MessageError as error:
            self._backend.journal.record(
                "note", "message refused", account=self.account_id, session=self.id, why=str(error)
            )
            line.streaming.refuse(REASON_INVALID, str(error))
            return
        await self._obey(message, line, tasks)

    async def _obey(self, message: ClientMessage, line: Line, tasks: asyncio.TaskGroup) -> None:
        match message:
            case Answer(sdp=sdp):
                line.answer = sdp
                await self._carry_out(self._advance(Event.ANSWERED), line, tasks)
            case IceCandidate():
                try:
                    await line.peer.add_candidate(message.candidate or "", message.sdpMid, message.sdpMLineIndex)
                except DescriptionError as error:
                    line.streaming.refuse(REASON_INVALID, f"ice_candidate: {error}")
            case ClientDisconnecting():
                await self._carry_out(self._advance(Event.CLIENT_LEFT), line, tasks)
            case KeepAlive():
                pass
            case _:
                await line.streaming.take(message)

    async def _carry_out(self, actions: tuple[Action, ...], line: Line, tasks: asyncio.TaskGroup) -> None:
        for action in actions:
            match action:
                case Action.SEND_OFFER:
                    await self._send(line.socket, {"type": "offer", "sdp": await line.peer.offer()})
                case Action.APPLY_ANSWER:
                    try:
                        await line.apply_answer()
                    except DescriptionError as error:
                        line.fault = str(error)
                        await self._carry_out(self._advance(Event.DESCRIPTION_REFUSED), line, tasks)
                case Action.REFUSE_ANSWER:
                    line.streaming.refuse(
                        REASON_INVALID, "answer: the offer was answered already; send one answer an offer"
                    )
                case Action.START_VIDEO:
                    line.run(line.video(), tasks)
                case Action.OPEN_CHANNELS:
                    line.peer.open_channels(line.channel_delay)
                case Action.REPORT_BAD_ANSWER:
                    await self._report(line.socket, line.fault)
                case Action.REPORT_UNREACHABLE | Action.REPORT_SHUT_DOWN:
                    await self._report(line.socket, _REASONS[action])
                case Action.DRAIN:
                    await line.peer.drain()
                case Action.HANG_UP:
                    faulty = bool({Action.REPORT_BAD_ANSWER, Action.REPORT_UNREACHABLE} & set(actions))
                    line.hang_up(INTERNAL_ERROR if faulty else NORMAL_CLOSURE)
                case _:
                    self._settle((action,))

    def _settle(self, actions: tuple[Action, ...]) -> None:
        """Carry out those actions that concern no socket and no peer."""
        for action in actions:
            match action:
                case Action.DISARM_DANGLING:
                    self._dangling.cancel()
                case Action.RELEASE:
                    self._on_released(self)
                case _:
                    pass

    async def _dangled(self) -> None:
        # Advanced here and not from the inbox: it may just have come up, and then there is nothing to wait for.
        actions = self._advance(Event.DANGLING)
        line = self._line
        if line is None:
            self._settle(actions)
        elif actions:
            line.inbox.put_nowait(actions)
            await line.gone.wait()

    def _advance(self, event: Event) -> tuple[Action, ...]:
        before = self.machine.state
        actions = self.machine.handle(event)
        if self.machine.state is not before:
            self._backend.journal.record(
                "state",
                "session",
                {"from": before, "to": self.machine.state, "event": event},
                account=self.account_id,
                session=self.id,
            )
        return actions

    async def _report(self, socket: Socket, reason: str) -> None:
        await self._send(socket, {"type": "error", "reason": reason})

    async def _send(self, socket: Socket, message: dict[str, str]) -> None:
        self._backend.journal.record(
            "signaling",
            message["type"],
            {"from": "server", "message": message},
            account=self.account_id,
            session=self.id,
        )
        await socket.send(json.dumps(message))

    def _journal_said(self, channel: str, payload: JSON) -> None:
        name = "no message"
        if isinstance(payload, dict):
            kind = payload.get("type")
            name = kind if isinstance(kind, str) else name
            image = payload.get("input_image_base64")
            if isinstance(image, str):
                payload = {**payload, "input_image_base64": image[:IMAGE_SHOWN]}
        on_socket = channel == SIGNALING.channel
        where: dict[str, JSON] = {} if on_socket else {"channel": channel}
        self._backend.journal.record(
            "signaling" if on_socket else "channel",
            name,
            {"from": "client", **where, "message": payload},
            account=self.account_id,
            session=self.id,
            stream=self.stream.id if self.stream is not None else None,
        )
