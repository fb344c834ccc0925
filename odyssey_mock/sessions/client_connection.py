"""What a session has only while a socket is open: the inbox, the socket, the peer."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from odyssey_mock.core.clock import Clock
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault
from odyssey_mock.faults.registry import Faults
from odyssey_mock.media.encoder import Codec
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.rtc.protocols import PeerFactory
from odyssey_mock.sessions.connection_faults import apply_fault, send_faulty_offer
from odyssey_mock.sessions.messages import (
    DATA_CHANNEL,
    SIGNALING,
    ClientMessage,
    MessageError,
    Offer,
    SignalingReply,
    decode,
    encode,
)
from odyssey_mock.sessions.session_identity import SessionIdentity
from odyssey_mock.sessions.session_machine import SessionEffect, SessionEvent
from odyssey_mock.sessions.signaling_socket import CLEAN_CLOSE_CODES, NORMAL_CLOSURE, SignalingSocket

IMAGE_SHOWN = 64
"""Characters of an image's data URL that the journal keeps."""


@dataclass(frozen=True, slots=True)
class ReceivedData:
    """Data that came from the client on a channel."""

    channel: str
    data: str | bytes


type Instruction = SessionEvent | tuple[SessionEffect, ...]
"""An event, or the effects of an event that the machine has handled already."""


class ClientConnection:
    """The mock's side of one signaling socket and its peer; an async context manager.

    Whatever happens while it is open waits in one inbox, in order; `receive` takes it out.
    """

    def __init__(
        self,
        socket: SignalingSocket,
        identity: SessionIdentity,
        *,
        journal: Journal,
        faults: Faults,
        clock: Clock,
        peers: PeerFactory,
        loopback_only: bool,
        channel_delay: float,
        current_stream: Callable[[], str | None],
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        """`channel_delay`: seconds between the peer's connection and the opening of the data channels.

        `current_stream()` is the id of the stream that is on, for the journal.
        """
        self.socket = socket
        self.answer = ""
        self.codec: Codec | None = None
        """What the answer has agreed to."""
        self.fault = ""
        """Why the answer could not be applied."""
        self.hung_up = False
        self.gone = asyncio.Event()
        """Set once nothing of it is left."""
        self.tasks: asyncio.TaskGroup
        """What runs as long as the connection; its session gives it."""
        self.lasting: asyncio.TaskGroup
        """What may outlive it; its session gives it."""
        self.track = PacketTrack()
        self._identity = identity
        self._journal = journal
        self._faults = faults
        self._clock = clock
        self._channel_delay = channel_delay
        self._current_stream = current_stream
        self._inbox: asyncio.Queue[Instruction | ReceivedData] = asyncio.Queue()
        self._close_code = NORMAL_CLOSURE
        self._frozen = False
        self._running: list[asyncio.Task[None]] = []
        self.peer = peers.streamer_peer(
            self.track,
            loopback_only=loopback_only,
            on_connected=lambda: self._put(SessionEvent.PEER_CONNECTED),
            on_lost=lambda: self._put(SessionEvent.PEER_CLOSED if self.peer.was_closed else SessionEvent.PEER_LOST),
            on_message=lambda data: self._put(ReceivedData(DATA_CHANNEL.channel, data)),
            on_keyframe_wanted=on_keyframe_wanted,
        )

    async def __aenter__(self) -> Self:
        await self.peer.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.peer.close()
        await self.socket.close(self._close_code)

    def run(self, work: Coroutine[object, object, None]) -> None:
        """Let `work` run, among `tasks`, until the connection is hung up."""
        self._running.append(self.tasks.create_task(work))

    async def read(self) -> None:
        """Put what comes from the socket into the inbox, to its end."""
        while (data := await self.socket.receive()) is not None:
            self._put(ReceivedData(SIGNALING.channel, data))
        clean = self.socket.close_code in CLEAN_CLOSE_CODES
        self.instruct(SessionEvent.SOCKET_CLOSED if clean else SessionEvent.SOCKET_LOST)

    def instruct(self, instruction: Instruction) -> None:
        """Put an instruction into the inbox, also where the connection hangs."""
        self._inbox.put_nowait(instruction)

    async def receive(self) -> Instruction | ClientMessage | MessageError:
        """Take the next of the inbox; wait for it. A message that is none comes as its `MessageError`."""
        item = await self._inbox.get()
        if not isinstance(item, ReceivedData):
            return item
        dialect = SIGNALING if item.channel == SIGNALING.channel else DATA_CHANNEL
        try:
            payload = decode(item.channel, item.data)
            self._note(item.channel, payload)
            return dialect.parse(payload)
        except MessageError as error:
            self._journal.record("note", "message refused", **self._identity.where, why=str(error))
            return error

    async def send(self, message: SignalingReply) -> None:
        """Send a message on the socket, and write it down."""
        encoded = encode(message)
        await self.send_raw(json.dumps(encoded), message.TYPE, encoded)

    async def send_raw(self, data: str | bytes, name: str, shown: JSON) -> None:
        """Send `data` on the socket, and write it down under that `name`, as `shown`."""
        if self._frozen:
            return
        self._journal.record("signaling", name, {"from": "server", "message": shown}, **self._identity.where)
        await self.socket.send(data)

    async def send_offer(self) -> None:
        """Send the offer, in the way that is wanted."""
        if self._fire("peer.ice") is not None:
            self.peer.fail_ice()
        if self._fire("peer.dtls") is not None:
            self.peer.fail_dtls()
        offer = Offer(await self.peer.offer())
        fault = self._fire("signaling.offer")
        if fault is None:
            await self.send(offer)
        else:
            self.run(send_faulty_offer(self, self._clock, fault, offer))

    async def apply_answer(self) -> None:
        """Take the client's answer, unless something else is wanted.

        Raises:
            DescriptionError: it is none.
        """
        fault = self._fire("signaling.answer")
        if fault is None:
            self.codec = await self.peer.answer(self.answer)
        elif fault.do != "ignore":
            self.run(apply_fault(self, self._clock, fault))

    def open_channels(self) -> None:
        """Open the data channels: the connection is up, and may go wrong from here on."""
        if self._fire("peer.channels") is None:
            self.peer.open_channels(self._channel_delay)
        for point in ("signaling.connected", "peer.connected"):
            fault = self._fire(point)
            if fault is not None:
                self.run(apply_fault(self, self._clock, fault))

    def freeze(self) -> None:
        """Hang: send and receive nothing any more; only that the socket is closed is still noticed."""
        self._frozen = True
        self.peer.vanish()

    def hang_up(self, code: int) -> None:
        """End what runs for it; the rest follows when the context is left."""
        if self.hung_up:
            return
        self.hung_up = True
        self._close_code = code
        for task in self._running:
            task.cancel()

    def _put(self, happening: SessionEvent | ReceivedData) -> None:
        if not self._frozen:
            self._inbox.put_nowait(happening)

    def _fire(self, point: str) -> Fault | None:
        return self._faults.fire(point, **self._identity.where)

    def _note(self, channel: str, payload: JSON) -> None:
        name = "no message"
        if isinstance(payload, dict):
            kind = payload.get("type")
            name = kind if isinstance(kind, str) else name
            image = payload.get("input_image_base64")
            if isinstance(image, str):
                payload = {**payload, "input_image_base64": image[:IMAGE_SHOWN]}
        on_socket = channel == SIGNALING.channel
        where: dict[str, JSON] = {} if on_socket else {"channel": channel}
        data: dict[str, JSON] = {"from": "client", **where, "message": payload}
        entry_kind: Literal["signaling", "channel"] = "signaling" if on_socket else "channel"
        self._journal.record(entry_kind, name, data, stream=self._current_stream(), **self._identity.where)


class Connect(Protocol):
    """Makes a session's connections."""

    def __call__(
        self,
        socket: SignalingSocket,
        identity: SessionIdentity,
        *,
        channel_delay: float,
        current_stream: Callable[[], str | None],
        on_keyframe_wanted: Callable[[], None],
    ) -> ClientConnection:
        """Make a connection, as `ClientConnection` does.

        Raises:
            OSError: no peer can be made: out of file descriptors, say.
        """
