"""What a session has only while a socket is open: the inbox, the peer, what goes wrong with them."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault
from odyssey_mock.rtc.packet_track import PacketTrack
from odyssey_mock.sessions import connection_faults
from odyssey_mock.sessions.messages import DATA_CHANNEL, SIGNALING, ClientMessage, MessageError, decode
from odyssey_mock.sessions.session_machine import Action, Event

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend
    from odyssey_mock.media.encoder import Codec

NORMAL_CLOSURE = 1000
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
"""WebSocket close codes (RFC 6455 section 7.4.1)."""


CLEAN_CLOSE_CODES = frozenset({1000, 1001})
"""Of a client that is done, or whose page was left (RFC 6455 section 7.4.1)."""

IMAGE_SHOWN = 64
"""Characters of an image's data URL that the journal keeps."""


class Socket(Protocol):
    """The client's WebSocket, already accepted."""

    @property
    def close_code(self) -> int | None:
        """What the client closed it with; None while it is open, 1006 where it broke (RFC 6455 section 7.4.1)."""
        ...

    async def receive(self) -> str | bytes | None:
        """The next message; None once the socket is closed, however that came about."""
        ...

    async def send(self, data: str | bytes) -> None:
        """Send a message; silent when the socket is closed already."""
        ...

    async def close(self, code: int, reason: str = "") -> None:
        """Close it; silent when it is closed already."""
        ...


@dataclass(frozen=True, slots=True)
class ReceivedData:
    """Data that came from the client on a channel."""

    channel: str
    data: str | bytes


type InboxItem = Event | ReceivedData | tuple[Action, ...]
"""What an inbox holds: an event, a message, or actions of an event that the machine has been told already."""


class ClientConnection:
    """An async context manager; whatever happens while it is open is put into `inbox`, in order."""

    def __init__(
        self,
        backend: "Backend",
        socket: Socket,
        *,
        where: Mapping[str, str],
        channel_delay: float,
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        """`where`: the account and the session, for faults and journal."""
        self.socket = socket
        self.inbox: asyncio.Queue[InboxItem] = asyncio.Queue()
        self.answer = ""
        self.codec: Codec | None = None
        """What the answer has agreed to."""
        self.fault = ""
        """Why the answer could not be applied."""
        self.hung_up = False
        self.gone = asyncio.Event()
        """Set once nothing of it is left."""
        self.tasks: asyncio.TaskGroup
        """What runs as long as the line; given by whoever opens it."""
        self.lasting: asyncio.TaskGroup
        """What may outlive it."""
        self.track = PacketTrack()
        self._channel_delay = channel_delay
        self._close_code = NORMAL_CLOSURE
        self._backend = backend
        self._where = where
        self._frozen = False
        self._running: list[asyncio.Task[None]] = []
        self.peer = backend.network.streamer_peer(
            self.track,
            loopback_only=backend.settings.loopback_only,
            on_connected=lambda: self._put(Event.PEER_CONNECTED),
            on_lost=lambda: self._put(Event.PEER_CLOSED if self.peer.was_closed else Event.PEER_LOST),
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
        """Let `work` run, among `tasks`, until the line is hung up."""
        self._running.append(self.tasks.create_task(work))

    async def read(self) -> None:
        """Put what comes from the socket into the inbox, to its end."""
        while (data := await self.socket.receive()) is not None:
            self._put(ReceivedData(SIGNALING.channel, data))
        clean = self.socket.close_code in CLEAN_CLOSE_CODES
        self.inbox.put_nowait(Event.SOCKET_CLOSED if clean else Event.SOCKET_LOST)

    async def send(self, message: Mapping[str, str]) -> None:
        """Send a message on the socket, and write it down."""
        await self.send_raw(json.dumps(message), message["type"], message)

    async def send_raw(self, data: str | bytes, name: str, shown: JSON) -> None:
        """Send `data` on the socket, and write it down under that `name`, as `shown`."""
        if self._frozen:
            return
        self._backend.journal.record("signaling", name, {"from": "server", "message": shown}, **self._where)
        await self.socket.send(data)

    def understood(self, said: ReceivedData, stream: str | None) -> ClientMessage:
        """What the client has said, written down as of `stream`.

        Raises:
            MessageError: it is no message.
        """
        dialect = SIGNALING if said.channel == SIGNALING.channel else DATA_CHANNEL
        try:
            payload = decode(said.channel, said.data)
            self._note(said.channel, payload, stream)
            return dialect.parse(payload)
        except MessageError as error:
            self._backend.journal.record("note", "message refused", **self._where, why=str(error))
            raise

    async def offer(self) -> None:
        """Send the offer, in the way that is wanted."""
        if self._fire("peer.ice") is not None:
            self.peer.fail_ice()
        if self._fire("peer.dtls") is not None:
            self.peer.fail_dtls()
        sdp = await self.peer.offer()
        fault = self._fire("signaling.offer")
        if fault is None:
            await self.send({"type": "offer", "sdp": sdp})
        else:
            self.run(connection_faults.send_faulty_offer(self, self._backend.clock, fault, sdp))

    async def apply_answer(self) -> None:
        """Take the client's answer, unless something else is wanted.

        Raises:
            DescriptionError: it is none.
        """
        fault = self._fire("signaling.answer")
        if fault is None:
            self.codec = await self.peer.answer(self.answer)
        elif fault.do != "ignore":
            self.run(connection_faults.apply_fault(self, self._backend.clock, fault))

    def open_channels(self) -> None:
        """Open the data channels: the connection is up, and may go wrong from here on."""
        if self._fire("peer.channels") is None:
            self.peer.open_channels(self._channel_delay)
        for point in ("signaling.connected", "peer.connected"):
            fault = self._fire(point)
            if fault is not None:
                self.run(connection_faults.apply_fault(self, self._backend.clock, fault))

    def freeze(self) -> None:
        """Hang: neither say nor hear anything any more; only that the socket is closed is still noticed."""
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

    def _put(self, happening: InboxItem) -> None:
        if not self._frozen:
            self.inbox.put_nowait(happening)

    def _fire(self, point: str) -> Fault | None:
        return self._backend.faults.fire(point, **self._where)

    def _note(self, channel: str, payload: JSON, stream: str | None) -> None:
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
        self._backend.journal.record("signaling" if on_socket else "channel", name, data, stream=stream, **self._where)
