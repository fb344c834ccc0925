"""A fake streamer, independent of the mock, that runs a test's script over real WebSocket and WebRTC connections."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import av
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from odyssey_client import ClientCredentials
from odyssey_client.rtc.ice import gather_on, ice_transports
from tests.support.tls_contexts import no_tls

LAST_WORDS_S = 0.2
"""Seconds for which a script may continue after the socket was closed."""


class GreyTrack(VideoStreamTrack):
    """A video track of small gray frames. It sends none while `is_frozen` is true."""

    def __init__(self) -> None:
        super().__init__()
        self.is_frozen = False

    async def recv(self) -> av.VideoFrame:
        if self.is_frozen:
            await asyncio.Event().wait()
        frame = av.VideoFrame(64, 96, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts, frame.time_base = await self.next_timestamp()
        return frame


class Session:
    """A signaling socket that a client has opened, and the streamer's peer connection for it."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.track = GreyTrack()
        self.heard: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        """Messages received on the data channel `clientToStreamer`."""

    @property
    def token(self) -> str:
        """The session token with which the client opened the socket."""
        return parse_qs(urlsplit(self.socket.request.path).query)["token"][0] if self.socket.request else ""

    async def send(self, message: object) -> None:
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self, kind: str) -> dict[str, object]:
        """Return the next message of type `kind` on the socket. Discard messages of other types."""
        while True:
            message: dict[str, object] = json.loads(await self.socket.recv())
            if message["type"] == kind:
                return message

    async def offer(self) -> str:
        self.peer.addTrack(self.track)
        self.to_client = self.peer.createDataChannel("streamerToClient")
        self.from_client = self.peer.createDataChannel("clientToStreamer")
        self.from_client.on("message", lambda text: self.heard.put_nowait(json.loads(text)))
        await self.peer.setLocalDescription(await self._gathered())
        return self.peer.localDescription.sdp

    async def _gathered(self) -> RTCSessionDescription:
        gather_on(self.peer, ["127.0.0.1"], [], no_tls)
        return await self.peer.createOffer()

    async def answered(self) -> None:
        answer = await self.receive("answer")
        await self.peer.setRemoteDescription(RTCSessionDescription(str(answer["sdp"]), "answer"))

    async def come_up(self) -> None:
        """Connect the peer to the client, and wait until both data channels are open."""
        opened = [asyncio.Event(), asyncio.Event()]
        sdp = await self.offer()
        self.to_client.on("open", opened[0].set)
        self.from_client.on("open", opened[1].set)
        await self.send({"type": "offer", "sdp": sdp})
        await self.answered()
        for each in opened:
            await each.wait()

    def vanish(self) -> None:
        """Close the peer's UDP sockets without a message to the client, as if the process was killed."""
        for transport in ice_transports(self.peer):
            for protocol in transport.iceGatherer._connection._protocols:
                protocol.transport.abort()

    def say(self, message: object) -> None:
        """Send a message on the data channel `streamerToClient`."""
        self.to_client.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def start_stream(self) -> None:
        assert (await self.heard.get())["type"] == "interactive_stream_start"
        self.say({"type": "stream_started", "stream_id": "stream-1", "applied_prompt": "applied"})

    async def until_closed(self) -> list[dict[str, object]]:
        """Wait until the client closes the socket; return the messages received until then."""
        said: list[dict[str, object]] = []
        with suppress(ConnectionClosed):
            while True:
                said.append(json.loads(await self.socket.recv()))
        return said


NO_ICE_SERVERS = (HTTPStatus.OK, '{"iceServers": []}')

type Script = Callable[[Session], Awaitable[object]]


@asynccontextmanager
async def scripted(
    *scripts: Script, config: tuple[HTTPStatus, str] = NO_ICE_SERVERS
) -> AsyncIterator[ClientCredentials]:
    """Run a fake streamer, and yield credentials with which a client connects to it.

    The first connection to the signaling socket plays the first of `scripts`, the second connection the second one.
    When all scripts have been played, further connections play the last one. When a script ends, the server closes the
    socket with code 1000. `config` is the response to `GET /config`.
    """
    attempts = iter(scripts)
    script = scripts[-1]

    async def attend(socket: ServerConnection) -> None:
        session = Session(socket)
        playing = asyncio.ensure_future(next(attempts, script)(session))
        await asyncio.wait({playing, asyncio.ensure_future(socket.wait_closed())}, return_when=asyncio.FIRST_COMPLETED)
        # A script that still waits after the socket was closed would keep the server from closing.
        await asyncio.wait({playing}, timeout=LAST_WORDS_S)
        playing.cancel()
        with suppress(ConnectionClosed, asyncio.CancelledError):
            await playing
        await session.peer.close()

    def answer(socket: ServerConnection, request: Request) -> Response | None:
        if request.path == "/config":
            return socket.respond(*config)
        return None

    async with serve(attend, "127.0.0.1", 0, process_request=answer) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield ClientCredentials("session", f"ws://127.0.0.1:{port}", "token", 600)
