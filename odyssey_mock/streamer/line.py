"""What a session has only while its socket is open: the inbox, the peer, the video."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from odyssey_mock.rtc.packets import PacketTrack
from odyssey_mock.streamer.keyframes import Keyframes
from odyssey_mock.streamer.messages import DATA_CHANNEL, SIGNALING
from odyssey_mock.streamer.peer import StreamerPeer
from odyssey_mock.streamer.pump import FramePump
from odyssey_mock.streamer.session import Action, Event
from odyssey_mock.streamer.streaming import Streaming

if TYPE_CHECKING:
    from odyssey_mock.backend import Backend
    from odyssey_mock.media.encoder import Codec

NORMAL_CLOSURE = 1000
POLICY_VIOLATION = 1008
INTERNAL_ERROR = 1011
"""WebSocket close codes (RFC 6455 section 7.4.1)."""


class Socket(Protocol):
    """The client's WebSocket, already accepted."""

    async def receive(self) -> str | bytes | None:
        """The next message; None once the socket is closed, however that came about."""
        ...

    async def send(self, text: str) -> None:
        """Send a text message; silent when the socket is closed already."""
        ...

    async def close(self, code: int) -> None:
        """Close it; silent when it is closed already."""
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """Data that came from the client on a channel."""

    channel: str
    data: str | bytes


type Happening = Event | Said | tuple[Action, ...]
"""What an inbox holds: an event, a message, or actions of an event that the machine has been told already."""


class Line:
    """An async context manager; whatever happens while it is open is put into `inbox`, in order."""

    def __init__(
        self,
        backend: "Backend",
        socket: Socket,
        *,
        session_id: str,
        account_id: str,
        may_bypass: bool,
        channel_delay: float,
    ) -> None:
        self.socket = socket
        self.inbox: asyncio.Queue[Happening] = asyncio.Queue()
        self.answer = ""
        self.fault = ""
        """Why the answer could not be applied."""
        self.hung_up = False
        self.gone = asyncio.Event()
        """Set once nothing of it is left."""
        self.channel_delay = channel_delay
        self._close_code = NORMAL_CLOSURE
        self._backend = backend
        self._running: list[asyncio.Task[None]] = []
        self._track = PacketTrack()
        self._keyframes = Keyframes(round(backend.settings.keyframe_gap * backend.settings.fps))
        self._codec: Codec | None = None
        self.peer = StreamerPeer(
            self._track,
            backend.network.ice_addresses(loopback_only=backend.settings.loopback_only),
            on_connected=lambda: self.inbox.put_nowait(Event.PEER_CONNECTED),
            on_lost=lambda: self.inbox.put_nowait(Event.PEER_LOST),
            on_message=lambda data: self.inbox.put_nowait(Said(DATA_CHANNEL.channel, data)),
            on_keyframe_wanted=self._keyframes.lost,
        )
        self.streaming = Streaming(
            backend,
            session_id=session_id,
            account_id=account_id,
            may_bypass=may_bypass,
            keyframes=self._keyframes,
            send=self.peer.send,
            on_overdue=self._overdue,
        )

    async def __aenter__(self) -> Self:
        await self.peer.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.peer.close()
        await self.socket.close(self._close_code)

    def run(self, work: Coroutine[object, object, None], tasks: asyncio.TaskGroup) -> None:
        """Let `work` run until the line is hung up."""
        self._running.append(tasks.create_task(work))

    async def read(self) -> None:
        """Put what comes from the socket into the inbox, to its end."""
        while (data := await self.socket.receive()) is not None:
            self.inbox.put_nowait(Said(SIGNALING.channel, data))
        self.inbox.put_nowait(Event.SOCKET_LOST)

    async def apply_answer(self) -> None:
        """Take the client's answer.

        Raises:
            DescriptionError: it is none.
        """
        self._codec = await self.peer.answer(self.answer)

    async def video(self) -> None:
        """Make frames flow, with the codec that was agreed on, until cancelled."""
        if self._codec is None:
            raise RuntimeError("video was started before the answer was applied")
        settings = self._backend.settings
        pump = FramePump(
            self.streaming.idle(),
            self._track,
            self._keyframes,
            codec=self._codec,
            fps=settings.fps,
            now=self._backend.clock.time,
            on_frame=self.streaming.frame_made,
        )
        self.streaming.use(pump)
        await pump.run()

    def hang_up(self, code: int) -> None:
        """End the stream and what runs for it; the rest follows when the context is left."""
        if self.hung_up:
            return
        self.hung_up = True
        self._close_code = code
        self.streaming.gone()
        for task in self._running:
            task.cancel()

    async def _overdue(self) -> None:
        self.inbox.put_nowait(Event.STREAM_OVERDUE)
        await self.gone.wait()
