"""A protocol-level client made of httpx, websockets and aiortc, without `odyssey_client`.

Tests of the mock use it to send messages that a correct client would not send.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from odyssey_mock import MockOdyssey
from tests.support.tls_contexts import NO_CERTIFICATES

LIMIT = 10.0
"""Timeout in seconds for every wait. Waits usually take much less."""

type Message = dict[str, Any]  # Any: decoded JSON; the tests know its shape


class RawApi:
    """A REST client that authenticates with the access token of one account."""

    def __init__(self, mock: MockOdyssey, api_key: str | None = None) -> None:
        self.mock = mock
        self.http = httpx.AsyncClient(base_url=mock.url, trust_env=False, verify=NO_CERTIFICATES)
        self._key = api_key or mock.api_key

    async def __aenter__(self) -> Self:
        answer = await self.http.post("/auth/token", json={"api_key": self._key})
        self.http.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.http.aclose()

    async def request_session(self) -> Message:
        answer = await self.http.post("/sessions/request", json={})
        session: Message = answer.raise_for_status().json()
        return session

    async def token_for(self, session_id: str) -> str:
        answer = await self.http.post("/sessions/token", json={"session_id": session_id})
        return str(answer.raise_for_status().json()["session_token"])


@asynccontextmanager
async def raw_socket(
    session: Mapping[str, Any], token: str, *, origin: Origin | None = None
) -> AsyncIterator[ClientConnection]:
    """Open the signaling socket of a session. `origin` is sent as the `Origin` header, as browsers do."""
    url = f"{session['signalling_url']}/client/{session['session_id']}?token={token}"
    async with connect(url, proxy=None, origin=origin) as socket:
        yield socket


async def receive(socket: ClientConnection) -> Message:
    """Receive the next message on the signaling socket."""
    async with asyncio.timeout(LIMIT):
        message: Message = json.loads(await socket.recv())
    return message


@dataclass(eq=False)
class RawPeer:
    """A WebRTC peer that answers the server's offer on an open signaling socket.

    `async with` returns the peer once both data channels are open.
    """

    socket: ClientConnection
    connection: RTCPeerConnection = field(
        default_factory=lambda: RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
    )
    channels: dict[str, RTCDataChannel] = field(default_factory=dict)
    inbox: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    track: MediaStreamTrack | None = None
    _opened: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self.connection.on("datachannel", self._channel_opened)
        self.connection.on("track", lambda track: setattr(self, "track", track))
        offer = await receive(self.socket)
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp=offer["sdp"], type="offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        await self.say_on_socket({"type": "answer", "sdp": self.connection.localDescription.sdp})
        async with asyncio.timeout(LIMIT):
            await self._opened.wait()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.connection.close()

    def say(self, message: object) -> None:
        """Send a message on the data channel `clientToStreamer`: text and bytes unchanged, anything else as JSON."""
        self.channels["clientToStreamer"].send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def say_on_socket(self, message: object) -> None:
        """Send a message on the signaling socket: text and bytes unchanged, anything else as JSON."""
        await self.socket.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def hear(self) -> Message:
        """Receive the next message on the data channel `streamerToClient`."""
        async with asyncio.timeout(LIMIT):
            return await self.inbox.get()

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        self.channels[channel.label] = channel
        if channel.label == "streamerToClient":
            channel.on("message", lambda text: self.inbox.put_nowait(json.loads(text)))
        if len(self.channels) == 2:
            self._opened.set()


@asynccontextmanager
async def raw_peer(mock: MockOdyssey, *, api_key: str | None = None) -> AsyncIterator[RawPeer]:
    """Request a new session, connect a peer to it, and yield the peer."""
    async with RawApi(mock, api_key) as api:
        session = await api.request_session()
        token = await api.token_for(session["session_id"])
    async with raw_socket(session, token) as socket, RawPeer(socket) as peer:
        yield peer
