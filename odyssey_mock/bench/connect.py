"""`bench connect`: the client's `connect()` over loopback, compared with two bare aiortc peers.

The bare peers exchange offer and answer (a video track and SCTP), run ICE and DTLS, and open two data channels. The
client first sends its REST requests and opens the signaling socket. It then takes the same steps with the mock's peer.
"""

import asyncio
from functools import partial
from typing import override

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

from odyssey_client import Odyssey
from odyssey_mock.bench.alternation import alternate, timed
from odyssey_mock.bench.rows import Row
from odyssey_mock.server import MockOdyssey

TARGET = 1.3
ROUNDS = 40
QUICK_ROUNDS = 10


async def run(*, quick: bool = False) -> list[Row]:
    """Compare the time of the client's `connect()` with that of two bare peers, measured alternately."""
    async with MockOdyssey() as mock:
        samples = await alternate(partial(_connect, mock), bare_peers, QUICK_ROUNDS if quick else ROUNDS)
    return [Row("connect", *samples, "ms", TARGET)]


async def _connect(mock: MockOdyssey) -> float:
    async with Odyssey(mock.api_key, api_url=mock.url) as client:
        return await timed(client.connect)


class _Silence(MediaStreamTrack):
    """A video track that never sends a frame, so that video takes no CPU time in the measurement."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._ended = asyncio.Event()

    @override
    async def recv(self) -> object:  # type: ignore[override]
        await self._ended.wait()
        raise asyncio.CancelledError


async def bare_peers() -> float:
    """Connect two aiortc peers in this process; return the time in milliseconds until both data channels are open."""
    configuration = RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    peers: list[RTCPeerConnection] = []

    async def connect() -> None:
        server, client = RTCPeerConnection(configuration), RTCPeerConnection(configuration)
        peers.extend((server, client))
        opened: asyncio.Queue[RTCDataChannel] = asyncio.Queue()
        client.on("datachannel", opened.put_nowait)
        server.addTransceiver(_Silence(), direction="sendonly")
        server.createDataChannel("streamerToClient")
        server.createDataChannel("clientToStreamer")
        await server.setLocalDescription(await server.createOffer())
        await client.setRemoteDescription(_copy(server.localDescription))
        await client.setLocalDescription(await client.createAnswer())
        await server.setRemoteDescription(_copy(client.localDescription))
        await opened.get()
        await opened.get()

    try:
        return await timed(connect)
    finally:
        for peer in peers:
            await peer.close()


def _copy(description: RTCSessionDescription) -> RTCSessionDescription:
    return RTCSessionDescription(sdp=description.sdp, type=description.type)
