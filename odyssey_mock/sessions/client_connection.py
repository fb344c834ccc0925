"""One client's connection to a session: the inbox, the signaling socket and the peer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, Self

from odyssey_mock import latency
from odyssey_mock.client_networks import ClientNetworks
from odyssey_mock.core.clock import Clock, sleep
from odyssey_mock.core.excerpts import SHOWN_IMAGE, excerpt
from odyssey_mock.core.journal import Journal
from odyssey_mock.core.strict_json import JSON
from odyssey_mock.faults.fault import Fault
from odyssey_mock.faults.registry import Faults
from odyssey_mock.impairment.profile import NetworkProfile
from odyssey_mock.rtc.host_candidates import HostCandidates
from odyssey_mock.rtc.protocols import PeerFactory, StreamerPeer
from odyssey_mock.sessions.connection_faults import apply_fault, send_faulty_offer
from odyssey_mock.sessions.impaired_socket import ImpairedSocket
from odyssey_mock.sessions.late_messages import LateMessage, LateMessages
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
from odyssey_mock.settings import LatencyProfile

if TYPE_CHECKING:
    from odyssey_mock.media.encoder import Codec

INBOX_MESSAGES = 1000
"""Maximum number of messages of a client that wait to be handled. A client waits for most of the replies."""
INBOX_BYTES = 64 << 20
"""Number of bytes of waiting messages above which no further message is accepted: the largest message on the socket."""

PARSED_AT_ONCE = 1 << 20
"""A message of more characters is parsed in a thread, so that it delays the video of other sessions less."""

OVERFLOW = f"expected at most {INBOX_MESSAGES} messages or {INBOX_BYTES >> 20} MiB that wait for the streamer, got more"


@dataclass(frozen=True, slots=True)
class ReceivedData:
    """Data received from the client on one channel."""

    channel: str
    data: str | bytes

    @property
    def size(self) -> int:
        """Length of the data in characters or bytes."""
        return len(self.data)


type Instruction = SessionEvent | tuple[SessionEffect, ...]
"""An event for the session's state machine, or the effects of an event that the machine has already handled."""


class ClientConnection:
    """The mock's side of one signaling socket and its peer connection; an async context manager.

    All messages and events go through one inbox, in order. `receive` removes and returns the next message or event.
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
        offered: HostCandidates,
        networks: ClientNetworks,
        profile: LatencyProfile,
        channel_delay: float,
        on_peer: Callable[[StreamerPeer, SessionIdentity], None],
        current_stream: Callable[[], str | None],
        on_keyframe_wanted: Callable[[], None],
    ) -> None:
        """Create the peer, and call `on_peer` with it.

        `offered`: the ICE host candidates of the peer.
        `profile`: decides how long after their arrival messages are handled, and the SDP offer is sent.
        `channel_delay`: seconds between the peer's connection and the opening of the data channels.
        `current_stream()` returns the id of the running stream, for the journal.
        """
        from odyssey_mock.rtc.packet_track import PacketTrack  # noqa: PLC0415 - see `odyssey_mock.rtc`

        self.answer = ""
        self.codec: Codec | None = None
        """The codec that the answer selected."""
        self.fault = ""
        """The reason why the answer could not be applied."""
        self.socket_fault = ""
        """How a fault has closed the socket, for the journal; empty if no fault has closed it."""
        self.hung_up = False
        self.gone = asyncio.Event()
        """Set once the connection is completely closed."""
        self.tasks: asyncio.TaskGroup
        """Tasks that end with the connection; the session sets this group."""
        self.lasting: asyncio.TaskGroup
        """Tasks that may outlive the connection; the session sets this group."""
        self.track = PacketTrack()
        self._identity = identity
        self._journal = journal
        self._faults = faults
        self._clock = clock
        self._channel_delay = channel_delay
        self._current_stream = current_stream
        self._profile = profile
        self._inbox: asyncio.Queue[Instruction | ReceivedData | LateMessage | MessageError] = asyncio.Queue()
        self._waiting = self._waiting_bytes = 0
        """Number and total size of the client's messages that are not completely handled."""
        self._has_room = asyncio.Event()
        """Set while a further message may wait."""
        self._overflowed = False
        """Whether a message was refused since the latest message that had room."""
        self._has_room.set()
        self._handled_size: int | None = None
        """Size of the message that the session handles until it calls `receive` again."""
        self._late = LateMessages(profile, clock, self._deliver)
        self._handling: LateMessage | None = None
        """The late message that the session handles until it calls `receive` again."""
        self._close_code = NORMAL_CLOSURE
        self._close_why = ""
        self._frozen = False
        self._running: list[asyncio.Task[None]] = []
        self.peer = peers.streamer_peer(
            self.track,
            offered=offered,
            on_connected=lambda: self._put(SessionEvent.PEER_CONNECTED),
            on_lost=lambda: self._put(SessionEvent.PEER_CLOSED if self.peer.was_closed else SessionEvent.PEER_LOST),
            on_message=lambda data: self._take_in(ReceivedData(DATA_CHANNEL.channel, data)),
            on_keyframe_wanted=on_keyframe_wanted,
        )
        on_peer(self.peer, identity)
        note = partial(journal.record, "note", **identity.where)
        self._network = networks.join(self.peer, "client", note)
        self.socket = ImpairedSocket(socket, self._network)

    async def __aenter__(self) -> Self:
        await self.peer.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._late.close()
        try:
            await self.peer.close()
            await self.socket.close(self._close_code, why=self._close_why)
        finally:  # also if the session is cancelled again meanwhile
            try:
                await self.socket.end()
            finally:
                self._network.leave()

    @property
    def has_late_stream_message(self) -> bool:
        """Whether a message about a stream waits for the end of its latency, or is being handled."""
        return self._late.has_stream_message

    def run(self, work: Coroutine[object, object, None]) -> None:
        """Start `work` as a task in `tasks`; `hang_up` cancels it. After `hang_up`, `work` is not started."""
        if self.hung_up:
            work.close()
            return
        self._running.append(self.tasks.create_task(work))

    async def read(self) -> None:
        """Put each message from the socket into the inbox until the socket closes.

        If too many messages wait, the next message is read later, and the client can send no more (TCP flow control).
        """
        while (data := await self.socket.receive()) is not None:
            self._take_in(ReceivedData(SIGNALING.channel, data))
            await self._has_room.wait()
        clean = self.socket.close_code in CLEAN_CLOSE_CODES
        self.instruct(SessionEvent.SOCKET_CLOSED if clean else SessionEvent.SOCKET_LOST)

    def instruct(self, instruction: Instruction) -> None:
        """Put an `Instruction` into the inbox, even if the connection is frozen."""
        self._inbox.put_nowait(instruction)

    async def receive(self) -> Instruction | ClientMessage | MessageError:
        """Wait for the next item of the inbox and return it; an invalid message is returned as a `MessageError`.

        Messages that the latency profile delays are returned when they are due.
        """
        self._finish()
        while True:
            if not self._inbox.empty():
                # `get` would not let other tasks run, however many messages wait.
                await asyncio.sleep(0)  # noqa: TID251 - no time passes
            item = await self._inbox.get()
            if isinstance(item, LateMessage):
                self._handling = item
                self._handled_size = item.size
                return item.message
            if isinstance(item, MessageError):
                return self._refused(item)
            if not isinstance(item, ReceivedData):
                return item
            message = await self._parse(item)
            if isinstance(message, MessageError) or not self._late.take(message, item.size):
                self._handled_size = item.size
                return message

    def _finish(self) -> None:
        """Note that the session has completely handled the latest message."""
        if self._handling is not None:
            self._late.done(self._handling)
            self._handling = None
        if self._handled_size is not None:
            self._waiting -= 1
            self._waiting_bytes -= self._handled_size
            self._handled_size = None
        if self._waiting < INBOX_MESSAGES and self._waiting_bytes < INBOX_BYTES:
            self._has_room.set()

    async def _parse(self, item: ReceivedData) -> ClientMessage | MessageError:
        dialect = SIGNALING if item.channel == SIGNALING.channel else DATA_CHANNEL
        try:
            if item.size > PARSED_AT_ONCE:
                payload = await asyncio.to_thread(decode, item.channel, item.data)
            else:
                payload = decode(item.channel, item.data)
            self._note(item, payload)
            return dialect.parse(payload)
        except MessageError as error:
            return self._refused(error)

    def _refused(self, error: MessageError) -> MessageError:
        self._journal.record("note", "message refused", **self._identity.where, why=str(error))
        return error

    async def send(self, message: SignalingReply, *, why: str = "") -> None:
        """Send a message on the socket and record it in the journal, with its cause `why` if it has one."""
        encoded = encode(message)
        await self.send_raw(json.dumps(encoded), message.TYPE, encoded, why=why)

    async def send_raw(self, data: str | bytes, name: str, shown: JSON, *, why: str = "") -> None:
        """Send `data` on the socket and record it in the journal as `shown`, in an entry called `name`."""
        if self._frozen:
            return
        entry: dict[str, JSON] = {"from": "server", "message": shown, **({"why": why} if why else {})}
        self._journal.record("signaling", name, entry, **self._identity.where)
        await self.socket.send(data)

    async def send_offer(self) -> None:
        """Send the SDP offer, or apply the fault that fires for the offer."""
        if self._fire("peer.ice") is not None:
            self.peer.fail_ice()
        if self._fire("peer.dtls") is not None:
            self.peer.fail_dtls()
        offer = Offer(await self.peer.offer())
        fault = self._fire("signaling.offer")
        seconds = latency.seconds(self._profile, "signaling.offer")
        if fault is None and not seconds:
            await self.send(offer)
        else:
            self.run(self._send_offer_later(offer, fault, seconds))

    async def _send_offer_later(self, offer: Offer, fault: Fault | None, seconds: float) -> None:
        if seconds:
            await sleep(self._clock, seconds, "latency: signaling.offer")
        if fault is None:
            await self.send(offer)
        else:
            await send_faulty_offer(self, self._clock, fault, offer)

    async def apply_answer(self) -> None:
        """Apply the client's SDP answer, or the fault that fires for the answer.

        Raises:
            DescriptionError: the answer is invalid.
        """
        fault = self._fire("signaling.answer")
        if fault is None:
            self.codec = await self.peer.answer(self.answer)
        elif fault.do != "ignore":
            self.run(apply_fault(self, self._clock, fault))

    def open_channels(self, on_open: Callable[[], None]) -> None:
        """Open the data channels of the connected peer, and apply the faults of an established connection.

        `on_open()` is called once the client has accepted both channels.
        """
        fault = self._fire("peer.channels")
        if fault is None:
            self.peer.open_channels(self._channel_delay, on_open)
        elif fault.do == "delay":
            self.run(self._open_channels_later(fault.number("seconds"), on_open))
        for point in ("signaling.connected", "peer.connected"):
            fault = self._fire(point)
            if fault is not None:
                self.run(apply_fault(self, self._clock, fault))

    async def _open_channels_later(self, seconds: float, on_open: Callable[[], None]) -> None:
        await sleep(self._clock, seconds, "fault: peer.channels delay")
        self.peer.open_channels(self._channel_delay, on_open)

    async def close_socket(self, by: str, code: int, reason: str) -> None:
        """Close the socket. The journal names `by`, such as the label of a fault, as the cause of the loss."""
        if self.socket.close_code is None:
            self.socket_fault = f"{by} closes the socket with {code}"
        await self.socket.close(code, reason, why=f"{by} closes it")

    def freeze(self) -> None:
        """Stop sending and receiving. `read` still detects when the socket is closed."""
        self._frozen = True
        self.peer.vanish()

    def impair(self, profile: NetworkProfile | None, label: str) -> None:
        """Impair the network of the client as the fault called `label` describes; None ends it."""
        self._network.use_fault(profile, label)

    def hang_up(self, code: int, why: str = "") -> None:
        """Cancel the tasks of the connection, which ends its `async with` block and closes the peer and the socket.

        A call of `receive` that is waiting returns an empty tuple.

        `code`: the WebSocket close code. `why`: the cause, for the journal.
        """
        if self.hung_up:
            return
        self.hung_up = True
        self._late.close()
        self._close_code, self._close_why = code, why
        for task in self._running:
            task.cancel()
        self.instruct(())

    def _deliver(self, late: LateMessage) -> None:
        if self._frozen:
            self._late.done(late)
        else:
            self._inbox.put_nowait(late)

    def _put(self, happening: SessionEvent) -> None:
        if not self._frozen:
            self._inbox.put_nowait(happening)

    def _take_in(self, received: ReceivedData) -> None:
        """Put a message of the client into the inbox. If too many messages wait, refuse it."""
        if self._frozen:
            return
        if not self._has_room.is_set():
            # Only data channels get here: aiortc does not stop receiving (SCTP flow control).
            if not self._overflowed:
                self._overflowed = True
                self._inbox.put_nowait(MessageError(f"{received.channel}: {OVERFLOW}; wait for the replies"))
            return
        self._overflowed = False
        self._inbox.put_nowait(received)
        self._waiting += 1
        self._waiting_bytes += received.size
        if self._waiting >= INBOX_MESSAGES or self._waiting_bytes >= INBOX_BYTES:
            self._has_room.clear()

    def _fire(self, point: str) -> Fault | None:
        return self._faults.fire(point, **self._identity.where)

    def _note(self, item: ReceivedData, payload: JSON) -> None:
        channel = item.channel
        name = "no message"
        if isinstance(payload, dict):
            kind = payload.get("type")
            name = kind if isinstance(kind, str) else name
            image = payload.get("input_image_base64")
            if isinstance(image, str):
                payload = {**payload, "input_image_base64": image[:SHOWN_IMAGE]}
        on_socket = channel == SIGNALING.channel
        where: dict[str, JSON] = {} if on_socket else {"channel": channel}
        text = item.data if isinstance(item.data, str) else ""
        data: dict[str, JSON] = {"from": "client", **where, "message": excerpt(text, payload)}
        entry_kind: Literal["signaling", "channel"] = "signaling" if on_socket else "channel"
        self._journal.record(entry_kind, name, data, stream=self._current_stream(), **self._identity.where)


class Connect(Protocol):
    """Factory of a session's connections."""

    def __call__(
        self,
        socket: SignalingSocket,
        identity: SessionIdentity,
        *,
        channel_delay: float,
        current_stream: Callable[[], str | None],
        on_keyframe_wanted: Callable[[], None],
    ) -> ClientConnection:
        """Create a connection; the parameters are those of `ClientConnection`.

        Raises:
            OSError: the peer cannot be created, for example because no file descriptors are left.
        """
